/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 8254 timer (Intel data sheet 231164): channel 0 with its interrupt, channel 2 with its gate and output in port
 * 0x61, channel 1 counts for nobody. Counters are worked out from the time when they are read. Counting in BCD is
 * not there (as binary).
 */
#include "device.h"

#include <lib/string.h>

#define PIT_HZ 1193182UL

#define PORT61_GATE2   0x01U
#define PORT61_SPEAKER 0x02U
#define PORT61_REFRESH 0x10U
#define PORT61_OUT2    0x20U

/* Both directions stay below 2^63 for 180 days of ns. */
static uint64_t ns_to_ticks(uint64_t ns)
{
	return ns / 1000000000UL * PIT_HZ + ns % 1000000000UL * PIT_HZ / 1000000000UL;
}

static uint64_t ticks_to_ns(uint64_t ticks)
{
	return ticks / PIT_HZ * 1000000000UL + (ticks % PIT_HZ * 1000000000UL + PIT_HZ - 1UL) / PIT_HZ;
}

static uint64_t elapsed(struct dm_vm *vm, const struct dm_pit_channel *c)
{
	return c->counting ? ns_to_ticks(vm->ops->time_ns(vm->ctx) - c->start_ns) : 0UL;
}

static bool is_periodic(const struct dm_pit_channel *c)
{
	return c->mode == 2U || c->mode == 3U;
}

static uint16_t counter(struct dm_vm *vm, const struct dm_pit_channel *c)
{
	uint64_t t = elapsed(vm, c);

	if (c->mode == 3U) {
		return (uint16_t)(c->reload - (2UL * t) % c->reload); /* counts by two, twice a period */
	}
	if (c->mode == 2U) {
		return (uint16_t)(c->reload - t % c->reload);
	}
	return (uint16_t)(c->reload - t); /* goes on below 0 */
}

static bool output(struct dm_vm *vm, const struct dm_pit_channel *c)
{
	uint64_t t = elapsed(vm, c);

	if (!c->counting) {
		return c->mode != 0U;
	}
	switch (c->mode) {
	case 2U:
		return t % c->reload != c->reload - 1U;
	case 3U:
		return t % c->reload < (c->reload + 1U) / 2U;
	case 4U:
	case 5U:
		return t != c->reload;
	default:
		return t >= c->reload;
	}
}

static void channel_start(struct dm_vm *vm, struct dm_pit_channel *c)
{
	c->start_ns = vm->ops->time_ns(vm->ctx);
	c->counting = true;
	c->irqs = 0UL;
}

static void latch_count(struct dm_vm *vm, struct dm_pit_channel *c)
{
	if (!c->latched) {
		c->latched = true;
		c->latch = counter(vm, c);
		c->read_high = c->access == 2U;
	}
}

static void pit_control_write(struct dm_vm *vm, uint8_t value)
{
	uint32_t select = value >> 6U;
	struct dm_pit_channel *c;

	if (select == 3U) { /* read-back: bit 5 clear latches the count, bit 4 clear the status */
		for (uint32_t i = 0; i < 3U; i++) {
			c = &vm->pit.ch[i];
			if ((value & (2U << i)) == 0U) {
				continue;
			}
			if ((value & 0x20U) == 0U) {
				latch_count(vm, c);
			}
			if ((value & 0x10U) == 0U && !c->status_latched) {
				c->status_latched = true;
				c->status = (uint8_t)((output(vm, c) ? 0x80U : 0U) | (c->counting ? 0U : 0x40U) |
					((uint32_t)c->access << 4U) | ((uint32_t)c->mode << 1U));
			}
		}
		return;
	}
	c = &vm->pit.ch[select];
	if ((value & 0x30U) == 0U) {
		latch_count(vm, c);
		return;
	}
	c->access = (value >> 4U) & 3U;
	/* Modes 6 and 7 are 2 and 3. */
	c->mode = ((value & 0x0CU) == 0x0CU) ? (value >> 1U) & 3U : (value >> 1U) & 7U;
	c->counting = false;
	c->latched = false;
	c->write_high = c->access == 2U;
	c->read_high = c->access == 2U;
	if (select == 0U && c->mode == 0U) {
		vm->ops->irq_line(vm->ctx, DM_GSI_PIT, false); /* the output of mode 0 is low until the count is over */
	}
}

static void channel_write(struct dm_vm *vm, struct dm_pit_channel *c, uint8_t value)
{
	uint32_t reload;

	if (c->access == 3U && !c->write_high) {
		c->write_low = value;
		c->write_high = true;
		return;
	}
	if (c->access == 3U) {
		reload = ((uint32_t)value << 8U) | c->write_low;
		c->write_high = false;
	} else {
		reload = (c->access == 2U) ? (uint32_t)value << 8U : value;
	}
	c->reload = (reload == 0U) ? 0x10000U : reload;
	if (c->gate && c->mode != 1U && c->mode != 5U) {
		channel_start(vm, c);
	}
}

static uint8_t channel_read(struct dm_vm *vm, struct dm_pit_channel *c)
{
	uint16_t value;
	uint8_t byte;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	value = c->latched ? c->latch : counter(vm, c);
	byte = c->read_high ? (uint8_t)(value >> 8U) : (uint8_t)value;
	if (c->access == 3U) {
		c->read_high = !c->read_high;
		if (!c->read_high) {
			c->latched = false;
		}
	} else {
		c->latched = false;
	}
	return byte;
}

void dm_pit_access(struct dm_vm *vm, struct dm_access *access)
{
	uint64_t value = 0UL;

	for (uint32_t i = 0; i < access->size; i++) {
		uint32_t reg = (uint32_t)(access->addr - DM_PORT_PIT) + i;
		uint8_t byte = (uint8_t)(access->value >> (8U * i));

		if (!access->write) {
			value |= (uint64_t)((reg == 3U) ? 0xFFU : channel_read(vm, &vm->pit.ch[reg])) << (8U * i);
		} else if (reg == 3U) {
			pit_control_write(vm, byte);
		} else {
			channel_write(vm, &vm->pit.ch[reg], byte);
		}
	}
	if (!access->write) {
		access->value = value;
	}
}

void dm_port61_access(struct dm_vm *vm, struct dm_access *access)
{
	struct dm_pit_channel *c = &vm->pit.ch[2];
	bool gate = (access->value & PORT61_GATE2) != 0UL;

	if (access->write) {
		vm->pit.port61 = (uint8_t)(access->value & (PORT61_GATE2 | PORT61_SPEAKER));
		if (gate && !c->gate) {
			channel_start(vm, c); /* the rising edge starts every mode we have a use for */
		} else if (!gate && is_periodic(c)) {
			c->counting = false;
		}
		c->gate = gate;
		return;
	}
	/* The refresh bit changes with each read, so that loops which wait for a change end. */
	vm->pit.port61 ^= PORT61_REFRESH;
	access->value = vm->pit.port61 | (output(vm, c) ? PORT61_OUT2 : 0U);
}

void dm_pit_reset(struct dm_vm *vm)
{
	memset(&vm->pit, 0, sizeof(vm->pit));
	for (uint32_t i = 0; i < 3U; i++) {
		vm->pit.ch[i].access = 3U;
		vm->pit.ch[i].mode = 3U;
		vm->pit.ch[i].reload = 0x10000U;
		vm->pit.ch[i].gate = i != 2U;
	}
}

uint64_t dm_pit_tick(struct dm_vm *vm)
{
	struct dm_pit_channel *c = &vm->pit.ch[0];
	uint64_t ticks, due;

	if (!c->counting || (!is_periodic(c) && c->irqs > 0UL)) {
		return UINT64_MAX;
	}
	ticks = elapsed(vm, c);
	due = ticks / c->reload;
	if (due > c->irqs) {
		/* Periods that were missed stay missed: one edge now. */
		c->irqs = due;
		vm->ops->irq_line(vm->ctx, DM_GSI_PIT, false);
		vm->ops->irq_line(vm->ctx, DM_GSI_PIT, true); /* stays high: a PIC forgets a line that falls */
		if (!is_periodic(c)) {
			return UINT64_MAX;
		}
	}
	return ticks_to_ns((due + 1UL) * c->reload - ticks);
}
