/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/scenario.c: who has a port or a PCI function already. check_port_owner() and find_pci_owner(), which
 * load_vm() has by their contracts (scenario_vm.c): any VMs whose counts are in bounds, asked for the last of them.
 * Bounds: CONFIG_MAX_VM_NUM VMs; the loops over them carry nothing from one VM to the next.
 */
#include <hypervisor/scenario.c>

#include "lib/scenario.h"

#define ID (CONFIG_MAX_VM_NUM - 1U)

void any_explain_vm(const struct scenario_reader *reader, uint32_t id, const char *fmt, ...)
{
	PROVE(reader == &rd && id == ID && fmt != NULL);
}

static void ports(uint32_t first, uint32_t last)
{
	const int32_t ret = check_port_owner(&rd, ID, first, last);

	PROVE(ret == 0 || ret == -EINVAL);
	for (uint32_t i = 0U; i < ID && ret == 0; i++) {
		for (uint32_t k = 0U; k < out.vm[i].port_count; k++) {
			const struct scn_port_range *other = &out.vm[i].port[k];

			PROVE(first > last || other->first > last || other->last < first);
		}
	}
}

static void functions(uint16_t bdf)
{
	const uint32_t owner = find_pci_owner(&out, ID, bdf);

	PROVE(owner <= ID);
	for (uint32_t i = 0U; i < ID && owner == ID; i++) {
		for (uint32_t k = 0U; k < out.vm[i].pci_count; k++) {
			PROVE(out.vm[i].pci_bdf[k] != bdf);
		}
	}
}

int main(void)
{
	rd.out = &out;
	out.console_port = nondet_u16();
	ASSUME(out.console_port <= 0xFFF8U); /* load_header() */
	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		struct scenario_vm any; /* not written */

		out.vm[i] = any;
		ASSUME(any.port_count <= SCN_MAX_PORTS && any.pci_count <= SCN_MAX_PCI_DEVS);
	}
	if (nondet_bool()) {
		ports(nondet_u16(), nondet_u16());
	} else {
		functions(nondet_u16());
	}
	return 0;
}
