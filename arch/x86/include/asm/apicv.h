/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * APIC virtualization (SDM vol 3, ch. 30): in x2APIC mode the CPU itself answers TPR, PPR, ISR, IRR and TMR reads, does
 * EOI and self-IPI, and delivers the interrupts of the virtual-APIC page. In xAPIC mode, or on a CPU without all of
 * virtual x2APIC mode, APIC-register virtualization and virtual-interrupt delivery, vlapic.c does it.
 *
 * All functions: on the vCPU's own pCPU with its VMCS current.
 */
#ifndef ASM_APICV_H
#define ASM_APICV_H

#include <lib/util.h>

struct acrn_vcpu;

/** The VMCS has just been built: off, or on if the local APIC is in x2APIC mode. */
void apicv_build(struct acrn_vcpu *vcpu);

/** The mode of the local APIC may have changed: switches on or off. */
void apicv_update(struct acrn_vcpu *vcpu);

/** Before entry, with APIC virtualization on: what was posted, and which EOIs must exit. */
void apicv_sync(struct acrn_vcpu *vcpu);

int32_t virtualized_eoi_vmexit_handler(struct acrn_vcpu *vcpu);
int32_t apic_write_vmexit_handler(struct acrn_vcpu *vcpu);

#endif
