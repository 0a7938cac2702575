/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clocks. The TSC's rate is measured against a clock of the machine: what CPUID 15h says is only compared, since
 * emulators and some firmware tell a rate that their own timers contradict.
 */
#include <asm/caps.h>
#include <asm/cpu.h>
#include <asm/io.h>
#include <asm/irq.h>
#include <asm/lapic.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/clock.h>
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/upcall.h>

#define PM_TIMER_HZ   3579545UL
#define PM_TIMER_MASK 0xFFFFFFU
#define PIT_HZ        1193182UL
#define PIT_CH2       0x42U
#define PIT_CMD       0x43U
#define PIT_GATE      0x61U
#define MEASURE_HZ    100UL /* measure for 1/100 s */
#define SPIN_MAX      20000000U
#define DIVIDE_BY_16  0x3U
#define ONE_SHOT_MIN  2UL

static uint32_t tsc_khz;
static uint32_t lapic_khz; /* of the divided timer; 0: TSC deadline mode is used */

uint32_t arch_tsc_khz(void)
{
	return tsc_khz;
}

struct measure {
	uint64_t tsc;   /* ticks of the TSC in `clock` */
	uint64_t lapic; /* ticks of the local APIC timer */
	uint64_t clock; /* ticks of the reference */
	uint64_t clock_hz;
};

static void lapic_count_start(void)
{
	lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
	lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED | VECTOR_TIMER);
	lapic_write(LAPIC_TIMER_INITIAL, 0xFFFFFFFFU);
}

static bool measure_by_pm_timer(struct measure *m)
{
	const uint16_t port = (uint16_t)acpi_info.pm_timer;
	uint32_t start;
	uint32_t now;
	uint64_t tsc;
	uint32_t spins = 0U;

	if (port == 0U) {
		return false;
	}
	lapic_count_start();
	now = inl(port) & PM_TIMER_MASK;
	do { /* begin at an edge */
		start = inl(port) & PM_TIMER_MASK;
		if (++spins == SPIN_MAX) {
			return false; /* it stands still */
		}
	} while (start == now);
	tsc = rdtsc();
	m->lapic = lapic_read(LAPIC_TIMER_CURRENT);
	do {
		now = inl(port) & PM_TIMER_MASK;
		if (++spins == SPIN_MAX) {
			return false;
		}
	} while (((now - start) & PM_TIMER_MASK) < PM_TIMER_HZ / MEASURE_HZ);
	m->tsc = rdtsc() - tsc;
	m->lapic -= lapic_read(LAPIC_TIMER_CURRENT);
	m->clock = (now - start) & PM_TIMER_MASK;
	m->clock_hz = PM_TIMER_HZ;
	return true;
}

/* Channel 2 counts down once; its output appears in port 0x61 bit 5. */
static bool measure_by_pit(struct measure *m)
{
	const uint64_t count = PIT_HZ / MEASURE_HZ;
	const uint8_t gate = inb(PIT_GATE);
	uint64_t tsc;
	uint32_t spins = 0U;

	outb(PIT_GATE, (uint8_t)((gate & ~0x02U) | 0x01U)); /* speaker off, gate on */
	lapic_count_start();
	outb(PIT_CMD, 0xB0U); /* channel 2, both bytes, mode 0 */
	outb(PIT_CH2, (uint8_t)count);
	outb(PIT_CH2, (uint8_t)(count >> 8U));
	tsc = rdtsc();
	m->lapic = lapic_read(LAPIC_TIMER_CURRENT);
	while ((inb(PIT_GATE) & 0x20U) == 0U) {
		if (++spins == SPIN_MAX) {
			outb(PIT_GATE, gate);
			return false;
		}
	}
	m->tsc = rdtsc() - tsc;
	m->lapic -= lapic_read(LAPIC_TIMER_CURRENT);
	m->clock = count;
	m->clock_hz = PIT_HZ;
	outb(PIT_GATE, gate);
	return true;
}

/* @return kHz by CPUID leaf 15h, or 0 */
static uint32_t cpuid_khz(void)
{
	struct cpuid_regs leaf;

	if (cpu_caps.max_leaf < 0x15U) {
		return 0U;
	}
	leaf = cpuid(0x15U, 0U);
	return leaf.eax == 0U ? 0U : (uint32_t)((uint64_t)leaf.ecx * leaf.ebx / leaf.eax / 1000UL);
}

void tsc_clock_init(void)
{
	struct measure m = {0};
	const char *by = "PM timer";
	const uint32_t told = cpuid_khz();

	if (!measure_by_pm_timer(&m)) {
		by = "PIT";
		if (!measure_by_pit(&m)) {
			if (told == 0U) {
				panic("neither ACPI PM timer nor PIT runs, and CPUID does not tell the TSC's rate");
			}
			by = "CPUID 15h only";
			m = (struct measure){.tsc = told, .lapic = 0UL, .clock = 1UL, .clock_hz = 1000UL};
		}
	}
	lapic_write(LAPIC_TIMER_INITIAL, 0U);
	tsc_khz = (uint32_t)(m.tsc * m.clock_hz / m.clock / 1000UL);
	if (!cpu_caps.has_tsc_deadline) {
		lapic_khz = (uint32_t)(m.lapic * m.clock_hz / m.clock / 1000UL);
		if (lapic_khz == 0U) {
			panic("the local APIC timer does not count");
		}
	}
	pr_info("TSC: %u kHz by %s; timer: %s", tsc_khz, by,
		cpu_caps.has_tsc_deadline ? "TSC deadline" : "local APIC one-shot");
	if (told != 0U && (told > tsc_khz + tsc_khz / 50U || told < tsc_khz - tsc_khz / 50U)) {
		pr_warn("CPUID 15h tells %u kHz for the TSC; the measured rate is used", told);
	}
}

void clock_init_cpu(void)
{
	this_percpu()->deadline = UINT64_MAX;
	if (cpu_caps.has_tsc_deadline) {
		lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_TSC_DEADLINE | VECTOR_TIMER);
		cpu_mfence(); /* SDM: the mode must be set before the first write to the deadline */
	} else {
		lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
		lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
	}
}

static void arm(uint64_t deadline)
{
	if (cpu_caps.has_tsc_deadline) {
		/* 0 disarms; a time in the past fires at once. */
		wrmsr(MSR_IA32_TSC_DEADLINE, deadline == UINT64_MAX ? 0UL : MAX(deadline, 1UL));
	} else if (deadline == UINT64_MAX) {
		lapic_write(LAPIC_TIMER_INITIAL, 0U);
	} else {
		const uint64_t now = rdtsc();
		/* At most 2^31 timer ticks at a time; clock_interrupt() goes on. In steps that cannot overflow. */
		const uint64_t most = (0x7FFFFFFFUL / lapic_khz) * tsc_khz;
		const uint64_t delta = deadline > now ? MIN(deadline - now, most) : 0UL;
		const uint64_t ticks =
			(delta / tsc_khz) * lapic_khz + (delta % tsc_khz) * lapic_khz / tsc_khz + ONE_SHOT_MIN;

		lapic_write(LAPIC_TIMER_INITIAL, (uint32_t)ticks);
	}
}

void arch_set_deadline(uint64_t ticks)
{
	this_percpu()->deadline = ticks;
	arm(ticks);
}

void clock_interrupt(void)
{
	struct percpu *self = this_percpu();

	if (self->deadline == UINT64_MAX) {
		return; /* cancelled on its way */
	}
	if (rdtsc() < self->deadline) {
		arm(self->deadline);
		return;
	}
	self->deadline = UINT64_MAX;
	timer_expired();
}

void clock_delay_us(uint64_t us)
{
	const uint64_t end = rdtsc() + us * tsc_khz / 1000UL;

	while (rdtsc() < end) {
		cpu_pause();
	}
}
