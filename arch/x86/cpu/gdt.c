/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments, TSS and GS base of one CPU. */
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/paging.h>
#include <lib/string.h>

#define GDT_CODE64 0x00AF9B000000FFFFUL /* present, ring 0, code, long, accessed */
#define GDT_DATA   0x00CF93000000FFFFUL
#define GDT_TSS    0x0000890000000000UL /* available 64-bit TSS */

static uint64_t tss_low(uint64_t base)
{
	return GDT_TSS | (sizeof(struct tss64) - 1UL) | ((base & 0xFFFFFFUL) << 16U) |
		(((base >> 24U) & 0xFFUL) << 56U);
}

static uint64_t stack_end(const uint8_t *stack, uint64_t size)
{
	return (uint64_t)stack + size;
}

void gdt_load(struct cpu_area *area)
{
	const uint64_t tss = (uint64_t)&area->tss;
	struct desc_ptr gdtr;

	(void)memset(&area->tss, 0, sizeof(area->tss));
	area->tss.rsp[0] = stack_end(area->stack, sizeof(area->stack));
	area->tss.ist[IST_DOUBLE_FAULT - 1U] = stack_end(area->stack_df, sizeof(area->stack_df));
	area->tss.ist[IST_NMI - 1U] = stack_end(area->stack_nmi, sizeof(area->stack_nmi));
	area->tss.ist[IST_MACHINE_CHECK - 1U] = stack_end(area->stack_mc, sizeof(area->stack_mc));
	area->tss.iomap_base = sizeof(struct tss64); /* no port bitmap */

	area->gdt[0] = 0UL;
	area->gdt[SEL_CODE64 / 8U] = GDT_CODE64;
	area->gdt[SEL_DATA / 8U] = GDT_DATA;
	area->gdt[SEL_TSS / 8U] = tss_low(tss);
	area->gdt[SEL_TSS / 8U + 1U] = tss >> 32U;

	area->percpu.self = &area->percpu;
	area->percpu.stack_top = stack_end(area->stack, sizeof(area->stack));
	area->percpu.arch = area;

	gdtr.limit = (uint16_t)(sizeof(area->gdt) - 1UL);
	gdtr.base = (uint64_t)area->gdt;
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %q1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "movl %2, %%ds\n\t"
			 "movl %2, %%es\n\t"
			 "movl %2, %%ss\n\t"
			 "movl %3, %%fs\n\t"
			 "movl %3, %%gs\n\t"
			 "ltr %w4"
			 :
			 : "m"(gdtr), "r"((uint64_t)SEL_CODE64), "r"(SEL_DATA), "r"(0U), "r"((uint16_t)SEL_TSS)
			 : "rax", "memory");
	wrmsr(MSR_IA32_FS_BASE, 0UL);
	wrmsr(MSR_IA32_GS_BASE, (uint64_t)&area->percpu);
}

void gdt_guard_stacks(struct cpu_area *area)
{
	paging_unmap_guard(area->guard_main);
	paging_unmap_guard(area->guard_df);
	paging_unmap_guard(area->guard_nmi);
	paging_unmap_guard(area->guard_mc);
}
