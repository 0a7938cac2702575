/* SPDX-License-Identifier: BSD-3-Clause */
/* Small macros that every file may use. */
#ifndef LIB_UTIL_H
#define LIB_UTIL_H

#include <lib/types.h>

#define __must_check   __attribute__((warn_unused_result))
#define __packed       __attribute__((packed))
#define __aligned(n)   __attribute__((aligned(n)))
#define __noreturn     __attribute__((noreturn))
#define __cold         __attribute__((cold))
#define __noinline     __attribute__((noinline))
#define __unused       __attribute__((unused))
#define __printf(f, a) __attribute__((format(printf, f, a)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Not defined when the including file also sees a C library that defines them. */
#ifndef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#endif
#ifndef MAX
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif

/* The structure of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Orders the compiler only; x86 TSO orders the CPU for plain loads and stores. */
#define barrier() __asm__ volatile("" ::: "memory")

/** @return `value` rounded up to a multiple of `align` (a power of two). */
static inline uint64_t round_up(uint64_t value, uint64_t align)
{
	return (value + align - 1UL) & ~(align - 1UL);
}

/** @return `value` rounded down to a multiple of `align` (a power of two). */
static inline uint64_t round_down(uint64_t value, uint64_t align)
{
	return value & ~(align - 1UL);
}

/** @return true if `value` is a multiple of `align` (a power of two). */
static inline bool is_aligned(uint64_t value, uint64_t align)
{
	return (value & (align - 1UL)) == 0UL;
}

/** @return true if [a, a+alen) and [b, b+blen) share a byte; neither range wraps. */
static inline bool ranges_overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return (a < b + blen) && (b < a + alen);
}

/** @return true if base+size does not wrap around 2^64 (ending exactly at 2^64 counts as wrap). */
static inline bool range_is_valid(uint64_t base, uint64_t size)
{
	return base + size >= base;
}

#endif
