/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VMCALL by ACRN's convention: id in R8, arguments in RDI and RSI, result in RAX. Ids and structures
 * are in <public/acrn_hv_defs.h> and <public/acrn_common.h>. Ring 0 only.
 */
#ifndef GUESTS_LIB_HYPERCALL_H
#define GUESTS_LIB_HYPERCALL_H

#include <stdint.h>

#include <guests/lib/trap.h>
#include <guests/lib/x86.h>
#include <public/acrn_hv_defs.h>

/* In RAX before the call: neither 0 nor an errno, so that a result which was never written shows. */
#define NO_RESULT 0x600dULL

/* 0 or a negative errno. Addresses are guest-physical, which the identity map makes the pointer. */
static inline int64_t hypercall(uint64_t id, uint64_t arg1, uint64_t arg2)
{
	register uint64_t r8 __asm__("r8") = id;
	int64_t result = NO_RESULT;

	__asm__ volatile("vmcall" : "+a"(result) : "r"(r8), "D"(arg1), "S"(arg2) : "memory");
	return result;
}

/* The same for callers that may not be allowed: NO_TRAP with *@result, or VEC_UD, VEC_GP. */
static inline int hypercall_safe(uint64_t id, uint64_t arg1, uint64_t arg2, int64_t *result)
{
	register uint64_t r8 __asm__("r8") = id;
	int64_t value = 0;

	try_begin();
	__asm__ volatile(TRY("vmcall") : "+a"(value) : "r"(r8), "D"(arg1), "S"(arg2) : "memory");
	*result = value;
	return try_vector();
}

/* ACRN's signature "ACRN" three times in a hypervisor CPUID base leaf; the leaf, or 0. */
static inline uint32_t hypervisor_base_leaf(void)
{
	if (!on_hypervisor())
		return 0;
	for (uint32_t leaf = 0x40000000U; leaf < 0x40010000U; leaf += 0x100) {
		struct cpuid_regs c = cpuid(leaf, 0);

		if (c.ebx == 0x4e524341U && c.ecx == c.ebx && c.edx == c.ebx)
			return leaf;
	}
	return 0;
}

/* The Service VM is told so in the leaf behind the base, EAX bit 0. */
static inline bool on_service_vm(void)
{
	uint32_t base = hypervisor_base_leaf();

	return base != 0 && (cpuid(base + 1, 0).eax & 1) != 0;
}

/* TSC kHz as the hypervisor tells, 0 if it does not. */
static inline uint32_t hypervisor_tsc_khz(void)
{
	uint32_t base = hypervisor_base_leaf();

	return base != 0 && cpuid(base, 0).eax >= base + 0x10 ? cpuid(base + 0x10, 0).eax : 0;
}

#endif /* GUESTS_LIB_HYPERCALL_H */
