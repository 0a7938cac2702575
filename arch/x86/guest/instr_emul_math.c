/* SPDX-License-Identifier: BSD-3-Clause */
/* instr_emul_math.c: instructions that compute registers of a memory operand: MUL IMUL DIV IDIV, bit scans, counts. */
#include <asm/instr_priv.h>
#include <lib/bits.h>

typedef unsigned __int128 wide_t;

/** A number of size bytes, sign-extended if it is signed. */
static wide_t widen(uint64_t val, uint32_t size, bool is_signed)
{
	return is_signed ? (wide_t)(__int128)(int64_t)instr_sign_extend(val, size) : (wide_t)val;
}

/** Stages what is twice as wide as the operand: in AX, or DX:AX, EDX:EAX, RDX:RAX. */
static void stage_pair(struct instr_emul *ctx, uint64_t high, uint64_t low)
{
	const uint32_t size = ctx->in.op_size;

	if (size == 1U) {
		emul_stage(ctx, INSTR_REG_RAX, 2U, ((high & 0xFFUL) << 8U) | (low & 0xFFUL));
	} else {
		emul_stage(ctx, INSTR_REG_RAX, size, low);
		emul_stage(ctx, INSTR_REG_RDX, size, high);
	}
}

/** MUL, and IMUL with one, two or three operands. CF and OF: the product is wider than the operands. */
static void multiply(struct instr_emul *ctx, uint64_t mem)
{
	const struct instr *in = &ctx->in;
	const uint32_t size = in->op_size;
	const bool is_signed = in->op == INSTR_IMUL;
	uint64_t flags = emul_reg(ctx, INSTR_REG_RFLAGS, 8U);
	uint64_t other, low;
	wide_t product;

	if (in->form == INSTR_FORM_RMI) {
		other = in->imm & mask_bytes(size);
	} else {
		other = emul_reg(ctx, (in->form == INSTR_FORM_M) ? INSTR_REG_RAX : in->reg, size);
	}
	product = widen(mem, size, is_signed) * widen(other, size, is_signed);
	low = (uint64_t)product & mask_bytes(size);
	(void)instr_alu(INSTR_TEST, size, low, low, &flags); /* the other flags are undefined */
	if (product != widen(low, size, is_signed)) {
		flags |= RFLAGS_CF | RFLAGS_OF;
	}
	emul_stage(ctx, INSTR_REG_RFLAGS, 8U, flags);
	if (in->form == INSTR_FORM_M) {
		stage_pair(ctx, (uint64_t)(product >> (8U * size)), low);
	} else {
		emul_stage(ctx, in->reg, size, low);
	}
}

/** Bit by bit. @return false: the quotient has more than 64 bits, or the divisor is 0 */
static bool divide_unsigned(wide_t dividend, uint64_t divisor, uint64_t *quotient, uint64_t *rest)
{
	uint64_t r = (uint64_t)(dividend >> 64U);
	uint64_t q = 0UL;
	uint32_t i;

	if (r >= divisor) {
		return false;
	}
	for (i = 64U; i > 0U; i--) {
		const bool carry = (r >> 63U) != 0UL;

		r = (r << 1U) | ((uint64_t)(dividend >> (i - 1U)) & 1UL);
		q <<= 1U;
		if (carry || (r >= divisor)) {
			r -= divisor;
			q |= 1UL;
		}
	}
	*quotient = q;
	*rest = r;
	return true;
}

/** DIV and IDIV, whose flags are undefined: they stay. @return 0, or -EFAULT: #DE */
static int32_t divide(struct instr_emul *ctx, uint64_t mem)
{
	const uint32_t size = ctx->in.op_size;
	const bool is_signed = ctx->in.op == INSTR_IDIV;
	const uint64_t sign = 1UL << (8U * size - 1U);
	const uint64_t low = emul_reg(ctx, INSTR_REG_RAX, size);
	const uint64_t high =
		(size == 1U) ? (emul_reg(ctx, INSTR_REG_RAX, 2U) >> 8U) : emul_reg(ctx, INSTR_REG_RDX, size);
	const bool minus = is_signed && ((high & sign) != 0UL);
	const bool minus_divisor = is_signed && ((mem & sign) != 0UL);
	wide_t dividend = (widen(high, size, is_signed) << (8U * size)) | low;
	uint64_t max = mask_bytes(size);
	uint64_t quotient = 0UL, rest = 0UL;

	if (is_signed) {
		max = (minus != minus_divisor) ? sign : (sign - 1UL);
	}
	dividend = minus ? (0U - dividend) : dividend;
	mem = minus_divisor ? (0UL - instr_sign_extend(mem, size)) : mem;
	if (!divide_unsigned(dividend, mem, &quotient, &rest) || (quotient > max)) {
		return emul_fault(ctx, VECTOR_DE);
	}
	stage_pair(ctx, minus ? (0UL - rest) : rest, (minus != minus_divisor) ? (0UL - quotient) : quotient);
	return 0;
}

static uint64_t count_ones(uint64_t val)
{
	uint64_t count = 0UL;

	for (; val != 0UL; val &= val - 1UL) {
		count++;
	}
	return count;
}

/**
 * BSF BSR TZCNT LZCNT POPCNT. BSF and BSR of 0 leave the register as it is, all of it, as CPUs do (the SDM leaves it
 * open, as most of the flags).
 */
static void scan(struct instr_emul *ctx, uint64_t mem)
{
	const struct instr *in = &ctx->in;
	const bool counts = ((in->op == INSTR_TZCNT) && ctx->cpu.has_tzcnt) ||
		((in->op == INSTR_LZCNT) && ctx->cpu.has_lzcnt) || (in->op == INSTR_POPCNT);
	const bool upwards = (in->op == INSTR_BSF) || (in->op == INSTR_TZCNT);
	const uint64_t bits = 8UL * in->op_size;
	uint64_t flags = emul_reg(ctx, INSTR_REG_RFLAGS, 8U) & ~RFLAGS_ARITH;
	uint64_t res = bits; /* of 0 */

	if (in->op == INSTR_POPCNT) {
		res = count_ones(mem);
	} else if (mem != 0UL) {
		res = upwards ? ffs64(mem) : fls64(mem);
		res = (counts && !upwards) ? (bits - 1UL - res) : res;
	}
	if (counts) {
		flags |= (res == 0UL) ? RFLAGS_ZF : 0UL;
		flags |= ((mem == 0UL) && (in->op != INSTR_POPCNT)) ? RFLAGS_CF : 0UL;
	} else {
		flags |= (mem == 0UL) ? RFLAGS_ZF : 0UL;
	}
	emul_stage(ctx, INSTR_REG_RFLAGS, 8U, flags);
	if (counts || (mem != 0UL)) {
		emul_stage(ctx, in->reg, in->op_size, res);
	}
}

int32_t emul_math(struct instr_emul *ctx)
{
	uint64_t mem = 0UL;
	gla_t gla = 0UL;
	int32_t ret = emul_operand(ctx, NULL, false, &gla);

	if (ret == 0) {
		ret = emul_read(ctx, gla, ctx->in.mem_size, &mem);
	}
	if (ret != 0) {
		return ret;
	}
	switch (ctx->in.op) {
	case INSTR_MUL:
	case INSTR_IMUL:
		multiply(ctx, mem);
		return 0;
	case INSTR_DIV:
	case INSTR_IDIV:
		return divide(ctx, mem);
	default:
		scan(ctx, mem);
		return 0;
	}
}
