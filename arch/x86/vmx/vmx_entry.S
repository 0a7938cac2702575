/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uint64_t vmx_vmrun(struct guest_gprs *regs [rdi], uint32_t how [rsi])
 *
 * Enters the guest and returns after the next exit. The CPU switches RSP, RIP, RFLAGS, segments and CR0/3/4; the
 * general registers are ours. HOST_RSP is written here because it depends on the stack depth.
 */
#include <asm/offsets.h>

#define MSR_SPEC_CTRL 0x48

/* From rax; no flag changes. */
.macro load_guest_gprs
	mov	GPRS_RCX(%rax), %rcx
	mov	GPRS_RDX(%rax), %rdx
	mov	GPRS_RBX(%rax), %rbx
	mov	GPRS_RBP(%rax), %rbp
	mov	GPRS_RSI(%rax), %rsi
	mov	GPRS_RDI(%rax), %rdi
	mov	GPRS_R8(%rax), %r8
	mov	GPRS_R9(%rax), %r9
	mov	GPRS_R10(%rax), %r10
	mov	GPRS_R11(%rax), %r11
	mov	GPRS_R12(%rax), %r12
	mov	GPRS_R13(%rax), %r13
	mov	GPRS_R14(%rax), %r14
	mov	GPRS_R15(%rax), %r15
	mov	GPRS_RAX(%rax), %rax
.endm

	.text
	.global vmx_vmrun
	.type vmx_vmrun, @function
vmx_vmrun:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi

	/* HOST_RSP: written only when it changes, which is when another stack or depth runs this vCPU. */
	mov	$0x6C14, %eax
	cmp	%rsp, GPRS_HOST_RSP(%rdi)
	je	1f
	mov	%rsp, GPRS_HOST_RSP(%rdi)
	vmwrite	%rsp, %rax
1:
	mov	%rdi, %rax
	cmp	$VMRUN_LAUNCHED, %esi
	ja	6f
	load_guest_gprs
	jne	3f
	vmresume
	jmp	4f
3:
	vmlaunch
4:
	/* Only reached when the instruction failed: CF or ZF is set. The guest's registers are still in place. */
	pushfq
	pop	%rax
	pop	%rdi
	mov	$0, %ecx
	mov	%rcx, GPRS_HOST_RSP(%rdi)
	jmp	5f

	/* VM exits arrive here (HOST_RIP) with RSP as at the push of rdi. */
	.global vmx_exit_entry
	.type vmx_exit_entry, @function
vmx_exit_entry:
	push	%rax
	mov	8(%rsp), %rax
	mov	%rcx, GPRS_RCX(%rax)
	mov	%rdx, GPRS_RDX(%rax)
	mov	%rbx, GPRS_RBX(%rax)
	mov	%rbp, GPRS_RBP(%rax)
	mov	%rsi, GPRS_RSI(%rax)
	mov	%rdi, GPRS_RDI(%rax)
	mov	%r8, GPRS_R8(%rax)
	mov	%r9, GPRS_R9(%rax)
	mov	%r10, GPRS_R10(%rax)
	mov	%r11, GPRS_R11(%rax)
	mov	%r12, GPRS_R12(%rax)
	mov	%r13, GPRS_R13(%rax)
	mov	%r14, GPRS_R14(%rax)
	mov	%r15, GPRS_R15(%rax)
	pop	GPRS_RAX(%rax)
	pop	%rdi
	/* No guest value survives in a register that host code might speculate with. */
	xor	%eax, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
5:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret

	/* VMRUN_GUARDED. VERW changes no flag but ZF, and must be the last to touch memory that is not the guest's. */
6:
	cmpb	$0, speculation + SPECULATION_SWAP(%rip)
	je	7f
	mov	%rax, %r8
	mov	GPRS_SPEC_CTRL(%rax), %eax
	xor	%edx, %edx
	mov	$MSR_SPEC_CTRL, %ecx
	wrmsr
	mov	%r8, %rax
7:
	bt	$0, %esi /* CF: VMRUN_LAUNCHED */
	load_guest_gprs
	verw	speculation + SPECULATION_VERW_SELECTOR(%rip)
	jnc	3b
	vmresume
	jmp	4b

	/*
	 * VM exits in Bochs up to 3.0, which forgets that interrupts are off now (SDM 28.5.3) when the guest's were off
	 * too, until IF changes.
	 */
	.global vmx_exit_in_bochs
vmx_exit_in_bochs:
	sti
	cli
	cmpb	$0, speculation + SPECULATION_GUARD_EXIT(%rip)
	je	vmx_exit_entry

	/*
	 * VM exits with something to do before the first RET: what the guest has trained the predictors to must not
	 * lead there.
	 */
	.global vmx_exit_guarded
vmx_exit_guarded:
	push	%rax
	push	%rcx
	push	%rdx
	cmpb	$0, speculation + SPECULATION_SWAP(%rip)
	je	1f
	mov	$MSR_SPEC_CTRL, %ecx
	rdmsr
	mov	24(%rsp), %rcx
	mov	%eax, GPRS_SPEC_CTRL(%rcx)
	mov	speculation + SPECULATION_HOST_SPEC_CTRL(%rip), %eax
	xor	%edx, %edx
	mov	$MSR_SPEC_CTRL, %ecx
	wrmsr
	/* 32 returns, as many as any CPU predicts, now lead nowhere. */
	.rept	32
	call	2f
	int3
2:
	.endr
	add	$(32 * 8), %rsp
	jmp	3f
1:
	/* One CALL is enough on CPUs that keep the guest's returns apart (Intel, "Post-barrier RSB predictions"). */
	call	2f
	int3
2:
	add	$8, %rsp
3:
	lfence
	pop	%rdx
	pop	%rcx
	pop	%rax
	jmp	vmx_exit_entry
	.size vmx_vmrun, . - vmx_vmrun

	.section .note.GNU-stack, "", @progbits
