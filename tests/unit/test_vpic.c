/* SPDX-License-Identifier: BSD-3-Clause */
/* The 8259A pair, against the data sheet. */
#include <dm/vpic.h>

#include "unit.h"

#define M0 0x20U
#define M1 0x21U
#define S0 0xA0U
#define S1 0xA1U

static struct vpic pic;
static int wire_calls;
static bool wire_level;

static void wire(struct acrn_vm *vm, bool asserted)
{
	(void)vm;
	wire_calls++;
	wire_level = asserted;
}

static void icws(uint16_t even, uint8_t icw1, uint8_t base, uint8_t icw3, uint8_t icw4)
{
	vpic_write_port(&pic, even, icw1);
	vpic_write_port(&pic, (uint16_t)(even + 1U), base);
	if ((icw1 & 2U) == 0U) {
		vpic_write_port(&pic, (uint16_t)(even + 1U), icw3);
	}
	if ((icw1 & 1U) != 0U) {
		vpic_write_port(&pic, (uint16_t)(even + 1U), icw4);
	}
}

/* As every PC does it; all unmasked. */
static void start(uint8_t icw4_master, uint8_t icw4_slave)
{
	vpic_init(&pic, NULL, wire);
	wire_calls = 0;
	wire_level = false;
	icws(M0, 0x11U, 0x30U, 0x04U, icw4_master);
	icws(S0, 0x11U, 0x38U, 0x02U, icw4_slave);
}

static void pulse(uint32_t pin)
{
	vpic_pulse_irq(&pic, pin);
}

static uint8_t isr(uint16_t even)
{
	vpic_write_port(&pic, even, 0x0BU);
	return vpic_read_port(&pic, even);
}

static uint8_t irr(uint16_t even)
{
	vpic_write_port(&pic, even, 0x0AU);
	return vpic_read_port(&pic, even);
}

TEST(vpic_silent_before_initialisation)
{
	vpic_init(&pic, NULL, wire);
	wire_calls = 0;
	pulse(1U);
	EXPECT(!vpic_intr(&pic));
	vpic_write_port(&pic, M0, 0x11U);
	pulse(1U);
	EXPECT(!vpic_intr(&pic));
	vpic_write_port(&pic, M1, 0x30U);
	vpic_write_port(&pic, M1, 0x04U);
	EXPECT(!vpic_intr(&pic));
	vpic_write_port(&pic, M1, 0x01U);
	EXPECT(vpic_intr(&pic));
	EXPECT_EQ(vpic_ack(&pic), 0x31);
}

/* Data sheet, "Interrupt request": the input must stay high until INTA, else IRQ7 is what the CPU gets. */
TEST(vpic_edge_that_falls_is_no_request)
{
	start(1U, 1U);
	vpic_set_irq(&pic, 4U, true);
	EXPECT(vpic_intr(&pic));
	EXPECT_EQ(irr(M0), 0x10);
	vpic_set_irq(&pic, 4U, false);
	EXPECT(!vpic_intr(&pic));
	EXPECT_EQ(irr(M0), 0);
	EXPECT_EQ(vpic_ack(&pic), 0x37);
	EXPECT_EQ(isr(M0), 0);
	vpic_set_irq(&pic, 12U, true);
	vpic_set_irq(&pic, 12U, false);
	EXPECT(!vpic_intr(&pic));
}

TEST(vpic_pulse_stays)
{
	start(1U, 1U);
	vpic_pulse_irq(&pic, 4U);
	vpic_set_irq(&pic, 4U, false); /* low already */
	EXPECT(vpic_intr(&pic));
	EXPECT_EQ(vpic_ack(&pic), 0x34);
	vpic_write_port(&pic, M0, 0x64U);
	EXPECT(!vpic_intr(&pic));
	/* No edge from a line that is high, none on a level input, none on the cascade. */
	vpic_set_irq(&pic, 5U, true);
	EXPECT_EQ(vpic_ack(&pic), 0x35);
	vpic_write_port(&pic, M0, 0x65U);
	vpic_pulse_irq(&pic, 5U);
	EXPECT(!vpic_intr(&pic));
	vpic_write_port(&pic, 0x4D0U, 0x20U);
	vpic_pulse_irq(&pic, 5U);
	EXPECT(!vpic_intr(&pic));
	vpic_pulse_irq(&pic, 2U);
	vpic_pulse_irq(&pic, 16U);
	EXPECT(!vpic_intr(&pic));
}

TEST(vpic_edge_ack_eoi)
{
	start(1U, 1U);
	vpic_set_irq(&pic, 1U, true);
	EXPECT(wire_level);
	EXPECT_EQ(wire_calls, 1);
	EXPECT_EQ(irr(M0), 0x02);
	EXPECT_EQ(vpic_ack(&pic), 0x31);
	EXPECT(!wire_level);
	EXPECT_EQ(irr(M0), 0x00);
	EXPECT_EQ(isr(M0), 0x02);
	/* The line is still high: no new edge after EOI. */
	vpic_write_port(&pic, M0, 0x20U);
	EXPECT_EQ(isr(M0), 0x00);
	EXPECT(!vpic_intr(&pic));
	vpic_set_irq(&pic, 1U, false);
	vpic_set_irq(&pic, 1U, true);
	EXPECT(vpic_intr(&pic));
}

TEST(vpic_fixed_priority_nesting)
{
	start(1U, 1U);
	pulse(4U);
	EXPECT_EQ(vpic_ack(&pic), 0x34);
	pulse(5U);
	EXPECT(!vpic_intr(&pic));
	pulse(3U);
	EXPECT(vpic_intr(&pic));
	EXPECT_EQ(vpic_ack(&pic), 0x33);
	EXPECT_EQ(isr(M0), 0x18);
	vpic_write_port(&pic, M0, 0x20U); /* ends 3 */
	EXPECT_EQ(isr(M0), 0x10);
	EXPECT(!vpic_intr(&pic));
	vpic_write_port(&pic, M0, 0x20U);
	EXPECT(vpic_intr(&pic));
	EXPECT_EQ(vpic_ack(&pic), 0x35);
}

TEST(vpic_slave_vectors_and_master_isr)
{
	start(1U, 1U);
	pulse(12U);
	EXPECT(vpic_intr(&pic));
	EXPECT_EQ(irr(M0), 0x04);
	EXPECT_EQ(vpic_ack(&pic), 0x3C);
	EXPECT_EQ(isr(M0), 0x04);
	EXPECT_EQ(isr(S0), 0x10);
	/* Not fully nested: a higher one of the slave waits for the master's EOI. */
	pulse(9U);
	EXPECT(!vpic_intr(&pic));
	vpic_write_port(&pic, M0, 0x20U);
	EXPECT(vpic_intr(&pic));
	EXPECT_EQ(vpic_ack(&pic), 0x39);
	EXPECT_EQ(isr(S0), 0x12);
}

TEST(vpic_slave_outranks_master_3_to_7)
{
	start(1U, 1U);
	pulse(3U);
	pulse(15U);
	EXPECT_EQ(vpic_ack(&pic), 0x3F);
	vpic_write_port(&pic, S0, 0x20U);
	vpic_write_port(&pic, M0, 0x20U);
	EXPECT_EQ(vpic_ack(&pic), 0x33);
}

TEST(vpic_cascade_pin_is_not_an_input)
{
	start(1U, 1U);
	vpic_set_irq(&pic, 2U, true);
	EXPECT(!vpic_intr(&pic));
	vpic_set_irq(&pic, 16U, true);
	EXPECT(!vpic_intr(&pic));
}

TEST(vpic_special_fully_nested)
{
	start(0x11U, 1U);
	pulse(12U);
	EXPECT_EQ(vpic_ack(&pic), 0x3C);
	pulse(13U); /* lower in the slave */
	EXPECT(!vpic_intr(&pic));
	pulse(3U); /* lower than the cascade: must stay blocked */
	EXPECT(!vpic_intr(&pic));
	pulse(9U);
	EXPECT(vpic_intr(&pic));
	EXPECT_EQ(vpic_ack(&pic), 0x39);
}

TEST(vpic_mask)
{
	start(1U, 1U);
	vpic_write_port(&pic, M1, 0x02U);
	EXPECT_EQ(vpic_read_port(&pic, M1), 0x02);
	pulse(1U);
	EXPECT(!vpic_intr(&pic));
	EXPECT_EQ(irr(M0), 0x02); /* the request is behind the mask */
	vpic_write_port(&pic, M1, 0x00U);
	EXPECT(vpic_intr(&pic));
	vpic_write_port(&pic, M1, 0x02U);
	EXPECT(!vpic_intr(&pic));
}

TEST(vpic_spurious_7_and_15)
{
	start(1U, 1U);
	pulse(1U);
	vpic_write_port(&pic, M1, 0xFFU);
	EXPECT_EQ(vpic_ack(&pic), 0x37);
	EXPECT_EQ(isr(M0), 0x00);
	EXPECT_EQ(pic.spurious, 1);

	/* Slave: level request withdrawn between the two INTAs cannot be seen from outside; with the master's cascade
	 * request latched by hand it can. */
	start(1U, 1U);
	pic.chip[0].irr = 0x04U;
	EXPECT_EQ(vpic_ack(&pic), 0x3F);
	EXPECT_EQ(isr(M0), 0x04);
	EXPECT_EQ(isr(S0), 0x00);
}

TEST(vpic_level)
{
	start(1U, 1U);
	vpic_write_port(&pic, 0x4D0U, 0xFFU);
	vpic_write_port(&pic, 0x4D1U, 0xFFU);
	EXPECT_EQ(vpic_read_port(&pic, 0x4D0U), 0xF8);
	EXPECT_EQ(vpic_read_port(&pic, 0x4D1U), 0xDE);
	vpic_set_irq(&pic, 5U, true);
	EXPECT_EQ(vpic_ack(&pic), 0x35);
	EXPECT_EQ(irr(M0), 0x20);
	EXPECT(!vpic_intr(&pic));
	vpic_write_port(&pic, M0, 0x20U);
	EXPECT(vpic_intr(&pic)); /* still asserted */
	vpic_set_irq(&pic, 5U, false);
	EXPECT(!vpic_intr(&pic));
	EXPECT_EQ(vpic_ack(&pic), 0x37); /* too late: spurious */
	vpic_set_irq(&pic, 11U, true);
	EXPECT_EQ(vpic_ack(&pic), 0x3B);
	vpic_write_port(&pic, S0, 0x20U);
	vpic_write_port(&pic, M0, 0x20U);
	EXPECT(vpic_intr(&pic));
	vpic_write_port(&pic, 0x4D1U, 0x00U); /* back to edge: the level's request is gone */
	EXPECT(!vpic_intr(&pic));
}

TEST(vpic_auto_eoi)
{
	start(0x03U, 0x03U);
	pulse(1U);
	EXPECT_EQ(vpic_ack(&pic), 0x31);
	EXPECT_EQ(isr(M0), 0x00);
	pulse(7U);
	EXPECT(vpic_intr(&pic));
}

TEST(vpic_auto_eoi_rotates)
{
	start(0x03U, 0x01U);
	vpic_write_port(&pic, M0, 0x80U);
	pulse(3U);
	EXPECT_EQ(vpic_ack(&pic), 0x33);
	/* 3 is the lowest now, 4 the highest. */
	pulse(3U);
	pulse(1U);
	pulse(5U);
	EXPECT_EQ(vpic_ack(&pic), 0x35);
	EXPECT_EQ(vpic_ack(&pic), 0x31);
	EXPECT_EQ(vpic_ack(&pic), 0x33);
	vpic_write_port(&pic, M0, 0x00U); /* clear: no more rotation, 3 stays the lowest */
	pulse(4U);
	pulse(3U);
	EXPECT_EQ(vpic_ack(&pic), 0x34);
	pulse(4U);
	EXPECT_EQ(vpic_ack(&pic), 0x34);
}

TEST(vpic_rotation)
{
	start(1U, 1U);
	/* Set priority: 5 the lowest, so 6 is the highest. */
	vpic_write_port(&pic, M0, 0xC5U);
	pulse(0U);
	pulse(6U);
	EXPECT_EQ(vpic_ack(&pic), 0x36);
	/* Rotate on non-specific EOI: 6 becomes the lowest. */
	vpic_write_port(&pic, M0, 0xA0U);
	pulse(6U);
	EXPECT_EQ(vpic_ack(&pic), 0x30);
	/* Rotate on specific EOI. */
	vpic_write_port(&pic, M0, 0xE0U);
	EXPECT_EQ(isr(M0), 0x00);
	pulse(0U);
	EXPECT_EQ(vpic_ack(&pic), 0x36);
}

TEST(vpic_specific_eoi)
{
	start(1U, 1U);
	pulse(4U);
	(void)vpic_ack(&pic);
	pulse(1U);
	(void)vpic_ack(&pic);
	vpic_write_port(&pic, M0, 0x64U);
	EXPECT_EQ(isr(M0), 0x02);
	vpic_write_port(&pic, M0, 0x40U); /* no operation */
	EXPECT_EQ(isr(M0), 0x02);
}

TEST(vpic_special_mask)
{
	start(1U, 1U);
	pulse(3U);
	EXPECT_EQ(vpic_ack(&pic), 0x33);
	pulse(6U);
	EXPECT(!vpic_intr(&pic));
	vpic_write_port(&pic, M1, 0x08U);
	EXPECT(!vpic_intr(&pic)); /* masking alone does not help */
	vpic_write_port(&pic, M0, 0x68U);
	EXPECT(vpic_intr(&pic));
	EXPECT_EQ(vpic_ack(&pic), 0x36);
	/* The non-specific EOI leaves the masked one alone. */
	vpic_write_port(&pic, M0, 0x20U);
	EXPECT_EQ(isr(M0), 0x08);
	vpic_write_port(&pic, M0, 0x20U);
	EXPECT_EQ(isr(M0), 0x08);
	vpic_write_port(&pic, M0, 0x63U);
	EXPECT_EQ(isr(M0), 0x00);
	/* SMM without ESMM changes nothing; ESMM without SMM ends it. */
	vpic_write_port(&pic, M0, 0x28U);
	EXPECT(pic.chip[0].special_mask);
	vpic_write_port(&pic, M0, 0x48U);
	EXPECT(!pic.chip[0].special_mask);
}

TEST(vpic_poll)
{
	start(1U, 1U);
	vpic_write_port(&pic, M0, 0x0CU);
	EXPECT_EQ(vpic_read_port(&pic, M0), 0x00);
	pulse(4U);
	vpic_write_port(&pic, M0, 0x0CU);
	EXPECT_EQ(vpic_read_port(&pic, M0), 0x84);
	EXPECT(!vpic_intr(&pic));
	EXPECT_EQ(isr(M0), 0x10); /* the poll was an acknowledge, and was for one read only */
	pulse(10U);
	vpic_write_port(&pic, S0, 0x0CU);
	EXPECT_EQ(vpic_read_port(&pic, S1), 0x82);
	EXPECT_EQ(vpic_read_port(&pic, S1), 0x00); /* IMR again */
}

TEST(vpic_icw1_resets)
{
	start(1U, 1U);
	pulse(1U);
	(void)vpic_ack(&pic);
	vpic_write_port(&pic, M1, 0x55U);
	vpic_write_port(&pic, M0, 0x68U);
	vpic_set_irq(&pic, 3U, true);
	icws(M0, 0x11U, 0x47U, 0x04U, 0x01U);
	EXPECT_EQ(vpic_read_port(&pic, M1), 0x00);
	EXPECT_EQ(vpic_read_port(&pic, M0), 0x00); /* IRR is selected; the high line needs a new edge */
	EXPECT_EQ(isr(M0), 0x00);
	EXPECT(!pic.chip[0].special_mask);
	vpic_set_irq(&pic, 3U, false);
	vpic_set_irq(&pic, 3U, true);
	EXPECT_EQ(vpic_ack(&pic), 0x43); /* low three bits of ICW2 do not count */
}

TEST(vpic_single_and_no_icw4)
{
	vpic_init(&pic, NULL, wire);
	icws(M0, 0x12U, 0x50U, 0U, 0U); /* SNGL, no ICW4: ready after ICW2 */
	vpic_write_port(&pic, M1, 0xFEU);
	EXPECT_EQ(vpic_read_port(&pic, M1), 0xFE);
	pulse(0U);
	EXPECT_EQ(vpic_ack(&pic), 0x50);
	icws(M0, 0x13U, 0x50U, 0U, 0x03U);
	pulse(0U);
	EXPECT_EQ(vpic_ack(&pic), 0x50);
	EXPECT_EQ(isr(M0), 0x00); /* AEOI came with ICW4 */
	icws(M0, 0x10U, 0x50U, 0x04U, 0U);
	pulse(0U);
	(void)vpic_ack(&pic);
	EXPECT_EQ(isr(M0), 0x01); /* no ICW4: AEOI is off */
}

TEST(vpic_reset_drops_intr)
{
	start(1U, 1U);
	vpic_set_irq(&pic, 1U, true);
	EXPECT(wire_level);
	vpic_reset(&pic);
	EXPECT(!wire_level);
	EXPECT(!vpic_intr(&pic));
	EXPECT_EQ(vpic_read_port(&pic, 0x99U), 0xFF);
}

/* Whatever is written: no undefined behaviour, INTR and the wire agree, the vector is one of the chips'. */
TEST(vpic_random)
{
	static const uint16_t ports[6] = {M0, M1, S0, S1, 0x4D0U, 0x4D1U};
	uint32_t i;

	start(1U, 1U);
	for (i = 0U; (i < 200000U) && !unit_failed(); i++) {
		const uint64_t r = unit_rand64();
		const uint16_t port = ports[(r >> 8U) % 6U];

		switch (r & 3U) {
		case 0U:
			vpic_write_port(&pic, port, (uint8_t)(r >> 32U));
			break;
		case 1U:
			(void)vpic_read_port(&pic, port);
			break;
		case 2U:
			vpic_set_irq(&pic, (uint32_t)(r >> 32U) & 0xFU, ((r >> 40U) & 1U) != 0U);
			break;
		default:
			if (vpic_intr(&pic)) {
				const uint32_t vector = vpic_ack(&pic);

				EXPECT(((vector & 0xF8U) == pic.chip[0].vector_base) ||
					((vector & 0xF8U) == pic.chip[1].vector_base));
			}
			break;
		}
		EXPECT_EQ(wire_level, vpic_intr(&pic));
	}
}
