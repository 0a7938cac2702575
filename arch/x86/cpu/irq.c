/* SPDX-License-Identifier: BSD-3-Clause */
/* What physical interrupt vectors stand for. */
#include <asm/cpu.h>
#include <asm/exception.h>
#include <asm/ioapic.h>
#include <asm/irq.h>
#include <asm/lapic.h>
#include <asm/percpu.h>
#include <asm/pic.h>
#include <asm/clock.h>
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/log.h>
#include <hv/upcall.h>

#define NO_GSI 0xFFFFU

static uint64_t counts[256];
static uint16_t gsi_of[256];
static bool used[256];

uint64_t irq_count(uint32_t vector)
{
	return __atomic_load_n(&counts[vector & 0xFFU], __ATOMIC_RELAXED);
}

uint32_t irq_vector_alloc(uint32_t gsi)
{
	/* From the top: higher priority classes for what is routed first. */
	for (uint32_t vector = VECTOR_GSI_LAST; vector >= VECTOR_GSI_FIRST; vector--) {
		if (!used[vector]) {
			used[vector] = true;
			__atomic_store_n(&gsi_of[vector], (uint16_t)gsi, __ATOMIC_RELEASE);
			return vector;
		}
	}
	return IRQ_NO_VECTOR;
}

void irq_vector_free(uint32_t vector)
{
	ASSERT(vector >= VECTOR_GSI_FIRST && vector <= VECTOR_GSI_LAST);
	__atomic_store_n(&gsi_of[vector], NO_GSI, __ATOMIC_RELEASE);
	used[vector] = false;
}

static void lapic_error(void)
{
	static uint32_t reported;

	lapic_write(LAPIC_ESR, 0U);
	lapic_eoi();
	if (__atomic_fetch_add(&reported, 1U, __ATOMIC_RELAXED) < 4U) {
		pr_warn("local APIC error 0x%02x on CPU %u", lapic_read(LAPIC_ESR), arch_cpu_id());
	}
}

void irq_dispatch(uint32_t vector)
{
	(void)__atomic_fetch_add(&counts[vector & 0xFFU], 1UL, __ATOMIC_RELAXED);
	if (vector == VECTOR_TIMER) {
		lapic_eoi();
		clock_interrupt();
	} else if (vector == VECTOR_KICK) {
		lapic_eoi();
		sched_kicked();
	} else if (vector >= VECTOR_GSI_FIRST && vector <= VECTOR_GSI_LAST) {
		const uint32_t gsi = __atomic_load_n(&gsi_of[vector], __ATOMIC_ACQUIRE);

		if (gsi != NO_GSI) {
			ioapic_interrupt(gsi);
		} else {
			lapic_eoi(); /* was on its way when it was unrouted */
		}
	} else if (vector == VECTOR_ERROR) {
		lapic_error();
	} else if (vector == VECTOR_SPURIOUS || pic_is_vector(vector)) {
		/* No EOI: neither is in service in the local APIC. */
	} else {
		lapic_eoi();
	}
}

const char *arch_own_interrupt(uint32_t index, uint32_t *vector, uint64_t *count)
{
	static const struct {
		const char *name;
		uint32_t vector;
	} own[] = {
		{"timer", VECTOR_TIMER},
		{"kick", VECTOR_KICK},
		{"posted", VECTOR_POSTED},
		{"error", VECTOR_ERROR},
		{"spurious", VECTOR_SPURIOUS},
		{"nmi", EXC_NMI},
	};

	if (index >= ARRAY_SIZE(own)) {
		return NULL;
	}
	*vector = own[index].vector;
	*count = (own[index].vector == EXC_NMI) ? exception_nmi_count() : irq_count(own[index].vector);
	return own[index].name;
}

void arch_irq_init(void)
{
	for (uint32_t i = 0U; i < ARRAY_SIZE(gsi_of); i++) {
		gsi_of[i] = NO_GSI;
	}
	pic_disable();
	lapic_setup();
	lapic_init_cpu();
	this_percpu()->apic_id = lapic_id();
	ioapic_init();
	tsc_clock_init();
	clock_init_cpu();
}
