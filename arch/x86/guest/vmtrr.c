/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's MTRRs: kept and checked as the SDM (vol 3, 12.11) says, without effect: the memory types of a VM are
 * those of its EPT, combined with the guest's PAT.
 */
#include <asm/guest.h>

#include <asm/caps.h>
#include <asm/msr.h>
#include <lib/bits.h>
#include <lib/errno.h>

#define FIXED_COUNT   11U
#define MTRRCAP_FIXED BIT(8)
#define MTRRCAP_WC    BIT(10)
#define DEF_TYPE_BITS 0xCFFUL /* E, FE, type */
#define MASK_VALID    BIT(11)

static bool type_ok(uint64_t type)
{
	return (type == 0UL) || (type == 1UL) || ((type >= 4UL) && (type <= 6UL));
}

/* @return index into fixed[], or FIXED_COUNT */
static uint32_t fixed_index(uint32_t msr)
{
	if (msr == MSR_IA32_MTRR_FIX64K_00000) {
		return 0U;
	}
	if ((msr == MSR_IA32_MTRR_FIX16K_80000) || (msr == MSR_IA32_MTRR_FIX16K_A0000)) {
		return 1U + msr - MSR_IA32_MTRR_FIX16K_80000;
	}
	if ((msr >= MSR_IA32_MTRR_FIX4K_C0000) && (msr <= MSR_IA32_MTRR_FIX4K_F8000)) {
		return 3U + msr - MSR_IA32_MTRR_FIX4K_C0000;
	}
	return FIXED_COUNT;
}

/* @return where `msr` is kept, or NULL if there is no such MTRR */
static uint64_t *storage(struct acrn_vcpu *vcpu, uint32_t msr)
{
	struct vmtrr *const m = &vcpu->arch.mtrr;

	if (msr == MSR_IA32_MTRR_DEF_TYPE) {
		return &m->def_type;
	}
	if ((msr >= MSR_IA32_MTRR_PHYSBASE0) && (msr < MSR_IA32_MTRR_PHYSBASE0 + 2U * VMTRR_VARIABLE)) {
		const uint32_t i = (msr - MSR_IA32_MTRR_PHYSBASE0) / 2U;

		return ((msr & 1U) == 0U) ? &m->base[i] : &m->mask[i];
	}
	return (fixed_index(msr) < FIXED_COUNT) ? &m->fixed[fixed_index(msr)] : NULL;
}

int32_t vmtrr_read(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const uint64_t *const at = storage(vcpu, msr);

	if (msr == MSR_IA32_MTRRCAP) {
		*value = VMTRR_VARIABLE | MTRRCAP_FIXED | MTRRCAP_WC;
		return 0;
	}
	if (at == NULL) {
		return -EACCES;
	}
	*value = *at;
	return 0;
}

static bool value_ok(uint32_t msr, uint64_t value)
{
	const uint64_t phys = MASK((uint32_t)cpu_caps.phys_bits - 1U, 12U);

	if (msr == MSR_IA32_MTRR_DEF_TYPE) {
		return ((value & ~DEF_TYPE_BITS) == 0UL) && type_ok(value & 0xFFUL);
	}
	if (fixed_index(msr) < FIXED_COUNT) {
		for (uint32_t i = 0U; i < 8U; i++) {
			if (!type_ok((value >> (8U * i)) & 0xFFUL)) {
				return false;
			}
		}
		return true;
	}
	if ((msr & 1U) == 0U) {
		return ((value & ~(phys | 0xFFUL)) == 0UL) && type_ok(value & 0xFFUL);
	}
	return (value & ~(phys | MASK_VALID)) == 0UL;
}

int32_t vmtrr_write(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint64_t *const at = storage(vcpu, msr);

	if ((at == NULL) || !value_ok(msr, value)) {
		return -EACCES;
	}
	*at = value;
	return 0;
}
