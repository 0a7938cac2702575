// SPDX-License-Identifier: BSD-3-Clause
/*
 * The least that a Linux driver of ivshmem does: takes its MSI-X vectors. What comes is in /proc/interrupts. For a
 * test with Debian's kernel, which has no driver for it.
 */
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pci.h>

#define VECTORS 8

static irqreturn_t rung(int irq, void *data)
{
	return IRQ_HANDLED;
}

static int ivshmem_irq_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	int vectors, ret = pcim_enable_device(dev);

	if (ret != 0)
		return ret;
	pci_set_master(dev);
	vectors = pci_alloc_irq_vectors(dev, VECTORS, VECTORS, PCI_IRQ_MSIX);
	if (vectors < 0)
		return vectors;
	for (int i = 0; i < vectors && ret == 0; i++)
		ret = devm_request_irq(&dev->dev, pci_irq_vector(dev, i), rung, 0, "ivshmem", dev);
	return ret;
}

static const struct pci_device_id ivshmem_irq_ids[] = {{PCI_DEVICE(0x1AF4, 0x1110)}, {0}};

static struct pci_driver ivshmem_irq = {
	.name = "ivshmem_irq",
	.id_table = ivshmem_irq_ids,
	.probe = ivshmem_irq_probe,
};

module_pci_driver(ivshmem_irq);
MODULE_DESCRIPTION("Takes ivshmem's interrupts, for a test");
MODULE_LICENSE("Dual BSD/GPL");
