/* SPDX-License-Identifier: BSD-3-Clause */
/* instr_emul_wide.c: instructions whose operand in memory may have more than 8 bytes. */
#include <asm/instr_priv.h>
#include <lib/errno.h>

#define CR0_PE (1UL << 0)
#define CR0_EM (1UL << 2)
#define CR0_TS (1UL << 3)

#define CR4_OSFXSR  (1UL << 9)
#define CR4_OSXSAVE (1UL << 18)

#define XCR0_SSE_AVX 6UL

int32_t emul_cmpxchg8b(struct instr_emul *ctx)
{
	const uint32_t half = (ctx->in.mem_size == 16U) ? 8U : 4U;
	uint64_t flags = emul_reg(ctx, INSTR_REG_RFLAGS, 8U) & ~RFLAGS_ZF;
	uint64_t lo = 0UL, hi = 0UL;
	uint8_t buf[16];
	gla_t gla = 0UL;
	uint32_t i;
	int32_t ret = emul_operand(ctx, NULL, false, &gla);

	if (ret == 0) {
		ret = emul_bytes(ctx, gla, 2U * half, buf, false);
	}
	if (ret != 0) {
		return ret;
	}
	for (i = 0U; i < half; i++) {
		lo |= (uint64_t)buf[i] << (8U * i);
		hi |= (uint64_t)buf[half + i] << (8U * i);
	}
	if ((lo == emul_reg(ctx, INSTR_REG_RAX, half)) && (hi == emul_reg(ctx, INSTR_REG_RDX, half))) {
		flags |= RFLAGS_ZF;
		lo = emul_reg(ctx, INSTR_REG_RBX, half);
		hi = emul_reg(ctx, INSTR_REG_RCX, half);
		for (i = 0U; i < half; i++) {
			buf[i] = (uint8_t)(lo >> (8U * i));
			buf[half + i] = (uint8_t)(hi >> (8U * i));
		}
	} else {
		emul_stage(ctx, INSTR_REG_RAX, half, lo);
		emul_stage(ctx, INSTR_REG_RDX, half, hi);
	}
	emul_stage(ctx, INSTR_REG_RFLAGS, 8U, flags);
	return emul_bytes(ctx, gla, 2U * half, buf, true);
}

/** Whether the guest has enabled vector instructions (SDM vol. 3, 14.1 and vol. 2, 2.4). */
static int32_t vector_enabled(struct instr_emul *ctx)
{
	const struct instr_cpu *cpu = &ctx->cpu;
	bool ok;

	if (ctx->in.vex) {
		ok = ((cpu->cr0 & CR0_PE) != 0UL) && !cpu->vm86 && ((cpu->cr4 & CR4_OSXSAVE) != 0UL) &&
			((cpu->xcr0 & XCR0_SSE_AVX) == XCR0_SSE_AVX);
	} else {
		ok = ((cpu->cr0 & CR0_EM) == 0UL) && ((cpu->cr4 & CR4_OSFXSR) != 0UL);
	}
	if (!ok) {
		return emul_fault(ctx, VECTOR_UD);
	}
	return ((cpu->cr0 & CR0_TS) != 0UL) ? emul_fault(ctx, VECTOR_NM) : 0;
}

int32_t emul_vector(struct instr_emul *ctx)
{
	const struct instr *in = &ctx->in;
	uint8_t buf[32] = {0};
	gla_t gla = 0UL;
	uint32_t i;
	int32_t ret;

	if (ctx->ops->get_vec == NULL) {
		return -EINVAL;
	}
	ret = vector_enabled(ctx);
	if (ret == 0) {
		ret = emul_operand(ctx, NULL, false, &gla);
	}
	if (ret != 0) {
		return ret;
	}
	if (in->form == INSTR_FORM_MR) {
		ctx->ops->get_vec(ctx->arg, in->reg, buf);
		return emul_bytes(ctx, gla, in->mem_size, buf, true);
	}
	ret = emul_bytes(ctx, gla, in->mem_size, buf, false);
	for (i = 0U; i < sizeof(buf); i++) {
		ctx->vec[i] = buf[i];
	}
	ctx->vec_size = in->op_size;
	return ret;
}
