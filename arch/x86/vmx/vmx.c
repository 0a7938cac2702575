/* SPDX-License-Identifier: BSD-3-Clause */
/* VMX operation on each pCPU, and the instructions that manage VMCSs and translations. */
#include <asm/vmx.h>

#include <asm/caps.h>
#include <asm/cpu.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <asm/percpu.h>
#include <asm/speculation.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <lib/bits.h>

/* SDM 31.4: what VMX_INSTR_ERROR means. */
static const char *const insn_errors[] = {
	[1] = "VMCALL in VMX root operation",
	[2] = "VMCLEAR with invalid physical address",
	[3] = "VMCLEAR with VMXON pointer",
	[4] = "VMLAUNCH with non-clear VMCS",
	[5] = "VMRESUME with non-launched VMCS",
	[6] = "VMRESUME after VMXOFF",
	[7] = "VM entry with invalid control fields",
	[8] = "VM entry with invalid host-state fields",
	[9] = "VMPTRLD with invalid physical address",
	[10] = "VMPTRLD with VMXON pointer",
	[11] = "VMPTRLD with incorrect VMCS revision",
	[12] = "VMREAD or VMWRITE of an unsupported component",
	[13] = "VMWRITE to a read-only component",
	[15] = "VMXON in VMX root operation",
	[26] = "VM entry with events blocked by MOV SS",
	[28] = "invalid operand to INVEPT or INVVPID",
};

static bool in_failure; /* VMREAD of the error may fail too: once is enough */

void vmx_insn_failed(const char *insn, uint64_t operand)
{
	uint64_t error = 0UL;

	if (!in_failure) {
		in_failure = true;
		error = exec_vmread(VMX_INSTR_ERROR);
	}
	panic("%s of %#lx failed: error %lu, %s", insn, operand, error,
		(error < ARRAY_SIZE(insn_errors)) && (insn_errors[error] != NULL) ? insn_errors[error]
										  : "no reason given");
}

uint32_t vmx_ctls(const struct vmx_ctl_caps *caps, uint32_t want, const char *what)
{
	if ((want & ~caps->may_be_one) != 0U) {
		panic("VMX %s controls %#x are not permitted by this CPU", what, want & ~caps->may_be_one);
	}
	return want | caps->must_be_one;
}

void vmx_enable_cpu(void)
{
	struct percpu *const cpu = this_percpu();
	hpa_t region;
	bool ok;

	cpu->vmxon_region = page_alloc(PAGE_OWNER_HV);
	if (cpu->vmxon_region == NULL) {
		panic("no memory for the VMXON region of CPU %u", cpu->cpu_id);
	}
	*(uint32_t *)cpu->vmxon_region = cpu_caps.vmcs_revision;
	region = hva_to_hpa(cpu->vmxon_region);

	/* SDM 24.8: CR0 and CR4 must have the fixed bits before VMXON. */
	write_cr0((read_cr0() | cpu_caps.cr0_fixed0) & cpu_caps.cr0_fixed1);
	write_cr4((read_cr4() | CR4_VMXE | cpu_caps.cr4_fixed0) & cpu_caps.cr4_fixed1);
	speculation_host();

	__asm__ volatile("vmxon %1" : "=@cca"(ok) : "m"(region) : "memory");
	if (!ok) {
		panic("VMXON failed on CPU %u", cpu->cpu_id);
	}
	/* Nothing stale of what used VMX before us (SDM 29.4.3.3). */
	if ((cpu_caps.ept_vpid_cap & BIT(26)) != 0UL) {
		const struct {
			uint64_t eptp, zero;
		} all = {0UL, 0UL};

		__asm__ volatile("invept %1, %2" : "=@cca"(ok) : "m"(all), "r"(2UL) : "memory");
	}
}

void vmx_clear(void *page)
{
	const hpa_t hpa = hva_to_hpa(page);
	bool ok;

	__asm__ volatile("vmclear %1" : "=@cca"(ok) : "m"(hpa) : "memory");
	if (!ok) {
		vmx_insn_failed("vmclear", hpa);
	}
}

void vmx_load(void *page)
{
	const hpa_t hpa = hva_to_hpa(page);
	bool ok;

	__asm__ volatile("vmptrld %1" : "=@cca"(ok) : "m"(hpa) : "memory");
	if (!ok) {
		vmx_insn_failed("vmptrld", hpa);
	}
}

void vmx_invept(uint64_t eptp)
{
	/* Single-context where the CPU has it, else all contexts (one of the two exists whenever INVEPT does). */
	const uint64_t type = cpu_caps.has_invept_single ? 1UL : 2UL;
	const struct {
		uint64_t eptp, zero;
	} desc = {eptp, 0UL};
	bool ok;

	__asm__ volatile("invept %1, %2" : "=@cca"(ok) : "m"(desc), "r"(type) : "memory");
	if (!ok) {
		vmx_insn_failed("invept", eptp);
	}
}

void vmx_invvpid(uint16_t vpid)
{
	const struct {
		uint64_t vpid, linear;
	} desc = {vpid, 0UL};
	bool ok;

	if (vpid == 0U) {
		return;
	}
	__asm__ volatile("invvpid %1, %2" : "=@cca"(ok) : "m"(desc), "r"(1UL) : "memory");
	if (!ok) {
		vmx_insn_failed("invvpid", vpid);
	}
}

static const char *const exit_names[EXIT_REASON_MAX] = {
	[EXIT_EXCEPTION_NMI] = "exception or NMI",
	[EXIT_EXTERNAL_INTERRUPT] = "external interrupt",
	[EXIT_TRIPLE_FAULT] = "triple fault",
	[EXIT_INIT] = "INIT",
	[EXIT_SIPI] = "SIPI",
	[EXIT_INT_WINDOW] = "interrupt window",
	[EXIT_NMI_WINDOW] = "NMI window",
	[EXIT_TASK_SWITCH] = "task switch",
	[EXIT_CPUID] = "CPUID",
	[EXIT_GETSEC] = "GETSEC",
	[EXIT_HLT] = "HLT",
	[EXIT_INVD] = "INVD",
	[EXIT_INVLPG] = "INVLPG",
	[EXIT_RDPMC] = "RDPMC",
	[EXIT_RDTSC] = "RDTSC",
	[EXIT_RSM] = "RSM",
	[EXIT_VMCALL] = "VMCALL",
	[EXIT_CR_ACCESS] = "CR access",
	[EXIT_DR_ACCESS] = "DR access",
	[EXIT_IO_INSTRUCTION] = "I/O instruction",
	[EXIT_RDMSR] = "RDMSR",
	[EXIT_WRMSR] = "WRMSR",
	[EXIT_ENTRY_GUEST_STATE] = "entry failed: guest state",
	[EXIT_ENTRY_MSR_LOAD] = "entry failed: MSR load",
	[EXIT_MWAIT] = "MWAIT",
	[EXIT_MTF] = "monitor trap flag",
	[EXIT_MONITOR] = "MONITOR",
	[EXIT_PAUSE] = "PAUSE",
	[EXIT_ENTRY_MACHINE_CHECK] = "entry failed: machine check",
	[EXIT_TPR_BELOW_THRESHOLD] = "TPR below threshold",
	[EXIT_APIC_ACCESS] = "APIC access",
	[EXIT_VIRTUALIZED_EOI] = "virtualized EOI",
	[EXIT_GDTR_IDTR] = "GDTR or IDTR access",
	[EXIT_LDTR_TR] = "LDTR or TR access",
	[EXIT_EPT_VIOLATION] = "EPT violation",
	[EXIT_EPT_MISCONFIG] = "EPT misconfiguration",
	[EXIT_INVEPT] = "INVEPT",
	[EXIT_RDTSCP] = "RDTSCP",
	[EXIT_PREEMPTION_TIMER] = "preemption timer",
	[EXIT_INVVPID] = "INVVPID",
	[EXIT_WBINVD] = "WBINVD",
	[EXIT_XSETBV] = "XSETBV",
	[EXIT_APIC_WRITE] = "APIC write",
	[EXIT_RDRAND] = "RDRAND",
	[EXIT_INVPCID] = "INVPCID",
	[EXIT_VMFUNC] = "VMFUNC",
	[EXIT_ENCLS] = "ENCLS",
	[EXIT_RDSEED] = "RDSEED",
	[EXIT_XSAVES] = "XSAVES",
	[EXIT_XRSTORS] = "XRSTORS",
};

const char *vmx_exit_name(uint32_t basic_reason)
{
	if ((basic_reason < ARRAY_SIZE(exit_names)) && (exit_names[basic_reason] != NULL)) {
		return exit_names[basic_reason];
	}
	return "unknown";
}

void vmx_dump(void)
{
	static const char seg_names[8][5] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"};

	pr_err("VMCS: exit %#lx (%s) qualification %#lx, gpa %#lx, gla %#lx", exec_vmread(VMX_EXIT_REASON),
		vmx_exit_name((uint32_t)exec_vmread(VMX_EXIT_REASON) & 0xFFFFU), exec_vmread(VMX_EXIT_QUALIFICATION),
		exec_vmread(VMX_GUEST_PHYS_ADDR), exec_vmread(VMX_GUEST_LINEAR_ADDR));
	pr_err("  rip %#lx rsp %#lx rflags %#lx cr0 %#lx cr3 %#lx cr4 %#lx efer %#lx", exec_vmread(VMX_GUEST_RIP),
		exec_vmread(VMX_GUEST_RSP), exec_vmread(VMX_GUEST_RFLAGS), exec_vmread(VMX_GUEST_CR0),
		exec_vmread(VMX_GUEST_CR3), exec_vmread(VMX_GUEST_CR4), exec_vmread(VMX_GUEST_EFER));
	for (uint32_t i = 0U; i < 8U; i++) {
		pr_err("  %-4s %#06lx base %#lx limit %#lx ar %#lx", seg_names[i],
			exec_vmread((enum vmcs_field)(VMX_GUEST_ES_SEL + 2U * i)),
			exec_vmread((enum vmcs_field)(VMX_GUEST_ES_BASE + 2U * i)),
			exec_vmread((enum vmcs_field)(VMX_GUEST_ES_LIMIT + 2U * i)),
			exec_vmread((enum vmcs_field)(VMX_GUEST_ES_AR + 2U * i)));
	}
	pr_err("  gdtr %#lx/%#lx idtr %#lx/%#lx interruptibility %#lx activity %#lx", exec_vmread(VMX_GUEST_GDTR_BASE),
		exec_vmread(VMX_GUEST_GDTR_LIMIT), exec_vmread(VMX_GUEST_IDTR_BASE), exec_vmread(VMX_GUEST_IDTR_LIMIT),
		exec_vmread(VMX_GUEST_INTERRUPTIBILITY), exec_vmread(VMX_GUEST_ACTIVITY));
	pr_err("  entry info %#lx, IDT vectoring %#lx, exit info %#lx, ctls pin %#lx proc %#lx/%#lx exit %#lx entry "
	       "%#lx",
		exec_vmread(VMX_ENTRY_INTR_INFO), exec_vmread(VMX_IDT_VEC_INFO), exec_vmread(VMX_EXIT_INTR_INFO),
		exec_vmread(VMX_PIN_CTLS), exec_vmread(VMX_PROC_CTLS), exec_vmread(VMX_PROC_CTLS2),
		exec_vmread(VMX_EXIT_CTLS), exec_vmread(VMX_ENTRY_CTLS));
}
