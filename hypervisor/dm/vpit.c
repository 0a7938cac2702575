/* SPDX-License-Identifier: BSD-3-Clause */
/* An 8254 as a function of time. The section names are those of the data sheet (231164). */
#include <dm/vpit.h>

#define CTRL_OFFSET  3U
#define ACCESS_LATCH 0U
#define ACCESS_BOTH  3U
#define READ_BACK    3U
#define RB_NO_COUNT  0x20U
#define RB_NO_STATUS 0x10U
#define STATUS_OUT   0x80U
#define STATUS_NULL  0x40U

#define P61_GATE2      0x01U
#define P61_KEPT       0x03U
#define P61_REFRESH    0x10U
#define P61_OUT2       0x20U
#define REFRESH_CLOCKS 18U /* 15 us */

static uint32_t full(const struct vpit_channel *c)
{
	return c->bcd ? 10000U : 65536U;
}

static uint32_t from_bcd(uint32_t v)
{
	return (v & 0xFU) + 10U * ((v >> 4U) & 0xFU) + 100U * ((v >> 8U) & 0xFU) + 1000U * ((v >> 12U) & 0xFU);
}

static uint32_t to_bcd(uint32_t v)
{
	return (v % 10U) | (((v / 10U) % 10U) << 4U) | (((v / 100U) % 10U) << 8U) | (((v / 1000U) % 10U) << 12U);
}

static bool is_periodic(const struct vpit_channel *c)
{
	return (c->mode == 2U) || (c->mode == 3U);
}

static bool is_triggered_mode(const struct vpit_channel *c)
{
	return (c->mode == 1U) || (c->mode == 5U);
}

/* Clocks counted since the load. The gate stops modes 0 and 4; in modes 2 and 3 it holds the chip at the start. */
static uint64_t elapsed(const struct vpit_channel *c, uint64_t now)
{
	if (!c->gate && !is_triggered_mode(c)) {
		return is_periodic(c) ? 0UL : c->held;
	}
	return (now > c->start) ? (now - c->start) : 0UL;
}

/* Modes 2 and 3: a count that was written while the counter ran takes effect when its period is over. */
static void settle(struct vpit_channel *c, uint64_t now)
{
	if ((c->next != 0U) && (elapsed(c, now) >= c->count)) {
		c->start += c->count;
		c->count = c->next;
		c->next = 0U;
	}
}

static uint32_t count_now(struct vpit_channel *c, uint64_t now)
{
	const uint64_t e = elapsed(c, now);
	uint32_t phase;

	if (c->count == 0U) {
		return 0U;
	}
	phase = (uint32_t)(e % c->count);
	switch (c->mode) {
	case 2U:
		return c->count - phase;
	case 3U: /* by twos; an odd count is a clock longer high than low */
		if (phase < (c->count + 1U) / 2U) {
			return (c->count & ~1U) - MIN(2U * phase, c->count & ~1U);
		}
		return (c->count & ~1U) - MIN(2U * (phase - (c->count + 1U) / 2U), c->count & ~1U);
	default:
		if (is_triggered_mode(c) && !c->triggered) {
			return c->count;
		}
		/* Past 0 it goes on from the top. */
		return (uint32_t)((full(c) + c->count - (e % full(c))) % full(c));
	}
}

static uint16_t shown(const struct vpit_channel *c, uint32_t count)
{
	const uint32_t in_range = count % full(c);

	return (uint16_t)(c->bcd ? to_bcd(in_range) : in_range);
}

static bool out_now(struct vpit_channel *c, uint64_t now)
{
	const uint64_t e = elapsed(c, now);

	if (!c->loaded || (is_triggered_mode(c) && !c->triggered)) {
		return c->mode != 0U;
	}
	switch (c->mode) {
	case 0U:
	case 1U:
		return e >= c->count;
	case 2U:
		return !c->gate || ((e % c->count) != c->count - 1U);
	case 3U:
		return !c->gate || ((e % c->count) < (c->count + 1U) / 2U);
	default:
		return e != c->count; /* low for one clock */
	}
}

void vpit_init(struct vpit *vpit)
{
	for (uint32_t i = 0U; i < VPIT_CHANNELS; i++) {
		vpit->channel[i] = (struct vpit_channel){.access = ACCESS_BOTH, .gate = (i != 2U)};
	}
	vpit->speaker = 0U;
}

/* ---- Writes ---- */

static void load(struct vpit_channel *c, uint32_t value, uint64_t now)
{
	const uint32_t raw = c->bcd ? from_bcd(value) : value;
	const uint32_t count = (raw == 0U) ? full(c) : raw;

	if (is_periodic(c) && c->loaded) {
		settle(c, now);
		c->next = count;
		return;
	}
	if (is_triggered_mode(c) && c->triggered && (elapsed(c, now) < c->count)) {
		c->next = count; /* for the next trigger */
	} else {
		c->count = count;
	}
	c->loaded = true;
	if (!is_triggered_mode(c)) {
		c->start = now;
		c->held = 0UL;
	}
}

static void write_count(struct vpit_channel *c, uint8_t value, uint64_t now)
{
	switch (c->access) {
	case 1U:
		load(c, value, now);
		break;
	case 2U:
		load(c, (uint32_t)value << 8U, now);
		break;
	default:
		if (!c->write_high) {
			c->low = value;
			c->write_high = true;
			if (c->mode == 0U) {
				c->loaded = false; /* the first byte stops the counting, OUT falls */
			}
		} else {
			c->write_high = false;
			load(c, ((uint32_t)value << 8U) | c->low, now);
		}
		break;
	}
}

static void latch_count(struct vpit_channel *c, uint64_t now)
{
	if (c->latched == 0U) {
		c->latch = shown(c, count_now(c, now));
		c->latched = (c->access == ACCESS_BOTH) ? 2U : 1U;
	}
}

static void latch_status(struct vpit_channel *c, uint64_t now)
{
	if (!c->status_latched) {
		c->status = (uint8_t)((out_now(c, now) ? STATUS_OUT : 0U) |
			((!c->loaded || (c->next != 0U)) ? STATUS_NULL : 0U) | ((uint32_t)c->access << 4U) |
			((uint32_t)c->mode << 1U) | (c->bcd ? 1U : 0U));
		c->status_latched = true;
	}
}

static void read_back(struct vpit *vpit, uint8_t value, uint64_t now)
{
	for (uint32_t i = 0U; i < VPIT_CHANNELS; i++) {
		if ((value & (2U << i)) == 0U) {
			continue;
		}
		settle(&vpit->channel[i], now);
		if ((value & RB_NO_COUNT) == 0U) {
			latch_count(&vpit->channel[i], now);
		}
		if ((value & RB_NO_STATUS) == 0U) {
			latch_status(&vpit->channel[i], now);
		}
	}
}

static void write_control(struct vpit *vpit, uint8_t value, uint64_t now)
{
	const uint32_t index = value >> 6U;
	const uint8_t access = (value >> 4U) & 3U;
	const uint8_t mode = (value >> 1U) & 7U;
	struct vpit_channel *c;

	if (index == READ_BACK) {
		read_back(vpit, value, now);
		return;
	}
	c = &vpit->channel[index];
	settle(c, now);
	if (access == ACCESS_LATCH) {
		latch_count(c, now);
		return;
	}
	*c = (struct vpit_channel){
		.mode = (mode > 5U) ? (uint8_t)(mode - 4U) : mode, /* 6 and 7 are 2 and 3 */
		.access = access,
		.bcd = (value & 1U) != 0U,
		.gate = c->gate,
		.count = c->count,
		.start = now,
	};
}

void vpit_write(struct vpit *vpit, uint32_t offset, uint8_t value, uint64_t now)
{
	if (offset < VPIT_CHANNELS) {
		write_count(&vpit->channel[offset], value, now);
	} else if (offset == CTRL_OFFSET) {
		write_control(vpit, value, now);
	}
}

/* ---- Reads ---- */

uint8_t vpit_read(struct vpit *vpit, uint32_t offset, uint64_t now)
{
	struct vpit_channel *c;
	uint16_t value;

	if (offset >= VPIT_CHANNELS) {
		return 0xFFU;
	}
	c = &vpit->channel[offset];
	settle(c, now);
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	value = (c->latched != 0U) ? c->latch : shown(c, count_now(c, now));
	if (c->latched != 0U) {
		c->latched--;
	}
	if (c->access == ACCESS_BOTH) {
		c->read_high = !c->read_high;
		return (uint8_t)(c->read_high ? value : (value >> 8U));
	}
	return (uint8_t)((c->access == 1U) ? value : (value >> 8U));
}

bool vpit_out(struct vpit *vpit, uint32_t index, uint64_t now)
{
	settle(&vpit->channel[index], now);
	return out_now(&vpit->channel[index], now);
}

uint8_t vpit_read61(struct vpit *vpit, uint64_t now)
{
	return (uint8_t)(vpit->speaker | (((now / REFRESH_CLOCKS) % 2UL != 0UL) ? P61_REFRESH : 0U) |
		(vpit_out(vpit, 2U, now) ? P61_OUT2 : 0U));
}

void vpit_write61(struct vpit *vpit, uint8_t value, uint64_t now)
{
	struct vpit_channel *c = &vpit->channel[2];
	const bool gate = (value & P61_GATE2) != 0U;

	settle(c, now);
	vpit->speaker = value & P61_KEPT;
	if (gate == c->gate) {
		return;
	}
	if (!gate) {
		c->held = elapsed(c, now);
	} else if (is_periodic(c) || is_triggered_mode(c)) {
		c->start = now;
		c->triggered = c->loaded;
		if (c->next != 0U) {
			c->count = c->next;
			c->next = 0U;
		}
	} else {
		c->start = now - c->held;
	}
	c->gate = gate;
}

/* ---- The interrupt ---- */

uint64_t vpit_next_edge(struct vpit *vpit, uint64_t now)
{
	struct vpit_channel *c = &vpit->channel[0];
	uint64_t e;

	settle(c, now);
	if (!c->loaded || is_triggered_mode(c)) {
		return VPIT_NEVER; /* gate 0 is always high: it never rises */
	}
	e = elapsed(c, now);
	if (is_periodic(c)) {
		return c->start + ((e / c->count) + 1UL) * c->count;
	}
	/* Mode 4 is low for the clock in which it reaches 0. */
	if (e < c->count + ((c->mode == 4U) ? 1UL : 0UL)) {
		return c->start + c->count + ((c->mode == 4U) ? 1UL : 0UL);
	}
	return VPIT_NEVER;
}
