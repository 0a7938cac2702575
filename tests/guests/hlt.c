/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HLT: what wakes it and what does not, and where the CPU goes on. SDM vol. 2 HLT, STI.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/ioapic.h>
#include <guests/lib/pit.h>
#include <guests/lib/smp.h>

const char subject_name[] = "hlt";

#define VEC_TIMER	0x53U
#define VEC_OTHER	0x43U

STUB(sti_hlt, "sti\n\thlt\nsti_hlt_next:\n\tcli");
STUB(hlt_insn, "hlt\nhlt_next:\n\tnop");
extern const uint8_t sti_hlt_next[], hlt_next[];

static volatile uint64_t woken_at;

static void note(struct trap *t)
{
	woken_at = t->rip;
	if (t->vec != VEC_NMI)
		lapic_eoi();
}

static void arm(uint32_t count)
{
	lapic_write(APIC_TDCR, 0xb);
	lapic_write(APIC_LVT_TIMER, VEC_TIMER);
	lapic_write(APIC_TMICT, count);
}

static void test_timer(void)
{
	struct regs r;
	bool ok = true;

	regs_fill(&r);
	for (int i = 0; i < 20; i++) {
		woken_at = 0;
		trap_count_reset(VEC_TIMER);
		arm(5000);
		exec_regs(&r, sti_hlt);
		ok = ok && trap_count(VEC_TIMER) == 1 && woken_at == (uint64_t)sti_hlt_next;
	}
	report(ok, "STI; HLT; CLI: each timer wakes it, RIP behind HLT");

	trap_count_reset(VEC_TIMER);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_TIMER, 0);
	exec_regs(&r, sti_hlt);
	report(trap_count(VEC_TIMER) == 1 && woken_at == (uint64_t)sti_hlt_next,
	       "STI; HLT with an interrupt pending: not lost in between");

	trap_count_reset(VEC_TIMER);
	arm(5000);
	sti();
	__asm__ volatile("nop" : : : "memory");
	if (trap_count(VEC_TIMER) == 0)
		__asm__ volatile("hlt" : : : "memory");
	cli();
	report(trap_count(VEC_TIMER) == 1, "HLT with interrupts on all the time");

	/* Held back by TPR: only the timer's vector, which is higher, may wake. */
	trap_count_reset(VEC_TIMER);
	trap_count_reset(VEC_OTHER);
	write_cr8(4);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_OTHER, 0);
	arm(5000);
	exec_regs(&r, sti_hlt);
	report(trap_count(VEC_TIMER) == 1 && trap_count(VEC_OTHER) == 0,
	       "an interrupt below TPR does not wake");
	write_cr8(0);
	irq_window();
	report(trap_count(VEC_OTHER) == 1, "it comes when TPR goes down");
}

static void test_registers_kept(void)
{
	struct regs r, want;

	regs_fill(&r);
	want = r;
	arm(5000);
	exec_regs(&r, sti_hlt);
	report(regs_equal(&r, &want, FLAG_ARITH | FLAG_DF), "HLT keeps registers and flags");
}

static void test_nmi(void)
{
	unsigned int pin;
	struct regs r;

	if (!ioapic_present() || !pit_present()) {
		report_skip("no I/O APIC or PIT: NMI with interrupts off");
		return;
	}
	pin = ioapic_isa_pin(0);
	trap_set_handler(VEC_NMI, note);
	trap_count_reset(VEC_NMI);
	trap_count_reset(VEC_TIMER);
	pit_set(0, 0, 3000);
	ioapic_set_rte(pin, RTE_NMI | RTE_DEST(lapic_id()));
	/* The timer's interrupt comes first and must not wake: IF=0. */
	arm(200);
	regs_fill(&r);
	woken_at = 0;
	exec_regs(&r, hlt_insn);
	ioapic_set_rte(pin, RTE_MASKED);
	report(trap_count(VEC_NMI) == 1 && woken_at == (uint64_t)hlt_next,
	       "HLT with interrupts off: an NMI wakes it, RIP behind HLT");
	report(trap_count(VEC_TIMER) == 0, "HLT with interrupts off: an interrupt does not");
	irq_window();
	report(trap_count(VEC_TIMER) == 1, "that interrupt is still pending");
	trap_set_handler(VEC_NMI, NULL);
}

static void wake_bsp(void *arg)
{
	delay_ticks(50000);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | VEC_OTHER, *(uint32_t *)arg);
}

static void send_nmi(void *arg)
{
	delay_ticks(50000);
	lapic_ipi(ICR_NMI | ICR_ASSERT, *(uint32_t *)arg);
}

static void test_other_cpu(void)
{
	uint32_t id = lapic_id();

	if (smp_start() < 2) {
		report_skip("one CPU: wake-up by another");
		return;
	}
	trap_set_handler(VEC_NMI, note);
	trap_count_reset(VEC_NMI);
	on_cpu_async(1, send_nmi, &id);
	__asm__ volatile("hlt" : : : "memory");
	on_cpu_wait(1);
	report(trap_count(VEC_NMI) == 1, "HLT with interrupts off: another CPU's NMI wakes it");
	trap_set_handler(VEC_NMI, NULL);
}

static volatile unsigned int nmis;
static volatile bool went_on, stayed;

/* The IRET of the interrupt that ends the HLT lets the second NMI in. */
static void halt_in_nmi(struct trap *t)
{
	(void)t;
	if (++nmis == 1) {
		sti_hlt_cli();
		went_on = true;
	}
}

static void nmi_nmi_wake(void *arg)
{
	send_nmi(arg);
	for (unsigned int i = 0; i < 100000 && nmis == 0; i++)
		delay_ticks(1000);
	send_nmi(arg);
	delay_ticks(50000);
	stayed = nmis == 1 && !went_on;
	wake_bsp(arg);
}

static void test_blocked_nmi(void)
{
	uint32_t id = lapic_id();

	if (smp_online() < 2)
		return;
	trap_set_ist(VEC_NMI, 0);	/* one inside another would overwrite its frame */
	trap_set_handler(VEC_NMI, halt_in_nmi);
	trap_count_reset(VEC_OTHER);
	on_cpu_async(1, nmi_nmi_wake, &id);
	report(on_cpu_wait(1), "two NMIs and an interrupt were sent");
	for (unsigned int i = 0; i < 100000 && !went_on; i++)
		delay_ticks(1000);
	report(stayed, "HLT in an NMI's handler: another CPU's NMI does not wake it");
	report(went_on && nmis == 2 && trap_count(VEC_OTHER) == 1, "... and comes after an interrupt that does");
	trap_set_handler(VEC_NMI, NULL);
}

static void test_ping(void)
{
	uint32_t id = lapic_id();
	bool ok = true;

	if (smp_online() < 2)
		return;
	for (int i = 0; i < 10; i++) {
		trap_count_reset(VEC_OTHER);
		on_cpu_async(1, wake_bsp, &id);
		sti_hlt_cli();
		ok = ok && on_cpu_wait(1) && trap_count(VEC_OTHER) == 1;
	}
	report(ok, "another CPU's IPI wakes it");
}

void test_main(void)
{
	if (!lapic_present()) {
		report_skip("no local APIC");
		return;
	}
	lapic_enable();
	trap_set_handler(VEC_TIMER, note);
	trap_set_handler(VEC_OTHER, note);
	test_timer();
	test_registers_kept();
	test_nmi();
	test_other_cpu();
	test_ping();
	test_blocked_nmi();
}
