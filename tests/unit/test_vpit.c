/* SPDX-License-Identifier: BSD-3-Clause */
/* The 8254, in its own clocks, and its interrupt in a VM. */
#include <dm/vpit.h>
#include <hv/ioreq.h>
#include <hv/upcall.h>
#include <hv/vm.h>

#include "fake.h"
#include "unit.h"

static struct vpit pit;

static void set(uint32_t channel, uint32_t mode, uint32_t count, uint64_t now)
{
	vpit_write(&pit, 3U, (uint8_t)((channel << 6U) | 0x30U | (mode << 1U)), now);
	vpit_write(&pit, channel, (uint8_t)count, now);
	vpit_write(&pit, channel, (uint8_t)(count >> 8U), now);
}

static uint32_t count(uint32_t channel, uint64_t now)
{
	const uint32_t low = vpit_read(&pit, channel, now);

	return low | ((uint32_t)vpit_read(&pit, channel, now) << 8U);
}

TEST(vpit_mode0)
{
	vpit_init(&pit);
	EXPECT_EQ(vpit_next_edge(&pit, 5U), VPIT_NEVER);
	set(0U, 0U, 1000U, 100U);
	EXPECT_EQ(count(0U, 100U), 1000U);
	EXPECT_EQ(count(0U, 350U), 750U);
	EXPECT_EQ(count(0U, 1101U), 0xFFFFU); /* goes on past 0 */
	EXPECT(!vpit_out(&pit, 0U, 1099U) && vpit_out(&pit, 0U, 1100U));
	EXPECT_EQ(vpit_next_edge(&pit, 1099U), 1100U);
	EXPECT_EQ(vpit_next_edge(&pit, 1100U), VPIT_NEVER); /* once */
	vpit_write(&pit, 0U, 1U, 2000U); /* the first byte of a new count stops it */
	EXPECT(!vpit_out(&pit, 0U, 2000U));
	vpit_write(&pit, 0U, 0U, 2000U);
	EXPECT_EQ(vpit_next_edge(&pit, 2000U), 2001U);
	set(0U, 0U, 0U, 0U); /* 0 is 65536 */
	EXPECT_EQ(vpit_next_edge(&pit, 1U), 65536U);
}

TEST(vpit_periodic)
{
	vpit_init(&pit);
	set(0U, 2U, 1000U, 0U);
	EXPECT_EQ(count(0U, 0U), 1000U);
	EXPECT_EQ(count(0U, 999U), 1U);
	EXPECT_EQ(count(0U, 1000U), 1000U);
	EXPECT(!vpit_out(&pit, 0U, 5999U) && vpit_out(&pit, 0U, 6000U));
	EXPECT_EQ(vpit_next_edge(&pit, 1999U), 2000U);
	EXPECT_EQ(vpit_next_edge(&pit, 2000U), 3000U);
	/* A new count without a control word waits for the end of the period. */
	vpit_write(&pit, 0U, 10U, 500U);
	vpit_write(&pit, 0U, 0U, 500U);
	EXPECT_EQ(count(0U, 600U), 400U);
	EXPECT_EQ(vpit_next_edge(&pit, 600U), 1000U);
	EXPECT_EQ(vpit_next_edge(&pit, 1000U), 1010U);
	set(0U, 3U, 1001U, 0U);
	EXPECT(vpit_out(&pit, 0U, 500U) && !vpit_out(&pit, 0U, 501U) && vpit_out(&pit, 0U, 1001U));
	set(0U, 3U, 1000U, 0U);
	EXPECT_EQ(count(0U, 100U), 800U); /* by twos */
	EXPECT_EQ(count(0U, 600U), 800U);
}

TEST(vpit_latch_readback_bcd)
{
	vpit_init(&pit);
	set(1U, 0U, 5000U, 0U);
	vpit_write(&pit, 3U, 0x40U, 1000U);
	vpit_write(&pit, 3U, 0x40U, 2000U); /* ignored until it is read */
	EXPECT_EQ(count(1U, 3000U), 4000U);
	EXPECT_EQ(count(1U, 3000U), 2000U);
	vpit_write(&pit, 3U, 0xC4U, 3500U); /* count and status of channel 1; status comes first */
	EXPECT_EQ(vpit_read(&pit, 1U, 9000U), 0x30U);
	EXPECT_EQ(count(1U, 9000U), 1500U);
	vpit_write(&pit, 3U, 0xE4U, 9000U); /* status alone: OUT is high */
	EXPECT_EQ(vpit_read(&pit, 1U, 9000U), 0xB0U);
	vpit_write(&pit, 3U, 0x76U, 0U);
	vpit_write(&pit, 3U, 0xE4U, 0U); /* no count yet: null count */
	EXPECT_EQ(vpit_read(&pit, 1U, 0U), 0xF6U);
	vpit_write(&pit, 3U, 0x71U, 0U); /* BCD */
	vpit_write(&pit, 1U, 0x00U, 0U);
	vpit_write(&pit, 1U, 0x12U, 0U);
	EXPECT_EQ(count(1U, 1U), 0x1199U);
	vpit_write(&pit, 3U, 0x50U, 0U); /* low byte only */
	vpit_write(&pit, 1U, 200U, 0U);
	EXPECT_EQ(vpit_read(&pit, 1U, 50U), 150U);
	EXPECT_EQ(vpit_read(&pit, 1U, 60U), 140U);
	EXPECT_EQ(vpit_read(&pit, 3U, 0U), 0xFFU);
}

TEST(vpit_gate2_and_port61)
{
	vpit_init(&pit);
	set(2U, 0U, 1000U, 0U);
	EXPECT_EQ(count(2U, 500U), 1000U); /* the gate is low */
	vpit_write61(&pit, 0x01U, 500U);
	EXPECT_EQ(vpit_read61(&pit, 1499U) & 0x2FU, 0x01U);
	vpit_write61(&pit, 0x02U, 800U);
	EXPECT_EQ(count(2U, 5000U), 700U);
	vpit_write61(&pit, 0x03U, 6000U);
	EXPECT_EQ(vpit_read61(&pit, 6700U) & 0x2FU, 0x23U);
	EXPECT_NE(vpit_read61(&pit, 18U) & 0x10U, vpit_read61(&pit, 36U) & 0x10U);
	/* One-shot: starts when the gate rises. */
	vpit_write61(&pit, 0x00U, 0U);
	set(2U, 1U, 100U, 0U);
	EXPECT((vpit_read61(&pit, 50U) & 0x20U) != 0U);
	vpit_write61(&pit, 0x01U, 1000U);
	EXPECT((vpit_read61(&pit, 1099U) & 0x20U) == 0U);
	EXPECT((vpit_read61(&pit, 1100U) & 0x20U) != 0U);
}

static void out8(struct acrn_vm *vm, uint16_t port, uint8_t value)
{
	struct io_request req = {.type = REQ_PORTIO};

	req.reqs.pio.direction = REQUEST_WRITE;
	req.reqs.pio.address = port;
	req.reqs.pio.size = 1U;
	req.reqs.pio.value = value;
	EXPECT_EQ(hv_emulate_pio(&vm->vcpus[0], &req), 0);
}

TEST(vpit_interrupts)
{
	struct acrn_vm *vm;
	uint64_t start;

	vm = fake_prelaunched();
	EXPECT_EQ(vm->state, VM_RUNNING);
	out8(vm, 0x20U, 0x11U);
	out8(vm, 0x21U, 0x20U);
	out8(vm, 0x21U, 0x04U);
	out8(vm, 0x21U, 0x03U); /* automatic EOI */
	out8(vm, 0x43U, 0x34U);
	out8(vm, 0x40U, 0xA9U); /* 1193 clocks: 1000 us */
	out8(vm, 0x40U, 0x04U);
	EXPECT(!vpic_intr(&vm->vpic));
	start = fake_time;
	for (uint64_t i = 0U; i < 3U; i++) {
		fake_time = start + 1000UL * (i + 1UL) - 100UL;
		timer_expired();
		EXPECT(!vpic_intr(&vm->vpic));
		fake_time += 150UL;
		timer_expired();
		EXPECT(vpic_intr(&vm->vpic));
		EXPECT_EQ(vpic_intack(vm), 0x20U);
	}
	/* A guest that wants a million a second does not get the machine. */
	out8(vm, 0x43U, 0x14U);
	out8(vm, 0x40U, 0x01U);
	fake_time += 10U;
	timer_expired();
	EXPECT(vpic_intr(&vm->vpic));
	EXPECT(vm->vpit.clock.timer.armed && (vm->vpit.clock.timer.deadline >= fake_time + 49U));
	EXPECT_EQ(vm_destroy(vm), 0);
	EXPECT(!vm->vpit.clock.timer.armed);
	fake_machine_end();
}
