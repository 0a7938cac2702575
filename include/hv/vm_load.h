/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts a VM's kernel, ramdisk, command line and tables into its memory. */
#ifndef HV_VM_LOAD_H
#define HV_VM_LOAD_H

#include <lib/util.h>

struct acrn_vm;

/**
 * Loads what vm->config names from the boot modules and sets the registers of vCPU 0. The VM is VM_CREATED, its memory
 * is mapped. Boot only; vm->lock held.
 * @return 0; -ENOENT a module is missing; -EINVAL it is not what kern_type says; -ENOSPC no room; all logged
 */
int32_t __must_check vm_load_image(struct acrn_vm *vm);

#endif
