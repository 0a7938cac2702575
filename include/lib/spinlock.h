/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fair (ticket) lock. The hypervisor runs with interrupts off, so a holder is never pre-empted;
 * an NMI handler takes no lock.
 */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include <lib/types.h>

struct spinlock {
	uint32_t next;  /* ticket the next comer draws */
	uint32_t owner; /* ticket being served */
};

#define SPINLOCK_INIT {0U, 0U}

/** Makes `lock` free. */
static inline void spinlock_init(struct spinlock *lock)
{
	lock->next = 0U;
	lock->owner = 0U;
}

/** Takes `lock`, spinning in order of arrival. */
static inline void spin_lock(struct spinlock *lock)
{
	const uint32_t ticket = __atomic_fetch_add(&lock->next, 1U, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket) {
		__builtin_ia32_pause();
	}
}

/** Releases `lock`, held by the caller. */
static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->owner, lock->owner + 1U, __ATOMIC_RELEASE);
}

#endif
