/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pre-launched VMs start anew: when their guest resets itself, and when somebody wants it.
 *
 * A guest's wish comes up on one of its vCPU threads, which can neither take vm->lock nor wait for itself. So it only
 * stops the VM and wakes the VM's keeper, a thread of its own on the pCPU of vCPU 0: loading costs no other VM any time
 * but those that share that pCPU.
 */
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/vm.h>
#include <hv/vm_life.h>
#include <hv/vm_load.h>
#include <hv/vm_stop.h>
#include <lib/errno.h>

static uint32_t restart_of(const struct acrn_vm *vm)
{
	return __atomic_load_n(&vm->restart, __ATOMIC_ACQUIRE);
}

/* A wish that came up meanwhile stays. @return false if it is not `from` */
static bool change_restart(struct acrn_vm *vm, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&vm->restart, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Whoever holds the lock may be waiting for this pCPU to leave something else: try again later. */
static bool keeper_run(struct thread *thread)
{
	struct acrn_vm *vm = container_of(thread, struct acrn_vm, keeper);

	if (restart_of(vm) != VM_RESTART_WANTED) {
		return false;
	}
	if (!spin_try_lock(&vm->lock)) {
		arch_irq_window();
		return true;
	}
	/* While it is paused nothing happens; vm_start() wakes us. */
	if ((restart_of(vm) == VM_RESTART_WANTED) && (vm->state == VM_RUNNING)) {
		(void)vm_life_reset(vm);
	}
	spin_unlock(&vm->lock);
	return false;
}

void vm_life_begin(struct acrn_vm *vm)
{
	if (vm->config->load_order == SCN_PRE_LAUNCHED_VM) {
		thread_init(&vm->keeper, vm->vcpus[0].pcpu_id, keeper_run, NULL);
	}
}

void vm_life_end(struct acrn_vm *vm)
{
	/* First: with a wish it would try for ever to get the lock, which the caller holds. */
	(void)vm_life_forget_wish(vm);
	if (vm->keeper.run != NULL) {
		thread_retire(&vm->keeper);
	}
}

bool vm_life_forget_wish(struct acrn_vm *vm)
{
	return change_restart(vm, VM_RESTART_WANTED, VM_RESTART_NONE);
}

static int32_t create_or_reset(struct acrn_vm *vm)
{
	if (vm->state == VM_POWERED_OFF) {
		return vm_create(vm, NULL, 0U);
	}
	return (vm_pause(vm) == 0) ? vm_reset(vm) : -EIO;
}

int32_t vm_life_reset(struct acrn_vm *vm)
{
	int32_t ret;

	if (vm->config->load_order != SCN_PRE_LAUNCHED_VM) {
		return -EPERM;
	}
	if (vm->config->refused) {
		return -ENODEV;
	}
	/* From here on it counts as running, for those who ask whether any VM does. */
	__atomic_store_n(&vm->restart, (uint32_t)VM_RESTART_UNDER_WAY, __ATOMIC_SEQ_CST);
	ret = create_or_reset(vm);
	if (ret == 0) {
		ret = vm_load_image(vm);
	}
	if (ret == 0) {
		ret = vm_start(vm);
	}
	(void)change_restart(vm, VM_RESTART_UNDER_WAY, VM_RESTART_NONE);
	if (ret != 0) {
		vm_stop_self(vm, "it cannot be loaded again: error %d", ret);
	}
	return ret;
}

int32_t vm_life_start(struct acrn_vm *vm)
{
	if ((vm->config->load_order == SCN_PRE_LAUNCHED_VM) &&
		((vm->state == VM_POWERED_OFF) || (vm->stop_requested && (restart_of(vm) == VM_RESTART_NONE)))) {
		return vm_life_reset(vm);
	}
	return vm_start(vm);
}

const char *vm_life_error(int64_t error)
{
	switch (error) {
	case -ENOENT:
		return "is off";
	case -EBUSY:
		return "is in another state";
	case -ESHUTDOWN:
		return "has stopped for good";
	case -EPERM:
		return "is loaded and started by its device model (aril-dm in the Service VM)";
	case -ENODEV:
		return "cannot run on this machine";
	case -EINVAL:
		return "has no request page, or an image that cannot be loaded";
	case -ENOMEM:
		return "gets no memory";
	default:
		return "cannot be loaded; the log has the reason";
	}
}
