/* SPDX-License-Identifier: BSD-3-Clause */
/* An MC146818A as a function of time. */
#include <dm/vrtc.h>
#include <lib/string.h>

#define R_SEC     0U
#define R_SEC_AL  1U
#define R_MIN     2U
#define R_MIN_AL  3U
#define R_HOUR    4U
#define R_HOUR_AL 5U
#define R_WDAY    6U
#define R_DAY     7U
#define R_MONTH   8U
#define R_YEAR    9U
#define R_A       10U
#define R_B       11U
#define R_C       12U
#define R_D       13U
#define R_CENTURY 0x32U

#define A_UIP      0x80U
#define A_DEFAULT  0x26U /* 32768 Hz, 1024 interrupts a second */
#define B_SET      0x80U
#define B_DM       0x04U /* binary */
#define B_24       0x02U
#define B_IRQS     0x70U
#define C_PF       0x40U
#define C_AF       0x20U
#define C_UF       0x10U
#define C_IRQF     0x80U
#define D_VRT      0x80U
#define UIP_CLOCKS 8UL /* 244 us before the update */
#define DAY_S      86400
#define ALARM_ANY  0xC0U
#define PM_BIT     0x80U

/* ---- Dates ---- */

/* Days since 1970-01-01, counting years from March on: a leap day is then a year's last. */
static int64_t days_of(int64_t year, uint32_t month, uint32_t day)
{
	const int64_t y = (month <= 2U) ? (year - 1) : year;
	const int64_t m = (month <= 2U) ? ((int64_t)month + 9) : ((int64_t)month - 3);

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + (int64_t)day - 1 - 719468;
}

int64_t vrtc_epoch(uint32_t year, uint32_t month, uint32_t day, uint32_t hour, uint32_t minute, uint32_t second)
{
	return days_of(year, month, day) * DAY_S + (int64_t)hour * 3600 + (int64_t)minute * 60 + (int64_t)second;
}

static uint32_t month_days(uint32_t year, uint32_t month)
{
	const uint32_t next = (month == 12U) ? 1U : (month + 1U);

	return (uint32_t)(days_of((month == 12U) ? (year + 1U) : year, next, 1U) - days_of(year, month, 1U));
}

/* ---- Registers' formats ---- */

static uint8_t encode(const struct vrtc *v, uint32_t value)
{
	return (uint8_t)(((v->cmos[R_B] & B_DM) != 0U) ? value : (((value / 10U) << 4U) | (value % 10U)));
}

static uint32_t decode(const struct vrtc *v, uint8_t value)
{
	return ((v->cmos[R_B] & B_DM) != 0U) ? value : (((uint32_t)value >> 4U) * 10U + (value & 0xFU));
}

static uint8_t encode_hour(const struct vrtc *v, uint32_t hour)
{
	const uint32_t twelve = (hour % 12U == 0U) ? 12U : (hour % 12U);

	if ((v->cmos[R_B] & B_24) != 0U) {
		return encode(v, hour);
	}
	return (uint8_t)(encode(v, twelve) | ((hour >= 12U) ? PM_BIT : 0U));
}

static uint32_t decode_hour(const struct vrtc *v, uint8_t value)
{
	if ((v->cmos[R_B] & B_24) != 0U) {
		return decode(v, value);
	}
	return decode(v, value & 0x7FU) % 12U + (((value & PM_BIT) != 0U) ? 12U : 0U);
}

/* ---- Time to registers and back ---- */

static int64_t time_at(const struct vrtc *v, uint64_t now)
{
	return v->offset + (int64_t)(now / VRTC_HZ);
}

static void show_time(struct vrtc *v, uint64_t now)
{
	const int64_t t = time_at(v, now);
	const int64_t days = t / DAY_S;
	const uint32_t in_day = (uint32_t)(t % DAY_S);
	uint32_t year = (uint32_t)(1970 + days / 366);
	uint32_t month = 1U;

	while (days_of(year + 1U, 1U, 1U) <= days) {
		year++;
	}
	while ((month < 12U) && (days_of(year, month + 1U, 1U) <= days)) {
		month++;
	}
	v->cmos[R_SEC] = encode(v, in_day % 60U);
	v->cmos[R_MIN] = encode(v, (in_day / 60U) % 60U);
	v->cmos[R_HOUR] = encode_hour(v, in_day / 3600U);
	v->cmos[R_WDAY] = encode(v, (uint32_t)((days + 4) % 7) + 1U); /* 1970-01-01 was a Thursday; Sunday is 1 */
	v->cmos[R_DAY] = encode(v, (uint32_t)(days - days_of(year, month, 1U)) + 1U);
	v->cmos[R_MONTH] = encode(v, month);
	v->cmos[R_YEAR] = encode(v, year % 100U);
	v->cmos[R_CENTURY] = (uint8_t)((((year / 1000U) % 10U) << 4U) | ((year / 100U) % 10U)); /* always BCD */
}

/* The clock goes on from what the registers say; impossible fields are brought into range. */
static void take_time(struct vrtc *v, uint64_t now)
{
	const uint32_t century = (v->cmos[R_CENTURY] >> 4U) * 10U + (v->cmos[R_CENTURY] & 0xFU);
	uint32_t year = century * 100U + MIN(decode(v, v->cmos[R_YEAR]), 99U);
	const uint32_t month = MIN(MAX(decode(v, v->cmos[R_MONTH]), 1U), 12U);
	uint32_t day;

	year = MAX(year, 1970U);
	day = MIN(MAX(decode(v, v->cmos[R_DAY]), 1U), month_days(year, month));
	v->offset = vrtc_epoch(year, month, day, MIN(decode_hour(v, v->cmos[R_HOUR]), 23U),
			    MIN(decode(v, v->cmos[R_MIN]), 59U), MIN(decode(v, v->cmos[R_SEC]), 59U)) -
		(int64_t)(now / VRTC_HZ);
}

/* ---- Events ---- */

/* @return clocks between periodic interrupts; 0: none (table 5 of the data sheet) */
static uint64_t period(const struct vrtc *v)
{
	const uint32_t rate = v->cmos[R_A] & 0xFU;

	if (rate == 0U) {
		return 0UL;
	}
	return (rate <= 2U) ? (128UL << (rate - 1U)) : (1UL << (rate - 1U));
}

static bool alarm_field(uint8_t alarm, uint32_t want, uint32_t value)
{
	return ((alarm & ALARM_ANY) == ALARM_ANY) || (want == value);
}

static bool alarm_at(const struct vrtc *v, int64_t t)
{
	const uint32_t in_day = (uint32_t)(t % DAY_S);

	return alarm_field(v->cmos[R_SEC_AL], decode(v, v->cmos[R_SEC_AL]), in_day % 60U) &&
		alarm_field(v->cmos[R_MIN_AL], decode(v, v->cmos[R_MIN_AL]), (in_day / 60U) % 60U) &&
		alarm_field(v->cmos[R_HOUR_AL], decode_hour(v, v->cmos[R_HOUR_AL]), in_day / 3600U);
}

/* Brings register C up to `now`. Flags are set whether or not their interrupts are enabled. */
static void settle(struct vrtc *v, uint64_t now)
{
	const uint64_t every = period(v);

	if (now <= v->seen) {
		return;
	}
	if ((every != 0UL) && (now / every != v->seen / every)) {
		v->cmos[R_C] |= C_PF;
	}
	if (((v->cmos[R_B] & B_SET) == 0U) && (now / VRTC_HZ != v->seen / VRTC_HZ)) {
		int64_t t = time_at(v, v->seen);
		const int64_t end = time_at(v, now);

		v->cmos[R_C] |= C_UF;
		/* An alarm that is due at all is due within a day. */
		t = (end - t > DAY_S) ? (end - DAY_S) : t;
		while ((t < end) && ((v->cmos[R_C] & C_AF) == 0U)) {
			t++;
			v->cmos[R_C] |= alarm_at(v, t) ? C_AF : 0U;
		}
	}
	v->seen = now;
}

bool vrtc_irq(struct vrtc *v, uint64_t now)
{
	settle(v, now);
	return (v->cmos[R_C] & v->cmos[R_B] & B_IRQS) != 0U;
}

uint64_t vrtc_next_event(struct vrtc *v, uint64_t now)
{
	const uint8_t enabled = v->cmos[R_B] & B_IRQS;
	const uint64_t every = period(v);
	uint64_t next = VRTC_NEVER;

	if (vrtc_irq(v, now)) {
		return VRTC_NEVER; /* it stays up until register C is read */
	}
	if (((enabled & C_PF) != 0U) && (every != 0UL)) {
		next = (now / every + 1UL) * every;
	}
	if (((enabled & (C_AF | C_UF)) != 0U) && ((v->cmos[R_B] & B_SET) == 0U)) {
		next = MIN(next, (now / VRTC_HZ + 1UL) * VRTC_HZ);
	}
	return next;
}

/* ---- Access ---- */

static bool is_time(uint32_t index)
{
	return (index == R_SEC) || (index == R_MIN) || (index == R_HOUR) || ((index >= R_WDAY) && (index <= R_YEAR)) ||
		(index == R_CENTURY);
}

uint8_t vrtc_read(struct vrtc *v, uint32_t index, uint64_t now)
{
	const uint32_t at = index % VRTC_CMOS;
	uint8_t value;

	settle(v, now);
	if (is_time(at) && ((v->cmos[R_B] & B_SET) == 0U)) {
		show_time(v, now);
	}
	value = v->cmos[at];
	if (at == R_A) {
		const bool updating = ((v->cmos[R_B] & B_SET) == 0U) && (now % VRTC_HZ >= VRTC_HZ - UIP_CLOCKS);

		value |= updating ? A_UIP : 0U;
	} else if (at == R_C) {
		value |= vrtc_irq(v, now) ? C_IRQF : 0U;
		v->cmos[R_C] = 0U;
	}
	return value;
}

static void write_b(struct vrtc *v, uint8_t value, uint64_t now)
{
	const bool was_set = (v->cmos[R_B] & B_SET) != 0U;

	if (!was_set) {
		show_time(v, now); /* the format changes with what is written; the time does not */
	}
	if (was_set && ((value & B_SET) == 0U)) {
		v->cmos[R_B] = value;
		take_time(v, now);
		return;
	}
	/* Setting SET ends update-ended interrupts. */
	v->cmos[R_B] = ((value & B_SET) != 0U) ? (uint8_t)(value & ~C_UF) : value;
}

void vrtc_write(struct vrtc *v, uint32_t index, uint8_t value, uint64_t now)
{
	const uint32_t at = index % VRTC_CMOS;
	const bool running = (v->cmos[R_B] & B_SET) == 0U;

	settle(v, now);
	if (at == R_A) {
		v->cmos[R_A] = value & (uint8_t)~A_UIP;
	} else if (at == R_B) {
		write_b(v, value, now);
	} else if ((at == R_C) || (at == R_D)) {
		return; /* read-only */
	} else if (is_time(at) && running) {
		show_time(v, now);
		v->cmos[at] = value;
		take_time(v, now);
	} else {
		v->cmos[at] = value;
	}
}

/* ---- What firmware leaves ---- */

static void put16(struct vrtc *v, uint32_t at, uint64_t value)
{
	const uint64_t capped = MIN(value, 0xFFFFUL);

	v->cmos[at] = (uint8_t)capped;
	v->cmos[at + 1U] = (uint8_t)(capped >> 8U);
}

void vrtc_init(struct vrtc *v, int64_t epoch_s, uint64_t now, uint64_t memory)
{
	const uint64_t below = MIN(memory, 3UL << 30U); /* vm_memory.c: the rest is above 4 GiB */
	const uint64_t above_1m = (below > 0x100000UL) ? (below - 0x100000UL) : 0UL;
	const uint64_t above_16m = (below > 0x1000000UL) ? (below - 0x1000000UL) : 0UL;
	const uint64_t above_4g = (memory - below) >> 16U;

	(void)memset(v->cmos, 0, sizeof(v->cmos));
	v->index = 0U;
	v->offset = epoch_s - (int64_t)(now / VRTC_HZ);
	v->seen = now;
	v->cmos[R_A] = A_DEFAULT;
	v->cmos[R_B] = B_24;
	v->cmos[R_D] = D_VRT;
	v->cmos[0x14] = 0x02U; /* a coprocessor, no floppy, no display */
	put16(v, 0x15U, 640UL);
	put16(v, 0x17U, above_1m >> 10U);
	put16(v, 0x30U, above_1m >> 10U);
	put16(v, 0x34U, above_16m >> 16U);
	v->cmos[0x5B] = (uint8_t)above_4g;
	v->cmos[0x5C] = (uint8_t)(above_4g >> 8U);
	v->cmos[0x5D] = (uint8_t)(above_4g >> 16U);
	show_time(v, now);
}
