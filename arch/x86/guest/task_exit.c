/* SPDX-License-Identifier: BSD-3-Clause */
/* Exits for task switches (SDM vol 3, 26.4.2): registers from the VMCS, task_switch(), and back into the VMCS. */
#include <asm/guest.h>

#include <asm/page.h>
#include <asm/task_switch.h>
#include <hv/arch.h>
#include <hv/upcall.h>
#include <lib/bits.h>
#include <lib/errno.h>

/* Exit qualification: SDM table 28-2. */
#define QUAL_SELECTOR(q) ((uint16_t)(q))
#define QUAL_SOURCE(q)   ((enum task_source)(((q) >> 30U) & 3UL))

#define DR6_BT    BIT(15)
#define DR7_LOCAL 0x155UL /* L0 to L3, LE: cleared by a task switch */
#define ERROR_EXT 1U      /* in an error code: the event came from outside the program */

#define WALK_RETRIES 64U

/* ---- The guest's memory ---- */

/*
 * Translates the part of the range that is in its first page, and copies it unless `data` is NULL.
 * @return 0 with *chunk, or as task_ops say
 */
static int32_t first_page(struct acrn_vcpu *vcpu, uint32_t gla, void *data, uint32_t size, uint32_t access,
	uint32_t *chunk, struct task_fault *fault)
{
	const uint32_t offset = gla & (uint32_t)(PAGE_SIZE - 1UL);
	const struct guest_translation *t;
	uint32_t error = 0U;
	int32_t status = -EAGAIN;

	*chunk = MIN(size, (uint32_t)PAGE_SIZE - offset);
	/* A switch cannot be given up half-way because other CPUs change the page tables' accessed bits. */
	for (uint32_t i = 0U; (i < WALK_RETRIES) && (status == -EAGAIN); i++) {
		status = vcpu_translate(vcpu, gla, access, &t, &error);
	}
	if (status == -EFAULT) {
		*fault = (struct task_fault){.vector = EXC_PF, .error = error, .cr2 = gla};
	}
	if ((status == 0) && (data != NULL) &&
		(vcpu_copy(vcpu, t, offset, data, *chunk, (access & GUEST_WALK_WRITE) != 0U) != 0)) {
		status = -EIO;
	}
	return status;
}

static int32_t mem_access(
	struct acrn_vcpu *vcpu, uint32_t gla, uint8_t *data, uint32_t size, uint32_t access, struct task_fault *fault)
{
	uint32_t chunk;
	int32_t status = 0;

	for (; (size != 0U) && (status == 0); size -= chunk, gla += chunk) {
		status = first_page(vcpu, gla, data, size, access, &chunk, fault);
		data = (data == NULL) ? NULL : (data + chunk);
	}
	return status;
}

static int32_t mem_read(void *arg, uint32_t gla, void *buf, uint32_t size, uint32_t access, struct task_fault *fault)
{
	return mem_access(arg, gla, buf, size, access, fault);
}

static int32_t mem_write(void *arg, uint32_t gla, void *buf, uint32_t size, uint32_t access, struct task_fault *fault)
{
	return mem_access(arg, gla, buf, size, access, fault);
}

static int32_t mem_check(void *arg, uint32_t gla, uint32_t size, uint32_t access, struct task_fault *fault)
{
	return mem_access(arg, gla, NULL, size, access, fault);
}

static int32_t load_cr3(void *arg, uint32_t cr3)
{
	struct acrn_vcpu *const vcpu = arg;

	exec_vmwrite(VMX_GUEST_CR3, cr3);
	vmx_invvpid(vcpu->arch.vpid);
	if (((vcpu_get_cr4(vcpu) & CR4_PAE) != 0UL) && !vcpu_load_pdptes(vcpu)) {
		return -EACCES;
	}
	(void)vcpu_paging_get(vcpu);
	return 0;
}

/* ---- Registers ---- */

static bool is_software_event(uint32_t info)
{
	const uint32_t type = info & INTR_INFO_TYPE_MASK;

	return (type == INTR_TYPE_SW_INT) || (type == INTR_TYPE_PRIV_SW_EXC) || (type == INTR_TYPE_SW_EXC);
}

/* \p event: IDT-vectoring information, 0 for an instruction. */
static void state_get(struct acrn_vcpu *vcpu, struct task_state *st, uint32_t event)
{
	for (uint32_t i = 0U; i < ARRAY_SIZE(st->gpr); i++) {
		st->gpr[i] = (uint32_t)vcpu_get_gpr(vcpu, i);
	}
	st->eip = (uint32_t)exec_vmread(VMX_GUEST_RIP);
	if ((event == 0U) || is_software_event(event)) {
		st->eip += exec_vmread32(VMX_EXIT_INSTR_LEN);
	}
	st->eflags = (uint32_t)exec_vmread(VMX_GUEST_RFLAGS);
	st->cr3 = (uint32_t)exec_vmread(VMX_GUEST_CR3);
	st->paging = (vcpu_get_cr0(vcpu) & CR0_PG) != 0UL;
	st->gdt_base = (uint32_t)exec_vmread(VMX_GUEST_GDTR_BASE);
	st->gdt_limit = exec_vmread32(VMX_GUEST_GDTR_LIMIT);
	for (uint32_t i = 0U; i < TASK_SEGS; i++) {
		st->seg[i].sel = (uint16_t)exec_vmread((enum vmcs_field)(VMX_GUEST_ES_SEL + 2U * i));
		st->seg[i].base = (uint32_t)exec_vmread((enum vmcs_field)(VMX_GUEST_ES_BASE + 2U * i));
		st->seg[i].limit = exec_vmread32((enum vmcs_field)(VMX_GUEST_ES_LIMIT + 2U * i));
		st->seg[i].ar = exec_vmread32((enum vmcs_field)(VMX_GUEST_ES_AR + 2U * i));
	}
}

static void state_put(struct acrn_vcpu *vcpu, const struct task_state *st)
{
	const uint64_t shadow = exec_vmread(VMX_GUEST_INTERRUPTIBILITY);

	for (uint32_t i = 0U; i < ARRAY_SIZE(st->gpr); i++) {
		vcpu_set_gpr(vcpu, i, st->gpr[i]);
	}
	exec_vmwrite(VMX_GUEST_RIP, st->eip);
	exec_vmwrite(VMX_GUEST_RFLAGS, st->eflags);
	for (uint32_t i = 0U; i < TASK_SEGS; i++) {
		exec_vmwrite((enum vmcs_field)(VMX_GUEST_ES_SEL + 2U * i), st->seg[i].sel);
		exec_vmwrite((enum vmcs_field)(VMX_GUEST_ES_BASE + 2U * i), st->seg[i].base);
		exec_vmwrite((enum vmcs_field)(VMX_GUEST_ES_LIMIT + 2U * i), st->seg[i].limit);
		exec_vmwrite((enum vmcs_field)(VMX_GUEST_ES_AR + 2U * i), st->seg[i].ar);
	}
	exec_vmwrite(VMX_GUEST_CR0, exec_vmread(VMX_GUEST_CR0) | CR0_TS);
	exec_vmwrite(VMX_GUEST_DR7, exec_vmread(VMX_GUEST_DR7) & ~DR7_LOCAL);
	exec_vmwrite(VMX_GUEST_INTERRUPTIBILITY, shadow & ~(uint64_t)(BLOCK_BY_STI | BLOCK_BY_MOV_SS));
	exec_vmwrite(VMX_GUEST_PENDING_DEBUG, 0UL);
}

/* An NMI's handler runs until the IRET of its task, which is a task switch itself. */
static void nmi_blocking(enum task_source source, uint32_t event)
{
	const uint64_t state = exec_vmread(VMX_GUEST_INTERRUPTIBILITY);

	if (source == TASK_IRET) {
		exec_vmwrite(VMX_GUEST_INTERRUPTIBILITY, state & ~(uint64_t)BLOCK_BY_NMI);
	} else if ((event & INTR_INFO_TYPE_MASK) == INTR_TYPE_NMI) {
		exec_vmwrite(VMX_GUEST_INTERRUPTIBILITY, state | BLOCK_BY_NMI);
	}
}

/* ---- The exit ---- */

static void inject(struct acrn_vcpu *vcpu, const struct task_fault *fault, uint32_t event)
{
	const bool external = (event != 0U) && ((event & INTR_INFO_TYPE_MASK) != INTR_TYPE_SW_INT) &&
		((event & INTR_INFO_TYPE_MASK) != INTR_TYPE_SW_EXC);

	if (fault->vector == EXC_PF) {
		vcpu_inject_pf(vcpu, fault->error, fault->cr2);
	} else {
		vcpu_inject_exception(vcpu, fault->vector, fault->error | (external ? ERROR_EXT : 0U));
	}
}

int32_t task_switch_vmexit_handler(struct acrn_vcpu *vcpu)
{
	static const struct task_ops template = {
		.read = mem_read, .write = mem_write, .check = mem_check, .load_cr3 = load_cr3};
	struct vcpu_arch *const arch = &vcpu->arch;
	const uint64_t qualification = exec_vmread(VMX_EXIT_QUALIFICATION);
	struct task_ops ops = template;
	struct task_request rq = {.selector = QUAL_SELECTOR(qualification), .source = QUAL_SOURCE(qualification)};
	struct task_fault fault;
	struct task_state st;
	uint32_t event = 0U;
	int32_t status;

	if (rq.source == TASK_IDT) {
		vcpu_save_vectoring(vcpu);
		event = arch->reinject_info;
		rq.has_error = (event & INTR_INFO_ERROR_CODE) != 0U;
		rq.error = arch->reinject_error;
	}
	ops.arg = vcpu;
	(void)vcpu_paging_get(vcpu);
	state_get(vcpu, &st, event);
	status = task_switch(&st, &rq, &ops, &fault);
	if ((status < 0) && (status != -EFAULT)) {
		vcpu_fatal(vcpu, "task switch to selector %#x: its TSS or descriptors are not in memory", rq.selector);
		return status;
	}
	if (status != -EFAULT) {
		state_put(vcpu, &st);
		nmi_blocking(rq.source, event);
	}
	if (status != 0) {
		inject(vcpu, &fault, event);
		return 0;
	}
	arch->reinject_info = 0U; /* delivered */
	if (st.debug_trap) {
		vcpu_inject_db(vcpu, DR6_BT);
	}
	return 0;
}
