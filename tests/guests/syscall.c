/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT: selectors, addresses, flags, and where they fault; and that the MSRs behind them
 * stay a VM's own when VMs share a CPU. SDM vol. 2; vol. 3 section 5.8.7.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/legacy.h>

const char subject_name[] = "syscall";

#define STAR_VALUE	((uint64_t)(SEL_CODE32) << 48 | (uint64_t)SEL_CODE64 << 32)
#define VEC_TIMER	0x50U

/*
 * SYSCALL comes to sys_entry on the user's stack, notes what it sees, and leaves by INT to the library. SYSENTER comes
 * to enter_entry with the stack of its MSR.
 */
__asm__(".pushsection .text\n"
	"sys_entry: mov %rcx, sys_seen\n\tmov %r11, sys_seen + 8\n\tpushfq\n\tpop %rax\n\tmov %rax, sys_seen + 16\n\t"
	"mov %cs, %eax\n\tmov %rax, sys_seen + 24\n\tmov %ss, %eax\n\tmov %rax, sys_seen + 32\n\t"
	"mov %rsp, sys_seen + 40\n\t"
	"cmpq $0, sys_return\n\tje 1f\n\tmov sys_return, %rcx\n\tsysretq\n1:\tint $0x30\n"
	"enter_entry: pushfq\n\tpop %rax\n\tmov %rax, sys_seen + 16\n\tmov %cs, %eax\n\tmov %rax, sys_seen + 24\n\t"
	"mov %ss, %eax\n\tmov %rax, sys_seen + 32\n\tmov %rsp, sys_seen + 40\n\t"
	"cmpq $0, sys_return\n\tje 1f\n\tmov sys_return, %rdx\n\tmov %rdi, %rcx\n\tsysexitq\n1:\tint $0x30\n"
	/* User code. */
	"user_syscall: mov $0x1111, %eax\n\tsyscall\n"
	"user_syscall_after: mov %cs, %eax\n\tmov %rax, sys_seen + 48\n\tmov %ss, %eax\n\tmov %rax, sys_seen + 56\n\t"
	"pushfq\n\tpop %rax\n\tmov %rax, sys_seen + 64\n\tmov $0x600d, %eax\n\tret\n"
	"user_sysenter: mov %rsp, %rdi\n\tsysenter\n"
	"user_sysenter_after: mov %cs, %eax\n\tmov %rax, sys_seen + 48\n\tmov %ss, %eax\n\tmov %rax, sys_seen + 56\n\t"
	"mov $0x600d, %eax\n\tret\n"
	"user_sysret: sysretq\n\tret\n"
	"user_sysexit: sysexitq\n\tret\n"
	".popsection\n");
void sys_entry(void), enter_entry(void);
uint64_t user_syscall(uint64_t unused), user_sysenter(uint64_t unused), user_sysret(uint64_t unused),
	user_sysexit(uint64_t unused);
extern const uint8_t user_syscall_after[], user_sysenter_after[];
uint64_t sys_seen[9], sys_return;

STUB(sysret_insn, "sysretq");
STUB(sysexit_insn, "sysexitq");

static struct trap t;

static void test_syscall(void)
{
	uint64_t efer = rdmsr(MSR_EFER), ret = 0;

	wrmsr(MSR_STAR, STAR_VALUE);
	wrmsr(MSR_LSTAR, (uint64_t)sys_entry);
	wrmsr(MSR_FMASK, FLAG_CF | FLAG_DF | FLAG_IF | FLAG_TF);
	wrmsr(MSR_EFER, efer & ~EFER_SCE);
	report(user_call(user_syscall, 0, 0, NULL, &t) == VEC_UD, "SYSCALL without EFER.SCE: #UD");
	wrmsr(MSR_EFER, efer | EFER_SCE);
	memset(sys_seen, 0, sizeof(sys_seen));
	sys_return = 0;
	report(user_call(user_syscall, 0, FLAG_CF | FLAG_ZF | FLAG_DF, &ret, &t) == NO_TRAP,
	       "SYSCALL from CPL 3 to LSTAR");
	report(sys_seen[0] == (uint64_t)user_syscall_after, "RCX is the next instruction");
	report((sys_seen[1] & (FLAG_CF | FLAG_ZF | FLAG_DF)) == (FLAG_CF | FLAG_ZF | FLAG_DF), "R11 is RFLAGS");
	report((sys_seen[2] & (FLAG_CF | FLAG_ZF | FLAG_DF)) == FLAG_ZF, "FMASK clears flags");
	report(sys_seen[3] == SEL_CODE64 && sys_seen[4] == SEL_DATA, "CS and SS from STAR[47:32]");
	sys_return = (uint64_t)user_syscall_after;
	ret = 0;
	report(user_call(user_syscall, 0, FLAG_CF | FLAG_ZF, &ret, &t) == NO_TRAP && ret == 0x600d, "SYSRET goes back");
	report(sys_seen[6] == (SEL_CODE32 + 16 + 3) && sys_seen[7] == (SEL_CODE32 + 8 + 3),
	       "CS and SS from STAR[63:48]");
	report((sys_seen[8] & (FLAG_CF | FLAG_ZF)) == (FLAG_CF | FLAG_ZF), "RFLAGS from R11");
	report(user_call(user_sysret, 0, 0, NULL, &t) == VEC_GP && t.err == 0, "SYSRET at CPL 3: #GP(0)");
	{
		struct regs r;

		regs_fill(&r);
		r.rcx = 0x800000000000UL;
		r.r11 = 2;
		report(exec_catch(&r, sysret_insn, &t) == VEC_GP && (t.cs & 3) == 0,
		       "SYSRET to a non-canonical RIP: #GP at CPL 0");
	}
	wrmsr(MSR_EFER, efer);
	{
		struct regs r;

		regs_fill(&r);
		report(exec_catch(&r, sysret_insn, &t) == VEC_UD, "SYSRET without EFER.SCE: #UD");
	}
}

static void test_sysenter(void)
{
	static uint8_t stack[512] __attribute__((aligned(16)));
	struct regs r;
	uint64_t ret = 0;

	wrmsr(MSR_SYSENTER_CS, 0);
	wrmsr(MSR_SYSENTER_ESP, (uint64_t)stack + sizeof(stack));
	wrmsr(MSR_SYSENTER_EIP, (uint64_t)enter_entry);
	regs_fill(&r);
	report(user_call(user_sysenter, 0, 0, NULL, &t) == VEC_GP && t.err == 0,
	       "SYSENTER with a null SYSENTER_CS: #GP(0)");
	report(exec_catch(&r, sysexit_insn, &t) == VEC_GP && t.err == 0, "SYSEXIT with a null SYSENTER_CS: #GP(0)");
	/* SYSENTER: +0, +8. SYSEXIT to 64 bits: +32, +40. */
	wrmsr(MSR_SYSENTER_CS, SEL_CODE64);
	memset(sys_seen, 0, sizeof(sys_seen));
	sys_return = 0;
	report(user_call(user_sysenter, 0, FLAG_ZF, &ret, &t) == NO_TRAP &&
	       sys_seen[5] == (uint64_t)stack + sizeof(stack),
	       "SYSENTER: RIP and RSP from the MSRs");
	report(sys_seen[3] == SEL_CODE64 && sys_seen[4] == SEL_DATA && (sys_seen[2] & (FLAG_IF | FLAG_ZF)) == FLAG_ZF,
	       "SYSENTER: CS, SS and IF clear");
	sys_return = (uint64_t)user_sysenter_after;
	ret = 0;
	report(user_call(user_sysenter, 0, 0, &ret, &t) == NO_TRAP && ret == 0x600d &&
	       sys_seen[6] == (SEL_CODE64 + 32 + 3) && sys_seen[7] == (SEL_CODE64 + 40 + 3), "SYSEXIT to 64-bit code");
	report(user_call(user_sysexit, 0, 0, NULL, &t) == VEC_GP && t.err == 0, "SYSEXIT at CPL 3: #GP(0)");
	regs_fill(&r);
	r.rdx = 0x800000000000UL;
	r.rcx = (uint64_t)stack;
	report(exec_catch(&r, sysexit_insn, &t) == VEC_GP && (t.cs & 3) == 0, "SYSEXIT to a non-canonical RIP: #GP");
	r.rdx = (uint64_t)user_sysenter_after;
	r.rcx = 0x800000000000UL;
	report(exec_catch(&r, sysexit_insn, &t) == VEC_GP && (t.cs & 3) == 0, "SYSEXIT to a non-canonical RSP: #GP");
	report(wrmsr_safe(MSR_SYSENTER_EIP, 0x800000000000UL) == VEC_GP && wrmsr_safe(MSR_SYSENTER_ESP,
	       0x800000000000UL) == VEC_GP,
	       "SYSENTER_EIP and ESP: canonical values only");
	report(wrmsr_safe(MSR_LSTAR, 0x800000000000UL) == VEC_GP && wrmsr_safe(MSR_CSTAR, 0x800000000000UL) == VEC_GP,
	       "LSTAR and CSTAR: canonical values only");
}

/* SYSENTER in legacy mode: CS, SS, flags. */
__asm__(".pushsection .text\n\t.code32\n"
	"leg_sysenter: movl $0x174, %ecx\n\txorl %edx, %edx\n\tmovl $0x18, %eax\n\twrmsr\n\t"
	"movl $0x175, %ecx\n\tmovl %esi, %eax\n\twrmsr\n\t"
	"movl $0x176, %ecx\n\tmovl $leg_target, %eax\n\twrmsr\n\tsysenter\n"
	"leg_target: movw %cs, %cx\n\tmovw %ss, %dx\n\tmovl %esp, %esi\n\tint $0x30\n\t"
	".code64\n\t.popsection\n");
void leg_sysenter(void);

static void test_legacy(void)
{
	struct legacy l = legacy_protected((uint32_t)(uintptr_t)leg_sysenter);
	uint64_t cs = rdmsr(MSR_SYSENTER_CS), esp = rdmsr(MSR_SYSENTER_ESP), eip = rdmsr(MSR_SYSENTER_EIP);
	uint64_t old = legacy_gdt[LEG_UDATA / 8];

	/* SS is CS + 8: the library's user data entry becomes one of CPL 0 for this. */
	legacy_gdt[LEG_UDATA / 8] = legacy_gdt[LEG_DATA / 8];
	l.esi = l.esp - 512;
	report(legacy_run(&l) == NO_TRAP && (l.ecx & 0xffff) == LEG_CODE && (l.edx & 0xffff) == (LEG_CODE + 8) &&
	       l.cs == LEG_CODE, "SYSENTER in 32-bit mode");
	legacy_gdt[LEG_UDATA / 8] = old;
	wrmsr(MSR_SYSENTER_CS, cs);
	wrmsr(MSR_SYSENTER_ESP, esp);
	wrmsr(MSR_SYSENTER_EIP, eip);
}

static void test_kept(void)
{
	static const uint32_t msrs[] = { MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS,
		MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_FS_BASE };
	uint64_t value = rdtsc() & 0x3fffffff;	/* differs in each VM */
	bool ok = true;

	if (!lapic_present()) {
		report_skip("no local APIC: sleep");
		return;
	}
	lapic_enable();
	lapic_write(APIC_LVT_TIMER, VEC_TIMER);
	trap_set_handler(VEC_TIMER, trap_handler_eoi);
	for (unsigned int round = 0; round < 20; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
			wrmsr(msrs[i], value + i + round);
		lapic_write(APIC_TMICT, 3000);
		sti_hlt_cli();
		for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
			ok = ok && rdmsr(msrs[i]) == value + i + round;
	}
	report(ok, "the MSRs stay while the CPU sleeps and others use it");
	wrmsr(MSR_FS_BASE, 0);
	trap_set_handler(VEC_TIMER, NULL);
}

void test_main(void)
{
	test_syscall();
	if ((cpuid(1, 0).edx & BIT(11)) == 0) {
		report_skip("no SYSENTER");
		return;
	}
	test_sysenter();
	test_legacy();
	test_kept();
}
