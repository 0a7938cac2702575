/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MSI-X of a function on a VM's PCI bus (PCI Local Bus 3.0, 6.8.2): the capability, and a BAR of its own with the
 * table at 0 and the pending bits (PBA) behind it. The bus answers that BAR; the function only raises vectors.
 *
 * A vector that may not be sent now, since it is masked, all are, or the function is no bus master, is pending and sent
 * as soon as it may: table, pending bits and configuration change under one lock, the bus's, so none is lost and none
 * is sent twice. While MSI-X is off nothing is sent or kept. While it is on, the function does not drive its INTx pin.
 */
#ifndef DM_VPCI_MSIX_H
#define DM_VPCI_MSIX_H

#include <lib/util.h>

struct vpci_function;

#define VPCI_MSIX_MAX      32U     /* vectors of one function; at most 64 */
#define VPCI_MSIX_BAR_SIZE 0x1000U /* bytes */
#define VPCI_MSIX_PBA      0x800U

/* Message control, 2 bytes behind the capability's header. */
#define PCI_CAP_MSIX      0x11U
#define PCI_MSIX_CONTROL  0x02U
#define PCI_MSIX_TABLE    0x04U
#define PCI_MSIX_PBA      0x08U
#define PCI_MSIX_MASK_ALL 0x4000U
#define PCI_MSIX_ENABLE   0x8000U

/* One entry of the table. */
#define PCI_MSIX_ENTRY_SIZE 16U
#define PCI_MSIX_ENTRY_MASK 0x1U /* of control */

struct vpci_msix_entry {
	uint64_t address;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
};

struct vpci_msix {
	uint32_t bar;
	uint32_t count;
	uint32_t cap;     /* offset of the capability */
	uint64_t pending; /* bit i: vector i; bus lock, as the table */
	struct vpci_msix_entry entry[VPCI_MSIX_MAX];
};

/**
 * Gives the function MSI-X; before vpci_add().
 * @param msix  kept: the function's
 * @param bar   a BAR that it does not have yet
 * @param count vectors, 1 to VPCI_MSIX_MAX
 * @return 0; -EINVAL: bad count; -ENOSPC: no room for the capability
 */
int32_t __must_check vpci_msix_init(struct vpci_function *fn, struct vpci_msix *msix, uint32_t bar, uint32_t count);

/** The function wants interrupt `vector`; nothing if MSI-X is off or has no such. Any pCPU; takes the bus lock. */
void vpci_msix_raise(struct vpci_function *fn, uint32_t vector);

/**
 * Accesses to the BAR, of 1, 2, 4 or 8 bytes inside of it; take the bus lock. Writes act on whole aligned double words
 * and quad words, as the specification wants them; others are ignored, as are those to the pending bits.
 */
uint64_t vpci_msix_read(struct vpci_function *fn, uint32_t offset, uint32_t size);
void vpci_msix_write(struct vpci_function *fn, uint32_t offset, uint32_t size, uint64_t value);

/* ---- For the bus: its lock is held ---- */

/** @return its interrupts are messages, not INTx */
bool vpci_msix_enabled(const struct vpci_function *fn);

/** Configuration was written: sends what may be sent now. */
void vpci_msix_update(struct vpci_function *fn);

/** All vectors masked, none pending. */
void vpci_msix_reset(struct vpci_msix *msix);

#endif
