/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hardware task switches: JMP, CALL, IRET, task gates in GDT and IDT; busy bits, NT, back link; 16-bit
 * and 32-bit TSSs; CR3, LDT, V86 and CPL 3 tasks; faults in the old task and in the new one; the T flag.
 * SDM vol. 3 chapter 8.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/legacy.h>
#include <guests/lib/page.h>

const char subject_name[] = "task_switch";

/* The asm code below has these as numbers. */
#define SEL_T1		0x48U	/* the task that begins */
#define SEL_T2		0x50U
#define SEL_T16		0x58U
#define SEL_GATE	0x60U	/* task gate to SEL_T2 */
#define SEL_DESC	0x68U	/* what a test is about */
#define SEL_LDT		0x70U
#define VEC_GATE	0x71U
#define VEC_IRQ		0x72U

#define ACC_TSS		0x89U
#define ACC_TSS16	0x81U
#define ACC_TASK_GATE	0x85U
#define BUSY(sel)	((legacy_gdt[(sel) / 8] >> 41 & 1) != 0)
#define EFLAGS_NT	0x4000U
#define EFLAGS_VM	0x20000U
#define DR6_BT		0x8000U
#define VA		0x80000000U

struct tss16 {
	uint16_t link, stacks[6], ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};

#define LEG(name, insn)								\
	__asm__(".pushsection .text\n\t.code32\n"				\
		#name ":\n\t" insn "\n\tint $0x30\n\t.code64\n\t.popsection\n");	\
	void name(void)

LEG(jmp_task, "ljmp $0x50, $0x12345");
LEG(call_task, "lcall $0x50, $0\n"
    "call_task_next: movl $0x600d, %edi");
LEG(call_gate, "lcall $0x60, $0\n\tmovl $0x600d, %edi");
LEG(call_task16, "lcall $0x58, $0\n\tmovl $0x600d, %edi");
LEG(jmp_task16, "ljmp $0x58, $0");
LEG(int_gate, "int $0x71\n"
    "int_gate_next: movl $0x600d, %edi");
LEG(user_int_gate, "int $0x71\n\tmovl $0x600d, %edi");
LEG(fault_ud, "ud2");
LEG(fault_gp, "movl $0x1000, %eax\n"
    "fault_gp_insn: movw %ax, %gs");
LEG(iret_nt, "pushfl\n\torl $0x4000, (%esp)\n\tpopfl\n"
    "iret_nt_insn: iretl");
LEG(take_irq, "sti\n\tnop\n"
    "take_irq_next: nop\n\tmovl $0x600d, %edi\n\tcli");
LEG(double_fault, "movl $0x1000, %esp\n\tmovw $0x68, %ax\n\tmovw %ax, %ss\n\tmovl $1, %esp\n"
    "double_fault_insn: pushl %eax");
/* What the second task does. */
LEG(t2_done, "nop");
LEG(t2_return, "movl $0x2222, %ecx\n\tiretl\n"
    "t2_again: movl $0x3333, %edx\n\tiretl");
LEG(t2_error, "popl %ebx\n\tiretl");
LEG(t2_look, "movl (%ebx), %eax\n\tmovl %gs:0, %edx");
LEG(t2_eoi, "movl $0, 0xfee000b0\n\tiretl");
LEG(t2_skip, "popl %ebx\n\tmovl %eax, %ecx\n\taddl $2, (%esi)\n\tiretl");
void call_task_next(void), int_gate_next(void), fault_gp_insn(void), iret_nt_insn(void), take_irq_next(void),
	double_fault_insn(void), t2_again(void);
__asm__(".pushsection .text\n\t.code16\n"
	"t16_return: movw $0x2222, %cx\n\tiretw\n\tint $0x30\n\t"
	"v86_code: movl %ds:0x10, %eax\n\tint $0x30\n\t.code64\n\t.popsection\n");
void t16_return(void), v86_code(void);
extern const uint8_t v86_code_end[];

static struct legacy l;
static struct tss32 t1, t2 __attribute__((aligned(8)));
static struct tss16 t16;
static uint8_t stack2[1024] __attribute__((aligned(16))), stack2_kernel[1024] __attribute__((aligned(16)));
static uint64_t idt_saved[3];

static uint32_t at(const volatile void *p)
{
	return (uint32_t)(uintptr_t)p;
}

#define CODE(fn) at((void *)(uintptr_t)(fn))

static void tss_desc(uint32_t sel, const volatile void *tss, uint32_t limit, uint32_t access)
{
	legacy_gdt[sel / 8] = legacy_desc(at(tss), limit, access, 0);
}

/* A task that runs @eip at CPL 0, flat, with values in its registers. */
static void setup(uint32_t eip)
{
	memset(&t1, 0, sizeof(t1));
	memset(&t2, 0, sizeof(t2));
	t1.esp0 = legacy_tss.esp0;
	t1.ss0 = LEG_DATA;
	t2 = (struct tss32){
		.esp0 = at(stack2_kernel) + sizeof(stack2_kernel), .ss0 = LEG_DATA, .eip = eip, .eflags = 2,
		.eax = 0xa1, .ecx = 0xa2, .edx = 0xa3, .ebx = 0xa4, .esp = at(stack2) + sizeof(stack2) - 16,
		.ebp = 0xa6, .esi = 0xa7, .edi = 0xa8, .es = LEG_DATA, .cs = LEG_CODE, .ss = LEG_DATA,
		.ds = LEG_DATA, .fs = LEG_DATA, .gs = LEG_DATA, .io_bitmap = sizeof(t2), .link = 0x7777,
		.cr3 = l.cr3,
	};
	tss_desc(SEL_T1, &t1, sizeof(t1) - 1, ACC_TSS);
	tss_desc(SEL_T2, &t2, sizeof(t2) - 1, ACC_TSS);
	legacy_gdt[SEL_GATE / 8] = legacy_gate(SEL_T2, 0, ACC_TASK_GATE, 0);
	legacy_set_tss(SEL_T1);
}

/* Run @code in the first task. */
static int run(void (*code)(void))
{
	uint32_t cr3 = l.cr3, cr4 = l.cr4, cr0 = l.cr0 & (uint32_t)CR0_PG;

	l = legacy_protected(CODE(code));
	l.cr0 |= cr0;
	l.cr3 = cr3;
	l.cr4 = cr4;
	l.eax = 0x11;
	l.ecx = 0x12;
	l.edx = 0x13;
	l.ebx = 0x14;
	l.ebp = 0x16;
	l.esi = at(&t1.eip);
	l.edi = 0x18;
	l.eflags = 0x8d7;
	return legacy_run(&l);
}

static void flat(void)
{
	l.cr0 = 0;
	l.cr3 = 0;
	l.cr4 = 0;
}

static bool t1_saved(uint32_t eip)
{
	return t1.eip == eip && (t1.eflags & 0xfffU) == 0x8d7 && t1.eax == 0x11 && t1.ecx == 0x12 && t1.edx == 0x13 &&
		t1.ebx == 0x14 && t1.ebp == 0x16 && t1.esi == at(&t1.eip) && t1.edi == 0x18 && t1.cs == LEG_CODE &&
		t1.ss == LEG_DATA && t1.ds == LEG_DATA && t1.es == LEG_DATA && t1.fs == LEG_DATA && t1.gs == LEG_DATA;
}

static bool t2_loaded(void)
{
	return l.eax == 0xa1 && l.ecx == 0xa2 && l.edx == 0xa3 && l.ebx == 0xa4 && l.ebp == 0xa6 && l.esi == 0xa7 &&
		l.edi == 0xa8 && l.esp == at(stack2) + sizeof(stack2) - 16 && l.cs == LEG_CODE;
}

/* --- JMP, CALL, IRET ----------------------------------------------------------------------------- */

static void test_jump(void)
{
	setup(CODE(t2_done));
	report(run(jmp_task) == NO_TRAP && l.tr == SEL_T2 && t2_loaded(), "JMP: the new task's registers");
	report(t1_saved(CODE(jmp_task) + 7), "JMP: the old task's registers are in its TSS");
	report(!BUSY(SEL_T1) && BUSY(SEL_T2), "JMP: the old TSS is free, the new one is busy");
	report((l.out_cr0 & CR0_TS) != 0, "JMP: CR0.TS is set");
	report((l.eflags & EFLAGS_NT) == 0 && t2.link == 0x7777, "JMP: no NT, the back link is left alone");
	setup(CODE(t2_done));
	t2.eflags = 0x200cd7 | EFLAGS_NT;
	report(run(jmp_task) == NO_TRAP && (l.eflags & 0x204cd7) == 0x204cd7,
	       "JMP: EFLAGS as in the TSS, with NT and ID");
}

static void test_call(void)
{
	setup(CODE(t2_done));
	report(run(call_task) == NO_TRAP && l.tr == SEL_T2 && t2_loaded(), "CALL: the new task's registers");
	report(t1_saved(CODE(call_task_next)), "CALL: the old task's registers, EIP behind CALL");
	report(BUSY(SEL_T1) && BUSY(SEL_T2), "CALL: both are busy");
	report((l.eflags & EFLAGS_NT) != 0 && (t2.link & 0xffff) == SEL_T1 && (t1.eflags & EFLAGS_NT) == 0,
	       "CALL: NT and the back link");
	setup(CODE(t2_return));
	report(run(call_task) == NO_TRAP && l.tr == SEL_T1 && l.edi == 0x600d && l.ecx == 0x12 && l.eax == 0x11,
	       "IRET goes back to the first task");
	report(BUSY(SEL_T1) && !BUSY(SEL_T2), "IRET: the task it leaves is free");
	report(t2.eip == CODE(t2_again) && t2.ecx == 0x2222 && (t2.eflags & EFLAGS_NT) == 0,
	       "IRET: the task it leaves is saved, without NT");
	report((l.eflags & EFLAGS_NT) == 0 && (l.eflags & 0xfff) == 0x8d7 && (l.out_cr0 & CR0_TS) != 0,
	       "IRET: flags of the first task, CR0.TS");
	setup(CODE(t2_return));
	report(run(call_gate) == NO_TRAP && l.tr == SEL_T1 && l.edi == 0x600d && t2.ecx == 0x2222,
	       "CALL through a task gate, and back");
}

/* --- through the IDT -------------------------------------------------------------------------------- */

static void idt_gate(uint32_t vec)
{
	idt_saved[0] = legacy_idt[vec];
	legacy_idt[vec] = legacy_gate(SEL_T2, 0, ACC_TASK_GATE, 0);
}

static void idt_back(uint32_t vec)
{
	legacy_idt[vec] = idt_saved[0];
}

static void test_idt(void)
{
	setup(CODE(t2_return));
	idt_gate(VEC_GATE);
	report(run(int_gate) == NO_TRAP && l.tr == SEL_T1 && l.edi == 0x600d && t2.ecx == 0x2222, "INT n, and back");
	report(t1.eip == CODE(int_gate_next), "INT n: EIP behind it was saved");
	report((t2.link & 0xffff) == SEL_T1 && !BUSY(SEL_T2), "INT n: back link; free again");
	idt_back(VEC_GATE);

	setup(CODE(t2_done));
	idt_gate(VEC_UD);
	report(run(fault_ud) == NO_TRAP && l.tr == SEL_T2 && t1_saved(CODE(fault_ud)) && t2_loaded(),
	       "#UD: no error code, EIP of the instruction");
	report((t1.eflags & FLAG_RF) != 0, "#UD: RF in the saved flags");
	report((l.eflags & FLAG_RF) == 0, "#UD: not in the new task's");
	idt_back(VEC_UD);

	setup(CODE(t2_error));
	idt_gate(VEC_GP);
	t2.esi = at(&t1.eip);
	t2.eip = CODE(t2_skip);
	report(run(fault_gp) == NO_TRAP && l.tr == SEL_T1 && t2.ebx == 0x1000 && t1.eip == CODE(fault_gp_insn) + 2,
	       "#GP: its error code is on the new task's stack");
	idt_back(VEC_GP);

	setup(CODE(t2_done));
	idt_gate(VEC_DF);
	legacy_gdt[SEL_DESC / 8] = legacy_desc(0, 0x1fff, 0x93, 4);
	report(run(double_fault) == NO_TRAP && l.tr == SEL_T2 && t1.eip == CODE(double_fault_insn) && t1.esp == 1 &&
	       t1.ss == SEL_DESC, "#DF of a broken stack");
	report(*(uint32_t *)(uintptr_t)l.esp == 0 && l.esp == at(stack2) + sizeof(stack2) - 20, "#DF: error code 0");
	idt_back(VEC_DF);

	if (!lapic_present() || lapic_in_x2apic()) {
		report_skip("no local APIC in memory: interrupts");
		return;
	}
	lapic_enable();
	setup(CODE(t2_eoi));
	idt_gate(VEC_IRQ);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_IRQ, 0);
	report(run(take_irq) == NO_TRAP && l.tr == SEL_T1 && l.edi == 0x600d && t1.eip == CODE(take_irq_next) &&
	       (t1.eflags & FLAG_IF) != 0, "an interrupt: EIP of the next instruction, and back");
	report(!lapic_vector_bit(APIC_ISR, VEC_IRQ), "an interrupt: EOI in the task");
	idt_back(VEC_IRQ);
}

/* --- 16-bit TSS ----------------------------------------------------------------------------------- */

static void setup16(void (*code)(void))
{
	setup(0);
	legacy_gdt[SEL_DESC / 8] = legacy_desc(CODE(code), 0xffff, 0x9b, 0);
	t16 = (struct tss16){
		.link = 0x7777, .flags = 2, .ax = 0xb1, .cx = 0xb2, .dx = 0xb3, .bx = 0xb4, .sp = 0x800, .bp = 0xb6,
		.si = 0xb7, .di = 0xb8, .es = LEG_DATA, .cs = SEL_DESC, .ss = LEG_DATA16, .ds = LEG_DATA,
	};
	tss_desc(SEL_T16, &t16, sizeof(t16) - 1, ACC_TSS16);
}

static void test_16bit(void)
{
	setup16(t16_return);
	report(run(call_task16) == NO_TRAP && l.tr == SEL_T1 && l.edi == 0x600d, "16-bit TSS: CALL, and IRET back");
	report(t16.link == SEL_T1 && t16.cx == 0x2222 && t16.ip == 4 && t16.ax == 0xb1 &&
	       (t16.flags & EFLAGS_NT) == 0 &&
	       t16.cs == SEL_DESC && t16.ss == LEG_DATA16, "16-bit TSS: what IRET saved");
	report(t1_saved(CODE(call_task16) + 7), "16-bit TSS: what CALL saved");
	setup16(t2_done);
	report(run(jmp_task16) == NO_TRAP && l.tr == SEL_T16 && l.eax == 0xffff00b1 && l.edi == 0xffff00b8 &&
	       l.fs == 0 && l.gs == 0 && l.eip == 3, "16-bit TSS: upper halves ones, FS and GS null");
	/* From a 16-bit task by exception back to 32 bits. */
	setup16(fault_ud);
	t2.eip = CODE(t2_done);
	idt_gate(VEC_UD);
	report(run(jmp_task16) == NO_TRAP && l.tr == SEL_T2 && t16.ip == 0 && t16.ax == 0xb1 && t2_loaded() &&
	       BUSY(SEL_T16) && (t2.link & 0xffff) == SEL_T16, "16-bit TSS: #UD from it to a 32-bit one");
	idt_back(VEC_UD);
}

/* --- faults in the old task --------------------------------------------------------------------------- */

static void old_gives(void (*code)(void), uint32_t eip, int vec, uint32_t err, const char *what)
{
	int got = run(code);

	if (got != vec || l.err != err)
		report_info("vector %d, error %#x, EIP %#x, TR %#x", got, l.err, l.eip, l.tr);
	report(got == vec && l.err == err && l.tr == SEL_T1 && l.eip == eip && BUSY(SEL_T1) && t1.eip == 0, "%s", what);
}

static void test_old_faults(void)
{
	uint32_t jmp = CODE(jmp_task);

	setup(CODE(t2_done));
	tss_desc(SEL_T2, &t2, sizeof(t2) - 1, ACC_TSS & ~0x80U);
	old_gives(jmp_task, jmp, VEC_NP, SEL_T2, "absent TSS: #NP(selector) in the old task");
	tss_desc(SEL_T2, &t2, sizeof(t2) - 1, ACC_TSS | 2);
	old_gives(jmp_task, jmp, VEC_GP, SEL_T2, "busy TSS: #GP(selector)");
	tss_desc(SEL_T2, &t2, 0x66, ACC_TSS);
	old_gives(jmp_task, jmp, VEC_TS, SEL_T2, "TSS limit 66: #TS(selector)");
	legacy_gdt[SEL_T2 / 8] = legacy_gdt[LEG_DATA / 8];
	old_gives(jmp_task, jmp, VEC_GP, SEL_T2, "a data segment: #GP(selector)");
	setup(CODE(t2_done));
	legacy_gdt[SEL_GATE / 8] = legacy_gate(SEL_T2 | 4, 0, ACC_TASK_GATE, 0);
	old_gives(call_gate, CODE(call_gate), VEC_GP, SEL_T2 | 4, "a task gate to the LDT: #GP(selector)");
	legacy_gdt[SEL_GATE / 8] = legacy_gate(SEL_T2, 0, ACC_TASK_GATE & ~0x80U, 0);
	old_gives(call_gate, CODE(call_gate), VEC_NP, SEL_GATE, "an absent task gate: #NP(gate)");
	setup(CODE(t2_done));
	t1.link = SEL_T2;
	l.vec = 0;
	run(iret_nt);
	report(l.vec == VEC_TS && l.err == SEL_T2 && l.eip == CODE(iret_nt_insn) && l.tr == SEL_T1,
	       "IRET to a task that is not busy: #TS(selector)");
	t1.link = (SEL_T2 | 4);
	run(iret_nt);
	report(l.vec == VEC_TS && l.err == (SEL_T2 | 4) && l.tr == SEL_T1,
	       "IRET with a link to the LDT: #TS(selector)");
	idt_gate(VEC_GATE);
	setup(CODE(t2_done));
	tss_desc(SEL_T2, &t2, sizeof(t2) - 1, ACC_TSS & ~0x80U);
	old_gives(int_gate, CODE(int_gate), VEC_NP, SEL_T2, "INT n to an absent TSS: #NP, no EXT");
	idt_back(VEC_GATE);
	idt_gate(VEC_UD);
	old_gives(fault_ud, CODE(fault_ud), VEC_NP, SEL_T2 | 1, "#UD to an absent TSS: #NP with EXT");
	idt_back(VEC_UD);
}

/* --- faults in the new task --------------------------------------------------------------------------- */

static void new_gives(int vec, uint32_t err, const char *what)
{
	int got = run(call_task);

	if (got != vec || l.err != err || l.tr != SEL_T2 || l.eip != t2.eip)
		report_info("vector %d, error %#x, EIP %#x, TR %#x, CS %#x", got, l.err, l.eip, l.tr, l.cs);
	report(got == vec && l.err == err && l.tr == SEL_T2 && l.eip == t2.eip && l.cs == (uint16_t)t2.cs &&
	       BUSY(SEL_T1) && BUSY(SEL_T2) && t1_saved(CODE(call_task_next)) && l.eax == 0xa1, "new task: %s", what);
}

static void test_new_faults(void)
{
#define NEW(field, value, vec, err, text) do {	\
	setup(CODE(t2_done));			\
	t2.field = (value);			\
	new_gives(vec, err, text);		\
} while (0)
	legacy_gdt[SEL_DESC / 8] = legacy_desc(0, 0xfffff, 0x91, 12);
	NEW(ss, 0, VEC_TS, 0, "null SS: #TS(0)");
	NEW(ss, 0x1000, VEC_TS, 0x1000, "SS beyond the GDT: #TS(selector)");
	NEW(ss, SEL_DESC, VEC_TS, SEL_DESC, "read-only SS: #TS(selector)");
	NEW(ss, LEG_UDATA, VEC_TS, LEG_UDATA & ~3U, "SS of another level: #TS(selector)");
	NEW(ds, LEG_CODE64 | 4, VEC_TS, LEG_CODE64 | 4, "DS in no LDT: #TS(selector)");
	NEW(es, SEL_T1, VEC_TS, SEL_T1, "a TSS in ES: #TS(selector)");
	NEW(cs, 0, VEC_TS, 0, "null CS: #TS(0)");
	NEW(cs, LEG_DATA, VEC_TS, LEG_DATA, "data in CS: #TS(selector)");
	NEW(ldt, SEL_LDT | 4, VEC_TS, SEL_LDT | 4, "LDT in the LDT: #TS(selector)");
	NEW(ldt, LEG_DATA, VEC_TS, LEG_DATA, "a data segment as LDT: #TS(selector)");
	NEW(ldt, 0x1000, VEC_TS, 0x1000, "LDT beyond the GDT: #TS(selector)");
	legacy_gdt[SEL_DESC / 8] = legacy_desc(0, 0xfffff, 0x13, 12);
	NEW(ss, SEL_DESC, VEC_SS, SEL_DESC, "absent SS: #SS(selector)");
	NEW(gs, SEL_DESC, VEC_NP, SEL_DESC, "absent GS: #NP(selector)");
	legacy_gdt[SEL_DESC / 8] = legacy_desc(0, 0xfffff, 0x1b, 12);
	NEW(cs, SEL_DESC, VEC_NP, SEL_DESC, "absent CS: #NP(selector)");
	legacy_gdt[SEL_DESC / 8] = legacy_desc(0, 0xfffff, 0x99, 12);
	NEW(fs, SEL_DESC, VEC_TS, SEL_DESC, "execute-only code in FS: #TS(selector)");
	legacy_gdt[SEL_LDT / 8] = legacy_desc(0, 0xf, 0x02, 0);
	NEW(ldt, SEL_LDT, VEC_TS, SEL_LDT, "absent LDT: #TS(selector)");
	legacy_gdt[SEL_DESC / 8] = legacy_desc(0, 0xff, 0x9b, 4);
	setup(0x100);
	t2.cs = SEL_DESC;
	new_gives(VEC_GP, 0, "EIP beyond CS's limit: #GP(0)");
	/* The error code of an exception that finds no room. */
	legacy_gdt[SEL_DESC / 8] = legacy_desc(0, 0xfff, 0xf3, 4);
	setup(CODE(t2_done));
	idt_gate(VEC_GP);
	t2.cs = LEG_UCODE;
	t2.ss = SEL_DESC | 3;
	t2.ds = t2.es = t2.fs = t2.gs = LEG_UDATA;
	t2.esp = 2;
	report(run(fault_gp) == VEC_DF && l.err == 0 && l.tr == SEL_T2 && l.eip == CODE(t2_done) && l.cs == LEG_UCODE,
	       "#GP whose error code finds no room on the new task's stack: #DF there");
	idt_back(VEC_GP);
}

/* --- what else a TSS has --------------------------------------------------------------------------------- */

static void test_ldt(void)
{
	static uint64_t ldt[2] __attribute__((aligned(8)));
	static uint32_t word = 0x1dd7cafe;

	ldt[1] = legacy_desc(at(&word), 3, 0x92, 4);
	legacy_gdt[SEL_LDT / 8] = legacy_desc(at(ldt), sizeof(ldt) - 1, 0x82, 0);
	setup(CODE(t2_look));
	t2.ldt = SEL_LDT;
	t2.gs = 8 | 4;
	t2.ebx = at(&word);
	report(run(jmp_task) == NO_TRAP && l.ldtr == SEL_LDT && l.edx == 0x1dd7cafe && l.gs == (8 | 4),
	       "the new task's LDT and a segment of it");
	report((ldt[1] >> 40 & 1) == 1, "the accessed bit of that segment is set");
}

static void test_levels(void)
{
	setup(CODE(t2_done));
	t2.cs = LEG_UCODE;
	t2.ss = t2.ds = t2.es = t2.fs = t2.gs = LEG_UDATA;
	report(run(jmp_task) == NO_TRAP && l.cs == LEG_UCODE && l.ss == LEG_UDATA && l.tr == SEL_T2 &&
	       l.esp == at(stack2) + sizeof(stack2) - 16, "a task at CPL 3");
	report(*(uint32_t *)(stack2_kernel + sizeof(stack2_kernel) - 4) == LEG_UDATA, "its TSS has the stack of CPL 0");
	setup(CODE(user_int_gate));
	t2.cs = LEG_UCODE;
	t2.ss = t2.ds = t2.es = t2.fs = t2.gs = LEG_UDATA;
	setup16(t16_return);
	t2 = (struct tss32){
		.esp0 = at(stack2_kernel) + sizeof(stack2_kernel), .ss0 = LEG_DATA, .eip = CODE(user_int_gate),
		.eflags = 2, .esp = at(stack2) + 512, .es = LEG_UDATA, .cs = LEG_UCODE, .ss = LEG_UDATA,
		.ds = LEG_UDATA, .io_bitmap = sizeof(t2),
	};
	idt_saved[0] = legacy_idt[VEC_GATE];
	legacy_idt[VEC_GATE] = legacy_gate(SEL_T16, 0, ACC_TASK_GATE, 0);
	report(run(jmp_task) == VEC_GP && l.err == (VEC_GATE << 3 | 2) && l.cs == LEG_UCODE,
	       "INT n through a task gate of DPL 0 at CPL 3: #GP(vector, IDT)");
	tss_desc(SEL_T2, &t2, sizeof(t2) - 1, ACC_TSS);
	legacy_idt[VEC_GATE] = legacy_gate(SEL_T16, 0, ACC_TASK_GATE | 0x60, 0);
	t2.eip = CODE(user_int_gate);
	report(run(jmp_task) == NO_TRAP && l.edi == 0x600d && l.cs == LEG_UCODE && t16.cx == 0x2222 && l.tr == SEL_T2,
	       "of DPL 3: from CPL 3 to a task at CPL 0, and back");
	idt_back(VEC_GATE);
}

static void test_debug(void)
{
	setup(CODE(t2_done));
	t2.trap = 1;
	write_dr6(0xffff0ff0UL);
	report(run(jmp_task) == VEC_DB && l.eip == CODE(t2_done) && l.tr == SEL_T2 && (read_dr6() & DR6_BT) != 0 &&
	       (read_dr6() & 0x4000) == 0, "T flag: #DB before the first instruction, DR6.BT");
	write_dr6(0xffff0ff0UL);
	setup(CODE(t2_done));
	t2.eflags |= (uint32_t)FLAG_TF;
	report(run(jmp_task) == VEC_DB && l.eip == CODE(t2_done) + 1 && (read_dr6() & DR6_BT) == 0,
	       "TF in the new flags: #DB behind the first instruction");
	write_dr6(0xffff0ff0UL);
	setup(CODE(t2_done));
	write_dr7(0x400 | 0x3ff);
	write_dr0(0x1000);
	write_dr1(0x1000);
	write_dr2(0x1000);
	write_dr3(0x1000);
	report(run(jmp_task) == NO_TRAP && (read_dr7() & 0x3ff) == 0x2aa,
	       "DR7: local enables cleared, global ones kept");
	write_dr7(0x400);
}

static void test_v86(void)
{
	volatile uint64_t code_at = LEG_REAL_FREE, data_at = 0x4010;

	setup(0);
	memcpy((void *)code_at, (const void *)(uintptr_t)v86_code, 16);
	*(uint32_t *)data_at = 0x86868686;
	t2.eflags = 2 | EFLAGS_VM | 0x3000;
	t2.cs = LEG_REAL_FREE / 16;
	t2.ds = t2.es = t2.fs = t2.gs = t2.ss = 0x400;
	t2.esp = 0x1000;
	report(run(jmp_task) == NO_TRAP && l.eax == 0x86868686 && (l.eflags & EFLAGS_VM) != 0 && l.tr == SEL_T2 &&
	       l.cs == LEG_REAL_FREE / 16 && l.ds == 0x400, "a V86 task");
}

/* --- with paging -------------------------------------------------------------------------------------- */

static uint32_t pd[2][1024] __attribute__((aligned(4096))), pt[2][1024] __attribute__((aligned(4096)));
static uint64_t pdpt[2][4] __attribute__((aligned(32))), pd_pae[5][512] __attribute__((aligned(4096)));
static uint32_t words[2][1024] __attribute__((aligned(4096)));

static void make_tables(void)
{
	for (uint32_t k = 0; k < 2; k++) {
		words[k][0] = 0x1000 + k;
		for (uint32_t i = 0; i < 1024; i++)
			pd[k][i] = i << 22 | (uint32_t)(PTE_P | PTE_W | PTE_U | PTE_PS) | (i >= 1008 ? PTE_PCD : 0);
		pd[k][VA >> 22] = at(pt[k]) | PTE_P | PTE_W | PTE_U;
		pt[k][0] = at(words[k]) | PTE_P | PTE_W | PTE_U;
		for (uint64_t g = 0; g < 4; g++)
			pdpt[k][g] = (uint64_t)pd_pae[g] | PTE_P;
	}
	for (uint64_t g = 0; g < 4; g++) {
		for (uint64_t i = 0; i < 512; i++)
			pd_pae[g][i] = (g << 30 | i << 21) | PTE_P | PTE_W | PTE_U | PTE_PS |
				(g == 3 && i >= 480 ? PTE_PCD : 0);
	}
	memcpy(pd_pae[4], pd_pae[2], PAGE_SIZE);
	pd_pae[4][0] = pd_pae[0][at(words) >> 21];
	pdpt[1][2] = (uint64_t)pd_pae[4] | PTE_P;
}

static void test_paging(void)
{
	make_tables();
	l.cr0 = (uint32_t)CR0_PG;
	l.cr4 = CR4_PSE;
	l.cr3 = at(pd[0]);
	setup(CODE(t2_look));
	t2.cr3 = at(pd[1]);
	t2.ebx = VA;
	report(run(jmp_task) == NO_TRAP && l.out_cr3 == at(pd[1]) && l.eax == 0x1001, "CR3 of the new task");
	/* A TSS whose page is not there, or can't be written. */
	l.cr0 = (uint32_t)CR0_PG;
	l.cr4 = CR4_PSE;
	l.cr3 = at(pd[0]);
	setup(CODE(t2_done));
	t2.cr3 = at(pd[0]);
	pt[0][1] = 0;
	legacy_gdt[SEL_T2 / 8] = legacy_desc(VA + 0x1000, sizeof(t2) - 1, ACC_TSS, 0);
	report(run(jmp_task) == VEC_PF && l.err == 0 && l.cr2 == VA + 0x1000 && l.tr == SEL_T1 &&
	       l.eip == CODE(jmp_task) && BUSY(SEL_T1) && !BUSY(SEL_T2),
	       "the new TSS is not mapped: #PF in the old task");
	l.cr0 = (uint32_t)CR0_PG;
	l.cr4 = CR4_PSE;
	l.cr3 = at(pd[0]);
	pt[0][1] = at(words[1]) | PTE_P | PTE_A;
	memcpy(words[1], &t2, sizeof(t2));
	report(run(jmp_task) == NO_TRAP && l.tr == SEL_T2 && t2_loaded(), "JMP to a TSS in a read-only page");
	l.cr0 = (uint32_t)CR0_PG;
	l.cr4 = CR4_PSE;
	l.cr3 = at(pd[0]);
	tss_desc(SEL_T1, &t1, sizeof(t1) - 1, ACC_TSS);
	legacy_gdt[SEL_T2 / 8] = legacy_desc(VA + 0x1000, sizeof(t2) - 1, ACC_TSS, 0);
	report(run(call_task) == VEC_PF && l.err == 3 && l.cr2 == VA + 0x1000 && l.tr == SEL_T1,
	       "CALL to a TSS in a read-only page: #PF, the back link is written");

	make_tables();
	l.cr0 = (uint32_t)CR0_PG;
	l.cr4 = CR4_PAE;
	l.cr3 = at(pdpt[0]);
	setup(CODE(t2_look));
	t2.cr3 = at(pdpt[1]);
	t2.ebx = VA + (at(words[1]) & 0x1fffff);
	report(run(jmp_task) == NO_TRAP && l.out_cr3 == at(pdpt[1]) && l.eax == 0x1001,
	       "PAE: CR3 and PDPTEs of the new task");
	l.cr0 = (uint32_t)CR0_PG;
	l.cr4 = CR4_PAE;
	l.cr3 = at(pdpt[0]);
	setup(CODE(t2_return));
	t2.cr3 = at(pdpt[1]);
	t1.cr3 = at(pdpt[0]);
	report(run(call_task) == NO_TRAP && l.out_cr3 == at(pdpt[0]) && l.edi == 0x600d && t2.ecx == 0x2222,
	       "PAE: CALL, and IRET back");
	flat();
}

void test_main(void)
{
	struct legacy first = legacy_protected(CODE(t2_done));

	legacy_run(&first);	/* the library's tables are there */
	test_jump();
	test_call();
	test_idt();
	test_16bit();
	test_old_faults();
	test_new_faults();
	test_ldt();
	test_levels();
	test_debug();
	test_v86();
	test_paging();
}
