/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The test device, by ports and by MMIO: echo, delay, wrong answers, and counts of what arrived. Registers in
 * device.h and doc/device-model.md. An access that is not wholly inside one register reads ones and writes nothing.
 */
#include "device.h"

static void echo_access(struct dm_vm *vm, struct dm_access *access, uint32_t offset)
{
	struct dm_testdev *t = &vm->test;
	uint64_t value = 0UL;

	t->count++;
	t->last = access->size | (access->write ? 0x100U : 0U) | (offset << 16U);
	access->delay_us = t->delay_us;
	access->complete_twice = t->mode == DM_TEST_MODE_TWICE;
	for (uint32_t i = 0; i < access->size; i++) {
		if (access->write) {
			t->echo[offset + i] = (uint8_t)(access->value >> (8U * i));
		} else {
			value |= (uint64_t)t->echo[offset + i] << (8U * i);
		}
	}
	if (access->write) {
		return;
	}
	if (t->mode == DM_TEST_MODE_INVERT) {
		value = ~value & dm_size_mask(access->size);
	} else if (t->mode == DM_TEST_MODE_EXCESS) {
		value |= ~dm_size_mask(access->size);
	}
	access->value = value;
}

static void reg_write(struct dm_vm *vm, uint32_t offset, uint32_t value)
{
	struct dm_testdev *t = &vm->test;

	switch (offset) {
	case DM_TEST_DELAY:
		t->delay_us = (value > DM_TEST_DELAY_MAX) ? DM_TEST_DELAY_MAX : value;
		break;
	case DM_TEST_MODE:
		t->mode = (value > DM_TEST_MODE_MAX) ? DM_TEST_MODE_PLAIN : value;
		break;
	case DM_TEST_COUNT:
		t->count = 0U;
		t->last = 0U;
		break;
	default:
		break;
	}
}

static uint32_t reg_read(const struct dm_vm *vm, uint32_t offset)
{
	const struct dm_testdev *t = &vm->test;

	switch (offset) {
	case DM_TEST_DELAY:
		return t->delay_us;
	case DM_TEST_MODE:
		return t->mode;
	case DM_TEST_COUNT:
		return t->count;
	case DM_TEST_LAST:
		return t->last;
	case DM_TEST_ID:
		return DM_TEST_ID_VALUE;
	default:
		return UINT32_MAX;
	}
}

void dm_test_access(struct dm_vm *vm, struct dm_access *access)
{
	uint64_t base = (access->space == DM_PIO) ? (uint64_t)DM_PORT_TEST : DM_MMIO_TEST;
	uint32_t offset = (uint32_t)(access->addr - base);
	uint32_t reg = offset & ~3U;
	uint32_t shift = 8U * (offset & 3U);

	if (offset + access->size <= DM_TEST_ECHO + 8U) {
		echo_access(vm, access, offset);
	} else if (offset < DM_TEST_ECHO + 8U || (offset & 3U) + access->size > 4U) {
		/* Runs from one register into the next. */
		if (!access->write) {
			access->value = dm_size_mask(access->size);
		}
	} else if (!access->write) {
		access->value = (reg_read(vm, reg) >> shift) & dm_size_mask(access->size);
	} else if (reg == DM_TEST_END && vm->debug_exit) {
		dm_debug_exit_access(vm, access);
	} else if (shift == 0U) {
		reg_write(vm, reg, (uint32_t)access->value);
	}
}

/* What is written is read, at any width and alignment. */
void dm_scratch_access(struct dm_vm *vm, struct dm_access *access)
{
	uint8_t *at = &vm->test.scratch[access->addr - DM_MMIO_SCRATCH];

	if (!access->write) {
		access->value = 0UL;
	}
	for (uint32_t i = 0; i < access->size; i++) {
		if (access->write) {
			at[i] = (uint8_t)(access->value >> (8U * i));
		} else {
			access->value |= (uint64_t)at[i] << (8U * i);
		}
	}
}
