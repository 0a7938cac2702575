/* SPDX-License-Identifier: BSD-3-Clause */
/* Control registers, EFER and XCR0 as the guest writes them (SDM vol 3, 2.5, 2.6, 10.1.1). */
#include <asm/guest.h>

#include <asm/caps.h>
#include <asm/msr.h>
#include <asm/vmcs.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/upcall.h>
#include <lib/bits.h>
#include <lib/errno.h>

#define CR0_DEFINED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
/* In access rights. */
#define CS_L       BIT(13)
#define TYPE_TSS32 BIT(3) /* of a TSS: 32 or 64 bits, not 16 */

bool vcpu_in_64bit_code(struct acrn_vcpu *vcpu)
{
	return ((vcpu->arch.efer & EFER_LMA) != 0UL) && ((exec_vmread(VMX_GUEST_CS_AR) & CS_L) != 0UL);
}

bool vcpu_load_pdptes(struct acrn_vcpu *vcpu)
{
	const gpa_t at = exec_vmread(VMX_GUEST_CR3) & 0xFFFFFFE0UL;
	const uint64_t reserved = 0x1E6UL | ~MASK((uint32_t)cpu_caps.phys_bits - 1U, 0U);
	uint64_t pdpte[4];

	if (copy_from_gpa(vcpu->vm, pdpte, at, sizeof(pdpte)) != 0) {
		return false;
	}
	for (uint32_t i = 0U; i < 4U; i++) {
		if (((pdpte[i] & 1UL) != 0UL) && ((pdpte[i] & reserved) != 0UL)) {
			return false;
		}
	}
	for (uint32_t i = 0U; i < 4U; i++) {
		exec_vmwrite((enum vmcs_field)(VMX_GUEST_PDPTE0 + 2U * i), pdpte[i]);
	}
	return true;
}

static void set_long_mode(struct acrn_vcpu *vcpu, bool on)
{
	vcpu->arch.efer = on ? (vcpu->arch.efer | EFER_LMA) : (vcpu->arch.efer & ~EFER_LMA);
	vcpu->arch.paging_epoch++; /* CR4.LA57 may change while it is off */
	exec_vmwrite(VMX_GUEST_EFER, vcpu->arch.efer);
	vmcs_set_entry(vcpu, ENTRY_IA32E, on);
}

/* The SDM's reasons for #GP at MOV to CR0. */
static bool cr0_is_legal(struct acrn_vcpu *vcpu, uint64_t old, uint64_t value)
{
	const uint64_t cr4 = vcpu_get_cr4(vcpu);
	const bool pg_on = ((value & CR0_PG) != 0UL) && ((old & CR0_PG) == 0UL);
	const bool pg_off = ((value & CR0_PG) == 0UL) && ((old & CR0_PG) != 0UL);

	if (((value >> 32U) != 0UL) || (((value & CR0_PG) != 0UL) && ((value & CR0_PE) == 0UL)) ||
		(((value & CR0_NW) != 0UL) && ((value & CR0_CD) == 0UL))) {
		return false;
	}
	if (pg_on && ((vcpu->arch.efer & EFER_LME) != 0UL)) { /* SDM 10.8.5 */
		return ((cr4 & CR4_PAE) != 0UL) && ((exec_vmread(VMX_GUEST_CS_AR) & CS_L) == 0UL) &&
			((exec_vmread(VMX_GUEST_TR_AR) & TYPE_TSS32) != 0UL);
	}
	if (pg_off) {
		return !vcpu_in_64bit_code(vcpu) && ((cr4 & CR4_PCIDE) == 0UL);
	}
	return true;
}

static int32_t write_cr0_guest(struct acrn_vcpu *vcpu, uint64_t value)
{
	const uint64_t old = vcpu_get_cr0(vcpu);
	const bool pg_changes = ((old ^ value) & CR0_PG) != 0UL;
	const bool paging = (value & CR0_PG) != 0UL;
	const bool lme = (vcpu->arch.efer & EFER_LME) != 0UL;

	if (!cr0_is_legal(vcpu, old, value)) {
		return -EACCES;
	}
	value = (value & CR0_DEFINED) | CR0_ET;
	if (paging && !lme && ((vcpu_get_cr4(vcpu) & CR4_PAE) != 0UL) &&
		(((old ^ value) & (CR0_PG | CR0_CD | CR0_NW)) != 0UL) && !vcpu_load_pdptes(vcpu)) {
		return -EACCES;
	}
	if (pg_changes && lme) {
		set_long_mode(vcpu, paging);
	}
	/* Caching is on whatever the guest says: memory types are the EPT's and PAT's. */
	exec_vmwrite(VMX_GUEST_CR0, (value & ~(CR0_CD | CR0_NW)) | CR0_NE);
	exec_vmwrite(VMX_CR0_SHADOW, value);
	if (pg_changes) {
		vmx_invvpid(vcpu->arch.vpid);
	}
	return 0;
}

static int32_t write_cr4_guest(struct acrn_vcpu *vcpu, uint64_t value)
{
	const uint64_t old = vcpu_get_cr4(vcpu);
	const uint64_t allowed = ~vcpu->arch.cr4_mask | CR4_MCE;
	const uint64_t paging_bits = CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP | CR4_PCIDE;
	const bool lma = (vcpu->arch.efer & EFER_LMA) != 0UL;
	const bool pae_paging = !lma && ((value & CR4_PAE) != 0UL) && ((vcpu_get_cr0(vcpu) & CR0_PG) != 0UL);

	if ((value & ~allowed) != 0UL) {
		return -EACCES;
	}
	if (lma && (((value & CR4_PAE) == 0UL) || (((old ^ value) & CR4_LA57) != 0UL))) {
		return -EACCES;
	}
	if (((value & CR4_PCIDE) != 0UL) && ((old & CR4_PCIDE) == 0UL) &&
		(!lma || ((exec_vmread(VMX_GUEST_CR3) & 0xFFFUL) != 0UL))) {
		return -EACCES;
	}
	if (pae_paging && (((old ^ value) & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP)) != 0UL) &&
		!vcpu_load_pdptes(vcpu)) {
		return -EACCES;
	}
	exec_vmwrite(VMX_GUEST_CR4, value | CR4_VMXE | CR4_MCE);
	exec_vmwrite(VMX_CR4_SHADOW, value);
	if (((old ^ value) & paging_bits) != 0UL) {
		vmx_invvpid(vcpu->arch.vpid);
	}
	return 0;
}

static int32_t mov_to_cr(struct acrn_vcpu *vcpu, uint32_t cr, uint64_t value)
{
	switch (cr) {
	case 0U:
		return write_cr0_guest(vcpu, value);
	case 4U:
		return write_cr4_guest(vcpu, value);
	case 8U: /* only without the TPR shadow */
		if ((value >> 4U) != 0UL) {
			return -EACCES;
		}
		vlapic_set_cr8(&vcpu->arch.vlapic, value);
		vcpu->arch.check_events = CHECK_ALL;
		return 0;
	default:
		return -EINVAL;
	}
}

int32_t cr_access_vmexit_handler(struct acrn_vcpu *vcpu)
{
	const uint64_t q = exec_vmread(VMX_EXIT_QUALIFICATION); /* SDM table 28-3 */
	const uint32_t cr = (uint32_t)q & 0xFU;
	const uint32_t reg = (uint32_t)(q >> 8U) & 0xFU;
	uint64_t value;
	int32_t status;

	switch ((q >> 4U) & 3UL) {
	case 0UL: /* MOV to CR */
		value = vcpu_get_gpr(vcpu, reg);
		if (!vcpu_in_64bit_code(vcpu)) {
			value &= 0xFFFFFFFFUL;
		}
		status = mov_to_cr(vcpu, cr, value);
		break;
	case 1UL: /* MOV from CR8 */
		if (cr == 8U) {
			vcpu_set_gpr(vcpu, reg, vlapic_get_cr8(&vcpu->arch.vlapic));
		}
		status = (cr == 8U) ? 0 : -EINVAL;
		break;
	case 2UL: /* CLTS */
		status = write_cr0_guest(vcpu, vcpu_get_cr0(vcpu) & ~CR0_TS);
		break;
	default: /* LMSW: sets PE, MP, EM, TS; cannot clear PE */
		value = (q >> 16U) & 0xFUL;
		value |= vcpu_get_cr0(vcpu) & (~0xFUL | CR0_PE);
		status = write_cr0_guest(vcpu, value);
		break;
	}
	if (status == 0) {
		return VMEXIT_SKIP;
	}
	if (status == -EACCES) {
		vcpu_inject_gp(vcpu);
		return VMEXIT_ENTER_AGAIN;
	}
	vcpu_fatal(vcpu, "exit for an access to CR%u that was not asked for", cr);
	return status;
}

int32_t vcpu_write_efer(struct acrn_vcpu *vcpu, uint64_t value)
{
	const uint64_t allowed = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	const uint64_t old = vcpu->arch.efer;

	if ((value & ~allowed) != 0UL) {
		return -EACCES;
	}
	if ((((old ^ value) & EFER_LME) != 0UL) && ((vcpu_get_cr0(vcpu) & CR0_PG) != 0UL)) {
		return -EACCES;
	}
	vcpu->arch.efer = (value & ~EFER_LMA) | (old & EFER_LMA);
	exec_vmwrite(VMX_GUEST_EFER, vcpu->arch.efer);
	if (((old ^ value) & EFER_NXE) != 0UL) {
		vmx_invvpid(vcpu->arch.vpid);
	}
	return 0;
}

/* XCR0 states that depend on each other (SDM vol 1, 13.3). */
#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))

int32_t xsetbv_vmexit_handler(struct acrn_vcpu *vcpu)
{
	const uint64_t *const gpr = vcpu->arch.gprs.reg;
	const uint64_t value = (gpr[GPR_RDX] << 32U) | (uint32_t)gpr[GPR_RAX];
	bool legal;

	/* CPL and CR4.OSXSAVE: the CPU raises those faults before the exit (SDM 26.1.1, 26.1.2), CPL by #GP. */
	legal = ((uint32_t)gpr[GPR_RCX] == 0U) && ((value & XCR0_X87) != 0UL) && ((value & ~cpu_caps.xcr0_mask) == 0UL);
	legal = legal && (((value & XCR0_AVX) == 0UL) || ((value & XCR0_SSE) != 0UL));
	if (legal && ((value & XCR0_AVX512) != 0UL)) {
		legal = ((value & XCR0_AVX512) == XCR0_AVX512) && ((value & XCR0_AVX) != 0UL);
	}
	if (!legal || (vcpu_get_cpl() != 0U)) {
		vcpu_inject_gp(vcpu);
		return VMEXIT_ENTER_AGAIN;
	}
	vcpu->arch.xcr0 = value;
	write_xcr0(value);
	return VMEXIT_SKIP;
}
