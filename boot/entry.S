/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the boot loader to C. GRUB (BIOS and UEFI) enters in 32-bit protected mode without paging, EAX = magic,
 * EBX = physical address of the multiboot2 information, at whatever 2 MiB aligned address it chose for the image.
 * The code is position independent (EBP = load address) until the early page tables make the link address valid.
 *
 * No framebuffer tag: with one GRUB would set a graphics mode under BIOS too. Without it BIOS machines keep VGA text
 * and UEFI machines keep the mode they are in, and the framebuffer information says which (`gfxpayload` decides).
 *
 * Early tables (replaced by arch_paging_init(); the APs' trampoline starts on them too):
 *	0                  + 4 GiB  identity, for the switch itself
 *	HV_DIRECT_BASE     + 4 GiB  direct map
 *	HV_IMAGE_BASE      + 1 GiB  the image, from where it was loaded
 */
#include <asm/offsets.h>

#define OFF(symbol) (symbol - HV_IMAGE_BASE)

#define MB2_MAGIC        0xE85250D6
#define MB2_LOADER_MAGIC 0x36D76289
#define PTE_RW           0x003
#define PTE_RW_2M        0x083

	.section .boot, "ax"
	.balign 8
mb2_header:
	.long MB2_MAGIC
	.long 0                                 /* i386 protected mode */
	.long mb2_header_end - mb2_header
	.long -(MB2_MAGIC + 0 + (mb2_header_end - mb2_header))

	.balign 8                               /* information request; not optional: 6 memory map */
	.short 1, 0
	.long 12
	.long 6
	.balign 8                               /* optional requests */
	.short 1, 1
	.long 8 + 6 * 4
	.long 1, 2, 3, 8, 14, 15                /* command line, loader name, modules, framebuffer, ACPI old and new */
	.balign 8
	.short 1, 1
	.long 12
	.long 12                                /* EFI64 system table */
	.balign 8                               /* modules page aligned */
	.short 6, 0
	.long 8
	.balign 8                               /* relocatable: 2 MiB..4 GiB, 2 MiB aligned, prefer high */
	.short 10, 0
	.long 24
	.long 0x00200000, 0xFFFFFFFF, 0x00200000, 2
	.balign 8
	.short 0, 0
	.long 8
mb2_header_end:

	.code32
	.globl boot_entry
boot_entry:
	cli
	cld
	movl %eax, %edi                         /* magic */
	cmpl $MB2_LOADER_MAGIC, %eax
	jne no_multiboot
	/* Where are we? The reserved word at EBX+4 serves as a stack for one call. */
	leal 8(%ebx), %esp
	call 1f
1:	popl %ebp
	subl $OFF(1b), %ebp
	movl $0, 4(%ebx)
	leal OFF(boot_stack_top)(%ebp), %esp

	rdtsc
	movl %eax, OFF(boot_tsc)(%ebp)
	movl %edx, OFF(boot_tsc) + 4(%ebp)
	movl %ebp, OFF(hv_load_base)(%ebp)
	movl %ebx, OFF(boot_mbi)(%ebp)

	/* Long mode and NX, or a clear word. CPUID itself: every CPU that GRUB 2 and this ISO reach has it. */
	movl $0x80000000, %eax
	cpuid
	cmpl $0x80000001, %eax
	jb no_long_mode
	movl $0x80000001, %eax
	cpuid
	testl $(1 << 29), %edx
	jz no_long_mode
	movl %edx, %esi

	/* boot_pd[0..2047]: 4 GiB in 2 MiB pages */
	leal OFF(boot_pd)(%ebp), %edi
	movl $PTE_RW_2M, %eax
	xorl %ecx, %ecx
2:	movl %eax, (%edi, %ecx, 8)
	movl $0, 4(%edi, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $2048, %ecx
	jb 2b
	/* boot_pdpt[0..3] -> boot_pd */
	leal OFF(boot_pdpt)(%ebp), %edx
	leal PTE_RW(%edi), %eax
	xorl %ecx, %ecx
3:	movl %eax, (%edx, %ecx, 8)
	addl $0x1000, %eax
	incl %ecx
	cmpl $4, %ecx
	jb 3b
	/* boot_pd_image: 1 GiB from the load address; ends at 4 GiB */
	leal OFF(boot_pd_image)(%ebp), %edi
	leal PTE_RW_2M(%ebp), %eax
	xorl %ecx, %ecx
4:	movl %eax, (%edi, %ecx, 8)
	addl $0x200000, %eax
	jc 5f
	incl %ecx
	cmpl $512, %ecx
	jb 4b
5:	leal OFF(boot_pdpt_image)(%ebp), %ecx
	leal PTE_RW(%edi), %eax
	movl %eax, 510 * 8(%ecx)
	/* boot_pml4 */
	leal OFF(boot_pml4)(%ebp), %edi
	leal PTE_RW(%edx), %eax
	movl %eax, (%edi)
	movl %eax, 256 * 8(%edi)
	leal PTE_RW(%ecx), %eax
	movl %eax, 511 * 8(%edi)

	call enable_long_mode                   /* EDI = page tables, ESI = CPUID 80000001 EDX */

	leal OFF(boot_gdt)(%ebp), %eax
	movl %eax, OFF(boot_gdt_ptr) + 2(%ebp)
	lgdt OFF(boot_gdt_ptr)(%ebp)
	leal OFF(boot64)(%ebp), %eax
	pushl $BOOT_CS64
	pushl %eax
	lretl

/* Long mode with the tables at EDI; ESI = CPUID 80000001 EDX. Uses EAX, ECX, EDX. Also called by the trampoline. */
enable_long_mode:
	movl %cr4, %eax
	orl $0x20, %eax                         /* PAE */
	movl %eax, %cr4
	movl %edi, %cr3
	movl $0xC0000080, %ecx
	rdmsr
	orl $0x100, %eax                        /* LME */
	testl $(1 << 20), %esi
	jz 1f
	orl $0x800, %eax                        /* NXE */
1:	wrmsr
	movl %cr0, %eax
	andl $~0x60000000, %eax                 /* caches on: CD, NW off */
	orl $0x80010001, %eax                   /* PG, WP, PE */
	movl %eax, %cr0
	ret

	/* Refusals before there is C: serial port, screen, halt. ESI cannot be relied on: find the text first. */
no_multiboot:
	/* Not started by multiboot2: nothing is known about memory, not even a stack. */
	hlt
	jmp no_multiboot
no_long_mode:
	leal OFF(text_no_long_mode)(%ebp), %esi
	movl $0xB8000, %edi
	movb $0x4F, %ah
1:	movb (%esi), %al
	testb %al, %al
	jz 3f
	cmpb $10, %al
	je 2f
	movw %ax, (%edi)
	addl $2, %edi
2:	movb %al, %cl
	movw $0x3FD, %dx
	movl $100000, %ebx                      /* a port without a UART reads ones or never gets ready */
4:	inb %dx, %al
	testb $0x20, %al
	jnz 5f
	decl %ebx
	jnz 4b
5:	movw $0x3F8, %dx
	movb %cl, %al
	outb %al, %dx
	incl %esi
	jmp 1b
3:	cli
	hlt
	jmp 3b
text_no_long_mode:
	.ascii "(aril) refused: this CPU has no 64-bit mode (CPUID 80000001h EDX bit 29); "
	.asciz "Aril needs a 64-bit Intel CPU with VT-x.\n"

	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00AF9B000000FFFF                /* BOOT_CS64: 64-bit code */
	.quad 0x00CF93000000FFFF                /* BOOT_DS: data */
	.balign 8
boot_gdt_ptr:
	.short 23
	.long 0

	.code64
boot64:
	movabsq $boot_high, %rax
	jmp *%rax

	.text
boot_high:
	movl $BOOT_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	leaq boot_stack_top(%rip), %rsp
	xorl %ebp, %ebp
	call setup_boot_cpu
1:	cli
	hlt
	jmp 1b

/* Where the trampoline (boot/trampoline.S) lands: 64-bit, early tables, RDI = struct cpu_area of this CPU. */
	.globl boot_ap_high
boot_ap_high:
	movl $BOOT_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	leaq CPU_AREA_STACK_TOP(%rdi), %rsp
	xorl %ebp, %ebp
	call smp_ap_main
1:	cli
	hlt
	jmp 1b

	.section .data
	.balign 8
	.globl boot_tsc, hv_load_base, boot_mbi
boot_tsc:     .quad 0                           /* TSC at entry */
hv_load_base: .quad 0                           /* physical address of HV_IMAGE_BASE */
boot_mbi:     .quad 0                           /* physical address of the multiboot2 information */

	.section .bss
	.balign 4096
	.globl boot_pml4
boot_pml4:       .skip 4096
boot_pdpt:       .skip 4096
boot_pdpt_image: .skip 4096
boot_pd_image:   .skip 4096
boot_pd:         .skip 4 * 4096
	.skip 16384                             /* only until setup_boot_cpu() moves to the CPU's own area */
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
