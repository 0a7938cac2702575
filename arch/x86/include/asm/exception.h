/* SPDX-License-Identifier: BSD-3-Clause */
/* The register frame of exceptions and interrupts taken by the hypervisor itself. */
#ifndef ASM_EXCEPTION_H
#define ASM_EXCEPTION_H

#include <lib/util.h>

/* As pushed by isr.S, lowest address first. */
struct exc_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector;
	uint64_t error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/** Called by isr.S for every vector: an interrupt, a fault with a fix-up, or the end (panic). */
void exception_dispatch(struct exc_frame *frame);

/** Sends all other CPUs into the halt (by NMI) and makes their NMI handler know why. */
void exception_stop_other_cpus(void);

/** @return NMIs seen by this hypervisor that it did not send itself */
uint32_t exception_nmi_count(void);

#endif
