/* SPDX-License-Identifier: BSD-3-Clause */
/* The local APIC's heart: requests, service, priorities, EOI (SDM vol 3, 11.8). */
#include <hv/log.h>
#include <hv/upcall.h>
#include <hv/vm.h>

#include "vlapic_priv.h"

#include <asm/msr.h>

#define DFR_FLAT 0xFFFFFFFFU

bool vlapic_is_x2apic(const struct vlapic *vlapic)
{
	return (vlapic->base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == (APIC_BASE_ENABLE | APIC_BASE_X2APIC);
}

bool vlapic_is_enabled(const struct vlapic *vlapic)
{
	return (vlapic->base & APIC_BASE_ENABLE) != 0UL;
}

bool vlapic_is_at(const struct vlapic *vlapic, gpa_t page)
{
	return (vlapic->base & (APIC_BASE_ADDR | APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == (page | APIC_BASE_ENABLE);
}

/* ---- Life ---- */

void vlapic_set_identity(struct vlapic *vlapic)
{
	const uint32_t id = vlapic->vcpu->apic_id;

	if (vlapic_is_x2apic(vlapic)) {
		vreg_set(vlapic, LAPIC_ID, id);
		vreg_set(vlapic, LAPIC_LDR, ((id >> 4U) << 16U) | BIT32(id & 0xFU)); /* 11.12.10.2 */
	} else {
		vreg_set(vlapic, LAPIC_ID, id << 24U);
		vreg_set(vlapic, LAPIC_LDR, 0U);
	}
}

/* Registers after reset, but ID, LDR and timer. */
static void vlapic_reset_regs(struct vlapic *vlapic)
{
	uint32_t reg;
	uint32_t i;

	for (reg = 0U; reg < PAGE_SIZE; reg += 4U) {
		vreg_set(vlapic, reg, 0U);
	}
	vreg_set(vlapic, LAPIC_VERSION, VLAPIC_VERSION);
	vreg_set(vlapic, VREG_DFR, DFR_FLAT);
	vreg_set(vlapic, LAPIC_SVR, 0xFFU);
	for (reg = LAPIC_LVT_TIMER; reg <= LAPIC_LVT_ERROR; reg += 0x10U) {
		vreg_set(vlapic, reg, LAPIC_LVT_MASKED);
	}
	vlapic->sw_enabled = false;
	(void)__atomic_exchange_n(&vlapic->pid.control, vlapic->pid.control & ~BIT(VLAPIC_PID_ON), __ATOMIC_SEQ_CST);
	for (i = 0U; i < 4U; i++) {
		__atomic_store_n(&vlapic->pid.pir[i], 0UL, __ATOMIC_RELAXED);
	}
	vlapic->irr_words = 0U;
	vlapic->moved = -1;
	vlapic->isr_depth = 0U;
	vlapic->lint0_irr = false;
	vlapic->extint = false;
	vlapic->eoi_map_changed = true;
	vlapic->esr_pending = 0U;
	__atomic_store_n(&vlapic->nmis, 0U, __ATOMIC_SEQ_CST);
}

void vlapic_init_reset(struct vlapic *vlapic)
{
	vlapic_timer_reset(vlapic);
	vlapic_reset_regs(vlapic);
	vlapic_set_identity(vlapic);
}

void vlapic_reset(struct vlapic *vlapic)
{
	vlapic->base = VLAPIC_BASE_GPA | APIC_BASE_ENABLE | ((vlapic->vcpu->vcpu_id == 0U) ? APIC_BASE_BSP : 0UL);
	vlapic_init_reset(vlapic);
}

void vlapic_init(struct vlapic *vlapic, struct acrn_vcpu *vcpu, void *page)
{
	*vlapic = (struct vlapic){.vcpu = vcpu, .regs = page};
	hv_timer_init(&vlapic->timer, vlapic_timer_expired);
	vlapic_reset(vlapic);
}

void vlapic_destroy(struct vlapic *vlapic)
{
	hv_timer_stop_wait(&vlapic->timer);
	vlapic->base = 0UL; /* nobody looks at the page any more: it may go */
}

void vlapic_set_virtual_wire(struct vlapic *vlapic)
{
	vreg_set(vlapic, LAPIC_SVR, 0xFFU | SVR_ENABLED);
	vlapic->sw_enabled = true;
	vreg_set(vlapic, LAPIC_LVT_LINT0, LAPIC_DM_EXTINT << 8U);
	vreg_set(vlapic, LAPIC_LVT_LINT1, LAPIC_DM_NMI << 8U);
}

/* ---- Requests and service ---- */

bool vlapic_sync_posted(struct vlapic *vlapic)
{
	uint32_t i;

	if ((__atomic_load_n(&vlapic->pid.control, __ATOMIC_ACQUIRE) & BIT(VLAPIC_PID_ON)) == 0UL) {
		return false;
	}
	/* First ON, then the requests: what is posted in between sets ON again. */
	(void)bit_test_and_clear(&vlapic->pid.control, VLAPIC_PID_ON);
	for (i = 0U; i < 4U; i++) {
		uint64_t bits;
		uint32_t half;

		if (__atomic_load_n(&vlapic->pid.pir[i], __ATOMIC_RELAXED) == 0UL) {
			continue;
		}
		bits = __atomic_exchange_n(&vlapic->pid.pir[i], 0UL, __ATOMIC_SEQ_CST);
		vlapic->moved = MAX(vlapic->moved, (int16_t)(64U * i + fls64(bits)));
		for (half = 0U; half < 2U; half++, bits >>= 32U) {
			const uint32_t reg = LAPIC_IRR + 0x10U * (2U * i + half);

			if ((uint32_t)bits != 0U) {
				vreg_set(vlapic, reg, vreg_get(vlapic, reg) | (uint32_t)bits);
				vlapic->irr_words |= (uint8_t)BIT32(2U * i + half);
			}
		}
	}
	return true;
}

/* Bit w: word w of the 256-bit register is not 0. */
static uint32_t words_in_use(const struct vlapic *vlapic, uint32_t reg)
{
	uint32_t words = 0U;
	uint32_t i;

	for (i = 0U; i < 8U; i++) {
		words |= (vreg_get(vlapic, reg + 0x10U * i) != 0U) ? BIT32(i) : 0U;
	}
	return words;
}

/* @return number of the highest bit of the 256-bit register, -1 if there is none */
static int32_t highest_of(const struct vlapic *vlapic, uint32_t reg)
{
	for (uint32_t word = 8U; word > 0U; word--) {
		const uint32_t bits = vreg_get(vlapic, reg + 0x10U * (word - 1U));

		if (bits != 0U) {
			return (int32_t)(32U * (word - 1U) + fls64(bits));
		}
	}
	return -1;
}

int32_t vlapic_highest_irr(struct vlapic *vlapic)
{
	/* With virtual-interrupt delivery the CPU sets and clears bits behind our back: then irr_words is not kept. */
	return (vlapic->vid_active || (vlapic->irr_words != 0U)) ? highest_of(vlapic, LAPIC_IRR) : -1;
}

int32_t vlapic_highest_isr(const struct vlapic *vlapic)
{
	if (vlapic->vid_active) {
		return highest_of(vlapic, LAPIC_ISR);
	}
	return (vlapic->isr_depth == 0U) ? -1 : (int32_t)vlapic->isr_stack[vlapic->isr_depth - 1U];
}

/* 11.8.3.1; where that leaves a choice, as virtual-interrupt delivery does it (30.1.3). */
uint32_t vlapic_update_ppr(struct vlapic *vlapic)
{
	const uint32_t tpr = vreg_get(vlapic, LAPIC_TPR) & 0xFFU;
	const int32_t top = vlapic_highest_isr(vlapic);
	const uint32_t isr = (top < 0) ? 0U : (uint32_t)top;
	const uint32_t ppr = ((tpr & 0xF0U) >= (isr & 0xF0U)) ? tpr : (isr & 0xF0U);

	vreg_set(vlapic, VREG_PPR, ppr);
	return ppr;
}

int32_t vlapic_pending_vector(struct vlapic *vlapic)
{
	int32_t vector;

	(void)vlapic_sync_posted(vlapic);
	vector = vlapic_highest_irr(vlapic);
	if (vector >= 0) {
		/* TPR may have been changed without us (TPR shadow): PPR is computed, unless the CPU does it (30.1.3).
		 */
		const uint32_t ppr = vlapic->vid_active ? vreg_get(vlapic, VREG_PPR) : vlapic_update_ppr(vlapic);

		if (((uint32_t)vector & 0xF0U) <= (ppr & 0xF0U)) {
			vector = -1;
		}
	}
	return vector;
}

void vlapic_ack(struct vlapic *vlapic, uint32_t vector)
{
	const uint32_t irr = vreg_word(LAPIC_IRR, vector);
	const uint32_t isr = vreg_word(LAPIC_ISR, vector);
	const uint32_t left = vreg_get(vlapic, irr) & ~BIT32(vector % 32U);

	vreg_set(vlapic, irr, left);
	if (left == 0U) {
		vlapic->irr_words &= (uint8_t)~BIT32(vector / 32U);
	}
	vreg_set(vlapic, isr, vreg_get(vlapic, isr) | BIT32(vector % 32U));
	/* Each vector in service is of a higher class than the one below it: there can be no more than 15. */
	if (vlapic->isr_depth < VLAPIC_ISR_DEPTH) {
		vlapic->isr_stack[vlapic->isr_depth] = (uint8_t)vector;
		vlapic->isr_depth++;
	}
	(void)vlapic_update_ppr(vlapic);
}

void vlapic_recheck(struct vlapic *vlapic)
{
	if (!vlapic->vid_active && (vlapic->irr_words != 0U)) {
		vcpu_event_came(vlapic->vcpu);
	}
}

void vlapic_eoi_induced(struct vlapic *vlapic, uint32_t vector)
{
	if ((vreg_get(vlapic, vreg_word(VREG_TMR, vector)) & BIT32(vector % 32U)) == 0U) {
		return;
	}
	if (vlapic->lint0_irr && ((vreg_get(vlapic, LAPIC_LVT_LINT0) & LVT_VECTOR) == vector)) {
		vlapic->lint0_irr = false;
		vlapic_lint0_update(vlapic);
	}
	if ((vreg_get(vlapic, LAPIC_SVR) & SVR_NO_BROADCAST) == 0U) {
		vioapic_eoi_broadcast(vlapic->vcpu->vm, vector);
	}
}

void vlapic_eoi(struct vlapic *vlapic)
{
	const int32_t top = vlapic_highest_isr(vlapic);
	uint32_t vector;
	uint32_t isr;

	if (top < 0) {
		return;
	}
	vector = (uint32_t)top;
	isr = vreg_word(LAPIC_ISR, vector);
	vreg_set(vlapic, isr, vreg_get(vlapic, isr) & ~BIT32(vector % 32U));
	if (vlapic->isr_depth != 0U) {
		vlapic->isr_depth--;
	}
	(void)vlapic_update_ppr(vlapic);
	vlapic_eoi_induced(vlapic, vector);
	vlapic_recheck(vlapic);
}

uint64_t vlapic_get_cr8(const struct vlapic *vlapic)
{
	return (vreg_get(vlapic, LAPIC_TPR) >> 4U) & 0xFU;
}

void vlapic_set_cr8(struct vlapic *vlapic, uint64_t cr8)
{
	vreg_set(vlapic, LAPIC_TPR, ((uint32_t)cr8 & 0xFU) << 4U);
	(void)vlapic_update_ppr(vlapic);
	vlapic_recheck(vlapic);
}

/* ---- APICv ---- */

void vlapic_set_vid(struct vlapic *vlapic, bool on)
{
	uint32_t vector;

	if (vlapic->vid_active == on) {
		return;
	}
	vlapic->vid_active = on;
	vlapic->irr_words = (uint8_t)words_in_use(vlapic, LAPIC_IRR);
	vlapic->moved = -1;
	vlapic->isr_depth = 0U;
	for (vector = 0U; vector < 256U; vector++) {
		if (((vreg_get(vlapic, vreg_word(LAPIC_ISR, vector)) & BIT32(vector % 32U)) != 0U) &&
			(vlapic->isr_depth < VLAPIC_ISR_DEPTH)) {
			vlapic->isr_stack[vlapic->isr_depth] = (uint8_t)vector;
			vlapic->isr_depth++;
		}
	}
}

int32_t vlapic_take_moved(struct vlapic *vlapic)
{
	int32_t vector;

	(void)vlapic_sync_posted(vlapic);
	vector = vlapic->moved;
	vlapic->moved = -1;
	return vector;
}

bool vlapic_eoi_map(struct vlapic *vlapic, uint64_t map[4])
{
	const bool changed = __atomic_exchange_n(&vlapic->eoi_map_changed, false, __ATOMIC_SEQ_CST);
	uint32_t i;

	for (i = 0U; i < 4U; i++) {
		map[i] = vreg_get(vlapic, VREG_TMR + 0x20U * i) |
			((uint64_t)vreg_get(vlapic, VREG_TMR + 0x20U * i + 0x10U) << 32U);
	}
	return changed;
}
