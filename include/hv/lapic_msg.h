/* SPDX-License-Identifier: BSD-3-Clause */
/* An interrupt message on its way to local APICs: from an I/O APIC, an MSI or another local APIC. */
#ifndef HV_LAPIC_MSG_H
#define HV_LAPIC_MSG_H

#include <lib/util.h>

struct acrn_vm;

/* Delivery modes: the encoding of ICR, redirection entries and MSI data (SDM vol 3, 11.6.1 and 11.11.2). */
#define LAPIC_DM_FIXED  0U
#define LAPIC_DM_LOWEST 1U
#define LAPIC_DM_SMI    2U
#define LAPIC_DM_NMI    4U
#define LAPIC_DM_INIT   5U
#define LAPIC_DM_SIPI   6U
#define LAPIC_DM_EXTINT 7U

struct lapic_msg {
	uint32_t dest;         /* APIC id or logical destination */
	bool dest_logical;     /* how to read dest */
	bool dest_wide;        /* dest has 32 bits (sent in x2APIC mode); else 8 bits, 0xFF is everybody */
	uint8_t delivery_mode; /* LAPIC_DM_* */
	uint8_t vector;        /* of fixed, lowest and (page number) SIPI */
	bool level;            /* level triggered: the EOI is broadcast to the I/O APICs */
};

/**
 * Delivers `msg` to the local APICs of `vm`. Any pCPU; takes no device lock. SMI is dropped (there is no SMM).
 * @return true if at least one local APIC accepted it
 */
bool vlapic_deliver(struct acrn_vm *vm, const struct lapic_msg *msg);

#endif
