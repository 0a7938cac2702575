/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why did VM entry refuse the guest state? The SDM's checks (vol 3, 27.3.1), as a table: after a failed entry the
 * broken rules are named in the log. Not on any normal path.
 */
#include <asm/vmcs.h>

#include <asm/caps.h>
#include <asm/cpu.h>
#include <asm/msr.h>
#include <asm/vmx.h>
#include <hv/log.h>
#include <lib/bits.h>

struct state {
	uint64_t cr0, cr3, cr4, efer, rip, rflags, rsp;
	uint32_t entry, cs_ar, ss_ar, tr_ar, ldtr_ar, interruptibility, activity, entry_info;
	bool ia32e;
};

static bool bits_follow(uint64_t value, uint64_t fixed0, uint64_t fixed1, uint64_t ignore)
{
	return ((~value & fixed0 & ~ignore) == 0UL) && ((value & ~fixed1) == 0UL);
}

static bool cr0_fixed(const struct state *s)
{
	return bits_follow(s->cr0, cpu_caps.cr0_fixed0, cpu_caps.cr0_fixed1, CR0_PE | CR0_PG);
}

static bool cr4_fixed(const struct state *s)
{
	return bits_follow(s->cr4, cpu_caps.cr4_fixed0, cpu_caps.cr4_fixed1, 0UL);
}

static bool pg_needs_pe(const struct state *s)
{
	return ((s->cr0 & CR0_PG) == 0UL) || ((s->cr0 & CR0_PE) != 0UL);
}

static bool ia32e_needs_pae(const struct state *s)
{
	return !s->ia32e || (((s->cr0 & CR0_PG) != 0UL) && ((s->cr4 & CR4_PAE) != 0UL));
}

static bool pcide_needs_ia32e(const struct state *s)
{
	return s->ia32e || ((s->cr4 & CR4_PCIDE) == 0UL);
}

static bool lma_is_entry_mode(const struct state *s)
{
	return ((s->efer & EFER_LMA) != 0UL) == s->ia32e;
}

static bool lma_is_lme(const struct state *s)
{
	return ((s->cr0 & CR0_PG) == 0UL) || (((s->efer & EFER_LMA) != 0UL) == ((s->efer & EFER_LME) != 0UL));
}

static bool cr3_width(const struct state *s)
{
	return (s->cr3 >> cpu_caps.phys_bits) == 0UL;
}

static bool rflags_reserved(const struct state *s)
{
	return ((s->rflags & RFLAGS_R1) != 0UL) && ((s->rflags & ~0x3F7FD7UL) == 0UL);
}

static bool vm86_needs_no_ia32e(const struct state *s)
{
	return ((s->rflags & RFLAGS_VM) == 0UL) || (!s->ia32e && ((s->cr0 & CR0_PE) != 0UL));
}

static bool interrupt_needs_if(const struct state *s)
{
	return ((s->entry_info & (INTR_INFO_VALID | INTR_INFO_TYPE_MASK)) != (INTR_INFO_VALID | INTR_TYPE_EXT_INT)) ||
	       ((s->rflags & RFLAGS_IF) != 0UL);
}

static bool rip_width(const struct state *s)
{
	return (s->ia32e && ((s->cs_ar & BIT(13)) != 0U)) || ((s->rip >> 32U) == 0UL);
}

static bool cs_l_and_d(const struct state *s)
{
	return !s->ia32e || ((s->cs_ar & (BIT(13) | BIT(14))) != (BIT(13) | BIT(14)));
}

static bool cs_usable(const struct state *s)
{
	return ((s->cs_ar & SEG_AR_UNUSABLE) == 0U) && ((s->cs_ar & 0x90U) == 0x90U);
}

static bool tr_busy(const struct state *s)
{
	const uint32_t type = s->tr_ar & 0xFU;

	return ((s->tr_ar & SEG_AR_UNUSABLE) == 0U) && ((type == 11U) || (!s->ia32e && (type == 3U)));
}

static bool shadow_needs_if(const struct state *s)
{
	return ((s->interruptibility & BLOCK_BY_STI) == 0U) || ((s->rflags & RFLAGS_IF) != 0UL);
}

static bool one_shadow(const struct state *s)
{
	return (s->interruptibility & (BLOCK_BY_STI | BLOCK_BY_MOV_SS)) != (BLOCK_BY_STI | BLOCK_BY_MOV_SS);
}

static bool interrupt_needs_no_shadow(const struct state *s)
{
	return ((s->entry_info & (INTR_INFO_VALID | INTR_INFO_TYPE_MASK)) != (INTR_INFO_VALID | INTR_TYPE_EXT_INT)) ||
	       ((s->interruptibility & (BLOCK_BY_STI | BLOCK_BY_MOV_SS)) == 0U);
}

static bool activity_known(const struct state *s)
{
	return s->activity <= 3U;
}

static const struct {
	bool (*holds)(const struct state *s);
	const char *rule;
} rules[] = {
	{cr0_fixed, "CR0 has the bits that VMX fixes (27.3.1.1)"},
	{pg_needs_pe, "CR0.PG needs CR0.PE (27.3.1.1)"},
	{cr4_fixed, "CR4 has the bits that VMX fixes (27.3.1.1)"},
	{ia32e_needs_pae, "IA-32e mode needs CR0.PG and CR4.PAE (27.3.1.1)"},
	{pcide_needs_ia32e, "CR4.PCIDE needs IA-32e mode (27.3.1.1)"},
	{cr3_width, "CR3 within the physical width (27.3.1.1)"},
	{lma_is_entry_mode, "EFER.LMA is the entry control \"IA-32e mode guest\" (27.3.1.1)"},
	{lma_is_lme, "EFER.LMA is EFER.LME when paging is on (27.3.1.1)"},
	{cs_usable, "CS is a usable code segment (27.3.1.2)"},
	{cs_l_and_d, "CS.L and CS.D are not both set (27.3.1.2)"},
	{tr_busy, "TR is a busy TSS (27.3.1.2)"},
	{rip_width, "RIP has 32 bits outside 64-bit mode (27.3.1.4)"},
	{rflags_reserved, "RFLAGS reserved bits (27.3.1.4)"},
	{vm86_needs_no_ia32e, "RFLAGS.VM needs protected mode, not IA-32e (27.3.1.4)"},
	{interrupt_needs_if, "an injected interrupt needs RFLAGS.IF (27.3.1.4)"},
	{shadow_needs_if, "blocking by STI needs RFLAGS.IF (27.3.1.5)"},
	{one_shadow, "not both STI and MOV SS block (27.3.1.5)"},
	{interrupt_needs_no_shadow, "an injected interrupt needs no STI or MOV SS blocking (27.3.1.5)"},
	{activity_known, "activity state is 0..3 (27.3.1.5)"},
};

uint32_t vmcs_check(void)
{
	const struct state s = {
		.cr0 = exec_vmread(VMX_GUEST_CR0),
		.cr3 = exec_vmread(VMX_GUEST_CR3),
		.cr4 = exec_vmread(VMX_GUEST_CR4),
		.efer = exec_vmread(VMX_GUEST_EFER),
		.rip = exec_vmread(VMX_GUEST_RIP),
		.rsp = exec_vmread(VMX_GUEST_RSP),
		.rflags = exec_vmread(VMX_GUEST_RFLAGS),
		.entry = exec_vmread32(VMX_ENTRY_CTLS),
		.cs_ar = exec_vmread32(VMX_GUEST_CS_AR),
		.ss_ar = exec_vmread32(VMX_GUEST_SS_AR),
		.tr_ar = exec_vmread32(VMX_GUEST_TR_AR),
		.ldtr_ar = exec_vmread32(VMX_GUEST_LDTR_AR),
		.interruptibility = exec_vmread32(VMX_GUEST_INTERRUPTIBILITY),
		.activity = exec_vmread32(VMX_GUEST_ACTIVITY),
		.entry_info = exec_vmread32(VMX_ENTRY_INTR_INFO),
		.ia32e = (exec_vmread32(VMX_ENTRY_CTLS) & ENTRY_IA32E) != 0U,
	};
	uint32_t broken = 0U;

	for (uint32_t i = 0U; i < ARRAY_SIZE(rules); i++) {
		if (!rules[i].holds(&s)) {
			pr_err("VM entry check fails: %s", rules[i].rule);
			broken++;
		}
	}
	return broken;
}
