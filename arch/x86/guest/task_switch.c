/* SPDX-License-Identifier: BSD-3-Clause */
/* task_switch.c: hardware task switches (see asm/task_switch.h). Step numbers are those of SDM vol 3, 8.3. */
#include <asm/task_switch.h>

#include <asm/cpu.h>
#include <asm/guest_walk.h>
#include <asm/vmx.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

/* Access rights as in the VMCS, and the second half of a descriptor: rights = (half >> 8) & AR_MASK. */
#define AR_MASK     0xF0FFU
#define AR_TYPE     0xFU
#define AR_S        0x10U
#define AR_DPL(ar)  (((ar) >> 5U) & 3U)
#define AR_P        0x80U
#define AR_B        0x4000U /* default size */
#define AR_G        0x8000U
#define AR_V86      0xF3U
#define AR_ACCESSED 1U

/* Types of code and data. */
#define TYPE_CODE       8U
#define TYPE_CONFORMING 4U /* code */
#define TYPE_DOWN       4U /* data */
#define TYPE_RW         2U /* code: readable, data: writable */

/* Types of system segments. */
#define TYPE_LDT  2U
#define TYPE_BUSY 2U /* the bit of a TSS's type */
#define TYPE_32   8U /* the bit that a 32-bit TSS has */

#define EFLAGS_VALID 0x003F7FD5U

#define EFLAGS_NT 0x4000U

#define SEL_RPL(sel)     ((uint32_t)(sel)&3U)
#define SEL_IS_NULL(sel) (((sel)&0xFFFCU) == 0U)
#define SEL_TI           4U
#define SEL_ERROR(sel)   ((uint32_t)(sel)&0xFFFCU)

#define SUPERVISOR_READ  (GUEST_WALK_READ | GUEST_WALK_IMPLICIT)
#define SUPERVISOR_WRITE (GUEST_WALK_WRITE | GUEST_WALK_IMPLICIT)

/* The TSSs (SDM figures 8-2 and 8-10). */
struct tss32 {
	uint32_t link;
	uint32_t stacks[6];
	uint32_t cr3;
	uint32_t eip;
	uint32_t eflags;
	uint32_t gpr[8];
	uint32_t sel[6]; /* ES, CS, SS, DS, FS, GS */
	uint32_t ldt;
	uint16_t trap;
	uint16_t io_bitmap;
};

struct tss16 {
	uint16_t link;
	uint16_t stacks[6];
	uint16_t ip;
	uint16_t flags;
	uint16_t gpr[8];
	uint16_t sel[4]; /* ES, CS, SS, DS */
	uint16_t ldt;
};

_Static_assert((sizeof(struct tss32) == 0x68U) && (sizeof(struct tss16) == 0x2CU), "as the CPU has them");

/* What of a TSS a switch away from it writes: EIP to GS, IP to DS. */
#define TSS32_SAVED     offsetof(struct tss32, eip)
#define TSS32_SAVED_END offsetof(struct tss32, ldt)
#define TSS16_SAVED     offsetof(struct tss16, ip)
#define TSS16_SAVED_END offsetof(struct tss16, ldt)

/** A switch under way. */
struct sw {
	struct task_state *st;
	const struct task_request *rq;
	const struct task_ops *ops;
	struct task_fault *fault;
};

static int32_t raise(const struct sw *sw, uint8_t vector, uint32_t error)
{
	*sw->fault = (struct task_fault){.vector = vector, .error = error};
	return -EFAULT;
}

/* CALL and events: the old task waits for the new one's IRET. */
static bool is_nested(const struct sw *sw)
{
	return (sw->rq->source == TASK_CALL) || (sw->rq->source == TASK_IDT);
}

static bool is_tss32(uint32_t ar)
{
	return (ar & TYPE_32) != 0U;
}

/* ---- Descriptors ---- */

/* Linear address of the descriptor. @return false: beyond its table */
static bool descriptor_at(const struct task_state *st, uint16_t sel, uint32_t *gla)
{
	const struct task_seg *const ldt = &st->seg[TASK_LDTR];
	const bool local = (sel & SEL_TI) != 0U;
	const uint32_t offset = (uint32_t)sel & 0xFFF8U;

	if (local && ((ldt->ar & SEG_AR_UNUSABLE) != 0U)) {
		return false;
	}
	*gla = (local ? ldt->base : st->gdt_base) + offset;
	return (offset + 7U) <= (local ? ldt->limit : st->gdt_limit);
}

/* Reads the descriptor of `sel` into *seg; \p vector for one that is beyond its table. */
static int32_t descriptor_read(const struct sw *sw, uint16_t sel, uint8_t vector, struct task_seg *seg)
{
	uint32_t half[2];
	uint32_t gla;
	int32_t status;

	if (!descriptor_at(sw->st, sel, &gla)) {
		return raise(sw, vector, SEL_ERROR(sel));
	}
	status = sw->ops->read(sw->ops->arg, gla, half, sizeof(half), SUPERVISOR_READ, sw->fault);
	if (status != 0) {
		return status;
	}
	seg->sel = sel;
	seg->ar = (half[1] >> 8U) & AR_MASK;
	seg->base = (half[0] >> 16U) | ((half[1] & 0xFFU) << 16U) | (half[1] & 0xFF000000U);
	seg->limit = (half[0] & 0xFFFFU) | (half[1] & 0xF0000U);
	if ((seg->ar & AR_G) != 0U) {
		seg->limit = (seg->limit << 12U) | 0xFFFU;
	}
	return 0;
}

/* The byte with the type can be written. */
static int32_t descriptor_check(const struct sw *sw, uint16_t sel)
{
	uint32_t gla;

	if (!descriptor_at(sw->st, sel, &gla)) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	return sw->ops->check(sw->ops->arg, gla + 5U, 1U, SUPERVISOR_WRITE, sw->fault);
}

/* Sets or clears bits in the type of the descriptor in memory. */
static int32_t descriptor_mark(const struct sw *sw, uint16_t sel, uint8_t set, uint8_t clear)
{
	uint32_t gla;
	uint8_t access;
	int32_t status;

	if (!descriptor_at(sw->st, sel, &gla)) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	status = sw->ops->read(sw->ops->arg, gla + 5U, &access, 1U, SUPERVISOR_READ, sw->fault);
	if (status == 0) {
		access = (uint8_t)((access | set) & ~clear);
		status = sw->ops->write(sw->ops->arg, gla + 5U, &access, 1U, SUPERVISOR_WRITE, sw->fault);
	}
	return status;
}

/* ---- Before the commit point: errors are the old task's ---- */

/* Steps 3 and 4, with the faults of SDM table 8-1. */
static int32_t new_tss_read(const struct sw *sw, struct task_seg *tss)
{
	const bool iret = sw->rq->source == TASK_IRET;
	const uint16_t sel = sw->rq->selector;
	const uint8_t bad = iret ? EXC_TS : EXC_GP;
	int32_t status;
	uint32_t type;

	if (SEL_IS_NULL(sel) || ((sel & SEL_TI) != 0U)) {
		return raise(sw, bad, SEL_ERROR(sel));
	}
	status = descriptor_read(sw, sel, bad, tss);
	if (status != 0) {
		return status;
	}
	type = tss->ar & (AR_TYPE | AR_S);
	if ((type & ~(TYPE_32 | TYPE_BUSY)) != 1U) {
		return raise(sw, bad, SEL_ERROR(sel));
	}
	if (((type & TYPE_BUSY) != 0U) != iret) {
		return raise(sw, bad, SEL_ERROR(sel));
	}
	if ((tss->ar & AR_P) == 0U) {
		return raise(sw, EXC_NP, SEL_ERROR(sel));
	}
	if (tss->limit < ((is_tss32(type) ? sizeof(struct tss32) : sizeof(struct tss16)) - 1U)) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	return 0;
}

/* Step 5: nothing that is to be written or read before the commit point may fault half-way. */
static int32_t check_paged_in(const struct sw *sw, const struct task_seg *new)
{
	const struct task_seg *const old = &sw->st->seg[TASK_TR];
	const bool wide = is_tss32(old->ar);
	const uint32_t first = wide ? TSS32_SAVED : TSS16_SAVED;
	const uint32_t end = wide ? TSS32_SAVED_END : TSS16_SAVED_END;
	const uint32_t size = is_tss32(new->ar) ? sizeof(struct tss32) : sizeof(struct tss16);
	int32_t status;

	if (old->limit < (end - 1U)) {
		return raise(sw, EXC_TS, SEL_ERROR(sw->rq->selector));
	}
	status = sw->ops->check(sw->ops->arg, new->base, size, SUPERVISOR_READ, sw->fault);
	if ((status == 0) && is_nested(sw)) {
		status = sw->ops->check(sw->ops->arg, new->base, sizeof(uint16_t), SUPERVISOR_WRITE, sw->fault);
	}
	if ((status == 0) && !is_nested(sw)) {
		status = descriptor_check(sw, old->sel);
	}
	if ((status == 0) && (sw->rq->source != TASK_IRET)) {
		status = descriptor_check(sw, new->sel);
	}
	if (status == 0) {
		status = sw->ops->check(sw->ops->arg, old->base + first, end - first, SUPERVISOR_WRITE, sw->fault);
	}
	return status;
}

static int32_t save32(const struct sw *sw, uint32_t base, uint32_t eflags)
{
	const struct task_state *const st = sw->st;
	struct tss32 tss;
	int32_t status;

	/* What is reserved beside the selectors stays as it is. */
	status = sw->ops->read(
		sw->ops->arg, base + TSS32_SAVED, &tss.eip, TSS32_SAVED_END - TSS32_SAVED, SUPERVISOR_READ, sw->fault);
	if (status != 0) {
		return status;
	}
	tss.eip = st->eip;
	tss.eflags = eflags;
	memcpy(tss.gpr, st->gpr, sizeof(tss.gpr));
	for (uint32_t i = TASK_ES; i <= TASK_GS; i++) {
		tss.sel[i] = (tss.sel[i] & 0xFFFF0000U) | st->seg[i].sel;
	}
	return sw->ops->write(
		sw->ops->arg, base + TSS32_SAVED, &tss.eip, TSS32_SAVED_END - TSS32_SAVED, SUPERVISOR_WRITE, sw->fault);
}

static int32_t save16(const struct sw *sw, uint32_t base, uint32_t eflags)
{
	const struct task_state *const st = sw->st;
	struct tss16 tss;

	tss.ip = (uint16_t)st->eip;
	tss.flags = (uint16_t)eflags;
	for (uint32_t i = 0U; i < 8U; i++) {
		tss.gpr[i] = (uint16_t)st->gpr[i];
	}
	for (uint32_t i = TASK_ES; i <= TASK_DS; i++) {
		tss.sel[i] = st->seg[i].sel;
	}
	return sw->ops->write(
		sw->ops->arg, base + TSS16_SAVED, &tss.ip, TSS16_SAVED_END - TSS16_SAVED, SUPERVISOR_WRITE, sw->fault);
}

/* Steps 6 to 8, and the back link. */
static int32_t leave_old(const struct sw *sw, const struct task_seg *new)
{
	const struct task_seg *const old = &sw->st->seg[TASK_TR];
	const uint32_t eflags = sw->st->eflags & ~((sw->rq->source == TASK_IRET) ? EFLAGS_NT : 0U);
	int32_t status = 0;

	if (!is_nested(sw)) {
		status = descriptor_mark(sw, old->sel, 0U, TYPE_BUSY);
	}
	if (status == 0) {
		status = is_tss32(old->ar) ? save32(sw, old->base, eflags) : save16(sw, old->base, eflags);
	}
	if ((status == 0) && is_nested(sw)) {
		uint16_t link = old->sel;

		status = sw->ops->write(sw->ops->arg, new->base, &link, sizeof(link), SUPERVISOR_WRITE, sw->fault);
	}
	return status;
}

/* The new task's image, a 16-bit one widened. */
static int32_t image_read(const struct sw *sw, const struct task_seg *new, struct tss32 *image)
{
	struct tss16 tss;
	int32_t status;

	if (is_tss32(new->ar)) {
		return sw->ops->read(sw->ops->arg, new->base, image, sizeof(*image), SUPERVISOR_READ, sw->fault);
	}
	status = sw->ops->read(sw->ops->arg, new->base, &tss, sizeof(tss), SUPERVISOR_READ, sw->fault);
	if (status != 0) {
		return status;
	}
	memset(image, 0, sizeof(*image));
	image->cr3 = sw->st->cr3;
	image->eip = tss.ip;
	image->eflags = tss.flags;
	for (uint32_t i = 0U; i < 8U; i++) {
		image->gpr[i] = 0xFFFF0000U | tss.gpr[i];
	}
	for (uint32_t i = TASK_ES; i <= TASK_DS; i++) {
		image->sel[i] = tss.sel[i];
	}
	image->ldt = tss.ldt;
	return 0;
}

/* ---- Behind the commit point: errors are the new task's ---- */

/* Steps 9, 11 and 12: all that needs no check. Segments are unusable at first. */
static void enter_new(const struct sw *sw, const struct task_seg *tss, const struct tss32 *image)
{
	struct task_state *const st = sw->st;

	memcpy(st->gpr, image->gpr, sizeof(st->gpr));
	st->eip = image->eip;
	st->eflags = (image->eflags & EFLAGS_VALID) | RFLAGS_R1 | (is_nested(sw) ? EFLAGS_NT : 0U);
	for (uint32_t i = TASK_ES; i <= TASK_GS; i++) {
		st->seg[i] = (struct task_seg){.sel = (uint16_t)image->sel[i], .ar = SEG_AR_UNUSABLE};
	}
	st->seg[TASK_LDTR] = (struct task_seg){.sel = (uint16_t)image->ldt, .ar = SEG_AR_UNUSABLE};
	st->seg[TASK_TR] = *tss;
	st->seg[TASK_TR].ar |= TYPE_BUSY;
	st->debug_trap = (image->trap & 1U) != 0U;
}

/*
 * Until CS and SS are loaded, a fault is delivered from a CS that VM entry takes (27.3.1.2) and from CPL 3, so that its
 * handler gets the stack that the new TSS has for its level.
 */
static void provisional_stack(struct task_state *st, uint32_t cpl)
{
	st->seg[TASK_CS].limit = 0xFFFFFFFFU;
	st->seg[TASK_CS].ar = AR_G | AR_B | AR_P | AR_S | (cpl << 5U) | TYPE_CODE | TYPE_RW | AR_ACCESSED;
	if ((st->seg[TASK_SS].ar & SEG_AR_UNUSABLE) != 0U) {
		st->seg[TASK_SS].ar = SEG_AR_UNUSABLE | (cpl << 5U);
	}
}

static int32_t load_ldtr(const struct sw *sw)
{
	struct task_seg *const ldt = &sw->st->seg[TASK_LDTR];
	const uint16_t sel = ldt->sel;
	struct task_seg seg;
	int32_t status;

	if ((sel & SEL_TI) != 0U) {
		ldt->sel = 0U; /* VM entry takes none with TI (27.3.1.2) */
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	if (SEL_IS_NULL(sel)) {
		return 0;
	}
	status = descriptor_read(sw, sel, EXC_TS, &seg);
	if (status != 0) {
		return status;
	}
	if (((seg.ar & (AR_S | AR_TYPE)) != TYPE_LDT) || ((seg.ar & AR_P) == 0U)) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	*ldt = seg;
	return 0;
}

/* The checks on a descriptor have passed: into the register, and its accessed bit set. */
static int32_t seg_commit(const struct sw *sw, enum task_seg_index index, struct task_seg *seg)
{
	int32_t status = 0;

	if ((seg->ar & AR_ACCESSED) == 0U) {
		status = descriptor_mark(sw, seg->sel, AR_ACCESSED, 0U);
		seg->ar |= AR_ACCESSED;
	}
	if (status == 0) {
		sw->st->seg[index] = *seg;
	}
	return status;
}

static int32_t load_ss(const struct sw *sw, uint32_t cpl)
{
	const uint16_t sel = sw->st->seg[TASK_SS].sel;
	struct task_seg seg;
	int32_t status;

	if (SEL_IS_NULL(sel)) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	status = descriptor_read(sw, sel, EXC_TS, &seg);
	if (status != 0) {
		return status;
	}
	if ((seg.ar & (AR_S | TYPE_CODE | TYPE_RW)) != (AR_S | TYPE_RW)) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	if ((seg.ar & AR_P) == 0U) {
		return raise(sw, EXC_SS, SEL_ERROR(sel));
	}
	if ((AR_DPL(seg.ar) != cpl) || (SEL_RPL(sel) != cpl)) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	return seg_commit(sw, TASK_SS, &seg);
}

static int32_t load_data(const struct sw *sw, enum task_seg_index index, uint32_t cpl)
{
	const uint16_t sel = sw->st->seg[index].sel;
	struct task_seg seg;
	int32_t status;

	if (SEL_IS_NULL(sel)) {
		return 0;
	}
	status = descriptor_read(sw, sel, EXC_TS, &seg);
	if (status != 0) {
		return status;
	}
	if (((seg.ar & AR_S) == 0U) || ((seg.ar & (TYPE_CODE | TYPE_RW)) == TYPE_CODE)) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	if (((seg.ar & (TYPE_CODE | TYPE_CONFORMING)) != (TYPE_CODE | TYPE_CONFORMING)) &&
		((AR_DPL(seg.ar) < cpl) || (AR_DPL(seg.ar) < SEL_RPL(sel)))) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	if ((seg.ar & AR_P) == 0U) {
		return raise(sw, EXC_NP, SEL_ERROR(sel));
	}
	return seg_commit(sw, index, &seg);
}

static int32_t load_cs(const struct sw *sw, uint16_t sel)
{
	const uint32_t rpl = SEL_RPL(sel);
	struct task_seg seg;
	int32_t status;
	bool level_ok;

	if (SEL_IS_NULL(sel)) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	status = descriptor_read(sw, sel, EXC_TS, &seg);
	if (status != 0) {
		return status;
	}
	if ((seg.ar & (AR_S | TYPE_CODE)) != (AR_S | TYPE_CODE)) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	level_ok = ((seg.ar & TYPE_CONFORMING) != 0U) ? (AR_DPL(seg.ar) <= rpl) : (AR_DPL(seg.ar) == rpl);
	if (!level_ok) {
		return raise(sw, EXC_TS, SEL_ERROR(sel));
	}
	if ((seg.ar & AR_P) == 0U) {
		return raise(sw, EXC_NP, SEL_ERROR(sel));
	}
	return seg_commit(sw, TASK_CS, &seg);
}

/* Step 13. */
static int32_t load_segments(const struct sw *sw)
{
	struct task_state *const st = sw->st;
	const uint32_t cpl = SEL_RPL(st->seg[TASK_CS].sel);
	int32_t status;

	provisional_stack(st, 3U);
	status = load_ldtr(sw);
	if ((st->eflags & RFLAGS_VM) != 0U) {
		for (uint32_t i = TASK_ES; i <= TASK_GS; i++) {
			st->seg[i].base = (uint32_t)st->seg[i].sel << 4U;
			st->seg[i].limit = 0xFFFFU;
			st->seg[i].ar = AR_V86;
		}
		return status;
	}
	if (status == 0) {
		status = load_ss(sw, cpl);
	}
	if (status != 0) {
		return status;
	}
	provisional_stack(st, cpl);
	for (uint32_t i = 0U; (i < 4U) && (status == 0); i++) {
		static const enum task_seg_index order[4] = {TASK_DS, TASK_ES, TASK_FS, TASK_GS};

		status = load_data(sw, order[i], cpl);
	}
	return (status == 0) ? load_cs(sw, st->seg[TASK_CS].sel) : status;
}

static int32_t push_error_code(const struct sw *sw, bool wide)
{
	struct task_state *const st = sw->st;
	const struct task_seg *const ss = &st->seg[TASK_SS];
	const bool v86 = (st->eflags & RFLAGS_VM) != 0U;
	const uint32_t user = (v86 || (AR_DPL(ss->ar) == 3U)) ? GUEST_WALK_USER : GUEST_WALK_IMPLICIT;
	const uint32_t size = wide ? 4U : 2U;
	const uint32_t mask = ((ss->ar & AR_B) != 0U) ? 0xFFFFFFFFU : 0xFFFFU;
	const uint32_t offset = (st->gpr[4] - size) & mask;
	const uint64_t last = (uint64_t)offset + size - 1U;
	const bool down = !v86 && ((ss->ar & TYPE_DOWN) != 0U);
	uint32_t error = sw->rq->error;
	int32_t status;

	if (down ? ((offset <= ss->limit) || (last > mask)) : (last > ss->limit)) {
		return raise(sw, EXC_SS, 0U);
	}
	status = sw->ops->write(sw->ops->arg, ss->base + offset, &error, size, GUEST_WALK_WRITE | user, sw->fault);
	if (status == 0) {
		st->gpr[4] = (st->gpr[4] & ~mask) | offset;
	}
	return status;
}

/* The new CR3, descriptors, and what is due before the first instruction. */
static int32_t finish_new(const struct sw *sw, const struct tss32 *image, bool wide)
{
	struct task_state *const st = sw->st;
	int32_t status;

	if (wide && st->paging && (image->cr3 != st->cr3)) {
		st->cr3 = image->cr3;
		if (sw->ops->load_cr3(sw->ops->arg, st->cr3) != 0) {
			provisional_stack(st, 3U);
			return raise(sw, EXC_TS, 0U);
		}
	}
	status = load_segments(sw);
	if ((status == 0) && sw->rq->has_error) {
		status = push_error_code(sw, wide);
	}
	if ((status == 0) && (st->eip > st->seg[TASK_CS].limit)) {
		status = raise(sw, EXC_GP, 0U);
	}
	return status;
}

int32_t task_switch(
	struct task_state *st, const struct task_request *rq, const struct task_ops *ops, struct task_fault *fault)
{
	const struct sw sw = {.st = st, .rq = rq, .ops = ops, .fault = fault};
	struct task_seg tss;
	struct tss32 image;
	int32_t status;

	st->debug_trap = false;
	status = new_tss_read(&sw, &tss);
	if (status == 0) {
		status = check_paged_in(&sw, &tss);
	}
	if (status == 0) {
		status = leave_old(&sw, &tss);
	}
	if (status == 0) {
		status = image_read(&sw, &tss, &image);
	}
	if ((status == 0) && (rq->source != TASK_IRET)) {
		status = descriptor_mark(&sw, rq->selector, TYPE_BUSY, 0U); /* step 10 */
	}
	if (status != 0) {
		return status;
	}
	enter_new(&sw, &tss, &image);
	status = finish_new(&sw, &image, is_tss32(tss.ar));
	return (status == -EFAULT) ? TASK_NEW_FAULTS : status;
}
