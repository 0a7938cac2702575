/* SPDX-License-Identifier: BSD-3-Clause */
/* The interrupt descriptor table: one for all CPUs. */
#include <asm/cpu.h>
#include <asm/desc.h>

#define GATE_INTERRUPT 0x8E00U /* present, ring 0, 64-bit interrupt gate */
#define STUB_SIZE      16UL    /* isr.S aligns each stub to this */

struct idt_gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t type_ist;
	uint16_t offset_mid;
	uint32_t offset_high;
	uint32_t reserved;
};

extern const uint8_t isr_stubs[];

static struct idt_gate idt[256] __aligned(16);

static uint16_t ist_of(uint32_t vector)
{
	switch (vector) {
	case EXC_DF:
		return IST_DOUBLE_FAULT;
	case EXC_NMI:
		return IST_NMI;
	case EXC_MC:
		return IST_MACHINE_CHECK;
	default:
		return 0U;
	}
}

void idt_init(void)
{
	for (uint32_t vector = 0U; vector < 256U; vector++) {
		const uint64_t stub = (uint64_t)isr_stubs + vector * STUB_SIZE;

		idt[vector].offset_low = (uint16_t)stub;
		idt[vector].offset_mid = (uint16_t)(stub >> 16U);
		idt[vector].offset_high = (uint32_t)(stub >> 32U);
		idt[vector].selector = SEL_CODE64;
		idt[vector].type_ist = (uint16_t)(GATE_INTERRUPT | ist_of(vector));
		idt[vector].reserved = 0U;
	}
}

void idt_load(void)
{
	const struct desc_ptr idtr = {.limit = sizeof(idt) - 1UL, .base = (uint64_t)idt};

	__asm__ volatile("lidt %0" : : "m"(idtr));
}
