/* SPDX-License-Identifier: BSD-3-Clause */
/* Who answers a port: registration. The look-up is in ioreq.c. */
#include <hv/ioports.h>
#include <hv/ioreq.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/vm.h>
#include <lib/errno.h>
#include <lib/string.h>

#define MAP_ORDER  4U    /* 64 Ki bytes */
#define MAP_DIRECT 0xFFU /* a vCPU has the port itself */

_Static_assert(VM_IOPORT_ENTRIES < MAP_DIRECT, "an index must fit into a byte of the map");

/* ---- Registration ---- */

int32_t vm_ioports_init(struct acrn_vm *vm)
{
	vm->ports.map = pages_alloc(MAP_ORDER, vm->vm_id);
	vm->ports.count = 0U;
	vm->ports.unhandled = NULL;
	return (vm->ports.map == NULL) ? -ENOMEM : 0;
}

void vm_ioports_destroy(struct acrn_vm *vm)
{
	if (vm->ports.map != NULL) {
		pages_free(vm->ports.map, MAP_ORDER, vm->vm_id);
		vm->ports.map = NULL;
	}
}

/* @return the first port of [first, last] that is taken; VM_IOPORT_COUNT: none. `shared`: vCPUs may have them */
static uint32_t first_taken(const struct vm_ioports *ports, uint32_t first, uint32_t last, bool shared)
{
	for (uint32_t port = first; port <= last; port++) {
		if ((ports->map[port] != 0U) && !(shared && (ports->map[port] == MAP_DIRECT))) {
			return port;
		}
	}
	return VM_IOPORT_COUNT;
}

/* Says why [first, last] cannot become `who`'s. @return true if it can */
static bool is_free(const struct acrn_vm *vm, uint32_t first, uint32_t last, const char *who, bool shared)
{
	const struct vm_ioport_entry *owner;
	uint32_t taken;

	if (vm_is_fixed(vm) || (first > last)) {
		pr_err("VM%u: ports 0x%x..0x%x (%s) refused: %s", vm->vm_id, first, last, who,
			(first > last) ? "reversed" : "it runs");
		return false;
	}
	taken = first_taken(&vm->ports, first, last, shared);
	if (taken == VM_IOPORT_COUNT) {
		return true;
	}
	owner = vm_ioport_owner(&vm->ports, taken);
	if (owner != NULL) {
		pr_err("VM%u: ports 0x%x..0x%x (%s) refused: they overlap 0x%x..0x%x (%s)", vm->vm_id, first, last, who,
			owner->range.start, owner->range.end, owner->interface.desc);
	} else {
		pr_err("VM%u: ports 0x%x..0x%x (%s) refused: a vCPU has 0x%x itself", vm->vm_id, first, last, who,
			taken);
	}
	return false;
}

int32_t vm_io_port_add_handler(
	struct acrn_vm *vm, vm_ioport_range_t ioport_range, vm_ioport_interface_t ioport_interface)
{
	const uint32_t first = ioport_range.start;
	const uint32_t last = ioport_range.end;
	struct vm_ioports *ports = &vm->ports;

	if (ioport_interface.desc == NULL) {
		ioport_interface.desc = "?";
	}
	if (!is_free(vm, first, last, ioport_interface.desc, false)) {
		return -1;
	}
	if (ports->count == VM_IOPORT_ENTRIES) {
		pr_err("VM%u: ports 0x%x..0x%x (%s) refused: the table is full", vm->vm_id, first, last,
			ioport_interface.desc);
		return -1;
	}
	ports->entry[ports->count] = (struct vm_ioport_entry){ioport_range, ioport_interface};
	ports->count++;
	(void)memset(&ports->map[first], (int)ports->count, last - first + 1U);
	deny_guest_pio_access(vm, (uint16_t)first, last - first + 1U);
	return 0;
}

int32_t vm_register_unhandled_ioport_callback(
	struct acrn_vm *vm, unhandled_ioport_callback_fn ioport_callback, void *cookie)
{
	if ((vm == NULL) || (ioport_callback == NULL) || vm_is_fixed(vm)) {
		return -1;
	}
	vm->ports.unhandled = ioport_callback;
	vm->ports.unhandled_cookie = cookie;
	return 0;
}

int32_t vm_enable_passthrough_ioport(struct acrn_vcpu *vcpu, uint16_t port_start, uint16_t port_end)
{
	struct acrn_vm *vm = vcpu->vm;
	const uint32_t count = (uint32_t)port_end - port_start + 1U;

	if (!is_free(vm, port_start, port_end, "pass-through", true)) {
		return -1;
	}
	if (allow_vcpu_pio_access(vcpu, port_start, count) != 0) {
		pr_err("VM%u: ports 0x%x..0x%x (pass-through) refused: no memory for an I/O bitmap", vm->vm_id,
			port_start, port_end);
		return -1;
	}
	(void)memset(&vm->ports.map[port_start], (int)MAP_DIRECT, count);
	return 0;
}
