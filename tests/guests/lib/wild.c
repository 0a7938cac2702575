/* SPDX-License-Identifier: BSD-3-Clause */
#include <guests/lib/guest.h>
#include <guests/lib/pci.h>
#include <guests/lib/wild.h>

struct write {
	uint64_t at, value;
	unsigned int width;
};

static void do_write(void *arg)
{
	const struct write *w = arg;

	switch (w->width) {
	case 1:
		*(volatile uint8_t *)w->at = (uint8_t)w->value;
		break;
	case 2:
		*(volatile uint16_t *)w->at = (uint16_t)w->value;
		break;
	case 4:
		*(volatile uint32_t *)w->at = (uint32_t)w->value;
		break;
	default:
		*(volatile uint64_t *)w->at = w->value;
		break;
	}
}

int wild_write(uint64_t at, unsigned int width, uint64_t value)
{
	struct write w = { at, value, width };

	return catch_exception(do_write, &w, NULL);
}

void wild_registers(uint64_t base, unsigned int size, unsigned int step, uint64_t value)
{
	for (unsigned int width = 1; width <= 8; width *= 2) {
		for (unsigned int offset = 0; offset < size; offset += offset < 256 ? 1 : step) {
			(void)wild_write(base + offset, width, value);
			irq_window();
		}
	}
}

/* By ports also over the end of the data register; there are no quad words. */
static void config_write(unsigned int slot, unsigned int reg, unsigned int width, uint64_t value)
{
	uint16_t port = (uint16_t)(PCI_DATA_PORT + (reg & 3));

	if (pci_ecam != 0) {
		(void)wild_write(pci_ecam + (slot << 15) + reg, width, value);
		return;
	}
	pci_select(slot, 0, reg);
	if (width == 1)
		outb(port, (uint8_t)value);
	else if (width == 2)
		outw(port, (uint16_t)value);
	else
		outl(port, (uint32_t)value);
}

void wild_config(unsigned int slot, unsigned int count)
{
	uint64_t random = 0x9e3779b97f4a7c15UL;

	for (unsigned int i = 0; i < 8; i++) {
		for (unsigned int reg = 0; reg < 256; reg++)
			config_write(slot, reg, 1U << i % 4, i < 4 ? ~0UL : 0);
	}
	for (unsigned int i = 0; i < count; i++) {
		random = random * 6364136223846793005UL + 1442695040888963407UL;
		config_write(slot, (uint32_t)(random >> 16) & 0xff, 1U << (random & 3), random >> 24);
	}
}
