/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 8254 and port 0x61: access modes, latch and read-back, what each counter mode does to count and output, BCD, the
 * gate of channel 2. Data sheet 231164; PIIX3 for port 0x61.
 */
#include <guests/lib/guest.h>
#include <guests/lib/pit.h>

const char subject_name[] = "pit";

#define CH2		2U
#define CONTROL(ch, access, mode, bcd)	((uint8_t)((ch) << 6 | (access) << 4 | (mode) << 1 | (bcd)))
#define ACCESS_LOW	1U
#define ACCESS_HIGH	2U
#define ACCESS_BOTH	3U
#define READ_BACK(count, status, channels)	\
	((uint8_t)(0xc0 | ((count) ? 0 : 0x20) | ((status) ? 0 : 0x10) | (channels)))
#define STATUS_OUT	0x80U
#define STATUS_NULL	0x40U
#define GATE		0x01U
#define SPEAKER		0x02U
#define REFRESH		0x10U
#define OUT2		0x20U
#define TRIES		20
#define CLOCKS(n)	((uint64_t)(n) * tsc_per_clock)

static uint64_t tsc_per_clock;

static void gate(bool on)
{
	outb(PIT_GATE, (uint8_t)((inb(PIT_GATE) & ~(GATE | SPEAKER)) | (on ? GATE : 0)));
}

static bool out2(void)
{
	return (inb(PIT_GATE) & OUT2) != 0;
}

static uint8_t status(unsigned int ch)
{
	outb(PIT_CONTROL, READ_BACK(false, true, 2U << ch));
	return inb((uint16_t)(PIT_CH0 + ch));
}

static void set2(unsigned int mode, uint16_t count)
{
	pit_set(CH2, mode, count);
}

static void wait_clocks(unsigned int n)
{
	delay_ticks(CLOCKS(n));
}

static void test_access(void)
{
	unsigned int low, high;

	gate(false);
	outb(PIT_CONTROL, CONTROL(CH2, ACCESS_LOW, 0, 0));
	outb(PIT_CH2, 0x34);
	wait_clocks(4);
	report(inb(PIT_CH2) == 0x34 && inb(PIT_CH2) == 0x34, "low byte only: it stands alone");
	report((status(CH2) & 0x3f) == 0x10, "status: low byte only, mode 0");
	outb(PIT_CONTROL, CONTROL(CH2, ACCESS_HIGH, 0, 0));
	outb(PIT_CH2, 0x56);
	wait_clocks(4);
	report(inb(PIT_CH2) == 0x56 && inb(PIT_CH2) == 0x56, "high byte only");
	set2(0, 0x1234);
	wait_clocks(4);
	low = inb(PIT_CH2);
	high = inb(PIT_CH2);
	report(low == 0x34 && high == 0x12, "both bytes, low first");
	low = inb(PIT_CH2);
	outb(PIT_CONTROL, CONTROL(CH2, ACCESS_BOTH, 0, 0));
	outb(PIT_CH2, 0x78);
	outb(PIT_CH2, 0x56);
	wait_clocks(4);
	report(inb(PIT_CH2) == 0x78 && inb(PIT_CH2) == 0x56, "a control word begins anew with the low byte");
}

static void test_latch(void)
{
	unsigned int a, b, c;

	gate(true);
	set2(2, 0xffff);
	wait_clocks(10);
	outb(PIT_CONTROL, CONTROL(CH2, 0, 0, 0));
	wait_clocks(50);
	outb(PIT_CONTROL, CONTROL(CH2, 0, 0, 0));	/* ignored: one is latched */
	a = inb(PIT_CH2);
	a |= (unsigned int)inb(PIT_CH2) << 8;
	b = pit_count(CH2);
	report(b < a && a - b >= 40, "a latched count stays until it is read");
	outb(PIT_CONTROL, READ_BACK(true, true, 2U << CH2));
	c = inb(PIT_CH2);
	report((c & 0x3f) == 0x34, "read-back of both: the status first");
	a = inb(PIT_CH2);
	a |= (unsigned int)inb(PIT_CH2) << 8;
	report(a <= b && a != 0, "... then the count");
	outb(PIT_CONTROL, READ_BACK(true, false, 0x2U | 0x8U));
	wait_clocks(30);
	b = inb(PIT_CH2);
	b |= (unsigned int)inb(PIT_CH2) << 8;
	report(b <= a, "read-back of two channels at once");
	inb(PIT_CH0);
	inb(PIT_CH0);
	gate(false);
	outb(PIT_CONTROL, CONTROL(CH2, ACCESS_BOTH, 0, 0));
	report((status(CH2) & STATUS_NULL) != 0, "status: null count before a count is written");
	outb(PIT_CH2, 0x10);
	outb(PIT_CH2, 0);
	wait_clocks(4);
	report((status(CH2) & STATUS_NULL) == 0, "... not after it is loaded");
}

static void test_modes(void)
{
	uint16_t a, b;
	bool low = false, high = false;

	/* Nothing is printed while a count runs: a line takes thousands of clocks. */
	gate(true);
	set2(0, 50000);
	low = !out2();
	wait_clocks(100);
	gate(false);
	wait_clocks(4);
	a = pit_count(CH2);
	wait_clocks(100);
	b = pit_count(CH2);
	report(low, "mode 0: output low while it counts");
	report(a == b && a < 50000 && pit_count(CH2) == a, "mode 0: the gate stops the count");
	gate(true);
	set2(0, 2000);
	wait_clocks(2500);
	high = out2() && (status(CH2) & STATUS_OUT) != 0;
	a = pit_count(CH2);
	set2(0, 50000);
	low = !out2();
	report(high, "mode 0: output high at zero, in the status too");
	report(a > 2000, "mode 0: it counts on below zero");
	report(low, "mode 0: a new count takes the output down");
	low = high = false;

	gate(false);
	set2(1, 60000);
	wait_clocks(600);
	report(out2(), "mode 1: output high until the gate rises");
	gate(true);
	wait_clocks(20);
	report(!out2(), "mode 1: the gate's rise starts it");
	wait_clocks(65000);
	report(out2(), "mode 1: high again at the end");

	gate(true);
	set2(2, 1000);
	wait_clocks(10);
	a = pit_count(CH2);
	report(a > 0 && a <= 1000 && out2(), "mode 2: output high");
	wait_clocks(1500);
	a = pit_count(CH2);
	report(a > 0 && a <= 1000, "mode 2: starts over");
	gate(false);
	report(out2(), "mode 2: output high with the gate low");

	gate(true);
	set2(3, 1000);
	for (unsigned int i = 0; i < 40; i++) {
		wait_clocks(77);
		if (out2())
			high = true;
		else
			low = true;
		a = pit_count(CH2);
		if (a > 1000 || (a & 1) != 0)
			report(false, "mode 3: counts by twos from the count: %u", a);
	}
	report(low && high, "mode 3: a square wave");
	gate(false);
	report(out2(), "mode 3: output high with the gate low");

	gate(true);
	set2(4, 500);
	report(out2(), "mode 4: output high");
	wait_clocks(700);
	a = pit_count(CH2);
	report(out2() && a > 500, "mode 4: high but for one clock, and it counts on");
	set2(6, 1000);
	report((status(CH2) & 0x0e) == 0x04 || (status(CH2) & 0x0e) == 0x0c, "mode 6 is mode 2");
}

static void test_bcd(void)
{
	unsigned int v;
	bool ok = true;

	gate(true);
	outb(PIT_CONTROL, CONTROL(CH2, ACCESS_BOTH, 2, 1));
	outb(PIT_CH2, 0x00);
	outb(PIT_CH2, 0x10);	/* 1000 */
	for (unsigned int i = 0; i < 30; i++) {
		wait_clocks(61);
		v = pit_count(CH2);
		for (unsigned int shift = 0; shift < 16; shift += 4)
			ok = ok && (v >> shift & 0xf) <= 9;
		ok = ok && v <= 0x1000 && v != 0;
	}
	report(ok && (status(CH2) & 1) != 0, "BCD: decimal digits, at most the count");
}

static void test_port61(void)
{
	uint8_t saved = inb(PIT_GATE), v;
	unsigned int changes = 0;

	outb(PIT_GATE, (uint8_t)((saved & 0xfc) | GATE));
	report((inb(PIT_GATE) & 3) == GATE, "port 0x61 keeps the gate");
	outb(PIT_GATE, (uint8_t)((saved & 0xfc) | SPEAKER));
	report((inb(PIT_GATE) & 3) == SPEAKER, "port 0x61 keeps the speaker");
	outb(PIT_GATE, (uint8_t)(saved & 0xfc));
	v = inb(PIT_GATE);
	for (unsigned int i = 0; i < 20000 && changes < 10; i++) {
		uint8_t now = inb(PIT_GATE);

		if (((now ^ v) & REFRESH) != 0)
			changes++;
		v = now;
	}
	report(changes >= 10, "port 0x61: the refresh bit toggles");
	outb(PIT_GATE, saved);
}

/* Once in some tries: another VM may have the CPU just then. */
static void test_rate(void)
{
	bool ok = false;

	for (unsigned int i = 0; i < TRIES && !ok; i++) {
		uint64_t start, ticks;
		uint16_t a, b;

		pit_set(0, 2, 0xffff);
		wait_clocks(10);
		a = pit_count(0);
		start = rdtsc();
		wait_clocks(2000);
		b = pit_count(0);
		ticks = (rdtsc() - start) / tsc_per_clock;
		ok = a > b && (uint64_t)(a - b) > ticks * 9 / 10 && (uint64_t)(a - b) < ticks * 11 / 10 + 100;
	}
	report(ok, "channel 0 runs as fast as channel 2");
}

/* TSC ticks in a clock: the median, as another VM may have the CPU at either end of some measurements. */
static uint64_t measure(void)
{
	uint64_t sorted[TRIES + 1];

	for (unsigned int i = 0; i <= TRIES; i++) {
		uint64_t ticks = pit_measure_tsc(1000) * 1000 / PIT_HZ;
		unsigned int at = i;

		for (; at > 0 && sorted[at - 1] > ticks; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = ticks;
	}
	return sorted[TRIES / 2];
}

void test_main(void)
{
	if (!pit_present()) {
		report_skip("no PIT");
		return;
	}
	tsc_per_clock = measure();
	if (tsc_per_clock == 0) {
		report(false, "channel 2 measures the TSC");
		return;
	}
	test_access();
	test_latch();
	test_modes();
	test_bcd();
	test_port61();
	test_rate();
}
