/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that boot/entry.S, the linker script and the first C code share. */
#ifndef ASM_SETUP_H
#define ASM_SETUP_H

#include <asm/desc.h>
#include <lib/util.h>

extern uint64_t boot_tsc;     /* TSC at entry, ticks */
extern uint64_t hv_load_base; /* physical address of HV_IMAGE_BASE */
extern uint64_t boot_mbi;     /* physical address of the multiboot2 information */
extern uint64_t boot_pml4[512];

/* The image, in link addresses; each page aligned. */
extern uint8_t image_start[];
extern uint8_t image_end[];
extern uint8_t text_start[];
extern uint8_t text_end[];
extern uint8_t rodata_start[];
extern uint8_t rodata_end[];
extern uint8_t data_start[];

extern struct cpu_area boot_cpu_area;

/* The code that application processors start with, and the parameters in it that smp.c fills in a copy of it. */
extern const uint8_t trampoline_start[];
extern const uint8_t trampoline_end[];
extern const uint8_t trampoline_param_cr3[];
extern const uint8_t trampoline_param_entry[];
extern const uint8_t trampoline_param_area[];
extern const uint8_t trampoline_param_nx[];

/** Where that code goes on, in the image. */
void boot_ap_high(void);

/** From boot_high, on the boot CPU's temporary stack. */
void __noreturn setup_boot_cpu(void);

/** From boot_ap_high, on the AP's own stack, early page tables. @param area of this CPU */
void __noreturn smp_ap_main(struct cpu_area *area);

/** Makes percpu_of() and arch_cpu_count() know a CPU; its cpu_id is the next free number. */
void percpu_register(struct percpu *percpu);

#endif
