/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_instr_decode.c: the instruction decoder against an independent one (Zydis, for tests only)
 * over random bytes, and its behaviour at the end of the bytes it is given.
 */
#include <asm/instr.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

/** Random bytes that are an instruction of the set more often than not: prefixes, then a likely
 * opcode. */
static void random_bytes(uint8_t *bytes)
{
	static const uint8_t prefixes[] = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0,
		0xF2, 0xF3, 0x40, 0x41, 0x48, 0x4C, 0x4F};
	uint64_t r = unit_rand64();
	uint32_t i, pos = 0U;

	for (i = 0U; i < 16U; i++) {
		bytes[i] = (uint8_t)unit_rand64();
	}
	for (i = (uint32_t)(r & 3U); i > 1U; i--) {
		bytes[pos++] = prefixes[unit_rand64() % sizeof(prefixes)];
	}
	if ((r & 4U) != 0U) {
		bytes[pos++] = (uint8_t)(0x40U | (unit_rand64() & 0xFU));
	}
	switch ((r >> 4) & 7U) {
	case 0:
	case 1:
	case 2:
		bytes[pos++] = 0x0F;
		if (((r >> 8) & 3U) == 0U) {
			bytes[pos++] = 0x38;
		}
		break;
	case 3:
		bytes[pos++] = 0xC5;
		bytes[pos++] = (uint8_t)(0x78U | unit_rand64());
		break;
	case 4:
		bytes[pos++] = 0xC4;
		bytes[pos++] = (uint8_t)((unit_rand64() & 0xE0U) | (1U + (unit_rand64() & 1U)));
		bytes[pos++] = (uint8_t)(0x78U | unit_rand64());
		break;
	default:
		break;
	}
}

TEST(instr_decode_short_input)
{
	struct instr whole, part;
	uint8_t bytes[16];
	uint32_t n, i;
	uint8_t *copy;
	int32_t ret;

	/* With fewer bytes the answer is "more", until it is the same; no byte past the given ones
	 * is read (ASan). */
	for (i = 0U; (i < 20000U) && !unit_failed(); i++) {
		enum instr_mode mode = (enum instr_mode)(unit_rand64() % 3U);

		random_bytes(bytes);
		ret = instr_decode(&whole, bytes, 15U, mode);
		EXPECT_NE(ret, -EAGAIN);
		for (n = 0U; n < 15U; n++) {
			copy = malloc(n + 1U);
			memcpy(copy + 1, bytes, n);
			memmove(copy, copy + 1, n);
			copy = realloc(copy, (n != 0U) ? n : 1U);
			if (ret == 0) {
				EXPECT_EQ(instr_decode(&part, copy, n, mode),
					(n < whole.len) ? -EAGAIN : 0);
			} else {
				(void)instr_decode(&part, copy, n, mode);
			}
			free(copy);
		}
	}
}

TEST(instr_decode_too_long)
{
	uint8_t bytes[16] = {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		0x66, 0x8B, 0x00, 0x00};
	struct instr in;

	EXPECT_EQ(instr_decode(&in, bytes, 16U, INSTR_MODE_64), 0);
	EXPECT_EQ(in.len, 15);
	bytes[13] = 0x66;
	bytes[14] = 0x8B;
	EXPECT_EQ(instr_decode(&in, bytes, 16U, INSTR_MODE_64), -EINVAL);
	memset(bytes, 0x48, sizeof(bytes));
	EXPECT_EQ(instr_decode(&in, bytes, 16U, INSTR_MODE_64), -EINVAL);
}

#if __has_include(<Zydis/Zydis.h>)
#include <Zydis/Zydis.h>

/** What the other decoder says. */
struct other {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
};

static bool other_decode(const uint8_t *bytes, enum instr_mode mode, struct other *o)
{
	static const struct {
		ZydisMachineMode mode;
		ZydisStackWidth width;
	} modes[] = {
		[INSTR_MODE_16] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
		[INSTR_MODE_32] = {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
		[INSTR_MODE_64] = {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
	};
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, modes[mode].mode, modes[mode].width);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, 15U, &o->insn, o->ops));
}

static const char *hex(const uint8_t *bytes)
{
	static char buf[64];
	uint32_t i;

	for (i = 0U; i < 15U; i++) {
		snprintf(buf + (3U * i), 4U, "%02x ", bytes[i]);
	}
	return buf;
}

/** The explicit memory operand, else the first implied one (strings, moffs). */
static const ZydisDecodedOperand *memory_operand(const struct other *o)
{
	uint32_t i;

	for (i = 0U; i < o->insn.operand_count; i++) {
		if (o->ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			return &o->ops[i];
		}
	}
	return NULL;
}

/** Our register number for a base or index register of theirs. */
static uint8_t register_number(ZydisRegister reg)
{
	if (reg == ZYDIS_REGISTER_NONE) {
		return INSTR_REG_NONE;
	}
	if ((reg == ZYDIS_REGISTER_RIP) || (reg == ZYDIS_REGISTER_EIP)) {
		return INSTR_REG_RIP;
	}
	return (uint8_t)ZydisRegisterGetId(reg);
}

static void compare(const struct instr *in, const struct other *o, const uint8_t *bytes)
{
	const ZydisDecodedOperand *mem = memory_operand(o);
	static const ZydisRegister segs[] = {ZYDIS_REGISTER_ES, ZYDIS_REGISTER_CS,
		ZYDIS_REGISTER_SS, ZYDIS_REGISTER_DS, ZYDIS_REGISTER_FS, ZYDIS_REGISTER_GS};

	EXPECT_EQ(in->len, o->insn.length);
	if (mem == NULL) {
		unit_fail(__FILE__, __LINE__, "no memory operand: %s",
			ZydisMnemonicGetString(o->insn.mnemonic));
		return;
	}
	/* theirs is the cache line for CLFLUSH; and AMD's 4 bytes for MOVSXD r16 where the SDM says
	 * 2 */
	if ((in->op != INSTR_CLFLUSH) &&
		((o->insn.mnemonic != ZYDIS_MNEMONIC_MOVSXD) || (in->op_size != 2U))) {
		EXPECT_EQ(in->mem_size * 8U, mem->size);
	}
	EXPECT_EQ(in->addr_size * 8U, o->insn.address_width);
	/* zydis issue 592: with prefix 67 theirs sees R13D where REX.B goes with "no base" */
	if ((in->form != INSTR_FORM_STRING) &&
		((in->base != INSTR_REG_NONE) || (mem->mem.base != ZYDIS_REGISTER_R13D))) {
		/* a DS override of JMP and CALL is also CET's NOTRACK; theirs sees only that */
		if ((o->insn.attributes & ZYDIS_ATTRIB_HAS_NOTRACK) == 0U) {
			EXPECT_EQ(segs[in->seg], mem->mem.segment);
		}
		EXPECT_EQ(in->base, register_number(mem->mem.base));
		EXPECT_EQ(in->index, register_number(mem->mem.index));
		if (mem->mem.index != ZYDIS_REGISTER_NONE) {
			EXPECT_EQ(1U << in->scale, mem->mem.scale);
		}
		EXPECT_EQ(
			(in->disp ^ (uint64_t)(mem->mem.disp.has_displacement ? mem->mem.disp.value
									      : 0)) &
				(~0UL >> (64U - (8U * in->addr_size))),
			0);
	}
	if (unit_failed()) {
		printf("# %s: mode %u %s\n", ZydisMnemonicGetString(o->insn.mnemonic), in->mode,
			hex(bytes));
	}
}

/** What the set has to contain, by their names: each with any memory operand. */
static bool in_set(const struct other *o)
{
	static const ZydisMnemonic names[] = {ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_OR,
		ZYDIS_MNEMONIC_ADC, ZYDIS_MNEMONIC_SBB, ZYDIS_MNEMONIC_AND, ZYDIS_MNEMONIC_SUB,
		ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_CMP, ZYDIS_MNEMONIC_TEST, ZYDIS_MNEMONIC_INC,
		ZYDIS_MNEMONIC_DEC, ZYDIS_MNEMONIC_NOT, ZYDIS_MNEMONIC_NEG, ZYDIS_MNEMONIC_BT,
		ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, ZYDIS_MNEMONIC_BTC, ZYDIS_MNEMONIC_MOVZX,
		ZYDIS_MNEMONIC_MOVSX, ZYDIS_MNEMONIC_MOVSXD, ZYDIS_MNEMONIC_MOVBE,
		ZYDIS_MNEMONIC_MOVNTI, ZYDIS_MNEMONIC_XCHG, ZYDIS_MNEMONIC_XADD,
		ZYDIS_MNEMONIC_CMPXCHG, ZYDIS_MNEMONIC_CMPXCHG8B, ZYDIS_MNEMONIC_CMPXCHG16B,
		ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSW, ZYDIS_MNEMONIC_MOVSQ,
		ZYDIS_MNEMONIC_STOSB, ZYDIS_MNEMONIC_STOSW, ZYDIS_MNEMONIC_STOSD,
		ZYDIS_MNEMONIC_STOSQ, ZYDIS_MNEMONIC_LODSB, ZYDIS_MNEMONIC_LODSW,
		ZYDIS_MNEMONIC_LODSD, ZYDIS_MNEMONIC_LODSQ, ZYDIS_MNEMONIC_CMPSB,
		ZYDIS_MNEMONIC_CMPSW, ZYDIS_MNEMONIC_CMPSQ, ZYDIS_MNEMONIC_SCASB,
		ZYDIS_MNEMONIC_SCASW, ZYDIS_MNEMONIC_SCASD, ZYDIS_MNEMONIC_SCASQ,
		ZYDIS_MNEMONIC_MOVUPS, ZYDIS_MNEMONIC_MOVAPS, ZYDIS_MNEMONIC_MOVDQA,
		ZYDIS_MNEMONIC_MOVDQU, ZYDIS_MNEMONIC_MOVNTDQ, ZYDIS_MNEMONIC_MOVNTPS,
		ZYDIS_MNEMONIC_MOVNTDQA, ZYDIS_MNEMONIC_LDDQU, ZYDIS_MNEMONIC_VMOVUPS,
		ZYDIS_MNEMONIC_VMOVAPS, ZYDIS_MNEMONIC_VMOVDQA, ZYDIS_MNEMONIC_VMOVDQU,
		ZYDIS_MNEMONIC_VMOVNTDQ, ZYDIS_MNEMONIC_VMOVNTPS, ZYDIS_MNEMONIC_VMOVNTDQA,
		ZYDIS_MNEMONIC_VLDDQU, ZYDIS_MNEMONIC_CLFLUSH, ZYDIS_MNEMONIC_CLFLUSHOPT,
		ZYDIS_MNEMONIC_CLWB, ZYDIS_MNEMONIC_SETZ, ZYDIS_MNEMONIC_CMOVZ,
		ZYDIS_MNEMONIC_ROL, ZYDIS_MNEMONIC_ROR, ZYDIS_MNEMONIC_RCL, ZYDIS_MNEMONIC_RCR,
		ZYDIS_MNEMONIC_SHL, ZYDIS_MNEMONIC_SHR, ZYDIS_MNEMONIC_SAR, ZYDIS_MNEMONIC_MUL,
		ZYDIS_MNEMONIC_IMUL, ZYDIS_MNEMONIC_DIV, ZYDIS_MNEMONIC_IDIV, ZYDIS_MNEMONIC_BSF,
		ZYDIS_MNEMONIC_BSR, ZYDIS_MNEMONIC_TZCNT, ZYDIS_MNEMONIC_LZCNT, ZYDIS_MNEMONIC_POPCNT};
	const ZydisDecodedOperand *mem = memory_operand(o);
	uint32_t i;

	if ((mem == NULL) || (o->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX) ||
		(o->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX) ||
		(o->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP) ||
		(((o->insn.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0U) &&
			(o->insn.raw.modrm.mod == 3U))) {
		return false;
	}
	if (o->insn.mnemonic == ZYDIS_MNEMONIC_MOV) {
		/* not the load of a segment register */
		return o->insn.opcode != 0x8E;
	}
	if ((o->insn.mnemonic == ZYDIS_MNEMONIC_PUSH) || (o->insn.mnemonic == ZYDIS_MNEMONIC_POP)) {
		return (o->insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT) &&
		       ((o->insn.opcode == 0xFF) || (o->insn.opcode == 0x8F));
	}
	if ((o->insn.mnemonic == ZYDIS_MNEMONIC_CALL) || (o->insn.mnemonic == ZYDIS_MNEMONIC_JMP)) {
		return (o->insn.opcode == 0xFF) &&
		       ((o->insn.raw.modrm.reg == 2U) || (o->insn.raw.modrm.reg == 4U)) &&
		       (o->insn.raw.modrm.mod != 3U);
	}
	if ((o->insn.mnemonic == ZYDIS_MNEMONIC_MOVSD) ||
		(o->insn.mnemonic == ZYDIS_MNEMONIC_MOVSS) ||
		(o->insn.mnemonic == ZYDIS_MNEMONIC_MOVD) ||
		(o->insn.mnemonic == ZYDIS_MNEMONIC_CMPSD)) {
		/* the string instructions, and the moves of vector registers, not of MMX ones */
		return o->insn.mnemonic != ZYDIS_MNEMONIC_CMPSD
			       ? (o->insn.meta.isa_set != ZYDIS_ISA_SET_PENTIUMMMX)
			       : (o->insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT);
	}
	for (i = 0U; i < (sizeof(names) / sizeof(names[0])); i++) {
		if (names[i] == o->insn.mnemonic) {
			return true;
		}
	}
	return false;
}

TEST(instr_decode_agrees_with_zydis)
{
	uint32_t i, accepted = 0U;
	struct other o;
	struct instr in;
	uint8_t bytes[16];
	enum instr_mode mode;
	bool theirs;
	int32_t ours;

	for (i = 0U; (i < 3000000U) && !unit_failed(); i++) {
		mode = (enum instr_mode)(i % 3U);
		random_bytes(bytes);
		ours = instr_decode(&in, bytes, 15U, mode);
		theirs = other_decode(bytes, mode, &o);
		if (ours == 0) {
			accepted++;
			if (!theirs) {
				unit_fail(__FILE__, __LINE__,
					"only ours accepts, op %u mode %u: %s", in.op, mode,
					hex(bytes));
			} else {
				compare(&in, &o, bytes);
			}
		} else if (theirs && in_set(&o)) {
			unit_fail(__FILE__, __LINE__, "ours refuses %s mode %u: %s",
				ZydisMnemonicGetString(o.insn.mnemonic), mode, hex(bytes));
		}
	}
	printf("# %u of %u byte strings are in the set\n", accepted, i);
	EXPECT(accepted > (i / 20U));
}
#else
TEST(instr_decode_agrees_with_zydis)
{
	unit_skip("built without libzydis-dev");
}
#endif
