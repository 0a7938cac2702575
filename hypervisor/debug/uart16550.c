/* SPDX-License-Identifier: BSD-3-Clause */
/* The physical 16550 of the console: sends by polling, receives by interrupt. */
#include "uart16550.h"

#include <asm/io.h>

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

void uart16550_putc(char c)
{
	if (uart_base == 0U) {
		return;
	}
	if (fifo_room == 0U) {
		uint32_t spins = 0U;

		while ((inb(port(REG_LSR)) & LSR_THRE) == 0U) {
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
	if (uart_base == 0U || (inb(port(REG_LSR)) & LSR_DATA) == 0U) {
		return -1;
	}
	return inb(port(REG_DATA));
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
