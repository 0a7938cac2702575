/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing ACPI tables (ACPI 6.4, chapter 5), byte by byte: nothing in them is aligned. Areas are zeroed before. */
#ifndef LIB_ACPI_TABLE_H
#define LIB_ACPI_TABLE_H

#include <lib/types.h>

#define ACPI_HEADER_SIZE 36U
#define ACPI_REVISION_AT 8U
#define ACPI_OEM_ID_AT   10U
#define ACPI_RSDP_SIZE   36U /* revision 2 */

#define ACPI_RSDP_V1_SIZE     20U
#define ACPI_RSDP_REVISION_AT 15U

/** Stores the low `size` bytes (up to 8) of `value`, the lowest first. */
void acpi_put(uint8_t *at, uint64_t value, size_t size);

/** The header of a table of ours; length and checksum come last, by acpi_finish(). @param oem_table_id 8 characters */
void acpi_begin(uint8_t *table, const char *signature, uint8_t revision, const char *oem_table_id);

/** Sets length and checksum. Also of a table that was copied and changed. */
void acpi_finish(uint8_t *table, size_t len);

/** An RSDP of revision 2. @param oem_id 6 characters @param rsdt 0: there is none */
void acpi_put_rsdp(uint8_t *rsdp, const char *oem_id, uint32_t rsdt, uint64_t xsdt);

/** A revision 1 RSDP's or its first part's checksum, made right after a change there. */
void acpi_finish_rsdp_v1(uint8_t *rsdp);

/** A FACS (version 2), which has no checksum. */
void acpi_put_facs(uint8_t *facs);

/** A generic address structure in I/O space. @param bits width @param access 1: bytes, 2: words, 3: double words */
void acpi_put_io_gas(uint8_t *at, uint32_t port, uint8_t bits, uint8_t access);

#define ACPI_PC_MADT_SIZE(cpus) (ACPI_HEADER_SIZE + 8U + (cpus)*16U + 12U + 2U * 10U + 6U) /* at most, bytes */

/**
 * A PC's MADT: local APICs at 0xFEE00000, 8259s, I/O APIC 0 from GSI 0 on, IRQ 0 at GSI 2, NMI at LINT1.
 * @param apic_id of the CPUs, whose processor UIDs are 0, 1, ...
 * @param sci     the GSI of ACPI's own interrupt: level triggered, active high
 * @return its length, bytes
 */
size_t acpi_put_pc_madt(uint8_t *madt, const char *oem_table_id, const uint32_t *apic_id, uint32_t cpu_count,
	uint32_t ioapic_gpa, uint32_t sci);

#endif
