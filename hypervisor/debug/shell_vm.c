/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell's commands that act on VMs and on the machine. On the console's thread, on pCPU 0. */
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/shell.h>
#include <hv/summary.h>
#include <hv/trace.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <hv/vm_console.h>
#include <hv/vm_life.h>
#include <hv/vm_stop.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "shell_priv.h"

#define LOCK_PATIENCE_MS 500U

struct acrn_vm *shell_find_vm(const char *id_or_name)
{
	struct acrn_vm *vm;
	uint64_t id;

	if (str_to_u64(id_or_name, &id) && (id < INVALID_VM_ID)) {
		vm = vm_by_id((uint16_t)id);
		if (vm != NULL) {
			return vm;
		}
	}
	for (uint16_t i = 0U; (vm = vm_by_id(i)) != NULL; i++) {
		if ((vm->name[0] != '\0') && (strcmp(vm->name, id_or_name) == 0)) {
			return vm;
		}
	}
	shell_error("there is no VM '%s'; `vm_list` shows them", id_or_name);
	return NULL;
}

uint64_t shell_deadline(void)
{
	return arch_now() + (uint64_t)arch_tsc_khz() * LOCK_PATIENCE_MS;
}

bool shell_try_lock_vm(struct acrn_vm *vm)
{
	const uint64_t end = shell_deadline();

	while (!spin_try_lock(&vm->lock)) {
		if (arch_now() > end) {
			return false;
		}
		arch_irq_window();
	}
	return true;
}

int32_t shell_lock_vm(struct acrn_vm *vm)
{
	if (!shell_try_lock_vm(vm)) {
		shell_error("VM%u '%s' is busy; try again", vm->vm_id, vm->name);
		return -EBUSY;
	}
	return 0;
}

/*
 * Asks all vCPUs off their CPUs before the lock is taken: one of them may be in a hypercall that wants this very
 * lock. After that none enters another hypercall, and vm_pause() has nothing to wait for.
 * @return 0, or -EBUSY
 */
static int32_t quiesce(struct acrn_vm *vm)
{
	const uint64_t end = shell_deadline();

	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i].state != VCPU_PAUSED) {
			vcpu_request_pause(&vm->vcpus[i]);
		}
	}
	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		while (thread_is_running(&vm->vcpus[i].thread)) {
			if (arch_now() > end) {
				shell_printf("VM%u '%s': vCPU%u does not leave its CPU\n", vm->vm_id, vm->name, i);
				return -EBUSY;
			}
			arch_irq_window();
		}
	}
	return 0;
}

/* @return 0: it is paused and its lock is held */
static int32_t pause_and_lock(struct acrn_vm *vm)
{
	int32_t ret;

	if ((vm->state == VM_POWERED_OFF) || (vm->state == VM_CREATED)) {
		shell_printf("VM%u '%s' is %s\n", vm->vm_id, vm->name, vm_state_name(vm->state));
		return -EBUSY;
	}
	ret = quiesce(vm);
	if (ret == 0) {
		ret = shell_lock_vm(vm);
	}
	if (ret == 0) {
		ret = vm_pause(vm);
		if (ret != 0) {
			spin_unlock(&vm->lock); /* destroyed meanwhile */
			shell_printf("VM%u is off\n", vm->vm_id);
		}
	}
	return ret;
}

static const char *no_console(const struct acrn_vm *vm)
{
	if (vm->config->console_vuart != SCN_CONSOLE_NONE) {
		return "it is off";
	}
	return (vm->config->load_order == SCN_POST_LAUNCHED_VM) ? "its device model shows its lines, in the Service VM"
								: "its scenario gives it none (console_vuart)";
}

int32_t shell_cmd_vm_console(uint32_t argc, char **argv)
{
	const struct acrn_vm *vm = shell_find_vm(argv[1]);

	(void)argc;
	if (vm == NULL) {
		return 0;
	}
	if (vm_console_attach(vm->vm_id) == 0) {
		shell_want_prompt(false);
	} else {
		shell_error("VM%u '%s' has no console here: %s", vm->vm_id, vm->name, no_console(vm));
	}
	return 0;
}

static void say_refusal(const struct acrn_vm *vm, const char *what, int32_t error)
{
	const char *const state = vm->stop_requested ? "stopped" : vm_state_name(vm->state);

	if (error == -EBUSY) {
		shell_printf("VM%u '%s' is %s: not %s\n", vm->vm_id, vm->name, state, what);
	} else {
		shell_printf("VM%u '%s' %s: not %s\n", vm->vm_id, vm->name, vm_life_error(error), what);
	}
}

/* Unlocks the VM, and says what became of the wish. @param what past participle */
static void end_change(struct acrn_vm *vm, const char *what, int32_t ret)
{
	spin_unlock(&vm->lock);
	if (ret != 0) {
		say_refusal(vm, what, ret);
	} else {
		pr_info("VM%u '%s' was %s at the console", vm->vm_id, vm->name, what);
	}
}

int32_t shell_cmd_vm_start(uint32_t argc, char **argv)
{
	struct acrn_vm *vm = shell_find_vm(argv[1]);
	bool is_empty;

	(void)argc;
	if ((vm != NULL) && (shell_lock_vm(vm) == 0)) {
		/* A User VM's memory, image and first registers are its device model's. */
		is_empty = (vm->config->load_order == SCN_POST_LAUNCHED_VM) &&
			((vm->state == VM_CREATED) || (vm->state == VM_POWERED_OFF));
		end_change(vm, "started", is_empty ? -EPERM : vm_life_start(vm));
	}
	return 0;
}

int32_t shell_cmd_vm_resume(uint32_t argc, char **argv)
{
	struct acrn_vm *vm = shell_find_vm(argv[1]);
	bool was_paused;

	(void)argc;
	if ((vm != NULL) && (shell_lock_vm(vm) == 0)) {
		was_paused = (vm->state != VM_CREATED) && (vm->state != VM_POWERED_OFF);
		end_change(vm, "resumed", was_paused ? vm_start(vm) : -EBUSY);
	}
	return 0;
}

int32_t shell_cmd_vm_pause(uint32_t argc, char **argv)
{
	struct acrn_vm *vm = shell_find_vm(argv[1]);

	(void)argc;
	if ((vm != NULL) && (pause_and_lock(vm) == 0)) {
		end_change(vm, "paused", 0);
	}
	return 0;
}

/* Its device model waits for requests: a free slot is needed to tell it. The lock is held, the VM is paused. */
static bool tell_device_model(struct acrn_vm *vm, bool (*send)(struct acrn_vcpu *))
{
	if (!vm->forward_io || (vm->ioreq_buf == NULL)) {
		return false;
	}
	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		if ((vm->vcpus[i].io_state == IO_NONE) && send(&vm->vcpus[i])) {
			return true;
		}
	}
	shell_printf("its device model could not be told: all its vCPUs wait for an answer\n");
	return false;
}

int32_t shell_cmd_vm_stop(uint32_t argc, char **argv)
{
	struct acrn_vm *vm = shell_find_vm(argv[1]);

	(void)argc;
	if ((vm == NULL) || (pause_and_lock(vm) != 0)) {
		return 0;
	}
	if (vm_life_forget_wish(vm)) {
		vm_stop_clear(vm); /* instead of its reset */
	}
	if (!vm->stop_requested) {
		(void)tell_device_model(vm, vhm_send_power_off);
	}
	spin_unlock(&vm->lock);
	vm_stop_self(vm, "stopped at the console");
	return 0;
}

/* What its guest would do: the device model pauses it, resets it, loads it and starts it. */
static void reset_user_vm(struct acrn_vm *vm)
{
	if (vm->stop_requested) {
		shell_printf(
			"VM%u '%s' has stopped for good; launch it again in the Service VM\n", vm->vm_id, vm->name);
		return;
	}
	if (pause_and_lock(vm) != 0) {
		return;
	}
	if (tell_device_model(vm, vhm_send_reset)) {
		pr_info("VM%u '%s': its device model was told to reset it", vm->vm_id, vm->name);
	} else if (vm_start(vm) != 0) {
		shell_printf("VM%u '%s' has stopped meanwhile\n", vm->vm_id, vm->name);
	}
	spin_unlock(&vm->lock);
}

static void reset_prelaunched_vm(struct acrn_vm *vm)
{
	if (shell_lock_vm(vm) == 0) {
		end_change(vm, "reset", vm_life_reset(vm));
	}
}

int32_t shell_cmd_vm_reset(uint32_t argc, char **argv)
{
	struct acrn_vm *vm = shell_find_vm(argv[1]);

	(void)argc;
	if (vm == NULL) {
		return 0;
	}
	if (vm_is_service(vm)) {
		vm_reset_requested(vm);
	} else if (vm->config->load_order == SCN_POST_LAUNCHED_VM) {
		reset_user_vm(vm);
	} else {
		reset_prelaunched_vm(vm);
	}
	return 0;
}

int32_t shell_cmd_panic(uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	panic("asked for on the console");
}

int32_t shell_cmd_reboot(uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	pr_info("reset from the console");
	arch_end(ARCH_END_REBOOT);
}

int32_t shell_cmd_poweroff(uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	pr_info("power off from the console");
	summary_log();
	trace_dump_at_end();
	arch_end(ARCH_END_POWEROFF);
}
