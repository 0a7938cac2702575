/* SPDX-License-Identifier: BSD-3-Clause */
/* The ends of VMs, and of the machine. vm_stop_self(): <hv/vm.h>; vcpu_fatal(), vcpu_triple_fault(): <hv/upcall.h>. */
#ifndef HV_VM_STOP_H
#define HV_VM_STOP_H

#include <lib/util.h>

struct acrn_vm;

/** Forgets why the VM stopped, so that it can run again. vm->lock held, no vCPU on a CPU. */
void vm_stop_clear(struct acrn_vm *vm);

/**
 * The guest asked its chip set for a reset, by whatever port: the Service VM resets the machine, a pre-launched VM is
 * loaded anew and runs again (with on_reset=stop on the command line it stops), a User VM stops. Any vCPU thread; it
 * does not enter the guest again.
 */
void vm_reset_requested(struct acrn_vm *vm);

/**
 * Stops a User VM that was made to run while the Service VM was stopping: its last vCPUs may still be in a hypercall.
 * vm->lock held, vm->state is VM_RUNNING, no vCPU runs yet.
 */
void vm_stop_if_orphan(struct acrn_vm *vm);

#endif
