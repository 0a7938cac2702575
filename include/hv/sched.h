/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads and the scheduler of each pCPU.
 *
 * Threads are stackless: run() works for a while and returns when the CPU should go to somebody else. A thread
 * never moves to another pCPU. Idle is not a thread: a pCPU with nothing runnable halts in arch_idle().
 */
#ifndef HV_SCHED_H
#define HV_SCHED_H

#include <lib/list.h>
#include <lib/util.h>

enum thread_state {
	THREAD_BLOCKED,  /* not on a queue; thread_wake() makes it runnable */
	THREAD_RUNNABLE, /* on its pCPU's queue */
	THREAD_RUNNING,  /* run() is on the CPU */
};

/* Its part of a pCPU that it shares, under BVT. The others do not look at it. */
struct sched_share {
	uint8_t weight;        /* 1..128: twice the weight, twice the time */
	uint8_t warp_limit_ms; /* so long it may run warped before it must stop for a while, 0: no limit */
	uint8_t unwarp_ms;     /* for so long */
	int16_t warp_ms;       /* virtual milliseconds that it stands earlier in the queue while it is warped */
};

/* BVT's account of a thread; run queue lock. */
struct thread_bvt {
	uint64_t vtime;       /* virtual time: grows by 1024 / weight each tick that it runs */
	uint64_t warped;      /* ticks that it has run warped since it was last allowed to */
	uint64_t unwarped_at; /* time at which the limit ended its warp */
	bool warping;
};

struct thread {
	struct list_head node; /* in the run queue when RUNNABLE; run queue lock */
	uint32_t state;        /* enum thread_state; run queue lock */
	bool wake_pending;     /* woken while RUNNING: does not block; run queue lock */
	uint16_t pcpu;         /* constant */
	uint16_t who;          /* TRACE_WHO(), for the trace; its creator's */
	/* Works; returns true to stay runnable, false to block until thread_wake(). */
	bool (*run)(struct thread *thread);
	/* Called when RUNNING ends, on the pCPU: nothing of the thread may stay in the CPU. May be NULL. */
	void (*switch_out)(struct thread *thread);
	uint64_t slices;          /* times it was given the CPU */
	uint64_t run_ticks;       /* time it had it; of a running one see thread_run_ticks() */
	struct sched_share share; /* constant while it may run */
	struct thread_bvt bvt;
};

/** Makes `thread` a blocked thread of `pcpu`, with weight 1. */
void thread_init(
	struct thread *thread, uint16_t pcpu, bool (*run)(struct thread *), void (*switch_out)(struct thread *));

/** Gives a thread that has never been woken its share. */
void thread_set_share(struct thread *thread, const struct sched_share *share);

/** @return ticks for which it has had its pCPU up to now; from any pCPU */
uint64_t thread_run_ticks(const struct thread *thread);

/** Makes it runnable, from any pCPU; a wake-up is never lost. Cheap when it is runnable already. */
void thread_wake(struct thread *thread);

/**
 * Takes `thread` off its queue, or waits until run() is not on a CPU (the caller has made sure that it will return).
 * BLOCKED on return; a late thread_wake() may make it run once more. Does not wait on the thread's own pCPU: what
 * runs there is the caller.
 */
void thread_wait_off_cpu(struct thread *thread);

/** Takes a RUNNABLE thread off its queue: BLOCKED. One that is RUNNING is left to its own. From any pCPU. */
void thread_unqueue(struct thread *thread);

/**
 * The end of a thread whose run() does not stay: later thread_wake()s are ignored until thread_init(). Waits if a late
 * waker has just made it run; never from the thread itself.
 */
void thread_retire(struct thread *thread);

/** @return true if run() of `thread` is on a CPU now */
bool thread_is_running(const struct thread *thread);

/**
 * Sets up the queues of all pCPUs. Once, before any thread.
 * @param policy   SCN_SCHED_*
 * @param slice_us time slice, microseconds
 */
void sched_init(uint8_t policy, uint32_t slice_us);

/** @return the policy's name */
const char *sched_policy_name(void);

/** @return ticks for which `pcpu` has halted */
uint64_t sched_idle_ticks(uint16_t pcpu);

/** The life of a pCPU from boot on: picks threads, idles. Never returns. */
void __noreturn sched_loop(void);

/** One turn of sched_loop(): runs one thread, or idles once. For unit tests. @return false if it idled */
bool sched_once(void);

/** @return true if another thread than the current is runnable on this pCPU */
bool sched_others_runnable(void);

/** The running thread of this pCPU spins: another one, if there is any, is to run before it does again. */
void sched_skip_turn(void);

/** Makes the thread that runs on `pcpu` come back to the scheduler, and so begin anew. From any pCPU. */
void sched_disturb(uint16_t pcpu);

/** @return number of threads runnable or running on pCPU */
uint32_t sched_load(uint16_t pcpu);

/** @return threads that are neither retired nor new */
uint32_t thread_count(void);

#endif
