/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell: editing of a line, history, words, output. It knows no command; those are a table. */
#include <stdarg.h>

#include <hv/shell.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#define KEY_CTRL_C    0x03U
#define KEY_BACKSPACE 0x08U
#define KEY_CTRL_L    0x0CU
#define KEY_CTRL_N    0x0EU
#define KEY_CTRL_P    0x10U
#define KEY_CTRL_U    0x15U
#define KEY_ESC       0x1BU
#define KEY_DELETE    0x7FU

/* Output is sent in pieces of this size at most: a pCPU is not kept longer than a line takes. */
#define STEP_MAX 160U

#define HELP_ARGS 22 /* columns */

enum esc_state {
	ESC_NONE,
	ESC_SEEN,
	ESC_CSI, /* ESC [: cursor keys */
};

static const struct shell_command *table;
static uint32_t table_count;
static const struct shell_ops *ops;

static char line[SHELL_LINE];
static uint32_t line_len;
static bool at_prompt;        /* prompt and line stand on the terminal */
static uint32_t foreign_seen; /* ops->foreign_lines() when they were drawn */
static bool last_was_cr;      /* CR LF is one end of line */
static uint32_t esc;          /* enum esc_state */

static char history[SHELL_HISTORY][SHELL_LINE];
static uint32_t history_count; /* lines ever kept; the newest is at (count - 1) % SHELL_HISTORY */
static uint32_t history_back;  /* how many lines back the one shown is; 0: a new one */

static char out[SHELL_OUT_SIZE];
static uint32_t out_len, out_sent;
static bool out_cut;
static bool prompt_due;  /* a command has run: the prompt comes after its output */
static bool json_wanted; /* by the command that runs */
static bool (*continuation)(void);
static bool interrupted; /* atomic */

void shell_init(const struct shell_command *commands, uint32_t count, const struct shell_ops *shell_ops)
{
	table = commands;
	table_count = count;
	ops = shell_ops;
	line_len = 0U;
	at_prompt = false;
	last_was_cr = false;
	esc = ESC_NONE;
	history_count = 0U;
	history_back = 0U;
	out_len = 0U;
	out_sent = 0U;
	out_cut = false;
	prompt_due = false;
	continuation = NULL;
	json_wanted = false;
	interrupted = false;
}

/* ---- Output ---- */

void shell_printf(const char *fmt, ...)
{
	const size_t room = sizeof(out) - out_len;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(out + out_len, room, fmt, args);
	va_end(args);
	if ((len < 0) || ((size_t)len >= room)) {
		out_cut = true;
		out_len = sizeof(out) - 1U;
	} else {
		out_len += (uint32_t)len;
	}
}

bool shell_json(void)
{
	return json_wanted;
}

void shell_json_chars(const char *text)
{
	for (; *text != '\0'; text++) {
		const uint8_t c = (uint8_t)*text;

		if ((c == '"') || (c == '\\')) {
			shell_printf("\\%c", c);
		} else if ((c < 0x20U) || (c >= 0x7FU)) {
			shell_printf("\\u%04x", c);
		} else {
			shell_printf("%c", c);
		}
	}
}

void shell_json_string(const char *text)
{
	shell_printf("\"");
	shell_json_chars(text);
	shell_printf("\"");
}

void shell_error(const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (!json_wanted) {
		shell_printf("%s\n", text);
		return;
	}
	shell_printf("{\"error\":");
	shell_json_string(text);
	shell_printf("}\n");
}

void shell_continue(bool (*more)(void))
{
	continuation = more;
}

void shell_want_prompt(bool want)
{
	prompt_due = want;
}

void shell_interrupt(void)
{
	__atomic_store_n(&interrupted, true, __ATOMIC_RELEASE);
}

bool shell_is_busy(void)
{
	return (out_sent != out_len) || (continuation != NULL) || prompt_due;
}

static void send(const char *text)
{
	ops->write(text, strlen(text));
}

static void draw_prompt(void)
{
	send(SHELL_PROMPT);
	ops->write(line, line_len);
	foreign_seen = ops->foreign_lines();
	at_prompt = true;
}

static void drop_output(void)
{
	out_len = 0U;
	out_sent = 0U;
	out_cut = false;
	continuation = NULL;
	send("^C\n");
}

/* The buffer is empty: more of the same command, a remark, or the prompt. */
static void refill(void)
{
	out_len = 0U;
	out_sent = 0U;
	if (out_cut) {
		out_cut = false;
		shell_printf("\n... the output was too long and is cut here\n");
	} else if (continuation != NULL) {
		bool (*const more)(void) = continuation;

		if (!more() && (continuation == more)) {
			continuation = NULL;
		}
	} else if (prompt_due) {
		prompt_due = false;
		draw_prompt();
	}
}

static void send_piece(void)
{
	uint32_t end = out_sent;

	while ((end != out_len) && (end - out_sent < STEP_MAX)) {
		end++;
		if (out[end - 1U] == '\n') {
			break;
		}
	}
	ops->write(out + out_sent, end - out_sent);
	out_sent = end;
}

bool shell_step(void)
{
	if (__atomic_exchange_n(&interrupted, false, __ATOMIC_ACQUIRE) &&
		((out_sent != out_len) || (continuation != NULL))) {
		drop_output();
	}
	if (out_sent != out_len) {
		send_piece();
	} else {
		refill();
	}
	return shell_is_busy();
}

/* ---- Commands ---- */

static const struct shell_command *find(const char *name)
{
	for (uint32_t i = 0U; i < table_count; i++) {
		if (strcmp(table[i].name, name) == 0) {
			return &table[i];
		}
	}
	return NULL;
}

/* Between a command's arguments and its -j. */
static const char *words_between(const struct shell_command *command)
{
	return ((command->args[0] != '\0') && command->json) ? " " : "";
}

int32_t shell_help(const char *name)
{
	const struct shell_command *one = (name != NULL) ? find(name) : NULL;

	if ((name != NULL) && (one == NULL)) {
		return -ENOENT;
	}
	for (uint32_t i = 0U; i < table_count; i++) {
		if ((one == NULL) || (one == &table[i])) {
			char args[64];
			const int len = snprintf(args, sizeof(args), "%s%s%s", table[i].args, words_between(&table[i]),
				table[i].json ? "[-j]" : "");
			const bool alone = len > HELP_ARGS; /* on its line */

			shell_printf("  %-10s %-*s%s%*s%s\n", table[i].name, HELP_ARGS, args, alone ? "\n" : "",
				alone ? HELP_ARGS + 14 : 1, "", table[i].help);
		}
	}
	return 0;
}

static uint32_t split(char *text, char **argv)
{
	uint32_t argc = 0U;

	while (*text != '\0') {
		while (*text == ' ') {
			*text++ = '\0';
		}
		if (*text == '\0') {
			break;
		}
		if (argc == SHELL_ARGS) {
			return SHELL_ARGS + 1U;
		}
		argv[argc++] = text;
		while ((*text != '\0') && (*text != ' ')) {
			text++;
		}
	}
	return argc;
}

static void execute(char *text)
{
	char *argv[SHELL_ARGS];
	uint32_t argc = split(text, argv);
	const struct shell_command *command;
	int32_t ret = -EINVAL;

	if (argc == 0U) {
		return;
	}
	command = find(argv[0]);
	if (command == NULL) {
		shell_printf("%s: no such command; `help` lists them\n", argv[0]);
		return;
	}
	json_wanted = command->json && (argc <= SHELL_ARGS) && (strcmp(argv[argc - 1U], "-j") == 0);
	argc -= json_wanted ? 1U : 0U;
	if ((argc <= SHELL_ARGS) && (argc - 1U >= command->min_args) && (argc - 1U <= command->max_args)) {
		ret = command->run(argc, argv);
	}
	if (ret == -EINVAL) {
		shell_error("usage: %s %s%s%s: %s", command->name, command->args, words_between(command),
			command->json ? "[-j]" : "", command->help);
	} else if (ret != 0) {
		shell_error("%s: error %d", command->name, ret);
	}
}

/* ---- Editing ---- */

static void remember(void)
{
	char *const newest = history[(history_count - 1U) % SHELL_HISTORY];

	history_back = 0U;
	if ((line_len == 0U) || ((history_count != 0U) && (strcmp(newest, line) == 0))) {
		return;
	}
	(void)memcpy(history[history_count % SHELL_HISTORY], line, line_len + 1U);
	history_count++;
}

static void erase_line(void)
{
	while (line_len != 0U) {
		send("\b \b");
		line_len--;
	}
}

/* `text` is shorter than a line. */
static void set_line(const char *text)
{
	line_len = (uint32_t)strlen(text);
	(void)memcpy(line, text, line_len);
}

static void show_history(bool older)
{
	const uint32_t kept = MIN(history_count, SHELL_HISTORY);

	if (older ? (history_back >= kept) : (history_back == 0U)) {
		return;
	}
	history_back = older ? (history_back + 1U) : (history_back - 1U);
	erase_line();
	if (history_back != 0U) {
		set_line(history[(history_count - history_back) % SHELL_HISTORY]);
		ops->write(line, line_len);
	}
}

static void end_of_line(void)
{
	send("\n");
	line[line_len] = '\0';
	remember();
	at_prompt = false;
	prompt_due = true;
	__atomic_store_n(&interrupted, false, __ATOMIC_RELAXED);
	execute(line);
	line_len = 0U;
}

static void complete(void)
{
	const struct shell_command *match = NULL;

	line[line_len] = '\0';
	for (uint32_t i = 0U; i < table_count; i++) {
		if (strncmp(table[i].name, line, line_len) == 0) {
			if (match != NULL) {
				return;
			}
			match = &table[i];
		}
	}
	if (match != NULL) {
		const uint32_t before = line_len;

		set_line(match->name);
		line[line_len++] = ' ';
		ops->write(line + before, line_len - before);
	}
}

/* @return true if `c` belongs to an escape sequence; cursor up and down walk through the history */
static bool is_escape(uint8_t c)
{
	if (esc == ESC_CSI) {
		if ((c >= 0x40U) && (c <= 0x7EU)) {
			esc = ESC_NONE;
			if ((c == (uint8_t)'A') || (c == (uint8_t)'B')) {
				show_history(c == (uint8_t)'A');
			}
		}
		return true;
	}
	if (esc == ESC_SEEN) {
		esc = ((c == (uint8_t)'[') || (c == (uint8_t)'O')) ? ESC_CSI : ESC_NONE;
		return true;
	}
	if (c == KEY_ESC) {
		esc = ESC_SEEN;
		return true;
	}
	return false;
}

static void edit(uint8_t c)
{
	switch (c) {
	case KEY_BACKSPACE:
	case KEY_DELETE:
		if (line_len != 0U) {
			line_len--;
			send("\b \b");
		}
		break;
	case KEY_CTRL_C:
		send("^C\n");
		line_len = 0U;
		history_back = 0U;
		draw_prompt();
		break;
	case KEY_CTRL_L:
		send("\n");
		draw_prompt();
		break;
	case KEY_CTRL_U:
		erase_line();
		break;
	case KEY_CTRL_P:
	case KEY_CTRL_N:
		show_history(c == KEY_CTRL_P);
		break;
	case '\t':
		complete();
		break;
	default:
		if ((c >= 0x20U) && (c < 0x7FU) && (line_len < SHELL_LINE - 1U)) {
			line[line_len++] = (char)c;
			ops->write(&line[line_len - 1U], 1U);
		}
		break;
	}
}

void shell_input(uint8_t c)
{
	const bool second_of_crlf = (c == (uint8_t)'\n') && last_was_cr;

	last_was_cr = (c == (uint8_t)'\r');
	if (second_of_crlf) {
		return;
	}
	if (!at_prompt || (ops->foreign_lines() != foreign_seen)) {
		send("\n");
		draw_prompt();
	}
	if (is_escape(c)) {
		return;
	}
	if ((c == (uint8_t)'\r') || (c == (uint8_t)'\n')) {
		end_of_line();
	} else {
		edit(c);
	}
}
