/* SPDX-License-Identifier: BSD-3-Clause */
/* arch/x86/guest/regs_check.c: each rule broken by itself. */
#include <unit.h>

#include <string.h>

#include <asm/cpu.h>
#include <asm/msr.h>
#include <asm/regs_check.h>
#include <asm/vmx.h>

#define CR4_HERE (CR4_PAE | CR4_PCIDE | CR4_PGE | CR4_LA57)

/* As after RESET. */
static struct acrn_regs real_mode(void)
{
	return (struct acrn_regs){.cr0 = CR0_CD | CR0_NW | CR0_ET, .rip = 0xFFF0UL, .cs_sel = 0xF000U,
		.cs_base = 0xFFFF0000UL, .cs_limit = 0xFFFFU, .cs_ar = 0x9BU, .rflags = 2UL};
}

/* As a 32-bit ELF guest or a Linux kernel begins. */
static struct acrn_regs flat_32(void)
{
	return (struct acrn_regs){.cr0 = CR0_PE | CR0_ET, .rip = 0x100000UL, .cs_sel = 8U, .cs_limit = 0xFFFFFFFFU,
		.cs_ar = 0xC09BU, .gdt.base = 0x1000UL, .gdt.limit = 31U, .rflags = 2UL};
}

static struct acrn_regs long_mode(void)
{
	return (struct acrn_regs){.cr0 = CR0_PE | CR0_ET | CR0_PG, .cr3 = 0x5000UL, .cr4 = CR4_PAE,
		.ia32_efer = EFER_LME | EFER_LMA, .rip = 0xFFFFFFFF80000000UL, .cs_sel = 8U, .cs_limit = 0xFFFFFFFFU,
		.cs_ar = 0xA09BU, .gdt.base = 0xFFFFFFFF80001000UL, .gdt.limit = 31U, .rflags = 2UL};
}

static bool good(const struct acrn_regs *regs)
{
	return regs_check(regs, 40U, CR4_HERE) == NULL;
}

/* `regs` with a change is refused, with a word of the reason. */
#define REFUSED(from, change, word)                                                                \
	do {                                                                                       \
		struct acrn_regs r = from();                                                       \
		const char *why;                                                                   \
		r.change;                                                                          \
		why = regs_check(&r, 40U, CR4_HERE);                                               \
		EXPECT(why != NULL && strstr(why, word) != NULL);                                  \
	} while (0)

#define TAKEN(from, change)                                                                        \
	do {                                                                                       \
		struct acrn_regs r = from();                                                       \
		r.change;                                                                          \
		EXPECT(good(&r));                                                                  \
	} while (0)

TEST(regs_check_takes_what_guests_begin_with)
{
	const struct acrn_regs real = real_mode(), flat = flat_32(), wide = long_mode();

	EXPECT(good(&real));
	EXPECT(good(&flat));
	EXPECT(good(&wide));
	TAKEN(real_mode, cs_ar = 0x93U); /* as after a SIPI on some CPUs: data, type 3 */
	TAKEN(flat_32, cs_limit = 0xFFFFFU; r.cs_ar = 0x409BU);
	TAKEN(long_mode, cs_ar = 0xA09FU); /* conforming */
	TAKEN(long_mode, cs_ar = 0xC09BU; r.rip = 0x1000UL); /* compatibility mode */
	TAKEN(long_mode, cr4 |= CR4_PCIDE);
	TAKEN(long_mode, cr4 |= CR4_LA57; r.rip = 0x00FF000000000000UL);
	TAKEN(flat_32, ia32_efer = EFER_LME | EFER_NXE | EFER_SCE);
}

TEST(regs_check_drops_the_limit_bits_of_a_descriptor)
{
	EXPECT_EQ(regs_cs_ar(0xCF9BU), 0xC09BU);
	EXPECT_EQ(regs_cs_ar(0xC09BU), 0xC09BU);
	EXPECT_EQ(regs_cs_ar(0x1AF9BU), 0x1A09BU); /* nothing else */
}

TEST(regs_check_control_registers)
{
	REFUSED(flat_32, cr0 |= 1UL << 6U, "CR0 has reserved");
	REFUSED(flat_32, cr0 |= 1UL << 32U, "CR0 has reserved");
	REFUSED(flat_32, cr0 = CR0_PG | CR0_ET, "needs CR0.PE");
	REFUSED(flat_32, cr0 |= CR0_NW, "NW");
	REFUSED(flat_32, cr4 = CR4_VMXE, "CR4");
	REFUSED(flat_32, cr4 = 1UL << 63U, "CR4");
	REFUSED(flat_32, cr3 = 1UL << 40U, "CR3");
	REFUSED(long_mode, cr3 |= 1UL << 63U, "CR3");
	REFUSED(flat_32, ia32_efer = 1UL << 1U, "EFER has reserved");
	REFUSED(flat_32, ia32_efer = EFER_LMA | EFER_LME, "LMA");
	REFUSED(long_mode, ia32_efer = EFER_LME, "LMA");
	REFUSED(long_mode, ia32_efer = EFER_LMA, "LMA");
	REFUSED(long_mode, cr4 = 0UL, "PAE");
	REFUSED(flat_32, cr4 = CR4_PCIDE, "PCIDE");
	REFUSED(flat_32, cr0 |= CR0_PG; r.cr4 = CR4_PAE, "PAE paging");
}

TEST(regs_check_segments)
{
	REFUSED(flat_32, tr_sel = 0x1CU, "TR's");
	REFUSED(flat_32, ldt_sel = 0x1CU, "LDTR's");
	REFUSED(real_mode, cs_base = 1UL << 32U, "base");
	REFUSED(flat_32, cs_ar |= SEG_AR_UNUSABLE, "unusable");
	for (uint32_t bit = 17U; bit < 32U; bit++) {
		REFUSED(flat_32, cs_ar |= 1U << bit, "reserved");
	}
	for (uint32_t type = 0U; type < 16U; type++) {
		struct acrn_regs r = flat_32();

		r.cs_ar = (r.cs_ar & ~0xFU) | type;
		EXPECT_EQ(good(&r), (type == 3U) || (type == 9U) || (type == 11U) || (type == 13U) || (type == 15U));
	}
	REFUSED(flat_32, cs_ar &= ~0x10U, "S and P");
	REFUSED(flat_32, cs_ar &= ~0x80U, "S and P");
	REFUSED(flat_32, cs_ar |= 0x20U, "DPL");
	REFUSED(flat_32, cs_ar |= 0x60U, "DPL");
	REFUSED(long_mode, cs_ar |= 0x4000U, "not L and D");
}

TEST(regs_check_limits_and_addresses)
{
	REFUSED(flat_32, cs_limit = 0xFFFFFFFEU, "granularity");
	REFUSED(flat_32, cs_limit = 0U, "granularity");
	REFUSED(real_mode, cs_limit = 0x100000U, "granularity");
	REFUSED(flat_32, rip = 1UL << 32U, "RIP");
	REFUSED(long_mode, rip = 1UL << 47U, "RIP");
	REFUSED(long_mode, rip = 0xFFFF7FFFFFFFFFFFUL, "RIP");
	REFUSED(long_mode, cs_ar = 0xC09BU, "RIP"); /* compatibility mode, high address */
	REFUSED(long_mode, cr4 |= CR4_LA57; r.rip = 1UL << 56U, "RIP");
	REFUSED(long_mode, gdt.base = 1UL << 47U, "GDT");
	REFUSED(flat_32, idt.base = 1UL << 63U, "IDT");
}
