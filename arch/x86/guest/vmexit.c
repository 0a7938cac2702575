/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens at each VM exit. A sparse table; a reason that is not in it is refused: #UD for user code, else the
 * VM stops. No handler moves RIP unless it calls vcpu_skip_instruction().
 */
#include <asm/guest.h>

#include <asm/apicv.h>
#include <asm/irq.h>
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/log.h>
#include <hv/trace.h>
#include <hv/upcall.h>
#include <lib/bits.h>

typedef int32_t (*vmexit_handler_t)(struct acrn_vcpu *vcpu);

static int32_t external_interrupt_vmexit_handler(struct acrn_vcpu *vcpu)
{
	const uint32_t info = exec_vmread32(VMX_EXIT_INTR_INFO);

	(void)vcpu;
	irq_dispatch(info & 0xFFU); /* valid: the CPU has acknowledged it */
	return VMEXIT_LOOK_UP;      /* it may be a kick whose request has been taken already: pause, stop */
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
	vcpu_skip_instruction(vcpu);
	vcpu->arch.halt_if = (exec_vmread(VMX_GUEST_RFLAGS) & RFLAGS_IF) != 0UL;
	vcpu->arch.check_events = true;
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
	vcpu_skip_instruction(vcpu);
	return VMEXIT_ENTER_AGAIN;
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
	return 0;
}

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

/* Who looks after events ends the timing: so an entry need not look for it. */
static int32_t __noinline handle_timed(struct acrn_vcpu *vcpu)
{
	vcpu->arch.timed_since = arch_now();
	vcpu->arch.check_events = true;
	return handle(vcpu);
}

int32_t vmexit_handler(struct acrn_vcpu *vcpu)
{
	vcpu->until_timed--;
	if (unlikely(vcpu->until_timed == 0U)) {
		return handle_timed(vcpu);
	}
	return handle(vcpu);
}
