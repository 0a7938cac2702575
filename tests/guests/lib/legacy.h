/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running code outside of long mode: 32-bit or 16-bit protected mode with or without paging,
 * virtual-8086 mode, real mode. The CPU leaves long mode, takes the state given, runs until an
 * exception or interrupt, and comes back.
 *
 *	struct legacy l = legacy_protected((uint32_t)(uintptr_t)code);
 *	int vec = legacy_run(&l);
 *
 * The code says that it is done by INT VEC_USER_EXIT. One CPU, interrupts off. The identity map of
 * all that the library uses is the caller's if he turns paging on.
 */
#ifndef GUESTS_LIB_LEGACY_H
#define GUESTS_LIB_LEGACY_H

#include <stdint.h>

/* Selectors of legacy_gdt. */
#define LEG_CODE64	0x08
#define LEG_DATA	0x10	/* flat, 32-bit */
#define LEG_CODE	0x18	/* flat, 32-bit */
#define LEG_UDATA	0x23
#define LEG_UCODE	0x2b
#define LEG_CODE16	0x30	/* base LEG_REAL_PAGE */
#define LEG_DATA16	0x38	/* base 0, 64 KiB */
#define LEG_TSS		0x40
#define LEG_FREE	0x48	/* for the subject, up to LEG_GDT_ENTRIES */
#define LEG_GDT_ENTRIES	32

/* Low memory that real mode uses. What is above LEG_REAL_FREE, up to 0x8000, is the subject's. */
#define LEG_IVT		0x1000U
#define LEG_REAL_PAGE	0x2000U
#define LEG_REAL_FREE	0x3000U
#define LEG_REAL_TOP	0x8000U

struct legacy {
	/* In: the mode. CR0.PE clear is real mode; PAE and paging as in the bits. */
	uint32_t cr0, cr3, cr4;
	uint32_t efer;		/* LME must be clear */
	/* In and out, in the order in which an exception leaves them on the stack. */
	uint32_t gs, fs, es, ds;
	uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
	uint32_t vec, err;	/* out; err is what the CPU pushed, 0 if it pushes none in protected mode */
	uint32_t eip, cs, eflags, ss;
	/* Out. */
	uint32_t cr2, out_cr0, out_cr3, out_cr4, tr, ldtr;
};

/* A TSS of 32 bits (SDM vol. 3, figure 7-2). */
struct tss32 {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, io_bitmap;
};

extern uint64_t legacy_gdt[LEG_GDT_ENTRIES];
/* Gates of 32 bits; all go to the library, VEC_USER_EXIT with DPL 3. */
extern uint64_t legacy_idt[256];
/* What LEG_TSS describes; CPL 0 stack set. */
extern struct tss32 legacy_tss;

/* A segment descriptor; @access is bits 47:40, @flags bits 55:52 (G, D, L, AVL). */
uint64_t legacy_desc(uint32_t base, uint32_t limit, uint32_t access, uint32_t flags);
/* A call, interrupt, trap or task gate. */
uint64_t legacy_gate(uint32_t sel, uint32_t offset, uint32_t access, uint32_t count);
/* 32-bit protected mode without paging at CPL 0 (all flat, own stack), to run at @eip. */
struct legacy legacy_protected(uint32_t eip);
/* Real mode, segments at @seg, stack below LEG_REAL_TOP, to run at @seg:@ip. */
struct legacy legacy_real(uint16_t seg, uint16_t ip);
/* The TSS that TR holds while running: a selector of legacy_gdt, or 0 for LEG_TSS. */
void legacy_set_tss(uint32_t sel);
/* Run. Returns NO_TRAP after INT VEC_USER_EXIT, else the vector. */
int legacy_run(struct legacy *l);
/* Run 32-bit @code in compatibility mode, at CPL 0; it ends by LRET. General registers in @l, but ESP and EBP. */
void legacy_compat(void (*code)(void), struct legacy *l);
/* Leave long mode and come back with other CR3 and CR4 (LA57 changes that way only). */
void legacy_reload(uint64_t cr3, uint64_t cr4);

#endif /* GUESTS_LIB_LEGACY_H */
