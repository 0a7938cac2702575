/* SPDX-License-Identifier: BSD-3-Clause */
/* VMCALL: who may call, and where the result goes. */
#include <asm/guest.h>

#include <hv/upcall.h>

int32_t vmcall_vmexit_handler(struct acrn_vcpu *vcpu)
{
	uint64_t *const gpr = vcpu->arch.gprs.reg;

	if (!vm_is_service(vcpu->vm)) {
		vcpu_inject_ud(vcpu); /* as on a machine without a hypervisor */
	} else if (vcpu_get_cpl() != 0U) {
		vcpu_inject_gp(vcpu);
	} else {
		gpr[GPR_RAX] = (uint64_t)hypercall_dispatch(vcpu, gpr[GPR_R8], gpr[GPR_RDI], gpr[GPR_RSI]);
		return VMEXIT_SKIP;
	}
	return VMEXIT_ENTER_AGAIN;
}
