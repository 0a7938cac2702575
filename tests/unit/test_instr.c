/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_instr.c: the emulator where the host's CPU cannot show it: 16-bit and 32-bit code,
 * segmentation, faults, and what is not committed when an access faults or is pending.
 */
#include <asm/instr.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "unit.h"

#define MEM_SIZE   0x4000U
#define FAULT_NONE UINT64_MAX

#define ATTR_DATA     0x4093U /* writable data, B */
#define ATTR_DATA16   0x0093U
#define ATTR_RO	      0x4091U
#define ATTR_DOWN     0x4097U /* expand-down */
#define ATTR_CODE     0x409BU
#define ATTR_XO	      0x4099U /* execute-only */
#define ATTR_UNUSABLE 0x10000U

struct guest {
	uint64_t regs[18];
	struct instr_seg segs[6];
	uint8_t mem[MEM_SIZE]; /* linear addresses modulo its size */
	uint64_t fault_page;   /* accesses to this page fault */
	uint32_t last_access;  /* what mem_check was asked for last */
	uint32_t checks, reads, writes;
	uint32_t pend_at; /* the access (from 1 on) that is pending; 0: none */
	struct instr_cpu cpu;
	struct instr_emul ctx;
};

static uint64_t get_reg(void *arg, uint32_t reg)
{
	return ((struct guest *)arg)->regs[reg];
}

static void put_reg(void *arg, uint32_t reg, uint64_t val)
{
	((struct guest *)arg)->regs[reg] = val;
}

static void get_seg(void *arg, uint32_t seg, struct instr_seg *val)
{
	*val = ((struct guest *)arg)->segs[seg];
}

static int32_t page_fault(struct guest *g, gla_t gla, uint32_t access, struct instr_fault *fault)
{
	if ((gla & ~0xFFFUL) != g->fault_page) {
		return 0;
	}
	*fault = (struct instr_fault){.vector = 14U,
		.has_error_code = true,
		.error_code = ((access & INSTR_ACCESS_WRITE) != 0U) ? 2U : 0U,
		.cr2 = gla};
	return -EFAULT;
}

static int32_t mem_check(
	void *arg, gla_t gla, uint32_t size, uint32_t access, struct instr_fault *fault)
{
	struct guest *g = arg;

	(void)size;
	g->checks++;
	g->last_access = access;
	return page_fault(g, gla, access, fault);
}

static int32_t mem_read(
	void *arg, gla_t gla, uint32_t size, uint64_t *val, struct instr_fault *fault)
{
	struct guest *g = arg;
	uint32_t i;

	if (page_fault(g, gla, INSTR_ACCESS_READ, fault) != 0) {
		return -EFAULT;
	}
	g->reads++;
	if ((g->reads + g->writes) == g->pend_at) {
		return INSTR_PENDING;
	}
	*val = 0UL;
	for (i = 0U; i < size; i++) {
		*val |= (uint64_t)g->mem[(gla + i) % MEM_SIZE] << (8U * i);
	}
	return 0;
}

static int32_t mem_write(
	void *arg, gla_t gla, uint32_t size, uint64_t val, struct instr_fault *fault)
{
	struct guest *g = arg;
	uint32_t i;

	if (page_fault(g, gla, INSTR_ACCESS_WRITE, fault) != 0) {
		return -EFAULT;
	}
	g->writes++;
	if ((g->reads + g->writes) == g->pend_at) {
		return INSTR_PENDING;
	}
	for (i = 0U; i < size; i++) {
		g->mem[(gla + i) % MEM_SIZE] = (uint8_t)(val >> (8U * i));
	}
	return 0;
}

static const struct instr_ops ops = {
	get_reg, put_reg, get_seg, NULL, NULL, mem_check, mem_read, mem_write};

static struct guest guest;

/** A guest at RIP 0x100 with flat segments. */
static struct guest *setup(enum instr_mode mode)
{
	struct guest *g = &guest;
	uint32_t i;

	memset(g, 0, sizeof(*g));
	for (i = 0U; i < 6U; i++) {
		g->segs[i] = (struct instr_seg){
			.limit = 0xFFFFFFFFU, .attr = (i == INSTR_SEG_CS) ? ATTR_CODE : ATTR_DATA};
	}
	g->cpu = (struct instr_cpu){.mode = mode, .cr0 = 0x80000011UL, .xcr0 = 1UL};
	g->regs[INSTR_REG_RIP] = 0x100UL;
	g->regs[INSTR_REG_RFLAGS] = 2UL;
	g->regs[INSTR_REG_RSP] = 0x3000UL;
	g->fault_page = FAULT_NONE;
	return g;
}

static int32_t run(struct guest *g, uint32_t n, ...)
{
	uint8_t bytes[16];
	va_list args;
	uint32_t i;
	int32_t ret;

	va_start(args, n);
	for (i = 0U; i < n; i++) {
		bytes[i] = (uint8_t)va_arg(args, int);
	}
	va_end(args);
	instr_emul_init(&g->ctx, &ops, g, &g->cpu);
	ret = instr_emul_start(&g->ctx, bytes, n);
	return (ret != 0) ? ret : instr_emul_run(&g->ctx);
}

static void expect_fault(struct guest *g, int32_t ret, uint8_t vector)
{
	EXPECT_EQ(ret, -EFAULT);
	EXPECT_EQ(g->ctx.fault.vector, vector);
	EXPECT_EQ(g->ctx.fault.has_error_code, true);
	EXPECT_EQ(g->ctx.fault.error_code, 0);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x100);
	EXPECT_EQ(g->reads + g->writes, 0);
}

TEST(instr_real_mode)
{
	struct guest *g = setup(INSTR_MODE_16);

	g->cpu.cr0 = 0x10UL;
	g->segs[INSTR_SEG_DS] =
		(struct instr_seg){.base = 0x1000UL, .limit = 0xFFFFU, .attr = ATTR_RO};
	g->segs[INSTR_SEG_SS] =
		(struct instr_seg){.base = 0x2000UL, .limit = 0xFFFFU, .attr = ATTR_DATA16};
	g->regs[INSTR_REG_RBX] = 0x1234FFF0UL;
	g->regs[INSTR_REG_RSI] = 0x5678FFF0UL;
	g->regs[INSTR_REG_RBP] = 0x20UL;
	g->regs[INSTR_REG_RAX] = 0x11112222UL;
	g->mem[0x2010] = 0x55;
	/* mov [bx+si+0x40], ax: 16-bit wrap, no type check in real mode */
	EXPECT_EQ(run(g, 3U, 0x89, 0x40, 0x40), 0);
	EXPECT_EQ(g->mem[0x1020] | (g->mem[0x1021] << 8), 0x2222);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x103);
	/* mov al, [bp-0x10]: through SS */
	EXPECT_EQ(run(g, 3U, 0x8A, 0x46, 0xF0), 0);
	EXPECT_EQ(g->regs[INSTR_REG_RAX], 0x11112255);
	/* mov eax, [0xFFFE]: over the limit; no error code in real mode */
	EXPECT_EQ(run(g, 4U, 0x66, 0xA1, 0xFE, 0xFF), -EFAULT);
	EXPECT_EQ(g->ctx.fault.vector, 13);
	EXPECT_EQ(g->ctx.fault.has_error_code, false);
	/* push word [bx]: the stack wraps at 64 KiB, upper half of ESP stays */
	g->regs[INSTR_REG_RSP] = 0xABCD0000UL;
	g->regs[INSTR_REG_RBX] = 0x10UL;
	g->mem[0x1010] = 0x99;
	EXPECT_EQ(run(g, 2U, 0xFF, 0x37), 0);
	EXPECT_EQ(g->regs[INSTR_REG_RSP], 0xABCDFFFE);
	EXPECT_EQ(g->mem[(0x2000 + 0xFFFE) % MEM_SIZE], 0x99);
}

TEST(instr_segment_checks)
{
	struct guest *g = setup(INSTR_MODE_32);

	g->segs[INSTR_SEG_DS].limit = 0xFFFU;
	g->regs[INSTR_REG_RBX] = 0xFFDUL;
	g->regs[INSTR_REG_RBP] = 0xFFDUL;
	expect_fault(g, run(g, 2U, 0x8B, 0x03), 13U); /* mov eax, [ebx]: last byte over the limit */
	g->regs[INSTR_REG_RBX] = 0xFFCUL;
	EXPECT_EQ(run(g, 2U, 0x8B, 0x03), 0);

	g = setup(INSTR_MODE_32);
	g->segs[INSTR_SEG_SS].limit = 0xFFFU;
	g->regs[INSTR_REG_RBP] = 0xFFDUL;
	expect_fault(g, run(g, 3U, 0x8B, 0x45, 0x00), 12U); /* mov eax, [ebp] */
	g->segs[INSTR_SEG_DS].attr = ATTR_RO;
	expect_fault(g, run(g, 2U, 0x89, 0x03), 13U);
	EXPECT_EQ(run(g, 2U, 0x8B, 0x03), 0);

	g = setup(INSTR_MODE_32);
	expect_fault(g, run(g, 3U, 0x2E, 0x89, 0x03), 13U); /* mov cs:[ebx], eax */
	g->segs[INSTR_SEG_CS].attr = ATTR_XO;
	expect_fault(g, run(g, 3U, 0x2E, 0x8B, 0x03), 13U);
	g->segs[INSTR_SEG_FS].attr = ATTR_UNUSABLE;
	expect_fault(g, run(g, 3U, 0x64, 0x8B, 0x03), 13U);
	/* expand-down: above the limit only */
	g->segs[INSTR_SEG_DS] = (struct instr_seg){.limit = 0xFFFU, .attr = ATTR_DOWN};
	g->regs[INSTR_REG_RBX] = 0xFFFUL;
	expect_fault(g, run(g, 2U, 0x8A, 0x03), 13U);
	g->regs[INSTR_REG_RBX] = 0xFFFFFFFDUL;
	expect_fault(g, run(g, 2U, 0x8B, 0x03), 13U);
	g->regs[INSTR_REG_RBX] = 0xFFFEUL; /* of 16 bits: up to 64 KiB */
	g->segs[INSTR_SEG_DS].attr = ATTR_DOWN & ~0x4000U;
	expect_fault(g, run(g, 2U, 0x8B, 0x03), 13U);
	EXPECT_EQ(run(g, 3U, 0x66, 0x8B, 0x03), 0);
	g->segs[INSTR_SEG_DS].attr = ATTR_DOWN;
	g->regs[INSTR_REG_RIP] = 0x100UL;
	g->regs[INSTR_REG_RBX] = 0x1000UL;
	EXPECT_EQ(run(g, 2U, 0x8A, 0x03), 0);
	/* a base: linear addresses wrap at 4 GiB */
	g->segs[INSTR_SEG_DS] =
		(struct instr_seg){.base = 0xFFFFF000UL, .limit = 0xFFFFFFFFU, .attr = ATTR_DATA};
	g->regs[INSTR_REG_RBX] = 0x1004UL;
	g->mem[4] = 0x77;
	EXPECT_EQ(run(g, 2U, 0x8A, 0x03), 0);
	EXPECT_EQ(g->regs[INSTR_REG_RAX] & 0xFFU, 0x77);
	/* call [ebx] beyond the limit of CS */
	g->segs[INSTR_SEG_CS].limit = 0xFFFU;
	g->mem[5] = 0x20;
	g->reads = 0U;
	EXPECT_EQ(run(g, 2U, 0xFF, 0x13), -EFAULT);
	EXPECT_EQ(g->ctx.fault.vector, 13);
	EXPECT_EQ(g->writes, 0);
	EXPECT_EQ(g->regs[INSTR_REG_RSP], 0x3000);
}

TEST(instr_canonical_and_alignment)
{
	struct guest *g = setup(INSTR_MODE_64);

	g->regs[INSTR_REG_RBX] = 0x00007FFFFFFFFFFDUL;
	g->regs[INSTR_REG_RBP] = 0x0000800000000000UL;
	expect_fault(g, run(g, 2U, 0x8B, 0x03), 13U);
	expect_fault(g, run(g, 3U, 0x8B, 0x45, 0x00), 12U);
	expect_fault(g, run(g, 4U, 0x0F, 0xAE, 0x7D, 0x00), 12U); /* clflush [rbp] */
	expect_fault(g, run(g, 3U, 0xF7, 0x65, 0x00), 12U);       /* mul [rbp] */
	g->cpu.cr4 = 1UL << 12; /* LA57 */
	EXPECT_EQ(run(g, 3U, 0x8B, 0x45, 0x00), 0);
	/* FS has a base, DS has none */
	g = setup(INSTR_MODE_64);
	g->segs[INSTR_SEG_FS].base = 0x1000UL;
	g->segs[INSTR_SEG_DS].base = 0x2000UL;
	g->mem[0x1008] = 0x42;
	g->regs[INSTR_REG_RBX] = 8UL;
	EXPECT_EQ(run(g, 4U, 0x64, 0x3E, 0x8A, 0x03), 0); /* a DS prefix does not undo FS */
	EXPECT_EQ(g->regs[INSTR_REG_RAX], 0x42);
	/* #AC for user mode with AM and AC only */
	g = setup(INSTR_MODE_64);
	g->regs[INSTR_REG_RBX] = 2UL;
	g->regs[INSTR_REG_RFLAGS] |= 1UL << 18;
	g->cpu.cr0 |= 1UL << 18;
	EXPECT_EQ(run(g, 2U, 0x8B, 0x03), 0);
	g = setup(INSTR_MODE_64);
	g->regs[INSTR_REG_RBX] = 2UL;
	g->regs[INSTR_REG_RFLAGS] |= 1UL << 18;
	g->cpu.cr0 |= 1UL << 18;
	g->cpu.cpl = 3U;
	expect_fault(g, run(g, 2U, 0x8B, 0x03), 17U);
	/* cmpxchg16b needs 16-byte alignment */
	g = setup(INSTR_MODE_64);
	g->regs[INSTR_REG_RBX] = 8UL;
	expect_fault(g, run(g, 4U, 0x48, 0x0F, 0xC7, 0x0B), 13U);
	/* call through a non-canonical pointer */
	g->mem[15] = 0x40;
	EXPECT_EQ(run(g, 2U, 0xFF, 0x13), -EFAULT);
	EXPECT_EQ(g->ctx.fault.vector, 13);
	EXPECT_EQ(g->writes, 0);
}

TEST(instr_page_faults)
{
	struct guest *g = setup(INSTR_MODE_64);

	/* a write across two pages, the second of which faults: nothing is written to the first */
	g->regs[INSTR_REG_RBX] = 0xFFEUL;
	g->regs[INSTR_REG_RAX] = ~0UL;
	g->fault_page = 0x1000UL;
	EXPECT_EQ(run(g, 2U, 0x89, 0x03), -EFAULT);
	EXPECT_EQ(g->ctx.fault.cr2, 0x1000);
	EXPECT_EQ(g->ctx.fault.error_code, 2);
	EXPECT_EQ(g->writes, 0);
	EXPECT_EQ(g->mem[0xFFE], 0);
	/* ... or the first: the second is not looked at */
	g->fault_page = 0UL;
	g->checks = 0U;
	EXPECT_EQ(run(g, 2U, 0x89, 0x03), -EFAULT);
	EXPECT_EQ(g->ctx.fault.cr2, 0xFFE);
	EXPECT_EQ(g->checks, 1);
	g->fault_page = 0x1000UL;
	/* the read of a read-modify-write faults as a write */
	g->regs[INSTR_REG_RBX] = 0x1000UL;
	EXPECT_EQ(run(g, 2U, 0x01, 0x03), -EFAULT);
	EXPECT_EQ(g->ctx.fault.error_code, 2);
	EXPECT_EQ(g->reads, 0);
	EXPECT_EQ(g->regs[INSTR_REG_RFLAGS], 2);
	/* push: the stack is checked before the device is read */
	g->regs[INSTR_REG_RSP] = 0x2000UL;
	g->regs[INSTR_REG_RBX] = 0x10UL;
	EXPECT_EQ(run(g, 2U, 0xFF, 0x33), -EFAULT);
	EXPECT_EQ(g->ctx.fault.cr2, 0x1FF8);
	EXPECT_EQ(g->reads, 0);
	EXPECT_EQ(g->regs[INSTR_REG_RSP], 0x2000);
	/* movs: likewise */
	g->regs[INSTR_REG_RSI] = 0x10UL;
	g->regs[INSTR_REG_RDI] = 0x1800UL;
	EXPECT_EQ(run(g, 1U, 0xA4), -EFAULT);
	EXPECT_EQ(g->ctx.fault.cr2, 0x1800);
	EXPECT_EQ(g->reads, 0);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x100);
}

TEST(instr_rep_element_by_element)
{
	struct guest *g = setup(INSTR_MODE_64);
	int32_t ret;

	g->regs[INSTR_REG_RCX] = 3UL;
	g->regs[INSTR_REG_RDI] = 0xFFCUL;
	g->regs[INSTR_REG_RAX] = 0x01020304UL;
	g->fault_page = 0x1000UL;
	ret = run(g, 2U, 0xF3, 0xAB); /* rep stosd: the second element faults */
	EXPECT_EQ(ret, INSTR_MORE);
	EXPECT_EQ(g->regs[INSTR_REG_RCX], 2);
	EXPECT_EQ(g->regs[INSTR_REG_RDI], 0x1000);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x100);
	EXPECT_EQ(instr_emul_run(&g->ctx), -EFAULT);
	EXPECT_EQ(g->regs[INSTR_REG_RCX], 2);
	EXPECT_EQ(g->ctx.fault.cr2, 0x1000);
	g->fault_page = FAULT_NONE;
	EXPECT_EQ(instr_emul_run(&g->ctx), INSTR_MORE);
	EXPECT_EQ(instr_emul_run(&g->ctx), 0);
	EXPECT_EQ(g->regs[INSTR_REG_RCX], 0);
	EXPECT_EQ(g->regs[INSTR_REG_RDI], 0x1008);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x102);
	EXPECT_EQ(g->writes, 3);
	EXPECT_EQ(run(g, 2U, 0xF3, 0xAB), 0); /* count 0: no access, next instruction */
	EXPECT_EQ(g->writes, 3);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x104);
}

TEST(instr_rep_16bit_backwards)
{
	struct guest *g = setup(INSTR_MODE_16);

	g->segs[INSTR_SEG_ES] =
		(struct instr_seg){.base = 0x1000UL, .limit = 0xFFFFU, .attr = ATTR_DATA16};
	g->segs[INSTR_SEG_FS] =
		(struct instr_seg){.base = 0x2000UL, .limit = 0xFFFFU, .attr = ATTR_DATA16};
	g->regs[INSTR_REG_RCX] = 0xAAAA0002UL;
	g->regs[INSTR_REG_RSI] = 0xBBBB0000UL;
	g->regs[INSTR_REG_RDI] = 0xCCCC0010UL;
	g->regs[INSTR_REG_RFLAGS] |= 1UL << 10;
	g->mem[0x2000] = 0x12;
	EXPECT_EQ(run(g, 3U, 0x64, 0xF3, 0xA5), INSTR_MORE); /* rep movsw es:[di], fs:[si] */
	EXPECT_EQ(g->mem[0x1010], 0x12);
	EXPECT_EQ(g->regs[INSTR_REG_RCX], 0xAAAA0001);
	EXPECT_EQ(g->regs[INSTR_REG_RSI], 0xBBBBFFFE);
	EXPECT_EQ(g->regs[INSTR_REG_RDI], 0xCCCC000E);
	EXPECT_EQ(instr_emul_run(&g->ctx), 0);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x103);
}

TEST(instr_pending_read_modify_write)
{
	struct guest *g = setup(INSTR_MODE_64);

	g->regs[INSTR_REG_RBX] = 0x1000UL;
	g->regs[INSTR_REG_RAX] = 5UL;
	g->pend_at = 1U;
	EXPECT_EQ(run(g, 2U, 0x01, 0x03), INSTR_PENDING); /* add [rbx], eax: the read is pending */
	EXPECT_EQ(g->ctx.log_count, 1);
	EXPECT_EQ(g->ctx.log[0].gla, 0x1000);
	EXPECT_EQ(instr_emul_run(&g->ctx), -EIO);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x100);
	EXPECT_EQ(instr_emul_complete(&g->ctx, 0xFFFFFFFF00000007UL), 0);
	g->pend_at = 2U; /* so is the write */
	EXPECT_EQ(instr_emul_run(&g->ctx), INSTR_PENDING);
	EXPECT_EQ(g->ctx.log[1].val, 12);
	EXPECT_EQ(g->ctx.log[1].write, true);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x100);
	EXPECT_EQ(instr_emul_complete(&g->ctx, ~0UL), 0);
	EXPECT_EQ(instr_emul_run(&g->ctx), 0);
	EXPECT_EQ(g->reads, 1);
	EXPECT_EQ(g->writes, 1);
	EXPECT_EQ(g->checks, 1);
	EXPECT_EQ(g->last_access, INSTR_ACCESS_READ | INSTR_ACCESS_WRITE);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x102);
	EXPECT_EQ(instr_emul_complete(&g->ctx, 0UL), -EINVAL);
	/* registers changed behind its back: noticed, not a wrong access */
	g->pend_at = 3U;
	EXPECT_EQ(run(g, 2U, 0x8B, 0x03), INSTR_PENDING);
	EXPECT_EQ(instr_emul_complete(&g->ctx, 1UL), 0);
	g->regs[INSTR_REG_RBX] = 0x2000UL;
	EXPECT_EQ(instr_emul_run(&g->ctx), -EIO);
	EXPECT_EQ(g->regs[INSTR_REG_RAX], 5);
}

/** rep stosd of three elements, the first of which waits. */
static struct guest *waiting_for_rep(void)
{
	struct guest *g = setup(INSTR_MODE_64);

	g->regs[INSTR_REG_RCX] = 3UL;
	g->pend_at = 1U;
	EXPECT_EQ(run(g, 2U, 0xF3, 0xAB), INSTR_PENDING);
	EXPECT_EQ(instr_emul_complete(&g->ctx, 0UL), 0);
	return g;
}

/* A log that is not of this instruction with these registers ends it: no access is done twice, none is left out. */
TEST(instr_replay_that_differs)
{
	struct guest *g = waiting_for_rep();

	g->regs[INSTR_REG_RCX] = 0UL; /* now there is no access */
	EXPECT_EQ(instr_emul_run(&g->ctx), -EIO);
	g = waiting_for_rep();
	g->ctx.log[0].size = 2U;
	EXPECT_EQ(instr_emul_run(&g->ctx), -EIO);
	g = waiting_for_rep();
	g->ctx.log[0].write = false;
	EXPECT_EQ(instr_emul_run(&g->ctx), -EIO);
	EXPECT_EQ(g->writes, 1);
	EXPECT_EQ(g->regs[INSTR_REG_RCX], 3);
	g = waiting_for_rep();
	EXPECT_EQ(instr_emul_run(&g->ctx), INSTR_MORE);
}

static int32_t odd_answer(void *arg, gla_t gla, uint32_t size, uint64_t *val, struct instr_fault *fault)
{
	(void)gla;
	(void)size;
	(void)fault;
	*val = 1UL;
	return ((struct guest *)arg)->reads++ == 0U ? INSTR_MORE : -ENODEV;
}

/* What operations should not say is an error; other errors of theirs are passed on. */
TEST(instr_operations_that_fail)
{
	static const uint8_t load[INSTR_MAX_LEN] = {0x8BU, 0x03U};
	struct instr_ops odd = ops;
	struct guest *g = setup(INSTR_MODE_64);

	odd.mem_read = odd_answer;
	instr_emul_init(&g->ctx, &odd, g, &g->cpu);
	EXPECT_EQ(instr_emul_start(&g->ctx, load, INSTR_MAX_LEN), 0);
	EXPECT_EQ(instr_emul_run(&g->ctx), -EIO);
	EXPECT_EQ(instr_emul_run(&g->ctx), -ENODEV);
	EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x100);
}

TEST(instr_outside_of_the_set)
{
	struct guest *g = setup(INSTR_MODE_64);

	EXPECT_EQ(run(g, 2U, 0x8B, 0xC3), -EINVAL);	  /* no memory operand */
	EXPECT_EQ(run(g, 3U, 0xF0, 0x8B, 0x03), -EINVAL); /* LOCK without a write */
	EXPECT_EQ(
		run(g, 3U, 0x0F, 0x28, 0x03), -EINVAL); /* vector move, but no operations for it */
	EXPECT_EQ(run(g, 2U, 0xD8, 0x03), -EINVAL);	/* x87 */
	EXPECT_EQ(run(g, 3U, 0x48, 0x0F, 0xC7), -EAGAIN);
	EXPECT_EQ(run(g, 0U), -EAGAIN);
}

/** DIV or IDIV (F6, F7 with ModRM) of RDX:RAX or AX by the value at 0x1000. @return as instr_emul_run() */
static int32_t divide(struct guest *g, int opcode, int modrm, uint64_t rdx, uint64_t rax, uint64_t by)
{
	memcpy(&g->mem[0x1000], &by, sizeof(by));
	g->regs[INSTR_REG_RIP] = 0x100UL;
	g->regs[INSTR_REG_RBX] = 0x1000UL;
	g->regs[INSTR_REG_RDX] = rdx;
	g->regs[INSTR_REG_RAX] = rax;
	return run(g, 3U, 0x48, opcode, modrm);
}

TEST(instr_divide_error)
{
	static const struct {
		int opcode, modrm;
		uint64_t rdx, rax, by, quotient, rest;
		bool error;
	} cases[] = {
		{0xF7, 0x33, 0UL, 7UL, 0UL, 0UL, 0UL, true},        /* by 0 */
		{0xF7, 0x33, 5UL, 0UL, 5UL, 0UL, 0UL, true},        /* too large by one */
		{0xF7, 0x33, 4UL, ~0UL, 5UL, ~0UL, 4UL, false},     /* just not */
		{0xF7, 0x33, ~1UL, ~0UL, ~0UL, ~0UL, ~1UL, false},  /* the bit that leaves 64 counts */
		{0xF7, 0x3B, ~0UL, 1UL << 63, ~0UL, 0UL, 0UL, true} /* -2^63 / -1 */,
		{0xF7, 0x3B, ~0UL, 1UL << 63, 1UL, 1UL << 63, 0UL, false},
		{0xF7, 0x3B, 0UL, 1UL << 63, 1UL, 0UL, 0UL, true}, /* 2^63 */
		{0xF7, 0x3B, 0UL, 1UL << 63, ~0UL, 1UL << 63, 0UL, false},
		{0xF7, 0x3B, ~0UL, (uint64_t)-7L, 2UL, (uint64_t)-3L, (uint64_t)-1L, false},
		{0xF7, 0x3B, 1UL << 63, 0UL, 1UL << 63, 0UL, 0UL, true}, /* -2^127 */
		{0xF6, 0x33, 0UL, 0x1000UL, 0x10UL, 0UL, 0UL, true},     /* AX by a byte */
		{0xF6, 0x3B, 0UL, 0xFF80UL, 0xFFUL, 0UL, 0UL, true},     /* -128 / -1 */
		{0xF6, 0x3B, 0UL, 0xFF80UL, 0x01UL, 0x80UL, 0UL, false},
	};
	struct guest *g = setup(INSTR_MODE_64);

	for (uint32_t i = 0U; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool byte = cases[i].opcode == 0xF6;
		const int32_t ret = divide(
			g, cases[i].opcode, cases[i].modrm, cases[i].rdx, cases[i].rax, cases[i].by);

		if (cases[i].error) {
			EXPECT_EQ(ret, -EFAULT);
			EXPECT_EQ(g->ctx.fault.vector, 0);
			EXPECT_EQ(g->ctx.fault.has_error_code, false);
			EXPECT_EQ(g->regs[INSTR_REG_RAX], cases[i].rax);
			EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x100);
		} else {
			EXPECT_EQ(ret, 0);
			EXPECT_EQ(g->regs[INSTR_REG_RAX], cases[i].quotient | (byte ? (cases[i].rest << 8U) : 0UL));
			EXPECT_EQ(g->regs[INSTR_REG_RDX], byte ? 0UL : cases[i].rest);
			EXPECT_EQ(g->regs[INSTR_REG_RIP], 0x103);
		}
	}
	g->fault_page = 0x1000UL; /* a fault of the operand comes first */
	EXPECT_EQ(divide(g, 0xF7, 0x33, 5UL, 0UL, 0UL), -EFAULT);
	EXPECT_EQ(g->ctx.fault.vector, 14);
}

/* F3 before BSF and BSR: by what CPU it is. With 0 they leave the register. */
TEST(instr_bit_scans_of_zero_and_of_old_cpus)
{
	static const struct {
		bool counts;
		int opcode;
		uint64_t mem, res, flags; /* of ZF and CF */
	} cases[] = {
		{false, 0xBC, 0UL, ~5UL, 0x40UL}, {false, 0xBD, 0UL, ~5UL, 0x40UL},
		{false, 0xBC, 0x10UL, 4UL, 0UL},  {false, 0xBD, 0x10UL, 4UL, 0UL},
		{true, 0xBC, 0UL, 64UL, 1UL},     {true, 0xBD, 0UL, 64UL, 1UL},
		{true, 0xBC, 1UL, 0UL, 0x40UL},   {true, 0xBD, 1UL << 63, 0UL, 0x40UL},
		{true, 0xBC, 0x10UL, 4UL, 0UL},   {true, 0xBD, 0x10UL, 59UL, 0UL},
	};

	for (uint32_t i = 0U; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest *g = setup(INSTR_MODE_64);

		g->cpu.has_tzcnt = cases[i].counts;
		g->cpu.has_lzcnt = cases[i].counts;
		g->regs[INSTR_REG_RAX] = ~5UL;
		g->regs[INSTR_REG_RBX] = 0x1000UL;
		memcpy(&g->mem[0x1000], &cases[i].mem, 8U);
		EXPECT_EQ(run(g, 5U, 0xF3, 0x48, 0x0F, cases[i].opcode, 0x03), 0);
		EXPECT_EQ(g->regs[INSTR_REG_RAX], cases[i].res);
		EXPECT_EQ(g->regs[INSTR_REG_RFLAGS] & 0x41UL, cases[i].flags);
	}
}

/* A count of 0 writes what was read and changes no flag; the register's other bits do not count. */
TEST(instr_shift_by_nothing)
{
	struct guest *g = setup(INSTR_MODE_64);

	g->regs[INSTR_REG_RBX] = 0x1000UL;
	g->regs[INSTR_REG_RCX] = 0xFFE0UL;
	g->regs[INSTR_REG_RFLAGS] = 0x8D7UL;
	g->mem[0x1000] = 0x81U;
	EXPECT_EQ(run(g, 2U, 0xD3, 0x23), 0); /* shl dword [rbx], cl */
	EXPECT_EQ(g->writes, 1);
	EXPECT_EQ(g->mem[0x1000], 0x81);
	EXPECT_EQ(g->regs[INSTR_REG_RFLAGS], 0x8D7);
	EXPECT_EQ(run(g, 3U, 0xF0, 0xD3, 0x23), -EINVAL); /* LOCK is not for shifts */
	EXPECT_EQ(run(g, 3U, 0x0F, 0xB8, 0x03), -EINVAL); /* POPCNT without F3 */
	g->mem[0x1000] = 0U;
	EXPECT_EQ(run(g, 4U, 0xF3, 0x0F, 0xB8, 0x03), 0); /* of 0: ZF only */
	EXPECT_EQ(g->regs[INSTR_REG_RAX] + (g->regs[INSTR_REG_RFLAGS] & 0x8D5UL), 0x40);
}

static uint8_t vec_reg[32];

static void get_vec(void *arg, uint32_t reg, uint8_t val[32])
{
	(void)arg;
	(void)reg;
	memcpy(val, vec_reg, sizeof(vec_reg));
}

static void put_vec(void *arg, uint32_t reg, const uint8_t *val, uint32_t size, bool zero_rest)
{
	(void)arg;
	(void)reg;
	if (zero_rest) {
		memset(vec_reg, 0, sizeof(vec_reg));
	}
	memcpy(vec_reg, val, size);
}

TEST(instr_vector_move_faults)
{
	static const uint8_t movaps[] = {0x0F, 0x28, 0x03}, vmovaps[] = {0xC5, 0xF8, 0x28, 0x03};
	struct instr_ops vec_ops = ops;
	struct guest *g = setup(INSTR_MODE_64);
	uint32_t i;

	vec_ops.get_vec = get_vec;
	vec_ops.put_vec = put_vec;
	for (i = 0U; i < 9U; i++) {
		static const struct {
			uint64_t cr0, cr4, xcr0;
			bool vex;
			uint8_t vector; /* 0: none */
		} cases[9] = {{0UL, 0UL, 1UL, false, 6U}, {4UL, 0x200UL, 1UL, false, 6U},
			{8UL, 0x200UL, 1UL, false, 7U}, {0UL, 0x200UL, 1UL, false, 0U},
			{0UL, 0x40200UL, 3UL, true, 6U}, {0UL, 0x200UL, 7UL, true, 6U},
			{0UL, 0x40200UL, 7UL, true, 0U}, {1UL, 0x40200UL, 7UL, true, 6U}, /* real mode */
			{0x20000UL, 0x40200UL, 7UL, true, 6U}};                          /* V86 mode */

		g->cpu.vm86 = cases[i].cr0 == 0x20000UL;
		g->cpu.cr0 = 0x80000001UL ^ cases[i].cr0;
		g->cpu.cr4 = cases[i].cr4;
		g->cpu.xcr0 = cases[i].xcr0;
		instr_emul_init(&g->ctx, &vec_ops, g, &g->cpu);
		EXPECT_EQ(instr_emul_start(
				  &g->ctx, cases[i].vex ? vmovaps : movaps, cases[i].vex ? 4U : 3U),
			0);
		if (cases[i].vector != 0U) {
			EXPECT_EQ(instr_emul_run(&g->ctx), -EFAULT);
			EXPECT_EQ(g->ctx.fault.vector, cases[i].vector);
			EXPECT_EQ(g->ctx.fault.has_error_code, false);
		} else {
			memset(vec_reg, 0xEE, sizeof(vec_reg));
			EXPECT_EQ(instr_emul_run(&g->ctx), 0);
			EXPECT_EQ(vec_reg[15], 0);
			EXPECT_EQ(vec_reg[16], cases[i].vex ? 0 : 0xEE);
		}
	}
	g->cpu = (struct instr_cpu){.mode = INSTR_MODE_64, .cr0 = 0x80000001UL, .cr4 = 0x200UL};
	instr_emul_init(&g->ctx, &vec_ops, g, &g->cpu);
	g->regs[INSTR_REG_RBX] = 8UL; /* not aligned */
	EXPECT_EQ(instr_emul_start(&g->ctx, movaps, 3U), 0);
	EXPECT_EQ(instr_emul_run(&g->ctx), -EFAULT);
	EXPECT_EQ(g->ctx.fault.vector, 13);
}

/* What was decoded last is used again only for the same bytes in the same mode. */
TEST(instr_same_bytes_again)
{
	static const uint8_t first[INSTR_MAX_LEN] = {0x8BU, 0x43U, 0x10U}; /* mov eax, [rbx+10h] */
	struct instr_cpu cpu = {.mode = INSTR_MODE_64, .cr0 = 0x80000001UL};
	struct instr_emul ctx = {0};
	uint8_t bytes[INSTR_MAX_LEN];

	instr_emul_init(&ctx, &ops, &guest, &cpu);
	EXPECT_EQ(instr_emul_start(&ctx, first, INSTR_MAX_LEN), 0);
	for (uint32_t i = 0U; i < INSTR_MAX_LEN; i++) {
		struct instr expected;

		EXPECT_EQ(instr_emul_start(&ctx, first, INSTR_MAX_LEN), 0);
		EXPECT_EQ(ctx.in.disp, 0x10UL);
		memcpy(bytes, first, sizeof(bytes));
		bytes[i] ^= 0x01U;
		EXPECT_EQ(instr_emul_start(&ctx, bytes, INSTR_MAX_LEN),
			instr_decode(&expected, bytes, INSTR_MAX_LEN, cpu.mode));
		EXPECT_EQ(memcmp(&ctx.in, &expected, sizeof(expected)), 0);
	}
	EXPECT_EQ(instr_emul_start(&ctx, first, INSTR_MAX_LEN), 0);
	cpu.mode = INSTR_MODE_16;
	instr_emul_init(&ctx, &ops, &guest, &cpu);
	EXPECT_EQ(instr_emul_start(&ctx, first, INSTR_MAX_LEN), 0);
	EXPECT_EQ(ctx.in.addr_size, 2); /* [bp+di+10h] */
	/* Fewer bytes may end within the instruction. */
	EXPECT_EQ(instr_emul_start(&ctx, first, 2U), -EAGAIN);
}
