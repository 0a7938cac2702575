/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell's command `trace`: see trace.c. On the console's thread. */
#include <hv/arch.h>
#include <hv/shell.h>
#include <hv/trace.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "shell_priv.h"
#include "shell_table.h"

#define LINES_AT_ONCE 32U

static const char *const class_names[TRACE_CLASSES] = {"exit", "irq", "io", "sched", "timer"};

static struct trace_dump dump;

static bool dump_more(void)
{
	char line[TRACE_LINE];

	for (uint32_t i = 0U; i < LINES_AT_ONCE; i++) {
		if (!trace_dump_line(&dump, line)) {
			return false;
		}
		shell_printf("%s\n", line);
	}
	return true;
}

static void show_state(void)
{
	static const struct shell_column class_columns[] = {{"class", 0U, SHELL_TEXT}, {"on", 0U, SHELL_FLAG}};
	static const struct shell_column columns[] = {
		{"cpu", 0U, SHELL_DEC}, {"events", 10U, SHELL_DEC}, {"lost", 10U, SHELL_DEC}};
	uint64_t recorded, lost;

	shell_parts_begin();
	shell_table_begin("recorded_now", class_columns, ARRAY_SIZE(class_columns));
	for (uint32_t i = 0U; i < TRACE_CLASSES; i++) {
		shell_table_row(
			(const struct shell_cell[]){SHELL_STR(class_names[i]), SHELL_NUM(trace_wants(i << 4U))});
	}
	shell_table_end();
	shell_table_begin("events", columns, ARRAY_SIZE(columns));
	for (uint16_t cpu = 0U; cpu < arch_cpu_count(); cpu++) {
		trace_counts(cpu, &recorded, &lost);
		shell_table_row((const struct shell_cell[]){SHELL_NUM(cpu), SHELL_NUM(recorded), SHELL_NUM(lost)});
	}
	shell_table_end();
	shell_parts_end();
}

static int32_t turn_on(uint32_t argc, char **argv)
{
	uint32_t classes = (argc == 0U) ? TRACE_ALL : 0U;

	for (uint32_t arg = 0U; arg < argc; arg++) {
		uint32_t i = 0U;

		while ((i < TRACE_CLASSES) && (strcmp(class_names[i], argv[arg]) != 0)) {
			i++;
		}
		if (i == TRACE_CLASSES) {
			return -EINVAL;
		}
		classes |= BIT32(i);
	}
	return trace_start(classes);
}

int32_t shell_cmd_trace(uint32_t argc, char **argv)
{
	const char *const what = (argc == 1U) ? "" : argv[1];
	uint64_t most = 0UL;

	if (shell_json() && (argc != 1U)) {
		return -EINVAL;
	}
	if (argc == 1U) {
		show_state();
	} else if (strcmp(what, "on") == 0) {
		return turn_on(argc - 2U, argv + 2);
	} else if ((strcmp(what, "off") == 0) && (argc == 2U)) {
		trace_stop();
	} else if ((strcmp(what, "clear") == 0) && (argc == 2U)) {
		trace_clear();
	} else if ((strcmp(what, "dump") == 0) && ((argc == 2U) || ((argc == 3U) && str_to_u64(argv[2], &most)))) {
		trace_dump_begin(&dump, most);
		shell_continue(dump_more);
	} else {
		return -EINVAL;
	}
	return 0;
}
