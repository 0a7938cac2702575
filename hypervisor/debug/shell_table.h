/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Facts as rows: a command says its columns and its rows once, and they come out as aligned columns for people, or as
 * JSON for programs (`-j`). On the console's thread, one command at a time.
 *
 * A command's JSON is an array of objects (shell_table_begin() with name NULL), an object (shell_record()), or an
 * object of named parts (shell_parts_begin(), tables and records with names, shell_parts_end()).
 */
#ifndef DEBUG_SHELL_TABLE_H
#define DEBUG_SHELL_TABLE_H

#include <lib/util.h>

enum shell_kind {
	SHELL_DEC,
	SHELL_HEX,
	SHELL_TEXT,
	SHELL_FLAG, /* yes or no */
};

struct shell_column {
	const char *name; /* heading and key; units in it */
	uint8_t width;    /* characters at least; 0: as the name */
	enum shell_kind kind;
};

/* One of the two, by the column's kind. */
struct shell_cell {
	uint64_t num;
	const char *text;
};

#define SHELL_NUM(n)                                                                                                   \
	{                                                                                                              \
		.num = (n)                                                                                             \
	}
#define SHELL_STR(s)                                                                                                   \
	{                                                                                                              \
		.text = (s)                                                                                            \
	}

/** Begins a list of rows. @param name NULL: it is all that the command shows */
void shell_table_begin(const char *name, const struct shell_column *columns, uint32_t count);

/** Adds a row: `cells` has as many as there are columns. */
void shell_table_row(const struct shell_cell *cells);

void shell_table_end(void);

/** One row by itself. */
void shell_record(const char *name, const struct shell_column *columns, uint32_t count, const struct shell_cell *cells);

/** Around several named tables and records. */
void shell_parts_begin(void);
void shell_parts_end(void);

#endif
