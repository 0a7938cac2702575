/* SPDX-License-Identifier: BSD-3-Clause */
/* A font for printable ASCII in 8x16 cells. */
#ifndef DEBUG_FONT_H
#define DEBUG_FONT_H

#include <lib/util.h>

/** @return pixels of line `y` (0..15) of character `c`, leftmost in bit 7 */
uint8_t font_row(char c, uint32_t y);

#endif
