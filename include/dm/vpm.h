/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ACPI's fixed hardware of a pre-launched VM: PM1 event and control registers, and the PM timer (ACPI 6.4, 4.8.3).
 * There are no buttons and no wake events: status bits stay 0, the SCI is never raised.
 */
#ifndef DM_VPM_H
#define DM_VPM_H

#include <lib/util.h>

struct acrn_vm;

#define VPM_PM1_EVT_PORT 0x600U /* status, enable: two words */
#define VPM_PM1_CNT_PORT 0x604U
#define VPM_TMR_PORT     0x608U
#define VPM_TMR_HZ       3579545UL
#define VPM_SCI_IRQ      9U
#define VPM_S5_TYP       5U /* as in pre_dsdt.asl */

struct vpm {
	uint16_t enable;       /* PM1 enable */
	uint16_t control;      /* PM1 control, without SCI_EN and SLP_EN */
	uint8_t reset_control; /* of the chip set, at port 0xCF9: what kind of reset is wanted */
};

/** @return the PM timer, 32 bits, at `now` (TSC ticks of `tsc_khz`) */
uint32_t vpm_timer(uint64_t now, uint32_t tsc_khz);

/** After power-on. */
void vpm_reset(struct vpm *vpm);

/** Registers the ports. S5 in PM1 control stops the VM. Before the VM is started. */
void vpm_attach(struct acrn_vm *vm);

#endif
