/* SPDX-License-Identifier: BSD-3-Clause */
/* The hypervisor's console: the serial port and the screen. */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include <lib/util.h>

/** Finds the serial port (CONFIG_SERIAL_PIO_BASE or `serial=PORT`) and the screen of boot_info. Boot CPU, early. */
void console_init(void);

/** Moves the screen to its place in the final page tables: right after they are loaded. */
void console_remap(void);

/** Writes bytes as they are to the serial port (a VM's console, the shell); '\n' becomes "\r\n". */
void console_write(const char *text, size_t len);

/** @return next character from the serial port, or -1 if there is none. Does not wait. */
int console_getc(void);

/** From now on no lock is taken: the last words of a panic. */
void console_enter_panic(void);

#endif
