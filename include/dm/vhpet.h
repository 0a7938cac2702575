/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * High precision event timers (IA-PC HPET Specification 1.0a): a 64-bit counter of 10 MHz and three comparators, all
 * of which can be periodic, with the legacy replacement route. Time is given in clocks of the counter; what has
 * happened is worked out when somebody looks.
 */
#ifndef DM_VHPET_H
#define DM_VHPET_H

#include <dm/vclock.h>
#include <lib/util.h>

struct acrn_vm;

#define VHPET_BASE   0xFED00000UL
#define VHPET_SIZE   0x400UL
#define VHPET_HZ     10000000UL
#define VHPET_ID     0x8086A201U /* Intel, three comparators, 64 bits, legacy route, revision 1 */
#define VHPET_TIMERS 3U
#define VHPET_NEVER  VCLOCK_NEVER

struct vhpet_timer {
	uint64_t config; /* configuration register, without what is constant */
	uint64_t comparator;
	uint64_t period; /* written in periodic mode; clocks */
};

struct vhpet {
	struct vclock clock; /* glue */
	uint64_t config;     /* general configuration */
	uint64_t status;     /* level interrupts that are active */
	uint64_t counter;    /* its value at `since`; or always, while it is halted */
	uint64_t since;      /* clock */
	struct vhpet_timer timer[VHPET_TIMERS];
};

/** After power-on: halted, at 0, no interrupts. */
void vhpet_init(struct vhpet *hpet);

/**
 * Brings counter and comparators up to `now` (clocks).
 * @return bit for each comparator that has matched since the last time and may interrupt
 */
uint32_t vhpet_advance(struct vhpet *hpet, uint64_t now);

/** Guest's access to the 8 bytes at `offset`, a multiple of 8; after vhpet_advance(). @param mask bits written */
uint64_t vhpet_read(const struct vhpet *hpet, uint32_t offset);
void vhpet_write(struct vhpet *hpet, uint32_t offset, uint64_t value, uint64_t mask);

/** @return the clock of the next match that may interrupt; VHPET_NEVER: none */
uint64_t vhpet_next(const struct vhpet *hpet);

/** @return the interrupt that comparator `n` drives, as a GSI */
uint32_t vhpet_gsi(const struct vhpet *hpet, uint32_t n);

/** @return true if comparator `n` is level triggered: its line is its bit in `status` */
bool vhpet_is_level(const struct vhpet *hpet, uint32_t n);

/** @return true while comparators 0 and 1 stand in for the interval timer and the clock: these raise nothing */
bool vhpet_replaces_legacy(const struct vhpet *hpet);

/* ---- Glue (vhpet_glue.c) ---- */

/** Initialises vm->vhpet and registers its memory. Before the VM is started. @return as registering */
int32_t __must_check vhpet_attach(struct acrn_vm *vm);

/** Back to power-on. No vCPU of the VM is on a CPU. */
void vhpet_reset(struct vhpet *hpet);

#endif
