/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every exception that software can raise: vector, error code, saved RIP, CR2; nesting; the double
 * fault on its own stack. SDM vol. 3 chapter 6.
 */
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/hypercall.h>
#include <guests/lib/page.h>

const char subject_name[] = "exceptions";

STUB(div_zero, "div %ecx");
STUB(idiv_overflow, "idiv %ecx");
STUB(ud2_insn, "ud2");
STUB(int3_insn, "int3");
STUB(int3_long, "int $3");
STUB(icebp, ".byte 0xf1");
STUB(load_ds, "mov %eax, %ds");
STUB(load_ss, "mov %eax, %ss");
STUB(load_tr, "ltr %ax");
STUB(load_mem, "movb (%rax), %cl");
STUB(store_mem, "movb %cl, (%rax)");
STUB(load_stack, "movb (%rbp), %cl");
STUB(jump, "jmp *%rax");
STUB(int_gate, "int $0x70");
STUB(into_bad, ".byte 0xce");
STUB(far_jump, ".byte 0x48, 0xff, 0x28");	/* REX.W ljmp *(%rax) */
STUB(iret_insn, "iretq");
STUB(long_insn, ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
STUB(fpu_div, "fninit\n\tfldcw (%rax)\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait");
STUB(lock_mov, ".byte 0xf0, 0x89, 0x08");
STUB(vmcall_insn, ".byte 0x0f, 0x01, 0xc1");
STUB(invalid_0fff, ".byte 0x0f, 0xff, 0x00");

static struct trap t;

static bool raises(const uint8_t *stub, struct regs *r, int vec, uint64_t err, uint64_t rip)
{
	int got = exec_catch(r, stub, &t);

	if (got == vec && t.err == err && t.rip == rip)
		return true;
	report_info("got vector %d, error %#lx, RIP %#lx; stub %#lx", got, t.err, t.rip,
		    (uint64_t)stub);
	return false;
}

static bool faults(const uint8_t *stub, uint64_t rax, int vec, uint64_t err)
{
	struct regs r;

	regs_fill(&r);
	r.rax = rax;
	r.rcx = 0;
	return raises(stub, &r, vec, err, (uint64_t)stub);
}

static void test_simple(void)
{
	struct regs r;
	uint16_t cw = 0x37b;	/* zero divide not masked */

	report(faults(div_zero, 1, VEC_DE, 0), "DIV by zero: #DE");
	regs_fill(&r);
	r.rax = 0;
	r.rdx = 0x80000000;
	r.rcx = 0xffffffff;
	report(raises(idiv_overflow, &r, VEC_DE, 0, (uint64_t)idiv_overflow), "IDIV overflow: #DE");
	report(faults(ud2_insn, 0, VEC_UD, 0), "UD2: #UD, RIP at it");
	report(faults(invalid_0fff, 0, VEC_UD, 0), "UD0: #UD");
	report(faults(into_bad, 0, VEC_UD, 0), "INTO in 64-bit mode: #UD");
	report(faults(lock_mov, 0, VEC_UD, 0), "LOCK MOV: #UD");
	regs_fill(&r);
	report(raises(int3_insn, &r, VEC_BP, 0, (uint64_t)int3_insn_after), "INT3: #BP, RIP behind it");
	report(raises(int3_long, &r, VEC_BP, 0, (uint64_t)int3_long_after), "INT 3: #BP, RIP behind it");
	report(raises(icebp, &r, VEC_DB, 0, (uint64_t)icebp_after), "INT1: #DB, RIP behind it");
	report(faults(long_insn, 0, VEC_GP, 0), "16 bytes of instruction: #GP(0)");
	write_cr0(read_cr0() | CR0_NE);
	report(exec_catch((r.rax = (uint64_t)&cw, &r), fpu_div, &t) == VEC_MF && t.err == 0,
	       "x87 division by zero: #MF");
	__asm__ volatile("fninit");
	if (!on_service_vm())
		report(faults(vmcall_insn, 0, VEC_UD, 0), "VMCALL outside of VMX: #UD");
}

static void test_selectors(void)
{
	struct {
		uint64_t offset;
		uint16_t sel;
	} __attribute__((packed)) far = { 0, 0x1008 };

	report(faults(load_ds, 0x1000, VEC_GP, 0x1000), "DS beyond the GDT: #GP(selector)");
	report(faults(load_ds, 0x1004, VEC_GP, 0x1004), "DS from no LDT: #GP(selector with TI)");
	report(faults(load_ds, SEL_NOTPRESENT, VEC_NP, SEL_NOTPRESENT), "DS not present: #NP(selector)");
	report(faults(load_ss, SEL_NOTPRESENT, VEC_SS, SEL_NOTPRESENT), "SS not present: #SS(selector)");
	report(faults(load_ss, SEL_CODE64, VEC_GP, SEL_CODE64), "SS with a code segment: #GP(selector)");
	report(faults(load_ss, SEL_UDATA, VEC_GP, SEL_UDATA & ~3UL), "SS with RPL 3 at CPL 0: #GP(selector)");
	report(faults(load_tr, 0, VEC_GP, 0), "LTR null: #GP(0)");
	report(faults(load_tr, SEL_TSS, VEC_GP, SEL_TSS), "LTR with a busy TSS: #GP(selector)");
	far.offset = (uint64_t)ud2_insn;
	report(faults(far_jump, (uint64_t)&far, VEC_GP, 0x1008), "far jump beyond the GDT: #GP(selector)");
}

static void test_canonical(void)
{
	struct regs r;

	report(faults(load_mem, 0x800000000000UL, VEC_GP, 0), "non-canonical load: #GP(0)");
	report(faults(store_mem, 0xffff7fffffffffffUL, VEC_GP, 0), "non-canonical store: #GP(0)");
	regs_fill(&r);
	r.rbp = 0x800000000000UL;
	report(raises(load_stack, &r, VEC_SS, 0, (uint64_t)load_stack),
	       "non-canonical through RBP: #SS(0)");
	report(faults(jump, 0x800000000000UL, VEC_GP, 0), "jump to a non-canonical address: #GP(0)");
}

static uint64_t user_load(uint64_t va)
{
	return *(volatile uint8_t *)va;
}

static uint64_t user_store(uint64_t va)
{
	*(volatile uint8_t *)va = 1;
	return 0;
}

static uint64_t user_jump(uint64_t va)
{
	((void (*)(void))va)();
	return 0;
}

static void test_page_faults(void)
{
	uint64_t va = page_window(1) + 0x123, page = (uint64_t)page_alloc();
	uint64_t *pte = page_entry(va);
	bool nx = (rdmsr(MSR_EFER) & EFER_NXE) != 0;
	uint64_t id = nx ? 16 : 0;
	struct regs r;

	*(uint8_t *)(page + 0x123) = 0xc3;
	*pte = 0;
	report(faults(load_mem, va, VEC_PF, 0) && t.cr2 == va, "load, not present: error 0, CR2");
	report(faults(store_mem, va, VEC_PF, 2) && t.cr2 == va, "store, not present: W");
	regs_fill(&r);
	r.rax = va;
	report(exec_catch(&r, jump, &t) == VEC_PF && t.err == id && t.cr2 == va && t.rip == va,
	       "fetch, not present: I with NX, RIP at the target");
	report(user_call(user_load, va, 0, NULL, &t) == VEC_PF && t.err == 4 && t.cr2 == va,
	       "user load, not present: U");
	page_map(va, page, PTE_P);
	report(faults(store_mem, va, VEC_PF, 3), "store, read-only: W and P");
	report(user_call(user_load, va, 0, NULL, &t) == VEC_PF && t.err == 5,
	       "user load, supervisor page: U and P");
	page_map(va, page, PTE_P | PTE_U);
	report(user_call(user_load, va, 0, NULL, &t) == NO_TRAP, "user load, user page");
	report(user_call(user_store, va, 0, NULL, &t) == VEC_PF && t.err == 7,
	       "user store, read-only: U, W, P");
	if (nx) {
		page_map(va, page, PTE_P | PTE_U | PTE_NX);
		regs_fill(&r);
		r.rax = va;
		report(exec_catch(&r, jump, &t) == VEC_PF && t.err == 0x11, "fetch, NX: I and P");
		report(user_call(user_jump, va, 0, NULL, &t) == VEC_PF && t.err == 0x15,
		       "user fetch, NX: I, U, P");
		page_map(va, page, PTE_P | PTE_W | BIT(51));
	} else {
		report_skip("no NX");
		page_map(va, page, PTE_P | PTE_W | BIT(51));
	}
	if ((cpuid(0x80000008, 0).eax & 0xff) < 52)
		report(faults(load_mem, va, VEC_PF, 9), "reserved bit in the entry: RSVD and P");
	page_map(va, page, PTE_P | PTE_W);
	report(faults(load_mem, page_window(0), VEC_PF, 0), "the guard page is not there");
}

static uint64_t user_unaligned(uint64_t va)
{
	return *(volatile uint32_t *)(va + 1);
}

static uint64_t user_int(uint64_t unused)
{
	(void)unused;
	__asm__ volatile("int $0x70");
	return 0;
}

static uint64_t user_bp(uint64_t unused)
{
	(void)unused;
	__asm__ volatile("int3");
	return 0;
}

static uint64_t user_hlt(uint64_t unused)
{
	(void)unused;
	__asm__ volatile("hlt");
	return 0;
}

static void test_user(void)
{
	static uint64_t word[2];
	uint64_t cr0 = read_cr0();

	write_cr0(cr0 | CR0_AM);
	report(user_call(user_unaligned, (uint64_t)word, FLAG_AC, NULL, &t) == VEC_AC && t.err == 0,
	       "unaligned access at CPL 3 with AM and AC: #AC(0)");
	report(user_call(user_unaligned, (uint64_t)word, 0, NULL, &t) == NO_TRAP, "no #AC without AC");
	write_flags(read_flags() | FLAG_AC);
	report(user_unaligned((uint64_t)word) == 0, "no #AC at CPL 0");
	write_flags(read_flags() & ~FLAG_AC);
	write_cr0(cr0);
	report(user_call(user_int, 0, 0, NULL, &t) == VEC_GP && t.err == (0x70 << 3 | 2),
	       "INT 0x70 at CPL 3, gate DPL 0: #GP(vector, IDT)");
	report(user_call(user_bp, 0, 0, NULL, &t) == VEC_BP && (t.cs & 3) == 3 && (t.ss & 3) == 3,
	       "INT3 at CPL 3: #BP, CS and SS of the user");
	report(user_call(user_hlt, 0, 0, NULL, &t) == VEC_GP && t.err == 0, "HLT at CPL 3: #GP(0)");
}

static volatile unsigned int soft;

static void note_soft(struct trap *frame)
{
	soft++;
	if (frame->err != 0)
		soft += 100;
}

static void nested_inner(void *arg)
{
	(void)arg;
	__asm__ volatile("ud2");
}

static volatile int inner_vec;

static void nested_handler(struct trap *frame)
{
	inner_vec = catch_exception(nested_inner, NULL, NULL);
	frame->rip += 2;
	frame->rax = 0x77;
}

static void test_software_and_nested(void)
{
	struct regs r;

	trap_set_handler(0x70, note_soft);
	regs_fill(&r);
	soft = 0;
	report(exec_catch(&r, int_gate, &t) == NO_TRAP && soft == 1, "INT n goes through its gate once");
	trap_set_handler(0x70, NULL);

	trap_set_handler(VEC_DE, nested_handler);
	regs_fill(&r);
	r.rcx = 0;
	exec_regs(&r, div_zero);
	trap_set_handler(VEC_DE, NULL);
	report(inner_vec == VEC_UD && r.rax == 0x77,
	       "an exception inside an exception handler; the handler's RAX and RIP count");
}

/* Push with a stack that is not there: #PF, whose delivery faults again. */
__asm__(".pushsection .text\n"
	"bad_stack_push:\n\t"
	"mov %rdi, %rsp\n"
	"bad_stack_push_insn:\n\t"
	"push %rax\n\tud2\n"
	".popsection\n");
void bad_stack_push(void *rsp);
extern const uint8_t bad_stack_push_insn[];

static void bad_stack(void *arg)
{
	bad_stack_push(arg);
}

static void test_double_fault(void)
{
	uint64_t hole = page_window(1);
	int vec = catch_exception(bad_stack, (void *)(hole + 0x800), &t);

	*page_entry(hole) = 0;
	report(vec == VEC_DF && t.err == 0, "#PF with no stack to deliver it: #DF(0) through IST");
	report(vec == VEC_DF && t.rip == (uint64_t)bad_stack_push_insn && t.rsp == hole + 0x800,
	       "#DF: RIP and RSP of the first fault");
	report(vec == VEC_DF && t.cr2 >= hole && t.cr2 < hole + PAGE_SIZE, "#DF: CR2 of the last fault");
	/* IST for #PF: the same push is an ordinary page fault. */
	trap_set_ist(VEC_PF, 3);
	vec = catch_exception(bad_stack, (void *)(hole + 0x800), &t);
	trap_set_ist(VEC_PF, 0);
	report(vec == VEC_PF && t.err == 2 && t.cr2 == hole + 0x7f8,
	       "the same with an IST stack for #PF: #PF");
	vec = catch_exception(bad_stack, (void *)0x0000900000000000UL, &t);
	report(vec == VEC_DF, "#SS with a non-canonical stack: #DF");
}

/* The gate of 0x71 names a selector beyond the GDT: #GP with the IDT's entry or the selector. */
static void test_bad_gate(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) old, small;
	struct regs r;

	__asm__ volatile("sidt %0" : "=m"(old));
	small = old;
	small.limit = 0x70 * 16 - 1;
	__asm__ volatile("lidt %0" : : "m"(small));
	regs_fill(&r);
	report(exec_catch(&r, int_gate, &t) == VEC_GP && t.err == (0x70 << 3 | 2) &&
	       t.rip == (uint64_t)int_gate, "INT n beyond the IDT's limit: #GP(vector, IDT)");
	__asm__ volatile("lidt %0" : : "m"(old));
	((uint8_t *)old.base)[0x70 * 16 + 5] &= 0x7f;
	report(exec_catch(&r, int_gate, &t) == VEC_NP && t.err == (0x70 << 3 | 2),
	       "INT n through a gate that is not present: #NP(vector, IDT)");
	((uint8_t *)old.base)[0x70 * 16 + 5] |= 0x80;
}

static void test_iret(void)
{
	static uint64_t frame[5];
	int vec;

	/* IRETQ to a selector beyond the GDT. */
	frame[0] = (uint64_t)ud2_insn;
	frame[1] = 0x1008;
	frame[2] = 2;
	frame[3] = (uint64_t)&frame[5];
	frame[4] = SEL_DATA;
	try_begin();
	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\t"
			 TRY("iretq") "mov %%rbx, %%rsp" : : "r"(frame) : "rbx", "memory");
	vec = try_vector();
	report(vec == VEC_GP && try_error() == 0x1008, "IRETQ to a bad CS: #GP(selector)");
}

void test_main(void)
{
	test_simple();
	test_selectors();
	test_canonical();
	test_page_faults();
	test_user();
	test_software_and_nested();
	test_bad_gate();
	test_iret();
	test_double_fault();
}
