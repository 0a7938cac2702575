/* SPDX-License-Identifier: BSD-3-Clause */
/* `summary`: to the log, as at the end; with -j the same facts, and all exit reasons. */
#include <hv/arch_facts.h>
#include <hv/memory.h>
#include <hv/shell.h>
#include <hv/summary.h>
#include <hv/vm.h>

#include "shell_priv.h"
#include "shell_table.h"

static void show_stages(void)
{
	static const struct shell_column columns[] = {{"name", 8U, SHELL_TEXT}, {"kticks", 10U, SHELL_DEC}};
	const char *name;
	uint64_t kticks;

	shell_table_begin("stages", columns, ARRAY_SIZE(columns));
	for (uint32_t i = 0U; summary_stage_at(i, &name, &kticks); i++) {
		shell_table_row((const struct shell_cell[]){SHELL_STR(name), SHELL_NUM(kticks)});
	}
	shell_table_end();
}

static void show_vms(struct summary_vm *sum)
{
	static const struct shell_column columns[] = {{"vm", 0U, SHELL_DEC}, {"name", 15U, SHELL_TEXT},
		{"state", 10U, SHELL_TEXT}, {"lives", 0U, SHELL_DEC}, {"exits", 10U, SHELL_DEC},
		{"forwarded", 10U, SHELL_DEC}, {"run_us", 10U, SHELL_DEC}, {"kib", 8U, SHELL_DEC},
		{"stopped", 0U, SHELL_TEXT}};
	const struct acrn_vm *vm;

	shell_table_begin("vms", columns, ARRAY_SIZE(columns));
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		if (summary_of_vm(vm, sum)) {
			shell_table_row((const struct shell_cell[]){SHELL_NUM(id), SHELL_STR(sum->name),
				SHELL_STR(sum->state), SHELL_NUM(sum->lives), SHELL_NUM(sum->counts.exits),
				SHELL_NUM(sum->counts.forwarded), SHELL_NUM(sum->run_us), SHELL_NUM(sum->kib),
				SHELL_STR(vm->stop_requested ? vm->stop_reason : "")});
		}
	}
	shell_table_end();
}

static void show_exits(struct summary_vm *sum)
{
	static const struct shell_column columns[] = {
		{"vm", 0U, SHELL_DEC}, {"reason", 0U, SHELL_DEC}, {"name", 30U, SHELL_TEXT}, {"count", 10U, SHELL_DEC}};
	const struct acrn_vm *vm;

	shell_table_begin("exits", columns, ARRAY_SIZE(columns));
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		const bool was_used = summary_of_vm(vm, sum);

		for (uint32_t reason = 0U; was_used && (reason < VCPU_EXIT_REASONS); reason++) {
			if (sum->counts.by_reason[reason] != 0UL) {
				shell_table_row((const struct shell_cell[]){SHELL_NUM(id), SHELL_NUM(reason),
					SHELL_STR(arch_exit_name(reason)), SHELL_NUM(sum->counts.by_reason[reason])});
			}
		}
	}
	shell_table_end();
}

int32_t shell_cmd_summary(uint32_t argc, char **argv)
{
	static const struct shell_column memory[] = {{"hypervisor_kib", 0U, SHELL_DEC}};
	static struct summary_vm sum; /* too large for a stack; one command at a time */

	(void)argc;
	(void)argv;
	if (!shell_json()) {
		summary_log();
		return 0;
	}
	shell_parts_begin();
	show_stages();
	shell_record("memory", memory, ARRAY_SIZE(memory),
		(const struct shell_cell[]){SHELL_NUM(memory_pages_owned(PAGE_OWNER_HV) * (PAGE_SIZE / 1024UL))});
	show_vms(&sum);
	show_exits(&sum);
	shell_parts_end();
	return 0;
}
