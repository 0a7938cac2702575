/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI bus in a VM: bus 0 with a host bridge in slot 0 and functions that devices add (PCI Local Bus 3.0, chapter 6).
 * Configuration space by ports 0xCF8 and 0xCFC, and by memory (PCI Express 4.0, 7.2.2; PCI Firmware 3.2, 4.1).
 *
 * A pre-launched VM has such a bus always, the others if they have functions here. A User VM's bus 0 is its device
 * model's; functions are put into slots that it leaves empty. The Service VM's is a bus of its own beside the
 * machine's, in memory only (service_bus.c).
 *
 * The guest may move BARs while it runs, yet the VM's port map and table of memory ranges stay constant: the bridge
 * has a window of ports and one of addresses, both registered once, and decodes inside of them, as in hardware. What a
 * BAR says outside of the windows is decoded by nobody. Where each BAR is at the moment is a sorted table; who looks
 * into it takes no lock, only looks again if it was changed meanwhile.
 *
 * A BAR with memory behind it is in the VM's memory map where it is. The map follows before any vCPU runs on
 * (VCPU_REQ_MAP).
 */
#ifndef DM_VPCI_H
#define DM_VPCI_H

#include <lib/spinlock.h>
#include <lib/util.h>

struct acrn_vm;
struct vpci;
struct vpci_function;
struct vpci_msix;

/* A pre-launched VM's: below the I/O APIC's page; its memory ends at 0xC0000000. As in pre_dsdt.asl. */
#define VPCI_MEM_BASE  0xD0000000UL
#define VPCI_MEM_SIZE  0x10000000UL
#define VPCI_ECAM_BASE 0xE0000000UL
#define VPCI_ECAM_SIZE 0x100000UL /* bus 0 */
#define VPCI_IO_BASE   0xC000U
#define VPCI_IO_SIZE   0x1000U

/* A User VM's, in the device model's hole: as in devicemodel-stub/dsdt.asl. */
#define VPCI_USER_MEM_BASE   0xD1000000UL
#define VPCI_USER_MEM_SIZE   0x0F000000UL
#define VPCI_USER_FIRST_SLOT 16U

#define VPCI_SLOTS  32U
#define VPCI_BARS   6U
#define VPCI_CONFIG 256U
#define VPCI_ROUTES 64U /* BARs of all functions together */

/* Two interrupt lines, shared: slots with even numbers have the first, odd ones the second. Level, active high. */
#define VPCI_LINES     2U
#define VPCI_LINE0_GSI 10U
#define VPCI_LINE1_GSI 11U

/* Configuration registers. */
#define PCI_VENDOR      0x00U
#define PCI_DEVICE      0x02U
#define PCI_COMMAND     0x04U
#define PCI_STATUS      0x06U
#define PCI_REVISION    0x08U
#define PCI_CLASS       0x09U
#define PCI_CACHE_LINE  0x0CU
#define PCI_HEADER_TYPE 0x0EU
#define PCI_BAR0        0x10U
#define PCI_CAP_POINTER 0x34U
#define PCI_INT_LINE    0x3CU
#define PCI_INT_PIN     0x3DU
#define PCI_FIRST_CAP   0x40U

#define PCI_CMD_IO       0x0001U
#define PCI_CMD_MEM      0x0002U
#define PCI_CMD_MASTER   0x0004U
#define PCI_CMD_INTX_OFF 0x0400U
#define PCI_STA_INTX     0x0008U
#define PCI_STA_CAPS     0x0010U

/* Kinds of BAR: the low bits of the register. */
#define PCI_BAR_IO       0x1U
#define PCI_BAR_MEM32    0x0U
#define PCI_BAR_MEM64    0x4U /* takes the next register, too */
#define PCI_BAR_PREFETCH 0x8U

/* Where a VM has its bus. */
struct vpci_place {
	uint32_t mem_base; /* window of memory BARs; bytes */
	uint32_t mem_size;
	uint32_t io_base; /* of port BARs; size 0: there is none */
	uint32_t io_size;
	uint32_t ecam; /* configuration space in memory, VPCI_ECAM_SIZE */
	uint32_t gsi[VPCI_LINES];
	uint32_t first_slot; /* of functions that are added */
	bool shared;         /* bus, windows and bridge are a device model's: its is what no function here has */
};

struct vpci_ops {
	/*
	 * An access of `size` (1, 2, 4, 8) bytes wholly inside of a BAR. Any pCPU, no lock of the bus held. NULL: reads
	 * ones, ignores writes.
	 */
	uint64_t (*read)(struct vpci_function *fn, uint32_t bar, uint32_t offset, uint32_t size);
	void (*write)(struct vpci_function *fn, uint32_t bar, uint32_t offset, uint32_t size, uint64_t value);
};

struct vpci_bar {
	uint32_t size;   /* bytes, a power of two; 0: there is none */
	uint32_t kind;   /* PCI_BAR_* */
	uint32_t home;   /* where the hypervisor, as firmware, has put it */
	uint32_t at;     /* where it is decoded now; 0: nowhere. Bus lock */
	hpa_t hpa;       /* memory behind it; 0: none */
	uint32_t access; /* GPA_* rights to that memory; what they do not allow goes to ops */
	uint32_t mapped; /* where that memory is in the VM's map; 0: nowhere. vm->lock */
};

struct vpci_function {
	struct vpci *bus; /* NULL until vpci_add() */
	uint32_t slot;
	uint32_t gsi; /* set before vpci_add(): one of the two lines; 0: as the slot has it */
	const struct vpci_ops *ops;
	uint8_t config[VPCI_CONFIG];   /* bus lock */
	uint8_t writable[VPCI_CONFIG]; /* bits that the guest may change; constant */
	uint32_t next_cap;
	bool intx;              /* it asserts its INTx pin; bus lock */
	struct vpci_msix *msix; /* NULL: it has none; <dm/vpci_msix.h> */
	struct vpci_bar bar[VPCI_BARS];
};

/* A word that is read and written at once. */
struct vpci_route {
	uint32_t base;
	uint8_t shift; /* 1 << shift bytes */
	uint8_t slot;
	uint8_t bar;
	uint8_t unused;
} __aligned(8);

/* Sorted by base, disjoint. All accesses are atomic. */
struct vpci_routes {
	uint32_t count;
	struct vpci_route route[VPCI_ROUTES];
};

/* Whom the bus talks to. Called with its lock held. */
struct vpci_bus_ops {
	void (*set_line)(struct acrn_vm *vm, uint32_t gsi, bool asserted);
	/* A function's message, as an MSI: SDM vol 3, 11.11. */
	void (*send_msi)(struct acrn_vm *vm, uint64_t address, uint32_t data);
	/* A BAR with memory behind it has moved. */
	void (*map_changed)(struct acrn_vm *vm);
};

struct vpci {
	struct spinlock lock; /* configuration, lines */
	struct acrn_vm *vm;
	const struct vpci_bus_ops *ops;
	const struct vpci_place *place;
	uint32_t address; /* 0xCF8; racy between vCPUs as it is on a chip set */
	uint32_t seq;     /* atomic: odd while the routes are changed */
	uint32_t bar_count;
	uint32_t floor; /* memory BARs are put here or above */
	struct vpci_routes mem;
	struct vpci_routes io;
	struct vpci_function bridge;
	struct vpci_function *slot[VPCI_SLOTS]; /* constant while the VM runs */
	bool active;                            /* glue: the VM has a bus */
};

/* A BAR that an address belongs to. */
struct vpci_hit {
	struct vpci_function *fn;
	uint32_t bar;
	uint32_t offset;
};

/** Makes `bus` an empty bus, with a host bridge unless it is shared. @param place kept */
void vpci_init(struct vpci *bus, struct acrn_vm *vm, const struct vpci_bus_ops *ops, const struct vpci_place *place);

/**
 * Makes `fn` a function without BARs and capabilities.
 * @param class_code base class, sub-class, interface: 24 bits
 * @param has_intx   it drives INTA
 */
void vpci_function_init(struct vpci_function *fn, uint16_t vendor, uint16_t device, uint32_t class_code,
	uint8_t revision, bool has_intx, const struct vpci_ops *ops);

/**
 * Gives it BAR `index`; before vpci_add(). Memory behind it: set bar[index].hpa and .access, too.
 * @param size bytes, a power of two; memory: 16 at least, I/O: 4 to 256
 */
void vpci_function_add_bar(struct vpci_function *fn, uint32_t index, uint32_t size, uint32_t kind);

/**
 * Adds a capability in front of its list; before vpci_add(). Its bytes are 0 and read only until the caller sets
 * fn->config and fn->writable.
 * @param size bytes, with the two of the header
 * @return its offset in configuration space, 0: there is no room
 */
uint32_t vpci_function_add_cap(struct vpci_function *fn, uint8_t id, uint32_t size);

/**
 * Puts the function into the lowest free slot and its BARs into the windows. Before the VM runs.
 * @return 0; -ENOSPC: no slot with that line, too many BARs, or no room in a window
 */
int32_t __must_check vpci_add(struct vpci *bus, struct vpci_function *fn);

/**
 * Memory BARs of functions added later are put at `base` or above; 0: where there is room.
 * @return false: that is not in the window
 */
bool __must_check vpci_set_floor(struct vpci *bus, uint64_t base);

/** After power-on: configuration as firmware leaves it, lines down, no message any more. The VM does not run. */
void vpci_reset(struct vpci *bus);

/** @return true if a function here is in the slot of `devfn`; the others are nobody's, or the device model's */
bool vpci_has_slot(const struct vpci *bus, uint32_t devfn);

/**
 * Access to configuration space: 1, 2 or 4 bytes. What nobody has reads ones.
 * @param devfn  slot << 3 | function, of bus 0
 * @param offset 0..0xFFF
 */
uint32_t vpci_config_read(struct vpci *bus, uint32_t devfn, uint32_t offset, uint32_t size);
void vpci_config_write(struct vpci *bus, uint32_t devfn, uint32_t offset, uint32_t size, uint32_t value);

/**
 * Whose address or port it is. Without a lock, from any pCPU.
 * @param is_io ports, else memory
 * @return 0 and *hit; -ENODEV nobody's; -EIO the access runs past the end of a BAR or into one
 */
int32_t vpci_find(struct vpci *bus, bool is_io, uint32_t at, uint32_t size, struct vpci_hit *hit);

/** Asserts or releases the function's INTx pin. Any pCPU; takes the bus lock, then those of PIC and I/O APIC. */
void vpci_set_intx(struct vpci_function *fn, bool asserted);

/* ---- Glue (vpci_glue.c) ---- */

/**
 * Gives the VM its bus: windows, memory for configuration. Before devices add their functions.
 * @param place kept
 * @return as register_mmio_emulation_handler()
 */
int32_t __must_check vpci_attach(struct acrn_vm *vm, const struct vpci_place *place);

/**
 * A pre-launched VM's data port and port window. The address register's ports are shared with the reset register:
 * vm_devices.c has them.
 */
void vpci_attach_ports(struct acrn_vm *vm);

/** The configuration ports of a VM whose bus is shared. @return 0, or -EBUSY: other devices have them */
int32_t __must_check vpci_attach_shared_ports(struct acrn_vm *vm);

/** The address register, as a double word at port 0xCF8. */
uint32_t vpci_address_read(struct acrn_vm *vm);
void vpci_address_write(struct acrn_vm *vm, uint32_t value);

/**
 * Brings the memory map up to where BARs with memory are. vm->lock held; the VM may run.
 * @return 0 or -ENOMEM: the map is incomplete, the VM must stop
 */
int32_t __must_check vpci_sync_map(struct acrn_vm *vm);

#endif
