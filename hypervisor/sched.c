/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One queue per pCPU, ordered by a policy. A thread that is woken makes the running one look whether it still has the
 * best claim. A thread alone on its pCPU has no slice timer and is never disturbed.
 *
 * What makes wake-ups safe: a thread's state changes only under its queue's lock. A waker first makes its condition
 * true, then calls thread_wake(). Either the thread is BLOCKED by then and gets queued, or it is still RUNNING and
 * wake_pending makes its next attempt to block fail, so that it looks again.
 *
 * While a thread is RUNNABLE or BLOCKED nothing of it is in the CPU: switch_out() is called before RUNNING ends.
 */
#include <config.h>

#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/sched.h>
#include <hv/timer.h>
#include <hv/trace.h>
#include <hv/upcall.h>
#include <lib/string.h>
#include <public/scenario_blob.h>

#include "sched_priv.h"

static struct run_queue queues[CONFIG_MAX_PCPU_NUM];
struct sched_give_way sched_give_way[CONFIG_MAX_PCPU_NUM];
static const struct sched_policy *policy = &sched_policy_iorr;
static uint64_t slice_ticks;
static uint32_t threads; /* atomic */

static struct run_queue *this_queue(void)
{
	return &queues[arch_cpu_id()];
}

static uint32_t state_of(const struct thread *thread)
{
	return __atomic_load_n(&thread->state, __ATOMIC_ACQUIRE);
}

/* The release makes all that the thread did before visible to thread_wait_off_cpu(). */
static void set_state(struct thread *thread, enum thread_state state)
{
	__atomic_store_n(&thread->state, (uint32_t)state, __ATOMIC_RELEASE);
}

static void set_waiting(struct run_queue *rq, uint32_t waiting)
{
	__atomic_store_n(&rq->waiting, waiting, __ATOMIC_RELAXED);
}

static bool *need_resched_of(const struct run_queue *rq)
{
	return &sched_give_way[rq - queues].now;
}

static void set_need_resched(struct run_queue *rq, bool need)
{
	__atomic_store_n(need_resched_of(rq), need, __ATOMIC_RELEASE);
}

static void enqueue(struct run_queue *rq, struct thread *thread, bool skip)
{
	set_state(thread, THREAD_RUNNABLE);
	policy->enqueue(rq, thread, skip);
	set_waiting(rq, rq->waiting + 1U);
}

static void dequeue(struct run_queue *rq, struct thread *thread)
{
	list_del(&thread->node);
	set_waiting(rq, rq->waiting - 1U);
}

static void slice_expired(struct hv_timer *timer)
{
	set_need_resched(container_of(timer, struct run_queue, slice), true);
}

void sched_init(uint8_t policy_id, uint32_t slice_us)
{
	static const struct sched_policy *const policies[] = {
		[SCN_SCHED_IORR] = &sched_policy_iorr,
		[SCN_SCHED_BVT] = &sched_policy_bvt,
		[SCN_SCHED_NOOP] = &sched_policy_noop,
	};

	ASSERT(policy_id < ARRAY_SIZE(policies));
	policy = policies[policy_id];
	slice_ticks = ((uint64_t)slice_us * arch_tsc_khz()) / 1000UL;
	for (uint32_t i = 0U; i < CONFIG_MAX_PCPU_NUM; i++) {
		spinlock_init(&queues[i].lock);
		list_init(&queues[i].head);
		queues[i].current = NULL;
		queues[i].waiting = 0U;
		queues[i].vtime = 0UL;
		queues[i].idle_ticks = 0UL;
		queues[i].skip_turn = false;
		sched_give_way[i].now = false;
		hv_timer_init(&queues[i].slice, slice_expired);
	}
}

/*
 * Takes the lock of the thread's queue. A thread that is retired and set up anew may change its pCPU while a late
 * waker (a timer of its former life) is on its way, hence the second look.
 * @return the queue, locked; NULL, nothing locked: the thread is retired
 */
static struct run_queue *lock_queue(struct thread *thread)
{
	while (true) {
		const uint16_t cpu = __atomic_load_n(&thread->pcpu, __ATOMIC_ACQUIRE);
		struct run_queue *rq = &queues[cpu];

		spin_lock(&rq->lock);
		if (__atomic_load_n(&thread->run, __ATOMIC_ACQUIRE) == NULL) {
			spin_unlock(&rq->lock);
			return NULL;
		}
		if (__atomic_load_n(&thread->pcpu, __ATOMIC_RELAXED) == cpu) {
			return rq;
		}
		spin_unlock(&rq->lock);
	}
}

void thread_init(
	struct thread *thread, uint16_t pcpu, bool (*run)(struct thread *), void (*switch_out)(struct thread *))
{
	struct run_queue *rq = &queues[pcpu];

	ASSERT(pcpu < CONFIG_MAX_PCPU_NUM);
	spin_lock(&rq->lock);
	if (thread->run == NULL) {
		(void)__atomic_fetch_add(&threads, 1U, __ATOMIC_RELAXED);
	}
	list_init(&thread->node);
	set_state(thread, THREAD_BLOCKED);
	thread->wake_pending = false;
	thread->switch_out = switch_out;
	thread->slices = 0UL;
	thread->run_ticks = 0UL;
	thread->share = (struct sched_share){.weight = 1U};
	(void)memset(&thread->bvt, 0, sizeof(thread->bvt));
	__atomic_store_n(&thread->pcpu, pcpu, __ATOMIC_RELAXED);
	/* Last: from here on thread_wake() finds it. */
	__atomic_store_n(&thread->run, run, __ATOMIC_RELEASE);
	spin_unlock(&rq->lock);
}

void thread_set_share(struct thread *thread, const struct sched_share *share)
{
	ASSERT(share->weight != 0U);
	thread->share = *share;
}

void thread_wake(struct thread *thread)
{
	struct run_queue *rq;
	bool woken = false;
	uint16_t cpu;

	if (this_queue()->current == thread) {
		/* It runs here: nothing happens to it meanwhile but that others wake it, too. */
		__atomic_store_n(&thread->wake_pending, true, __ATOMIC_RELAXED);
		return;
	}
	rq = lock_queue(thread);
	if (rq == NULL) {
		return;
	}
	cpu = thread->pcpu;
	if (thread->state == (uint32_t)THREAD_BLOCKED) {
		if (policy->wake != NULL) {
			policy->wake(rq, thread, arch_now());
		}
		enqueue(rq, thread, false);
		set_need_resched(rq, true);
		woken = true;
	} else if (thread->state == (uint32_t)THREAD_RUNNING) {
		__atomic_store_n(&thread->wake_pending, true, __ATOMIC_RELAXED);
	}
	spin_unlock(&rq->lock);
	if (!woken) {
		return;
	}
	trace_event(TRACE_WAKE, thread->who, cpu, 0UL, 0UL);
	if (cpu != arch_cpu_id()) {
		arch_kick_cpu(cpu);
	}
}

/* Takes the thread off its queue. @return false: it is RUNNING, and nothing was done. @param end also ends its life */
static bool try_to_block(struct thread *thread, bool end)
{
	struct run_queue *rq = lock_queue(thread);
	bool blocked;

	if (rq == NULL) {
		return true; /* retired already */
	}
	if (thread->state == (uint32_t)THREAD_RUNNABLE) {
		dequeue(rq, thread);
		set_state(thread, THREAD_BLOCKED);
	}
	blocked = (thread->state == (uint32_t)THREAD_BLOCKED);
	if (blocked && end) {
		__atomic_store_n(&thread->run, NULL, __ATOMIC_RELEASE);
		(void)__atomic_fetch_sub(&threads, 1U, __ATOMIC_RELAXED);
	}
	spin_unlock(&rq->lock);
	return blocked;
}

void thread_unqueue(struct thread *thread)
{
	(void)try_to_block(thread, false);
}

void thread_retire(struct thread *thread)
{
	/* A late waker can have made it run for another moment, however often one has looked before. */
	while (!try_to_block(thread, true)) {
		ASSERT(thread->pcpu != arch_cpu_id());
		__builtin_ia32_pause();
	}
}

uint64_t thread_run_ticks(const struct thread *thread)
{
	const struct run_queue *rq = &queues[thread->pcpu];
	const uint64_t before = __atomic_load_n(&thread->run_ticks, __ATOMIC_RELAXED);
	const uint64_t since = __atomic_load_n(&rq->since, __ATOMIC_RELAXED);
	const uint64_t now = arch_now();

	/* Without the lock: if it stops meanwhile, its last stretch may be missing or counted twice in this answer. */
	return (thread_is_running(thread) && (now > since)) ? (before + now - since) : before;
}

bool thread_is_running(const struct thread *thread)
{
	return state_of(thread) == (uint32_t)THREAD_RUNNING;
}

void thread_wait_off_cpu(struct thread *thread)
{
	/* Not two steps: between "it does not run" and "it is not queued" it could be picked. */
	while (!try_to_block(thread, false) && (thread->pcpu != arch_cpu_id())) {
		__builtin_ia32_pause();
	}
}

void sched_skip_turn(void)
{
	this_queue()->skip_turn = true;
	set_need_resched(this_queue(), true);
}

const char *sched_policy_name(void)
{
	return policy->name;
}

uint64_t sched_idle_ticks(uint16_t pcpu)
{
	return __atomic_load_n(&queues[pcpu].idle_ticks, __ATOMIC_RELAXED);
}

void sched_disturb(uint16_t pcpu)
{
	set_need_resched(&queues[pcpu], true);
	arch_kick_cpu(pcpu);
}

bool sched_others_runnable(void)
{
	return __atomic_load_n(&this_queue()->waiting, __ATOMIC_RELAXED) != 0U;
}

uint32_t sched_load(uint16_t pcpu)
{
	const struct run_queue *rq = &queues[pcpu];
	const uint32_t running = (__atomic_load_n(&rq->current, __ATOMIC_RELAXED) != NULL) ? 1U : 0U;

	return __atomic_load_n(&rq->waiting, __ATOMIC_RELAXED) + running;
}

uint32_t thread_count(void)
{
	return __atomic_load_n(&threads, __ATOMIC_RELAXED);
}

/* The interrupt itself did the work: it ended guest mode or HLT, and need_resched was set before it was sent. */
void sched_kicked(void)
{
}

/* Lock held, or nobody waits: the slice timer runs only if somebody does. On the queue's own pCPU. */
static void arm_slice(struct run_queue *rq, uint64_t ticks)
{
	if (ticks != 0UL) {
		hv_timer_start(&rq->slice, arch_now() + ticks, 0UL);
	} else if (rq->slice.armed) {
		hv_timer_stop(&rq->slice);
	}
}

/* Takes the next thread off the queue and makes it RUNNING. */
static struct thread *pick(struct run_queue *rq)
{
	struct thread *next = NULL;
	uint64_t ticks = 0UL;

	spin_lock(&rq->lock);
	set_need_resched(rq, false);
	if (!list_is_empty(&rq->head)) {
		next = list_entry(rq->head.next, struct thread, node);
		dequeue(rq, next);
		next->wake_pending = false;
		set_state(next, THREAD_RUNNING);
		rq->since = arch_now();
	}
	__atomic_store_n(&rq->current, next, __ATOMIC_RELAXED);
	if ((next != NULL) && (rq->waiting != 0U)) {
		ticks = policy->slice(rq, slice_ticks);
	}
	spin_unlock(&rq->lock);
	arm_slice(rq, ticks);
	return next;
}

/* Lock held: the running thread is charged for the time since this was last done. */
static void account(struct run_queue *rq)
{
	const uint64_t now = arch_now();
	const uint64_t ticks = now - rq->since;

	__atomic_store_n(&rq->current->run_ticks, rq->current->run_ticks + ticks, __ATOMIC_RELAXED);
	rq->since = now;
	if (policy->charge != NULL) {
		policy->charge(rq, ticks, now);
	}
}

/* The running thread gives the CPU away: into the queue, or off it. */
static void put_back(struct run_queue *rq, bool stay)
{
	struct thread *const thread = rq->current;

	if (thread->switch_out != NULL) {
		thread->switch_out(thread);
	}
	spin_lock(&rq->lock);
	account(rq);
	__atomic_store_n(&rq->current, NULL, __ATOMIC_RELAXED);
	if (stay || thread->wake_pending) {
		enqueue(rq, thread, rq->skip_turn);
	} else {
		set_state(thread, THREAD_BLOCKED);
	}
	rq->skip_turn = false;
	spin_unlock(&rq->lock);
}

/*
 * The thread would stay: does anybody else want the CPU, with a better claim? The exchange is a full barrier, so that
 * a waker's need_resched is not cleared without its thread being seen.
 */
static bool keep_cpu(struct run_queue *rq)
{
	uint64_t ticks = 0UL;
	bool keep = true;

	(void)__atomic_exchange_n(need_resched_of(rq), false, __ATOMIC_SEQ_CST);
	if (!sched_others_runnable()) {
		rq->skip_turn = false;
		return true;
	}
	if ((policy->keeps == NULL) || rq->skip_turn) {
		return false;
	}
	spin_lock(&rq->lock);
	account(rq);
	if (rq->waiting != 0U) {
		keep = policy->keeps(rq);
		ticks = policy->slice(rq, slice_ticks);
	}
	spin_unlock(&rq->lock);
	if (keep) {
		arm_slice(rq, ticks);
	}
	return keep;
}

/* A kick that is on its way is held by the CPU until arch_idle() enables interrupts: none is lost. */
static void idle(struct run_queue *rq)
{
	const uint64_t since = arch_now();

	trace_event(TRACE_IDLE, TRACE_NOBODY, 1U, 0UL, 0UL);
	arch_idle();
	trace_event(TRACE_IDLE, TRACE_NOBODY, 0U, 0UL, 0UL);
	__atomic_store_n(&rq->idle_ticks, rq->idle_ticks + arch_now() - since, __ATOMIC_RELAXED);
}

bool sched_once(void)
{
	struct run_queue *rq = this_queue();
	struct thread *thread = pick(rq);
	bool stay;

	if (thread == NULL) {
		idle(rq);
		return false;
	}

	trace_event(TRACE_RUN, thread->who, 0U, 0UL, 0UL);
	thread->slices++;
	do {
		stay = thread->run(thread);
	} while (stay && keep_cpu(rq));
	trace_event(TRACE_STOP, thread->who, stay ? 1U : 0U, 0UL, 0UL);
	put_back(rq, stay);
	return true;
}

void __noreturn sched_loop(void)
{
	while (true) {
		(void)sched_once();
	}
}
