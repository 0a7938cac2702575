/* SPDX-License-Identifier: BSD-3-Clause */
/* Instructions that C has no words for, and the bits of the control registers. */
#ifndef ASM_CPU_H
#define ASM_CPU_H

#include <lib/util.h>

#define CR0_PE 0x00000001UL
#define CR0_MP 0x00000002UL
#define CR0_EM 0x00000004UL
#define CR0_TS 0x00000008UL
#define CR0_ET 0x00000010UL
#define CR0_NE 0x00000020UL
#define CR0_WP 0x00010000UL
#define CR0_AM 0x00040000UL
#define CR0_NW 0x20000000UL
#define CR0_CD 0x40000000UL
#define CR0_PG 0x80000000UL

#define CR4_VME        0x00000001UL
#define CR4_PVI        0x00000002UL
#define CR4_TSD        0x00000004UL
#define CR4_DE         0x00000008UL
#define CR4_PSE        0x00000010UL
#define CR4_PAE        0x00000020UL
#define CR4_MCE        0x00000040UL
#define CR4_PGE        0x00000080UL
#define CR4_PCE        0x00000100UL
#define CR4_OSFXSR     0x00000200UL
#define CR4_OSXMMEXCPT 0x00000400UL
#define CR4_UMIP       0x00000800UL
#define CR4_LA57       0x00001000UL
#define CR4_VMXE       0x00002000UL
#define CR4_SMXE       0x00004000UL
#define CR4_FSGSBASE   0x00010000UL
#define CR4_PCIDE      0x00020000UL
#define CR4_OSXSAVE    0x00040000UL
#define CR4_SMEP       0x00100000UL
#define CR4_SMAP       0x00200000UL
#define CR4_PKE        0x00400000UL
#define CR4_CET        0x00800000UL
#define CR4_PKS        0x01000000UL

#define RFLAGS_CF 0x00000001UL
#define RFLAGS_R1 0x00000002UL /* always 1 */
#define RFLAGS_ZF 0x00000040UL
#define RFLAGS_TF 0x00000100UL
#define RFLAGS_IF 0x00000200UL
#define RFLAGS_DF 0x00000400UL
#define RFLAGS_RF 0x00010000UL
#define RFLAGS_VM 0x00020000UL
#define RFLAGS_AC 0x00040000UL

/* Exception vectors. */
#define EXC_DE  0U
#define EXC_DB  1U
#define EXC_NMI 2U
#define EXC_BP  3U
#define EXC_OF  4U
#define EXC_BR  5U
#define EXC_UD  6U
#define EXC_NM  7U
#define EXC_DF  8U
#define EXC_TS  10U
#define EXC_NP  11U
#define EXC_SS  12U
#define EXC_GP  13U
#define EXC_PF  14U
#define EXC_MF  16U
#define EXC_AC  17U
#define EXC_MC  18U
#define EXC_XM  19U
#define EXC_VE  20U
#define EXC_CP  21U

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

/** Executes CPUID for (leaf, subleaf). A leaf above the maximum gives the highest basic leaf's data (SDM). */
static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
	return r;
}

/* One pair for each control and debug register: read_cr0()/write_cr0(v)... A write orders memory accesses. */
#define DEFINE_REG_ACCESS(reg)                                                                                         \
	static inline uint64_t read_##reg(void)                                                                        \
	{                                                                                                              \
		uint64_t value;                                                                                        \
		__asm__ volatile("movq %%" #reg ", %0" : "=r"(value));                                                 \
		return value;                                                                                          \
	}                                                                                                              \
	static inline void write_##reg(uint64_t value)                                                                 \
	{                                                                                                              \
		__asm__ volatile("movq %0, %%" #reg : : "r"(value) : "memory");                                        \
	}

DEFINE_REG_ACCESS(cr0)
DEFINE_REG_ACCESS(cr2)
DEFINE_REG_ACCESS(cr3)
DEFINE_REG_ACCESS(cr4)
DEFINE_REG_ACCESS(cr8)
DEFINE_REG_ACCESS(dr0)
DEFINE_REG_ACCESS(dr1)
DEFINE_REG_ACCESS(dr2)
DEFINE_REG_ACCESS(dr3)
DEFINE_REG_ACCESS(dr6)
DEFINE_REG_ACCESS(dr7)

/** Reads extended control register 0 (needs CR4.OSXSAVE). */
static inline uint64_t read_xcr0(void)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return ((uint64_t)high << 32U) | low;
}

/** Writes extended control register 0 (needs CR4.OSXSAVE and a value the CPU takes). */
static inline void write_xcr0(uint64_t value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32U)) : "memory");
}

/** @return the time stamp counter; not ordered with the instructions around it */
static inline uint64_t rdtsc(void)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return ((uint64_t)high << 32U) | low;
}

/** @return RFLAGS */
static inline uint64_t read_rflags(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags;
}

/** Disables interrupts. */
static inline void cpu_cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/** Spin-wait hint. */
static inline void cpu_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/** Drops the translation of one linear address on this CPU. */
static inline void cpu_invlpg(const void *hva)
{
	__asm__ volatile("invlpg (%0)" : : "r"(hva) : "memory");
}

/** Writes back and invalidates all caches. */
static inline void cpu_wbinvd(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

/** Orders all loads and stores before with those after. */
static inline void cpu_mfence(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

/** Stops this CPU for good: interrupts off, halted again after each NMI or SMI. */
static inline void __noreturn cpu_halt_forever(void)
{
	while (true) {
		__asm__ volatile("cli; hlt" : : : "memory");
	}
}

#endif
