/* SPDX-License-Identifier: BSD-3-Clause */
/* The physical local APIC (SDM vol 3, chapter 11). */
#include <asm/caps.h>
#include <asm/cpu.h>
#include <asm/io.h>
#include <asm/irq.h>
#include <asm/lapic.h>
#include <asm/msr.h>
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/log.h>

#define SVR_ENABLE   0x100U
#define IPI_SPIN_MAX 10000000U

static bool x2apic;
static bool ready;
static volatile uint8_t *registers; /* xAPIC */

bool lapic_is_x2apic(void)
{
	return x2apic;
}

bool lapic_is_ready(void)
{
	return ready;
}

uint32_t lapic_read(uint32_t reg)
{
	return x2apic ? (uint32_t)rdmsr(MSR_IA32_X2APIC_BASE + (reg >> 4U)) : mmio_read32(registers + reg);
}

void lapic_write(uint32_t reg, uint32_t value)
{
	if (x2apic) {
		wrmsr(MSR_IA32_X2APIC_BASE + (reg >> 4U), value);
	} else {
		mmio_write32(registers + reg, value);
	}
}

uint32_t lapic_id(void)
{
	const uint32_t id = lapic_read(LAPIC_ID);

	return x2apic ? id : id >> 24U;
}

void lapic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0U);
}

/* xAPIC only: ICR is two writes, and an NMI handler may also send. */
static void wait_sent(void)
{
	for (uint32_t i = 0U; i < IPI_SPIN_MAX; i++) {
		if ((mmio_read32(registers + LAPIC_ICR) & ICR_PENDING) == 0U) {
			return;
		}
		cpu_pause();
	}
}

void lapic_send_ipi(uint32_t apic_id, uint32_t icr)
{
	if (x2apic) {
		/* WRMSR to x2APIC registers is not serialising: stores before must be seen before the IPI. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_IA32_X2APIC_BASE + (LAPIC_ICR >> 4U), ((uint64_t)apic_id << 32U) | icr);
	} else {
		wait_sent();
		mmio_write32(registers + LAPIC_ICR_HIGH, apic_id << 24U);
		mmio_write32(registers + LAPIC_ICR, icr);
		wait_sent();
	}
}

void lapic_setup(void)
{
	const uint64_t base = rdmsr(MSR_IA32_APIC_BASE);

	x2apic = cpu_caps.has_x2apic;
	if (!x2apic) {
		registers = arch_map_mmio(base & APIC_BASE_ADDR, PAGE_SIZE);
	}
	pr_info("local APIC: %s%s", x2apic ? "x2APIC" : "xAPIC",
		(base & APIC_BASE_X2APIC) != 0UL ? ", already on from firmware" : "");
}

void lapic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_IA32_APIC_BASE) | APIC_BASE_ENABLE;
	uint32_t max_lvt;

	if (x2apic) {
		wrmsr(MSR_IA32_APIC_BASE, base); /* disabled -> xAPIC -> x2APIC is the only legal way */
		base |= APIC_BASE_X2APIC;
	} else if ((base & APIC_BASE_X2APIC) != 0UL) {
		panic("firmware turned x2APIC mode on, but CPUID denies it");
	}
	wrmsr(MSR_IA32_APIC_BASE, base);

	lapic_write(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS); /* before LVTs: disabled means they stay masked */
	lapic_write(LAPIC_TPR, 0U);
	max_lvt = (lapic_read(LAPIC_VERSION) >> 16U) & 0xFFU;
	lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED | VECTOR_TIMER);
	lapic_write(LAPIC_LVT_LINT0, LAPIC_LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, acpi_info.nmi_lint == 1U ? LAPIC_LVT_NMI : LAPIC_LVT_MASKED);
	lapic_write(LAPIC_LVT_ERROR, VECTOR_ERROR);
	if (max_lvt >= 4U) {
		lapic_write(LAPIC_LVT_PMC, LAPIC_LVT_MASKED);
	}
	if (max_lvt >= 5U) {
		lapic_write(LAPIC_LVT_THERMAL, LAPIC_LVT_MASKED);
	}
	lapic_write(LAPIC_ESR, 0U);
	/* What firmware left in service would block all lower priorities. */
	for (uint32_t word = 0U; word < 8U; word++) {
		for (uint32_t i = 0U; i < 32U && lapic_read(LAPIC_ISR + 0x10U * word) != 0U; i++) {
			lapic_eoi();
		}
	}
	ready = true;
}
