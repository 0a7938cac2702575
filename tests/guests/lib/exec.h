/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Run one instruction with every general register and RFLAGS given, and see all of them after it.
 *
 *	STUB(in_al_dx, "inb %dx, %al");
 *	struct regs r = { .rdx = 0x3ff, .rflags = 2 };
 *	vec = exec_catch(&r, in_al_dx, &trap);
 *
 * NAME is the instruction's address, NAME_after that of the RET behind it.
 */
#ifndef GUESTS_LIB_EXEC_H
#define GUESTS_LIB_EXEC_H

#include <stdint.h>

#include <guests/lib/trap.h>

struct regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rflags;	/* bit 1 is set by the CPU anyway */
};

#define STUB(name, insn)					\
	__asm__(".pushsection .text\n"				\
		#name ":\n\t" insn "\n"				\
		#name "_after:\n\tret\n"			\
		".popsection\n");				\
	extern const uint8_t name[], name##_after[]

/* Distinct, recognisable values in all registers, flags clear. */
void regs_fill(struct regs *r);
/* Call @stub with *r; *r is what it left. The caller's own flags are kept. */
void exec_regs(struct regs *r, const uint8_t *stub);
/* The same, catching an exception: its vector with the frame in @t (*r unchanged), or NO_TRAP. */
int exec_catch(struct regs *r, const uint8_t *stub, struct trap *t);
/* True if the registers are equal, RFLAGS in @flag_mask too. */
bool regs_equal(const struct regs *a, const struct regs *b, uint64_t flag_mask);

#endif /* GUESTS_LIB_EXEC_H */
