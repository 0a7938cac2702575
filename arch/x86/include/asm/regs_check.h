/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether VM entry would take registers that the Service VM gives to a vCPU. Pure: runs in a host unit test. */
#ifndef ASM_REGS_CHECK_H
#define ASM_REGS_CHECK_H

#include <lib/types.h>
#include <public/acrn_common.h>

/* Access rights as VMX has them (SDM vol 3, table 25-2). */
#define CS_AR_RESERVED_LOW 0x0F00U /* a descriptor's limit bits, which interfaces pass along */
#define CS_AR_RESERVED     0xFFFE0000U

/**
 * Access rights cut out of a segment descriptor have limit bits 19:16 where VMX wants zeros (ACRN's device model
 * passes 0xCF9B). They mean nothing, the limit is given apart: dropped.
 */
static inline uint32_t regs_cs_ar(uint32_t cs_ar)
{
	return cs_ar & ~CS_AR_RESERVED_LOW;
}

/**
 * The rules of SDM vol 3, 27.3.1 that HC_SET_VCPU_REGS can break, with what vmcs_build() makes of `regs`: data segments
 * with DPL 0, a busy TSS, RFLAGS cleaned, no activity, nothing to inject; unrestricted guest is on.
 * @param phys_bits   width of a physical address
 * @param cr4_allowed CR4 bits that a guest of this CPU may have
 * @return the broken rule, or NULL
 */
const char *regs_check(const struct acrn_regs *regs, uint32_t phys_bits, uint64_t cr4_allowed);

#endif
