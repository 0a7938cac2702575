/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PCI configuration space by ports 0xCF8 and 0xCFC, bus 0 (PCI Local Bus 3.0, 3.2.2.3), or bus 0 of another segment by
 * memory. One CPU at a time.
 */
#ifndef GUESTS_LIB_PCI_H
#define GUESTS_LIB_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include <guests/lib/x86.h>

#define PCI_ADDRESS_PORT	0xcf8
#define PCI_DATA_PORT		0xcfc

#define PCI_ID		0x00U
#define PCI_COMMAND	0x04U
#define PCI_STATUS	0x06U
#define PCI_CLASS	0x08U	/* revision in the low byte */
#define PCI_HEADER	0x0eU
#define PCI_BAR(n)	(0x10U + 4U * (n))
#define PCI_CAPS	0x34U
#define PCI_INT_LINE	0x3cU

#define PCI_CMD_MEM		0x2U
#define PCI_CMD_MASTER		0x4U
#define PCI_CMD_INTX_OFF	0x400U
#define PCI_STA_INTX		0x8U
#define PCI_STA_CAPS		0x10U
#define PCI_SLOTS		32U

/* Where configuration space is in memory; 0: ports are used. */
extern uint64_t pci_ecam;

/* From now on the last segment of the MCFG but 0 is meant (PCI Firmware 3.2, 4.1.2). False when there is none. */
bool pci_use_other_segment(void);

/* From now on configuration space is accessed by memory. False when there is no MCFG. */
bool pci_use_memory(void);

static inline volatile void *pci_memory(unsigned int slot, unsigned int reg)
{
	return (volatile void *)(pci_ecam + (slot << 15) + reg);
}

static inline void pci_select(unsigned int slot, unsigned int fn, unsigned int reg)
{
	outl(PCI_ADDRESS_PORT, 0x80000000U | (slot << 11) | (fn << 8) | (reg & 0xfcU));
}

static inline uint32_t pci_read32(unsigned int slot, unsigned int reg)
{
	if (pci_ecam != 0)
		return *(volatile uint32_t *)pci_memory(slot, reg);
	pci_select(slot, 0, reg);
	return inl(PCI_DATA_PORT);
}

static inline uint16_t pci_read16(unsigned int slot, unsigned int reg)
{
	if (pci_ecam != 0)
		return *(volatile uint16_t *)pci_memory(slot, reg);
	pci_select(slot, 0, reg);
	return inw((uint16_t)(PCI_DATA_PORT + (reg & 2)));
}

static inline uint8_t pci_read8(unsigned int slot, unsigned int reg)
{
	if (pci_ecam != 0)
		return *(volatile uint8_t *)pci_memory(slot, reg);
	pci_select(slot, 0, reg);
	return inb((uint16_t)(PCI_DATA_PORT + (reg & 3)));
}

static inline void pci_write32(unsigned int slot, unsigned int reg, uint32_t value)
{
	if (pci_ecam != 0) {
		*(volatile uint32_t *)pci_memory(slot, reg) = value;
		return;
	}
	pci_select(slot, 0, reg);
	outl(PCI_DATA_PORT, value);
}

static inline void pci_write16(unsigned int slot, unsigned int reg, uint16_t value)
{
	if (pci_ecam != 0) {
		*(volatile uint16_t *)pci_memory(slot, reg) = value;
		return;
	}
	pci_select(slot, 0, reg);
	outw((uint16_t)(PCI_DATA_PORT + (reg & 2)), value);
}

static inline void pci_write8(unsigned int slot, unsigned int reg, uint8_t value)
{
	if (pci_ecam != 0) {
		*(volatile uint8_t *)pci_memory(slot, reg) = value;
		return;
	}
	pci_select(slot, 0, reg);
	outb((uint16_t)(PCI_DATA_PORT + (reg & 3)), value);
}

/* The first slot from @slot on whose function 0 has @id; PCI_SLOTS: none. */
static inline unsigned int pci_find(uint32_t id, unsigned int slot)
{
	while (slot < PCI_SLOTS && pci_read32(slot, PCI_ID) != id)
		slot++;
	return slot;
}

/* Where memory BAR @bar is. */
static inline uint64_t pci_bar(unsigned int slot, unsigned int bar)
{
	return pci_read32(slot, PCI_BAR(bar)) & ~0xfU;
}

/* Size in bytes of memory BAR @bar, by writing ones to it and putting it back. */
static inline uint32_t pci_bar_size(unsigned int slot, unsigned int bar)
{
	uint32_t old = pci_read32(slot, PCI_BAR(bar)), mask;

	pci_write32(slot, PCI_BAR(bar), 0xffffffff);
	mask = pci_read32(slot, PCI_BAR(bar)) & ~0xfU;
	pci_write32(slot, PCI_BAR(bar), old);
	return ~mask + 1;
}

#endif /* GUESTS_LIB_PCI_H */
