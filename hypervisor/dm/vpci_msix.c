/* SPDX-License-Identifier: BSD-3-Clause */
/* MSI-X on a VM's PCI bus: table, pending bits, messages. */
#include <dm/vpci.h>
#include <dm/vpci_msix.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

#define CAP_SIZE     12U
#define ADDRESS_MASK ~3UL /* messages are double words */

_Static_assert(VPCI_MSIX_MAX <= 64U, "pending bits are one quad word");
_Static_assert(VPCI_MSIX_MAX *PCI_MSIX_ENTRY_SIZE <= VPCI_MSIX_PBA, "the table ends before the pending bits");
_Static_assert(sizeof(struct vpci_msix_entry) == PCI_MSIX_ENTRY_SIZE, "the table is read as it lies");

int32_t vpci_msix_init(struct vpci_function *fn, struct vpci_msix *msix, uint32_t bar, uint32_t count)
{
	const uint16_t last = (uint16_t)(count - 1U);
	const uint16_t writable = PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL;
	const uint32_t pba = VPCI_MSIX_PBA | bar;
	uint32_t cap;

	if ((count == 0U) || (count > VPCI_MSIX_MAX)) {
		return -EINVAL;
	}
	cap = vpci_function_add_cap(fn, PCI_CAP_MSIX, CAP_SIZE);
	if (cap == 0U) {
		return -ENOSPC;
	}
	(void)memcpy(&fn->config[cap + PCI_MSIX_CONTROL], &last, sizeof(last));
	(void)memcpy(&fn->writable[cap + PCI_MSIX_CONTROL], &writable, sizeof(writable));
	(void)memcpy(&fn->config[cap + PCI_MSIX_TABLE], &bar, sizeof(bar));
	(void)memcpy(&fn->config[cap + PCI_MSIX_PBA], &pba, sizeof(pba));
	vpci_function_add_bar(fn, bar, VPCI_MSIX_BAR_SIZE, PCI_BAR_MEM32);
	(void)memset(msix, 0, sizeof(*msix));
	msix->bar = bar;
	msix->count = count;
	msix->cap = cap;
	vpci_msix_reset(msix);
	fn->msix = msix;
	return 0;
}

void vpci_msix_reset(struct vpci_msix *msix)
{
	msix->pending = 0UL;
	for (uint32_t i = 0U; i < msix->count; i++) {
		msix->entry[i] = (struct vpci_msix_entry){.control = PCI_MSIX_ENTRY_MASK};
	}
}

/* ---- Messages: bus lock held ---- */

static uint16_t control(const struct vpci_function *fn)
{
	uint16_t value;

	(void)memcpy(&value, &fn->config[fn->msix->cap + PCI_MSIX_CONTROL], sizeof(value));
	return value;
}

bool vpci_msix_enabled(const struct vpci_function *fn)
{
	return (fn->msix != NULL) && ((control(fn) & PCI_MSIX_ENABLE) != 0U);
}

/* A message is a write to memory: only a bus master makes it. */
static bool may_send(const struct vpci_function *fn)
{
	return ((control(fn) & (PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL)) == PCI_MSIX_ENABLE) &&
		((fn->config[PCI_COMMAND] & PCI_CMD_MASTER) != 0U);
}

void vpci_msix_update(struct vpci_function *fn)
{
	struct vpci_msix *msix = fn->msix;
	struct vpci *bus = fn->bus;

	if (!vpci_msix_enabled(fn)) {
		msix->pending = 0UL;
	}
	if ((msix->pending == 0UL) || !may_send(fn)) {
		return;
	}
	for (uint32_t i = 0U; i < msix->count; i++) {
		const struct vpci_msix_entry *entry = &msix->entry[i];

		if (((msix->pending & BIT(i)) != 0UL) && ((entry->control & PCI_MSIX_ENTRY_MASK) == 0U)) {
			msix->pending &= ~BIT(i);
			bus->ops->send_msi(bus->vm, entry->address, entry->data);
		}
	}
}

void vpci_msix_raise(struct vpci_function *fn, uint32_t vector)
{
	spin_lock(&fn->bus->lock);
	if (vector < fn->msix->count) {
		fn->msix->pending |= BIT(vector);
		vpci_msix_update(fn);
	}
	spin_unlock(&fn->bus->lock);
}

/* ---- The BAR ---- */

uint64_t vpci_msix_read(struct vpci_function *fn, uint32_t offset, uint32_t size)
{
	const struct vpci_msix *msix = fn->msix;
	const uint32_t table_size = msix->count * PCI_MSIX_ENTRY_SIZE;
	uint64_t value = 0UL;

	spin_lock(&fn->bus->lock);
	if (offset + size <= table_size) {
		(void)memcpy(&value, (const uint8_t *)msix->entry + offset, size);
	} else if ((offset >= VPCI_MSIX_PBA) && (offset + size <= VPCI_MSIX_PBA + sizeof(msix->pending))) {
		(void)memcpy(&value, (const uint8_t *)&msix->pending + (offset - VPCI_MSIX_PBA), size);
	}
	spin_unlock(&fn->bus->lock);
	return value;
}

void vpci_msix_write(struct vpci_function *fn, uint32_t offset, uint32_t size, uint64_t value)
{
	struct vpci_msix *msix = fn->msix;
	struct vpci_msix_entry *entry = &msix->entry[(offset / PCI_MSIX_ENTRY_SIZE) % VPCI_MSIX_MAX];

	if ((size < 4U) || ((offset % size) != 0U) || (offset + size > msix->count * PCI_MSIX_ENTRY_SIZE)) {
		return;
	}
	spin_lock(&fn->bus->lock);
	(void)memcpy((uint8_t *)entry + offset % PCI_MSIX_ENTRY_SIZE, &value, size);
	entry->address &= ADDRESS_MASK;
	entry->control &= PCI_MSIX_ENTRY_MASK;
	vpci_msix_update(fn);
	spin_unlock(&fn->bus->lock);
}
