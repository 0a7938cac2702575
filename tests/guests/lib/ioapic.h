/* SPDX-License-Identifier: BSD-3-Clause */
/* The first I/O APIC (82093AA), by MADT, or at 0xFEC00000 when there is none; another one by an interrupt it has. */
#ifndef GUESTS_LIB_IOAPIC_H
#define GUESTS_LIB_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#define RTE_LOWEST	0x100UL
#define RTE_NMI		0x400UL
#define RTE_EXTINT	0x700UL
#define RTE_LOGICAL	0x800UL
#define RTE_PENDING	0x1000UL
#define RTE_LOW		0x2000UL
#define RTE_REMOTE_IRR	0x4000UL
#define RTE_LEVEL	0x8000UL
#define RTE_MASKED	0x10000UL
#define RTE_DEST(id)	((uint64_t)(id) << 56)

#define IOAPIC_ID	0U
#define IOAPIC_VER	1U
#define IOAPIC_ARB	2U

bool ioapic_present(void);
uint32_t ioapic_read(uint32_t reg);
void ioapic_write(uint32_t reg, uint32_t value);
unsigned int ioapic_pins(void);
uint64_t ioapic_rte(unsigned int pin);
/* Masked while the halves are written, low half last. */
void ioapic_set_rte(unsigned int pin, uint64_t rte);
/* The same for interrupt @gsi of whichever I/O APIC has it. False when none has. */
bool ioapic_set_gsi(uint32_t gsi, uint64_t rte);
void ioapic_mask_all(void);
/* Pin of an ISA interrupt by the MADT's overrides. */
unsigned int ioapic_isa_pin(unsigned int irq);

#endif /* GUESTS_LIB_IOAPIC_H */
