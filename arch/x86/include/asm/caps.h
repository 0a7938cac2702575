/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this CPU can do, asked once at boot on the boot CPU; the other CPUs are checked against it.
 * What is missing and optional has a fallback, which the capability table in the boot log names.
 */
#ifndef ASM_CAPS_H
#define ASM_CAPS_H

#include <lib/util.h>

/* One VMX control word. A value v is legal if (v & must_be_one) == must_be_one and (v & ~may_be_one) == 0. */
struct vmx_ctl_caps {
	uint32_t must_be_one; /* allowed-0 settings */
	uint32_t may_be_one;  /* allowed-1 settings */
};

struct cpu_caps {
	char vendor[13];
	char brand[49];
	uint32_t family, model, stepping;
	uint32_t max_leaf, max_ext_leaf;
	uint8_t phys_bits; /* width of a physical address */
	uint8_t virt_bits; /* width of a linear address */

	/* VMX, SDM vol 3 appendix A. All 0 if the survey ended in a refusal. */
	uint64_t vmx_basic;
	uint32_t vmcs_revision;
	struct vmx_ctl_caps pin, proc, proc2, exit, entry;
	uint64_t vmx_misc;
	uint64_t ept_vpid_cap;
	uint64_t cr0_fixed0, cr0_fixed1; /* CR0 bits that must be 1 / may be 1 in VMX operation */
	uint64_t cr4_fixed0, cr4_fixed1;
	uint32_t preemption_timer_shift; /* the timer counts TSC >> shift */

	/* VMX features. A true one is also permitted by the control words above. */
	bool has_ept_2m;
	bool has_ept_1g;
	bool has_ept_ad; /* accessed and dirty flags */
	bool has_ept_exec_only;
	bool has_invept_single;
	bool has_unrestricted_guest;
	bool has_vpid; /* with single-context INVVPID */
	bool has_tpr_shadow;
	bool has_apic_access;
	bool has_apic_regvirt;
	bool has_virt_x2apic;
	bool has_apicv_vid; /* virtual interrupt delivery */
	bool has_posted_intr;
	bool has_preemption_timer;
	bool has_virtual_nmi;
	bool has_pause_loop_exiting;
	bool has_save_efer, has_load_efer; /* IA32_EFER by VM exit and entry */
	bool has_save_pat, has_load_pat;
	bool has_enable_rdtscp;
	bool has_enable_invpcid;
	bool has_enable_xsaves;
	bool has_ack_intr_on_exit;
	bool has_msr_bitmap;
	bool has_desc_table_exiting;
	bool has_vmfunc;
	bool has_tsc_scaling;
	bool has_user_wait_pause;

	/* CPU features. */
	bool has_x2apic;
	bool has_tsc_deadline;
	bool has_arat; /* LAPIC timer runs in deep C states */
	bool has_tsc_invariant;
	bool has_xsave, has_xsaves;
	bool has_fsgsbase;
	bool has_tzcnt, has_lzcnt;
	bool has_invpcid;
	bool has_pcid;
	bool has_rdtscp;
	bool has_smep, has_smap, has_umip;
	bool has_pku, has_la57;
	bool has_nx;
	bool has_1g_pages;
	bool has_spec_ctrl, has_arch_caps, has_l1d_flush, has_md_clear, has_bhi_dis_s, has_rtm;
	bool has_hypervisor_bit; /* we run nested or in an emulator that says so */
	uint64_t arch_caps;      /* IA32_ARCH_CAPABILITIES; 0 without it */
	uint64_t xcr0_mask;      /* XCR0 bits that the CPU takes and guests may set */
	uint32_t xsave_size;     /* bytes for all of xcr0_mask, standard format */
};

/** Constant after caps_survey(). */
extern struct cpu_caps cpu_caps;

/**
 * Checks this (non-boot) CPU against the survey, and enables VMX in its IA32_FEATURE_CONTROL.
 * @param why out: what is wrong
 * @return true if it can be used
 */
bool caps_check_ap(const char **why);

/** As arch_guest_access_begin(): direct-map accesses to guest memory are allowed from here to clac(). */
static inline void stac(void)
{
	if (cpu_caps.has_smap) {
		__asm__ volatile("stac" : : : "memory");
	}
}

static inline void clac(void)
{
	if (cpu_caps.has_smap) {
		__asm__ volatile("clac" : : : "memory");
	}
}

#endif
