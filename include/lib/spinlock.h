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

#define SPINLOCK_INIT                                                                                                  \
	{                                                                                                              \
		0U, 0U                                                                                                 \
	}

/** One turn of a loop that waits for another pCPU. */
static inline void spin_pause(void)
{
	__builtin_ia32_pause();
}

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
		spin_pause();
	}
}

/** Takes `lock` if it is free. @return true if it was taken */
static inline bool spin_try_lock(struct spinlock *lock)
{
	uint32_t ticket = __atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE);

	/* The ticket that is served now has not been drawn: nobody holds the lock. */
	return __atomic_compare_exchange_n(
		&lock->next, &ticket, ticket + 1U, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/** Releases `lock`, held by the caller. */
static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->owner, lock->owner + 1U, __ATOMIC_RELEASE);
}

#endif
