/* SPDX-License-Identifier: BSD-3-Clause */
/* instr_emul_string.c: one element of a string instruction (SDM vol. 2, REP and the instructions
 * themselves). */
#include <asm/instr_priv.h>
#include <lib/bits.h>

/** Which operands a string instruction has. */
static bool uses_source(uint8_t op)
{
	return (op == INSTR_MOVS) || (op == INSTR_CMPS) || (op == INSTR_LODS);
}

static bool uses_destination(uint8_t op)
{
	return op != INSTR_LODS;
}

/** Addresses and rights of both operands, source first as the CPU does. */
static int32_t string_addresses(struct instr_emul *ctx, gla_t *src, gla_t *dst)
{
	const struct instr *in = &ctx->in;
	const uint32_t size = in->op_size;
	const uint32_t dst_access =
		((in->op == INSTR_MOVS) || (in->op == INSTR_STOS)) ? INSTR_ACCESS_WRITE : INSTR_ACCESS_READ;
	int32_t ret = 0;

	if (uses_source(in->op)) {
		ret = emul_linear(
			ctx, in->seg, emul_reg(ctx, INSTR_REG_RSI, in->addr_size), size, INSTR_ACCESS_READ, src);
		if (ret == 0) {
			ret = emul_check(ctx, *src, size, INSTR_ACCESS_READ);
		}
	}
	if ((ret == 0) && uses_destination(in->op)) {
		ret = emul_linear(
			ctx, INSTR_SEG_ES, emul_reg(ctx, INSTR_REG_RDI, in->addr_size), size, dst_access, dst);
		if (ret == 0) {
			ret = emul_check(ctx, *dst, size, dst_access);
		}
	}
	return ret;
}

/** Reads what the instruction reads, writes what it writes, stages RAX and flags. */
static int32_t string_access(struct instr_emul *ctx, gla_t src, gla_t dst, uint64_t *flags)
{
	const struct instr *in = &ctx->in;
	const uint32_t size = in->op_size;
	uint64_t a = emul_reg(ctx, INSTR_REG_RAX, size);
	uint64_t b = 0UL;
	int32_t ret = 0;

	if (uses_source(in->op)) {
		ret = emul_read(ctx, src, size, &a);
	}
	if (ret != 0) {
		return ret;
	}
	switch (in->op) {
	case INSTR_MOVS:
	case INSTR_STOS:
		ret = emul_write(ctx, dst, size, a);
		break;
	case INSTR_LODS:
		emul_stage(ctx, INSTR_REG_RAX, size, a);
		break;
	default: /* CMPS, SCAS */
		ret = emul_read(ctx, dst, size, &b);
		(void)instr_alu(INSTR_CMP, size, a, b, flags);
		emul_stage(ctx, INSTR_REG_RFLAGS, 8U, *flags);
		break;
	}
	return ret;
}

int32_t emul_string(struct instr_emul *ctx)
{
	const struct instr *in = &ctx->in;
	const uint32_t addr_size = in->addr_size;
	const bool compares = (in->op == INSTR_CMPS) || (in->op == INSTR_SCAS);
	uint64_t count = emul_reg(ctx, INSTR_REG_RCX, addr_size);
	uint64_t flags = emul_reg(ctx, INSTR_REG_RFLAGS, 8U);
	uint64_t step = in->op_size;
	gla_t src = 0UL, dst = 0UL;
	int32_t ret;

	if ((in->rep != 0U) && (count == 0UL)) {
		return 0;
	}
	if ((flags & RFLAGS_DF) != 0UL) {
		step = 0UL - step;
	}
	ret = string_addresses(ctx, &src, &dst);
	if (ret == 0) {
		ret = string_access(ctx, src, dst, &flags);
	}
	if (ret != 0) {
		return ret;
	}
	if (uses_source(in->op)) {
		emul_stage(ctx, INSTR_REG_RSI, addr_size, emul_reg(ctx, INSTR_REG_RSI, addr_size) + step);
	}
	if (uses_destination(in->op)) {
		emul_stage(ctx, INSTR_REG_RDI, addr_size, emul_reg(ctx, INSTR_REG_RDI, addr_size) + step);
	}
	if (in->rep != 0U) {
		count--;
		emul_stage(ctx, INSTR_REG_RCX, addr_size, count);
		ctx->more = count != 0UL;
		/* F3 before CMPS and SCAS goes on while equal, F2 while not; before the others both
		 * just repeat */
		if (compares && (((flags & RFLAGS_ZF) != 0UL) != (in->rep == 0xF3U))) {
			ctx->more = false;
		}
	}
	return 0;
}
