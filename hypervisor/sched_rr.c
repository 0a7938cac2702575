/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Round robin, and none at all.
 *
 * A thread that is woken goes to the tail of its queue and asks the running one to give way: latency is short, and
 * since whoever gives way goes to the tail too, everybody gets a turn.
 *
 * SCHED_NOOP is for vCPUs that are alone on their pCPUs, which vm_cpus.c sees to. What they share it with is the
 * hypervisor's console only, which gives way by itself: the same order, without slices.
 */
#include "sched_priv.h"

static void enqueue(struct run_queue *rq, struct thread *thread, bool skip)
{
	(void)skip; /* the tail is behind all others */
	list_add_before(&thread->node, &rq->head);
}

static uint64_t whole_slice(const struct run_queue *rq, uint64_t slice_ticks)
{
	(void)rq;
	return slice_ticks;
}

static uint64_t no_slice(const struct run_queue *rq, uint64_t slice_ticks)
{
	(void)rq;
	(void)slice_ticks;
	return 0UL;
}

const struct sched_policy sched_policy_iorr = {.name = "IORR", .enqueue = enqueue, .slice = whole_slice};
const struct sched_policy sched_policy_noop = {.name = "NOOP", .enqueue = enqueue, .slice = no_slice};
