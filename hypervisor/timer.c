/* SPDX-License-Identifier: BSD-3-Clause */
/* Software timers: per pCPU a list sorted by deadline, whose head is the pCPU's one hardware deadline. */
#include <config.h>

#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/timer.h>
#include <hv/trace.h>
#include <hv/upcall.h>
#include <lib/spinlock.h>

/* Timers handled by one timer_expired(): a bound, the rest fire at once with the next interrupt. */
#define MAX_PER_INTERRUPT 64U

struct timer_list {
	struct spinlock lock;
	struct list_head head;    /* earliest first */
	struct hv_timer *running; /* whose function is being called; written under lock, by the pCPU itself */
} __aligned(64);

static struct timer_list lists[CONFIG_MAX_PCPU_NUM];

void timer_init(void)
{
	for (uint32_t i = 0U; i < CONFIG_MAX_PCPU_NUM; i++) {
		spinlock_init(&lists[i].lock);
		list_init(&lists[i].head);
		lists[i].running = NULL;
	}
}

void hv_timer_init(struct hv_timer *timer, void (*expired)(struct hv_timer *))
{
	list_init(&timer->node);
	timer->deadline = 0UL;
	timer->period = 0UL;
	timer->pcpu = 0U;
	timer->armed = false;
	timer->expired = expired;
}

static struct hv_timer *first_of(const struct timer_list *list)
{
	return list_is_empty(&list->head) ? NULL : list_entry(list->head.next, struct hv_timer, node);
}

/* Lock held. Equal deadlines keep the order of arming. */
static void insert(struct timer_list *list, struct hv_timer *timer)
{
	struct list_head *pos;

	list_for_each (pos, &list->head) {
		if (list_entry(pos, struct hv_timer, node)->deadline > timer->deadline) {
			break;
		}
	}
	list_add_before(&timer->node, pos);
	__atomic_store_n(&timer->armed, true, __ATOMIC_RELAXED);
}

/* Lock held, on the list's own pCPU. */
static void program(const struct timer_list *list)
{
	const struct hv_timer *first = first_of(list);

	arch_set_deadline((first != NULL) ? first->deadline : UINT64_MAX);
}

void hv_timer_start(struct hv_timer *timer, uint64_t deadline, uint64_t period)
{
	const uint16_t cpu = arch_cpu_id();
	struct timer_list *list = &lists[cpu];
	const struct hv_timer *old_first;

	if (__atomic_load_n(&timer->armed, __ATOMIC_RELAXED) &&
		(__atomic_load_n(&timer->pcpu, __ATOMIC_RELAXED) != cpu)) {
		hv_timer_stop(timer);
	}
	spin_lock(&list->lock);
	old_first = first_of(list);
	if (timer->armed) {
		list_del(&timer->node);
	}
	timer->deadline = deadline;
	timer->period = period;
	__atomic_store_n(&timer->pcpu, cpu, __ATOMIC_RELAXED);
	insert(list, timer);
	if ((first_of(list) != old_first) || (old_first == timer)) {
		program(list);
	}
	spin_unlock(&list->lock);
}

void hv_timer_stop(struct hv_timer *timer)
{
	/* It may be armed elsewhere between the look at its pCPU and taking that list's lock, hence the second look. */
	while (__atomic_load_n(&timer->armed, __ATOMIC_RELAXED)) {
		const uint16_t cpu = __atomic_load_n(&timer->pcpu, __ATOMIC_RELAXED);
		struct timer_list *list = &lists[cpu];
		bool done = true;

		spin_lock(&list->lock);
		if (timer->armed && (timer->pcpu == cpu)) {
			const bool was_first = (first_of(list) == timer);

			list_del(&timer->node);
			__atomic_store_n(&timer->armed, false, __ATOMIC_RELAXED);
			/* Another pCPU's deadline is left alone: it fires, finds nothing, and programs the next. */
			if (was_first && (cpu == arch_cpu_id())) {
				program(list);
			}
		} else {
			done = false;
		}
		spin_unlock(&list->lock);
		if (done) {
			break;
		}
	}
}

/* @return the pCPU, not this one, on which the timer's function runs now, or CONFIG_MAX_PCPU_NUM */
static uint32_t runs_elsewhere(struct hv_timer *timer)
{
	for (uint32_t cpu = 0U; cpu < CONFIG_MAX_PCPU_NUM; cpu++) {
		bool runs;

		if (cpu == arch_cpu_id()) {
			continue;
		}
		/*
		 * Under the lock: one that was taken off the list is marked as running before the lock is free again.
		 */
		spin_lock(&lists[cpu].lock);
		runs = (__atomic_load_n(&lists[cpu].running, __ATOMIC_RELAXED) == timer);
		spin_unlock(&lists[cpu].lock);
		if (runs) {
			return cpu;
		}
	}
	return CONFIG_MAX_PCPU_NUM;
}

void hv_timer_stop_wait(struct hv_timer *timer)
{
	uint32_t cpu;

	hv_timer_stop(timer);
	while ((cpu = runs_elsewhere(timer)) != CONFIG_MAX_PCPU_NUM) {
		while (__atomic_load_n(&lists[cpu].running, __ATOMIC_ACQUIRE) == timer) {
			__builtin_ia32_pause();
		}
		hv_timer_stop(timer); /* it may have armed itself again */
	}
}

/* Lock held. Takes the first timer off the list if it is due at `now`, or re-arms it if periodic. @return it, or NULL
 */
static struct hv_timer *take_due(struct timer_list *list, uint64_t now)
{
	struct hv_timer *timer = first_of(list);

	if ((timer == NULL) || (timer->deadline > now)) {
		return NULL;
	}
	__atomic_store_n(&list->running, timer, __ATOMIC_RELAXED);
	list_del(&timer->node);
	if (timer->period != 0UL) {
		/* Periods that were missed are left out, the phase is kept. */
		timer->deadline += timer->period * (((now - timer->deadline) / timer->period) + 1UL);
		insert(list, timer);
	} else {
		__atomic_store_n(&timer->armed, false, __ATOMIC_RELAXED);
	}
	return timer;
}

void timer_expired(void)
{
	struct timer_list *list = &lists[arch_cpu_id()];
	const uint64_t now = arch_now();
	struct hv_timer *timer;

	spin_lock(&list->lock);
	for (uint32_t i = 0U; (i < MAX_PER_INTERRUPT) && ((timer = take_due(list, now)) != NULL); i++) {
		spin_unlock(&list->lock);
		trace_event(TRACE_TIMER, TRACE_NOBODY, 0U, timer->deadline, (uint64_t)(uintptr_t)timer->expired);
		timer->expired(timer);
		/* Releases hv_timer_stop_wait(): what the timer belongs to may be gone from here on. */
		__atomic_store_n(&list->running, NULL, __ATOMIC_RELEASE);
		spin_lock(&list->lock);
	}
	program(list);
	spin_unlock(&list->lock);
}

uint32_t timer_count(void)
{
	struct list_head *pos;
	uint32_t count = 0U;

	for (uint32_t cpu = 0U; cpu < CONFIG_MAX_PCPU_NUM; cpu++) {
		spin_lock(&lists[cpu].lock);
		list_for_each (pos, &lists[cpu].head) {
			count++;
		}
		spin_unlock(&lists[cpu].lock);
	}
	return count;
}
