/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Delivery of events: exceptions that meet exceptions (what makes a double fault, what comes one after the other),
 * error codes with EXT and IDT, interrupt shadows behind instructions that a hypervisor emulates, priorities. SDM
 * vol. 3 sections 6.8, 6.9, 6.13 and table 6-5.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/page.h>

const char subject_name[] = "inject";

#define NOBODY		0x7f00
#define VEC_A		0x61U
#define VEC_B		0x91U
#define ERR_EXT		1UL
#define ERR_IDT		2UL
#define GATE_SIZE	16

STUB(div_zero, "div %ecx");
STUB(ud2_insn, "ud2");
STUB(load_ds, "mov %eax, %ds");
STUB(load_mem, "movb (%rax), %cl");
STUB(int_61, "int $0x61");
STUB(bad_rdmsr, "rdmsr");
STUB(int3_insn, "int3");
STUB(icebp_insn, ".byte 0xf1");

static struct trap t;
static uint8_t *idt;

static void present(unsigned int vec, bool on)
{
	idt[vec * GATE_SIZE + 5] = (uint8_t)(on ? idt[vec * GATE_SIZE + 5] | 0x80 : idt[vec * GATE_SIZE + 5] & 0x7f);
}

static int run(const uint8_t *stub, uint64_t rax)
{
	struct regs r;

	regs_fill(&r);
	r.rax = rax;
	r.rcx = stub == bad_rdmsr ? 0x4fffffff : 0;
	return exec_catch(&r, stub, &t);
}

/* The gate of the first exception is absent: #NP during its delivery. */
static void gives(const uint8_t *stub, uint64_t rax, unsigned int first, int vec, uint64_t err, const char *what)
{
	int got;

	present(first, false);
	got = run(stub, rax);
	present(first, true);
	if (got != vec || t.err != err)
		report_info("%s: vector %d, error %#lx", what, got, t.err);
	report(got == vec && t.err == err && t.rip == (uint64_t)stub, "%s", what);
}

static void test_classes(void)
{
	uint64_t hole = page_window(0);

	gives(ud2_insn, 0, VEC_UD, VEC_NP, VEC_UD << 3 | ERR_IDT | ERR_EXT, "#UD, then #NP: #NP with EXT");
	gives(div_zero, 0, VEC_DE, VEC_DF, 0, "#DE, then #NP: #DF");
	gives(load_ds, 0x1000, VEC_GP, VEC_DF, 0, "#GP, then #NP: #DF");
	gives(bad_rdmsr, 0, VEC_GP, VEC_DF, 0, "#GP of RDMSR, then #NP: #DF");
	gives(load_ds, SEL_NOTPRESENT, VEC_NP, VEC_DF, 0, "#NP, then #NP: #DF");
	gives(load_mem, hole, VEC_PF, VEC_DF, 0, "#PF, then #NP: #DF");
	gives(int3_insn, 0, VEC_BP, VEC_NP, VEC_BP << 3 | ERR_IDT, "INT3, then #NP: #NP without EXT, RIP at INT3");
	gives(icebp_insn, 0, VEC_DB, VEC_NP, VEC_DB << 3 | ERR_IDT | ERR_EXT, "INT1, then #NP: #NP with EXT");
	present(VEC_A, false);
	report(run(int_61, 0) == VEC_NP && t.err == (VEC_A << 3 | ERR_IDT) && t.rip == (uint64_t)int_61,
	       "INT n, then #NP: #NP without EXT, RIP at INT n");
	present(VEC_A, true);
}

/* Delivery meets a page that is not there: IST stack 3 in a hole. */
__asm__(".pushsection .text\n"
	"ud_at: mov %rdi, %rsp\n"
	"ud_at_insn: ud2\n"
	"int_at: mov %rdi, %rsp\n"
	"int_at_insn: int $0x61\n"
	".popsection\n");
void ud_at(void *rsp), int_at(void *rsp);
extern const uint8_t ud_at_insn[], int_at_insn[];

static void do_ud_at(void *rsp)
{
	ud_at(rsp);
}

static void do_int_at(void *rsp)
{
	int_at(rsp);
}

static void test_stacks(void)
{
	uint64_t hole = page_window(1) + 0x800;
	int vec;

	/* #UD cannot be pushed: #PF, which has a stack of its own. */
	trap_set_ist(VEC_PF, 3);
	vec = catch_exception(do_ud_at, (void *)hole, &t);
	report(vec == VEC_PF && t.rip == (uint64_t)ud_at_insn && t.rsp == hole && t.err == 2 && t.cr2 < hole &&
	       t.cr2 >= hole - 0x40, "#UD whose stack is not there: #PF with RIP of #UD, CR2 in the stack");
	vec = catch_exception(do_int_at, (void *)hole, &t);
	report(vec == VEC_PF && t.rip == (uint64_t)int_at_insn && t.rsp == hole && t.err == 2,
	       "INT n whose stack is not there: #PF with RIP of INT n");
	trap_set_ist(VEC_PF, 0);
}

/* An interrupt whose gate is absent. */
static void sti_nop(void *unused)
{
	(void)unused;
	__asm__ volatile("sti\n\tnop\n\tnop\n\tcli");
}

static void test_interrupt_faults(void)
{
	int vec;

	trap_set_handler(VEC_A, trap_handler_eoi);
	trap_count_reset(VEC_A);
	present(VEC_A, false);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_A, 0);
	vec = catch_exception(sti_nop, NULL, &t);
	report(vec == VEC_NP && t.err == (VEC_A << 3 | ERR_IDT | ERR_EXT),
	       "an interrupt with an absent gate: #NP with EXT");
	report(lapic_vector_bit(APIC_ISR, VEC_A) && !lapic_vector_bit(APIC_IRR, VEC_A),
	       "... it was acknowledged all the same");
	present(VEC_A, true);
	lapic_eoi();
	irq_window();
	report(trap_count(VEC_A) == 0, "... and does not come again");
	trap_set_handler(VEC_A, NULL);
}

/* --- shadows --------------------------------------------------------------------------------------- */

STUB(sti_nop_nop, "sti\nsti_nop_1: nop\nsti_nop_2: nop\n\tcli");
STUB(sti_cpuid, "sti\n\tcpuid\nsti_cpuid_2: nop\n\tcli");
STUB(sti_in, "sti\n\tinb %dx, %al\nsti_in_2: nop\n\tcli");
STUB(sti_mmio, "sti\n\tmovl (%rsi), %eax\nsti_mmio_2: nop\n\tcli");
STUB(sti_cli, "sti\n\tcli\n\tnop");
STUB(sti_sti, "sti\n\tsti\nsti_sti_2: nop\n\tcli");
STUB(movss_cpuid, "mov %ss, %r8d\n\tsti\n\tnop\n"
     "movss_cpuid_0: mov %r8d, %ss\n\tcpuid\nmovss_cpuid_2: nop\n\tcli");
STUB(sti_popf, "pushfq\n\torl $0x200, (%rsp)\n\tpopfq\nsti_popf_1: nop\n\tcli");
extern const uint8_t sti_nop_1[], sti_nop_2[], sti_cpuid_2[], sti_in_2[], sti_mmio_2[], sti_sti_2[],
	movss_cpuid_0[], movss_cpuid_2[], sti_popf_1[];

static uint64_t taken_at;

static void note(struct trap *frame)
{
	taken_at = frame->rip;
	lapic_eoi();
}

static void shadow(const uint8_t *stub, const uint8_t *expected, const char *what)
{
	struct regs r;

	regs_fill(&r);
	r.rax = 0;
	r.rcx = 3;
	r.rdx = NOBODY;
	r.rsi = stub == sti_mmio ? lapic_base() + APIC_VERSION : (uint64_t)idt;
	taken_at = 0;
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_A, 0);
	exec_regs(&r, stub);
	if (taken_at != (uint64_t)expected)
		report_info("%s: %#lx, expected %#lx", what, taken_at, (uint64_t)expected);
	report(taken_at == (uint64_t)expected, "%s", what);
	irq_window();
}

static void test_shadows(void)
{
	trap_set_handler(VEC_A, note);
	shadow(sti_nop_nop, sti_nop_2, "STI; NOP: the interrupt comes behind NOP");
	shadow(sti_cpuid, sti_cpuid_2, "STI; CPUID: behind CPUID");
	shadow(sti_in, sti_in_2, "STI; IN: behind IN");
	if (lapic_present() && !lapic_in_x2apic())
		shadow(sti_mmio, sti_mmio_2, "STI; MOV from a device: behind MOV");
	shadow(sti_cli, NULL, "STI; CLI: never");
	shadow(sti_sti, sti_sti_2, "STI; STI: behind the second");
	shadow(sti_popf, sti_popf_1, "POPF: at once");
	shadow(movss_cpuid, movss_cpuid_0, "interrupts come before MOV SS");
	trap_set_handler(VEC_A, NULL);
}

/* --- priorities ---------------------------------------------------------------------------------------- */

static unsigned int order[4], order_count;

static void note_order(struct trap *frame)
{
	if (order_count < 4)
		order[order_count++] = (unsigned int)frame->vec;
	if (frame->vec >= 32)
		lapic_eoi();
}

static void note_step(struct trap *frame)
{
	note_order(frame);
	frame->rflags &= ~FLAG_TF;
	write_dr6(0xffff0ff0UL);
}

STUB(sti_cpuid_tf, "cpuid\n\tnop\n\tcli");

static void test_priorities(void)
{
	struct regs r;

	trap_set_handler(VEC_A, note_order);
	trap_set_handler(VEC_B, note_order);
	order_count = 0;
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_A, 0);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_B, 0);
	irq_window();
	report(order_count == 2 && order[0] == VEC_B && order[1] == VEC_A, "two interrupts: the higher class first");

	/* A single step and an interrupt at the end of one instruction: #DB first. */
	trap_set_handler(VEC_DB, note_step);
	order_count = 0;
	regs_fill(&r);
	r.rax = 0;
	r.rflags |= FLAG_TF;
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_A, 0);
	exec_regs(&r, sti_cpuid_tf);
	report(order_count >= 1 && order[0] == VEC_DB, "single step, interrupts off: #DB");
	irq_window();
	report(order_count == 2 && order[1] == VEC_A, "... the interrupt later");
	trap_set_handler(VEC_DB, NULL);

	/* A fault wins over an interrupt that is held back. */
	order_count = 0;
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_A, 0);
	report(run(ud2_insn, 0) == VEC_UD && order_count == 0, "a fault with an interrupt pending");
	irq_window();
	report(order_count == 1, "... which is not lost");
	trap_set_handler(VEC_A, NULL);
	trap_set_handler(VEC_B, NULL);
}

/* Many interrupts while everything exits: none lost. */
static void test_storm(void)
{
	unsigned int sent = 0;

	trap_set_handler(VEC_A, trap_handler_eoi);
	trap_count_reset(VEC_A);
	for (unsigned int i = 0; i < 200; i++) {
		lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_A, 0);
		sent++;
		switch (i % 4) {
		case 0:
			sti_hlt_cli();
			break;
		case 1:
			__asm__ volatile("sti\n\tcpuid\n\tnop\n\tcli" : : "a"(0) : "rbx", "rcx", "rdx");
			break;
		case 2:
			__asm__ volatile("sti\n\tinb %%dx, %%al\n\tnop\n\tcli" : : "d"(NOBODY) : "rax");
			break;
		default:
			irq_window();
			break;
		}
	}
	report(trap_count(VEC_A) == sent, "200 interrupts in the shadow of emulated instructions: each once");
	trap_set_handler(VEC_A, NULL);
}

void test_main(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	idt = (uint8_t *)idtr.base;
	test_classes();
	test_stacks();
	if (!lapic_present()) {
		report_skip("no local APIC: interrupts");
		return;
	}
	lapic_enable();
	test_interrupt_faults();
	test_shadows();
	test_priorities();
	test_storm();
}
