/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where an AP starts: copied to a page below 1 MiB, entered in real mode at CS = page >> 4, IP = 0.
 * smp.c fills the parameters at its end. Ends in boot_ap_high with the early tables (identity map needed here).
 */
#include <asm/offsets.h>

	.section .rodata
	.globl trampoline_start, trampoline_end
	.globl trampoline_param_cr3, trampoline_param_entry, trampoline_param_area, trampoline_param_nx

	.balign 16
trampoline_start:
	.code16
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	movl $0, %ebx
	movw %ax, %bx
	shll $4, %ebx                           /* EBX = where this page is */
	leal (t_gdt - trampoline_start)(%ebx), %eax
	movl %eax, (t_gdt_ptr + 2 - trampoline_start)
	leal (t_32 - trampoline_start)(%ebx), %eax
	movl %eax, (t_far32 - trampoline_start)
	leal (t_64 - trampoline_start)(%ebx), %eax
	movl %eax, (t_far64 - trampoline_start)
	lgdtl (t_gdt_ptr - trampoline_start)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl *(t_far32 - trampoline_start)

	.code32
t_32:
	movl $BOOT_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %cr4, %eax
	orl $0x20, %eax                         /* PAE */
	movl %eax, %cr4
	movl (trampoline_param_cr3 - trampoline_start)(%ebx), %eax
	movl %eax, %cr3
	movl $0xC0000080, %ecx
	rdmsr
	orl $0x100, %eax                        /* LME */
	orl (trampoline_param_nx - trampoline_start)(%ebx), %eax
	wrmsr
	movl %cr0, %eax
	andl $~0x60000000, %eax                 /* caches on */
	orl $0x80010001, %eax                   /* PG, WP, PE */
	movl %eax, %cr0
	ljmpl *(t_far64 - trampoline_start)(%ebx)

	.code64
t_64:
	movq (trampoline_param_area - trampoline_start)(%rbx), %rdi
	movq (trampoline_param_entry - trampoline_start)(%rbx), %rax
	jmp *%rax

	.balign 8
t_gdt:
	.quad 0
	.quad 0x00AF9B000000FFFF                /* BOOT_CS64 = 0x08 */
	.quad 0x00CF93000000FFFF                /* BOOT_DS = 0x10 */
	.quad 0x00CF9B000000FFFF                /* 32-bit code = 0x18 */
t_gdt_ptr:
	.short 31
	.long 0
	.balign 4
t_far32:
	.long 0
	.short 0x18
	.balign 4
t_far64:
	.long 0
	.short BOOT_CS64
	.balign 8
trampoline_param_cr3:   .quad 0
trampoline_param_entry: .quad 0
trampoline_param_area:  .quad 0
trampoline_param_nx:    .quad 0
trampoline_end:

	.section .note.GNU-stack, "", @progbits
