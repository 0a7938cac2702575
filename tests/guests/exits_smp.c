/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an interrupt from one CPU to another costs: the sender, and the one that takes it. Each CPU's own instructions
 * are counted (<guests/lib/cost.h>), so there is no time from sending to arrival here, and no row without a simulator
 * that counts.
 */
#include <guests/lib/apic.h>
#include <guests/lib/cost.h>
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>

const char subject_name[] = "exits_smp";

#define VEC_IPI	0x70U
#define X2APIC(reg) (MSR_X2APIC + (reg) / 16)
#define SETTLE	20000	/* iterations: the other CPU is halted by then */

static volatile bool stop;
static volatile uint64_t arrived;

/* What the target was at before: two, so that the interrupt never finds one half written. */
static struct cost before[2];
static volatile uint32_t latest;
static bool target_measures;

static void on_ipi(struct trap *t)
{
	struct cost now;

	(void)t;
	cost_end(&now);
	if (target_measures && arrived < COST_ROUNDS)
		cost_sample((uint32_t)arrived, &before[latest], &now);
	wrmsr(X2APIC(APIC_EOI), 0);
	arrived++;
}

static void enter_x2apic(void *arg)
{
	(void)arg;
	lapic_enter_x2apic();
}

static void spin(void *arg)
{
	(void)arg;
	while (!stop) {
		const uint32_t next = latest ^ 1U;

		cost_begin(&before[next]);
		latest = next;
	}
}

static void halt(void *arg)
{
	(void)arg;
	cli();
	while (!stop) {
		cost_begin(&before[latest]);
		sti_hlt_cli();
	}
	sti();
}

static void send(void)
{
	wrmsr(X2APIC(APIC_ICR), ((uint64_t)smp_apic_id(1) << 32) | ICR_FIXED | ICR_ASSERT | VEC_IPI);
}

static bool wait_for(uint64_t count)
{
	for (uint64_t patience = 0; arrived < count && patience < 100000000; patience++)
		cpu_pause();
	return arrived >= count;
}

/* @halted: the target sleeps when the interrupt comes. @target: it measures, else the sender does. */
static bool measure(const char *name, bool halted, bool target)
{
	bool ok = true;

	stop = false;
	arrived = 0;
	target_measures = target;
	on_cpu_async(1, halted ? halt : spin, NULL);
	for (uint32_t i = 0; i < COST_ROUNDS && ok; i++) {
		struct cost begin, end;

		for (volatile uint32_t n = 0; n < SETTLE; n++)
			;
		cost_begin(&begin);
		send();
		cost_end(&end);
		if (!target)
			cost_sample(i, &begin, &end);
		ok = wait_for(i + 1);
	}
	stop = true;
	target_measures = false;
	send();
	ok = on_cpu_wait(1) && ok;
	cost_tell(name, 1, true);
	return ok;
}

void test_main(void)
{
	bool ok = true;

	cost_init();
	if (!lapic_present() || !lapic_x2apic_supported() || !cost_is_counted() || smp_expected() < 2) {
		report_skip("one CPU, no x2APIC, or nobody counts");
		return;
	}
	lapic_enable();
	if (smp_start() < 2) {
		report(false, "the second CPU has started");
		return;
	}
	trap_set_handler(VEC_IPI, on_ipi);
	lapic_enter_x2apic();
	report(on_cpu(1, enter_x2apic, NULL), "both in x2APIC mode");
	ok = ok && measure("IPI to a running vCPU: sender", false, false);
	ok = ok && measure("IPI to a running vCPU: target", false, true);
	ok = ok && measure("IPI to a halted vCPU: sender", true, false);
	ok = ok && measure("IPI to a halted vCPU: target, HLT to its handler", true, true);
	report(ok, "measured: each interrupt has arrived");
}
