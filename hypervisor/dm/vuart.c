/* SPDX-License-Identifier: BSD-3-Clause */
/* A 16550A: registers, FIFO, interrupts. The comments name the sections of the PC16550D data sheet. */
#include <dm/vuart.h>

#define REG_DATA 0U /* RBR, THR; DLL with DLAB */
#define REG_IER  1U /* DLM with DLAB */
#define REG_IIR  2U /* FCR when written */
#define REG_LCR  3U
#define REG_MCR  4U
#define REG_LSR  5U
#define REG_MSR  6U
#define REG_SCR  7U

#define IER_RDA  0x01U /* received data, time-out */
#define IER_THRE 0x02U
#define IER_LINE 0x04U
#define IER_MSR  0x08U
#define IER_ALL  0x0FU

#define IIR_NONE 0x01U
#define IIR_MSR  0x00U
#define IIR_THRE 0x02U
#define IIR_RDA  0x04U
#define IIR_LINE 0x06U
#define IIR_TOUT 0x0CU
#define IIR_FIFO 0xC0U

#define FCR_ENABLE   0x01U
#define FCR_RX_RESET 0x02U
#define FCR_KEPT     0xC9U /* enable, DMA mode, trigger */

#define LCR_DLAB 0x80U

#define MCR_DTR  0x01U
#define MCR_RTS  0x02U
#define MCR_OUT1 0x04U
#define MCR_OUT2 0x08U
#define MCR_LOOP 0x10U
#define MCR_ALL  0x1FU

#define LSR_DR   0x01U
#define LSR_OE   0x02U
#define LSR_BI   0x10U
#define LSR_THRE 0x20U
#define LSR_TEMT 0x40U
#define LSR_FIFO_ERR 0x80U

#define MSR_DELTA_CTS 0x01U
#define MSR_DELTA_DSR 0x02U
#define MSR_DELTA_RI  0x04U /* trailing edge only */
#define MSR_DELTA_DCD 0x08U
#define MSR_CTS 0x10U
#define MSR_DSR 0x20U
#define MSR_RI  0x40U
#define MSR_DCD 0x80U
#define MSR_STATUS 0xF0U

/* What the other end of the cable always asserts. */
#define MSR_PLUGGED (MSR_CTS | MSR_DSR | MSR_DCD)

static uint32_t rx_limit(const struct vuart *vuart)
{
	return ((vuart->fcr & FCR_ENABLE) != 0U) ? VUART_FIFO_SIZE : 1U;
}

/* Bytes that have left the line for the FIFO (or for RBR). */
static uint32_t rx_visible(const struct vuart *vuart)
{
	return MIN(vuart->count, rx_limit(vuart));
}

static uint32_t rx_trigger(const struct vuart *vuart)
{
	static const uint8_t level[4] = {1U, 4U, 8U, 14U};

	return ((vuart->fcr & FCR_ENABLE) != 0U) ? level[vuart->fcr >> 6U] : 1U;
}

/* The interrupt of highest priority (table IV). */
static uint8_t pending_source(const struct vuart *vuart)
{
	if (((vuart->ier & IER_LINE) != 0U) && (vuart->line_err != 0U)) {
		return IIR_LINE;
	}
	if (((vuart->ier & IER_RDA) != 0U) && (vuart->count != 0U)) {
		/* Below the trigger level the time-out is due at once: no more bytes are on the line. */
		return (rx_visible(vuart) >= rx_trigger(vuart)) ? IIR_RDA : IIR_TOUT;
	}
	if (((vuart->ier & IER_THRE) != 0U) && vuart->thre_pending) {
		return IIR_THRE;
	}
	if (((vuart->ier & IER_MSR) != 0U) && ((vuart->modem & ~MSR_STATUS) != 0U)) {
		return IIR_MSR;
	}
	return IIR_NONE;
}

/* OUT2 gates the interrupt on every PC board; in loopback mode the pin OUT2 is inactive. */
static void update_irq(struct vuart *vuart)
{
	const bool gate = (vuart->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
	const bool level = gate && (pending_source(vuart) != IIR_NONE);

	if (level != vuart->irq_level) {
		vuart->irq_level = level;
		vuart->set_irq(vuart, level);
	}
}

static bool rx_push(struct vuart *vuart, uint8_t byte)
{
	if (vuart->count == VUART_RING_SIZE) {
		vuart->rx_lost++;
		vuart->line_err |= LSR_OE;
		return false;
	}
	vuart->ring[(vuart->head + vuart->count) % VUART_RING_SIZE] = byte;
	vuart->count++;
	vuart->rx_count++;
	return true;
}

/* From the own transmitter: the ring is not at its disposal, only what the chip has (8.4, overrun). */
static void rx_loop(struct vuart *vuart, uint8_t byte)
{
	if (vuart->count < rx_limit(vuart)) {
		(void)rx_push(vuart, byte);
		return;
	}
	vuart->line_err |= LSR_OE;
	vuart->rx_lost++;
	if ((vuart->fcr & FCR_ENABLE) == 0U) {
		vuart->ring[vuart->head] = byte; /* RBR is overwritten; a full FIFO keeps what it has */
	}
}

static uint8_t rx_pop(struct vuart *vuart)
{
	uint8_t byte;

	if (vuart->count == 0U) {
		return 0U;
	}
	byte = vuart->ring[vuart->head];
	vuart->head = (vuart->head + 1U) % VUART_RING_SIZE;
	vuart->count--;
	return byte;
}

/* Only what is in the FIFO is lost, not what is still on the line. */
static void rx_clear(struct vuart *vuart, uint32_t visible)
{
	vuart->head = (vuart->head + visible) % VUART_RING_SIZE;
	vuart->count -= visible;
}

/* The modem lines as they are now, and what changed since MSR was read (8.5 and the loopback of 8.6). */
static void update_modem(struct vuart *vuart)
{
	const uint8_t old = vuart->modem;
	uint8_t now = MSR_PLUGGED;
	uint8_t delta;

	if ((vuart->mcr & MCR_LOOP) != 0U) {
		now = 0U;
		now |= ((vuart->mcr & MCR_RTS) != 0U) ? MSR_CTS : 0U;
		now |= ((vuart->mcr & MCR_DTR) != 0U) ? MSR_DSR : 0U;
		now |= ((vuart->mcr & MCR_OUT1) != 0U) ? MSR_RI : 0U;
		now |= ((vuart->mcr & MCR_OUT2) != 0U) ? MSR_DCD : 0U;
	}
	delta = (uint8_t)(((old ^ now) & MSR_STATUS) >> 4U);
	if ((now & MSR_RI) != 0U) {
		delta &= (uint8_t)~MSR_DELTA_RI; /* TERI: the trailing edge counts */
	}
	vuart->modem = (uint8_t)(now | (old & ~MSR_STATUS) | delta);
}

static void master_reset(struct vuart *vuart)
{
	vuart->ier = 0U;
	vuart->fcr = 0U;
	vuart->lcr = 0U;
	vuart->mcr = 0U;
	vuart->line_err = 0U;
	vuart->modem = MSR_PLUGGED;
	vuart->thre_pending = false;
	vuart->head = 0U;
	vuart->count = 0U;
}

void vuart_init(struct vuart *vuart, struct acrn_vm *vm, uint16_t base, uint32_t gsi,
	void (*set_irq)(struct vuart *vuart, bool level), void (*tx)(struct vuart *vuart, uint8_t byte))
{
	*vuart = (struct vuart){.vm = vm, .base = base, .gsi = gsi, .set_irq = set_irq, .tx = tx};
	spinlock_init(&vuart->lock);
	master_reset(vuart);
	/* 9600 baud at 1.8432 MHz; the data sheet leaves the latch undefined. */
	vuart->dll = 12U;
	vuart->active = true;
}

void vuart_reset(struct vuart *vuart)
{
	if (!vuart->active) {
		return;
	}
	spin_lock(&vuart->lock);
	master_reset(vuart);
	update_irq(vuart);
	spin_unlock(&vuart->lock);
}

void vuart_detach(struct vuart *vuart)
{
	spin_lock(&vuart->lock);
	vuart->active = false;
	spin_unlock(&vuart->lock);
}

static uint8_t read_lsr(struct vuart *vuart)
{
	uint8_t lsr = LSR_THRE | LSR_TEMT; /* a byte written is gone at once */

	lsr |= vuart->line_err;
	if (vuart->count != 0U) {
		lsr |= LSR_DR;
	}
	if (((vuart->fcr & FCR_ENABLE) != 0U) && ((vuart->line_err & LSR_BI) != 0U)) {
		lsr |= LSR_FIFO_ERR;
	}
	vuart->line_err = 0U;
	return lsr;
}

static uint8_t read_iir(struct vuart *vuart)
{
	const uint8_t source = pending_source(vuart);

	if (source == IIR_THRE) {
		/* "Reading the IIR Register (if source of interrupt)" resets it. */
		vuart->thre_pending = false;
	}
	return source | (((vuart->fcr & FCR_ENABLE) != 0U) ? IIR_FIFO : 0U);
}

uint8_t vuart_read(struct vuart *vuart, uint16_t offset)
{
	uint8_t val = 0xFFU;

	spin_lock(&vuart->lock);
	switch (offset) {
	case REG_DATA:
		val = ((vuart->lcr & LCR_DLAB) != 0U) ? vuart->dll : rx_pop(vuart);
		break;
	case REG_IER:
		val = ((vuart->lcr & LCR_DLAB) != 0U) ? vuart->dlm : vuart->ier;
		break;
	case REG_IIR:
		val = read_iir(vuart);
		break;
	case REG_LCR:
		val = vuart->lcr;
		break;
	case REG_MCR:
		val = vuart->mcr;
		break;
	case REG_LSR:
		val = read_lsr(vuart);
		break;
	case REG_MSR:
		val = vuart->modem;
		vuart->modem &= MSR_STATUS;
		break;
	case REG_SCR:
		val = vuart->scr;
		break;
	default:
		break;
	}
	update_irq(vuart);
	spin_unlock(&vuart->lock);
	return val;
}

static void write_data(struct vuart *vuart, uint8_t val)
{
	if ((vuart->mcr & MCR_LOOP) != 0U) {
		rx_loop(vuart, val);
	} else {
		vuart->tx_count++;
		if (vuart->tx != NULL) {
			vuart->tx(vuart, val);
		}
	}
	/* THR was full for no time at all and is empty again: a new event. */
	vuart->thre_pending = true;
}

static void write_ier(struct vuart *vuart, uint8_t val)
{
	/* Enabling it while THR is empty (always, here) raises it; writing it again does not. */
	if (((val & ~vuart->ier) & IER_THRE) != 0U) {
		vuart->thre_pending = true;
	}
	vuart->ier = val & IER_ALL;
}

static void write_fcr(struct vuart *vuart, uint8_t val)
{
	const uint32_t visible = rx_visible(vuart);

	/* Switching between FIFO and 16450 mode clears the FIFOs (8.4). Other bits count only with bit 0 set. */
	if (((val ^ vuart->fcr) & FCR_ENABLE) != 0U) {
		rx_clear(vuart, visible);
	} else if ((val & (FCR_ENABLE | FCR_RX_RESET)) == (FCR_ENABLE | FCR_RX_RESET)) {
		rx_clear(vuart, visible);
	}
	vuart->fcr = ((val & FCR_ENABLE) != 0U) ? (val & FCR_KEPT) : 0U;
}

void vuart_write(struct vuart *vuart, uint16_t offset, uint8_t val)
{
	bool dlab;

	spin_lock(&vuart->lock);
	dlab = (vuart->lcr & LCR_DLAB) != 0U;
	switch (offset) {
	case REG_DATA:
		if (dlab) {
			vuart->dll = val;
		} else {
			write_data(vuart, val);
		}
		break;
	case REG_IER:
		if (dlab) {
			vuart->dlm = val;
		} else {
			write_ier(vuart, val);
		}
		break;
	case REG_IIR:
		write_fcr(vuart, val);
		break;
	case REG_LCR:
		vuart->lcr = val;
		break;
	case REG_MCR:
		vuart->mcr = val & MCR_ALL;
		update_modem(vuart);
		break;
	case REG_SCR:
		vuart->scr = val;
		break;
	default:
		/* LSR: "intended for read operations only"; MSR: read only. */
		break;
	}
	update_irq(vuart);
	spin_unlock(&vuart->lock);
}

bool vuart_rx(struct vuart *vuart, uint8_t byte)
{
	bool taken;

	spin_lock(&vuart->lock);
	if (!vuart->active) {
		spin_unlock(&vuart->lock);
		return false;
	}
	/* In loopback mode the receiver is cut off from the line: the byte passes unseen. */
	taken = ((vuart->mcr & MCR_LOOP) != 0U) ? false : rx_push(vuart, byte);
	update_irq(vuart);
	spin_unlock(&vuart->lock);
	return taken;
}

void vuart_rx_break(struct vuart *vuart)
{
	spin_lock(&vuart->lock);
	if (!vuart->active) {
		spin_unlock(&vuart->lock);
		return;
	}
	if ((vuart->mcr & MCR_LOOP) == 0U) {
		if (rx_push(vuart, 0U)) {
			vuart->line_err |= LSR_BI;
		}
	}
	update_irq(vuart);
	spin_unlock(&vuart->lock);
}

uint32_t vuart_rx_room(struct vuart *vuart)
{
	uint32_t room;

	spin_lock(&vuart->lock);
	room = VUART_RING_SIZE - vuart->count;
	spin_unlock(&vuart->lock);
	return room;
}
