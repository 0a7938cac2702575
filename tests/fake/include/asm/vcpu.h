/* SPDX-License-Identifier: BSD-3-Clause */
/* The fake CPU's part of a vCPU: the test says what "running the guest" does. */
#ifndef ASM_VCPU_H
#define ASM_VCPU_H

#include <lib/types.h>
#include <public/acrn_common.h>

struct acrn_vcpu;

struct vcpu_arch {
	void *page; /* so that leaks show */
	int32_t (*on_run)(struct acrn_vcpu *vcpu); /* NULL: halts */
	struct acrn_regs regs;
	uint64_t rax;
	uint64_t irr[4]; /* atomic: pending vectors */
	uint64_t mmio_value;
	uint32_t runs, unloads, resets, pio_posts, mmio_posts, posts_unloaded;
	bool loaded;
	uint32_t direct_port, direct_ports; /* the last allow_vcpu_pio_access() */
};

#endif
