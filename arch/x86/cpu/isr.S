/* SPDX-License-Identifier: BSD-3-Clause */
/* One stub for each vector; all registers into struct exc_frame. The hypervisor never runs in user mode: no SWAPGS. */
	.text
	.altmacro

	.macro isr_stub vector
	.balign 16
	.if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21
	.elseif \vector == 29 || \vector == 30
	.else
	pushq $0
	.endif
	pushq $\vector
	jmp isr_common
	.endm

	.globl isr_stubs
	.balign 16
isr_stubs:
	vec = 0
	.rept 256
	isr_stub %vec
	vec = vec + 1
	.endr

isr_common:
	cld
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, %rdi
	movq %rsp, %rbx
	andq $-16, %rsp
	call exception_dispatch
	movq %rbx, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
