/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CMOS memory with the clock of an MC146818 (Motorola data sheet; PC/AT addresses). The clock runs with the host's
 * time of day; setting it keeps an offset. It raises no interrupt: periodic, alarm and update-ended are not there,
 * register C reads 0.
 */
#include "device.h"

#include <lib/string.h>

#define RTC_SECONDS 0x00U
#define RTC_MINUTES 0x02U
#define RTC_HOURS   0x04U
#define RTC_WDAY    0x06U
#define RTC_DAY     0x07U
#define RTC_MONTH   0x08U
#define RTC_YEAR    0x09U
#define RTC_REG_A   0x0AU
#define RTC_REG_B   0x0BU
#define RTC_REG_C   0x0CU
#define RTC_REG_D   0x0DU
#define RTC_CENTURY 0x32U

#define REG_A_DEFAULT 0x26U /* 32768 Hz, 1024 Hz periodic rate */
#define REG_B_SET     0x80U
#define REG_B_BINARY  0x04U
#define REG_B_24H     0x02U
#define REG_D_VALID   0x80U

struct date {
	uint32_t year, month, day, hour, minute, second, wday; /* wday: 1 Sunday .. 7 */
};

/* Days of the civil calendar before March 1st of `year`, counted from 0000-03-01. */
static int64_t days_before(int64_t year, uint32_t month, uint32_t day)
{
	int64_t y = (month <= 2U) ? year - 1 : year;
	int64_t m = (month + 9U) % 12U;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + (int64_t)day - 1;
}

#define DAYS_TO_1970 719468

static struct date date_of(uint64_t seconds)
{
	struct date d;
	uint64_t days = seconds / 86400UL;
	uint32_t rest = (uint32_t)(seconds % 86400UL);
	uint32_t year = 1970U + (uint32_t)(days / 366UL);
	uint32_t month = 1U;

	d.hour = rest / 3600U;
	d.minute = rest / 60U % 60U;
	d.second = rest % 60U;
	d.wday = (uint32_t)((days + 4UL) % 7UL) + 1U;
	while (days_before((int64_t)year + 1, 1U, 1U) - DAYS_TO_1970 <= (int64_t)days) {
		year++;
	}
	while (month < 12U && days_before(year, month + 1U, 1U) - DAYS_TO_1970 <= (int64_t)days) {
		month++;
	}
	d.year = year;
	d.month = month;
	d.day = (uint32_t)((int64_t)days - (days_before(year, month, 1U) - DAYS_TO_1970)) + 1U;
	return d;
}

static uint8_t encode(const struct dm_cmos *c, uint32_t value)
{
	if ((c->ram[RTC_REG_B] & REG_B_BINARY) != 0U) {
		return (uint8_t)value;
	}
	return (uint8_t)(((value / 10U) << 4U) | (value % 10U));
}

static uint32_t decode(const struct dm_cmos *c, uint8_t value)
{
	if ((c->ram[RTC_REG_B] & REG_B_BINARY) != 0U) {
		return value;
	}
	return (uint32_t)(value >> 4U) * 10U + (value & 0xFU);
}

static uint8_t encode_hour(const struct dm_cmos *c, uint32_t hour)
{
	uint32_t h12 = (hour % 12U == 0U) ? 12U : hour % 12U;

	if ((c->ram[RTC_REG_B] & REG_B_24H) != 0U) {
		return encode(c, hour);
	}
	return (uint8_t)(encode(c, h12) | ((hour >= 12U) ? 0x80U : 0U));
}

static uint32_t decode_hour(const struct dm_cmos *c, uint8_t value)
{
	if ((c->ram[RTC_REG_B] & REG_B_24H) != 0U) {
		return decode(c, value);
	}
	return decode(c, value & 0x7FU) % 12U + (((value & 0x80U) != 0U) ? 12U : 0U);
}

/* Copies the running clock into the registers, unless the guest is setting it. */
static void clock_to_ram(struct dm_vm *vm)
{
	struct dm_cmos *c = &vm->cmos;
	struct date d;

	if ((c->ram[RTC_REG_B] & REG_B_SET) != 0U) {
		return;
	}
	d = date_of((uint64_t)((int64_t)vm->ops->wall_s(vm->ctx) + c->offset_s));
	c->ram[RTC_SECONDS] = encode(c, d.second);
	c->ram[RTC_MINUTES] = encode(c, d.minute);
	c->ram[RTC_HOURS] = encode_hour(c, d.hour);
	c->ram[RTC_WDAY] = encode(c, d.wday);
	c->ram[RTC_DAY] = encode(c, d.day);
	c->ram[RTC_MONTH] = encode(c, d.month);
	c->ram[RTC_YEAR] = encode(c, d.year % 100U);
	c->ram[RTC_CENTURY] = encode(c, d.year / 100U);
}

/* The reverse: what the registers say is the time now. Nonsense leaves the clock as it was. */
static void ram_to_clock(struct dm_vm *vm)
{
	struct dm_cmos *c = &vm->cmos;
	uint32_t year = decode(c, c->ram[RTC_CENTURY]) * 100U + decode(c, c->ram[RTC_YEAR]);
	uint32_t month = decode(c, c->ram[RTC_MONTH]);
	uint32_t day = decode(c, c->ram[RTC_DAY]);
	uint32_t hour = decode_hour(c, c->ram[RTC_HOURS]);
	uint32_t minute = decode(c, c->ram[RTC_MINUTES]);
	uint32_t second = decode(c, c->ram[RTC_SECONDS]);
	int64_t days;

	if (year < 1970U || year > 2399U || month < 1U || month > 12U || day < 1U || day > 31U || hour > 23U ||
		minute > 59U || second > 59U) {
		return;
	}
	days = days_before(year, month, day) - DAYS_TO_1970;
	c->offset_s =
		days * 86400 + (int64_t)(hour * 3600U + minute * 60U + second) - (int64_t)vm->ops->wall_s(vm->ctx);
}

void dm_cmos_reset(struct dm_vm *vm)
{
	struct dm_cmos *c = &vm->cmos;
	uint64_t above_1m = (vm->ram_low > 0x100000UL) ? (vm->ram_low - 0x100000UL) >> 10U : 0UL;
	uint64_t above_16m = (vm->ram_low > 0x1000000UL) ? (vm->ram_low - 0x1000000UL) >> 16U : 0UL;

	memset(c->ram, 0, sizeof(c->ram));
	c->index = 0U;
	c->ram[RTC_REG_A] = REG_A_DEFAULT;
	c->ram[RTC_REG_B] = REG_B_24H;
	c->ram[RTC_REG_D] = REG_D_VALID;
	c->ram[0x14] = 0x00U; /* equipment: nothing */
	c->ram[0x15] = (uint8_t)640U;
	c->ram[0x16] = (uint8_t)(640U >> 8U);
	above_1m = (above_1m > 0xFFFFUL) ? 0xFFFFUL : above_1m;
	above_16m = (above_16m > 0xFFFFUL) ? 0xFFFFUL : above_16m;
	c->ram[0x17] = c->ram[0x30] = (uint8_t)above_1m;
	c->ram[0x18] = c->ram[0x31] = (uint8_t)(above_1m >> 8U);
	c->ram[0x34] = (uint8_t)above_16m;
	c->ram[0x35] = (uint8_t)(above_16m >> 8U);
	c->ram[0x5B] = (uint8_t)(vm->ram_high >> 16U);
	c->ram[0x5C] = (uint8_t)(vm->ram_high >> 24U);
	c->ram[0x5D] = (uint8_t)(vm->ram_high >> 32U);
}

static void cmos_write(struct dm_vm *vm, uint8_t value)
{
	struct dm_cmos *c = &vm->cmos;
	uint32_t i = c->index;
	bool is_time = i <= RTC_YEAR || i == RTC_CENTURY;
	uint8_t before = c->ram[RTC_REG_B];

	switch (i) {
	case RTC_REG_C:
	case RTC_REG_D:
		return;
	case RTC_REG_A:
		c->ram[i] = value & 0x7FU; /* update-in-progress is read-only, and never seen set */
		return;
	case RTC_REG_B:
		clock_to_ram(vm); /* the format may change: registers in the old one first */
		c->ram[i] = value;
		if ((before & REG_B_SET) != 0U && (value & REG_B_SET) == 0U) {
			ram_to_clock(vm);
		}
		return;
	default:
		if (is_time) {
			clock_to_ram(vm);
		}
		c->ram[i] = value;
		if (is_time && (before & REG_B_SET) == 0U) {
			ram_to_clock(vm);
		}
		return;
	}
}

static uint8_t cmos_read(struct dm_vm *vm)
{
	struct dm_cmos *c = &vm->cmos;

	if (c->index <= RTC_YEAR || c->index == RTC_CENTURY) {
		clock_to_ram(vm);
	}
	return c->ram[c->index];
}

void dm_cmos_access(struct dm_vm *vm, struct dm_access *access)
{
	uint64_t value = 0UL;

	for (uint32_t i = 0; i < access->size; i++) {
		bool data = ((access->addr + i) & 1U) != 0U;
		uint8_t byte = (uint8_t)(access->value >> (8U * i));

		if (!access->write) {
			/* The index register is write-only. */
			value |= (uint64_t)(data ? cmos_read(vm) : 0xFFU) << (8U * i);
		} else if (data) {
			cmos_write(vm, byte);
		} else {
			vm->cmos.index = byte & 0x7FU; /* bit 7 masks NMI, of which there is none */
		}
	}
	if (!access->write) {
		access->value = value;
	}
}
