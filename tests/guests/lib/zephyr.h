/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The accesses to an ivshmem function that Zephyr makes, in its order, by its source, a version that knows ivshmem-v2:
 * drivers/virtualization/virt_ivshmem.c, drivers/pcie/host/pcie.c and msi.c, arch/x86/core/pcie.c. All are of 4 bytes;
 * without pci_use_memory() they are made by ports, with the address register cleared behind each.
 */
#ifndef GUESTS_LIB_ZEPHYR_H
#define GUESTS_LIB_ZEPHYR_H

#include <stdbool.h>
#include <stdint.h>

struct zephyr_ivshmem {
	unsigned int slot;
	uint64_t registers, registers_size;
	uint64_t memory, memory_size;
	unsigned int vectors;
};

/* The scan of bus 0. Returns the first slot from @slot on with @id, or PCI_SLOTS. */
unsigned int zephyr_find(uint32_t id, unsigned int slot);

/*
 * Sets the function in @slot up: BARs, then @vectors MSI-X vectors (at most as many as it has) from @vec0 on, to the
 * local APIC 0. False when its driver would give up.
 */
bool zephyr_ivshmem_set_up(struct zephyr_ivshmem *self, unsigned int slot, unsigned int vec0, unsigned int vectors);

#endif /* GUESTS_LIB_ZEPHYR_H */
