/* SPDX-License-Identifier: BSD-3-Clause */
/* The hypervisor's console: the serial port and the screen. */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include <lib/util.h>

/**
 * Finds the serial port (CONFIG_SERIAL_PIO_BASE or `serial=PORT`, 115200 baud) and the screen of boot_info. Boot CPU,
 * early.
 */
void console_init(void);

/** Moves the screen to its place in the final page tables: right after they are loaded. */
void console_remap(void);

/** Writes bytes as they are to the serial port (a VM's console, the shell); '\n' becomes "\r\n". */
void console_write(const char *text, size_t len);

/** As console_write(), beginning on a line of its own. For whole lines, such as VMs' */
void console_write_line(const char *text, size_t len);

/** @return a number that grows with each line of the log or of console_write_line() on the serial port */
uint32_t console_line_count(void);

/**
 * Lines up to this enum log_level, or LOG_NONE, reach the serial port and the screen; at first CONFIG_LOG_LEVEL_SERIAL
 * and CONFIG_LOG_LEVEL_SCREEN.
 */
void console_set_level(int32_t level);

/**
 * The console is another serial port from now on, or the same at another speed, unless `serial=` of the command line
 * says which; the log so far is written there again. Without a port at `base` it stays where it is. Boot, once.
 * @param base I/O port; 0: none
 * @param baud a divisor of 115200; 0 only with base 0
 */
void console_use_port(uint16_t base, uint32_t baud);

/** @return I/O port of the serial port in use, 0: none */
uint16_t console_port(void);

/** `received` is called when bytes have come while others were sent, on any pCPU: console_getc() has them. Boot. */
void console_on_input(void (*received)(void));

/** @return next character from the serial port, or -1 if there is none. Does not wait. */
int console_getc(void);

/**
 * Input from the serial port from now on: by interrupt if the port's line works, else by a timer. After the timers
 * and the scheduler are set up, before the first VM. Starts the shell's thread, on this pCPU.
 */
void console_input_init(void);

/** From now on no lock is taken: the last words of a panic. */
void console_enter_panic(void);

#endif
