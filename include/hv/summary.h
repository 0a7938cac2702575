/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happened from boot to the end, as log lines that scripts read:
 *
 *   summary: stage NAME KTICKS           thousands of TSC ticks from the image's entry
 *   summary: vm NAME exits N forwarded N all lives of the VM's slot together
 *   summary: state NAME STATE LIVES RUN_US  how it is now, times it was destroyed before, time on CPUs
 *   summary: memory NAME N KiB           of the hypervisor's pages, now or at the end of its life; NAME may be
 *                                        "hypervisor": all that is no VM's
 *   summary: stopped NAME WHY            if it stopped by itself
 *   summary: exit NAME REASON COUNT      most frequent first; '_' for spaces
 */
#ifndef HV_SUMMARY_H
#define HV_SUMMARY_H

#include <hv/vcpu.h>
#include <lib/util.h>

struct acrn_vm;

struct summary_counts {
	uint64_t exits;
	uint64_t forwarded;
	uint64_t run_ticks;
	uint64_t by_reason[VCPU_EXIT_REASONS];
};

/* A VM, all lives of its slot together. */
struct summary_vm {
	const char *name;  /* constant while the VM lives */
	const char *state; /* "stopped", or vm_state_name() */
	uint32_t lives;    /* that have ended */
	uint64_t run_us;
	uint64_t kib; /* of the hypervisor's memory, now or at the end of its life */
	struct summary_counts counts;
};

/** Keeps that boot stage `name` (a literal) was reached. Boot CPU. */
void summary_stage(const char *name, uint64_t kticks);

/** A VM is about to be destroyed: its counts are kept. vm->lock held, its vCPUs are off the CPUs. */
void summary_keep_vm(const struct acrn_vm *vm);

/** @return true, and boot stage `index`, in their order; false: there were no more */
bool summary_stage_at(uint32_t index, const char **name, uint64_t *kticks);

/** @return true, and the VM's counts, those of the moment if it runs; false: its slot was never used */
bool summary_of_vm(const struct acrn_vm *vm, struct summary_vm *out);

/** Logs all of it. Any context without the console's lock; counts of running VMs are those of the moment. */
void summary_log(void);

#endif
