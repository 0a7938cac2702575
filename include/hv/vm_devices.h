/* SPDX-License-Identifier: BSD-3-Clause */
/* Which devices of the hypervisor each kind of VM sees. */
#ifndef HV_VM_DEVICES_H
#define HV_VM_DEVICES_H

#include <lib/util.h>

struct acrn_vm;

/** Gives a new VM its devices and ports, as its scenario says. vm->lock held. @return 0, -EINVAL, -ENOSPC, -ENOMEM */
int32_t __must_check vm_devices_init(struct acrn_vm *vm);

/** The same for what single vCPUs are given, once they exist. vm->lock held. @return 0 or -ENOMEM */
int32_t __must_check vm_devices_init_vcpus(struct acrn_vm *vm);

/** Back to power-on. No vCPU of the VM is on a CPU. */
void vm_devices_reset(struct acrn_vm *vm);

/** The VM has stopped for good, or until its reset: whoever it is wired to sees its lines fall. From any pCPU. */
void vm_devices_stop(struct acrn_vm *vm);

/** The VM goes away. */
void vm_devices_destroy(struct acrn_vm *vm);

#endif
