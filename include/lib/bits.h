/* SPDX-License-Identifier: BSD-3-Clause */
/* Bit arithmetic, plain and atomic. */
#ifndef LIB_BITS_H
#define LIB_BITS_H

#include <lib/types.h>

#define BIT(n)       (1UL << (n))
#define BIT32(n)     (1U << (n))
#define MASK(hi, lo) ((~0UL >> (63U - (hi))) & (~0UL << (lo)))

/** @return a mask of the low `bytes` bytes; bytes is 1..8. */
static inline uint64_t mask_bytes(uint64_t bytes)
{
	return ~0UL >> (64UL - 8UL * bytes); /* NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult): not 0 */
}

/** @return true if all bits above the low `bits` (1..64) equal the highest of these: a canonical address */
static inline bool is_sign_extended(uint64_t value, uint32_t bits)
{
	const uint32_t shift = 64U - bits;

	return (uint64_t)((int64_t)(value << shift) >> shift) == value;
}

/** @return index of the highest set bit; value must not be 0. */
static inline uint32_t fls64(uint64_t value)
{
	return 63U - (uint32_t)__builtin_clzl(value);
}

/** @return index of the lowest set bit; value must not be 0. */
static inline uint32_t ffs64(uint64_t value)
{
	return (uint32_t)__builtin_ctzl(value);
}

/** Sets bit `n` of *word, fully ordered. @return whether it was set before. */
static inline bool bit_test_and_set(uint64_t *word, uint32_t n)
{
	return (__atomic_fetch_or(word, BIT(n), __ATOMIC_SEQ_CST) & BIT(n)) != 0UL;
}

/** Clears bit `n` of *word, fully ordered. @return whether it was set before. */
static inline bool bit_test_and_clear(uint64_t *word, uint32_t n)
{
	return (__atomic_fetch_and(word, ~BIT(n), __ATOMIC_SEQ_CST) & BIT(n)) != 0UL;
}

#endif
