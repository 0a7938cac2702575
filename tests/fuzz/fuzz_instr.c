/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instruction decoder and emulator under libFuzzer: scripts/fuzz instr.
 *
 * Input: mode, flags, CPL, the access that is pending, 16 bytes of instruction, then registers. What must hold: no
 * undefined behaviour; the decoder ends within the bytes it has and needs no more than 15; an element that is pending
 * or faults has changed no register; each access is at most 8 bytes within one page.
 */
#include <asm/instr.h>
#include <lib/errno.h>

#include <stdlib.h>
#include <string.h>

#define HEAD	 20U
#define MEM_SIZE 0x4000U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct guest {
	uint64_t regs[18];
	struct instr_seg segs[6];
	uint8_t mem[MEM_SIZE];
	uint64_t fault_page;
	uint32_t accesses;
	uint32_t pend_at;
};

static void need(bool good)
{
	if (!good) {
		abort();
	}
}

static uint64_t get_reg(void *arg, uint32_t reg)
{
	need(reg < 18U);
	return ((struct guest *)arg)->regs[reg];
}

static void put_reg(void *arg, uint32_t reg, uint64_t val)
{
	need(reg < 18U);
	((struct guest *)arg)->regs[reg] = val;
}

static void get_seg(void *arg, uint32_t seg, struct instr_seg *val)
{
	need(seg < 6U);
	*val = ((struct guest *)arg)->segs[seg];
}

static void get_vec(void *arg, uint32_t reg, uint8_t val[32])
{
	(void)arg;
	need(reg < 16U);
	memset(val, (int)reg, 32U);
}

static void put_vec(void *arg, uint32_t reg, const uint8_t *val, uint32_t size, bool zero_rest)
{
	uint8_t copy[32];

	(void)arg;
	(void)zero_rest;
	need(reg < 16U && (size == 16U || size == 32U));
	memcpy(copy, val, size);
}

static int32_t access_of(struct guest *g, gla_t gla, uint32_t size, struct instr_fault *fault)
{
	need((gla & 0xFFFU) + size <= 0x1000U);
	if ((gla & ~0xFFFUL) == g->fault_page) {
		*fault = (struct instr_fault){.vector = 14U, .has_error_code = true, .cr2 = gla};
		return -EFAULT;
	}
	return 0;
}

static int32_t mem_check(void *arg, gla_t gla, uint32_t size, uint32_t access, struct instr_fault *fault)
{
	need(size != 0U && access != 0U);
	return access_of(arg, gla, size, fault);
}

static int32_t mem_access(struct guest *g, gla_t gla, uint32_t size, struct instr_fault *fault)
{
	const int32_t ret = access_of(g, gla, size, fault);

	need(size == 1U || size == 2U || size == 4U || size == 8U);
	if (ret != 0) {
		return ret;
	}
	return (++g->accesses == g->pend_at) ? INSTR_PENDING : 0;
}

static int32_t mem_read(void *arg, gla_t gla, uint32_t size, uint64_t *val, struct instr_fault *fault)
{
	struct guest *g = arg;
	const int32_t ret = mem_access(g, gla, size, fault);

	*val = 0UL;
	for (uint32_t i = 0U; ret == 0 && i < size; i++) {
		*val |= (uint64_t)g->mem[(gla + i) % MEM_SIZE] << (8U * i);
	}
	return ret;
}

static int32_t mem_write(void *arg, gla_t gla, uint32_t size, uint64_t val, struct instr_fault *fault)
{
	struct guest *g = arg;
	const int32_t ret = mem_access(g, gla, size, fault);

	for (uint32_t i = 0U; ret == 0 && i < size; i++) {
		g->mem[(gla + i) % MEM_SIZE] = (uint8_t)(val >> (8U * i));
	}
	return ret;
}

static const struct instr_ops ops = {
	get_reg, put_reg, get_seg, get_vec, put_vec, mem_check, mem_read, mem_write};

static void emulate(struct guest *g, struct instr_emul *ctx)
{
	for (uint32_t turn = 0U; turn < 8U; turn++) {
		uint64_t before[18];
		int32_t ret;

		memcpy(before, g->regs, sizeof(before));
		ret = instr_emul_run(ctx);
		if (ret != 0 && ret != INSTR_MORE) {
			need(memcmp(before, g->regs, sizeof(before)) == 0);
		}
		if (ret == INSTR_PENDING) {
			need(instr_emul_run(ctx) == -EIO); /* not before its result is there */
			need(instr_emul_complete(ctx, 0x1122334455667788UL) == 0);
			need(instr_emul_complete(ctx, 0UL) == -EINVAL);
		} else if (ret != INSTR_MORE) {
			return;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest guest;
	struct instr_emul ctx = {0};
	struct instr_cpu cpu = {.cr0 = 0x80000031UL, .cr4 = 0x40620UL, .xcr0 = 7UL};
	uint8_t *code;
	uint32_t avail;
	int32_t ret;

	if (size < HEAD) {
		return 0;
	}
	memset(&guest, 0, sizeof(guest));
	cpu.mode = (enum instr_mode)(data[0] % 3U);
	cpu.cpl = data[2] & 3U;
	guest.pend_at = data[3] % 13U;
	guest.fault_page = (uint64_t)(data[1] & 0xF0U) << 8U;
	avail = 1U + (data[1] & 0xFU);
	memcpy(guest.regs, data + HEAD, size - HEAD < sizeof(guest.regs) ? size - HEAD : sizeof(guest.regs));
	guest.regs[INSTR_REG_RIP] = 0x100UL;
	for (uint32_t i = 0U; i < 6U; i++) {
		guest.segs[i].limit = 0xFFFFFFFFU;
		guest.segs[i].attr = (i == INSTR_SEG_CS) ? 0x409BU : 0x4093U;
		if (cpu.mode == INSTR_MODE_64 && i == INSTR_SEG_CS) {
			guest.segs[i].attr = 0xA09BU;
		}
	}
	code = malloc(avail);
	memcpy(code, data + 4U, avail);
	instr_emul_init(&ctx, &ops, &guest, &cpu);
	ret = instr_emul_start(&ctx, code, avail);
	need(ret != -EAGAIN || avail < INSTR_MAX_LEN);
	need(instr_emul_start(&ctx, code, avail) == ret); /* what is known of the bytes says the same */
	if (ret == 0) {
		need(ctx.in.len != 0U && ctx.in.len <= avail && ctx.in.len <= INSTR_MAX_LEN);
		emulate(&guest, &ctx);
	}
	free(code);
	return 0;
}
