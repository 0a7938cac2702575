/* SPDX-License-Identifier: BSD-3-Clause */
/* The physical 16550 of the console: sends by polling, receives by interrupt. */
#include "uart16550.h"

#include <asm/io.h>
#include <lib/spinlock.h>

#define REG_DATA 0U
#define REG_IER  1U
#define REG_FCR  2U /* write */
#define REG_IIR  2U /* read */
#define REG_LCR  3U
#define REG_MCR  4U
#define REG_LSR  5U
#define REG_MSR  6U
#define REG_SCR  7U

#define LCR_8N1  0x03U
#define LCR_DLAB 0x80U
#define IER_RX   0x01U
#define IER_THRE 0x02U
#define IIR_NONE 0x01U
#define MCR_ON   0x03U /* DTR, RTS */
#define MCR_OUT2 0x08U /* on a PC: the gate of the interrupt line */
#define LSR_DATA 0x01U
#define LSR_THRE 0x20U
#define LSR_TEMT 0x40U

#define MAX_BAUD 115200U

#define SPIN_MAX  200000U /* reads of LSR, about a microsecond each: more than any byte takes at 300 baud */
#define FIFO_SIZE 16U
#define KEPT_SIZE 512U /* power of two */

static uint16_t uart_base; /* 0: none */
static uint32_t fifo_room;

static uint16_t port(uint16_t reg)
{
	return (uint16_t)(uart_base + reg);
}

bool uart16550_is_at(uint16_t base)
{
	outb((uint16_t)(base + REG_SCR), 0x5AU);
	return inb((uint16_t)(base + REG_SCR)) == 0x5AU;
}

uint16_t uart16550_base(void)
{
	return uart_base;
}

/* What was sent is on the wire, or nothing moves. */
static void flush(void)
{
	for (uint32_t spins = 0U; (spins < SPIN_MAX) && ((inb(port(REG_LSR)) & LSR_TEMT) == 0U); spins++) {
	}
}

bool uart16550_init(uint16_t base, uint32_t baud)
{
	const uint32_t divisor = MAX_BAUD / baud;

	if (uart_base != 0U) {
		flush();
	}
	uart_base = ((base != 0U) && uart16550_is_at(base)) ? base : 0U;
	if (uart_base == 0U) {
		return false;
	}
	outb(port(REG_IER), 0U);
	outb(port(REG_LCR), LCR_DLAB | LCR_8N1);
	outb(port(REG_DATA), (uint8_t)divisor);
	outb(port(REG_IER), (uint8_t)(divisor >> 8U));
	outb(port(REG_LCR), LCR_8N1);
	outb(port(REG_FCR), 0x07U); /* FIFOs on and empty */
	outb(port(REG_MCR), MCR_ON);
	fifo_room = 0U;
	return true;
}

bool uart16550_is_present(void)
{
	return uart_base != 0U;
}

/*
 * Received while a byte to be sent waited, which is as long for both: the chip would keep only 16. Whoever reads the
 * port holds rx_lock.
 */
static struct spinlock rx_lock;
static uint8_t kept[KEPT_SIZE];
static uint32_t kept_in, kept_out;

static void keep_received(void)
{
	if (!spin_try_lock(&rx_lock)) {
		return; /* somebody else reads, or was stopped by a panic */
	}
	while ((kept_in - kept_out < KEPT_SIZE) && ((inb(port(REG_LSR)) & LSR_DATA) != 0U)) {
		kept[kept_in % KEPT_SIZE] = inb(port(REG_DATA));
		__atomic_store_n(&kept_in, kept_in + 1U, __ATOMIC_RELAXED);
	}
	spin_unlock(&rx_lock);
}

bool uart16550_has_kept(void)
{
	return __atomic_load_n(&kept_in, __ATOMIC_RELAXED) != __atomic_load_n(&kept_out, __ATOMIC_RELAXED);
}

void uart16550_putc(char c)
{
	if (uart_base == 0U) {
		return;
	}
	if (fifo_room == 0U) {
		uint32_t spins = 0U;
		uint8_t lsr;

		while (((lsr = inb(port(REG_LSR))) & LSR_THRE) == 0U) {
			if ((lsr & LSR_DATA) != 0U) {
				keep_received();
			}
			if (++spins == SPIN_MAX) {
				return; /* the byte is lost; the log in RAM has it */
			}
		}
		fifo_room = FIFO_SIZE; /* THRE in FIFO mode: all of it is empty */
	}
	outb(port(REG_DATA), (uint8_t)c);
	fifo_room--;
}

int uart16550_getc(void)
{
	int c = -1;

	if (uart_base == 0U) {
		return -1;
	}
	spin_lock(&rx_lock);
	if (kept_in != kept_out) {
		c = kept[kept_out % KEPT_SIZE];
		__atomic_store_n(&kept_out, kept_out + 1U, __ATOMIC_RELAXED);
	} else if ((inb(port(REG_LSR)) & LSR_DATA) != 0U) {
		c = inb(port(REG_DATA));
	}
	spin_unlock(&rx_lock);
	return c;
}

uint32_t uart16550_irq(void)
{
	switch (uart_base) {
	case 0x3F8U:
	case 0x3E8U:
		return 4U;
	case 0x2F8U:
	case 0x2E8U:
		return 3U;
	default:
		return UINT32_MAX;
	}
}

void uart16550_enable_irq(bool also_empty)
{
	if (uart_base != 0U) {
		outb(port(REG_MCR), MCR_ON | MCR_OUT2);
		outb(port(REG_IER), also_empty ? (IER_RX | IER_THRE) : IER_RX);
	}
}

bool uart16550_ack_irq(void)
{
	if (uart_base == 0U || (inb(port(REG_IIR)) & IIR_NONE) != 0U) {
		return false; /* reading IIR has ended "transmitter empty" */
	}
	(void)inb(port(REG_LSR)); /* line status */
	(void)inb(port(REG_MSR)); /* modem status */
	return true;
}
