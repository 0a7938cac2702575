/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments, task state, and the memory of one CPU that the hardware switches to. */
#ifndef ASM_DESC_H
#define ASM_DESC_H

#include <asm/percpu.h>
#include <config.h>
#include <lib/util.h>

/* Selectors, the same on every CPU: VM exits load them from the VMCS. */
#define SEL_CODE64  0x08U
#define SEL_DATA    0x10U
#define SEL_TSS     0x18U /* two entries */
#define GDT_ENTRIES 5U

#define IST_DOUBLE_FAULT  1U
#define IST_NMI           2U
#define IST_MACHINE_CHECK 3U

struct tss64 {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap_base;
} __packed;

/* Limit and base as LGDT, LIDT, SGDT, SIDT use them. */
struct desc_ptr {
	uint16_t limit;
	uint64_t base;
} __packed;

/* All that one CPU has for itself. The guard pages are taken out of the page tables by gdt_guard_stacks(). */
struct cpu_area {
	uint8_t guard_main[PAGE_SIZE];
	uint8_t stack[CONFIG_STACK_SIZE];
	uint8_t guard_df[PAGE_SIZE];
	uint8_t stack_df[PAGE_SIZE];
	uint8_t guard_nmi[PAGE_SIZE];
	uint8_t stack_nmi[PAGE_SIZE];
	uint8_t guard_mc[PAGE_SIZE];
	uint8_t stack_mc[PAGE_SIZE];
	struct percpu percpu;
	uint64_t gdt[GDT_ENTRIES] __aligned(16);
	struct tss64 tss __aligned(16);
} __aligned(4096);

_Static_assert(CONFIG_STACK_SIZE % 4096 == 0, "CONFIG_STACK_SIZE must be a multiple of the page size");

/** Fills and loads GDT, TSS and GS base for this CPU from `area`, whose percpu.cpu_id and apic_id are set. */
void gdt_load(struct cpu_area *area);

/** Takes the guard pages of `area` out of the page tables. After arch_paging_init(). */
void gdt_guard_stacks(struct cpu_area *area);

/** Builds the IDT (once, boot CPU). */
void idt_init(void);

/** Loads the IDT on this CPU. */
void idt_load(void);

#endif
