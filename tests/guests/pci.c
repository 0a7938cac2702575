/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PCI configuration space, by ports and by memory, as every machine with a host bridge has it: widths, what is read
 * only, what nobody has. PCI Local Bus 3.0, 3.2.2.3 and chapter 6; PCI Firmware 3.2, 4.1.2 for MCFG.
 */
#include <guests/lib/acpi.h>
#include <guests/lib/guest.h>
#include <guests/lib/pci.h>

const char subject_name[] = "pci";

static unsigned int empty_slot(void)
{
	unsigned int slot = PCI_SLOTS - 1;

	while (slot > 0 && pci_read32(slot, PCI_ID) != 0xffffffff)
		slot--;
	return slot;
}

static void test_address(void)
{
	outl(PCI_ADDRESS_PORT, 0x80000000);
	report(inl(PCI_ADDRESS_PORT) == 0x80000000, "the address register reads back");
	outl(PCI_ADDRESS_PORT, 0x8000f804);
	report(inl(PCI_ADDRESS_PORT) == 0x8000f804, "with device and register");
	outl(PCI_ADDRESS_PORT, 0x80000000);
	outb(PCI_ADDRESS_PORT + 3, 0);
	report(inl(PCI_ADDRESS_PORT) == 0x80000000, "a byte written to it goes elsewhere");
	outl(PCI_ADDRESS_PORT, 0);
	report(inl(PCI_DATA_PORT) == 0xffffffff, "not enabled: the data register reads ones");
}

static void test_widths(void)
{
	uint32_t id = pci_read32(0, PCI_ID);

	report(id != 0xffffffff && id != 0, "there is a device in slot 0");
	report(inl(PCI_DATA_PORT) == id && inl(PCI_DATA_PORT) == id, "the register stays selected");
	report(pci_read32(0, PCI_CLASS) >> 16 == 0x0600, "it is a host bridge");
	report(pci_read16(0, 0) == (id & 0xffff) && pci_read16(0, 2) == id >> 16, "words");
	for (unsigned int i = 0; i < 4; i++)
		report(pci_read8(0, i) == ((id >> (8 * i)) & 0xff), "byte %u", i);
	pci_write32(0, PCI_ID, ~id);
	report(pci_read32(0, PCI_ID) == id, "the id cannot be written");
	pci_write8(0, PCI_CLASS + 3, 0x55);
	report(pci_read32(0, PCI_CLASS) >> 16 == 0x0600, "nor the class");
}

static void test_nobody(void)
{
	unsigned int slot = empty_slot();

	report(slot > 0, "there is an empty slot");
	report(pci_read32(slot, PCI_ID) == 0xffffffff, "its id reads ones");
	report(pci_read16(slot, PCI_ID) == 0xffff && pci_read8(slot, PCI_CLASS) == 0xff, "narrower, too");
	pci_write32(slot, PCI_COMMAND, 0xffffffff);
	report(pci_read32(slot, PCI_COMMAND) == 0xffffffff, "a write to it is lost");
	outl(PCI_ADDRESS_PORT, 0x80000000 | 0x00ff0000);
	report(inl(PCI_DATA_PORT) == 0xffffffff, "a bus that is not there reads ones");
}

static void test_memory(void)
{
	const uint8_t *mcfg = acpi_find("MCFG");
	uint64_t base;

	if (mcfg == NULL) {
		report_skip("no MCFG");
		return;
	}
	memcpy(&base, mcfg + 44, sizeof(base));
	report(mcfg[54] == 0 && (base & 0xfffff) == 0, "MCFG: from bus 0 on");
	report(mmio_read32(base) == pci_read32(0, PCI_ID), "the same configuration space in memory");
	report(mmio_read32(base + PCI_CLASS) >> 16 == 0x0600, "at another register");
	report(*(volatile uint8_t *)(base + 1) == pci_read8(0, 1), "a byte");
	report(*(volatile uint16_t *)(base + 2) == pci_read16(0, 2), "a word");
	report(mmio_read32(base + 0x100) == 0xffffffff, "no extended configuration space: ones");
	report(mmio_read32(base + ((uint64_t)empty_slot() << 15)) == 0xffffffff, "an empty slot: ones");
}

void test_main(void)
{
	if (inl(PCI_ADDRESS_PORT) == 0xffffffff && pci_read32(0, PCI_ID) == 0xffffffff) {
		report_skip("no PCI");
		return;
	}
	test_address();
	test_widths();
	test_nobody();
	test_memory();
}
