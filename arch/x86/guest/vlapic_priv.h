/* SPDX-License-Identifier: BSD-3-Clause */
/* What vlapic.c, vlapic_access.c, vlapic_timer.c and vlapic_msg.c share. */
#ifndef VLAPIC_PRIV_H
#define VLAPIC_PRIV_H

#include <asm/lapic.h>
#include <asm/vlapic.h>

/* Registers that <asm/lapic.h> does not need. */
#define VREG_APR      0x090U
#define VREG_PPR      0x0A0U
#define VREG_DFR      0x0E0U
#define VREG_TMR      0x180U
#define VREG_SELF_IPI 0x3F0U

#define SVR_ENABLED      0x100U
#define SVR_NO_BROADCAST 0x1000U
#define SVR_WRITABLE     0x11FFU

#define ESR_SEND_VECTOR    0x20U
#define ESR_RECEIVE_VECTOR 0x40U
#define ESR_REGISTER       0x80U

#define LVT_VECTOR     0x000FFU
#define LVT_DELIVERY   0x00700U
#define LVT_STATUS     0x01000U /* read only */
#define LVT_POLARITY   0x02000U
#define LVT_REMOTE_IRR 0x04000U /* read only */
#define LVT_LEVEL      0x08000U
#define LVT_TIMER_MODE 0x60000U

#define TIMER_ONESHOT  0U
#define TIMER_PERIODIC 1U
#define TIMER_DEADLINE 2U

/** @return the register at byte offset `reg` */
static inline uint32_t vreg_get(const struct vlapic *vlapic, uint32_t reg)
{
	return __atomic_load_n(&vlapic->regs[reg / 4U], __ATOMIC_RELAXED);
}

/** Sets the register at byte offset `reg`. */
static inline void vreg_set(struct vlapic *vlapic, uint32_t reg, uint32_t val)
{
	__atomic_store_n(&vlapic->regs[reg / 4U], val, __ATOMIC_RELAXED);
}

/** @return byte offset of the word of a 256-bit register (ISR, TMR, IRR) that holds `vector` */
static inline uint32_t vreg_word(uint32_t reg, uint32_t vector)
{
	return reg + 0x10U * (vector / 32U);
}

/** Something may be there to be injected: the vCPU looks before its next entry. Any pCPU. (inject.c) */
void vcpu_event_came(struct acrn_vcpu *vcpu);

/** Puts errors where the next write to ESR finds them, and raises the error interrupt. Any pCPU. */
void vlapic_error(struct vlapic *vlapic, uint32_t errors);

/** Computes PPR from TPR and ISR. @return it */
uint32_t vlapic_update_ppr(struct vlapic *vlapic);

/** Asks for a look at pending interrupts before the next entry, if there may be some. Owner. */
void vlapic_recheck(struct vlapic *vlapic);

/** ID and LDR for the mode. */
void vlapic_set_identity(struct vlapic *vlapic);

/** Delivers the local interrupt of an LVT entry: fixed, NMI, or ExtINT. Nothing if masked. @param reg its offset */
void vlapic_fire_lvt(struct vlapic *vlapic, uint32_t reg);

/** LVT entry of LINT0 was written, or its wire or its remote IRR changed. */
void vlapic_lint0_update(struct vlapic *vlapic);

/** Carries out a command. @param dest 8 bits, or 32 in x2APIC mode */
void vlapic_send_command(struct vlapic *vlapic, uint32_t dest, uint32_t icr);

/** IPI to itself (SELF IPI register). */
void vlapic_send_self(struct vlapic *vlapic, uint32_t vector);

/* Timer. */
void vlapic_timer_reset(struct vlapic *vlapic);
void vlapic_timer_write_initial(struct vlapic *vlapic, uint32_t count);
void vlapic_timer_write_divide(struct vlapic *vlapic, uint32_t divide);
void vlapic_timer_write_lvt(struct vlapic *vlapic, uint32_t lvt);
void vlapic_timer_write_deadline(struct vlapic *vlapic, uint64_t deadline);
uint32_t vlapic_timer_current(const struct vlapic *vlapic);
void vlapic_timer_expired(struct hv_timer *timer);

#endif
