/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical interrupt vectors. The hypervisor runs with interrupts off: an external interrupt arrives as a VM exit
 * (acknowledged on exit; the exit code calls irq_dispatch()) or in arch_idle() through the IDT.
 */
#ifndef ASM_IRQ_H
#define ASM_IRQ_H

#include <lib/util.h>

#define VECTOR_GSI_FIRST 0x30U /* device interrupts, one vector per routed GSI */
#define VECTOR_GSI_LAST  0xDFU
#define VECTOR_POSTED    0xE2U /* posted-interrupt notification */
#define VECTOR_TIMER     0xEFU
#define VECTOR_KICK      0xF0U
#define VECTOR_ERROR     0xFEU
#define VECTOR_SPURIOUS  0xFFU

#define IRQ_NO_VECTOR 0U

/**
 * Handles an acknowledged external interrupt: EOI to the local APIC, then what the vector stands for (kick, timer,
 * a device's GSI). Any pCPU, interrupts off. An unknown vector is counted and EOIed.
 * @param vector 0x20..0xFF
 */
void irq_dispatch(uint32_t vector);

/**
 * Takes a free vector for a GSI. Serialised by the caller (ioapic.c).
 * @return the vector, or IRQ_NO_VECTOR if all are taken
 */
uint32_t irq_vector_alloc(uint32_t gsi);

/** Gives a vector of irq_vector_alloc() back. */
void irq_vector_free(uint32_t vector);

/** @return interrupts seen so far with `vector`, all pCPUs */
uint64_t irq_count(uint32_t vector);

#endif
