/* SPDX-License-Identifier: BSD-3-Clause */
/* Included before everything by tests/proof/cbmc.py. */
#ifndef PROOF_H
#define PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROVE(what)  __CPROVER_assert(what, #what)
#define ASSUME(what) __CPROVER_assume(what)

/* Any value: what CBMC takes for a function whose name begins so and that has no body. */
bool nondet_bool(void);
uint8_t nondet_u8(void);
uint16_t nondet_u16(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);

/* Others write to what is shared at any time: a look at it gives anything, but it must be there. */
#define __atomic_load_n(p, order) ((void)*(p), (__typeof__(*(p)))nondet_u64())

#endif
