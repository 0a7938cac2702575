/* SPDX-License-Identifier: BSD-3-Clause */
/* The physical I/O APICs. */
#ifndef ASM_IOAPIC_H
#define ASM_IOAPIC_H

#include <lib/util.h>

/** Maps the I/O APICs of the MADT and masks every pin. Boot CPU, after lapic_setup(). */
void ioapic_init(void);

/** A routed GSI arrived: masks it if level, EOIs the local APIC, tells ptirq_arrived(). Any pCPU. */
void ioapic_interrupt(uint32_t gsi);

#endif
