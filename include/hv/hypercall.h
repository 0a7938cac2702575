/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hypercalls. hypercall_dispatch(): <hv/upcall.h>; numbers: <public/acrn_hv_defs.h>.
 *
 * All arguments are checked before anything is done. What each call answers when it fails:
 *
 *   all                      -EPERM   the caller is not the Service VM (the CPU code injects #UD before that)
 *                            -ENOTTY  no such hypercall; the whole id counts, not its low byte
 *   all with a VM            -EINVAL  the id is not 16 bits wide or not that of a User VM
 *                            -ENOENT  that VM is off
 *   11, 12, 13, 15 (life)    -EPERM   it is a pre-launched VM, and the scenario has no service_vm_control for it.
 *                            With it they do what the console does: START_VM also loads a VM that has stopped or
 *                            is off, RESET_VM loads it in every state and starts it, DESTROY_VM switches it off.
 *   all with a pointer       -EFAULT  not all of it is mapped in the Service VM
 *   01 SERVICE_VM_OFFLINE_CPU -EINVAL no vCPU of the Service VM has that APIC id, or the caller is on it
 *                            -EBUSY   it is the boot CPU; or another such call is under way
 *   02 SET_CALLBACK_VECTOR   -EINVAL  not 0x20..0xFE. The calling vCPU takes the upcalls from then on
 *   10 CREATE_VM             -EINVAL  reserved fields, name, flags, or CPUs outside the VM's set in the scenario
 *                            -ENOSPC  no VM of that name and no free slot; -EBUSY it exists, or a CPU is taken
 *                            -ENODEV  this machine cannot run it (the reason was logged at boot); -ENOMEM
 *   11 DESTROY_VM            in every state; pauses first
 *   12 START_VM              -EBUSY   it runs; -ESHUTDOWN it has stopped by itself and was not reset
 *                            -EINVAL  it has no request page
 *   13 PAUSE_VM              0 means: no vCPU is on a CPU (also if it was paused already)
 *   15 RESET_VM              -EBUSY   not paused
 *   16 SET_VCPU_REGS         -EBUSY   it runs; -EINVAL no such vCPU, reserved fields, impossible registers
 *   23 INJECT_MSI            -EINVAL  address or delivery mode
 *   24 VM_INTR_MONITOR       -EINVAL  command or buf_cnt. No interrupt is passed through, so the counts are empty
 *   25 SET_IRQLINE           -EINVAL  line or operation
 *   30 SET_IOREQ_BUFFER      -EBUSY   started already; -EINVAL not a page of the Service VM's RAM
 *   31 NOTIFY_REQUEST_FINISH -EINVAL  no such vCPU
 *   42 VM_SET_MEMORY_REGIONS -EINVAL  count, or a region: type, protection, alignment, wrap, not Service VM RAM, an
 *                                     emulated device is there, not mapped (MODIFY); -ENOMEM
 *                            All regions are checked before the first is touched, and each again from its own copy
 *                            when its turn comes. If that fails (the array changed) or memory runs out, those before
 *                            it stay done.
 *   53..56, 59, 5A           -ENODEV  nothing can be passed through or emulated for it yet
 *   57, 58 (MMIO devices)    -ENODEV
 *   80 PM_GET_CPU_STATE      -ENODEV  no P or C states are offered
 *   F0, F1                   see <public/acrn_hv_defs.h>
 */
#ifndef HV_HYPERCALL_H
#define HV_HYPERCALL_H

#include <lib/util.h>

struct acrn_vcpu;
struct acrn_vm;

/* Most regions in one HC_VM_SET_MEMORY_REGIONS: 1 GiB in 4 KiB pages. All that it maps is no more than the RAM. */
#define HCALL_MAX_REGIONS 262144U

/* A VM called by its relative id: a User VM, but for TARGET_LIFE. */
enum hcall_target {
	TARGET_NONE,     /* the call is about no VM; `vm` is NULL */
	TARGET_LOCKED,   /* arg1 is a VM's id; it is not off, and locked */
	TARGET_LIFE,     /* as TARGET_LOCKED, or that of a pre-launched VM in the Service VM's control */
	TARGET_UNLOCKED, /* the same, not locked: for calls that must be quick and touch little */
};

/**
 * @param caller a vCPU of the Service VM
 * @param vm     see enum hcall_target
 * @return 0 or -errno
 */
typedef int64_t (*hcall_fn_t)(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);

/** A line in the log about an argument that was refused; rate-limited. */
#define hcall_refuse(caller, ...) pr_guest((caller)->vm->vm_id, (caller)->vcpu_id, "hypercall refused: " __VA_ARGS__)

/**
 * Finds a User VM by its relative id and takes its lock.
 * @return 0 and *vm, locked; -EINVAL; -ENOENT it is off (nothing locked)
 */
int64_t __must_check hcall_lock_vm(struct acrn_vcpu *caller, uint64_t rel_id, struct acrn_vm **vm);

int64_t hcall_get_api_version(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_service_vm_offline_cpu(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_set_callback_vector(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_create_vm(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_destroy_vm(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_start_vm(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_pause_vm(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_reset_vm(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_set_vcpu_regs(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_inject_msi(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_vm_intr_monitor(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_set_irqline(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_set_ioreq_buffer(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_notify_request_finish(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_vm_set_memory_regions(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_not_available(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_aril_get_stats(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);
int64_t hcall_aril_audit(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2);

#endif
