/* SPDX-License-Identifier: BSD-3-Clause */
/* Software timers, a sorted list per pCPU over the pCPU's one deadline. */
#ifndef HV_TIMER_H
#define HV_TIMER_H

#include <lib/list.h>
#include <lib/util.h>

struct hv_timer {
	struct list_head node; /* in its pCPU's list when armed; that list's lock */
	uint64_t deadline;     /* TSC ticks */
	uint64_t period;       /* ticks; 0: once */
	uint16_t pcpu;         /* where it is armed */
	bool armed;
	void (*expired)(struct hv_timer *timer); /* called on `pcpu`, interrupts off, no lock held */
};

/** Sets up the lists. Once at boot. */
void timer_init(void);

/** Makes `timer` usable, not armed. */
void hv_timer_init(struct hv_timer *timer, void (*expired)(struct hv_timer *));

/** Arms (or re-arms) `timer` on this pCPU. A deadline in the past fires soon. @param period ticks, 0: once */
void hv_timer_start(struct hv_timer *timer, uint64_t deadline, uint64_t period);

/** Disarms it, from any pCPU. Its function may be running on another pCPU while this returns. */
void hv_timer_stop(struct hv_timer *timer);

/**
 * As hv_timer_stop(), and waits until its function does not run on another pCPU: what the timer belongs to may be
 * freed. The caller holds no lock that the function takes, and nobody arms the timer meanwhile.
 */
void hv_timer_stop_wait(struct hv_timer *timer);

/** @return timers armed now on all pCPUs: for those who look for leaks */
uint32_t timer_count(void);

#endif
