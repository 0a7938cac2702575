/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The structures that cross the border between the hypervisor and the Service VM.
 *
 * Usable by the hypervisor, by guests, by Linux user space and from C++. Layouts are those which Linux 6.1's
 * drivers/virt/acrn uses; names are those of ACRN's 2018-12 tree where it had one. Little endian throughout.
 */
#ifndef PUBLIC_ACRN_COMMON_H
#define PUBLIC_ACRN_COMMON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define ACRN_STATIC_ASSERT static_assert
#else
#define ACRN_STATIC_ASSERT _Static_assert
#endif

/* ---- The I/O request page -------------------------------------------------------------------------------- */

/*
 * One 4 KiB page per User VM, in the Service VM's memory: 16 slots of 256 bytes, slot i belongs to vCPU i.
 *
 *            hypervisor: fill type, reqs, completion_polling; store-release PENDING; raise the upcall
 *   FREE ---------------------------------------------------------------------------------> PENDING
 *    ^                                                     Service VM driver: acquire, choose |
 *    | hypervisor: value copied once, FREE                 a client, store-release            v
 *   COMPLETE <---------- Service VM: value written, store-release ---------------------- PROCESSING
 *
 * Owner of the slot's contents: the hypervisor in FREE and COMPLETE, the Service VM in PENDING and PROCESSING.
 * The driver may go from PENDING to COMPLETE directly. A zeroed page reads PENDING: the hypervisor sets every
 * slot to FREE before anyone may look. After COMPLETE the Service VM issues HC_NOTIFY_REQUEST_FINISH, unless
 * completion_polling was set when it looked (before it stored COMPLETE).
 */
#define REQ_STATE_PENDING    0U
#define REQ_STATE_COMPLETE   1U
#define REQ_STATE_PROCESSING 2U
#define REQ_STATE_FREE       3U

#define REQ_PORTIO 0U
#define REQ_MMIO   1U
#define REQ_PCICFG 2U
#define REQ_WP     3U

#define REQUEST_READ  0U
#define REQUEST_WRITE 1U

#define VHM_REQUEST_MAX 16U

struct mmio_request {
	uint32_t direction; /* REQUEST_READ or REQUEST_WRITE */
	uint32_t reserved;
	uint64_t address; /* guest-physical, bytes */
	uint64_t size;    /* bytes: 1, 2, 4 or 8 */
	uint64_t value;   /* out for a read, in for a write; bytes above size are 0 */
};

struct pio_request {
	uint32_t direction;
	uint32_t reserved;
	uint64_t address; /* port number */
	uint64_t size;    /* bytes: 1, 2 or 4 */
	uint32_t value;
};

/* Made by the Service VM's driver out of accesses to 0xCFC..0xCFF; its first fields coincide with pio_request. */
struct pci_request {
	uint32_t direction;
	uint32_t reserved[3];
	int64_t size;
	int32_t value;
	int32_t bus;
	int32_t dev;
	int32_t func;
	int32_t reg;
};

union vhm_io_request {
	struct pio_request pio;
	struct pci_request pci;
	struct mmio_request mmio;
	int64_t reserved1[8];
};

struct vhm_request {
	uint32_t type;               /* REQ_PORTIO.. */
	uint32_t completion_polling; /* 1: the hypervisor polls, no HC_NOTIFY_REQUEST_FINISH is needed */
	/*
	 * Slot 0 only, Aril's own (ACRN: reserved, 0): not 0 while the Service VM looks at all slots of the page
	 * anyway; then requests raise no upcall. Who stops looking stores 0, and after a full barrier looks once more.
	 * Zeroed by SET_IOREQ_BUFFER and RESET_VM.
	 */
	uint32_t upcall_off;
	uint32_t reserved0[13];
	union vhm_io_request reqs;
	uint32_t reserved1;
	int32_t client;     /* the Service VM driver's own (Linux: kernel_handled) */
	uint32_t processed; /* REQ_STATE_*; the only word both sides write while the other may look */
	uint32_t reserved2[29];
};

union vhm_request_buffer {
	struct vhm_request req_queue[VHM_REQUEST_MAX];
	int8_t reserved[4096];
};

ACRN_STATIC_ASSERT(sizeof(struct vhm_request) == 256, "one slot is 256 bytes");
ACRN_STATIC_ASSERT(sizeof(union vhm_request_buffer) == 4096, "the request page is one page");
ACRN_STATIC_ASSERT(offsetof(struct vhm_request, upcall_off) == 8, "upcall_off");
ACRN_STATIC_ASSERT(offsetof(struct vhm_request, reqs) == 64, "reqs");
ACRN_STATIC_ASSERT(offsetof(struct vhm_request, client) == 132, "client");
ACRN_STATIC_ASSERT(offsetof(struct vhm_request, processed) == 136, "processed");
ACRN_STATIC_ASSERT(offsetof(struct pio_request, value) == 24, "pio value");
ACRN_STATIC_ASSERT(offsetof(struct mmio_request, value) == 24, "mmio value");
ACRN_STATIC_ASSERT(offsetof(struct pci_request, bus) == 28, "pci bus");

/* ---- Creating and running a VM --------------------------------------------------------------------------- */

#define ACRN_INVALID_VMID 0xFFFFU
#define ACRN_VM_NAME_LEN  16U /* with the final NUL */

/* vm_flag bits. CREATE_VM takes IO_COMPLETION_POLLING, and RT, which changes nothing; all others are -EINVAL. */
#define GUEST_FLAG_LAPIC_PASSTHROUGH     (1UL << 1)
#define GUEST_FLAG_IO_COMPLETION_POLLING (1UL << 2)
#define GUEST_FLAG_RT                    (1UL << 4)

struct acrn_create_vm {
	uint16_t vmid; /* out: relative to the Service VM; ACRN_INVALID_VMID when none was made */
	uint16_t reserved0;
	uint16_t vcpu_num; /* out: vCPUs made, one per bit of cpu_affinity */
	uint16_t reserved1;
	uint8_t name[ACRN_VM_NAME_LEN]; /* matches a User VM of the scenario, or takes a dynamic slot */
	uint64_t vm_flag;               /* GUEST_FLAG_* */
	uint64_t req_buf;               /* the driver's own; the hypervisor ignores it */
	uint64_t cpu_affinity;          /* bitmap of pCPU ids */
};

ACRN_STATIC_ASSERT(sizeof(struct acrn_create_vm) == 48, "acrn_create_vm");

struct acrn_descriptor_ptr {
	uint16_t limit;
	uint64_t base;
	uint16_t reserved[3];
} __attribute__((packed));

/* GPRs in the order in which VMX exit qualifications number them. */
struct acrn_gp_regs {
	uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
};

struct acrn_regs {
	struct acrn_gp_regs gprs;
	struct acrn_descriptor_ptr gdt;
	struct acrn_descriptor_ptr idt;
	uint64_t rip;
	uint64_t cs_base;
	uint64_t cr0;
	uint64_t cr4; /* before cr3 */
	uint64_t cr3;
	uint64_t ia32_efer;
	uint64_t rflags;
	uint64_t reserved_64[4];
	uint32_t cs_ar; /* VMX access rights */
	uint32_t cs_limit;
	uint32_t reserved_32[3];
	uint16_t cs_sel, ss_sel, ds_sel, es_sel, fs_sel, gs_sel, ldt_sel, tr_sel;
};

ACRN_STATIC_ASSERT(sizeof(struct acrn_regs) == 288, "acrn_regs");
ACRN_STATIC_ASSERT(offsetof(struct acrn_regs, rip) == 160, "rip");
ACRN_STATIC_ASSERT(offsetof(struct acrn_regs, cs_sel) == 268, "cs_sel");

struct acrn_set_vcpu_regs {
	uint16_t vcpu_id;
	uint16_t reserved[3];
	struct acrn_regs vcpu_regs;
};

ACRN_STATIC_ASSERT(sizeof(struct acrn_set_vcpu_regs) == 296, "acrn_set_vcpu_regs");

/* ---- Memory ---------------------------------------------------------------------------------------------- */

#define MR_ADD    0U
#define MR_DEL    2U
#define MR_MODIFY 3U

#define MEM_ACCESS_READ  0x00000001U
#define MEM_ACCESS_WRITE 0x00000002U
#define MEM_ACCESS_EXEC  0x00000004U
#define MEM_ACCESS_RWX   0x00000007U
#define MEM_TYPE_WB      0x00000040U
#define MEM_TYPE_WT      0x00000080U
#define MEM_TYPE_UC      0x00000100U
#define MEM_TYPE_WC      0x00000200U
#define MEM_TYPE_WP      0x00000400U
#define MEM_TYPE_MASK    0x000007C0U

struct vm_memory_region {
	uint32_t type; /* MR_* */
	uint32_t prot; /* MEM_ACCESS_* | one MEM_TYPE_* */
	uint64_t gpa;
	uint64_t service_vm_gpa;
	uint64_t size; /* bytes */
};

struct set_regions {
	uint16_t vmid; /* relative */
	uint16_t reserved0;
	uint32_t reserved1;
	uint32_t mr_num;
	uint32_t reserved2;
	uint64_t regions_gpa; /* Service VM physical address of mr_num vm_memory_region */
};

ACRN_STATIC_ASSERT(sizeof(struct vm_memory_region) == 32, "vm_memory_region");
ACRN_STATIC_ASSERT(sizeof(struct set_regions) == 24, "set_regions");

/* ---- Interrupts ------------------------------------------------------------------------------------------ */

struct acrn_msi_entry {
	uint64_t msi_addr;
	uint64_t msi_data;
};

#define GSI_SET_HIGH      0U
#define GSI_SET_LOW       1U
#define GSI_RAISING_PULSE 2U
#define GSI_FALLING_PULSE 3U

struct acrn_intr_monitor {
	uint32_t cmd; /* 0: read counts, 1: delay */
	uint32_t buf_cnt;
	uint64_t buffer[48];
};

ACRN_STATIC_ASSERT(sizeof(struct acrn_intr_monitor) == 392, "acrn_intr_monitor");

struct acrn_hc_api_version {
	uint32_t major_version;
	uint32_t minor_version;
};

/* ---- Aril's own: HC_ARIL_GET_STATS ----------------------------------------------------------------------- */

/* Counters for tests and leak checks; all of them of the whole hypervisor. */
struct aril_hv_stats {
	uint64_t pages_free;       /* 4 KiB pages that the hypervisor's allocator has left */
	uint64_t pages_total;      /* that it was given at boot */
	uint64_t vms;              /* VMs that are not powered off, the Service VM included */
	uint64_t vcpus;            /* their vCPUs */
	uint64_t vms_created;      /* since boot */
	uint64_t requests;         /* I/O requests handed to the Service VM since boot */
	uint64_t requests_done;    /* of these, completed and their guests gone on */
	uint64_t requests_refused; /* broken protocol: slot not FREE, illegal state */
	uint64_t vm_faults;        /* VMs stopped because of a fault of their own */
	uint64_t vms_destroyed;    /* since boot */
	uint64_t upcalls;          /* interrupts raised in the Service VM for requests */
	uint64_t hypercalls;
	uint64_t hypercalls_failed;
	uint64_t threads; /* virtual CPUs, keepers of pre-launched VMs, the console's */
	uint64_t timers;  /* armed, on all CPUs */
	uint64_t reserved;
};

ACRN_STATIC_ASSERT(sizeof(struct aril_hv_stats) == 128, "aril_hv_stats");

/* ---- CPUID ----------------------------------------------------------------------------------------------- */

#define ACRN_CPUID_SIGNATURE    0x40000000U /* EBX, ECX, EDX = "ACRN" each */
#define ACRN_CPUID_FEATURES     0x40000001U /* EAX bit 0: this VM is the Service VM */
#define ACRN_CPUID_TSC_KHZ      0x40000010U /* EAX = TSC rate, kHz */
#define ACRN_SIGNATURE_DWORD    0x4E524341U /* "ACRN" */
#define ACRN_FEATURE_SERVICE_VM 0x1U

/* The vector of the upcall to the Service VM, and the polled-for default of Linux 6.1. */
#define ACRN_UPCALL_VECTOR 0xF3U

#endif
