/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupts on their way to local APICs: posting, messages, commands, MSIs, the PIC's wire (SDM vol 3, 11.6). */
#include <hv/trace.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/errno.h>

#include "vlapic_priv.h"

#define ICR_SHORTHAND(icr) (((icr) >> 18U) & 3U)
#define SHORTHAND_NONE     0U
#define SHORTHAND_SELF     1U
#define SHORTHAND_ALL      2U
#define SHORTHAND_OTHERS   3U

#define FIRST_LEGAL_VECTOR 16U

#define MSI_PREFIX          0xFEE00000UL
#define MSI_PREFIX_OF(addr) ((addr) & ~0xFFFFFUL)
#define MSI_REDIRECT        0x8UL
#define MSI_LOGICAL         0x4UL
#define MSI_DATA_ASSERT     0x4000UL
#define MSI_DATA_LEVEL      0x8000UL

/* ---- Posting ---- */

/* Sets or clears the TMR bit: last, it is the EOI's to know what kind of interrupt this was. */
static void set_trigger(struct vlapic *vlapic, uint32_t vector, bool level)
{
	uint32_t *word = &vlapic->regs[vreg_word(VREG_TMR, vector) / 4U];
	const uint32_t bit = BIT32(vector % 32U);

	if (((__atomic_load_n(word, __ATOMIC_RELAXED) & bit) != 0U) == level) {
		return;
	}
	if (level) {
		(void)__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
	} else {
		(void)__atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&vlapic->eoi_map_changed, true, __ATOMIC_SEQ_CST);
}

/* Without any check. */
static void post(struct vlapic *vlapic, uint32_t vector, bool level)
{
	set_trigger(vlapic, vector, level);
	(void)bit_test_and_set(&vlapic->pid.pir[vector / 64U], vector % 64U);
	/* Whoever set ON before us has kicked, and the owner clears ON before it looks. */
	if (!bit_test_and_set(&vlapic->pid.control, VLAPIC_PID_ON)) {
		vcpu_event_came(vlapic->vcpu);
	}
	trace_event(TRACE_IRQ, vlapic->vcpu->thread.who, vector, 0UL, 0UL);
}

static bool accepts_fixed(const struct vlapic *vlapic)
{
	return vlapic_is_enabled(vlapic) && ((vreg_get(vlapic, LAPIC_SVR) & SVR_ENABLED) != 0U);
}

void vlapic_error(struct vlapic *vlapic, uint32_t errors)
{
	const uint32_t lvt = vreg_get(vlapic, LAPIC_LVT_ERROR);
	const uint32_t vector = lvt & LVT_VECTOR;

	(void)__atomic_fetch_or(&vlapic->esr_pending, errors, __ATOMIC_SEQ_CST);
	/* An illegal vector here would be an error again, and so on. */
	if (((lvt & LAPIC_LVT_MASKED) == 0U) && (vector >= FIRST_LEGAL_VECTOR) && accepts_fixed(vlapic)) {
		post(vlapic, vector, false);
	}
}

bool vlapic_post(struct vlapic *vlapic, uint32_t vector, bool level)
{
	if (!accepts_fixed(vlapic)) {
		return false;
	}
	if (vector < FIRST_LEGAL_VECTOR) {
		vlapic_error(vlapic, ESR_RECEIVE_VECTOR);
		return false;
	}
	post(vlapic, vector & 0xFFU, level);
	return true;
}

void vlapic_set_local(struct acrn_vcpu *vcpu, uint32_t vector, bool level)
{
	(void)vlapic_post(vcpu_vlapic(vcpu), vector, level);
}

/* ---- Local interrupts ---- */

static void send_nmi(struct vlapic *vlapic)
{
	(void)__atomic_fetch_add(&vlapic->nmis, 1U, __ATOMIC_SEQ_CST);
	vcpu_make_request(vlapic->vcpu, VCPU_REQ_NMI);
}

uint32_t vlapic_take_nmis(struct vlapic *vlapic)
{
	return __atomic_exchange_n(&vlapic->nmis, 0U, __ATOMIC_SEQ_CST);
}

void vlapic_fire_lvt(struct vlapic *vlapic, uint32_t reg)
{
	const uint32_t lvt = vreg_get(vlapic, reg);

	if ((lvt & LAPIC_LVT_MASKED) != 0U) {
		return;
	}
	switch ((reg == LAPIC_LVT_TIMER) ? LAPIC_DM_FIXED : ((lvt & LVT_DELIVERY) >> 8U)) {
	case LAPIC_DM_FIXED:
		(void)vlapic_post(vlapic, lvt & LVT_VECTOR, false);
		break;
	case LAPIC_DM_NMI:
		send_nmi(vlapic);
		break;
	case LAPIC_DM_EXTINT:
		vcpu_make_request(vlapic->vcpu, VCPU_REQ_EVENT);
		break;
	default:
		break;
	}
}

/* @return true if LINT0 passes the PIC's INTR: ExtINT and unmasked, or the local APIC is off on the boot CPU */
static bool vlapic_accept_pic_intr(const struct vlapic *vlapic)
{
	if (!vlapic_is_enabled(vlapic)) {
		/* Then LINT0 is the INTR pin (11.4.3); boards wire the PIC to the boot CPU. */
		return vlapic->vcpu->vcpu_id == 0U;
	}
	return (vreg_get(vlapic, LAPIC_LVT_LINT0) & (LAPIC_LVT_MASKED | LVT_DELIVERY)) == (LAPIC_DM_EXTINT << 8U);
}

/* Level-sensitive fixed mode: one request, then none before its EOI. */
void vlapic_lint0_update(struct vlapic *vlapic)
{
	const uint32_t lvt = vlapic_is_enabled(vlapic) ? vreg_get(vlapic, LAPIC_LVT_LINT0) : LAPIC_LVT_MASKED;

	/* EOI and LVT writes come before the look at the line; a rise of the line comes before its look at them. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&vlapic->lint0_line, __ATOMIC_ACQUIRE)) {
		return;
	}
	if ((lvt & (LAPIC_LVT_MASKED | LVT_LEVEL | LVT_DELIVERY)) == LVT_LEVEL) {
		if (!__atomic_exchange_n(&vlapic->lint0_irr, true, __ATOMIC_SEQ_CST) &&
			!vlapic_post(vlapic, lvt & LVT_VECTOR, true)) {
			__atomic_store_n(&vlapic->lint0_irr, false, __ATOMIC_RELEASE);
		}
	} else if (vlapic_accept_pic_intr(vlapic)) {
		vcpu_make_request(vlapic->vcpu, VCPU_REQ_EVENT);
	}
}

void vlapic_pic_wire(struct acrn_vm *vm, bool asserted)
{
	uint32_t i;

	for (i = 0U; i < vm->vcpu_count; i++) {
		struct vlapic *vlapic = vcpu_vlapic(&vm->vcpus[i]);

		__atomic_store_n(&vlapic->lint0_line, asserted, __ATOMIC_SEQ_CST);
		if (!asserted || (vlapic->regs == NULL)) {
			continue;
		}
		if (vlapic_is_enabled(vlapic) &&
			((vreg_get(vlapic, LAPIC_LVT_LINT0) & (LVT_LEVEL | LVT_DELIVERY)) != LVT_LEVEL)) {
			vlapic_fire_lvt(vlapic, LAPIC_LVT_LINT0);
		} else {
			vlapic_lint0_update(vlapic);
		}
	}
}

bool vlapic_extint_pending(struct vlapic *vlapic)
{
	return __atomic_load_n(&vlapic->extint, __ATOMIC_ACQUIRE) ||
		(__atomic_load_n(&vlapic->lint0_line, __ATOMIC_ACQUIRE) && vlapic_accept_pic_intr(vlapic));
}

void vlapic_extint_acked(struct vlapic *vlapic)
{
	__atomic_store_n(&vlapic->extint, false, __ATOMIC_RELEASE);
}

/* ---- Messages ---- */

static bool logical_match_x2apic(const struct vlapic *vlapic, uint32_t dest)
{
	const uint32_t ldr = vreg_get(vlapic, LAPIC_LDR);

	return ((dest >> 16U) == (ldr >> 16U)) && ((dest & ldr & 0xFFFFU) != 0U);
}

/* 11.6.2.2: flat model, or cluster model (upper half: cluster, 15 is all; lower half: members). */
static bool logical_match_xapic(const struct vlapic *vlapic, uint32_t dest)
{
	const uint32_t ldr = vreg_get(vlapic, LAPIC_LDR) >> 24U;

	if (dest > 0xFFU) {
		return false;
	}
	if ((vreg_get(vlapic, VREG_DFR) >> 28U) == 0xFU) {
		return (ldr & dest) != 0U;
	}
	return (((dest >> 4U) == (ldr >> 4U)) || ((dest >> 4U) == 0xFU)) && ((dest & ldr & 0xFU) != 0U);
}

static bool is_broadcast(const struct lapic_msg *msg)
{
	/*
	 * The 8-bit form of a logical 0xFF is left to the matching: everybody in both xAPIC models, and the first
	 * eight of cluster 0 in x2APIC mode.
	 */
	return msg->dest_wide ? (msg->dest == 0xFFFFFFFFU) : ((msg->dest == 0xFFU) && !msg->dest_logical);
}

static bool msg_matches(const struct vlapic *vlapic, const struct lapic_msg *msg)
{
	if (vlapic->regs == NULL) {
		return false; /* the vCPU does not exist (any more) */
	}
	if (is_broadcast(msg)) {
		return true;
	}
	if (!msg->dest_logical) {
		return msg->dest == (vlapic->vcpu->apic_id & (vlapic_is_x2apic(vlapic) ? ~0U : 0xFFU));
	}
	if (!vlapic_is_enabled(vlapic)) {
		return false;
	}
	return vlapic_is_x2apic(vlapic) ? logical_match_x2apic(vlapic, msg->dest)
					: logical_match_xapic(vlapic, msg->dest);
}

/* `vlapic` is among the receivers. @return accepted */
static bool accept(struct vlapic *vlapic, const struct lapic_msg *msg)
{
	if (!vlapic_is_enabled(vlapic)) {
		/* INIT and NMI then come by pins only; our pins are these messages, and an AP must be startable. */
		if ((msg->delivery_mode != LAPIC_DM_INIT) && (msg->delivery_mode != LAPIC_DM_SIPI)) {
			return false;
		}
	}
	switch (msg->delivery_mode) {
	case LAPIC_DM_FIXED:
	case LAPIC_DM_LOWEST:
		return vlapic_post(vlapic, msg->vector, msg->level);
	case LAPIC_DM_NMI:
		send_nmi(vlapic);
		return true;
	case LAPIC_DM_INIT:
		vcpu_make_request(vlapic->vcpu, VCPU_REQ_INIT);
		return true;
	case LAPIC_DM_SIPI:
		__atomic_store_n(&vlapic->vcpu->sipi_vector, msg->vector, __ATOMIC_RELEASE);
		vcpu_make_request(vlapic->vcpu, VCPU_REQ_SIPI);
		return true;
	case LAPIC_DM_EXTINT:
		__atomic_store_n(&vlapic->extint, true, __ATOMIC_RELEASE);
		vcpu_make_request(vlapic->vcpu, VCPU_REQ_EVENT);
		return true;
	default:
		return false; /* SMI: there is no SMM; 3 is reserved */
	}
}

/* Lowest priority: the one with the lowest PPR; among equals the vector decides, so that vectors spread. */
static bool deliver_lowest(struct acrn_vm *vm, const struct lapic_msg *msg)
{
	const uint32_t count = vm->vcpu_count;
	struct vlapic *best = NULL;
	uint32_t best_ppr = 0x100U;
	uint32_t i;

	for (i = 0U; i < count; i++) {
		struct vlapic *vlapic = vcpu_vlapic(&vm->vcpus[(msg->vector + i) % count]);
		uint32_t ppr;

		if (!msg_matches(vlapic, msg) || !accepts_fixed(vlapic)) {
			continue;
		}
		ppr = vreg_get(vlapic, VREG_PPR) & 0xF0U;
		if (ppr < best_ppr) {
			best = vlapic;
			best_ppr = ppr;
		}
	}
	return (best != NULL) && accept(best, msg);
}

bool vlapic_deliver(struct acrn_vm *vm, const struct lapic_msg *msg)
{
	bool accepted = false;
	uint32_t i;

	if (msg->delivery_mode == LAPIC_DM_LOWEST) {
		return deliver_lowest(vm, msg);
	}
	for (i = 0U; i < vm->vcpu_count; i++) {
		struct vlapic *vlapic = vcpu_vlapic(&vm->vcpus[i]);

		if (msg_matches(vlapic, msg)) {
			accepted = accept(vlapic, msg) || accepted;
			if (!msg->dest_logical && !is_broadcast(msg)) {
				break; /* ids are unique */
			}
		}
	}
	return accepted;
}

int32_t vlapic_inject_msi(struct acrn_vm *vm, uint64_t addr, uint64_t data)
{
	struct lapic_msg msg = {
		.dest = (uint32_t)(addr >> 12U) & 0xFFU,
		.dest_logical = (addr & MSI_LOGICAL) != 0UL, /* with the redirection hint or without, as CPUs do it */
		.delivery_mode = (uint8_t)((data >> 8U) & 7U),
		.vector = (uint8_t)data,
		.level = (data & MSI_DATA_LEVEL) != 0UL,
	};

	if ((MSI_PREFIX_OF(addr) != MSI_PREFIX) || (msg.delivery_mode == 3U) || (msg.delivery_mode == LAPIC_DM_SIPI)) {
		return -EINVAL;
	}
	if (msg.level && ((data & MSI_DATA_ASSERT) == 0UL)) {
		return 0; /* the level falls: nothing to deliver */
	}
	if (((addr & MSI_REDIRECT) != 0UL) && (msg.delivery_mode == LAPIC_DM_FIXED)) {
		msg.delivery_mode = LAPIC_DM_LOWEST; /* to one of them */
	}
	(void)vlapic_deliver(vm, &msg);
	return 0;
}

/* ---- Commands ---- */

void vlapic_send_self(struct vlapic *vlapic, uint32_t vector)
{
	if (vector < FIRST_LEGAL_VECTOR) {
		vlapic_error(vlapic, ESR_SEND_VECTOR);
		return;
	}
	(void)vlapic_post(vlapic, vector, false);
}

/* All, with or without the sender. */
static void send_all(struct vlapic *vlapic, const struct lapic_msg *msg, bool self_too)
{
	struct acrn_vm *vm = vlapic->vcpu->vm;
	uint32_t i;

	for (i = 0U; i < vm->vcpu_count; i++) {
		struct vlapic *other = vcpu_vlapic(&vm->vcpus[i]);

		if ((other->regs != NULL) && (self_too || (other != vlapic))) {
			(void)accept(other, msg);
		}
	}
}

void vlapic_send_command(struct vlapic *vlapic, uint32_t dest, uint32_t icr)
{
	const struct lapic_msg msg = {
		.dest = dest,
		.dest_logical = (icr & 0x800U) != 0U,
		.dest_wide = vlapic_is_x2apic(vlapic),
		.delivery_mode = (uint8_t)((icr >> 8U) & 7U),
		.vector = (uint8_t)icr,
		.level = false, /* the trigger bit counts for INIT only (11.6.1) */
	};
	const bool fixed = (msg.delivery_mode == LAPIC_DM_FIXED) || (msg.delivery_mode == LAPIC_DM_LOWEST);
	const uint32_t shorthand = ICR_SHORTHAND(icr);

	if ((msg.delivery_mode == LAPIC_DM_EXTINT) || (msg.delivery_mode == 3U)) {
		return; /* reserved */
	}
	if ((msg.delivery_mode == LAPIC_DM_INIT) && ((icr & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)) {
		return; /* INIT level de-assert: no effect since the Pentium 4 */
	}
	if (fixed && (msg.vector < FIRST_LEGAL_VECTOR)) {
		vlapic_error(vlapic, ESR_SEND_VECTOR);
		return;
	}
	switch (shorthand) {
	case SHORTHAND_SELF:
		if (fixed) {
			(void)accept(vlapic, &msg);
		}
		break;
	case SHORTHAND_ALL:
	case SHORTHAND_OTHERS:
		/* "All including self" is for fixed interrupts; NMI, INIT and SIPI never come back to their sender. */
		send_all(vlapic, &msg, fixed && (shorthand == SHORTHAND_ALL));
		break;
	default:
		(void)vlapic_deliver(vlapic->vcpu->vm, &msg);
		break;
	}
}
