/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the shell's commands, and those about the shell and the log. On the console's thread. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/log.h>
#include <hv/log_ring.h>
#include <hv/shell.h>
#include <lib/string.h>

#include "shell_priv.h"

uint64_t shell_ticks_to_us(uint64_t ticks)
{
	return ticks / MAX(arch_tsc_khz() / 1000U, 1U);
}

/* ---- The log ---- */

static uint64_t log_pos;

static bool log_more(void)
{
	char text[257];
	const size_t len = log_read(&log_pos, text, sizeof(text) - 1U);

	text[len] = '\0';
	shell_printf("%s", text);
	return len != 0U;
}

static bool log_line_ended; /* another one begins a string of its own */

/* An array of lines. */
static bool log_more_json(void)
{
	char text[257];
	const size_t len = log_read(&log_pos, text, sizeof(text) - 1U);

	for (size_t i = 0U; i < len; i++) {
		const char c[2] = {text[i], '\0'};

		shell_printf("%s", log_line_ended ? "\",\"" : "");
		log_line_ended = c[0] == '\n';
		shell_json_chars(log_line_ended ? "" : c);
	}
	shell_printf("%s", (len == 0U) ? "\"]\n" : "");
	return len != 0U;
}

static bool log_level_of(const char *name, int32_t *level)
{
	static const char *const names[] = {
		[LOG_ERR] = "error", [LOG_WARN] = "warning", [LOG_INFO] = "info", [LOG_DBG] = "debug"};

	for (uint32_t i = 0U; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*level = (int32_t)i;
			return true;
		}
	}
	*level = LOG_NONE;
	return strcmp(name, "none") == 0;
}

static int32_t cmd_log(uint32_t argc, char **argv)
{
	int32_t level;

	if (argc == 2U) {
		if (log_level_of(argv[1], &level)) {
			console_set_level(level);
		} else {
			shell_error("'%s' is no level; there are none, error, warning, info and debug", argv[1]);
		}
		return 0;
	}
	log_pos = 0UL;
	log_line_ended = false;
	shell_printf(shell_json() ? "[\"" : "");
	shell_continue(shell_json() ? log_more_json : log_more);
	return 0;
}

static int32_t cmd_help(uint32_t argc, char **argv)
{
	if (shell_help((argc == 2U) ? argv[1] : NULL) != 0) {
		shell_error("%s: no such command; `help` lists them", argv[1]);
	} else if (argc == 1U) {
		shell_printf("VM: a number or a name from vm_list; -j: as JSON\n"
			     "Ctrl-] leaves a VM's console, Ctrl-C ends a long output, Tab completes a command\n");
	}
	return 0;
}

const struct shell_command shell_commands[] = {
	{"help", "[COMMAND]", "this list", 0U, 1U, cmd_help, false},
	{"vm_list", "", "VMs: state, exits, requests sent to the Service VM", 0U, 0U, shell_cmd_vm_list, true},
	{"vcpu_list", "", "virtual CPUs: where they run, and what they do", 0U, 0U, shell_cmd_vcpu_list, true},
	{"vm_console", "VM", "connect to a VM's console; Ctrl-] comes back", 1U, 1U, shell_cmd_vm_console, false},
	{"vm_start", "VM", "start a VM; a pre-launched one also after it has stopped", 1U, 1U, shell_cmd_vm_start,
		false},
	{"vm_resume", "VM", "let a paused VM go on", 1U, 1U, shell_cmd_vm_resume, false},
	{"vm_pause", "VM", "take a VM's virtual CPUs off the CPUs", 1U, 1U, shell_cmd_vm_pause, false},
	{"vm_stop", "VM", "stop a VM for good; its device model hears of a power-off", 1U, 1U, shell_cmd_vm_stop,
		false},
	{"vm_reset", "VM", "reset a VM; the Service VM resets the machine", 1U, 1U, shell_cmd_vm_reset, false},
	{"vmexit", "[VM]", "VM exits by reason: how many, and what they cost", 0U, 1U, shell_cmd_vmexit, true},
	{"ioreq", "", "I/O requests to the Service VM: slots and counts", 0U, 0U, shell_cmd_ioreq, true},
	{"sched", "", "policy; halted time; threads by CPU: weight, time on the CPU", 0U, 0U, shell_cmd_sched, true},
	{"trace", "[on [CLASS...]|off|clear|dump [N]]", "record events: exit, irq, io, sched, timer", 0U, 6U,
		shell_cmd_trace, true},
	{"irq", "", "interrupt vectors and lines", 0U, 0U, shell_cmd_irq, true},
	{"mem", "", "memory of the machine, of the hypervisor, and of each VM in it", 0U, 0U, shell_cmd_mem, true},
	{"ept", "VM ADDRESS", "where a guest-physical address lies", 2U, 2U, shell_cmd_ept, true},
	{"cpuid", "VM LEAF [SUBLEAF]", "CPUID as a VM sees it, on its vCPU 0", 2U, 3U, shell_cmd_cpuid, true},
	{"log", "[LEVEL]", "the log in RAM; or: lines up to LEVEL appear (none error warning info debug)", 0U, 1U,
		cmd_log, true},
	{"caps", "", "what the CPU has, and what replaces the missing", 0U, 0U, shell_cmd_caps, true},
	{"summary", "", "log what is logged at the end: boot stages, VMs, exits", 0U, 0U, shell_cmd_summary, true},
	{"version", "", "this hypervisor, and how long it runs", 0U, 0U, shell_cmd_version, true},
	{"panic", "", "stop as after a fault of the hypervisor: registers, VMCS, backtrace", 0U, 0U, shell_cmd_panic,
		false},
	{"reboot", "", "reset the machine", 0U, 0U, shell_cmd_reboot, false},
	{"poweroff", "", "turn the machine off", 0U, 0U, shell_cmd_poweroff, false},
};
const uint32_t shell_command_count = ARRAY_SIZE(shell_commands);
