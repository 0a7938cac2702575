/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How VMs end by themselves, and when that is the end of the machine.
 *
 * This runs on vCPU threads, which must not take a vm->lock: a stop is a flag and a kick. vm->state stays as it is
 * until somebody pauses, resets or destroys the VM: the Service VM, the console, or the keeper of a pre-launched VM.
 */
#include <stdarg.h>

#include <hv/arch.h>
#include <hv/cmdline.h>
#include <hv/log.h>
#include <hv/stats.h>
#include <hv/summary.h>
#include <hv/trace.h>
#include <hv/upcall.h>
#include <hv/vcpu.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <hv/vm_devices.h>
#include <hv/vm_stop.h>
#include <lib/printf.h>
#include <lib/string.h>

void vm_stop_clear(struct acrn_vm *vm)
{
	vm->stop_reason[0] = '\0';
	vm->run.exit_reason = VM_GUEST_UNKNOWN_EXIT;
	__atomic_store_n(&vm->stop_requested, false, __ATOMIC_RELAXED);
	__atomic_store_n(&vm->stop_claimed, false, __ATOMIC_RELEASE);
}

/* A VM that is being reset will run. */
static bool is_running(const struct acrn_vm *vm)
{
	if (__atomic_load_n(&vm->restart, __ATOMIC_ACQUIRE) != VM_RESTART_NONE) {
		return true;
	}
	return (__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == VM_RUNNING) &&
		!__atomic_load_n(&vm->stop_requested, __ATOMIC_ACQUIRE);
}

/* The last VM that can work without others has stopped: `on_stop=reboot|halt|poweroff` of the command line. */
static void end_machine(void)
{
	char how[16] = "poweroff";

	summary_log();
	trace_dump_at_end();
	(void)cmdline_get("on_stop", how, sizeof(how));
	if (strcmp(how, "reboot") == 0) {
		pr_info("no VM runs any more: reset");
		arch_end(ARCH_END_REBOOT);
	} else if (strcmp(how, "halt") == 0) {
		pr_info("no VM runs any more: the machine stays on (on_stop=halt)");
	} else {
		pr_info("no VM runs any more: power off");
		arch_end(ARCH_END_POWEROFF);
	}
}

/* User VMs do not count: they cannot be without the Service VM. */
static void end_machine_if_last(void)
{
	const struct acrn_vm *vm;

	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		if ((vm->config->load_order != SCN_POST_LAUNCHED_VM) && is_running(vm)) {
			pr_info("VM%u '%s' still runs", id, vm->name);
			return;
		}
	}
	end_machine();
}

/* @return true if this call is the one that stopped the VM */
static bool stop(struct acrn_vm *vm, enum vm_exit_reason reason, const char *fmt, va_list args)
{
	if (__atomic_exchange_n(&vm->stop_claimed, true, __ATOMIC_SEQ_CST)) {
		return false;
	}
	(void)vsnprintf(vm->stop_reason, sizeof(vm->stop_reason), fmt, args);
	vm->run.exit_reason = (int32_t)reason;
	if (reason == VM_GUEST_RESTARTS) {
		__atomic_store_n(&vm->restart, (uint32_t)VM_RESTART_WANTED, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&vm->stop_requested, true, __ATOMIC_SEQ_CST);
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		vcpu_make_request(&vm->vcpus[i], VCPU_REQ_EVENT); /* or this one would go on with the guest */
	}
	vm_devices_stop(vm);
	return true;
}

static bool stop_printf(struct acrn_vm *vm, enum vm_exit_reason reason, const char *fmt, ...) __printf(3, 4);

static bool stop_printf(struct acrn_vm *vm, enum vm_exit_reason reason, const char *fmt, ...)
{
	va_list args;
	bool first;

	va_start(args, fmt);
	first = stop(vm, reason, fmt, args);
	va_end(args);
	return first;
}

static void say_stopped(const struct acrn_vm *vm)
{
	pr_warn("VM%u '%s' has stopped: %s", vm->vm_id, vm->name, vm->stop_reason);
}

static void stop_user_vms(void)
{
	struct acrn_vm *vm;

	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		if ((vm->config->load_order == SCN_POST_LAUNCHED_VM) && (vm->state == VM_RUNNING) &&
			stop_printf(vm, VM_GUEST_STOPPED, "the Service VM has stopped")) {
			say_stopped(vm);
		}
	}
}

void vm_stop_if_orphan(struct acrn_vm *vm)
{
	const struct acrn_vm *service = vm_service();

	/* RUNNING first, then this look; stop() has it the other way round: one of the two sees the other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((vm->config->load_order == SCN_POST_LAUNCHED_VM) && (service != NULL) &&
		__atomic_load_n(&service->stop_requested, __ATOMIC_ACQUIRE) &&
		stop_printf(vm, VM_GUEST_STOPPED, "the Service VM has stopped")) {
		say_stopped(vm);
	}
}

/* Says it, and draws the conclusions for the machine. */
static void report_stop(struct acrn_vm *vm)
{
	if (vm_is_service(vm)) {
		pr_warn("Service VM has stopped: %s", vm->stop_reason);
		stop_user_vms();
	} else {
		say_stopped(vm);
	}
	if (vm->config->load_order != SCN_POST_LAUNCHED_VM) {
		end_machine_if_last();
	}
}

void vm_stop_self(struct acrn_vm *vm, const char *fmt, ...)
{
	va_list args;
	bool first;

	va_start(args, fmt);
	first = stop(vm, VM_GUEST_STOPPED, fmt, args);
	va_end(args);
	if (first) {
		report_stop(vm);
	}
}

/* ---- Reset ---- */

/* `on_reset=stop` of the command line: a guest that resets itself only stops, as whoever tests it may want. */
static bool guest_resets_restart(const struct acrn_vm *vm)
{
	char how[8] = "restart";

	(void)cmdline_get("on_reset", how, sizeof(how));
	return (vm->config->load_order == SCN_PRE_LAUNCHED_VM) && (strcmp(how, "stop") != 0);
}

/* A pre-launched VM: its keeper loads it anew. Nothing more happens on this thread, which is one of its vCPUs. */
static void restart(struct acrn_vm *vm, const char *why)
{
	if (stop_printf(vm, VM_GUEST_RESTARTS, "%s", why)) {
		pr_guest(vm->vm_id, 0U, "'%s' is reset: %s", vm->name, why);
		thread_wake(&vm->keeper);
	}
}

void vm_reset_requested(struct acrn_vm *vm)
{
	if (vm_is_service(vm)) {
		pr_info("the Service VM resets the machine");
		arch_end(ARCH_END_REBOOT);
	}
	if (guest_resets_restart(vm)) {
		restart(vm, "reset requested");
	} else {
		vm_stop_self(vm, "reset requested");
	}
}

/* ---- Faults ---- */

static void count_fault(struct acrn_vm *vm)
{
	(void)__atomic_fetch_add(&vm->faults, 1UL, __ATOMIC_RELAXED);
	hv_stats_count(&hv_counters.faults);
}

/* The guest is at fault. A User VM's device model hears of it as of a power-off. */
static void stop_faulty(struct acrn_vcpu *vcpu, const char *what)
{
	struct acrn_vm *vm = vcpu->vm;

	count_fault(vm);
	if (!stop_printf(vm, VM_GUEST_ERROR_EXIT, "vCPU%u: %s", vcpu->vcpu_id, what)) {
		return;
	}
	if (vm->forward_io) {
		(void)vhm_send_power_off(vcpu);
	}
	report_stop(vm);
}

void vcpu_fatal(struct acrn_vcpu *vcpu, const char *fmt, ...)
{
	char what[VM_STOP_REASON_LEN];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	stop_faulty(vcpu, what);
}

/* SDM vol 3, 6.15: shutdown mode. Boards answer it with a reset. */
void vcpu_triple_fault(struct acrn_vcpu *vcpu)
{
	char what[32];

	if (!guest_resets_restart(vcpu->vm)) {
		stop_faulty(vcpu, "triple fault");
		return;
	}
	count_fault(vcpu->vm);
	(void)snprintf(what, sizeof(what), "vCPU%u: triple fault", vcpu->vcpu_id);
	restart(vcpu->vm, what);
}
