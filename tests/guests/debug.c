/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Debug exceptions: single step (over instructions that a hypervisor emulates too), the MOV SS
 * shadow, code, data and I/O breakpoints, DR6, DR7. SDM vol. 3 chapter 18.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>

const char subject_name[] = "debug";

#define DR6_BS		0x4000UL
#define DR6_BD		0x2000UL
#define DR6_INIT	0xffff0ff0UL
#define DR7_INIT	0x400UL
#define DR7_GD		0x2000UL
#define DR7_L(n)	(1UL << ((n) * 2))
#define DR7_G(n)	(2UL << ((n) * 2))
#define DR7_RW(n, v)	((uint64_t)(v) << (16 + (n) * 4))
#define DR7_LEN(n, v)	((uint64_t)(v) << (18 + (n) * 4))
#define RW_EXEC		0
#define RW_WRITE	1
#define RW_IO		2
#define RW_ACCESS	3
#define NOBODY		0x7f00

STUB(step_cpuid, "cpuid");
STUB(step_in, "inb %dx, %al");
STUB(step_out, "outb %al, %dx");
STUB(step_rdmsr, "rdmsr");
STUB(step_rdtsc, "rdtsc");
STUB(step_cr, "mov %cr0, %rax");
STUB(step_inw, "inw %dx, %ax");
STUB(step_insb, "insb");
STUB(step_outsb, "outsb");
STUB(rep_outsb, "rep outsb");
STUB(step_nop, "nop");
STUB(rf_ud2, "ud2");
STUB(rf_int3, "int3");
STUB(step_movss, "mov %ss, %eax\n\tmov %eax, %ss\nstep_movss_next:\n\tnop");
STUB(movss_cpuid, "mov %ss, %r8d\n\tmov %r8d, %ss\n\tcpuid");
STUB(write_word, "movl %ecx, (%rax)");
STUB(rep_movs_down, "rep movsl");
STUB(read_word, "movl (%rax), %ecx");
STUB(movss_write, "movw (%rax), %ss\nmovss_write_next:\n\tnop\n\tnop");
extern const uint8_t step_movss_next[], movss_write_next[];

#define LOG 16
static unsigned int hits;
static struct {
	uint64_t rip, dr6, flags, rcx;
} log[LOG];
static uint64_t stop_rip;

static void note(struct trap *t)
{
	uint64_t dr6 = read_dr6();

	if (hits < LOG) {
		log[hits].rip = t->rip;
		log[hits].dr6 = dr6;
		log[hits].flags = t->rflags;
		log[hits].rcx = t->rcx;
	}
	hits++;
	write_dr6(DR6_INIT);
	if (t->rip == stop_rip || hits > 100)
		t->rflags &= ~FLAG_TF;
	if ((dr6 & DR6_BS) == 0 && (dr6 & 0xf) != 0)
		t->rflags |= FLAG_RF;
}

static void begin(uint64_t stop)
{
	hits = 0;
	stop_rip = stop;
	write_dr6(DR6_INIT);
}

static void test_step(void)
{
	static const struct {
		const uint8_t *insn, *after;
		const char *name;
		uint64_t rax, rcx;
	} forms[] = {
		{ step_nop, step_nop_after, "NOP", 0, 0 },
		{ step_cpuid, step_cpuid_after, "CPUID", 0, 0 },
		{ step_in, step_in_after, "IN", 0, 0 },
		{ step_out, step_out_after, "OUT", 0, 0 },
		{ step_rdmsr, step_rdmsr_after, "RDMSR", 0, MSR_APIC_BASE },
		{ step_rdtsc, step_rdtsc_after, "RDTSC", 0, 0 },
		{ step_cr, step_cr_after, "MOV from CR0", 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct regs r;

		regs_fill(&r);
		r.rax = forms[i].rax;
		r.rcx = forms[i].rcx;
		r.rdx = NOBODY;
		r.rflags |= FLAG_TF;
		begin((uint64_t)forms[i].after);
		exec_regs(&r, forms[i].insn);
		report(hits == 2 && log[0].rip == (uint64_t)forms[i].insn &&
		       log[1].rip == (uint64_t)forms[i].after && (log[1].dr6 & DR6_BS) != 0 &&
		       (log[1].dr6 & 0xf) == 0 && (log[1].flags & FLAG_TF) != 0,
		       "single step over %s: one #DB behind it, DR6.BS", forms[i].name);
	}
}

static void test_movss(void)
{
	struct regs r;

	regs_fill(&r);
	r.rflags |= FLAG_TF;
	begin((uint64_t)step_movss_after);
	exec_regs(&r, step_movss);
	/* CALL, MOV from SS, (MOV to SS is silent), NOP. */
	report(hits == 3 && log[1].rip == (uint64_t)step_movss + 2 &&
	       log[2].rip == (uint64_t)step_movss_after, "single step: none after MOV SS");
	regs_fill(&r);
	r.rax = r.rcx = 0;
	r.rflags |= FLAG_TF;
	begin((uint64_t)movss_cpuid_after);
	exec_regs(&r, movss_cpuid);
	report(hits == 3 && log[2].rip == (uint64_t)movss_cpuid_after,
	       "single step: MOV SS; CPUID steps behind CPUID");
}

static void test_code(void)
{
	struct regs r;
	struct trap t;

	if (!quirk_code_breakpoints_work()) {
		report_skip("code breakpoints do not work on this machine");
		return;
	}
	regs_fill(&r);
	r.rax = r.rcx = 0;
	begin(0);
	write_dr2((uint64_t)step_cpuid);
	write_dr7(DR7_INIT | DR7_G(2));
	exec_regs(&r, step_cpuid);
	report(hits == 1 && log[0].rip == (uint64_t)step_cpuid && (log[0].dr6 & 0xf) == 4 &&
	       (log[0].dr6 & DR6_BS) == 0, "code breakpoint on CPUID: a fault before it, DR6.B2");
	report((log[0].flags & FLAG_RF) == 0,
	       "code breakpoint: RF is clear in the saved flags, unlike for other faults");
	begin(0);
	write_dr7(DR7_INIT | DR7_L(2));
	exec_regs(&r, step_cpuid);
	report(hits == 1, "code breakpoint by its local enable");
	begin(0);
	write_dr7(DR7_INIT);
	exec_regs(&r, step_cpuid);
	report(hits == 0, "no enable, no breakpoint");

	/* Without a handler that sets RF: the instruction has not been executed. */
	trap_set_handler(VEC_DB, NULL);
	write_dr7(DR7_INIT | DR7_G(2));
	write_dr6(DR6_INIT);
	report(exec_catch(&r, step_cpuid, &t) == VEC_DB && t.rip == (uint64_t)step_cpuid &&
	       (read_dr6() & 0xf) == 4, "code breakpoint caught");
	write_dr7(DR7_INIT);
	write_dr6(DR6_INIT);
	trap_set_handler(VEC_DB, note);
}

/* Every other fault saves RF=1, so that its handler's IRET does not meet a breakpoint twice. */
static void test_rf(void)
{
	struct regs r;
	struct trap t;

	regs_fill(&r);
	report(exec_catch(&r, rf_ud2, &t) == VEC_UD && (t.rflags & FLAG_RF) != 0,
	       "#UD saves RF set");
	report(exec_catch(&r, rf_int3, &t) == VEC_BP && (t.rflags & FLAG_RF) == 0,
	       "INT3 saves RF clear");
	r.rcx = 0xffff;
	report(exec_catch(&r, step_rdmsr, &t) == VEC_GP && (t.rflags & FLAG_RF) != 0,
	       "#GP of RDMSR saves RF set");
}

static uint32_t words[4] __attribute__((aligned(16)));

/* On a device's register, whose accesses a hypervisor emulates; and amid a repeated instruction. */
static void test_device(const struct regs *regs)
{
	struct regs r = *regs;

	write_dr7(DR7_INIT | DR7_G(0) | DR7_RW(0, RW_ACCESS) | DR7_LEN(0, 3));
	write_dr0(lapic_base() + APIC_VERSION);
	r.rax = lapic_base() + APIC_VERSION;
	begin(0);
	exec_regs(&r, read_word);
	report(hits == 1 && log[0].rip == (uint64_t)read_word_after,
	       "access breakpoint on a device's register");
	r.rflags |= FLAG_TF;
	begin((uint64_t)read_word_after);
	exec_regs(&r, read_word);
	report(hits == 2 && (log[1].dr6 & (DR6_BS | 0xf)) == (DR6_BS | 1), "... and single step: one #DB");
	r.rflags &= ~FLAG_TF;
	r.rax = lapic_base() + APIC_TPR;
	begin(0);
	exec_regs(&r, read_word);
	report(hits == 0, "... another register does not fire");
	/* Of a repeated instruction each iteration is looked at: the second of three. */
	r.rsi = lapic_base() + APIC_TMICT;
	r.rdi = (uint64_t)&words[2];
	r.rcx = 3;
	r.rflags |= FLAG_DF;
	write_dr0((uint64_t)&words[1]);
	begin(0);
	exec_regs(&r, rep_movs_down);
	r.rflags &= ~FLAG_DF;
	report(hits == 1 && log[0].rip == (uint64_t)rep_movs_down && log[0].rcx == 1 && r.rcx == 0,
	       "access breakpoint: REP MOVSD from a device fires after its iteration");
}

static void test_data(void)
{
	struct regs r;

	regs_fill(&r);
	r.rax = (uint64_t)&words[1];
	write_dr0((uint64_t)&words[1]);
	write_dr7(DR7_INIT | DR7_G(0) | DR7_RW(0, RW_WRITE) | DR7_LEN(0, 3));
	begin(0);
	exec_regs(&r, write_word);
	report(hits == 1 && log[0].rip == (uint64_t)write_word_after && (log[0].dr6 & 0xf) == 1,
	       "write breakpoint: a trap behind the write, DR6.B0");
	report(words[1] == (uint32_t)r.rcx, "write breakpoint: the write was made");
	begin(0);
	exec_regs(&r, read_word);
	report(hits == 0, "write breakpoint: a read does not fire");
	write_dr7(DR7_INIT | DR7_G(0) | DR7_RW(0, RW_ACCESS) | DR7_LEN(0, 3));
	begin(0);
	exec_regs(&r, read_word);
	report(hits == 1 && log[0].rip == (uint64_t)read_word_after, "access breakpoint: a read fires");
	r.rax = (uint64_t)&words[2];
	begin(0);
	exec_regs(&r, read_word);
	report(hits == 0, "the word behind does not fire");
	r.rax = (uint64_t)&words[1] - 3;
	begin(0);
	exec_regs(&r, read_word);
	report(hits == 1, "one overlapping byte is enough");

	/* The operand of an instruction that a hypervisor emulates. */
	r.rdx = NOBODY;
	r.rdi = r.rsi = (uint64_t)&words[1];
	begin(0);
	exec_regs(&r, step_insb);
	report(hits == 1 && log[0].rip == (uint64_t)step_insb_after && (log[0].dr6 & 0xf) == 1,
	       "access breakpoint: INSB fires");
	begin(0);
	exec_regs(&r, step_outsb);
	report(hits == 1 && log[0].rip == (uint64_t)step_outsb_after, "access breakpoint: OUTSB fires");
	write_dr7(DR7_INIT | DR7_G(0) | DR7_RW(0, RW_WRITE) | DR7_LEN(0, 3));
	begin(0);
	exec_regs(&r, step_outsb);
	report(hits == 0, "write breakpoint: OUTSB does not fire");
	if (lapic_present() && !lapic_in_x2apic())
		test_device(&r);
	write_dr0((uint64_t)&words[1]);
	write_dr7(DR7_INIT | DR7_G(0) | DR7_RW(0, RW_ACCESS) | DR7_LEN(0, 3));

	/* A data breakpoint by the MOV SS itself waits for the next instruction. */
	words[1] = SEL_DATA;
	r.rax = (uint64_t)&words[1];
	begin(0);
	exec_regs(&r, movss_write);
	report_xfail(!on_hypervisor(), "Bochs: MOV SS and #DB", hits == 1 &&
		     log[0].rip == (uint64_t)movss_write_next + 1,
		     "access breakpoint by MOV SS: #DB behind the next instruction");
	write_dr7(DR7_INIT);
}

static void test_io(void)
{
	struct regs r;
	uint64_t cr4 = read_cr4();

	if ((cpuid(1, 0).edx & BIT(2)) == 0) {
		report_skip("no CR4.DE: I/O breakpoints");
		return;
	}
	write_cr4(cr4 | CR4_DE);
	write_dr3(NOBODY);
	write_dr7(DR7_INIT | DR7_G(3) | DR7_RW(3, RW_IO));
	regs_fill(&r);
	r.rdx = NOBODY;
	begin(0);
	exec_regs(&r, step_in);
	report(hits == 1 && log[0].rip == (uint64_t)step_in_after && (log[0].dr6 & 0xf) == 8 &&
	       (log[0].dr6 & DR6_BS) == 0, "I/O breakpoint: a trap behind IN, DR6.B3");
	begin(0);
	exec_regs(&r, step_out);
	report(hits == 1 && log[0].rip == (uint64_t)step_out_after, "I/O breakpoint: OUT fires too");
	r.rflags |= FLAG_TF;
	begin((uint64_t)step_in_after);
	exec_regs(&r, step_in);
	report(hits == 2 && log[1].rip == (uint64_t)step_in_after && (log[1].dr6 & (DR6_BS | 0xf)) == (DR6_BS | 8),
	       "I/O breakpoint and single step: one #DB, DR6.B3 and BS");
	r.rflags &= ~FLAG_TF;
	write_dr7(DR7_INIT | DR7_RW(3, RW_IO));
	begin(0);
	exec_regs(&r, step_in);
	report(hits == 0, "I/O breakpoint: not enabled, does not fire");
	write_dr7(DR7_INIT | DR7_L(3) | DR7_RW(3, RW_IO));
	begin(0);
	exec_regs(&r, step_in);
	report(hits == 1, "I/O breakpoint by its local enable");
	write_cr4(cr4);
	begin(0);
	exec_regs(&r, step_in);
	write_cr4(cr4 | CR4_DE);
	report(hits == 0, "I/O breakpoint: without CR4.DE it does not fire");
	write_dr7(DR7_INIT | DR7_G(3) | DR7_RW(3, RW_IO) | DR7_LEN(3, 3));
	write_dr3(NOBODY + 3);
	for (uint64_t port = NOBODY - 1; port <= NOBODY + 4; port++) {
		r.rdx = port;
		begin(0);
		exec_regs(&r, step_in);
		report((hits == 1) == (port >= NOBODY && port < NOBODY + 4),
		       "I/O breakpoint on four ports: port %#lx", port);
	}
	r.rdx = NOBODY - 1;
	begin(0);
	exec_regs(&r, step_inw);
	report(hits == 1 && log[0].rip == (uint64_t)step_inw_after, "I/O breakpoint: a word that overlaps fires");
	write_dr3(NOBODY);
	write_dr7(DR7_INIT | DR7_G(3) | DR7_RW(3, RW_IO));
	r.rdx = NOBODY;
	r.rsi = (uint64_t)test_io;
	r.rcx = 3;
	begin(0);
	exec_regs(&r, rep_outsb);
	report(hits == 3 && log[0].rip == (uint64_t)rep_outsb && log[1].rip == (uint64_t)rep_outsb &&
	       log[2].rip == (uint64_t)rep_outsb_after && r.rcx == 0,
	       "I/O breakpoint: REP OUTSB fires at each element");
	r.rdx = NOBODY + 1;
	begin(0);
	exec_regs(&r, step_in);
	report(hits == 0, "I/O breakpoint: the next port does not fire");
	write_dr7(DR7_INIT);
	try_begin();
	write_cr4(cr4 | CR4_DE);
	__asm__ volatile(TRY("mov %%dr4, %%rax") : : : "rax");
	report(try_vector() == VEC_UD, "CR4.DE: DR4 gives #UD");
	write_cr4(cr4 & ~CR4_DE);
	try_begin();
	__asm__ volatile(TRY("mov %%dr4, %%rax") : : : "rax");
	report(try_vector() == NO_TRAP, "without CR4.DE: DR4 is DR6");
	write_cr4(cr4);
}

static uint64_t user_dr(uint64_t unused)
{
	(void)unused;
	return read_dr7();
}

static void test_registers(void)
{
	struct trap t;
	uint64_t ret;

	write_dr0(0x1122334455667788UL & 0x7fffffffffffUL);
	write_dr1(0x100);
	write_dr2(0x200);
	write_dr3(0xffff800000000300UL);
	report(read_dr0() == (0x1122334455667788UL & 0x7fffffffffffUL) && read_dr1() == 0x100 &&
	       read_dr2() == 0x200 && read_dr3() == 0xffff800000000300UL, "DR0 to DR3 keep addresses");
	report(write_dr6_safe(BIT(32)) == VEC_GP && write_dr7_safe(BIT(32)) == VEC_GP,
	       "DR6, DR7: bits above 31 give #GP");
	write_dr6(0);
	report((read_dr6() & 0xfffe0ff0UL) == 0xfffe0ff0UL && (read_dr6() & 0x100f) == 0,
	       "DR6: fixed ones, fixed zero");
	write_dr6(DR6_INIT);
	write_dr7(0);
	report(read_dr7() == DR7_INIT, "DR7: bit 10 is one");
	write_dr7(DR7_INIT);
	write_dr7(0xfffffbffUL & ~DR7_GD & ~0xffUL & ~0xffff0000UL);
	report((read_dr7() & 0xf7ff) == 0x700, "DR7: bits 15, 14, 12 are zero");
	__asm__ volatile("mov %1, %%r13\n\tmov %%r13, %%dr2\n\tmov %%dr2, %%r9\n\tmov %%r9, %0"
			 : "=r"(ret) : "r"(0x123456789UL) : "r9", "r13");
	report(ret == 0x123456789UL, "MOV DR with R8 to R15");
	write_dr7(DR7_INIT);
	report(user_call(user_dr, 0, 0, &ret, &t) == VEC_GP && t.err == 0, "MOV DR at CPL 3: #GP(0)");

	trap_set_handler(VEC_DB, NULL);
	write_dr7(DR7_INIT | DR7_GD);
	try_begin();
	__asm__ volatile(TRY("mov %%dr0, %%rax") : : : "rax");
	report(try_vector() == VEC_DB, "DR7.GD: touching a debug register gives #DB");
	report((read_dr6() & DR6_BD) != 0, "DR7.GD: DR6.BD");
	report((read_dr7() & DR7_GD) == 0, "DR7.GD is cleared by the exception");
	write_dr6(DR6_INIT);
	write_dr7(DR7_INIT);
	trap_set_handler(VEC_DB, note);
}

static uint64_t user_nops(uint64_t unused)
{
	(void)unused;
	__asm__ volatile("nop\n\tnop\n\tnop");
	return 0;
}

static void test_user(void)
{
	struct trap t;

	trap_set_handler(VEC_DB, NULL);
	report(user_call(user_nops, 0, FLAG_TF, NULL, &t) == VEC_DB && (t.cs & 3) == 3 &&
	       (read_dr6() & DR6_BS) != 0, "single step at CPL 3");
	write_dr6(DR6_INIT);
	trap_set_handler(VEC_DB, note);
}

/*
 * Where another VM has this CPU too, and does the same, its breakpoints are its own: each guest takes a word of its
 * choice, and keeps it while the others run.
 */
static void test_kept(void)
{
	static uint32_t mine[64];
	volatile uint32_t *const word = &mine[rdtsc() / 7 % 64];
	unsigned int good = 0;

	write_dr1((uint64_t)word);
	write_dr7(DR7_INIT | DR7_G(1) | DR7_RW(1, RW_WRITE) | DR7_LEN(1, 3));
	for (unsigned int i = 0; i < 50; i++) {
		const uint64_t until = rdtsc() + 100000;

		while (rdtsc() < until)
			__asm__ volatile("pause");
		begin(0);
		*word = i;
		__asm__ volatile("nop");
		good += (hits == 1 && (log[0].dr6 & 0xf) == BIT(1)) ? 1 : 0;
	}
	write_dr7(DR7_INIT);
	report(good == 50, "a breakpoint stays while time passes (%u of 50)", good);
}

void test_main(void)
{
	trap_set_handler(VEC_DB, note);
	test_step();
	test_movss();
	test_code();
	test_rf();
	test_data();
	test_io();
	test_registers();
	test_user();
	test_kept();
	trap_set_handler(VEC_DB, NULL);
}
