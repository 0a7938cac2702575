/* SPDX-License-Identifier: BSD-3-Clause */
/* The 8254 of a PC: channel 0 (IRQ 0) and channel 2 (gate and output at port 0x61). */
#ifndef GUESTS_LIB_PIT_H
#define GUESTS_LIB_PIT_H

#include <stdbool.h>
#include <stdint.h>

#define PIT_HZ		1193182U
#define PIT_CH0		0x40
#define PIT_CH2		0x42
#define PIT_CONTROL	0x43
#define PIT_GATE	0x61

/* Channel 0 counts: two latched values differ within a while. */
bool pit_present(void);
/* Program a channel (0 or 2): mode 0..5, binary, both bytes. */
void pit_set(unsigned int channel, unsigned int mode, uint16_t count);
/* Latch and read the count. */
uint16_t pit_count(unsigned int channel);
/* TSC ticks per @us microseconds by channel 2, 0 when its output never rises. */
uint64_t pit_measure_tsc(unsigned int us);

#endif /* GUESTS_LIB_PIT_H */
