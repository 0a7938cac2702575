/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The devices of a User VM and the table that finds them: one set of code, two homes.
 *
 * The Linux program (linux/) and the bare-metal Service VM (baremetal/) both receive requests from the hypervisor,
 * put each into a struct dm_access and call dm_vm_access(). Nothing here knows where it runs: what the devices need
 * of the outside comes through struct dm_host_ops. Freestanding C, no allocation, no lock: the caller lets one
 * thread at a time into a struct dm_vm.
 */
#ifndef DEVICEMODEL_STUB_DEVICE_H
#define DEVICEMODEL_STUB_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a device model needs from its home. Every function is called with `ctx` of the VM. */
struct dm_host_ops {
	/* Sets the level of interrupt line `gsi` (I/O APIC pin; the hypervisor feeds the PIC too). */
	void (*irq_line)(void *ctx, uint32_t gsi, bool high);
	/* Monotonic time, ns. */
	uint64_t (*time_ns)(void *ctx);
	/* Time of day, seconds since 1970-01-01 UTC. */
	uint64_t (*wall_s)(void *ctx);
	/* One byte that the guest wrote to its console. */
	void (*console_out)(void *ctx, uint8_t byte);
	/* One line for the log, without newline. */
	void (*log)(void *ctx, const char *line);
};

enum dm_space {
	DM_PIO,    /* addr is a port */
	DM_MMIO,   /* addr is a guest-physical address */
	DM_PCICFG, /* addr is bus << 20 | dev << 15 | func << 12 | register */
};

/* One access of a guest; value is the answer of a read, or what was written (bytes above size are 0). */
struct dm_access {
	enum dm_space space;
	bool write;
	uint32_t size; /* bytes: 1, 2, 4, and 8 for DM_MMIO */
	uint64_t addr;
	uint64_t value;
	/* Set by the test device; the home obeys them. */
	uint32_t delay_us;   /* complete the request this much later */
	bool complete_twice; /* report the completion a second time */
};

/* How a VM ended. The numbers are the exit codes of aril-dm. */
enum dm_end {
	DM_END_POWEROFF = 0,
	DM_END_REBOOT = 3, /* the guest asks for a reset */
	DM_END_CRASH = 4,  /* the hypervisor stopped it: triple fault or another fault of the guest */
	DM_END_PANIC = 5,  /* the guest's kernel said that it panicked */
	DM_END_EXIT = 7,   /* debug exit port, end_code not 0 */
	DM_END_NONE = 255, /* it runs */
};

/* The ports of the devices, the same in both homes; doc/device-model.md. */
#define DM_PORT_PIT        0x40U
#define DM_PORT_PORT61     0x61U
#define DM_PORT_KBD        0x64U
#define DM_PORT_CMOS       0x70U
#define DM_PORT_POST       0x80U
#define DM_PORT_DEBUG_EXIT 0xF4U
#define DM_PORT_COM1       0x3F8U
#define DM_PORT_PM1_EVT    0x400U
#define DM_PORT_PM1_CNT    0x404U
#define DM_PORT_TEST       0x500U
#define DM_PORT_PANIC      0x520U
#define DM_PORT_RESET      0xCF9U
#define DM_PORT_PCI_ADDR   0xCF8U
#define DM_PORT_PCI_DATA   0xCFCU
#define DM_MMIO_TEST       0xD0000000UL
#define DM_MMIO_SCRATCH    0xD0001000UL

#define DM_IRQ_COM1 4U
#define DM_IRQ_SCI  9U
/* IRQ 0 of the PIT arrives at I/O APIC pin 2, as the MADT says. */
#define DM_GSI_PIT 2U

/* The hypervisor stopped the VM: a 4-byte write to DM_PORT_PM1_CNT (a guest's is 2 bytes) with this bit. */
#define DM_PM1_FAULT 0x80000000U

struct dm_vm;

typedef void (*dm_access_fn)(struct dm_vm *vm, struct dm_access *access);

/* One device's range: [first, last], both included. An access belongs to it only if all its bytes do. */
struct dm_range {
	enum dm_space space;
	uint64_t first;
	uint64_t last;
	dm_access_fn fn;
	const char *name;
};

#define DM_RANGES_MAX 24U

/* 16550A, COM1. */
#define DM_UART_FIFO 16U
struct dm_uart {
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t msr_delta;
	bool thre_pending; /* the interrupt, not the status bit: THR is always empty */
	bool overrun;
	bool line; /* level of the interrupt line as last told to the hypervisor */
	uint8_t rx[DM_UART_FIFO];
	uint32_t rx_head, rx_count;
};

/* CMOS memory with the clock of an MC146818. */
struct dm_cmos {
	uint8_t index;
	int64_t offset_s; /* guest's time of day minus the host's */
	uint8_t ram[128];
};

/* Intel 8254, channels 0 and 2, and port 0x61. */
struct dm_pit_channel {
	uint8_t mode;    /* 0..5 */
	uint8_t access;  /* 1 low byte, 2 high byte, 3 both */
	bool write_high; /* the next byte written is the high one */
	bool read_high;
	bool latched;
	bool status_latched;
	bool counting;
	bool gate;
	uint8_t status;
	uint8_t write_low;
	uint16_t latch;
	uint32_t reload; /* 1..65536 */
	uint64_t start_ns;
	uint64_t irqs; /* periods whose interrupt was raised (channel 0) */
};

struct dm_pit {
	struct dm_pit_channel ch[3];
	uint8_t port61;
};

struct dm_pm {
	uint16_t status, enable, control;
};

/* Test device: doc/device-model.md has its registers. */
#define DM_TEST_SIZE  0x20U
#define DM_TEST_ECHO  0x00U /* 8 bytes, any width and offset */
#define DM_TEST_DELAY 0x08U /* us that each access to ECHO takes */
#define DM_TEST_MODE  0x0CU /* DM_TEST_MODE_* */
#define DM_TEST_COUNT 0x10U /* accesses to ECHO; any write clears it */
#define DM_TEST_LAST  0x14U /* last access to ECHO: size | write << 8 | offset << 16 */
#define DM_TEST_ID    0x18U /* reads DM_TEST_ID_VALUE */
#define DM_TEST_END   0x1CU /* a write ends the VM as DM_PORT_DEBUG_EXIT does */

#define DM_TEST_MODE_PLAIN  0U
#define DM_TEST_MODE_EXCESS 1U /* reads of ECHO have ones in the bytes above their size */
#define DM_TEST_MODE_INVERT 2U /* reads of ECHO are inverted */
#define DM_TEST_MODE_TWICE  3U /* each access to ECHO is completed twice */
#define DM_TEST_MODE_MAX    3U

#define DM_TEST_ID_VALUE  0x44545241U /* "ARTD" */
#define DM_TEST_DELAY_MAX 1000000U

#define DM_SCRATCH_SIZE 512U

struct dm_testdev {
	uint8_t echo[8];
	uint8_t scratch[DM_SCRATCH_SIZE]; /* MMIO that behaves like memory */
	uint32_t delay_us, mode, count, last;
};

/* One User VM's devices. */
struct dm_vm {
	const struct dm_host_ops *ops;
	void *ctx;
	uint64_t ram_low;  /* bytes of RAM from 0 */
	uint64_t ram_high; /* bytes of RAM from 4 GiB */
	bool debug_exit;   /* DM_PORT_DEBUG_EXIT and DM_TEST_END end the VM */

	enum dm_end end;
	uint32_t end_code; /* DM_END_EXIT: the value; DM_END_CRASH: the hypervisor's value */

	struct dm_range ranges[DM_RANGES_MAX];
	uint32_t range_count;

	struct dm_uart uart;
	struct dm_cmos cmos;
	struct dm_pit pit;
	struct dm_pm pm;
	struct dm_testdev test;
	uint32_t pci_addr;

	uint64_t accesses;  /* served */
	uint64_t unclaimed; /* of these, nobody's */
	/* Which unclaimed ports and MMIO pages have been logged. */
	uint8_t pio_logged[65536 / 8];
	uint64_t mmio_logged[16];
	uint32_t mmio_logged_count;
};

/* ---- device.c ---- */

/**
 * Prepares the devices of a VM in their state after power-on.
 * @param ram_low  bytes of RAM from address 0, at most 3 GiB
 * @param ram_high bytes of RAM from 4 GiB
 */
void dm_vm_init(struct dm_vm *vm, const struct dm_host_ops *ops, void *ctx, uint64_t ram_low, uint64_t ram_high,
	bool debug_exit);

/** The VM is reset: devices as after power-on; the time of day, the test counters and what was logged stay. */
void dm_vm_reset(struct dm_vm *vm);

/**
 * Emulates one access. Nobody's: a read gives ones, a write is dropped, the first of each port or page is logged.
 * After the call vm->end may say that the VM ended.
 */
void dm_vm_access(struct dm_vm *vm, struct dm_access *access);

/**
 * Lets the devices act that do something by themselves (PIT channel 0).
 * @return ns until it should be called again, at most 1 s
 */
uint64_t dm_vm_tick(struct dm_vm *vm);

/** @return how a VM ended, in words */
const char *dm_end_name(enum dm_end end);

/** Adds a range. @return 0, -1 if the table is full or the range overlaps one that is there (both names logged) */
int dm_range_add(
	struct dm_vm *vm, enum dm_space space, uint64_t first, uint64_t last, dm_access_fn fn, const char *name);

/** One line to the log: `text` followed by up to two hexadecimal numbers (each NULL-named one is left out). */
void dm_log_hex(struct dm_vm *vm, const char *text, uint64_t a, const char *name_b, uint64_t b);

/** @return a mask of the low `size` bytes (1..8) */
static inline uint64_t dm_size_mask(uint32_t size)
{
	return (size >= 8U) ? UINT64_MAX : ((1UL << (size * 8U)) - 1UL);
}

/* ---- one group per device ---- */

void dm_uart_access(struct dm_vm *vm, struct dm_access *access);
void dm_uart_reset(struct dm_vm *vm);
/** A byte typed by the user. @return false if the FIFO is full (try again later) */
bool dm_uart_receive(struct dm_vm *vm, uint8_t byte);
/** @return true if dm_uart_receive() would take a byte */
bool dm_uart_can_receive(const struct dm_vm *vm);

void dm_cmos_access(struct dm_vm *vm, struct dm_access *access);
void dm_cmos_reset(struct dm_vm *vm);

void dm_pit_access(struct dm_vm *vm, struct dm_access *access);
void dm_port61_access(struct dm_vm *vm, struct dm_access *access);
void dm_pit_reset(struct dm_vm *vm);
/** Raises channel 0's interrupt when it is due. @return ns until the next is due, UINT64_MAX if none is */
uint64_t dm_pit_tick(struct dm_vm *vm);

void dm_pm_access(struct dm_vm *vm, struct dm_access *access);
void dm_pm_reset(struct dm_vm *vm);
void dm_kbd_access(struct dm_vm *vm, struct dm_access *access);
void dm_reset_port_access(struct dm_vm *vm, struct dm_access *access);
void dm_panic_access(struct dm_vm *vm, struct dm_access *access);
void dm_debug_exit_access(struct dm_vm *vm, struct dm_access *access);

void dm_pci_addr_access(struct dm_vm *vm, struct dm_access *access);
void dm_pci_data_access(struct dm_vm *vm, struct dm_access *access);

void dm_test_access(struct dm_vm *vm, struct dm_access *access);
void dm_scratch_access(struct dm_vm *vm, struct dm_access *access);

#endif
