/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments in protected mode: limits, types, null and absent ones, for memory and for the operands of INS
 * and OUTS, which a hypervisor checks itself; LAR, LSL, VERR, VERW, ARPL; gates, privilege levels, the LDT.
 * SDM vol. 3 chapters 3 and 5. Then what is left of it in 64-bit mode.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/legacy.h>
#include <guests/lib/page.h>

const char subject_name[] = "segmentation";

#define COM1_SCR	0x3ff
#define SEL_A		LEG_FREE		/* what a test is about */
#define SEL_B		(LEG_FREE + 8)
#define SEL_C		(LEG_FREE + 16)
#define SEL_LDT		(LEG_FREE + 24)
#define SEL_HIGH	(LEG_GDT_ENTRIES * 8)

#define ACC_P		0x80U
#define ACC_DPL3	0x60U
#define ACC_S		0x10U
#define ACC_DATA	(ACC_P | ACC_S | 1)
#define ACC_W		2U
#define ACC_DOWN	4U
#define ACC_CODE	(ACC_P | ACC_S | 9)
#define ACC_R		2U
#define ACC_CONFORMING	4U
#define FL_BIG		4U
#define FL_PAGES	8U

/* 32-bit code that ends by INT VEC_USER_EXIT. */
#define LEG(name, insn)								\
	__asm__(".pushsection .text\n\t.code32\n"				\
		#name ":\n\t" insn "\n\tint $0x30\n\t.code64\n\t.popsection\n");	\
	void name(void)

LEG(nothing, "nop");
LEG(load_gs, "movw %ax, %gs\n\tmovl %gs:(%ebx), %eax");
LEG(store_gs, "movw %ax, %gs\n\tmovl %edx, %gs:(%ebx)");
LEG(only_gs, "movw %ax, %gs\n\tmovw %gs, %cx");
LEG(load_ss, "movw %ax, %ss\n\tnop\n\tpushl %ebx");
LEG(outs_gs, "movw %ax, %gs\n\tcld\n\tmovl %ebx, %esi\n\t.byte 0x65\n\toutsb");
LEG(outsl_gs, "movw %ax, %gs\n\tcld\n\tmovl %ebx, %esi\n\t.byte 0x65\n\toutsl");
LEG(ins_es, "movw %ax, %es\n\tcld\n\tmovl %ebx, %edi\n\tinsb");
LEG(insl_es, "movw %ax, %es\n\tcld\n\tmovl %ebx, %edi\n\tinsl");
LEG(outs_ss, "cld\n\tmovl %ebx, %esi\n\t.byte 0x36\n\toutsb");

/* For compatibility mode. */
__asm__(".pushsection .text\n\t.code32\n"
	"outsw_gs:\n\tpushl %gs\n\tmovw %ax, %gs\n\tcld\n\t.byte 0x65\n\toutsw\n\tpopl %gs\n\tlret\n"
	"\t.code64\n\t.popsection\n");
void outsw_gs(void);

static struct legacy l;
static uint8_t area[0x3000] __attribute__((aligned(4096)));

static uint32_t at(const volatile void *p)
{
	return (uint32_t)(uintptr_t)p;
}

static void put(uint32_t sel, uint64_t desc)
{
	legacy_gdt[sel / 8] = desc;
}

static int run(void (*code)(void), uint32_t sel, uint32_t offset)
{
	l = legacy_protected(at((void *)(uintptr_t)code));
	l.eax = sel;
	l.ebx = offset;
	l.edx = COM1_SCR;
	return legacy_run(&l);
}

/* One byte (or 4) through a segment: by MOV and by string I/O. @vec NO_TRAP: it works. */
static void read_gives(uint32_t offset, int vec, const char *what)
{
	report(run(load_gs, SEL_A, offset) == vec && (vec == NO_TRAP || l.err == 0), "load: %s", what);
	report(run(outsl_gs, SEL_A, offset) == vec && (vec == NO_TRAP || l.err == 0), "OUTSD: %s", what);
}

static void write_gives(uint32_t offset, int vec, const char *what)
{
	report(run(store_gs, SEL_A, offset) == vec && (vec == NO_TRAP || l.err == 0), "store: %s", what);
	report(run(insl_es, SEL_A, offset) == vec && (vec == NO_TRAP || l.err == 0), "INSD: %s", what);
}

static void test_limits(void)
{
	put(SEL_A, legacy_desc(at(area), 0xfff, ACC_DATA | ACC_W, FL_BIG));
	read_gives(0xffc, NO_TRAP, "the last bytes of a segment");
	write_gives(0xffc, NO_TRAP, "the last bytes of a segment");
	read_gives(0xffd, VEC_GP, "one byte beyond the limit");
	write_gives(0xffd, VEC_GP, "one byte beyond the limit");
	report(run(outs_gs, SEL_A, 0xfff) == NO_TRAP && run(outs_gs, SEL_A, 0x1000) == VEC_GP,
	       "OUTSB: the limit's byte");
	report(run(ins_es, SEL_A, 0xfff) == NO_TRAP && run(ins_es, SEL_A, 0x1000) == VEC_GP, "INSB: the limit's byte");
	read_gives(0xfffffffe, VEC_GP, "an offset that wraps");
	write_gives(0xfffffffe, VEC_GP, "an offset that wraps");
	put(SEL_A, legacy_desc(at(area), 1, ACC_DATA | ACC_W, FL_BIG | FL_PAGES));
	read_gives(0x1ffc, NO_TRAP, "limit 1 in pages is 1FFF");
	read_gives(0x1ffe, VEC_GP, "beyond a limit in pages");
	/* Expand down: valid above the limit, up to FFFF or FFFFFFFF. */
	put(SEL_A, legacy_desc(at(area), 0xfff, ACC_DATA | ACC_W | ACC_DOWN, 0));
	read_gives(0x1000, NO_TRAP, "expand-down: just above the limit");
	write_gives(0x1000, NO_TRAP, "expand-down: just above the limit");
	read_gives(0xfff, VEC_GP, "expand-down: at the limit");
	write_gives(0xffc, VEC_GP, "expand-down: below the limit");
	put(SEL_A, legacy_desc(at(area), 0xfff, ACC_DATA | ACC_W | ACC_DOWN, 0));
	read_gives(0xfffd, VEC_GP, "expand-down, 16 bits: beyond FFFF");
	put(SEL_A, legacy_desc(at(area), 0xfff, ACC_DATA | ACC_W | ACC_DOWN, FL_BIG));
	read_gives(0x10000, NO_TRAP, "expand-down, 32 bits: beyond FFFF");
	put(SEL_A, legacy_desc(at(area) + 16, 0xfffff, ACC_DATA | ACC_W, FL_BIG | FL_PAGES));
	read_gives((uint32_t)-16, NO_TRAP, "base and offset add up modulo 4 GiB");
	write_gives((uint32_t)-16, NO_TRAP, "base and offset add up modulo 4 GiB");
}

static void test_types(void)
{
	put(SEL_A, legacy_desc(at(area), 0xfff, ACC_DATA, FL_BIG));
	read_gives(0, NO_TRAP, "read-only data");
	write_gives(0, VEC_GP, "read-only data");
	put(SEL_A, legacy_desc(at(area), 0xfff, ACC_CODE | ACC_R, FL_BIG));
	read_gives(0, NO_TRAP, "readable code");
	write_gives(0, VEC_GP, "readable code");
	put(SEL_A, legacy_desc(at(area), 0xfff, ACC_CODE, FL_BIG));
	report(run(only_gs, SEL_A, 0) == VEC_GP && l.err == SEL_A, "execute-only code into GS: #GP(selector)");
	put(SEL_A, legacy_desc(at(area), 0xfff, 0x82, FL_BIG));
	report(run(only_gs, SEL_A, 0) == VEC_GP && l.err == SEL_A, "a system segment into GS: #GP(selector)");
	put(SEL_A, legacy_desc(at(area), 0xfff, (ACC_DATA | ACC_W) & ~ACC_P, FL_BIG));
	report(run(only_gs, SEL_A, 0) == VEC_NP && l.err == SEL_A, "absent data into GS: #NP(selector)");
	report(run(load_ss, SEL_A, 0) == VEC_SS && l.err == SEL_A, "absent data into SS: #SS(selector)");
	report(run(only_gs, SEL_HIGH, 0) == VEC_GP && l.err == SEL_HIGH, "beyond the GDT's limit: #GP(selector)");
	report(run(only_gs, 4, 0) == VEC_GP && l.err == 4, "LDT selector without LDT: #GP(selector)");
	put(SEL_A, legacy_desc(at(area), 0xfff, (ACC_DATA | ACC_W) & ~1U, FL_BIG));
	report(run(only_gs, SEL_A, 0) == NO_TRAP && (legacy_gdt[SEL_A / 8] >> 40 & 1) == 1,
	       "a load sets the accessed bit");
}

static void test_null(void)
{
	for (uint32_t rpl = 0; rpl < 4; rpl++)
		report(run(only_gs, rpl, 0) == NO_TRAP && (l.ecx & 0xffff) == rpl, "null selector %u into GS", rpl);
	report(run(load_gs, 0, 0) == VEC_GP && l.err == 0, "load through a null GS: #GP(0)");
	report(run(outs_gs, 0, 0) == VEC_GP && l.err == 0, "OUTSB through a null GS: #GP(0)");
	report(run(ins_es, 0, 0) == VEC_GP && l.err == 0, "INSB through a null ES: #GP(0)");
	report(run(load_ss, 0, 0) == VEC_GP && l.err == 0, "null SS: #GP(0)");
	report(run(load_ss, LEG_UDATA, 0) == VEC_GP && l.err == (LEG_UDATA & ~3U),
	       "SS of DPL 3 at CPL 0: #GP(selector)");
}

/* The stack segment faults by #SS. */
static void test_stack(void)
{
	put(SEL_A, legacy_desc(at(area), 0xfff, ACC_DATA | ACC_W, FL_BIG));
	l = legacy_protected(at((void *)(uintptr_t)outs_ss));
	l.ss = SEL_A;
	l.esp = 0x800;
	l.ebx = 0x1000;
	l.edx = COM1_SCR;
	report(legacy_run(&l) == VEC_SS && l.err == 0, "OUTSB through SS beyond its limit: #SS(0)");
	l = legacy_protected(at((void *)(uintptr_t)outs_ss));
	l.ss = SEL_A;
	l.esp = 0x800;
	l.ebx = 0x10;
	l.edx = COM1_SCR;
	area[0x10] = 0x6b;
	report(legacy_run(&l) == NO_TRAP && inb(COM1_SCR) == 0x6b, "OUTSB through SS");
}

/* --- LAR, LSL, VERR, VERW, ARPL ------------------------------------------------------------------ */

LEG(query, "xorl %ecx, %ecx\n\txorl %edx, %edx\n\tlarl %eax, %ecx\n\tsetz %bl\n\tlsll %eax, %edx\n\tsetz %bh\n\t"
    "xorl %esi, %esi\n\tverr %ax\n\tjnz 1f\n\torl $1, %esi\n1:\n\tverw %ax\n\tjnz 1f\n\torl $2, %esi\n1:");
LEG(arpl_insn, "arpl %cx, %ax\n\tsetz %bl");

static void queried(uint32_t sel, bool lar, bool lsl, uint32_t verr_verw, uint32_t limit, const char *what)
{
	int vec = run(query, sel, 0);
	uint32_t ar = (uint32_t)(legacy_gdt[sel / 8 % LEG_GDT_ENTRIES] >> 32) & 0x00f0ff00U;

	report(vec == NO_TRAP && (l.ebx & 1) == lar && (l.ebx >> 8 & 1) == lsl && l.esi == verr_verw &&
	       (!lar || (l.ecx & 0x00f0ff00U) == ar) && (!lsl || l.edx == limit), "LAR, LSL, VERR, VERW: %s", what);
}

static void test_queries(void)
{
	put(SEL_A, legacy_desc(0, 0x1234, ACC_DATA | ACC_W, FL_BIG));
	queried(SEL_A, true, true, 3, 0x1234, "writable data");
	put(SEL_A, legacy_desc(0, 0x12, ACC_DATA, FL_PAGES));
	queried(SEL_A, true, true, 1, 0x12fff, "read-only data, limit in pages");
	put(SEL_A, legacy_desc(0, 0x12, ACC_CODE, 0));
	queried(SEL_A, true, true, 0, 0x12, "execute-only code");
	put(SEL_A, legacy_desc(0, 0x12, 0x8b, 0));
	queried(SEL_A, true, true, 0, 0x12, "TSS");
	put(SEL_A, legacy_gate(LEG_CODE, 0, 0x8c, 0));
	queried(SEL_A, true, false, 0, 0, "call gate");
	put(SEL_A, legacy_gate(LEG_CODE, 0, 0x8e, 0));
	queried(SEL_A, false, false, 0, 0, "interrupt gate");
	put(SEL_A, legacy_desc(0, 0x77, 0, 0));
	queried(SEL_A, false, false, 0, 0, "reserved type");
	put(SEL_A, legacy_desc(0, 0x77, (ACC_DATA | ACC_W) & ~ACC_P, 0));
	queried(SEL_A, true, true, 3, 0x77, "absent data");
	queried(0, false, false, 0, 0, "null selector");
	queried(SEL_HIGH, false, false, 0, 0, "beyond the GDT");
	put(SEL_A, legacy_desc(0, 0x77, ACC_DATA | ACC_W, 0));
	queried(SEL_A | 3, false, false, 0, 0, "RPL above DPL");
	l = legacy_protected(at((void *)(uintptr_t)arpl_insn));
	l.eax = 0x48;
	l.ecx = 3;
	report(legacy_run(&l) == NO_TRAP && l.eax == 0x4b && (l.ebx & 1) == 1, "ARPL raises the RPL");
	l = legacy_protected(at((void *)(uintptr_t)arpl_insn));
	l.eax = 0x4b;
	l.ecx = 1;
	report(legacy_run(&l) == NO_TRAP && l.eax == 0x4b && (l.ebx & 1) == 0, "ARPL leaves a higher RPL");
}

/* --- transfers ------------------------------------------------------------------------------------- */

LEG(call_b, "lcall $0x50, $0\n\tmovl $0x600d, %esi");
LEG(jump_b, "ljmp $0x50, $0");
LEG(user_call_gate, "pushl $0x1111\n\tpushl $0x2222\n\tlcall $0x50, $0\n\tmovw %cs, %si\n\tmovw %gs, %di");
LEG(gate_target, "movw %cs, %cx\n\tmovw %ss, %dx\n\tmovl 8(%esp), %eax\n\tmovl 12(%esp), %ebx\n\tmovl 16(%esp), %ebp");
__asm__(".pushsection .text\n\t.code32\n"
	"gate_target_ret: movl 8(%esp), %eax\n\tmovw %cs, %cx\n\tmovw $0x10, %bx\n\tmovw %bx, %gs\n\tlret $8\n"
	"far_ret: lret\n"
	"ring3_entry: pushl $0x23\n\tpushl %esp\n\tpushl $0x2b\n\tpushl $nothing\n\tlret\n\t"
	"trap_flags: pushfl\n\tpopl %ecx\n\tiretl\n\t"
	".code64\n\t.popsection\n");
void gate_target_ret(void), far_ret(void), ring3_entry(void), trap_flags(void);
LEG(int_70, "sti\n\tint $0x70\n\tpushfl\n\tpopl %edx\n\tcli");

static int run_user(void (*code)(void))
{
	static uint8_t stack[512] __attribute__((aligned(16)));

	l = legacy_protected(at((void *)(uintptr_t)code));
	l.cs = LEG_UCODE;
	l.ss = l.ds = l.es = l.fs = l.gs = LEG_UDATA;
	l.esp = at(stack) + 512;
	return legacy_run(&l);
}

static void test_transfers(void)
{
	put(SEL_B, legacy_desc(at((void *)(uintptr_t)far_ret), 0xfff, ACC_CODE | ACC_R, FL_BIG));
	report(run(call_b, 0, 0) == NO_TRAP && l.esi == 0x600d, "far CALL and RET");
	put(SEL_B, legacy_desc(at((void *)(uintptr_t)far_ret), 0xfff, (ACC_CODE | ACC_R) & ~ACC_P, FL_BIG));
	report(run(call_b, 0, 0) == VEC_NP && l.err == SEL_B, "far CALL of an absent segment: #NP(selector)");
	put(SEL_B, legacy_desc(at(area), 0xfff, ACC_DATA | ACC_W, FL_BIG));
	report(run(jump_b, 0, 0) == VEC_GP && l.err == SEL_B, "far JMP to data: #GP(selector)");
	put(SEL_B, legacy_desc(at((void *)(uintptr_t)nothing), 0, ACC_CODE | ACC_R, FL_BIG));
	report(run(jump_b, 0, 0) == VEC_GP && l.err == 0 && l.cs == SEL_B && l.eip == 1,
	       "running over CS's limit: #GP(0)");
	put(SEL_B, legacy_desc(at((void *)(uintptr_t)nothing), 0xfff, ACC_CODE | ACC_DPL3 | ACC_R, FL_BIG));
	report(run(jump_b, 0, 0) == VEC_GP && l.err == SEL_B, "far JMP to DPL 3 at CPL 0: #GP(selector)");
	put(SEL_B, legacy_desc(at((void *)(uintptr_t)nothing), 0xfff, ACC_CODE | ACC_R | ACC_CONFORMING, FL_BIG));
	report(run_user(jump_b) == NO_TRAP && l.cs == (SEL_B | 3), "conforming code runs at the caller's level");
	put(SEL_B, legacy_desc(at((void *)(uintptr_t)nothing), 0xfff, ACC_CODE | ACC_R, FL_BIG));
	report(run_user(jump_b) == VEC_GP && l.err == SEL_B, "far JMP from CPL 3 to DPL 0: #GP(selector)");
	report(run(ring3_entry, 0, 0) == NO_TRAP && l.cs == LEG_UCODE && l.ss == LEG_UDATA && l.ds == 0 && l.gs == 0,
	       "far RET to CPL 3 nulls the data segments of CPL 0");
}

static void test_gates(void)
{
	put(SEL_B, legacy_gate(LEG_CODE, at((void *)(uintptr_t)gate_target), 0xec, 2));
	report(run_user(user_call_gate) == NO_TRAP && (l.ecx & 0xffff) == LEG_CODE && (l.edx & 0xffff) == LEG_DATA &&
	       l.eax == 0x2222 && l.ebx == 0x1111, "call gate to CPL 0: stack switched, parameters copied");
	put(SEL_B, legacy_gate(LEG_CODE, at((void *)(uintptr_t)gate_target_ret), 0xec, 2));
	report(run_user(user_call_gate) == NO_TRAP && l.eax == 0x2222 && (l.ecx & 0xffff) == LEG_CODE &&
	       (l.esi & 0xffff) == LEG_UCODE && (l.edi & 0xffff) == 0, "RET 8 from it, GS of CPL 0 nulled");
	put(SEL_B, legacy_gate(LEG_CODE, at((void *)(uintptr_t)gate_target), 0x8c, 0));
	report(run_user(user_call_gate) == VEC_GP && l.err == SEL_B, "call gate of DPL 0 at CPL 3: #GP(selector)");
	put(SEL_B, legacy_gate(LEG_CODE, at((void *)(uintptr_t)gate_target), 0x6c, 0));
	report(run_user(user_call_gate) == VEC_NP && l.err == SEL_B, "absent call gate: #NP(selector)");
	put(SEL_B, legacy_gate(0, 0, 0xec, 0));
	report(run_user(user_call_gate) == VEC_GP && l.err == 0, "call gate with a null selector: #GP(0)");
	legacy_idt[0x70] = legacy_gate(LEG_CODE, at((void *)(uintptr_t)trap_flags), 0x8e, 0);
	report(run(int_70, 0, 0) == NO_TRAP && (l.ecx & FLAG_IF) == 0 && (l.edx & FLAG_IF) != 0,
	       "interrupt gate: IF clear inside, back after it");
	legacy_idt[0x70] = legacy_gate(LEG_CODE, at((void *)(uintptr_t)trap_flags), 0x8f, 0);
	report(run(int_70, 0, 0) == NO_TRAP && (l.ecx & FLAG_IF) != 0, "trap gate: IF as it was");
}

/* --- the LDT ---------------------------------------------------------------------------------------- */

LEG(use_ldt, "lldt %ax\n\tsldt %cx\n\tmovw %bx, %gs\n\tmovl %gs:0, %edx");
LEG(only_lldt, "lldt %ax\n\tsldt %cx");

static void test_ldt(void)
{
	static uint64_t ldt[2] __attribute__((aligned(8)));

	*(uint32_t *)area = 0x5a5a1234;
	ldt[1] = legacy_desc(at(area), 0xfff, ACC_DATA | ACC_W, FL_BIG);
	put(SEL_LDT, legacy_desc(at(ldt), sizeof(ldt) - 1, 0x82, 0));
	report(run(use_ldt, SEL_LDT, 8 | 4) == NO_TRAP && (l.ecx & 0xffff) == SEL_LDT && l.edx == 0x5a5a1234,
	       "a segment of the LDT");
	report(run(use_ldt, SEL_LDT, 16 | 4) == VEC_GP && l.err == (16 | 4), "beyond the LDT's limit: #GP(selector)");
	report(run(use_ldt, 0, 8 | 4) == VEC_GP && l.err == (8 | 4), "null LDT: its selectors give #GP(selector)");
	report(run(only_lldt, LEG_DATA, 0) == VEC_GP && l.err == LEG_DATA, "LLDT with a data segment: #GP(selector)");
	put(SEL_LDT, legacy_desc(at(ldt), sizeof(ldt) - 1, 0x02, 0));
	report(run(only_lldt, SEL_LDT, 0) == VEC_NP && l.err == SEL_LDT, "LLDT with an absent LDT: #NP(selector)");
}

/* --- on the way to long mode ------------------------------------------------------------------------- */

LEG(long_mode, "ltr %ax\n\tmovl $0xc0000080, %ecx\n\txorl %edx, %edx\n\tmovl $0x100, %eax\n\twrmsr\n\t"
    "movl %cr0, %eax\n\torl $0x80000000, %eax\n"
    "long_mode_insn: movl %eax, %cr0\n\tandl $0x7fffffff, %eax\n\tmovl %eax, %cr0\n\txorl %eax, %eax\n\twrmsr");
void long_mode_insn(void);

static void test_long_mode(void)
{
	put(SEL_A, legacy_desc(at(area), 0x2b, 0x81, 0));
	l = legacy_protected(at((void *)(uintptr_t)long_mode));
	l.eax = SEL_A;
	l.cr3 = (uint32_t)read_cr3();
	l.cr4 = CR4_PAE;
	report(legacy_run(&l) == VEC_GP && l.err == 0 && l.eip == at((void *)(uintptr_t)long_mode_insn),
	       "PG with LME and a 16-bit TSS in TR: #GP(0)");
	put(SEL_A, legacy_desc(at(area), sizeof(struct tss32) - 1, 0x89, 0));
	l = legacy_protected(at((void *)(uintptr_t)long_mode));
	l.eax = SEL_A;
	l.cr3 = (uint32_t)read_cr3();
	l.cr4 = CR4_PAE;
	report(legacy_run(&l) == NO_TRAP, "PG with LME and a 32-bit TSS, and back");
}

/* --- 64-bit mode --------------------------------------------------------------------------------------- */

STUB(load_fs, "movl %fs:(%rbx), %eax");
STUB(load_ds_override, ".byte 0x3e\n\tmovl (%rbx), %eax");
STUB(outs_fs64, "cld\n\t.byte 0x64\n\toutsb");
STUB(outs_es64, "cld\n\t.byte 0x26\n\toutsb");
STUB(ins_fs64, "cld\n\t.byte 0x64\n\tinsb");

static void test_64bit(void)
{
	struct regs r;
	struct trap t;
	uint64_t base = rdmsr(MSR_FS_BASE);

	*(uint32_t *)area = 0x13579bdf;
	wrmsr(MSR_FS_BASE, (uint64_t)area - 0x1000);
	regs_fill(&r);
	r.rbx = 0x1000;
	report(exec_catch(&r, load_fs, &t) == NO_TRAP && (uint32_t)r.rax == 0x13579bdf, "64-bit: FS base from its MSR");
	regs_fill(&r);
	r.rdx = COM1_SCR;
	r.rsi = 0x1000;
	report(exec_catch(&r, outs_fs64, &t) == NO_TRAP && inb(COM1_SCR) == 0xdf, "64-bit: OUTSB through FS");
	r.rsi = (uint64_t)area;
	report(exec_catch(&r, outs_es64, &t) == NO_TRAP && inb(COM1_SCR) == 0xdf,
	       "64-bit: OUTSB, ES override has no base");
	r.rdi = (uint64_t)area;
	outb(COM1_SCR, 0x21);
	report(exec_catch(&r, ins_fs64, &t) == NO_TRAP && area[0] == 0x21, "64-bit: INSB ignores an override");
	wrmsr(MSR_FS_BASE, 0x7ffffffff000UL);
	regs_fill(&r);
	r.rbx = 0x1000;
	report(exec_catch(&r, load_fs, &t) == VEC_GP && t.err == 0, "64-bit: FS base and offset not canonical: #GP(0)");
	regs_fill(&r);
	r.rdx = COM1_SCR;
	r.rsi = 0x1000;
	report(exec_catch(&r, outs_fs64, &t) == VEC_GP && t.err == 0, "64-bit: OUTSB, not canonical: #GP(0)");
	wrmsr(MSR_FS_BASE, base);
	report(wrmsr_safe(MSR_FS_BASE, 0x800000000000UL) == VEC_GP && wrmsr_safe(MSR_GS_BASE,
	       0x800000000000UL) == VEC_GP &&
	       wrmsr_safe(MSR_KERNEL_GS_BASE, 0xffff7fffffffffffUL) == VEC_GP,
	       "64-bit: base MSRs take canonical values only");
	if (lapic_present() && !lapic_in_x2apic()) {
		wrmsr(MSR_FS_BASE, lapic_base());
		regs_fill(&r);
		r.rbx = APIC_VERSION;
		report(exec_catch(&r, load_fs, &t) == NO_TRAP && (uint32_t)r.rax == lapic_read(APIC_VERSION),
		       "64-bit: a device's register through FS");
		wrmsr(MSR_FS_BASE, base);
	}
	__asm__ volatile("mov %0, %%fs" : : "r"(SEL_DATA));
	report(rdmsr(MSR_FS_BASE) == 0, "64-bit: a selector into FS sets its base");
}

/* CPUID ends the 4 GiB; what follows is at 0. The same for an operand. */
static void test_wrap(void)
{
	static const uint64_t top = 0xfffff000UL;
	uint8_t *const last = page_alloc();
	uint8_t *const first = page_alloc();
	const uint64_t was_top = *page_entry(top);
	const uint64_t was_0 = *page_entry(0);

	last[0xffe] = 0x0f; /* CPUID */
	last[0xfff] = 0xa2;
	first[0] = 0xcb; /* LRET */
	page_map(top, (uintptr_t)last, PTE_P | PTE_W);
	page_map(0, (uintptr_t)first, PTE_P | PTE_W);
	invlpg((void *)top);
	invlpg(NULL);
	l = legacy_protected(0);
	l.eax = 0;
	l.ebx = 0;
	legacy_compat((void (*)(void))(top + 0xffe), &l);
	report(l.ebx == cpuid(0, 0).ebx, "compatibility mode: EIP wraps at 4 GiB behind CPUID");
	put(SEL_A, legacy_desc((uint32_t)top, 0xffff, ACC_DATA | ACC_W, FL_BIG));
	l = legacy_protected(0);
	l.eax = SEL_A;
	l.edx = COM1_SCR - 1;
	l.esi = 0xfff;
	outb(COM1_SCR, 0);
	legacy_compat(outsw_gs, &l);
	report(inb(COM1_SCR) == first[0], "compatibility mode: an operand of OUTSW wraps at 4 GiB");
	*page_entry(top) = was_top;
	*page_entry(0) = was_0;
	invlpg((void *)top);
	invlpg(NULL);
}

void test_main(void)
{
	if (lapic_present())
		lapic_enable();
	test_limits();
	test_types();
	test_null();
	test_stack();
	test_queries();
	test_transfers();
	test_gates();
	test_ldt();
	test_long_mode();
	test_64bit();
	test_wrap();
}
