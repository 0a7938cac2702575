/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/ioports.c and the ports of ioreq.c, by induction: the empty map is well-formed; one registration, of any
 * range for a handler or for a vCPU itself, leaves any well-formed map well-formed, and is taken exactly if it may be;
 * and with any well-formed map every access goes where it belongs. So there is no bound on the number of registrations.
 * Bounds: VM_IOPORT_COUNT and VM_IOPORT_ENTRIES, which tests/proof/cbmc.py makes small in a copy of <hv/ioports.h>.
 */
#include <hv/ioports.h>
#include <hv/ioreq.h>
#include <hv/memory.h>
#include <hv/vm.h>
#include <lib/errno.h>

#define MAP_DIRECT 0xFFU

static struct acrn_vm vm;
static uint8_t map[VM_IOPORT_COUNT], before[VM_IOPORT_COUNT];
static char cookies[VM_IOPORT_ENTRIES];
static uint32_t denied, allowed, calls, unhandled_calls;
static struct pio_request asked;
static uint32_t owner; /* of its first port: an index, or VM_IOPORT_ENTRIES */

void *pages_alloc(uint32_t order, uint16_t of)
{
	(void)of;
	PROVE(order == 4U);
	return map; /* zeros */
}

void deny_guest_pio_access(struct acrn_vm *of, uint16_t port, uint32_t count)
{
	PROVE(of == &vm && count != 0U && port + count <= VM_IOPORT_COUNT);
	denied++;
}

int32_t allow_vcpu_pio_access(struct acrn_vcpu *vcpu, uint16_t port, uint32_t count)
{
	PROVE(vcpu == &vm.vcpus[0] && count != 0U && port + count <= VM_IOPORT_COUNT);
	allowed = nondet_bool();
	return (allowed != 0U) ? 0 : -ENOMEM;
}

static void check_call(const char *cookie, uint32_t port, uint32_t size)
{
	calls++;
	PROVE(port == asked.address && size == asked.size);
	PROVE(owner < VM_IOPORT_ENTRIES && cookie == cookies + owner);
}

static ioport_fault_result_t port_in(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t *result)
{
	PROVE(vcpu == &vm.vcpus[0] && asked.direction != REQUEST_WRITE && *result == UINT32_MAX);
	check_call(cookie, port, size);
	*result = nondet_u32();
	return (ioport_fault_result_t)(nondet_u8() % (IO_FAULT_PASS + 1U));
}

static ioport_fault_result_t port_out(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t value)
{
	PROVE(vcpu == &vm.vcpus[0] && asked.direction == REQUEST_WRITE);
	PROVE(size == 4U || value >> (8U * size) == 0U);
	check_call(cookie, port, size);
	return (ioport_fault_result_t)(nondet_u8() % (IO_FAULT_PASS + 1U));
}

static ioport_fault_result_t unhandled(
	struct acrn_vcpu *vcpu, uint32_t port, bool is_in, uint32_t *value, size_t size, void *cookie)
{
	PROVE(vcpu == &vm.vcpus[0] && cookie == &vm && is_in == (asked.direction != REQUEST_WRITE));
	PROVE(port == asked.address && size == asked.size && (is_in || size == 4U || *value >> (8U * size) == 0U));
	unhandled_calls++;
	*value = nondet_u32();
	return (ioport_fault_result_t)(nondet_u8() % (IO_FAULT_PENDING + 1U));
}

/* Each port belongs to the one range that holds it, to vCPUs, or to nobody: two ranges can't share a port. */
static bool is_well_formed(void)
{
	bool good = vm.ports.map == map && vm.ports.count <= VM_IOPORT_ENTRIES;

	for (uint32_t i = 0U; i < VM_IOPORT_ENTRIES; i++) {
		const vm_ioport_range_t *range = &vm.ports.entry[i].range;

		if (i >= vm.ports.count) {
			break;
		}
		good = good && range->start <= range->end && range->end < VM_IOPORT_COUNT;
		for (uint32_t port = 0U; port < VM_IOPORT_COUNT; port++) {
			good = good && (map[port] == i + 1U) == (port >= range->start && port <= range->end);
		}
	}
	for (uint32_t port = 0U; port < VM_IOPORT_COUNT; port++) {
		good = good && (map[port] <= vm.ports.count || map[port] == MAP_DIRECT);
	}
	return good;
}

static void any_map(void)
{
	vm.ports.count = nondet_u32();
	for (uint32_t i = 0U; i < VM_IOPORT_ENTRIES; i++) {
		vm.ports.entry[i] = (struct vm_ioport_entry){{nondet_u16(), nondet_u16()},
			{cookies + i, nondet_bool() ? port_in : NULL, nondet_bool() ? port_out : NULL, "any"}};
	}
	for (uint32_t port = 0U; port < VM_IOPORT_COUNT; port++) {
		map[port] = nondet_u8();
		before[port] = map[port];
	}
	ASSUME(is_well_formed());
}

static void registration(void)
{
	const uint16_t first = nondet_u16();
	const uint16_t last = nondet_u16();
	const bool direct = nondet_bool();
	const uint32_t count = vm.ports.count;
	bool good = first <= last, taken;

	ASSUME(first < VM_IOPORT_COUNT && last < VM_IOPORT_COUNT); /* as every uint16_t is, of 65536 */
	vm.state = nondet_bool() ? VM_RUNNING : VM_CREATED;
	good = good && vm.state == VM_CREATED;
	for (uint32_t port = 0U; port < VM_IOPORT_COUNT; port++) {
		good = good && (port < first || port > last || map[port] == 0U || (direct && map[port] == MAP_DIRECT));
	}
	if (direct) {
		taken = vm_enable_passthrough_ioport(&vm.vcpus[0], first, last) == 0;
		PROVE(taken == (good && allowed != 0U) && denied == 0U && vm.ports.count == count);
	} else {
		taken = vm_io_port_add_handler(&vm, (vm_ioport_range_t){first, last},
				(vm_ioport_interface_t){.port_in = port_in, .cookie = before}) == 0;
		PROVE(taken == (good && count < VM_IOPORT_ENTRIES));
		PROVE(denied == (taken ? 1U : 0U) && vm.ports.count == count + denied);
		PROVE(!taken ||
			(vm.ports.entry[count].interface.port_in == port_in &&
				vm.ports.entry[count].interface.cookie == before &&
				vm.ports.entry[count].interface.port_out == NULL));
	}
	PROVE(is_well_formed());
	for (uint32_t port = 0U; port < VM_IOPORT_COUNT; port++) {
		const uint8_t new = direct ? MAP_DIRECT : (uint8_t)(count + 1U);

		PROVE(map[port] == ((taken && port >= first && port <= last) ? new : before[port]));
	}
}

/* @return index of the range that holds the port by its ends; VM_IOPORT_ENTRIES: none */
static uint32_t holder(uint64_t port)
{
	uint32_t found = VM_IOPORT_ENTRIES;

	for (uint32_t i = 0U; i < VM_IOPORT_ENTRIES; i++) {
		const vm_ioport_range_t *range = &vm.ports.entry[i].range;

		found = (i < vm.ports.count && port >= range->start && port <= range->end) ? i : found;
	}
	return found;
}

static void access(struct acrn_vcpu *vcpu)
{
	struct pio_request *pio = &vcpu->req.reqs.pio;
	bool good, straddles = false;
	int32_t ret;

	vm.ports.unhandled = nondet_bool() ? unhandled : NULL;
	vm.ports.unhandled_cookie = &vm;
	asked = (struct pio_request){
		.direction = nondet_u32(), .address = nondet_u64(), .size = nondet_u64(), .value = nondet_u32()};
	*pio = asked;
	vcpu->req.type = REQ_PORTIO;
	good = (asked.size == 1UL || asked.size == 2UL || asked.size == 4UL) && asked.address < VM_IOPORT_COUNT;
	owner = holder(asked.address);
	for (uint32_t i = 1U; i < 4U; i++) {
		straddles = straddles || (good && i < asked.size && holder(asked.address + i) != owner);
	}
	if (good) {
		PROVE(vm_ioport_owner(&vm.ports, (uint32_t)asked.address) ==
			((owner < VM_IOPORT_ENTRIES) ? &vm.ports.entry[owner] : NULL));
	}
	ret = emulate_io(vcpu, &vcpu->req);
	PROVE(calls <= 1U && unhandled_calls <= 1U);
	PROVE((ret == -EINVAL) == !good && (ret == -EIO) == straddles);
	PROVE((good && !straddles) || (calls == 0U && unhandled_calls == 0U));
	PROVE(ret == 0 || ret == -EFAULT || ret == IOREQ_PENDING || ret == -EINVAL || ret == -EIO);
	PROVE(pio->direction == asked.direction && pio->address == asked.address && pio->size == asked.size);
	PROVE(owner != VM_IOPORT_ENTRIES || calls == 0U);
	PROVE(ret != 0 || asked.size == 4UL || asked.direction == REQUEST_WRITE ||
		pio->value >> (8UL * asked.size) == 0U);
}

int main(void)
{
	ASSUME(vm_ioports_init(&vm) == 0);
	PROVE(is_well_formed());
	vm.vcpus[0].vm = &vm;
	any_map();
	if (nondet_bool()) {
		registration();
	} else {
		access(&vm.vcpus[0]);
	}
	return 0;
}
