/* SPDX-License-Identifier: BSD-3-Clause */
/* The physical 16550 of the console, polled. */
#ifndef DEBUG_UART16550_H
#define DEBUG_UART16550_H

#include <lib/util.h>

/**
 * Sets 115200 8N1 and checks that a UART is there.
 * @param base I/O port; 0: none
 * @return true if it answers
 */
bool uart16550_init(uint16_t base);

/** Sends one byte; gives up after a bounded time (no UART, flow stopped). */
void uart16550_putc(char c);

/** @return received byte, or -1 */
int uart16550_getc(void);

#endif
