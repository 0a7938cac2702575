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
#define QUAL_SIZE(q)   ((uint8_t)(((q) & 7UL) + 1UL))
#define QUAL_IN        BIT(3)
#define QUAL_STRING    BIT(4)
#define QUAL_REP       BIT(5)
#define QUAL_PORT(q)   ((uint16_t)((q) >> 16U))

/* Exit instruction information for INS and OUTS: SDM table 28-8. */
#define INFO_ADDR_SIZE(i) ((uint8_t)(2U << (((i) >> 7U) & 3U)))
#define INFO_SEGMENT(i)   (((i) >> 15U) & 7U)

#define SEG_ES 0U
#define SEG_CS 1U
#define SEG_SS 2U

static int32_t __noinline string_start(struct acrn_vcpu *vcpu);

/* An access over the edge of a device is answered by nobody, as on a bus: ones, or lost. emulate_io() has logged it. */
static void no_device(struct io_request *io_req)
{
	io_req->reqs.pio.value = (uint32_t)mask_bytes(io_req->reqs.pio.size);
}

int32_t pio_instr_vmexit_handler(struct acrn_vcpu *vcpu)
{
	const uint64_t q = vcpu->arch.exit_qualification;
	struct pio_exit *const pio = &vcpu->arch.pio;
	struct pio_request *const req = &vcpu->req.reqs.pio;
	int32_t status;

	pio->is_string = (q & QUAL_STRING) != 0UL;
	pio->is_in = (q & QUAL_IN) != 0UL;
	pio->is_rep = (q & QUAL_REP) != 0UL;
	pio->size = QUAL_SIZE(q);
	pio->port = QUAL_PORT(q);
	if (unlikely(pio->is_string)) {
		return string_start(vcpu);
	}

	vcpu->req.type = REQ_PORTIO;
	req->direction = pio->is_in ? REQUEST_READ : REQUEST_WRITE;
	req->address = pio->port;
	req->size = pio->size;
	req->value = pio->is_in ? 0U : (uint32_t)(vcpu->arch.gprs.reg[GPR_RAX] & mask_bytes(pio->size));

	status = emulate_io(vcpu, &vcpu->req);
	if (unlikely(status < 0)) {
		no_device(&vcpu->req);
	}
	if (status != IOREQ_PENDING) {
		emulate_pio_post(vcpu, &vcpu->req);
	}
	return 0;
}

/* Goes on with a string I/O instruction: the element at hand is answered. */
static void __noinline pio_string_complete(struct acrn_vcpu *vcpu, uint32_t value);

/* The end of an IN or OUT while DR7 has breakpoints. */
static void __noinline watched_end(struct acrn_vcpu *vcpu)
{
	vcpu_skip_instruction(vcpu);
	vcpu_watch_port(vcpu, vcpu->arch.pio.port, vcpu->arch.pio.size);
	vcpu_watch_end(vcpu);
}

void emulate_pio_post(struct acrn_vcpu *vcpu, const struct io_request *io_req)
{
	const struct pio_request *const req = &io_req->reqs.pio;
	uint64_t *const rax = &vcpu->arch.gprs.reg[GPR_RAX];

	if (unlikely(vcpu->arch.pio.is_string)) {
		pio_string_complete(vcpu, req->value);
		return;
	}
	if (req->direction == REQUEST_READ) {
		if (req->size == 4UL) {
			*rax = req->value; /* a 32-bit result clears the upper half (SDM vol 1, 3.4.1.1) */
		} else {
			const uint64_t mask = mask_bytes(req->size);

			*rax = (*rax & ~mask) | (req->value & mask);
		}
	}
	if (unlikely(vcpu->arch.watching)) {
		watched_end(vcpu);
		return;
	}
	vcpu_skip_instruction(vcpu);
}

/* ---- INS and OUTS ---- */

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

static uint64_t rep_count(const struct acrn_vcpu *vcpu)
{
	return vcpu->arch.gprs.reg[GPR_RCX] & addr_mask(&vcpu->arch.pio);
}

/* Segment limit and canonical checks, which come after the exit (SDM 26.1.1). @return false: a fault was queued */
static bool operand_is_legal(struct acrn_vcpu *vcpu, uint32_t seg, uint64_t offset, gla_t gla)
{
	const struct pio_exit *const pio = &vcpu->arch.pio;
	const bool code64 = ((vcpu->arch.efer & EFER_LMA) != 0UL) && ((exec_vmread(VMX_GUEST_CS_AR) & BIT(13)) != 0UL);
	const uint8_t vector = (seg == SEG_SS) ? EXC_SS : EXC_GP;
	const uint32_t ar = exec_vmread32((enum vmcs_field)(VMX_GUEST_ES_AR + 2U * seg));
	const uint64_t limit = exec_vmread((enum vmcs_field)(VMX_GUEST_ES_LIMIT + 2U * seg));
	const uint64_t last = offset + pio->size - 1UL;
	const uint32_t type = ar & 0xFU;
	bool ok;

	if (code64) {
		const uint32_t shift = ((vcpu_get_cr4(vcpu) & CR4_LA57) != 0UL) ? 7U : 16U;
		const uint64_t end = gla + pio->size - 1UL;

		ok = ((uint64_t)((int64_t)(gla << shift) >> shift) == gla) &&
		     ((uint64_t)((int64_t)(end << shift) >> shift) == end);
	} else if ((ar & SEG_AR_UNUSABLE) != 0U) {
		ok = false;
	} else if (((type & 8U) == 0U) && ((type & 4U) != 0U)) {
		const uint64_t top = ((ar & BIT(14)) != 0U) ? 0xFFFFFFFFUL : 0xFFFFUL; /* expand down */

		ok = (offset > limit) && (last <= top);
	} else {
		ok = last <= limit;
	}
	if (ok && !code64 && ((vcpu_get_cr0(vcpu) & CR0_PE) != 0UL)) {
		/* INS writes, OUTS reads; code is never writable and not always readable. */
		ok = pio->is_in ? ((type & 0xAU) == 0x2U) : ((type & 0xAU) != 0x8U);
	}
	if (!ok) {
		vcpu_inject_exception(vcpu, vector, 0U);
	}
	return ok;
}

/* Where the element is in guest-physical memory. @return 0, or -EFAULT: a fault was queued */
static int32_t find_operand(struct acrn_vcpu *vcpu, gla_t gla)
{
	struct pio_exit *const pio = &vcpu->arch.pio;
	const uint32_t access = pio->is_in ? GUEST_WALK_WRITE : GUEST_WALK_READ;
	const uint64_t room = PAGE_SIZE - (gla & (PAGE_SIZE - 1UL));

	pio->first = (uint8_t)MIN((uint64_t)pio->size, room);
	pio->gpa[1] = INVALID_GPA;
	for (uint32_t i = 0U; i < ((pio->first < pio->size) ? 2U : 1U); i++) {
		const gla_t at = gla + ((i == 0U) ? 0UL : pio->first);
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
	return 0;
}

static int32_t operand_copy(struct acrn_vcpu *vcpu, uint32_t *value, bool to_guest)
{
	const struct pio_exit *const pio = &vcpu->arch.pio;
	uint8_t *const bytes = (uint8_t *)value;
	int32_t status;

	for (uint32_t i = 0U; i < 2U; i++) {
		const size_t offset = (i == 0U) ? 0U : pio->first;
		const size_t size = (i == 0U) ? pio->first : (size_t)(pio->size - pio->first);

		if (pio->gpa[i] == INVALID_GPA) {
			break;
		}
		status = to_guest ? copy_to_gpa(vcpu->vm, pio->gpa[i], bytes + offset, size)
				  : copy_from_gpa(vcpu->vm, bytes + offset, pio->gpa[i], size);
		if (status != 0) {
			return status;
		}
	}
	return 0;
}

static int32_t string_start(struct acrn_vcpu *vcpu)
{
	struct pio_exit *const pio = &vcpu->arch.pio;
	struct pio_request *const req = &vcpu->req.reqs.pio;
	const uint32_t info = exec_vmread32(VMX_EXIT_INSTR_INFO);
	const bool has_info = (cpu_caps.vmx_basic & BIT(54)) != 0UL;
	uint32_t seg = pio->is_in ? SEG_ES : INFO_SEGMENT(info);
	uint64_t offset;
	gla_t gla;
	uint32_t value = 0U;
	int32_t status;

	if (!has_info) {
		vcpu_fatal(vcpu, "string I/O at port %#x: this CPU does not report its operands", pio->port);
		return -EIO;
	}
	pio->addr_size = INFO_ADDR_SIZE(info);
	if (pio->is_rep && (rep_count(vcpu) == 0UL)) {
		vcpu_skip_instruction(vcpu);
		return 0;
	}
	vcpu_paging_get(vcpu);
	offset = vcpu->arch.gprs.reg[pio->is_in ? GPR_RDI : GPR_RSI] & addr_mask(pio);
	gla = exec_vmread(VMX_GUEST_LINEAR_ADDR);
	pio->gla = gla;
	if (!operand_is_legal(vcpu, seg, offset, gla)) {
		return 0;
	}
	status = find_operand(vcpu, gla);
	if (status == -EFAULT) {
		return 0;
	}
	if ((status == 0) && !pio->is_in) {
		status = operand_copy(vcpu, &value, false);
	}
	if (status != 0) {
		vcpu_fatal(vcpu, "string I/O at port %#x: operand at %#lx is not in memory", pio->port, gla);
		return status;
	}
	vcpu->req.type = REQ_PORTIO;
	req->direction = pio->is_in ? REQUEST_READ : REQUEST_WRITE;
	req->address = pio->port;
	req->size = pio->size;
	req->value = value;
	status = emulate_io(vcpu, &vcpu->req);
	if (unlikely(status < 0)) {
		no_device(&vcpu->req);
	}
	if (status != IOREQ_PENDING) {
		pio_string_complete(vcpu, req->value);
	}
	return 0;
}

/* Registers and RIP after an element. */
static void string_advance(struct acrn_vcpu *vcpu)
{
	const struct pio_exit *const pio = &vcpu->arch.pio;
	const bool down = (exec_vmread(VMX_GUEST_RFLAGS) & RFLAGS_DF) != 0UL;
	const int64_t step = down ? -(int64_t)pio->size : (int64_t)pio->size;

	reg_add(vcpu, pio->is_in ? GPR_RDI : GPR_RSI, step);
	if (pio->is_rep) {
		reg_add(vcpu, GPR_RCX, -1L);
		if (rep_count(vcpu) != 0UL) {
			vcpu_end_iteration(vcpu); /* the guest executes the instruction again */
			return;
		}
	}
	vcpu_skip_instruction(vcpu);
}

static void pio_string_complete(struct acrn_vcpu *vcpu, uint32_t value)
{
	const struct pio_exit *const pio = &vcpu->arch.pio;

	/* The operand was translated at the exit; the vCPU has not run since. */
	if (pio->is_in) {
		const bool outermost = vcpu_map_begin(vcpu);
		const int32_t status = operand_copy(vcpu, &value, true);

		if (outermost) {
			vcpu_map_end(vcpu);
		}
		if (status != 0) {
			vcpu_fatal(vcpu, "INS from port %#x: operand is not in writable memory", pio->port);
			return;
		}
	}
	string_advance(vcpu);
	if (unlikely(vcpu->arch.watching)) {
		vcpu_watch_port(vcpu, pio->port, pio->size);
		vcpu_watch_memory(vcpu, pio->gla, pio->size, pio->is_in);
		vcpu_watch_end(vcpu);
	}
}
