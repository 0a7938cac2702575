/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Works until somebody ends it: the guest of tests that do so at any moment. The boot CPU halts between ticks of all
 * its timers, the second CPU reads a device without end, the others wait for a start-up IPI that never comes.
 */
#include <guests/lib/acpi.h>
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/rtc.h>
#include <guests/lib/smp.h>

const char subject_name[] = "churn";

#define VEC_TICK	0x61U
#define TICK		30000U
#define DEVICE_PORT	0x61U	/* emulated in every VM, in a User VM by its device model */

static void read_device(void *arg)
{
	(void)arg;
	for (;;)
		(void)inb(DEVICE_PORT);
}

static void start_second_cpu(void)
{
	struct madt_facts m;

	if (!acpi_madt(&m) || m.cpu_count < 2)
		return;
	smp_trampoline_install();
	lapic_ipi(ICR_INIT | ICR_ASSERT, m.apic_ids[1]);
	delay_ticks(TICK);
	lapic_ipi(ICR_STARTUP | ICR_ASSERT | AP_TRAMPOLINE_PAGE >> 12, m.apic_ids[1]);
	if (smp_wait_online(2))
		on_cpu_async(1, read_device, NULL);
}

void test_main(void)
{
	lapic_enable();
	trap_set_handler(VEC_TICK, trap_handler_eoi);
	lapic_write(APIC_TDCR, 0xb);
	lapic_write(APIC_LVT_TIMER, LVT_PERIODIC | VEC_TICK);
	lapic_write(APIC_TMICT, TICK);
	if (rtc_present())
		rtc_write(RTC_B, (uint8_t)(rtc_read(RTC_B) | RTC_B_PIE));
	start_second_cpu();
	for (;;)
		sti_hlt_cli();
}
