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
	irq_edges = 0;
	vuart_write(&uart, THR, 'b'); /* writing THR clears it, and being empty raises it */
	EXPECT(irq);
	EXPECT_EQ(irq_edges, 2);
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

/* ---- Two ports and a cable ---- */

static struct vuart_cable cable;
static struct vuart end[2];
static bool end_irq[2];

static void end_set_irq(struct vuart *v, bool level)
{
	EXPECT(level != end_irq[v - end]);
	end_irq[v - end] = level;
}

static void plug(uint32_t side)
{
	end_irq[side] = false;
	vuart_init(&end[side], NULL, 0x2F8U, 3U, end_set_irq, NULL);
	vuart_plug(&end[side], &cable, side);
}

/* FIFO on, DTR, RTS and OUT2 set. */
static void open_end(uint32_t side)
{
	vuart_write(&end[side], FCR, 0x01U);
	vuart_write(&end[side], MCR, 0x0BU);
	(void)vuart_read(&end[side], MSR);
}

static void connect(void)
{
	cable = (struct vuart_cable){0};
	plug(0U);
	plug(1U);
	open_end(0U);
	open_end(1U);
	(void)vuart_read(&end[0], MSR);
}

TEST(vuart_cable_modem_lines)
{
	cable = (struct vuart_cable){0};
	plug(0U);
	EXPECT_EQ(vuart_read(&end[0], MSR), 0x00); /* nobody at the other end */
	plug(1U);
	EXPECT_EQ(vuart_read(&end[0], MSR), 0x00);
	vuart_write(&end[0], MCR, 0x08U);
	vuart_write(&end[0], IER, 0x08U);
	vuart_write(&end[1], MCR, 0x02U); /* RTS arrives as CTS */
	EXPECT(end_irq[0]);
	EXPECT_EQ(vuart_read(&end[0], IIR), 0x00);
	EXPECT_EQ(vuart_read(&end[0], MSR), 0x11);
	EXPECT(!end_irq[0]);
	vuart_write(&end[1], MCR, 0x01U); /* DTR as DSR and DCD */
	EXPECT_EQ(vuart_read(&end[0], MSR), 0xAB);
	vuart_write(&end[1], MCR, 0x13U); /* loopback: the pins rest */
	EXPECT_EQ(vuart_read(&end[0], MSR), 0x0A);
	vuart_write(&end[1], MCR, 0x0FU);
	EXPECT_EQ(vuart_read(&end[0], MSR), 0xBB); /* OUT1 and OUT2 lead nowhere */
	vuart_reset(&end[1]);
	EXPECT(end_irq[0]);
	EXPECT_EQ(vuart_read(&end[0], MSR), 0x0B);
}

TEST(vuart_cable_carries_bytes)
{
	connect();
	vuart_write(&end[1], IER, 0x01U);
	vuart_write(&end[0], THR, 'h');
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	EXPECT(end_irq[1]);
	EXPECT_EQ(vuart_read(&end[1], IIR), 0xC4);
	EXPECT_EQ(vuart_read(&end[1], RBR), 'h');
	EXPECT(!end_irq[1]);
	vuart_write(&end[1], THR, 'i');
	EXPECT_EQ(vuart_read(&end[0], RBR), 'i');
}

TEST(vuart_cable_waits_for_the_reader)
{
	uint32_t put = 0U;
	uint32_t got;

	connect();
	vuart_write(&end[0], IER, 0x02U);
	EXPECT_EQ(vuart_read(&end[0], IIR), 0xC2);
	while ((vuart_read(&end[0], LSR) & 0x20U) != 0U) {
		for (uint32_t i = 0U; i < 16U; i++) {
			vuart_write(&end[0], THR, (uint8_t)put++);
		}
	}
	EXPECT_EQ(put, VUART_RING_SIZE + 16U);
	vuart_write(&end[0], THR, 0xEEU); /* nobody looked at THRE: this one is lost */
	(void)vuart_read(&end[0], IIR);
	EXPECT(!end_irq[0]);
	for (got = 0U; got < 15U; got++) {
		EXPECT_EQ(vuart_read(&end[1], RBR), got & 0xFFU);
	}
	EXPECT(!end_irq[0]); /* one byte still waits */
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x00);
	EXPECT_EQ(vuart_read(&end[1], RBR), got++ & 0xFFU);
	EXPECT(end_irq[0]); /* empty: that is the event */
	EXPECT_EQ(vuart_read(&end[0], IIR), 0xC2);
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	for (; got < put; got++) {
		EXPECT_EQ(vuart_read(&end[1], LSR), 0x61);
		EXPECT_EQ(vuart_read(&end[1], RBR), got & 0xFFU);
	}
	EXPECT_EQ(vuart_read(&end[1], LSR), 0x60);
}

TEST(vuart_cable_without_fifo)
{
	connect();
	vuart_write(&end[0], FCR, 0x00U);
	for (uint32_t i = 0U; i < VUART_RING_SIZE; i++) {
		vuart_write(&end[0], THR, (uint8_t)i);
	}
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	vuart_write(&end[0], THR, 0xAAU);
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x00);
	(void)vuart_read(&end[1], RBR);
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
}

TEST(vuart_cable_nobody_listens)
{
	connect();
	vuart_write(&end[1], MCR, 0x00U); /* the port is closed there: the chip has 16 bytes, then overruns */
	for (uint32_t i = 0U; i < 100U; i++) {
		EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
		vuart_write(&end[0], THR, (uint8_t)i);
	}
	EXPECT_EQ(vuart_read(&end[1], LSR), 0x63);
	for (uint32_t i = 0U; i < 16U; i++) {
		EXPECT_EQ(vuart_read(&end[1], RBR), i);
	}
	EXPECT_EQ(vuart_read(&end[1], LSR), 0x60);
	vuart_write(&end[1], MCR, 0x11U); /* loopback: cut off */
	vuart_write(&end[0], THR, 'x');
	EXPECT_EQ(vuart_read(&end[1], LSR), 0x60);
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
}

static void fill_up(void)
{
	for (uint32_t i = 0U; i < VUART_RING_SIZE + 16U; i++) {
		vuart_write(&end[0], THR, (uint8_t)i);
	}
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x00);
}

/* Whatever ends the other side, a sender that waits goes on. */
TEST(vuart_cable_reader_goes)
{
	connect();
	vuart_write(&end[0], IER, 0x02U);
	fill_up();
	(void)vuart_read(&end[0], IIR);
	vuart_unplug(&end[1]);
	EXPECT(end_irq[0]);
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	EXPECT_EQ(vuart_read(&end[0], MSR), 0x0B);
	vuart_write(&end[0], THR, 'x');
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	vuart_reset(&end[1]); /* it starts anew */
	open_end(1U);
	EXPECT_EQ(vuart_read(&end[0], MSR), 0xBB);
	EXPECT_EQ(vuart_read(&end[1], LSR), 0x60);
	fill_up();
	vuart_reset(&end[1]);
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	open_end(1U);
	fill_up();
	vuart_detach(&end[1]);
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	plug(1U);
	open_end(1U);
	fill_up();
	vuart_write(&end[1], MCR, 0x0AU); /* it closes the port: what does not fit is lost */
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	vuart_reset(&end[0]);
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	EXPECT_EQ(vuart_read(&end[1], MSR) & 0xF0U, 0x00);
}

TEST(vuart_cable_fifo_resets)
{
	connect();
	fill_up();
	vuart_write(&end[0], FCR, 0x05U); /* the sender gives up what waits */
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	fill_up();
	vuart_write(&end[1], FCR, 0x03U); /* the receiver drops 16: that is room */
	EXPECT_EQ(vuart_read(&end[0], LSR), 0x60);
	EXPECT_EQ(vuart_read(&end[1], RBR), 16);
}

TEST(vuart_cable_break)
{
	connect();
	vuart_write(&end[0], THR, 'a');
	vuart_write(&end[0], LCR, 0x43U);
	vuart_write(&end[0], LCR, 0x43U); /* still the same one */
	vuart_write(&end[0], LCR, 0x03U);
	EXPECT_EQ(vuart_read(&end[1], LSR), 0xE1); /* an error is in the FIFO, not at its top */
	EXPECT_EQ(vuart_read(&end[1], RBR), 'a');
	EXPECT_EQ(vuart_read(&end[1], LSR), 0xF1);
	EXPECT_EQ(vuart_read(&end[1], RBR), 0x00);
	EXPECT_EQ(vuart_read(&end[1], LSR), 0x60);
}

/* Both drivers do anything; the state stays sound, and a sender waits only for a listener with a full ring. */
TEST(vuart_cable_random)
{
	connect();
	for (uint32_t i = 0U; (i < 400000U) && !unit_failed(); i++) {
		const uint64_t r = unit_rand64();
		struct vuart *const v = &end[r & 1U];

		switch ((r >> 1U) & 0x3FU) {
		case 0U:
			vuart_reset(v);
			break;
		case 1U:
			vuart_unplug(v);
			break;
		default:
			if ((r & 0x80U) != 0U) {
				vuart_write(v, (uint16_t)((r >> 8U) & 7U), (uint8_t)(r >> 32U));
			} else {
				(void)vuart_read(v, (uint16_t)((r >> 8U) & 7U));
			}
			break;
		}
		for (uint32_t k = 0U; k < 2U; k++) {
			const struct vuart *const peer = cable.end[k ^ 1U];

			EXPECT(end[k].count <= VUART_RING_SIZE);
			EXPECT(end[k].breaks <= end[k].count);
			EXPECT_EQ(end_irq[k], end[k].irq_level);
			EXPECT((end[k].tx_len == 0U) || ((peer != NULL) && ((peer->mcr & 0x11U) == 0x01U) &&
				(peer->count == VUART_RING_SIZE)));
		}
	}
}
