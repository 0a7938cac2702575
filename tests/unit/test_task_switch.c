/* SPDX-License-Identifier: BSD-3-Clause */
/* test_task_switch.c: hardware task switches in a small fake memory, with faults at each access, and with garbage. */
#include <asm/task_switch.h>
#include <asm/cpu.h>
#include <asm/guest_walk.h>
#include <asm/vmx.h>
#include <errno.h>
#include <string.h>

#include "unit.h"

#define MEMORY  0x4000U
#define GDT     0x100U
#define OLD_TSS 0x1000U
#define NEW_TSS 0x2000U
#define STACK   0x3000U

#define SEL_CODE  0x08U
#define SEL_DATA  0x10U
#define SEL_OLD   0x18U
#define SEL_NEW   0x20U
#define SEL_UCODE 0x2BU
#define SEL_UDATA 0x33U
#define SEL_LDT   0x38U
#define ENTRIES   8U

#define NT     0x4000U
#define BUSY   0x0200U /* in the second half of a descriptor */
#define AR_DPL(ar) (((ar) >> 5U) & 3U)

static uint8_t memory[MEMORY];
static int32_t fault_at;   /* this access, counted from 0, is a page fault */
static int32_t accesses;
static bool writes_only;
static uint32_t cr3_loaded;
static int32_t cr3_status;
static bool changed; /* memory was written */

static int32_t touch(uint32_t gla, uint32_t size, bool write, struct task_fault *fault)
{
	if ((!writes_only || write) && (accesses++ == fault_at)) {
		*fault = (struct task_fault){.vector = EXC_PF, .error = write ? 2U : 0U, .cr2 = gla};
		return -EFAULT;
	}
	return (((uint64_t)gla + size) > MEMORY) ? -EIO : 0;
}

static int32_t fake_read(void *arg, uint32_t gla, void *buf, uint32_t size, uint32_t access, struct task_fault *fault)
{
	const int32_t status = touch(gla, size, (access & GUEST_WALK_WRITE) != 0U, fault);

	(void)arg;
	if (status == 0) {
		memcpy(buf, memory + gla, size);
	}
	return status;
}

static int32_t fake_write(void *arg, uint32_t gla, void *buf, uint32_t size, uint32_t access, struct task_fault *fault)
{
	const int32_t status = touch(gla, size, true, fault);

	(void)arg;
	EXPECT((access & GUEST_WALK_WRITE) != 0U);
	if (status == 0) {
		changed = changed || (memcmp(memory + gla, buf, size) != 0);
		memcpy(memory + gla, buf, size);
	}
	return status;
}

static int32_t fake_check(void *arg, uint32_t gla, uint32_t size, uint32_t access, struct task_fault *fault)
{
	(void)arg;
	return touch(gla, size, (access & GUEST_WALK_WRITE) != 0U, fault);
}

static int32_t fake_cr3(void *arg, uint32_t cr3)
{
	(void)arg;
	cr3_loaded = cr3;
	return cr3_status;
}

static const struct task_ops ops = {fake_read, fake_write, fake_check, fake_cr3, NULL};

static void put32(uint32_t at, uint32_t value)
{
	memcpy(memory + at, &value, sizeof(value));
}

static uint32_t get32(uint32_t at)
{
	uint32_t value;

	memcpy(&value, memory + at, sizeof(value));
	return value;
}

static void descriptor(uint32_t sel, uint32_t base, uint32_t limit, uint32_t access, uint32_t flags)
{
	put32(GDT + (sel & ~7U), (limit & 0xFFFFU) | (base << 16U));
	put32(GDT + (sel & ~7U) + 4U, (base >> 16U & 0xFFU) | (access << 8U) | (limit & 0xF0000U) | (flags << 20U) |
		(base & 0xFF000000U));
}

static bool is_busy(uint32_t sel)
{
	return (get32(GDT + sel + 4U) & BUSY) != 0U;
}

static struct task_state st;
static struct task_request rq;
static struct task_fault fault;

/* The old task runs flat at CPL 0; the new one's TSS wants the same. */
static void setup(enum task_source source)
{
	memset(memory, 0, sizeof(memory));
	fault_at = -1;
	accesses = 0;
	writes_only = false;
	cr3_loaded = 0U;
	cr3_status = 0;
	changed = false;
	descriptor(SEL_CODE, 0U, 0xFFFFFU, 0x9BU, 0xCU);
	descriptor(SEL_DATA, 0U, 0xFFFFFU, 0x93U, 0xCU);
	descriptor(SEL_OLD, OLD_TSS, 0x67U, 0x8BU, 0U);
	descriptor(SEL_NEW, NEW_TSS, 0x67U, (source == TASK_IRET) ? 0x8BU : 0x89U, 0U);
	descriptor(SEL_UCODE, 0U, 0xFFFFFU, 0xFBU, 0xCU);
	descriptor(SEL_UDATA, 0U, 0xFFFFFU, 0xF3U, 0xCU);
	descriptor(SEL_LDT, GDT, 0xFU, 0x82U, 0U);
	st = (struct task_state){.eip = 0x1234U, .eflags = 0x46U | NT, .cr3 = 0x5000U, .gdt_base = GDT,
		.gdt_limit = ENTRIES * 8U - 1U};
	for (uint32_t i = 0U; i < 8U; i++) {
		st.gpr[i] = 0xA0U + i;
		put32(NEW_TSS + 0x28U + 4U * i, 0xB0U + i);
	}
	for (uint32_t i = TASK_ES; i <= TASK_GS; i++) {
		const uint16_t sel = (i == TASK_CS) ? SEL_CODE : SEL_DATA;

		st.seg[i] = (struct task_seg){.sel = sel, .limit = 0xFFFFFFFFU,
			     .ar = (i == TASK_CS) ? 0xC09BU : 0xC093U};
		put32(NEW_TSS + 0x48U + 4U * i, sel);
	}
	st.seg[TASK_LDTR].ar = SEG_AR_UNUSABLE;
	st.seg[TASK_TR] = (struct task_seg){.sel = SEL_OLD, .base = OLD_TSS, .limit = 0x67U, .ar = 0x8BU};
	put32(NEW_TSS + 0x1CU, 0x6000U);
	put32(NEW_TSS + 0x20U, 0x4321U);
	put32(NEW_TSS + 0x24U, 0x202U);
	put32(NEW_TSS + 0x38U, STACK);
	rq = (struct task_request){.selector = SEL_NEW, .source = source};
}

/* What VM entry asks of the segments (SDM 27.3.1.2), unrestricted guest. */
static void expect_enterable(void)
{
	const uint32_t cs = st.seg[TASK_CS].ar, ss = st.seg[TASK_SS].ar, cpl = AR_DPL(ss);

	if ((st.eflags & 0x20000U) != 0U) {
		for (uint32_t i = TASK_ES; i <= TASK_GS; i++) {
			EXPECT_EQ(st.seg[i].ar, 0xF3U);
			EXPECT_EQ(st.seg[i].base, (uint32_t)st.seg[i].sel << 4U);
			EXPECT_EQ(st.seg[i].limit, 0xFFFFU);
		}
		return;
	}
	EXPECT((cs & (SEG_AR_UNUSABLE | 0x99U)) == 0x99U);
	EXPECT(((cs & 4U) != 0U) ? (AR_DPL(cs) <= cpl) : (AR_DPL(cs) == cpl));
	EXPECT(((st.seg[TASK_TR].ar & 0x1009FU) == 0x8BU) || ((st.seg[TASK_TR].ar & 0x1009FU) == 0x83U));
	EXPECT((st.seg[TASK_TR].sel & 4U) == 0U);
	EXPECT(((st.seg[TASK_LDTR].ar & SEG_AR_UNUSABLE) != 0U) || ((st.seg[TASK_LDTR].ar & 0x9FU) == 0x82U));
	EXPECT(((st.seg[TASK_LDTR].ar & SEG_AR_UNUSABLE) != 0U) || ((st.seg[TASK_LDTR].sel & 4U) == 0U));
	for (uint32_t i = TASK_ES; i < TASK_SEGS; i++) {
		const struct task_seg *const seg = &st.seg[i];

		if ((seg->ar & SEG_AR_UNUSABLE) != 0U) {
			continue;
		}
		EXPECT((seg->ar & 0x80U) != 0U);
		EXPECT((seg->ar & 0xF00U) == 0U);
		EXPECT((i >= TASK_LDTR) || ((seg->ar & 0x11U) == 0x11U));
		EXPECT(((seg->ar & 0x8000U) != 0U) ? ((seg->limit & 0xFFFU) == 0xFFFU) : ((seg->limit >> 20U) == 0U));
	}
	EXPECT((ss & SEG_AR_UNUSABLE) != 0U || ((ss & 0xAU) == 2U));
	EXPECT((st.eflags & 2U) != 0U);
	EXPECT((st.eflags & ~0x003F7FD7U) == 0U);
}

TEST(task_switch_jmp)
{
	setup(TASK_JMP);
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), 0);
	EXPECT_EQ(st.eip, 0x4321U);
	EXPECT_EQ(st.eflags, 0x202U);
	EXPECT_EQ(st.gpr[0], 0xB0U);
	EXPECT_EQ(st.gpr[7], 0xB7U);
	EXPECT_EQ(st.seg[TASK_TR].sel, SEL_NEW);
	EXPECT_EQ(st.seg[TASK_TR].ar, 0x8BU);
	EXPECT_EQ(st.seg[TASK_TR].base, NEW_TSS);
	EXPECT(!is_busy(SEL_OLD) && is_busy(SEL_NEW));
	EXPECT_EQ(get32(OLD_TSS + 0x20U), 0x1234U);
	EXPECT_EQ(get32(OLD_TSS + 0x24U), 0x46U | NT);
	EXPECT_EQ(get32(OLD_TSS + 0x28U), 0xA0U);
	EXPECT_EQ(get32(OLD_TSS + 0x44U), 0xA7U);
	EXPECT_EQ(get32(OLD_TSS + 0x4CU), SEL_CODE);
	EXPECT_EQ(get32(NEW_TSS), 0U);
	EXPECT_EQ(cr3_loaded, 0U); /* paging is off */
	expect_enterable();
}

TEST(task_switch_call_and_iret)
{
	setup(TASK_CALL);
	st.eflags &= ~NT;
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), 0);
	EXPECT_EQ(st.eflags, 0x202U | NT);
	EXPECT_EQ(get32(NEW_TSS), SEL_OLD);
	EXPECT(is_busy(SEL_OLD) && is_busy(SEL_NEW));
	rq = (struct task_request){.selector = SEL_OLD, .source = TASK_IRET};
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), 0);
	EXPECT_EQ(st.eip, 0x1234U);
	EXPECT_EQ(st.eflags, 0x46U);
	EXPECT_EQ(st.gpr[3], 0xA3U);
	EXPECT(is_busy(SEL_OLD) && !is_busy(SEL_NEW));
	EXPECT_EQ(get32(NEW_TSS + 0x24U), 0x202U); /* NT is not saved by IRET */
	expect_enterable();
}

TEST(task_switch_error_code)
{
	setup(TASK_IDT);
	rq.has_error = true;
	rq.error = 0x55AAU;
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), 0);
	EXPECT_EQ(st.gpr[4], STACK - 4U);
	EXPECT_EQ(get32(STACK - 4U), 0x55AAU);
	/* No room: #SS, and ESP as it was. */
	setup(TASK_IDT);
	rq.has_error = true;
	descriptor(SEL_DATA, 0U, 0xFFFU, 0x93U, 0x4U);
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), TASK_NEW_FAULTS);
	EXPECT_EQ(fault.vector, EXC_SS);
	EXPECT_EQ(st.gpr[4], STACK);
}

TEST(task_switch_cr3_and_ldt)
{
	setup(TASK_JMP);
	st.paging = true;
	put32(NEW_TSS + 0x60U, SEL_LDT);
	put32(NEW_TSS + 0x58U, 0xCU); /* FS: entry 1 of the LDT, which is the GDT's */
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), 0);
	EXPECT_EQ(cr3_loaded, 0x6000U);
	EXPECT_EQ(st.cr3, 0x6000U);
	EXPECT_EQ(st.seg[TASK_LDTR].base, GDT);
	EXPECT_EQ(st.seg[TASK_FS].limit, 0xFFFFFFFFU);
	expect_enterable();
	setup(TASK_JMP);
	st.paging = true;
	cr3_status = -EACCES;
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), TASK_NEW_FAULTS);
	EXPECT_EQ(fault.vector, EXC_TS);
	EXPECT_EQ(fault.error, 0U);
	expect_enterable();
	/* The same CR3 is not loaded again: no PDPTEs are taken. */
	setup(TASK_JMP);
	st.paging = true;
	st.cr3 = 0x6000U;
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), 0);
	EXPECT_EQ(cr3_loaded, 0U);
}

TEST(task_switch_user_and_v86)
{
	setup(TASK_JMP);
	for (uint32_t i = TASK_ES; i <= TASK_GS; i++) {
		put32(NEW_TSS + 0x48U + 4U * i, (i == TASK_CS) ? SEL_UCODE : SEL_UDATA);
	}
	put32(NEW_TSS + 0x64U, 1U); /* T */
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), 0);
	EXPECT_EQ(AR_DPL(st.seg[TASK_SS].ar), 3U);
	EXPECT(st.debug_trap);
	expect_enterable();
	setup(TASK_JMP);
	put32(NEW_TSS + 0x24U, 0x20002U);
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), 0);
	EXPECT_EQ(st.seg[TASK_CS].base, SEL_CODE << 4U);
	EXPECT_EQ(st.seg[TASK_SS].ar, 0xF3U);
	EXPECT_EQ(st.seg[TASK_GS].limit, 0xFFFFU);
	EXPECT(!st.debug_trap);
}

TEST(task_switch_16_bits)
{
	uint16_t image[22] = {0U};

	setup(TASK_CALL);
	descriptor(SEL_NEW, NEW_TSS, 0x2BU, 0x81U, 0U);
	image[7] = 0x77U;
	image[8] = 0x2U;
	image[9] = 0xC0U;
	image[13] = 0x3000U;
	image[17] = SEL_DATA;
	image[18] = SEL_CODE;
	image[19] = SEL_DATA;
	image[20] = SEL_DATA;
	memcpy(memory + NEW_TSS, image, sizeof(image));
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), 0);
	EXPECT_EQ(st.eip, 0x77U);
	EXPECT_EQ(st.gpr[0], 0xFFFF00C0U);
	EXPECT_EQ(st.seg[TASK_FS].ar, SEG_AR_UNUSABLE);
	EXPECT_EQ(st.seg[TASK_TR].ar, 0x83U);
	expect_enterable();
	/* And away from it: only the words that a 16-bit TSS has are written. */
	put32(NEW_TSS + 0x2CU, 0x12345678U);
	rq = (struct task_request){.selector = SEL_OLD, .source = TASK_IRET};
	st.gpr[0] = 0x99999999U;
	EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), 0);
	memcpy(image, memory + NEW_TSS, sizeof(image));
	EXPECT_EQ(image[9], 0x9999U);
	EXPECT_EQ(get32(NEW_TSS + 0x2CU), 0x12345678U);
}

/* A page fault at any access: the old task is untouched, or (behind the commit point) the new one can be entered. */
TEST(task_switch_fault_at_each_access)
{
	static const enum task_source sources[] = {TASK_CALL, TASK_IRET, TASK_JMP, TASK_IDT};

	for (uint32_t s = 0U; s < 4U; s++) {
		int32_t status = -EFAULT;

		for (int32_t at = 0; (at < 100) && (status != 0) && !unit_failed(); at++) {
			struct task_state before;

			setup(sources[s]);
			rq.has_error = sources[s] == TASK_IDT;
			fault_at = at;
			before = st;
			status = task_switch(&st, &rq, &ops, &fault);
			if (status == -EFAULT) {
				EXPECT(memcmp(&before, &st, sizeof(st)) == 0);
				EXPECT_EQ(fault.vector, EXC_PF);
			} else if (status == TASK_NEW_FAULTS) {
				EXPECT_EQ(st.seg[TASK_TR].sel, SEL_NEW);
				expect_enterable();
			}
		}
		EXPECT_EQ(status, 0); /* no access was left to fault */
	}
}

/* What can be foreseen is: a page that cannot be written faults before anything was written. */
TEST(task_switch_write_faults_come_first)
{
	static const enum task_source sources[] = {TASK_CALL, TASK_IRET, TASK_JMP, TASK_IDT};

	for (uint32_t s = 0U; s < 4U; s++) {
		/* Checks: the old TSS and up to two others. */
		const int32_t checks = (sources[s] == TASK_IRET) ? 2 : 3;

		for (int32_t at = 0; at < checks; at++) {
			setup(sources[s]);
			writes_only = true;
			fault_at = at;
			EXPECT_EQ(task_switch(&st, &rq, &ops, &fault), -EFAULT);
			EXPECT(!changed);
		}
	}
}

TEST(task_switch_garbage_can_be_entered)
{
	uint32_t done = 0U, new_faults = 0U;

	for (uint32_t round = 0U; (round < 200000U) && !unit_failed(); round++) {
		const uint64_t r = unit_rand64();
		int32_t status;

		setup((enum task_source)(r & 3U));
		rq.has_error = (r & 4U) != 0U;
		st.paging = (r & 8U) != 0U;
		/* Some selectors and descriptors are anything. */
		for (uint32_t i = 0U; i < ((r >> 4U) & 3U); i++) {
			put32(NEW_TSS + 0x48U + 4U * (uint32_t)(unit_rand64() % 7U), (uint32_t)unit_rand64() & 0x3FU);
		}
		for (uint32_t i = 0U; i < ((r >> 6U) & 3U); i++) {
			put32(GDT + 4U * (uint32_t)(unit_rand64() % (ENTRIES * 2U)), (uint32_t)unit_rand64());
		}
		if ((r & 0x100U) != 0U) {
			put32(NEW_TSS + 0x24U, (uint32_t)unit_rand64() & ~0x20000U);
		}
		status = task_switch(&st, &rq, &ops, &fault);
		if ((status == 0) || (status == TASK_NEW_FAULTS)) {
			expect_enterable();
			done += (status == 0) ? 1U : 0U;
			new_faults += (status != 0) ? 1U : 0U;
		}
		if ((status == -EFAULT) || (status == TASK_NEW_FAULTS)) {
			EXPECT((fault.vector == EXC_TS) || (fault.vector == EXC_NP) || (fault.vector == EXC_SS) ||
				(fault.vector == EXC_GP));
		}
	}
	EXPECT(done > 1000U);
	EXPECT(new_faults > 1000U);
}
