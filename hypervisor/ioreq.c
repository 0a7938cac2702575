/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path of an access: who answers it, and what happens if nobody does. Who may answer is registered in ioports.c
 * and guest_memory.c, ACRN's way here; the request page is in vhm.c.
 */
#include <hv/arch.h>
#include <hv/guest_memory.h>
#include <hv/ioports.h>
#include <hv/ioreq.h>
#include <hv/log.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/errno.h>

/* ---- ACRN's registrations: adapters to the VM's one dispatch of ports and of memory ---- */

static const char *const pio_names[EMUL_PIO_IDX_MAX] = {
	[PIC_MASTER_PIO_IDX] = "PIC master",
	[PIC_SLAVE_PIO_IDX] = "PIC slave",
	[PIC_ELC_PIO_IDX] = "PIC ELCR",
	[PCI_CFGADDR_PIO_IDX] = "PCI address",
	[PCI_CFGDATA_PIO_IDX] = "PCI data",
	[PCI_WINDOW_PIO_IDX] = "PCI window",
	[UART_PIO_IDX] = "COM1",
	[UART2_PIO_IDX] = "COM2",
	[PM1A_EVT_PIO_IDX] = "PM1a event",
	[PM1A_CNT_PIO_IDX] = "PM1a control",
	[PM1B_EVT_PIO_IDX] = "PM1b event",
	[PM1B_CNT_PIO_IDX] = "PM1b control",
	[PM_TMR_PIO_IDX] = "PM timer",
	[RTC_PIO_IDX] = "RTC",
	[PIT_PIO_IDX] = "PIT",
	[PORT61_PIO_IDX] = "port 61",
	[KBD_PIO_IDX] = "keyboard",
	[KBD_STATUS_PIO_IDX] = "keyboard status",
	[PORT92_PIO_IDX] = "port 92",
	[RESET_PIO_IDX] = "reset",
	[DEBUG_EXIT_PIO_IDX] = "debug exit",
	[CONSOLE_PIO_IDX] = "console",
};

static ioport_fault_result_t acrn_port_in(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t *result)
{
	const struct vm_io_handler_desc *desc = cookie;

	*result = desc->io_read(vcpu->vm, (uint16_t)port, size);
	return IO_FAULT_HANDLED;
}

static ioport_fault_result_t acrn_port_out(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t value)
{
	const struct vm_io_handler_desc *desc = cookie;

	desc->io_write(vcpu->vm, (uint16_t)port, size, value);
	return IO_FAULT_HANDLED;
}

void register_io_emulation_handler(struct acrn_vm *vm, uint32_t pio_idx, const struct vm_io_range *range,
	io_read_fn_t io_read_fn_ptr, io_write_fn_t io_write_fn_ptr)
{
	const uint32_t end = (uint32_t)range->base + range->len;
	const bool reads = (range->flags != IO_ATTR_NO_ACCESS) && (io_read_fn_ptr != NULL);
	const bool writes = (range->flags == IO_ATTR_RW) && (io_write_fn_ptr != NULL);
	struct vm_io_handler_desc *desc;

	if ((pio_idx >= (uint32_t)EMUL_PIO_IDX_MAX) || (range->len == 0U) || (end > VM_IOPORT_COUNT)) {
		pr_err("VM%u: ports 0x%x..0x%x cannot be index %u", vm->vm_id, range->base, end - 1U, pio_idx);
		return;
	}
	desc = &vm->pio[pio_idx];
	if (desc->port_end != 0U) {
		pr_err("VM%u: ports 0x%x..0x%x refused: index %u (%s) is that of 0x%x..0x%x", vm->vm_id, range->base,
			end - 1U, pio_idx, pio_names[pio_idx], desc->port_start, desc->port_end - 1U);
		return;
	}
	if (vm_io_port_add_handler(vm, (vm_ioport_range_t){range->base, (uint16_t)(end - 1U)},
		    (vm_ioport_interface_t){.cookie = desc,
			    .port_in = reads ? acrn_port_in : NULL,
			    .port_out = writes ? acrn_port_out : NULL,
			    .desc = pio_names[pio_idx]}) == 0) {
		*desc = (struct vm_io_handler_desc){range->base, end, io_read_fn_ptr, io_write_fn_ptr};
	}
}

static memory_fault_result_t acrn_mmio(
	struct acrn_vm *vm, struct acrn_vcpu *vcpu, gpa_t fault_addr, size_t fault_length, void *cookie)
{
	const struct mem_io_node *node = cookie;
	int32_t ret;

	(void)vm;
	(void)fault_addr;
	(void)fault_length;
	ret = node->read_write(&vcpu->req, node->handler_private_data);
	if (likely(ret == 0)) {
		return FAULT_HANDLED;
	}
	return (ret == -ENODEV) ? FAULT_UNHANDLED : ((ret == -EIO) ? FAULT_SPANS : FAULT_ERROR);
}

int32_t register_mmio_emulation_handler(
	struct acrn_vm *vm, hv_mem_io_handler_t read_write, uint64_t start, uint64_t end, void *handler_private_data)
{
	struct mem_io_node *node;
	int32_t ret;

	if ((read_write == NULL) || (end <= start) || vm_is_fixed(vm)) {
		pr_err("VM%u: memory 0x%lx..0x%lx cannot be emulated", vm->vm_id, start, end);
		return -EINVAL;
	}
	if (vm->mmio_count == VM_MMIO_NODES) {
		pr_err("VM%u: memory 0x%lx..0x%lx refused: the table is full", vm->vm_id, start, end);
		return -ENOSPC;
	}
	node = &vm->mmio[vm->mmio_count];
	ret = vm_reserve_for(vm, start, end - start, acrn_mmio, node, (const void *)read_write);
	if (ret == 0) {
		*node = (struct mem_io_node){.read_write = read_write,
			.handler_private_data = handler_private_data,
			.range_start = start,
			.range_end = end};
		vm->mmio_count++;
	}
	return ret;
}

/* ---- Ports ---- */

/* Ones in the low bytes of a port's width: 1, 2 or 4. */
static const uint32_t port_mask[5] = {0U, 0xFFU, 0xFFFFU, 0U, 0xFFFFFFFFU};

/* The access begins in no range. @return true if it runs into one */
static bool runs_into_range(const struct vm_ioports *ports, uint32_t port, uint32_t size)
{
	for (uint32_t next = port + 1U; (next < port + size) && (next < VM_IOPORT_COUNT); next++) {
		if (vm_ioport_owner(ports, next) != NULL) {
			return true;
		}
	}
	return false;
}

static inline int32_t emulate_pio(struct acrn_vcpu *vcpu, struct pio_request *pio)
{
	const uint32_t port = (uint32_t)pio->address;
	const uint32_t size = (uint32_t)pio->size;
	const struct vm_ioport_entry *entry = vm_ioport_owner(&vcpu->vm->ports, port);
	const struct vm_ioport_interface *interface;
	ioport_fault_result_t result = IO_FAULT_UNHANDLED;

	if (entry == NULL) {
		return runs_into_range(&vcpu->vm->ports, port, size) ? -EIO : -ENODEV;
	}
	if (port + size - 1U > entry->range.end) {
		return -EIO;
	}
	interface = &entry->interface;
	if (pio->direction == REQUEST_WRITE) {
		if (interface->port_out != NULL) {
			result = interface->port_out(vcpu, interface->cookie, port, size, pio->value & port_mask[size]);
		}
	} else {
		pio->value = UINT32_MAX;
		if (interface->port_in != NULL) {
			result = interface->port_in(vcpu, interface->cookie, port, size, &pio->value);
		}
		if (unlikely(result != IO_FAULT_HANDLED)) {
			pio->value = UINT32_MAX;
		}
		pio->value &= port_mask[pio->size];
	}
	if (likely(result <= IO_FAULT_UNHANDLED)) {
		return 0;
	}
	return (result == IO_FAULT_PASS) ? -ENODEV : -EFAULT;
}

int32_t hv_emulate_pio(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	return emulate_pio(vcpu, &io_req->reqs.pio);
}

/* No range has it: the VM's callback, or ones. @return 0, IOREQ_PENDING, -EFAULT */
static int32_t __noinline port_unhandled(struct acrn_vcpu *vcpu, struct pio_request *pio)
{
	const struct vm_ioports *ports = &vcpu->vm->ports;
	const bool is_in = (pio->direction != REQUEST_WRITE);
	ioport_fault_result_t result = IO_FAULT_UNHANDLED;

	pio->value = is_in ? UINT32_MAX : (pio->value & port_mask[pio->size]);
	if (ports->unhandled != NULL) {
		result = ports->unhandled(
			vcpu, (uint32_t)pio->address, is_in, &pio->value, pio->size, ports->unhandled_cookie);
		if (result == IO_FAULT_PENDING) {
			return IOREQ_PENDING;
		}
	} else {
		pr_guest(vcpu->vm->vm_id, vcpu->vcpu_id, "%s of %lu bytes at port 0x%lx: nobody has it",
			is_in ? "read" : "write", pio->size, pio->address);
	}
	if (is_in) {
		pio->value = ((result == IO_FAULT_HANDLED) ? pio->value : UINT32_MAX) & port_mask[pio->size];
	}
	return (result == IO_FAULT_ERROR) ? -EFAULT : 0;
}

/* ---- Memory ---- */

/* What a callback said, in emulate_io()'s words; -ENODEV: nobody has it. */
static inline int32_t memory_outcome(struct mmio_request *mmio, memory_fault_result_t result)
{
	static const int32_t words[] = {
		[FAULT_HANDLED] = 0,
		[FAULT_UNHANDLED] = -ENODEV,
		[FAULT_RESTART] = -EAGAIN,
		[FAULT_IGNORE] = 0,
		[FAULT_ERROR] = -EFAULT,
		[FAULT_PENDING] = IOREQ_PENDING,
		[FAULT_SPANS] = -EIO,
	};

	if (mmio->direction == REQUEST_READ) {
		mmio->value = ((result == FAULT_HANDLED) ? mmio->value : UINT64_MAX) & mask_bytes(mmio->size);
	}
	return likely(result == FAULT_HANDLED) ? 0 : words[result];
}

static inline __attribute__((always_inline)) int32_t emulate_mmio(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	/* Stays as it is until this vCPU's vcpu_map_end(), whoever makes and frees reservations meanwhile. */
	struct vm_reservation_index *const index = __atomic_load_n(&vcpu->vm->mem.reserved.index, __ATOMIC_ACQUIRE);
	struct mmio_request *mmio = &io_req->reqs.mmio;
	const gpa_t last = mmio->address + (mmio->size - 1UL);
	const struct vm_memory_reservation *const hit = __atomic_load_n(&index->last_hit, __ATOMIC_RELAXED);
	const struct vm_memory_reservation *it = hit;

	ASSERT(io_req == &vcpu->req); /* where callbacks find it */
	if (last < mmio->address) {
		return -EIO; /* beyond the end of the address space */
	}
	if ((mmio->address < it->start) || (mmio->address >= it->end)) {
		const uint32_t at = vm_reservation_above(index, mmio->address);

		if ((at == index->count) || (last < index->sorted[at]->start)) {
			return -ENODEV;
		}
		it = index->sorted[at];
	}
	if ((mmio->address < it->start) || (last >= it->end)) {
		return -EIO;
	}
	if (it != hit) {
		__atomic_store_n(&index->last_hit, it, __ATOMIC_RELAXED);
	}
	return memory_outcome(mmio, it->callback(vcpu->vm, vcpu, mmio->address, mmio->size, it->cookie));
}

int32_t hv_emulate_mmio(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	return emulate_mmio(vcpu, io_req);
}

/* No reservation has it: the VM's callback, or ones. @return 0, IOREQ_PENDING, -EAGAIN, -EFAULT */
static int32_t __noinline memory_unhandled(struct acrn_vcpu *vcpu, struct mmio_request *mmio)
{
	const struct vm_mem *mem = &vcpu->vm->mem;
	memory_fault_result_t result = FAULT_UNHANDLED;

	if (mem->unhandled_mem_fault_handler != NULL) {
		result = mem->unhandled_mem_fault_handler(
			vcpu->vm, vcpu, mmio->address, mmio->size, mem->unhandled_mem_fault_cookie);
	}
	if (result == FAULT_UNHANDLED) {
		pr_guest(vcpu->vm->vm_id, vcpu->vcpu_id, "%s of %lu bytes at address 0x%lx: nobody has it",
			(mmio->direction == REQUEST_READ) ? "read" : "write", mmio->size, mmio->address);
		result = FAULT_IGNORE;
	}
	return memory_outcome(mmio, result);
}

/* ---- Emulation ---- */

/*
 * The access is refused: a line in the log. If who answers it said "error" the VM stops, unless it was stopped there,
 * with a better reason. @return `error`
 */
static int32_t __noinline refused(struct acrn_vcpu *vcpu, const struct io_request *io_req, int32_t error)
{
	/* pio and mmio have direction, address and size at the same places. */
	const struct mmio_request *access = &io_req->reqs.mmio;
	const char *how = (access->direction == REQUEST_WRITE) ? "write" : "read";
	const char *where = (io_req->type == REQ_PORTIO) ? "port" : "address";

	if (error == -EAGAIN) {
		return error; /* nothing wrong: a callback wants the instruction executed again */
	}
	if (error != -EFAULT) {
		pr_guest(vcpu->vm->vm_id, vcpu->vcpu_id, "%s of %lu bytes at %s 0x%lx, type %u, fails: %d", how,
			access->size, where, access->address, io_req->type, error);
	} else if (!vcpu->vm->stop_requested) {
		vcpu_fatal(
			vcpu, "%s of %lu bytes at %s 0x%lx is not allowed", how, access->size, where, access->address);
	}
	return error;
}

/* @return true if `size` is a power of 2 and at most `max` */
static inline bool size_is_good(uint64_t size, uint64_t max)
{
	return (size - 1UL < max) && ((size & (size - 1UL)) == 0UL);
}

static inline int32_t emulate_port(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	const struct pio_request *pio = &io_req->reqs.pio;
	int32_t ret = -EINVAL;

	if (likely(size_is_good(pio->size, 4UL) && (pio->address < VM_IOPORT_COUNT))) {
		ret = emulate_pio(vcpu, &io_req->reqs.pio);
	}
	return (ret == -ENODEV) ? port_unhandled(vcpu, &io_req->reqs.pio) : ret;
}

static int32_t __noinline emulate_memory(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	struct mmio_request *mmio = &io_req->reqs.mmio;
	int32_t ret = -EINVAL;

	if (likely(size_is_good(mmio->size, 8UL))) {
		mmio->value = (mmio->direction == REQUEST_WRITE) ? (mmio->value & mask_bytes(mmio->size)) : UINT64_MAX;
		ret = emulate_mmio(vcpu, io_req);
	}
	return (ret == -ENODEV) ? memory_unhandled(vcpu, mmio) : ret;
}

int32_t emulate_io(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	int32_t ret = -EINVAL;

	if (likely(io_req->type == REQ_PORTIO)) {
		ret = emulate_port(vcpu, io_req);
	} else if ((io_req->type == REQ_MMIO) || (io_req->type == REQ_WP)) {
		ret = emulate_memory(vcpu, io_req);
	}
	return unlikely(ret < 0) ? refused(vcpu, io_req, ret) : ret;
}

/* ---- The Service VM's answer ---- */

void dm_emulate_pio_post(struct acrn_vcpu *vcpu)
{
	emulate_pio_post(vcpu, &vcpu->req);
}

void dm_emulate_mmio_post(struct acrn_vcpu *vcpu)
{
	emulate_mmio_post(vcpu, &vcpu->req);
}

void emulate_io_post(struct acrn_vcpu *vcpu)
{
	if ((vcpu->io_state == IO_PENDING) && (vhm_poll_request(vcpu) != 0)) {
		return;
	}
	if (vcpu->io_state != IO_DONE) {
		return;
	}
	/* First: a string instruction's post-work may send its next element. */
	vcpu->io_state = IO_NONE;
	if (vcpu->req.type == REQ_PORTIO) {
		dm_emulate_pio_post(vcpu);
	} else {
		dm_emulate_mmio_post(vcpu);
	}
}
