/* SPDX-License-Identifier: BSD-3-Clause */
/* The smallest guest: it runs, it can print, it knows where it is. */
#include <guests/lib/acpi.h>
#include <guests/lib/guest.h>

const char subject_name[] = "hello";

static uint64_t data_word = 0x123456789abcdef0UL;
static uint64_t bss_words[1024];

void test_main(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bss_words); i++)
		sum |= bss_words[i];
	report(sum == 0, "BSS is cleared");
	report(data_word == 0x123456789abcdef0UL, "data is loaded");
	report((rdmsr(MSR_EFER) & EFER_LMA) != 0, "long mode");
	report((read_flags() & FLAG_IF) == 0, "interrupts are off");
	report(console_present(), "COM1 answers");
	report_info("%u module(s), RAM to %#lx, %u CPU(s), %s", boot_module_count(), boot_ram_top(),
		    smp_expected(), acpi_find("APIC") != NULL ? "MADT" : "no MADT");
}
