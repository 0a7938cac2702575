/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault injection for tests (CONFIG_DEBUG): a VM whose entry fails. Nothing that guests or the Service VM do should get
 * there, so the path would never be walked otherwise.
 *
 *   break_entry=ID    a guest-state rule is broken: VM entry fails after loading guest state (SDM vol 3, 27.8)
 *   break_controls=ID a control is illegal: VMLAUNCH itself fails (27.2)
 *
 * on the hypervisor's command line; ID is the number of the VM's slot.
 */
#include <asm/guest.h>

#include <hv/cmdline.h>
#include <hv/log.h>

#define CR3_TARGETS_ILLEGAL 0x1FFUL /* more than any CPU has (IA32_VMX_MISC bits 24:16) */

static bool is_meant(const struct acrn_vcpu *vcpu, const char *word)
{
	uint64_t id;

	return cmdline_u64(word, &id) && (id == vcpu->vm->vm_id);
}

void entry_break(struct acrn_vcpu *vcpu)
{
	if (is_meant(vcpu, "break_entry")) {
		pr_warn("VM%u: break_entry is on the command line", vcpu->vm->vm_id);
		exec_vmwrite(VMX_GUEST_RFLAGS, 0UL); /* bit 1 is always 1 */
	}
	if (is_meant(vcpu, "break_controls")) {
		pr_warn("VM%u: break_controls is on the command line", vcpu->vm->vm_id);
		exec_vmwrite(VMX_CR3_TARGET_COUNT, CR3_TARGETS_ILLEGAL);
	}
}
