/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MC146818 and its CMOS memory: time in BCD and binary, 12 and 24 hours, SET, the update cycle, alarm, periodic
 * and update interrupts with register C, memory. Data sheet MC146818A; PIIX3 wires it to IRQ 8.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/pic.h>
#include <guests/lib/rtc.h>

const char subject_name[] = "rtc";

#define RTC_SECONDS_ALARM	0x01
#define RTC_MINUTES		0x02
#define RTC_MINUTES_ALARM	0x03
#define RTC_HOURS		0x04
#define RTC_HOURS_ALARM		0x05
#define RTC_WEEKDAY		0x06
#define RTC_DAY			0x07
#define RTC_MONTH		0x08
#define RTC_YEAR		0x09
#define RTC_NVRAM		0x60	/* the firmware does not mind */
#define A_UIP			0x80
#define B_SET			0x80
#define B_AIE			0x20
#define B_BINARY		0x04
#define B_24H			0x02
#define C_IRQ			0x80
#define C_AF			0x20
#define C_UF			0x10
#define ANY			0xc0
#define VEC_RTC			(PIC_VECTOR + 8)
#define VEC_NAP			0x50U
#define NAP_COUNT		400000U
#define PATIENCE		400000000UL	/* a second is 100 million ticks in the simulator */

static uint8_t b_saved, a_saved;

static bool is_bcd(uint8_t v)
{
	return (v & 0xf) <= 9 && v >> 4 <= 9;
}

static void set_time(uint8_t h, uint8_t m, uint8_t s)
{
	uint8_t b = rtc_read(RTC_B);

	rtc_write(RTC_B, b | B_SET);
	rtc_write(RTC_HOURS, h);
	rtc_write(RTC_MINUTES, m);
	rtc_write(RTC_SECONDS, s);
	rtc_write(RTC_B, b & (uint8_t)~B_SET);
}

/* A few milliseconds: a simulator has little to do then. */
static void nap(void)
{
	if (!lapic_present())
		return;
	lapic_write(APIC_TMICT, NAP_COUNT);
	sti_hlt_cli();
}

/* Until the second changes. */
static bool next_second(void)
{
	uint64_t start = rdtsc();
	uint8_t s = rtc_read(RTC_SECONDS);

	while (rtc_read(RTC_SECONDS) == s) {
		if (rdtsc() - start > PATIENCE)
			return false;
		nap();
	}
	return true;
}

static void test_registers(void)
{
	bool ok = true;

	report(rtc_read(RTC_D) == 0x80, "register D: the battery is good");
	rtc_write(RTC_D, 0);
	report(rtc_read(RTC_D) == 0x80, "register D is read-only");
	for (unsigned int v = 0; v < 256; v += 51) {
		rtc_write(RTC_NVRAM, (uint8_t)v);
		ok = ok && rtc_read(RTC_NVRAM) == v;
	}
	report(ok, "memory keeps what is written");
	rtc_write(RTC_NVRAM, 0x5a);
	rtc_write(RTC_NVRAM + 1, 0xa5);
	report(rtc_read(RTC_NVRAM) == 0x5a && rtc_read(RTC_NVRAM + 1) == 0xa5, "each byte for itself");
	outb(0x70, 0x80 | RTC_D);
	report(inb(0x71) == 0x80, "bit 7 of the index is not part of it");
	report(is_bcd(rtc_read(RTC_SECONDS)) && is_bcd(rtc_read(RTC_MINUTES)) && is_bcd(rtc_read(RTC_DAY)) &&
	       is_bcd(rtc_read(RTC_MONTH)) && is_bcd(rtc_read(RTC_YEAR)) && (b_saved & B_BINARY) == 0,
	       "the time is BCD");
	report(rtc_read(RTC_DAY) >= 1 && rtc_read(RTC_MONTH) >= 1 && rtc_read(RTC_MONTH) <= 0x12,
	       "day and month exist");
}

static void test_time(void)
{
	uint64_t start;

	set_time(0x12, 0x34, 0x56);
	report(rtc_read(RTC_HOURS) == 0x12 && rtc_read(RTC_MINUTES) == 0x34 && rtc_read(RTC_SECONDS) - 0x56U < 2,
	       "the time can be set");
	report(next_second(), "the clock runs");
	set_time(0x13, 0x59, 0x59);
	report(next_second() && rtc_read(RTC_HOURS) == 0x14 && rtc_read(RTC_MINUTES) == 0 && rtc_read(RTC_SECONDS) == 0,
	       "an hour goes over");
	rtc_write(RTC_B, b_saved | B_SET);
	rtc_write(RTC_SECONDS, 0x30);
	for (start = rdtsc(); rdtsc() - start < PATIENCE / 3;)
		nap();
	report(rtc_read(RTC_SECONDS) == 0x30 && (rtc_read(RTC_A) & A_UIP) == 0, "SET stops the clock");
	rtc_write(RTC_B, (uint8_t)((b_saved | B_BINARY | B_24H) & ~B_SET));
	set_time(23, 59, 57);
	report(rtc_read(RTC_HOURS) == 23 && rtc_read(RTC_MINUTES) == 59, "binary");
	rtc_write(RTC_B, (uint8_t)((b_saved | B_BINARY) & ~(B_SET | B_24H)));
	set_time(0x80 | 11, 10, 20);
	report(rtc_read(RTC_HOURS) == (0x80 | 11), "12 hours: PM is bit 7");
	set_time(0x80 | 12, 59, 59);
	report(next_second() && rtc_read(RTC_HOURS) == (0x80 | 1), "12 hours: one comes after twelve");
	rtc_write(RTC_B, b_saved);
	set_time(0x12, 0, 0);
}

static void on_rtc(struct trap *t)
{
	(void)t;
	rtc_read(RTC_C);
	pic_eoi(8);
}

static void test_flags(void)
{
	uint64_t start;
	bool uip = false;

	rtc_read(RTC_C);
	report_xfail(!on_hypervisor(), "Bochs wants UIE", next_second() && (rtc_read(RTC_C) & C_UF) != 0,
		     "an update sets UF, without UIE too");
	report((rtc_read(RTC_C) & C_UF) == 0, "reading register C clears it");
	for (start = rdtsc(); rdtsc() - start < PATIENCE / 5;)
		nap();	/* most of a second; UIP is up for its last milliseconds */
	start = rdtsc();
	while (!uip && rdtsc() - start < PATIENCE)
		uip = (rtc_read(RTC_A) & A_UIP) != 0;
	report(uip, "UIP is seen before an update");
	rtc_write(RTC_A, (a_saved & 0xf0) | 6);
	rtc_read(RTC_C);
	delay_ticks(PATIENCE / 40);
	report_xfail(!on_hypervisor(), "Bochs wants PIE", (rtc_read(RTC_C) & (RTC_C_PF | C_IRQ)) == RTC_C_PF,
		     "the periodic flag, without PIE: no IRQ bit");
	rtc_write(RTC_A, a_saved & 0xf0);
	rtc_read(RTC_C);
	delay_ticks(PATIENCE / 40);
	report((rtc_read(RTC_C) & RTC_C_PF) == 0, "rate 0: none");
	rtc_write(RTC_A, a_saved);
}

static bool sleep_until(unsigned int vec)
{
	uint64_t start = rdtsc();

	while (trap_count(vec) == 0 && rdtsc() - start < PATIENCE)
		nap();
	return trap_count(vec) != 0;
}

static void test_interrupts(void)
{
	unsigned int count;

	trap_set_handler(VEC_RTC, on_rtc);
	pic_mask(2, false);
	pic_mask(8, false);
	rtc_read(RTC_C);
	/* 1024 a second. */
	rtc_write(RTC_A, (a_saved & 0xf0) | 6);
	rtc_write(RTC_B, b_saved | RTC_B_PIE);
	trap_count_reset(VEC_RTC);
	report(trap_wait(VEC_RTC, 5, PATIENCE), "periodic interrupts");
	rtc_write(RTC_B, b_saved);
	rtc_write(RTC_A, a_saved);
	irq_window();
	rtc_read(RTC_C);
	trap_count_reset(VEC_RTC);
	rtc_write(RTC_B, b_saved | RTC_B_UIE);
	report(sleep_until(VEC_RTC), "update-ended interrupt");
	count = trap_count(VEC_RTC);
	report(count == 1, "one for a second");
	rtc_write(RTC_B, b_saved);

	rtc_write(RTC_SECONDS_ALARM, 0x03);
	rtc_write(RTC_MINUTES_ALARM, ANY);
	rtc_write(RTC_HOURS_ALARM, ANY);
	set_time(0x12, 0x30, 0x01);
	rtc_read(RTC_C);
	trap_count_reset(VEC_RTC);
	rtc_write(RTC_B, b_saved | B_AIE);
	report(sleep_until(VEC_RTC) && rtc_read(RTC_SECONDS) == 0x03, "an alarm, minutes and hours any");
	rtc_write(RTC_B, b_saved);
	/* Without reading register C the line stays up: no further edge. */
	trap_set_handler(VEC_RTC, trap_handler_nop);
	rtc_read(RTC_C);
	pic_mask(8, true);
	pic_mask(2, true);
	trap_set_handler(VEC_RTC, NULL);
}

void test_main(void)
{
	if (!rtc_present()) {
		report_skip("no RTC");
		return;
	}
	pic_init();
	if (lapic_present()) {
		lapic_enable();
		lapic_write(APIC_LVT_LINT0, LVT_EXTINT);	/* the PIC's way in */
		lapic_write(APIC_LVT_TIMER, VEC_NAP);
		trap_set_handler(VEC_NAP, trap_handler_eoi);
	}
	a_saved = rtc_read(RTC_A) & 0x7f;
	b_saved = rtc_read(RTC_B) & (uint8_t)~(RTC_B_PIE | B_AIE | RTC_B_UIE | B_SET);
	rtc_write(RTC_B, b_saved);
	test_registers();
	test_time();
	test_flags();
	test_interrupts();
}
