/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections, QEMU's face: the PCI function ivshmem. */
#include <dm/ivshmem.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/vm.h>
#include <lib/string.h>

#define VENDOR     0x1AF4U
#define DEVICE     0x1110U
#define CLASS_CODE 0x050000U /* memory */

#define BAR_REGISTERS 0U
#define BAR_MSIX      1U
#define BAR_MEMORY    2U

#define REGISTERS_SIZE  0x100U
#define REG_INTR_MASK   0x00U
#define REG_INTR_STATUS 0x04U
#define REG_DOORBELL    0x0CU

#define INTR_PEER 1U /* the one bit of mask and status */

#define PEERS 2U

/* ---- INTx of revision 0 ---- */

static void set_intr(struct ivshmem *self, uint32_t mask, uint32_t status)
{
	self->mask = mask & INTR_PEER;
	self->status = status & INTR_PEER;
	vpci_set_intx(&self->pci, (self->mask & self->status) != 0U);
}

void ivshmem_rung(struct ivshmem *self, uint32_t vector)
{
	vpci_msix_raise(&self->pci, vector);
	if (self->has_intx) {
		spin_lock(&self->lock);
		set_intr(self, self->mask, INTR_PEER);
		spin_unlock(&self->lock);
	}
}

void ivshmem_reset(struct ivshmem *self)
{
	spin_lock(&self->lock);
	set_intr(self, 0U, 0U);
	spin_unlock(&self->lock);
}

/* ---- Registers ---- */

static void doorbell(struct ivshmem *self, uint32_t value)
{
	const uint32_t peer = value >> 16U;
	const uint32_t vector = value & 0xFFFFU;

	if ((peer >= PEERS) || (vector >= IVSHMEM_VECTORS)) {
		pr_guest(self->pci.bus->vm->vm_id, 0U, "rings an ivshmem peer %u, vector %u: there is none", peer,
			vector);
	} else if (peer == self->position) {
		ivshmem_rung(self, vector);
	} else if (self->ring != NULL) {
		self->ring(self->cookie, vector);
	} else {
		pr_guest(self->pci.bus->vm->vm_id, 0U, "rings on a connection where it can only wait");
	}
}

static uint64_t read_registers(struct ivshmem *self, uint32_t offset, uint32_t size)
{
	uint32_t registers[] = {0U, 0U, self->position, 0U};
	uint64_t value = 0UL;

	if (offset + size > sizeof(registers)) {
		return 0UL;
	}
	spin_lock(&self->lock);
	registers[0] = self->mask;
	registers[1] = self->status;
	if ((offset <= REG_INTR_STATUS) && (offset + size > REG_INTR_STATUS)) {
		set_intr(self, self->mask, 0U);
	}
	spin_unlock(&self->lock);
	(void)memcpy(&value, (const uint8_t *)registers + offset, size);
	return value;
}

/* Of the shared memory's BAR only while that is not in the map. */
static uint64_t bar_read(struct vpci_function *fn, uint32_t bar, uint32_t offset, uint32_t size)
{
	return (bar == BAR_REGISTERS) ? read_registers(container_of(fn, struct ivshmem, pci), offset, size) : ~0UL;
}

static void write_intr(struct ivshmem *self, uint32_t offset, uint32_t value)
{
	spin_lock(&self->lock);
	if (offset == REG_INTR_MASK) {
		set_intr(self, value, self->status);
	} else {
		set_intr(self, self->mask, value);
	}
	spin_unlock(&self->lock);
}

static void bar_write(struct vpci_function *fn, uint32_t bar, uint32_t offset, uint32_t size, uint64_t value)
{
	struct ivshmem *self = container_of(fn, struct ivshmem, pci);

	if ((bar != BAR_REGISTERS) || (size != 4U)) {
		return;
	}
	if (offset == REG_DOORBELL) {
		doorbell(self, (uint32_t)value);
	} else if (self->has_intx && ((offset == REG_INTR_MASK) || (offset == REG_INTR_STATUS))) {
		write_intr(self, offset, (uint32_t)value);
	}
}

static const struct vpci_ops face_ops = {.read = bar_read, .write = bar_write};

int32_t ivshmem_attach(struct ivshmem *self, struct vpci *bus, hpa_t hpa, uint32_t size)
{
	int32_t ret;

	spinlock_init(&self->lock);
	self->mask = 0U;
	self->status = 0U;
	vpci_function_init(
		&self->pci, VENDOR, DEVICE, CLASS_CODE, (uint8_t)(self->has_intx ? 0U : 1U), self->has_intx, &face_ops);
	vpci_function_add_bar(&self->pci, BAR_REGISTERS, REGISTERS_SIZE, PCI_BAR_MEM32);
	ret = vpci_msix_init(&self->pci, &self->msix, BAR_MSIX, IVSHMEM_VECTORS);
	vpci_function_add_bar(&self->pci, BAR_MEMORY, size, PCI_BAR_MEM64 | PCI_BAR_PREFETCH);
	self->pci.bar[BAR_MEMORY].hpa = hpa;
	self->pci.bar[BAR_MEMORY].access = GPA_READ | GPA_WRITE;
	return (ret == 0) ? vpci_add(bus, &self->pci) : ret;
}
