/* SPDX-License-Identifier: BSD-3-Clause */
/* I/O APIC helpers. */
#include <guests/lib/acpi.h>
#include <guests/lib/guest.h>
#include <guests/lib/ioapic.h>

#define DEFAULT_BASE	0xfec00000UL
#define IOREGSEL	0x00
#define IOWIN		0x10

static uint64_t base(void)
{
	static uint64_t cached;
	struct madt_facts m;

	if (cached == 0)
		cached = acpi_madt(&m) && m.ioapic_count > 0 ? m.ioapic_base : DEFAULT_BASE;
	return cached;
}

uint32_t ioapic_read(uint32_t reg)
{
	mmio_write32(base() + IOREGSEL, reg);
	return mmio_read32(base() + IOWIN);
}

void ioapic_write(uint32_t reg, uint32_t value)
{
	mmio_write32(base() + IOREGSEL, reg);
	mmio_write32(base() + IOWIN, value);
}

bool ioapic_present(void)
{
	uint32_t version = ioapic_read(IOAPIC_VER);

	return version != 0 && version != 0xffffffff && (version >> 16 & 0xff) >= 15;
}

unsigned int ioapic_pins(void)
{
	return (ioapic_read(IOAPIC_VER) >> 16 & 0xff) + 1;
}

uint64_t ioapic_rte(unsigned int pin)
{
	uint64_t low = ioapic_read(0x10 + 2 * pin);

	return low | (uint64_t)ioapic_read(0x11 + 2 * pin) << 32;
}

void ioapic_set_rte(unsigned int pin, uint64_t rte)
{
	ioapic_write(0x10 + 2 * pin, RTE_MASKED);
	ioapic_write(0x11 + 2 * pin, (uint32_t)(rte >> 32));
	ioapic_write(0x10 + 2 * pin, (uint32_t)rte);
}

bool ioapic_set_gsi(uint32_t gsi, uint64_t rte)
{
	uint32_t first = 0;
	uint64_t at = acpi_ioapic_of(gsi, &first);

	if (at == 0)
		return false;
	for (unsigned int half = 2; half-- > 0;) {
		mmio_write32(at + IOREGSEL, 0x10 + 2 * (gsi - first) + half);
		mmio_write32(at + IOWIN, half == 1 ? (uint32_t)(rte >> 32) : (uint32_t)rte);
	}
	return true;
}

void ioapic_mask_all(void)
{
	unsigned int pins = ioapic_pins();

	for (unsigned int pin = 0; pin < pins; pin++)
		ioapic_set_rte(pin, RTE_MASKED);
}

unsigned int ioapic_isa_pin(unsigned int irq)
{
	struct madt_facts m;

	acpi_madt(&m);
	return m.irq_gsi[irq] - m.ioapic_gsi_base;
}
