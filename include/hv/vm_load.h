/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts a VM's kernel, ramdisk, command line and tables into its memory. */
#ifndef HV_VM_LOAD_H
#define HV_VM_LOAD_H

#include <lib/util.h>

struct acrn_vm;

/**
 * Keeps the boot modules that a pre-launched VM names from the Service VM, so that they are unharmed whenever the VM is
 * loaded again. Boot only, before the Service VM is made.
 */
void vm_load_reserve_modules(const struct acrn_vm *vm);

/**
 * Loads what vm->config names from the boot modules and sets the registers of vCPU 0. The VM is VM_CREATED, its memory
 * is mapped. vm->lock held. The Service VM can be loaded only once, at boot: its modules lie in its own memory.
 * @return 0; -ENOENT a module is missing; -EINVAL it is not what kern_type says; -ENOSPC no room; all logged
 */
int32_t __must_check vm_load_image(struct acrn_vm *vm);

#endif
