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

struct thread {
	struct list_head node;            /* in the run queue when RUNNABLE; run queue lock */
	uint32_t state;                   /* enum thread_state; run queue lock */
	bool wake_pending;                /* woken while RUNNING: does not block; run queue lock */
	uint16_t pcpu;                    /* constant */
	uint16_t who;                     /* TRACE_WHO(), for the trace; its creator's */
	/* Works; returns true to stay runnable, false to block until thread_wake(). */
	bool (*run)(struct thread *thread);
	/* Called when RUNNING ends, on the pCPU: nothing of the thread may stay in the CPU. May be NULL. */
	void (*switch_out)(struct thread *thread);
	uint64_t slices;                  /* times it was given the CPU */
	uint64_t run_ticks;               /* time it had it */
};

/** Makes `thread` a blocked thread of `pcpu`. */
void thread_init(struct thread *thread, uint16_t pcpu, bool (*run)(struct thread *),
	void (*switch_out)(struct thread *));

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

/** Sets up the queues of all pCPUs. Once, before any thread. @param slice_us time slice, microseconds */
void sched_init(uint32_t slice_us);

/** The life of a pCPU from boot on: picks threads, idles. Never returns. */
void __noreturn sched_loop(void);

/** One turn of sched_loop(): runs one thread, or idles once. For unit tests. @return false if it idled */
bool sched_once(void);

/** @return true if another thread than the current is runnable on this pCPU */
bool sched_others_runnable(void);

/** The running thread of this pCPU is to give way: sched_need_resched() is true until the next choice. */
void sched_set_need_resched(void);

/** @return number of threads runnable or running on pCPU */
uint32_t sched_load(uint16_t pcpu);

#endif
