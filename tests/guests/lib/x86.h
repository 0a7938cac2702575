/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One-instruction helpers for test guests. Nothing here catches a fault: for instructions that are
 * expected to fault see <guests/lib/trap.h>.
 */
#ifndef GUESTS_LIB_X86_H
#define GUESTS_LIB_X86_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIT(n)		(1UL << (n))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define FLAG_CF		0x1UL
#define FLAG_PF		0x4UL
#define FLAG_AF		0x10UL
#define FLAG_ZF		0x40UL
#define FLAG_SF		0x80UL
#define FLAG_TF		0x100UL
#define FLAG_IF		0x200UL
#define FLAG_DF		0x400UL
#define FLAG_OF		0x800UL
#define FLAG_RF		0x10000UL
#define FLAG_AC		0x40000UL
#define FLAG_ARITH	(FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

#define CR0_PE		0x1UL
#define CR0_MP		0x2UL
#define CR0_EM		0x4UL
#define CR0_TS		0x8UL
#define CR0_ET		0x10UL
#define CR0_NE		0x20UL
#define CR0_WP		0x10000UL
#define CR0_AM		0x40000UL
#define CR0_NW		0x20000000UL
#define CR0_CD		0x40000000UL
#define CR0_PG		0x80000000UL

#define CR4_VME		0x1UL
#define CR4_PVI		0x2UL
#define CR4_TSD		0x4UL
#define CR4_DE		0x8UL
#define CR4_PSE		0x10UL
#define CR4_PAE		0x20UL
#define CR4_MCE		0x40UL
#define CR4_PGE		0x80UL
#define CR4_PCE		0x100UL
#define CR4_OSFXSR	0x200UL
#define CR4_UMIP	0x800UL
#define CR4_LA57	0x1000UL
#define CR4_VMXE	0x2000UL
#define CR4_SMXE	0x4000UL
#define CR4_FSGSBASE	0x10000UL
#define CR4_PCIDE	0x20000UL
#define CR4_OSXSAVE	0x40000UL
#define CR4_SMEP	0x100000UL
#define CR4_SMAP	0x200000UL
#define CR4_PKE		0x400000UL

#define MSR_TSC			0x10U
#define MSR_APIC_BASE		0x1bU
#define MSR_FEATURE_CONTROL	0x3aU
#define MSR_TSC_ADJUST		0x3bU
#define MSR_BIOS_SIGN_ID	0x8bU
#define MSR_MTRRCAP		0xfeU
#define MSR_SYSENTER_CS		0x174U
#define MSR_SYSENTER_ESP	0x175U
#define MSR_SYSENTER_EIP	0x176U
#define MSR_MISC_ENABLE		0x1a0U
#define MSR_PAT			0x277U
#define MSR_MTRR_DEF_TYPE	0x2ffU
#define MSR_TSC_DEADLINE	0x6e0U
#define MSR_X2APIC		0x800U
#define MSR_EFER		0xc0000080U
#define MSR_STAR		0xc0000081U
#define MSR_LSTAR		0xc0000082U
#define MSR_CSTAR		0xc0000083U
#define MSR_FMASK		0xc0000084U
#define MSR_FS_BASE		0xc0000100U
#define MSR_GS_BASE		0xc0000101U
#define MSR_KERNEL_GS_BASE	0xc0000102U
#define MSR_TSC_AUX		0xc0000103U

#define EFER_SCE	0x1UL
#define EFER_LME	0x100UL
#define EFER_LMA	0x400UL
#define EFER_NXE	0x800UL

/* The selectors of the library's GDT; the order is the one which SYSCALL and SYSRET ask for. */
#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_UDATA	0x23
#define SEL_UCODE	0x2b
#define SEL_NOTPRESENT	0x30
#define SEL_TSS		0x40

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %w1, %b0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %w1, %w0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %w1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %b0, %w1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %w0, %w1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %w1" : : "a"(v), "Nd"(port) : "memory");
}

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf) : "memory");
	return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return ((uint64_t)hi << 32) | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return ((uint64_t)hi << 32) | lo;
}

#define X86_REG_ACCESSORS(reg)						\
static inline uint64_t read_##reg(void)					\
{									\
	uint64_t v;							\
									\
	__asm__ volatile("mov %%" #reg ", %0" : "=r"(v) : : "memory");	\
	return v;							\
}									\
static inline void write_##reg(uint64_t v)				\
{									\
	__asm__ volatile("mov %0, %%" #reg : : "r"(v) : "memory");	\
}

X86_REG_ACCESSORS(cr0)
X86_REG_ACCESSORS(cr2)
X86_REG_ACCESSORS(cr3)
X86_REG_ACCESSORS(cr4)
X86_REG_ACCESSORS(cr8)
X86_REG_ACCESSORS(dr0)
X86_REG_ACCESSORS(dr1)
X86_REG_ACCESSORS(dr2)
X86_REG_ACCESSORS(dr3)
X86_REG_ACCESSORS(dr6)
X86_REG_ACCESSORS(dr7)

static inline uint64_t read_flags(void)
{
	uint64_t v;

	__asm__ volatile("pushfq\n\tpopq %0" : "=r"(v) : : "memory");
	return v;
}

static inline void write_flags(uint64_t v)
{
	__asm__ volatile("pushq %0\n\tpopfq" : : "r"(v) : "memory", "cc");
}

static inline void wrpkru(uint32_t v)
{
	__asm__ volatile("wrpkru" : : "a"(v), "c"(0), "d"(0) : "memory");
}

static inline void invlpg(const volatile void *va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void sti(void) { __asm__ volatile("sti" : : : "memory"); }
static inline void cli(void) { __asm__ volatile("cli" : : : "memory"); }
static inline void cpu_pause(void) { __asm__ volatile("pause" : : : "memory"); }

/* Take every interrupt that is pending now: STI's shadow covers the NOP's predecessor only. */
static inline void irq_window(void)
{
	__asm__ volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
}

static inline void sti_hlt_cli(void) { __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory"); }

static inline uint32_t mmio_read32(uint64_t pa)
{
	return *(volatile uint32_t *)pa;
}

static inline void mmio_write32(uint64_t pa, uint32_t v)
{
	*(volatile uint32_t *)pa = v;
}

/* A hypervisor says so in CPUID.1:ECX[31]. */
static inline bool on_hypervisor(void)
{
	return (cpuid(1, 0).ecx & BIT(31)) != 0;
}

/* Busy wait of @ticks TSC ticks. */
static inline void delay_ticks(uint64_t ticks)
{
	uint64_t start = rdtsc();

	while (rdtsc() - start < ticks)
		cpu_pause();
}

#endif /* GUESTS_LIB_X86_H */
