/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The time-stamp counter: RDTSC, RDTSCP, RDPID and the MSR agree, grow on one CPU and between CPUs; writes to it and to
 * IA32_TSC_ADJUST; the TSC-deadline timer when the TSC jumps; what INIT leaves alone. SDM vol. 3, 18.17 and 11.5.4.1.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>

const char subject_name[] = "tsc";

#define VEC_TIMER	0x51U
#define PATIENCE	100000000UL
#define NOBODY		0x7f00
#define FAR		(1UL << 44)

static struct trap t;

STUB(rdpid_insn, ".byte 0xf3, 0x0f, 0xc7, 0xf8");	/* RDPID RAX */

static uint64_t rdtscp(uint32_t *aux)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(*aux));
	return (uint64_t)hi << 32 | lo;
}

static void test_reading(bool has_rdtscp)
{
	uint64_t last = rdtsc();
	bool ok = true;

	for (unsigned int i = 0; i < 2000; i++) {
		uint64_t now = i % 2 == 0 ? rdtsc() : rdmsr(MSR_TSC);

		ok = ok && now > last;
		last = now;
		if (i % 50 == 0)
			inb(NOBODY);
	}
	report(ok, "RDTSC and IA32_TSC grow, over exits too");
	if (has_rdtscp) {
		uint32_t aux = 0;
		uint64_t now;

		wrmsr(MSR_TSC_AUX, 0x87654321);
		now = rdtscp(&aux);
		report(now > last && aux == 0x87654321, "RDTSCP: the TSC and IA32_TSC_AUX");
		report(wrmsr_safe(MSR_TSC_AUX, BIT(32)) == VEC_GP || rdmsr(MSR_TSC_AUX) <= 0xffffffff,
		       "IA32_TSC_AUX has 32 bits");
	}
	if ((cpuid(7, 0).ecx & BIT(22)) != 0) {
		struct regs r;

		regs_fill(&r);
		report(exec_catch(&r, rdpid_insn, &t) == NO_TRAP && r.rax == rdmsr(MSR_TSC_AUX), "RDPID");
	}
	report((cpuid(0x80000007, 0).edx & BIT(8)) != 0 || !on_hypervisor(), "CPUID: invariant TSC");
}

static void test_writing(void)
{
	uint64_t before = rdtsc(), now;
	bool adjust = (cpuid(7, 0).ebx & BIT(1)) != 0;
	uint64_t old = adjust ? rdmsr(MSR_TSC_ADJUST) : 0;

	wrmsr(MSR_TSC, before + FAR);
	now = rdtsc();
	report(now >= before + FAR && now < before + FAR + 10000000, "a write to IA32_TSC: all 64 bits");
	if (adjust)
		report(rdmsr(MSR_TSC_ADJUST) - old >= FAR - 10000000 && rdmsr(MSR_TSC_ADJUST) - old <= FAR,
		       "IA32_TSC_ADJUST has followed");
	wrmsr(MSR_TSC, 5);
	now = rdtsc();
	report(now >= 5 && now < 10000000, "the TSC can be set back");
	if (!adjust) {
		wrmsr(MSR_TSC, before);
		report_skip("no IA32_TSC_ADJUST");
		return;
	}
	wrmsr(MSR_TSC_ADJUST, old);
	now = rdtsc();
	report(now >= before && now < before + 20000000 && rdmsr(MSR_TSC_ADJUST) == old,
	       "IA32_TSC_ADJUST as before: so is the TSC");
	wrmsr(MSR_TSC_ADJUST, old - 1000);
	wrmsr(MSR_TSC_ADJUST, old);
	report(rdtsc() > now, "... and still after two writes");
}

/* --- TSC deadline ---------------------------------------------------------------------------------- */

static bool fires_within(uint64_t ticks)
{
	uint64_t old = 0;

	/* Counted in loops that do not read the TSC, which is what jumps. */
	for (; old < ticks / 8 && trap_count(VEC_TIMER) == 0; old++)
		irq_window();
	return trap_count(VEC_TIMER) != 0;
}

static void test_deadline(void)
{
	uint64_t when, old;

	if (!lapic_present() || (cpuid(1, 0).ecx & BIT(24)) == 0) {
		report_skip("no TSC-deadline timer");
		return;
	}
	lapic_enable();
	trap_set_handler(VEC_TIMER, trap_handler_eoi);
	lapic_write(APIC_LVT_TIMER, LVT_DEADLINE | VEC_TIMER);
	__asm__ volatile("mfence" : : : "memory");
	trap_count_reset(VEC_TIMER);
	when = rdtsc() + FAR;
	wrmsr(MSR_TSC_DEADLINE, when);
	report(rdmsr(MSR_TSC_DEADLINE) == when && !fires_within(100000), "a deadline far away waits");
	old = rdtsc();
	wrmsr(MSR_TSC, when + 1);
	report_xfail(!on_hypervisor(), "Bochs keeps the old time", fires_within(4000000),
		     "the TSC jumps over the deadline: it fires");
	if (trap_count(VEC_TIMER) != 0)
		report(rdmsr(MSR_TSC_DEADLINE) == 0 || !on_hypervisor(), "... and is disarmed");
	wrmsr(MSR_TSC_DEADLINE, 0);
	trap_count_reset(VEC_TIMER);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 100000);
	wrmsr(MSR_TSC, old);
	report_xfail(!on_hypervisor(), "Bochs keeps the old time", !fires_within(4000000),
		     "the TSC jumps back: the deadline is far away");
	wrmsr(MSR_TSC_DEADLINE, 0);
	wrmsr(MSR_TSC, old);
	trap_count_reset(VEC_TIMER);
	when = rdtsc() + 1000000;
	wrmsr(MSR_TSC_DEADLINE, when);
	sti_hlt_cli();
	report_xfail(!on_hypervisor(), "Bochs keeps the old time", trap_count(VEC_TIMER) == 1 && rdtsc() >= when,
		     "a deadline wakes HLT, not before its time");
	trap_count_reset(VEC_TIMER);
	wrmsr(MSR_TSC_DEADLINE, ~0UL);
	report_xfail(!on_hypervisor(), "Bochs keeps the old time", !fires_within(100000),
		     "a deadline at the end of time");
	wrmsr(MSR_TSC_DEADLINE, 1);
	trap_count_reset(VEC_TIMER);
	wrmsr(MSR_TSC_DEADLINE, 1);
	report(fires_within(100000), "a deadline in the past fires");
	lapic_write(APIC_LVT_TIMER, LVT_MASKED);
}

/* --- two CPUs ---------------------------------------------------------------------------------------- */

static volatile uint64_t passed_on;
static volatile unsigned int turn, backwards;

static void take_turns(void *arg)
{
	unsigned int me = *(unsigned int *)arg;

	for (unsigned int round = 0; round < 300; round++) {
		uint64_t now;

		while (turn != me)
			cpu_pause();
		now = rdtsc();
		if (now < passed_on)
			backwards++;
		passed_on = now;
		turn = 1 - me;
	}
}

static void test_two(void)
{
	static unsigned int index[2] = { 0, 1 };

	turn = 0;
	on_cpu_async(1, take_turns, &index[1]);
	take_turns(&index[0]);
	on_cpu_wait(1);
	report(backwards == 0, "the TSC does not run backwards from CPU to CPU");
}

static struct {
	uint64_t tsc, adjust, pat, sysenter_cs, sysenter_esp, sysenter_eip, star, lstar, kernel_gs, efer;
	uint64_t dr0, dr6, dr7, mtrr;
} seen;
static const uint64_t pat_value = 0x0007040600070401UL;

static void prepare(void *arg)
{
	(void)arg;
	wrmsr(MSR_PAT, pat_value);
	wrmsr(MSR_SYSENTER_CS, 0x1234);
	wrmsr(MSR_SYSENTER_ESP, 0x5678);
	wrmsr(MSR_SYSENTER_EIP, 0x9abc);
	wrmsr(MSR_STAR, 0x0018000800000000UL);
	wrmsr(MSR_LSTAR, 0xdef0);
	wrmsr(MSR_KERNEL_GS_BASE, 0x7777);
	write_dr0(0x4444);
	write_dr7(0x400 | 0x300);
	wrmsr(MSR_TSC, rdtsc() + FAR);
}

static void look(void *arg)
{
	(void)arg;
	seen.tsc = rdtsc();
	seen.adjust = (cpuid(7, 0).ebx & BIT(1)) != 0 ? rdmsr(MSR_TSC_ADJUST) : 0;
	seen.pat = rdmsr(MSR_PAT);
	seen.sysenter_cs = rdmsr(MSR_SYSENTER_CS);
	seen.sysenter_esp = rdmsr(MSR_SYSENTER_ESP);
	seen.sysenter_eip = rdmsr(MSR_SYSENTER_EIP);
	seen.star = rdmsr(MSR_STAR);
	seen.lstar = rdmsr(MSR_LSTAR);
	seen.kernel_gs = rdmsr(MSR_KERNEL_GS_BASE);
	seen.efer = rdmsr(MSR_EFER);
	seen.dr0 = read_dr0();
	seen.dr7 = read_dr7();
	wrmsr(MSR_PAT, 0x0007040600070406UL);
}

static void test_init(void)
{
	unsigned int online = smp_online();
	uint32_t id = smp_apic_id(1);
	uint64_t here;

	on_cpu(1, prepare, NULL);
	lapic_ipi(ICR_INIT | ICR_ASSERT, id);
	delay_ticks(400000);
	lapic_ipi(ICR_STARTUP | ICR_ASSERT | AP_TRAMPOLINE_PAGE >> 12, id);
	if (!smp_wait_online(online + 1)) {
		report(false, "the CPU starts again after INIT");
		return;
	}
	on_cpu(online, look, NULL);
	here = rdtsc();
	report(seen.tsc >= FAR && seen.tsc - FAR <= here + PATIENCE, "INIT leaves the TSC alone");
	if ((cpuid(7, 0).ebx & BIT(1)) != 0)
		report(seen.adjust >= FAR - PATIENCE && seen.adjust <= FAR, "INIT leaves IA32_TSC_ADJUST alone");
	report(seen.pat == pat_value, "INIT leaves the PAT alone");
	report(seen.sysenter_cs == 0x1234 && seen.sysenter_esp == 0x5678 && seen.sysenter_eip == 0x9abc,
	       "INIT leaves the SYSENTER MSRs alone");
	report_xfail(!on_hypervisor(), "Bochs clears them",
		     seen.star == 0x0018000800000000UL && seen.lstar == 0xdef0 && seen.kernel_gs == 0x7777,
		     "INIT leaves STAR, LSTAR and KERNEL_GS_BASE alone");
	report((seen.efer & EFER_SCE) == 0, "EFER begins anew");
	report(seen.dr0 == 0 && seen.dr7 == 0x400, "INIT clears the debug registers");
}

void test_main(void)
{
	bool has_rdtscp = (cpuid(0x80000001, 0).edx & BIT(27)) != 0;

	test_reading(has_rdtscp);
	if (!has_rdtscp)
		report_skip("no RDTSCP");
	if (lapic_present()) {
		lapic_enable();
		smp_start();
	}
	if (smp_online() >= 2)
		test_two();
	else
		report_skip("one CPU");
	test_writing();
	test_deadline();
	if (smp_online() >= 2)
		test_init();
}
