/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instructions on a device's registers: each form is executed on a word of memory and on a register that behaves
 * like it (the local APIC timer's initial count, masked), and must leave the same registers, flags and value. Then
 * faults and single step. SDM vol. 2; vol. 3 chapter 11 for 32-bit accesses.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/legacy.h>
#include <guests/lib/page.h>

const char subject_name[] = "mmio";

STUB(form_0, "movl %eax, (%rsi)");
STUB(form_1, "movl (%rsi), %eax");
STUB(form_2, "movl $0x01020304, (%rsi)");
STUB(form_3, "movl (%rsi,%rbp,4), %r8d");
STUB(form_4, "leaq -0x40(%rsi), %rdx\n\tmovl %r15d, 0x40(%rdx,%rbp,4)\n\txorl %edx, %edx");
STUB(form_5, "movslq (%rsi), %rax");
STUB(form_6, "movnti %eax, (%rsi)");
STUB(form_7, "cmovzl (%rsi), %eax");
STUB(form_8, "cmovnzl (%rsi), %eax");
STUB(form_9, "addl %eax, (%rsi)");
STUB(form_10, "addl (%rsi), %eax");
STUB(form_11, "addl $-5, (%rsi)");
STUB(form_12, "addl $0x12345678, (%rsi)");
STUB(form_13, "lock addl %eax, (%rsi)");
STUB(form_14, "orl %eax, (%rsi)");
STUB(form_15, "orl (%rsi), %eax");
STUB(form_16, "orl $-5, (%rsi)");
STUB(form_17, "orl $0x12345678, (%rsi)");
STUB(form_18, "lock orl %eax, (%rsi)");
STUB(form_19, "adcl %eax, (%rsi)");
STUB(form_20, "adcl (%rsi), %eax");
STUB(form_21, "adcl $-5, (%rsi)");
STUB(form_22, "adcl $0x12345678, (%rsi)");
STUB(form_23, "lock adcl %eax, (%rsi)");
STUB(form_24, "sbbl %eax, (%rsi)");
STUB(form_25, "sbbl (%rsi), %eax");
STUB(form_26, "sbbl $-5, (%rsi)");
STUB(form_27, "sbbl $0x12345678, (%rsi)");
STUB(form_28, "lock sbbl %eax, (%rsi)");
STUB(form_29, "andl %eax, (%rsi)");
STUB(form_30, "andl (%rsi), %eax");
STUB(form_31, "andl $-5, (%rsi)");
STUB(form_32, "andl $0x12345678, (%rsi)");
STUB(form_33, "lock andl %eax, (%rsi)");
STUB(form_34, "subl %eax, (%rsi)");
STUB(form_35, "subl (%rsi), %eax");
STUB(form_36, "subl $-5, (%rsi)");
STUB(form_37, "subl $0x12345678, (%rsi)");
STUB(form_38, "lock subl %eax, (%rsi)");
STUB(form_39, "xorl %eax, (%rsi)");
STUB(form_40, "xorl (%rsi), %eax");
STUB(form_41, "xorl $-5, (%rsi)");
STUB(form_42, "xorl $0x12345678, (%rsi)");
STUB(form_43, "lock xorl %eax, (%rsi)");
STUB(form_44, "cmpl %eax, (%rsi)");
STUB(form_45, "cmpl (%rsi), %eax");
STUB(form_46, "cmpl $-5, (%rsi)");
STUB(form_47, "cmpl $0x12345678, (%rsi)");
STUB(form_48, "testl %eax, (%rsi)");
STUB(form_49, "testl $0x80000001, (%rsi)");
STUB(form_50, "incl (%rsi)");
STUB(form_51, "decl (%rsi)");
STUB(form_52, "notl (%rsi)");
STUB(form_53, "negl (%rsi)");
STUB(form_54, "lock incl (%rsi)");
STUB(form_55, "xchgl %eax, (%rsi)");
STUB(form_56, "xaddl %eax, (%rsi)");
STUB(form_57, "lock xaddl %ecx, (%rsi)");
STUB(form_58, "cmpxchgl %ecx, (%rsi)");
STUB(form_59, "movl (%rsi), %eax\n\tlock cmpxchgl %ecx, (%rsi)");
STUB(form_60, "btl $5, (%rsi)");
STUB(form_61, "btsl $7, (%rsi)");
STUB(form_62, "btrl $4, (%rsi)");
STUB(form_63, "lock btcl $31, (%rsi)");
STUB(form_64, "btl %edi, (%rsi)");
STUB(form_65, "btsl %edi, (%rsi)");
STUB(form_66, "lodsl");
STUB(form_67, "movq %rsi, %rdi\n\tstosl");
STUB(form_68, "movq %rsi, %rdi\n\tscasl");
STUB(form_69, "movq %rsi, %rdi\n\tmovl $1, %ecx\n\trep stosl");
STUB(form_70, "movq %rsi, %rdi\n\txorl %ecx, %ecx\n\trep stosl");
STUB(form_71, "movq %r14, %rdi\n\tmovsl");
STUB(form_72, "movq %rsi, %rdi\n\tmovq %r14, %rsi\n\tmovsl");
STUB(form_73, "movq %r14, %rdi\n\tcmpsl");
STUB(form_74, "movq %r14, %rdi\n\tmovl $1, %ecx\n\trepe cmpsl");
STUB(form_75, "std\n\tlodsl\n\tcld");
STUB(form_76, "pushq %rax\n\tmovl (%rsi), %eax\n\tpopq %rcx");
STUB(form_77, "movd (%rsi), %xmm3\n\tmovd %xmm3, %eax");
STUB(form_78, "movd %eax, %xmm5\n\tmovd %xmm5, (%rsi)");
STUB(form_79, "movss (%rsi), %xmm1\n\tmovd %xmm1, %edx");
STUB(form_80, ".byte 0x40\n\tmovl (%rsi), %eax");
STUB(form_81, "addr32 movl (%esi), %eax");
STUB(form_82, ".byte 0x2e, 0x3e\n\tmovl (%rsi), %eax");

static const struct {
	const uint8_t *stub;
	const char *name;
} forms[] = {
	{ form_0, "MOV m, r" },
	{ form_1, "MOV r, m" },
	{ form_2, "MOV m, imm" },
	{ form_3, "MOV r8d, m with index" },
	{ form_4, "MOV m, r15d with displacement" },
	{ form_5, "MOVSXD" },
	{ form_6, "MOVNTI" },
	{ form_7, "CMOVZ" },
	{ form_8, "CMOVNZ" },
	{ form_9, "ADD m, r" },
	{ form_10, "ADD r, m" },
	{ form_11, "ADD m, imm8" },
	{ form_12, "ADD m, imm32" },
	{ form_13, "LOCK ADD" },
	{ form_14, "OR m, r" },
	{ form_15, "OR r, m" },
	{ form_16, "OR m, imm8" },
	{ form_17, "OR m, imm32" },
	{ form_18, "LOCK OR" },
	{ form_19, "ADC m, r" },
	{ form_20, "ADC r, m" },
	{ form_21, "ADC m, imm8" },
	{ form_22, "ADC m, imm32" },
	{ form_23, "LOCK ADC" },
	{ form_24, "SBB m, r" },
	{ form_25, "SBB r, m" },
	{ form_26, "SBB m, imm8" },
	{ form_27, "SBB m, imm32" },
	{ form_28, "LOCK SBB" },
	{ form_29, "AND m, r" },
	{ form_30, "AND r, m" },
	{ form_31, "AND m, imm8" },
	{ form_32, "AND m, imm32" },
	{ form_33, "LOCK AND" },
	{ form_34, "SUB m, r" },
	{ form_35, "SUB r, m" },
	{ form_36, "SUB m, imm8" },
	{ form_37, "SUB m, imm32" },
	{ form_38, "LOCK SUB" },
	{ form_39, "XOR m, r" },
	{ form_40, "XOR r, m" },
	{ form_41, "XOR m, imm8" },
	{ form_42, "XOR m, imm32" },
	{ form_43, "LOCK XOR" },
	{ form_44, "CMP m, r" },
	{ form_45, "CMP r, m" },
	{ form_46, "CMP m, imm8" },
	{ form_47, "CMP m, imm32" },
	{ form_48, "TEST m, r" },
	{ form_49, "TEST m, imm" },
	{ form_50, "INC" },
	{ form_51, "DEC" },
	{ form_52, "NOT" },
	{ form_53, "NEG" },
	{ form_54, "LOCK INC" },
	{ form_55, "XCHG" },
	{ form_56, "XADD" },
	{ form_57, "LOCK XADD" },
	{ form_58, "CMPXCHG, unequal" },
	{ form_59, "CMPXCHG, equal" },
	{ form_60, "BT imm" },
	{ form_61, "BTS imm" },
	{ form_62, "BTR imm" },
	{ form_63, "BTC imm" },
	{ form_64, "BT r" },
	{ form_65, "BTS r" },
	{ form_66, "LODSD" },
	{ form_67, "STOSD" },
	{ form_68, "SCASD" },
	{ form_69, "REP STOSD of one" },
	{ form_70, "REP STOSD of none" },
	{ form_71, "MOVSD from it" },
	{ form_72, "MOVSD to it" },
	{ form_73, "CMPSD" },
	{ form_74, "REPE CMPSD" },
	{ form_75, "LODSD down" },
	{ form_76, "PUSH and POP around it" },
	{ form_77, "MOVD xmm, m" },
	{ form_78, "MOVD m, xmm" },
	{ form_79, "MOVSS" },
	{ form_80, "a REX prefix that does nothing" },
	{ form_81, "a 32-bit address" },
	{ form_82, "segment overrides that do nothing" },
};

/* Values that make carries, zeroes, signs and overflows. */
static const struct {
	uint32_t word, eax;
	uint64_t flags;
} cases[] = {
	{ 0x00000000, 0x00000000, 0 }, { 0xffffffff, 0x00000001, FLAG_CF }, { 0x7fffffff, 0x80000000, FLAG_ZF },
	{ 0x80000000, 0x80000000, FLAG_CF | FLAG_OF }, { 0x12345678, 0x9abcdef0, FLAG_ARITH },
};

static uint64_t device;
static uint32_t memory[4] __attribute__((aligned(16)));
static uint32_t other[4] __attribute__((aligned(16)));

/* Run @stub on the word at @at; RSI and RDI are made relative to it. */
static void run(const uint8_t *stub, uint64_t at, unsigned int i, struct regs *r)
{
	regs_fill(r);
	*(volatile uint32_t *)at = cases[i].word;
	other[1] = cases[i].eax;
	r->rax = 0x1122334400000000UL | cases[i].eax;
	r->rcx = 0x5566778811223344UL;
	r->rsi = at;
	r->rdi = 9;
	r->rbp = 0;
	r->r14 = (uint64_t)&other[1];
	r->r15 = 0xffffffff00005678UL;
	r->rflags = 2 | cases[i].flags;
	exec_regs(r, stub);
	if (r->rsi - at + 4 <= 8)
		r->rsi -= at;
	if (r->rdi - at + 4 <= 8)
		r->rdi -= at;
}

static void test_forms(void)
{
	for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
		bool ok = true;

		for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
			struct regs mem, dev;
			uint32_t mem_other, mem_word;

			run(forms[f].stub, (uint64_t)&memory[1], i, &mem);
			mem_word = memory[1];
			mem_other = other[1];
			run(forms[f].stub, device, i, &dev);
			if (!regs_equal(&mem, &dev, FLAG_ARITH) || mmio_read32(device) != mem_word ||
			    other[1] != mem_other) {
				report_info("%s, case %u: value %#x, should be %#x; RAX %#lx, %#lx; flags %#lx, %#lx",
					    forms[f].name, i, mmio_read32(device), mem_word, dev.rax, mem.rax,
					    dev.rflags,
					    mem.rflags);
				ok = false;
			}
		}
		report(ok, "%s", forms[f].name);
	}
}

/* --- faults ---------------------------------------------------------------------------------------- */

STUB(store, "movl %eax, (%rsi)");
STUB(load, "movl (%rsi), %eax");
STUB(rmw, "lock addl %eax, (%rsi)");
STUB(movs_out, "movsl");

static struct trap t;

static int at(const uint8_t *stub, uint64_t va)
{
	struct regs r;

	regs_fill(&r);
	r.rax = 1;
	r.rsi = va;
	r.rdi = va;
	return exec_catch(&r, stub, &t);
}

static uint64_t user_load(uint64_t va)
{
	return *(volatile uint32_t *)va;
}

static void test_faults(void)
{
	uint64_t va = page_window(1), reg = va + (device & 0xfff), ret = 0;
	uint64_t page = device & PTE_ADDR;

	mmio_write32(device, 0x1000);
	page_map(va, page, PTE_P | PTE_PCD | PTE_PWT);
	report(at(load, reg) == NO_TRAP, "a read-only mapping: load");
	report(at(store, reg) == VEC_PF && t.err == 3 && t.cr2 == reg && t.rip == (uint64_t)store,
	       "a read-only mapping: store gives #PF");
	report(at(rmw, reg) == VEC_PF && t.err == 3, "a read-only mapping: read-modify-write gives #PF with W");
	report(mmio_read32(device) == 0x1000, "... and does nothing");
	page_map(va, page, PTE_P | PTE_W | PTE_PCD | PTE_PWT);
	report(user_call(user_load, reg, 0, &ret, &t) == VEC_PF && t.err == 5, "a supervisor mapping at CPL 3: #PF");
	page_map(va, page, PTE_P | PTE_W | PTE_U | PTE_PCD | PTE_PWT);
	report(user_call(user_load, reg, 0, &ret, &t) == NO_TRAP && ret == 0x1000, "a user mapping at CPL 3");
	report((*page_entry(va) & (PTE_A | PTE_D)) == PTE_A, "a load sets the accessed bit only");
	report(at(store, reg) == NO_TRAP && (*page_entry(va) & (PTE_A | PTE_D)) == (PTE_A | PTE_D) &&
	       mmio_read32(device) == 1, "a store sets the dirty bit");
	/* MOVS whose other operand faults: nothing has happened to the device. */
	{
		struct regs r;
		uint64_t hole = page_window(0);

		mmio_write32(device, 0x2000);
		regs_fill(&r);
		r.rsi = hole;
		r.rdi = device;
		report(exec_catch(&r, movs_out, &t) == VEC_PF && t.cr2 == hole && t.err == 0 &&
		       mmio_read32(device) == 0x2000, "MOVSD to it from a hole: #PF, no write");
		r.rsi = device;
		r.rdi = hole;
		report(exec_catch(&r, movs_out, &t) == VEC_PF && t.cr2 == hole && t.err == 2,
		       "MOVSD from it to a hole: #PF");
		report(t.rsi == device && t.rdi == hole, "... with RSI and RDI as before");
		r.rdi = 0x8000000000000000UL;
		report(exec_catch(&r, movs_out, &t) == VEC_GP && t.err == 0 && t.rsi == device,
		       "MOVSD from it to an address that is not canonical: #GP(0)");
	}
}

/* --- other modes ----------------------------------------------------------------------------------- */

/* 32-bit code of a 64-bit system: plain, read-modify-write, and with the index that 64-bit code has, too. */
__asm__(".pushsection .text\n\t.code32\n"
	"compat_code:\n\tmovl %eax, (%edi)\n\taddl $0x11, (%edi)\n\tmovl (%edi), %ecx\n\t"
	"movl $0x22, -0x400(%edi,%edx,4)\n\tmovl (%esi,%edx), %ebx\n\tlret\n\t.code64\n\t.popsection\n");
void compat_code(void);

static void test_compat(void)
{
	struct legacy l = {
		.eax = 0x12340000, .edx = 0x100, .edi = (uint32_t)device, .esi = (uint32_t)device - 0x100,
	};

	legacy_compat(compat_code, &l);
	report(l.ecx == 0x12340011 && l.ebx == 0x22 && mmio_read32(device) == 0x22, "compatibility mode");
}

/* --- single step -------------------------------------------------------------------------------------- */

STUB(rep_lods, "rep lodsl");
STUB(step_add, "addl %eax, (%rsi)");
static unsigned int steps;
static uint64_t last_rip, last_rcx;

static void on_step(struct trap *frame)
{
	steps++;
	if (steps > 1) {
		last_rip = frame->rip;
		last_rcx = frame->rcx;
	}
	write_dr6(0xffff0ff0UL);
	if (frame->rip == (uint64_t)step_add_after || frame->rip == (uint64_t)rep_lods_after || steps > 20)
		frame->rflags &= ~FLAG_TF;
}

static void test_step(void)
{
	struct regs r;

	trap_set_handler(VEC_DB, on_step);
	regs_fill(&r);
	r.rsi = device;
	r.rax = 1;
	r.rflags |= FLAG_TF;
	steps = 0;
	exec_regs(&r, step_add);
	/* CALL, ADD. */
	report(steps == 2 && last_rip == (uint64_t)step_add_after, "single step over ADD m, r");
	regs_fill(&r);
	r.rsi = device;
	r.rcx = 3;
	r.rflags |= FLAG_TF | FLAG_DF;
	steps = 0;
	/* Downwards: the registers below the initial count (the error LVT and others) can be read. */
	exec_regs(&r, rep_lods);
	report(steps == 4 && last_rip == (uint64_t)rep_lods_after && r.rcx == 0 && last_rcx == 0,
	       "single step over REP LODSD: at each element");
	trap_set_handler(VEC_DB, NULL);
}

void test_main(void)
{
	if (!lapic_present() || lapic_in_x2apic()) {
		report_skip("no local APIC in memory");
		return;
	}
	write_cr4(read_cr4() | CR4_OSFXSR);
	lapic_enable();
	lapic_write(APIC_LVT_TIMER, LVT_MASKED | 0x50);
	device = lapic_base() + APIC_TMICT;
	mmio_write32(device, 0x12345678);
	if (mmio_read32(device) != 0x12345678) {
		report(false, "the initial count keeps what is written");
		return;
	}
	test_forms();
	test_faults();
	test_compat();
	test_step();
	mmio_write32(device, 0);
}
