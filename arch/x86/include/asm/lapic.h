/* SPDX-License-Identifier: BSD-3-Clause */
/* The physical local APIC of each pCPU: x2APIC when the CPU has it, xAPIC otherwise. */
#ifndef ASM_LAPIC_H
#define ASM_LAPIC_H

#include <lib/util.h>

#define LAPIC_ID            0x020U
#define LAPIC_VERSION       0x030U
#define LAPIC_TPR           0x080U
#define LAPIC_EOI           0x0B0U
#define LAPIC_LDR           0x0D0U
#define LAPIC_SVR           0x0F0U
#define LAPIC_ISR           0x100U
#define LAPIC_IRR           0x200U
#define LAPIC_ESR           0x280U
#define LAPIC_LVT_CMCI      0x2F0U
#define LAPIC_ICR           0x300U
#define LAPIC_ICR_HIGH      0x310U
#define LAPIC_LVT_TIMER     0x320U
#define LAPIC_LVT_THERMAL   0x330U
#define LAPIC_LVT_PMC       0x340U
#define LAPIC_LVT_LINT0     0x350U
#define LAPIC_LVT_LINT1     0x360U
#define LAPIC_LVT_ERROR     0x370U
#define LAPIC_TIMER_INITIAL 0x380U
#define LAPIC_TIMER_CURRENT 0x390U
#define LAPIC_TIMER_DIVIDE  0x3E0U

#define LAPIC_LVT_MASKED       0x10000U
#define LAPIC_LVT_NMI          0x00400U
#define LAPIC_LVT_TSC_DEADLINE 0x40000U

#define ICR_INIT    0x00000500U
#define ICR_STARTUP 0x00000600U
#define ICR_NMI     0x00000400U
#define ICR_ASSERT  0x00004000U
#define ICR_LEVEL   0x00008000U
#define ICR_PENDING 0x00001000U

/** Finds out the mode and, for xAPIC, maps the registers. Boot CPU, once, after arch_paging_init(). */
void lapic_setup(void);

/** @return true once lapic_setup() has run: IPIs can be sent */
bool lapic_is_ready(void);

/** Enables this pCPU's local APIC: everything masked but the error vector, TPR 0. */
void lapic_init_cpu(void);

/** @return true if the local APICs run in x2APIC mode */
bool lapic_is_x2apic(void);

/** @return APIC id of this pCPU */
uint32_t lapic_id(void);

/** Reads a register by its xAPIC offset. */
uint32_t lapic_read(uint32_t reg);

/** Writes a register by its xAPIC offset (not ICR). */
void lapic_write(uint32_t reg, uint32_t value);

/** End of interrupt. */
void lapic_eoi(void);

/**
 * Sends an interprocessor interrupt and, in xAPIC mode, waits until it has left.
 * @param apic_id destination, physical mode
 * @param icr     low half of ICR: delivery mode, level, vector
 */
void lapic_send_ipi(uint32_t apic_id, uint32_t icr);

#endif
