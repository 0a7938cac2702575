/* SPDX-License-Identifier: BSD-3-Clause */
/* What the scheduler and its policies share. sched.c has states, locks and clock; a policy has the order. */
#ifndef HYPERVISOR_SCHED_PRIV_H
#define HYPERVISOR_SCHED_PRIV_H

#include <hv/sched.h>
#include <hv/timer.h>
#include <lib/spinlock.h>

struct run_queue {
	struct spinlock lock;
	struct list_head head;  /* RUNNABLE threads, next one first */
	struct thread *current; /* the RUNNING one, or NULL; written under lock, by the pCPU itself */
	uint64_t since;         /* up to when the time of `current` is accounted, ticks */
	uint64_t vtime;         /* BVT's: the least virtual time of all who want the pCPU; never goes back */
	uint64_t idle_ticks;    /* halted; the pCPU's own */
	uint32_t waiting;       /* threads in `head`; written under lock, read without */
	bool skip_turn;         /* the running thread wants another one to run first; the pCPU's own */
	struct hv_timer slice;  /* armed while somebody waits for the running thread; the pCPU's own */
} __aligned(64);

/* All are called with the queue's lock held; a NULL does nothing. */
struct sched_policy {
	const char *name;
	/* A thread that was blocked is about to join the queue. */
	void (*wake)(struct run_queue *rq, struct thread *thread, uint64_t now);
	/* Links `thread` into the queue. `skip`: not first, if there is anybody else. */
	void (*enqueue)(struct run_queue *rq, struct thread *thread, bool skip);
	/* rq->current has run for `ticks` up to `now`. */
	void (*charge)(struct run_queue *rq, uint64_t ticks, uint64_t now);
	/* @return true if rq->current stays, though others wait; NULL: never */
	bool (*keeps)(const struct run_queue *rq);
	/* @return for how long rq->current may run now, while others wait, ticks; 0: until it gives way */
	uint64_t (*slice)(const struct run_queue *rq, uint64_t slice_ticks);
};

extern const struct sched_policy sched_policy_noop, sched_policy_iorr, sched_policy_bvt;

#endif
