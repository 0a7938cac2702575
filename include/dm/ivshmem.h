/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection as QEMU's inter-VM shared memory device, ivshmem-doorbell, the PCI function 1af4:1110
 * (QEMU's "Device Specification for Inter-VM shared memory device"):
 *
 *   BAR 0  registers, 256 bytes
 *            0x00  IntrMask    bit 0
 *            0x04  IntrStatus  bit 0: it was rung; reading clears it
 *            0x08  IVPosition  which end this is: 0 or 1
 *            0x0C  Doorbell    a write of 4 bytes: peer << 16 | vector
 *   BAR 1  MSI-X table and pending bits
 *   BAR 2  the shared memory: prefetchable, a 64-bit BAR
 *
 * Revision 1 has no INTx, and the first two registers read 0. Revision 0 has it for who cannot have MSI-X: while that
 * is off, INTA is asserted as long as bit 0 is set in both, whichever vector was rung. Whether the peer is there cannot
 * be seen: what is rung at nobody is lost.
 */
#ifndef DM_IVSHMEM_H
#define DM_IVSHMEM_H

#include <dm/vpci.h>
#include <dm/vpci_msix.h>
#include <lib/spinlock.h>
#include <lib/util.h>

struct acrn_vm;

#define IVSHMEM_VECTORS 8U

struct ivshmem {
	struct vpci_function pci;
	struct vpci_msix msix;
	uint32_t position;    /* IVPosition */
	bool has_intx;        /* it is of revision 0 */
	struct spinlock lock; /* mask and status, and the pin that follows them; before the bus lock */
	uint32_t mask;
	uint32_t status;
	/* Rings at the other end, on the guest's vCPU's thread; NULL: it cannot. */
	void (*ring)(void *cookie, uint32_t vector);
	void *cookie;
};

/**
 * Puts the function on the VM's bus. Before it runs. `self`'s position, has_intx, ring and cookie are set.
 * @param hpa, size the shared memory; size is a power of two, whole pages
 * @return 0; -ENOSPC: no slot, too many BARs, or no room in the bus's window
 */
int32_t __must_check ivshmem_attach(struct ivshmem *self, struct vpci *bus, hpa_t hpa, uint32_t size);

/** The other end has rung: interrupt `vector`. Any pCPU; takes its lock and the bus lock. */
void ivshmem_rung(struct ivshmem *self, uint32_t vector);

/** The VM is reset: no interrupt is pending, all are masked. After vpci_reset(). */
void ivshmem_reset(struct ivshmem *self);

#endif
