/* SPDX-License-Identifier: BSD-3-Clause */
/* One formatter: %d %i %u %x %X %o %c %s %p %%, with flags "0-+ #", width, precision, hh h l ll z t j. */
#ifndef LIB_PRINTF_H
#define LIB_PRINTF_H

#include <stdarg.h>

#include <lib/util.h>

/** Formats into `buf` (always terminated if size > 0). @return length without the cut, as in C */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args) __printf(3, 0);

/** As vsnprintf(). */
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

#endif
