/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port I/O of a VM: libsel4vm's ioports.h. There is one dispatch; ACRN's register_io_emulation_handler()
 * (<hv/ioreq.h>) and the forwarding to the Service VM (unhandled.c) are users of it.
 *
 * Who answers an access, in this order: the machine, if the vCPU's I/O bitmap lets it through; the registered range
 * that holds it, unless it passes it on; the VM's callback for unhandled ports; nobody: a read gives ones, a write is
 * lost, the log has a line.
 *
 * An access must lie wholly in one range. One that touches a range and is not inside it is refused: -EIO, ones, lost
 * (doc/decisions/0004-edge-reads-ones.md). doc/interfaces.md says what of libsel4vm is where.
 */
#ifndef HV_IOPORTS_H
#define HV_IOPORTS_H

#include <lib/util.h>

struct acrn_vm;
struct acrn_vcpu;

#define VM_IOPORT_COUNT   0x10000U
#define VM_IOPORT_ENTRIES 48U

/* Both ends included. */
typedef struct vm_ioport_range {
	uint16_t start;
	uint16_t end;
} vm_ioport_range_t;

typedef enum ioport_fault_result {
	IO_FAULT_HANDLED,
	IO_FAULT_UNHANDLED, /* a read gives ones, a write is lost; a range's handler is not followed by the callback */
	IO_FAULT_ERROR,     /* the VM stops, with a reason */
	IO_FAULT_PASS,      /* a range's handler only, not libsel4vm's: the callback is to answer */
	IO_FAULT_PENDING,   /* callback only, not libsel4vm's: the answer comes later, vcpu->io_state is IO_PENDING */
} ioport_fault_result_t;

/**
 * @param port   inside the range; so are all `size` bytes
 * @param size   1, 2 or 4 bytes
 * @param result out; its low `size` bytes count. All ones at the call
 */
typedef ioport_fault_result_t (*vm_ioport_in_fn)(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t *result);
/** @param value the bytes above `size` are 0 */
typedef ioport_fault_result_t (*vm_ioport_out_fn)(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t value);

/* NULL port_in reads as ones, NULL port_out ignores. */
typedef struct vm_ioport_interface {
	void *cookie;
	vm_ioport_in_fn port_in;
	vm_ioport_out_fn port_out;
	const char *desc; /* name, for the log */
} vm_ioport_interface_t;

/**
 * vcpu->req is the access, and `value` points into it.
 * @param value for an OUT what is written; for an IN, all ones, what will be read. The low `size` bytes count
 * @param size  1, 2 or 4 bytes
 */
typedef ioport_fault_result_t (*unhandled_ioport_callback_fn)(
	struct acrn_vcpu *vcpu, uint32_t port_no, bool is_in, uint32_t *value, size_t size, void *cookie);

/* A registered range. */
struct vm_ioport_entry {
	vm_ioport_range_t range;
	vm_ioport_interface_t interface;
};

/* The ports of a VM: constant while it runs. */
struct vm_ioports {
	uint8_t *map; /* [port]: 0 nobody, 1 + index into entry, or 0xFF: a vCPU has it itself; 16 pages */
	struct vm_ioport_entry entry[VM_IOPORT_ENTRIES];
	uint32_t count;
	unhandled_ioport_callback_fn unhandled;
	void *unhandled_cookie;
};

/** Gives the VM its empty map. @return 0 or -ENOMEM */
int32_t __must_check vm_ioports_init(struct acrn_vm *vm);

/** Frees it. Also if there is none. */
void vm_ioports_destroy(struct acrn_vm *vm);

/** @return the range that holds `port` (< VM_IOPORT_COUNT), or NULL. One look, at each port exit: hence inline */
static inline const struct vm_ioport_entry *vm_ioport_owner(const struct vm_ioports *ports, uint32_t port)
{
	const uint32_t index = ports->map[port] - 1U;

	return (index < VM_IOPORT_ENTRIES) ? &ports->entry[index] : NULL;
}

/**
 * Registers a range; all vCPUs exit on it. Not while the VM runs or is paused.
 * @return 0; -1, with a log line: the range is reversed, shares a port with a registered one or with one that a vCPU
 *         has itself, the table is full, or the VM runs
 */
int32_t __must_check vm_io_port_add_handler(
	struct acrn_vm *vm, vm_ioport_range_t ioport_range, vm_ioport_interface_t ioport_interface);

/**
 * The callback for ports that no range holds; the last registration counts. Not while the VM runs or is paused.
 * @return 0; -1: no VM, no callback, or it runs
 */
int32_t __must_check vm_register_unhandled_ioport_callback(
	struct acrn_vm *vm, unhandled_ioport_callback_fn ioport_callback, void *cookie);

/**
 * Lets one vCPU have the machine's ports [port_start, port_end] without an exit. Those of the others stay as they
 * are. Not while the VM runs or is paused. To give ports to all vCPUs there is allow_guest_pio_access().
 * @return 0; -1, with a log line: reversed, a handler is registered for one of the ports, no memory, or the VM runs
 */
int32_t __must_check vm_enable_passthrough_ioport(struct acrn_vcpu *vcpu, uint16_t port_start, uint16_t port_end);

#endif
