/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PCI bus that the Service VM has beside the machine's, when it has ends of connections: bus 0 of a segment of its
 * own, in memory only. Why: doc/decisions/0009-service-vm-bus.md.
 *
 * Its addresses are those of RAM that the hypervisor took: no device of the machine can have them. What the guest finds
 * there is another matter: the RAM itself holds what VMs share.
 */
#ifndef HV_SERVICE_BUS_H
#define HV_SERVICE_BUS_H

#include <lib/util.h>

struct acrn_vm;
struct vm_acpi_bus;

#define SERVICE_BUS_ECAM   0UL        /* offsets in its addresses: configuration space, */
#define SERVICE_BUS_IOAPIC 0x100000UL /* the I/O APIC of its interrupts, */
#define SERVICE_BUS_BARS   0x200000UL /* the window of its BARs */

/**
 * Gives the Service VM its bus: I/O APIC, configuration space, window. vm->lock held, or boot.
 * @return 0; -ENOSPC no addresses for it; -ENODEV no interrupts for it; else as vpci_attach()
 */
int32_t __must_check service_bus_attach(struct acrn_vm *vm);

/** @return whether the VM has one; then *bus says where, but for the segment */
bool service_bus_describe(const struct acrn_vm *vm, struct vm_acpi_bus *bus);

#endif
