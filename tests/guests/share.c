/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much of its CPU a busy guest gets: the TSC jumps where somebody else had it. Word share=PERCENT: so much, within
 * three, while others are busy for as long.
 */
#include <guests/lib/guest.h>

const char subject_name[] = "share";

#define MARGIN_TICKS	10000000UL	/* before and after: others may start and end at other times */
#define MEASURED_TICKS	100000000UL
#define JUMP		3000UL		/* more than a turn of the loop, and than an exit that is handled */

/* Busy until the TSC says @end. @return ticks that somebody else had */
static uint64_t busy(uint64_t end)
{
	uint64_t lost = 0, last = rdtsc();

	while (last < end) {
		const uint64_t now = rdtsc();

		if (now - last > JUMP)
			lost += now - last;
		last = now;
	}
	return lost;
}

void test_main(void)
{
	char word[8];
	uint64_t start, lost, percent, want = 100;

	if (boot_option("share", word, sizeof(word))) {
		want = 0;
		for (const char *c = word; *c >= '0' && *c <= '9'; c++)
			want = want * 10 + (uint64_t)(*c - '0');
	}
	(void)busy(rdtsc() + MARGIN_TICKS);
	start = rdtsc();
	lost = busy(start + MEASURED_TICKS);
	percent = 100 - lost * 100 / (rdtsc() - start);
	(void)busy(rdtsc() + 3 * MARGIN_TICKS);
	report_info("%lu percent, %lu instructions of %lu", percent, MEASURED_TICKS - lost, MEASURED_TICKS);
	report(percent + 3 >= want && percent <= want + 3, "the CPU for %lu percent of the time", want);
}
