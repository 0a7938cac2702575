/* SPDX-License-Identifier: BSD-3-Clause */
#include <asm/apicv.h>

#include <asm/caps.h>
#include <asm/guest.h>
#include <asm/page.h>
#include <asm/vmcs.h>
#include <asm/vmx.h>
#include <lib/bits.h>

#define PROC2_APICV (PROC2_VIRT_X2APIC | PROC2_APIC_REGVIRT | PROC2_VID)
#define RVI_MASK    0xFFUL /* guest interrupt status: requesting virtual interrupt; above it: the one in service */

/* @return true if this CPU has all that is used */
static bool apicv_is_usable(void)
{
	return !vmx_vid_is_broken() && cpu_caps.has_tpr_shadow && cpu_caps.has_virt_x2apic &&
		cpu_caps.has_apic_regvirt && cpu_caps.has_apicv_vid;
}

static uint64_t vector_or_0(int32_t vector)
{
	return (vector < 0) ? 0UL : (uint64_t)vector;
}

static void write_eoi_map(struct acrn_vcpu *vcpu)
{
	uint64_t map[4];

	(void)vlapic_eoi_map(&vcpu->arch.vlapic, map);
	for (uint32_t i = 0U; i < ARRAY_SIZE(map); i++) {
		exec_vmwrite((enum vmcs_field)(VMX_EOI_EXIT0 + 2U * i), map[i]);
	}
}

static void switch_to(struct acrn_vcpu *vcpu, bool on)
{
	struct vlapic *const vlapic = &vcpu->arch.vlapic;
	const uint8_t *const bitmap = on ? vcpu->vm->arch.msr_bitmap_apicv : vcpu->vm->arch.msr_bitmap;

	(void)vlapic_sync_posted(vlapic);
	vlapic_set_vid(vlapic, on);
	vmcs_set_proc2(vcpu, PROC2_APICV, on);
	exec_vmwrite(VMX_MSR_BITMAP, hva_to_hpa(bitmap));
	if (on) {
		exec_vmwrite(VMX_GUEST_INTR_STATUS,
			(vector_or_0(vlapic_highest_isr(vlapic)) << 8U) | vector_or_0(vlapic_highest_irr(vlapic)));
		write_eoi_map(vcpu);
		/* The threshold is not looked at any more, and must not exceed TPR when it is again. */
		vcpu->arch.tpr_threshold = 0U;
		exec_vmwrite(VMX_TPR_THRESHOLD, 0UL);
	}
	vcpu->arch.apicv_on = on;
	vcpu->arch.check_events = CHECK_ALL;
}

void apicv_build(struct acrn_vcpu *vcpu)
{
	vcpu->arch.apicv_on = false;
	vlapic_set_vid(&vcpu->arch.vlapic, false);
	apicv_update(vcpu);
}

void apicv_update(struct acrn_vcpu *vcpu)
{
	const bool want = apicv_is_usable() && vlapic_is_x2apic(&vcpu->arch.vlapic);

	if (want != vcpu->arch.apicv_on) {
		switch_to(vcpu, want);
	}
}

void apicv_sync(struct acrn_vcpu *vcpu)
{
	struct vlapic *const vlapic = &vcpu->arch.vlapic;
	const int32_t moved = vlapic_take_moved(vlapic);

	/* The CPU keeps RVI at the highest request that it knows of (SDM 30.1.2). */
	if (moved >= 0) {
		const uint64_t status = exec_vmread(VMX_GUEST_INTR_STATUS);

		if ((status & RVI_MASK) < (uint64_t)moved) {
			exec_vmwrite(VMX_GUEST_INTR_STATUS, (status & ~RVI_MASK) | (uint64_t)moved);
		}
	}
	if (__atomic_load_n(&vlapic->eoi_map_changed, __ATOMIC_ACQUIRE)) {
		write_eoi_map(vcpu);
	}
}

int32_t virtualized_eoi_vmexit_handler(struct acrn_vcpu *vcpu)
{
	/* Trap-like: the CPU has taken the vector out of service (SDM 30.1.4). */
	vlapic_eoi_induced(&vcpu->arch.vlapic, (uint32_t)(exec_vmread(VMX_EXIT_QUALIFICATION) & 0xFFUL));
	vcpu->arch.check_events = CHECK_ALL;
	return VMEXIT_ENTER_AGAIN;
}

int32_t apic_write_vmexit_handler(struct acrn_vcpu *vcpu)
{
	/* Trap-like too: the value is in the page (SDM 30.4.3.3). */
	vlapic_apic_write_done(&vcpu->arch.vlapic, (uint32_t)(exec_vmread(VMX_EXIT_QUALIFICATION) & 0xFFFUL));
	vcpu->arch.check_events = CHECK_ALL;
	return VMEXIT_ENTER_AGAIN;
}
