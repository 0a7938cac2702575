/* SPDX-License-Identifier: BSD-3-Clause */
/* The CPU's part of a vCPU: nothing. */
#ifndef ASM_VCPU_H
#define ASM_VCPU_H

struct vcpu_arch {
	char none;
};

#endif
