/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell's commands that show VMs: states, exits, requests, threads. On the console's thread. */
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/shell.h>
#include <hv/stats.h>
#include <hv/vm.h>

#include "shell_priv.h"
#include "shell_table.h"

static const char *vm_kind(const struct acrn_vm *vm)
{
	switch (vm->config->load_order) {
	case SCN_SERVICE_VM:
		return "service";
	case SCN_PRE_LAUNCHED_VM:
		return "pre-launched";
	default:
		return "post-launched";
	}
}

static const char *state_name(const struct acrn_vm *vm)
{
	return __atomic_load_n(&vm->stop_requested, __ATOMIC_ACQUIRE) ? "stopped" : vm_state_name(vm->state);
}

static const char *vcpu_state_name(const struct acrn_vcpu *vcpu)
{
	static const char *const names[] = {
		[VCPU_OFFLINE] = "offline", [VCPU_INIT] = "init", [VCPU_RUNNING] = "running", [VCPU_PAUSED] = "paused"};

	if ((vcpu->state == VCPU_RUNNING) && vcpu->halted) {
		return "halted";
	}
	return (vcpu->state < ARRAY_SIZE(names)) ? names[vcpu->state] : "?";
}

static const char *thread_state_name(const struct thread *thread)
{
	static const char *const names[] = {
		[THREAD_BLOCKED] = "blocked", [THREAD_RUNNABLE] = "runnable", [THREAD_RUNNING] = "on CPU"};
	const uint32_t state = __atomic_load_n(&thread->state, __ATOMIC_RELAXED);

	return (state < ARRAY_SIZE(names)) ? names[state] : "?";
}

/* ---- VMs and vCPUs ---- */

int32_t shell_cmd_vm_list(uint32_t argc, char **argv)
{
	static const struct shell_column columns[] = {{"vm", 0U, SHELL_DEC}, {"name", 15U, SHELL_TEXT},
		{"kind", 13U, SHELL_TEXT}, {"state", 8U, SHELL_TEXT}, {"vcpus", 0U, SHELL_DEC},
		{"exits", 10U, SHELL_DEC}, {"forwarded", 0U, SHELL_DEC}, {"reason", 0U, SHELL_TEXT}};
	const struct acrn_vm *vm;

	(void)argc;
	(void)argv;
	shell_table_begin(NULL, columns, ARRAY_SIZE(columns));
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		uint64_t exits = 0UL;
		uint64_t forwarded = 0UL;

		for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
			exits += vcpu_exits(&vm->vcpus[i]);
			forwarded += vm->vcpus[i].io_forwarded;
		}
		shell_table_row((const struct shell_cell[]){SHELL_NUM(id),
			SHELL_STR(((vm->name[0] == '\0') && !shell_json()) ? "(free)" : vm->name),
			SHELL_STR(vm_kind(vm)), SHELL_STR(state_name(vm)), SHELL_NUM(vm->vcpu_count), SHELL_NUM(exits),
			SHELL_NUM(forwarded), SHELL_STR(vm->stop_reason)});
	}
	shell_table_end();
	return 0;
}

int32_t shell_cmd_vcpu_list(uint32_t argc, char **argv)
{
	static const struct shell_column columns[] = {{"vm", 0U, SHELL_DEC}, {"name", 15U, SHELL_TEXT},
		{"vcpu", 0U, SHELL_DEC}, {"cpu", 0U, SHELL_DEC}, {"state", 7U, SHELL_TEXT}, {"thread", 8U, SHELL_TEXT},
		{"exits", 10U, SHELL_DEC}, {"forwarded", 0U, SHELL_DEC}};
	const struct acrn_vm *vm;

	(void)argc;
	(void)argv;
	shell_table_begin(NULL, columns, ARRAY_SIZE(columns));
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
			const struct acrn_vcpu *const vcpu = &vm->vcpus[i];

			shell_table_row((const struct shell_cell[]){SHELL_NUM(id), SHELL_STR(vm->name), SHELL_NUM(i),
				SHELL_NUM(vcpu->pcpu_id), SHELL_STR(vcpu_state_name(vcpu)),
				SHELL_STR(thread_state_name(&vcpu->thread)), SHELL_NUM(vcpu_exits(vcpu)),
				SHELL_NUM(vcpu->io_forwarded)});
		}
	}
	shell_table_end();
	return 0;
}

/* ---- Exits ---- */

static void show_exits(const struct acrn_vm *vm, uint32_t reason)
{
	uint64_t count = 0UL;
	uint64_t timed = 0UL;
	uint64_t ticks = 0UL;

	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		count += vm->vcpus[i].exit_count[reason];
		timed += vm->vcpus[i].exit_timed[reason];
		ticks += vm->vcpus[i].exit_ticks[reason];
	}
	if (count != 0UL) {
		shell_table_row((const struct shell_cell[]){SHELL_NUM(vm->vm_id), SHELL_STR(vm->name),
			SHELL_NUM(reason), SHELL_STR(arch_exit_name(reason)), SHELL_NUM(count), SHELL_NUM(timed),
			SHELL_NUM(ticks / MAX(timed, 1UL))});
	}
}

int32_t shell_cmd_vmexit(uint32_t argc, char **argv)
{
	static const struct shell_column columns[] = {{"vm", 0U, SHELL_DEC}, {"name", 15U, SHELL_TEXT},
		{"reason", 0U, SHELL_DEC}, {"exit", 22U, SHELL_TEXT}, {"count", 10U, SHELL_DEC},
		{"timed", 9U, SHELL_DEC}, {"mean_ticks", 0U, SHELL_DEC}};
	const struct acrn_vm *only = NULL;
	const struct acrn_vm *vm;

	if (argc == 2U) {
		only = shell_find_vm(argv[1]);
		if (only == NULL) {
			return 0;
		}
	}
	shell_table_begin(NULL, columns, ARRAY_SIZE(columns));
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		for (uint32_t reason = 0U; ((only == NULL) || (only == vm)) && (reason < VCPU_EXIT_REASONS); reason++) {
			show_exits(vm, reason);
		}
	}
	shell_table_end();
	return 0;
}

/* ---- I/O requests ---- */

static const char *slot_state_name(uint32_t state)
{
	static const char *const names[] = {[REQ_STATE_PENDING] = "pending",
		[REQ_STATE_COMPLETE] = "complete",
		[REQ_STATE_PROCESSING] = "processing",
		[REQ_STATE_FREE] = "free"};

	return (state < ARRAY_SIZE(names)) ? names[state] : "illegal";
}

/* Ports and memory have the same fields; a power-off has none. */
static void show_slot(struct acrn_vm *vm, uint16_t i)
{
	static const char *const own[] = {[IO_NONE] = "none", [IO_PENDING] = "pending", [IO_DONE] = "done"};
	const struct acrn_vcpu *const vcpu = &vm->vcpus[i];
	const struct io_request *const req = &vcpu->req;
	const bool busy = vcpu->io_state != IO_NONE;
	const bool is_port = req->type == REQ_PORTIO;
	const bool reads =
		is_port ? (req->reqs.pio.direction == REQUEST_READ) : (req->reqs.mmio.direction == REQUEST_READ);
	const char *what = is_port ? (reads ? "port read" : "port write") : (reads ? "memory read" : "memory write");
	const uint64_t address = is_port ? req->reqs.pio.address : req->reqs.mmio.address;
	const uint64_t size = is_port ? req->reqs.pio.size : req->reqs.mmio.size;

	shell_table_row((const struct shell_cell[]){SHELL_NUM(vm->vm_id), SHELL_STR(vm->name), SHELL_NUM(i),
		SHELL_STR(slot_state_name(get_vhm_req_state(vm, i))),
		SHELL_STR(own[MIN(vcpu->io_state, (uint32_t)IO_DONE)]), SHELL_NUM(vcpu->io_forwarded),
		SHELL_NUM(shell_ticks_to_us(vcpu->io_latency)), SHELL_NUM(busy ? address : 0UL),
		SHELL_NUM(busy ? size : 0UL), SHELL_NUM(busy ? shell_ticks_to_us(arch_now() - vcpu->io_since) : 0UL),
		SHELL_STR(busy ? what : "")});
}

static void show_slots(void)
{
	static const struct shell_column columns[] = {{"vm", 0U, SHELL_DEC}, {"name", 15U, SHELL_TEXT},
		{"slot", 0U, SHELL_DEC}, {"page", 10U, SHELL_TEXT}, {"here", 7U, SHELL_TEXT},
		{"forwarded", 0U, SHELL_DEC}, {"answer_us", 0U, SHELL_DEC}, {"address", 10U, SHELL_HEX},
		{"bytes", 0U, SHELL_DEC}, {"since_us", 0U, SHELL_DEC}, {"request", 0U, SHELL_TEXT}};
	struct acrn_vm *vm;

	shell_table_begin("slots", columns, ARRAY_SIZE(columns));
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		if (!shell_try_lock_vm(vm)) {
			continue;
		}
		for (uint16_t i = 0U; (vm->ioreq_buf != NULL) && (i < vm->vcpu_count); i++) {
			show_slot(vm, i);
		}
		spin_unlock(&vm->lock);
	}
	shell_table_end();
}

int32_t shell_cmd_ioreq(uint32_t argc, char **argv)
{
	static const struct shell_column columns[] = {{"forwarded", 10U, SHELL_DEC}, {"completed", 10U, SHELL_DEC},
		{"refused", 0U, SHELL_DEC}, {"upcalls", 10U, SHELL_DEC}, {"hypercalls", 0U, SHELL_DEC},
		{"hypercalls_failed", 0U, SHELL_DEC}};

	(void)argc;
	(void)argv;
	shell_parts_begin();
	show_slots();
	shell_record("total", columns, ARRAY_SIZE(columns),
		(const struct shell_cell[]){SHELL_NUM(hv_counters.requests_forwarded),
			SHELL_NUM(hv_counters.requests_completed), SHELL_NUM(hv_counters.requests_refused),
			SHELL_NUM(hv_counters.upcalls), SHELL_NUM(hv_counters.hypercalls),
			SHELL_NUM(hv_counters.hypercalls_failed)});
	shell_parts_end();
	return 0;
}

/* ---- Scheduler ---- */

static void show_threads(uint16_t cpu, const struct acrn_vm *vm)
{
	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		const struct thread *const thread = &vm->vcpus[i].thread;

		if (thread->pcpu == cpu) {
			shell_table_row((const struct shell_cell[]){SHELL_NUM(cpu), SHELL_NUM(vm->vm_id),
				SHELL_STR(vm->name), SHELL_NUM(i), SHELL_STR(thread_state_name(thread)),
				SHELL_NUM(thread->share.weight), SHELL_NUM(thread->slices),
				SHELL_NUM(shell_ticks_to_us(thread_run_ticks(thread)))});
		}
	}
}

int32_t shell_cmd_sched(uint32_t argc, char **argv)
{
	static const struct shell_column columns[] = {{"cpu", 0U, SHELL_DEC}, {"vm", 0U, SHELL_DEC},
		{"name", 15U, SHELL_TEXT}, {"vcpu", 0U, SHELL_DEC}, {"thread", 8U, SHELL_TEXT},
		{"weight", 0U, SHELL_DEC}, {"slices", 10U, SHELL_DEC}, {"run_us", 12U, SHELL_DEC}};
	static const struct shell_column policy[] = {{"name", 5U, SHELL_TEXT}};
	static const struct shell_column cpus[] = {{"cpu", 0U, SHELL_DEC}, {"halted_us", 12U, SHELL_DEC}};
	const struct acrn_vm *vm;

	(void)argc;
	(void)argv;
	shell_parts_begin();
	shell_record("policy", policy, ARRAY_SIZE(policy), (const struct shell_cell[]){SHELL_STR(sched_policy_name())});
	shell_table_begin("cpus", cpus, ARRAY_SIZE(cpus));
	for (uint16_t cpu = 0U; cpu < arch_cpu_count(); cpu++) {
		shell_table_row((const struct shell_cell[]){
			SHELL_NUM(cpu), SHELL_NUM(shell_ticks_to_us(sched_idle_ticks(cpu)))});
	}
	shell_table_end();
	shell_table_begin("threads", columns, ARRAY_SIZE(columns));
	for (uint16_t cpu = 0U; cpu < arch_cpu_count(); cpu++) {
		for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
			show_threads(cpu, vm);
		}
	}
	shell_table_end();
	shell_parts_end();
	return 0;
}
