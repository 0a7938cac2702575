/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PIT channel 0 through PIC and I/O APIC, channel 2, RTC, and the local APIC's timer in its three
 * modes. SDM vol. 3 section 11.5.4; 8254 and MC146818 data sheets.
 */
#include <guests/lib/apic.h>
#include <guests/lib/acpi.h>
#include <guests/lib/guest.h>
#include <guests/lib/ioapic.h>
#include <guests/lib/pic.h>
#include <guests/lib/pit.h>
#include <guests/lib/rtc.h>

const char subject_name[] = "timer";

#define VEC_TIMER	0x50U
#define VEC_GSI		0x51U
#define PATIENCE	400000000UL	/* TSC ticks: no timer here needs a tenth of it */

static void eoi_irq0(struct trap *t)
{
	(void)t;
	pic_eoi(0);
}

static void eoi_irq8(struct trap *t)
{
	(void)t;
	rtc_read(RTC_C);
	pic_eoi(8);
}

static void test_pit(void)
{
	uint16_t a, b;
	bool ok;

	if (!pit_present()) {
		report_skip("no PIT");
		return;
	}
	pit_set(0, 2, 0xffff);
	a = pit_count(0);
	delay_ticks(20000);
	b = pit_count(0);
	report(b < a, "channel 0 counts down");
	ok = true;
	for (int i = 0; i < 2000; i++) {
		uint16_t c;

		if (i == 0)
			pit_set(0, 2, 1000);
		c = pit_count(0);
		/* The first clock after a new count may still show the old one. */
		ok = ok && (c <= 1000 || i < 2);
	}
	report(ok, "channel 0 stays within its reload value");
	report(pit_measure_tsc(5000) > 0, "channel 2 reaches zero and raises its output at port 0x61");
	if (!pic_present()) {
		report_skip("no PIC: IRQ 0");
		return;
	}
	pic_init();
	trap_set_handler(PIC_VECTOR, eoi_irq0);
	trap_count_reset(PIC_VECTOR);
	pit_set(0, 2, PIT_HZ / 1000);
	pic_mask(0, false);
	report(trap_wait(PIC_VECTOR, 5, PATIENCE), "periodic interrupts through the PIC");
	pic_mask(0, true);
	irq_window();
	trap_count_reset(PIC_VECTOR);
	delay_ticks(200000);
	irq_window();
	report(trap_count(PIC_VECTOR) == 0, "a masked IRQ 0 is silent");
	/* Mode 0 fires once. */
	pit_set(0, 0, 2000);
	pic_init();
	trap_count_reset(PIC_VECTOR);
	pic_mask(0, false);
	ok = trap_wait(PIC_VECTOR, 1, PATIENCE);
	trap_wait(PIC_VECTOR, 2, 1000000);
	report(ok && trap_count(PIC_VECTOR) == 1, "mode 0 interrupts once");
	pic_mask(0, true);
	trap_set_handler(PIC_VECTOR, NULL);
}

static void test_pit_ioapic(void)
{
	unsigned int pin;

	if (!lapic_present() || !ioapic_present() || !pit_present()) {
		report_skip("no I/O APIC or no PIT");
		return;
	}
	lapic_enable();
	pin = ioapic_isa_pin(0);
	trap_set_handler(VEC_GSI, trap_handler_eoi);
	trap_count_reset(VEC_GSI);
	pit_set(0, 2, PIT_HZ / 1000);
	ioapic_set_rte(pin, VEC_GSI | RTE_DEST(lapic_id()));
	report(trap_wait(VEC_GSI, 5, PATIENCE), "PIT interrupts through the I/O APIC");
	ioapic_set_rte(pin, RTE_MASKED);
	irq_window();
	trap_count_reset(VEC_GSI);
	delay_ticks(200000);
	irq_window();
	report(trap_count(VEC_GSI) == 0, "a masked redirection entry is silent");
	pit_set(0, 0, 0);
	trap_set_handler(VEC_GSI, NULL);
	/* lapic_enable() closed it. Bochs lets the PIC's interrupts through all the same; hardware does not. */
	lapic_write(APIC_LVT_LINT0, LVT_EXTINT);
}

/* The flag of the periodic interrupt, with the PIC masked. A clock without one leaves it clear for ever. */
static bool rtc_has_periodic(void)
{
	for (unsigned int i = 0; i < 50; i++) {
		delay_ticks(100000);
		if ((rtc_read(RTC_C) & RTC_C_PF) != 0)
			return true;
	}
	return false;
}

static void test_rtc(void)
{
	bool requested;
	uint8_t a, b;

	if (!rtc_present() || !pic_present()) {
		report_skip("no RTC or no PIC");
		return;
	}
	pic_init();
	a = rtc_read(RTC_A);
	b = rtc_read(RTC_B);
	trap_set_handler(PIC_VECTOR + 8, eoi_irq8);
	trap_count_reset(PIC_VECTOR + 8);
	rtc_read(RTC_C);
	rtc_write(RTC_A, (uint8_t)((a & 0xf0) | 6));
	rtc_write(RTC_B, b | RTC_B_PIE);
	if (!rtc_has_periodic()) {
		report_skip("RTC without periodic interrupt");
		rtc_write(RTC_B, b);
		rtc_write(RTC_A, a);
		return;
	}
	/* The edge comes while the line is masked: the PIC keeps it. */
	rtc_read(RTC_C);
	delay_ticks(300000);
	requested = (pic_irr(PIC_SLAVE_CMD) & 1) != 0;
	report(requested, "a masked RTC interrupt shows in the second PIC's IRR");
	pic_mask(8, false);
	report(trap_wait(PIC_VECTOR + 8, 3, PATIENCE), "RTC periodic interrupts through both PICs");
	rtc_write(RTC_B, b & (uint8_t)~RTC_B_PIE);
	rtc_write(RTC_A, a);
	pic_mask(8, true);
	irq_window();
	trap_set_handler(PIC_VECTOR + 8, NULL);
}

static void test_pm_timer(void)
{
	uint16_t port = acpi_pm_timer();
	uint32_t first, i;

	if (port == 0) {
		report_skip("no FADT, or none with a PM timer");
		return;
	}
	first = inl(port);
	for (i = 0; i < 100000 && inl(port) == first; i++)
		cpu_pause();
	report(i < 100000, "PM timer runs");
}

static void test_lapic_count(void)
{
	static const uint8_t codes[] = { 0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa };
	bool ok = true;
	uint32_t a, b;

	lapic_write(APIC_LVT_TIMER, LVT_MASKED | VEC_TIMER);
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		lapic_write(APIC_TDCR, codes[i]);
		ok = ok && lapic_read(APIC_TDCR) == codes[i];
	}
	report(ok, "LAPIC divide configuration keeps its values");
	lapic_write(APIC_TDCR, 0x3);
	lapic_write(APIC_TMICT, 0xffffffff);
	a = lapic_read(APIC_TMCCT);
	delay_ticks(20000);
	b = lapic_read(APIC_TMCCT);
	report(a != 0 && b < a && lapic_read(APIC_TMICT) == 0xffffffff,
	       "LAPIC timer counts down while masked; the initial count stays");
	lapic_write(APIC_TMICT, 0);
	report(lapic_read(APIC_TMCCT) == 0, "initial count 0 stops it");
}

static void test_lapic_oneshot(void)
{
	bool ok;

	trap_count_reset(VEC_TIMER);
	lapic_write(APIC_TDCR, 0x3);
	lapic_write(APIC_LVT_TIMER, VEC_TIMER);
	lapic_write(APIC_TMICT, 2000);
	ok = trap_wait(VEC_TIMER, 1, PATIENCE);
	report(ok && lapic_read(APIC_TMCCT) == 0, "one-shot fires, the count is 0 then");
	trap_wait(VEC_TIMER, 2, 500000);
	report(trap_count(VEC_TIMER) == 1, "one-shot fires once");
	trap_count_reset(VEC_TIMER);
	lapic_write(APIC_TMICT, 20000);
	lapic_write(APIC_TMICT, 0);
	trap_wait(VEC_TIMER, 1, 1500000);
	report(trap_count(VEC_TIMER) == 0, "a stopped one-shot does not fire");
	lapic_write(APIC_LVT_TIMER, LVT_MASKED | VEC_TIMER);
	lapic_write(APIC_TMICT, 1000);
	trap_wait(VEC_TIMER, 1, 1000000);
	report(trap_count(VEC_TIMER) == 0, "a masked one-shot does not fire");
	lapic_write(APIC_LVT_TIMER, VEC_TIMER);
	trap_wait(VEC_TIMER, 1, 500000);
	report(trap_count(VEC_TIMER) == 0, "unmasking after the end does not fire");
	lapic_write(APIC_TDCR, 0xa);
	report(lapic_read(APIC_TMCCT) == 0, "another divide value after the end leaves the count 0");
	lapic_write(APIC_LVT_TIMER, LVT_PERIODIC | VEC_TIMER);
	report(lapic_read(APIC_TMCCT) == 0, "periodic mode after the end leaves the count 0");
	trap_wait(VEC_TIMER, 1, 500000);
	report(trap_count(VEC_TIMER) == 0, "and does not fire");
	lapic_write(APIC_LVT_TIMER, VEC_TIMER);
	lapic_write(APIC_TDCR, 0x3);
}

static void test_lapic_periodic(void)
{
	trap_count_reset(VEC_TIMER);
	lapic_write(APIC_LVT_TIMER, LVT_PERIODIC | VEC_TIMER);
	lapic_write(APIC_TMICT, 3000);
	report(trap_wait(VEC_TIMER, 10, PATIENCE), "periodic fires again and again");
	report(lapic_read(APIC_TMCCT) <= 3000, "periodic: the count is within the initial count");
	lapic_write(APIC_TMICT, 0);
	irq_window();
	trap_count_reset(VEC_TIMER);
	trap_wait(VEC_TIMER, 1, 500000);
	report(trap_count(VEC_TIMER) == 0, "initial count 0 ends periodic");
	lapic_write(APIC_LVT_TIMER, LVT_MASKED);
}

static void test_deadline(void)
{
	uint64_t when;
	bool ok;

	if ((cpuid(1, 0).ecx & BIT(24)) == 0) {
		report_skip("no TSC deadline");
		return;
	}
	lapic_write(APIC_LVT_TIMER, LVT_DEADLINE | VEC_TIMER);
	trap_count_reset(VEC_TIMER);
	report_xfail(!on_hypervisor(), "Bochs shares the variable with the other modes",
		     rdmsr(MSR_TSC_DEADLINE) == 0, "deadline: disarmed reads 0");
	when = rdtsc() + 200000;
	wrmsr(MSR_TSC_DEADLINE, when);
	report(rdmsr(MSR_TSC_DEADLINE) == when, "deadline: armed reads back");
	ok = trap_wait(VEC_TIMER, 1, PATIENCE);
	report(ok && rdtsc() >= when, "deadline: fires, not before its time");
	report_xfail(!on_hypervisor(), "Bochs leaves the MSR as it was", rdmsr(MSR_TSC_DEADLINE) == 0,
		     "deadline: reads 0 after firing");
	trap_wait(VEC_TIMER, 2, 500000);
	report(trap_count(VEC_TIMER) == 1, "deadline: fires once");
	trap_count_reset(VEC_TIMER);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() - 1);
	report(trap_wait(VEC_TIMER, 1, PATIENCE), "deadline in the past fires at once");
	trap_count_reset(VEC_TIMER);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 100000);
	wrmsr(MSR_TSC_DEADLINE, 0);
	trap_wait(VEC_TIMER, 1, 500000);
	report(trap_count(VEC_TIMER) == 0, "deadline: writing 0 disarms");
	lapic_write(APIC_TMICT, 1000);
	report(lapic_read(APIC_TMICT) == 0 && lapic_read(APIC_TMCCT) == 0,
	       "deadline mode: the initial count is not writable");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 100000);
	lapic_write(APIC_LVT_TIMER, VEC_TIMER);
	trap_wait(VEC_TIMER, 1, 500000);
	report(trap_count(VEC_TIMER) == 0, "leaving deadline mode disarms");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 1000);
	report(rdmsr(MSR_TSC_DEADLINE) == 0, "outside of deadline mode the MSR ignores writes");
	lapic_write(APIC_LVT_TIMER, LVT_MASKED);
}

void test_main(void)
{
	/* Masking a request that is already on its way to the CPU makes a spurious IRQ 7 or 15. */
	trap_set_handler(PIC_VECTOR + 7, trap_handler_nop);
	trap_set_handler(PIC_VECTOR + 15, trap_handler_nop);
	test_pit();
	test_pit_ioapic();
	test_rtc();
	test_pm_timer();
	if (!lapic_present()) {
		report_skip("no local APIC");
		return;
	}
	lapic_enable();
	trap_set_handler(VEC_TIMER, trap_handler_eoi);
	test_lapic_count();
	test_lapic_oneshot();
	test_lapic_periodic();
	test_deadline();
}
