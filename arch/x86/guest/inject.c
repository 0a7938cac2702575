/* SPDX-License-Identifier: BSD-3-Clause */
/* Exceptions, NMIs and interrupts on their way into the guest (SDM vol 3, 27.6 and 27.7). */
#include <asm/guest.h>

#include <asm/apicv.h>
#include <asm/caps.h>
#include <asm/vmcs.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/upcall.h>
#include <lib/bits.h>

#include "vlapic_priv.h"

/* Exceptions that push an error code (SDM table 6-1). */
#define EXC_WITH_ERROR                                                                                                 \
	(BIT(EXC_DF) | BIT(EXC_TS) | BIT(EXC_NP) | BIT(EXC_SS) | BIT(EXC_GP) | BIT(EXC_PF) | BIT(EXC_AC) | BIT(EXC_CP))
/* Those that are traps or aborts: they do not set RF in the flags they save (SDM 18.3.1.1). */
#define EXC_NOT_FAULT (BIT(EXC_DB) | BIT(EXC_BP) | BIT(EXC_OF) | BIT(EXC_DF) | BIT(EXC_MC))
/* Those whose second one makes a double fault (SDM table 6-4). */
#define EXC_CONTRIBUTORY (BIT(EXC_DE) | BIT(EXC_TS) | BIT(EXC_NP) | BIT(EXC_SS) | BIT(EXC_GP) | BIT(EXC_CP))

static bool makes_double_fault(uint8_t first, uint8_t second)
{
	const bool second_contributory = (EXC_CONTRIBUTORY & BIT(second)) != 0UL;

	if (first == EXC_PF) {
		return second_contributory || (second == EXC_PF);
	}
	return ((EXC_CONTRIBUTORY & BIT(first)) != 0UL) && second_contributory;
}

/* @return the exception whose delivery is under way, or -1 */
static int32_t exception_under_way(const struct vcpu_arch *arch)
{
	if (arch->exc_pending) {
		return arch->exc_vector;
	}
	if (((arch->reinject_info & INTR_INFO_VALID) != 0U) &&
		((arch->reinject_info & INTR_INFO_TYPE_MASK) == INTR_TYPE_HW_EXC)) {
		return (int32_t)(arch->reinject_info & 0xFFU);
	}
	return -1;
}

void vcpu_inject_exception(struct acrn_vcpu *vcpu, uint8_t vector, uint32_t error)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const int32_t first = exception_under_way(arch);

	if (first == (int32_t)EXC_DF) {
		vcpu_triple_fault(vcpu);
		return;
	}
	if ((first >= 0) && makes_double_fault((uint8_t)first, vector)) {
		vector = EXC_DF;
		error = 0U;
	}
	/* A fault during delivery of another event replaces that event, which the faulting access makes come again. */
	arch->reinject_info = 0U;
	arch->exc_pending = true;
	arch->exc_vector = vector;
	/* Real mode pushes no error codes (SDM 6.13). */
	arch->exc_has_error = ((EXC_WITH_ERROR & BIT(vector)) != 0UL) && ((exec_vmread(VMX_GUEST_CR0) & CR0_PE) != 0UL);
	arch->exc_error = error;
	arch->check_events |= CHECK_EXCEPTION;
}

void vcpu_inject_pf(struct acrn_vcpu *vcpu, uint32_t error, uint64_t cr2)
{
	write_cr2(cr2);
	vcpu_inject_exception(vcpu, EXC_PF, error);
}

void vcpu_inject_ud(struct acrn_vcpu *vcpu)
{
	vcpu_inject_exception(vcpu, EXC_UD, 0U);
}

void vcpu_inject_db(struct acrn_vcpu *vcpu, uint64_t bits)
{
	/* The CPU does this itself only for #DB that does not exit (SDM 28.1). Bits 3:0 show the newest event only. */
	write_dr6((read_dr6() & ~0xFUL) | bits);
	exec_vmwrite(VMX_GUEST_DR7, exec_vmread(VMX_GUEST_DR7) & ~BIT(13));
	vcpu_inject_exception(vcpu, EXC_DB, 0U);
}

void vcpu_inject_gp(struct acrn_vcpu *vcpu)
{
	vcpu_inject_exception(vcpu, EXC_GP, 0U);
}

void vcpu_save_vectoring(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const uint32_t info = exec_vmread32(VMX_IDT_VEC_INFO);
	uint32_t shadow;

	if ((info & INTR_INFO_VALID) == 0U) {
		return;
	}
	arch->reinject_info = info & (INTR_INFO_VALID | INTR_INFO_ERROR_CODE | INTR_INFO_TYPE_MASK | 0xFFU);
	arch->reinject_error = exec_vmread32(VMX_IDT_VEC_ERROR);
	arch->reinject_len = exec_vmread32(VMX_EXIT_INSTR_LEN);
	arch->check_events = CHECK_ALL;
	if ((info & INTR_INFO_TYPE_MASK) == INTR_TYPE_NMI) {
		/* Entry refuses to inject an NMI while NMIs are blocked (SDM 27.3.1.5). */
		shadow = exec_vmread32(VMX_GUEST_INTERRUPTIBILITY);
		exec_vmwrite(VMX_GUEST_INTERRUPTIBILITY, shadow & ~BLOCK_BY_NMI);
	}
}

static void write_entry(struct vcpu_arch *arch, uint32_t info)
{
	arch->entry_info = info;
	exec_vmwrite(VMX_ENTRY_INTR_INFO, info);
}

static void inject_again(struct vcpu_arch *arch)
{
	const uint32_t type = arch->reinject_info & INTR_INFO_TYPE_MASK;

	if ((arch->reinject_info & INTR_INFO_ERROR_CODE) != 0U) {
		exec_vmwrite(VMX_ENTRY_ERROR_CODE, arch->reinject_error);
	}
	if ((type == INTR_TYPE_SW_INT) || (type == INTR_TYPE_PRIV_SW_EXC) || (type == INTR_TYPE_SW_EXC)) {
		exec_vmwrite(VMX_ENTRY_INSTR_LEN, arch->reinject_len);
	}
	write_entry(arch, arch->reinject_info);
	arch->reinject_info = 0U;
}

static void inject_exception(struct vcpu_arch *arch)
{
	uint32_t info = INTR_INFO_VALID | INTR_TYPE_HW_EXC | arch->exc_vector;

	if (arch->exc_has_error) {
		info |= INTR_INFO_ERROR_CODE;
		exec_vmwrite(VMX_ENTRY_ERROR_CODE, arch->exc_error);
	}
	if ((EXC_NOT_FAULT & BIT(arch->exc_vector)) == 0UL) {
		/* Injection saves the flags as they are in the VMCS (SDM 27.6.1.1). */
		exec_vmwrite(VMX_GUEST_RFLAGS, exec_vmread(VMX_GUEST_RFLAGS) | RFLAGS_RF);
	}
	write_entry(arch, info);
	arch->exc_pending = false;
}

static void set_tpr_threshold(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const int32_t irr = vlapic_highest_irr(&arch->vlapic);
	const uint32_t tpr_class = (uint32_t)vlapic_get_cr8(&arch->vlapic) & 0xFU;
	uint32_t threshold = 0U;

	if (!cpu_caps.has_tpr_shadow) {
		return;
	}
	if ((irr >= 0) && (((uint32_t)irr >> 4U) <= tpr_class)) {
		threshold = (uint32_t)irr >> 4U;
	}
	if (threshold != arch->tpr_threshold) {
		arch->tpr_threshold = threshold;
		exec_vmwrite(VMX_TPR_THRESHOLD, threshold);
	}
}

/* Interrupts: at most one is injected. @return true if one waits that cannot be injected now */
static bool inject_interrupt(struct acrn_vcpu *vcpu, uint32_t shadow)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const bool pic = vlapic_extint_pending(&arch->vlapic);
	const int32_t vector = (pic || arch->apicv_on) ? -1 : vlapic_pending_vector(&arch->vlapic);

	if (!pic && (vector < 0)) {
		return false;
	}
	if ((arch->entry_info != 0U) || ((shadow & (BLOCK_BY_STI | BLOCK_BY_MOV_SS)) != 0U) ||
		((exec_vmread(VMX_GUEST_RFLAGS) & RFLAGS_IF) == 0UL)) {
		return true;
	}
	if (pic) {
		write_entry(arch, INTR_INFO_VALID | INTR_TYPE_EXT_INT | (vpic_intack(vcpu->vm) & 0xFFU));
		vlapic_extint_acked(&arch->vlapic);
	} else {
		vlapic_ack(&arch->vlapic, (uint32_t)vector);
		write_entry(arch, INTR_INFO_VALID | INTR_TYPE_EXT_INT | (uint32_t)vector);
	}
	/* Another one behind it? */
	return vlapic_extint_pending(&arch->vlapic) || (!arch->apicv_on && (vlapic_pending_vector(&arch->vlapic) >= 0));
}

/* NMIs and interrupts; windows for those that have to wait. What is injected before them has been written. */
static void inject_interrupts(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const uint32_t shadow = exec_vmread32(VMX_GUEST_INTERRUPTIBILITY);
	uint32_t windows;
	bool interrupt_waits;

	if (unlikely(arch->nmis_pending > 1U) && ((shadow & BLOCK_BY_NMI) != 0U)) {
		arch->nmis_pending = 1U;
	}
	if ((arch->entry_info == 0U) && (arch->nmis_pending != 0U) &&
		((shadow & (BLOCK_BY_NMI | BLOCK_BY_STI | BLOCK_BY_MOV_SS)) == 0U)) {
		write_entry(arch, INTR_INFO_VALID | INTR_TYPE_NMI | EXC_NMI);
		arch->nmis_pending--;
	}
	interrupt_waits = inject_interrupt(vcpu, shadow);
	if (arch->apicv_on) {
		apicv_sync(vcpu);
	} else {
		set_tpr_threshold(vcpu);
	}
	windows = (interrupt_waits ? PROC_INT_WINDOW : 0U) |
		(((arch->nmis_pending != 0U) && cpu_caps.has_virtual_nmi) ? PROC_NMI_WINDOW : 0U);
	if ((arch->proc_ctls & (PROC_INT_WINDOW | PROC_NMI_WINDOW)) != windows) {
		vmcs_set_proc(vcpu, PROC_INT_WINDOW | PROC_NMI_WINDOW, false);
		vmcs_set_proc(vcpu, windows, true);
	}
}

void vcpu_inject_events(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const bool only_exception = arch->check_events == CHECK_EXCEPTION;

	arch->check_events = CHECK_NOTHING;
	if (arch->entry_info == 0U) {
		if (arch->reinject_info != 0U) {
			inject_again(arch);
		} else if (arch->exc_pending) {
			inject_exception(arch);
		}
	}
	if (!only_exception) {
		inject_interrupts(vcpu);
	}
	/* An exception that could not be written because the entry field was taken comes next time. */
	if (arch->exc_pending || (arch->reinject_info != 0U)) {
		arch->check_events = CHECK_ALL;
	}
}

void vcpu_event_came(struct acrn_vcpu *vcpu)
{
	if (this_percpu()->loaded_vcpu == vcpu) {
		/*
		 * Its thread runs here: whose does not is not loaded. It looks before it enters the guest, and before
		 * it sleeps. What vcpu_inject_events() itself brings about (by the PIC's INTA, say) it takes along.
		 */
		vcpu->arch.check_events = CHECK_ALL;
	} else {
		vcpu_make_request(vcpu, VCPU_REQ_EVENT);
	}
}

int32_t window_vmexit_handler(struct acrn_vcpu *vcpu)
{
	vcpu->arch.check_events = CHECK_ALL;
	return VMEXIT_ENTER_AGAIN;
}

int32_t exception_vmexit_handler(struct acrn_vcpu *vcpu)
{
	const uint32_t info = exec_vmread32(VMX_EXIT_INTR_INFO);
	const uint8_t vector = (uint8_t)(info & 0xFFU);
	uint32_t shadow;

	if ((info & INTR_INFO_TYPE_MASK) == INTR_TYPE_NMI) {
		/* A physical NMI. The host's handler runs through the IDT, whose IRET unblocks NMIs again. */
		__asm__ volatile("int $2" : : : "memory");
		return 0;
	}
	vcpu_save_vectoring(vcpu);
	if (((info & INTR_INFO_NMI_UNBLOCK) != 0U) && (vector != EXC_DF) && (vcpu->arch.reinject_info == 0U)) {
		/* SDM 28.2.3: the fault came out of an IRET that had unblocked NMIs. */
		shadow = exec_vmread32(VMX_GUEST_INTERRUPTIBILITY);
		exec_vmwrite(VMX_GUEST_INTERRUPTIBILITY, shadow | BLOCK_BY_NMI);
	}
	switch (vector) {
	case EXC_DB:
		if ((info & INTR_INFO_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXC) {
			/* INT1: a trap behind the instruction, without DR6. */
			vcpu->arch.reinject_info = INTR_INFO_VALID | INTR_TYPE_PRIV_SW_EXC | EXC_DB;
			vcpu->arch.reinject_len = exec_vmread32(VMX_EXIT_INSTR_LEN);
			vcpu->arch.check_events = CHECK_ALL;
			return 0;
		}
		vcpu_inject_db(vcpu, exec_vmread(VMX_EXIT_QUALIFICATION) & 0x600FUL);
		return 0;
	case EXC_AC:
		vcpu_inject_exception(vcpu, EXC_AC, exec_vmread32(VMX_EXIT_ERROR_CODE));
		return 0;
	case EXC_MC:
		panic("machine check while VM %u vCPU %u ran", vcpu->vm->vm_id, vcpu->vcpu_id);
	case EXC_PF:
		vcpu_inject_pf(vcpu, exec_vmread32(VMX_EXIT_ERROR_CODE), exec_vmread(VMX_EXIT_QUALIFICATION));
		return 0;
	default:
		/* Only where vmx_exceptions_need_help(): back to the guest as it came. */
		vcpu_inject_exception(
			vcpu, vector, ((info & INTR_INFO_ERROR_CODE) != 0U) ? exec_vmread32(VMX_EXIT_ERROR_CODE) : 0U);
		return 0;
	}
}
