/* SPDX-License-Identifier: BSD-3-Clause */
/* instr_priv.h: what the files of the instruction emulator share; for arch/x86/guest/instr_*.c
 * only. */
#ifndef ASM_INSTR_PRIV_H
#define ASM_INSTR_PRIV_H

#include <asm/instr.h>

#define RFLAGS_CF (1UL << 0)
#define RFLAGS_PF (1UL << 2)
#define RFLAGS_AF (1UL << 4)
#define RFLAGS_ZF (1UL << 6)
#define RFLAGS_SF (1UL << 7)
#define RFLAGS_DF (1UL << 10)
#define RFLAGS_OF (1UL << 11)
#define RFLAGS_AC (1UL << 18)

#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

#define VECTOR_DE 0U
#define VECTOR_UD 6U
#define VECTOR_NM 7U
#define VECTOR_SS 12U
#define VECTOR_GP 13U
#define VECTOR_AC 17U

/* ---- instr_emul_alu.c: arithmetic; values are zero-extended from size bytes, flags are RFLAGS
 * ---- */

/**
 * Two operands: INSTR_ADD ... INSTR_CMP, INSTR_TEST.
 * @size  1, 2, 4 or 8 bytes
 * @flags in: RFLAGS before; out: RFLAGS after (AF of the logical ones: 0, as CPUs do; the SDM
 * leaves it open)
 * @return the result
 */
uint64_t instr_alu(uint8_t op, uint32_t size, uint64_t a, uint64_t b, uint64_t *flags);

/** One operand: INSTR_INC, DEC, NOT, NEG. As instr_alu(). */
uint64_t instr_alu_unary(uint8_t op, uint32_t size, uint64_t a, uint64_t *flags);

/** INSTR_BT, BTS, BTR, BTC with bit number bit modulo the size. @return the new value of the word a
 */
uint64_t instr_alu_bit(uint8_t op, uint32_t size, uint64_t a, uint64_t bit, uint64_t *flags);

/** INSTR_ROL ... INSTR_SAR by count, of which the low 5 bits are taken, 6 with 8 bytes. As instr_alu(). */
uint64_t instr_alu_shift(uint8_t op, uint32_t size, uint64_t a, uint64_t count, uint64_t *flags);

/** Whether condition 0..15 of CMOVcc and SETcc holds. */
bool instr_condition(uint8_t cond, uint64_t flags);

/** The low size bytes of val in reverse order. */
uint64_t instr_swap_bytes(uint64_t val, uint32_t size);

/** val, a number of from bytes, sign-extended to 64 bits. */
uint64_t instr_sign_extend(uint64_t val, uint32_t from);

/* ---- instr_emul.c: registers, addresses, memory ---- */

/** Low size bytes of a general register (no high-byte registers). */
uint64_t emul_reg(const struct instr_emul *ctx, uint32_t reg, uint32_t size);

/** Notes a new value of the low size bytes of a register for the commit: 4 bytes clear the upper
 * half. */
void emul_stage(struct instr_emul *ctx, uint32_t reg, uint32_t size, uint64_t val);

/**
 * Segmentation: linear address of seg:offset, with the checks of limit, type and canonical form,
 * and #AC.
 * @size   bytes of the access
 * @access INSTR_ACCESS_*
 * @return 0 or -EFAULT
 */
int32_t emul_linear(struct instr_emul *ctx, uint32_t seg, uint64_t offset, uint32_t size, uint32_t access, gla_t *gla);

/**
 * Asks for the rights of an operand before the first access of the element; nothing in a replay, as
 * it was asked for the first time.
 */
int32_t emul_check(struct instr_emul *ctx, gla_t gla, uint32_t size, uint32_t access);

/** Fills ctx->fault. @return -EFAULT */
int32_t emul_fault(struct instr_emul *ctx, uint8_t vector);

/**
 * Linear address of the memory operand; new_rsp: as POP has changed RSP, or NULL. Its rights are asked for here if
 * another access could come before its first one, or if it has several parts: then no part may be done before all are
 * known to be allowed.
 */
int32_t emul_operand(struct instr_emul *ctx, const uint64_t *new_rsp, bool other_operand, gla_t *gla);

/** Reads or writes 1..32 bytes in parts of 1, 2, 4 or 8 bytes, none of which crosses a page. @return as emul_read() */
int32_t emul_bytes(struct instr_emul *ctx, gla_t gla, uint32_t size, uint8_t *buf, bool write);

/** Reads or writes 1, 2, 4 or 8 bytes. @return 0, INSTR_PENDING, -EFAULT or what ops returned */
int32_t emul_read(struct instr_emul *ctx, gla_t gla, uint32_t size, uint64_t *val);
int32_t emul_write(struct instr_emul *ctx, gla_t gla, uint32_t size, uint64_t val);

/* ---- instr_emul_string.c ---- */

/** One element of MOVS, CMPS, STOS, LODS, SCAS. Sets ctx->more if a REP prefix goes on. */
int32_t emul_string(struct instr_emul *ctx);

/* ---- instr_emul_math.c ---- */

/** MUL IMUL DIV IDIV BSF BSR TZCNT LZCNT POPCNT. */
int32_t emul_math(struct instr_emul *ctx);

/* ---- instr_emul_wide.c ---- */

/** CMPXCHG8B and CMPXCHG16B. */
int32_t emul_cmpxchg8b(struct instr_emul *ctx);

/** Loads and stores of vector registers; a load of less than the register clears the rest of its 16 bytes. */
int32_t emul_vector(struct instr_emul *ctx);

#endif /* ASM_INSTR_PRIV_H */
