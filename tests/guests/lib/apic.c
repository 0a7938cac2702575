/* SPDX-License-Identifier: BSD-3-Clause */
/* Local APIC access. */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>

#define ICR_PATIENCE	1000000U

bool lapic_present(void)
{
	return (cpuid(1, 0).edx & BIT(9)) != 0;
}

bool lapic_x2apic_supported(void)
{
	return (cpuid(1, 0).ecx & BIT(21)) != 0;
}

uint64_t lapic_base(void)
{
	return rdmsr(MSR_APIC_BASE) & 0xffffff000UL;
}

bool lapic_in_x2apic(void)
{
	return (rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC) != 0;
}

uint32_t lapic_read(uint32_t reg)
{
	if (lapic_in_x2apic())
		return (uint32_t)rdmsr(MSR_X2APIC + reg / 16);
	return mmio_read32(lapic_base() + reg);
}

void lapic_write(uint32_t reg, uint32_t value)
{
	if (lapic_in_x2apic())
		wrmsr(MSR_X2APIC + reg / 16, value);
	else
		mmio_write32(lapic_base() + reg, value);
}

uint32_t lapic_id(void)
{
	uint32_t id = lapic_read(APIC_ID);

	return lapic_in_x2apic() ? id : id >> 24;
}

void lapic_eoi(void)
{
	lapic_write(APIC_EOI, 0);
}

void lapic_enable(void)
{
	unsigned int max_lvt;

	lapic_write(APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
	max_lvt = lapic_read(APIC_VERSION) >> 16 & 0xff;
	lapic_write(APIC_LVT_TIMER, LVT_MASKED);
	lapic_write(APIC_LVT_LINT0, LVT_MASKED);
	lapic_write(APIC_LVT_LINT1, LVT_MASKED);
	lapic_write(APIC_LVT_ERROR, LVT_MASKED);
	if (max_lvt >= 4)
		lapic_write(APIC_LVT_PMC, LVT_MASKED);
	if (max_lvt >= 5)
		lapic_write(APIC_LVT_THERM, LVT_MASKED);
	lapic_write(APIC_TPR, 0);
}

void lapic_enter_x2apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	lapic_enable();
}

void lapic_ipi(uint32_t icr_low, uint32_t dest)
{
	if (lapic_in_x2apic()) {
		/* WRMSR to the x2APIC is not serialising: order the data that the IPI is about. */
		__asm__ volatile("mfence" : : : "memory");
		wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)dest << 32 | icr_low);
		return;
	}
	mmio_write32(lapic_base() + APIC_ICR_HIGH, dest << 24);
	mmio_write32(lapic_base() + APIC_ICR, icr_low);
	for (unsigned int i = 0; i < ICR_PATIENCE; i++) {
		if ((mmio_read32(lapic_base() + APIC_ICR) & ICR_BUSY) == 0)
			break;
		cpu_pause();
	}
}

bool lapic_vector_bit(uint32_t reg, unsigned int vec)
{
	return (lapic_read(reg + vec / 32 * 16) >> (vec % 32) & 1) != 0;
}
