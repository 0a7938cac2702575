/* SPDX-License-Identifier: BSD-3-Clause */
/* A vCPU's registers: created, reset, put on the CPU, run, taken off. */
#include <asm/guest.h>

#include <asm/apicv.h>
#include <asm/caps.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <asm/percpu.h>
#include <asm/regs_check.h>
#include <asm/speculation.h>
#include <asm/vmcs.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/trace.h>
#include <hv/upcall.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

static const uint32_t switched_msrs[SWITCHED_MSR_COUNT] = {
	[SWITCHED_STAR] = MSR_IA32_STAR,
	[SWITCHED_LSTAR] = MSR_IA32_LSTAR,
	[SWITCHED_CSTAR] = MSR_IA32_CSTAR,
	[SWITCHED_FMASK] = MSR_IA32_FMASK,
	[SWITCHED_KERNEL_GS_BASE] = MSR_IA32_KERNEL_GS_BASE,
	[SWITCHED_TSC_AUX] = MSR_IA32_TSC_AUX,
};

static bool switched_msr_exists(uint32_t i)
{
	return (i != SWITCHED_TSC_AUX) || cpu_caps.has_rdtscp;
}

/* ---- Life ---- */

static uint32_t xsave_order(void)
{
	uint32_t order = 0U;

	while ((PAGE_SIZE << order) < cpu_caps.xsave_size) {
		order++;
	}
	return order;
}

int32_t arch_vcpu_init(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const uint16_t owner = vcpu->vm->vm_id;
	void *const apic_page = page_alloc(owner);

	memset(arch, 0, sizeof(*arch));
	arch->vmcs = page_alloc(owner);
	arch->xsave_area = pages_alloc(xsave_order(), owner);
	if ((apic_page == NULL) || (arch->vmcs == NULL) || (arch->xsave_area == NULL)) {
		if (apic_page != NULL) {
			page_free(apic_page, owner);
		}
		if (arch->vmcs != NULL) {
			page_free(arch->vmcs, owner);
		}
		if (arch->xsave_area != NULL) {
			pages_free(arch->xsave_area, xsave_order(), owner);
		}
		arch->vmcs = NULL;
		return -ENOMEM;
	}
	if (cpu_caps.has_vpid) {
		arch->vpid = (uint16_t)(1U + vcpu->vm->vm_id * CONFIG_MAX_VCPUS_PER_VM + vcpu->vcpu_id);
	}
	*(uint32_t *)arch->vmcs = cpu_caps.vmcs_revision;
	vlapic_init(&arch->vlapic, vcpu, apic_page);
	if (vcpu->vcpu_id == 0U) {
		arch->vlapic.base |= APIC_BASE_BSP;
	}
	return 0;
}

void arch_vcpu_destroy(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const uint16_t owner = vcpu->vm->vm_id;

	if (arch->vmcs == NULL) {
		return;
	}
	vlapic_destroy(&arch->vlapic);
	vcpu_io_bitmap_free(vcpu);
	page_free(arch->vlapic.regs, owner);
	page_free(arch->vmcs, owner);
	pages_free(arch->xsave_area, xsave_order(), owner);
	arch->vmcs = NULL;
}

/* SDM vol 3, table 10-1: the state after RESET. */
static void reset_regs(struct acrn_regs *r)
{
	memset(r, 0, sizeof(*r));
	r->gprs.rdx = (cpu_caps.family << 8U) | ((cpu_caps.model & 0xFU) << 4U) | cpu_caps.stepping;
	r->rip = 0xFFF0UL;
	r->cs_sel = 0xF000U;
	r->cs_base = 0xFFFF0000UL;
	r->cs_limit = 0xFFFFU;
	r->cs_ar = 0x9BU;
	r->cr0 = CR0_CD | CR0_NW | CR0_ET;
	r->rflags = RFLAGS_R1;
	r->gdt.limit = 0xFFFFU;
	r->idt.limit = 0xFFFFU;
}

/* What INIT and RESET have in common, besides the local APIC. */
static void reset_execution(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;

	reset_regs(&arch->init_regs);
	arch->init_pending = true;
	arch->exc_pending = false;
	arch->nmis_pending = 0U;
	arch->reinject_info = 0U;
	arch->entry_info = 0U;
	arch->emul_active = false;
	vcpu->halted = false;
}

void arch_vcpu_reset(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;

	reset_execution(vcpu);
	arch->msrs_reset = true;
	memset(arch->switched_msr, 0, sizeof(arch->switched_msr));
	arch->gprs.spec_ctrl = 0UL;
	memset(arch->dr, 0, sizeof(arch->dr));
	arch->dr6 = 0xFFFF0FF0UL;
	vcpu_fpu_reset(vcpu);
	vmsr_reset(vcpu);
	vlapic_reset(&arch->vlapic);
	if (vcpu->vcpu_id == 0U) {
		arch->vlapic.base |= APIC_BASE_BSP;
		vlapic_set_virtual_wire(&arch->vlapic); /* as firmware leaves it */
	}
}

int32_t arch_vcpu_set_regs(struct acrn_vcpu *vcpu, const struct acrn_regs *regs)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	struct acrn_regs clean = *regs;
	const char *wrong;

	clean.cs_ar = regs_cs_ar(regs->cs_ar);
	wrong = regs_check(&clean, cpu_caps.phys_bits, ~vmcs_cr4_host_bits() | CR4_MCE);
	if (wrong != NULL) {
		pr_guest(vcpu->vm->vm_id, vcpu->vcpu_id, "registers refused: %s", wrong);
		return -EINVAL;
	}
	/* VM entry refuses reserved flags, VM86 in this state, and IF is the guest's business (SDM 27.3.1.4). */
	clean.rflags = (clean.rflags & 0xCD5UL & ~RFLAGS_IF) | RFLAGS_R1;
	arch->init_regs = clean;
	arch->init_pending = true;
	/* Events of the old context: an interrupt that is injected again would meet IF = 0, which fails VM entry. */
	arch->exc_pending = false;
	arch->reinject_info = 0U;
	arch->entry_info = 0U;
	arch->emul_active = false;
	vcpu->halted = false;
	return 0;
}

/* ---- On and off the CPU ---- */

void arch_vcpu_unload(struct acrn_vcpu *vcpu)
{
	struct percpu *const cpu = this_percpu();
	struct vcpu_arch *const arch = &vcpu->arch;

	if (cpu->loaded_vcpu != vcpu) {
		return;
	}
	if (arch->timed_since != 0UL) {
		vcpu_end_timing(vcpu);
	}
	/* The only one that changes without an exit: SWAPGS. */
	arch->switched_msr[SWITCHED_KERNEL_GS_BASE] = rdmsr(MSR_IA32_KERNEL_GS_BASE);
	arch->cr2 = read_cr2();
	arch->dr6 = read_dr6();
	vcpu_fpu_save(vcpu);
	/* Another pCPU may free or rebuild the region from now on: nothing of it may stay in this one (SDM 25.11.1). */
	vmx_clear(arch->vmcs);
	arch->launched = false;
	cpu->loaded_vcpu = NULL;
}

/* What another VM on this CPU has trained the branch predictors to is not for this one, nor the other way round. */
static void load_predictors(struct percpu *cpu, struct acrn_vcpu *vcpu)
{
	const uint64_t spec_ctrl = speculation.host_spec_ctrl | (speculation.swap ? 0UL : vcpu->arch.gprs.spec_ctrl);

	/* A VM that was created anew may have its predecessor's address. */
	if (speculation.barrier && ((cpu->last_vm != vcpu->vm) || !vcpu->arch.has_run)) {
		wrmsr(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
	}
	if (cpu->spec_ctrl != spec_ctrl) {
		wrmsr(MSR_IA32_SPEC_CTRL, spec_ctrl);
		cpu->spec_ctrl = spec_ctrl;
	}
	cpu->last_vm = vcpu->vm;
	vcpu->arch.has_run = true;
}

void arch_vcpu_load(struct acrn_vcpu *vcpu)
{
	struct percpu *const cpu = this_percpu();
	struct vcpu_arch *const arch = &vcpu->arch;

	if (cpu->loaded_vcpu == vcpu) {
		return;
	}
	if (cpu->loaded_vcpu != NULL) {
		arch_vcpu_unload(cpu->loaded_vcpu);
	}
	if (arch->init_pending) {
		vmx_clear(arch->vmcs);
	}
	vmx_load(arch->vmcs);
	arch->gprs.host_rsp = 0UL;
	for (uint32_t i = 0U; i < SWITCHED_MSR_COUNT; i++) {
		if (switched_msr_exists(i)) {
			wrmsr(switched_msrs[i], arch->switched_msr[i]);
		}
	}
	write_cr2(arch->cr2);
	vcpu_debug_load(vcpu);
	write_dr6(arch->dr6);
	vcpu_fpu_load(vcpu);
	load_predictors(cpu, vcpu);
	cpu->loaded_vcpu = vcpu;
}

int32_t vcpu_write_switched_msr(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	for (uint32_t i = 0U; i < SWITCHED_MSR_COUNT; i++) {
		/* The CPU knows which values are legal. */
		if ((switched_msrs[i] == msr) && switched_msr_exists(i) && wrmsr_safe(msr, value)) {
			vcpu->arch.switched_msr[i] = value;
			return 0;
		}
	}
	return -EACCES;
}

/* ---- INIT and SIPI ---- */

static void take_init(struct acrn_vcpu *vcpu)
{
	reset_execution(vcpu);
	vlapic_init_reset(&vcpu->arch.vlapic);
	if (vcpu->vcpu_id != 0U) {
		__atomic_store_n(&vcpu->state, VCPU_INIT, __ATOMIC_RELEASE); /* waits for SIPI */
	}
}

static void take_sipi(struct acrn_vcpu *vcpu)
{
	struct acrn_regs *const r = &vcpu->arch.init_regs;

	/* SDM 9.4.4: the vector is a page number below 1 MiB; a vCPU that does not wait for SIPI ignores it. */
	r->cs_sel = (uint16_t)((uint32_t)vcpu->sipi_vector << 8U);
	r->cs_base = (uint64_t)vcpu->sipi_vector << 12U;
	r->rip = 0UL;
	vcpu->arch.init_pending = true;
	__atomic_store_n(&vcpu->state, VCPU_RUNNING, __ATOMIC_RELEASE);
}

/*
 * A CPU keeps one NMI while another is in service (SDM 7.7.1), and services one at once otherwise. So of several that
 * came while this vCPU was not looking, two count: the first would be in service by now. vcpu_inject_events() leaves
 * only one if NMIs are blocked.
 */
static void take_nmis(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const uint32_t nmis = vlapic_take_nmis(&arch->vlapic);

	/* One that waits for SIPI keeps it, and meets it at the first instruction of its start-up code. */
	arch->nmis_pending = (uint8_t)MIN(arch->nmis_pending + nmis, 2U);
}

bool vcpu_take_requests(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	/* All but the one that the core takes, and which may have come meanwhile. */
	const uint64_t requests = __atomic_fetch_and(&vcpu->requests, BIT(VCPU_REQ_MAP), __ATOMIC_SEQ_CST);

	/* VCPU_REQ_EVENT, and after any other too. VCPU_REQ_TLB_FLUSH: ept_generation tells. */
	arch->check_events = CHECK_ALL;
	if ((requests & BIT(VCPU_REQ_NMI)) != 0UL) {
		take_nmis(vcpu);
	}
	if ((requests & BIT(VCPU_REQ_INIT)) != 0UL) {
		take_init(vcpu);
	}
	if (((requests & BIT(VCPU_REQ_SIPI)) != 0UL) && (vcpu->state == VCPU_INIT)) {
		take_sipi(vcpu);
	}
	/* What was taken may have stood for one of these, which are set first and which nobody says twice. */
	if (__atomic_load_n(&vcpu->pause_requested, __ATOMIC_ACQUIRE) ||
		__atomic_load_n(&vcpu->vm->stop_requested, __ATOMIC_ACQUIRE)) {
		return false;
	}
	return vcpu->state == VCPU_RUNNING;
}

void vcpu_build(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;

	arch->init_pending = false;
	arch->launched = false;
	arch->paging_epoch++;
	vmx_clear(arch->vmcs);
	vmx_load(arch->vmcs);
	vmcs_build(vcpu);
	vcpu_debug_reset(vcpu);
	apicv_build(vcpu);
	vmx_invvpid(arch->vpid);
#if CONFIG_DEBUG
	entry_break(vcpu);
#endif
}

bool arch_vcpu_has_event(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	const uint64_t ends_hlt = BIT(VCPU_REQ_INIT) | BIT(VCPU_REQ_SIPI) | (arch->halt_nmi ? BIT(VCPU_REQ_NMI) : 0UL);

	if (((__atomic_load_n(&vcpu->requests, __ATOMIC_ACQUIRE) & ends_hlt) != 0UL) ||
		(arch->halt_nmi && (arch->nmis_pending != 0U)) || arch->exc_pending) {
		return true;
	}
	return arch->halt_if && ((vlapic_pending_vector(&arch->vlapic) >= 0) || vlapic_extint_pending(&arch->vlapic));
}

/* ---- Registers ---- */

uint64_t vcpu_get_gpr(struct acrn_vcpu *vcpu, uint32_t reg)
{
	return (reg == GPR_RSP) ? exec_vmread(VMX_GUEST_RSP) : vcpu->arch.gprs.reg[reg];
}

void vcpu_set_gpr(struct acrn_vcpu *vcpu, uint32_t reg, uint64_t value)
{
	if (reg == GPR_RSP) {
		exec_vmwrite(VMX_GUEST_RSP, value);
	} else {
		vcpu->arch.gprs.reg[reg] = value;
	}
}

void arch_vcpu_set_irq(struct acrn_vcpu *vcpu, uint32_t vector, bool level)
{
	vlapic_set_local(vcpu, vector, level);
}

int32_t arch_inject_msi(struct acrn_vm *vm, uint64_t addr, uint64_t data)
{
	return vlapic_inject_msi(vm, addr, data);
}

void arch_pic_wire(struct acrn_vm *vm, bool asserted)
{
	vlapic_pic_wire(vm, asserted);
}

struct vlapic *vcpu_vlapic(struct acrn_vcpu *vcpu)
{
	return &vcpu->arch.vlapic;
}
