/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the console, the Service VM and its own guest may ask of a pre-launched VM's life: start it anew. The steps
 * are those of <hv/vm.h>.
 */
#ifndef HV_VM_LIFE_H
#define HV_VM_LIFE_H

#include <lib/util.h>

struct acrn_vm;

/** Gives a pre-launched VM that has just been created its keeper; other VMs have none. vm->lock held. */
void vm_life_begin(struct acrn_vm *vm);

/** Takes it away again; nothing if there is none. vm->lock held, not from the keeper. */
void vm_life_end(struct acrn_vm *vm);

/** The guest's wish to be reset is granted otherwise. vm->lock held, no vCPU on a CPU. @return true if there was one */
bool vm_life_forget_wish(struct acrn_vm *vm);

/**
 * Lets the VM run: a paused one goes on, a created one begins. A pre-launched VM that has stopped, or is off, is
 * loaded anew first. vm->lock held.
 * @return as vm_start(); as vm_life_reset() where it loads
 */
int32_t __must_check vm_life_start(struct acrn_vm *vm);

/**
 * Loads a pre-launched VM anew, in whatever state it is, and starts it. vm->lock held, no vCPU of the VM is the caller.
 * @return 0; -EPERM it is no pre-launched VM; -ENODEV it cannot run on this machine; what vm_create() and
 *         vm_load_image() say (then it does not run, and vm->stop_reason tells)
 */
int32_t vm_life_reset(struct acrn_vm *vm);

/** @return what an error of these functions, vm_start(), vm_pause() or vm_reset() means: "VM3 'PRE1' <text>" */
const char *vm_life_error(int64_t error);

#endif
