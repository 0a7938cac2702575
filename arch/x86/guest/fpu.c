/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state that XSAVE knows. It is the guest's, and in the CPU while the vCPU is loaded: the hypervisor uses none.
 * The vCPU's area holds it at other times.
 */
#include <asm/guest.h>

#include <asm/caps.h>
#include <asm/page.h>
#include <lib/bits.h>
#include <lib/string.h>

/* The area in standard format (SDM vol 1, 13.4). */
#define AREA_FCW       0U
#define AREA_MXCSR     24U
#define AREA_XMM       160U
#define AREA_XSTATE_BV 512U

#define STATE_X87      0U
#define STATE_SSE      1U
#define STATE_AVX      2U /* upper halves of YMM0 to YMM15 */
#define STATE_ZMM_HIGH 6U /* upper halves of ZMM0 to ZMM15 */

#define XMM_SIZE 16U

static void xcr0_set(uint64_t value)
{
	if (cpu_caps.has_xsave && (read_xcr0() != value)) {
		write_xcr0(value);
	}
}

void vcpu_fpu_reset(struct acrn_vcpu *vcpu)
{
	uint8_t *const area = vcpu->arch.xsave_area;

	vcpu->arch.xcr0 = BIT(STATE_X87);
	memset(area, 0, cpu_caps.xsave_size);
	*(uint16_t *)(area + AREA_FCW) = 0x40U;
	*(uint32_t *)(area + AREA_MXCSR) = 0x1F80U;
	*(uint64_t *)(area + AREA_XSTATE_BV) = BIT(STATE_X87) | BIT(STATE_SSE);
}

void vcpu_fpu_save(struct acrn_vcpu *vcpu)
{
	void *const area = vcpu->arch.xsave_area;

	if (cpu_caps.has_xsave) {
		xcr0_set(cpu_caps.xcr0_mask);
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0U), "d"(~0U) : "memory");
	} else {
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
	}
}

void vcpu_fpu_load(struct acrn_vcpu *vcpu)
{
	const void *const area = vcpu->arch.xsave_area;

	if (cpu_caps.has_xsave) {
		xcr0_set(cpu_caps.xcr0_mask);
		__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0U), "d"(~0U) : "memory");
		xcr0_set(vcpu->arch.xcr0);
	} else {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
	}
}

/* ---- Vector registers of an emulated instruction: seldom, so all of the state goes to memory and back ---- */

/* @return the part of register `reg` that state component `state` has, `size` bytes each; NULL: the CPU has no such */
static uint8_t *part_of(struct acrn_vcpu *vcpu, uint32_t state, uint32_t reg, uint32_t size)
{
	uint8_t *const area = vcpu->arch.xsave_area;

	if (state == STATE_SSE) {
		return area + AREA_XMM + (size_t)reg * size;
	}
	if (!cpu_caps.has_xsave || ((cpu_caps.xcr0_mask & BIT(state)) == 0UL)) {
		return NULL;
	}
	return area + cpuid(0xDU, state).ebx + (size_t)reg * size;
}

void vcpu_get_vec(struct acrn_vcpu *vcpu, uint32_t reg, uint8_t val[32])
{
	const uint8_t *upper;

	vcpu_fpu_save(vcpu);
	upper = part_of(vcpu, STATE_AVX, reg, XMM_SIZE);
	memcpy(val, part_of(vcpu, STATE_SSE, reg, XMM_SIZE), XMM_SIZE);
	memset(val + XMM_SIZE, 0, XMM_SIZE);
	if (upper != NULL) {
		memcpy(val + XMM_SIZE, upper, XMM_SIZE);
	}
	vcpu_fpu_load(vcpu);
}

void vcpu_put_vec(struct acrn_vcpu *vcpu, uint32_t reg, const uint8_t *val, uint32_t size, bool zero_rest)
{
	uint64_t *const in_use = (uint64_t *)((uint8_t *)vcpu->arch.xsave_area + AREA_XSTATE_BV);
	uint8_t *upper;
	uint8_t *high;

	vcpu_fpu_save(vcpu);
	upper = part_of(vcpu, STATE_AVX, reg, XMM_SIZE);
	high = part_of(vcpu, STATE_ZMM_HIGH, reg, 2U * XMM_SIZE);
	memcpy(part_of(vcpu, STATE_SSE, reg, XMM_SIZE), val, XMM_SIZE);
	if (cpu_caps.has_xsave) {
		*in_use |= BIT(STATE_SSE);
	}
	if ((upper != NULL) && (size > XMM_SIZE)) {
		memcpy(upper, val + XMM_SIZE, XMM_SIZE);
		*in_use |= BIT(STATE_AVX);
	} else if ((upper != NULL) && zero_rest) {
		memset(upper, 0, XMM_SIZE);
	}
	if ((high != NULL) && zero_rest) {
		memset(high, 0, 2UL * XMM_SIZE);
	}
	vcpu_fpu_load(vcpu);
}
