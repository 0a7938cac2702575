/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupt entry stubs, and the two ways to run something that may trap.
 */
	.text
	.globl	isr_stubs
	.align	16
/* 256 stubs of 16 bytes each. */
isr_stubs:
	vec = 0
	.rept	256
	.align	16
	.if	vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21
	.else
	pushq	$0
	.endif
	pushq	$vec
	jmp	isr_common
	vec = vec + 1
	.endr

isr_common:
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%cr2, %rax
	push	%rax
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	trap_dispatch
	mov	%rbp, %rsp
	add	$8, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rbp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rbx
	pop	%rax
	add	$16, %rsp
	iretq

/* int catch_exception(void (*fn)(void *), void *arg, struct trap *out) */
	.globl	catch_exception, catch_resume
catch_exception:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	pushfq
	mov	%rdi, %r12
	mov	%rsi, %r13
	mov	%rdx, %rdi
	mov	%rsp, %rsi
	call	catch_push
	mov	%r13, %rdi
	call	*%r12
	call	catch_pop
	mov	$-1, %eax
/* trap_dispatch() comes here with RSP as in catch_push and the vector in RAX. */
catch_resume:
	popfq
	cld
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret

/* void user_enter(void *ctx): ctx = { fn, arg, rflags, stack top }; leaves by INT VEC_USER_EXIT. */
	.globl	user_enter
user_enter:
	mov	(%rdi), %rcx
	mov	16(%rdi), %rdx
	mov	24(%rdi), %rsi
	mov	8(%rdi), %rdi
	pushq	$0x23
	push	%rsi
	push	%rdx
	pushq	$0x2b
	lea	1f(%rip), %rax
	push	%rax
	iretq
1:	call	*%rcx
	int	$0x30
	ud2

	.section .note.GNU-stack, "", @progbits
