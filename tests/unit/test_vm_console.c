/* SPDX-License-Identifier: BSD-3-Clause */
/* The VMs' consoles: marks, filters, attach and detach. */
#include <dm/vuart.h>
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/vm_console.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "unit.h"

/* Linked apart from the other tests, with what it needs (unit.mk). */

static char out[65536];
static size_t out_len;
static uint64_t now;
static struct vuart uart;

void console_write(const char *text, size_t len)
{
	EXPECT(out_len + len < sizeof(out));
	memcpy(out + out_len, text, len);
	out_len += len;
	out[out_len] = '\0';
}

void console_write_line(const char *text, size_t len)
{
	console_write(text, len);
}

uint64_t arch_now(void)
{
	return now;
}

uint32_t arch_tsc_khz(void)
{
	return 1000U;
}

static void no_irq(struct vuart *v, bool level)
{
	(void)v;
	(void)level;
}

static void start(void)
{
	vm_console_detach();
	vm_console_unregister(0U);
	vm_console_unregister(1U);
	vuart_init(&uart, NULL, 0x3F8U, 4U, no_irq, NULL);
	vm_console_register(0U, "SVM", &uart);
	vm_console_register(1U, "UVM1", &uart);
	out_len = 0U;
	out[0] = '\0';
}

static void put(uint16_t vm, const char *s)
{
	for (; *s != '\0'; s++) {
		console_vm_putc(vm, (uint8_t)*s);
	}
}

static bool took(const char *expected)
{
	const bool same = strcmp(out, expected) == 0;

	if (!same) {
		unit_fail(__FILE__, __LINE__, "printed \"%s\"", out);
	}
	out_len = 0U;
	out[0] = '\0';
	return same;
}

TEST(vm_console_lines)
{
	start();
	put(0U, "hel");
	put(1U, "one\r\n");
	put(0U, "lo\r\n\n");
	EXPECT(took("[UVM1] one\n[SVM] hello\n[SVM] \n"));
	put(7U, "nobody\n");
	put(200U, "nobody\n");
	EXPECT(took(""));
}

TEST(vm_console_filters)
{
	start();
	put(0U, "\033[2J\033[1;31mred\033[0m\a\033cX\tab\bc\177\n");
	EXPECT(took("[SVM] redX\tac\n"));
	put(0U, "\033[12\nplain\n"); /* a sequence cut short does not eat the next line */
	EXPECT(took("[SVM] \n[SVM] plain\n"));
	put(0U, "\b\bx\n");
	EXPECT(took("[SVM] x\n"));
	put(0U, "gr\303\274n\n");
	EXPECT(took("[SVM] gr\303\274n\n"));
	put(0U, "\342\202\254 \303\233 \360\237\231\202\n");
	EXPECT(took("[SVM] \342\202\254 \303\233 \360\237\231\202\n"));
	/* CSI as one character (U+009B), and as one byte: a line could go up, and over another's mark. */
	put(0U, "a\302\2332Ab\302\205c\n");
	EXPECT(took("[SVM] abc\n"));
	put(0U, "a\2332A\303\274\2332A\200b\303\b\233c\377\300\n");
	EXPECT(took("[SVM] a2A\303\2742Abc\n"));
	put(0U, "\302");
	EXPECT_EQ(vm_console_attach(0U), 0);
	vm_console_detach();
	out_len = 0U;
	put(0U, "\233A\n");
	EXPECT(took("[SVM] A\n"));
	put(0U, "\302\n\2331A\n");
	EXPECT(took("[SVM] \302\n[SVM] 1A\n"));
}

TEST(vm_console_long_line)
{
	uint32_t i;
	size_t marks = 0U;
	const char *p;

	start();
	for (i = 0U; i < 2U * VM_CONSOLE_LINE + 5U; i++) {
		console_vm_putc(0U, (uint8_t)'x');
	}
	put(0U, "\n");
	for (p = strstr(out, "[SVM] "); p != NULL; p = strstr(p + 1, "[SVM] ")) {
		marks++;
	}
	EXPECT_EQ(marks, 3);
	EXPECT_EQ(out_len, 2U * VM_CONSOLE_LINE + 5U + 3U * 7U);
	/* A character that the cut goes through. */
	start();
	for (i = 0U; i < VM_CONSOLE_LINE - 1U; i++) {
		console_vm_putc(0U, (uint8_t)'x');
	}
	put(0U, "\302\2332A\n");
	p = strchr(out, '\n');
	EXPECT((p != NULL) && (strcmp(p, "\n[SVM] 2A\n") == 0));
}

TEST(vm_console_prompt_appears_after_a_while)
{
	start();
	put(0U, "login: ");
	vm_console_poll();
	EXPECT(took(""));
	now += 1000000U;
	vm_console_poll();
	EXPECT(took("[SVM] login: \n"));
	vm_console_poll();
	EXPECT(took(""));
}

TEST(vm_console_attach_detach)
{
	start();
	EXPECT_EQ(vm_console_attach(7U), -ENODEV);
	EXPECT_EQ(vm_console_attached(), VM_CONSOLE_NONE);
	EXPECT(!vm_console_input('a')); /* the shell's */
	EXPECT_EQ(vm_console_attach(0U), 0);
	EXPECT_EQ(vm_console_attached(), 0);
	EXPECT(strstr(out, "Ctrl-]") != NULL);
	out_len = 0U;
	put(0U, "a\r\nb\rc\033[K");
	EXPECT(took("a\nb\rc\033[K"));
	put(1U, "other\n");
	EXPECT(took(""));
	EXPECT(vm_console_input('k'));
	EXPECT_EQ(vuart_read(&uart, 0U), 'k');
	EXPECT(vm_console_input(VM_CONSOLE_ESCAPE));
	EXPECT_EQ(vm_console_attached(), VM_CONSOLE_NONE);
	EXPECT_EQ(vuart_read(&uart, 5U), 0x60); /* the escape itself was not passed on */
	out_len = 0U;
	put(1U, "again\n");
	EXPECT(took("[UVM1] again\n"));
	EXPECT_EQ(vm_console_attach(1U), 0);
	EXPECT(strstr(out, "other\nagain\n") != NULL); /* what one missed */
	vm_console_unregister(1U);
	EXPECT_EQ(vm_console_attached(), VM_CONSOLE_NONE);
}

TEST(vm_console_history_begins_with_a_whole_line)
{
	uint32_t i;

	start();
	for (i = 0U; i < VM_CONSOLE_HISTORY; i++) {
		put(0U, "12345678\n");
	}
	out_len = 0U;
	EXPECT_EQ(vm_console_attach(0U), 0);
	EXPECT(strstr(out, "it --\n\n12345678\n") != NULL);
	EXPECT(out_len <= VM_CONSOLE_HISTORY + 80U);
	vm_console_detach();
}

TEST(vm_console_attach_later)
{
	start();
	vm_console_attach_later(1U);
	vm_console_unregister(1U);
	vm_console_register(0U, "SVM", &uart);
	EXPECT_EQ(vm_console_attached(), VM_CONSOLE_NONE);
	vm_console_register(1U, "UVM1", &uart);
	EXPECT_EQ(vm_console_attached(), 1);
	EXPECT(strstr(out, "-- console of UVM1; Ctrl-] leaves it --\n") != NULL);
	vm_console_unregister(1U);
	vm_console_register(1U, "UVM1", &uart); /* once */
	EXPECT_EQ(vm_console_attached(), VM_CONSOLE_NONE);
	/* Who looks at another VM meanwhile is left in peace. */
	vm_console_attach_later(1U);
	EXPECT_EQ(vm_console_attach(0U), 0);
	vm_console_register(1U, "UVM1", &uart);
	EXPECT_EQ(vm_console_attached(), 0);
	vm_console_detach();
}
