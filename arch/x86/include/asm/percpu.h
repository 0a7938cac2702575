/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Per-CPU data, reached through GS without a look-up. There is a twin of this header in tests/fake/.
 */
#ifndef ASM_PERCPU_H
#define ASM_PERCPU_H

#include <lib/types.h>

struct acrn_vcpu;
struct acrn_vm;

/* One per pCPU. Offsets used by assembly come from asm_offsets.c. */
struct percpu {
	struct percpu *self;           /* GS:0 */
	uint64_t stack_top;            /* initial stack */
	struct acrn_vcpu *loaded_vcpu; /* whose VMCS is current here, or NULL */
	const struct acrn_vm *last_vm; /* that ran here */
	uint64_t spec_ctrl;            /* what IA32_SPEC_CTRL is while the hypervisor runs */
	uint16_t cpu_id;
	uint32_t apic_id;
	bool in_idle;
	uint64_t deadline;  /* last wish of arch_set_deadline() */
	void *vmxon_region; /* page, direct map */
	void *arch;         /* GDT, TSS, IST stacks: cpu/gdt.c */
};

/** @return this pCPU's data */
static inline struct percpu *this_percpu(void)
{
	struct percpu *p;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(p));
	return p;
}

/** @return this pCPU's number, 0..arch_cpu_count()-1 */
static inline uint16_t arch_cpu_id(void)
{
	uint32_t id;

	__asm__ volatile("movzwl %%gs:%c1, %0" : "=r"(id) : "i"(__builtin_offsetof(struct percpu, cpu_id)));
	return (uint16_t)id;
}

#endif
