/* SPDX-License-Identifier: BSD-3-Clause */
/* 8254 helpers. */
#include <guests/lib/guest.h>
#include <guests/lib/pit.h>

#define GATE_PATIENCE	20000000U

bool pit_present(void)
{
	uint16_t first;

	pit_set(0, 2, 0);
	first = pit_count(0);
	for (unsigned int i = 0; i < 1000; i++) {
		if (pit_count(0) != first)
			return true;
		delay_ticks(100);
	}
	return false;
}

void pit_set(unsigned int channel, unsigned int mode, uint16_t count)
{
	uint16_t port = (uint16_t)(PIT_CH0 + channel);

	outb(PIT_CONTROL, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	outb(port, (uint8_t)count);
	outb(port, (uint8_t)(count >> 8));
}

uint16_t pit_count(unsigned int channel)
{
	uint16_t port = (uint16_t)(PIT_CH0 + channel);
	unsigned int low;

	outb(PIT_CONTROL, (uint8_t)(channel << 6));
	low = inb(port);
	return (uint16_t)(low | (unsigned int)inb(port) << 8);
}

uint64_t pit_measure_tsc(unsigned int us)
{
	uint64_t start;
	uint8_t saved = inb(PIT_GATE);

	outb(PIT_GATE, (uint8_t)((saved & ~3U) | 1));
	pit_set(2, 0, (uint16_t)((uint64_t)us * PIT_HZ / 1000000));
	start = rdtsc();
	for (unsigned int i = 0; i < GATE_PATIENCE; i++) {
		if ((inb(PIT_GATE) & 0x20) != 0) {
			uint64_t ticks = rdtsc() - start;

			outb(PIT_GATE, saved);
			return ticks;
		}
	}
	outb(PIT_GATE, saved);
	return 0;
}
