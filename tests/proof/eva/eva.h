/* SPDX-License-Identifier: BSD-3-Clause */
/* Included before everything: what Frama-C 25 does not know of GNU C. One thread runs; memory that others write to is
 * made unknown where the code says that it looks at it. */
#ifndef EVA_EVA_H
#define EVA_EVA_H

#define _Static_assert(a, b) struct eva_static_assert
#define __builtin_expect(value, likely) (value)
#define __atomic_thread_fence(order) ((void)0)
#define __atomic_load_n(p, order) (*(p))
#define __atomic_store_n(p, value, order) ((void)(*(p) = (value)))
#define EVA_FETCH(p, result) ({ __typeof__(*(p)) eva_old = *(p); *(p) = (result); eva_old; })
#define __atomic_exchange_n(p, value, order) EVA_FETCH(p, value)
#define __atomic_fetch_add(p, value, order) EVA_FETCH(p, eva_old + (value))
#define __atomic_fetch_or(p, value, order) EVA_FETCH(p, eva_old | (value))
#define __atomic_fetch_and(p, value, order) EVA_FETCH(p, eva_old & (value))
#define __atomic_compare_exchange_n(p, expected, value, weak, success, failure) \
	({ int eva_same = (*(p) == *(expected)); \
	   if (eva_same) { *(p) = (value); } else { *(expected) = *(p); } eva_same; })

/* Ours are assembly. Byte for byte, so that each is seen to be inside of its object. */
#define memcpy eva_memcpy
#define memset eva_memset

static void *eva_memcpy(void *dst, const void *src, unsigned long n)
{
	for (unsigned long i = 0UL; i < n; i++) {
		((unsigned char *)dst)[i] = ((const unsigned char *)src)[i];
	}
	return dst;
}

static void *eva_memset(void *dst, int value, unsigned long n)
{
	for (unsigned long i = 0UL; i < n; i++) {
		((unsigned char *)dst)[i] = (unsigned char)value;
	}
	return dst;
}

#endif
