/* SPDX-License-Identifier: BSD-3-Clause */
#include <hv/shell.h>
#include <lib/printf.h>
#include <lib/string.h>

#include "shell_table.h"

static const struct shell_column *columns;
static uint32_t column_count;
static bool first_row;
static bool in_parts;
static bool first_part;

/* Words to the left, numbers to the right, nothing behind the last word. */
static void show_cell(const struct shell_column *column, const char *text, bool last)
{
	const bool is_word = (column->kind == SHELL_TEXT) || (column->kind == SHELL_FLAG);
	const int width = (int)MAX((uint32_t)column->width, (uint32_t)strlen(column->name));

	if (!is_word) {
		shell_printf("%*s", width, text);
	} else if (last) {
		shell_printf("%s", text);
	} else {
		shell_printf("%-*s", width, text);
	}
	shell_printf(last ? "\n" : "  ");
}

static void show_heading(void)
{
	for (uint32_t i = 0U; i < column_count; i++) {
		show_cell(&columns[i], columns[i].name, i + 1U == column_count);
	}
}

static void show_row(const struct shell_cell *cells)
{
	char number[24];

	for (uint32_t i = 0U; i < column_count; i++) {
		const struct shell_column *const column = &columns[i];
		const char *text = number;

		switch (column->kind) {
		case SHELL_DEC:
			(void)snprintf(number, sizeof(number), "%lu", cells[i].num);
			break;
		case SHELL_HEX:
			(void)snprintf(number, sizeof(number), "0x%lx", cells[i].num);
			break;
		case SHELL_FLAG:
			text = (cells[i].num != 0UL) ? "yes" : "no";
			break;
		default:
			text = cells[i].text;
			break;
		}
		show_cell(column, text, i + 1U == column_count);
	}
}

/* Hexadecimal numbers too are decimal in JSON, which has no others. */
static void json_row(const struct shell_cell *cells)
{
	for (uint32_t i = 0U; i < column_count; i++) {
		shell_printf("%s", (i == 0U) ? "{" : ",");
		shell_json_string(columns[i].name);
		shell_printf(":");
		if (columns[i].kind == SHELL_TEXT) {
			shell_json_string(cells[i].text);
		} else if (columns[i].kind == SHELL_FLAG) {
			shell_printf((cells[i].num != 0UL) ? "true" : "false");
		} else {
			shell_printf("%lu", cells[i].num);
		}
	}
	shell_printf("}");
}

static void begin_part(const char *name)
{
	if (name == NULL) {
		return;
	}
	if (shell_json()) {
		shell_printf("%s", first_part ? "" : ",");
		shell_json_string(name);
		shell_printf(":");
	} else {
		shell_printf("%s", first_part ? "" : "\n");
		for (const char *c = name; *c != '\0'; c++) {
			shell_printf("%c", (*c == '_') ? ' ' : *c);
		}
		shell_printf(":\n");
	}
	first_part = false;
}

static void end_part(void)
{
	if (shell_json() && !in_parts) {
		shell_printf("\n");
	}
}

void shell_table_begin(const char *name, const struct shell_column *of, uint32_t count)
{
	columns = of;
	column_count = count;
	first_row = true;
	begin_part(name);
	if (shell_json()) {
		shell_printf("[");
	} else {
		show_heading();
	}
}

void shell_table_row(const struct shell_cell *cells)
{
	if (!shell_json()) {
		show_row(cells);
		return;
	}
	shell_printf("%s", first_row ? "" : ",");
	first_row = false;
	json_row(cells);
}

void shell_table_end(void)
{
	if (shell_json()) {
		shell_printf("]");
	}
	end_part();
}

void shell_record(const char *name, const struct shell_column *of, uint32_t count, const struct shell_cell *cells)
{
	columns = of;
	column_count = count;
	begin_part(name);
	if (shell_json()) {
		json_row(cells);
	} else {
		show_heading();
		show_row(cells);
	}
	end_part();
}

void shell_parts_begin(void)
{
	in_parts = true;
	first_part = true;
	shell_printf(shell_json() ? "{" : "");
}

void shell_parts_end(void)
{
	in_parts = false;
	shell_printf(shell_json() ? "}\n" : "");
}
