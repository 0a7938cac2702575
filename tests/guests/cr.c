/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control registers: reserved bits, forbidden combinations, and what the bits do.
 * SDM vol. 3 section 2.5, vol. 2 MOV CR, LMSW, SMSW, CLTS.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/page.h>

const char subject_name[] = "cr";

STUB(mov_cr1, ".byte 0x0f, 0x20, 0xc8");
STUB(mov_cr5, ".byte 0x0f, 0x20, 0xe8");
STUB(mov_to_cr7, ".byte 0x0f, 0x22, 0xf8");
STUB(mov_cr15, ".byte 0x44, 0x0f, 0x20, 0xf8");
STUB(fninit_insn, "fninit");
STUB(fwait_insn, "fwait");

static void test_cr0(void)
{
	uint64_t cr0 = read_cr0();
	bool ok = true;

	report((cr0 & (CR0_PE | CR0_PG | CR0_NE | CR0_WP)) == (CR0_PE | CR0_PG | CR0_NE | CR0_WP),
	       "CR0: the bits that were set are there");
	report((cr0 & CR0_ET) != 0, "CR0.ET is one");
	for (unsigned int bit = 32; bit < 64; bit++)
		ok = ok && write_cr0_safe(cr0 | BIT(bit)) == VEC_GP && try_error() == 0;
	report(ok, "CR0: bits 63:32 give #GP(0)");
	for (unsigned int bit = 6; bit < 29; bit++) {
		if (bit == 16 || bit == 18)
			continue;
		ok = ok && write_cr0_safe(cr0 | BIT(bit)) == NO_TRAP && read_cr0() == cr0;
	}
	report(ok, "CR0: reserved bits below 32 are ignored");
	report(write_cr0_safe(cr0 & ~CR0_PE) == VEC_GP, "CR0: PG without PE gives #GP");
	report(write_cr0_safe(cr0 & ~CR0_PG) == VEC_GP, "CR0: paging can't go in 64-bit mode");
	report(write_cr0_safe((cr0 & ~CR0_CD) | CR0_NW) == VEC_GP, "CR0: NW without CD gives #GP");
	report(read_cr0() == cr0, "CR0: refused writes change nothing");
	write_cr0(cr0 & ~CR0_ET);
	report(read_cr0() == cr0, "CR0.ET can't be cleared");
	write_cr0(cr0 & ~CR0_NE);
	report((read_cr0() & CR0_NE) == 0, "CR0.NE can be cleared");
	write_cr0(cr0 | CR0_CD);
	report((read_cr0() & CR0_CD) != 0, "CR0.CD can be set");
	write_cr0(cr0 | CR0_AM | CR0_MP);
	report((read_cr0() & (CR0_AM | CR0_MP)) == (CR0_AM | CR0_MP), "CR0.AM and MP can be set");
	write_cr0(cr0);
	report(read_cr0() == cr0, "CR0 is back");
}

static uint64_t window;
static volatile uint8_t *page;

static void do_write(void *arg)
{
	*(volatile uint8_t *)arg = 1;
}

static void test_wp(void)
{
	uint64_t cr0 = read_cr0();
	struct trap t;

	/* Dirty beforehand: Bochs panics where it has to set D in an entry without W, on models with CET. */
	page_map(window, (uint64_t)page, PTE_P | PTE_A | PTE_D);
	report(catch_exception(do_write, (void *)window, &t) == VEC_PF && t.err == 3 &&
	       t.cr2 == window, "CR0.WP=1: a write to a read-only page gives #PF");
	write_cr0(cr0 & ~CR0_WP);
	*page = 0;
	report(catch_exception(do_write, (void *)window, &t) == NO_TRAP && *page == 1,
	       "CR0.WP=0: the supervisor may write to it");
	write_cr0(cr0);
	report(catch_exception(do_write, (void *)window, &t) == VEC_PF, "CR0.WP=1 again: #PF again");
}

static void test_ts(void)
{
	uint64_t cr0 = read_cr0(), msw;
	struct regs r;
	struct trap t;

	regs_fill(&r);
	write_cr0((cr0 & ~CR0_EM) | CR0_TS | CR0_MP);
	report(exec_catch(&r, fninit_insn, &t) == VEC_NM && t.rip == (uint64_t)fninit_insn,
	       "CR0.TS: x87 gives #NM");
	report(exec_catch(&r, fwait_insn, &t) == VEC_NM, "CR0.TS and MP: WAIT gives #NM");
	write_cr0(read_cr0() & ~CR0_MP);
	report(exec_catch(&r, fwait_insn, &t) == NO_TRAP, "CR0.TS without MP: WAIT runs");
	__asm__ volatile("clts" : : : "memory");
	report((read_cr0() & CR0_TS) == 0 && exec_catch(&r, fninit_insn, &t) == NO_TRAP,
	       "CLTS clears TS and x87 runs");
	write_cr0(read_cr0() | CR0_EM);
	report(exec_catch(&r, fninit_insn, &t) == VEC_NM, "CR0.EM: x87 gives #NM");
	write_cr0(cr0);

	msw = cr0 & 0xe;
	__asm__ volatile("lmsw %w0" : : "r"(msw | CR0_TS | CR0_PE) : "memory");
	report(read_cr0() == (cr0 | CR0_TS), "LMSW sets TS");
	__asm__ volatile("lmsw %w0" : : "r"((msw & ~CR0_TS) | CR0_PE) : "memory");
	report(read_cr0() == (cr0 & ~CR0_TS), "LMSW clears TS");
	__asm__ volatile("lmsw %w0" : : "r"(msw) : "memory");
	report((read_cr0() & CR0_PE) != 0, "LMSW can't clear PE");
	__asm__ volatile("lmsw %w0" : : "r"(0xfff1 | msw) : "memory");
	report(read_cr0() == cr0, "LMSW takes four bits only");
	page[0] = (uint8_t)(msw | CR0_TS | CR0_PE);
	page[1] = 0;
	__asm__ volatile("lmsw %0" : : "m"(*(volatile uint16_t *)page) : "memory");
	report((read_cr0() & CR0_TS) != 0, "LMSW from memory");
	__asm__ volatile("smsw %0" : "=r"(msw));
	report(msw == read_cr0(), "SMSW reads all of CR0 into a 64-bit register");
	write_cr0(cr0);
}

static uint64_t user_mov_cr(uint64_t unused)
{
	(void)unused;
	return read_cr0();
}

static uint64_t user_clts(uint64_t unused)
{
	(void)unused;
	__asm__ volatile("clts");
	return 0;
}

static uint64_t user_smsw(uint64_t unused)
{
	uint64_t v;

	(void)unused;
	__asm__ volatile("smsw %0" : "=r"(v));
	return v;
}

static uint64_t user_rdtsc(uint64_t unused)
{
	(void)unused;
	return rdtsc();
}

static void test_privilege(void)
{
	uint64_t cr4 = read_cr4(), ret = 0;
	struct trap t;
	struct regs r;

	report(user_call(user_mov_cr, 0, 0, &ret, &t) == VEC_GP && t.err == 0, "MOV CR at CPL 3: #GP(0)");
	report(user_call(user_clts, 0, 0, &ret, &t) == VEC_GP && t.err == 0, "CLTS at CPL 3: #GP(0)");
	report(user_call(user_smsw, 0, 0, &ret, &t) == NO_TRAP && ret == read_cr0(), "SMSW at CPL 3");
	write_cr4(cr4 | CR4_TSD);
	report(user_call(user_rdtsc, 0, 0, &ret, &t) == VEC_GP && t.err == 0,
	       "CR4.TSD: RDTSC at CPL 3 gives #GP(0)");
	report(rdtsc() != 0, "CR4.TSD: RDTSC at CPL 0 runs");
	write_cr4(cr4);
	report(user_call(user_rdtsc, 0, 0, &ret, &t) == NO_TRAP, "RDTSC at CPL 3 without TSD");
	regs_fill(&r);
	report(exec_catch(&r, mov_cr1, &t) == VEC_UD && exec_catch(&r, mov_cr5, &t) == VEC_UD &&
	       exec_catch(&r, mov_to_cr7, &t) == VEC_UD && exec_catch(&r, mov_cr15, &t) == VEC_UD,
	       "CR1, CR5, CR7, CR15: #UD");
}

static void test_cr4(void)
{
	uint64_t cr4 = read_cr4();
	bool ok = true;

	for (unsigned int bit = 26; bit < 64; bit++) {
		if (bit == 27 || bit == 28 || bit == 32)	/* LASS, LAM_SUP, FRED: by CPUID */
			continue;
		if (write_cr4_safe(cr4 | BIT(bit)) != VEC_GP || try_error() != 0) {
			report_info("CR4 bit %u: no #GP", bit);
			ok = false;
		}
	}
	report(ok, "CR4: reserved bits give #GP(0)");
	report(write_cr4_safe(cr4 | BIT(15)) == VEC_GP, "CR4: bit 15 gives #GP");
	report(write_cr4_safe(cr4 & ~CR4_PAE) == VEC_GP, "CR4.PAE can't go in long mode");
	report(write_cr4_safe(cr4 ^ CR4_LA57) == VEC_GP, "CR4.LA57 can't change in long mode");
	report(read_cr4() == cr4, "CR4: refused writes change nothing");
	write_cr4(cr4 | CR4_DE | CR4_PGE | CR4_MCE | CR4_OSFXSR | CR4_PCE);
	report(read_cr4() == (cr4 | CR4_DE | CR4_PGE | CR4_MCE | CR4_OSFXSR | CR4_PCE),
	       "CR4: DE, PGE, MCE, OSFXSR, PCE can be set");
	write_cr4(cr4);
	report(read_cr4() == cr4, "CR4 is back");
	if ((cpuid(1, 0).ecx & BIT(5)) == 0)
		report(write_cr4_safe(cr4 | CR4_VMXE) == VEC_GP, "CR4.VMXE without VMX gives #GP");
	else
		report_skip("VMX is there: CR4.VMXE");
}

static void test_cr3(void)
{
	uint64_t cr3 = read_cr3();
	unsigned int width = cpuid(0x80000008, 0).eax & 0xff;
	volatile uint64_t *va = (volatile uint64_t *)window;
	static uint64_t words[1024] __attribute__((aligned(4096)));

	write_cr3(cr3 | PTE_PWT | PTE_PCD);
	report(read_cr3() == (cr3 | PTE_PWT | PTE_PCD), "CR3: PWT and PCD are kept");
	write_cr3(cr3);
	/* Bit 63 is legal with PCIDE only; bits above the width never are. */
	report(width >= 52 || write_cr3_safe(cr3 | BIT(width)) == VEC_GP,
	       "CR3: a bit above the physical width gives #GP");
	report(write_cr3_safe(cr3 | BIT(62)) == VEC_GP, "CR3: bit 62 gives #GP");
	report(read_cr3() == cr3, "CR3: refused writes change nothing");

	words[0] = 0x1111;
	words[512] = 0x2222;
	page_map(window, (uint64_t)&words[0], PTE_P | PTE_W);
	report(*va == 0x1111, "a mapping is seen");
	*page_entry(window) = (uint64_t)&words[512] | PTE_P | PTE_W;
	write_cr3(cr3);
	report(*va == 0x2222, "writing CR3 drops the old translation");
	*page_entry(window) = (uint64_t)&words[0] | PTE_P | PTE_W;
	invlpg(va);
	report(*va == 0x1111, "INVLPG drops the old translation");
	write_cr4(read_cr4() | CR4_PGE);
	page_map(window, (uint64_t)&words[0], PTE_P | PTE_W | PTE_G);
	report(*va == 0x1111, "a global mapping is seen");
	*page_entry(window) = (uint64_t)&words[512] | PTE_P | PTE_W | PTE_G;
	write_cr4(read_cr4() & ~CR4_PGE);
	report(*va == 0x2222, "clearing CR4.PGE drops global translations");
	page_map(window, (uint64_t)page, PTE_P | PTE_W);
}

static void test_pcid(void)
{
	uint64_t cr3 = read_cr3(), cr4 = read_cr4();

	if ((cpuid(1, 0).ecx & BIT(17)) == 0) {
		report_skip("no PCID");
		return;
	}
	write_cr3(cr3 | PTE_PWT);
	write_cr3_safe(cr3 | 1);
	report(write_cr4_safe(cr4 | CR4_PCIDE) == VEC_GP, "CR4.PCIDE with CR3[11:0] not 0 gives #GP");
	write_cr3(cr3);
	report(write_cr4_safe(cr4 | CR4_PCIDE) == NO_TRAP, "CR4.PCIDE can be set");
	write_cr3(cr3 | 5);
	report(read_cr3() == (cr3 | 5), "CR3 holds the PCID");
	report(write_cr3_safe(cr3 | 6 | BIT(63)) == NO_TRAP && read_cr3() == (cr3 | 6),
	       "CR3 bit 63 is taken with PCIDE and not kept");
	report(write_cr0_safe(read_cr0() & ~CR0_PG) == VEC_GP, "paging can't go with PCIDE");
	write_cr3(cr3);
	write_cr4(cr4);
	report(read_cr4() == cr4, "CR4.PCIDE can be cleared");
}

static void test_cr8(void)
{
	bool ok = true;

	if (!lapic_present()) {
		report_skip("no local APIC: CR8");
		return;
	}
	lapic_enable();
	for (uint64_t v = 0; v < 16; v++) {
		write_cr8(v);
		ok = ok && read_cr8() == v && lapic_read(APIC_TPR) == v << 4;
	}
	report(ok, "CR8 is TPR[7:4]");
	lapic_write(APIC_TPR, 0x5a);
	report(read_cr8() == 5, "TPR shows in CR8");
	write_cr8(5);
	report(lapic_read(APIC_TPR) == 0x50, "writing CR8 clears TPR[3:0]");
	report(write_cr8_safe(16) == VEC_GP && write_cr8_safe(BIT(63)) == VEC_GP && read_cr8() == 5,
	       "CR8: reserved bits give #GP");
	write_cr8(0);
	trap_set_handler(0x61, trap_handler_eoi);
	trap_count_reset(0x61);
	write_cr8(6);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | 0x61, 0);
	irq_window();
	report(trap_count(0x61) == 0 && lapic_vector_bit(APIC_IRR, 0x61), "CR8=6 holds back vector 0x61");
	write_cr8(5);
	irq_window();
	report(trap_count(0x61) == 1, "CR8=5 lets it through");
	write_cr8(0);
	trap_set_handler(0x61, NULL);
}

void test_main(void)
{
	page = page_alloc();
	window = page_window(1);
	test_cr0();
	test_wp();
	test_ts();
	test_privilege();
	test_cr4();
	test_cr3();
	test_pcid();
	test_cr8();
}
