/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ACPI tables that the Service VM sees: the machine's, with the MADT cut to its vCPUs and no DMAR; and those of
 * pre-launched VMs, which are made from nothing (vm_acpi_pre.h).
 */
#ifndef HV_VM_ACPI_H
#define HV_VM_ACPI_H

#include <lib/util.h>

struct vm_loader;

/**
 * Makes the tables for the VM, marks their place in ld->map and sets ld->rsdp. Writes nothing of the firmware's.
 * Boot only.
 * @return 0 or -errno, logged
 */
int32_t __must_check vm_acpi_build(struct vm_loader *ld);

#endif
