/* SPDX-License-Identifier: BSD-3-Clause */
#include <guests/lib/guest.h>
#include <guests/lib/pci.h>
#include <guests/lib/zephyr.h>

#define TYPE		0x0cU		/* the double word with the header type */
#define MULTIFUNCTION	0x00800000U
#define BAR_64		0x4U
#define BAR_ADDRESS	0xfffffffffffffff0UL
#define CMD_IO		0x1U
#define CAP_MSI		0x05U
#define CAP_MSIX	0x11U
#define STATUS_CAPS	0x00100000U	/* of the double word with the command register */
#define MSI_ENABLE	0x00010000U	/* of a capability's first double word */
#define MSIX_ENABLE	0x80000000U
#define MESSAGE		0xfee00000U
#define MESSAGE_DATA	0x4000U

struct mbar {
	uint64_t at, size;
};

static uint32_t conf_read(unsigned int slot, unsigned int reg)
{
	uint32_t value = pci_read32(slot, reg);

	if (pci_ecam == 0)
		outl(PCI_ADDRESS_PORT, 0);
	return value;
}

static void conf_write(unsigned int slot, unsigned int reg, uint32_t value)
{
	pci_write32(slot, reg, value);
	if (pci_ecam == 0)
		outl(PCI_ADDRESS_PORT, 0);
}

unsigned int zephyr_find(uint32_t id, unsigned int slot)
{
	for (; slot < PCI_SLOTS; slot++) {
		uint32_t found = conf_read(slot, PCI_ID);

		if (found == 0xffffffff)
			continue;
		if ((conf_read(slot, TYPE) & MULTIFUNCTION) == 0 && found == id) {
			(void)conf_read(slot, PCI_CLASS);
			return slot;
		}
	}
	return PCI_SLOTS;
}

static void set_command(unsigned int slot, uint32_t bits)
{
	conf_write(slot, PCI_COMMAND, conf_read(slot, PCI_COMMAND) | bits);
}

/* Ones into half a BAR, and back. */
static uint32_t size_mask(unsigned int slot, unsigned int reg, uint32_t old)
{
	uint32_t mask;

	conf_write(slot, reg, 0xffffffff);
	mask = conf_read(slot, reg);
	conf_write(slot, reg, old);
	return mask;
}

/* With decoding off meanwhile. */
static bool get_mbar(unsigned int slot, unsigned int bar, struct mbar *found)
{
	unsigned int reg = PCI_BAR(bar);
	uint32_t low = conf_read(slot, reg), high = 0, command;
	uint64_t size;

	if ((low & 1) != 0)
		return false;
	command = conf_read(slot, PCI_COMMAND);
	conf_write(slot, PCI_COMMAND, command & ~(PCI_CMD_MEM | CMD_IO));
	size = size_mask(slot, reg, low);
	if ((low & BAR_64) != 0) {
		high = conf_read(slot, reg + 4);
		size |= (uint64_t)size_mask(slot, reg + 4, high) << 32;
	}
	size &= BAR_ADDRESS;
	found->at = ((uint64_t)high << 32 | low) & BAR_ADDRESS;
	found->size = size & ~(size - 1);
	conf_write(slot, PCI_COMMAND, command);
	return found->at != 0 && size != 0;
}

static unsigned int get_cap(unsigned int slot, uint32_t id)
{
	unsigned int at = 0;

	if ((conf_read(slot, PCI_COMMAND) & STATUS_CAPS) != 0)
		at = conf_read(slot, PCI_CAPS) & 0xfc;
	while (at != 0) {
		uint32_t header = conf_read(slot, at);

		if ((header & 0xff) == id)
			break;
		at = header >> 8 & 0xfc;
	}
	return at;
}

/* MSI-X, rather than MSI. */
static unsigned int msi_base(unsigned int slot)
{
	(void)get_cap(slot, CAP_MSI);
	return get_cap(slot, CAP_MSIX);
}

static bool set_up_msix(struct zephyr_ivshmem *self, unsigned int vec0, unsigned int vectors)
{
	unsigned int slot = self->slot, base = msi_base(slot), count;
	struct mbar table;
	uint32_t where;

	if (base == 0)
		return false;
	count = (conf_read(slot, base) >> 16 & 0x7ff) + 1;
	where = conf_read(slot, base + 4);
	if (!get_mbar(slot, where & 7, &table))
		return false;
	self->vectors = vectors < count ? vectors : count;
	for (unsigned int i = 0; i <= self->vectors; i++)
		base = msi_base(slot); /* each is connected, then all are enabled */
	/* It takes the capability for MSI's here: the bit is one of the table's size. */
	conf_write(slot, base, conf_read(slot, base) & ~MSI_ENABLE);
	for (unsigned int i = 0; i < self->vectors; i++) {
		uint64_t entry = table.at + (where & ~7U) + 16 * i;

		mmio_write32(entry, MESSAGE);
		mmio_write32(entry + 4, 0);
		mmio_write32(entry + 8, MESSAGE_DATA | (vec0 + i));
		mmio_write32(entry + 12, 0);
	}
	conf_write(slot, base, conf_read(slot, base) | MSIX_ENABLE);
	set_command(slot, PCI_CMD_MASTER);
	return true;
}

bool zephyr_ivshmem_set_up(struct zephyr_ivshmem *self, unsigned int slot, unsigned int vec0, unsigned int vectors)
{
	struct mbar registers, msix, memory;
	bool has_msix;

	if (!get_mbar(slot, 0, &registers))
		return false;
	set_command(slot, PCI_CMD_MEM | PCI_CMD_MASTER);
	has_msix = get_mbar(slot, 1, &msix);
	if (!get_mbar(slot, 2, &memory))
		return false;
	*self = (struct zephyr_ivshmem){slot, registers.at, registers.size, memory.at, memory.size, 0};
	return !has_msix || set_up_msix(self, vec0, vectors);
}
