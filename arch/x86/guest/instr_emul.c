/* SPDX-License-Identifier: BSD-3-Clause */
/* instr_emul.c: emulates one instruction; the scheme is described in asm/instr.h. */
#include <asm/instr_priv.h>
#include <lib/bits.h>
#include <lib/errno.h>

#define CR0_PE (1UL << 0)
#define CR0_AM (1UL << 18)

#define CR4_LA57 (1UL << 12)

/* Segment attributes, in the format of the VMCS. */
#define SEG_WRITABLE (1U << 1) /* data segment */
#define SEG_READABLE (1U << 1) /* code segment */
#define SEG_DOWN     (1U << 2) /* data segment that expands down */
#define SEG_CODE     (1U << 3)
#define SEG_DB       (1U << 14)
#define SEG_UNUSABLE (1U << 16)

#define ACCESS_RW (INSTR_ACCESS_READ | INSTR_ACCESS_WRITE)

/* ---- faults and registers ---- */

int32_t emul_fault(struct instr_emul *ctx, uint8_t vector)
{
	ctx->fault = (struct instr_fault){.vector = vector};
	if ((vector == VECTOR_SS) || (vector == VECTOR_GP) || (vector == VECTOR_AC)) {
		ctx->fault.has_error_code = (ctx->cpu.cr0 & CR0_PE) != 0UL;
	}
	return -EFAULT;
}

uint64_t emul_reg(const struct instr_emul *ctx, uint32_t reg, uint32_t size)
{
	return ctx->ops->get_reg(ctx->arg, reg) & mask_bytes(size);
}

void emul_stage(struct instr_emul *ctx, uint32_t reg, uint32_t size, uint64_t val)
{
	if (size < 4U) {
		val = (ctx->ops->get_reg(ctx->arg, reg) & ~mask_bytes(size)) | (val & mask_bytes(size));
	} else if (size == 4U) {
		val &= 0xFFFFFFFFUL;
	}
	ctx->staged[ctx->staged_count].reg = (uint8_t)reg;
	ctx->staged[ctx->staged_count].val = val;
	ctx->staged_count++;
}

/** Without a REX prefix byte registers 4..7 are AH, CH, DH, BH. */
static bool is_high_byte(const struct instr *in, uint32_t size)
{
	return (size == 1U) && (in->rex == 0U) && (in->reg >= 4U);
}

/** The register operand, with the instruction's operand size. */
static uint64_t get_operand_reg(const struct instr_emul *ctx)
{
	const struct instr *in = &ctx->in;

	if (is_high_byte(in, in->op_size)) {
		return (ctx->ops->get_reg(ctx->arg, in->reg - 4U) >> 8U) & 0xFFUL;
	}
	return emul_reg(ctx, in->reg, in->op_size);
}

static void stage_operand_reg(struct instr_emul *ctx, uint64_t val)
{
	const struct instr *in = &ctx->in;
	uint64_t old;

	if (is_high_byte(in, in->op_size)) {
		old = ctx->ops->get_reg(ctx->arg, in->reg - 4U);
		emul_stage(ctx, in->reg - 4U, 8U, (old & ~0xFF00UL) | ((val & 0xFFUL) << 8U));
	} else {
		emul_stage(ctx, in->reg, in->op_size, val);
	}
}

/* ---- addresses ---- */

static bool is_canonical(const struct instr_emul *ctx, uint64_t addr)
{
	return is_sign_extended(addr, ((ctx->cpu.cr4 & CR4_LA57) != 0UL) ? 57U : 48U);
}

/** Limit and type of a segment outside of 64-bit mode (SDM vol. 3, 5.3 to 5.5). */
static bool segment_allows(
	const struct instr_emul *ctx, const struct instr_seg *seg, uint64_t offset, uint32_t size, uint32_t access)
{
	const bool is_protected = ((ctx->cpu.cr0 & CR0_PE) != 0UL) && !ctx->cpu.vm86;
	const bool code = (seg->attr & SEG_CODE) != 0U;
	const uint64_t last = offset + size - 1UL;

	if (is_protected) {
		if ((seg->attr & SEG_UNUSABLE) != 0U) {
			return false;
		}
		if (((access & INSTR_ACCESS_WRITE) != 0U) && (code || ((seg->attr & SEG_WRITABLE) == 0U))) {
			return false;
		}
		if (((access & INSTR_ACCESS_READ) != 0U) && code && ((seg->attr & SEG_READABLE) == 0U)) {
			return false;
		}
		if (!code && ((seg->attr & SEG_DOWN) != 0U)) {
			return (offset > seg->limit) &&
				(last <= (((seg->attr & SEG_DB) != 0U) ? 0xFFFFFFFFUL : 0xFFFFUL));
		}
	}
	return last <= seg->limit;
}

int32_t emul_linear(struct instr_emul *ctx, uint32_t seg, uint64_t offset, uint32_t size, uint32_t access, gla_t *gla)
{
	const uint8_t vector = (seg == INSTR_SEG_SS) ? VECTOR_SS : VECTOR_GP;
	struct instr_seg desc = {0};

	if (ctx->in.mode == INSTR_MODE_64) {
		if ((seg == INSTR_SEG_FS) || (seg == INSTR_SEG_GS)) {
			ctx->ops->get_seg(ctx->arg, seg, &desc);
		}
		*gla = desc.base + offset;
		if (!is_canonical(ctx, *gla) ||
			((((*gla + size - 1UL) ^ *gla) >= PAGE_SIZE) && !is_canonical(ctx, *gla + size - 1UL))) {
			return emul_fault(ctx, vector);
		}
	} else {
		ctx->ops->get_seg(ctx->arg, seg, &desc);
		if (!segment_allows(ctx, &desc, offset, size, access)) {
			return emul_fault(ctx, vector);
		}
		*gla = (desc.base + offset) & 0xFFFFFFFFUL;
	}
	if ((ctx->cpu.cpl == 3U) && ((ctx->cpu.cr0 & CR0_AM) != 0UL) && (size <= 8U) &&
		((*gla & (size - 1UL)) != 0UL) && ((emul_reg(ctx, INSTR_REG_RFLAGS, 8U) & RFLAGS_AC) != 0UL)) {
		return emul_fault(ctx, VECTOR_AC);
	}
	return 0;
}

/** Offset of the memory operand in its segment. new_rsp: the value of RSP to use, which POP has changed
 * already; NULL: RSP as it is. */
static uint64_t effective_address(const struct instr_emul *ctx, const uint64_t *new_rsp)
{
	const struct instr *in = &ctx->in;
	uint64_t addr = in->disp;
	uint64_t bits;

	if (in->base == INSTR_REG_RIP) {
		addr += ctx->next_rip;
	} else if ((in->base == INSTR_REG_RSP) && (new_rsp != NULL)) {
		addr += *new_rsp;
	} else if (in->base != INSTR_REG_NONE) {
		addr += ctx->ops->get_reg(ctx->arg, in->base);
	}
	if (in->index != INSTR_REG_NONE) {
		addr += ctx->ops->get_reg(ctx->arg, in->index) << in->scale;
	}
	/* With a register as bit number BT and its like address memory as one string of bits. */
	if ((in->op >= INSTR_BT) && (in->op <= INSTR_BTC) && (in->form == INSTR_FORM_MR)) {
		bits = instr_sign_extend(emul_reg(ctx, in->reg, in->op_size), in->op_size);
		addr += (uint64_t)((int64_t)bits >> (3U + ffs64(in->op_size))) * in->op_size;
	}
	return addr & mask_bytes(in->addr_size);
}

int32_t emul_operand(struct instr_emul *ctx, const uint64_t *new_rsp, bool other_operand, gla_t *gla)
{
	const struct instr *in = &ctx->in;
	const uint32_t size = in->mem_size;
	int32_t ret = emul_linear(ctx, in->seg, effective_address(ctx, new_rsp), size, in->access, gla);

	if (ret != 0) {
		return ret;
	}
	if (in->aligned && ((*gla & (size - 1UL)) != 0UL)) {
		return emul_fault(ctx, VECTOR_GP);
	}
	if (other_operand || (in->access == ACCESS_RW) || (size > 8U) ||
		(((*gla & (PAGE_SIZE - 1UL)) + size) > PAGE_SIZE)) {
		ret = emul_check(ctx, *gla, size, in->access);
	}
	return ret;
}

/* ---- memory ---- */

/** The linear address n bytes further on. */
static gla_t advance(const struct instr_emul *ctx, gla_t gla, uint64_t n)
{
	return (ctx->in.mode == INSTR_MODE_64) ? (gla + n) : ((gla + n) & 0xFFFFFFFFUL);
}

int32_t emul_check(struct instr_emul *ctx, gla_t gla, uint32_t size, uint32_t access)
{
	uint32_t part;
	int32_t ret = 0;

	if (ctx->log_count != 0U) {
		return 0;
	}
	while ((size != 0U) && (ret == 0)) {
		part = (uint32_t)MIN(size, PAGE_SIZE - (gla & (PAGE_SIZE - 1UL)));
		ret = ctx->ops->mem_check(ctx->arg, gla, part, access, &ctx->fault);
		gla = advance(ctx, gla, part);
		size -= part;
	}
	return ret;
}

/** One part of an access: answered from the log in a replay, else done and noted there. */
static int32_t access_part(struct instr_emul *ctx, gla_t gla, uint32_t size, uint64_t *val, bool write)
{
	struct instr_access *acc = &ctx->log[ctx->log_next];
	int32_t ret;

	if (ctx->log_next < ctx->log_count) {
		if ((acc->gla != gla) || (acc->size != size) || (acc->write != write)) {
			return -EIO;
		}
		*val = acc->val;
		ctx->log_next++;
		return 0;
	}
	if (ctx->log_count == INSTR_LOG_MAX) {
		return -EIO;
	}
	*acc = (struct instr_access){.gla = gla, .val = *val, .size = (uint8_t)size, .write = write};
	ret = write ? ctx->ops->mem_write(ctx->arg, gla, size, *val, &ctx->fault)
		    : ctx->ops->mem_read(ctx->arg, gla, size, &acc->val, &ctx->fault);
	if (ret == INSTR_PENDING) {
		ctx->pending = true;
		ctx->log_count++;
	} else if (ret == 0) {
		acc->val &= mask_bytes(size);
		*val = acc->val;
		ctx->log_count++;
		ctx->log_next++;
	} else if (ret > 0) {
		ret = -EIO;
	}
	return ret;
}

int32_t emul_bytes(struct instr_emul *ctx, gla_t gla, uint32_t size, uint8_t *buf, bool write)
{
	uint32_t done = 0U, part, i;
	uint64_t room, val;
	int32_t ret = 0;

	while ((done < size) && (ret == 0)) {
		room = PAGE_SIZE - (gla & (PAGE_SIZE - 1UL));
		part = 1U << fls64(MIN(MIN(size - done, 8UL), room));
		val = 0UL;
		for (i = 0U; write && (i < part); i++) {
			val |= (uint64_t)buf[done + i] << (8U * i);
		}
		ret = access_part(ctx, gla, part, &val, write);
		for (i = 0U; !write && (i < part); i++) {
			buf[done + i] = (uint8_t)(val >> (8U * i));
		}
		done += part;
		gla = advance(ctx, gla, part);
	}
	return ret;
}

/** Whether 1, 2, 4 or 8 bytes are one part of an access. */
static bool is_one_part(gla_t gla, uint32_t size)
{
	return ((gla & (PAGE_SIZE - 1UL)) + size) <= PAGE_SIZE;
}

int32_t emul_read(struct instr_emul *ctx, gla_t gla, uint32_t size, uint64_t *val)
{
	uint8_t buf[8] = {0};
	uint32_t i;
	int32_t ret;

	*val = 0UL;
	if (is_one_part(gla, size)) {
		return access_part(ctx, gla, size, val, false);
	}
	ret = emul_bytes(ctx, gla, size, buf, false);
	for (i = 0U; i < sizeof(buf); i++) {
		*val |= (uint64_t)buf[i] << (8U * i);
	}
	return ret;
}

int32_t emul_write(struct instr_emul *ctx, gla_t gla, uint32_t size, uint64_t val)
{
	uint8_t buf[8];
	uint32_t i;

	if (is_one_part(gla, size)) {
		val &= mask_bytes(size);
		return access_part(ctx, gla, size, &val, true);
	}
	for (i = 0U; i < sizeof(buf); i++) {
		buf[i] = (uint8_t)(val >> (8U * i));
	}
	return emul_bytes(ctx, gla, size, buf, true);
}

/* ---- instructions ---- */

/** The new value of a memory operand that is read, changed and written; stages what else changes. */
static uint64_t modify(struct instr_emul *ctx, uint64_t mem)
{
	const struct instr *in = &ctx->in;
	const uint32_t size = in->op_size;
	const uint64_t src = (in->form == INSTR_FORM_MI) ? in->imm : get_operand_reg(ctx);
	uint64_t flags = emul_reg(ctx, INSTR_REG_RFLAGS, 8U);
	uint64_t res, acc;

	switch (in->op) {
	case INSTR_BTS:
	case INSTR_BTR:
	case INSTR_BTC:
		res = instr_alu_bit(in->op, size, mem, src, &flags);
		break;
	case INSTR_ROL:
	case INSTR_ROR:
	case INSTR_RCL:
	case INSTR_RCR:
	case INSTR_SHL:
	case INSTR_SHR:
	case INSTR_SAR:
		res = instr_alu_shift(in->op, size, mem, (in->form == INSTR_FORM_M) ? 1UL : src, &flags);
		break;
	case INSTR_INC:
	case INSTR_DEC:
	case INSTR_NOT:
	case INSTR_NEG:
		res = instr_alu_unary(in->op, size, mem, &flags);
		break;
	case INSTR_XCHG:
		res = src;
		stage_operand_reg(ctx, mem);
		break;
	case INSTR_XADD:
		res = instr_alu(INSTR_ADD, size, mem, src, &flags);
		stage_operand_reg(ctx, mem);
		break;
	case INSTR_CMPXCHG:
		acc = emul_reg(ctx, INSTR_REG_RAX, size);
		(void)instr_alu(INSTR_CMP, size, acc, mem, &flags);
		res = mem; /* written back if not equal: the CPU always writes */
		if (acc == mem) {
			res = src;
		} else {
			emul_stage(ctx, INSTR_REG_RAX, size, mem);
		}
		break;
	default:
		res = instr_alu(in->op, size, mem, src, &flags);
		break;
	}
	emul_stage(ctx, INSTR_REG_RFLAGS, 8U, flags);
	return res;
}

/** Instructions that read memory and compute something of it. */
static void compute(struct instr_emul *ctx, uint64_t mem)
{
	const struct instr *in = &ctx->in;
	const uint64_t src = (in->form == INSTR_FORM_MI) ? in->imm : get_operand_reg(ctx);
	uint64_t flags = emul_reg(ctx, INSTR_REG_RFLAGS, 8U);
	uint64_t res;

	switch (in->op) {
	case INSTR_CMOV:
		stage_operand_reg(ctx, instr_condition(in->cond, flags) ? mem : src);
		return;
	case INSTR_BT:
		(void)instr_alu_bit(in->op, in->op_size, mem, src, &flags);
		break;
	default:
		if (in->form == INSTR_FORM_RM) {
			res = instr_alu(in->op, in->op_size, src, mem, &flags);
			if (in->op != INSTR_CMP) {
				stage_operand_reg(ctx, res);
			}
		} else {
			(void)instr_alu(in->op, in->op_size, mem, src, &flags); /* CMP, TEST */
		}
		break;
	}
	emul_stage(ctx, INSTR_REG_RFLAGS, 8U, flags);
}

/** Instructions that only read their memory operand, whose value is mem. */
static void consume(struct instr_emul *ctx, uint64_t mem)
{
	const struct instr *in = &ctx->in;

	switch (in->op) {
	case INSTR_MOV:
	case INSTR_MOVZX:
		stage_operand_reg(ctx, mem);
		break;
	case INSTR_MOVSX:
		stage_operand_reg(ctx, instr_sign_extend(mem, in->mem_size));
		break;
	case INSTR_MOVBE:
		stage_operand_reg(ctx, instr_swap_bytes(mem, in->op_size));
		break;
	default:
		compute(ctx, mem);
		break;
	}
}

/** What an instruction that only writes its memory operand writes. */
static uint64_t produce(const struct instr_emul *ctx)
{
	const struct instr *in = &ctx->in;
	struct instr_seg desc = {0};

	switch (in->op) {
	case INSTR_SETCC:
		return instr_condition(in->cond, emul_reg(ctx, INSTR_REG_RFLAGS, 8U)) ? 1UL : 0UL;
	case INSTR_MOV_SREG:
		ctx->ops->get_seg(ctx->arg, in->reg & 7U, &desc);
		return desc.selector;
	case INSTR_MOVBE:
		return instr_swap_bytes(get_operand_reg(ctx), in->op_size);
	default:
		return (in->form == INSTR_FORM_MI) ? in->imm : get_operand_reg(ctx);
	}
}

/** One memory operand of at most 8 bytes and registers. */
static int32_t emul_basic(struct instr_emul *ctx)
{
	const struct instr *in = &ctx->in;
	uint64_t mem = 0UL;
	gla_t gla = 0UL;
	int32_t ret = emul_operand(ctx, NULL, false, &gla);

	if ((ret == 0) && ((in->access & INSTR_ACCESS_READ) != 0U)) {
		ret = emul_read(ctx, gla, in->mem_size, &mem);
	}
	if (ret != 0) {
		return ret;
	}
	switch (in->access) {
	case INSTR_ACCESS_READ:
		consume(ctx, mem);
		return 0;
	case INSTR_ACCESS_WRITE:
		return emul_write(ctx, gla, in->mem_size, produce(ctx));
	default:
		return emul_write(ctx, gla, in->mem_size, modify(ctx, mem));
	}
}

/** Size of the stack pointer in bytes. */
static uint32_t stack_size(const struct instr_emul *ctx)
{
	struct instr_seg ss = {0};

	if (ctx->in.mode == INSTR_MODE_64) {
		return 8U;
	}
	ctx->ops->get_seg(ctx->arg, INSTR_SEG_SS, &ss);
	return ((ss.attr & SEG_DB) != 0U) ? 4U : 2U;
}

/** Sets RIP to the target of a near branch (SDM vol. 2, CALL and JMP). */
static int32_t branch(struct instr_emul *ctx, uint64_t target)
{
	struct instr_seg cs = {0};
	bool ok;

	if (ctx->in.mode == INSTR_MODE_64) {
		ok = is_canonical(ctx, target);
	} else {
		ctx->ops->get_seg(ctx->arg, INSTR_SEG_CS, &cs);
		ok = target <= cs.limit;
	}
	ctx->next_rip = target;
	return ok ? 0 : emul_fault(ctx, VECTOR_GP);
}

/** PUSH, CALL and JMP with a memory operand. */
static int32_t emul_push(struct instr_emul *ctx)
{
	const struct instr *in = &ctx->in;
	const uint32_t ssize = stack_size(ctx);
	const uint64_t rsp = emul_reg(ctx, INSTR_REG_RSP, 8U);
	const uint64_t sp = (rsp - in->op_size) & mask_bytes(ssize);
	const uint64_t return_rip = ctx->next_rip;
	const bool pushes = in->op != INSTR_JMP;
	gla_t gla = 0UL, stack = 0UL;
	uint64_t val = 0UL;
	int32_t ret = emul_operand(ctx, NULL, pushes, &gla);

	if ((ret == 0) && pushes) {
		ret = emul_linear(ctx, INSTR_SEG_SS, sp, in->op_size, INSTR_ACCESS_WRITE, &stack);
		if (ret == 0) {
			ret = emul_check(ctx, stack, in->op_size, INSTR_ACCESS_WRITE);
		}
	}
	if (ret == 0) {
		ret = emul_read(ctx, gla, in->mem_size, &val);
	}
	if ((ret == 0) && (in->op != INSTR_PUSH)) {
		ret = branch(ctx, val);
		val = return_rip;
	}
	if ((ret == 0) && pushes) {
		emul_stage(ctx, INSTR_REG_RSP, ssize, sp);
		ret = emul_write(ctx, stack, in->op_size, val);
	}
	return ret;
}

/** POP to memory: the address is computed with RSP as it is after the pop. */
static int32_t emul_pop(struct instr_emul *ctx)
{
	const struct instr *in = &ctx->in;
	const uint32_t ssize = stack_size(ctx);
	const uint64_t rsp = emul_reg(ctx, INSTR_REG_RSP, 8U);
	const uint64_t new_rsp = (rsp & ~mask_bytes(ssize)) | ((rsp + in->op_size) & mask_bytes(ssize));
	gla_t gla = 0UL, stack = 0UL;
	uint64_t val = 0UL;
	int32_t ret = emul_linear(ctx, INSTR_SEG_SS, rsp & mask_bytes(ssize), in->op_size, INSTR_ACCESS_READ, &stack);

	if (ret == 0) {
		ret = emul_check(ctx, stack, in->op_size, INSTR_ACCESS_READ);
	}
	if (ret == 0) {
		ret = emul_operand(ctx, &new_rsp, true, &gla);
	}
	if (ret == 0) {
		ret = emul_read(ctx, stack, in->op_size, &val);
	}
	if (ret == 0) {
		emul_stage(ctx, INSTR_REG_RSP, ssize, new_rsp);
		ret = emul_write(ctx, gla, in->mem_size, val);
	}
	return ret;
}

/** Changes nothing that the guest could see. */
static int32_t emul_clflush(struct instr_emul *ctx)
{
	gla_t gla = 0UL;
	const int32_t ret = emul_operand(ctx, NULL, false, &gla);

	return (ret == 0) ? emul_check(ctx, gla, 1U, INSTR_ACCESS_READ) : ret;
}

typedef int32_t (*emul_fn_t)(struct instr_emul *ctx);

/** Who emulates what is not for emul_basic(). */
static const emul_fn_t special[INSTR_OP_COUNT] = {
	[INSTR_CMPXCHG8B] = emul_cmpxchg8b,
	[INSTR_MOVS... INSTR_SCAS] = emul_string,
	[INSTR_PUSH] = emul_push,
	[INSTR_POP] = emul_pop,
	[INSTR_CALL] = emul_push,
	[INSTR_JMP] = emul_push,
	[INSTR_CLFLUSH] = emul_clflush,
	[INSTR_MUL... INSTR_POPCNT] = emul_math,
	[INSTR_VEC_MOVE] = emul_vector,
};

static int32_t emul_one(struct instr_emul *ctx)
{
	const emul_fn_t fn = special[ctx->in.op];

	return (fn != NULL) ? fn(ctx) : emul_basic(ctx);
}

/** Makes the element's changes visible: RIP last. */
static void commit(struct instr_emul *ctx)
{
	uint32_t i;

	for (i = 0U; i < ctx->staged_count; i++) {
		ctx->ops->put_reg(ctx->arg, ctx->staged[i].reg, ctx->staged[i].val);
	}
	if (ctx->vec_size != 0U) {
		ctx->ops->put_vec(ctx->arg, ctx->in.reg, ctx->vec, ctx->vec_size, ctx->in.vex);
	}
	if (!ctx->more) {
		ctx->ops->put_reg(ctx->arg, INSTR_REG_RIP, ctx->next_rip);
	}
}

/** Forgets all accesses. */
static void clear_log(struct instr_emul *ctx)
{
	ctx->log_count = 0U;
	ctx->log_next = 0U;
	ctx->pending = false;
}

static bool same_bytes(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	_Static_assert(INSTR_MAX_LEN == 15U, "two overlapping loads");
	__builtin_memcpy(&x[0], a, 8);
	__builtin_memcpy(&x[1], a + 7, 8);
	__builtin_memcpy(&y[0], b, 8);
	__builtin_memcpy(&y[1], b + 7, 8);
	return (x[0] == y[0]) && (x[1] == y[1]);
}

void instr_emul_init(struct instr_emul *ctx, const struct instr_ops *ops, void *arg, const struct instr_cpu *cpu)
{
	ctx->ops = ops;
	ctx->arg = arg;
	ctx->cpu = *cpu;
	clear_log(ctx);
}

/* One read or one write of at most 8 bytes: emul_basic() with nothing that it must ask for first. */
static bool is_simple(const struct instr *in)
{
	return (special[in->op] == NULL) && (in->access != ACCESS_RW);
}

/* A guest's driver does the same again and again. */
static inline bool is_known(const struct instr_emul *ctx, const uint8_t *bytes, enum instr_mode mode)
{
	return ctx->decoded && (ctx->in.mode == mode) && same_bytes(ctx->in.bytes, bytes);
}

static int32_t decode(struct instr_emul *ctx, const uint8_t *bytes, uint32_t avail, enum instr_mode mode)
{
	const int32_t ret = instr_decode(&ctx->in, bytes, avail, mode);

	ctx->decoded = (ret == 0) && (avail == INSTR_MAX_LEN);
	ctx->simple = (ret == 0) && is_simple(&ctx->in);
	return ret;
}

int32_t instr_emul_start(struct instr_emul *ctx, const uint8_t *bytes, uint32_t avail)
{
	clear_log(ctx);
	return ((avail == INSTR_MAX_LEN) && is_known(ctx, bytes, ctx->cpu.mode))
		? 0
		: decode(ctx, bytes, avail, ctx->cpu.mode);
}

uint32_t instr_simple_start(struct instr_emul *ctx, const struct instr_ops *ops, void *arg, const uint8_t *bytes)
{
	if (unlikely(!is_known(ctx, bytes, INSTR_MODE_64)) && (decode(ctx, bytes, INSTR_MAX_LEN, INSTR_MODE_64) != 0)) {
		return 0U;
	}
	ctx->ops = ops;
	ctx->arg = arg;
	return ctx->simple ? ctx->in.access : 0U;
}

uint64_t instr_simple_value(const struct instr_emul *ctx)
{
	return produce(ctx) & mask_bytes(ctx->in.mem_size);
}

void instr_simple_end(struct instr_emul *ctx, uint64_t val, uint64_t rip)
{
	ctx->staged_count = 0U;
	ctx->vec_size = 0U;
	ctx->more = false;
	ctx->next_rip = rip + ctx->in.len;
	if (ctx->in.access == INSTR_ACCESS_READ) {
		consume(ctx, val & mask_bytes(ctx->in.mem_size));
	}
	commit(ctx);
}

int32_t instr_emul_run(struct instr_emul *ctx)
{
	const uint64_t rip = emul_reg(ctx, INSTR_REG_RIP, 8U);
	int32_t ret;

	if (ctx->pending) {
		return -EIO;
	}
	ctx->staged_count = 0U;
	ctx->vec_size = 0U;
	ctx->more = false;
	ctx->log_next = 0U;
	ctx->next_rip = advance(ctx, rip, ctx->in.len);

	ret = emul_one(ctx);
	if (ret == INSTR_PENDING) {
		return ret;
	}
	if ((ret == 0) && (ctx->log_next != ctx->log_count)) {
		ret = -EIO;
	}
	clear_log(ctx);
	if (ret != 0) {
		return ret;
	}
	commit(ctx);
	return ctx->more ? INSTR_MORE : 0;
}

int32_t instr_emul_complete(struct instr_emul *ctx, uint64_t val)
{
	struct instr_access *acc;

	if (!ctx->pending) {
		return -EINVAL;
	}
	acc = &ctx->log[ctx->log_count - 1U];
	if (!acc->write) {
		acc->val = val & mask_bytes(acc->size);
	}
	ctx->pending = false;
	return 0;
}
