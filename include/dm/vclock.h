/* SPDX-License-Identifier: BSD-3-Clause */
/* What every device with a time of its own has: its lock, its clock, and the timer for what happens next. */
#ifndef DM_VCLOCK_H
#define DM_VCLOCK_H

#include <hv/timer.h>
#include <lib/spinlock.h>
#include <lib/util.h>

struct acrn_vm;

#define VCLOCK_NEVER UINT64_MAX

struct vclock {
	struct spinlock lock; /* of the whole device */
	struct acrn_vm *vm;
	struct hv_timer timer;
	uint64_t hz;
	void (*due)(struct vclock *clock, uint64_t now);
	bool active; /* the VM has the device */
};

/**
 * Makes it ready, and active. Before the VM is started.
 * @param hz  clocks a second, below 2^32
 * @param due what vclock_arm() asked for; lock held, on the pCPU that armed it
 */
void vclock_attach(
	struct vclock *clock, struct acrn_vm *vm, uint64_t hz, void (*due)(struct vclock *clock, uint64_t now));

/** @return the time, clocks since the TSC's 0 */
uint64_t vclock_now(const struct vclock *clock);

/** Asks for due() at clock `at`, or not at all (VCLOCK_NEVER). The last wish counts. Lock held. */
void vclock_arm(struct vclock *clock, uint64_t at);

/** Waits until due() does not run, and will not. Lock not held. */
void vclock_stop(struct vclock *clock);

/** The VM goes: when this returns, due() runs no more. Also if it is not active. Lock not held. */
void vclock_detach(struct vclock *clock);

#endif
