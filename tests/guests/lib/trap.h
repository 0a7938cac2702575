/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exceptions and interrupts of a test guest.
 *
 * On an exception the library looks, in this order: a handler set for the vector; an exception
 * table entry for the instruction (TRY() below); an active catch_exception() on this CPU. Without
 * any of these the guest prints the frame, a FAIL line, and ends.
 */
#ifndef GUESTS_LIB_TRAP_H
#define GUESTS_LIB_TRAP_H

#include <stdbool.h>
#include <stdint.h>

#define VEC_DE	0
#define VEC_DB	1
#define VEC_NMI	2
#define VEC_BP	3
#define VEC_OF	4
#define VEC_BR	5
#define VEC_UD	6
#define VEC_NM	7
#define VEC_DF	8
#define VEC_TS	10
#define VEC_NP	11
#define VEC_SS	12
#define VEC_GP	13
#define VEC_PF	14
#define VEC_MF	16
#define VEC_AC	17
#define VEC_MC	18
#define VEC_XM	19

#define VEC_USER_EXIT	0x30	/* software interrupt by which user_call() code comes back */
#define VEC_CPU_WAKE	0xef	/* on_cpu() wakes an AP */
#define NO_TRAP		(-1)

/* As pushed by isr.S, lowest address first. */
struct trap {
	uint64_t cr2;
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vec, err, rip, cs, rflags, rsp, ss;
};

typedef void (*trap_handler_t)(struct trap *t);

/* GDT with one TSS per CPU, IDT, stacks for #DF (IST1) and NMI (IST2). BSP first, @cpu from 0. */
void trap_init_cpu(unsigned int cpu);
/* Index of the CPU we run on, from TR: works in every handler and whatever FS/GS hold. */
unsigned int cpu_index(void);
/* @handler is called for @vec on every CPU with IF=0; NULL takes it away. Returns the former one. */
trap_handler_t trap_set_handler(unsigned int vec, trap_handler_t handler);
/* Give @vec an interrupt stack table slot (0 none, 1 #DF's, 2 NMI's, 3 free for tests). */
void trap_set_ist(unsigned int vec, unsigned int ist);
/* Interrupts of @vec taken since the last trap_count_reset(), all CPUs. */
unsigned int trap_count(unsigned int vec);
void trap_count_reset(unsigned int vec);
/* Open interrupt windows until @vec was taken @count times since the last reset, or @ticks of TSC
 * went by; false then. Interrupts are off again after it. */
bool trap_wait(unsigned int vec, unsigned int count, uint64_t ticks);
/* A handler that does nothing but count (the count is made for every vector) and EOI the LAPIC. */
void trap_handler_eoi(struct trap *t);
/* The same without EOI. */
void trap_handler_nop(struct trap *t);

/* The I/O permission bitmap of this CPU's TSS, for ports below IO_BITMAP_PORTS; all ones. */
#define IO_BITMAP_PORTS	0x400
uint8_t *trap_io_bitmap(void);

/* One past the linear range of the IST stack @ist of CPU @cpu. */
uint64_t trap_ist_top(unsigned int cpu, unsigned int ist);

/* Run fn(arg). Returns NO_TRAP, or the vector of the exception that ended it, with the frame in
 * @out (may be NULL). May be nested. RFLAGS and callee-saved registers are as before the call. */
int catch_exception(void (*fn)(void *), void *arg, struct trap *out);

/* Run fn(arg) at CPL 3 on its own stack. Returns NO_TRAP with its return value in @ret (may be
 * NULL), or the vector with the frame in @out (may be NULL). @flags is or-ed into RFLAGS. */
int user_call(uint64_t (*fn)(uint64_t), uint64_t arg, uint64_t flags, uint64_t *ret,
	      struct trap *out);

/* --- exception table ------------------------------------------------------------------------ */

/* Result of the last TRY() on this CPU: vector or NO_TRAP, and its error code. */
void try_begin(void);
int try_vector(void);
uint64_t try_error(void);

/* One instruction as a string; a fault in it continues behind it, try_vector() then says which.
 * Usage: try_begin(); asm volatile(TRY("rdmsr") : ...); if (try_vector() == VEC_GP) ... */
#define TRY(insn)					\
	"771: " insn "\n772:\n\t"			\
	".pushsection .ex_table, \"a\"\n\t"		\
	".quad 771b, 772b\n\t"				\
	".popsection\n\t"

static inline int rdmsr_safe(uint32_t msr, uint64_t *v)
{
	uint32_t lo = 0, hi = 0;

	try_begin();
	__asm__ volatile(TRY("rdmsr") : "+a"(lo), "+d"(hi) : "c"(msr) : "memory");
	*v = ((uint64_t)hi << 32) | lo;
	return try_vector();
}

static inline int wrmsr_safe(uint32_t msr, uint64_t v)
{
	try_begin();
	__asm__ volatile(TRY("wrmsr") : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
	return try_vector();
}

#define TRY_WRITE_REG(reg)						\
static inline int write_##reg##_safe(uint64_t v)			\
{									\
	try_begin();							\
	__asm__ volatile(TRY("mov %0, %%" #reg) : : "r"(v) : "memory");	\
	return try_vector();						\
}

TRY_WRITE_REG(cr0)
TRY_WRITE_REG(cr3)
TRY_WRITE_REG(cr4)
TRY_WRITE_REG(cr8)
TRY_WRITE_REG(dr6)
TRY_WRITE_REG(dr7)

#endif /* GUESTS_LIB_TRAP_H */
