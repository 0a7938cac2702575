/* SPDX-License-Identifier: BSD-3-Clause */
/* Time, in the clocks of one device or another. */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <lib/util.h>

/**
 * Converts a time between two rates without losing precision, rounded down.
 * @param value clocks of `from_hz`
 * @param from_hz, to_hz not 0, below 2^32: the product of a remainder and a rate fits 64 bits
 * @return clocks of `to_hz`
 */
static inline uint64_t clock_scale(uint64_t value, uint64_t from_hz, uint64_t to_hz)
{
	return ((value / from_hz) * to_hz) + (((value % from_hz) * to_hz) / from_hz);
}

/** As clock_scale(), rounded up: a deadline that is not before its time. */
static inline uint64_t clock_scale_up(uint64_t value, uint64_t from_hz, uint64_t to_hz)
{
	return ((value / from_hz) * to_hz) + ((((value % from_hz) * to_hz) + from_hz - 1UL) / from_hz);
}

#endif
