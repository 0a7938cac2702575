/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers that the Service VM gives to a vCPU: what VM entry would refuse is refused here (asm/regs_check.h). */
#include <asm/regs_check.h>

#include <asm/cpu.h>
#include <asm/msr.h>
#include <asm/vmx.h>
#include <lib/bits.h>
#include <lib/util.h>

#define CR0_ALLOWED  (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define EFER_ALLOWED (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

#define AR_TYPE(ar) ((ar)&0xFU)
#define AR_S        0x10U
#define AR_DPL      0x60U
#define AR_P        0x80U
#define AR_L        0x2000U
#define AR_D        0x4000U
#define AR_G        0x8000U
#define SEL_TI      0x4U

/** One rule. */
struct rule {
	bool (*holds)(const struct acrn_regs *r);
	const char *text;
};

static bool is_long_mode(const struct acrn_regs *r)
{
	return (r->ia32_efer & EFER_LMA) != 0UL;
}

static bool is_paged(const struct acrn_regs *r)
{
	return (r->cr0 & CR0_PG) != 0UL;
}

static bool is_code64(const struct acrn_regs *r)
{
	return is_long_mode(r) && ((r->cs_ar & AR_L) != 0U);
}

/* Bits of a linear address above its width are copies of the highest one (SDM vol 1, 3.3.7.1). */
static bool is_canonical(const struct acrn_regs *r, uint64_t addr)
{
	return is_sign_extended(addr, ((r->cr4 & CR4_LA57) != 0UL) ? 57U : 48U);
}

/* ---- Control registers, 27.3.1.1 ---- */

static bool cr0_defined(const struct acrn_regs *r)
{
	return (r->cr0 & ~CR0_ALLOWED) == 0UL;
}

static bool pg_needs_pe(const struct acrn_regs *r)
{
	return !is_paged(r) || ((r->cr0 & CR0_PE) != 0UL);
}

static bool nw_needs_cd(const struct acrn_regs *r)
{
	return ((r->cr0 & CR0_NW) == 0UL) || ((r->cr0 & CR0_CD) != 0UL);
}

static bool efer_defined(const struct acrn_regs *r)
{
	return (r->ia32_efer & ~EFER_ALLOWED) == 0UL;
}

static bool lma_is_lme_and_pg(const struct acrn_regs *r)
{
	return is_long_mode(r) == (is_paged(r) && ((r->ia32_efer & EFER_LME) != 0UL));
}

static bool long_mode_needs_pae(const struct acrn_regs *r)
{
	return !is_long_mode(r) || ((r->cr4 & CR4_PAE) != 0UL);
}

static bool pcide_needs_long_mode(const struct acrn_regs *r)
{
	return is_long_mode(r) || ((r->cr4 & CR4_PCIDE) == 0UL);
}

/* PDPTEs are loaded by MOV to CR3, which has not happened: not a state to begin with. */
static bool no_pae_paging(const struct acrn_regs *r)
{
	return !is_paged(r) || is_long_mode(r) || ((r->cr4 & CR4_PAE) == 0UL);
}

/* ---- Segments, 27.3.1.2 ---- */

static bool tr_in_gdt(const struct acrn_regs *r)
{
	return (r->tr_sel & SEL_TI) == 0U;
}

static bool ldtr_in_gdt(const struct acrn_regs *r)
{
	return (r->ldt_sel & SEL_TI) == 0U;
}

static bool cs_base_32_bits(const struct acrn_regs *r)
{
	return (r->cs_base >> 32U) == 0UL;
}

static bool cs_ar_defined(const struct acrn_regs *r)
{
	return (r->cs_ar & (CS_AR_RESERVED | SEG_AR_UNUSABLE)) == 0U;
}

/* Accessed code, or (unrestricted guest) a data segment that can be read and written, as real mode has it. */
static bool cs_type(const struct acrn_regs *r)
{
	const uint32_t type = AR_TYPE(r->cs_ar);

	return (type == 3U) || ((type & 9U) == 9U);
}

static bool cs_present(const struct acrn_regs *r)
{
	return (r->cs_ar & (AR_S | AR_P)) == (AR_S | AR_P);
}

/* That of SS, which is 0; so must it be for type 3. */
static bool cs_dpl_0(const struct acrn_regs *r)
{
	return (r->cs_ar & AR_DPL) == 0U;
}

static bool cs_not_l_and_d(const struct acrn_regs *r)
{
	return !is_code64(r) || ((r->cs_ar & AR_D) == 0U);
}

static bool cs_limit_fits_g(const struct acrn_regs *r)
{
	const bool in_pages = (r->cs_ar & AR_G) != 0U;

	return in_pages ? ((r->cs_limit & 0xFFFU) == 0xFFFU) : ((r->cs_limit >> 20U) == 0U);
}

/* ---- The rest, 27.3.1.3 and 27.3.1.4 ---- */

static bool tables_canonical(const struct acrn_regs *r)
{
	return is_canonical(r, r->gdt.base) && is_canonical(r, r->idt.base);
}

static bool rip_fits_mode(const struct acrn_regs *r)
{
	return is_code64(r) ? is_canonical(r, r->rip) : ((r->rip >> 32U) == 0UL);
}

static const struct rule rules[] = {
	{cr0_defined, "CR0 has reserved bits"},
	{pg_needs_pe, "CR0.PG needs CR0.PE"},
	{nw_needs_cd, "CR0.NW needs CR0.CD"},
	{efer_defined, "EFER has reserved bits"},
	{lma_is_lme_and_pg, "EFER.LMA is EFER.LME and CR0.PG"},
	{long_mode_needs_pae, "long mode needs CR4.PAE"},
	{pcide_needs_long_mode, "CR4.PCIDE needs long mode"},
	{no_pae_paging, "PAE paging without long mode cannot be begun with"},
	{tr_in_gdt, "TR's selector is in the GDT"},
	{ldtr_in_gdt, "LDTR's selector is in the GDT"},
	{cs_base_32_bits, "CS's base has 32 bits"},
	{cs_ar_defined, "CS's access rights: reserved bits, or unusable"},
	{cs_type, "CS's access rights: type 3, 9, 11, 13 or 15"},
	{cs_present, "CS's access rights: S and P"},
	{cs_dpl_0, "CS's access rights: DPL is 0"},
	{cs_not_l_and_d, "CS's access rights: not L and D"},
	{cs_limit_fits_g, "CS's limit does not go with its granularity"},
	{tables_canonical, "the bases of GDT and IDT are canonical"},
	{rip_fits_mode, "RIP is canonical, of 32 bits outside 64-bit mode"},
};

const char *regs_check(const struct acrn_regs *regs, uint32_t phys_bits, uint64_t cr4_allowed)
{
	if ((regs->cr4 & ~cr4_allowed) != 0UL) {
		return "CR4 has bits that this CPU or VMs lack";
	}
	if ((regs->cr3 >> phys_bits) != 0UL) {
		return "CR3 within the physical width";
	}
	for (uint32_t i = 0U; i < ARRAY_SIZE(rules); i++) {
		if (!rules[i].holds(regs)) {
			return rules[i].text;
		}
	}
	return NULL;
}
