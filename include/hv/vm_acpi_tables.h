/* SPDX-License-Identifier: BSD-3-Clause */
/* Making RSDP, RSDT, XSDT, MADT, FADT and MCFG for a VM out of the machine's. Pure. */
#ifndef HV_VM_ACPI_TABLES_H
#define HV_VM_ACPI_TABLES_H

#include <config.h>

#include <hv/acpi.h>
#include <hv/vm_acpi_bus.h>
#include <lib/util.h>

#define VM_RSDP_SIZE 36U

struct vm_acpi_input {
	hpa_t table[ACPI_MAX_TABLES]; /* used as they are: neither MADT, FADT, DMAR nor, with a bus, MCFG */
	uint32_t table_count;
	const uint8_t *madt;                       /* the machine's */
	size_t madt_len;                           /* bytes */
	const uint8_t *fadt;                       /* the machine's, or NULL */
	size_t fadt_len;                           /* bytes */
	const uint8_t *mcfg;                       /* the machine's, or NULL; counts only with a bus */
	size_t mcfg_len;                           /* bytes */
	struct vm_acpi_bus *bus;                   /* that the VM has beside the machine's, or NULL; out: segment */
	uint32_t apic_id[CONFIG_MAX_VCPUS_PER_VM]; /* of the VM's vCPUs */
	uint32_t cpu_count;
};

/**
 * Writes an RSDP (at the start of `area`), XSDT, RSDT, MADT, if there is one FADT, and for a bus MCFG and SSDT, all
 * with right checksums. The FADT says that there are no message-signalled interrupts: nothing translates those of the
 * machine's devices.
 * @param size, gpa of the area: bytes, where the guest sees it (below 4 GiB)
 * @param kept out: how many of the vCPUs the machine's MADT names
 * @return 0; -EINVAL the MADT is shorter than its fixed part; -ENOSPC the area is too small
 */
int32_t vm_acpi_make_tables(const struct vm_acpi_input *in, uint8_t *area, size_t size, gpa_t gpa, uint32_t *kept);

/**
 * Replaces every valid RSDP at a multiple of 16 in [area, area+size) by `rsdp`. One of revision 0, 20 bytes long, is
 * followed by bytes that are not its own; it becomes one of revision 0, with the RSDT only.
 * @param rsdp an RSDP of revision 2, `rsdp_size` bytes
 * @return whether there was one
 */
bool vm_acpi_replace_rsdp(uint8_t *area, size_t size, const uint8_t *rsdp, size_t rsdp_size);

#endif
