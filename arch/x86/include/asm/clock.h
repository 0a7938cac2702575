/* SPDX-License-Identifier: BSD-3-Clause */
/* Clocks of the machine: the TSC's rate, and one deadline per pCPU. */
#ifndef ASM_CLOCK_H
#define ASM_CLOCK_H

#include <lib/util.h>

/** Measures the TSC (and the local APIC timer, if it is needed) against PM timer or PIT. Boot CPU. */
void tsc_clock_init(void);

/** Prepares this pCPU's local APIC timer, no deadline set. */
void clock_init_cpu(void);

/** The local APIC timer's interrupt, EOI done. */
void clock_interrupt(void);

/** Spins. @param us microseconds; not before tsc_clock_init() */
void clock_delay_us(uint64_t us);

#endif
