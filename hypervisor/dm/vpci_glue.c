/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI bus in a VM: its ports, its two windows, its lines, and memory behind BARs in the memory map. */
#include <dm/vpci.h>
#include <dm/vpci_msix.h>
#include <hv/arch.h>
#include <hv/ioreq.h>
#include <hv/log.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/errno.h>

#define PCI_CFGADDR_PORT 0xCF8U
#define PCI_CFGDATA_PORT 0xCFCU
#define CFGADDR_ENABLE   0x80000000U
#define CFGADDR_KEPT     0x80FFFFFCU

static void set_line(struct acrn_vm *vm, uint32_t gsi, bool asserted)
{
	(void)vm_set_irqline(vm, gsi, asserted ? GSI_SET_HIGH : GSI_SET_LOW);
}

static void send_msi(struct acrn_vm *vm, uint64_t address, uint32_t data)
{
	if (arch_inject_msi(vm, address, data) != 0) {
		pr_guest(vm->vm_id, 0U, "an MSI-X message to 0x%lx, data 0x%x, is no interrupt", address, data);
	}
}

/* Every vCPU, so that none sees the old map once the instruction that moved the BAR is over. */
static void map_changed(struct acrn_vm *vm)
{
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		vcpu_make_request(&vm->vcpus[i], VCPU_REQ_MAP);
	}
}

static const struct vpci_bus_ops vm_ops = {
	.set_line = set_line,
	.send_msi = send_msi,
	.map_changed = map_changed,
};

/* ---- Configuration space ---- */

uint32_t vpci_address_read(struct acrn_vm *vm)
{
	return vm->vpci.address;
}

void vpci_address_write(struct acrn_vm *vm, uint32_t value)
{
	vm->vpci.address = value & CFGADDR_KEPT;
}

/* The register that 0xCF8 selects stays selected. */
static uint32_t data_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	const uint32_t address = vm->vpci.address;

	if ((address & CFGADDR_ENABLE) == 0U || ((address >> 16U) & 0xFFU) != 0U) {
		return (uint32_t)mask_bytes(size);
	}
	return vpci_config_read(&vm->vpci, (address >> 8U) & 0xFFU, (address & 0xFCU) + (port & 3U), (uint32_t)size);
}

static void data_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	const uint32_t address = vm->vpci.address;

	if (((address & CFGADDR_ENABLE) != 0U) && (((address >> 16U) & 0xFFU) == 0U)) {
		vpci_config_write(
			&vm->vpci, (address >> 8U) & 0xFFU, (address & 0xFCU) + (port & 3U), (uint32_t)size, val);
	}
}

/* An access of 8 bytes is two of 4: there are no wider configuration cycles. */
static int32_t ecam_access(struct io_request *io_req, void *arg)
{
	struct vpci *bus = arg;
	struct mmio_request *mmio = &io_req->reqs.mmio;
	const uint32_t at = (uint32_t)mmio->address - bus->place->ecam;
	const uint32_t size = (uint32_t)MIN(mmio->size, 4UL);

	if (bus->place->shared && !vpci_has_slot(bus, at >> 12U)) {
		return -ENODEV; /* the device model's */
	}
	if ((at & 0xFFFU) + mmio->size > 0x1000U) {
		return -EIO; /* from one function into the next */
	}
	if (mmio->direction == REQUEST_READ) {
		mmio->value = 0UL;
	}
	for (uint32_t done = 0U; done < MIN(mmio->size, 8UL); done += size) {
		const uint32_t offset = (at & 0xFFFU) + done;

		if (mmio->direction == REQUEST_WRITE) {
			vpci_config_write(bus, at >> 12U, offset, size, (uint32_t)(mmio->value >> (8U * done)));
		} else {
			mmio->value |= (uint64_t)vpci_config_read(bus, at >> 12U, offset, size) << (8U * done);
		}
	}
	return 0;
}

/* ---- Configuration space that a device model shares ---- */

/* What the address register says is a function here. */
static bool selects_ours(const struct vpci *bus)
{
	return ((bus->address & CFGADDR_ENABLE) != 0U) && (((bus->address >> 16U) & 0xFFU) == 0U) &&
		vpci_has_slot(bus, bus->address >> 8U);
}

/*
 * The device model keeps its own copy of the address register: it hears of all but the addresses of functions here. Its
 * ports in between (reset, at 0xCF9) are its own.
 */
static ioport_fault_result_t shared_address_in(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t *result)
{
	const struct vpci *bus = cookie;

	(void)vcpu;
	if ((port != PCI_CFGADDR_PORT) || (size != 4U)) {
		return IO_FAULT_PASS;
	}
	*result = bus->address;
	return IO_FAULT_HANDLED;
}

static ioport_fault_result_t shared_address_out(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t value)
{
	struct vpci *bus = cookie;

	(void)vcpu;
	if ((port != PCI_CFGADDR_PORT) || (size != 4U)) {
		return IO_FAULT_PASS;
	}
	bus->address = value & CFGADDR_KEPT;
	return selects_ours(bus) ? IO_FAULT_HANDLED : IO_FAULT_PASS;
}

static ioport_fault_result_t shared_data_in(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t *result)
{
	if (!selects_ours(cookie)) {
		return IO_FAULT_PASS;
	}
	*result = data_read(vcpu->vm, (uint16_t)port, size);
	return IO_FAULT_HANDLED;
}

static ioport_fault_result_t shared_data_out(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t value)
{
	if (!selects_ours(cookie)) {
		return IO_FAULT_PASS;
	}
	data_write(vcpu->vm, (uint16_t)port, size, value);
	return IO_FAULT_HANDLED;
}

int32_t vpci_attach_shared_ports(struct acrn_vm *vm)
{
	const vm_ioport_interface_t address = {&vm->vpci, shared_address_in, shared_address_out, "PCI address"};
	const vm_ioport_interface_t data = {&vm->vpci, shared_data_in, shared_data_out, "PCI data"};
	const vm_ioport_range_t address_ports = {PCI_CFGADDR_PORT, PCI_CFGADDR_PORT + 3U};
	const vm_ioport_range_t data_ports = {PCI_CFGDATA_PORT, PCI_CFGDATA_PORT + 3U};

	return ((vm_io_port_add_handler(vm, address_ports, address) == 0) &&
		       (vm_io_port_add_handler(vm, data_ports, data) == 0))
		? 0
		: -EBUSY;
}

/* ---- Windows ---- */

static bool is_msix(const struct vpci_hit *hit)
{
	return (hit->fn->msix != NULL) && (hit->fn->msix->bar == hit->bar);
}

static uint64_t bar_read(const struct vpci_hit *hit, uint32_t size)
{
	const struct vpci_ops *ops = hit->fn->ops;

	if (is_msix(hit)) {
		return vpci_msix_read(hit->fn, hit->offset, size);
	}
	return (ops->read == NULL) ? mask_bytes(size) : ops->read(hit->fn, hit->bar, hit->offset, size);
}

static void bar_write(const struct vpci_hit *hit, uint32_t size, uint64_t value)
{
	if (is_msix(hit)) {
		vpci_msix_write(hit->fn, hit->offset, size, value);
	} else if (hit->fn->ops->write != NULL) {
		hit->fn->ops->write(hit->fn, hit->bar, hit->offset, size, value);
	}
}

static int32_t window_access(struct io_request *io_req, void *arg)
{
	struct mmio_request *mmio = &io_req->reqs.mmio;
	struct vpci_hit hit;
	const int32_t ret = vpci_find(arg, false, (uint32_t)mmio->address, (uint32_t)mmio->size, &hit);

	if (ret != 0) {
		return ret;
	}
	if (mmio->direction == REQUEST_WRITE) {
		bar_write(&hit, (uint32_t)mmio->size, mmio->value);
	} else {
		mmio->value = bar_read(&hit, (uint32_t)mmio->size);
	}
	return 0;
}

static uint32_t port_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	struct vpci_hit hit;

	return (vpci_find(&vm->vpci, true, port, (uint32_t)size, &hit) == 0) ? (uint32_t)bar_read(&hit, (uint32_t)size)
									     : (uint32_t)mask_bytes(size);
}

static void port_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	struct vpci_hit hit;

	if (vpci_find(&vm->vpci, true, port, (uint32_t)size, &hit) == 0) {
		bar_write(&hit, (uint32_t)size, val);
	}
}

/* ---- The memory map ---- */

static uint32_t wanted_at(struct vpci *bus, const struct vpci_bar *bar)
{
	uint32_t at;

	spin_lock(&bus->lock);
	at = (bar->hpa != 0UL) ? bar->at : 0U;
	spin_unlock(&bus->lock);
	return at;
}

/* @return true if something was unmapped; *ret as arch_gpa_unmap() */
static bool unmap_moved(struct acrn_vm *vm, int32_t *ret)
{
	bool done = false;

	for (uint32_t i = 0U; i < VPCI_SLOTS * VPCI_BARS; i++) {
		struct vpci_function *fn = vm->vpci.slot[i / VPCI_BARS];
		struct vpci_bar *bar = (fn == NULL) ? NULL : &fn->bar[i % VPCI_BARS];

		if ((bar != NULL) && (bar->mapped != 0U) && (bar->mapped != wanted_at(&vm->vpci, bar)) && (*ret == 0)) {
			*ret = arch_gpa_unmap(vm, bar->mapped, bar->size);
			bar->mapped = 0U;
			done = true;
		}
	}
	return done;
}

/* The bus lock is not held while the map changes: a vCPU that arch_gpa_flush() waits for may want it. */
int32_t vpci_sync_map(struct acrn_vm *vm)
{
	int32_t ret = 0;

	if (!vm->vpci.active) {
		return 0;
	}
	if (unmap_moved(vm, &ret)) {
		arch_gpa_flush(vm); /* before somebody else's memory is at the old places */
	}
	for (uint32_t i = 0U; (ret == 0) && (i < VPCI_SLOTS * VPCI_BARS); i++) {
		struct vpci_function *fn = vm->vpci.slot[i / VPCI_BARS];
		struct vpci_bar *bar = (fn == NULL) ? NULL : &fn->bar[i % VPCI_BARS];
		const uint32_t at = (bar == NULL) ? 0U : wanted_at(&vm->vpci, bar);

		/* A place not freed above is one that was moved to since: the next request is for that. */
		if ((at != 0U) && (bar->mapped == 0U)) {
			ret = arch_gpa_map(vm, at, bar->hpa, bar->size, bar->access, GPA_TYPE_WB);
			bar->mapped = at;
		}
	}
	return ret;
}

/* ---- The bus ---- */

int32_t vpci_attach(struct acrn_vm *vm, const struct vpci_place *place)
{
	const uint64_t mem = place->mem_base;
	const uint64_t ecam = place->ecam;
	int32_t ret;

	vpci_init(&vm->vpci, vm, &vm_ops, place);
	vm->vpci.active = true;
	ret = register_mmio_emulation_handler(vm, window_access, mem, mem + place->mem_size, &vm->vpci);
	if (ret == 0) {
		ret = register_mmio_emulation_handler(vm, ecam_access, ecam, ecam + VPCI_ECAM_SIZE, &vm->vpci);
	}
	return ret;
}

void vpci_attach_ports(struct acrn_vm *vm)
{
	const struct vpci_place *place = vm->vpci.place;
	const struct vm_io_range data = {PCI_CFGDATA_PORT, 4U, IO_ATTR_RW};
	const struct vm_io_range window = {(uint16_t)place->io_base, (uint16_t)place->io_size, IO_ATTR_RW};

	register_io_emulation_handler(vm, PCI_CFGDATA_PIO_IDX, &data, data_read, data_write);
	register_io_emulation_handler(vm, PCI_WINDOW_PIO_IDX, &window, port_read, port_write);
}
