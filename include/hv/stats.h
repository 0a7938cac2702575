/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters of the whole hypervisor; HC_ARIL_GET_STATS hands them out. */
#ifndef HV_STATS_H
#define HV_STATS_H

#include <lib/types.h>

struct hv_counters {
	uint64_t vms_created;
	uint64_t vms_destroyed;
	uint64_t faults; /* vcpu_fatal() */
	uint64_t upcalls;
	uint64_t requests_forwarded;
	uint64_t requests_completed;
	uint64_t requests_refused; /* the other side broke the protocol */
	uint64_t hypercalls;
	uint64_t hypercalls_failed;
};

extern struct hv_counters hv_counters;

/** Adds one; any pCPU, no order implied. */
static inline void hv_stats_count(uint64_t *counter)
{
	(void)__atomic_fetch_add(counter, 1UL, __ATOMIC_RELAXED);
}

#endif
