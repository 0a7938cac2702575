/* SPDX-License-Identifier: BSD-3-Clause */
/* The real header, but there is one pCPU. */
#ifndef FAKE_VMCS_ASM_PERCPU_H
#define FAKE_VMCS_ASM_PERCPU_H

#define this_percpu real_this_percpu
#define arch_cpu_id real_arch_cpu_id
#include_next <asm/percpu.h>
#undef this_percpu
#undef arch_cpu_id

extern struct percpu fake_percpu;

static inline struct percpu *this_percpu(void)
{
	return &fake_percpu;
}

static inline uint16_t arch_cpu_id(void)
{
	return 0U;
}

#endif
