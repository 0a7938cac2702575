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

/* VMCS order. */
enum { ES, CS, SS, DS, FS, GS, LDTR, TR, SEGMENTS };

struct segment {
	uint32_t sel, limit, ar;
	uint64_t base;
};

struct state {
	struct segment seg[SEGMENTS];
	uint64_t gdtr_base, idtr_base, gdtr_limit, idtr_limit, sysenter_esp, sysenter_eip, pat, dr7, link,
		pending_debug;
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

static bool is_usable(const struct segment *seg)
{
	return (seg->ar & SEG_AR_UNUSABLE) == 0U;
}

static bool is_vm86(const struct state *s)
{
	return (s->rflags & RFLAGS_VM) != 0UL;
}

static bool is_canonical(uint64_t addr)
{
	return is_sign_extended(addr, cpu_caps.virt_bits);
}

static bool cs_type_and_dpl(const struct state *s)
{
	const uint32_t type = s->seg[CS].ar & 0xFU;
	const uint32_t dpl = (s->seg[CS].ar >> 5U) & 3U;
	const uint32_t ss_dpl = (s->seg[SS].ar >> 5U) & 3U;

	if (is_vm86(s)) {
		return true;
	}
	switch (type) {
	case 3U:
		return dpl == 0U;
	case 9U:
	case 11U:
		return dpl == ss_dpl;
	case 13U:
	case 15U:
		return dpl <= ss_dpl;
	default:
		return false;
	}
}

static bool ss_type_and_dpl(const struct state *s)
{
	const struct segment *ss = &s->seg[SS];
	const uint32_t type = ss->ar & 0xFU;
	const bool must_be_0 = ((s->cr0 & CR0_PE) == 0UL) || ((s->seg[CS].ar & 0xFU) == 3U);

	return is_vm86(s) ||
		((!is_usable(ss) || (type == 3U) || (type == 7U)) && (!must_be_0 || ((ss->ar & 0x60U) == 0U)));
}

static bool data_types(const struct state *s)
{
	for (uint32_t i = ES; i <= GS; i++) {
		const uint32_t ar = s->seg[i].ar;

		if (!is_vm86(s) && (i != CS) && (i != SS) && is_usable(&s->seg[i]) &&
			(((ar & 0x91U) != 0x91U) || ((ar & 0xAU) == 8U))) {
			return false;
		}
	}
	return true;
}

static bool ar_reserved(const struct state *s)
{
	for (uint32_t i = 0U; i < SEGMENTS; i++) {
		if ((is_usable(&s->seg[i]) || (i == CS)) && ((s->seg[i].ar & 0xFFFE0F00U) != 0U)) {
			return false;
		}
	}
	return true;
}

static bool limits_fit_g(const struct state *s)
{
	for (uint32_t i = 0U; i < SEGMENTS; i++) {
		const struct segment *seg = &s->seg[i];
		const bool g = (seg->ar & BIT(15)) != 0U;

		if ((is_usable(seg) || (i == CS)) &&
			((g && ((seg->limit & 0xFFFU) != 0xFFFU)) || (!g && ((seg->limit >> 20U) != 0U)))) {
			return false;
		}
	}
	return true;
}

static bool vm86_segments(const struct state *s)
{
	for (uint32_t i = ES; i <= GS; i++) {
		const struct segment *seg = &s->seg[i];

		if (is_vm86(s) &&
			((seg->base != (uint64_t)seg->sel << 4U) || (seg->limit != 0xFFFFU) || (seg->ar != 0xF3U))) {
			return false;
		}
	}
	return true;
}

static bool bases_32_bits(const struct state *s)
{
	return ((s->seg[CS].base >> 32U) == 0UL) && (!is_usable(&s->seg[SS]) || ((s->seg[SS].base >> 32U) == 0UL)) &&
		(!is_usable(&s->seg[DS]) || ((s->seg[DS].base >> 32U) == 0UL)) &&
		(!is_usable(&s->seg[ES]) || ((s->seg[ES].base >> 32U) == 0UL));
}

static bool bases_canonical(const struct state *s)
{
	return is_canonical(s->seg[FS].base) && is_canonical(s->seg[GS].base) && is_canonical(s->seg[TR].base) &&
		(!is_usable(&s->seg[LDTR]) || is_canonical(s->seg[LDTR].base));
}

static bool ldtr_is_ldt(const struct state *s)
{
	const struct segment *ldtr = &s->seg[LDTR];

	return !is_usable(ldtr) || (((ldtr->sel & 4U) == 0U) && ((ldtr->ar & 0x9FU) == 0x82U));
}

static bool tr_in_gdt(const struct state *s)
{
	return ((s->seg[TR].sel & 4U) == 0U) && ((s->seg[TR].ar & 0x90U) == 0x80U);
}

static bool tables_canonical(const struct state *s)
{
	return is_canonical(s->gdtr_base) && is_canonical(s->idtr_base) && (s->gdtr_limit <= 0xFFFFUL) &&
		(s->idtr_limit <= 0xFFFFUL);
}

static bool sysenter_canonical(const struct state *s)
{
	return is_canonical(s->sysenter_esp) && is_canonical(s->sysenter_eip);
}

static bool pat_types(const struct state *s)
{
	for (uint32_t i = 0U; i < 8U; i++) {
		const uint64_t type = (s->pat >> (8U * i)) & 0xFFUL;

		if ((type > 7UL) || (type == 2UL) || (type == 3UL)) {
			return false;
		}
	}
	return true;
}

static bool dr7_32_bits(const struct state *s)
{
	return (s->dr7 >> 32U) == 0UL;
}

static bool rip_linear(const struct state *s)
{
	return !s->ia32e || ((s->cs_ar & BIT(13)) == 0U) || is_canonical(s->rip);
}

static bool no_link(const struct state *s)
{
	return s->link == ~0UL;
}

/* BS must say what the next instruction's trap flag does when STI, MOV SS or HLT delay it. */
static bool pending_bs(const struct state *s)
{
	const bool delayed = ((s->interruptibility & (BLOCK_BY_STI | BLOCK_BY_MOV_SS)) != 0U) || (s->activity == 1U);
	const bool single_step = ((s->rflags & RFLAGS_TF) != 0UL) && ((exec_vmread(VMX_GUEST_DEBUGCTL) & 2UL) == 0UL);

	return !delayed || (((s->pending_debug & BIT(14)) != 0UL) == single_step);
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
	{cs_type_and_dpl, "CS's type, and its DPL against that of SS (27.3.1.2)"},
	{ss_type_and_dpl, "SS is writable data, its DPL 0 in real mode (27.3.1.2)"},
	{data_types, "ES, DS, FS, GS are accessed and readable (27.3.1.2)"},
	{ar_reserved, "reserved bits of access rights (27.3.1.2)"},
	{limits_fit_g, "segment limits and their granularity (27.3.1.2)"},
	{vm86_segments, "virtual-8086 segments (27.3.1.2)"},
	{bases_32_bits, "bases of CS, SS, DS, ES have 32 bits (27.3.1.2)"},
	{bases_canonical, "bases of FS, GS, TR, LDTR are canonical (27.3.1.2)"},
	{ldtr_is_ldt, "LDTR is an LDT (27.3.1.2)"},
	{tr_in_gdt, "TR's selector and access rights (27.3.1.2)"},
	{tables_canonical, "GDTR and IDTR (27.3.1.3)"},
	{sysenter_canonical, "SYSENTER addresses are canonical (27.3.1.1)"},
	{pat_types, "PAT's memory types (27.3.1.1)"},
	{dr7_32_bits, "DR7 has 32 bits (27.3.1.1)"},
	{no_link, "the VMCS link pointer is not used (27.3.1.5)"},
	{rip_linear, "RIP is canonical (27.3.1.4)"},
	{pending_bs, "pending debug exceptions: BS (27.3.1.5)"},
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

static struct segment read_segment(uint32_t i)
{
	return (struct segment){
		.sel = exec_vmread32((enum vmcs_field)(VMX_GUEST_ES_SEL + 2U * i)),
		.limit = exec_vmread32((enum vmcs_field)(VMX_GUEST_ES_LIMIT + 2U * i)),
		.ar = exec_vmread32((enum vmcs_field)(VMX_GUEST_ES_AR + 2U * i)),
		.base = exec_vmread((enum vmcs_field)(VMX_GUEST_ES_BASE + 2U * i)),
	};
}

uint32_t vmcs_check(void)
{
	struct state s = {
		.gdtr_base = exec_vmread(VMX_GUEST_GDTR_BASE),
		.idtr_base = exec_vmread(VMX_GUEST_IDTR_BASE),
		.gdtr_limit = exec_vmread(VMX_GUEST_GDTR_LIMIT),
		.idtr_limit = exec_vmread(VMX_GUEST_IDTR_LIMIT),
		.sysenter_esp = exec_vmread(VMX_GUEST_SYSENTER_ESP),
		.sysenter_eip = exec_vmread(VMX_GUEST_SYSENTER_EIP),
		.pat = exec_vmread(VMX_GUEST_PAT),
		.dr7 = exec_vmread(VMX_GUEST_DR7),
		.link = exec_vmread(VMX_VMCS_LINK),
		.pending_debug = exec_vmread(VMX_GUEST_PENDING_DEBUG),
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

	for (uint32_t i = 0U; i < SEGMENTS; i++) {
		s.seg[i] = read_segment(i);
	}
	for (uint32_t i = 0U; i < ARRAY_SIZE(rules); i++) {
		if (!rules[i].holds(&s)) {
			pr_err("VM entry check fails: %s", rules[i].rule);
			broken++;
		}
	}
	return broken;
}
