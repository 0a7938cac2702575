/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell: editing, history, words, output in pieces. Its commands are those of this test. */
#include <hv/shell.h>
#include <lib/errno.h>

#include <stdio.h>
#include <string.h>

#include "hypervisor/debug/shell_table.h"
#include "unit.h"

static char screen[131072];
static size_t screen_len;
static size_t longest_write;
static uint32_t foreign;
static char ran[256];
static int pieces_left;

static void fake_write(const char *text, size_t len)
{
	if (screen_len + len < sizeof(screen)) {
		memcpy(screen + screen_len, text, len);
		screen_len += len;
		screen[screen_len] = '\0';
	}
	longest_write = len > longest_write ? len : longest_write;
}

static uint32_t fake_foreign(void)
{
	return foreign;
}

static int32_t cmd_echo(uint32_t argc, char **argv)
{
	ran[0] = '\0';
	for (uint32_t i = 0U; i < argc; i++) {
		strcat(ran, argv[i]);
		strcat(ran, "|");
	}
	return 0;
}

static int32_t cmd_flood(uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (int i = 0; i < 10000; i++) {
		shell_printf("line %d\n", i);
	}
	return 0;
}

static bool more_pieces(void)
{
	shell_printf("piece %d\n", pieces_left);
	pieces_left--;
	return pieces_left > 0;
}

static int32_t cmd_pieces(uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	pieces_left = 3;
	shell_continue(more_pieces);
	return 0;
}

static int32_t cmd_fail(uint32_t argc, char **argv)
{
	(void)argc;
	return argv[1][0] == 'u' ? -EINVAL : -ENODEV;
}

static int32_t cmd_json(uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	shell_json_string("a\"b\\c\n\xFF");
	return 0;
}

/* Two rows; with a word also a record, both named. */
static int32_t cmd_rows(uint32_t argc, char **argv)
{
	static const struct shell_column columns[] = {{"n", 4U, SHELL_DEC}, {"name", 6U, SHELL_TEXT},
		{"at", 0U, SHELL_HEX}, {"on", 0U, SHELL_FLAG}};
	const struct shell_cell one[] = {SHELL_NUM(1U), SHELL_STR("a\"b"), SHELL_NUM(0x1000U), SHELL_NUM(1U)};
	const struct shell_cell two[] = {SHELL_NUM(12345U), SHELL_STR("longer name"), SHELL_NUM(0U), SHELL_NUM(0U)};

	(void)argv;
	if (argc == 2U) {
		shell_parts_begin();
	}
	shell_table_begin((argc == 2U) ? "rows" : NULL, columns, 4U);
	shell_table_row(one);
	shell_table_row(two);
	shell_table_end();
	if (argc == 2U) {
		shell_record("record", columns, 4U, one);
		shell_parts_end();
	}
	return 0;
}

static int32_t cmd_error(uint32_t argc, char **argv)
{
	(void)argc;
	shell_error("'%s' is wrong", argv[0]);
	return 0;
}

static const struct shell_command commands[] = {
	{"echo", "[WORD]...", "keeps its words", 0U, 4U, cmd_echo, false},
	{"fail", "HOW", "fails", 1U, 1U, cmd_fail, true},
	{"flood", "", "prints too much", 0U, 0U, cmd_flood, false},
	{"pieces", "", "prints piece by piece", 0U, 0U, cmd_pieces, false},
	{"json", "", "a string", 0U, 0U, cmd_json, false},
	{"rows", "[WORD]", "facts", 0U, 1U, cmd_rows, true},
	{"error", "", "a sentence", 0U, 0U, cmd_error, true},
};
static const struct shell_ops ops = {fake_write, fake_foreign};

static void start(void)
{
	screen_len = 0U;
	screen[0] = '\0';
	longest_write = 0U;
	foreign = 0U;
	ran[0] = '\0';
	shell_init(commands, sizeof(commands) / sizeof(commands[0]), &ops);
}

static void settle(void)
{
	for (int i = 0; i < 100000 && shell_step(); i++) {
	}
	EXPECT(!shell_is_busy());
}

static void type(const char *text)
{
	for (; *text != '\0'; text++) {
		shell_input((uint8_t)*text);
		if (shell_is_busy()) {
			settle();
		}
	}
}

static bool shown(const char *text)
{
	return strstr(screen, text) != NULL;
}

TEST(shell_silent_before_the_first_byte)
{
	start();
	EXPECT(!shell_step());
	EXPECT_EQ(screen_len, 0U);
	type("\r");
	EXPECT(shown("aril> "));
}

TEST(shell_words)
{
	start();
	type("  echo  a bb   ccc \r");
	EXPECT(strcmp(ran, "echo|a|bb|ccc|") == 0);
	ran[0] = '\0';
	type("echo 1 2 3 4 5\r");
	EXPECT(ran[0] == '\0' && shown("usage: echo"));
	type("echo 1 2 3 4 5 6 7 8 9 10 11 12\r");
	EXPECT(ran[0] == '\0');
	type("nonsense\r");
	EXPECT(shown("nonsense: no such command"));
}

TEST(shell_errors)
{
	start();
	type("fail usage\r");
	EXPECT(shown("usage: fail HOW"));
	type("fail x\r");
	EXPECT(shown("fail: error -19"));
	type("fail\r");
	EXPECT(!shell_is_busy());
}

TEST(shell_line_ends)
{
	start();
	type("echo 1\r\n");
	EXPECT(strcmp(ran, "echo|1|") == 0);
	type("echo 2\n");
	EXPECT(strcmp(ran, "echo|2|") == 0);
	type("echo 3\r");
	EXPECT(strcmp(ran, "echo|3|") == 0);
}

TEST(shell_editing)
{
	start();
	type("ecxx\b\x7Fho a\r");
	EXPECT(strcmp(ran, "echo|a|") == 0);
	type("garbage\x15" "echo b\r");
	EXPECT(strcmp(ran, "echo|b|") == 0);
	ran[0] = '\0';
	type("echo c\x03\r");
	EXPECT(ran[0] == '\0' && shown("^C"));
	type("\b\b\b\x15" "echo d\r");
	EXPECT(strcmp(ran, "echo|d|") == 0);
	type("ec\te\r");
	EXPECT(strcmp(ran, "echo|e|") == 0);
	type("f\t\x15" "echo f\r"); /* not unique: left alone */
	EXPECT(strcmp(ran, "echo|f|") == 0);
}

TEST(shell_long_lines_are_cut)
{
	start();
	type("echo ");
	for (int i = 0; i < 1000; i++) {
		shell_input('x');
	}
	type("\r");
	EXPECT_EQ(strlen(ran), SHELL_LINE - 1U - 5U + 6U);
}

TEST(shell_history)
{
	char text[32];

	start();
	for (int i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "echo %d\r", i);
		type(text);
	}
	type("\x1B[A\r");
	EXPECT(strcmp(ran, "echo|9|") == 0);
	type("\x1B[A\x1B[A\x1B[A\x1B[B\r");
	EXPECT(strcmp(ran, "echo|8|") == 0); /* 9, 8, 7, back to 8; repeating 9 was not kept twice */
	for (int i = 0; i < 20; i++) {
		type("\x1B[A");
	}
	type("\r"); /* the oldest of eight: 3..9 and 8 */
	EXPECT(strcmp(ran, "echo|3|") == 0);
	ran[0] = '\0';
	type("\x10\x0E\r");
	EXPECT(ran[0] == '\0');
}

TEST(shell_escape_sequences_leave_no_trace)
{
	start();
	type("e\x1B[1;5Cch\x1BOHo\x1B[3~ z\r");
	EXPECT(strcmp(ran, "echo|z|") == 0);
}

TEST(shell_output_in_pieces)
{
	start();
	type("pieces\r");
	EXPECT(shown("piece 3\npiece 2\npiece 1\naril> "));
	type("flood\r");
	EXPECT(shown("line 0\nline 1\n") && shown("is cut here") && !shown("line 9999\n"));
	EXPECT(longest_write <= 160U);
}

TEST(shell_interrupt_drops_output)
{
	start();
	for (const char *c = "flood\r"; *c != '\0'; c++) {
		shell_input((uint8_t)*c);
	}
	EXPECT(shell_step());
	EXPECT(shell_step());
	shell_interrupt();
	settle();
	EXPECT(shown("line 1\n") && !shown("line 9\n"));
	EXPECT(strcmp(screen + screen_len - 6U, "aril> ") == 0);
}

TEST(shell_prompt_comes_again_after_others)
{
	start();
	type("echo q");
	foreign++;
	type(" r");
	EXPECT(shown("\naril> echo q r"));
	type("\r");
	EXPECT(strcmp(ran, "echo|q|r|") == 0);
}

TEST(shell_json)
{
	start();
	type("json\r");
	EXPECT(shown("\"a\\\"b\\\\c\\u000a\\u00ff\""));
}

TEST(shell_any_bytes)
{
	start();
	for (int i = 0; i < 200000; i++) {
		shell_input((uint8_t)unit_rand64());
		if (shell_is_busy()) {
			settle();
		}
		screen_len = 0U;
	}
}

TEST(shell_tables)
{
	start();
	type("rows\r");
	EXPECT(shown("   n  name    at  on\n   1  a\"b     0x1000  yes\n12345  longer name  0x0  no\n"));
	screen_len = 0U;
	type("rows -j\r");
	EXPECT(shown("[{\"n\":1,\"name\":\"a\\\"b\",\"at\":4096,\"on\":true},"
		     "{\"n\":12345,\"name\":\"longer name\",\"at\":0,\"on\":false}]\n"));
	screen_len = 0U;
	type("rows x\r");
	EXPECT(shown("rows:\n   n  name ") && shown("no\n\nrecord:\n   n  name "));
	screen_len = 0U;
	type("rows x -j\r");
	EXPECT(shown("\n{\"rows\":[{\"n\":1,") && shown("}],\"record\":{\"n\":1,") && shown("\"on\":true}}\n"));
}

TEST(shell_json_option)
{
	start();
	type("error\r");
	EXPECT(shown("'error' is wrong\n"));
	type("error -j\r");
	EXPECT(shown("{\"error\":\"'error' is wrong\"}\n"));
	type("rows a b -j\r");
	EXPECT(shown("{\"error\":\"usage: rows [WORD] [-j]: facts\"}\n"));
	type("fail -j\r");
	EXPECT(shown("{\"error\":\"usage: fail HOW [-j]: fails\"}\n"));
	type("echo -j\r"); /* a word like others */
	EXPECT(strcmp(ran, "echo|-j|") == 0);
	type("-j\r");
	EXPECT(shown("-j: no such command"));
	screen_len = 0U;
	type("rows -j x\r");
	EXPECT(shown("usage: rows"));
}

/* Not bytes but pieces of lines: more of it gets through to the commands. */
TEST(shell_any_lines)
{
	static const char *const pieces[] = {"echo", "fail", "rows", "error", "json", "pieces", "flood", " ", "  ",
		"-j", " -j", "\r", "\n", "\r\n", "\r", "\x1B[A", "\x1B[B", "\x1B[", "\x1BO", "\x1B", "\t", "\x03",
		"\x15",
		"\x10", "\x0E", "\x0C", "\b", "\x7F", "%s%n%d", "\"", "\\", "\xFF\x80\xC3"};
	char run[300];

	start();
	memset(run, 'x', sizeof(run) - 1U);
	run[sizeof(run) - 1U] = '\0';
	for (uint32_t i = 0U; i < 100000U; i++) {
		const uint64_t r = unit_rand64();
		const uint32_t which = (uint32_t)(r % 34U);

		if (which < ARRAY_SIZE(pieces)) {
			type(pieces[which]);
		} else {
			type(run + (r >> 32U) % sizeof(run));
		}
		if ((r >> 60U) == 0U) {
			shell_interrupt();
			foreign++;
		}
		screen_len = 0U;
	}
	settle();
}
