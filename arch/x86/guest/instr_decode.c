/* SPDX-License-Identifier: BSD-3-Clause */
/* instr_decode.c: decodes the instructions of asm/instr.h (SDM vol. 2, ch. 2 and appendix A). */
#include <asm/instr.h>
#include <lib/errno.h>

#define REX_W 8U
#define REX_R 4U
#define REX_X 2U
#define REX_B 1U

/* Flags of an opcode. */
#define F_BYTE  (1U << 0) /* operands are bytes */
#define F_IMM8  (1U << 1) /* one immediate byte, sign-extended (else as wide as the operand, at most 4) */
#define F_D64   (1U << 2) /* 64-bit operands are the default in 64-bit mode, 32-bit ones do not exist */
#define F_F64   (1U << 3) /* operands are always 64-bit in 64-bit mode */
#define F_MEM1  (1U << 4) /* the memory operand is a byte whatever the register is */
#define F_MEM2  (1U << 5) /* the memory operand is a word whatever the register is */
#define F_MOFFS (1U << 6) /* absolute address instead of ModRM, register is the accumulator */
#define F_NTI   (1U << 7) /* MOVNTI: no prefix 66, F2 or F3, at least 4 bytes in every mode */

/* Opcodes whose ModRM.reg selects the operation. */
enum group {
	GROUP_NONE,
	GROUP_1,  /* 80..83 */
	GROUP_1A, /* 8F */
	GROUP_2,  /* C0, C1, D0..D3 */
	GROUP_3,  /* F6, F7 */
	GROUP_4,  /* FE */
	GROUP_5,  /* FF */
	GROUP_8,  /* 0F BA */
	GROUP_9,  /* 0F C7 */
	GROUP_11, /* C6, C7 */
	GROUP_15, /* 0F AE */
	GROUP_COUNT
};

struct opcode {
	uint8_t op;
	uint8_t form; /* INSTR_FORM_NONE: not in the set */
	uint8_t flags;
	uint8_t group;
};

#define OP(op_, form_, flags_)                                                                                         \
	{                                                                                                              \
		INSTR_##op_, INSTR_FORM_##form_, (flags_), GROUP_NONE                                                  \
	}
#define GRP(group_, form_, flags_)                                                                                     \
	{                                                                                                              \
		0U, INSTR_FORM_##form_, (flags_), (group_)                                                             \
	}
#define ALU(base_, op_)                                                                                                \
	[(base_)] = OP(op_, MR, F_BYTE), [(base_) + 1] = OP(op_, MR, 0U), [(base_) + 2] = OP(op_, RM, F_BYTE),         \
	[(base_) + 3] = OP(op_, RM, 0U)

static const struct opcode one_byte_map[256] = {
	ALU(0x00, ADD),
	ALU(0x08, OR),
	ALU(0x10, ADC),
	ALU(0x18, SBB),
	ALU(0x20, AND),
	ALU(0x28, SUB),
	ALU(0x30, XOR),
	ALU(0x38, CMP),
	[0x63] = OP(MOVSX, RM, 0U), /* MOVSXD; in 64-bit mode only */
	[0x69] = OP(IMUL, RMI, 0U),
	[0x6B] = OP(IMUL, RMI, F_IMM8),
	[0x80] = GRP(GROUP_1, MI, F_BYTE | F_IMM8),
	[0x81] = GRP(GROUP_1, MI, 0U),
	[0x82] = GRP(GROUP_1, MI, F_BYTE | F_IMM8), /* not in 64-bit mode */
	[0x83] = GRP(GROUP_1, MI, F_IMM8),
	[0x84] = OP(TEST, MR, F_BYTE),
	[0x85] = OP(TEST, MR, 0U),
	[0x86] = OP(XCHG, MR, F_BYTE),
	[0x87] = OP(XCHG, MR, 0U),
	[0x88] = OP(MOV, MR, F_BYTE),
	[0x89] = OP(MOV, MR, 0U),
	[0x8A] = OP(MOV, RM, F_BYTE),
	[0x8B] = OP(MOV, RM, 0U),
	[0x8C] = OP(MOV_SREG, MR, F_MEM2),
	[0x8F] = GRP(GROUP_1A, M, F_D64),
	[0xA0] = OP(MOV, RM, F_BYTE | F_MOFFS),
	[0xA1] = OP(MOV, RM, F_MOFFS),
	[0xA2] = OP(MOV, MR, F_BYTE | F_MOFFS),
	[0xA3] = OP(MOV, MR, F_MOFFS),
	[0xA4] = OP(MOVS, STRING, F_BYTE),
	[0xA5] = OP(MOVS, STRING, 0U),
	[0xA6] = OP(CMPS, STRING, F_BYTE),
	[0xA7] = OP(CMPS, STRING, 0U),
	[0xAA] = OP(STOS, STRING, F_BYTE),
	[0xAB] = OP(STOS, STRING, 0U),
	[0xAC] = OP(LODS, STRING, F_BYTE),
	[0xAD] = OP(LODS, STRING, 0U),
	[0xAE] = OP(SCAS, STRING, F_BYTE),
	[0xAF] = OP(SCAS, STRING, 0U),
	[0xC0] = GRP(GROUP_2, MI, F_BYTE | F_IMM8),
	[0xC1] = GRP(GROUP_2, MI, F_IMM8),
	[0xC6] = GRP(GROUP_11, MI, F_BYTE | F_IMM8),
	[0xC7] = GRP(GROUP_11, MI, 0U),
	[0xD0] = GRP(GROUP_2, M, F_BYTE), /* by 1 */
	[0xD1] = GRP(GROUP_2, M, 0U),
	[0xD2] = GRP(GROUP_2, MR, F_BYTE), /* by CL */
	[0xD3] = GRP(GROUP_2, MR, 0U),
	[0xF6] = GRP(GROUP_3, M, F_BYTE),
	[0xF7] = GRP(GROUP_3, M, 0U),
	[0xFE] = GRP(GROUP_4, M, F_BYTE),
	[0xFF] = GRP(GROUP_5, M, 0U),
};

static const struct opcode two_byte_map[256] = {
	[0x40 ... 0x4F] = OP(CMOV, RM, 0U),
	[0x90 ... 0x9F] = OP(SETCC, M, F_BYTE),
	[0xA3] = OP(BT, MR, 0U),
	[0xAB] = OP(BTS, MR, 0U),
	[0xAE] = GRP(GROUP_15, M, 0U),
	[0xAF] = OP(IMUL, RM, 0U),
	[0xB0] = OP(CMPXCHG, MR, F_BYTE),
	[0xB1] = OP(CMPXCHG, MR, 0U),
	[0xB3] = OP(BTR, MR, 0U),
	[0xB6] = OP(MOVZX, RM, F_MEM1),
	[0xB7] = OP(MOVZX, RM, F_MEM2),
	[0xB8] = OP(POPCNT, RM, 0U), /* with F3 only */
	[0xBA] = GRP(GROUP_8, MI, F_IMM8),
	[0xBB] = OP(BTC, MR, 0U),
	[0xBC] = OP(BSF, RM, 0U), /* with F3: TZCNT */
	[0xBD] = OP(BSR, RM, 0U), /* with F3: LZCNT */
	[0xBE] = OP(MOVSX, RM, F_MEM1),
	[0xBF] = OP(MOVSX, RM, F_MEM2),
	[0xC0] = OP(XADD, MR, F_BYTE),
	[0xC1] = OP(XADD, MR, 0U),
	[0xC3] = OP(MOV, MR, F_NTI),
	[0xC7] = GRP(GROUP_9, M, 0U),
};

/* What ModRM.reg selects; 0xFF: nothing in the set. */
#define NO 0xFFU
static const uint8_t group_op[GROUP_COUNT][8] = {
	[GROUP_1] = {INSTR_ADD, INSTR_OR, INSTR_ADC, INSTR_SBB, INSTR_AND, INSTR_SUB, INSTR_XOR, INSTR_CMP},
	[GROUP_1A] = {INSTR_POP, NO, NO, NO, NO, NO, NO, NO},
	[GROUP_2] = {INSTR_ROL, INSTR_ROR, INSTR_RCL, INSTR_RCR, INSTR_SHL, INSTR_SHR, INSTR_SHL, INSTR_SAR},
	[GROUP_3] = {INSTR_TEST, INSTR_TEST, INSTR_NOT, INSTR_NEG, INSTR_MUL, INSTR_IMUL, INSTR_DIV, INSTR_IDIV},
	[GROUP_4] = {INSTR_INC, INSTR_DEC, NO, NO, NO, NO, NO, NO},
	[GROUP_5] = {INSTR_INC, INSTR_DEC, INSTR_CALL, NO, INSTR_JMP, NO, INSTR_PUSH, NO},
	[GROUP_8] = {NO, NO, NO, NO, INSTR_BT, INSTR_BTS, INSTR_BTR, INSTR_BTC},
	[GROUP_9] = {NO, INSTR_CMPXCHG8B, NO, NO, NO, NO, NO, NO},
	[GROUP_11] = {INSTR_MOV, NO, NO, NO, NO, NO, NO, NO},
	[GROUP_15] = {NO, NO, NO, NO, NO, NO, INSTR_CLFLUSH, INSTR_CLFLUSH},
};

/* Mandatory prefixes of vector instructions, as in VEX.pp; a set of them. */
#define PP_NONE (1U << 0)
#define PP_66   (1U << 1)
#define PP_F3   (1U << 2)
#define PP_F2   (1U << 3)

/* Operand size of a vector move. */
enum vec_size {
	VEC_FULL,    /* 16 or 32 by VEX.L */
	VEC_FULL_AL, /* the same, aligned */
	VEC_4,       /* scalar, VEX.L ignored */
	VEC_8,       /* scalar, VEX.L ignored */
	VEC_8_L0,    /* VEX.L must be 0 */
	VEC_GPR_L0,  /* 4 or 8 by REX.W, VEX.L must be 0 */
};

struct vec_opcode {
	uint8_t map; /* 1: 0F, 2: 0F 38 */
	uint8_t opcode;
	uint8_t pp;
	uint8_t form;
	uint8_t size;
};

/* clang-format off: one opcode a line */
static const struct vec_opcode vec_opcodes[] = {
	{1U, 0x10U, PP_NONE | PP_66, INSTR_FORM_RM, VEC_FULL}, /* MOVUPS, MOVUPD */
	{1U, 0x11U, PP_NONE | PP_66, INSTR_FORM_MR, VEC_FULL}, {1U, 0x10U, PP_F3, INSTR_FORM_RM, VEC_4}, /* MOVSS */
	{1U, 0x11U, PP_F3, INSTR_FORM_MR, VEC_4}, {1U, 0x10U, PP_F2, INSTR_FORM_RM, VEC_8},              /* MOVSD */
	{1U, 0x11U, PP_F2, INSTR_FORM_MR, VEC_8},
	{1U, 0x28U, PP_NONE | PP_66, INSTR_FORM_RM, VEC_FULL_AL}, /* MOVAPS, MOVAPD */
	{1U, 0x29U, PP_NONE | PP_66, INSTR_FORM_MR, VEC_FULL_AL},
	{1U, 0x2BU, PP_NONE | PP_66, INSTR_FORM_MR, VEC_FULL_AL}, /* MOVNTPS, MOVNTPD */
	{1U, 0x6EU, PP_66, INSTR_FORM_RM, VEC_GPR_L0},            /* MOVD, MOVQ */
	{1U, 0x7EU, PP_66, INSTR_FORM_MR, VEC_GPR_L0}, {1U, 0x7EU, PP_F3, INSTR_FORM_RM, VEC_8_L0},  /* MOVQ */
	{1U, 0xD6U, PP_66, INSTR_FORM_MR, VEC_8_L0}, {1U, 0x6FU, PP_66, INSTR_FORM_RM, VEC_FULL_AL}, /* MOVDQA */
	{1U, 0x7FU, PP_66, INSTR_FORM_MR, VEC_FULL_AL}, {1U, 0x6FU, PP_F3, INSTR_FORM_RM, VEC_FULL}, /* MOVDQU */
	{1U, 0x7FU, PP_F3, INSTR_FORM_MR, VEC_FULL}, {1U, 0xE7U, PP_66, INSTR_FORM_MR, VEC_FULL_AL}, /* MOVNTDQ */
	{1U, 0xF0U, PP_F2, INSTR_FORM_RM, VEC_FULL},                                                 /* LDDQU */
	{2U, 0x2AU, PP_66, INSTR_FORM_RM, VEC_FULL_AL},                                              /* MOVNTDQA */
};
/* clang-format on */

/** A decoding in progress. */
struct decoder {
	struct instr *in;
	const uint8_t *bytes;
	uint32_t avail;
	uint32_t pos;
	uint8_t seg_override; /* INSTR_SEG_NONE: none that counts */
	bool prefix_66;
	bool prefix_67;
	uint8_t vex_l;
	uint8_t vex_pp;
	uint8_t mod;
	uint8_t modrm_reg; /* without REX.R */
};

/** Reads n bytes (little endian, zero-extended). @return 0, -EAGAIN or -EINVAL (too long) */
static int32_t fetch(struct decoder *d, uint32_t n, uint64_t *val)
{
	uint32_t i;

	if ((d->pos + n) > INSTR_MAX_LEN) {
		return -EINVAL;
	}
	if ((d->pos + n) > d->avail) {
		return -EAGAIN;
	}
	*val = 0UL;
	for (i = 0U; i < n; i++) {
		*val |= (uint64_t)d->bytes[d->pos + i] << (8U * i);
	}
	d->pos += n;
	return 0;
}

static int32_t fetch_byte(struct decoder *d, uint8_t *val)
{
	uint64_t byte = 0UL;
	const int32_t ret = fetch(d, 1U, &byte);

	*val = (uint8_t)byte;
	return ret;
}

/** As fetch(), sign-extended. */
static int32_t fetch_signed(struct decoder *d, uint32_t n, uint64_t *val)
{
	const uint32_t shift = 64U - (8U * n);
	const int32_t ret = fetch(d, n, val);

	if (ret == 0) {
		*val = (uint64_t)((int64_t)(*val << shift) >> shift);
	}
	return ret;
}

/** Segment override: in 64-bit mode only FS and GS count, the others do not even undo them. */
static void take_segment(struct decoder *d, uint8_t seg)
{
	if ((d->in->mode != INSTR_MODE_64) || (seg >= INSTR_SEG_FS)) {
		d->seg_override = seg;
	}
}

/** Reads legacy and REX prefixes; *opcode becomes the first byte after them. */
static int32_t decode_prefixes(struct decoder *d, uint8_t *opcode)
{
	struct instr *in = d->in;
	int32_t ret;

	while ((ret = fetch_byte(d, opcode)) == 0) {
		if ((in->mode == INSTR_MODE_64) && ((*opcode & 0xF0U) == 0x40U)) {
			in->rex = *opcode;
			continue;
		}
		switch (*opcode) {
		case 0x26U:
		case 0x2EU:
		case 0x36U:
		case 0x3EU:
			take_segment(d, (*opcode >> 3U) & 3U);
			break;
		case 0x64U:
		case 0x65U:
			take_segment(d, *opcode & 7U);
			break;
		case 0x66U:
			d->prefix_66 = true;
			break;
		case 0x67U:
			d->prefix_67 = true;
			break;
		case 0xF0U:
			in->lock = true;
			break;
		case 0xF2U:
		case 0xF3U:
			in->rep = *opcode;
			break;
		default:
			return 0;
		}
		in->rex = 0U; /* a REX prefix counts only directly before the opcode */
	}
	return ret;
}

/** Operand size in bytes of an instruction that is not a vector move. */
static uint8_t operand_size(const struct decoder *d, uint32_t flags)
{
	const struct instr *in = d->in;

	if ((flags & F_BYTE) != 0U) {
		return 1U;
	}
	if (in->mode == INSTR_MODE_64) {
		if (((in->rex & REX_W) != 0U) || ((flags & F_F64) != 0U)) {
			return 8U;
		}
		if (d->prefix_66) {
			return 2U;
		}
		return ((flags & F_D64) != 0U) ? 8U : 4U;
	}
	if ((flags & F_NTI) != 0U) {
		return 4U;
	}
	return ((in->mode == INSTR_MODE_32) != d->prefix_66) ? 4U : 2U;
}

static uint8_t address_size(const struct decoder *d)
{
	switch (d->in->mode) {
	case INSTR_MODE_64:
		return d->prefix_67 ? 4U : 8U;
	case INSTR_MODE_32:
		return d->prefix_67 ? 2U : 4U;
	default:
		return d->prefix_67 ? 4U : 2U;
	}
}

/** The segment of the memory operand, once its base register is known. */
static void choose_segment(struct decoder *d)
{
	struct instr *in = d->in;

	if (d->seg_override != INSTR_SEG_NONE) {
		in->seg = d->seg_override;
	} else if ((in->base == INSTR_REG_RSP) || (in->base == INSTR_REG_RBP)) {
		in->seg = INSTR_SEG_SS;
	} else {
		in->seg = INSTR_SEG_DS;
	}
}

/** 16-bit addressing (SDM vol. 2, table 2-1). */
static int32_t decode_address16(struct decoder *d, uint8_t rm)
{
	static const uint8_t bases[8] = {INSTR_REG_RBX, INSTR_REG_RBX, INSTR_REG_RBP, INSTR_REG_RBP, INSTR_REG_RSI,
		INSTR_REG_RDI, INSTR_REG_RBP, INSTR_REG_RBX};
	static const uint8_t indices[4] = {INSTR_REG_RSI, INSTR_REG_RDI, INSTR_REG_RSI, INSTR_REG_RDI};
	struct instr *in = d->in;

	in->base = bases[rm];
	in->index = (rm < 4U) ? indices[rm] : (uint8_t)INSTR_REG_NONE;
	if (d->mod == 1U) {
		return fetch_signed(d, 1U, &in->disp);
	}
	if (d->mod == 2U) {
		return fetch_signed(d, 2U, &in->disp);
	}
	if (rm == 6U) {
		in->base = INSTR_REG_NONE;
		return fetch_signed(d, 2U, &in->disp);
	}
	return 0;
}

/** 32-bit and 64-bit addressing (SDM vol. 2, tables 2-2, 2-3 and 2-5). */
static int32_t decode_address32(struct decoder *d, uint8_t rm)
{
	struct instr *in = d->in;
	bool no_base = (d->mod == 0U) && (rm == 5U);
	uint8_t sib = 0U;
	int32_t ret;

	in->base = rm | (((in->rex & REX_B) != 0U) ? 8U : 0U);
	if (rm == 4U) {
		ret = fetch_byte(d, &sib);
		if (ret != 0) {
			return ret;
		}
		in->scale = sib >> 6U;
		in->index = ((sib >> 3U) & 7U) | (((in->rex & REX_X) != 0U) ? 8U : 0U);
		if (in->index == INSTR_REG_RSP) {
			in->index = INSTR_REG_NONE;
		}
		in->base = (sib & 7U) | (((in->rex & REX_B) != 0U) ? 8U : 0U);
		no_base = (d->mod == 0U) && ((sib & 7U) == 5U);
	}
	if (no_base) {
		in->base = ((rm == 5U) && (in->mode == INSTR_MODE_64)) ? INSTR_REG_RIP : INSTR_REG_NONE;
		return fetch_signed(d, 4U, &in->disp);
	}
	if (d->mod == 1U) {
		return fetch_signed(d, 1U, &in->disp);
	}
	return (d->mod == 2U) ? fetch_signed(d, 4U, &in->disp) : 0;
}

/** ModRM, SIB and displacement. Register operands only: -EINVAL. */
static int32_t decode_modrm(struct decoder *d)
{
	struct instr *in = d->in;
	uint8_t modrm = 0U;
	int32_t ret = fetch_byte(d, &modrm);

	if (ret != 0) {
		return ret;
	}
	d->mod = modrm >> 6U;
	if (d->mod == 3U) {
		return -EINVAL;
	}
	d->modrm_reg = (modrm >> 3U) & 7U;
	in->reg = d->modrm_reg | (((in->rex & REX_R) != 0U) ? 8U : 0U);
	ret = (in->addr_size == 2U) ? decode_address16(d, modrm & 7U) : decode_address32(d, modrm & 7U);
	choose_segment(d);
	return ret;
}

/** Turns a group opcode into the operation that ModRM.reg selects. */
static int32_t resolve_group(struct decoder *d, const struct opcode *def, uint32_t *flags)
{
	struct instr *in = d->in;

	if (group_op[def->group][d->modrm_reg] == NO) {
		return -EINVAL;
	}
	in->op = group_op[def->group][d->modrm_reg];
	switch (def->group) {
	case GROUP_2:
		if (in->form == INSTR_FORM_MR) {
			in->reg = INSTR_REG_RCX;
		}
		break;
	case GROUP_3:
		if (in->op == INSTR_TEST) {
			in->form = INSTR_FORM_MI;
		}
		break;
	case GROUP_5:
		if (in->op == INSTR_PUSH) {
			*flags |= F_D64;
		} else if ((in->op == INSTR_CALL) || (in->op == INSTR_JMP)) {
			*flags |= F_F64;
		}
		break;
	case GROUP_15:
		/* CLFLUSH; 66: CLFLUSHOPT, CLWB; others save or restore state, or are undefined */
		if ((in->rep != 0U) || ((d->modrm_reg == 6U) && !d->prefix_66)) {
			return -EINVAL;
		}
		*flags |= F_BYTE;
		break;
	default:
		break;
	}
	return 0;
}

/** How the instruction uses the operand that ModRM or moffs names. */
static uint8_t operand_access(const struct instr *in)
{
	if (in->form == INSTR_FORM_STRING) {
		return 0U;
	}
	if ((in->form == INSTR_FORM_RM) || (in->form == INSTR_FORM_RMI)) {
		return INSTR_ACCESS_READ;
	}
	switch (in->op) {
	case INSTR_CMP:
	case INSTR_TEST:
	case INSTR_BT:
	case INSTR_PUSH:
	case INSTR_CALL:
	case INSTR_JMP:
	case INSTR_CLFLUSH:
	case INSTR_MUL:
	case INSTR_IMUL:
	case INSTR_DIV:
	case INSTR_IDIV:
		return INSTR_ACCESS_READ;
	case INSTR_MOV:
	case INSTR_MOVBE:
	case INSTR_MOV_SREG:
	case INSTR_SETCC:
	case INSTR_POP:
	case INSTR_VEC_MOVE:
		return INSTR_ACCESS_WRITE;
	default:
		return INSTR_ACCESS_READ | INSTR_ACCESS_WRITE;
	}
}

/** Immediate, sizes and the last checks: all after the ModRM part of an instruction that is not a
 * vector move. */
static int32_t finish(struct decoder *d, uint32_t flags)
{
	struct instr *in = d->in;
	int32_t ret = 0;

	in->op_size = operand_size(d, flags);
	in->mem_size = in->op_size;
	if ((flags & F_MEM1) != 0U) {
		in->mem_size = 1U;
	} else if ((flags & F_MEM2) != 0U) {
		in->mem_size = 2U;
	} else if (in->op == INSTR_CMPXCHG8B) {
		in->mem_size = ((in->rex & REX_W) != 0U) ? 16U : 8U;
		in->aligned = in->mem_size == 16U;
	}
	if ((in->form == INSTR_FORM_MI) || (in->form == INSTR_FORM_RMI)) {
		ret = fetch_signed(d, ((flags & F_IMM8) != 0U) ? 1U : MIN(in->op_size, 4U), &in->imm);
	}
	in->access = operand_access(in);
	/* LOCK is for what reads, changes and writes memory, but not for shifts. */
	if (in->lock &&
		((in->access != (INSTR_ACCESS_READ | INSTR_ACCESS_WRITE)) ||
			((in->op >= INSTR_ROL) && (in->op <= INSTR_SAR)))) {
		ret = -EINVAL;
	}
	return ret;
}

/** Prefix F3 makes other instructions of BSF and BSR, and POPCNT has it always. */
static int32_t apply_f3(struct instr *in)
{
	const bool f3 = in->rep == 0xF3U;

	if (f3 && (in->op == INSTR_BSF)) {
		in->op = INSTR_TZCNT;
	} else if (f3 && (in->op == INSTR_BSR)) {
		in->op = INSTR_LZCNT;
	}
	return ((in->op == INSTR_POPCNT) && !f3) ? -EINVAL : 0;
}

/** An instruction of the one-byte or two-byte map. */
static int32_t decode_integer(struct decoder *d, const struct opcode *def, uint8_t opcode)
{
	struct instr *in = d->in;
	uint32_t flags = def->flags;
	int32_t ret = 0;

	if (((flags & F_NTI) != 0U) && (d->prefix_66 || (in->rep != 0U))) {
		return -EINVAL;
	}
	in->op = def->op;
	in->form = def->form;
	in->cond = opcode & 0xFU;
	if ((flags & F_MOFFS) != 0U) {
		ret = fetch(d, in->addr_size, &in->disp);
		choose_segment(d);
	} else if (in->form == INSTR_FORM_STRING) {
		choose_segment(d);
	} else {
		ret = decode_modrm(d);
	}
	if ((ret == 0) && (def->group != GROUP_NONE)) {
		ret = resolve_group(d, def, &flags);
	}
	if ((ret == 0) && (in->op == INSTR_MOV_SREG) && (d->modrm_reg > INSTR_SEG_GS)) {
		ret = -EINVAL;
	}
	if (ret == 0) {
		ret = apply_f3(in);
	}
	return (ret == 0) ? finish(d, flags) : ret;
}

/** MOVBE: 0F 38 F0 and F1. With F2 they are CRC32. */
static int32_t decode_movbe(struct decoder *d, uint8_t opcode)
{
	struct instr *in = d->in;
	int32_t ret;

	if (in->rep != 0U) {
		return -EINVAL;
	}
	in->op = INSTR_MOVBE;
	in->form = (opcode == 0xF0U) ? INSTR_FORM_RM : INSTR_FORM_MR;
	ret = decode_modrm(d);
	return (ret == 0) ? finish(d, 0U) : ret;
}

/** Sizes of a vector move. @return -EINVAL for a wrong VEX.L */
static int32_t vector_sizes(struct decoder *d, uint8_t size)
{
	struct instr *in = d->in;

	in->op_size = (d->vex_l != 0U) ? 32U : 16U;
	switch (size) {
	case VEC_4:
		in->mem_size = 4U;
		in->op_size = 16U;
		break;
	case VEC_8:
		in->mem_size = 8U;
		in->op_size = 16U;
		break;
	case VEC_8_L0:
		in->mem_size = 8U;
		break;
	case VEC_GPR_L0:
		in->mem_size = ((in->rex & REX_W) != 0U) ? 8U : 4U;
		break;
	default:
		in->mem_size = in->op_size;
		in->aligned = size == VEC_FULL_AL;
		return 0;
	}
	return (((size == VEC_8_L0) || (size == VEC_GPR_L0)) && (d->vex_l != 0U)) ? -EINVAL : 0;
}

/** A vector move, legacy or VEX. @return -ENOENT if the opcode is none */
static int32_t decode_vector(struct decoder *d, uint8_t map, uint8_t opcode)
{
	struct instr *in = d->in;
	const struct vec_opcode *def = NULL;
	uint32_t pp = 1U << d->vex_pp;
	uint32_t i;
	int32_t ret;

	if (!in->vex) {
		pp = d->prefix_66 ? PP_66 : PP_NONE;
		if (in->rep != 0U) {
			pp = (in->rep == 0xF3U) ? PP_F3 : PP_F2;
		}
	}
	for (i = 0U; (i < ARRAY_SIZE(vec_opcodes)) && (def == NULL); i++) {
		if ((vec_opcodes[i].map == map) && (vec_opcodes[i].opcode == opcode) &&
			((vec_opcodes[i].pp & pp) != 0U)) {
			def = &vec_opcodes[i];
		}
	}
	if (def == NULL) {
		return -ENOENT;
	}
	if (in->lock) {
		return -EINVAL;
	}
	in->op = INSTR_VEC_MOVE;
	in->form = def->form;
	ret = decode_modrm(d);
	if (ret == 0) {
		ret = vector_sizes(d, def->size);
	}
	in->access = operand_access(in);
	return ret;
}

/** VEX prefix (SDM vol. 2, 2.3.5), whose first byte has been read, and what follows. */
static int32_t decode_vex(struct decoder *d, uint8_t first)
{
	struct instr *in = d->in;
	uint8_t b1 = 0U, b2 = 0U, opcode = 0U, map = 1U;
	int32_t ret = fetch_byte(d, &b1);

	if (ret != 0) {
		return ret;
	}
	/* LES and LDS have a memory operand there; and no other prefix but segment and address size
	 * may precede. */
	if ((in->mode != INSTR_MODE_64) && ((b1 & 0xC0U) != 0xC0U)) {
		return -EINVAL;
	}
	if (d->prefix_66 || in->lock || (in->rep != 0U) || (in->rex != 0U)) {
		return -EINVAL;
	}
	in->vex = true;
	b2 = b1;
	in->rex = ((b1 & 0x80U) == 0U) ? REX_R : 0U;
	if (first == 0xC4U) {
		map = b1 & 0x1FU;
		in->rex |= ((b1 & 0x40U) == 0U) ? REX_X : 0U;
		in->rex |= ((b1 & 0x20U) == 0U) ? REX_B : 0U;
		ret = fetch_byte(d, &b2);
		in->rex |= ((b2 & 0x80U) != 0U) ? REX_W : 0U;
	}
	if (ret == 0) {
		ret = fetch_byte(d, &opcode);
	}
	if (ret != 0) {
		return ret;
	}
	/* Outside of 64-bit mode R and X are 0 by the check above, B and, for our moves, W are
	 * ignored. */
	if (in->mode != INSTR_MODE_64) {
		in->rex = 0U;
	}
	if ((b2 & 0x78U) != 0x78U) {
		return -EINVAL; /* vvvv: no second source */
	}
	d->vex_l = (b2 >> 2U) & 1U;
	d->vex_pp = b2 & 3U;
	return decode_vector(d, map, opcode);
}

/** Opcodes after 0F. */
static int32_t decode_two_byte(struct decoder *d)
{
	uint8_t opcode = 0U;
	int32_t ret = fetch_byte(d, &opcode);

	if (ret != 0) {
		return ret;
	}
	if (opcode == 0x38U) {
		ret = fetch_byte(d, &opcode);
		if (ret != 0) {
			return ret;
		}
		return ((opcode & 0xFEU) == 0xF0U) ? decode_movbe(d, opcode) : decode_vector(d, 2U, opcode);
	}
	if (two_byte_map[opcode].form != INSTR_FORM_NONE) {
		return decode_integer(d, &two_byte_map[opcode], opcode);
	}
	return decode_vector(d, 1U, opcode);
}

static int32_t decode_one_byte(struct decoder *d, uint8_t opcode)
{
	const struct opcode *def = &one_byte_map[opcode];
	const bool mode64 = d->in->mode == INSTR_MODE_64;

	if ((def->form == INSTR_FORM_NONE) || ((opcode == 0x63U) && !mode64) || ((opcode == 0x82U) && mode64)) {
		return -EINVAL;
	}
	return decode_integer(d, def, opcode);
}

int32_t instr_decode(struct instr *in, const uint8_t *bytes, uint32_t avail, enum instr_mode mode)
{
	struct decoder d = {.in = in, .bytes = bytes, .avail = avail, .seg_override = INSTR_SEG_NONE};
	uint8_t opcode = 0U;
	uint32_t i;
	int32_t ret;

	*in = (struct instr){.mode = (uint8_t)mode, .base = INSTR_REG_NONE, .index = INSTR_REG_NONE};
	ret = decode_prefixes(&d, &opcode);
	in->addr_size = address_size(&d);
	if (ret == 0) {
		if (opcode == 0x0FU) {
			ret = decode_two_byte(&d);
		} else if ((opcode == 0xC4U) || (opcode == 0xC5U)) {
			ret = decode_vex(&d, opcode);
		} else {
			ret = decode_one_byte(&d, opcode);
		}
	}
	/* MOVSXD reads what it extends: 4 bytes, or 2 for a 16-bit register */
	if ((ret == 0) && (opcode == 0x63U)) {
		in->mem_size = MIN(in->op_size, 4U);
	}
	in->len = (uint8_t)d.pos;
	for (i = 0U; (i < avail) && (i < INSTR_MAX_LEN); i++) {
		in->bytes[i] = bytes[i];
	}
	return (ret == -ENOENT) ? -EINVAL : ret;
}
