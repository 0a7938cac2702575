/* SPDX-License-Identifier: BSD-3-Clause */
/* Physical interrupt lines of the Service VM: which are open, as its I/O APIC and its PIC pair say. */
#ifndef HV_PTIRQ_H
#define HV_PTIRQ_H

#include <lib/util.h>

struct acrn_vm;

/** The Service VM programmed I/O APIC pin `gsi`: as arch_gsi_set(). Called with the I/O APIC's lock held. */
void ptirq_ioapic_set(uint32_t gsi, bool masked, bool level, bool active_low);

/** The guest wrote to a port of its PIC pair. Nothing for VMs other than the Service VM. No device lock held. */
void ptirq_pic_changed(struct acrn_vm *vm);

#endif
