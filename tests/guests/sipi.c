/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Application processors: INIT, start-up IPI, their state, IPIs between all, NMI, starting again.
 * SDM vol. 3 sections 9.4 and 10.1.1. With one CPU all is skipped. "x2apic" on the command line
 * runs it in that mode.
 */
#include <guests/lib/acpi.h>
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/hypercall.h>
#include <guests/lib/ioapic.h>
#include <guests/lib/pit.h>
#include <guests/lib/smp.h>

const char subject_name[] = "sipi";

#define VEC_TEST	0x55U
#define PATIENCE	200000000UL
#define ROUNDS		200
#define TURNS		4000000UL	/* in which each vCPU gets its slice, where several share a CPU */

static bool wait_count(unsigned int vec, unsigned int count)
{
	uint64_t start = rdtsc();

	while (trap_count(vec) < count) {
		if (rdtsc() - start > PATIENCE)
			return false;
		cpu_pause();
	}
	return true;
}

static void test_start(unsigned int expected)
{
	struct madt_facts m;
	unsigned int n = smp_start();
	bool distinct = true, listed = true, cr0_ok = true, edx_ok = true;

	report(n == expected, "every CPU of the MADT comes up");
	acpi_madt(&m);
	for (unsigned int i = 1; i < n; i++) {
		bool found = false;

		for (unsigned int k = 0; k < i; k++)
			distinct = distinct && smp_apic_id(i) != smp_apic_id(k);
		for (unsigned int k = 0; k < m.cpu_count; k++)
			found = found || m.apic_ids[k] == smp_apic_id(i);
		listed = listed && found;
		cr0_ok = cr0_ok && (smp_init_cr0(i) & ~0x60000000U) == 0x10;
		edx_ok = edx_ok && (smp_init_edx(i) & 0xff0) == (cpuid(1, 0).eax & 0xff0);
	}
	report(distinct, "APIC ids are distinct");
	report(listed, "APIC ids are those of the MADT");
	report(cr0_ok, "after INIT CR0 is ET, with CD and NW as they were");
	report_info("CPU 1: CR0 %#x, EDX %#x", smp_init_cr0(1), smp_init_edx(1));
	report_xfail(!on_hypervisor(), "Bochs clears it", edx_ok, "after INIT EDX holds the family and model");
}

static uint32_t cpu_seen[MAX_CPUS];

static void note_cpu(void *arg)
{
	unsigned int cpu = *(unsigned int *)arg;

	cpu_seen[cpu] = cpu_index() == cpu && lapic_id() == smp_apic_id(cpu) &&
		(rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP) == 0;
}

static void test_work(unsigned int n)
{
	static unsigned int index[MAX_CPUS];
	bool ok = true;

	for (unsigned int i = 1; i < n; i++) {
		index[i] = i;
		ok = ok && on_cpu(i, note_cpu, &index[i]) && cpu_seen[i] != 0;
	}
	report(ok, "each runs code when an IPI wakes it, none is the boot CPU");
	report((rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP) != 0, "this one is the boot CPU");
}

static struct spinlock lock;
static uint64_t counter;

static void add_locked(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		spin_lock(&lock);
		counter++;
		spin_unlock(&lock);
	}
}

static void test_lock(unsigned int n)
{
	bool ok = true;

	for (unsigned int i = 1; i < n; i++)
		on_cpu_async(i, add_locked, NULL);
	add_locked(NULL);
	for (unsigned int i = 1; i < n; i++)
		ok = ok && on_cpu_wait(i);
	report(ok && counter == (uint64_t)n * ROUNDS, "a lock between all CPUs");
}

static void test_broadcast(unsigned int n)
{
	trap_set_handler(VEC_TEST, trap_handler_eoi);
	trap_count_reset(VEC_TEST);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_OTHERS | VEC_TEST, 0);
	report(wait_count(VEC_TEST, n - 1), "all but self");
	delay_ticks(100000);
	irq_window();
	report(trap_count(VEC_TEST) == n - 1, "all but self: each once, not here");
	trap_count_reset(VEC_TEST);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_ALL | VEC_TEST, 0);
	sti();
	report(wait_count(VEC_TEST, n), "all including self");
	cli();
	trap_count_reset(VEC_TEST);
	for (unsigned int round = 0; round < 50; round++) {
		lapic_ipi(ICR_FIXED | ICR_ASSERT | VEC_TEST, smp_apic_id(1 + round % (n - 1)));
		if (!wait_count(VEC_TEST, round + 1))
			break;
	}
	report(trap_count(VEC_TEST) == 50, "IPIs to halted CPUs: none lost, none doubled");
}

static volatile uint32_t where;	/* CPUs that got the timer's interrupt */

static void note_where(struct trap *t)
{
	(void)t;
	__atomic_or_fetch(&where, 1U << cpu_index(), __ATOMIC_SEQ_CST);
	lapic_eoi();
}

static bool only_cpu(unsigned int pin, unsigned int cpu)
{
	uint64_t start = rdtsc();

	where = 0;
	ioapic_set_rte(pin, VEC_TEST | RTE_DEST(smp_apic_id(cpu)));
	sti();
	while (where == 0 && rdtsc() - start < PATIENCE)
		cpu_pause();
	delay_ticks(TURNS / 4);
	cli();
	ioapic_set_rte(pin, RTE_MASKED);
	delay_ticks(TURNS / 4);
	return where == 1U << cpu;
}

static void test_external(unsigned int n)
{
	bool ok = true;

	if (!ioapic_present() || !pit_present() || lapic_in_x2apic()) {
		report_skip("no I/O APIC or no PIT: interrupts from outside");
		return;
	}
	trap_set_handler(VEC_TEST, note_where);
	pit_set(0, 2, PIT_HZ / 1000);
	for (unsigned int cpu = 0; cpu < n; cpu++)
		ok = only_cpu(ioapic_isa_pin(0), cpu) && ok;
	report(ok, "an I/O APIC's interrupt comes to the CPU whose id it names, and to no other");
	pit_set(0, 0, 0);
	trap_set_handler(VEC_TEST, trap_handler_eoi);
}

static void test_nmi(unsigned int n)
{
	trap_set_handler(VEC_NMI, trap_handler_nop);
	trap_count_reset(VEC_NMI);
	lapic_ipi(ICR_NMI | ICR_ASSERT, smp_apic_id(1));
	report(wait_count(VEC_NMI, 1), "NMI to one CPU");
	trap_count_reset(VEC_NMI);
	lapic_ipi(ICR_NMI | ICR_ASSERT | ICR_OTHERS, 0);
	report(wait_count(VEC_NMI, n - 1), "NMI to all others");
	delay_ticks(100000);
	report(trap_count(VEC_NMI) == n - 1, "NMI: each once");
	trap_set_handler(VEC_NMI, NULL);
}

/* Real-mode handler of vector 2: counts in the word behind it. */
__asm__(".pushsection .rodata\n\t.code16\n"
	"real_nmi: lock incw %cs:real_nmi_count - real_nmi\n\tiret\n"
	"real_nmi_count: .word 0\n"
	"real_nmi_end:\n\t.code64\n\t.popsection\n");
extern const uint8_t real_nmi[], real_nmi_count[], real_nmi_end[];

#define REAL_NMI_AT 0x7e00U

static uint8_t *low(uint64_t at)
{
	volatile uint64_t hidden = at;	/* or the compiler sees a null pointer */

	return (uint8_t *)hidden;
}

static volatile uint64_t beats;

static void beat(void *arg)
{
	(void)arg;
	for (;;)
		beats++;
}

static void test_again(void)
{
	uint16_t *count = (uint16_t *)low(REAL_NMI_AT + (uint64_t)(real_nmi_count - real_nmi));
	uint32_t *vector = (uint32_t *)low(2 * 4), old_vector = *vector;
	unsigned int online = smp_online();
	uint32_t id = smp_apic_id(1);
	uint64_t before;

	lapic_ipi(ICR_STARTUP | ICR_ASSERT | AP_TRAMPOLINE_PAGE >> 12, id);
	delay_ticks(400000);
	report(smp_online() == online, "a start-up IPI to a running CPU is ignored");

	on_cpu_async(1, beat, NULL);
	before = beats;
	delay_ticks(TURNS);
	report(beats != before, "a CPU in an endless loop runs");
	lapic_ipi(ICR_INIT | ICR_ASSERT, id);
	delay_ticks(400000);
	before = beats;
	delay_ticks(TURNS);
	report(beats == before, "INIT stops it");
	lapic_ipi(ICR_FIXED | ICR_ASSERT | VEC_TEST, id);
	memcpy(low(REAL_NMI_AT), real_nmi, (size_t)(real_nmi_end - real_nmi));
	*vector = REAL_NMI_AT / 16 << 16;
	lapic_ipi(ICR_NMI | ICR_ASSERT, id);
	delay_ticks(100000);
	report(beats == before && smp_online() == online,
	       "waiting for a start-up IPI, it takes no interrupt and no NMI");
	lapic_ipi(ICR_STARTUP | ICR_ASSERT | AP_TRAMPOLINE_PAGE >> 12, id);
	report(smp_wait_online(online + 1), "a start-up IPI starts it again");
	report(smp_online() == online + 1 && smp_apic_id(online) == id, "under the same APIC id");
	report(*count == 1, "the NMI comes at its first instruction");
	*vector = old_vector;
}

void test_main(void)
{
	unsigned int expected = smp_expected();

	if (!lapic_present()) {
		report_skip("no local APIC");
		return;
	}
	if (expected < 2) {
		report_skip("one CPU");
		return;
	}
	if (boot_flag("x2apic") && lapic_x2apic_supported())
		lapic_enter_x2apic();
	else
		lapic_enable();
	test_start(expected);
	if (smp_online() < 2)
		return;
	test_work(smp_online());
	test_lock(smp_online());
	test_broadcast(smp_online());
	test_external(smp_online());
	test_nmi(smp_online());
	test_again();
}
