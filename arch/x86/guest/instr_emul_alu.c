/* SPDX-License-Identifier: BSD-3-Clause */
/* instr_emul_alu.c: arithmetic of emulated instructions, with flags (SDM vol. 1, 3.4.3.1 and vol.
 * 2). */
#include <asm/instr_priv.h>
#include <lib/bits.h>

static uint64_t sign_bit(uint32_t size)
{
	return 1UL << ((8U * size) - 1U);
}

/** ZF, SF and PF of a result. */
static uint64_t result_flags(uint64_t res, uint32_t size)
{
	uint64_t flags = 0UL;

	if (res == 0UL) {
		flags |= RFLAGS_ZF;
	}
	if ((res & sign_bit(size)) != 0UL) {
		flags |= RFLAGS_SF;
	}
	if ((__builtin_popcountl(res & 0xFFUL) & 1) == 0) {
		flags |= RFLAGS_PF;
	}
	return flags;
}

static uint64_t add(uint64_t a, uint64_t b, uint64_t carry, uint32_t size, uint64_t *flags)
{
	const uint64_t res = (a + b + carry) & mask_bytes(size);
	uint64_t fl = result_flags(res, size) | ((a ^ b ^ res) & RFLAGS_AF);

	if ((res < a) || ((carry != 0UL) && (res == a))) {
		fl |= RFLAGS_CF;
	}
	if (((~(a ^ b)) & (a ^ res) & sign_bit(size)) != 0UL) {
		fl |= RFLAGS_OF;
	}
	*flags = (*flags & ~RFLAGS_ARITH) | fl;
	return res;
}

static uint64_t sub(uint64_t a, uint64_t b, uint64_t borrow, uint32_t size, uint64_t *flags)
{
	const uint64_t res = (a - b - borrow) & mask_bytes(size);
	uint64_t fl = result_flags(res, size) | ((a ^ b ^ res) & RFLAGS_AF);

	if ((a < b) || ((borrow != 0UL) && (a == b))) {
		fl |= RFLAGS_CF;
	}
	if (((a ^ b) & (a ^ res) & sign_bit(size)) != 0UL) {
		fl |= RFLAGS_OF;
	}
	*flags = (*flags & ~RFLAGS_ARITH) | fl;
	return res;
}

static uint64_t logic(uint64_t res, uint32_t size, uint64_t *flags)
{
	*flags = (*flags & ~RFLAGS_ARITH) | result_flags(res, size);
	return res;
}

uint64_t instr_alu(uint8_t op, uint32_t size, uint64_t a, uint64_t b, uint64_t *flags)
{
	const uint64_t carry = *flags & RFLAGS_CF;

	a &= mask_bytes(size);
	b &= mask_bytes(size);
	switch (op) {
	case INSTR_ADD:
		return add(a, b, 0UL, size, flags);
	case INSTR_ADC:
		return add(a, b, carry, size, flags);
	case INSTR_SUB:
	case INSTR_CMP:
		return sub(a, b, 0UL, size, flags);
	case INSTR_SBB:
		return sub(a, b, carry, size, flags);
	case INSTR_OR:
		return logic(a | b, size, flags);
	case INSTR_XOR:
		return logic(a ^ b, size, flags);
	default: /* INSTR_AND, INSTR_TEST */
		return logic(a & b, size, flags);
	}
}

uint64_t instr_alu_unary(uint8_t op, uint32_t size, uint64_t a, uint64_t *flags)
{
	const uint64_t carry = *flags & RFLAGS_CF;
	uint64_t res;

	a &= mask_bytes(size);
	switch (op) {
	case INSTR_INC:
		res = add(a, 1UL, 0UL, size, flags);
		*flags = (*flags & ~RFLAGS_CF) | carry;
		break;
	case INSTR_DEC:
		res = sub(a, 1UL, 0UL, size, flags);
		*flags = (*flags & ~RFLAGS_CF) | carry;
		break;
	case INSTR_NEG:
		res = sub(0UL, a, 0UL, size, flags);
		break;
	default: /* INSTR_NOT */
		res = ~a & mask_bytes(size);
		break;
	}
	return res;
}

uint64_t instr_alu_bit(uint8_t op, uint32_t size, uint64_t a, uint64_t bit, uint64_t *flags)
{
	const uint64_t mask = 1UL << (bit & ((8U * size) - 1U));

	*flags = (*flags & ~RFLAGS_CF) | (((a & mask) != 0UL) ? RFLAGS_CF : 0UL);
	switch (op) {
	case INSTR_BTS:
		return a | mask;
	case INSTR_BTR:
		return a & ~mask;
	case INSTR_BTC:
		return a ^ mask;
	default: /* INSTR_BT */
		return a;
	}
}

/** By one bit; *carry is CF before and after. */
static uint64_t shift_once(uint8_t op, uint32_t size, uint64_t a, uint64_t *carry)
{
	const uint64_t top = sign_bit(size);
	const bool left = (op == INSTR_ROL) || (op == INSTR_RCL) || (op == INSTR_SHL);
	const uint64_t out = ((a & (left ? top : 1UL)) != 0UL) ? 1UL : 0UL;
	uint64_t in = 0UL; /* what comes in at the other end */

	if ((op == INSTR_ROL) || (op == INSTR_ROR)) {
		in = out;
	} else if ((op == INSTR_RCL) || (op == INSTR_RCR)) {
		in = *carry;
	} else if (op == INSTR_SAR) {
		in = ((a & top) != 0UL) ? 1UL : 0UL;
	}
	*carry = out;
	return left ? (((a << 1U) | in) & mask_bytes(size)) : ((a >> 1U) | (in * top));
}

uint64_t instr_alu_shift(uint8_t op, uint32_t size, uint64_t a, uint64_t count, uint64_t *flags)
{
	const uint64_t top = sign_bit(size);
	const bool left = (op == INSTR_ROL) || (op == INSTR_RCL) || (op == INSTR_SHL);
	uint64_t carry = *flags & RFLAGS_CF;
	uint64_t next; /* what OF compares with the highest bit */

	a &= mask_bytes(size);
	count &= (size == 8U) ? 63UL : 31UL;
	if (count == 0UL) {
		return a; /* no flag changes */
	}
	for (; count != 0UL; count--) {
		a = shift_once(op, size, a, &carry);
	}
	if (op >= INSTR_SHL) {
		(void)logic(a, size, flags);
	}
	next = left ? carry : ((a & (top >> 1U)) != 0UL);
	*flags &= ~(RFLAGS_CF | RFLAGS_OF);
	*flags |= carry | ((((a & top) != 0UL) != (next != 0UL)) ? RFLAGS_OF : 0UL);
	return a;
}

bool instr_condition(uint8_t cond, uint64_t flags)
{
	const bool less = ((flags & RFLAGS_SF) != 0UL) != ((flags & RFLAGS_OF) != 0UL);
	bool res;

	switch (cond >> 1U) {
	case 0U:
		res = (flags & RFLAGS_OF) != 0UL;
		break;
	case 1U:
		res = (flags & RFLAGS_CF) != 0UL;
		break;
	case 2U:
		res = (flags & RFLAGS_ZF) != 0UL;
		break;
	case 3U:
		res = (flags & (RFLAGS_CF | RFLAGS_ZF)) != 0UL;
		break;
	case 4U:
		res = (flags & RFLAGS_SF) != 0UL;
		break;
	case 5U:
		res = (flags & RFLAGS_PF) != 0UL;
		break;
	case 6U:
		res = less;
		break;
	default:
		res = less || ((flags & RFLAGS_ZF) != 0UL);
		break;
	}
	return res != ((cond & 1U) != 0U);
}

uint64_t instr_swap_bytes(uint64_t val, uint32_t size)
{
	return __builtin_bswap64(val) >> (64U - (8U * size));
}

uint64_t instr_sign_extend(uint64_t val, uint32_t from)
{
	const uint32_t shift = 64U - (8U * from);

	return (uint64_t)((int64_t)(val << shift) >> shift);
}
