/* SPDX-License-Identifier: BSD-3-Clause */
/* A 16550A: registers, FIFO, interrupts. The comments name the sections of the PC16550D data sheet. */
#include <dm/vuart.h>
#include <lib/string.h>

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

#define FCR_TX_RESET 0x04U

#define LCR_BREAK 0x40U
#define LCR_DLAB  0x80U

#define MCR_DTR  0x01U
#define MCR_RTS  0x02U
#define MCR_OUT1 0x04U
#define MCR_OUT2 0x08U
#define MCR_LOOP 0x10U
#define MCR_ALL  0x1FU

#define LSR_DR       0x01U
#define LSR_OE       0x02U
#define LSR_BI       0x10U
#define LSR_THRE     0x20U
#define LSR_TEMT     0x40U
#define LSR_FIFO_ERR 0x80U

#define MSR_DELTA_CTS 0x01U
#define MSR_DELTA_DSR 0x02U
#define MSR_DELTA_RI  0x04U /* trailing edge only */
#define MSR_DELTA_DCD 0x08U
#define MSR_CTS       0x10U
#define MSR_DSR       0x20U
#define MSR_RI        0x40U
#define MSR_DCD       0x80U
#define MSR_STATUS    0xF0U

/* What a console asserts, always. */
#define MSR_PLUGGED (MSR_CTS | MSR_DSR | MSR_DCD)

#define RX_BREAK 0x100U /* in the ring, beside the zero byte that a break is */

/* Both ends of a cable share its lock: a byte, a line or an interrupt of one end is the other's doing. */
static struct spinlock *lock_of(struct vuart *vuart)
{
	return (vuart->cable != NULL) ? &vuart->cable->lock : &vuart->lock;
}

static struct vuart *peer_of(const struct vuart *vuart)
{
	return (vuart->cable != NULL) ? vuart->cable->end[vuart->side ^ 1U] : NULL;
}

/* Both the receiver's and the transmitter's. */
static uint32_t fifo_limit(const struct vuart *vuart)
{
	return ((vuart->fcr & FCR_ENABLE) != 0U) ? VUART_FIFO_SIZE : 1U;
}

/* Bytes that have left the line for the FIFO (or for RBR). */
static uint32_t rx_visible(const struct vuart *vuart)
{
	return MIN(vuart->count, fifo_limit(vuart));
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

/* A break's bit shows when its byte is the next to be read (8.4, LSR bit 4). */
static void reveal_break(struct vuart *vuart)
{
	if ((vuart->count != 0U) && ((vuart->ring[vuart->head] & RX_BREAK) != 0U)) {
		vuart->ring[vuart->head] = 0U;
		vuart->breaks--;
		vuart->line_err |= LSR_BI;
	}
}

static bool rx_push(struct vuart *vuart, uint16_t byte)
{
	if (vuart->count == VUART_RING_SIZE) {
		vuart->rx_lost++;
		vuart->line_err |= LSR_OE;
		return false;
	}
	vuart->ring[(vuart->head + vuart->count) % VUART_RING_SIZE] = byte;
	vuart->count++;
	vuart->rx_count++;
	vuart->breaks += (byte == RX_BREAK) ? 1U : 0U;
	reveal_break(vuart);
	return true;
}

/* The ring is not at its disposal, only what the chip has (8.4, overrun). */
static void rx_chip(struct vuart *vuart, uint8_t byte)
{
	if (vuart->count < fifo_limit(vuart)) {
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
	byte = (uint8_t)vuart->ring[vuart->head];
	vuart->head = (vuart->head + 1U) % VUART_RING_SIZE;
	vuart->count--;
	reveal_break(vuart);
	return byte;
}

/* Only what is in the FIFO is lost, not what is still on the line. */
static void rx_clear(struct vuart *vuart)
{
	for (uint32_t n = rx_visible(vuart); n != 0U; n--) {
		(void)rx_pop(vuart);
	}
	vuart->line_err &= (uint8_t)~LSR_BI;
	reveal_break(vuart);
}

/* ---- The cable ---- */

/* Output pins rest in loopback mode (8.6). */
static uint8_t modem_outputs(const struct vuart *vuart)
{
	return ((vuart->mcr & MCR_LOOP) == 0U) ? vuart->mcr : 0U;
}

/* DTR on: somebody has opened the port and reads; bytes wait for him. Else the chip takes what it can. */
static bool is_listening(const struct vuart *vuart)
{
	return (modem_outputs(vuart) & MCR_DTR) != 0U;
}

/* A byte from the cable. @return false if it has to wait */
static bool rx_from_cable(struct vuart *vuart, uint8_t byte)
{
	if (is_listening(vuart)) {
		return (vuart->count != VUART_RING_SIZE) && rx_push(vuart, byte);
	}
	if ((vuart->mcr & MCR_LOOP) == 0U) {
		rx_chip(vuart, byte);
	}
	return true;
}

/* Sends what waits, as far as the other end takes it; with nobody there it is gone. */
static void tx_drain(struct vuart *vuart)
{
	struct vuart *const peer = peer_of(vuart);
	uint32_t sent = 0U;

	while ((sent != vuart->tx_len) && ((peer == NULL) || rx_from_cable(peer, vuart->tx_fifo[sent]))) {
		sent++;
	}
	if (sent == 0U) {
		return;
	}
	vuart->tx_len -= sent;
	(void)memmove(vuart->tx_fifo, &vuart->tx_fifo[sent], vuart->tx_len);
	vuart->thre_pending = vuart->thre_pending || (vuart->tx_len == 0U);
	if (peer != NULL) {
		update_irq(peer);
	}
}

/* There may be room again for what waits at the other end. */
static void pull_from_peer(struct vuart *vuart)
{
	struct vuart *const peer = peer_of(vuart);

	if ((peer != NULL) && (peer->tx_len != 0U)) {
		tx_drain(peer);
		update_irq(peer);
	}
}

/* The lines that arrive. A full null-modem cable: RTS to CTS; DTR to DSR and DCD; RI is open. */
static uint8_t modem_inputs(const struct vuart *vuart)
{
	const struct vuart *const peer = peer_of(vuart);
	uint8_t outputs, now = 0U;

	if ((vuart->mcr & MCR_LOOP) != 0U) { /* 8.6 */
		now |= ((vuart->mcr & MCR_RTS) != 0U) ? MSR_CTS : 0U;
		now |= ((vuart->mcr & MCR_DTR) != 0U) ? MSR_DSR : 0U;
		now |= ((vuart->mcr & MCR_OUT1) != 0U) ? MSR_RI : 0U;
		now |= ((vuart->mcr & MCR_OUT2) != 0U) ? MSR_DCD : 0U;
		return now;
	}
	if (vuart->cable == NULL) {
		return MSR_PLUGGED;
	}
	outputs = (peer != NULL) ? modem_outputs(peer) : 0U;
	now |= ((outputs & MCR_RTS) != 0U) ? MSR_CTS : 0U;
	now |= ((outputs & MCR_DTR) != 0U) ? (MSR_DSR | MSR_DCD) : 0U;
	return now;
}

/* The modem lines as they are now, and what changed since MSR was read (8.5). */
static void update_modem(struct vuart *vuart)
{
	const uint8_t old = vuart->modem;
	const uint8_t now = modem_inputs(vuart);
	uint8_t delta = (uint8_t)(((old ^ now) & MSR_STATUS) >> 4U);

	if ((now & MSR_RI) != 0U) {
		delta &= (uint8_t)~MSR_DELTA_RI; /* TERI: the trailing edge counts */
	}
	vuart->modem = (uint8_t)(now | (old & ~MSR_STATUS) | delta);
}

/* The end `peer`'s other end has changed its outputs, or has come or gone. */
static void follow(struct vuart *peer)
{
	if (peer != NULL) {
		update_modem(peer);
		tx_drain(peer);
		update_irq(peer);
	}
}

static void master_reset(struct vuart *vuart)
{
	vuart->ier = 0U;
	vuart->fcr = 0U;
	vuart->lcr = 0U;
	vuart->mcr = 0U;
	vuart->line_err = 0U;
	vuart->modem = modem_inputs(vuart); /* no deltas */
	vuart->thre_pending = false;
	vuart->head = 0U;
	vuart->count = 0U;
	vuart->breaks = 0U;
	vuart->tx_len = 0U;
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

void vuart_plug(struct vuart *vuart, struct vuart_cable *cable, uint32_t side)
{
	vuart->cable = cable;
	vuart->side = side;
	vuart_reset(vuart);
}

void vuart_unplug(struct vuart *vuart)
{
	if (vuart->cable == NULL) {
		return;
	}
	spin_lock(lock_of(vuart));
	vuart->cable->end[vuart->side] = NULL;
	follow(peer_of(vuart));
	spin_unlock(lock_of(vuart));
}

void vuart_reset(struct vuart *vuart)
{
	if (!vuart->active) {
		return;
	}
	spin_lock(lock_of(vuart));
	if (vuart->cable != NULL) {
		vuart->cable->end[vuart->side] = vuart;
	}
	master_reset(vuart);
	update_irq(vuart);
	follow(peer_of(vuart));
	spin_unlock(lock_of(vuart));
}

void vuart_detach(struct vuart *vuart)
{
	vuart_unplug(vuart);
	spin_lock(lock_of(vuart));
	vuart->active = false;
	spin_unlock(lock_of(vuart));
}

static uint8_t read_lsr(struct vuart *vuart)
{
	uint8_t lsr = vuart->line_err;

	if (vuart->tx_len == 0U) { /* to a console a byte is gone at once */
		lsr |= LSR_THRE | LSR_TEMT;
	}
	if (vuart->count != 0U) {
		lsr |= LSR_DR;
	}
	if (((vuart->fcr & FCR_ENABLE) != 0U) && (((vuart->line_err & LSR_BI) != 0U) || (vuart->breaks != 0U))) {
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

	spin_lock(lock_of(vuart));
	switch (offset) {
	case REG_DATA:
		if ((vuart->lcr & LCR_DLAB) != 0U) {
			val = vuart->dll;
		} else {
			val = rx_pop(vuart);
			pull_from_peer(vuart);
		}
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
	spin_unlock(lock_of(vuart));
	return val;
}

/* THR, and what the cable leaves waiting in it: a byte too many is the guest's fault and lost. */
static void tx_to_cable(struct vuart *vuart, uint8_t val)
{
	if (vuart->tx_len != fifo_limit(vuart)) {
		vuart->tx_fifo[vuart->tx_len] = val;
		vuart->tx_len++;
		tx_drain(vuart);
	}
}

static void write_data(struct vuart *vuart, uint8_t val)
{
	/* The interrupt falls with the write; a driver that did not read IIR needs the edge. */
	vuart->thre_pending = false;
	update_irq(vuart);
	if ((vuart->mcr & MCR_LOOP) != 0U) {
		rx_chip(vuart, val);
	} else if (vuart->cable != NULL) {
		vuart->tx_count++;
		tx_to_cable(vuart, val);
	} else {
		vuart->tx_count++;
		if (vuart->tx != NULL) {
			vuart->tx(vuart, val);
		}
	}
	/* It was full for no time at all, or it is still full and its emptying will be the event. */
	vuart->thre_pending = (vuart->tx_len == 0U);
}

static void write_ier(struct vuart *vuart, uint8_t val)
{
	/* Enabling it while THR is empty raises it; writing it again does not. */
	if ((((val & ~vuart->ier) & IER_THRE) != 0U) && (vuart->tx_len == 0U)) {
		vuart->thre_pending = true;
	}
	vuart->ier = val & IER_ALL;
}

/* Switching between FIFO and 16450 mode clears the FIFOs (8.4). Other bits count only with bit 0 set. */
static void write_fcr(struct vuart *vuart, uint8_t val)
{
	const bool toggled = ((val ^ vuart->fcr) & FCR_ENABLE) != 0U;
	const bool enabled = (val & FCR_ENABLE) != 0U;

	if (toggled || (enabled && ((val & FCR_RX_RESET) != 0U))) {
		rx_clear(vuart);
		pull_from_peer(vuart);
	}
	if ((toggled || (enabled && ((val & FCR_TX_RESET) != 0U))) && (vuart->tx_len != 0U)) {
		vuart->tx_len = 0U;
		vuart->thre_pending = true;
	}
	vuart->fcr = enabled ? (val & FCR_KEPT) : 0U;
}

static void write_lcr(struct vuart *vuart, uint8_t val)
{
	struct vuart *const peer = peer_of(vuart);
	const bool begins = ((val & ~vuart->lcr) & LCR_BREAK) != 0U;

	vuart->lcr = val;
	/* In loopback mode the output rests. */
	if (begins && (peer != NULL) && ((vuart->mcr & MCR_LOOP) == 0U) && ((peer->mcr & MCR_LOOP) == 0U)) {
		(void)rx_push(peer, RX_BREAK);
		update_irq(peer);
	}
}

static void write_mcr(struct vuart *vuart, uint8_t val)
{
	vuart->mcr = val & MCR_ALL;
	update_modem(vuart);
	follow(peer_of(vuart));
}

void vuart_write(struct vuart *vuart, uint16_t offset, uint8_t val)
{
	bool dlab;

	spin_lock(lock_of(vuart));
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
		write_lcr(vuart, val);
		break;
	case REG_MCR:
		write_mcr(vuart, val);
		break;
	case REG_SCR:
		vuart->scr = val;
		break;
	default:
		/* LSR: "intended for read operations only"; MSR: read only. */
		break;
	}
	update_irq(vuart);
	spin_unlock(lock_of(vuart));
}

bool vuart_rx(struct vuart *vuart, uint8_t byte)
{
	bool taken;

	spin_lock(lock_of(vuart));
	if (!vuart->active) {
		spin_unlock(lock_of(vuart));
		return false;
	}
	/* In loopback mode the receiver is cut off from the line: the byte passes unseen. */
	taken = ((vuart->mcr & MCR_LOOP) != 0U) ? false : rx_push(vuart, byte);
	update_irq(vuart);
	spin_unlock(lock_of(vuart));
	return taken;
}

void vuart_rx_break(struct vuart *vuart)
{
	spin_lock(lock_of(vuart));
	if (!vuart->active) {
		spin_unlock(lock_of(vuart));
		return;
	}
	if ((vuart->mcr & MCR_LOOP) == 0U) {
		(void)rx_push(vuart, RX_BREAK);
	}
	update_irq(vuart);
	spin_unlock(lock_of(vuart));
}

uint32_t vuart_rx_room(struct vuart *vuart)
{
	uint32_t room;

	spin_lock(lock_of(vuart));
	room = VUART_RING_SIZE - vuart->count;
	spin_unlock(lock_of(vuart));
	return room;
}
