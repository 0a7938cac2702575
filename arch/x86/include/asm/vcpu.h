/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of a vCPU that the CPU code owns. There is a twin of this header in tests/fake/. */
#ifndef ASM_VCPU_H
#define ASM_VCPU_H

#include <asm/guest_walk.h>
#include <asm/instr.h>
#include <asm/vlapic.h>
#include <lib/types.h>
#include <public/acrn_common.h>

/* Saved and loaded by vmx_entry.S, in the order of VMX exit qualifications. rsp lives in the VMCS: not used here. */
struct guest_gprs {
	uint64_t reg[16];
	uint64_t host_rsp;  /* what HOST_RSP of the VMCS is; 0: not known */
	uint64_t spec_ctrl; /* IA32_SPEC_CTRL as the guest reads it */
};

#define GPR_RAX 0U
#define GPR_RCX 1U
#define GPR_RDX 2U
#define GPR_RBX 3U
#define GPR_RSP 4U
#define GPR_RBP 5U
#define GPR_RSI 6U
#define GPR_RDI 7U
#define GPR_R8  8U

/* MSRs that the CPU does not switch at entry and exit, and that the hypervisor itself does not use. */
enum switched_msr {
	SWITCHED_STAR,
	SWITCHED_LSTAR,
	SWITCHED_CSTAR,
	SWITCHED_FMASK,
	SWITCHED_KERNEL_GS_BASE,
	SWITCHED_TSC_AUX,
	SWITCHED_MSR_COUNT,
};

#define VMTRR_VARIABLE 8U
struct vmtrr {
	uint64_t def_type;
	uint64_t fixed[11];
	uint64_t base[VMTRR_VARIABLE];
	uint64_t mask[VMTRR_VARIABLE];
};

/* An IN, OUT, INS or OUTS between its exit and its end. */
struct pio_exit {
	bool is_string;
	bool is_in;
	bool is_rep;
	uint8_t size;      /* bytes */
	uint8_t addr_size; /* string: 2, 4, 8 */
	uint16_t port;
	gpa_t gpa[2];  /* string: where the element is; [1] != INVALID_GPA when it crosses a page */
	uint8_t first; /* string: bytes of the element that are at gpa[0] */
	gla_t gla;     /* string: where the element is */
};

/*
 * A translation of a page, and all that it was made of: as long as that is the same the walk would end here again
 * (guest_mem.c). Guests change their tables without telling, so the entries are compared at each use.
 */
struct guest_translation {
	uint64_t generation; /* vm->arch.ept_generation that the host addresses are of; 0: nothing is here */
	uint64_t paging;     /* vcpu_arch.paging_epoch */
	gla_t page;
	uint32_t access;                   /* GUEST_WALK_* */
	uint32_t used;                     /* entries */
	uint32_t entry_size;               /* bytes of each: 4 or 8 */
	const void *at[GUEST_WALK_LEVELS]; /* the entries, direct map */
	uint64_t entry[GUEST_WALK_LEVELS];
	gpa_t gpa;       /* of the page */
	uint32_t rights; /* GPA_*: what the memory map allows; 0: nothing is mapped there */
	uint8_t *hva;    /* the page, direct map; NULL: it is not RAM */
};

/* What may be due to be injected. An exception changes nothing about the interrupts that wait. */
#define CHECK_NOTHING   0U
#define CHECK_EXCEPTION 1U
#define CHECK_ALL       3U

struct vcpu_arch {
	struct guest_gprs gprs;
	void *vmcs;         /* page, direct map */
	bool launched;      /* VMRESUME from now on */
	bool has_run;       /* was on some CPU once */
	bool init_pending;  /* the VMCS is to be built from `init_regs` before the next entry */
	bool msrs_reset;    /* then also the MSRs that are in the VMCS get their reset values */
	uint16_t vpid;      /* 0: none */
	uint8_t *io_bitmap; /* its own, as vm_arch's; NULL: that of the VM */
	uint64_t ept_seen;  /* vm->arch.ept_generation at the last INVEPT on the vCPU's pCPU, its only one */
	struct acrn_regs init_regs;

	/* Of the exit being handled. */
	uint32_t exit_reason;
	uint64_t timed_since; /* TSC of the exit that is timed, 0: none is */

	/* Controls as they are in the VMCS: written only on change. */
	uint32_t proc_ctls;
	uint32_t proc_ctls2;
	uint32_t entry_ctls;
	uint64_t cr0_mask, cr4_mask;
	uint32_t tpr_threshold;
	bool apicv_on; /* APIC virtualization: apicv.c */

	/* What is due to be injected, one of each but NMIs. */
	bool exc_pending;
	uint8_t exc_vector;
	bool exc_has_error;
	uint32_t exc_error;
	uint8_t nmis_pending;   /* 0..2: see take_nmis() */
	uint32_t entry_info;    /* what the VMCS's entry field holds and has not been delivered yet, or 0 */
	uint32_t reinject_info; /* an event whose delivery an exit interrupted: entry interruption info, or 0 */
	uint32_t reinject_error;
	uint32_t reinject_len;

	/* Switched with the vCPU, not with entry and exit: the hypervisor does not use them. */
	uint64_t cr2;
	uint64_t switched_msr[SWITCHED_MSR_COUNT];
	uint64_t dr[4];
	uint64_t dr6;
	bool breakpoints;   /* DR7 enables some, or did: debug_regs.c */
	bool watching;      /* and some on data or ports */
	uint8_t watch_hits; /* those that the instruction under emulation has met so far */
	uint64_t xcr0;
	void *xsave_area; /* 2^xsave_order pages */

	uint64_t efer; /* guest's, as it reads it */
	uint64_t tsc_adjust;
	uint64_t misc_enable;
	uint32_t last_msr; /* index in vmsr.c's table */
	struct vmtrr mtrr;

	/* How the guest pages, as of the last vcpu_paging_get(); paging_epoch counts its changes. */
	struct guest_walk_state paging;
	uint64_t paging_epoch;
	struct guest_translation translations[3]; /* the last one to read, to write, to fetch */

	struct vlapic vlapic;
	struct pio_exit pio;
	struct instr_emul emul;
	uint8_t check_events;  /* CHECK_*: look for something to inject before the next entry */
	bool halt_if;          /* RFLAGS.IF at the HLT */
	bool halt_nmi;         /* NMIs were not blocked there: they end it */
	uint64_t tsc_offset;   /* guest TSC - host TSC */
	bool emul_active;      /* an MMIO instruction is under way in `emul` */
	bool emul_simple;      /* and it needs nothing but the answer: instr_simple_end() */
	uint32_t emul_retries; /* undecodable bytes seen at the same RIP */
};

#endif
