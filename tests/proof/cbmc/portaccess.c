/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ports of hypervisor/ioreq.c in the real space of 65536 ports and with the real table: every access, with every
 * well-formed map, goes where it belongs, and a request of no type nowhere. That maps are well-formed is the proof
 * "portmap". No bound.
 */
#include <lib/errno.h>

#include "lib/portmap.h"

static uint32_t calls, unhandled_calls;
static struct pio_request asked;
static uint32_t owner; /* entry of the access' first port, or VM_IOPORT_ENTRIES */

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

/* @return the entry that the map names, or VM_IOPORT_ENTRIES */
static uint32_t named(uint64_t port)
{
	const uint32_t of = (port < VM_IOPORT_COUNT) ? map[port] : 0U;

	return (of != 0U && of != MAP_DIRECT) ? of - 1U : VM_IOPORT_ENTRIES;
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
	owner = good ? named(asked.address) : VM_IOPORT_ENTRIES;
	for (uint32_t i = 0U; i < 4U; i++) {
		const uint64_t port = asked.address + i;

		if (good && i < asked.size && port < VM_IOPORT_COUNT) {
			ASSUME(map[port] <= vm.ports.count || map[port] == MAP_DIRECT);
			ASSUME(owner == VM_IOPORT_ENTRIES || is_well_formed((uint32_t)port, owner));
		}
		straddles = straddles || (good && i < asked.size && named(port) != owner);
	}
	if (owner != VM_IOPORT_ENTRIES) {
		vm.ports.entry[owner].interface = (vm_ioport_interface_t){
			cookies + owner, nondet_bool() ? port_in : NULL, nondet_bool() ? port_out : NULL, "any"};
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

static void no_access(struct acrn_vcpu *vcpu)
{
	vcpu->req.type = nondet_u32();
	ASSUME(vcpu->req.type != REQ_PORTIO && vcpu->req.type != REQ_MMIO && vcpu->req.type != REQ_WP);
	PROVE(emulate_io(vcpu, &vcpu->req) == -EINVAL && calls == 0U && unhandled_calls == 0U);
}

int main(void)
{
	vm.vcpus[0].vm = &vm;
	any_map();
	if (nondet_bool()) {
		access(&vm.vcpus[0]);
	} else {
		no_access(&vm.vcpus[0]);
	}
	return 0;
}
