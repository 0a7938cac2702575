/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's accesses to its local APIC: page, MSRs, and what the CPU wrote for it (SDM vol 3, 11.4, 11.12). */
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/vm.h>
#include <lib/errno.h>

#include "vlapic_priv.h"

#include <asm/caps.h>
#include <asm/msr.h>

#define ICR_WRITABLE    0x000CCFFFU
#define ICR_X2_RESERVED 0xFFF33000U /* of the low half */
#define SVR_X2_RESERVED 0xFFFFEC00U /* bit 9, focus checking, is let through and stays 0 */

#define APIC_BASE_RESERVED_LOW 0x2FFUL

/* Bits of LVT entries that can be written; index (offset - LAPIC_LVT_TIMER) / 16. */
static const uint32_t lvt_writable[6] = {
	LVT_TIMER_MODE | LAPIC_LVT_MASKED | LVT_VECTOR,                          /* timer */
	LAPIC_LVT_MASKED | LVT_DELIVERY | LVT_VECTOR,                            /* thermal */
	LAPIC_LVT_MASKED | LVT_DELIVERY | LVT_VECTOR,                            /* performance counters */
	LAPIC_LVT_MASKED | LVT_LEVEL | LVT_POLARITY | LVT_DELIVERY | LVT_VECTOR, /* LINT0 */
	LAPIC_LVT_MASKED | LVT_LEVEL | LVT_POLARITY | LVT_DELIVERY | LVT_VECTOR, /* LINT1 */
	LAPIC_LVT_MASKED | LVT_VECTOR,                                           /* error */
};

static bool is_lvt(uint32_t reg)
{
	return (reg >= LAPIC_LVT_TIMER) && (reg <= LAPIC_LVT_ERROR);
}

/* ---- Registers, in either mode ---- */

/* @return false if there is no such readable register. DFR, APR and ICR's halves are the callers' business. */
static bool reg_read(struct vlapic *vlapic, uint32_t reg, uint32_t *val)
{
	*val = 0U;
	switch (reg) {
	case LAPIC_ID:
	case LAPIC_VERSION:
	case LAPIC_TPR:
	case LAPIC_LDR:
	case LAPIC_SVR:
	case LAPIC_ESR:
	case LAPIC_ICR:
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PMC:
	case LAPIC_LVT_LINT1:
	case LAPIC_LVT_ERROR:
	case LAPIC_TIMER_INITIAL:
	case LAPIC_TIMER_DIVIDE:
		*val = vreg_get(vlapic, reg);
		break;
	case LAPIC_LVT_LINT0:
		*val = vreg_get(vlapic, reg) | (vlapic->lint0_irr ? LVT_REMOTE_IRR : 0U);
		break;
	case VREG_PPR:
		*val = vlapic_update_ppr(vlapic);
		break;
	case LAPIC_TIMER_CURRENT:
		*val = vlapic_timer_current(vlapic);
		break;
	default:
		if ((reg < LAPIC_ISR) || (reg >= LAPIC_ESR)) {
			return false;
		}
		(void)vlapic_sync_posted(vlapic);
		*val = vreg_get(vlapic, reg);
		break;
	}
	return true;
}

static void write_lvt(struct vlapic *vlapic, uint32_t reg, uint32_t val)
{
	uint32_t lvt = val & lvt_writable[(reg - LAPIC_LVT_TIMER) / 0x10U];

	if (!vlapic->sw_enabled) {
		lvt |= LAPIC_LVT_MASKED; /* 11.4.7.2 */
	}
	if (reg == LAPIC_LVT_TIMER) {
		vlapic_timer_write_lvt(vlapic, lvt);
		return;
	}
	vreg_set(vlapic, reg, lvt);
	if (reg == LAPIC_LVT_LINT0) {
		vlapic_lint0_update(vlapic);
	}
}

static void write_svr(struct vlapic *vlapic, uint32_t val)
{
	const bool enabled = (val & SVR_ENABLED) != 0U;
	uint32_t reg;

	vreg_set(vlapic, LAPIC_SVR, val & SVR_WRITABLE);
	if (enabled == vlapic->sw_enabled) {
		return;
	}
	vlapic->sw_enabled = enabled;
	if (!enabled) {
		/* What is in IRR and ISR stays and is still to be handled (11.4.7.2). */
		for (reg = LAPIC_LVT_TIMER; reg <= LAPIC_LVT_ERROR; reg += 0x10U) {
			vreg_set(vlapic, reg, vreg_get(vlapic, reg) | LAPIC_LVT_MASKED);
		}
	}
}

/* @return false if there is no such writable register */
static bool reg_write(struct vlapic *vlapic, uint32_t reg, uint32_t val)
{
	switch (reg) {
	case LAPIC_EOI:
		vlapic_eoi(vlapic);
		break;
	case LAPIC_TPR:
		vreg_set(vlapic, reg, val & 0xFFU);
		(void)vlapic_update_ppr(vlapic);
		vlapic_recheck(vlapic);
		break;
	case LAPIC_SVR:
		write_svr(vlapic, val);
		break;
	case LAPIC_ESR:
		/* Errors become readable by a write (11.5.3). */
		vreg_set(vlapic, reg, __atomic_exchange_n(&vlapic->esr_pending, 0U, __ATOMIC_SEQ_CST));
		break;
	case LAPIC_TIMER_INITIAL:
		vlapic_timer_write_initial(vlapic, val);
		break;
	case LAPIC_TIMER_DIVIDE:
		vlapic_timer_write_divide(vlapic, val);
		break;
	default:
		if (!is_lvt(reg) || ((reg & 0xFU) != 0U)) {
			return false;
		}
		write_lvt(vlapic, reg, val);
		break;
	}
	return true;
}

/* ---- xAPIC ---- */

static uint32_t xapic_read(struct vlapic *vlapic, uint32_t reg)
{
	uint32_t val;

	if ((reg == VREG_DFR) || (reg == LAPIC_ICR_HIGH)) {
		return vreg_get(vlapic, reg);
	}
	if ((reg == VREG_APR) || (reg == LAPIC_EOI)) {
		return 0U; /* no arbitration bus; EOI is write only */
	}
	if (!reg_read(vlapic, reg, &val)) {
		vlapic_error(vlapic, ESR_REGISTER);
	}
	return val;
}

static void xapic_write(struct vlapic *vlapic, uint32_t reg, uint32_t val)
{
	switch (reg) {
	case LAPIC_ICR_HIGH:
		vreg_set(vlapic, reg, val & 0xFF000000U);
		break;
	case LAPIC_ICR:
		vreg_set(vlapic, reg, val & ICR_WRITABLE);
		vlapic_send_command(vlapic, vreg_get(vlapic, LAPIC_ICR_HIGH) >> 24U, val & ICR_WRITABLE);
		break;
	case LAPIC_LDR:
		vreg_set(vlapic, reg, val & 0xFF000000U);
		break;
	case VREG_DFR:
		vreg_set(vlapic, reg, val | 0x0FFFFFFFU);
		break;
	case LAPIC_ID:
		/* Writable in old processors only; our id is fixed by the processor's. */
		vreg_set(vlapic, reg, vlapic->vcpu->apic_id << 24U);
		break;
	default:
		if (!reg_write(vlapic, reg, val)) {
			vlapic_error(vlapic, ESR_REGISTER);
		}
		break;
	}
}

static bool is_xapic(const struct vlapic *vlapic)
{
	return (vlapic->base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE;
}

int32_t vlapic_mmio_read(struct vlapic *vlapic, uint32_t offset, uint32_t size, uint64_t *val)
{
	const uint32_t byte = offset & 0xFU;
	uint64_t reg;

	*val = ~0UL;
	if (!is_xapic(vlapic)) {
		return -ENODEV;
	}
	*val = 0UL;
	if (byte < 4U) {
		reg = xapic_read(vlapic, offset & 0xFF0U);
		*val = (reg >> (8U * byte)) & mask_bytes(size);
	}
	return 0;
}

int32_t vlapic_mmio_write(struct vlapic *vlapic, uint32_t offset, uint32_t size, uint64_t val)
{
	if (!is_xapic(vlapic)) {
		return -ENODEV;
	}
	if ((size == 4U) && ((offset & 0xFU) == 0U)) {
		xapic_write(vlapic, offset & 0xFF0U, (uint32_t)val);
	}
	return 0;
}

void vlapic_apic_write_done(struct vlapic *vlapic, uint32_t offset)
{
	const uint32_t reg = offset & 0xFF0U;
	const uint32_t val = vreg_get(vlapic, reg);

	if (!vlapic_is_x2apic(vlapic)) {
		xapic_write(vlapic, reg, val);
	} else if (reg == VREG_SELF_IPI) {
		vlapic_send_self(vlapic, val & 0xFFU);
	} else if (reg == LAPIC_ICR) {
		vlapic_send_command(vlapic, vreg_get(vlapic, LAPIC_ICR_HIGH), val);
	} else {
		(void)reg_write(vlapic, reg, val);
	}
}

/* ---- x2APIC ---- */

static uint32_t msr_to_reg(uint32_t msr)
{
	return (msr - MSR_IA32_X2APIC_BASE) << 4U;
}

static int32_t x2apic_read(struct vlapic *vlapic, uint32_t reg, uint64_t *val)
{
	uint32_t low;

	if (!vlapic_is_x2apic(vlapic) || (reg >= PAGE_SIZE) || !reg_read(vlapic, reg, &low)) {
		return -EACCES;
	}
	*val = low;
	if (reg == LAPIC_ICR) {
		*val |= (uint64_t)vreg_get(vlapic, LAPIC_ICR_HIGH) << 32U;
	}
	return 0;
}

/* Reserved bits of the low half (11.12.1.2 and the registers' figures). EOI and ESR take 0 only. */
static uint32_t x2apic_reserved(uint32_t reg)
{
	switch (reg) {
	case LAPIC_EOI:
	case LAPIC_ESR:
		return ~0U;
	case LAPIC_TPR:
	case VREG_SELF_IPI:
		return ~0xFFU;
	case LAPIC_SVR:
		return SVR_X2_RESERVED;
	case LAPIC_ICR:
		return ICR_X2_RESERVED;
	case LAPIC_TIMER_DIVIDE:
		return ~0xBU;
	default:
		/* Read-only bits may be written back as they were read. */
		return is_lvt(reg)
			? ~(lvt_writable[(reg - LAPIC_LVT_TIMER) / 0x10U] | LVT_STATUS |
				  (((reg == LAPIC_LVT_LINT0) || (reg == LAPIC_LVT_LINT1)) ? LVT_REMOTE_IRR : 0U))
			: 0U;
	}
}

static int32_t x2apic_write(struct vlapic *vlapic, uint32_t reg, uint64_t val)
{
	const uint32_t low = (uint32_t)val;
	const uint32_t high = (uint32_t)(val >> 32U);

	if (!vlapic_is_x2apic(vlapic) || (reg >= PAGE_SIZE) || ((low & x2apic_reserved(reg)) != 0U)) {
		return -EACCES;
	}
	if (reg == LAPIC_ICR) {
		vreg_set(vlapic, LAPIC_ICR, low);
		vreg_set(vlapic, LAPIC_ICR_HIGH, high);
		vlapic_send_command(vlapic, high, low);
		return 0;
	}
	if (high != 0U) {
		return -EACCES;
	}
	if (reg == VREG_SELF_IPI) {
		vlapic_send_self(vlapic, low);
		return 0;
	}
	return reg_write(vlapic, reg, low) ? 0 : -EACCES;
}

/* ---- IA32_APIC_BASE ---- */

/* 11.12.5: from off one gets to xAPIC only, from x2APIC to off only, and X2APIC without ENABLE is no state. */
static bool transition_is_legal(uint64_t old, uint64_t new)
{
	const bool old_enable = (old & APIC_BASE_ENABLE) != 0UL;
	const bool old_x2 = (old & APIC_BASE_X2APIC) != 0UL;
	const bool new_enable = (new &APIC_BASE_ENABLE) != 0UL;
	const bool new_x2 = (new &APIC_BASE_X2APIC) != 0UL;

	if (new_x2 && (!new_enable || !old_enable)) {
		return false;
	}
	return !(old_x2 && new_enable && !new_x2);
}

/*
 * May the registers lie at `gpa`? Of all accesses only those that leave the VM are seen, and the map is all vCPUs': the
 * registers cannot hide memory from one of them, as they do on a CPU (11.4.5).
 */
static bool page_is_free(struct acrn_vm *vm, gpa_t gpa)
{
	return arch_gpa_to_hpa(vm, gpa, NULL, NULL) == INVALID_HPA;
}

static int32_t write_apic_base(struct vlapic *vlapic, uint64_t val)
{
	const struct acrn_vcpu *vcpu = vlapic->vcpu;
	const uint64_t old = vlapic->base;
	const uint64_t modes = APIC_BASE_ENABLE | APIC_BASE_X2APIC;

	if (((val & APIC_BASE_RESERVED_LOW) != 0UL) || ((val >> cpu_caps.phys_bits) != 0UL) ||
		!transition_is_legal(old, val) || (((val & APIC_BASE_X2APIC) != 0UL) && vcpu->vm->arch.hide_x2apic)) {
		return -EACCES;
	}
	if ((((val ^ old) & APIC_BASE_ADDR) != 0UL) && !page_is_free(vcpu->vm, val & APIC_BASE_ADDR)) {
		pr_guest(vcpu->vm->vm_id, vcpu->vcpu_id, "local APIC moved to 0x%lx, which is mapped: #GP instead",
			val & APIC_BASE_ADDR);
		return -EACCES;
	}
	/* The BSP flag says what the hardware found out at reset; it stays. */
	vlapic->base = (val & ~APIC_BASE_BSP) | (old & APIC_BASE_BSP);
	if (((old ^ val) & modes) == 0UL) {
		return 0;
	}
	if ((val & APIC_BASE_ENABLE) == 0UL) {
		/* Off: the state is lost (11.4.3). */
		vlapic_init_reset(vlapic);
	} else if ((val & APIC_BASE_X2APIC) != 0UL) {
		/* All but ID, LDR and ICR's upper half is kept (11.12.5.1). */
		vlapic_set_identity(vlapic);
		vreg_set(vlapic, LAPIC_ICR_HIGH, 0U);
	}
	return 0;
}

int32_t vlapic_read_msr(struct vlapic *vlapic, uint32_t msr, uint64_t *val)
{
	switch (msr) {
	case MSR_IA32_APIC_BASE:
		*val = vlapic->base;
		return 0;
	case MSR_IA32_TSC_DEADLINE:
		*val = vlapic->tsc_deadline;
		return 0;
	default:
		return x2apic_read(vlapic, msr_to_reg(msr), val);
	}
}

int32_t vlapic_write_msr(struct vlapic *vlapic, uint32_t msr, uint64_t val)
{
	switch (msr) {
	case MSR_IA32_APIC_BASE:
		return write_apic_base(vlapic, val);
	case MSR_IA32_TSC_DEADLINE:
		vlapic_timer_write_deadline(vlapic, val);
		return 0;
	default:
		return x2apic_write(vlapic, msr_to_reg(msr), val);
	}
}
