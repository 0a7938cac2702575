/* SPDX-License-Identifier: BSD-3-Clause */
/* The fake CPU: the test says on which pCPU it is; each host thread is a pCPU of its own choice. */
#ifndef ASM_PERCPU_H
#define ASM_PERCPU_H

#include <lib/types.h>

extern _Thread_local uint16_t fake_cpu_id;

static inline uint16_t arch_cpu_id(void)
{
	return fake_cpu_id;
}

#endif
