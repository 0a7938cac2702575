/* SPDX-License-Identifier: BSD-3-Clause */
/* The shared request page, for the hypercalls and the VM's life. What the I/O path uses is in <hv/ioreq.h>. */
#ifndef HV_VHM_H
#define HV_VHM_H

#include <lib/util.h>

struct acrn_vm;
struct acrn_vcpu;

/* ACPI: PM1a control as the device model has it; SLP_EN with SLP_TYP 5 is the end of the machine. */
#define VHM_PM1_CONTROL_PORT 0x404U
/*
 * SLP_EN and sleep type 5, as a guest's power-off, but 4 bytes wide (a guest's write is 2) and with bit 31: by these
 * a device model tells a fault from a power-off.
 */
#define VHM_PM1_FAULT      (0x80000000U | (1U << 13U) | (5U << 10U))
#define VHM_PM1_FAULT_SIZE 4UL
/* The reset control register and its "reset now". */
#define VHM_RESET_PORT 0xCF9U
#define VHM_RESET_NOW  0x06U

/**
 * Gives the VM its request page, all slots FREE, or takes it away. No vCPU of the VM is on a CPU.
 * @param hpa of the page, aligned, in the Service VM's memory; 0: none
 */
void vhm_set_page(struct acrn_vm *vm, hpa_t hpa);

/**
 * Tells the device model that the VM has stopped by itself: as if the guest had powered off. The answer is not
 * waited for. On the vCPU's thread, or while it is paused with vm->lock held.
 * @return false: its slot is in use, nothing was done
 */
bool vhm_send_power_off(struct acrn_vcpu *vcpu);

/** As vhm_send_power_off(): asks the device model to reset the VM, as if the guest had. */
bool vhm_send_reset(struct acrn_vcpu *vcpu);

/** From now on upcalls go to this vCPU of the Service VM with this vector. */
void vhm_set_upcall(uint32_t vector, uint32_t vcpu_id);

#endif
