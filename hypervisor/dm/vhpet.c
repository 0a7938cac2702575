/* SPDX-License-Identifier: BSD-3-Clause */
/* Counter, comparators and registers of the event timers. */
#include <dm/vhpet.h>
#include <lib/string.h>

#define REG_ID      0x000U
#define REG_CONFIG  0x010U
#define REG_STATUS  0x020U
#define REG_COUNTER 0x0F0U
#define REG_TIMER0  0x100U
#define TIMER_STEP  0x020U

#define PERIOD_FS (1000000000000000UL / VHPET_HZ)

#define CONFIG_ENABLE 0x1UL
#define CONFIG_LEGACY 0x2UL

#define TIMER_LEVEL    0x0002UL
#define TIMER_IRQ      0x0004UL
#define TIMER_PERIODIC 0x0008UL
#define TIMER_SET      0x0040UL
#define TIMER_32BIT    0x0100UL
#define TIMER_ROUTE    0x3E00UL
#define TIMER_KEPT     (TIMER_LEVEL | TIMER_IRQ | TIMER_PERIODIC | TIMER_SET | TIMER_32BIT | TIMER_ROUTE)
#define TIMER_CAPS     0x00F0000000000030UL /* GSIs 20 to 23; periodic, 64 bits */
#define ROUTE_CAPS     (TIMER_CAPS >> 32U)
#define ROUTE_SHIFT    9U

#define LEGACY_GSI0 2U /* IRQ 0: I/O APIC pin 2 */
#define LEGACY_GSI1 8U

void vhpet_init(struct vhpet *hpet)
{
	hpet->config = 0UL;
	hpet->status = 0UL;
	hpet->counter = 0UL;
	hpet->since = 0UL;
	(void)memset(hpet->timer, 0, sizeof(hpet->timer));
	for (uint32_t i = 0U; i < VHPET_TIMERS; i++) {
		hpet->timer[i].comparator = UINT64_MAX;
	}
}

static bool runs(const struct vhpet *hpet)
{
	return (hpet->config & CONFIG_ENABLE) != 0UL;
}

static uint64_t width(const struct vhpet_timer *timer)
{
	return ((timer->config & TIMER_32BIT) != 0UL) ? UINT32_MAX : UINT64_MAX;
}

/* @return clocks from counter value `counter` to the match behind it; one that is just now has been */
static uint64_t distance(const struct vhpet_timer *timer, uint64_t counter)
{
	const uint64_t clocks = (timer->comparator - counter) & width(timer);

	return (clocks == 0UL) ? width(timer) : clocks;
}

/* @return true if it matched within `elapsed` clocks after `counter` */
static bool advance_timer(struct vhpet_timer *timer, uint64_t counter, uint64_t elapsed)
{
	const uint64_t first = distance(timer, counter);

	if (first > elapsed) {
		return false;
	}
	if (((timer->config & TIMER_PERIODIC) != 0UL) && (timer->period != 0UL)) {
		const uint64_t times = (elapsed - first) / timer->period + 1UL;

		timer->comparator = (timer->comparator + times * timer->period) & width(timer);
	}
	return true;
}

uint32_t vhpet_advance(struct vhpet *hpet, uint64_t now)
{
	const uint64_t elapsed = runs(hpet) ? (now - hpet->since) : 0UL;
	uint32_t matched = 0U;

	for (uint32_t i = 0U; (i < VHPET_TIMERS) && (elapsed != 0UL); i++) {
		struct vhpet_timer *timer = &hpet->timer[i];

		if (advance_timer(timer, hpet->counter, elapsed) && ((timer->config & TIMER_IRQ) != 0UL)) {
			matched |= 1U << i;
			if (vhpet_is_level(hpet, i)) {
				hpet->status |= 1UL << i;
			}
		}
	}
	hpet->counter += elapsed;
	hpet->since = now;
	return matched;
}

uint64_t vhpet_next(const struct vhpet *hpet)
{
	uint64_t next = VHPET_NEVER;

	for (uint32_t i = 0U; (i < VHPET_TIMERS) && runs(hpet); i++) {
		const uint64_t clocks = distance(&hpet->timer[i], hpet->counter);

		if (((hpet->timer[i].config & TIMER_IRQ) != 0UL) && (clocks < VHPET_NEVER - hpet->since)) {
			next = MIN(next, hpet->since + clocks);
		}
	}
	return next;
}

bool vhpet_is_level(const struct vhpet *hpet, uint32_t n)
{
	/* On the legacy route they are edges, whatever the timer says (2.3.9.2). */
	return ((hpet->timer[n].config & TIMER_LEVEL) != 0UL) && !(vhpet_replaces_legacy(hpet) && (n < 2U));
}

bool vhpet_replaces_legacy(const struct vhpet *hpet)
{
	return (hpet->config & CONFIG_LEGACY) != 0UL;
}

uint32_t vhpet_gsi(const struct vhpet *hpet, uint32_t n)
{
	if (vhpet_replaces_legacy(hpet) && (n < 2U)) {
		return (n == 0U) ? LEGACY_GSI0 : LEGACY_GSI1;
	}
	return (uint32_t)((hpet->timer[n].config & TIMER_ROUTE) >> ROUTE_SHIFT);
}

uint64_t vhpet_read(const struct vhpet *hpet, uint32_t offset)
{
	const uint32_t n = (offset - REG_TIMER0) / TIMER_STEP;

	switch (offset) {
	case REG_ID:
		return (PERIOD_FS << 32U) | VHPET_ID;
	case REG_CONFIG:
		return hpet->config;
	case REG_STATUS:
		return hpet->status;
	case REG_COUNTER:
		return hpet->counter;
	default:
		break;
	}
	if ((offset < REG_TIMER0) || (n >= VHPET_TIMERS)) {
		return 0UL;
	}
	switch (offset % TIMER_STEP) {
	case 0U:
		return hpet->timer[n].config | TIMER_CAPS;
	case 8U:
		return hpet->timer[n].comparator;
	default: /* no interrupts by message */
		return 0UL;
	}
}

static uint64_t merge(uint64_t old, uint64_t value, uint64_t mask)
{
	return (old & ~mask) | (value & mask);
}

static void write_config(struct vhpet *hpet, uint32_t n, uint64_t value, uint64_t mask)
{
	struct vhpet_timer *timer = &hpet->timer[n];
	uint64_t config = merge(timer->config, value, mask) & TIMER_KEPT;

	/* A route that it does not have is not taken: that is how software finds out. */
	if (((ROUTE_CAPS >> ((config & TIMER_ROUTE) >> ROUTE_SHIFT)) & 1UL) == 0UL) {
		config = (config & ~TIMER_ROUTE) | (timer->config & TIMER_ROUTE);
	}
	timer->config = config;
	timer->comparator &= width(timer);
	timer->period &= width(timer);
	if (!vhpet_is_level(hpet, n)) {
		hpet->status &= ~(1UL << n);
	}
}

/* 2.3.9.2.2: in periodic mode the write is the period, the next match only if the guest has said so just before. */
static void write_comparator(struct vhpet_timer *timer, uint64_t value, uint64_t mask)
{
	const bool periodic = (timer->config & TIMER_PERIODIC) != 0UL;

	if (!periodic || ((timer->config & TIMER_SET) != 0UL)) {
		timer->comparator = merge(timer->comparator, value, mask) & width(timer);
	}
	if (periodic) {
		timer->period = merge(timer->period, value, mask) & width(timer);
	}
	timer->config &= ~TIMER_SET;
}

void vhpet_write(struct vhpet *hpet, uint32_t offset, uint64_t value, uint64_t mask)
{
	const uint32_t n = (offset - REG_TIMER0) / TIMER_STEP;

	switch (offset) {
	case REG_CONFIG:
		hpet->config = merge(hpet->config, value, mask) & (CONFIG_ENABLE | CONFIG_LEGACY);
		break;
	case REG_STATUS:
		hpet->status &= ~(value & mask);
		break;
	case REG_COUNTER:
		if (!runs(hpet)) {
			hpet->counter = merge(hpet->counter, value, mask);
		}
		break;
	default:
		if ((offset >= REG_TIMER0) && (n < VHPET_TIMERS)) {
			if (offset % TIMER_STEP == 0U) {
				write_config(hpet, n, value, mask);
			} else if (offset % TIMER_STEP == 8U) {
				write_comparator(&hpet->timer[n], value, mask);
			}
		}
		break;
	}
}
