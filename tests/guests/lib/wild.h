/* SPDX-License-Identifier: BSD-3-Clause */
/* Accesses that no driver makes, to see what a device survives. */
#ifndef GUESTS_LIB_WILD_H
#define GUESTS_LIB_WILD_H

#include <stdint.h>

/* A write of @width (1, 2, 4, 8) bytes; one over the end of a device may be #GP. Returns NO_TRAP or the vector. */
int wild_write(uint64_t at, unsigned int width, uint64_t value);

/* Writes of every width at each of the first 256 bytes from @base, and at each @step-th behind, up to @size. */
void wild_registers(uint64_t base, unsigned int size, unsigned int step, uint64_t value);

/* Writes of every width, of ones and of zeros, at each byte of a function's configuration; then @count at random. */
void wild_config(unsigned int slot, unsigned int count);

#endif /* GUESTS_LIB_WILD_H */
