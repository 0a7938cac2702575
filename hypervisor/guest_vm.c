/* SPDX-License-Identifier: BSD-3-Clause */
/* The run loop of a VM as libsel4vm has it, and its callbacks. */
#include <hv/guest_vm.h>
#include <hv/log.h>
#include <hv/sched.h>
#include <hv/upcall.h>
#include <hv/vm.h>

int32_t vm_register_unhandled_mem_fault_callback(
	struct acrn_vm *vm, unhandled_mem_fault_callback_fn fault_handler, void *cookie)
{
	if ((vm == NULL) || (fault_handler == NULL) || vm_is_fixed(vm)) {
		return -1;
	}
	vm->mem.unhandled_mem_fault_handler = fault_handler;
	vm->mem.unhandled_mem_fault_cookie = cookie;
	return 0;
}

int32_t vm_register_notification_callback(
	struct acrn_vm *vm, notification_callback_fn notification_callback, void *cookie)
{
	if ((vm == NULL) || (notification_callback == NULL) || vm_is_fixed(vm)) {
		return -1;
	}
	vm->run.notification_callback = notification_callback;
	vm->run.notification_callback_cookie = cookie;
	return 0;
}

void vm_notify(struct acrn_vm *vm, uint64_t badge)
{
	(void)__atomic_fetch_or(&vm->run.badge, badge, __ATOMIC_SEQ_CST);
	/* It sleeps, or is on the CPU: in either case vcpu_thread_run() begins anew, and looks. */
	thread_wake(&vm->vcpus[0].thread);
	sched_disturb(vm->vcpus[0].pcpu_id);
}

void vm_take_notifications(struct acrn_vm *vm)
{
	const struct vm_run *run = &vm->run;
	const uint64_t badge = __atomic_exchange_n(&vm->run.badge, 0UL, __ATOMIC_SEQ_CST);

	if (run->notification_callback == NULL) {
		pr_guest(vm->vm_id, 0U, "notification 0x%lx: nobody wants it", badge);
	} else if (run->notification_callback(vm, badge, run->notification_callback_cookie) != 0) {
		vcpu_fatal(&vm->vcpus[0], "notification 0x%lx: refused", badge);
	}
}

static bool is_going(const struct acrn_vm *vm)
{
	/* A VM that restarts goes on: its keeper thread sees to it. */
	return (__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == VM_RUNNING) &&
		(!__atomic_load_n(&vm->stop_requested, __ATOMIC_ACQUIRE) ||
			(__atomic_load_n(&vm->restart, __ATOMIC_ACQUIRE) == VM_RESTART_WANTED));
}

int32_t vm_run(struct acrn_vm *vm)
{
	int32_t ret;

	spin_lock(&vm->lock);
	ret = vm_start(vm);
	spin_unlock(&vm->lock);
	if (ret != 0) {
		return -1;
	}
	while (is_going(vm)) {
		(void)sched_once();
	}
	return (vm->run.exit_reason == VM_GUEST_ERROR_EXIT) ? -1 : 0;
}
