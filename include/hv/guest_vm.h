/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libsel4vm's guest_vm.h: what a VM has besides ACRN's names, and its run loop. doc/interfaces.md says where each
 * member of libsel4vm's structures is.
 */
#ifndef HV_GUEST_VM_H
#define HV_GUEST_VM_H

#include <hv/guest_memory.h>
#include <lib/util.h>

struct acrn_vm;
struct acrn_vcpu;

#define VM_RAM_REGIONS 64U

struct vm_ram_region {
	gpa_t start;
	uint64_t size; /* bytes */
	bool allocated;
};

/* A VM's memory, besides the map that the CPU code has. vm->lock, or the VM does not run. */
struct vm_mem {
	uint32_t num_ram_regions;
	struct vm_ram_region ram_regions[VM_RAM_REGIONS]; /* sorted, disjoint; <hv/guest_ram.h> */
	struct vm_reservations reserved;
	unhandled_mem_fault_callback_fn unhandled_mem_fault_handler;
	void *unhandled_mem_fault_cookie;
};

/**
 * On the thread of the VM's vCPU 0, outside of the guest.
 * @param badge bits of vm_notify() since the last call
 * @return 0; -1: the VM stops, with a reason
 */
typedef int32_t (*notification_callback_fn)(struct acrn_vm *vm, uint64_t badge, void *cookie);

enum vm_exit_reason {
	VM_GUEST_UNKNOWN_EXIT,    /* none yet */
	VM_GUEST_STOPPED,         /* by its own wish, or with the Service VM */
	VM_GUEST_RESTARTS,        /* by its own wish, to run again */
	VM_GUEST_ERROR_EXIT = -1, /* its fault, or that of somebody who answers for it */
};

struct vm_run {
	int32_t exit_reason; /* enum vm_exit_reason; the sentence for it is vm->stop_reason */
	notification_callback_fn notification_callback;
	void *notification_callback_cookie;
	uint64_t badge; /* bits of vm_notify() that the callback has not had yet; atomic */
};

/**
 * Starts the VM and does this pCPU's work until the VM has stopped, or been paused or destroyed by somebody else.
 * Blocks; for a caller that is not a thread of the scheduler. (At boot VMs are started with vm_start(), which does not
 * block, since there are several.) vm->lock not held.
 * @return 0: it ended by its own wish, or was paused; -1: it could not be started, or was stopped for a fault
 */
int32_t vm_run(struct acrn_vm *vm);

/** Makes a vCPU that was never started run: VCPU_INIT -> VCPU_RUNNING. @return 0; -1: it is not in VCPU_INIT */
int32_t vcpu_start(struct acrn_vcpu *vcpu);

/**
 * The callback for memory that nobody has mapped or reserved; the last registration counts. Not while the VM runs or
 * is paused.
 * @return 0; -1: no VM, no callback, or it runs
 */
int32_t __must_check vm_register_unhandled_mem_fault_callback(
	struct acrn_vm *vm, unhandled_mem_fault_callback_fn fault_handler, void *cookie);

/**
 * The callback for vm_notify(); the last registration counts. Not while the VM runs or is paused.
 * @return 0; -1: no VM, no callback, or it runs
 */
int32_t __must_check vm_register_notification_callback(
	struct acrn_vm *vm, notification_callback_fn notification_callback, void *cookie);

/**
 * Tells the VM's notification callback that something happened. Bits of several calls may come in one callback; none
 * is lost while the VM runs. Any pCPU, any lock but that of a run queue.
 */
void vm_notify(struct acrn_vm *vm, uint64_t badge);

/** Hands what vm_notify() has left to the callback. By vCPU 0's thread. */
void vm_take_notifications(struct acrn_vm *vm);

#endif
