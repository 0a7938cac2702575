/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every test guest uses: console, report lines, boot information, the end.
 *
 * A subject defines subject_name and test_main(). Its lines are
 *	PASS: subject: text	FAIL: subject: text	SKIP: subject: text
 *	XFAIL: subject: text (reason)	a known fault of the machine below, not counted as a failure
 *	INFO: subject: text	free text; the only kind that may hold measured values
 * so that the same image's output bare and under the hypervisor can be compared line by line.
 */
#ifndef GUESTS_LIB_GUEST_H
#define GUESTS_LIB_GUEST_H

#include <guests/lib/x86.h>
#include <guests/lib/trap.h>

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* Defined by the subject. */
extern const char subject_name[];
void test_main(void);

/* --- console.c: COM1 by polling; without a UART all output is dropped ----------------------- */

/* Look for a 16550 at 0x3F8 and set it to 115200 8N1. Safe when there is none. */
void console_init(void);
bool console_present(void);
void console_putc(char c);
/* Wait until all is on the wire: a machine that ends at once would lose the rest. */
void console_flush(void);
/* A character that was typed, or -1. Never waits. */
int console_getc(void);

/* --- printf.c: %d %i %u %x %X %p %c %s %%, with l/z, '0', '-', '#', width ------------------- */

int guest_vsnprintf(char *buf, size_t size, const char *fmt, __builtin_va_list ap);
int guest_snprintf(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Whole lines of several CPUs do not mix: the line is formatted first, then sent under a lock. */
void printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* --- report.c --------------------------------------------------------------------------------- */

void report(bool pass, const char *fmt, ...) PRINTF_LIKE(2, 3);
void report_skip(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* A failure is expected while @expected holds, for @reason (a simulator's fault, doc/caveats.md). */
void report_xfail(bool expected, const char *reason, bool pass, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
void report_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Following lines read "subject: prefix: text"; NULL ends it. The string is not copied. */
void report_prefix(const char *prefix);
unsigned int report_failures(void);

/* --- boot.c: what multiboot gave --------------------------------------------------------------- */

struct boot_module {
	uint64_t start, end;	/* physical, end exclusive */
	const char *args;
};

const char *boot_cmdline(void);
/* Value of the word "key=value" of the command line copied into @buf; false if there is none. */
bool boot_option(const char *key, char *buf, size_t size);
/* True if @word stands in the command line by itself. */
bool boot_flag(const char *word);
unsigned int boot_module_count(void);
struct boot_module boot_module_get(unsigned int index);
/* First address above all RAM below 4 GiB that the memory map lists, 0 if there is no map. */
uint64_t boot_ram_top(void);

/* False where an instruction breakpoint ends the simulator instead of raising #DB: Bochs 3.0
 * with several CPUs (2.7 does it right), bare, or when the command line says "no-code-breakpoints". */
bool quirk_code_breakpoints_work(void);

/* --- exit.c -------------------------------------------------------------------------------------- */

/* Print SUMMARY and end the machine: debug exit 0xF4, Bochs 0x8900, ACPI S5; then cli; hlt. */
_Noreturn void guest_exit(int code);

/* --- string.c ------------------------------------------------------------------------------------ */

void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
void *memmove(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
unsigned long parse_number(const char *s);

#endif /* GUESTS_LIB_GUEST_H */
