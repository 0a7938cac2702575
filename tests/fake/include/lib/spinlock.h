/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ticket lock for host threads: the same order and barriers, but a waiter gives its CPU away. A host may have fewer
 * CPUs than the test has threads, and then the next ticket's owner is often not running.
 */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include <sched.h>

#include <lib/types.h>

struct spinlock {
	uint32_t next;
	uint32_t owner;
};

#define SPINLOCK_INIT {0U, 0U}

static inline void spin_pause(void)
{
	(void)sched_yield();
}

static inline void spinlock_init(struct spinlock *lock)
{
	lock->next = 0U;
	lock->owner = 0U;
}

static inline void spin_lock(struct spinlock *lock)
{
	const uint32_t ticket = __atomic_fetch_add(&lock->next, 1U, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket) {
		spin_pause();
	}
}

static inline bool spin_try_lock(struct spinlock *lock)
{
	uint32_t ticket = __atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE);

	return __atomic_compare_exchange_n(&lock->next, &ticket, ticket + 1U, false, __ATOMIC_ACQUIRE,
		__ATOMIC_RELAXED);
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->owner, lock->owner + 1U, __ATOMIC_RELEASE);
}

#endif
