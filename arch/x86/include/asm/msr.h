/* SPDX-License-Identifier: BSD-3-Clause */
/* Model-specific registers: numbers and access. Numbers are those of the SDM, volume 4. */
#ifndef ASM_MSR_H
#define ASM_MSR_H

#include <lib/util.h>

#define MSR_IA32_TSC                     0x010U
#define MSR_IA32_APIC_BASE               0x01BU
#define MSR_IA32_FEATURE_CONTROL         0x03AU
#define MSR_IA32_TSC_ADJUST              0x03BU
#define MSR_IA32_SPEC_CTRL               0x048U
#define MSR_IA32_PRED_CMD                0x049U
#define MSR_IA32_BIOS_UPDT_TRIG          0x079U
#define MSR_IA32_BIOS_SIGN_ID            0x08BU
#define MSR_PLATFORM_INFO                0x0CEU
#define MSR_IA32_MPERF                   0x0E7U
#define MSR_IA32_APERF                   0x0E8U
#define MSR_IA32_MTRRCAP                 0x0FEU
#define MSR_IA32_ARCH_CAPABILITIES       0x10AU
#define MSR_IA32_FLUSH_CMD               0x10BU
#define MSR_IA32_SYSENTER_CS             0x174U
#define MSR_IA32_SYSENTER_ESP            0x175U
#define MSR_IA32_SYSENTER_EIP            0x176U
#define MSR_IA32_MCG_CAP                 0x179U
#define MSR_IA32_MCG_STATUS              0x17AU
#define MSR_IA32_MISC_ENABLE             0x1A0U
#define MSR_IA32_DEBUGCTL                0x1D9U
#define MSR_IA32_MTRR_PHYSBASE0          0x200U
#define MSR_IA32_MTRR_FIX64K_00000       0x250U
#define MSR_IA32_MTRR_FIX16K_80000       0x258U
#define MSR_IA32_MTRR_FIX16K_A0000       0x259U
#define MSR_IA32_MTRR_FIX4K_C0000        0x268U
#define MSR_IA32_MTRR_FIX4K_F8000        0x26FU
#define MSR_IA32_PAT                     0x277U
#define MSR_IA32_MTRR_DEF_TYPE           0x2FFU
#define MSR_IA32_MC0_CTL                 0x400U
#define MSR_IA32_VMX_BASIC               0x480U
#define MSR_IA32_VMX_PINBASED_CTLS       0x481U
#define MSR_IA32_VMX_PROCBASED_CTLS      0x482U
#define MSR_IA32_VMX_EXIT_CTLS           0x483U
#define MSR_IA32_VMX_ENTRY_CTLS          0x484U
#define MSR_IA32_VMX_MISC                0x485U
#define MSR_IA32_VMX_CR0_FIXED0          0x486U
#define MSR_IA32_VMX_CR0_FIXED1          0x487U
#define MSR_IA32_VMX_CR4_FIXED0          0x488U
#define MSR_IA32_VMX_CR4_FIXED1          0x489U
#define MSR_IA32_VMX_VMCS_ENUM           0x48AU
#define MSR_IA32_VMX_PROCBASED_CTLS2     0x48BU
#define MSR_IA32_VMX_EPT_VPID_CAP        0x48CU
#define MSR_IA32_VMX_TRUE_PINBASED_CTLS  0x48DU
#define MSR_IA32_VMX_TRUE_PROCBASED_CTLS 0x48EU
#define MSR_IA32_VMX_TRUE_EXIT_CTLS      0x48FU
#define MSR_IA32_VMX_TRUE_ENTRY_CTLS     0x490U
#define MSR_IA32_VMX_VMFUNC              0x491U
#define MSR_IA32_VMX_PROCBASED_CTLS3     0x492U
#define MSR_IA32_TSC_DEADLINE            0x6E0U
#define MSR_IA32_X2APIC_BASE             0x800U /* + (xAPIC register offset >> 4) */
#define MSR_IA32_XSS                     0xDA0U
#define MSR_IA32_EFER                    0xC0000080U
#define MSR_IA32_STAR                    0xC0000081U
#define MSR_IA32_LSTAR                   0xC0000082U
#define MSR_IA32_CSTAR                   0xC0000083U
#define MSR_IA32_FMASK                   0xC0000084U
#define MSR_IA32_FS_BASE                 0xC0000100U
#define MSR_IA32_GS_BASE                 0xC0000101U
#define MSR_IA32_KERNEL_GS_BASE          0xC0000102U
#define MSR_IA32_TSC_AUX                 0xC0000103U

#define FEATURE_CONTROL_LOCK       0x1UL
#define FEATURE_CONTROL_VMX_IN_SMX 0x2UL
#define FEATURE_CONTROL_VMX        0x4UL

/* IA32_ARCH_CAPABILITIES (SDM vol 4, table 2-2). A CPU without it has none of them. */
#define ARCH_CAPS_RDCL_NO            0x1UL
#define ARCH_CAPS_IBRS_ALL           0x2UL
#define ARCH_CAPS_RSBA               0x4UL
#define ARCH_CAPS_SKIP_L1DFL_VMENTRY 0x8UL
#define ARCH_CAPS_SSB_NO             0x10UL
#define ARCH_CAPS_MDS_NO             0x20UL
#define ARCH_CAPS_PSCHANGE_MC_NO     0x40UL
#define ARCH_CAPS_TAA_NO             0x100UL
#define ARCH_CAPS_SBDR_SSDP_NO       0x2000UL
#define ARCH_CAPS_FBSDP_NO           0x4000UL
#define ARCH_CAPS_PSDP_NO            0x8000UL
#define ARCH_CAPS_FB_CLEAR           0x20000UL
#define ARCH_CAPS_BHI_NO             0x100000UL
#define ARCH_CAPS_PBRSB_NO           0x1000000UL
#define ARCH_CAPS_GDS_NO             0x4000000UL
#define ARCH_CAPS_RFDS_NO            0x8000000UL
#define ARCH_CAPS_RFDS_CLEAR         0x10000000UL

#define PRED_CMD_IBPB 0x1UL
#define FLUSH_CMD_L1D 0x1UL

#define APIC_BASE_BSP    0x100UL
#define APIC_BASE_X2APIC 0x400UL
#define APIC_BASE_ENABLE 0x800UL
#define APIC_BASE_ADDR   0x000FFFFFFFFFF000UL

#define EFER_SCE 0x001UL
#define EFER_LME 0x100UL
#define EFER_LMA 0x400UL
#define EFER_NXE 0x800UL

/** Reads an MSR that is known to exist. A #GP here is a panic. */
static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return ((uint64_t)high << 32U) | low;
}

/** Writes an MSR that is known to exist and to take `value`. A #GP here is a panic. */
static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32U)) : "memory");
}

/**
 * Reads an MSR that may not exist. Needs the IDT (idt_load()).
 * @param value out; 0 if the MSR does not exist
 * @return true if it could be read
 */
static inline bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
	uint32_t low;
	uint32_t high;
	bool ok;

	/* A fault at 1: continues at 2:, where the result is still false. */
	__asm__ volatile("xorl %k2, %k2\n\t"
			 "1: rdmsr\n\t"
			 "movl $1, %k2\n\t"
			 "jmp 3f\n"
			 "2: xorl %%eax, %%eax\n\t"
			 "xorl %%edx, %%edx\n"
			 "3:\n\t"
			 ".pushsection .ex_table, \"a\"\n\t"
			 ".quad 1b, 2b\n\t"
			 ".popsection"
			 : "=&a"(low), "=&d"(high), "=&r"(ok)
			 : "c"(msr));
	*value = ((uint64_t)high << 32U) | low;
	return ok;
}

/**
 * Writes an MSR that may not exist or may refuse the value. Needs the IDT.
 * @return true if it could be written
 */
static inline bool wrmsr_safe(uint32_t msr, uint64_t value)
{
	bool ok;

	__asm__ volatile("xorl %k0, %k0\n\t"
			 "1: wrmsr\n\t"
			 "movl $1, %k0\n"
			 "2:\n\t"
			 ".pushsection .ex_table, \"a\"\n\t"
			 ".quad 1b, 2b\n\t"
			 ".popsection"
			 : "=&r"(ok)
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32U))
			 : "memory");
	return ok;
}

#endif
