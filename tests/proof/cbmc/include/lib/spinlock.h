/* SPDX-License-Identifier: BSD-3-Clause */
/* Of one thread: a lock is taken when it is free, and released when it is held. */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include <lib/types.h>

struct spinlock {
	bool is_held;
};

#define SPINLOCK_INIT {false}

static inline void spin_pause(void)
{
}

static inline void spinlock_init(struct spinlock *lock)
{
	lock->is_held = false;
}

static inline void spin_lock(struct spinlock *lock)
{
	PROVE(!lock->is_held);
	lock->is_held = true;
}

static inline bool spin_try_lock(struct spinlock *lock)
{
	PROVE(!lock->is_held);
	lock->is_held = nondet_bool(); /* another CPU may have it */
	return lock->is_held;
}

static inline void spin_unlock(struct spinlock *lock)
{
	PROVE(lock->is_held);
	lock->is_held = false;
}

#endif
