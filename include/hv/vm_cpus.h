/* SPDX-License-Identifier: BSD-3-Clause */
/* Which VM may use which physical CPU. */
#ifndef HV_VM_CPUS_H
#define HV_VM_CPUS_H

#include <lib/util.h>

struct acrn_vm;

/**
 * The VM takes physical CPUs. Refused, and logged, if one does not exist, belongs to a VM alone (own_pcpu), or is used
 * by another VM while this one wants it alone.
 * @param mask bit per pCPU
 * @return 0; -EINVAL no or unknown CPUs; -EBUSY taken
 */
int32_t __must_check vm_cpus_claim(struct acrn_vm *vm, uint64_t mask);

/** The VM gives CPUs of vm_cpus_claim() back. */
void vm_cpus_release(struct acrn_vm *vm, uint64_t mask);

#endif
