/* SPDX-License-Identifier: BSD-3-Clause */
/* PASS, FAIL and SKIP lines, their count, and the end of the machine. */
#include <guests/lib/guest.h>
#include <guests/lib/acpi.h>
#include <guests/lib/pic.h>
#include <guests/lib/smp.h>

#define TEXT_MAX	320
#define PM1_SLP_EN	0x2000U

static unsigned int passed, failed, skipped, expected_failures;
static const char *prefix_text;

static void line(const char *kind, const char *reason, const char *fmt, __builtin_va_list ap)
{
	char text[TEXT_MAX];
	const char *prefix = prefix_text;

	guest_vsnprintf(text, sizeof(text), fmt, ap);
	printf("%s: %s: %s%s%s%s%s%s\n", kind, subject_name, prefix == NULL ? "" : prefix,
	       prefix == NULL ? "" : ": ", text, reason == NULL ? "" : " (",
	       reason == NULL ? "" : reason, reason == NULL ? "" : ")");
}

#define LINE(kind, reason, fmt) do {			\
	__builtin_va_list ap_;				\
							\
	__builtin_va_start(ap_, fmt);			\
	line(kind, reason, fmt, ap_);			\
	__builtin_va_end(ap_);				\
} while (0)

static void count(unsigned int *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

void report(bool pass, const char *fmt, ...)
{
	count(pass ? &passed : &failed);
	LINE(pass ? "PASS" : "FAIL", NULL, fmt);
}

void report_skip(const char *fmt, ...)
{
	count(&skipped);
	LINE("SKIP", NULL, fmt);
}

void report_xfail(bool expected, const char *reason, bool pass, const char *fmt, ...)
{
	if (pass || !expected) {
		count(pass ? &passed : &failed);
		LINE(pass ? "PASS" : "FAIL", NULL, fmt);
		return;
	}
	count(&expected_failures);
	LINE("XFAIL", reason, fmt);
}

void report_info(const char *fmt, ...)
{
	LINE("INFO", NULL, fmt);
}

void report_prefix(const char *prefix)
{
	prefix_text = prefix;
}

unsigned int report_failures(void)
{
	return failed;
}

bool quirk_code_breakpoints_work(void)
{
	if (boot_flag("no-code-breakpoints"))
		return false;
	return on_hypervisor() || smp_expected() == 1;
}

static void end_bochs(void)
{
	for (const char *p = "Shutdown"; *p != '\0'; p++)
		outb(0x8900, (uint8_t)*p);
}

static void end_acpi(void)
{
	uint16_t pm1a = acpi_pm1a_control();

	/* The ports of Bochs and QEMU when no table tells. Their S5 is sleep type 0 (in _S5_). */
	if (pm1a == 0)
		pm1a = 0xb004;
	outw(pm1a, PM1_SLP_EN);
}

_Noreturn void guest_exit(int code)
{
	cli();
	if (expected_failures != 0)
		printf("INFO: %s: %u expected failures\n", subject_name, expected_failures);
	printf("SUMMARY: %u passed, %u failed, %u skipped\n", passed, failed, skipped);
	console_flush();
	outl(0xf4, (uint32_t)code);
	end_bochs();
	end_acpi();
	for (;;)
		__asm__ volatile("cli\n\thlt" : : : "memory");
}

void guest_main(void);

/* Entry from start.S. */
void guest_main(void)
{
	console_init();
	trap_init_cpu(0);
	/* The firmware left the PIC on the exception vectors, with its timer running. */
	pic_init();
	report_info("command line '%s', %s", boot_cmdline(),
		    on_hypervisor() ? "under a hypervisor" : "bare");
	test_main();
	if (passed + failed + skipped + expected_failures == 0)
		report(false, "the subject reported nothing");
	guest_exit(failed == 0 ? 0 : 1);
}
