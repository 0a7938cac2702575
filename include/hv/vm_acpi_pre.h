/* SPDX-License-Identifier: BSD-3-Clause */
/* The ACPI tables of a pre-launched VM, made from nothing. Pure. */
#ifndef HV_VM_ACPI_PRE_H
#define HV_VM_ACPI_PRE_H

#include <config.h>

#include <lib/util.h>

/* All of them are in guest RAM at the start of the upper BIOS area, where guests scan for the RSDP. */
#define VM_ACPI_PRE_GPA  0xF0000UL
#define VM_ACPI_PRE_SIZE 0x2000UL

struct vm_acpi_pre_input {
	uint32_t apic_id[CONFIG_MAX_VCPUS_PER_VM]; /* of the vCPUs, vCPU 0 first */
	uint32_t cpu_count;
	bool has_com1;
	bool has_com2;
};

/**
 * Writes RSDP (at the start), RSDT, XSDT, FADT, FACS, DSDT, MADT, MCFG and HPET (ACPI 6.4, 5.2). The ports are
 * those of <dm/vpm.h>.
 * @param area room for VM_ACPI_PRE_SIZE bytes, which the guest sees at VM_ACPI_PRE_GPA
 * @return 0; -EINVAL: no CPU, or more than CONFIG_MAX_VCPUS_PER_VM
 */
int32_t __must_check vm_acpi_pre_make(const struct vm_acpi_pre_input *in, uint8_t *area);

#endif
