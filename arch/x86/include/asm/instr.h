/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * instr.h: decodes and emulates guest instructions that access device memory.
 *
 * Pure functions: they see the guest's CPU and memory only through structs and an operations table,
 *so the same code runs in the hypervisor, in host unit tests and in fuzzers. No locks, no globals;
 *any context.
 *
 * The set: MOV (all but control/debug registers and loads of segment registers), MOVZX MOVSX MOVSXD
 *MOVNTI MOVBE CMOVcc SETcc, ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NOT NEG, BT BTS BTR BTC,
 *XCHG XADD CMPXCHG CMPXCHG8B CMPXCHG16B, ROL ROR RCL RCR SHL SHR SAR, MUL IMUL DIV IDIV, BSF BSR TZCNT
 *LZCNT POPCNT, MOVS CMPS STOS LODS SCAS with any REP prefix, PUSH POP CALL JMP with a memory operand,
 *CLFLUSH CLFLUSHOPT CLWB, and the SSE/AVX moves MOVUPS/D MOVAPS/D
 *MOVSS MOVSD MOVDQA MOVDQU MOVNTPS/D MOVNTDQ MOVNTDQA LDDQU MOVD MOVQ of 4 to 32 bytes. Only forms
 *with a memory operand: others never cause an access.
 *
 * How a caller emulates the instruction at RIP after an EPT violation:
 *
 *	instr_emul_init(ctx, ops, arg, &cpu);
 *	ret = instr_emul_start(ctx, bytes, n);      -EAGAIN: fetch more (from the next page), start
 *again while (ret == 0 or INSTR_MORE) ret = instr_emul_run(ctx);
 *
 * How an access that takes time is done (restart scheme): when ops->mem_read or mem_write returns
 *INSTR_PENDING, instr_emul_run() stops and returns INSTR_PENDING. No register, flag or RIP has
 *changed by then. All accesses of the element so far are kept, in order and with their data, in
 *ctx->log. When the result arrives the caller puts it in with instr_emul_complete() and calls
 *instr_emul_run() again; that runs the element from its beginning, but each access that is in the
 *log is answered from there, so no read is repeated and no write is done twice. At the end of the
 *element registers, flags and RIP are committed and the log is emptied. Between INSTR_PENDING and
 *the second run the guest's registers must not change, other than by dropping the whole context
 *(reset, destroy).
 *
 * With a REP prefix each call does one element, and it ends as the CPU's does: registers hold the
 *next element, RIP stays at the instruction while the count remains (INSTR_MORE). So the caller may
 *run some elements per exit, and may enter the guest, with an interrupt, before any of them: the
 *guest then runs the instruction again.
 */
#ifndef ASM_INSTR_H
#define ASM_INSTR_H

#include <lib/util.h>

#define INSTR_MAX_LEN 15U

/* instr_emul_run() besides 0 and negative; INSTR_PENDING has the value of IOREQ_PENDING. */
#define INSTR_PENDING 1 /* an access is under way elsewhere: instr_emul_complete(), run again */
#define INSTR_MORE    2 /* one element of a REP instruction is done, more remain */

/* General registers by their number in an instruction, and two that the emulator uses, too. */
#define INSTR_REG_RAX    0U
#define INSTR_REG_RCX    1U
#define INSTR_REG_RDX    2U
#define INSTR_REG_RBX    3U
#define INSTR_REG_RSP    4U
#define INSTR_REG_RBP    5U
#define INSTR_REG_RSI    6U
#define INSTR_REG_RDI    7U
#define INSTR_REG_RIP    16U
#define INSTR_REG_RFLAGS 17U
#define INSTR_REG_NONE   0xFFU

/* Segment registers by their number in an instruction. */
#define INSTR_SEG_ES   0U
#define INSTR_SEG_CS   1U
#define INSTR_SEG_SS   2U
#define INSTR_SEG_DS   3U
#define INSTR_SEG_FS   4U
#define INSTR_SEG_GS   5U
#define INSTR_SEG_NONE 0xFFU

/* Access to a memory operand. */
#define INSTR_ACCESS_READ  (1U << 0)
#define INSTR_ACCESS_WRITE (1U << 1) /* with READ: read-modify-write */

/** How instruction bytes are read: CS.L with EFER.LMA, else CS.D. */
enum instr_mode {
	INSTR_MODE_16,
	INSTR_MODE_32,
	INSTR_MODE_64,
};

/** Operations. The first eight are in the order of their encoding, so are the four bit tests and the shifts. */
enum instr_op {
	INSTR_ADD,
	INSTR_OR,
	INSTR_ADC,
	INSTR_SBB,
	INSTR_AND,
	INSTR_SUB,
	INSTR_XOR,
	INSTR_CMP,
	INSTR_BT,
	INSTR_BTS,
	INSTR_BTR,
	INSTR_BTC,
	INSTR_ROL,
	INSTR_ROR,
	INSTR_RCL,
	INSTR_RCR,
	INSTR_SHL,
	INSTR_SHR,
	INSTR_SAR,
	INSTR_TEST,
	INSTR_INC,
	INSTR_DEC,
	INSTR_NOT,
	INSTR_NEG,
	INSTR_MOV,
	INSTR_MOVZX,
	INSTR_MOVSX,
	INSTR_MOVBE,
	INSTR_CMOV,
	INSTR_SETCC,
	INSTR_MOV_SREG,
	INSTR_XCHG,
	INSTR_XADD,
	INSTR_CMPXCHG,
	INSTR_CMPXCHG8B,
	INSTR_MOVS,
	INSTR_CMPS,
	INSTR_STOS,
	INSTR_LODS,
	INSTR_SCAS,
	INSTR_PUSH,
	INSTR_POP,
	INSTR_CALL,
	INSTR_JMP,
	INSTR_CLFLUSH,
	INSTR_MUL,
	INSTR_IMUL,
	INSTR_DIV,
	INSTR_IDIV,
	INSTR_BSF,
	INSTR_BSR,
	INSTR_TZCNT,
	INSTR_LZCNT,
	INSTR_POPCNT,
	INSTR_VEC_MOVE,
	INSTR_OP_COUNT
};

/** Where the second operand is, and which of the two is written. */
enum instr_form {
	INSTR_FORM_NONE,
	INSTR_FORM_M,      /* memory only */
	INSTR_FORM_MR,     /* memory, register: memory is the destination */
	INSTR_FORM_RM,     /* register, memory: the register is the destination */
	INSTR_FORM_MI,     /* memory, immediate */
	INSTR_FORM_RMI,    /* register, memory, immediate: the register is the destination */
	INSTR_FORM_STRING, /* implied operands */
};

/** A decoded instruction. */
struct instr {
	uint8_t bytes[INSTR_MAX_LEN]; /* for the log */
	uint8_t len;
	uint8_t mode;      /* enum instr_mode */
	uint8_t op;        /* enum instr_op */
	uint8_t form;      /* enum instr_form */
	uint8_t access;    /* INSTR_ACCESS_* to the ModRM/moffs operand; 0: strings */
	uint8_t op_size;   /* bytes of the register operand: 1, 2, 4, 8; vector moves: 16, 32 */
	uint8_t mem_size;  /* bytes of the memory operand: 1, 2, 4, 8, 16, 32 */
	uint8_t addr_size; /* 2, 4, 8 */
	uint8_t rex;       /* REX prefix, or REX bits of a VEX prefix; 0 if none */
	uint8_t rep;       /* 0, 0xF2 or 0xF3 */
	uint8_t seg;       /* INSTR_SEG_* of the memory operand (strings: of the source) */
	uint8_t reg;       /* register operand, 0..15 */
	uint8_t base;      /* INSTR_REG_*: 0..15, RIP or NONE */
	uint8_t index;     /* INSTR_REG_* or NONE */
	uint8_t scale;     /* log2 */
	uint8_t cond;      /* CMOVcc, SETcc: condition 0..15 */
	bool lock;
	bool vex;
	bool aligned;  /* #GP(0) unless the address is a multiple of mem_size */
	uint64_t disp; /* sign-extended to 64 bits; moffs: the whole address */
	uint64_t imm;  /* sign-extended to 64 bits */
};

/**
 * Decodes one instruction. Never looks past avail bytes.
 *
 * @in     result
 * @bytes  instruction bytes from RIP on
 * @avail  how many of them are there; more than INSTR_MAX_LEN are ignored
 * @mode   of the code segment
 * @return 0;
 *         -EAGAIN: more bytes are needed (never with avail >= INSTR_MAX_LEN);
 *         -EINVAL: outside of the set: without memory operand, undefined, too long, or not
 * supported. As another CPU can change the bytes between the exit and the fetch, a caller should
 * let the guest run once more before it acts on that.
 */
int32_t instr_decode(struct instr *in, const uint8_t *bytes, uint32_t avail, enum instr_mode mode);

/** The parts of CPU state that are not registers of an instruction. */
struct instr_cpu {
	enum instr_mode mode;
	uint8_t cpl;   /* 0..3; 3 in virtual-8086 mode */
	bool vm86;     /* RFLAGS.VM */
	uint64_t cr0;  /* as the guest reads it */
	uint64_t cr4;  /* as the guest reads it */
	uint64_t xcr0; /* 1 if the guest has no XSAVE */
	/* F3 0F BC is TZCNT, F3 0F BD is LZCNT; they are BSF and BSR on CPUs without. */
	bool has_tzcnt, has_lzcnt;
};

/** A segment register; attr has the format of the VMCS access-rights fields (SDM vol. 3, table
 * 25-2). */
struct instr_seg {
	uint64_t base;
	uint32_t limit; /* byte granular */
	uint32_t attr;
	uint16_t selector;
};

/** An exception to inject. */
struct instr_fault {
	uint8_t vector;
	bool has_error_code; /* false in real mode */
	uint32_t error_code;
	uint64_t cr2; /* #PF only */
};

/** The guest, as the emulator sees it. arg is the one given to instr_emul_init(). */
struct instr_ops {
	/** @reg 0..15 or INSTR_REG_RIP, INSTR_REG_RFLAGS. @return all 64 bits */
	uint64_t (*get_reg)(void *arg, uint32_t reg);
	/**
	 * Writes all 64 bits of a general register or of RFLAGS. A write to INSTR_REG_RIP is the
	 * last of an instruction and retires it: the implementation does all that goes with it (RF,
	 * interrupt shadow, TF).
	 */
	void (*put_reg)(void *arg, uint32_t reg, uint64_t val);
	/** Reads a segment register. @seg INSTR_SEG_* */
	void (*get_seg)(void *arg, uint32_t seg, struct instr_seg *val);
	/** Reads all 32 bytes of YMM0..15 (the upper half may be 0 without AVX). This and put_vec are NULL: no vector
	 * moves. */
	void (*get_vec)(void *arg, uint32_t reg, uint8_t val[32]);
	/** Writes the low size bytes (16 or 32) of a vector register; zero_rest: bits above them
	 * become 0. */
	void (*put_vec)(void *arg, uint32_t reg, const uint8_t *val, uint32_t size, bool zero_rest);
	/**
	 * Checks translation and rights, without any access: gla to gla + size - 1 lie in one page.
	 * @access INSTR_ACCESS_*
	 * @return 0; -EFAULT with *fault filled; any other negative value is passed on by
	 * instr_emul_run()
	 */
	int32_t (*mem_check)(void *arg, gla_t gla, uint32_t size, uint32_t access, struct instr_fault *fault);
	/**
	 * Reads or writes memory or a device. The emulator splits accesses: size is 1, 2, 4 or 8
	 * and all bytes are in one page; gla need not be aligned.
	 * @return 0; INSTR_PENDING: has begun, the caller of instr_emul_run() gives the result to
	 *         instr_emul_complete(); -EFAULT with *fault filled; another negative value is
	 * passed on
	 */
	int32_t (*mem_read)(void *arg, gla_t gla, uint32_t size, uint64_t *val, struct instr_fault *fault);
	int32_t (*mem_write)(void *arg, gla_t gla, uint32_t size, uint64_t val, struct instr_fault *fault);
};

/** One access of the element being emulated: done, or (only the last one) pending. */
struct instr_access {
	gla_t gla;
	uint64_t val; /* read: what came; write: what was written */
	uint8_t size;
	bool write;
};

/*
 * Most parts of one element: a 32-byte move in two pages has at most 8 (8+8+8+4+2+1 and 1), two
 * operands of 8 bytes have at most 4 each, a read-modify-write of 16 bytes has 4.
 */
#define INSTR_LOG_MAX  12U
#define INSTR_REGS_MAX 4U

/** One instruction under emulation. Everything in it belongs to instr_*.c, but in, fault and log
 * may be read. */
struct instr_emul {
	struct instr in;
	bool decoded;             /* in is what all 15 bytes in it mean, in its mode */
	bool simple;              /* in is for instr_simple_start() */
	struct instr_fault fault; /* valid after -EFAULT */

	/* accesses of this element in program order (see the head of this file) */
	struct instr_access log[INSTR_LOG_MAX];
	uint8_t log_count; /* entries, with the pending one */
	uint8_t log_next;  /* the next to answer a replayed access from */
	bool pending;      /* log[log_count - 1] has no result yet */

	/* changes to be committed at the end of this element */
	struct {
		uint8_t reg;
		uint64_t val;
	} staged[INSTR_REGS_MAX];
	uint8_t staged_count;
	uint8_t vec[32];
	uint8_t vec_size; /* 0: no vector register changes */
	bool more;        /* RIP stays: a REP instruction goes on */
	uint64_t next_rip;

	struct instr_cpu cpu;
	const struct instr_ops *ops;
	void *arg;
};

/** Prepares ctx, which was all zeroes once, for the next instruction. cpu is copied; ops must outlive ctx. */
void instr_emul_init(struct instr_emul *ctx, const struct instr_ops *ops, void *arg, const struct instr_cpu *cpu);

/** Decodes the instruction at RIP into ctx->in and forgets any access. @return as instr_decode() */
int32_t instr_emul_start(struct instr_emul *ctx, const uint8_t *bytes, uint32_t avail);

/**
 * Emulates one instruction, or one element of a REP instruction.
 *
 * @return 0: done, all is committed and RIP has moved;
 *         INSTR_MORE: one element is committed, more remain, RIP has not moved;
 *         INSTR_PENDING: see above; nothing is committed;
 *         -EFAULT: inject ctx->fault; nothing is committed, RIP is at the instruction;
 *         -EINVAL: outside of the set after all (vector move without ops for it): nothing is
 * committed; -EIO: the accesses of a replay differ from those in the log (registers were changed in
 * between), or run while an access is pending; any other negative value came from ops: stop the VM
 */
int32_t instr_emul_run(struct instr_emul *ctx);

/**
 * Gives the result of the pending access.
 * @val what was read (bytes above the access's size are ignored); not used for a write
 * @return 0, or -EINVAL if no access is pending
 */
int32_t instr_emul_complete(struct instr_emul *ctx, uint64_t val);

/*
 * The short way for most of what drivers do: an instruction that reads memory once or writes it once, at most 8 bytes.
 * It is for who knows already where its operand is and that the CPU would allow the access: after an EPT violation the
 * CPU has said so.
 */

/**
 * Decodes a 64-bit instruction. ctx, which was all zeroes once, is not in the middle of another.
 * @bytes  INSTR_MAX_LEN of them
 * @return INSTR_ACCESS_READ or INSTR_ACCESS_WRITE, of ctx->in.mem_size bytes; 0: take instr_emul_init()
 */
uint32_t instr_simple_start(struct instr_emul *ctx, const struct instr_ops *ops, void *arg, const uint8_t *bytes);

/** @return what the write writes, zero-extended */
uint64_t instr_simple_value(const struct instr_emul *ctx);

/**
 * The access is done: writes the registers, RIP last.
 * @val what was read (bytes above the access's size are ignored); not used for a write
 * @rip of the instruction
 */
void instr_simple_end(struct instr_emul *ctx, uint64_t val, uint64_t rip);

#endif /* ASM_INSTR_H */
