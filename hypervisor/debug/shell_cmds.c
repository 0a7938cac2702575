/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell's commands that look. Those that act on VMs are in shell_vm.c. On the console's thread. */
#include <config.h>

#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/console.h>
#include <hv/log.h>
#include <hv/log_ring.h>
#include <hv/memory.h>
#include <hv/shell.h>
#include <hv/stats.h>
#include <hv/summary.h>
#include <hv/vm.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "shell_priv.h"

#define REASONS ARRAY_SIZE(((struct acrn_vcpu *)0)->exit_count)

static bool is_json(uint32_t argc, char **argv)
{
	return (argc == 2U) && (strcmp(argv[1], "-j") == 0);
}

/* An option that is not -j is an error. */
static bool bad_option(uint32_t argc, char **argv)
{
	return (argc == 2U) && !is_json(argc, argv);
}

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

static uint64_t ticks_to_us(uint64_t ticks)
{
	return ticks / MAX(arch_tsc_khz() / 1000U, 1U);
}

/* ---- VMs and vCPUs ---- */

static void list_vm(const struct acrn_vm *vm, bool json)
{
	uint64_t exits = 0UL;
	uint64_t forwarded = 0UL;

	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		exits += vm->vcpus[i].exits;
		forwarded += vm->vcpus[i].io_forwarded;
	}
	if (!json) {
		shell_printf("%2u  %-15s  %-13s  %-8s  %5u  %10lu  %9lu  %s\n", vm->vm_id, vm->name, vm_kind(vm),
			state_name(vm), vm->vcpu_count, exits, forwarded, vm->stop_reason);
		return;
	}
	shell_printf("%s{\"id\":%u,\"name\":", (vm->vm_id == 0U) ? "" : ",", vm->vm_id);
	shell_json_string(vm->name);
	shell_printf(",\"kind\":\"%s\",\"state\":\"%s\",\"vcpus\":%u,\"exits\":%lu,\"forwarded\":%lu,\"stop_reason\":",
		vm_kind(vm), state_name(vm), vm->vcpu_count, exits, forwarded);
	shell_json_string(vm->stop_reason);
	shell_printf("}");
}

static int32_t cmd_vm_list(uint32_t argc, char **argv)
{
	const bool json = is_json(argc, argv);
	const struct acrn_vm *vm;

	if (bad_option(argc, argv)) {
		return -EINVAL;
	}
	shell_printf(json ? "["
		: "id  name             kind           state     vcpus       exits  forwarded  reason\n");
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		list_vm(vm, json);
	}
	shell_printf(json ? "]\n" : "");
	return 0;
}

static const char *vcpu_state_name(const struct acrn_vcpu *vcpu)
{
	static const char *const names[] = {[VCPU_OFFLINE] = "offline", [VCPU_INIT] = "init",
		[VCPU_RUNNING] = "running", [VCPU_PAUSED] = "paused"};

	if ((vcpu->state == VCPU_RUNNING) && vcpu->halted) {
		return "halted";
	}
	return (vcpu->state < ARRAY_SIZE(names)) ? names[vcpu->state] : "?";
}

static const char *thread_state_name(const struct thread *thread)
{
	static const char *const names[] = {[THREAD_BLOCKED] = "blocked", [THREAD_RUNNABLE] = "runnable",
		[THREAD_RUNNING] = "on CPU"};
	const uint32_t state = __atomic_load_n(&thread->state, __ATOMIC_RELAXED);

	return (state < ARRAY_SIZE(names)) ? names[state] : "?";
}

static int32_t cmd_vcpu_list(uint32_t argc, char **argv)
{
	const bool json = is_json(argc, argv);
	const struct acrn_vm *vm;
	bool first = true;

	if (bad_option(argc, argv)) {
		return -EINVAL;
	}
	shell_printf(json ? "[" : "vm               vcpu  cpu  state    thread         exits  forwarded\n");
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
			const struct acrn_vcpu *vcpu = &vm->vcpus[i];

			if (json) {
				shell_printf("%s{\"vm\":%u,\"vcpu\":%u,\"cpu\":%u,\"state\":\"%s\",\"thread\":\"%s\","
					     "\"exits\":%lu,\"forwarded\":%lu}", first ? "" : ",", id, i, vcpu->pcpu_id,
					vcpu_state_name(vcpu), thread_state_name(&vcpu->thread), vcpu->exits,
					vcpu->io_forwarded);
			} else {
				shell_printf("%2u %-13s  %4u  %3u  %-7s  %-8s  %10lu  %9lu\n", id, vm->name, i,
					vcpu->pcpu_id, vcpu_state_name(vcpu), thread_state_name(&vcpu->thread),
					vcpu->exits, vcpu->io_forwarded);
			}
			first = false;
		}
	}
	shell_printf(json ? "]\n" : "");
	return 0;
}

static int32_t cmd_vmexit(uint32_t argc, char **argv)
{
	const bool json = is_json(argc, argv);
	const struct acrn_vm *vm;
	bool first = true;

	if (bad_option(argc, argv)) {
		return -EINVAL;
	}
	shell_printf(json ? "[" : "vm               reason                          count\n");
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		for (uint32_t reason = 0U; reason < REASONS; reason++) {
			uint64_t count = 0UL;

			for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
				count += vm->vcpus[i].exit_count[reason];
			}
			if ((count != 0UL) && json) {
				shell_printf("%s{\"vm\":%u,\"reason\":%u,\"name\":\"%s\",\"count\":%lu}",
					first ? "" : ",", id, reason, arch_exit_name(reason), count);
				first = false;
			} else if (count != 0UL) {
				shell_printf("%2u %-13s  %2u %-22s %10lu\n", id, vm->name, reason,
					arch_exit_name(reason), count);
			}
		}
	}
	shell_printf(json ? "]\n" : "");
	return 0;
}

/* ---- I/O requests ---- */

static const char *slot_state_name(uint32_t state)
{
	static const char *const names[] = {[REQ_STATE_PENDING] = "pending", [REQ_STATE_COMPLETE] = "complete",
		[REQ_STATE_PROCESSING] = "processing", [REQ_STATE_FREE] = "free"};

	return (state < ARRAY_SIZE(names)) ? names[state] : "illegal";
}

static void show_request(const struct acrn_vcpu *vcpu)
{
	const struct io_request *req = &vcpu->req;

	if (vcpu->io_state == IO_NONE) {
		shell_printf("\n");
	} else if (req->type == REQ_PORTIO) {
		shell_printf("port %s 0x%lx, %lu bytes, for %lu us\n",
			(req->reqs.pio.direction == REQUEST_READ) ? "read" : "write", req->reqs.pio.address,
			req->reqs.pio.size, ticks_to_us(arch_now() - vcpu->io_since));
	} else {
		shell_printf("memory %s 0x%lx, %lu bytes, for %lu us\n",
			(req->reqs.mmio.direction == REQUEST_READ) ? "read" : "write", req->reqs.mmio.address,
			req->reqs.mmio.size, ticks_to_us(arch_now() - vcpu->io_since));
	}
}

static int32_t cmd_ioreq(uint32_t argc, char **argv)
{
	static const char *const own[] = {[IO_NONE] = "none", [IO_PENDING] = "pending", [IO_DONE] = "done"};
	struct acrn_vm *vm;

	(void)argc;
	(void)argv;
	shell_printf("vm               slot  state       ours     forwarded  answer_us  request\n");
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		if (shell_lock_vm(vm) != 0) {
			continue;
		}
		for (uint16_t i = 0U; (vm->ioreq_buf != NULL) && (i < vm->vcpu_count); i++) {
			const struct acrn_vcpu *vcpu = &vm->vcpus[i];

			shell_printf("%2u %-13s  %4u  %-10s  %-7s  %9lu  %9lu  ", id, vm->name, i,
				slot_state_name(get_vhm_req_state(vm, i)),
				own[MIN(vcpu->io_state, (uint32_t)IO_DONE)], vcpu->io_forwarded,
				ticks_to_us(vcpu->io_latency));
			show_request(vcpu);
		}
		spin_unlock(&vm->lock);
	}
	shell_printf("forwarded %lu, completed %lu, refused %lu, upcalls %lu, hypercalls %lu (failed %lu)\n",
		hv_counters.requests_forwarded, hv_counters.requests_completed, hv_counters.requests_refused,
		hv_counters.upcalls, hv_counters.hypercalls, hv_counters.hypercalls_failed);
	return 0;
}

/* ---- Scheduler, interrupts, memory ---- */

static int32_t cmd_sched(uint32_t argc, char **argv)
{
	const bool json = is_json(argc, argv);
	const struct acrn_vm *vm;
	bool first = true;

	if (bad_option(argc, argv)) {
		return -EINVAL;
	}
	shell_printf(json ? "[" : "cpu  vm               vcpu  thread        slices        run_us\n");
	for (uint16_t cpu = 0U; cpu < arch_cpu_count(); cpu++) {
		for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
			for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
				const struct thread *thread = &vm->vcpus[i].thread;

				if (thread->pcpu != cpu) {
					continue;
				}
				if (json) {
					shell_printf("%s{\"cpu\":%u,\"vm\":%u,\"vcpu\":%u,\"thread\":\"%s\","
						"\"slices\":%lu,\"run_us\":%lu}", first ? "" : ",", cpu, id, i,
						thread_state_name(thread), thread->slices,
						ticks_to_us(thread->run_ticks));
					first = false;
				} else {
					shell_printf("%3u  %2u %-13s  %4u  %-8s  %10lu  %12lu\n", cpu, id, vm->name, i,
						thread_state_name(thread), thread->slices,
						ticks_to_us(thread->run_ticks));
				}
			}
		}
	}
	shell_printf(json ? "]\n" : "");
	return 0;
}

static int32_t cmd_irq(uint32_t argc, char **argv)
{
	struct gsi_info info;
	const char *name;
	uint32_t vector;
	uint64_t count;

	(void)argc;
	(void)argv;
	shell_printf("vector  what                          count\n");
	for (uint32_t i = 0U; (name = arch_own_interrupt(i, &vector, &count)) != NULL; i++) {
		shell_printf("  0x%02x  %-20s  %12lu\n", vector, name, count);
	}
	for (uint32_t gsi = 0U; gsi < CONFIG_MAX_GSI; gsi++) {
		if (arch_gsi_info(gsi, &info)) {
			shell_printf("  0x%02x  GSI %-3u %-5s %-4s %-9s %5lu\n", info.vector, gsi,
				info.level ? "level" : "edge", info.active_low ? "low" : "high",
				info.claimed ? "ours" : "service", info.count);
		}
	}
	return 0;
}

static int32_t cmd_mem(uint32_t argc, char **argv)
{
	const struct acrn_vm *vm;
	const char *what;
	hpa_t base;
	uint64_t size;

	(void)argc;
	(void)argv;
	for (uint32_t i = 0U; i < boot_info.range_count; i++) {
		const struct mem_range *range = &boot_info.ranges[i];

		shell_printf("%012lx-%012lx  %8lu KiB  %s\n", range->base, range->base + range->size - 1UL,
			range->size >> 10U, (range->type == MEM_RAM) ? "RAM" : "reserved");
	}
	shell_printf("not the Service VM's:\n");
	for (uint32_t i = 0U; memory_hv_range(i, &base, &size, &what); i++) {
		shell_printf("%012lx-%012lx  %8lu KiB  %s\n", base, base + size - 1UL, size >> 10U, what);
	}
	shell_printf("pool: %lu pages, %lu free, %lu the hypervisor's\n", memory_pool_size() / PAGE_SIZE,
		memory_pages_free(), memory_pages_owned(PAGE_OWNER_HV));
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		if (memory_pages_owned(id) != 0UL) {
			shell_printf("  %2u %-15s %lu pages\n", id, vm->name, memory_pages_owned(id));
		}
	}
	return 0;
}

static int32_t cmd_ept(uint32_t argc, char **argv)
{
	struct acrn_vm *vm = shell_find_vm(argv[1]);
	uint64_t gpa, contiguous = 0UL;
	uint32_t access = 0U;
	hpa_t hpa = INVALID_HPA;

	(void)argc;
	if (vm == NULL) {
		return 0;
	}
	if (!str_to_u64(argv[2], &gpa)) {
		return -EINVAL;
	}
	if (shell_lock_vm(vm) != 0) {
		return 0;
	}
	if (vm->state != VM_POWERED_OFF) {
		hpa = arch_gpa_to_hpa(vm, gpa, &contiguous, &access);
	}
	spin_unlock(&vm->lock);
	if (hpa == INVALID_HPA) {
		shell_printf("%s: 0x%lx is not mapped\n", vm->name, gpa);
	} else {
		shell_printf("%s: 0x%lx is at 0x%lx, %c%c%c, 0x%lx bytes by the same entry\n", vm->name, gpa, hpa,
			((access & GPA_READ) != 0U) ? 'r' : '-', ((access & GPA_WRITE) != 0U) ? 'w' : '-',
			((access & GPA_EXEC) != 0U) ? 'x' : '-', contiguous);
	}
	return 0;
}

/* By a vCPU of this pCPU: the state of the others is in their CPUs. @return 0 or -EBUSY; the lock is held */
static int32_t cpuid_of(struct acrn_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	int32_t ret = -EBUSY;

	for (uint32_t i = 0U; (i < vm->vcpu_count) && (ret != 0); i++) {
		ret = arch_vcpu_cpuid(&vm->vcpus[i], leaf, subleaf, out);
	}
	return ret;
}

static int32_t cmd_cpuid(uint32_t argc, char **argv)
{
	struct acrn_vm *vm = shell_find_vm(argv[1]);
	uint64_t leaf, subleaf = 0UL;
	uint32_t out[4];
	int32_t ret;

	if (vm == NULL) {
		return 0;
	}
	if (!str_to_u64(argv[2], &leaf) || (leaf > UINT32_MAX) ||
		((argc == 4U) && (!str_to_u64(argv[3], &subleaf) || (subleaf > UINT32_MAX)))) {
		return -EINVAL;
	}
	if (shell_lock_vm(vm) != 0) {
		return 0;
	}
	ret = cpuid_of(vm, (uint32_t)leaf, (uint32_t)subleaf, out);
	spin_unlock(&vm->lock);
	if (ret != 0) {
		shell_printf("%s has no vCPU on the console's CPU %u\n", vm->name, arch_cpu_id());
	} else {
		shell_printf("%s: CPUID 0x%lx.%lu: eax %08x ebx %08x ecx %08x edx %08x\n", vm->name, leaf, subleaf,
			out[0], out[1], out[2], out[3]);
	}
	return 0;
}

/* ---- The hypervisor itself ---- */

static uint64_t log_pos;

static bool log_more(void)
{
	char text[257];
	const size_t len = log_read(&log_pos, text, sizeof(text) - 1U);

	text[len] = '\0';
	shell_printf("%s", text);
	return len != 0U;
}

static int32_t cmd_log(uint32_t argc, char **argv)
{
	uint64_t level;

	if (argc == 1U) {
		log_pos = 0UL;
		shell_continue(log_more);
		return 0;
	}
	if (!str_to_u64(argv[1], &level) || (level > (uint64_t)LOG_DBG)) {
		return -EINVAL;
	}
	console_set_level((int32_t)level);
	return 0;
}

static int32_t cmd_caps(uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	arch_show_caps();
	return 0;
}

static int32_t cmd_summary(uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	summary_log();
	return 0;
}

static int32_t cmd_version(uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	shell_printf("Aril hypervisor, compiler %s; scenario '%s'; %u CPUs, TSC %u kHz, up %lu ms\n", __VERSION__,
		(vm_scenario() != NULL) ? vm_scenario()->name : "?", arch_cpu_count(), arch_tsc_khz(),
		ticks_to_us(arch_now() - arch_boot_ticks()) / 1000UL);
	return 0;
}

static int32_t cmd_help(uint32_t argc, char **argv)
{
	if (shell_help((argc == 2U) ? argv[1] : NULL) != 0) {
		shell_printf("%s: no such command\n", argv[1]);
	} else if (argc == 1U) {
		shell_printf("Ctrl-] leaves a VM's console; Ctrl-C ends a long output; Tab completes a command\n");
	}
	return 0;
}

const struct shell_command shell_commands[] = {
	{"help", "[COMMAND]", "this list", 0U, 1U, cmd_help},
	{"vm_list", "[-j]", "VMs: state, exits, forwarded requests (-j: as JSON)", 0U, 1U, cmd_vm_list},
	{"vcpu_list", "[-j]", "virtual CPUs", 0U, 1U, cmd_vcpu_list},
	{"vm_console", "VM", "connect to a VM's console; Ctrl-] comes back", 1U, 1U, shell_cmd_vm_console},
	{"vm_start", "VM", "start a VM; a pre-launched one also after it has stopped", 1U, 1U, shell_cmd_vm_start},
	{"vm_resume", "VM", "let a paused VM go on", 1U, 1U, shell_cmd_vm_resume},
	{"vm_pause", "VM", "take a VM's virtual CPUs off the CPUs", 1U, 1U, shell_cmd_vm_pause},
	{"vm_stop", "VM", "stop a VM for good; its device model hears of a power-off", 1U, 1U, shell_cmd_vm_stop},
	{"vm_reset", "VM", "reset a VM; the Service VM resets the machine", 1U, 1U, shell_cmd_vm_reset},
	{"vmexit", "[-j]", "VM exits by reason", 0U, 1U, cmd_vmexit},
	{"ioreq", "", "I/O request slots and their states", 0U, 0U, cmd_ioreq},
	{"sched", "[-j]", "threads by CPU: slices, time on the CPU", 0U, 1U, cmd_sched},
	{"trace", "[on [CLASS...]|off|clear|dump [N]]", "events: exit, irq, io, sched, timer", 0U, 6U,
		shell_cmd_trace},
	{"irq", "", "interrupt vectors and lines", 0U, 0U, cmd_irq},
	{"mem", "", "memory map, the hypervisor's pool, pages by owner", 0U, 0U, cmd_mem},
	{"ept", "VM GPA", "where a guest-physical address lies", 2U, 2U, cmd_ept},
	{"cpuid", "VM LEAF [SUBLEAF]", "CPUID as a VM sees it (one with a vCPU on CPU 0)", 2U, 3U, cmd_cpuid},
	{"log", "[LEVEL]", "the log in RAM; or: lines up to LEVEL (0 err .. 3 debug) here", 0U, 1U, cmd_log},
	{"caps", "", "what the CPU has, and what replaces the missing", 0U, 0U, cmd_caps},
	{"summary", "", "boot stages, VMs, exits: what is logged at the end", 0U, 0U, cmd_summary},
	{"version", "", "this hypervisor", 0U, 0U, cmd_version},
	{"panic", "", "stop as after a fault of the hypervisor: registers, VMCS, backtrace", 0U, 0U, shell_cmd_panic},
	{"reboot", "", "reset the machine", 0U, 0U, shell_cmd_reboot},
	{"poweroff", "", "turn the machine off", 0U, 0U, shell_cmd_poweroff},
};
const uint32_t shell_command_count = ARRAY_SIZE(shell_commands);
