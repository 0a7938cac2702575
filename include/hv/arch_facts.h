/* SPDX-License-Identifier: BSD-3-Clause */
/* What console, summary and trace may ask of the CPU to show it. Nothing else may depend on it: scripts/check-layers.
 */
#ifndef HV_ARCH_FACTS_H
#define HV_ARCH_FACTS_H

#include <lib/util.h>

struct acrn_vcpu;

/* For the console: what a GSI is routed to. */
struct gsi_info {
	uint32_t vector;
	bool level, active_low;
	bool claimed;   /* arch_gsi_claim() */
	uint64_t count; /* arrivals of `vector` since boot */
};

/** @return true and *info if `gsi` is routed */
bool arch_gsi_info(uint32_t gsi, struct gsi_info *info);

/** The hypervisor's own interrupts, one after the other. @return name and *count, or NULL past the last */
const char *arch_own_interrupt(uint32_t index, uint32_t *vector, uint64_t *count);

/**
 * CPUID as the vCPU sees it, for the console. No vCPU runs on this pCPU; the VM exists (vm->lock).
 * @param out EAX, EBX, ECX, EDX
 * @return 0, or -EBUSY: the vCPU belongs to another pCPU
 */
int32_t arch_vcpu_cpuid(struct acrn_vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

/* For the log and the console: a feature of the CPU. */
struct arch_cap {
	const char *name;
	bool present;
	const char *then; /* what is done with it, or without it */
};

/** @return true and *cap, the features one after the other; false past the last */
bool arch_cap_info(uint32_t index, struct arch_cap *cap);

/** @return name of a basic exit reason, "unknown" for others */
const char *arch_exit_name(uint32_t reason);

#endif
