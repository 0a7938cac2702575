/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What VMs could learn from a CPU that runs ahead of itself, and what is done against it: chosen once, by what the CPU
 * reports (SDM 2.1 on IA32_SPEC_CTRL and IA32_ARCH_CAPABILITIES; Intel's "Speculative Execution Side Channel
 * Mitigations"). With it an erratum by which they could stop the machine.
 */
#ifndef ASM_SPECULATION_H
#define ASM_SPECULATION_H

#include <asm/caps.h>
#include <lib/types.h>

#define SPEC_CTRL_IBRS      0x001U
#define SPEC_CTRL_BHI_DIS_S 0x400U

/* How vmx_vmrun() enters. */
#define VMRUN_LAUNCHED 1U /* by VMRESUME, else VMLAUNCH */
#define VMRUN_GUARDED  2U /* with all that is due at each entry */

struct speculation {
	uint32_t host_spec_ctrl; /* IA32_SPEC_CTRL while the hypervisor runs */
	uint32_t guard_entry;    /* VMRUN_GUARDED if something is to be done at each entry, else 0 */
	uint16_t verw_selector;  /* writable data, for VERW */
	bool guard_exit;         /* something is to be done at each exit: vmx_exit_guarded */
	bool swap;          /* IBRS without "all the time": written at each exit, the guest's value at each entry */
	bool clear_buffers; /* VERW before each entry: any guarded one does it */
	bool flush_l1d;     /* before a VM runs after anything else than its own quick exits */
	bool barrier;       /* IBPB between two VMs */
	bool small_code;    /* guests execute from 4 KiB pages only: page-size change machine check */
	bool branches_open; /* affected, and nothing can be done about it: as the next two */
	bool buffers_open;
	bool l1d_open;
};

enum mitigations {
	MITIGATIONS_AUTO, /* what the CPU says that it needs */
	MITIGATIONS_OFF,
	MITIGATIONS_ALL, /* all that the CPU can do, needed or not: for tests */
};

/** Constant after speculation_init(). */
extern struct speculation speculation;

/** Chooses for a CPU with `caps`. Pure. */
void speculation_choose(struct speculation *s, const struct cpu_caps *caps, enum mitigations wanted);

/** Chooses for this machine; the command line may say mitigations=off or all. Boot CPU, after the survey. */
void speculation_init(void);

/** Sets IA32_SPEC_CTRL for the hypervisor. Each CPU, before its first VM entry, and after one that failed. */
void speculation_host(void);

/** @return what is done, for the table of CPU features: a few words */
const char *speculation_branches(void);
const char *speculation_buffers(void);
const char *speculation_l1d(void);
const char *speculation_code(void);

#endif
