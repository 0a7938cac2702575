/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * High precision event timers: counter, comparators, edge and level, periodic, legacy route. IA-PC HPET
 * Specification 1.0a. The machine has them if its ACPI says so.
 */
#include <guests/lib/acpi.h>
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/ioapic.h>
#include <guests/lib/pit.h>

const char subject_name[] = "hpet";

#define VEC		0x53U
#define PATIENCE	300000000UL

static uint64_t base;
static uint64_t hz;

static uint64_t rd(unsigned int reg)
{
	return *(volatile uint64_t *)(base + reg);
}

static void wr(unsigned int reg, uint64_t value)
{
	*(volatile uint64_t *)(base + reg) = value;
}

/* The first route that timer @n can have, 0 when there is none. */
static unsigned int route(unsigned int n)
{
	uint32_t routes = (uint32_t)(rd(0x100 + 0x20 * n) >> 32);

	for (unsigned int i = 1; i < 32; i++) {
		if ((routes & BIT(i)) != 0 && i < ioapic_pins())
			return i;
	}
	return 0;
}

static void test_counter(void)
{
	uint64_t first, second, tsc = 0;

	wr(0x10, 0);
	wr(0xf0, 0x123456789aUL);
	report(rd(0xf0) == 0x123456789aUL, "a halted counter can be set and stands");
	report(mmio_read32(base + 0xf4) == 0x12 && mmio_read32(base + 0xf0) == 0x3456789a, "its halves");
	wr(0x10, 1);
	first = rd(0xf0);
	tsc = pit_measure_tsc(20000);
	second = rd(0xf0);
	report(first >= 0x123456789aUL && second > first, "it runs");
	report(tsc == 0 || ((second - first) * 50 > hz * 9 / 10 && (second - first) * 50 < hz * 15 / 10),
	       "20 ms of the interval timer are 20 ms of it");
}

/* More in one instruction than a hypervisor does at once; and over the end, where only it has a rule: nobody's. */
static void test_whole(void)
{
	static uint32_t all[0x400 / 4];
	void *to = all;
	uint64_t from = base, count = ARRAY_SIZE(all);

	wr(0x10, 0);
	__asm__ volatile("cld\n\trep movsl" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
	report(count == 0 && from == base + 0x400 && all[0] == mmio_read32(base) &&
	       all[0xf0 / 4] == mmio_read32(base + 0xf0),
	       "all its registers in one REP MOVSD");
	wr(0x10, 1);
	if (!on_hypervisor())
		return;
	report(*(volatile uint64_t *)(base + 0x3fc) == ~0UL, "a read over its end: ones");
	*(volatile uint64_t *)(base + 0x3fc) = 0;
	report((rd(0x10) & 1) != 0, "a write over its end is lost");
}

/* A level lasts until the status bit is cleared. */
static void handler_level(struct trap *t)
{
	(void)t;
	wr(0x20, 7);
	lapic_eoi();
}

/*
 * Comparator and period are set with the counter halted: another VM may have the CPU's next slice, and a comparator
 * that is past when it is written matches when the counter comes round again.
 */
static void count_on(void)
{
	wr(0x10, rd(0x10) | 1);
}

static void halt_count(void)
{
	wr(0x10, rd(0x10) & ~1UL);
}

static void test_interrupt(unsigned int n, bool level)
{
	unsigned int gsi = route(n), timer = 0x100 + 0x20 * n;

	if (gsi == 0) {
		report_skip("timer %u has no route to the I/O APIC", n);
		return;
	}
	ioapic_set_rte(gsi, VEC | RTE_DEST(lapic_id()) | (level ? RTE_LEVEL : 0));
	trap_count_reset(VEC);
	wr(timer, ((uint64_t)gsi << 9) | (level ? 2 : 0) | 4);
	halt_count();
	wr(timer + 8, rd(0xf0) + hz / 1000);
	count_on();
	if (level) {
		trap_set_handler(VEC, handler_level);
		for (unsigned int i = 0; i < 1000000 && (rd(0x20) & BIT(n)) == 0; i++)
			;
		report((rd(0x20) & BIT(n)) != 0, "timer %u, level: its status bit", n);
		report(trap_wait(VEC, 1, PATIENCE), "and its interrupt");
		report(rd(0x20) == 0, "acknowledged by a one");
		wr(timer, 0);
		irq_window();
		report(trap_count(VEC) == 1, "and not again");
		trap_set_handler(VEC, trap_handler_eoi);
	} else {
		report(trap_wait(VEC, 1, PATIENCE), "timer %u, edge: one interrupt", n);
		wr(timer, 0);
		report(rd(0x20) == 0, "and no status bit");
	}
	ioapic_mask_all();
}

static void test_legacy(void)
{
	if ((rd(0) & 0x8000) == 0) {
		report_skip("no legacy route");
		return;
	}
	/* The interval timer would do it, too: it is cut off, and these come faster. */
	pit_set(0, 2, 0xffff);
	ioapic_set_rte(ioapic_isa_pin(0), VEC | RTE_DEST(lapic_id()));
	trap_count_reset(VEC);
	wr(0x10, 2);
	wr(0x100, 0x4c);
	wr(0x108, rd(0xf0) + hz / 1000);
	wr(0x108, hz / 1000);
	count_on();
	report(trap_wait(VEC, 10, PATIENCE), "timer 0, periodic, in place of IRQ 0");
	wr(0x100, 0);
	irq_window();
	trap_count_reset(VEC);
	report(!trap_wait(VEC, 1, hz / 5), "the interval timer is cut off");
	wr(0x10, 1);
	report(trap_wait(VEC, 1, PATIENCE), "and comes back");
	ioapic_mask_all();
}

void test_main(void)
{
	const uint8_t *table = acpi_find("HPET");
	uint64_t period;

	if (table == NULL) {
		report_skip("no HPET");
		return;
	}
	memcpy(&base, table + 44, sizeof(base));
	period = rd(0) >> 32;
	report(period != 0 && period <= 100000000, "its period is 100 ns or less");
	report(((rd(0) >> 8) & 0x1f) >= 2, "three timers");
	report(mmio_read32(base) == *(const uint32_t *)(table + 36), "ACPI tells its id");
	wr(0, 0);
	report(rd(0) >> 32 == period, "the id cannot be written");
	hz = period == 0 ? 1 : 1000000000000000UL / period;
	trap_set_handler(VEC, trap_handler_eoi);
	lapic_enable();
	test_counter();
	test_whole();
	for (unsigned int n = 0; n < 3; n++)
		test_interrupt(n, false);
	test_interrupt(2, true);
	test_legacy();
	wr(0x10, 0);
}
