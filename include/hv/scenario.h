/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which VMs exist: the scenario blob, checked and unpacked.
 *
 * A blob comes from outside (a GRUB module), so nothing in it is trusted: scenario_load() refuses
 * it as a whole when it isn't exactly what scripts/scenario writes. What a blob can't know, the
 * machine, is checked afterwards by scenario_check_machine(), which refuses single VMs. Format:
 * <public/scenario_blob.h>.
 */
#ifndef HV_SCENARIO_H
#define HV_SCENARIO_H

#include <hv/sched.h>
#include <config.h>

#include <public/scenario_blob.h>

#include <lib/types.h>
#include <lib/util.h>

#if CONFIG_MAX_VCPUS_PER_VM < 16
#define SCENARIO_MAX_VCPUS CONFIG_MAX_VCPUS_PER_VM
#else
#define SCENARIO_MAX_VCPUS 16
#endif

_Static_assert(CONFIG_MAX_PCPU_NUM <= 64, "pCPU masks are 64 bits wide");
_Static_assert(CONFIG_MAX_VM_NUM <= 255, "a blob's VM ids are 8 bits wide in places");

struct scenario_module {
	char tag[SCN_MAX_TAG + 1U];
	char string[SCN_MAX_MOD_STRING + 1U]; /* what the guest sees; "" : the tag */
};

/* One VM, or a nameless slot for a post-launched VM. Its id is its index in scenario.vm[]. */
struct scenario_vm {
	char name[SCN_MAX_NAME + 1U]; /* "" only if dynamic */
	uint8_t load_order;           /* SCN_PRE_LAUNCHED_VM, SCN_SERVICE_VM, SCN_POST_LAUNCHED_VM */
	uint8_t kern_type;            /* SCN_KERNEL_* */
	uint8_t console_vuart;        /* SCN_CONSOLE_* */
	uint8_t unhandled_port;       /* SCN_PORT_* */
	uint8_t pci_policy;           /* SCN_PCI_* */
	struct sched_share share;     /* bvt_weight and the warp */
	bool dynamic;                 /* CREATE_VM with a name that no VM has may take it */
	bool own_pcpu;                /* no other VM runs on its pCPUs */
	bool cpu_auto;                /* scenario_check_machine() fills vcpu_count and vcpu_pcpu */
	bool mem_fixed;               /* mem_hpa is meant */
	bool io_polling;              /* io_completion_polling */
	bool debug_exit;              /* OUT to SCN_DEBUG_EXIT_PORT ends the VM */
	bool autostart;               /* started at boot */
	bool service_control;         /* pre-launched: the Service VM may start, pause, reset, destroy it */
	bool kern_addr;               /* kern_load_addr and kern_entry_addr are meant */
	bool refused;                 /* this machine can't run it; the reason is in refusal[] */
	char refusal[160];

	uint32_t vcpu_wanted;                   /* with cpu_auto: 0 is one vCPU per CPU */
	uint32_t vcpu_count;                    /* 0 only with cpu_auto before scenario_check_machine() */
	uint16_t vcpu_pcpu[SCENARIO_MAX_VCPUS]; /* pCPU of vCPU i, may repeat */
	uint64_t pcpu_mask;                     /* those in vcpu_pcpu; with cpu_auto: all that no other VM owns */

	uint64_t mem_bytes; /* 0: all the rest (Service VM), no limit (post-launched) */
	hpa_t mem_hpa;
	gpa_t kern_load_addr;
	gpa_t kern_entry_addr;
	char kern_mod[SCN_MAX_TAG + 1U];      /* "" if post-launched */
	char ramdisk_mod[SCN_MAX_TAG + 1U];   /* "" : none */
	char bootargs[SCN_MAX_BOOTARGS + 1U]; /* words after the tag in GRUB's string replace them */

	uint32_t module_count;
	struct scenario_module module[SCN_MAX_MODULES];
	uint32_t port_count;
	struct scn_port_range port[SCN_MAX_PORTS]; /* passed through, ascending, disjoint */
	uint8_t port_vcpu[SCN_MAX_PORTS];          /* to whom: 0 all vCPUs, else 1 + the one */
	uint32_t pci_count;
	uint16_t pci_bdf[SCN_MAX_PCI_DEVS]; /* ascending */
};

struct scenario_vuart {
	char name[SCN_MAX_NAME + 1U];
	uint8_t vm[2];  /* VM ids */
	uint8_t com[2]; /* 1 or 2 */
};

struct scenario_connection {
	char name[SCN_MAX_NAME + 1U];
	uint8_t vm[2]; /* VM ids or SCN_CONNECTION_HV; at most one is the hypervisor */
	bool emits[2]; /* that end can send events to the other */
	uint8_t type;  /* SCN_CONNECTION_* */
	uint32_t size; /* bytes of shared memory, a power of two */
};

struct scenario {
	char name[SCN_MAX_NAME + 1U];
	uint8_t scheduler;        /* SCN_SCHED_* */
	uint8_t console_loglevel; /* 0..SCN_LOGLEVEL_MAX */
	uint8_t mem_loglevel;
	uint16_t console_port; /* 0: no serial console */
	uint32_t console_baud;
	uint16_t console_vm; /* VM id or SCN_CONSOLE_VM_NONE */
	uint32_t slice_us;
	uint32_t max_pcpus; /* 1..CONFIG_MAX_PCPU_NUM, the blob's "no limit" is replaced */
	uint32_t vm_count;  /* dynamic slots counted; they come last */
	struct scenario_vm vm[CONFIG_MAX_VM_NUM];
	uint32_t vuart_count;
	struct scenario_vuart vuart[SCN_MAX_VUARTS];
	uint32_t connection_count;
	struct scenario_connection connection[SCN_MAX_CONNECTIONS];
};

/* Why a blob was refused, as one line: "where: what is wrong; how to mend it". */
struct scenario_error {
	char text[200];
};

struct scenario_range {
	hpa_t base;
	uint64_t size; /* bytes */
};

/* What scenario_check_machine() must know of the machine. */
struct scenario_machine {
	uint32_t pcpu_count;              /* CPUs that came up, ids 0..pcpu_count-1 */
	uint64_t ram_bytes;               /* RAM that may be given to VMs */
	const struct scenario_range *ram; /* that RAM as ranges, for fixed places; NULL: not checked */
	uint32_t ram_count;
};

/**
 * Checks the blob of `size` bytes in full and unpacks it. Reads nothing outside [blob, blob+size),
 * which may have any alignment. struct scenario is tens of KiB: keep it static.
 * @param out written completely on success, zeroed on failure
 * @param err written on failure: one readable line
 * @return 0, or -EINVAL: not a scenario this version can use (damaged, other version, or against a
 * rule)
 * @context boot, before VMs exist; no locks, no allocation
 */
__must_check int32_t scenario_load(const void *blob, size_t size, struct scenario *out, struct scenario_error *err);

/**
 * Fits the scenario to the machine: places the vCPUs of VMs with cpu_auto, and marks VMs that can't
 * run here as refused with the reason (CPUs not present, memory not there or used up). The others
 * are left to run. Pre-launched VMs take memory in the order of ids; the Service VM gets what is
 * left. Post-launched VMs are made of the Service VM's memory and refused with it.
 *
 * Automatic placement: the allowed CPUs are those no other VM owns. vCPU i of the Service VM and of
 * pre-launched VMs stands on the i-th of them, wrapping around; post-launched VMs count from the
 * last one downwards, so that they share vCPU 0's CPU of the Service VM last.
 * @return number of VMs refused (0: all can run)
 * @context boot, once the CPUs are up and memory is known; may be called once per loaded scenario
 */
uint32_t scenario_check_machine(struct scenario *scn, const struct scenario_machine *machine);

/** @return the Service VM's entry, NULL if the scenario has none */
struct scenario_vm *scenario_service_vm(struct scenario *scn);

/**
 * Looks for the post-launched VM that CREATE_VM names. Only named entries match: a dynamic slot is
 * the caller's choice among the free ones.
 * @param name `len` bytes that may be anything, NUL-terminated or not
 * @return VM id, or -ENOENT
 */
int32_t scenario_find_post_launched(const struct scenario *scn, const char *name, size_t len);

#endif
