/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_instr_native.c: the emulator against the CPU the test runs on. Random instructions of the
 * set with random registers, flags and memory are executed once natively in a page of their own and
 * twice by the emulator, once with accesses answered at once and once with random ones answered
 * later; all registers, flags, vector registers and memory must be equal, and the accesses of both
 * emulations the same.
 */
#include <asm/instr.h>
#include <cpuid.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "unit.h"

#define BUF_SIZE     0x8000U
#define BUF_MIDDLE   0x4000U
#define AFTER_OFFSET 48U /* from the instruction to where all paths of it meet */
#define FLAGS_ARITH  0x8D5UL
#define FLAGS_DF     0x400UL
#define FLAG_CF	     0x1UL
#define FLAG_AF	     0x10UL
#define FLAG_ZF	     0x40UL
#define FLAG_OF	     0x800UL

/** Registers of a guest, or of the CPU; the generated code knows the layout. */
struct regs {
	uint64_t gpr[16];
	uint64_t rflags;
	uint64_t host_rsp;
	uint64_t rip;
	uint64_t pad;
	uint8_t vec[16][32];
};

/** Below 2 GiB, so that the generated code and all address sizes reach it. */
struct area {
	struct regs in;
	struct regs out;
	uint8_t code[0x1000] __attribute__((aligned(4096)));
	uint8_t buf[BUF_SIZE] __attribute__((aligned(4096)));
};

static struct instr_cpu cpu = {.mode = INSTR_MODE_64,
	.cpl = 3U,
	.cr0 = 0x80050033UL,
	.cr4 = 0x40620UL,
	.xcr0 = 7UL};

static struct area *area;
static uint32_t instr_offset; /* of the tested instruction in code */

/* ---- native execution ---- */

static uint8_t *emit(uint8_t *p, uint32_t n, ...)
{
	va_list args;

	va_start(args, n);
	while (n-- != 0U) {
		*p++ = (uint8_t)va_arg(args, int);
	}
	va_end(args);
	return p;
}

static uint8_t *emit_addr(uint8_t *p, const void *addr)
{
	uint32_t val = (uint32_t)(uintptr_t)addr;

	memcpy(p, &val, 4U);
	return p + 4;
}

/** mov of a general register from (0x8B) or to (0x89) an absolute address. */
static uint8_t *emit_mov(uint8_t *p, int opcode, uint32_t reg, const void *addr)
{
	p = emit(p, 4U, 0x48 | ((reg >> 3U) << 2U), opcode, 4 | ((reg & 7U) << 3U), 0x25);
	return emit_addr(p, addr);
}

/** vmovdqu of a YMM register from (0x6F) or to (0x7F) an absolute address. */
static uint8_t *emit_vec(uint8_t *p, int opcode, uint32_t reg, const void *addr)
{
	p = emit(p, 5U, 0xC5, 0x7E | (((reg >> 3U) ^ 1U) << 7U), opcode, 4 | ((reg & 7U) << 3U),
		0x25);
	return emit_addr(p, addr);
}

static bool native_setup(void)
{
	uint32_t eax, ebx, ecx, edx;
	uint8_t *p;
	uint32_t i;

	if (area != NULL) {
		return true;
	}
	if (!__builtin_cpu_supports("avx2")) {
		return false;
	}
	cpu.has_tzcnt = __builtin_cpu_supports("bmi");
	cpu.has_lzcnt = (__get_cpuid(0x80000001U, &eax, &ebx, &ecx, &edx) != 0) && ((ecx & 0x20U) != 0U);
	p = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (p == MAP_FAILED) {
		return false;
	}
	area = (struct area *)p;
	p = emit(area->code, 10U, 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57);
	p = emit_mov(p, 0x89, INSTR_REG_RSP, &area->in.host_rsp);
	for (i = 0U; i < 16U; i++) {
		p = emit_vec(p, 0x6F, i, area->in.vec[i]);
	}
	p = emit_addr(emit(p, 3U, 0xFF, 0x34, 0x25), &area->in.rflags);
	p = emit(p, 1U, 0x9D);
	for (i = 0U; i < 16U; i++) {
		p = emit_mov(p, 0x8B, i, &area->in.gpr[i]);
	}
	instr_offset = (uint32_t)(p - area->code);
	p += AFTER_OFFSET;
	for (i = 0U; i < 16U; i++) {
		p = emit_mov(p, 0x89, i, &area->out.gpr[i]);
	}
	p = emit_mov(p, 0x8B, INSTR_REG_RSP, &area->in.host_rsp);
	p = emit_addr(emit(p, 4U, 0x9C, 0x8F, 0x04, 0x25), &area->out.rflags);
	p = emit(p, 1U, 0xFC);
	for (i = 0U; i < 16U; i++) {
		p = emit_vec(p, 0x7F, i, area->out.vec[i]);
	}
	p = emit(p, 3U, 0xC5, 0xF8, 0x77); /* vzeroupper */
	(void)emit(p, 11U, 0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5D, 0x5B, 0xC3);
	return true;
}

static void native_run(const uint8_t *bytes, uint32_t len)
{
	uint8_t *at = area->code + instr_offset;
	void (*fn)(void);
	void *code = area->code;

	memset(at, 0x90, AFTER_OFFSET);
	memcpy(at, bytes, len);
	memcpy(&fn, &code, sizeof(fn));
	fn();
}

/* ---- the emulated guest ---- */

struct guest {
	struct regs regs;
	uint8_t buf[BUF_SIZE];
	uint32_t pending_percent;
	uint32_t accesses;
	bool bad_access;
	/* the one that is pending */
	gla_t gla;
	uint32_t size;
	uint64_t val;
	bool write;
};

static uint64_t get_reg(void *arg, uint32_t reg)
{
	const struct guest *g = arg;

	return (reg == INSTR_REG_RIP)	   ? g->regs.rip
	       : (reg == INSTR_REG_RFLAGS) ? g->regs.rflags
					   : g->regs.gpr[reg];
}

static void put_reg(void *arg, uint32_t reg, uint64_t val)
{
	struct guest *g = arg;

	*((reg == INSTR_REG_RIP)	    ? &g->regs.rip
		: (reg == INSTR_REG_RFLAGS) ? &g->regs.rflags
					    : &g->regs.gpr[reg]) = val;
}

static void get_seg(void *arg, uint32_t seg, struct instr_seg *val)
{
	uint64_t sel = 0UL;

	(void)arg;
	*val = (struct instr_seg){.limit = 0xFFFFFFFFU, .attr = 0xC093U};
	switch (seg) {
	case INSTR_SEG_ES:
		__asm__("mov %%es, %0" : "=r"(sel));
		break;
	case INSTR_SEG_CS:
		__asm__("mov %%cs, %0" : "=r"(sel));
		break;
	case INSTR_SEG_SS:
		__asm__("mov %%ss, %0" : "=r"(sel));
		break;
	case INSTR_SEG_DS:
		__asm__("mov %%ds, %0" : "=r"(sel));
		break;
	case INSTR_SEG_FS:
		__asm__("mov %%fs, %0" : "=r"(sel));
		break;
	default:
		__asm__("mov %%gs, %0" : "=r"(sel));
		break;
	}
	val->selector = (uint16_t)sel;
}

static void get_vec(void *arg, uint32_t reg, uint8_t val[32])
{
	memcpy(val, ((struct guest *)arg)->regs.vec[reg], 32U);
}

static void put_vec(void *arg, uint32_t reg, const uint8_t *val, uint32_t size, bool zero_rest)
{
	struct guest *g = arg;

	if (zero_rest) {
		memset(g->regs.vec[reg], 0, 32U);
	}
	memcpy(g->regs.vec[reg], val, size);
}

/** Where gla is in the guest's copy of the buffer; NULL if it is not in it. */
static uint8_t *guest_mem(struct guest *g, gla_t gla, uint32_t size)
{
	uint64_t offset = gla - (uint64_t)(uintptr_t)area->buf;

	if ((offset >= BUF_SIZE) || ((offset + size) > BUF_SIZE)) {
		g->bad_access = true;
		return NULL;
	}
	return g->buf + offset;
}

static int32_t mem_check(
	void *arg, gla_t gla, uint32_t size, uint32_t access, struct instr_fault *fault)
{
	(void)access;
	(void)fault;
	return (guest_mem(arg, gla, size) != NULL) ? 0 : -EFAULT;
}

static int32_t mem_access(struct guest *g, gla_t gla, uint32_t size, uint64_t *val, bool write)
{
	uint8_t *mem = guest_mem(g, gla, size);

	if ((size > 8U) || ((size & (size - 1U)) != 0U) || (((gla & 0xFFFU) + size) > 0x1000U)) {
		g->bad_access = true;
	}
	if (mem == NULL) {
		return -EFAULT;
	}
	g->accesses++;
	if ((unit_rand64() % 100U) < g->pending_percent) {
		g->gla = gla;
		g->size = size;
		g->val = *val;
		g->write = write;
		return INSTR_PENDING;
	}
	if (write) {
		memcpy(mem, val, size);
	} else {
		*val = 0UL;
		memcpy(val, mem, size);
	}
	return 0;
}

static int32_t mem_read(
	void *arg, gla_t gla, uint32_t size, uint64_t *val, struct instr_fault *fault)
{
	(void)fault;
	return mem_access(arg, gla, size, val, false);
}

static int32_t mem_write(
	void *arg, gla_t gla, uint32_t size, uint64_t val, struct instr_fault *fault)
{
	(void)fault;
	return mem_access(arg, gla, size, &val, true);
}

static const struct instr_ops ops = {
	get_reg, put_reg, get_seg, get_vec, put_vec, mem_check, mem_read, mem_write};

/** Does the pending access as a device would, later. */
static uint64_t finish_pending(struct guest *g)
{
	uint8_t *mem = guest_mem(g, g->gla, g->size);
	uint64_t val = 0xDEADBEEFDEADBEEFUL; /* what is above the access's size must not matter */

	if (g->write) {
		memcpy(mem, &g->val, g->size);
	} else {
		memcpy(&val, mem, g->size);
	}
	return val;
}

static uint32_t simple_runs;

/** The short way, with the address that the emulator finds. @return false if the instruction is not for it */
static bool guest_run_simple(struct guest *g, const uint8_t *bytes, uint32_t len)
{
	static struct guest asked;
	struct instr_emul ctx = {0}, other = {0};
	uint8_t padded[INSTR_MAX_LEN] = {0};
	uint32_t access;
	uint64_t val;

	memcpy(padded, bytes, MIN(len, INSTR_MAX_LEN));
	access = instr_simple_start(&ctx, &ops, g, padded);
	if (access == 0U) {
		return false;
	}
	asked = *g;
	asked.pending_percent = 100U;
	instr_emul_init(&other, &ops, &asked, &cpu);
	EXPECT_EQ(instr_emul_start(&other, padded, INSTR_MAX_LEN), 0);
	if ((instr_emul_run(&other) != INSTR_PENDING) || (asked.size != ctx.in.mem_size)) {
		return false; /* outside of the buffer, or in two pages */
	}
	EXPECT_EQ(asked.write, access == INSTR_ACCESS_WRITE);
	EXPECT(asked.size <= 8U);
	g->gla = asked.gla;
	g->size = asked.size;
	g->write = asked.write;
	g->val = asked.write ? instr_simple_value(&ctx) : 0UL;
	g->accesses++;
	val = finish_pending(g);
	instr_simple_end(&ctx, val, g->regs.rip);
	simple_runs++;
	return true;
}

/** Runs the whole instruction, all elements of it. */
static int32_t guest_run(struct guest *g, const uint8_t *bytes, uint32_t len)
{
	struct instr_emul ctx = {0};
	struct regs before;
	int32_t ret;

	if (((unit_rand64() & 1U) != 0U) && guest_run_simple(g, bytes, len)) {
		return 0;
	}
	instr_emul_init(&ctx, &ops, g, &cpu);
	ret = instr_emul_start(&ctx, bytes, len);
	if (ret != 0) {
		return ret;
	}
	do {
		before = g->regs;
		ret = instr_emul_run(&ctx);
		while (ret == INSTR_PENDING) {
			EXPECT(memcmp(&before, &g->regs, sizeof(before)) == 0);
			EXPECT_EQ(instr_emul_run(&ctx), -EIO);
			EXPECT_EQ(instr_emul_complete(&ctx, finish_pending(g)), 0);
			EXPECT_EQ(instr_emul_complete(&ctx, 0UL), -EINVAL);
			ret = instr_emul_run(&ctx);
		}
	} while (ret == INSTR_MORE);
	return ret;
}

/* ---- making instructions that stay in the buffer ---- */

static uint64_t random_value(void)
{
	static const uint64_t special[] = {0UL, 1UL, 0x7FUL, 0x80UL, 0xFFUL, 0x7FFFUL, 0x8000UL,
		0xFFFFUL, 0x7FFFFFFFUL, 0x80000000UL, 0xFFFFFFFFUL, 0x7FFFFFFFFFFFFFFFUL,
		0x8000000000000000UL, ~0UL};
	uint64_t r = unit_rand64();

	return ((r & 3U) == 0U) ? special[(r >> 8) % (sizeof(special) / sizeof(special[0]))]
				: unit_rand64();
}

static void random_instr(uint8_t *bytes)
{
	static const uint8_t prefixes[] = {0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x65, 0x2E, 0x66};
	uint64_t r = unit_rand64();
	uint32_t i, pos = 0U;

	for (i = 0U; i < 16U; i++) {
		bytes[i] = (uint8_t)unit_rand64();
	}
	for (i = (uint32_t)(r & 3U); i > 1U; i--) {
		bytes[pos++] = prefixes[unit_rand64() % sizeof(prefixes)];
	}
	if ((r & 4U) != 0U) {
		bytes[pos++] = (uint8_t)(0x40U | (unit_rand64() & 0xFU));
	}
	switch ((r >> 4) & 7U) {
	case 0:
	case 1:
	case 2:
		bytes[pos++] = 0x0F;
		if (((r >> 8) & 3U) == 0U) {
			bytes[pos++] = 0x38;
			bytes[pos] = ((r & 0x400U) != 0U) ? bytes[pos]
							  : (uint8_t)(0xF0U | (bytes[pos] & 1U));
		}
		break;
	case 3:
		bytes[pos++] = 0xC5;
		bytes[pos++] |= 0x78U;
		break;
	case 4:
		bytes[pos++] = 0xC4;
		bytes[pos] = (uint8_t)((bytes[pos] & 0xE0U) | (1U + ((r >> 12) & 1U)));
		pos++;
		bytes[pos++] |= 0x78U;
		break;
	case 5:
		bytes[pos] = (uint8_t)(0xA0U | (bytes[pos] & 0xFU)); /* moffs and strings */
		break;
	case 6:
		bytes[pos] =
			((r & 0x1000U) != 0U) ? 0xFFU : 0x8FU; /* groups with stack operations */
		bytes[pos + 1U] &= (bytes[pos] == 0x8FU) ? 0xC7U : 0xFFU;
		break;
	default:
		bytes[pos] = ((r & 0x1000U) != 0U) ? (uint8_t)(0xF6U | (bytes[pos] & 1U)) : bytes[pos];
		break;
	}
}

static bool host_has(const struct instr *in, const uint8_t *bytes)
{
	switch (in->op) {
	case INSTR_CLFLUSH: /* its newer forms may be missing, and it changes nothing */
		return false;
	case INSTR_CALL:
	case INSTR_JMP: /* with prefix 66 AMD's CPUs branch to a 16-bit address, Intel's ignore it
			 */
		return (memchr(bytes, 0x66, in->len) == NULL) && (in->seg != INSTR_SEG_FS);
	case INSTR_POPCNT:
		return __builtin_cpu_supports("popcnt") && (in->seg != INSTR_SEG_FS);
	default:
		return in->seg != INSTR_SEG_FS;
	}
}

/** Puts a displacement into the bytes, wherever it is in them. */
static bool patch_disp(uint8_t *bytes, struct instr *in, uint64_t disp, uint32_t size)
{
	uint8_t copy[16];
	struct instr again;
	uint32_t pos;

	for (pos = 1U; (pos + size) <= in->len; pos++) {
		memcpy(copy, bytes, sizeof(copy));
		memcpy(copy + pos, &disp, size);
		if ((memcmp(bytes + pos, &in->disp, size) == 0) &&
			(instr_decode(&again, copy, 15U, INSTR_MODE_64) == 0) &&
			(again.len == in->len) && (again.op == in->op) && (again.disp == disp) &&
			(again.base == in->base)) {
			memcpy(bytes, copy, sizeof(copy));
			*in = again;
			return true;
		}
	}
	return false;
}

/** Chooses where the operand is, and registers or displacement so that the instruction finds it
 * there. */
static bool aim(uint8_t *bytes, struct instr *in, struct regs *regs)
{
	uint64_t target = (uint64_t)(uintptr_t)area->buf + BUF_MIDDLE + (unit_rand64() & 0x1FU);
	uint64_t index = 0UL;
	bool bit_string =
		(in->op >= INSTR_BT) && (in->op <= INSTR_BTC) && (in->form == INSTR_FORM_MR);

	if ((unit_rand64() & 3U) == 0U) {
		target -= 0x20U; /* often across the page boundary */
		target += unit_rand64() & 0x1FU;
	}
	/* locked accesses that are split are slow, and some kernels forbid them */
	if (in->aligned || (in->lock) || (in->op == INSTR_XCHG)) {
		target &= ~(uint64_t)(in->mem_size - 1U);
	}
	if (bit_string && (in->reg != in->base) && (in->reg != in->index)) {
		regs->gpr[in->reg] =
			(regs->gpr[in->reg] &
				~((in->op_size == 8U) ? ~0UL : (1UL << (8U * in->op_size)) - 1UL)) |
			((uint64_t)((int64_t)(unit_rand64() % 60000U) - 30000) &
				((in->op_size == 8U) ? ~0UL : (1UL << (8U * in->op_size)) - 1UL));
	} else if (bit_string) {
		return false;
	}
	if (in->form == INSTR_FORM_STRING) {
		uint64_t garbage = (in->addr_size == 4U) ? (unit_rand64() << 32U) : 0UL;

		regs->gpr[INSTR_REG_RSI] = target | garbage;
		regs->gpr[INSTR_REG_RDI] = ((unit_rand64() & 3U) == 0U)
						   ? (target + (unit_rand64() & 0xFU))
						   : ((uint64_t)(uintptr_t)area->buf + 0x2000U -
							     (unit_rand64() & 0xFU)) |
							     garbage;
		regs->gpr[INSTR_REG_RCX] = (unit_rand64() & 0xFU) | garbage;
		if ((in->rep != 0U) && (garbage != 0UL) &&
			((regs->gpr[INSTR_REG_RCX] & 0xFU) == 0U)) {
			return false; /* CPUs differ in whether they clear the upper half then */
		}
		return in->seg != INSTR_SEG_FS;
	}
	regs->gpr[INSTR_REG_RSP] =
		((in->op == INSTR_PUSH) || (in->op == INSTR_POP) || (in->op == INSTR_CALL) ||
			(in->base == INSTR_REG_RSP))
			? (uint64_t)(uintptr_t)area->buf + 0x1000U - (unit_rand64() & 0xFU)
			: regs->gpr[INSTR_REG_RSP];
	if (in->index != INSTR_REG_NONE) {
		index = regs->gpr[in->index] << in->scale;
	}
	if ((in->base == INSTR_REG_NONE) && (in->index != INSTR_REG_NONE)) {
		return false;
	}
	if (in->base == INSTR_REG_NONE) {
		/* moffs of 8 bytes, or 4 */
		return patch_disp(bytes, in, target, 8U) || patch_disp(bytes, in, target, 4U);
	}
	if (in->base == INSTR_REG_RIP) {
		return patch_disp(bytes, in, target - (regs->rip + in->len), 4U);
	}
	if ((in->base == in->index) || (bit_string && (in->base == in->reg))) {
		return false;
	}
	regs->gpr[in->base] = target - in->disp - index;
	if (in->addr_size == 4U) {
		regs->gpr[in->base] = (regs->gpr[in->base] & 0xFFFFFFFFUL) | (unit_rand64() << 32U);
	}
	if ((in->op == INSTR_POP) && (in->base == INSTR_REG_RSP)) {
		regs->gpr[INSTR_REG_RSP] -= in->op_size;
	}
	return true;
}

/** Offset of the operand in the buffer, for operations whose outcome should be chosen. */
static uint8_t *operand_in_buf(const struct instr *in, const struct regs *regs)
{
	uint64_t addr = in->disp;

	addr += (in->base == INSTR_REG_RIP)    ? (regs->rip + in->len)
		: (in->base != INSTR_REG_NONE) ? regs->gpr[in->base]
					       : 0UL;
	addr += (in->index != INSTR_REG_NONE) ? (regs->gpr[in->index] << in->scale) : 0UL;
	addr += ((in->op == INSTR_POP) && (in->base == INSTR_REG_RSP)) ? in->op_size : 0U;
	if (in->addr_size == 4U) {
		addr &= 0xFFFFFFFFUL;
	}
	addr -= (uint64_t)(uintptr_t)area->buf;
	return (addr < (BUF_SIZE - 32U)) ? area->buf + addr : NULL;
}

/** Flags that the SDM leaves undefined after a shift or rotation. */
static uint64_t undefined_after_shift(const struct instr *in, const struct regs *before)
{
	const uint64_t by = (in->form == INSTR_FORM_M)	  ? 1UL
			    : (in->form == INSTR_FORM_MI) ? in->imm
							  : before->gpr[INSTR_REG_RCX];
	const uint64_t count = by & ((in->op_size == 8U) ? 63UL : 31UL);
	uint64_t flags = (count > 1UL) ? FLAG_OF : 0UL;

	if (in->op >= INSTR_SHL) {
		flags |= (count != 0UL) ? FLAG_AF : 0UL;
		flags |= ((in->op != INSTR_SAR) && (count >= 8UL * in->op_size)) ? FLAG_CF : 0UL;
	}
	return flags;
}

/** Flags that the SDM leaves undefined. */
static uint64_t undefined_flags(const struct instr *in, const struct regs *before)
{
	switch (in->op) {
	case INSTR_ROL:
	case INSTR_ROR:
	case INSTR_RCL:
	case INSTR_RCR:
	case INSTR_SHL:
	case INSTR_SHR:
	case INSTR_SAR:
		return undefined_after_shift(in, before);
	case INSTR_MUL:
	case INSTR_IMUL:
		return FLAGS_ARITH & ~(FLAG_CF | FLAG_OF);
	case INSTR_DIV:
	case INSTR_IDIV:
		return FLAGS_ARITH;
	case INSTR_BSF:
	case INSTR_BSR:
		return FLAGS_ARITH & ~FLAG_ZF;
	case INSTR_TZCNT:
		return FLAGS_ARITH & ~(FLAG_ZF | (cpu.has_tzcnt ? FLAG_CF : 0UL));
	case INSTR_LZCNT:
		return FLAGS_ARITH & ~(FLAG_ZF | (cpu.has_lzcnt ? FLAG_CF : 0UL));
	case INSTR_AND:
	case INSTR_OR:
	case INSTR_XOR:
	case INSTR_TEST:
		return 0x10UL;
	case INSTR_BT:
	case INSTR_BTS:
	case INSTR_BTR:
	case INSTR_BTC:
		return 0x894UL;
	default:
		return 0UL;
	}
}

static void show(const char *what, const struct instr *in)
{
	uint32_t i;

	printf("# %s: op %u form %u size %u/%u:", what, in->op, in->form, in->op_size,
		in->mem_size);
	for (i = 0U; i < in->len; i++) {
		printf(" %02x", in->bytes[i]);
	}
	printf("\n");
}

static void compare(const struct instr *in, const struct guest *g, uint64_t rip)
{
	uint32_t i;

	for (i = 0U; i < 16U; i++) {
		EXPECT_EQ(g->regs.gpr[i], area->out.gpr[i]);
	}
	EXPECT_EQ(g->regs.rip, rip);
	EXPECT_EQ((g->regs.rflags ^ area->out.rflags) & (FLAGS_ARITH | FLAGS_DF) &
			  ~undefined_flags(in, &area->in),
		0);
	EXPECT(memcmp(g->regs.vec, area->out.vec, sizeof(g->regs.vec)) == 0);
	EXPECT(memcmp(g->buf, area->buf, BUF_SIZE) == 0);
	EXPECT_EQ(g->bad_access, false);
}

/** Values with which the instruction does what it seldom does with random ones. */
static void choose_values(const struct instr *in, struct regs *regs, uint8_t *operand)
{
	if ((operand != NULL) && ((unit_rand64() & 1U) != 0U)) {
		if ((in->op == INSTR_CMPXCHG) && (in->base != INSTR_REG_RAX) &&
			(in->index != INSTR_REG_RAX)) {
			memcpy(&regs->gpr[INSTR_REG_RAX], operand, in->mem_size);
		} else if ((in->op == INSTR_CMPXCHG8B) && (in->base > 2U) && (in->index > 2U) &&
			   (in->base != 0U)) {
			memcpy(&regs->gpr[INSTR_REG_RAX], operand, in->mem_size / 2U);
			memcpy(&regs->gpr[INSTR_REG_RDX], operand + (in->mem_size / 2U),
				in->mem_size / 2U);
		}
	}

	if (((in->op == INSTR_DIV) || (in->op == INSTR_IDIV)) && (in->base != INSTR_REG_RDX) &&
		(in->index != INSTR_REG_RDX)) {
		/* often a quotient that is not too large, of bytes too */
		uint64_t sign = ((unit_rand64() & 1U) != 0U) ? 0UL : ~0UL;

		regs->gpr[INSTR_REG_RDX] = sign;
		if ((in->op_size == 1U) && (in->base != INSTR_REG_RAX) && (in->index != INSTR_REG_RAX)) {
			regs->gpr[INSTR_REG_RAX] = (unit_rand64() & 0x7FFUL) ^ sign;
		}
	}
	if (((in->op == INSTR_BSF) || (in->op == INSTR_BSR)) && (operand != NULL) && (in->op_size == 4U)) {
		operand[0] |= 1U; /* of 0 some older CPUs clear the upper half of the register */
	}
}

/** One random instruction; false if the bytes made none that can be run. */
static bool try_one(uint32_t *counts)
{
	static struct guest now, later;
	uint8_t bytes[16];
	struct instr in;
	struct regs *regs = &area->in;
	uint8_t *operand;
	uint64_t rip, jump;
	uint32_t i;
	int32_t ret, ret2;

	random_instr(bytes);
	if ((instr_decode(&in, bytes, 15U, INSTR_MODE_64) != 0) || !host_has(&in, bytes)) {
		return false;
	}
	for (i = 0U; i < 16U; i++) {
		regs->gpr[i] = random_value();
	}
	for (i = 0U; i < sizeof(regs->vec); i++) {
		regs->vec[i / 32U][i % 32U] = (uint8_t)unit_rand64();
	}
	regs->rflags = 0x202UL | (unit_rand64() & (FLAGS_ARITH | FLAGS_DF));
	regs->rip = (uint64_t)(uintptr_t)area->code + instr_offset;
	for (i = 0U; i < BUF_SIZE; i += 8U) {
		uint64_t val = ((i & 64U) != 0U) ? unit_rand64() : 0x4141414141414141UL;
		memcpy(area->buf + i, &val, 8U);
	}
	if (!aim(bytes, &in, regs)) {
		return false;
	}
	operand = operand_in_buf(&in, regs);
	rip = regs->rip + in.len;
	if ((in.op == INSTR_CALL) || (in.op == INSTR_JMP)) {
		if (operand == NULL) {
			return false;
		}
		jump = rip + (unit_rand64() % (AFTER_OFFSET - 15U));
		rip = jump;
		memcpy(operand, &jump, 8U);
	}
	choose_values(&in, regs, operand);
	now.regs = *regs;
	memcpy(now.buf, area->buf, BUF_SIZE);
	now.pending_percent = 0U;
	now.accesses = 0U;
	now.bad_access = false;
	later = now;
	later.pending_percent = 50U;
	ret = guest_run(&now, bytes, in.len);
	ret2 = guest_run(&later, bytes, in.len);
	EXPECT_EQ(ret, ret2);
	if ((ret != 0) || now.bad_access) {
		return false; /* would fault here, too: not run natively */
	}
	native_run(bytes, in.len);
	memcpy(in.bytes, bytes, sizeof(in.bytes));
	compare(&in, &now, rip);
	EXPECT_EQ(now.accesses, later.accesses);
	if (unit_failed()) {
		show("at once", &in);
	}
	compare(&in, &later, rip);
	if (unit_failed()) {
		show("with pending accesses", &in);
	}
	counts[in.op]++;
	return true;
}

TEST(instr_emul_agrees_with_cpu)
{
	static uint32_t counts[INSTR_OP_COUNT];
	uint32_t i, run = 0U;

	if (!native_setup()) {
		unit_skip("no AVX2 or no executable memory");
		return;
	}
	for (i = 0U; (i < 8000000U) && (run < 120000U) && !unit_failed(); i++) {
		run += try_one(counts) ? 1U : 0U;
	}
	printf("# %u instructions run, %u times the short way\n", run, simple_runs);
	EXPECT(unit_failed() || (simple_runs > run / 4U));
	for (i = 0U; (i < INSTR_OP_COUNT) && !unit_failed(); i++) {
		if (counts[i] < 10U) {
			printf("# operation %u: %u times\n", i, counts[i]);
		}
		EXPECT((counts[i] >= 10U) || (i == INSTR_CLFLUSH));
	}
}
