/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the guest `maps` and the Service VM that changes its memory map tell each other: a page of the guest's RAM.
 *
 * The rule by which a stale translation is seen: the Service VM lets the window show a page with the number n in it (or
 * nothing: reads are answered with ones), and stores n to `epoch` when the hypercall has returned. Who then reads
 * `epoch` first and the window second may not find less.
 */
#ifndef GUESTS_LIB_MAPS_H
#define GUESTS_LIB_MAPS_H

#include <stdint.h>

#define MAPS_SHARED_GPA 0x300000UL
#define MAPS_WINDOW_GPA 0x40000000UL /* aligned for a large page */
#define MAPS_CPUS       8U

enum maps_task {
	MAPS_STOP,
	MAPS_READ,          /* compare with `epoch` */
	MAPS_WRITE,         /* count up in one's own word of the window */
	MAPS_WRITE_EMULATED /* the same by an instruction that the hypervisor emulates: from a device to the window */
};

struct maps_cpu {
	volatile uint64_t turns; /* of the task */
	volatile uint64_t stale; /* reads that found less than they may */
	volatile uint64_t found, wanted; /* of the last such read */
} __attribute__((aligned(64)));

struct maps_shared {
	volatile uint64_t ready; /* CPUs at work */
	volatile uint64_t task;  /* enum maps_task */
	volatile uint64_t epoch;
	struct maps_cpu cpu[MAPS_CPUS];
};

#endif /* GUESTS_LIB_MAPS_H */
