/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PCI configuration space with nothing in it (PCI 3.0, 3.2.2.3.2): the address register keeps what is written, so
 * that a probe finds the mechanism; every function reads ones. Behind Linux's driver neither port arrives here: it
 * keeps 0xCF8 itself and turns 0xCFC into a DM_PCICFG request, which nobody claims.
 */
#include "device.h"

void dm_pci_addr_access(struct dm_vm *vm, struct dm_access *access)
{
	/* Only a whole dword is the address register; smaller accesses are to what else lives there. */
	if (access->addr == DM_PORT_PCI_ADDR && access->size == 4U) {
		if (access->write) {
			vm->pci_addr = (uint32_t)access->value & 0x80FFFFFCU;
		} else {
			access->value = vm->pci_addr;
		}
	} else if (access->addr == DM_PORT_RESET && access->size == 1U) {
		dm_reset_port_access(vm, access);
	} else if (!access->write) {
		access->value = dm_size_mask(access->size);
	}
}

void dm_pci_data_access(struct dm_vm *vm, struct dm_access *access)
{
	(void)vm;
	if (!access->write) {
		access->value = dm_size_mask(access->size);
	}
}
