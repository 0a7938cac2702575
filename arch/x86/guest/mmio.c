/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses to guest-physical addresses that are not memory: the EPT violation, the instruction emulated, and the
 * emulator's view of the guest. asm/instr.h says how an emulation is resumed after the Service VM's answer.
 */
#include <asm/guest.h>

#include <asm/caps.h>
#include <asm/ept.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/upcall.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

/* Exit qualification for EPT violations: SDM table 28-7. */
#define QUAL_READ        BIT(0)
#define QUAL_WRITE       BIT(1)
#define QUAL_FETCH       BIT(2)
#define QUAL_MAPPED      (7UL << 3U) /* rights that the EPT gives */
#define QUAL_LINEAR      BIT(7)      /* there is a linear address */
#define QUAL_TRANSLATED  BIT(8)      /* the access is to where it leads, not on the way there */
#define QUAL_NMI_UNBLOCK BIT(12)

#define MMIO_RETRIES 3U  /* times that undecodable bytes are fetched again: another CPU may be changing them */
#define REP_BATCH    64U /* elements of a REP instruction per exit */

/* ---- The emulator's view of the vCPU ---- */

static uint64_t get_reg(void *arg, uint32_t reg)
{
	struct acrn_vcpu *const vcpu = arg;

	if (reg == INSTR_REG_RIP) {
		return exec_vmread(VMX_GUEST_RIP);
	}
	if (reg == INSTR_REG_RFLAGS) {
		return exec_vmread(VMX_GUEST_RFLAGS);
	}
	return vcpu_get_gpr(vcpu, reg);
}

static void put_reg(void *arg, uint32_t reg, uint64_t val)
{
	struct acrn_vcpu *const vcpu = arg;

	if (reg == INSTR_REG_RIP) {
		vcpu_retire_to(vcpu, val);
	} else if (reg == INSTR_REG_RFLAGS) {
		exec_vmwrite(VMX_GUEST_RFLAGS, val);
	} else {
		vcpu_set_gpr(vcpu, reg, val);
	}
}

static void get_seg(void *arg, uint32_t seg, struct instr_seg *val)
{
	(void)arg;
	val->base = exec_vmread((enum vmcs_field)(VMX_GUEST_ES_BASE + 2U * seg));
	val->limit = exec_vmread32((enum vmcs_field)(VMX_GUEST_ES_LIMIT + 2U * seg));
	val->attr = exec_vmread32((enum vmcs_field)(VMX_GUEST_ES_AR + 2U * seg));
	val->selector = (uint16_t)exec_vmread((enum vmcs_field)(VMX_GUEST_ES_SEL + 2U * seg));
}

static void get_vec(void *arg, uint32_t reg, uint8_t val[32])
{
	vcpu_get_vec(arg, reg, val);
}

static void put_vec(void *arg, uint32_t reg, const uint8_t *val, uint32_t size, bool zero_rest)
{
	vcpu_put_vec(arg, reg, val, size, zero_rest);
}

static int32_t translate(
	struct acrn_vcpu *vcpu, gla_t gla, bool write, const struct guest_translation **t, struct instr_fault *fault)
{
	uint32_t error = 0U;
	const int32_t status = vcpu_translate(vcpu, gla, write ? GUEST_WALK_WRITE : GUEST_WALK_READ, t, &error);

	if (status == -EFAULT) {
		*fault =
			(struct instr_fault){.vector = EXC_PF, .has_error_code = true, .error_code = error, .cr2 = gla};
	}
	return status;
}

static int32_t mem_check(void *arg, gla_t gla, uint32_t size, uint32_t access, struct instr_fault *fault)
{
	const struct guest_translation *t;

	(void)size;
	return translate(arg, gla, (access & INSTR_ACCESS_WRITE) != 0U, &t, fault);
}

static int32_t device_access(struct acrn_vcpu *vcpu, gpa_t gpa, uint32_t size, uint64_t *val, bool write)
{
	struct mmio_request *const req = &vcpu->req.reqs.mmio;
	int32_t status;

	/* The local APIC's page belongs to each vCPU for itself. */
	if (vlapic_is_at(&vcpu->arch.vlapic, gpa & PAGE_MASK)) {
		return write ? vlapic_mmio_write(&vcpu->arch.vlapic, (uint32_t)(gpa & 0xFFFUL), size, *val)
			     : vlapic_mmio_read(&vcpu->arch.vlapic, (uint32_t)(gpa & 0xFFFUL), size, val);
	}
	vcpu->req.type = REQ_MMIO;
	req->direction = write ? REQUEST_WRITE : REQUEST_READ;
	req->address = gpa;
	req->size = size;
	req->value = *val; /* emulate_io() cuts it */
	status = emulate_io(vcpu, &vcpu->req);
	if (likely(status == 0)) {
		*val = req->value;
	} else if (status == -EIO) {
		/* Over the end of a device: answered by nobody, as on a bus. emulate_io() has logged it. */
		*val = mask_bytes(size);
		status = 0;
	}
	/* To the emulator -EFAULT is a fault of the guest's own; here it says that the VM was stopped. */
	return (status == -EFAULT) ? -EIO : status;
}

static int32_t mem_access(
	struct acrn_vcpu *vcpu, gla_t gla, uint32_t size, uint64_t *val, bool write, struct instr_fault *fault)
{
	const uint32_t need = write ? GPA_WRITE : GPA_READ;
	const uint32_t offset = (uint32_t)(gla & ~PAGE_MASK);
	const struct guest_translation *t;
	const int32_t status = translate(vcpu, gla, write, &t, fault);

	if (status != 0) {
		return status;
	}
	if (unlikely(vcpu->arch.watching)) {
		vcpu_watch_memory(vcpu, gla, size, write);
	}
	if ((t->rights & need) == 0U) {
		return device_access(vcpu, t->gpa + offset, size, val, write);
	}
	if (!write) {
		*val = 0UL;
	}
	if (vcpu_copy(vcpu, t, offset, val, size, write) != 0) {
		/* Memory that is not RAM: one instruction between an emulated device and a passed-through one. */
		pr_guest(vcpu->vm->vm_id, vcpu->vcpu_id, "emulated access to gpa %#lx, which is not RAM",
			t->gpa + offset);
		return -EIO;
	}
	return 0;
}

static int32_t mem_read(void *arg, gla_t gla, uint32_t size, uint64_t *val, struct instr_fault *fault)
{
	return mem_access(arg, gla, size, val, false, fault);
}

static int32_t mem_write(void *arg, gla_t gla, uint32_t size, uint64_t val, struct instr_fault *fault)
{
	return mem_access(arg, gla, size, &val, true, fault);
}

static const struct instr_ops emul_ops = {
	.get_reg = get_reg,
	.put_reg = put_reg,
	.get_seg = get_seg,
	.get_vec = get_vec,
	.put_vec = put_vec,
	.mem_check = mem_check,
	.mem_read = mem_read,
	.mem_write = mem_write,
};

/* ---- The instruction ---- */

static void emul_cpu_get(struct acrn_vcpu *vcpu, struct instr_cpu *cpu)
{
	const uint32_t cs = exec_vmread32(VMX_GUEST_CS_AR);
	const bool lma = (vcpu->arch.efer & EFER_LMA) != 0UL;

	cpu->vm86 = (vcpu_paging_get(vcpu) & RFLAGS_VM) != 0UL;
	cpu->cpl = cpu->vm86 ? 3U : vcpu->arch.paging.cpl;
	cpu->cr0 = vcpu->arch.paging.cr0;
	cpu->cr4 = vcpu->arch.paging.cr4;
	cpu->xcr0 = vcpu->arch.xcr0;
	cpu->has_tzcnt = cpu_caps.has_tzcnt;
	cpu->has_lzcnt = cpu_caps.has_lzcnt;
	if (lma && ((cs & BIT(13)) != 0U)) {
		cpu->mode = INSTR_MODE_64;
	} else {
		cpu->mode = ((cs & BIT(14)) != 0U) ? INSTR_MODE_32 : INSTR_MODE_16;
	}
}

static int32_t emulation_failed(struct acrn_vcpu *vcpu, int32_t status)
{
	const struct instr *const in = &vcpu->arch.emul.in;
	const uint8_t *const b = in->bytes;

	vcpu->arch.emul_active = false;
	vcpu_fatal(vcpu,
		"MMIO instruction at rip %#lx cannot be emulated (%d): %02x %02x %02x %02x %02x %02x %02x "
		"%02x",
		exec_vmread(VMX_GUEST_RIP), status, b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]);
	return status;
}

/* What emulation came to. @return VMEXIT_*, or negative */
static int32_t emulated(struct acrn_vcpu *vcpu, int32_t status)
{
	const struct instr_fault *const fault = &vcpu->arch.emul.fault;

	vcpu->arch.emul_active = status == INSTR_PENDING;
	if (likely(status == 0)) {
		return VMEXIT_ENTER_AGAIN;
	}
	if (status == -EFAULT) {
		if (fault->vector == EXC_PF) {
			vcpu_inject_pf(vcpu, fault->error_code, fault->cr2);
		} else {
			vcpu_inject_exception(vcpu, fault->vector, fault->error_code);
		}
		return VMEXIT_ENTER_AGAIN;
	}
	if ((status == -EIO) || (status == -EAGAIN)) {
		/* The VM was stopped, there is no memory where there must be; or it is to be executed again. */
		if (status == -EIO) {
			vcpu_inject_gp(vcpu);
		}
		return VMEXIT_ENTER_AGAIN;
	}
	if (status < 0) {
		return emulation_failed(vcpu, status);
	}
	return (status == INSTR_PENDING) ? VMEXIT_LOOK_UP : VMEXIT_ENTER_AGAIN;
}

/* Goes on with a repeated instruction. A debugger sees each iteration. */
static int32_t __noinline emulate_more(struct acrn_vcpu *vcpu)
{
	const bool debugged = vcpu->arch.watching || ((exec_vmread(VMX_GUEST_RFLAGS) & RFLAGS_TF) != 0UL);
	int32_t status = INSTR_MORE;

	for (uint32_t i = 1U; (i < REP_BATCH) && (status == INSTR_MORE) && !debugged; i++) {
		status = instr_emul_run(&vcpu->arch.emul);
	}
	if (status == INSTR_MORE) {
		vcpu_end_iteration(vcpu); /* the guest executes the instruction again */
	}
	return status;
}

/* Runs the instruction in `emul` until it is done, waits, or has used up its batch. @return VMEXIT_*, or negative */
static int32_t emulate(struct acrn_vcpu *vcpu)
{
	struct instr_emul *const emul = &vcpu->arch.emul;
	int32_t status = instr_emul_run(emul);

	if (unlikely(status == INSTR_MORE)) {
		status = emulate_more(vcpu);
	}
	if (unlikely(vcpu->arch.watching) && ((status == 0) || (status == INSTR_MORE))) {
		vcpu_watch_end(vcpu);
	}
	return emulated(vcpu, status);
}

/* ---- The short way ---- */

/*
 * The access is an instruction's, the CPU has translated it and found all in order but that nothing is there, not even
 * memory that it may not write: what asm/instr.h calls simple needs no second look at segments and page tables, but for
 * the instruction's bytes.
 */
static inline bool may_be_simple(const struct acrn_vcpu *vcpu, uint64_t qualification)
{
	const uint64_t looked_at = QUAL_FETCH | QUAL_MAPPED | QUAL_LINEAR | QUAL_TRANSLATED | QUAL_NMI_UNBLOCK;

	return ((qualification & looked_at) == (QUAL_LINEAR | QUAL_TRANSLATED)) && (vcpu->arch.reinject_info == 0U) &&
		!vcpu->arch.watching;
}

/* @return false: not so simple; else *ret is as emulate()'s */
static bool emulate_simple(struct acrn_vcpu *vcpu, uint64_t qualification, int32_t *ret)
{
	struct instr_emul *const emul = &vcpu->arch.emul;
	const uint64_t rip = exec_vmread(VMX_GUEST_RIP);
	const gpa_t gpa = exec_vmread(VMX_GUEST_PHYS_ADDR);
	uint8_t bytes[INSTR_MAX_LEN];
	uint64_t value = 0UL;
	uint32_t access;
	int32_t status;

	if (!vcpu_fetch_again(vcpu, rip, bytes)) {
		return false;
	}
	access = instr_simple_start(emul, &emul_ops, vcpu, bytes);
	/*
	 * Another CPU may have changed the instruction. Misaligned operands may be in two pages, and whether #AC goes
	 * before an EPT violation is not said (SDM table 7-2).
	 */
	if ((access != (qualification & (QUAL_READ | QUAL_WRITE))) || ((gpa & (emul->in.mem_size - 1UL)) != 0UL)) {
		return false;
	}
	if (access == INSTR_ACCESS_WRITE) {
		value = instr_simple_value(emul);
	}
	status = device_access(vcpu, gpa, emul->in.mem_size, &value, access == INSTR_ACCESS_WRITE);
	if (likely(status == 0)) {
		instr_simple_end(emul, value, rip);
	}
	vcpu->arch.emul_retries = 0U;
	vcpu->arch.emul_simple = status == INSTR_PENDING;
	*ret = emulated(vcpu, status);
	return true;
}

/* ---- The exit ---- */

static int32_t fetch_failed(struct acrn_vcpu *vcpu)
{
	const gpa_t gpa = exec_vmread(VMX_GUEST_PHYS_ADDR);
	const int32_t status = ept_fetch(vcpu->vm, gpa);

	if (status != 0) {
		vcpu_fatal(vcpu, "executes at gpa %#lx (rip %#lx), where there is no memory", gpa,
			exec_vmread(VMX_GUEST_RIP));
	}
	return status;
}

/* Any access that is not simple, and those that no VM comes through. */
static int32_t __noinline emulate_any(struct acrn_vcpu *vcpu, uint64_t qualification)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	uint8_t bytes[INSTR_MAX_LEN];
	struct instr_cpu cpu;
	uint32_t got;
	int32_t status;

	if (((qualification & QUAL_NMI_UNBLOCK) != 0UL) && (arch->reinject_info == 0U)) {
		exec_vmwrite(VMX_GUEST_INTERRUPTIBILITY, exec_vmread(VMX_GUEST_INTERRUPTIBILITY) | BLOCK_BY_NMI);
	}
	if ((qualification & QUAL_FETCH) != 0UL) {
		return fetch_failed(vcpu);
	}
	if (arch->reinject_info != 0U) {
		vcpu_fatal(vcpu, "delivers event %#x through gpa %#lx, where there is no memory", arch->reinject_info,
			exec_vmread(VMX_GUEST_PHYS_ADDR));
		return -EFAULT;
	}
	emul_cpu_get(vcpu, &cpu);
	got = vcpu_fetch(vcpu, cpu.mode == INSTR_MODE_64, bytes);
	if (got == 0U) {
		return 0;
	}
	arch->watch_hits = 0U;
	arch->emul_simple = false;
	instr_emul_init(&arch->emul, &emul_ops, vcpu, &cpu);
	status = instr_emul_start(&arch->emul, bytes, got);
	if (status != 0) {
		arch->emul_retries++;
		return (arch->emul_retries > MMIO_RETRIES) ? emulation_failed(vcpu, status) : 0;
	}
	arch->emul_retries = 0U;
	return emulate(vcpu);
}

int32_t ept_violation_vmexit_handler(struct acrn_vcpu *vcpu)
{
	const uint64_t qualification = exec_vmread(VMX_EXIT_QUALIFICATION);
	int32_t ret;

	vcpu_save_vectoring(vcpu);
	if (may_be_simple(vcpu, qualification) && emulate_simple(vcpu, qualification, &ret)) {
		return ret;
	}
	return emulate_any(vcpu, qualification);
}

void emulate_mmio_post(struct acrn_vcpu *vcpu, const struct io_request *io_req)
{
	if (!vcpu->arch.emul_active) {
		return;
	}
	if (vcpu->arch.emul_simple) {
		vcpu->arch.emul_active = false;
		vcpu->arch.emul_simple = false;
		instr_simple_end(&vcpu->arch.emul, io_req->reqs.mmio.value, exec_vmread(VMX_GUEST_RIP));
		return;
	}
	vcpu_map_begin(vcpu);
	if (instr_emul_complete(&vcpu->arch.emul, io_req->reqs.mmio.value) == 0) {
		(void)emulate(vcpu);
	}
	vcpu_map_end(vcpu);
}
