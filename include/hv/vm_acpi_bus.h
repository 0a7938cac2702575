/* SPDX-License-Identifier: BSD-3-Clause */
/* What the Service VM's ACPI tables say of the bus that the hypervisor gives it (service_bus.c). Pure. */
#ifndef HV_VM_ACPI_BUS_H
#define HV_VM_ACPI_BUS_H

#include <lib/util.h>

#define VM_ACPI_BUS_IOAPIC 12U    /* bytes that its MADT entry has */
#define VM_ACPI_BUS_MCFG   16U    /* bytes that its MCFG entry has */
#define VM_ACPI_BUS_SSDT   0x400U /* bytes that its SSDT has at most */
#define VM_ACPI_MCFG_FIXED 44U    /* bytes of an MCFG before its entries */

struct vm_acpi_bus {
	uint32_t ecam;     /* configuration space of bus 0, 1 MiB */
	uint32_t mem_base; /* window of its BARs; bytes */
	uint32_t mem_size;
	uint32_t gsi[2];
	uint32_t ioapic; /* whose interrupts those are: address, id, first interrupt */
	uint32_t ioapic_id;
	uint32_t ioapic_gsi;
	uint32_t segment; /* PCI segment group; vm_acpi_bus_mcfg() chooses it */
};

/** Writes the MADT's entry for the bus's I/O APIC. @param out room for VM_ACPI_BUS_IOAPIC bytes */
void vm_acpi_bus_ioapic(const struct vm_acpi_bus *bus, uint8_t *out);

/**
 * Writes an MCFG with the machine's entries and one for the bus, but for the header's length and checksum, and chooses
 * bus->segment: one above all others.
 * @param mcfg, len the machine's; NULL: it has none
 * @param out room for VM_ACPI_MCFG_FIXED or `len` bytes, whichever is more, and VM_ACPI_BUS_MCFG
 * @return its length, in bytes
 */
size_t vm_acpi_bus_mcfg(struct vm_acpi_bus *bus, const uint8_t *mcfg, size_t len, uint8_t *out);

/** Writes the SSDT that describes the bus, without checksum. @param out room for VM_ACPI_BUS_SSDT bytes @return length
 */
size_t vm_acpi_bus_ssdt(const struct vm_acpi_bus *bus, uint8_t *out);

#endif
