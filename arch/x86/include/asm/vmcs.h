/* SPDX-License-Identifier: BSD-3-Clause */
/* Builds a VMCS and keeps the controls that change while it lives. The vCPU's VMCS is current on this pCPU. */
#ifndef ASM_VMCS_H
#define ASM_VMCS_H

#include <lib/util.h>

struct acrn_vcpu;

/** Fills every field of the (cleared, current) VMCS: controls, host state of this pCPU, guest state of init_regs. */
void vmcs_build(struct acrn_vcpu *vcpu);

/** Host-owned bits of CR4: changes of these exit (SDM 25.6.6). */
uint64_t vmcs_cr4_host_bits(void);

/** Sets or clears `bits` in the primary processor-based controls; a VMWRITE only if something changes. */
void vmcs_set_proc(struct acrn_vcpu *vcpu, uint32_t bits, bool on);

/** The same for the secondary processor-based controls. */
void vmcs_set_proc2(struct acrn_vcpu *vcpu, uint32_t bits, bool on);

/** The same for the entry controls. */
void vmcs_set_entry(struct acrn_vcpu *vcpu, uint32_t bits, bool on);

/**
 * Walks the SDM's checks on guest state (27.3.1) after a failed entry and logs the rules that are broken.
 * @return how many
 */
uint32_t vmcs_check(void);

#endif
