/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paging in all its modes: none, 32-bit, PAE, 4 and 5 levels; rights, accessed and dirty bits, large
 * pages, reserved bits, SMEP, SMAP, protection keys, PCID, PDPTE registers. SDM vol. 3 chapter 4.
 * Each access is made twice: to memory, and to a port's operand or a device, where a hypervisor walks.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/legacy.h>
#include <guests/lib/page.h>

const char subject_name[] = "paging";

#define COM1_SCR	0x3ff
#define VA		0x80000000U	/* what legacy page tables map for the tests; the rest is identity */

STUB(load_mem, "movl (%rax), %ecx");
STUB(store_mem, "movl %ecx, (%rax)");
STUB(jump, "jmp *%rax");
STUB(outs_mem, "outsb");
STUB(ins_mem, "insb");
STUB(wrpkru_insn, "wrpkru");
STUB(rdpkru_insn, "rdpkru");
STUB(invpcid_insn, "invpcid (%rax), %rcx");
STUB(stac_load, "stac\n\tmovl (%rax), %ecx\n\tclac");
STUB(stac_outs, "stac\n\toutsb\n\tclac");
STUB(stac_insn, "stac");

static struct trap t;
static uint64_t window, page;

/* --- 4 levels ----------------------------------------------------------------------------------- */

enum how { LOAD, STORE, OUTS, INS, HOWS };
static const char *const how_names[] = { "load", "store", "OUTSB", "INSB" };

/* One access at CPL 0: NO_TRAP or the vector with @t. */
static int touch(enum how how, uint64_t va)
{
	static const uint8_t *const stubs[] = { load_mem, store_mem, outs_mem, ins_mem };
	struct regs r;

	regs_fill(&r);
	r.rax = r.rsi = r.rdi = va;
	r.rdx = COM1_SCR;
	r.rcx = 0;
	return exec_catch(&r, stubs[how], &t);
}

/* The access faults with this error code and address, or doesn't with @err < 0. */
static bool gives(enum how how, uint64_t va, int err)
{
	int vec = touch(how, va);

	if (err < 0)
		return vec == NO_TRAP;
	return vec == VEC_PF && t.err == (uint64_t)err && t.cr2 == va;
}

static void check(enum how how, uint64_t va, int err, const char *what)
{
	report(gives(how, va, err), "%s: %s", how_names[how], what);
}

/* Bochs 3.0 lets CPL 0 read through a key that forbids it. */
static void check_key(enum how how, int err, const char *what)
{
	report_xfail(how < OUTS || !on_hypervisor(), "Bochs lets CPL 0 through", gives(how, window, err), "%s: %s",
		     how_names[how], what);
}

static void map(uint64_t flags)
{
	page_map(window, page, flags);
}

static void test_rights(void)
{
	uint64_t cr0 = read_cr0();

	for (enum how how = LOAD; how < HOWS; how++) {
		bool write = how == STORE || how == INS;
		int w = write ? 2 : 0;

		map(0);
		check(how, window + 8, w, "not present");
		map(PTE_P | PTE_A | PTE_D);
		check(how, window + 8, write ? 3 : -1, "read-only page");
		write_cr0(cr0 & ~CR0_WP);
		check(how, window + 8, -1, "read-only page without WP");
		write_cr0(cr0);
		map(PTE_P | PTE_W | BIT(51));
		if ((cpuid(0x80000008, 0).eax & 0xff) < 52)
			check(how, window + 8, w | 9, "reserved bit");
		map(PTE_P | PTE_W);
		check(how, window + 8, -1, "supervisor page");
		report((*page_entry(window) & (PTE_A | PTE_D)) == (write ? PTE_A | PTE_D : PTE_A),
		       "%s: accessed%s bit set", how_names[how], write ? " and dirty" : ", no dirty");
	}
}

/* The bits are set in all entries that were used, and only in them. */
static void test_accessed(void)
{
	uint64_t *pml4 = (uint64_t *)(read_cr3() & PTE_ADDR), *e4 = &pml4[window >> 39 & 511];
	uint64_t *e3 = &((uint64_t *)(*e4 & PTE_ADDR))[window >> 30 & 511];
	uint64_t *e2 = &((uint64_t *)(*e3 & PTE_ADDR))[window >> 21 & 511];
	uint64_t *e1 = page_entry(window);

	for (enum how how = LOAD; how < HOWS; how++) {
		*e1 = page | PTE_P | PTE_W;
		*e2 &= ~PTE_A;
		*e3 &= ~PTE_A;
		*e4 &= ~PTE_A;
		write_cr3(read_cr3());
		report(touch(how, window) == NO_TRAP && (*e4 & *e3 & *e2 & *e1 & PTE_A) != 0 &&
		       ((*e4 | *e3 | *e2) & PTE_D) == 0, "%s: accessed bits of all levels", how_names[how]);
		*e3 &= ~PTE_W;
		invlpg((void *)window);
		write_cr3(read_cr3());
		check(how, window, how == STORE || how == INS ? 3 : -1, "a table without W makes the page read-only");
		*e3 |= PTE_W;
		*e2 |= how % 2 == 0 ? BIT(62) : 0;	/* ignored, or protection key bits in a table: ignored too */
		write_cr3(read_cr3());
		check(how, window, -1, "bits 62:52 of a table entry are ignored");
		*e2 &= ~BIT(62);
		*e4 |= PTE_PS;
		write_cr3(read_cr3());
		check(how, window, how == STORE || how == INS ? 11 : 9, "PS in a PML4 entry is reserved");
		*e4 &= ~PTE_PS;
		write_cr3(read_cr3());
	}
}

static void test_large(void)
{
	uint64_t *pml4 = (uint64_t *)(read_cr3() & PTE_ADDR), *pdpt, *pd;
	uint64_t va = ALIAS_WINDOW + (8UL << 30);
	bool gigabyte = (cpuid(0x80000001, 0).edx & BIT(26)) != 0;
	uint64_t text = (uint64_t)load_mem;

	(void)page_entry(va);
	pdpt = (uint64_t *)(pml4[va >> 39 & 511] & PTE_ADDR);
	pd = (uint64_t *)(pdpt[va >> 30 & 511] & PTE_ADDR);
	for (enum how how = LOAD; how < HOWS; how++) {
		pd[1] = (page & ~0x1fffffUL) | PTE_P | PTE_W | PTE_PS;
		write_cr3(read_cr3());
		report(touch(how, va + 0x200000 + (page & 0x1fffff)) == NO_TRAP &&
		       (pd[1] & PTE_A) != 0 && ((pd[1] & PTE_D) != 0) == (how == STORE || how == INS),
		       "%s: 2 MiB page", how_names[how]);
		pd[1] = (page & ~0x1fffffUL) | PTE_P | PTE_W | PTE_PS | BIT(14);
		write_cr3(read_cr3());
		check(how, va + 0x200000 + (page & 0x1fffff), how == STORE || how == INS ? 11 : 9,
		      "2 MiB page, address bit 14 set: reserved");
	}
	pd[1] = (text & ~0x1fffffUL) | PTE_P | PTE_W | PTE_PS;
	pdpt[(va >> 30 & 511) + 1] = PTE_P | PTE_W | PTE_PS;
	write_cr3(read_cr3());
	if (!gigabyte) {
		check(LOAD, va + BIT(30) + page, 9, "PS in a PDPT entry without 1 GiB pages is reserved");
		return;
	}
	for (enum how how = LOAD; how < HOWS; how++)
		check(how, va + BIT(30) + page, -1, "1 GiB page");
	pdpt[(va >> 30 & 511) + 1] |= BIT(20);
	write_cr3(read_cr3());
	check(LOAD, va + BIT(30) + page, 9, "1 GiB page, address bit 20 set: reserved");
	check(OUTS, va + BIT(30) + page, 9, "1 GiB page, address bit 20 set: reserved");
}

/* A page of 4 KiB that crosses into one that faults: CR2 is the second page's first byte. */
static void test_crossing(void)
{
	uint64_t va = page_window(1);

	page_map(va, page, PTE_P | PTE_W);
	check(LOAD, va + PAGE_SIZE - 4, -1, "the last four bytes of a page");
	report(touch(LOAD, va + PAGE_SIZE - 2) == VEC_PF && t.cr2 == va + PAGE_SIZE && t.err == 0,
	       "load over the end of a page: CR2 is the next page");
	report(touch(STORE, va + PAGE_SIZE - 2) == VEC_PF && t.cr2 == va + PAGE_SIZE && t.err == 2,
	       "store over the end of a page: CR2 is the next page");
}

/* --- SMEP, SMAP, protection keys -------------------------------------------------------------------- */

static bool feature7(unsigned int ebx_bit)
{
	return (cpuid(7, 0).ebx & BIT(ebx_bit)) != 0;
}

static void test_smep(void)
{
	uint64_t cr4 = read_cr4();
	struct regs r;

	if (!feature7(7)) {
		report_skip("no SMEP");
		report(write_cr4_safe(cr4 | CR4_SMEP) == VEC_GP, "CR4.SMEP without SMEP: #GP");
		return;
	}
	*(uint8_t *)page = 0xc3;
	map(PTE_P | PTE_U);
	regs_fill(&r);
	r.rax = window;
	report(exec_catch(&r, jump, &t) == NO_TRAP, "without SMEP CPL 0 executes a user page");
	write_cr4(cr4 | CR4_SMEP);
	report(exec_catch(&r, jump, &t) == VEC_PF && t.err == 0x11 && t.cr2 == window,
	       "SMEP: CPL 0 executes a user page: #PF, I and P");
	map(PTE_P);
	report(exec_catch(&r, jump, &t) == NO_TRAP, "SMEP: a supervisor page");
	write_cr4(cr4);
}

static void test_smap(void)
{
	uint64_t cr4 = read_cr4();
	struct regs r;

	if (!feature7(20)) {
		report_skip("no SMAP");
		report(write_cr4_safe(cr4 | CR4_SMAP) == VEC_GP, "CR4.SMAP without SMAP: #GP");
		return;
	}
	regs_fill(&r);
	report(exec_catch(&r, stac_insn, &t) == NO_TRAP && (r.rflags & FLAG_AC) != 0, "STAC sets AC");
	map(PTE_P | PTE_W | PTE_U);
	write_cr4(cr4 | CR4_SMAP);
	for (enum how how = LOAD; how < HOWS; how++)
		check(how, window + 4, how == STORE || how == INS ? 3 : 1, "SMAP: user page at CPL 0");
	regs_fill(&r);
	r.rax = r.rsi = window;
	r.rdx = COM1_SCR;
	report(exec_catch(&r, stac_load, &t) == NO_TRAP && (r.rflags & FLAG_AC) == 0, "SMAP: load with AC set");
	report(exec_catch(&r, stac_outs, &t) == NO_TRAP, "SMAP: OUTSB with AC set");
	write_cr4(cr4);
}

static void test_keys(void)
{
	uint64_t cr4 = read_cr4();
	struct regs r;

	if ((cpuid(7, 0).ecx & BIT(3)) == 0) {
		report_skip("no protection keys");
		report(write_cr4_safe(cr4 | CR4_PKE) == VEC_GP, "CR4.PKE without protection keys: #GP");
		return;
	}
	regs_fill(&r);
	r.rcx = 0;
	report(exec_catch(&r, rdpkru_insn, &t) == VEC_UD && exec_catch(&r, wrpkru_insn, &t) == VEC_UD,
	       "RDPKRU and WRPKRU without CR4.PKE: #UD");
	write_cr4(cr4 | CR4_PKE);
	report((cpuid(7, 0).ecx & BIT(4)) != 0, "CPUID's OSPKE mirrors CR4.PKE");
	regs_fill(&r);
	r.rcx = 1;
	report(exec_catch(&r, rdpkru_insn, &t) == VEC_GP, "RDPKRU with ECX 1: #GP");
	r.rcx = 0;
	r.rdx = 1;
	report(exec_catch(&r, wrpkru_insn, &t) == VEC_GP, "WRPKRU with EDX 1: #GP");
	map(PTE_P | PTE_W | PTE_U | 5UL << 59);
	for (enum how how = LOAD; how < HOWS; how++) {
		bool write = how == STORE || how == INS;

		wrpkru(0);
		check(how, window, -1, "protection key 5, all allowed");
		wrpkru(1U << 10);
		check_key(how, write ? 0x23 : 0x21, "protection key 5, access disabled: PK and P");
		wrpkru(2U << 10);
		check(how, window, write ? 0x23 : -1, "protection key 5, write disabled");
		write_cr0(read_cr0() & ~CR0_WP);
		check(how, window, -1, "protection key 5, write disabled, without WP");
		write_cr0(read_cr0() | CR0_WP);
		wrpkru(3U << 8);
		check(how, window, -1, "another key's rights");
	}
	map(PTE_P | PTE_W | 5UL << 59);
	wrpkru(3U << 10);
	check(LOAD, window, -1, "a supervisor page has no key");
	wrpkru(0);
	write_cr4(cr4);
	map(PTE_P | PTE_W);
}

/* --- PCID ------------------------------------------------------------------------------------------ */

static uint8_t frames[2][PAGE_SIZE] __attribute__((aligned(4096)));

static uint32_t seen(void)
{
	return *(volatile uint32_t *)window;
}

static int invpcid(uint64_t type, uint64_t pcid, uint64_t va)
{
	uint64_t desc[2] = { pcid, va };
	struct regs r;

	regs_fill(&r);
	r.rax = (uint64_t)desc;
	r.rcx = type;
	return exec_catch(&r, invpcid_insn, &t);
}

static void test_pcid(void)
{
	uint64_t cr4 = read_cr4(), cr3 = read_cr3();
	uint64_t *pte = page_entry(window);

	if ((cpuid(1, 0).ecx & BIT(17)) == 0) {
		report_skip("no PCID");
		return;
	}
	*(uint32_t *)frames[0] = 1;
	*(uint32_t *)frames[1] = 2;
	write_cr4(cr4 | CR4_PCIDE);
	*pte = (uint64_t)frames[0] | PTE_P | PTE_W;
	write_cr3(cr3 | 1);
	report(seen() == 1, "PCID 1");
	*pte = (uint64_t)frames[1] | PTE_P | PTE_W;
	write_cr3(cr3 | 2);
	report(seen() == 2, "PCID 2 sees the new entry");
	write_cr3(cr3 | 1);
	report(seen() == 2, "MOV to CR3 without bit 63 drops the PCID's old translations");
	if (feature7(10)) {
		*pte = (uint64_t)frames[0] | PTE_P | PTE_W;
		report(invpcid(0, 1, window) == NO_TRAP && seen() == 1, "INVPCID 0: one address");
		*pte = (uint64_t)frames[1] | PTE_P | PTE_W;
		report(invpcid(1, 1, 0) == NO_TRAP && seen() == 2, "INVPCID 1: one PCID");
		*pte = (uint64_t)frames[0] | PTE_P | PTE_W | PTE_G;
		report(invpcid(2, 0, 0) == NO_TRAP && seen() == 1, "INVPCID 2: everything");
		*pte = (uint64_t)frames[1] | PTE_P | PTE_W;
		report(invpcid(2, 0, 0) == NO_TRAP && seen() == 2, "INVPCID 2: global ones too");
		*pte = (uint64_t)frames[0] | PTE_P | PTE_W;
		report(invpcid(3, 0, 0) == NO_TRAP && seen() == 1, "INVPCID 3: all but global");
		report(invpcid(4, 0, 0) == VEC_GP && t.err == 0, "INVPCID 4: #GP");
		report(invpcid(0, 0x1000, window) == VEC_GP, "INVPCID with a PCID above 4095: #GP");
		report(invpcid(0, 1, 0x800000000000UL) == VEC_GP, "INVPCID with a non-canonical address: #GP");
	} else {
		report(invpcid(0, 1, window) == VEC_UD, "no INVPCID: #UD");
	}
	write_cr3(cr3);
	write_cr4(cr4);
	if (feature7(10))
		report(invpcid(0, 1, window) == VEC_GP, "INVPCID 0 of a PCID without CR4.PCIDE: #GP");
	map(PTE_P | PTE_W);
}

/* --- outside of long mode --------------------------------------------------------------------------- */

/* 32-bit code: it does the access in EDI, ends by INT 0x30. EAX is 4-byte data, EDX a port. */
__asm__(".pushsection .text\n\t.code32\n"
	"leg_load: movl (%edi), %eax\n\tint $0x30\n"
	"leg_store: movl %eax, (%edi)\n\tint $0x30\n"
	"leg_outs: movl %edi, %esi\n\tcld\n\toutsb\n\tint $0x30\n"
	"leg_ins: cld\n\tinsb\n\tint $0x30\n"
	"leg_cr3: movl %eax, %cr3\n\tmovl (%edi), %eax\n\tint $0x30\n"
	"leg_cr4: movl %eax, %cr4\n\tint $0x30\n"
	"leg_cr0: movl %cr0, %eax\n\tandl $0x7fffffff, %eax\n\tmovl %eax, %cr0\n\tjmp 1f\n1:\n\t"
	"orl $0x80000000, %eax\n\tmovl %eax, %cr0\n\tjmp 1f\n1:\n\tmovl (%edi), %eax\n\tint $0x30\n"
	/* PDPTE 2 changes in memory; then MOV to CR0 changes CD, or MOV to CR4 changes PGE: what is read? */
	"leg_reload: movl (%edi), %ecx\n\tmovl %esi, (%ebx)\n\tmovl $0, 4(%ebx)\n\tinvlpg (%edi)\n\t"
	"movl (%edi), %edx\n\t"
	"testl $1, %eax\n\tjz 1f\n\tmovl %cr4, %esi\n\txorl $0x80, %esi\n\tmovl %esi, %cr4\n\tjmp 2f\n1:\n\t"
	"movl %cr0, %esi\n\txorl $0x40000000, %esi\n\tmovl %esi, %cr0\n2:\n\tmovl (%edi), %eax\n\tint $0x30\n\t"
	".code64\n\t.popsection\n");
void leg_load(void), leg_store(void), leg_outs(void), leg_ins(void), leg_cr3(void), leg_cr4(void), leg_cr0(void),
	leg_reload(void);

static struct legacy l;
static uint32_t pd32[1024] __attribute__((aligned(4096))), pt32[1024] __attribute__((aligned(4096)));
static uint64_t pdpt_pae[4] __attribute__((aligned(32))), pdpt_other[4] __attribute__((aligned(32)));
static uint64_t pd_pae[4][512] __attribute__((aligned(4096))), pt_pae[512] __attribute__((aligned(4096)));
static uint64_t pd_second[512] __attribute__((aligned(4096)));

static uint32_t at(const volatile void *p)
{
	return (uint32_t)(uintptr_t)p;
}

static int leg(void (*code)(void), uint32_t cr3, uint64_t cr4, uint64_t efer, uint32_t va)
{
	uint32_t cr0 = l.cr0 & CR0_WP;
	uint32_t ebx = l.ebx, esi = l.esi, eax = l.eax;

	l = legacy_protected((uint32_t)(uintptr_t)code);
	l.cr0 = (uint32_t)(CR0_PE | CR0_ET | CR0_NE | CR0_PG) | cr0;
	l.cr3 = cr3;
	l.cr4 = (uint32_t)cr4;
	l.efer = (uint32_t)efer;
	l.edi = va;
	l.edx = COM1_SCR;
	l.ebx = ebx;
	l.esi = esi;
	l.eax = eax;
	return legacy_run(&l);
}

static void (*const leg_codes[])(void) = { leg_load, leg_store, leg_outs, leg_ins };

static void leg_check(enum how how, uint32_t cr3, uint64_t cr4, uint64_t efer, uint32_t va, int err, const char *what)
{
	int vec = leg(leg_codes[how], cr3, cr4, efer, va);
	bool ok = err < 0 ? vec == NO_TRAP : vec == VEC_PF && l.err == (uint32_t)err && l.cr2 == va;

	if (!ok)
		report_info("vector %d, error %#x, CR2 %#x, EIP %#x", vec, l.err, l.cr2, l.eip);
	report(ok, "%s: %s", how_names[how], what);
}

static void test_32bit(void)
{
	static volatile uint32_t word[1024] __attribute__((aligned(4096)));

	report_prefix("32-bit");
	for (uint32_t i = 0; i < 1024; i++)
		pd32[i] = i << 22 | (uint32_t)(PTE_P | PTE_W | PTE_PS | PTE_U) | (i >= 1008 ? PTE_PCD : 0);
	pd32[VA >> 22] = at(pt32) | PTE_P | PTE_W | PTE_U;
	pd32[(VA >> 22) + 1] = (at(word) & 0xffc00000U) | PTE_P | PTE_W | PTE_PS;
	pt32[0] = at(word) | PTE_P | PTE_W;
	pt32[1] = at(word) | PTE_P | PTE_A | PTE_D;
	pt32[2] = 0;
	for (enum how how = LOAD; how < HOWS; how++) {
		bool write = how == STORE || how == INS;

		l.cr0 = CR0_WP;
		pt32[0] &= ~(uint32_t)(PTE_A | PTE_D);
		leg_check(how, at(pd32), CR4_PSE, 0, VA, -1, "4 KiB page");
		report((pt32[0] & (PTE_A | PTE_D)) == (write ? PTE_A | PTE_D : PTE_A),
		       "%s: accessed%s", how_names[how], write ? " and dirty" : ", not dirty");
		leg_check(how, at(pd32), CR4_PSE, 0, VA + 0x1010, write ? 3 : -1, "read-only page");
		l.cr0 = 0;
		leg_check(how, at(pd32), CR4_PSE, 0, VA + 0x1010, -1, "read-only page without WP");
		leg_check(how, at(pd32), CR4_PSE, 0, VA + 0x2010, write ? 2 : 0, "not present");
		pd32[(VA >> 22) + 1] &= ~(uint32_t)(PTE_A | PTE_D);
		leg_check(how, at(pd32), CR4_PSE, 0, VA + 0x400000 + (at(word) & 0x3fffff), -1, "4 MiB page");
		report((pd32[(VA >> 22) + 1] & (PTE_A | PTE_D)) == (write ? PTE_A | PTE_D : PTE_A),
		       "%s: 4 MiB page: accessed%s", how_names[how], write ? " and dirty" : ", not dirty");
	}
	word[1] = 0x1234abcd;
	report(leg(leg_load, at(pd32), CR4_PSE, 0, VA + 4) == NO_TRAP && l.eax == 0x1234abcd, "the right word is read");
	pd32[(VA >> 22) + 1] |= 1U << 21;
	leg_check(LOAD, at(pd32), CR4_PSE, 0, VA + 0x400000, 9, "4 MiB page, bit 21: reserved");
	leg_check(OUTS, at(pd32), CR4_PSE, 0, VA + 0x400000, 9, "4 MiB page, bit 21: reserved");
	pd32[(VA >> 22) + 1] = 0;
	if (lapic_present() && !lapic_in_x2apic()) {
		uint32_t version = lapic_read(APIC_VERSION);

		pt32[3] = (uint32_t)lapic_base() | PTE_P | PTE_W | PTE_PCD;
		report(leg(leg_load, at(pd32), CR4_PSE, 0, VA + 0x3000 + APIC_VERSION) == NO_TRAP && l.eax == version,
		       "a device's register");
		report((pt32[3] & PTE_A) != 0, "a device's page is accessed");
	}
	report_prefix(NULL);
}

static void make_pae(void)
{
	for (uint64_t g = 0; g < 4; g++) {
		pdpt_pae[g] = pdpt_other[g] = (uint64_t)pd_pae[g] | PTE_P;
		for (uint64_t i = 0; i < 512; i++)
			pd_pae[g][i] = (g << 30 | i << 21) | PTE_P | PTE_W | PTE_PS | (g == 3 &&
					i >= 480 ? PTE_PCD : 0);
	}
	pd_pae[2][0] = (uint64_t)pt_pae | PTE_P | PTE_W;
}

static void test_pae(void)
{
	static volatile uint32_t word[1024] __attribute__((aligned(4096)));
	static volatile uint32_t other;
	uint64_t nx = (cpuid(0x80000001, 0).edx & BIT(20)) != 0 ? EFER_NXE : 0;

	report_prefix("PAE");
	make_pae();
	for (enum how how = LOAD; how < HOWS; how++) {
		bool write = how == STORE || how == INS;

		l.cr0 = CR0_WP;
		pt_pae[0] = (uint64_t)word | PTE_P | PTE_W;
		pt_pae[1] = (uint64_t)word | PTE_P | PTE_A | PTE_D;
		pt_pae[2] = 0;
		leg_check(how, at(pdpt_pae), CR4_PAE, nx, VA, -1, "4 KiB page");
		report((pt_pae[0] & (PTE_A | PTE_D)) == (write ? PTE_A | PTE_D : PTE_A),
		       "%s: accessed%s", how_names[how], write ? " and dirty" : ", not dirty");
		leg_check(how, at(pdpt_pae), CR4_PAE, nx, VA + 0x1010, write ? 3 : -1, "read-only page");
		leg_check(how, at(pdpt_pae), CR4_PAE, nx, VA + 0x2010, write ? 2 : 0, "not present");
		pt_pae[2] = (uint64_t)word | PTE_P | PTE_W | BIT(52);
		leg_check(how, at(pdpt_pae), CR4_PAE, nx, VA + 0x2010, write ? 11 : 9, "bit 52: reserved");
		pt_pae[2] = (uint64_t)word | PTE_P | PTE_W | PTE_NX;
		leg_check(how, at(pdpt_pae), CR4_PAE, nx, VA + 0x2010, nx != 0 ? -1 : write ? 11 : 9, "NX page");
		leg_check(how, at(pdpt_pae), CR4_PAE, 0, VA + 0x2010, write ? 11 : 9, "NX without EFER.NXE: reserved");
	}
	word[1] = 0x4321;
	report(leg(leg_load, at(pdpt_pae), CR4_PAE, nx, VA + 4) == NO_TRAP && l.eax == 0x4321,
	       "the right word is read");
	l.eax = at(pdpt_pae);
	report(leg(leg_cr3, at(pdpt_pae), CR4_PAE, nx, VA + 4) == NO_TRAP && l.eax == 0x4321, "MOV to CR3");
	/* Another table with a reserved bit: #GP, and the old one stays. */
	pdpt_other[1] |= 2;
	l.eax = at(pdpt_other);
	report(leg(leg_cr3, at(pdpt_pae), CR4_PAE, nx, VA + 4) == VEC_GP && l.err == 0 && l.out_cr3 == at(pdpt_pae),
	       "MOV to CR3, a PDPTE with bit 1 set: #GP(0), CR3 as before");
	pdpt_other[1] &= ~2UL;
	pdpt_other[2] = 0;
	l.eax = at(pdpt_other);
	report(leg(leg_cr3, at(pdpt_pae), CR4_PAE, nx, VA + 4) == VEC_PF && l.err == 0,
	       "a PDPTE that is not present: #PF");
	report(leg(leg_cr0, at(pdpt_pae), CR4_PAE, nx, VA + 4) == NO_TRAP && l.eax == 0x4321, "paging off and on");
	/* The PDPTEs are registers: a change in memory is seen after MOV to CR0 or CR4 only. */
	for (uint32_t i = 0; i < 512; i++)
		pd_second[i] = pd_pae[2][i];
	pd_second[0] = ((uint64_t)&other & ~0x1fffffUL) | PTE_P | PTE_W | PTE_PS;
	for (uint32_t by_cr4 = 0; by_cr4 < 2; by_cr4++) {
		make_pae();
		l.eax = by_cr4;
		l.ebx = at(&pdpt_pae[2]);
		l.esi = at(pd_second) | PTE_P;
		pt_pae[0] = (uint64_t)word | PTE_P | PTE_W;
		word[0] = 0x1111;
		leg(leg_reload, at(pdpt_pae), CR4_PAE, nx, VA);
		report(l.vec == VEC_USER_EXIT && l.ecx == 0x1111 && l.edx == 0x1111,
		       "a PDPTE changed in memory has no effect after INVLPG");
		report_xfail(!on_hypervisor() && by_cr4 == 0, "Bochs does not take them then",
		       l.vec == VEC_USER_EXIT && l.eax == *(volatile uint32_t *)((uint64_t)&other & ~0x1fffffUL),
		       "... but after MOV to %s", by_cr4 != 0 ? "CR4 that changes PGE" : "CR0 that changes CD");
	}
	make_pae();
	report_prefix(NULL);
}

static void test_none(void)
{
	static volatile uint32_t word = 0x77665544;

	l = legacy_protected((uint32_t)(uintptr_t)leg_load);
	l.edi = at(&word);
	report(legacy_run(&l) == NO_TRAP && l.eax == 0x77665544, "no paging: linear is physical");
	l = legacy_protected((uint32_t)(uintptr_t)leg_ins);
	l.edi = at(&word);
	l.edx = COM1_SCR;
	outb(COM1_SCR, 0x3a);
	report(legacy_run(&l) == NO_TRAP && word == 0x7766553a, "no paging: INSB");
	if (lapic_present() && !lapic_in_x2apic()) {
		uint32_t version = lapic_read(APIC_VERSION);

		l = legacy_protected((uint32_t)(uintptr_t)leg_load);
		l.edi = (uint32_t)lapic_base() + APIC_VERSION;
		report(legacy_run(&l) == NO_TRAP && l.eax == version, "no paging: a device's register");
	}
}

static void test_5level(void)
{
	uint64_t cr3 = read_cr3(), cr4 = read_cr4();
	uint64_t *pml5 = page_alloc();
	uint64_t high = 0x0012345600000000UL;	/* canonical with 57 bits only */

	if ((cpuid(7, 0).ecx & BIT(16)) == 0) {
		report_skip("no 5-level paging");
		report(write_cr4_safe(cr4 | CR4_LA57) == VEC_GP, "CR4.LA57 without 5-level paging: #GP");
		return;
	}
	if (on_hypervisor() && !boot_flag("la57")) {
		report_skip("5 levels: Bochs 3.0 panics at a VM exit that changes CR4.LA57");
		return;
	}
	report_prefix("5 levels");
	pml5[0] = cr3 | PTE_P | PTE_W | PTE_U;
	pml5[high >> 48 & 511] = cr3 | PTE_P | PTE_W;
	legacy_reload((uint64_t)pml5, cr4 | CR4_LA57);
	report((read_cr4() & CR4_LA57) != 0 && read_cr3() == (uint64_t)pml5, "CR4.LA57 is set on the way to long mode");
	report(write_cr4_safe(cr4) == VEC_GP, "LA57 can't change in long mode: #GP");
	high = (high & ~0xffffffffffffUL) | window;
	page_map(window, page, PTE_P | PTE_W);
	for (enum how how = LOAD; how < HOWS; how++) {
		check(how, high, -1, "an address of 57 bits");
		check(how, 0x00ff000000000000UL, how == STORE || how == INS ? 2 : 0, "no PML5 entry");
		report(touch(how, 0x0100000000000000UL) == VEC_GP, "%s: bit 57 is not the copy of bit 56: #GP",
		       how_names[how]);
	}
	legacy_reload(cr3, cr4);
	report_prefix(NULL);
	report((read_cr4() & CR4_LA57) == 0, "back to 4 levels");
}

void test_main(void)
{
	uint64_t cr3;

	page = (uint64_t)page_alloc();
	window = page_window(1);
	if (lapic_present())
		lapic_enable();
	test_rights();
	test_accessed();
	test_large();
	test_crossing();
	cr3 = read_cr3();
	write_cr3((uint64_t)page_supervisor_map());
	test_smep();
	test_smap();
	test_keys();
	write_cr3(cr3);
	test_pcid();
	test_none();
	test_32bit();
	test_pae();
	test_5level();
}
