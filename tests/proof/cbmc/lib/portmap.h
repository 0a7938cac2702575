/* SPDX-License-Identifier: BSD-3-Clause */
/* Any port map, for the proofs "portmap" and "portaccess". */
#ifndef PROOF_PORTMAP_H
#define PROOF_PORTMAP_H

#include <hv/ioports.h>
#include <hv/ioreq.h>
#include <hv/memory.h>
#include <hv/vm.h>

#define MAP_DIRECT 0xFFU

static struct acrn_vm vm;
static uint8_t *map; /* VM_IOPORT_COUNT bytes */
static char cookies[VM_IOPORT_ENTRIES];

struct vm_ioports nondet_ports(void);

/* Its size is no constant: so CBMC does not make a variable of each byte. */
static uint8_t *new_map(bool zeros)
{
	const size_t size = nondet_u64();
	const bool is_right = size == VM_IOPORT_COUNT;

	ASSUME(is_right); /* "size == ..." here would make a constant of it */
	return __CPROVER_allocate(size, zeros);
}

static bool holds(uint32_t index, uint64_t port)
{
	return index < vm.ports.count && port >= vm.ports.entry[index].range.start &&
		port <= vm.ports.entry[index].range.end; /* by a pointer it would cost CBMC ten times as much */
}

/* The map has the entry's number at the port exactly if its range holds it; no two entries can hold it, then. */
static bool is_well_formed(uint32_t port, uint32_t index)
{
	return (map[port] <= vm.ports.count || map[port] == MAP_DIRECT) &&
		(map[port] == index + 1U) == holds(index, port);
}

static void any_map(void)
{
	map = new_map(false);
	vm.ports = nondet_ports();
	vm.ports.map = map;
	ASSUME(vm.ports.count <= VM_IOPORT_ENTRIES);
}

#endif
