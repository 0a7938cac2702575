/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the boot loader's entry (32-bit, paging off) to guest_main() in long mode, and from the
 * start-up IPI (16-bit) to ap_main(). The first 4 GiB are identity mapped with 2 MiB pages, user
 * accessible (user_call() runs code of the same image), the last 64 MiB below 4 GiB uncached.
 */
#define MB_MAGIC	0x1badb002
#define MB2_MAGIC	0xe85250d6
#define STACK_SIZE	16384

/* The header is multiboot 1 with flags 3 (modules page aligned, memory information), or what guests.mk says. */
	.section .multiboot, "a"
	.align	8
header:
#if defined(HEADER_mb2)
	.long	MB2_MAGIC
	.long	0			/* i386 */
	.long	header_end - header
	.long	-(MB2_MAGIC + (header_end - header))
	.short	1, 0			/* information it can't do without: command line, modules, memory map */
	.long	20
	.long	1, 3, 6
	.align	8
	.short	0, 0
	.long	8
header_end:
#elif defined(HEADER_address)
	.long	MB_MAGIC
	.long	0x10000			/* the addresses count, whatever the file is */
	.long	-(MB_MAGIC + 0x10000)
	.long	header
	.long	image_start
	.long	bss_start
	.long	image_end
	.long	guest_start
#elif defined(HEADER_raw)
	.code32
	jmp	guest_start
#else
#ifdef HEADER_flags0
#define MB_FLAGS	0
#else
#define MB_FLAGS	3
#endif
	.long	MB_MAGIC
	.long	MB_FLAGS
	.long	-(MB_MAGIC + MB_FLAGS)
#endif

	.bss
	.align	4096
	.globl	boot_pml4
boot_pml4:	.skip 4096
boot_pdpt:	.skip 4096
boot_pd:	.skip 4096 * 4
	.align	16
boot_stack:	.skip STACK_SIZE
boot_stack_top:

	.text
	.code32
	.globl	guest_start
guest_start:
	mov	%eax, boot_magic
	mov	%ebx, boot_info
	mov	%ecx, boot_state
	mov	%edx, boot_state + 4
	mov	%esi, boot_state + 8
	mov	%edi, boot_state + 12
	mov	%ebp, boot_state + 16
	mov	%cr0, %eax
	mov	%eax, boot_state + 20
	mov	$boot_stack_top, %esp
	pushf
	pop	boot_state + 24
	mov	%cs, boot_state + 28
	mov	%ds, boot_state + 30
	mov	%es, boot_state + 32
	mov	%fs, boot_state + 34
	mov	%gs, boot_state + 36
	mov	%ss, boot_state + 38
	cli
	cld
#ifdef HEADER_raw
	mov	$bss_start, %edi		/* nobody else clears it */
	mov	$image_end, %ecx
	sub	%edi, %ecx
	xor	%eax, %eax
	rep stosb
#endif

	movl	$boot_pdpt + 7, boot_pml4
	mov	$boot_pd + 7, %eax
	xor	%ecx, %ecx
1:	mov	%eax, boot_pdpt(, %ecx, 8)
	add	$4096, %eax
	inc	%ecx
	cmp	$4, %ecx
	jne	1b
	xor	%ecx, %ecx
2:	mov	%ecx, %eax
	shl	$21, %eax
	or	$0x87, %eax			/* present, writable, user, 2 MiB */
	cmp	$0xfc000000, %eax
	jb	3f
	or	$0x18, %eax			/* PCD, PWT: devices */
3:	mov	%eax, boot_pd(, %ecx, 8)
	movl	$0, boot_pd + 4(, %ecx, 8)
	inc	%ecx
	cmp	$2048, %ecx
	jne	2b
	call	enter_long_mode
	lgdt	gdt_desc
	ljmp	$0x08, $bsp_long

/* 32-bit, paging off, called: turns on PAE, LME, NXE if there, and paging. Clobbers EAX, EBX, ECX, EDX. */
enter_long_mode:
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$0x80000001, %eax
	cpuid
	mov	%edx, %ebx
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	test	$0x100000, %ebx
	jz	1f
	or	$0x800, %eax
1:	wrmsr
	mov	$0x80010033, %eax		/* PG WP NE ET MP PE */
	mov	%eax, %cr0
	ret

	.code64
bsp_long:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$boot_stack_top, %esp
	xor	%ebp, %ebp
	call	guest_main
1:	cli
	hlt
	jmp	1b

/* --- application processors ------------------------------------------------------------------ */

	.section .rodata
	.globl	ap_trampoline, ap_trampoline_end
	.code16
/* Copied to a page below 1 MiB; CS:IP = page:0. */
ap_trampoline:
	cli
	mov	%edx, %ebp			/* what INIT left, for ap_main() to look at */
	mov	%cr0, %esi
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	ap_gdt_desc - ap_trampoline
	mov	%cr0, %eax
	and	$0x1fffffff, %eax		/* INIT leaves CD and NW set */
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$0x18, $ap_start32
	.align	4
ap_gdt_desc:
	.word	gdt_boot_end - gdt - 1
	.long	gdt
ap_trampoline_end:

	.text
	.code32
ap_start32:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	/* No stack yet: enter_long_mode is called on a private one under a lock. */
0:	mov	$1, %eax
	xchg	%eax, ap_lock
	test	%eax, %eax
	jz	1f
	pause
	jmp	0b
1:	mov	$ap_tmp_stack_top, %esp
	call	enter_long_mode
	mov	ap_next, %edi
	incl	ap_next
	ljmp	$0x08, $ap_long
	.code64
ap_long:
	mov	%edi, %eax
	inc	%eax
	shl	$14, %rax			/* 16 KiB each */
	lea	ap_stacks(%rax), %rsp
	mov	%esi, %esi
	mov	%ebp, %edx
	xor	%ebp, %ebp
	movl	$0, ap_lock
	call	ap_main
1:	cli
	hlt
	jmp	1b

	.data
	.align	8
	.globl	boot_magic, boot_info, boot_state, ap_next
boot_magic:	.long 0				/* EAX and EBX of the entry */
boot_info:	.long 0
boot_state:	.skip 40			/* what else the entry found: struct boot_state of load.c */
ap_next:	.long 1				/* index of the next CPU that arrives */
ap_lock:	.long 0
	.align	16
	.globl	gdt
gdt:	.quad	0
	.quad	0x00af9b000000ffff		/* 08 code, 64-bit */
	.quad	0x00cf93000000ffff		/* 10 data */
	.quad	0x00cf9b000000ffff		/* 18 code, 32-bit */
	.quad	0x00cff3000000ffff		/* 20 user data */
	.quad	0x00affb000000ffff		/* 28 user code, 64-bit */
	.quad	0x00cf13000000ffff		/* 30 data, not present */
	.quad	0				/* 38 for tests */
gdt_boot_end:
	.skip	16 * 64				/* 40: TSS of each CPU */
gdt_end:
	.globl	gdt_desc
gdt_desc:
	.word	gdt_end - gdt - 1
	.quad	gdt

	.bss
	.align	16
	.skip	256
ap_tmp_stack_top:
	.globl	ap_stacks
ap_stacks:	.skip STACK_SIZE * 64

	.section .note.GNU-stack, "", @progbits
