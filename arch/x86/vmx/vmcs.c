/* SPDX-License-Identifier: BSD-3-Clause */
/* One VMCS: what exits, what the host gets back at an exit, and with what the guest begins. */
#include <asm/vmcs.h>

#include <asm/caps.h>
#include <asm/cpu.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <asm/percpu.h>
#include <asm/speculation.h>
#include <asm/vmx.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/string.h>

/* CR0 bits that a guest may change without an exit. The others: PG (EFER.LMA follows), CD, NW, NE, ET, reserved. */
#define CR0_GUEST_BITS (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM)

struct descriptor_ptr {
	uint16_t limit;
	uint64_t base;
} __packed;

/* All but those that instructions ask for (INT3, INTO) and NMI, which a pin control is for. */
#define EXC_FAULTS (0xFFFFFFFFUL & ~(BIT(EXC_NMI) | BIT(EXC_BP) | BIT(EXC_OF)))

/* VMX access rights of what HC_SET_VCPU_REGS leaves open. */
#define AR_DATA_REAL 0x93U
#define AR_DATA_FLAT 0xC093U
#define AR_LDT       0x82U
#define AR_TSS_BUSY  0x8BU

uint64_t vmcs_cr4_host_bits(void)
{
	uint64_t guest = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCE | CR4_OSFXSR |
		CR4_OSXMMEXCPT;

	guest |= cpu_caps.has_umip ? CR4_UMIP : 0UL;
	guest |= cpu_caps.has_fsgsbase ? CR4_FSGSBASE : 0UL;
	guest |= cpu_caps.has_pcid ? CR4_PCIDE : 0UL;
	guest |= cpu_caps.has_xsave ? CR4_OSXSAVE : 0UL;
	guest |= cpu_caps.has_smep ? CR4_SMEP : 0UL;
	guest |= cpu_caps.has_smap ? CR4_SMAP : 0UL;
	guest |= cpu_caps.has_pku ? CR4_PKE : 0UL;
	guest |= cpu_caps.has_la57 ? CR4_LA57 : 0UL;
	return ~guest;
}

static void set_cached(enum vmcs_field field, uint32_t *cache, uint32_t bits, bool on)
{
	const uint32_t value = on ? (*cache | bits) : (*cache & ~bits);

	if (value != *cache) {
		*cache = value;
		exec_vmwrite(field, value);
	}
}

void vmcs_set_proc(struct acrn_vcpu *vcpu, uint32_t bits, bool on)
{
	set_cached(VMX_PROC_CTLS, &vcpu->arch.proc_ctls, bits, on);
}

void vmcs_set_proc2(struct acrn_vcpu *vcpu, uint32_t bits, bool on)
{
	set_cached(VMX_PROC_CTLS2, &vcpu->arch.proc_ctls2, bits, on);
}

void vmcs_set_entry(struct acrn_vcpu *vcpu, uint32_t bits, bool on)
{
	set_cached(VMX_ENTRY_CTLS, &vcpu->arch.entry_ctls, bits, on);
}

/*
 * PAUSE-loop exiting (SDM 26.1.3): PAUSEs no further apart than the gap belong to one loop; since Skylake one alone
 * takes about 140 ticks. A loop that lasts longer than the window is an exit: longer than whoever runs holds a lock,
 * and than the exit itself takes, but far shorter than a slice.
 */
#define PLE_GAP_TICKS    512UL
#define PLE_WINDOW_TICKS 4096UL

static uint32_t if_has(bool has, uint32_t bit)
{
	return has ? bit : 0U;
}

static void build_controls(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const struct cpu_caps *const c = &cpu_caps;
	const uint8_t *const io_bitmap = (arch->io_bitmap != NULL) ? arch->io_bitmap : vcpu->vm->arch.io_bitmap;
	uint32_t proc2 = PROC2_EPT | PROC2_UNRESTRICTED | (c->proc2.may_be_one & PROC2_WBINVD);

	const uint32_t pin = vmx_ctls(&c->pin,
		PIN_EXT_INT | PIN_NMI | if_has(c->has_virtual_nmi, PIN_VIRTUAL_NMI) |
			if_has(vmx_interrupts_need_help(), PIN_PREEMPTION_TIMER),
		"pin");
	arch->proc_ctls = vmx_ctls(&c->proc,
		PROC_HLT | PROC_MWAIT | PROC_MONITOR | PROC_RDPMC | PROC_TSC_OFFSET | PROC_MOV_DR | PROC_IO_BITMAPS |
			PROC_MSR_BITMAPS | PROC_SECONDARY |
			(c->has_tpr_shadow ? PROC_TPR_SHADOW : (PROC_CR8_LOAD | PROC_CR8_STORE)),
		"processor");
	proc2 |= if_has(c->has_vpid, PROC2_VPID) | if_has(c->has_enable_rdtscp, PROC2_RDTSCP) |
		if_has(c->has_enable_invpcid, PROC2_INVPCID) | if_has(c->has_enable_xsaves, PROC2_XSAVES) |
		if_has(c->has_pause_loop_exiting, PROC2_PAUSE_LOOP);
	arch->entry_ctls = vmx_ctls(&c->entry, ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER, "entry");

	exec_vmwrite(VMX_PIN_CTLS, pin);
	exec_vmwrite(VMX_PROC_CTLS, arch->proc_ctls);
	arch->proc_ctls2 = vmx_ctls(&c->proc2, proc2, "secondary processor");
	exec_vmwrite(VMX_PROC_CTLS2, arch->proc_ctls2);
	exec_vmwrite(VMX_EXIT_CTLS,
		vmx_ctls(&c->exit,
			EXIT_HOST_64 | EXIT_ACK_INTR | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
				EXIT_LOAD_EFER |
				if_has(vmx_interrupts_need_help(), c->exit.may_be_one & EXIT_SAVE_PREEMPTION),
			"exit"));
	exec_vmwrite(VMX_ENTRY_CTLS, arch->entry_ctls);

	/* #DB and #AC: a guest can make their delivery loop without end, where no interrupt gets in. #MC is ours. */
	exec_vmwrite(VMX_EXCEPTION_BITMAP,
		BIT(EXC_DB) | BIT(EXC_AC) | BIT(EXC_MC) | (vmx_exceptions_need_help() ? EXC_FAULTS : 0UL));
	exec_vmwrite(VMX_PF_ERROR_MASK, 0UL);
	exec_vmwrite(VMX_PF_ERROR_MATCH, 0UL);
	exec_vmwrite(VMX_CR3_TARGET_COUNT, 0UL);
	exec_vmwrite(VMX_EXIT_MSR_STORE_COUNT, 0UL);
	exec_vmwrite(VMX_EXIT_MSR_LOAD_COUNT, 0UL);
	exec_vmwrite(VMX_ENTRY_MSR_LOAD_COUNT, 0UL);
	exec_vmwrite(VMX_ENTRY_INTR_INFO, 0UL);
	exec_vmwrite(VMX_TSC_OFFSET, arch->tsc_offset);
	exec_vmwrite(VMX_IO_BITMAP_A, hva_to_hpa(io_bitmap));
	exec_vmwrite(VMX_IO_BITMAP_B, hva_to_hpa(io_bitmap) + PAGE_SIZE);
	exec_vmwrite(VMX_MSR_BITMAP, hva_to_hpa(vcpu->vm->arch.msr_bitmap));
	exec_vmwrite(VMX_EPT_POINTER, vcpu->vm->arch.eptp);
	exec_vmwrite(VMX_VMCS_LINK, ~0UL);
	if (c->has_vpid) {
		exec_vmwrite(VMX_VPID, arch->vpid);
	}
	if (c->has_pause_loop_exiting) {
		exec_vmwrite(VMX_PLE_GAP, PLE_GAP_TICKS);
		exec_vmwrite(VMX_PLE_WINDOW, PLE_WINDOW_TICKS);
	}
	if (c->has_tpr_shadow) {
		exec_vmwrite(VMX_VIRTUAL_APIC_PAGE, hva_to_hpa(arch->vlapic.regs));
		arch->tpr_threshold = 0U;
		exec_vmwrite(VMX_TPR_THRESHOLD, 0UL);
	}
	if (vmx_interrupts_need_help()) {
		vmx_preemption_timer_set();
	}
	if (c->has_enable_xsaves) {
		exec_vmwrite(VMX_XSS_EXIT_BITMAP, 0UL);
	}
	arch->cr0_mask = ~CR0_GUEST_BITS;
	arch->cr4_mask = vmcs_cr4_host_bits();
	exec_vmwrite(VMX_CR0_MASK, arch->cr0_mask);
	exec_vmwrite(VMX_CR4_MASK, arch->cr4_mask);
}

static uint16_t read_selector_tr(void)
{
	uint16_t sel;

	__asm__ volatile("str %0" : "=r"(sel));
	return sel;
}

/* Base of the 64-bit TSS that `selector` names in the GDT at `gdt` (SDM 8.2.3). */
static uint64_t tss_base(uint64_t gdt, uint16_t selector)
{
	const uint32_t *const d = (const uint32_t *)(gdt + (selector & 0xFFF8U));

	return ((uint64_t)d[2] << 32U) | (d[1] & 0xFF000000U) | ((uint64_t)(d[1] & 0xFFU) << 16U) | (d[0] >> 16U);
}

extern const char vmx_exit_entry[], vmx_exit_guarded[], vmx_exit_in_bochs[];

static const char *exit_entry(void)
{
	if (vmx_exits_need_help()) {
		return vmx_exit_in_bochs;
	}
	return speculation.guard_exit ? vmx_exit_guarded : vmx_exit_entry;
}

static void build_host(void)
{
	struct descriptor_ptr gdtr;
	struct descriptor_ptr idtr;
	uint16_t cs;
	uint16_t ss;
	const uint16_t tr = read_selector_tr();

	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	__asm__ volatile("sidt %0" : "=m"(idtr));
	__asm__ volatile("movw %%cs, %0" : "=r"(cs));
	__asm__ volatile("movw %%ss, %0" : "=r"(ss));

	exec_vmwrite(VMX_HOST_CR0, read_cr0());
	exec_vmwrite(VMX_HOST_CR3, read_cr3());
	exec_vmwrite(VMX_HOST_CR4, read_cr4());
	exec_vmwrite(VMX_HOST_CS_SEL, cs);
	exec_vmwrite(VMX_HOST_SS_SEL, ss);
	exec_vmwrite(VMX_HOST_DS_SEL, 0UL);
	exec_vmwrite(VMX_HOST_ES_SEL, 0UL);
	exec_vmwrite(VMX_HOST_FS_SEL, 0UL);
	exec_vmwrite(VMX_HOST_GS_SEL, 0UL);
	exec_vmwrite(VMX_HOST_TR_SEL, tr);
	exec_vmwrite(VMX_HOST_FS_BASE, rdmsr(MSR_IA32_FS_BASE));
	exec_vmwrite(VMX_HOST_GS_BASE, rdmsr(MSR_IA32_GS_BASE));
	exec_vmwrite(VMX_HOST_TR_BASE, tss_base(gdtr.base, tr));
	exec_vmwrite(VMX_HOST_GDTR_BASE, gdtr.base);
	exec_vmwrite(VMX_HOST_IDTR_BASE, idtr.base);
	exec_vmwrite(VMX_HOST_SYSENTER_CS, 0UL);
	exec_vmwrite(VMX_HOST_SYSENTER_ESP, 0UL);
	exec_vmwrite(VMX_HOST_SYSENTER_EIP, 0UL);
	exec_vmwrite(VMX_HOST_PAT, rdmsr(MSR_IA32_PAT));
	exec_vmwrite(VMX_HOST_EFER, rdmsr(MSR_IA32_EFER));
	exec_vmwrite(VMX_HOST_RIP, (uint64_t)exit_entry());
}

/* Segment `i` in the VMCS order ES, CS, SS, DS, FS, GS, LDTR, TR. */
static void set_segment(uint32_t i, uint16_t sel, uint64_t base, uint32_t limit, uint32_t ar)
{
	exec_vmwrite((enum vmcs_field)(VMX_GUEST_ES_SEL + 2U * i), sel);
	exec_vmwrite((enum vmcs_field)(VMX_GUEST_ES_BASE + 2U * i), base);
	exec_vmwrite((enum vmcs_field)(VMX_GUEST_ES_LIMIT + 2U * i), limit);
	exec_vmwrite((enum vmcs_field)(VMX_GUEST_ES_AR + 2U * i), ar);
}

static void build_segments(const struct acrn_regs *r)
{
	const bool protected_mode = (r->cr0 & CR0_PE) != 0UL;
	const uint32_t limit = protected_mode ? 0xFFFFFFFFU : 0xFFFFU;
	const uint32_t ar = protected_mode ? AR_DATA_FLAT : AR_DATA_REAL;
	/* A real-mode segment begins at its selector times 16; the interface has no bases but that of CS. */
	const uint64_t scale = protected_mode ? 0UL : 16UL;

	set_segment(0U, r->es_sel, scale * r->es_sel, limit, ar);
	set_segment(1U, r->cs_sel, r->cs_base, r->cs_limit, r->cs_ar);
	set_segment(2U, r->ss_sel, scale * r->ss_sel, limit, ar);
	set_segment(3U, r->ds_sel, scale * r->ds_sel, limit, ar);
	set_segment(4U, r->fs_sel, scale * r->fs_sel, limit, ar);
	set_segment(5U, r->gs_sel, scale * r->gs_sel, limit, ar);
	set_segment(6U, r->ldt_sel, 0UL, 0xFFFFU, AR_LDT);
	set_segment(7U, r->tr_sel, 0UL, 0xFFFFU, AR_TSS_BUSY);
}

static void build_guest(struct acrn_vcpu *vcpu)
{
	const struct acrn_regs *const r = &vcpu->arch.init_regs;
	const bool long_mode = (r->ia32_efer & EFER_LMA) != 0UL;

	_Static_assert(sizeof(r->gprs) == 16U * sizeof(vcpu->arch.gprs.reg[0]), "in the order of their numbers");
	memcpy(vcpu->arch.gprs.reg, &r->gprs, sizeof(r->gprs));
	write_cr2(0UL);
	vcpu->arch.gprs.host_rsp = 0UL;

	exec_vmwrite(VMX_GUEST_CR0, (r->cr0 & ~(CR0_CD | CR0_NW)) | CR0_NE | CR0_ET);
	exec_vmwrite(VMX_CR0_SHADOW, r->cr0 | CR0_ET);
	exec_vmwrite(VMX_GUEST_CR3, r->cr3);
	exec_vmwrite(VMX_GUEST_CR4, r->cr4 | CR4_VMXE | CR4_MCE);
	exec_vmwrite(VMX_CR4_SHADOW, r->cr4);
	vcpu->arch.efer = r->ia32_efer;
	exec_vmwrite(VMX_GUEST_EFER, r->ia32_efer);
	vmcs_set_entry(vcpu, ENTRY_IA32E, long_mode);
	exec_vmwrite(VMX_GUEST_DEBUGCTL, 0UL);
	exec_vmwrite(VMX_GUEST_DR7, 0x400UL);
	exec_vmwrite(VMX_GUEST_RSP, r->gprs.rsp);
	exec_vmwrite(VMX_GUEST_RIP, r->rip);
	exec_vmwrite(VMX_GUEST_RFLAGS, (r->rflags == 0UL) ? RFLAGS_R1 : r->rflags);
	exec_vmwrite(VMX_GUEST_PENDING_DEBUG, 0UL);
	if (vcpu->arch.msrs_reset) { /* INIT leaves MSRs alone (SDM table 10-1): the VMCS still has them */
		vcpu->arch.msrs_reset = false;
		exec_vmwrite(VMX_GUEST_PAT, 0x0007040600070406UL); /* SDM 12.12.4 */
		exec_vmwrite(VMX_GUEST_SYSENTER_CS, 0UL);
		exec_vmwrite(VMX_GUEST_SYSENTER_ESP, 0UL);
		exec_vmwrite(VMX_GUEST_SYSENTER_EIP, 0UL);
	}
	exec_vmwrite(VMX_GUEST_INTERRUPTIBILITY, 0UL);
	exec_vmwrite(VMX_GUEST_ACTIVITY, 0UL);
	exec_vmwrite(VMX_GUEST_GDTR_BASE, r->gdt.base);
	exec_vmwrite(VMX_GUEST_GDTR_LIMIT, r->gdt.limit);
	exec_vmwrite(VMX_GUEST_IDTR_BASE, r->idt.base);
	exec_vmwrite(VMX_GUEST_IDTR_LIMIT, r->idt.limit);
	build_segments(r);
}

void vmcs_build(struct acrn_vcpu *vcpu)
{
	build_controls(vcpu);
	build_host();
	build_guest(vcpu);
}
