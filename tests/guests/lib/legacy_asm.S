/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Out of long mode and back (legacy.h). legacy_state is struct legacy; the offsets are checked in legacy.c.
 */
#define CR0		0
#define CR3		4
#define CR4		8
#define EFER		12
#define GS_		16
#define FS_		20
#define ES_		24
#define DS_		28
#define EDI		32
#define ESI		36
#define EBP		40
#define ESP		44
#define EBX		48
#define EDX		52
#define ECX		56
#define EAX		60
#define VEC		64
#define ERR		68
#define EIP		72
#define CS_		76
#define EFLAGS		80
#define SS_		84
#define CR2_		88
#define OUT_CR0		92
#define OUT_CR3		96
#define OUT_CR4		100
#define OUT_TR		104
#define OUT_LDTR	108

#define MSR_EFER	0xc0000080
#define LEG_REAL_PAGE	0x2000
#define LEG_IVT		0x1000

	.macro	load_data selector
	mov	$\selector, %eax
	.irp	segment, ds, es, ss, fs, gs
	mov	%eax, %\segment
	.endr
	.endm

	.bss
	.align	16
	.globl	legacy_state, legacy_cr3, legacy_cr4
legacy_state:	.skip 112
saved_rsp:	.skip 8
saved_cr0:	.skip 8
legacy_cr3:	.skip 8		/* with what long mode is entered again */
legacy_cr4:	.skip 8
saved_efer:	.skip 8
saved_gdtr:	.skip 16
saved_idtr:	.skip 16
saved_tr:	.skip 8
compat_entry:	.skip 8		/* offset and selector of a far call */
	.align	16
	.globl	legacy_stack_top
	.skip	8192
legacy_stack_top:
	.skip	512
exit_stack_top:

	.data
	.globl	legacy_tr
legacy_tr:	.long 0x40

	.section .rodata
	.align	8
legacy_gdtr:
	.word	32 * 8 - 1
	.quad	legacy_gdt
	.align	8
legacy_idtr:
	.word	256 * 8 - 1
	.quad	legacy_idt
legacy_ivt_desc:
	.word	0x3ff
	.quad	LEG_IVT

	.text
	.code64
/* void legacy_switch(void): runs legacy_state. legacy_cr3 and legacy_cr4 are set. */
	.globl	legacy_switch
legacy_switch:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	pushfq
	cli
	mov	%rsp, saved_rsp
	mov	%cr0, %rax
	mov	%rax, saved_cr0
	mov	$MSR_EFER, %ecx
	rdmsr
	mov	%eax, saved_efer
	sgdt	saved_gdtr
	sidt	saved_idtr
	str	saved_tr
	lgdt	legacy_gdtr
	pushq	$0x18
	pushq	$legacy_in32
	lretq

/* void legacy_compat(void (*code)(void), struct legacy *l) */
	.globl	legacy_compat
legacy_compat:
	push	%rbx
	push	%rsi
	sgdt	saved_gdtr
	lgdt	legacy_gdtr
	mov	%edi, compat_entry
	movw	$0x18, compat_entry + 4
	mov	EAX(%rsi), %eax
	mov	EBX(%rsi), %ebx
	mov	ECX(%rsi), %ecx
	mov	EDX(%rsi), %edx
	mov	EDI(%rsi), %edi
	mov	ESI(%rsi), %esi
	lcall	*compat_entry
	lgdt	saved_gdtr
	xchg	%rsi, (%rsp)
	mov	%eax, EAX(%rsi)
	mov	%ebx, EBX(%rsi)
	mov	%ecx, ECX(%rsi)
	mov	%edx, EDX(%rsi)
	mov	%edi, EDI(%rsi)
	pop	%rax
	mov	%eax, ESI(%rsi)
	pop	%rbx
	ret

	.code32
legacy_in32:
	load_data	0x10
	mov	$exit_stack_top, %esp
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	mov	$MSR_EFER, %ecx
	xor	%edx, %edx
	mov	legacy_state + EFER, %eax
	wrmsr
	mov	legacy_state + CR4, %eax
	mov	%eax, %cr4
	mov	legacy_state + CR3, %eax
	mov	%eax, %cr3
	cmpl	$0, legacy_state + CS_		/* nothing to run: legacy_reload() */
	je	legacy_back
	mov	legacy_state + CR0, %eax
	test	$1, %eax
	jz	to_real
	mov	%eax, %cr0
	jmp	1f
1:	lidt	legacy_idtr
	mov	legacy_tr, %eax
	andb	$0xfd, legacy_gdt + 5(%eax)	/* not busy */
	ltr	%ax
	xor	%eax, %eax
	lldt	%ax
	/* The frame of an IRET to any privilege level, on the stack of that level or on ours. */
	testl	$0x20000, legacy_state + EFLAGS
	jnz	2f
	testl	$3, legacy_state + CS_
	jnz	3f
	mov	legacy_state + SS_, %ss
	mov	legacy_state + ESP, %esp
	jmp	4f
2:	pushl	legacy_state + GS_
	pushl	legacy_state + FS_
	pushl	legacy_state + DS_
	pushl	legacy_state + ES_
3:	pushl	legacy_state + SS_
	pushl	legacy_state + ESP
4:	pushl	legacy_state + EFLAGS
	pushl	legacy_state + CS_
	pushl	legacy_state + EIP
	mov	legacy_state + EAX, %eax
	mov	legacy_state + ECX, %ecx
	mov	legacy_state + EDX, %edx
	mov	legacy_state + EBX, %ebx
	mov	legacy_state + EBP, %ebp
	mov	legacy_state + ESI, %esi
	mov	legacy_state + EDI, %edi
	testl	$0x20000, legacy_state + EFLAGS
	jnz	5f
	mov	legacy_state + GS_, %gs
	mov	legacy_state + FS_, %fs
	mov	legacy_state + ES_, %es
	mov	legacy_state + DS_, %ds
5:	iretl

/* --- an exception or interrupt in protected mode ------------------------------------------------ */

	.align	16
	.globl	legacy_stubs
legacy_stubs:
	vec = 0
	.rept	256
	.align	16
	.if	vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21
	.else
	pushl	$0
	.endif
	pushl	$vec
	jmp	legacy_trap
	vec = vec + 1
	.endr

/* Stack: 4 segments, 8 registers, vector, error, EIP, CS, EFLAGS, as in struct legacy; [ESP, SS, [ES, DS, FS, GS]]. */
legacy_trap:
	pushal
	mov	%ds, %eax			/* unlike PUSH, writes the upper half, too */
	push	%eax
	mov	%es, %eax
	push	%eax
	mov	%fs, %eax
	push	%eax
	mov	%gs, %eax
	push	%eax
	mov	%ss, %ecx
	lar	%ecx, %ecx
	test	$0x400000, %ecx			/* a 16-bit stack leaves junk above SP */
	jnz	1f
	movzwl	%sp, %esp
1:	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	cld
	mov	%esp, %esi
	mov	$legacy_state + GS_, %edi
	mov	$(SS_ - GS_) / 4, %ecx
	rep movsl %ss:(%esi), %es:(%edi)
	movzwl	60(%esp), %eax
	mov	%eax, legacy_state + CS_
	testl	$0x20000, legacy_state + EFLAGS
	jnz	1f
	mov	%cs, %ecx
	xor	%eax, %ecx
	test	$3, %ecx
	jnz	2f
	lea	68(%esp), %eax
	mov	%eax, legacy_state + ESP
	mov	%ss, legacy_state + SS_
	jmp	legacy_done
1:	movzwl	76(%esp), %eax
	mov	%eax, legacy_state + ES_
	movzwl	80(%esp), %eax
	mov	%eax, legacy_state + DS_
	movzwl	84(%esp), %eax
	mov	%eax, legacy_state + FS_
	movzwl	88(%esp), %eax
	mov	%eax, legacy_state + GS_
2:	mov	68(%esp), %eax
	mov	%eax, legacy_state + ESP
	movzwl	72(%esp), %eax
	mov	%eax, legacy_state + SS_

/* Protected mode at CPL 0, DS flat: note what else there is to see, and go back. */
	.globl	legacy_done
legacy_done:
	mov	$0x10, %eax
	mov	%eax, %ss
	mov	$exit_stack_top, %esp
	str	%eax
	movzwl	%ax, %eax
	mov	%eax, legacy_state + OUT_TR
	sldt	%eax
	movzwl	%ax, %eax
	mov	%eax, legacy_state + OUT_LDTR
	mov	%cr0, %eax
	mov	%eax, legacy_state + OUT_CR0
	mov	%cr2, %eax
	mov	%eax, legacy_state + CR2_
	mov	%cr3, %eax
	mov	%eax, legacy_state + OUT_CR3
	mov	%cr4, %eax
	mov	%eax, legacy_state + OUT_CR4
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	andb	$0xfd, legacy_gdt + 0x40 + 5	/* long mode refuses a TSS of 16 bits */
	mov	$0x40, %eax
	ltr	%ax

/* 32-bit protected mode without paging. */
legacy_back:
	mov	legacy_cr4, %eax
	mov	%eax, %cr4
	mov	legacy_cr3, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	xor	%edx, %edx
	mov	saved_efer, %eax
	wrmsr
	mov	saved_cr0, %eax
	mov	%eax, %cr0
	ljmp	$0x08, $legacy_in64

	.code64
legacy_in64:
	lgdt	saved_gdtr
	lidt	saved_idtr
	load_data	0x10
	mov	saved_rsp, %rsp
	movzwl	saved_tr, %eax
	mov	saved_gdtr + 2, %rcx
	andb	$0xfd, 5(%rcx, %rax)
	ltr	%ax
	popfq
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret

/* --- real mode ------------------------------------------------------------------------------------ */

	.code32
to_real:
	lidt	legacy_ivt_desc
	load_data	0x38
	ljmp	$0x30, $real_enter - real_start

	.section .rodata
	.globl	real_start, real_stubs, real_end, real_in
	.align	16
/* Copied to LEG_REAL_PAGE; CS:IP = LEG_REAL_PAGE / 16 : 0. */
	.code16
real_start:
real_enter:
	mov	%cr0, %eax
	and	$0xfffffffe, %eax
	mov	%eax, %cr0
	ljmp	$LEG_REAL_PAGE >> 4, $1f - real_start
1:	mov	%cs:real_in + SS_ - real_start, %ss
	mov	%cs:real_in + ESP - real_start, %esp
	pushw	%cs:real_in + EFLAGS - real_start
	pushw	%cs:real_in + CS_ - real_start
	pushw	%cs:real_in + EIP - real_start
	mov	%cs:real_in + EAX - real_start, %eax
	mov	%cs:real_in + ECX - real_start, %ecx
	mov	%cs:real_in + EDX - real_start, %edx
	mov	%cs:real_in + EBX - real_start, %ebx
	mov	%cs:real_in + EBP - real_start, %ebp
	mov	%cs:real_in + ESI - real_start, %esi
	mov	%cs:real_in + EDI - real_start, %edi
	mov	%cs:real_in + DS_ - real_start, %ds
	mov	%cs:real_in + ES_ - real_start, %es
	mov	%cs:real_in + FS_ - real_start, %fs
	mov	%cs:real_in + GS_ - real_start, %gs
	iretw

/* CALL pushes the address behind it: (IP - 3) / 3 is the vector. */
real_stubs:
	.rept	256
	.byte	0xe8
	.word	real_trap - . - 2
	.endr
real_stubs_end:

real_trap:
	mov	%eax, %cs:real_in + EAX - real_start
	mov	%ecx, %cs:real_in + ECX - real_start
	mov	%edx, %cs:real_in + EDX - real_start
	mov	%ebx, %cs:real_in + EBX - real_start
	mov	%ebp, %cs:real_in + EBP - real_start
	mov	%esi, %cs:real_in + ESI - real_start
	mov	%edi, %cs:real_in + EDI - real_start
	xor	%eax, %eax
	pop	%ax
	sub	$real_stubs - real_start + 3, %ax
	xor	%dx, %dx
	mov	$3, %cx
	div	%cx
	mov	%eax, %cs:real_in + VEC - real_start
	pop	%ax
	mov	%eax, %cs:real_in + EIP - real_start
	pop	%ax
	mov	%eax, %cs:real_in + CS_ - real_start
	pop	%ax
	mov	%eax, %cs:real_in + EFLAGS - real_start
	mov	%esp, %cs:real_in + ESP - real_start
	mov	%ss, %cs:real_in + SS_ - real_start
	mov	%ds, %cs:real_in + DS_ - real_start
	mov	%es, %cs:real_in + ES_ - real_start
	mov	%fs, %cs:real_in + FS_ - real_start
	mov	%gs, %cs:real_in + GS_ - real_start
	lgdtl	%cs:real_gdtr - real_start
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$0x18, $real_back
	.align	4
real_gdtr:
	.word	32 * 8 - 1
	.long	legacy_gdt
	.align	4
real_in:	.skip 112
real_end:

	.text
	.code32
real_back:
	load_data	0x10
	mov	$exit_stack_top, %esp
	mov	$LEG_REAL_PAGE + (real_in - real_start), %esi
	mov	$legacy_state, %edi
	mov	$112 / 4, %ecx
	cld
	rep movsl
	mov	%cr0, %eax
	mov	%eax, legacy_state + OUT_CR0
	jmp	legacy_back

	.section .note.GNU-stack, "", @progbits
