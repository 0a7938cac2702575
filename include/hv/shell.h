/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hypervisor's shell on the serial console: line editing, a command table, buffered output.
 *
 * Everything here runs on one thread (console_input.c), but for shell_interrupt(). Commands write into a buffer
 * and return at once; shell_step() then sends it line by line, so that other threads get the CPU in between.
 */
#ifndef HV_SHELL_H
#define HV_SHELL_H

#include <lib/util.h>

#define SHELL_PROMPT   "aril> "
#define SHELL_LINE     128U   /* characters of a command line, with the terminating 0 */
#define SHELL_HISTORY  8U     /* lines kept */
#define SHELL_ARGS     8U     /* words of a line */
#define SHELL_OUT_SIZE 65536U /* bytes of output of one command; more is cut, with a remark */

struct shell_command {
	const char *name;
	const char *args; /* for the usage line */
	const char *help;
	uint32_t min_args, max_args; /* words after the name */
	/* @return 0; -EINVAL: the usage line is shown; other errors: the number is shown */
	int32_t (*run)(uint32_t argc, char **argv); /* argv[0] is the name */
	bool json; /* a last word -j asks for JSON: shell_json(); run() does not see it */
};

struct shell_ops {
	void (*write)(const char *text, size_t len); /* to the terminal; '\n' becomes CR LF there */
	uint32_t (*foreign_lines)(void); /* grows when somebody else has written: the prompt is drawn again */
};

/** The commands of the hypervisor: shell_cmds.c. */
extern const struct shell_command shell_commands[];
extern const uint32_t shell_command_count;

/** Starts anew: nothing is printed before the first byte arrives. `commands` and `ops` must stay valid. */
void shell_init(const struct shell_command *commands, uint32_t count, const struct shell_ops *ops);

/** A byte from the terminal. */
void shell_input(uint8_t c);

/** Sends the next line of output, and the prompt after the last. @return true if there is more */
bool shell_step(void);

/** @return true if output waits: input should too */
bool shell_is_busy(void);

/** Ctrl-C has arrived: what is still to be sent is dropped. From interrupt context too. */
void shell_interrupt(void);

/* ---- For commands ---- */

/** Adds to the output. */
void shell_printf(const char *fmt, ...) __printf(1, 2);

/** @return true if the command that runs is asked for JSON */
bool shell_json(void);

/** Adds `text` as a JSON string, with its quotes. */
void shell_json_string(const char *text);

/** The same without the quotes, for a string that comes in pieces. */
void shell_json_chars(const char *text);

/** The command cannot do it: a sentence that says what would be right, or {"error": that}. A line end is added. */
void shell_error(const char *fmt, ...) __printf(1, 2);

/** Asks to be called each time the buffer has been sent, to add more; it returns false after the last piece. */
void shell_continue(bool (*more)(void));

/**
 * Draws the prompt when the output has been sent (true), or not before the next byte (false: the terminal is a VM's).
 */
void shell_want_prompt(bool want);

/** Lists the commands, or tells about one. @return 0 or -ENOENT */
int32_t shell_help(const char *name);

#endif
