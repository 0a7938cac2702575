/* SPDX-License-Identifier: BSD-3-Clause */
/* Who answers an access: the look-up of ports and memory ranges, and what happens if nobody does. */
#include <hv/arch.h>
#include <hv/ioreq.h>
#include <hv/log.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/errno.h>

#define PORT_COUNT 0x10000U
#define PCI_CFGADDR_PORT 0xCF8UL

/* ---- Registration ---- */

static const struct vm_io_handler_desc *port_owner(const struct acrn_vm *vm, uint32_t port)
{
	const uint8_t index = vm->port_map[port];

	return (index == 0U) ? NULL : &vm->pio[index - 1U];
}

/* Says why [base, base+len) cannot become pio_idx's. @return true if it can */
static bool port_range_is_free(const struct acrn_vm *vm, uint32_t pio_idx, const struct vm_io_range *range)
{
	const uint32_t end = (uint32_t)range->base + range->len;

	if ((pio_idx >= (uint32_t)EMUL_PIO_IDX_MAX) || (range->len == 0U) || (end > PORT_COUNT)) {
		pr_err("VM%u: ports 0x%x..0x%x cannot be index %u", vm->vm_id, range->base, end - 1U, pio_idx);
		return false;
	}
	if (vm->pio[pio_idx].port_end != 0U) {
		pr_err("VM%u: ports 0x%x..0x%x refused: index %u is that of 0x%x..0x%x", vm->vm_id, range->base,
			end - 1U, pio_idx, vm->pio[pio_idx].port_start, vm->pio[pio_idx].port_end - 1U);
		return false;
	}
	for (uint32_t port = range->base; port < end; port++) {
		const struct vm_io_handler_desc *owner = port_owner(vm, port);

		if (owner != NULL) {
			pr_err("VM%u: ports 0x%x..0x%x refused: they overlap 0x%x..0x%x", vm->vm_id, range->base,
				end - 1U, owner->port_start, owner->port_end - 1U);
			return false;
		}
	}
	return true;
}

void register_io_emulation_handler(struct acrn_vm *vm, uint32_t pio_idx, const struct vm_io_range *range,
	io_read_fn_t io_read_fn_ptr, io_write_fn_t io_write_fn_ptr)
{
	struct vm_io_handler_desc *desc;

	if (vm->state == VM_RUNNING) {
		pr_err("VM%u: ports from 0x%x refused: it runs", vm->vm_id, range->base);
		return;
	}
	if (!port_range_is_free(vm, pio_idx, range)) {
		return;
	}
	desc = &vm->pio[pio_idx];
	desc->port_start = range->base;
	desc->port_end = (uint32_t)range->base + range->len;
	desc->io_read = (range->flags == IO_ATTR_NO_ACCESS) ? NULL : io_read_fn_ptr;
	desc->io_write = (range->flags == IO_ATTR_RW) ? io_write_fn_ptr : NULL;
	for (uint32_t port = desc->port_start; port < desc->port_end; port++) {
		vm->port_map[port] = (uint8_t)(pio_idx + 1U);
	}
	deny_guest_pio_access(vm, range->base, range->len);
}

/* @return index of the first region that ends above `addr`; mmio_count if none does */
static uint32_t mmio_find(const struct acrn_vm *vm, uint64_t addr)
{
	uint32_t low = 0U;
	uint32_t high = vm->mmio_count;

	while (low < high) {
		const uint32_t mid = (low + high) / 2U;

		if (vm->mmio[mid].range_end > addr) {
			high = mid;
		} else {
			low = mid + 1U;
		}
	}
	return low;
}

int32_t register_mmio_emulation_handler(struct acrn_vm *vm, hv_mem_io_handler_t read_write, uint64_t start,
	uint64_t end, void *handler_private_data)
{
	const uint64_t first_page = round_down(start, PAGE_SIZE);
	uint32_t at;
	int32_t ret;

	if ((read_write == NULL) || (end <= start) || (end > UINT64_MAX - PAGE_SIZE) || (vm->state == VM_RUNNING) ||
		(vm->state == VM_PAUSED)) {
		pr_err("VM%u: memory 0x%lx..0x%lx cannot be emulated", vm->vm_id, start, end);
		return -EINVAL;
	}
	at = mmio_find(vm, start);
	if ((at < vm->mmio_count) && (vm->mmio[at].range_start < end)) {
		pr_err("VM%u: memory 0x%lx..0x%lx refused: it overlaps 0x%lx..0x%lx", vm->vm_id, start, end,
			vm->mmio[at].range_start, vm->mmio[at].range_end);
		return -EEXIST;
	}
	if (vm->mmio_count == VM_MMIO_NODES) {
		pr_err("VM%u: memory 0x%lx..0x%lx refused: the table is full", vm->vm_id, start, end);
		return -ENOSPC;
	}
	ret = arch_gpa_unmap(vm, first_page, round_up(end, PAGE_SIZE) - first_page);
	if (ret != 0) {
		return ret;
	}
	for (uint32_t i = vm->mmio_count; i > at; i--) {
		vm->mmio[i] = vm->mmio[i - 1U];
	}
	vm->mmio[at] = (struct mem_io_node){.read_write = read_write,
		.handler_private_data = handler_private_data,
		.range_start = start,
		.range_end = end};
	vm->mmio_count++;
	return 0;
}

/* ---- Look-up ---- */

static inline int32_t emulate_pio(struct acrn_vm *vm, struct pio_request *pio)
{
	const uint32_t port = (uint32_t)pio->address;
	const uint32_t size = (uint32_t)pio->size;
	const uint32_t mask = (uint32_t)mask_bytes(size);
	const struct vm_io_handler_desc *desc = port_owner(vm, port);

	pio->value &= mask;
	if (unlikely(desc == NULL)) {
		for (uint32_t next = port + 1U; (next < port + size) && (next < PORT_COUNT); next++) {
			if (vm->port_map[next] != 0U) {
				return -EIO;
			}
		}
		return -ENODEV;
	}
	if (port + size > desc->port_end) {
		return -EIO;
	}
	if (pio->direction == REQUEST_WRITE) {
		if (desc->io_write != NULL) {
			desc->io_write(vm, (uint16_t)port, size, pio->value);
		}
	} else {
		pio->value = (desc->io_read != NULL) ? desc->io_read(vm, (uint16_t)port, size) & mask : mask;
	}
	return 0;
}

int32_t hv_emulate_pio(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	return emulate_pio(vcpu->vm, &io_req->reqs.pio);
}

static inline int32_t emulate_mmio(struct acrn_vm *vm, struct io_request *io_req)
{
	struct mmio_request *mmio = &io_req->reqs.mmio;
	const uint64_t last = mmio->address + (mmio->size - 1UL);
	uint32_t at = __atomic_load_n(&vm->mmio_last, __ATOMIC_RELAXED);
	const struct mem_io_node *node;
	int32_t ret;

	if (last < mmio->address) {
		return -EIO; /* beyond the end of the address space */
	}
	if ((at >= vm->mmio_count) || (mmio->address < vm->mmio[at].range_start) ||
		(mmio->address >= vm->mmio[at].range_end)) {
		at = mmio_find(vm, mmio->address);
		if ((at == vm->mmio_count) || (last < vm->mmio[at].range_start)) {
			return -ENODEV;
		}
	}
	node = &vm->mmio[at];
	if ((mmio->address < node->range_start) || (last >= node->range_end)) {
		return -EIO;
	}
	__atomic_store_n(&vm->mmio_last, at, __ATOMIC_RELAXED);
	ret = node->read_write(io_req, node->handler_private_data);
	if (mmio->direction == REQUEST_READ) {
		mmio->value &= mask_bytes(mmio->size);
	}
	return ret;
}

int32_t hv_emulate_mmio(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	return emulate_mmio(vcpu->vm, io_req);
}

/* ---- Nobody here has it ---- */

static void read_ones(struct io_request *io_req)
{
	if (io_req->type == REQ_PORTIO) {
		if (io_req->reqs.pio.direction == REQUEST_READ) {
			io_req->reqs.pio.value = (uint32_t)mask_bytes(io_req->reqs.pio.size);
		}
	} else if (io_req->reqs.mmio.direction == REQUEST_READ) {
		io_req->reqs.mmio.value = mask_bytes(io_req->reqs.mmio.size);
	}
}

static int32_t forward(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	const int32_t ret = acrn_insert_request_wait(vcpu, io_req);

	if (ret == -EBUSY) {
		vcpu_fatal(vcpu, "its request slot is not free (state %u)", get_vhm_req_state(vcpu->vm, vcpu->vcpu_id));
	} else if (ret == -ENODEV) {
		vcpu_fatal(vcpu, "an access is to be forwarded, but there is no request page");
	}
	return (ret == 0) ? IOREQ_PENDING : ret;
}

/*
 * Port 0xCF8 is PCI's address register only as a dword; else it is nobody's, and no device model is asked: Linux's
 * driver would take the access for the register and complain with a backtrace, as often as the guest likes.
 */
static bool is_no_cfgaddr(const struct io_request *io_req)
{
	return (io_req->type == REQ_PORTIO) && (io_req->reqs.pio.address == PCI_CFGADDR_PORT) &&
		(io_req->reqs.pio.size != 4UL);
}

/* The scenario says who answers (unhandled_port); memory follows the same rule. */
static int32_t emulate_unhandled(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	const struct acrn_vm *vm = vcpu->vm;
	const bool is_pio = (io_req->type == REQ_PORTIO);
	/* mmio and pio have address and size at the same places. */
	const struct mmio_request *access = &io_req->reqs.mmio;
	const char *what = is_pio ? "port" : "address";
	const char *how = (access->direction == REQUEST_WRITE) ? "write" : "read";

	if (vm->forward_io && !is_no_cfgaddr(io_req)) {
		return forward(vcpu, io_req);
	}
	read_ones(io_req);
	if (vm->forward_io) {
		return 0; /* not forwarded, yet not the scenario's business */
	}
	switch (vm->config->unhandled_port) {
	case SCN_PORT_STOP:
		vcpu_fatal(vcpu, "%s of %lu bytes at %s 0x%lx, which nobody has", how, access->size, what,
			access->address);
		break;
	case SCN_PORT_LOG:
		pr_guest(vm->vm_id, vcpu->vcpu_id, "%s of %lu bytes at %s 0x%lx: nobody has it", how, access->size,
			what, access->address);
		break;
	default:
		break;
	}
	return 0;
}

/* @return true if `size` is a power of 2 and at most `max` */
static inline bool size_is_good(uint64_t size, uint64_t max)
{
	return (size - 1UL < max) && ((size & (size - 1UL)) == 0UL);
}

int32_t emulate_io(struct acrn_vcpu *vcpu, struct io_request *io_req)
{
	int32_t ret = -EINVAL;

	switch (io_req->type) {
	case REQ_PORTIO:
		if (size_is_good(io_req->reqs.pio.size, 4UL) && (io_req->reqs.pio.address < PORT_COUNT)) {
			ret = emulate_pio(vcpu->vm, &io_req->reqs.pio);
		}
		break;
	case REQ_MMIO:
	case REQ_WP:
		if (size_is_good(io_req->reqs.mmio.size, 8UL)) {
			io_req->reqs.mmio.value &= mask_bytes(io_req->reqs.mmio.size);
			ret = emulate_mmio(vcpu->vm, io_req);
		}
		break;
	default:
		break;
	}
	if (likely(ret >= 0)) {
		return ret;
	}
	if (ret == -ENODEV) {
		ret = emulate_unhandled(vcpu, io_req);
	} else {
		pr_guest(vcpu->vm->vm_id, vcpu->vcpu_id, "access of type %u, %lu bytes at 0x%lx fails: %d",
			io_req->type, io_req->reqs.mmio.size, io_req->reqs.mmio.address, ret);
	}
	return ret;
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
