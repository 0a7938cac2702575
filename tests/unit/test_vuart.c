/* SPDX-License-Identifier: BSD-3-Clause */
/* The 16550A, against the data sheet. */
#include <dm/vuart.h>

#include "unit.h"

#define RBR 0U
#define THR 0U
#define IER 1U
#define IIR 2U
#define FCR 2U
#define LCR 3U
#define MCR 4U
#define LSR 5U
#define MSR 6U
#define SCR 7U

static struct vuart uart;
static bool irq;
static int irq_edges;
static uint8_t sent[64];
static uint32_t sent_count;

static void set_irq(struct vuart *v, bool level)
{
	EXPECT(v == &uart);
	EXPECT(level != irq); /* only changes are told */
	irq = level;
	irq_edges++;
}

static void tx(struct vuart *v, uint8_t byte)
{
	(void)v;
	sent[sent_count % sizeof(sent)] = byte;
	sent_count++;
}

static void start(uint8_t ier, uint8_t fcr)
{
	irq = false;
	irq_edges = 0;
	sent_count = 0U;
	vuart_init(&uart, NULL, 0x3F8U, 4U, set_irq, tx);
	vuart_write(&uart, MCR, 0x0BU);
	vuart_write(&uart, FCR, fcr);
	vuart_write(&uart, IER, ier);
}

static uint8_t rd(uint16_t reg)
{
	return vuart_read(&uart, reg);
}

TEST(vuart_reset_values)
{
	irq = false;
	vuart_init(&uart, NULL, 0x3F8U, 4U, set_irq, tx);
	EXPECT_EQ(rd(IER), 0x00);
	EXPECT_EQ(rd(IIR), 0x01);
	EXPECT_EQ(rd(LCR), 0x00);
	EXPECT_EQ(rd(MCR), 0x00);
	EXPECT_EQ(rd(LSR), 0x60);
	EXPECT_EQ(rd(MSR), 0xB0);
	EXPECT_EQ(rd(RBR), 0x00);
	EXPECT_EQ(rd(8U), 0xFF);
	vuart_write(&uart, LSR, 0xFFU);
	vuart_write(&uart, MSR, 0xFFU);
	EXPECT_EQ(rd(LSR), 0x60);
	EXPECT_EQ(rd(MSR), 0xB0);
	vuart_write(&uart, SCR, 0x5AU);
	EXPECT_EQ(rd(SCR), 0x5A);
	vuart_write(&uart, MCR, 0xFFU);
	EXPECT_EQ(rd(MCR), 0x1F);
	vuart_write(&uart, IER, 0xFFU);
	EXPECT_EQ(rd(IER), 0x0F);
	EXPECT(!irq); /* loopback: OUT2 is cut off */
}

TEST(vuart_divisor_latch)
{
	start(0U, 0U);
	vuart_write(&uart, LCR, 0x83U);
	vuart_write(&uart, 0U, 0x34U);
	vuart_write(&uart, 1U, 0x12U);
	EXPECT_EQ(rd(0U), 0x34);
	EXPECT_EQ(rd(1U), 0x12);
	EXPECT_EQ(sent_count, 0);
	vuart_write(&uart, LCR, 0x03U);
	EXPECT_EQ(rd(IER), 0x00);
	vuart_write(&uart, THR, 'x');
	EXPECT_EQ(sent_count, 1);
	EXPECT_EQ(sent[0], 'x');
	vuart_write(&uart, LCR, 0x83U);
	EXPECT_EQ(rd(0U), 0x34);
}

TEST(vuart_thre_interrupt)
{
	start(0U, 1U);
	EXPECT(!irq);
	vuart_write(&uart, IER, 0x02U); /* THR is empty: at once */
	EXPECT(irq);
	EXPECT_EQ(rd(IIR), 0xC2);
	EXPECT(!irq); /* reading IIR as the source clears it */
	EXPECT_EQ(rd(IIR), 0xC1);
	vuart_write(&uart, IER, 0x02U); /* no change, no new interrupt */
	EXPECT(!irq);
	vuart_write(&uart, THR, 'a');
	EXPECT(irq);
	vuart_write(&uart, THR, 'b'); /* writing THR clears it, and being empty raises it */
	EXPECT(irq);
	vuart_write(&uart, IER, 0x00U);
	EXPECT(!irq);
	vuart_write(&uart, IER, 0x02U);
	EXPECT(irq);
	EXPECT_EQ(sent_count, 2);
}

TEST(vuart_iir_of_higher_source_keeps_thre)
{
	start(0x03U, 1U);
	EXPECT(vuart_rx(&uart, 'q'));
	EXPECT_EQ(rd(IIR), 0xC4); /* trigger level 1 */
	EXPECT_EQ(rd(IIR), 0xC4);
	EXPECT_EQ(rd(RBR), 'q');
	EXPECT(irq);
	EXPECT_EQ(rd(IIR), 0xC2); /* still there */
	EXPECT(!irq);
}

TEST(vuart_priorities)
{
	start(0x0FU, 1U);
	vuart_write(&uart, MCR, 0x18U); /* loopback: modem lines change */
	vuart_write(&uart, MCR, 0x0BU);
	vuart_rx_break(&uart);
	EXPECT(irq);
	EXPECT_EQ(rd(IIR), 0xC6);
	EXPECT_EQ(rd(LSR), 0xF1); /* BI, DR, and the error is in the FIFO */
	EXPECT_EQ(rd(IIR), 0xC4);
	EXPECT_EQ(rd(RBR), 0x00);
	EXPECT_EQ(rd(IIR), 0xC2);
	EXPECT_EQ(rd(IIR), 0xC0);
	EXPECT(irq);
	EXPECT_NE(rd(MSR) & 0x0FU, 0);
	EXPECT_EQ(rd(IIR), 0xC1);
	EXPECT(!irq);
	EXPECT_EQ(rd(MSR), 0xB0);
}

TEST(vuart_trigger_and_timeout)
{
	static const uint8_t level[4] = {1U, 4U, 8U, 14U};
	uint32_t t;
	uint32_t i;

	for (t = 0U; t < 4U; t++) {
		start(0x01U, (uint8_t)(0x01U | (t << 6U)));
		for (i = 0U; i < level[t]; i++) {
			EXPECT(vuart_rx(&uart, (uint8_t)i));
			EXPECT_EQ(rd(IIR), (i + 1U < level[t]) ? 0xCC : 0xC4);
		}
		for (i = 0U; i < level[t]; i++) {
			EXPECT(irq);
			EXPECT_EQ(rd(RBR), i);
		}
		EXPECT(!irq);
	}
}

TEST(vuart_fifo_order_and_overrun)
{
	uint32_t i;

	start(0x00U, 0x01U);
	for (i = 0U; i < VUART_RING_SIZE; i++) {
		EXPECT(vuart_rx(&uart, (uint8_t)i));
	}
	EXPECT_EQ(vuart_rx_room(&uart), 0);
	EXPECT(!vuart_rx(&uart, 0xEEU));
	EXPECT_EQ(uart.rx_lost, 1);
	vuart_write(&uart, IER, 0x04U);
	EXPECT(irq);
	EXPECT_EQ(rd(LSR), 0x63); /* OE */
	EXPECT_EQ(rd(LSR), 0x61);
	EXPECT(!irq);
	for (i = 0U; i < VUART_RING_SIZE; i++) {
		EXPECT_EQ(rd(RBR), i & 0xFFU);
	}
	EXPECT_EQ(rd(LSR), 0x60);
}

TEST(vuart_fcr)
{
	uint32_t i;

	start(0x00U, 0x00U);
	EXPECT_EQ(rd(IIR), 0x01);
	vuart_write(&uart, FCR, 0xC0U); /* without bit 0 the others do not count */
	EXPECT_EQ(uart.fcr, 0x00);
	vuart_write(&uart, FCR, 0xC7U);
	EXPECT_EQ(uart.fcr, 0xC1); /* the reset bits do not stay */
	EXPECT_EQ(rd(IIR), 0xC1);
	for (i = 0U; i < 20U; i++) {
		(void)vuart_rx(&uart, (uint8_t)i);
	}
	vuart_write(&uart, FCR, 0x03U); /* 16 were in the FIFO, 4 were still on the line */
	EXPECT_EQ(rd(RBR), 16);
	vuart_write(&uart, FCR, 0x00U); /* leaving FIFO mode empties it */
	EXPECT_EQ(rd(LSR), 0x60);
	EXPECT_EQ(rd(IIR), 0x01);
}

TEST(vuart_loopback)
{
	uint32_t i;

	start(0x00U, 0x01U);
	vuart_write(&uart, MCR, 0x10U);
	EXPECT_EQ(rd(MSR), 0x0B); /* CTS, DSR, DCD fell */
	EXPECT_EQ(rd(MSR), 0x00);
	vuart_write(&uart, MCR, 0x12U);
	EXPECT_EQ(rd(MSR), 0x11); /* RTS -> CTS */
	vuart_write(&uart, MCR, 0x11U);
	EXPECT_EQ(rd(MSR), 0x23); /* DTR -> DSR, and CTS fell */
	vuart_write(&uart, MCR, 0x14U);
	EXPECT_EQ(rd(MSR), 0x42); /* OUT1 -> RI: its rise is not reported */
	vuart_write(&uart, MCR, 0x10U);
	EXPECT_EQ(rd(MSR), 0x04); /* its fall is */
	vuart_write(&uart, MCR, 0x18U);
	EXPECT_EQ(rd(MSR), 0x88); /* OUT2 -> DCD */

	for (i = 0U; i < 16U; i++) {
		vuart_write(&uart, THR, (uint8_t)(0x40U + i));
	}
	EXPECT_EQ(rd(LSR), 0x61);
	vuart_write(&uart, THR, 0xFFU); /* the FIFO has 16, no more */
	EXPECT_EQ(rd(LSR), 0x63);
	for (i = 0U; i < 16U; i++) {
		EXPECT_EQ(rd(RBR), 0x40U + i);
	}
	EXPECT_EQ(rd(LSR), 0x60);
	EXPECT_EQ(sent_count, 0);
	EXPECT(!vuart_rx(&uart, 'z')); /* the line is cut off */
	EXPECT_EQ(rd(LSR), 0x60);
}

TEST(vuart_loopback_without_fifo_overwrites)
{
	start(0x00U, 0x00U);
	vuart_write(&uart, MCR, 0x10U);
	vuart_write(&uart, THR, 'a');
	vuart_write(&uart, THR, 'b');
	EXPECT_EQ(rd(LSR), 0x63);
	EXPECT_EQ(rd(RBR), 'b');
	EXPECT_EQ(rd(LSR), 0x60);
}

TEST(vuart_out2_gates)
{
	start(0x01U, 0x01U);
	vuart_write(&uart, MCR, 0x03U);
	(void)vuart_rx(&uart, 'k');
	EXPECT(!irq);
	vuart_write(&uart, MCR, 0x0BU);
	EXPECT(irq);
	vuart_reset(&uart);
	EXPECT(!irq);
	EXPECT_EQ(rd(LSR), 0x60);
}

TEST(vuart_no_listener)
{
	vuart_init(&uart, NULL, 0x2F8U, 3U, set_irq, NULL);
	irq = false;
	vuart_write(&uart, THR, 'a');
	EXPECT_EQ(uart.tx_count, 1);
}

TEST(vuart_random)
{
	uint32_t i;

	start(0U, 0U);
	for (i = 0U; (i < 200000U) && !unit_failed(); i++) {
		const uint64_t r = unit_rand64();

		switch (r & 3U) {
		case 0U:
			vuart_write(&uart, (uint16_t)((r >> 8U) & 0xFU), (uint8_t)(r >> 32U));
			break;
		case 1U:
			(void)rd((uint16_t)((r >> 8U) & 0xFU));
			break;
		default:
			(void)vuart_rx(&uart, (uint8_t)(r >> 32U));
			break;
		}
		EXPECT(uart.count <= VUART_RING_SIZE);
		EXPECT_EQ(irq, uart.irq_level);
	}
}

TEST(vuart_detached_takes_nothing)
{
	start(0U, 0U);
	vuart_write(&uart, MCR, 0x08U); /* OUT2 */
	vuart_write(&uart, IER, 0x01U);
	EXPECT(vuart_rx(&uart, 'a'));
	EXPECT(irq);
	(void)rd(RBR);
	EXPECT(!irq);
	vuart_detach(&uart);
	EXPECT(!vuart_rx(&uart, 'b'));
	vuart_rx_break(&uart);
	EXPECT(!irq);
}
