/* SPDX-License-Identifier: BSD-3-Clause */
/* The event timers, in their own clocks, and their interrupts in a VM. */
#include <dm/vhpet.h>
#include <hv/ioreq.h>
#include <hv/upcall.h>
#include <hv/vm.h>

#include "fake.h"
#include "unit.h"

#define ALL UINT64_MAX

static struct vhpet hpet;

static void begin(void)
{
	vhpet_init(&hpet);
	(void)vhpet_advance(&hpet, 1000U);
}

TEST(vhpet_counter_and_registers)
{
	begin();
	EXPECT_EQ(vhpet_read(&hpet, 0U), 0x05F5E1008086A201UL);
	EXPECT_EQ(vhpet_read(&hpet, 0xF0U), 0U);
	vhpet_write(&hpet, 0xF0U, 0xFFFFFFF0UL, ALL);
	vhpet_write(&hpet, 0x10U, ~0UL, ALL);
	EXPECT_EQ(vhpet_read(&hpet, 0x10U), 3U);
	(void)vhpet_advance(&hpet, 1020U);
	EXPECT_EQ(vhpet_read(&hpet, 0xF0U), 0x100000004UL);
	vhpet_write(&hpet, 0xF0U, 5U, ALL); /* it runs: ignored */
	EXPECT_EQ(vhpet_read(&hpet, 0xF0U), 0x100000004UL);
	vhpet_write(&hpet, 0x10U, 0U, ALL);
	(void)vhpet_advance(&hpet, 2000U);
	EXPECT_EQ(vhpet_read(&hpet, 0xF0U), 0x100000004UL);
	/* Configuration: what there is can be set; a route only if it exists. */
	EXPECT_EQ(vhpet_read(&hpet, 0x100U), 0x00F0000000000030UL);
	vhpet_write(&hpet, 0x120U, ALL, ALL);
	EXPECT_EQ(vhpet_read(&hpet, 0x120U), 0x00F000000000017EUL);
	vhpet_write(&hpet, 0x120U, 21UL << 9U, 0xFFFFFFFFUL);
	EXPECT_EQ(vhpet_gsi(&hpet, 1U), 21U);
	vhpet_write(&hpet, 0x120U, 3UL << 9U, ALL);
	EXPECT_EQ(vhpet_gsi(&hpet, 1U), 21U);
	EXPECT_EQ(vhpet_read(&hpet, 0x160U), 0U); /* there is no fourth one */
	EXPECT_EQ(vhpet_read(&hpet, 0x110U), 0U);
	EXPECT_EQ(vhpet_read(&hpet, 0x3F8U), 0U);
}

TEST(vhpet_one_shot)
{
	begin();
	vhpet_write(&hpet, 0x100U, 0x4U, ALL);
	vhpet_write(&hpet, 0x108U, 500U, ALL);
	EXPECT_EQ(vhpet_next(&hpet), VHPET_NEVER); /* halted */
	vhpet_write(&hpet, 0x10U, 1U, ALL);
	EXPECT_EQ(vhpet_next(&hpet), 1500U);
	EXPECT_EQ(vhpet_advance(&hpet, 1499U), 0U);
	EXPECT_EQ(vhpet_advance(&hpet, 1500U), 1U);
	EXPECT_EQ(vhpet_advance(&hpet, 1501U), 0U);
	EXPECT_EQ(vhpet_next(&hpet), VHPET_NEVER); /* in half a million years */
	/* 32 bits: again when the low half comes round. */
	vhpet_write(&hpet, 0x100U, 0x104U, ALL);
	EXPECT_EQ(vhpet_next(&hpet), 1501U + 0xFFFFFFFFUL);
	/* Level: a bit in the status register, until a one is written. */
	vhpet_write(&hpet, 0x140U, 0x6U | (22UL << 9U), ALL);
	vhpet_write(&hpet, 0x148U, 600U, ALL);
	EXPECT_EQ(vhpet_advance(&hpet, 1700U), 4U);
	EXPECT(vhpet_is_level(&hpet, 2U));
	EXPECT_EQ(vhpet_read(&hpet, 0x20U), 4U);
	vhpet_write(&hpet, 0x20U, 3U, ALL);
	EXPECT_EQ(vhpet_read(&hpet, 0x20U), 4U);
	vhpet_write(&hpet, 0x20U, 4U, ALL);
	EXPECT_EQ(vhpet_read(&hpet, 0x20U), 0U);
	/* Without the enable bit nothing is raised. */
	vhpet_write(&hpet, 0x140U, 0x2U, ALL);
	vhpet_write(&hpet, 0x148U, 800U, ALL);
	EXPECT_EQ(vhpet_advance(&hpet, 1900U), 0U);
	EXPECT_EQ(vhpet_read(&hpet, 0x20U), 0U);
}

TEST(vhpet_periodic)
{
	begin();
	vhpet_write(&hpet, 0x100U, 0x4CU, ALL); /* interrupt, periodic, set the accumulator */
	vhpet_write(&hpet, 0x108U, 300U, ALL);
	vhpet_write(&hpet, 0x108U, 100U, ALL);
	EXPECT_EQ(vhpet_read(&hpet, 0x100U) & 0x40U, 0U);
	vhpet_write(&hpet, 0x10U, 3U, ALL);
	EXPECT(vhpet_replaces_legacy(&hpet));
	EXPECT_EQ(vhpet_gsi(&hpet, 0U), 2U);
	EXPECT_EQ(vhpet_gsi(&hpet, 1U), 8U);
	EXPECT_EQ(vhpet_next(&hpet), 1300U);
	EXPECT_EQ(vhpet_advance(&hpet, 1300U), 1U);
	EXPECT_EQ(vhpet_next(&hpet), 1400U);
	EXPECT_EQ(vhpet_advance(&hpet, 1399U), 0U);
	EXPECT_EQ(vhpet_advance(&hpet, 1999U), 1U); /* many at once are one */
	EXPECT_EQ(vhpet_next(&hpet), 2000U);
	EXPECT_EQ(vhpet_read(&hpet, 0x108U), 1000U);
	/* Whatever is written: no division by nothing, no loop. */
	vhpet_write(&hpet, 0x108U, 0U, ALL);
	EXPECT_EQ(vhpet_advance(&hpet, 0xFFFFFFFFFFFFUL), 1U);
}

/* ---- In a VM ---- */

static uint64_t access_hpet(struct acrn_vm *vm, bool is_write, uint32_t offset, uint32_t size, uint64_t value)
{
	struct io_request *req = &vm->vcpus[0].req;

	req->type = REQ_MMIO;
	req->reqs.mmio.direction = is_write ? REQUEST_WRITE : REQUEST_READ;
	req->reqs.mmio.address = VHPET_BASE + offset;
	req->reqs.mmio.size = size;
	req->reqs.mmio.value = value;
	EXPECT_EQ(hv_emulate_mmio(&vm->vcpus[0], req), 0);
	return req->reqs.mmio.value;
}

TEST(vhpet_in_a_vm)
{
	struct acrn_vm *vm;

	vm = fake_prelaunched();
	EXPECT_EQ(access_hpet(vm, false, 4U, 4U, 0U), 0x05F5E100U);
	EXPECT_EQ(access_hpet(vm, false, 0U, 2U, 0U), 0xA201U);
	EXPECT_EQ(access_hpet(vm, false, 7U, 1U, 0U), 0x05U);
	/* Level, to GSI 20: up at the match, down when acknowledged, and when routed away. */
	(void)access_hpet(vm, true, 0x100U, 4U, 0x6U | (20U << 9U));
	(void)access_hpet(vm, true, 0x108U, 8U, 100U);
	(void)access_hpet(vm, true, 0x10U, 4U, 1U);
	EXPECT(fake_deadline[fake_cpu_id] != UINT64_MAX);
	fake_time += 100U;
	timer_expired();
	EXPECT_EQ(vm->vioapic.high[0] & (1UL << 20U), 1UL << 20U);
	(void)access_hpet(vm, true, 0x20U, 4U, 1U);
	EXPECT_EQ(vm->vioapic.high[0] & (1UL << 20U), 0UL);
	(void)access_hpet(vm, true, 0x108U, 8U, access_hpet(vm, false, 0xF0U, 8U, 0U) + 100U);
	fake_time += 100U;
	timer_expired();
	EXPECT_EQ(vm->vioapic.high[0] & (1UL << 20U), 1UL << 20U);
	(void)access_hpet(vm, true, 0x100U, 4U, 0x6U | (21U << 9U));
	EXPECT_EQ(vm->vioapic.high[0] & (3UL << 20U), 2UL << 20U);
	(void)access_hpet(vm, true, 0x100U, 4U, 0U);
	EXPECT_EQ(vm->vioapic.high[0] & (3UL << 20U), 0UL);
	fake_machine_end();
}
