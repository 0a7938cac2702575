/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path of an I/O access that a guest made, from its exit to the device and back.
 *
 * Names, parameters and return values are those of ACRN's 2018-12 ioreq.h; what changed is written at the
 * function. The walk: pio_instr_vmexit_handler() or the EPT violation handler fills vcpu->req and calls
 * emulate_io(); that finds a handler here (hv_emulate_pio(), hv_emulate_mmio()) or hands the request to the Service
 * VM (acrn_insert_request_wait(), vhm.c). doc/walk-of-a-port-read.md goes through it line by line.
 */
#ifndef HV_IOREQ_H
#define HV_IOREQ_H

#include <lib/list.h>
#include <lib/util.h>
#include <public/acrn_common.h>

/* emulate_io(): the request was delivered to the Service VM but is not finished yet. */
#define IOREQ_PENDING 1

/* One I/O request inside the hypervisor. */
struct io_request {
	uint32_t type;             /* REQ_PORTIO, REQ_MMIO, REQ_WP */
	union vhm_io_request reqs; /* the details, in the shape of vhm_request */
};

/* A range of ports: [base, base+len). */
struct vm_io_range {
	uint16_t base;
	uint16_t len;
	uint32_t flags; /* IO_ATTR_* */
};

#define IO_ATTR_R         0U
#define IO_ATTR_RW        1U
#define IO_ATTR_NO_ACCESS 2U

struct acrn_vm;
struct acrn_vcpu;

/* @return the port's content, in the low `size` bytes (1, 2 or 4) */
typedef uint32_t (*io_read_fn_t)(struct acrn_vm *vm, uint16_t port, size_t size);
/* @param val the value in its low `size` bytes (1, 2 or 4); the bytes above are 0 */
typedef void (*io_write_fn_t)(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val);

/* One registered range. A NULL io_read reads as ones; a NULL io_write ignores the write. */
struct vm_io_handler_desc {
	uint16_t port_start;
	uint32_t port_end; /* not included; 0x10000 for a range that ends with the last port */
	io_read_fn_t io_read;
	io_write_fn_t io_write;
};

/*
 * The slots of register_io_emulation_handler(), one per emulated device: an index used twice in a VM is a bug of
 * ours and is refused with both ranges in the log.
 */
enum emul_pio_idx {
	PIC_MASTER_PIO_IDX,
	PIC_SLAVE_PIO_IDX,
	PIC_ELC_PIO_IDX,
	PCI_CFGADDR_PIO_IDX,
	PCI_CFGDATA_PIO_IDX,
	PCI_WINDOW_PIO_IDX,
	UART_PIO_IDX,
	UART2_PIO_IDX,
	PM1A_EVT_PIO_IDX,
	PM1A_CNT_PIO_IDX,
	PM1B_EVT_PIO_IDX,
	PM1B_CNT_PIO_IDX,
	PM_TMR_PIO_IDX,
	RTC_PIO_IDX,
	PIT_PIO_IDX,
	PORT61_PIO_IDX,
	KBD_PIO_IDX,
	KBD_STATUS_PIO_IDX,
	PORT92_PIO_IDX,
	RESET_PIO_IDX,
	DEBUG_EXIT_PIO_IDX,
	CONSOLE_PIO_IDX,
	EMUL_PIO_IDX_MAX,
};

/*
 * Called for a whole access inside the registered range. Reads io_req->reqs.mmio, and for a read sets its value.
 * @return 0; -ENODEV: nobody has it after all; -EIO: it runs over an end in there; other -errno: the VM stops
 */
typedef int32_t (*hv_mem_io_handler_t)(struct io_request *io_req, void *handler_private_data);

/* One registered range: range_start <= address < address + size <= range_end. */
struct mem_io_node {
	hv_mem_io_handler_t read_write;
	void *handler_private_data;
	struct list_head list;
	uint64_t range_start;
	uint64_t range_end; /* not included */
};

/* ---- CPU side: arch/x86/guest/vmx_io.c ---- */

/**
 * The handler of VM exits on I/O instructions (IN, OUT, INS, OUTS, with REP).
 * @param vcpu the vCPU which exits; its thread calls
 * @return 0 done or under way (vcpu->io_state says which); <0 the VM is to be stopped
 */
int32_t pio_instr_vmexit_handler(struct acrn_vcpu *vcpu);

/** Initialises the VM's I/O bitmap: all ports of a User VM exit; of the Service VM none but the registered. */
void setup_io_bitmap(struct acrn_vm *vm);

/**
 * Gives the VM direct access to ports [port_address, port_address+nbytes). What lies above 0xFFFF is ignored.
 * @param nbytes number of ports
 */
void allow_guest_pio_access(struct acrn_vm *vm, uint16_t port_address, uint32_t nbytes);

/** The reverse: each access exits, of all vCPUs. */
void deny_guest_pio_access(struct acrn_vm *vm, uint16_t port_address, uint32_t nbytes);

/**
 * Gives one vCPU direct access to ports [port_address, port_address+nbytes). It gets a bitmap of its own. Before the
 * VM is started. @return 0 or -ENOMEM
 */
int32_t __must_check allow_vcpu_pio_access(struct acrn_vcpu *vcpu, uint16_t port_address, uint32_t nbytes);

/* ---- Core: hypervisor/ioreq.c, for the VM's dispatch in ioports.c and guest_memory.c ---- */

/**
 * Registers a port range, through vm_io_port_add_handler(). Accesses exit and go to the handlers. Before the VM is
 * started.
 * Refused, with both ranges in the log: an index in use, a range that overlaps a registered one, len 0, a range
 * beyond port 0xFFFF.
 * @param pio_idx < EMUL_PIO_IDX_MAX
 */
void register_io_emulation_handler(struct acrn_vm *vm, uint32_t pio_idx, const struct vm_io_range *range,
	io_read_fn_t io_read_fn_ptr, io_write_fn_t io_write_fn_ptr);

/**
 * Registers an MMIO range, as a reservation: it is unmapped from the VM's memory. Before the VM is launched.
 * @param start base address, guest-physical
 * @param end   end, not included
 * @return 0; -EINVAL: read_write is NULL, end is not above start, the VM has been launched;
 *         -EEXIST: overlaps a registered range; -ENOSPC: table full
 */
int32_t register_mmio_emulation_handler(
	struct acrn_vm *vm, hv_mem_io_handler_t read_write, uint64_t start, uint64_t end, void *handler_private_data);

/**
 * Emulates `io_req` for `vcpu`: by a registered handler, or by the Service VM.
 * @pre io_req is &vcpu->req: a vCPU has one request at a time
 * @return 0 done, the result is in io_req; IOREQ_PENDING delivered to the Service VM; -EIO spans devices;
 *         -EINVAL unknown type or size; -EAGAIN (memory) the instruction is to be executed again; -EFAULT the VM was
 *         stopped
 */
int32_t emulate_io(struct acrn_vcpu *vcpu, struct io_request *io_req);

/**
 * Looks for the port handler and calls it.
 * @return 0 done; -EIO the access runs past the end of a range or into one; -ENODEV nobody has it
 */
int32_t hv_emulate_pio(struct acrn_vcpu *vcpu, struct io_request *io_req);

/** As hv_emulate_pio(), for REQ_MMIO and REQ_WP; io_req is &vcpu->req. Also -EAGAIN and -EFAULT, as emulate_io(). */
int32_t hv_emulate_mmio(struct acrn_vcpu *vcpu, struct io_request *io_req);

/**
 * The Service VM's answer arrived, in any state of the VM: the slot is checked, the value copied once, the slot
 * freed, and the guest's instruction finished (emulate_pio_post() or emulate_mmio_post()). On the vCPU's thread.
 * Does nothing while the slot is not COMPLETE.
 */
void emulate_io_post(struct acrn_vcpu *vcpu);

/**
 * Finishes a port access: the value of an IN into the guest's register (1 and 2 bytes merge, 4 zero-extend), RIP moved.
 * @pre io_req->type == REQ_PORTIO, and it is complete
 */
void emulate_pio_post(struct acrn_vcpu *vcpu, const struct io_request *io_req);

/**
 * Finishes an MMIO access in the guest's registers.
 * @pre io_req->type == REQ_MMIO (or REQ_WP), and it is complete
 */
void emulate_mmio_post(struct acrn_vcpu *vcpu, const struct io_request *io_req);

/** Post-work of a forwarded MMIO access. @pre vcpu->req.type == REQ_MMIO, the slot was COMPLETE */
void dm_emulate_mmio_post(struct acrn_vcpu *vcpu);

/** Post-work of a forwarded port access. @pre vcpu->req.type == REQ_PORTIO, the slot was COMPLETE */
void dm_emulate_pio_post(struct acrn_vcpu *vcpu);

/* ---- The shared page: hypervisor/vhm.c ---- */

/**
 * Delivers `io_req` to the Service VM; vcpu->io_state becomes IO_PENDING. Returns at once: the vCPU's thread
 * polls the slot before it enters the guest again (vcpu_thread.c).
 * @return 0; -ENODEV the VM has no request page; -EBUSY the slot was not FREE (the Service VM broke the protocol)
 */
int32_t acrn_insert_request_wait(struct acrn_vcpu *vcpu, const struct io_request *io_req);

/** Sets every slot of the VM's page to FREE and clears the rest. Nothing if there is no page. */
void reset_vm_ioreqs(struct acrn_vm *vm);

/** @return state of the slot, read with acquire; any value, the page belongs to another VM. FREE if there is no page */
uint32_t get_vhm_req_state(struct acrn_vm *vm, uint16_t vhm_req_id);

/** Stores the state with release. Nothing if there is no page or no such slot. */
void set_vhm_req_state(struct acrn_vm *vm, uint16_t vhm_req_id, uint32_t state);

/**
 * Looks at the slot of a pending request.
 * @return 0 COMPLETE (value taken, slot FREE, vcpu->req has the result); -EAGAIN not yet;
 *         -EIO an illegal state, the VM is at fault
 */
int32_t vhm_poll_request(struct acrn_vcpu *vcpu);

/** Raises the upcall in the Service VM. */
void vhm_fire_upcall(void);

#endif
