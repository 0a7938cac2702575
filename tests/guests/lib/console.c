/* SPDX-License-Identifier: BSD-3-Clause */
/* COM1 by polling. */
#include <guests/lib/guest.h>

#define COM1		0x3f8
#define UART_RBR	0
#define UART_IER	1
#define UART_FCR	2
#define UART_LCR	3
#define UART_MCR	4
#define UART_LSR	5
#define UART_SCR	7
#define LSR_DR		0x01
#define LSR_THRE	0x20
#define LSR_TEMT	0x40
#define SEND_PATIENCE	1000000U	/* polls, then the character is dropped */

static bool present;

void console_init(void)
{
	outb(COM1 + UART_SCR, 0x5a);
	if (inb(COM1 + UART_SCR) != 0x5a || inb(COM1 + UART_LSR) == 0xff)
		return;
	outb(COM1 + UART_IER, 0);
	outb(COM1 + UART_LCR, 0x80);
	outb(COM1 + UART_RBR, 1);
	outb(COM1 + UART_IER, 0);
	outb(COM1 + UART_LCR, 0x03);
	outb(COM1 + UART_FCR, 0x07);
	outb(COM1 + UART_MCR, 0x0b);
	present = true;
}

bool console_present(void)
{
	return present;
}

void console_putc(char c)
{
	if (!present)
		return;
	for (unsigned int i = 0; i < SEND_PATIENCE; i++) {
		if ((inb(COM1 + UART_LSR) & LSR_THRE) != 0) {
			outb(COM1, (uint8_t)c);
			return;
		}
		cpu_pause();
	}
}

void console_flush(void)
{
	for (unsigned int i = 0; present && i < SEND_PATIENCE; i++) {
		if ((inb(COM1 + UART_LSR) & LSR_TEMT) != 0)
			return;
		cpu_pause();
	}
}

int console_getc(void)
{
	if (!present || (inb(COM1 + UART_LSR) & LSR_DR) == 0)
		return -1;
	return inb(COM1 + UART_RBR);
}
