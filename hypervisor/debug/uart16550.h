/* SPDX-License-Identifier: BSD-3-Clause */
/* The physical 16550 of the console: sends by polling, receives by interrupt. */
#ifndef DEBUG_UART16550_H
#define DEBUG_UART16550_H

#include <lib/util.h>

/**
 * Uses the UART at `base` from now on, with 8N1, after the last byte has left the one in use.
 * @param base I/O port; 0: none
 * @param baud a divisor of 115200
 * @return true if it answers; if not, there is none
 */
bool uart16550_init(uint16_t base, uint32_t baud);

/** @return true if a UART answers at `base` */
bool uart16550_is_at(uint16_t base);

/** @return the I/O port in use, 0: none */
uint16_t uart16550_base(void);

/** @return true if there is a port */
bool uart16550_is_present(void);

/** Sends one byte; gives up after a bounded time (no UART, flow stopped). */
void uart16550_putc(char c);

/** @return received byte, or -1 */
int uart16550_getc(void);

/** @return true if bytes that came while others were sent wait for uart16550_getc(); no interrupt tells of them */
bool uart16550_has_kept(void);

/** @return the ISA interrupt which PCs wire to the port in use, or UINT32_MAX (no port, or not a PC's) */
uint32_t uart16550_irq(void);

/**
 * Interrupts for received bytes.
 * @param also_empty one comes at once if nothing is being sent: a test of the line
 */
void uart16550_enable_irq(bool also_empty);

/** Ends what made the port interrupt, but for received bytes: those uart16550_getc() takes. @return true if anything */
bool uart16550_ack_irq(void);
#endif
