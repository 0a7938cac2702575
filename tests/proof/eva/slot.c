/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/vhm.c: for every content of the request page, changing between any two looks; every vCPU number; every
 * request that the callers may make; with and without a page.
 */
#include <hv/ioreq.h>
#include <hv/vhm.h>
#include <hv/vm.h>

#include <__fc_builtin.h>

static struct acrn_vm vm, service;
static union vhm_request_buffer page;

struct acrn_vm *vm_service(void)
{
	return &service; /* who gave the page */
}

struct acrn_vcpu *vm_vcpu(struct acrn_vm *of, uint32_t id)
{
	return (id < CONFIG_MAX_VCPUS_PER_VM) ? &of->vcpus[id] : NULL;
}

/* The page is another VM's: between any two looks it may have become anything. */
void arch_guest_access_begin(void)
{
	Frama_C_make_unknown((char *)&page, sizeof(page));
}

void arch_guest_access_end(void)
{
	Frama_C_make_unknown((char *)&page, sizeof(page));
}

int main(void)
{
	struct acrn_vcpu *vcpu = &vm.vcpus[0];
	struct io_request req;

	vm.ioreq_buf = Frama_C_interval(0, 1) ? &page : NULL;
	vcpu->vm = &vm;
	vcpu->vcpu_id = Frama_C_interval(0, 0xFFFF);
	vhm_set_upcall(Frama_C_unsigned_int_interval(0, 0xFFFFFFFFU), Frama_C_unsigned_int_interval(0, 0xFFFFFFFFU));
	Frama_C_make_unknown((char *)&req, sizeof(req));
	if (Frama_C_interval(0, 1)) {
		req.type = REQ_PORTIO;
		req.reqs.pio.size = 1UL << Frama_C_interval(0, 2);
	} else {
		req.type = REQ_MMIO;
		req.reqs.mmio.size = 1UL << Frama_C_interval(0, 3);
	}
	if (acrn_insert_request_wait(vcpu, &req) == 0) {
		for (int looks = 0; looks < 4; looks++) {
			(void)vhm_poll_request(vcpu);
		}
	}
	(void)vhm_send_power_off(vcpu);
	(void)vhm_send_reset(vcpu);
	reset_vm_ioreqs(&vm);
	return 0;
}
