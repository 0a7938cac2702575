/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's debug registers (SDM vol 3, 18.2). MOV DR exits. DR0 to DR3 are in the vCPU, and in the CPU too while
 * DR7 enables one of them; DR6 is live in the CPU while the vCPU is loaded; DR7 is in the VMCS. `watching` is known: a
 * port or memory access that is emulated need not look at DR7 unless it is set.
 */
#include <asm/guest.h>

#include <asm/caps.h>
#include <lib/bits.h>
#include <lib/errno.h>

/* Exit qualification for MOV DR: SDM table 28-4. */
#define QUAL_DR(q)  ((uint32_t)(q)&7U)
#define QUAL_FROM   BIT(4) /* MOV from the debug register */
#define QUAL_GPR(q) ((uint32_t)((q) >> 8U) & 0xFU)

#define DR6_RESET           0xFFFF0FF0UL
#define DR6_BD              BIT(13)
#define DR7_RESET           BIT(10)
#define DR7_GD              BIT(13)
#define DR7_ENABLES         0xFFUL       /* L0, G0 ... L3, G3 */
#define DR7_FREE            0xFFFF23FFUL /* the bits that are neither fixed ones nor fixed zeroes */
#define DR7_ENABLED(dr7, i) (((dr7) >> (2U * (i)) & 3UL) != 0UL)
#define DR7_RW(dr7, i)      ((uint32_t)((dr7) >> (16U + 4U * (i))) & 3U)
#define DR7_LEN(dr7, i)     ((uint32_t)((dr7) >> (18U + 4U * (i))) & 3U)

/* DR7's R/W field. */
#define RW_EXECUTE 0U
#define RW_WRITE   1U
#define RW_IO      2U
#define RW_ACCESS  3U

static uint64_t read_dr(const struct acrn_vcpu *vcpu, uint32_t i)
{
	if (i < 4U) {
		return vcpu->arch.dr[i];
	}
	return (i == 6U) ? read_dr6() : exec_vmread(VMX_GUEST_DR7);
}

/* An instruction breakpoint is the CPU's own business. */
static bool watches(uint64_t dr7)
{
	for (uint32_t i = 0U; i < 4U; i++) {
		if (DR7_ENABLED(dr7, i) && (DR7_RW(dr7, i) != RW_EXECUTE)) {
			return true;
		}
	}
	return false;
}

void vcpu_debug_load(const struct acrn_vcpu *vcpu)
{
	const uint64_t *const dr = vcpu->arch.dr;

	if (vcpu->arch.breakpoints) {
		write_dr0(dr[0]);
		write_dr1(dr[1]);
		write_dr2(dr[2]);
		write_dr3(dr[3]);
	}
}

static void write_dr(struct acrn_vcpu *vcpu, uint32_t i, uint64_t value)
{
	if (i < 4U) {
		vcpu->arch.dr[i] = value;
		vcpu_debug_load(vcpu);
	} else if (i == 6U) {
		write_dr6(value); /* the CPU keeps its fixed bits */
	} else {
		exec_vmwrite(VMX_GUEST_DR7, (value & DR7_FREE) | DR7_RESET);
		vcpu->arch.breakpoints = (value & DR7_ENABLES) != 0UL;
		vcpu->arch.watching = watches(value);
		vcpu_debug_load(vcpu);
	}
}

void vcpu_debug_reset(struct acrn_vcpu *vcpu)
{
	for (uint32_t i = 0U; i < 4U; i++) {
		write_dr(vcpu, i, 0UL);
	}
	write_dr(vcpu, 6U, DR6_RESET);
	write_dr(vcpu, 7U, DR7_RESET);
}

int32_t dr_access_vmexit_handler(struct acrn_vcpu *vcpu)
{
	const uint64_t q = exec_vmread(VMX_EXIT_QUALIFICATION);
	const uint32_t gpr = QUAL_GPR(q);
	uint32_t dr = QUAL_DR(q);
	uint64_t value;

	/* This exit comes before the faults that other instructions raise first (SDM 26.1.3). */
	if (((dr == 4U) || (dr == 5U)) && ((vcpu_get_cr4(vcpu) & CR4_DE) != 0UL)) {
		vcpu_inject_ud(vcpu);
		return 0;
	}
	if (vcpu_get_cpl() != 0U) {
		vcpu_inject_gp(vcpu);
		return 0;
	}
	if ((exec_vmread(VMX_GUEST_DR7) & DR7_GD) != 0UL) {
		vcpu_inject_db(vcpu, DR6_BD);
		return 0;
	}
	dr |= ((dr == 4U) || (dr == 5U)) ? 2U : 0U; /* without CR4.DE other names of DR6 and DR7 */
	if ((q & QUAL_FROM) != 0UL) {
		vcpu_set_gpr(vcpu, gpr, read_dr(vcpu, dr));
	} else {
		value = vcpu_get_gpr(vcpu, gpr);
		if (!vcpu_in_64bit_code(vcpu)) {
			value &= 0xFFFFFFFFUL;
		}
		if ((dr >= 6U) && ((value >> 32U) != 0UL)) {
			vcpu_inject_gp(vcpu);
			return 0;
		}
		write_dr(vcpu, dr, value);
	}
	return VMEXIT_SKIP;
}

/* The range of a breakpoint: its length's low bits of the address do not count (SDM 18.2.5). */
static bool overlaps(const struct acrn_vcpu *vcpu, uint64_t dr7, uint32_t i, uint64_t first, uint32_t size)
{
	static const uint8_t length[4] = {1U, 2U, 8U, 4U};
	const uint64_t len = length[DR7_LEN(dr7, i)];
	const uint64_t start = vcpu->arch.dr[i] & ~(len - 1UL);

	return (first < start + len) && (start < first + size);
}

static uint32_t hits(const struct acrn_vcpu *vcpu, uint32_t kinds, uint64_t first, uint32_t size)
{
	const uint64_t dr7 = exec_vmread(VMX_GUEST_DR7);
	uint32_t found = 0U;

	for (uint32_t i = 0U; i < 4U; i++) {
		if (DR7_ENABLED(dr7, i) && ((kinds & BIT32(DR7_RW(dr7, i))) != 0U) &&
			overlaps(vcpu, dr7, i, first, size)) {
			found |= BIT32(i);
		}
	}
	return found;
}

void vcpu_watch_memory(struct acrn_vcpu *vcpu, gla_t gla, uint32_t size, bool write)
{
	const uint32_t kinds = BIT32(RW_ACCESS) | (write ? BIT32(RW_WRITE) : 0U);

	vcpu->arch.watch_hits |= (uint8_t)hits(vcpu, kinds, gla, size);
}

void vcpu_watch_port(struct acrn_vcpu *vcpu, uint16_t port, uint32_t size)
{
	if ((vcpu_get_cr4(vcpu) & CR4_DE) != 0UL) {
		vcpu->arch.watch_hits |= (uint8_t)hits(vcpu, BIT32(RW_IO), port, size);
	}
}

void vcpu_watch_end(struct acrn_vcpu *vcpu)
{
	const uint8_t found = vcpu->arch.watch_hits;

	vcpu->arch.watch_hits = 0U;
	if (found != 0U) {
		vcpu_inject_db(vcpu, found);
	}
}
