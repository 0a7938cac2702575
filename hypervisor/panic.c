/* SPDX-License-Identifier: BSD-3-Clause */
/* The end: what happened, on every sink, and a machine that stands still. */
#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/dump.h>
#include <hv/log.h>
#include <hv/log_ring.h>
#include <lib/printf.h>

#define MESSAGE_MAX 200U
#define NOBODY      0xFFFFFFFFU

static uint32_t panic_cpu = NOBODY;

void __noreturn stop_for_good(void)
{
	arch_end(cmdline_has("exit-on-panic") ? ARCH_END_EMULATOR : ARCH_END_HALT);
}

/* The first CPU that comes goes on alone. @return false on a panic within the panic, on this same CPU */
static bool panic_enter(void)
{
	uint32_t expected = NOBODY;
	const uint32_t self = arch_cpu_id();

	if (!__atomic_compare_exchange_n(&panic_cpu, &expected, self, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		if (expected != self) {
			arch_end(ARCH_END_HALT);
		}
		return false;
	}
	arch_stop_others();
	log_enter_panic();
	console_enter_panic();
	return true;
}

static void __noreturn panic_end(const struct dump_regs *regs, const char *message, bool first)
{
	if (first) {
		pr_err("PANIC on CPU %u: %s", arch_cpu_id(), message);
		dump_cpu(regs);
		pr_err("PANIC: the machine is stopped: %s", message);
	} else {
		pr_err("PANIC in panic: %s", message);
	}
	stop_for_good();
}

void __noreturn panic(const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	struct dump_regs regs;
	const bool first = panic_enter();
	va_list args;

	arch_get_regs(&regs);
	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	panic_end(&regs, message, first);
}

void __noreturn panic_with_regs(const struct dump_regs *regs, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	const bool first = panic_enter();
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	panic_end(regs, message, first);
}
