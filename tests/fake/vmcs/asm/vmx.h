/* SPDX-License-Identifier: BSD-3-Clause */
/* The real header, but the VMCS is an array: for unit tests of CPU code that are linked apart (tests/unit/unit.mk). */
#ifndef FAKE_VMCS_ASM_VMX_H
#define FAKE_VMCS_ASM_VMX_H

#define exec_vmread   real_vmread
#define exec_vmread32 real_vmread32
#define exec_vmwrite  real_vmwrite
#include_next <asm/vmx.h>
#undef exec_vmread
#undef exec_vmread32
#undef exec_vmwrite

#define FAKE_VMCS_FIELDS 0x7000U

/* By the fields' encodings. */
extern uint64_t fake_vmcs[FAKE_VMCS_FIELDS];

static inline uint64_t exec_vmread(enum vmcs_field field)
{
	return fake_vmcs[field];
}

static inline uint32_t exec_vmread32(enum vmcs_field field)
{
	return (uint32_t)fake_vmcs[field];
}

static inline void exec_vmwrite(enum vmcs_field field, uint64_t value)
{
	fake_vmcs[field] = value;
}

#endif
