/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory maps that the hypervisor makes for the Service VM and for pre-launched VMs. */
#ifndef HV_VM_MEMORY_H
#define HV_VM_MEMORY_H

#include <lib/util.h>

struct acrn_vm;

/**
 * Maps the machine to the Service VM, GPA = HPA: RAM and ACPI tables write-back, all else below 4 GiB uncached; not
 * the hypervisor's memory, the local APIC's page and the I/O APICs'. Ends with arch_gpa_audit(). Before other handlers
 * are registered and after the pre-launched VMs have their memory. Boot only.
 * @return 0; -ENOMEM; -EFAULT the audit failed
 */
int32_t __must_check vm_map_service_memory(struct acrn_vm *vm);

/**
 * Finds the memory of a pre-launched VM (at config->mem_hpa if fixed) and reserves it, for good: vm->ram_hpa. Boot
 * only, before the Service VM gets the rest.
 * @return 0 or -ENOMEM, logged
 */
int32_t __must_check vm_reserve_prelaunched_memory(struct acrn_vm *vm);

/**
 * Maps the memory of a pre-launched VM from guest address 0 (3 GiB at most, the rest from 4 GiB).
 * @return 0; -ENOMEM: no pages, or none was reserved at boot
 */
int32_t __must_check vm_map_prelaunched_memory(struct acrn_vm *vm);

/** @return true if all of [hpa, hpa+size) is RAM that belongs to the Service VM */
bool vm_is_service_ram(hpa_t hpa, uint64_t size);

/** @return the machine's RAM, whoever has it, bytes */
uint64_t vm_ram_total(void);

#endif
