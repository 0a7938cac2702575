/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port I/O: what VMX said, the request made of it, and the guest registers afterwards.
 *
 * IN and OUT are one request. INS and OUTS are one request for each element: the request page has room for one
 * value (doc/decisions/0003-string-io.md). REP stays at the instruction until the count is 0, so interrupts get in
 * between as on hardware.
 */
#include <asm/guest.h>

#include <asm/caps.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <hv/arch.h>
#include <hv/upcall.h>
#include <lib/bits.h>
#include <lib/errno.h>

/* Exit qualification for I/O instructions: SDM table 28-5. */
#define QUAL_SIZE(q) ((uint8_t)(((q)&7UL) + 1UL))
#define QUAL_IN      BIT(3)
#define QUAL_STRING  BIT(4)
#define QUAL_REP     BIT(5)
#define QUAL_PORT(q) ((uint16_t)((q) >> 16U))

/* Exit instruction information for INS and OUTS: SDM table 28-8. */
#define INFO_ADDR_SIZE(i) ((uint8_t)(2U << (((i) >> 7U) & 3U)))
#define INFO_SEGMENT(i)   (((i) >> 15U) & 7U)

#define SEG_ES 0U
#define SEG_CS 1U
#define SEG_SS 2U

static int32_t __noinline string_start(struct acrn_vcpu *vcpu, uint64_t q);

/* An access over the edge of a device is answered by nobody, as on a bus: ones, or lost. emulate_io() has logged it. */
static void no_device(struct io_request *io_req)
{
	io_req->reqs.pio.value = (uint32_t)mask_bytes(io_req->reqs.pio.size);
}

/* The end of an IN or OUT while DR7 has breakpoints. */
static void __noinline watched_end(struct acrn_vcpu *vcpu, const struct pio_request *req)
{
	vcpu_skip_instruction(vcpu);
	vcpu_watch_port(vcpu, (uint16_t)req->address, (uint32_t)req->size);
	vcpu_watch_end(vcpu);
}

static inline void put_result(struct acrn_vcpu *vcpu, const struct pio_request *req)
{
	uint64_t *const rax = &vcpu->arch.gprs.reg[GPR_RAX];

	if (req->size == 4UL) {
		*rax = req->value; /* a 32-bit result clears the upper half (SDM vol 1, 3.4.1.1) */
	} else {
		const uint64_t mask = mask_bytes(req->size);

		*rax = (*rax & ~mask) | (req->value & mask);
	}
}

int32_t pio_instr_vmexit_handler(struct acrn_vcpu *vcpu)
{
	const uint64_t q = exec_vmread(VMX_EXIT_QUALIFICATION);
	struct pio_exit *const pio = &vcpu->arch.pio;
	struct pio_request *const req = &vcpu->req.reqs.pio;
	const bool is_in = (q & QUAL_IN) != 0UL;
	int32_t status;

	pio->is_string = (q & QUAL_STRING) != 0UL;
	if (unlikely(pio->is_string)) {
		return string_start(vcpu, q);
	}
	vcpu->req.type = REQ_PORTIO;
	req->direction = is_in ? REQUEST_READ : REQUEST_WRITE;
	req->address = QUAL_PORT(q);
	req->size = QUAL_SIZE(q);
	req->value = is_in ? 0U : (uint32_t)vcpu->arch.gprs.reg[GPR_RAX]; /* emulate_io() cuts it to the size */

	status = emulate_io(vcpu, &vcpu->req);
	if (unlikely(status < 0)) {
		no_device(&vcpu->req);
	}
	if (status == IOREQ_PENDING) {
		return VMEXIT_LOOK_UP;
	}
	if (is_in) {
		put_result(vcpu, req);
	}
	if (unlikely(vcpu->arch.watching)) {
		watched_end(vcpu, req);
		return VMEXIT_ENTER_AGAIN;
	}
	return VMEXIT_SKIP;
}

/* Goes on with a string I/O instruction: the Service VM has answered the element at hand. */
static void __noinline pio_string_complete(struct acrn_vcpu *vcpu, uint32_t value);

void emulate_pio_post(struct acrn_vcpu *vcpu, const struct io_request *io_req)
{
	const struct pio_request *const req = &io_req->reqs.pio;

	if (unlikely(vcpu->arch.pio.is_string)) {
		pio_string_complete(vcpu, req->value);
		return;
	}
	if (req->direction == REQUEST_READ) {
		put_result(vcpu, req);
	}
	if (unlikely(vcpu->arch.watching)) {
		watched_end(vcpu, req);
		return;
	}
	vcpu_skip_instruction(vcpu);
}

/* ---- INS and OUTS ---- */

/* Elements of a REP instruction in one exit, when nobody has to be asked and nothing comes in between. */
#define BATCH 32U

/* What is the same for all elements that one exit is about. */
struct string_exit {
	gla_t base;   /* of the operand's segment */
	uint32_t seg; /* SEG_ES, ... */
	uint32_t ar;
	uint64_t limit;
	bool code64;
	gla_t page; /* where the last element was, all of it; NO_PAGE: none, or in two */
	gpa_t page_gpa;
};

#define NO_PAGE 1UL

static uint64_t addr_mask(const struct pio_exit *pio)
{
	return mask_bytes(pio->addr_size);
}

/* Adds to the part of a register that the address size selects; 32-bit results clear the upper half. */
static void reg_add(struct acrn_vcpu *vcpu, uint32_t reg, int64_t delta)
{
	const struct pio_exit *const pio = &vcpu->arch.pio;
	uint64_t *const r = &vcpu->arch.gprs.reg[reg];
	const uint64_t value = (*r + (uint64_t)delta) & addr_mask(pio);

	*r = (pio->addr_size == 2U) ? ((*r & ~0xFFFFUL) | value) : value;
}

/* Outside 64-bit mode linear addresses wrap at 4 GiB. */
static gla_t linear(const struct string_exit *str, uint64_t address)
{
	return str->code64 ? address : (address & 0xFFFFFFFFUL);
}

static uint64_t rep_count(const struct acrn_vcpu *vcpu)
{
	return vcpu->arch.gprs.reg[GPR_RCX] & addr_mask(&vcpu->arch.pio);
}

static uint64_t operand_offset(const struct acrn_vcpu *vcpu)
{
	const struct pio_exit *const pio = &vcpu->arch.pio;

	return vcpu->arch.gprs.reg[pio->is_in ? GPR_RDI : GPR_RSI] & addr_mask(pio);
}

/* Segment limit and canonical checks, which come after the exit (SDM 26.1.1). @return false: a fault was queued */
static bool operand_is_legal(struct acrn_vcpu *vcpu, const struct string_exit *str, uint64_t offset, gla_t gla)
{
	const struct pio_exit *const pio = &vcpu->arch.pio;
	const uint64_t last = offset + pio->size - 1UL;
	const uint32_t type = str->ar & 0xFU;
	bool ok;

	if (str->code64) {
		const uint32_t bits = ((vcpu->arch.paging.cr4 & CR4_LA57) != 0UL) ? 57U : 48U;

		ok = is_sign_extended(gla, bits) && is_sign_extended(gla + pio->size - 1UL, bits);
	} else if ((str->ar & SEG_AR_UNUSABLE) != 0U) {
		ok = false;
	} else if (((type & 8U) == 0U) && ((type & 4U) != 0U)) {
		const uint64_t top = ((str->ar & BIT(14)) != 0U) ? 0xFFFFFFFFUL : 0xFFFFUL; /* expand down */

		ok = (offset > str->limit) && (last <= top);
	} else {
		ok = last <= str->limit;
	}
	if (ok && !str->code64 && ((vcpu->arch.paging.cr0 & CR0_PE) != 0UL)) {
		/* INS writes, OUTS reads; code is never writable and not always readable. */
		ok = pio->is_in ? ((type & 0xAU) == 0x2U) : ((type & 0xAU) != 0x8U);
	}
	if (!ok) {
		vcpu_inject_exception(vcpu, (str->seg == SEG_SS) ? EXC_SS : EXC_GP, 0U);
	}
	return ok;
}

/* User code that asks for it gets #AC (SDM 6.15, interrupt 17). @return false: the fault was queued */
static bool operand_is_aligned(struct acrn_vcpu *vcpu, gla_t gla)
{
	if (likely((gla & (vcpu->arch.pio.size - 1UL)) == 0UL) || (vcpu_get_cpl() != 3U) ||
		((vcpu_get_cr0(vcpu) & CR0_AM) == 0UL) || ((exec_vmread(VMX_GUEST_RFLAGS) & RFLAGS_AC) == 0UL)) {
		return true;
	}
	vcpu_inject_exception(vcpu, EXC_AC, 0U);
	return false;
}

/* Where the element is in guest-physical memory. @return 0, or -EFAULT: a fault was queued */
static int32_t find_operand(struct acrn_vcpu *vcpu, struct string_exit *str, gla_t gla)
{
	struct pio_exit *const pio = &vcpu->arch.pio;
	const uint32_t access = pio->is_in ? GUEST_WALK_WRITE : GUEST_WALK_READ;
	const uint64_t room = PAGE_SIZE - (gla & (PAGE_SIZE - 1UL));

	pio->first = (uint8_t)MIN((uint64_t)pio->size, room);
	pio->gpa[1] = INVALID_GPA;
	if (((gla & PAGE_MASK) == str->page) && (pio->first == pio->size)) {
		pio->gpa[0] = str->page_gpa + (gla & ~PAGE_MASK); /* as from a TLB */
		return 0;
	}
	for (uint32_t i = 0U; i < ((pio->first < pio->size) ? 2U : 1U); i++) {
		const gla_t at = linear(str, gla + ((i == 0U) ? 0UL : pio->first));
		uint32_t error = 0U;
		const struct guest_translation *t;
		const int32_t status = vcpu_translate(vcpu, at, access, &t, &error);

		if (status == -EFAULT) {
			vcpu_inject_pf(vcpu, error, at);
		}
		if (status != 0) {
			return status;
		}
		pio->gpa[i] = t->gpa + (at & ~PAGE_MASK);
	}
	str->page = (pio->gpa[1] == INVALID_GPA) ? (gla & PAGE_MASK) : NO_PAGE;
	str->page_gpa = pio->gpa[0] & PAGE_MASK;
	return 0;
}

/* The operand was translated at the exit; the vCPU has not run since, but the memory map may be another. */
static int32_t copy_part(struct acrn_vcpu *vcpu, gpa_t gpa, uint8_t *bytes, uint32_t size, bool to_guest)
{
	const struct guest_translation *const t =
		&vcpu->arch.translations[to_guest ? GUEST_WALK_WRITE : GUEST_WALK_READ];

	if ((t->gpa == (gpa & PAGE_MASK)) &&
		(t->generation == __atomic_load_n(&vcpu->vm->arch.ept_generation, __ATOMIC_ACQUIRE))) {
		return vcpu_copy(vcpu, t, (uint32_t)(gpa & ~PAGE_MASK), bytes, size, to_guest);
	}
	return to_guest ? copy_to_gpa(vcpu->vm, gpa, bytes, size) : copy_from_gpa(vcpu->vm, bytes, gpa, size);
}

static int32_t operand_copy(struct acrn_vcpu *vcpu, uint32_t *value, bool to_guest)
{
	const struct pio_exit *const pio = &vcpu->arch.pio;
	uint8_t *const bytes = (uint8_t *)value;
	const int32_t status = copy_part(vcpu, pio->gpa[0], bytes, pio->first, to_guest);

	if ((status != 0) || (pio->gpa[1] == INVALID_GPA)) {
		return status;
	}
	return copy_part(vcpu, pio->gpa[1], bytes + pio->first, (uint32_t)pio->size - pio->first, to_guest);
}

/* The element at hand is answered. @return false: the instruction is done, or the VM stops */
static bool end_element(struct acrn_vcpu *vcpu, uint32_t value)
{
	const struct pio_exit *const pio = &vcpu->arch.pio;
	const bool down = (exec_vmread(VMX_GUEST_RFLAGS) & RFLAGS_DF) != 0UL;
	const int64_t step = down ? -(int64_t)pio->size : (int64_t)pio->size;

	if (pio->is_in && (operand_copy(vcpu, &value, true) != 0)) {
		vcpu_fatal(vcpu, "INS from port %#x: operand is not in writable memory", pio->port);
		return false;
	}
	reg_add(vcpu, pio->is_in ? GPR_RDI : GPR_RSI, step);
	if (pio->is_rep) {
		reg_add(vcpu, GPR_RCX, -1L);
		if (rep_count(vcpu) != 0UL) {
			return true;
		}
	}
	vcpu_skip_instruction(vcpu);
	return false;
}

/* Breakpoints that the element has met: after all else that belongs to it. */
static void __noinline watch_element(struct acrn_vcpu *vcpu)
{
	const struct pio_exit *const pio = &vcpu->arch.pio;

	vcpu_watch_port(vcpu, pio->port, pio->size);
	vcpu_watch_memory(vcpu, pio->gla, pio->size, pio->is_in);
	vcpu_watch_end(vcpu);
}

static void pio_string_complete(struct acrn_vcpu *vcpu, uint32_t value)
{
	vcpu_map_begin(vcpu);
	if (end_element(vcpu, value)) {
		vcpu_end_iteration(vcpu); /* the guest executes the instruction again */
	}
	if (unlikely(vcpu->arch.watching)) {
		watch_element(vcpu);
	}
	vcpu_map_end(vcpu);
}

/* Begins an element. @return as emulate_io(); -EFAULT: a fault was queued, or the VM stops */
static int32_t begin_element(struct acrn_vcpu *vcpu, struct string_exit *str)
{
	struct pio_exit *const pio = &vcpu->arch.pio;
	struct pio_request *const req = &vcpu->req.reqs.pio;
	const uint64_t offset = operand_offset(vcpu);
	const gla_t gla = linear(str, str->base + offset);
	uint32_t value = 0U;
	int32_t status;

	pio->gla = gla;
	if (!operand_is_legal(vcpu, str, offset, gla) || !operand_is_aligned(vcpu, gla)) {
		return -EFAULT;
	}
	status = find_operand(vcpu, str, gla);
	if (status == -EFAULT) {
		return status;
	}
	if ((status == 0) && !pio->is_in) {
		status = operand_copy(vcpu, &value, false);
	}
	if (status != 0) {
		vcpu_fatal(vcpu, "string I/O at port %#x: operand at %#lx is not in memory", pio->port, gla);
		return -EFAULT;
	}
	vcpu->req.type = REQ_PORTIO;
	req->direction = pio->is_in ? REQUEST_READ : REQUEST_WRITE;
	req->address = pio->port;
	req->size = pio->size;
	req->value = value;
	status = emulate_io(vcpu, &vcpu->req);
	if (unlikely(status < 0)) {
		no_device(&vcpu->req);
		status = 0;
	}
	return status;
}

static int32_t string_start(struct acrn_vcpu *vcpu, uint64_t q)
{
	struct pio_exit *const pio = &vcpu->arch.pio;
	const uint32_t info = exec_vmread32(VMX_EXIT_INSTR_INFO);
	struct string_exit str = {.page = NO_PAGE};

	pio->is_in = (q & QUAL_IN) != 0UL;
	pio->is_rep = (q & QUAL_REP) != 0UL;
	pio->size = QUAL_SIZE(q);
	pio->port = QUAL_PORT(q);
	pio->addr_size = INFO_ADDR_SIZE(info);
	if (pio->is_rep && (rep_count(vcpu) == 0UL)) {
		vcpu_skip_instruction(vcpu);
		return VMEXIT_ENTER_AGAIN;
	}
	(void)vcpu_paging_get(vcpu);
	str.seg = pio->is_in ? SEG_ES : INFO_SEGMENT(info);
	str.ar = exec_vmread32((enum vmcs_field)(VMX_GUEST_ES_AR + 2U * str.seg));
	str.limit = exec_vmread((enum vmcs_field)(VMX_GUEST_ES_LIMIT + 2U * str.seg));
	str.base = exec_vmread(VMX_GUEST_LINEAR_ADDR) - operand_offset(vcpu);
	str.code64 = ((vcpu->arch.efer & EFER_LMA) != 0UL) && ((exec_vmread(VMX_GUEST_CS_AR) & BIT(13)) != 0UL);
	for (uint32_t i = 0U; i < BATCH; i++) {
		const int32_t status = begin_element(vcpu, &str);
		bool more;

		if (status == IOREQ_PENDING) {
			return VMEXIT_LOOK_UP;
		}
		if (status < 0) {
			break;
		}
		more = end_element(vcpu, vcpu->req.reqs.pio.value);
		if (more && (i == 0U)) {
			vcpu_end_iteration(vcpu);
		}
		if (unlikely(vcpu->arch.watching)) {
			watch_element(vcpu);
			break;
		}
		/* Interrupts and single steps come between elements. */
		if (!more || (vcpu->arch.check_events != CHECK_NOTHING) || vcpu_is_disturbed(vcpu)) {
			break;
		}
	}
	return VMEXIT_ENTER_AGAIN;
}
