/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/ioports.c in the real space of 65536 ports and with the real table, by induction: the empty map is
 * well-formed; one registration, of any range for a handler or for a vCPU itself, leaves any well-formed map
 * well-formed, and is taken exactly if it may be. What an access finds in such a map is the proof "portaccess".
 *
 * "Each port" is one port that may be any, `witness`, and "each range" one entry that may be any, `slot`: what holds
 * for them, whichever they are, holds for all. A map is well-formed if is_well_formed() is true of each port and entry;
 * it is assumed and proved of these two. The one loop over ports, in first_taken(), is cut by an invariant, which
 * tests/proof/cbmc.py writes into a copy of ioports.c: CBMC shows that it holds at first and that any one turn keeps
 * it, and goes on from there.
 */
#include <lib/errno.h>

#include "lib/portmap.h"

uint32_t witness; /* any port */
uint32_t found;   /* what first_taken() found; set by the copy */
static uint32_t slot; /* any entry */
static uint32_t denied;
static bool no_memory; /* for a vCPU's I/O bitmap */

void *pages_alloc(uint32_t order, uint16_t of)
{
	(void)of;
	PROVE(order == 4U);
	map = new_map(true);
	return map;
}

void deny_guest_pio_access(struct acrn_vm *of, uint16_t port, uint32_t count)
{
	PROVE(of == &vm && count != 0U && port + count <= VM_IOPORT_COUNT);
	denied++;
}

int32_t allow_vcpu_pio_access(struct acrn_vcpu *vcpu, uint16_t port, uint32_t count)
{
	PROVE(vcpu == &vm.vcpus[0] && count != 0U && port + count <= VM_IOPORT_COUNT);
	no_memory = nondet_bool();
	return no_memory ? -ENOMEM : 0;
}

static ioport_fault_result_t port_in(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t *result)
{
	(void)vcpu;
	(void)cookie;
	(void)port;
	(void)size;
	(void)result;
	return IO_FAULT_HANDLED;
}

/* All but `witness` becomes anything. */
void *memset(void *dst, int value, size_t size)
{
	const uint8_t old = map[witness];
	const uint8_t *const at = map + witness;

	PROVE(__CPROVER_same_object(dst, map) && size != 0UL && __CPROVER_w_ok(dst, size));
	__CPROVER_havoc_object(map);
	map[witness] = (at >= (uint8_t *)dst && at < (uint8_t *)dst + size) ? (uint8_t)value : old;
	return dst;
}

static void registration(void)
{
	const uint16_t first = nondet_u16();
	const uint16_t last = nondet_u16();
	const bool direct = nondet_bool();
	const uint32_t count = vm.ports.count;
	const bool inside = witness >= first && witness <= last;
	bool possible, taken;
	uint8_t old;

	ASSUME(is_well_formed(witness, slot));
	old = map[witness];
	vm.state = nondet_bool() ? VM_RUNNING : VM_CREATED;
	possible = first <= last && vm.state == VM_CREATED && (direct || count < VM_IOPORT_ENTRIES);
	if (direct) {
		taken = vm_enable_passthrough_ioport(&vm.vcpus[0], first, last) == 0;
		PROVE(denied == 0U && vm.ports.count == count);
	} else {
		taken = vm_io_port_add_handler(&vm, (vm_ioport_range_t){first, last},
				(vm_ioport_interface_t){.port_in = port_in, .cookie = cookies}) == 0;
		PROVE(denied == (taken ? 1U : 0U) && vm.ports.count == count + denied);
		PROVE(!taken ||
			(vm.ports.entry[count].interface.port_in == port_in &&
				vm.ports.entry[count].interface.cookie == cookies &&
				vm.ports.entry[count].interface.port_out == NULL));
	}
	PROVE(taken == (possible && found == VM_IOPORT_COUNT && !no_memory));
	PROVE(!taken || !inside || old == 0U || (direct && old == MAP_DIRECT));
	PROVE(taken || found == VM_IOPORT_COUNT ||
		(found >= first && found <= last && map[found] != 0U && !(direct && map[found] == MAP_DIRECT)));
	PROVE(map[witness] == ((taken && inside) ? (direct ? MAP_DIRECT : (uint8_t)(count + 1U)) : old));
	PROVE(is_well_formed(witness, slot));
}

int main(void)
{
	witness = nondet_u16();
	slot = nondet_u32();
	ASSUME(slot < VM_IOPORT_ENTRIES);
	found = VM_IOPORT_COUNT;
	denied = 0U;
	no_memory = false;
	ASSUME(vm_ioports_init(&vm) == 0);
	PROVE(vm.ports.map == map && is_well_formed(witness, slot));
	vm.vcpus[0].vm = &vm;
	any_map();
	registration();
	return 0;
}
