/* SPDX-License-Identifier: BSD-3-Clause */
/* The I/O APICs, against the 82093AA data sheet and its successors' EOI register. */
#include <dm/vioapic.h>
#include <lib/errno.h>

#include "unit.h"

static struct vioapic ioapic;
static struct lapic_msg last;
static int sent;
static bool accepting;
static int pin_sets;
static int pin_eois;
static uint32_t pin_gsi;
static bool pin_masked, pin_level, pin_low;

static bool deliver(struct acrn_vm *vm, const struct lapic_msg *msg)
{
	(void)vm;
	last = *msg;
	sent++;
	return accepting;
}

static void pin_set(uint32_t gsi, bool masked, bool level, bool active_low)
{
	pin_sets++;
	pin_gsi = gsi;
	pin_masked = masked;
	pin_level = level;
	pin_low = active_low;
}

static void pin_eoi(uint32_t gsi)
{
	pin_eois++;
	pin_gsi = gsi;
}

static const struct vioapic_ops ops = {deliver, pin_set, pin_eoi};

static void start(bool physical)
{
	vioapic_init(&ioapic, NULL, &ops);
	EXPECT_EQ(vioapic_add_chip(&ioapic, 0xFEC00000UL, 2U, 24U, physical), 0);
	accepting = true;
	sent = 0;
	pin_sets = 0;
	pin_eois = 0;
}

static uint32_t rd(uint32_t reg)
{
	vioapic_chip_write(&ioapic.chip[0], 0U, reg);
	return vioapic_chip_read(&ioapic.chip[0], 0x10U);
}

static void wr(uint32_t reg, uint32_t val)
{
	vioapic_chip_write(&ioapic.chip[0], 0U, reg);
	vioapic_chip_write(&ioapic.chip[0], 0x10U, val);
}

static void rte(uint32_t pin, uint64_t val)
{
	wr(0x10U + 2U * pin, RTE_MASKED);
	wr(0x11U + 2U * pin, (uint32_t)(val >> 32U));
	wr(0x10U + 2U * pin, (uint32_t)val);
}

TEST(vioapic_registers)
{
	start(false);
	EXPECT_EQ(rd(0x00U), 0x02000000);
	EXPECT_EQ(rd(0x01U), 0x00170020);
	EXPECT_EQ(rd(0x02U), 0x02000000);
	EXPECT_EQ(rd(0x10U), 0x00010000);
	EXPECT_EQ(rd(0x11U), 0x00000000);
	EXPECT_EQ(rd(0x3EU), 0x00010000); /* pin 23 */
	EXPECT_EQ(rd(0x40U), 0x00000000); /* there is no pin 24 */
	wr(0x40U, 0xFFFFFFFFU);
	wr(0x00U, 0xFFFFFFFFU);
	EXPECT_EQ(rd(0x00U), 0x0F000000);
	wr(0x01U, 0U);
	EXPECT_EQ(rd(0x01U), 0x00170020);
	vioapic_chip_write(&ioapic.chip[0], 0U, 0x1FFU); /* 8 bits */
	EXPECT_EQ(vioapic_chip_read(&ioapic.chip[0], 0U), 0xFF);
	EXPECT_EQ(vioapic_chip_read(&ioapic.chip[0], 0x20U), 0);
}

TEST(vioapic_rte_read_only_bits)
{
	start(false);
	wr(0x11U, 0xFFFFFFFFU);
	wr(0x10U, 0xFFFFFFFFU);
	EXPECT_EQ(rd(0x11U), 0xFF000000);
	EXPECT_EQ(rd(0x10U), 0x0001AFFF);
}

TEST(vioapic_edge)
{
	start(false);
	rte(5U, 0x0300000000000041UL);
	EXPECT_EQ(sent, 0);
	vioapic_set_irq(&ioapic, 5U, true);
	EXPECT_EQ(sent, 1);
	EXPECT_EQ(last.vector, 0x41);
	EXPECT_EQ(last.dest, 3);
	EXPECT(!last.dest_logical && !last.level && !last.dest_wide);
	vioapic_set_irq(&ioapic, 5U, true); /* no edge */
	EXPECT_EQ(sent, 1);
	EXPECT_EQ(rd(0x1AU), 0x41); /* no remote IRR */
	vioapic_set_irq(&ioapic, 5U, false);
	EXPECT_EQ(sent, 1);
	vioapic_set_irq(&ioapic, 5U, true);
	EXPECT_EQ(sent, 2);
	EXPECT_EQ(ioapic.delivered, 2);
	vioapic_set_irq(&ioapic, 24U, true);
	vioapic_set_irq(&ioapic, 0xFFFFFFFFU, true);
	EXPECT_EQ(sent, 2);
}

TEST(vioapic_edge_while_masked_is_lost)
{
	start(false);
	rte(5U, RTE_MASKED | 0x41U);
	vioapic_set_irq(&ioapic, 5U, true);
	wr(0x1AU, 0x41U);
	EXPECT_EQ(sent, 0);
}

TEST(vioapic_edge_active_low)
{
	start(false);
	rte(5U, RTE_ACTIVE_LOW | 0x41U);
	vioapic_set_irq(&ioapic, 5U, true); /* rests inactive until driven: this is the inactive side */
	EXPECT_EQ(sent, 0);
	vioapic_set_irq(&ioapic, 5U, false);
	EXPECT_EQ(sent, 1);
}

TEST(vioapic_level_remote_irr_and_redelivery)
{
	start(false);
	rte(10U, RTE_LEVEL | 0x51U);
	vioapic_set_irq(&ioapic, 10U, true);
	EXPECT_EQ(sent, 1);
	EXPECT(last.level);
	EXPECT_EQ(rd(0x24U), 0x0000C051);
	vioapic_eoi(&ioapic, 0x52U);
	EXPECT_EQ(rd(0x24U), 0x0000C051);
	vioapic_eoi(&ioapic, 0x51U); /* still high: again */
	EXPECT_EQ(sent, 2);
	EXPECT_EQ(rd(0x24U), 0x0000C051);
	vioapic_set_irq(&ioapic, 10U, false);
	EXPECT_EQ(rd(0x24U), 0x0000C051);
	vioapic_eoi(&ioapic, 0x51U);
	EXPECT_EQ(sent, 2);
	EXPECT_EQ(rd(0x24U), 0x00008051);
	vioapic_eoi(&ioapic, 0x51U);
	EXPECT_EQ(sent, 2);
}

TEST(vioapic_level_pulse_in_service)
{
	start(false);
	rte(10U, RTE_LEVEL | 0x51U);
	vioapic_set_irq(&ioapic, 10U, true);
	vioapic_set_irq(&ioapic, 10U, false);
	vioapic_set_irq(&ioapic, 10U, true); /* remote IRR holds it back */
	EXPECT_EQ(sent, 1);
	vioapic_eoi(&ioapic, 0x51U);
	EXPECT_EQ(sent, 2);
}

TEST(vioapic_level_masked_then_unmasked)
{
	start(false);
	rte(10U, RTE_LEVEL | RTE_MASKED | 0x51U);
	vioapic_set_irq(&ioapic, 10U, true);
	EXPECT_EQ(sent, 0);
	wr(0x24U, 0x8051U);
	EXPECT_EQ(sent, 1);
	wr(0x24U, 0x18051U); /* masking in service keeps remote IRR */
	EXPECT_EQ(rd(0x24U), 0x0001C051);
	vioapic_eoi(&ioapic, 0x51U);
	EXPECT_EQ(sent, 1);
	wr(0x24U, 0x8051U);
	EXPECT_EQ(sent, 2);
}

TEST(vioapic_level_active_low)
{
	start(false);
	rte(16U, RTE_LEVEL | RTE_ACTIVE_LOW | 0x61U);
	EXPECT_EQ(sent, 0); /* nobody drives it: pulled up */
	vioapic_set_irq(&ioapic, 16U, false);
	EXPECT_EQ(sent, 1);
	vioapic_set_irq(&ioapic, 16U, true);
	vioapic_eoi(&ioapic, 0x61U);
	EXPECT_EQ(sent, 1);
}

TEST(vioapic_not_accepted_no_remote_irr)
{
	start(false);
	accepting = false;
	rte(10U, RTE_LEVEL | 0x51U);
	vioapic_set_irq(&ioapic, 10U, true);
	EXPECT_EQ(rd(0x24U), 0x8051);
	accepting = true;
	wr(0x24U, 0x8051U); /* any write looks at the line again */
	EXPECT_EQ(rd(0x24U), 0xC051);
}

TEST(vioapic_eoi_by_edge_switch)
{
	start(false);
	rte(10U, RTE_LEVEL | 0x51U);
	vioapic_set_irq(&ioapic, 10U, true);
	vioapic_set_irq(&ioapic, 10U, false);
	wr(0x24U, 0x10051U);
	EXPECT_EQ(rd(0x24U), 0x00010051);
	wr(0x24U, 0x8051U);
	EXPECT_EQ(rd(0x24U), 0x00008051);
	EXPECT_EQ(sent, 1);
}

TEST(vioapic_eoi_register)
{
	start(false);
	EXPECT_EQ(vioapic_add_chip(&ioapic, 0xFEC01000UL, 3U, 24U, false), 0);
	rte(10U, RTE_LEVEL | 0x51U);
	vioapic_chip_write(&ioapic.chip[1], 0U, 0x10U);
	vioapic_chip_write(&ioapic.chip[1], 0x10U, 0x8051U);
	vioapic_set_irq(&ioapic, 10U, true);
	vioapic_set_irq(&ioapic, 24U, true); /* pin 0 of the second */
	EXPECT_EQ(sent, 2);
	vioapic_set_irq(&ioapic, 10U, false);
	vioapic_set_irq(&ioapic, 24U, false);
	vioapic_chip_write(&ioapic.chip[0], 0x40U, 0x51U); /* this chip's only */
	EXPECT_EQ(rd(0x24U), 0x8051);
	EXPECT_EQ(vioapic_chip_read(&ioapic.chip[1], 0x10U), 0xC051);
	vioapic_eoi(&ioapic, 0x51U); /* the broadcast: all */
	EXPECT_EQ(vioapic_chip_read(&ioapic.chip[1], 0x10U), 0x8051);
}

TEST(vioapic_delivery_modes)
{
	start(false);
	rte(1U, 0x0F00000000000900UL | 0x71U); /* logical, lowest */
	vioapic_set_irq(&ioapic, 1U, true);
	EXPECT(last.dest_logical);
	EXPECT_EQ(last.delivery_mode, LAPIC_DM_LOWEST);
	EXPECT_EQ(last.dest, 0x0F);
	/* NMI is edge triggered even if the entry says level. */
	rte(2U, RTE_LEVEL | 0x400U);
	vioapic_set_irq(&ioapic, 2U, true);
	EXPECT_EQ(last.delivery_mode, LAPIC_DM_NMI);
	EXPECT(!last.level);
	EXPECT_EQ(rd(0x14U) & 0x4000U, 0);
	rte(3U, 0x700U);
	vioapic_set_irq(&ioapic, 3U, true);
	EXPECT_EQ(last.delivery_mode, LAPIC_DM_EXTINT);
	EXPECT_EQ(sent, 3);
	rte(4U, 0x300U | 0x71U);
	vioapic_set_irq(&ioapic, 4U, true);
	rte(5U, 0x600U | 0x71U);
	vioapic_set_irq(&ioapic, 5U, true);
	EXPECT_EQ(sent, 3); /* reserved ones send nothing */
}

TEST(vioapic_has_level_vector)
{
	start(false);
	EXPECT(!vioapic_has_level_vector(&ioapic, 0x51U));
	rte(10U, RTE_LEVEL | 0x51U);
	EXPECT(vioapic_has_level_vector(&ioapic, 0x51U));
	EXPECT(!vioapic_has_level_vector(&ioapic, 0x52U));
	rte(10U, RTE_LEVEL | RTE_MASKED | 0x51U);
	EXPECT(!vioapic_has_level_vector(&ioapic, 0x51U));
	rte(10U, 0x51U);
	EXPECT(!vioapic_has_level_vector(&ioapic, 0x51U));
}

TEST(vioapic_physical_hooks)
{
	start(true);
	wr(0x11U + 2U * 9U, 0x01000000U);
	EXPECT_EQ(pin_sets, 0); /* the destination is the guest's matter */
	wr(0x10U + 2U * 9U, 0xA061U);
	EXPECT_EQ(pin_sets, 1);
	EXPECT_EQ(pin_gsi, 9);
	EXPECT(!pin_masked && pin_level && pin_low);

	vioapic_arrived(&ioapic, 9U);
	EXPECT_EQ(sent, 1);
	EXPECT_EQ(pin_eois, 0);
	EXPECT_EQ(rd(0x10U + 2U * 9U), 0xE061);
	vioapic_eoi(&ioapic, 0x61U);
	EXPECT_EQ(pin_eois, 1);
	EXPECT_EQ(pin_gsi, 9);
	EXPECT_EQ(sent, 1); /* if it is still asserted it arrives anew */

	/* Nobody takes it: the pin must not stay masked. */
	accepting = false;
	vioapic_arrived(&ioapic, 9U);
	EXPECT_EQ(pin_eois, 2);
	EXPECT_EQ(rd(0x10U + 2U * 9U), 0xA061);

	/* Arrives just when the guest has masked it: waits for the unmasking. */
	accepting = true;
	wr(0x10U + 2U * 9U, 0x1A061U);
	EXPECT(pin_masked);
	sent = 0;
	vioapic_arrived(&ioapic, 9U);
	EXPECT_EQ(sent, 0);
	EXPECT_EQ(pin_eois, 2);
	wr(0x10U + 2U * 9U, 0xA061U);
	EXPECT_EQ(sent, 1);
	vioapic_eoi(&ioapic, 0x61U);
	EXPECT_EQ(pin_eois, 3);
}

TEST(vioapic_physical_edge_and_reset)
{
	start(true);
	wr(0x10U + 2U * 4U, 0x31U);
	EXPECT(!pin_masked && !pin_level && !pin_low);
	vioapic_arrived(&ioapic, 4U);
	vioapic_arrived(&ioapic, 4U);
	EXPECT_EQ(sent, 2);
	EXPECT_EQ(pin_eois, 0);
	wr(0x10U + 2U * 9U, 0x8061U);
	vioapic_arrived(&ioapic, 9U);
	pin_sets = 0;
	vioapic_reset(&ioapic);
	EXPECT_EQ(pin_sets, 24);
	EXPECT(pin_masked);
	EXPECT_EQ(pin_eois, 1);
	EXPECT_EQ(rd(0x10U + 2U * 9U), 0x10000);
	/* A virtual set never touches pins. */
	start(false);
	wr(0x10U, 0x31U);
	vioapic_arrived(&ioapic, 0U);
	EXPECT_EQ(pin_sets + pin_eois + sent, 0);
}

/* Behind the machine's pins come those that only this VM has: the machine does not hear of them. */
TEST(vioapic_virtual_chip_behind_physical_ones)
{
	start(true);
	EXPECT_EQ(vioapic_add_chip(&ioapic, 0xFEC01000UL, 3U, 2U, false), 0);
	EXPECT_EQ(vioapic_add_chip(&ioapic, 0xFEC02000UL, 4U, 2U, true), -EINVAL);
	vioapic_chip_write(&ioapic.chip[1], 0U, 0x10U);
	vioapic_chip_write(&ioapic.chip[1], 0x10U, 0x8051U);
	EXPECT_EQ(pin_sets, 0);
	vioapic_arrived(&ioapic, 24U);
	EXPECT_EQ(sent, 0);
	vioapic_set_irq(&ioapic, 24U, true);
	EXPECT_EQ(sent, 1);
	vioapic_eoi(&ioapic, 0x51U);
	EXPECT_EQ(sent, 2); /* still asserted */
	vioapic_set_irq(&ioapic, 24U, false);
	vioapic_eoi(&ioapic, 0x51U);
	EXPECT_EQ(sent, 2);
	EXPECT_EQ(pin_eois, 0);
	rte(3U, RTE_LEVEL | 0x52U);
	EXPECT(pin_sets != 0);
}

TEST(vioapic_chips_limits)
{
	vioapic_init(&ioapic, NULL, &ops);
	EXPECT_EQ(vioapic_add_chip(&ioapic, 0xFEC00010UL, 0U, 24U, false), -EINVAL);
	EXPECT_EQ(vioapic_add_chip(&ioapic, 0xFEC00000UL, 0U, 0U, false), -EINVAL);
	EXPECT_EQ(vioapic_add_chip(&ioapic, 0xFEC00000UL, 0U, 121U, false), -EINVAL);
	EXPECT_EQ(vioapic_add_chip(&ioapic, 0xFEC00000UL, 0U, 120U, false), 0);
	EXPECT_EQ(vioapic_add_chip(&ioapic, 0xFEC01000UL, 1U, 1U, false), -ENOSPC);
	EXPECT_EQ(rd(0x01U), 0x00770020);
	EXPECT_EQ(rd(0xFFU), 0); /* pin 119, upper half */
	EXPECT_EQ(rd(0xFEU), 0x10000);
}

TEST(vioapic_random)
{
	uint32_t i;

	start(true);
	for (i = 0U; (i < 200000U) && !unit_failed(); i++) {
		const uint64_t r = unit_rand64();
		const uint32_t gsi = (uint32_t)(r >> 8U) % 26U;

		accepting = (r & 0x80U) != 0U;
		switch (r & 7U) {
		case 0U:
			vioapic_set_irq(&ioapic, gsi, ((r >> 16U) & 1U) != 0U);
			break;
		case 1U:
			vioapic_arrived(&ioapic, gsi);
			break;
		case 2U:
			vioapic_eoi(&ioapic, (uint32_t)(r >> 32U) & 0xFFU);
			break;
		case 3U:
			EXPECT_EQ(rd((uint32_t)(r >> 40U) & 0xFFU) & 0x1000U, 0); /* never "send pending" for long */
			break;
		default:
			vioapic_chip_write(&ioapic.chip[0], (uint32_t)(r >> 20U) & 0x70U, (uint32_t)(r >> 32U));
			break;
		}
		/* Remote IRR only in level entries. */
		EXPECT((gsi >= 24U) || ((ioapic.rte[gsi] & (RTE_REMOTE_IRR | RTE_LEVEL)) != RTE_REMOTE_IRR));
	}
}
