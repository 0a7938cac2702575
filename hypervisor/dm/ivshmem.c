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
#define REVISION   1U

#define BAR_REGISTERS 0U
#define BAR_MSIX      1U
#define BAR_MEMORY    2U

#define REGISTERS_SIZE 0x100U
#define REG_DOORBELL   0x0CU

#define PEERS 2U

static void doorbell(struct ivshmem *self, uint32_t value)
{
	const uint32_t peer = value >> 16U;
	const uint32_t vector = value & 0xFFFFU;

	if ((peer >= PEERS) || (vector >= IVSHMEM_VECTORS)) {
		pr_guest(self->pci.bus->vm->vm_id, 0U, "rings an ivshmem peer %u, vector %u: there is none", peer,
			vector);
	} else if (peer == self->position) {
		vpci_msix_raise(&self->pci, vector);
	} else if (self->ring != NULL) {
		self->ring(self->cookie, vector);
	} else {
		pr_guest(self->pci.bus->vm->vm_id, 0U, "rings on a connection where it can only wait");
	}
}

/* Of the shared memory's BAR only while that is not in the map. */
static uint64_t bar_read(struct vpci_function *fn, uint32_t bar, uint32_t offset, uint32_t size)
{
	const struct ivshmem *self = container_of(fn, struct ivshmem, pci);
	const uint32_t registers[] = {0U, 0U, self->position, 0U};
	uint64_t value = 0UL;

	if (bar != BAR_REGISTERS) {
		return ~0UL;
	}
	if (offset + size <= sizeof(registers)) {
		(void)memcpy(&value, (const uint8_t *)registers + offset, size);
	}
	return value;
}

static void bar_write(struct vpci_function *fn, uint32_t bar, uint32_t offset, uint32_t size, uint64_t value)
{
	if ((bar == BAR_REGISTERS) && (offset == REG_DOORBELL) && (size == 4U)) {
		doorbell(container_of(fn, struct ivshmem, pci), (uint32_t)value);
	}
}

static const struct vpci_ops face_ops = {.read = bar_read, .write = bar_write};

int32_t ivshmem_attach(struct ivshmem *self, struct vpci *bus, hpa_t hpa, uint32_t size)
{
	int32_t ret;

	vpci_function_init(&self->pci, VENDOR, DEVICE, CLASS_CODE, REVISION, false, &face_ops);
	vpci_function_add_bar(&self->pci, BAR_REGISTERS, REGISTERS_SIZE, PCI_BAR_MEM32);
	ret = vpci_msix_init(&self->pci, &self->msix, BAR_MSIX, IVSHMEM_VECTORS);
	vpci_function_add_bar(&self->pci, BAR_MEMORY, size, PCI_BAR_MEM64 | PCI_BAR_PREFETCH);
	self->pci.bar[BAR_MEMORY].hpa = hpa;
	self->pci.bar[BAR_MEMORY].access = GPA_READ | GPA_WRITE;
	return (ret == 0) ? vpci_add(bus, &self->pci) : ret;
}

void ivshmem_rung(struct ivshmem *self, uint32_t vector)
{
	vpci_msix_raise(&self->pci, vector);
}
