/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Borrowed virtual time (Duda and Cheriton, SOSP 1999).
 *
 * A thread's virtual time grows while it runs, the slower the more weight it has; who is furthest behind runs. So
 * threads that always want the pCPU get it in proportion to their weights. A thread that wakes up is taken to where
 * the others are: what it did not use while it slept is lost, so it cannot starve them, but it is among the first and
 * runs soon. A thread with a warp value stands that much earlier in the queue than its virtual time, for a limited
 * time; it borrows, since its virtual time goes on growing.
 *
 * Virtual times are compared by their difference: they may wrap. Differences stay small, since a wake-up takes care of
 * those who slept and one charge is bounded.
 */
#include <hv/arch.h>

#include "sched_priv.h"

/* Virtual ticks in a tick of a thread of weight 1. */
#define SCALE 1024UL
/* At most so much is charged at once, ticks: nobody waited meanwhile, or slices would have cut it. */
#define CHARGE_MAX (1UL << 40U)
/* More than the longest slice (1 s) and the largest warp (8.2 s). */
#define LEAD_MAX_MS 16384UL

/* @return how far `a` is ahead of `b`, virtual ticks */
static int64_t ahead(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b);
}

static uint64_t to_virtual(const struct thread *thread, uint64_t ticks)
{
	return MIN(ticks, CHARGE_MAX) * SCALE / thread->share.weight;
}

static uint64_t ms_to_ticks(uint64_t ms)
{
	return ms * arch_tsc_khz();
}

/* Where it stands in the queue. */
static uint64_t effective(const struct thread *thread)
{
	const int64_t warp = (int64_t)thread->share.warp_ms * (int64_t)ms_to_ticks(SCALE);

	return thread->bvt.warping ? (thread->bvt.vtime - (uint64_t)warp) : thread->bvt.vtime;
}

/* Moves rq->vtime on to the least virtual time of those who want the pCPU. */
static void update_vtime(struct run_queue *rq, uint64_t now)
{
	uint64_t least = 0UL;
	bool any = false;
	struct list_head *pos;

	if (rq->current != NULL) {
		const uint64_t ran = (now > rq->since) ? (now - rq->since) : 0UL;

		least = rq->current->bvt.vtime + to_virtual(rq->current, ran);
		any = true;
	}
	list_for_each (pos, &rq->head) {
		const uint64_t vtime = list_entry(pos, struct thread, node)->bvt.vtime;

		if (!any || (ahead(vtime, least) < 0)) {
			least = vtime;
			any = true;
		}
	}
	if (any && (ahead(least, rq->vtime) > 0)) {
		rq->vtime = least;
	}
}

static void look_at_warp(struct thread *thread, uint64_t now)
{
	struct thread_bvt *const bvt = &thread->bvt;

	if (!bvt->warping && (thread->share.warp_ms != 0) &&
		((bvt->warped == 0UL) || (now - bvt->unwarped_at >= ms_to_ticks(thread->share.unwarp_ms)))) {
		bvt->warping = true;
		bvt->warped = 0UL;
	}
}

static void wake(struct run_queue *rq, struct thread *thread, uint64_t now)
{
	/* Who was ahead of the others before it slept stays there, as far as a slice and a warp can have brought it. */
	const int64_t most = (int64_t)(ms_to_ticks(LEAD_MAX_MS) * SCALE);
	int64_t lead;

	update_vtime(rq, now);
	lead = ahead(thread->bvt.vtime, rq->vtime);
	if ((lead < 0) || (lead > most)) {
		thread->bvt.vtime = rq->vtime - 1UL; /* before those who are there too: they have run already */
	}
	look_at_warp(thread, now);
}

/* Before those that are further ahead than it. */
static void enqueue(struct run_queue *rq, struct thread *thread, bool skip)
{
	const uint64_t mine = effective(thread);
	struct list_head *pos = rq->head.next;

	if (skip && (pos != &rq->head)) {
		pos = pos->next;
	}
	while ((pos != &rq->head) && (ahead(effective(list_entry(pos, struct thread, node)), mine) <= 0)) {
		pos = pos->next;
	}
	list_add_before(&thread->node, pos);
}

static void charge(struct run_queue *rq, uint64_t ticks, uint64_t now)
{
	struct thread *const thread = rq->current;
	struct thread_bvt *const bvt = &thread->bvt;

	bvt->vtime += to_virtual(thread, ticks);
	if (bvt->warping && (thread->share.warp_limit_ms != 0U)) {
		bvt->warped += ticks;
		if (bvt->warped >= ms_to_ticks(thread->share.warp_limit_ms)) {
			bvt->warping = false;
			bvt->unwarped_at = now;
		}
	}
	look_at_warp(thread, now);
	update_vtime(rq, now);
}

static int64_t lead_of_first(const struct run_queue *rq)
{
	return ahead(effective(list_entry(rq->head.next, struct thread, node)), effective(rq->current));
}

static bool keeps(const struct run_queue *rq)
{
	return lead_of_first(rq) > 0;
}

/* Until it is a slice, in real time, ahead of the next; but no longer than its warp lasts. */
static uint64_t slice(const struct run_queue *rq, uint64_t slice_ticks)
{
	const struct thread *const thread = rq->current;
	const int64_t lead = lead_of_first(rq);
	uint64_t ticks = slice_ticks;

	if (lead > 0) {
		ticks += (uint64_t)lead / SCALE * thread->share.weight;
	}
	if (thread->bvt.warping && (thread->share.warp_limit_ms != 0U)) {
		ticks = MIN(ticks, ms_to_ticks(thread->share.warp_limit_ms) - thread->bvt.warped);
	}
	return ticks;
}

const struct sched_policy sched_policy_bvt = {
	.name = "BVT",
	.wake = wake,
	.enqueue = enqueue,
	.charge = charge,
	.keeps = keeps,
	.slice = slice,
};
