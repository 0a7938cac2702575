/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Local APIC (SDM vol. 3, chapter 11), in the mode it is in: xAPIC through memory, x2APIC by MSRs.
 */
#ifndef GUESTS_LIB_APIC_H
#define GUESTS_LIB_APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Register offsets of the xAPIC page; in x2APIC mode MSR 0x800 + offset / 16. */
#define APIC_ID		0x020
#define APIC_VERSION	0x030
#define APIC_TPR	0x080
#define APIC_APR	0x090
#define APIC_PPR	0x0a0
#define APIC_EOI	0x0b0
#define APIC_LDR	0x0d0
#define APIC_DFR	0x0e0
#define APIC_SVR	0x0f0
#define APIC_ISR	0x100
#define APIC_TMR	0x180
#define APIC_IRR	0x200
#define APIC_ESR	0x280
#define APIC_LVT_CMCI	0x2f0
#define APIC_ICR	0x300
#define APIC_ICR_HIGH	0x310
#define APIC_LVT_TIMER	0x320
#define APIC_LVT_THERM	0x330
#define APIC_LVT_PMC	0x340
#define APIC_LVT_LINT0	0x350
#define APIC_LVT_LINT1	0x360
#define APIC_LVT_ERROR	0x370
#define APIC_TMICT	0x380
#define APIC_TMCCT	0x390
#define APIC_TDCR	0x3e0
#define APIC_SELF_IPI	0x3f0

#define APIC_BASE_BSP		0x100UL
#define APIC_BASE_X2APIC	0x400UL
#define APIC_BASE_ENABLE	0x800UL

#define SVR_ENABLE	0x100U
#define LVT_MASKED	0x10000U
#define LVT_PERIODIC	0x20000U
#define LVT_DEADLINE	0x40000U
#define LVT_NMI		0x400U
#define LVT_EXTINT	0x700U

#define ICR_FIXED	0x000U
#define ICR_LOWEST	0x100U
#define ICR_SMI		0x200U
#define ICR_NMI		0x400U
#define ICR_INIT	0x500U
#define ICR_STARTUP	0x600U
#define ICR_LOGICAL	0x800U
#define ICR_BUSY	0x1000U
#define ICR_ASSERT	0x4000U
#define ICR_LEVEL	0x8000U
#define ICR_SELF	0x40000U
#define ICR_ALL		0x80000U
#define ICR_OTHERS	0xc0000U

#define SPURIOUS_VECTOR	0xffU

bool lapic_present(void);
bool lapic_x2apic_supported(void);
bool lapic_in_x2apic(void);
/* Enable with spurious vector 0xFF, all LVT masked, TPR 0. Mode as it is. */
void lapic_enable(void);
/* Switch this CPU to x2APIC mode (no way back but through "disabled") and lapic_enable(). */
void lapic_enter_x2apic(void);
uint32_t lapic_read(uint32_t reg);
void lapic_write(uint32_t reg, uint32_t value);
uint32_t lapic_id(void);
void lapic_eoi(void);
/* Send an IPI; @dest is ignored with a shorthand. Waits for delivery in xAPIC mode. */
void lapic_ipi(uint32_t icr_low, uint32_t dest);
/* Bit @vec of a 256-bit register (APIC_ISR, APIC_TMR, APIC_IRR). */
bool lapic_vector_bit(uint32_t reg, unsigned int vec);
/* Physical address of the xAPIC page from IA32_APIC_BASE. */
uint64_t lapic_base(void);

#endif /* GUESTS_LIB_APIC_H */
