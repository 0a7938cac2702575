/* SPDX-License-Identifier: BSD-3-Clause */
/* The capability survey: what the CPU has, what of it is used, what replaces the rest; and the refusals. */
#include <asm/caps.h>
#include <asm/cpu.h>
#include <asm/msr.h>
#include <asm/speculation.h>
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/dump.h>
#include <hv/log.h>
#include <lib/bits.h>
#include <lib/string.h>

struct cpu_caps cpu_caps;

#define CPUID1_ECX_VMX        BIT32(5)
#define CPUID1_ECX_PCID       BIT32(17)
#define CPUID1_ECX_X2APIC     BIT32(21)
#define CPUID1_ECX_DEADLINE   BIT32(24)
#define CPUID1_ECX_XSAVE      BIT32(26)
#define CPUID1_ECX_HYPERVISOR BIT32(31)

/* Control bits, SDM vol 3, 25.6 and 25.7; those that the survey looks at. */
#define PIN_VIRTUAL_NMI       BIT32(5)
#define PIN_PREEMPTION_TIMER  BIT32(6)
#define PIN_POSTED_INTR       BIT32(7)
#define PROC_TPR_SHADOW       BIT32(21)
#define PROC_MSR_BITMAPS      BIT32(28)
#define PROC_SECONDARY        BIT32(31)
#define PROC2_APIC_ACCESS     BIT32(0)
#define PROC2_EPT             BIT32(1)
#define PROC2_DESC_TABLE      BIT32(2)
#define PROC2_RDTSCP          BIT32(3)
#define PROC2_VIRT_X2APIC     BIT32(4)
#define PROC2_VPID            BIT32(5)
#define PROC2_UNRESTRICTED    BIT32(7)
#define PROC2_APIC_REGVIRT    BIT32(8)
#define PROC2_VID             BIT32(9)
#define PROC2_PAUSE_LOOP      BIT32(10)
#define PROC2_INVPCID         BIT32(12)
#define PROC2_VMFUNC          BIT32(13)
#define PROC2_XSAVES          BIT32(20)
#define PROC2_TSC_SCALING     BIT32(25)
#define PROC2_USER_WAIT_PAUSE BIT32(26)
#define EXIT_ACK_INTR         BIT32(15)
#define EXIT_SAVE_PAT         BIT32(18)
#define EXIT_LOAD_PAT         BIT32(19)
#define EXIT_SAVE_EFER        BIT32(20)
#define EXIT_LOAD_EFER        BIT32(21)
#define ENTRY_LOAD_PAT        BIT32(14)
#define ENTRY_LOAD_EFER       BIT32(15)

#define VMX_BASIC_INS_OUTS    BIT(54)
#define VMX_BASIC_TRUE_CTLS   BIT(55)
#define EPT_CAP_EXEC_ONLY     BIT(0)
#define EPT_CAP_WALK4         BIT(6)
#define EPT_CAP_WB            BIT(14)
#define EPT_CAP_2M            BIT(16)
#define EPT_CAP_1G            BIT(17)
#define EPT_CAP_INVEPT        BIT(20)
#define EPT_CAP_AD            BIT(21)
#define EPT_CAP_INVEPT_SINGLE BIT(25)
#define EPT_CAP_INVEPT_ALL    BIT(26)
#define VPID_CAP_INVVPID      BIT(32)
#define VPID_CAP_SINGLE       BIT(41)

static void identify(struct cpu_caps *caps)
{
	const struct cpuid_regs leaf0 = cpuid(0U, 0U);
	const struct cpuid_regs leaf1 = cpuid(1U, 0U);
	const uint32_t base_family = (leaf1.eax >> 8U) & 0xFU;

	caps->max_leaf = leaf0.eax;
	caps->max_ext_leaf = cpuid(0x80000000U, 0U).eax;
	(void)memcpy(caps->vendor, &leaf0.ebx, 4U);
	(void)memcpy(caps->vendor + 4, &leaf0.edx, 4U);
	(void)memcpy(caps->vendor + 8, &leaf0.ecx, 4U);
	caps->family = base_family == 0xFU ? base_family + ((leaf1.eax >> 20U) & 0xFFU) : base_family;
	caps->model = ((leaf1.eax >> 4U) & 0xFU) |
		(base_family == 6U || base_family == 0xFU ? (leaf1.eax >> 12U) & 0xF0U : 0U);
	caps->stepping = leaf1.eax & 0xFU;
	if (caps->max_ext_leaf >= 0x80000004U) {
		for (uint32_t i = 0U; i < 3U; i++) {
			const struct cpuid_regs part = cpuid(0x80000002U + i, 0U);

			(void)memcpy(caps->brand + 16UL * i, &part, 16U);
		}
	}
	caps->phys_bits = 36U;
	caps->virt_bits = 48U;
	if (caps->max_ext_leaf >= 0x80000008U) {
		const uint32_t eax = cpuid(0x80000008U, 0U).eax;

		caps->phys_bits = (uint8_t)eax;
		caps->virt_bits = (uint8_t)(eax >> 8U);
	}
}

/* x87, SSE, AVX, AVX-512, PKRU. Guests see no others: MPX and AMX are hidden from them (vcpuid.c). */
#define XCR0_SWITCHED     (BIT(0) | BIT(1) | BIT(2) | BIT(5) | BIT(6) | BIT(7) | BIT(9))
#define XSAVE_LEGACY_SIZE 576U /* x87 and SSE, header */

static void survey_xsave(struct cpu_caps *caps)
{
	struct cpuid_regs leaf;

	if (!caps->has_xsave || caps->max_leaf < 0xDU) {
		caps->has_xsave = false;
		return;
	}
	leaf = cpuid(0xDU, 0U);
	caps->xcr0_mask = (((uint64_t)leaf.edx << 32U) | leaf.eax) & XCR0_SWITCHED;
	caps->xsave_size = XSAVE_LEGACY_SIZE;
	for (uint32_t i = 2U; i < 63U; i++) {
		if ((caps->xcr0_mask & BIT(i)) != 0UL) {
			leaf = cpuid(0xDU, i);
			caps->xsave_size = MAX(caps->xsave_size, leaf.eax + leaf.ebx); /* size and place */
		}
	}
	caps->has_xsaves = (cpuid(0xDU, 1U).eax & BIT32(3)) != 0U;
}

static void survey_cpu(struct cpu_caps *caps)
{
	const struct cpuid_regs leaf1 = cpuid(1U, 0U);
	const struct cpuid_regs leaf6 = caps->max_leaf >= 6U ? cpuid(6U, 0U) : (struct cpuid_regs){0};
	const struct cpuid_regs leaf7 = caps->max_leaf >= 7U ? cpuid(7U, 0U) : (struct cpuid_regs){0};
	const struct cpuid_regs ext1 =
		caps->max_ext_leaf >= 0x80000001U ? cpuid(0x80000001U, 0U) : (struct cpuid_regs){0};

	caps->has_x2apic = (leaf1.ecx & CPUID1_ECX_X2APIC) != 0U;
	caps->has_tsc_deadline = (leaf1.ecx & CPUID1_ECX_DEADLINE) != 0U;
	caps->has_pcid = (leaf1.ecx & CPUID1_ECX_PCID) != 0U;
	caps->has_xsave = (leaf1.ecx & CPUID1_ECX_XSAVE) != 0U;
	caps->has_hypervisor_bit = (leaf1.ecx & CPUID1_ECX_HYPERVISOR) != 0U;
	caps->has_arat = (leaf6.eax & BIT32(2)) != 0U;
	caps->has_fsgsbase = (leaf7.ebx & BIT32(0)) != 0U;
	caps->has_tzcnt = (leaf7.ebx & BIT32(3)) != 0U; /* BMI1 */
	caps->has_lzcnt = (ext1.ecx & BIT32(5)) != 0U;
	caps->has_smep = (leaf7.ebx & BIT32(7)) != 0U;
	caps->has_invpcid = (leaf7.ebx & BIT32(10)) != 0U;
	caps->has_smap = (leaf7.ebx & BIT32(20)) != 0U;
	caps->has_umip = (leaf7.ecx & BIT32(2)) != 0U;
	caps->has_pku = (leaf7.ecx & BIT32(3)) != 0U;
	caps->has_la57 = (leaf7.ecx & BIT32(16)) != 0U;
	caps->has_rtm = (leaf7.ebx & BIT32(11)) != 0U;
	caps->has_md_clear = (leaf7.edx & BIT32(10)) != 0U;
	caps->has_spec_ctrl = (leaf7.edx & BIT32(26)) != 0U;
	caps->has_l1d_flush = (leaf7.edx & BIT32(28)) != 0U;
	caps->has_arch_caps = (leaf7.edx & BIT32(29)) != 0U;
	caps->arch_caps = caps->has_arch_caps ? rdmsr(MSR_IA32_ARCH_CAPABILITIES) : 0UL;
	caps->has_bhi_dis_s = (leaf7.eax >= 2U) && ((cpuid(7U, 2U).edx & BIT32(4)) != 0U);
	caps->has_nx = (ext1.edx & BIT32(20)) != 0U;
	caps->has_1g_pages = (ext1.edx & BIT32(26)) != 0U;
	caps->has_rdtscp = (ext1.edx & BIT32(27)) != 0U;
	caps->has_tsc_invariant = caps->max_ext_leaf >= 0x80000007U && (cpuid(0x80000007U, 0U).edx & BIT32(8)) != 0U;
	survey_xsave(caps);
}

static struct vmx_ctl_caps read_ctl(uint32_t msr)
{
	const uint64_t value = rdmsr(msr);

	return (struct vmx_ctl_caps){.must_be_one = (uint32_t)value, .may_be_one = (uint32_t)(value >> 32U)};
}

static void survey_vmx_controls(struct cpu_caps *caps)
{
	bool true_ctls;

	caps->vmx_basic = rdmsr(MSR_IA32_VMX_BASIC);
	caps->vmcs_revision = (uint32_t)caps->vmx_basic & 0x7FFFFFFFU;
	true_ctls = (caps->vmx_basic & VMX_BASIC_TRUE_CTLS) != 0UL;
	caps->pin = read_ctl(true_ctls ? MSR_IA32_VMX_TRUE_PINBASED_CTLS : MSR_IA32_VMX_PINBASED_CTLS);
	caps->proc = read_ctl(true_ctls ? MSR_IA32_VMX_TRUE_PROCBASED_CTLS : MSR_IA32_VMX_PROCBASED_CTLS);
	caps->exit = read_ctl(true_ctls ? MSR_IA32_VMX_TRUE_EXIT_CTLS : MSR_IA32_VMX_EXIT_CTLS);
	caps->entry = read_ctl(true_ctls ? MSR_IA32_VMX_TRUE_ENTRY_CTLS : MSR_IA32_VMX_ENTRY_CTLS);
	caps->vmx_misc = rdmsr(MSR_IA32_VMX_MISC);
	caps->preemption_timer_shift = (uint32_t)caps->vmx_misc & 0x1FU;
	caps->cr0_fixed0 = rdmsr(MSR_IA32_VMX_CR0_FIXED0);
	caps->cr0_fixed1 = rdmsr(MSR_IA32_VMX_CR0_FIXED1);
	caps->cr4_fixed0 = rdmsr(MSR_IA32_VMX_CR4_FIXED0);
	caps->cr4_fixed1 = rdmsr(MSR_IA32_VMX_CR4_FIXED1);
	if ((caps->proc.may_be_one & PROC_SECONDARY) != 0U) {
		caps->proc2 = read_ctl(MSR_IA32_VMX_PROCBASED_CTLS2);
	}
	if ((caps->proc2.may_be_one & (PROC2_EPT | PROC2_VPID)) != 0U) {
		caps->ept_vpid_cap = rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);
	}
}

static bool has_all(uint64_t value, uint64_t bits)
{
	return (value & bits) == bits;
}

static void survey_vmx_features(struct cpu_caps *caps)
{
	const uint32_t proc2 = caps->proc2.may_be_one;
	const uint32_t exit = caps->exit.may_be_one;
	const uint64_t ept = caps->ept_vpid_cap;

	caps->has_ept_2m = (proc2 & PROC2_EPT) != 0U && has_all(ept, EPT_CAP_2M);
	caps->has_ept_1g = (proc2 & PROC2_EPT) != 0U && has_all(ept, EPT_CAP_1G);
	caps->has_ept_ad = has_all(ept, EPT_CAP_AD);
	caps->has_ept_exec_only = has_all(ept, EPT_CAP_EXEC_ONLY);
	caps->has_invept_single = has_all(ept, EPT_CAP_INVEPT | EPT_CAP_INVEPT_SINGLE);
	caps->has_unrestricted_guest = (proc2 & PROC2_UNRESTRICTED) != 0U;
	caps->has_vpid = (proc2 & PROC2_VPID) != 0U && has_all(ept, VPID_CAP_INVVPID | VPID_CAP_SINGLE);
	caps->has_tpr_shadow = (caps->proc.may_be_one & PROC_TPR_SHADOW) != 0U;
	caps->has_apic_access = (proc2 & PROC2_APIC_ACCESS) != 0U;
	caps->has_virt_x2apic = caps->has_tpr_shadow && (proc2 & PROC2_VIRT_X2APIC) != 0U;
	caps->has_apic_regvirt = caps->has_tpr_shadow && (proc2 & PROC2_APIC_REGVIRT) != 0U;
	caps->has_ack_intr_on_exit = (exit & EXIT_ACK_INTR) != 0U;
	caps->has_apicv_vid = caps->has_tpr_shadow && (proc2 & PROC2_VID) != 0U;
	caps->has_posted_intr =
		caps->has_apicv_vid && caps->has_ack_intr_on_exit && (caps->pin.may_be_one & PIN_POSTED_INTR) != 0U;
	caps->has_preemption_timer = (caps->pin.may_be_one & PIN_PREEMPTION_TIMER) != 0U;
	caps->has_virtual_nmi = (caps->pin.may_be_one & PIN_VIRTUAL_NMI) != 0U;
	caps->has_pause_loop_exiting = (proc2 & PROC2_PAUSE_LOOP) != 0U;
	caps->has_save_efer = (exit & EXIT_SAVE_EFER) != 0U;
	caps->has_load_efer = (exit & EXIT_LOAD_EFER) != 0U && (caps->entry.may_be_one & ENTRY_LOAD_EFER) != 0U;
	caps->has_save_pat = (exit & EXIT_SAVE_PAT) != 0U;
	caps->has_load_pat = (exit & EXIT_LOAD_PAT) != 0U && (caps->entry.may_be_one & ENTRY_LOAD_PAT) != 0U;
	caps->has_enable_rdtscp = (proc2 & PROC2_RDTSCP) != 0U;
	caps->has_enable_invpcid = (proc2 & PROC2_INVPCID) != 0U;
	caps->has_enable_xsaves = (proc2 & PROC2_XSAVES) != 0U;
	caps->has_msr_bitmap = (caps->proc.may_be_one & PROC_MSR_BITMAPS) != 0U;
	caps->has_desc_table_exiting = (proc2 & PROC2_DESC_TABLE) != 0U;
	caps->has_vmfunc = (proc2 & PROC2_VMFUNC) != 0U;
	caps->has_tsc_scaling = (proc2 & PROC2_TSC_SCALING) != 0U;
	caps->has_user_wait_pause = (proc2 & PROC2_USER_WAIT_PAUSE) != 0U;
}

/* Allows VMXON outside SMX if firmware left that open. @return NULL, or why VMX cannot be used */
static const char *enable_vmx(void)
{
	uint64_t control;

	if (!rdmsr_safe(MSR_IA32_FEATURE_CONTROL, &control)) {
		return NULL; /* an emulator without the lock: VMXON needs no leave */
	}
	if ((control & FEATURE_CONTROL_LOCK) == 0UL) {
		control |= FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
		return wrmsr_safe(MSR_IA32_FEATURE_CONTROL, control)
			? NULL
			: "VT-x is off and IA32_FEATURE_CONTROL refuses to turn it on";
	}
	return (control & FEATURE_CONTROL_VMX) != 0UL
		? NULL
		: "VT-x is locked off by the firmware (IA32_FEATURE_CONTROL = locked, VMX disabled); "
		  "switch on Intel Virtualization Technology in the firmware set-up and power-cycle";
}

/* @return the first required feature that `caps` lacks, or NULL */
static const char *missing_feature(const struct cpu_caps *caps)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} ept_needs[] = {
		{EPT_CAP_WALK4, "4-level EPT"},
		{EPT_CAP_WB, "write-back EPT structures"},
		{EPT_CAP_2M, "EPT with 2 MiB pages"},
		{EPT_CAP_INVEPT | EPT_CAP_INVEPT_ALL, "INVEPT (all contexts)"},
	};

	if ((caps->proc.may_be_one & PROC_SECONDARY) == 0U) {
		return "EPT (the CPU has no secondary VM-execution controls)";
	}
	if ((caps->proc2.may_be_one & PROC2_EPT) == 0U) {
		return "EPT (extended page tables)";
	}
	for (uint32_t i = 0U; i < ARRAY_SIZE(ept_needs); i++) {
		if (!has_all(caps->ept_vpid_cap, ept_needs[i].bit)) {
			return ept_needs[i].name;
		}
	}
	if ((caps->vmx_basic & VMX_BASIC_INS_OUTS) == 0UL) {
		return "information about INS and OUTS at VM exits";
	}
	if (!caps->has_unrestricted_guest) {
		return "unrestricted guest";
	}
	if (!caps->has_load_efer || !caps->has_save_efer) {
		return "loading and saving of IA32_EFER by VM entry and exit";
	}
	if (!caps->has_ack_intr_on_exit) {
		return "acknowledge interrupt on exit";
	}
	if (!caps->has_msr_bitmap) {
		return "MSR bitmaps";
	}
	if (!caps->has_load_pat || !caps->has_save_pat) {
		return "loading and saving of IA32_PAT by VM entry and exit";
	}
	if (!caps->has_virtual_nmi) {
		return "virtual NMIs";
	}
	return caps->has_nx ? NULL : "NX (execute disable); it may be switched off in the firmware set-up";
}

static void __noreturn refuse(const char *what, const char *detail)
{
	pr_err("refused: %s%s", what, detail);
	pr_err("Aril needs an Intel CPU with VT-x, EPT with 2 MiB pages, unrestricted guest, and NX. The machine is "
	       "stopped.");
	stop_for_good();
}

bool arch_cap_info(uint32_t index, struct arch_cap *cap)
{
	const struct cpu_caps *const c = &cpu_caps;
	const struct {
		const char *name;
		bool present;
		const char *used;     /* what is done with it */
		const char *fallback; /* what is done without it */
	} rows[] = {
		{"VT-x, EPT, 2 MiB, unrestricted, NX...", true, "required", ""},
		{"EPT 1 GiB pages", c->has_ept_1g, "largest leaves", "2 MiB leaves"},
		{"EPT accessed/dirty", c->has_ept_ad, "not used yet", "not needed"},
		{"INVEPT single context", c->has_invept_single, "flush one VM", "flush all contexts"},
		{"VPID", c->has_vpid, "TLB kept over exits", "TLB flushed at each exit"},
		{"TPR shadow", c->has_tpr_shadow, "CR8 without exit", "CR8 exits"},
		{"APIC-register virtualization", c->has_apic_regvirt, "reads without exit", "reads exit"},
		{"virtual interrupt delivery", c->has_apicv_vid, "EOI without exit", "injection by event"},
		{"virtual x2APIC mode", c->has_virt_x2apic, "MSRs without exit", "MSRs exit"},
		{"posted interrupts", c->has_posted_intr, "not used yet; kick by IPI", "kick by IPI"},
		{"VMX preemption timer", c->has_preemption_timer, "for simulators only", "LAPIC timer ends slices"},
		{"PAUSE-loop exiting", c->has_pause_loop_exiting, "who spins gives way", "who spins ends its slice"},
		{"RDTSCP in guests", c->has_enable_rdtscp, "given", "hidden"},
		{"INVPCID in guests", c->has_enable_invpcid, "given", "hidden"},
		{"XSAVE", c->has_xsave, "given", "hidden; FXSAVE state"},
		{"XSAVES in guests", c->has_enable_xsaves && c->has_xsaves, "given", "hidden"},
		{"x2APIC", c->has_x2apic, "MSR access", "xAPIC, by memory"},
		{"TSC deadline timer", c->has_tsc_deadline, "timer", "LAPIC one-shot"},
		{"invariant TSC", c->has_tsc_invariant, "clock", "clock, may drift in sleep states"},
		{"1 GiB pages", c->has_1g_pages, "direct map", "2 MiB pages"},
		{"SMEP", c->has_smep, "on", "off"},
		{"SMAP", c->has_smap, "guest memory in windows", "guest memory always open"},
		{"UMIP", c->has_umip, "on", "off"},
		{"IBRS, IBPB (SPEC_CTRL)", c->has_spec_ctrl, speculation_branches(), speculation_branches()},
		{"MD_CLEAR (VERW)", c->has_md_clear, speculation_buffers(), speculation_buffers()},
		{"L1D_FLUSH", c->has_l1d_flush, speculation_l1d(), speculation_l1d()},
		/* Nothing is missing where the bit is: the defence is whole. */
		{"code pages of one size", true, speculation_code(), ""},
	};

	if (index >= ARRAY_SIZE(rows)) {
		return false;
	}
	cap->name = rows[index].name;
	cap->present = rows[index].present;
	cap->then = cap->present ? rows[index].used : rows[index].fallback;
	return true;
}

/* What is missing on the serial port, all of it in the log in RAM: each character sent costs 87 us. */
static void log_caps(void)
{
	struct arch_cap cap;

	for (uint32_t i = 0U; arch_cap_info(i, &cap); i++) {
		if (cap.present) {
			pr_dbg("CPU has %s: %s", cap.name, cap.then);
		} else {
			pr_info("CPU lacks %s: %s", cap.name, cap.then);
		}
	}
}

/*
 * Surveys the boot CPU, logs what it has; enables VMX in IA32_FEATURE_CONTROL if firmware left it unlocked.
 * Needs the IDT. Does not return if something required is missing: logs one sentence naming it, halts (the
 * message stays on the screen).
 */
static void caps_survey(void)
{
	struct cpu_caps *caps = &cpu_caps;
	const char *brand;
	const char *why;

	identify(caps);
	for (brand = caps->brand; *brand == ' '; brand++) {
	}
	pr_info("CPU: %s, %s, family %u model 0x%x stepping %u, %u/%u address bits", caps->vendor, brand, caps->family,
		caps->model, caps->stepping, caps->phys_bits, caps->virt_bits);
	survey_cpu(caps);
	if (strcmp(caps->vendor, "AuthenticAMD") == 0 || strcmp(caps->vendor, "HygonGenuine") == 0) {
		refuse("this is an AMD CPU: its virtualization is SVM, not Intel VT-x", "");
	}
	if ((cpuid(1U, 0U).ecx & CPUID1_ECX_VMX) == 0U) {
		refuse("no VT-x: the CPU lacks it, or the virtual machine around us hides it (CPUID.1:ECX bit 5 is 0)",
			"");
	}
	why = enable_vmx();
	if (why != NULL) {
		refuse(why, "");
	}
	survey_vmx_controls(caps);
	survey_vmx_features(caps);
	why = missing_feature(caps);
	if (why != NULL) {
		refuse("VT-x lacks a required feature: ", why);
	}
	speculation_init();
	log_caps();
}

bool caps_check_ap(const char **why)
{
	static struct cpu_caps other; /* CPUs come up one at a time */

	(void)memset(&other, 0, sizeof(other));
	identify(&other);
	survey_cpu(&other);
	if ((cpuid(1U, 0U).ecx & CPUID1_ECX_VMX) == 0U) {
		*why = "it has no VT-x";
		return false;
	}
	*why = enable_vmx();
	if (*why != NULL) {
		return false;
	}
	survey_vmx_controls(&other);
	survey_vmx_features(&other);
	/* Same silicon, same features: anything else would need VMs that differ by CPU. */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): both were all zero, padding too */
	if (memcmp(&other, &cpu_caps, sizeof(other)) != 0) {
		*why = "its features differ from the boot CPU's";
		return false;
	}
	return true;
}

void arch_survey(void)
{
	caps_survey();
}
