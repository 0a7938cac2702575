/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scenario in its flat form: which VMs exist and what each is given. scripts/scenario compiles
 * it from XML, GRUB passes it as a module (tag "scenario") and the hypervisor checks every byte
 * again.
 *
 *   struct scn_header                                             64 bytes
 *   struct scn_vm_record    [vm_count]        in order of VM id   368 bytes each
 *   struct scn_vuart_record [vuart_count]                         16 bytes each
 *   struct scn_connection_record [connection_count]               16 bytes each
 *   string table            [str_size]        bytes without NUL, zero-padded to 8
 *
 * The parts follow each other without gaps. Little endian. Reserved fields and unused array entries
 * are zero. A change of meaning or layout raises SCN_VERSION: one version of the reader reads one
 * version.
 */
#ifndef PUBLIC_SCENARIO_BLOB_H
#define PUBLIC_SCENARIO_BLOB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SCN_STATIC_ASSERT(cond, text) static_assert(cond, text)
#else
#define SCN_STATIC_ASSERT(cond, text) _Static_assert(cond, text)
#endif

#define SCN_MAGIC   0x4C495241U /* "ARIL" */
#define SCN_VERSION 3U

#define SCN_BLOB_MAX_SIZE   0x100000U /* bytes; a sane bound, a full scenario is about 40 KiB */
#define SCN_MAX_VCPUS       16U
#define SCN_MAX_MODULES     8U
#define SCN_MAX_PORTS       16U
#define SCN_MAX_PCI_DEVS    8U
#define SCN_MAX_VUARTS      8U
#define SCN_MAX_CONNECTIONS 8U
#define SCN_MAX_NAME        15U   /* characters in a VM's or connection's name */
#define SCN_MAX_TAG         31U   /* characters in a module tag */
#define SCN_MAX_MOD_STRING  127U  /* characters in the string of a further module */
#define SCN_MAX_BOOTARGS    2047U /* characters in a command line */

#define SCN_CONSOLE_VM_NONE 0xFFFFU /* header.console_vm: the hypervisor's own console */

#define SCN_SLICE_MIN_US   100U
#define SCN_SLICE_MAX_US   1000000U
#define SCN_BVT_WEIGHT_MAX 128U
#define SCN_BVT_WARP_MAX   8192 /* virtual milliseconds, either sign */
#define SCN_BVT_LIMIT_MAX  10U  /* milliseconds */
#define SCN_LOGLEVEL_MAX   5U
#define SCN_MEM_MAX_MB     0x1000000U /* 16 TiB */

#define SCN_DEBUG_EXIT_PORT 0xF4U
#define SCN_COM1_PORT       0x3F8U
#define SCN_COM2_PORT       0x2F8U

/* scn_header.scheduler */
#define SCN_SCHED_IORR 0U /* round robin */
#define SCN_SCHED_BVT  1U /* borrowed virtual time, with a weight per VM */
#define SCN_SCHED_NOOP 2U /* each vCPU is alone on its pCPU */

/* scn_vm_record.load_order; 0 is not used, so that a zeroed record is refused */
#define SCN_PRE_LAUNCHED_VM  1U
#define SCN_SERVICE_VM       2U
#define SCN_POST_LAUNCHED_VM 3U

/* scn_vm_record.kern_type */
#define SCN_KERNEL_NONE     0U /* post-launched: the device model loads it */
#define SCN_KERNEL_BZIMAGE  1U
#define SCN_KERNEL_ELF      2U /* multiboot1 or multiboot2, found by the header in the image */
#define SCN_KERNEL_RAWIMAGE 3U

/* scn_vm_record.console_vuart: which of the VM's COM ports is the hypervisor's console for it */
#define SCN_CONSOLE_NONE 0U
#define SCN_CONSOLE_COM1 1U
#define SCN_CONSOLE_COM2 2U

/* scn_vm_record.unhandled_port: who answers for a port that nobody in the hypervisor owns */
#define SCN_PORT_IGNORE      1U /* reads all ones, writes dropped */
#define SCN_PORT_LOG         2U /* the same, and a rate-limited line in the log */
#define SCN_PORT_STOP        3U /* the VM stops with a reason */
#define SCN_PORT_FORWARD     4U /* a vhm_request to the Service VM (post-launched only) */
#define SCN_PORT_PASSTHROUGH 5U /* the port of the machine (Service VM only) */

/* scn_vm_record.pci_policy: which PCI functions of the machine the VM may use */
#define SCN_PCI_NONE   1U
#define SCN_PCI_ALL    2U /* all that the hypervisor and other VMs don't own (Service VM only) */
#define SCN_PCI_LISTED 3U /* those in pci_bdf[] */

/* scn_vm_record.flags */
#define SCN_VM_OWN_PCPU        (1U << 0) /* no other VM runs on its pCPUs */
#define SCN_VM_CPU_AUTO        (1U << 1) /* vcpu_pcpu[] is empty: placed at boot on CPUs no VM owns */
#define SCN_VM_MEM_HPA         (1U << 2) /* mem_hpa is the place of its memory */
#define SCN_VM_IO_POLLING      (1U << 3) /* I/O requests complete by polling, else by notification */
#define SCN_VM_DEBUG_EXIT      (1U << 4) /* OUT to port 0xF4 ends the VM with that code */
#define SCN_VM_AUTOSTART       (1U << 5) /* started at boot (never post-launched) */
#define SCN_VM_DYNAMIC         (1U << 6) /* nameless slots for post-launched VMs, `slots` of them */
#define SCN_VM_KERN_ADDR       (1U << 7) /* kern_load_addr and kern_entry_addr are meant */
#define SCN_VM_SERVICE_CONTROL (1U << 8) /* the Service VM may start, pause, reset, destroy it (pre-launched only) */
#define SCN_VM_FLAGS_ALL       0x1FFU

/* A piece of the string table; length 0 has offset 0 and means "not given". */
struct scn_string {
	uint32_t offset; /* from the start of the string table */
	uint32_t length; /* bytes, no NUL */
};

struct scn_port_range {
	uint16_t first;
	uint16_t last; /* inclusive */
};

struct scn_module {
	struct scn_string tag;    /* first word of the GRUB module's string */
	struct scn_string string; /* what the guest sees as the module's string; none: the tag */
};

struct scn_header {
	uint32_t magic;
	uint16_t version;
	uint16_t header_size;
	uint32_t total_size; /* of the whole blob */
	uint32_t crc32;      /* IEEE 802.3, over the whole blob with this field 0 */
	uint16_t vm_count;
	uint16_t vm_record_size;
	uint16_t vuart_count;
	uint16_t vuart_record_size;
	uint32_t str_size;      /* multiple of 8 */
	struct scn_string name; /* of the scenario */
	uint32_t slice_us;      /* time slice of a vCPU that shares its pCPU */
	uint32_t console_baud;  /* 0 only if console_port is 0 */
	uint16_t console_port;  /* I/O port of the hypervisor's UART; 0: none */
	uint16_t console_vm;    /* VM id shown on the console after boot, or SCN_CONSOLE_VM_NONE */
	uint16_t max_pcpus;     /* CPUs beyond it stay unused; 0: no limit */
	uint8_t scheduler;
	uint8_t console_loglevel; /* 0 none, 1 critical, 2 error, 3 warning, 4 info, 5 debug */
	uint8_t mem_loglevel;
	uint8_t connection_count;
	uint8_t connection_record_size;
	uint8_t reserved[9];
};

struct scn_vm_record {
	uint32_t flags;
	uint8_t load_order;
	uint8_t kern_type;
	uint8_t console_vuart;
	uint8_t unhandled_port;
	uint8_t pci_policy;
	uint8_t bvt_weight; /* 1..128 */
	uint8_t slots;      /* VM ids that this record stands for: 1, more only if SCN_VM_DYNAMIC */
	uint8_t vcpu_num;   /* length of vcpu_pcpu; with SCN_VM_CPU_AUTO: wanted, 0: one per CPU */
	uint8_t module_count;
	uint8_t port_count;
	uint8_t pci_count;
	uint8_t reserved0;
	struct scn_string name;
	uint32_t mem_mb;           /* 0: all the rest (Service VM) or no limit (post-launched) */
	int16_t bvt_warp_value;    /* virtual milliseconds */
	uint8_t bvt_warp_limit;    /* milliseconds; 0: no limit */
	uint8_t bvt_unwarp_period; /* milliseconds */
	uint64_t mem_hpa;
	uint64_t kern_load_addr;  /* guest-physical */
	uint64_t kern_entry_addr; /* guest-physical */
	struct scn_string kern_mod;
	struct scn_string ramdisk_mod;
	struct scn_string bootargs;
	uint16_t vcpu_pcpu[SCN_MAX_VCPUS]; /* pCPU of vCPU i; may repeat */
	struct scn_port_range ports[SCN_MAX_PORTS];
	uint16_t pci_bdf[SCN_MAX_PCI_DEVS]; /* bus << 8 | device << 3 | function */
	struct scn_module modules[SCN_MAX_MODULES];
	uint8_t port_vcpu[SCN_MAX_PORTS]; /* who has ports[i]: 0 all vCPUs, else 1 + the one */
	uint64_t reserved2[4];
};

/* COM port of one VM wired to a COM port of another. */
struct scn_vuart_record {
	struct scn_string name;
	uint8_t vm[2];  /* VM ids */
	uint8_t com[2]; /* 1 or 2 */
	uint32_t reserved;
};

/* scn_connection_record.type: how it looks to its VMs */
#define SCN_CONNECTION_CROSSVM 1U /* seL4's cross-VM connection */
#define SCN_CONNECTION_IVSHMEM 2U /* QEMU's ivshmem, with a doorbell */

#define SCN_CONNECTION_HV     0xFFU /* scn_connection_record.vm: the hypervisor, which sends events back */
#define SCN_CONNECTION_MIN_KB 4U
#define SCN_CONNECTION_MAX_KB 0x4000U /* 16 MiB */

/* Shared memory and events between two VMs, or one VM and the hypervisor. */
struct scn_connection_record {
	struct scn_string name;
	uint8_t vm[2];    /* VM ids or SCN_CONNECTION_HV */
	uint8_t emits;    /* bit i: end i can send events to the other */
	uint8_t type;     /* SCN_CONNECTION_*; 0 is not used */
	uint32_t size_kb; /* of the shared memory; a power of two */
};

SCN_STATIC_ASSERT(sizeof(struct scn_string) == 8, "scn_string");
SCN_STATIC_ASSERT(sizeof(struct scn_port_range) == 4, "scn_port_range");
SCN_STATIC_ASSERT(sizeof(struct scn_module) == 16, "scn_module");
SCN_STATIC_ASSERT(sizeof(struct scn_header) == 64, "scn_header");
SCN_STATIC_ASSERT(offsetof(struct scn_header, crc32) == 12, "scn_header.crc32");
SCN_STATIC_ASSERT(offsetof(struct scn_header, name) == 28, "scn_header.name");
SCN_STATIC_ASSERT(offsetof(struct scn_header, scheduler) == 50, "scn_header.scheduler");
SCN_STATIC_ASSERT(sizeof(struct scn_vm_record) == 368, "scn_vm_record");
SCN_STATIC_ASSERT(offsetof(struct scn_vm_record, name) == 16, "scn_vm_record.name");
SCN_STATIC_ASSERT(offsetof(struct scn_vm_record, vcpu_pcpu) == 80, "scn_vm_record.vcpu_pcpu");
SCN_STATIC_ASSERT(offsetof(struct scn_vm_record, modules) == 192, "scn_vm_record.modules");
SCN_STATIC_ASSERT(sizeof(struct scn_vuart_record) == 16, "scn_vuart_record");
SCN_STATIC_ASSERT(sizeof(struct scn_connection_record) == 16, "scn_connection_record");

#endif
