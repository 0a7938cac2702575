/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ten seconds in HLT, woken by a timer every now and then. What they cost is in the hypervisor's summary; a second CPU,
 * if there is one, is never started.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>

const char subject_name[] = "idle";

#define VEC_TIMER	0x53U
#define PERIODS		100U
#define COUNT		10000000U	/* bus ticks at divisor 1 */

static void on_timer(struct trap *t)
{
	(void)t;
	lapic_eoi();
}

void test_main(void)
{
	if (!lapic_present()) {
		report_skip("no local APIC");
		return;
	}
	lapic_enable();
	trap_set_handler(VEC_TIMER, on_timer);
	lapic_write(APIC_TDCR, 0xb);
	lapic_write(APIC_LVT_TIMER, VEC_TIMER);
	for (uint32_t i = 0; i < PERIODS; i++) {
		lapic_write(APIC_TMICT, COUNT);
		while (trap_count(VEC_TIMER) == i)
			sti_hlt_cli();
	}
	report(trap_count(VEC_TIMER) == PERIODS, "HLT until the timer, %u times", PERIODS);
}
