/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The counters of a hypervisor built with COVERAGE=1, written out when the machine ends: to port 0xE9, which the
 * simulator prints. scripts/coverage puts them together with the parts of the profile that are in the image.
 */
#include <asm/io.h>
#include <hv/arch.h>
#include <lib/bits.h>

/* The linker's names for the section in which clang has its counters. */
extern const uint8_t counters_start[] __asm__("__start___llvm_prf_cnts");
extern const uint8_t counters_end[] __asm__("__stop___llvm_prf_cnts");

void __noreturn __real_arch_end(enum arch_end how);
void __noreturn __wrap_arch_end(enum arch_end how);

static void print(const char *text)
{
	for (; *text != '\0'; text++) {
		outb(0xE9U, (uint8_t)*text);
	}
}

/* Hexadecimal, two digits a byte, runs of zero bytes as "z" and their number in four digits. Once. */
static void write_counters(void)
{
	static const char digits[] = "0123456789abcdef";
	static bool done;
	const uint8_t *at = counters_start;

	if (__atomic_exchange_n(&done, true, __ATOMIC_SEQ_CST)) {
		return;
	}
	print("\ncoverage: ");
	while (at != counters_end) {
		uint32_t zeros = 0U;

		while ((at != counters_end) && (*at == 0U) && (zeros < 0xFFFFU)) {
			at++;
			zeros++;
		}
		if (zeros > 2U) {
			outb(0xE9U, 'z');
			for (uint32_t shift = 16U; shift != 0U; shift -= 4U) {
				outb(0xE9U, (uint8_t)digits[(zeros >> (shift - 4U)) & 0xFU]);
			}
		} else {
			at -= zeros;
			if (at != counters_end) {
				outb(0xE9U, (uint8_t)digits[*at >> 4U]);
				outb(0xE9U, (uint8_t)digits[*at & 0xFU]);
				at++;
			}
		}
	}
	print("\n");
}

void __noreturn __wrap_arch_end(enum arch_end how)
{
	if (how != ARCH_END_HALT) {
		write_counters();
	}
	__real_arch_end(how);
}
