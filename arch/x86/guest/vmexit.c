/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens at each VM exit. A sparse table; a reason that is not in it is refused: #UD for user code, else the
 * VM stops. No handler moves RIP unless it says so: by VMEXIT_SKIP, or by vcpu_skip_instruction().
 */
#include <asm/guest.h>

#include <asm/apicv.h>
#include <asm/irq.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/speculation.h>
#include <asm/vmcs.h>
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/log.h>
#include <hv/trace.h>
#include <hv/upcall.h>
#include <lib/bits.h>
#include <lib/errno.h>

/* ---- The end of an instruction ---- */

/* What an instruction's end brings about besides the new RIP: seldom. */
static void __noinline end_flags(struct acrn_vcpu *vcpu, uint64_t rflags, uint32_t shadow)
{
	if ((shadow & (BLOCK_BY_STI | BLOCK_BY_MOV_SS)) != 0U) {
		exec_vmwrite(VMX_GUEST_INTERRUPTIBILITY, shadow & ~(BLOCK_BY_STI | BLOCK_BY_MOV_SS));
	}
	if ((rflags & RFLAGS_RF) != 0UL) {
		exec_vmwrite(VMX_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
	}
	if ((rflags & RFLAGS_TF) != 0UL) {
		/* SDM 18.3.1.4: the trap comes after the instruction; BTF would restrict it to branches. */
		if ((exec_vmread(VMX_GUEST_DEBUGCTL) & 2UL) == 0UL) {
			vcpu_inject_db(vcpu, BIT(14));
		}
	}
}

/* As it was during the instruction. */
struct interruptible {
	uint64_t rflags;
	uint32_t shadow; /* BLOCK_BY_* */
};

static inline struct interruptible retire_to(struct acrn_vcpu *vcpu, uint64_t next_rip)
{
	const struct interruptible was = {
		.rflags = exec_vmread(VMX_GUEST_RFLAGS), .shadow = exec_vmread32(VMX_GUEST_INTERRUPTIBILITY)};
	const uint32_t ends = was.shadow & (BLOCK_BY_STI | BLOCK_BY_MOV_SS);

	exec_vmwrite(VMX_GUEST_RIP, next_rip);
	if (unlikely((ends | (was.rflags & (RFLAGS_RF | RFLAGS_TF))) != 0UL)) {
		end_flags(vcpu, was.rflags, was.shadow);
	}
	return was;
}

void vcpu_retire_to(struct acrn_vcpu *vcpu, uint64_t next_rip)
{
	(void)retire_to(vcpu, next_rip);
}

void vcpu_end_iteration(struct acrn_vcpu *vcpu)
{
	const uint64_t rflags = exec_vmread(VMX_GUEST_RFLAGS);
	const uint32_t shadow = exec_vmread32(VMX_GUEST_INTERRUPTIBILITY);

	if (unlikely((shadow & (BLOCK_BY_STI | BLOCK_BY_MOV_SS)) != 0U)) {
		exec_vmwrite(VMX_GUEST_INTERRUPTIBILITY, shadow & ~(BLOCK_BY_STI | BLOCK_BY_MOV_SS));
	}
	if (unlikely((rflags & RFLAGS_TF) != 0UL) && ((exec_vmread(VMX_GUEST_DEBUGCTL) & 2UL) == 0UL)) {
		/* SDM 18.3.1.1: the image of a trap between iterations has RF set. */
		exec_vmwrite(VMX_GUEST_RFLAGS, rflags | RFLAGS_RF);
		vcpu_inject_db(vcpu, BIT(14));
	}
}

static inline struct interruptible skip_instruction(struct acrn_vcpu *vcpu)
{
	uint64_t next = exec_vmread(VMX_GUEST_RIP) + exec_vmread(VMX_EXIT_INSTR_LEN);

	/* Outside 64-bit mode EIP wraps at 4 GiB; with more in RIP no entry succeeds (SDM 27.3.1.4). */
	if (unlikely((next >> 32U) == 1UL) && ((uint32_t)next < INSTR_MAX_LEN) && !vcpu_in_64bit_code(vcpu)) {
		next &= 0xFFFFFFFFUL;
	}
	return retire_to(vcpu, next);
}

void vcpu_skip_instruction(struct acrn_vcpu *vcpu)
{
	(void)skip_instruction(vcpu);
}

/* ---- Handlers ---- */

typedef int32_t (*vmexit_handler_t)(struct acrn_vcpu *vcpu);

static int32_t external_interrupt_vmexit_handler(struct acrn_vcpu *vcpu)
{
	const uint32_t vector = exec_vmread32(VMX_EXIT_INTR_INFO) & 0xFFU; /* valid: the CPU has acknowledged it */

	(void)vcpu;
	irq_dispatch(vector);
	/* The request behind a kick may have been taken already: pause, stop. Other VMs' data may be in the cache. */
	return ((vector == VECTOR_KICK) || speculation.flush_l1d) ? VMEXIT_LOOK_UP : VMEXIT_ENTER_AGAIN;
}

static int32_t triple_fault_vmexit_handler(struct acrn_vcpu *vcpu)
{
	pr_guest(vcpu->vm->vm_id, vcpu->vcpu_id, "triple fault at %#lx:%#lx, cr0 %#lx cr3 %#lx cr4 %#lx, IDT at %#lx",
		exec_vmread(VMX_GUEST_CS_SEL), exec_vmread(VMX_GUEST_RIP), vcpu_get_cr0(vcpu),
		exec_vmread(VMX_GUEST_CR3), vcpu_get_cr4(vcpu), exec_vmread(VMX_GUEST_IDTR_BASE));
	vcpu_triple_fault(vcpu);
	return -1;
}

static int32_t hlt_vmexit_handler(struct acrn_vcpu *vcpu)
{
	/* Past the HLT first: the STI shadow must not survive it, or `sti; hlt; cli` would never be interrupted. */
	const struct interruptible was = skip_instruction(vcpu);

	vcpu->arch.halt_if = (was.rflags & RFLAGS_IF) != 0UL;
	vcpu->arch.halt_nmi = (was.shadow & BLOCK_BY_NMI) == 0U;
	vcpu->arch.check_events = CHECK_ALL;
	vcpu_halt(vcpu);
	return 0;
}

static int32_t pause_vmexit_handler(struct acrn_vcpu *vcpu)
{
	vcpu_skip_instruction(vcpu);
	vcpu_yield(vcpu);
	return 0;
}

static int32_t wbinvd_vmexit_handler(struct acrn_vcpu *vcpu)
{
	/* Caches matter to a VM with devices that do not snoop; INVD would lose other VMs' data. */
	if (vm_is_service(vcpu->vm)) {
		cpu_wbinvd();
	}
	return VMEXIT_SKIP;
}

static int32_t undefined_vmexit_handler(struct acrn_vcpu *vcpu)
{
	vcpu_inject_ud(vcpu);
	return VMEXIT_ENTER_AGAIN;
}

static int32_t gp_vmexit_handler(struct acrn_vcpu *vcpu)
{
	vcpu_inject_gp(vcpu);
	return VMEXIT_ENTER_AGAIN;
}

static int32_t preemption_timer_vmexit_handler(struct acrn_vcpu *vcpu)
{
	(void)vcpu;
	arch_irq_window();
	vmx_preemption_timer_set();
	return 0;
}

/* ---- Dispatch ---- */

static const vmexit_handler_t handlers[EXIT_REASON_MAX] = {
	[EXIT_EXCEPTION_NMI] = exception_vmexit_handler,
	[EXIT_EXTERNAL_INTERRUPT] = external_interrupt_vmexit_handler,
	[EXIT_TRIPLE_FAULT] = triple_fault_vmexit_handler,
	[EXIT_INT_WINDOW] = window_vmexit_handler,
	[EXIT_NMI_WINDOW] = window_vmexit_handler,
	[EXIT_TASK_SWITCH] = task_switch_vmexit_handler,
	[EXIT_CPUID] = cpuid_vmexit_handler,
	[EXIT_GETSEC] = undefined_vmexit_handler,
	[EXIT_HLT] = hlt_vmexit_handler,
	[EXIT_INVD] = wbinvd_vmexit_handler,
	[EXIT_RDPMC] = gp_vmexit_handler,
	[EXIT_VMCALL] = vmcall_vmexit_handler,
	[EXIT_VMCLEAR... EXIT_VMXON] = undefined_vmexit_handler,
	[EXIT_CR_ACCESS] = cr_access_vmexit_handler,
	[EXIT_DR_ACCESS] = dr_access_vmexit_handler,
	[EXIT_IO_INSTRUCTION] = pio_instr_vmexit_handler,
	[EXIT_RDMSR] = rdmsr_vmexit_handler,
	[EXIT_WRMSR] = wrmsr_vmexit_handler,
	[EXIT_MWAIT] = undefined_vmexit_handler,
	[EXIT_MONITOR] = undefined_vmexit_handler,
	[EXIT_PAUSE] = pause_vmexit_handler,
	[EXIT_TPR_BELOW_THRESHOLD] = window_vmexit_handler,
	[EXIT_VIRTUALIZED_EOI] = virtualized_eoi_vmexit_handler,
	[EXIT_EPT_VIOLATION] = ept_violation_vmexit_handler,
	[EXIT_INVEPT] = undefined_vmexit_handler,
	[EXIT_PREEMPTION_TIMER] = preemption_timer_vmexit_handler,
	[EXIT_INVVPID] = undefined_vmexit_handler,
	[EXIT_WBINVD] = wbinvd_vmexit_handler,
	[EXIT_XSETBV] = xsetbv_vmexit_handler,
	[EXIT_APIC_WRITE] = apic_write_vmexit_handler,
	[EXIT_VMFUNC] = undefined_vmexit_handler,
	[EXIT_ENCLS] = undefined_vmexit_handler,
};

const char *arch_exit_name(uint32_t reason)
{
	return vmx_exit_name(reason);
}

static int32_t __noinline unknown_exit(struct acrn_vcpu *vcpu)
{
	const uint32_t reason = vcpu->arch.exit_reason;

	if (vcpu_get_cpl() != 0U) {
		vcpu_inject_ud(vcpu);
		return 0;
	}
	vcpu_fatal(vcpu, "exit %u (%s) at rip %#lx, which nobody handles", reason, vmx_exit_name(reason),
		exec_vmread(VMX_GUEST_RIP));
	return -1;
}

/* A function of its own, in whose stead the handler is called: when it is off no register is saved for it. */
static int32_t __noinline traced_exit(struct acrn_vcpu *vcpu)
{
	trace_record(TRACE_EXIT, vcpu->thread.who, vcpu->arch.exit_reason, exec_vmread(VMX_GUEST_RIP),
		exec_vmread(VMX_EXIT_QUALIFICATION));
	return handlers[vcpu->arch.exit_reason](vcpu);
}

static inline int32_t handle(struct acrn_vcpu *vcpu)
{
	const uint32_t reason = vcpu->arch.exit_reason;

	if (unlikely((reason >= EXIT_REASON_MAX) || (handlers[reason] == NULL))) {
		return unknown_exit(vcpu);
	}
	vcpu->exit_count[reason]++;
	return trace_wants(TRACE_EXIT) ? traced_exit(vcpu) : handlers[reason](vcpu);
}

/* ---- Timing ---- */

#define TIMED_EVERY 61U

/* The exit that is timed is dealt with. */
void vcpu_end_timing(struct acrn_vcpu *vcpu)
{
	const uint32_t reason = MIN(vcpu->arch.exit_reason, VCPU_EXIT_REASONS - 1U);

	vcpu->exit_timed[reason]++;
	vcpu->exit_ticks[reason] += arch_now() - vcpu->arch.timed_since;
	vcpu->arch.timed_since = 0UL;
	/* What comes seldom comes early: the first exits are all timed. A prime keeps out of step with loops. */
	vcpu->until_timed = (vcpu->timed_at_first != 0U) ? 1U : TIMED_EVERY;
	vcpu->timed_at_first -= (vcpu->timed_at_first != 0U) ? 1U : 0U;
}

/* Who looks after events ends the timing: so an entry need not look for it. */
static int32_t __noinline handle_timed(struct acrn_vcpu *vcpu)
{
	vcpu->arch.timed_since = arch_now();
	vcpu->arch.check_events = CHECK_ALL;
	return handle(vcpu);
}

/* @return VMEXIT_*, or negative */
static inline int32_t dispatch(struct acrn_vcpu *vcpu)
{
	vcpu->until_timed--;
	if (unlikely(vcpu->until_timed == 0U)) {
		return handle_timed(vcpu);
	}
	return handle(vcpu);
}

/* ---- Entry and exit ---- */

static void flush_if_stale(struct acrn_vcpu *vcpu)
{
	const uint64_t now = __atomic_load_n(&vcpu->vm->arch.ept_generation, __ATOMIC_ACQUIRE);

	if (unlikely(vcpu->arch.ept_seen != now)) {
		vmx_invept(vcpu->vm->arch.eptp);
		vcpu->arch.ept_seen = now;
	}
}

static int32_t entry_failed(struct acrn_vcpu *vcpu, const char *why)
{
	speculation_host();
	vmx_dump();
	(void)vmcs_check();
	vcpu_fatal(vcpu, "VM entry failed: %s", why);
	return -EIO;
}

/* One entry and exit. @return VMEXIT_*, or negative */
static inline int32_t run_once(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	uint32_t reason;
	int32_t ret;

	if (arch->check_events != CHECK_NOTHING) {
		vcpu_inject_events(vcpu);
		if (arch->timed_since != 0UL) {
			vcpu_end_timing(vcpu);
		}
		/* Injection may have raised a request or woken another thread of this pCPU. */
		if (unlikely(vcpu_is_disturbed(vcpu))) {
			return VMEXIT_LOOK_UP;
		}
	}
	flush_if_stale(vcpu);
	if (trace_wants(TRACE_ENTRY)) {
		trace_record(TRACE_ENTRY, vcpu->thread.who, arch->entry_info, exec_vmread(VMX_GUEST_RIP), 0UL);
	}
	if (unlikely(vmx_vmrun(&arch->gprs, (uint32_t)arch->launched | speculation.guard_entry) != 0UL)) {
		pr_err("VM %u vCPU %u: VMLAUNCH or VMRESUME failed, error %lu", vcpu->vm->vm_id, vcpu->vcpu_id,
			exec_vmread(VMX_INSTR_ERROR));
		return entry_failed(vcpu, "controls or host state");
	}
	arch->launched = true;
	arch->entry_info = 0U;
	reason = exec_vmread32(VMX_EXIT_REASON);
	arch->exit_reason = reason & 0xFFFFU;
	if (unlikely((reason & EXIT_REASON_ENTRY_FAILURE) != 0U)) {
		return entry_failed(vcpu, vmx_exit_name(arch->exit_reason));
	}
	ret = dispatch(vcpu);
	if (ret == VMEXIT_SKIP) {
		(void)skip_instruction(vcpu);
		ret = VMEXIT_ENTER_AGAIN;
	}
	return ret;
}

#define VCPU_NOT_NOW 2 /* of prepare(): it waits for SIPI, or is to stand still */

/* Makes the vCPU ready to be entered. @return 0; VCPU_NOT_NOW; ARCH_VCPU_MAP_DUE */
static inline int32_t prepare(struct acrn_vcpu *vcpu)
{
	uint64_t requests;

	if (unlikely(this_percpu()->loaded_vcpu != vcpu)) {
		arch_vcpu_load(vcpu);
	}
	requests = __atomic_load_n(&vcpu->requests, __ATOMIC_ACQUIRE);
	if (requests != 0UL) {
		if ((requests & BIT(VCPU_REQ_MAP)) != 0UL) {
			return ARCH_VCPU_MAP_DUE;
		}
		if (!vcpu_take_requests(vcpu)) {
			return VCPU_NOT_NOW;
		}
	}
	if (unlikely(vcpu->arch.init_pending)) {
		vcpu_build(vcpu);
	}
	return 0;
}

int32_t arch_vcpu_run(struct acrn_vcpu *vcpu)
{
	int32_t ret;

	vcpu_map_begin(vcpu);
	ret = prepare(vcpu);
	if (ret == 0) {
		/* The quick exits in the loop touch only what is this VM's. */
		if (unlikely(speculation.flush_l1d)) {
			wrmsr(MSR_IA32_FLUSH_CMD, FLUSH_CMD_L1D);
		}
		do {
			ret = run_once(vcpu);
		} while ((ret == VMEXIT_ENTER_AGAIN) && !vcpu_is_disturbed(vcpu));
		ret = MIN(ret, 0);
	}
	vcpu_map_end(vcpu);
	return (ret == VCPU_NOT_NOW) ? 0 : ret;
}
