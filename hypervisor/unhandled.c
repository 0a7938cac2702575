/* SPDX-License-Identifier: BSD-3-Clause */
/* The scenario's answers to accesses that nobody here has: among them, the way to the Service VM. */
#include <hv/ioreq.h>
#include <hv/unhandled.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/errno.h>

#define PCI_CFGADDR_PORT 0xCF8U

/* ---- Forwarding ---- */

/* @return true if the request is on its way. Else the VM was stopped: it has no page, or its slot is in use */
static inline bool forward(struct acrn_vcpu *vcpu)
{
	const int32_t ret = acrn_insert_request_wait(vcpu, &vcpu->req);

	if (ret == -EBUSY) {
		vcpu_fatal(vcpu, "its request slot is not free (state %u)", get_vhm_req_state(vcpu->vm, vcpu->vcpu_id));
	} else if (ret != 0) {
		vcpu_fatal(vcpu, "an access is to be forwarded, but there is no request page");
	}
	return ret == 0;
}

static ioport_fault_result_t forward_port(
	struct acrn_vcpu *vcpu, uint32_t port_no, bool is_in, uint32_t *value, size_t size, void *cookie)
{
	(void)cookie;
	/*
	 * Port 0xCF8 is PCI's address register only as a dword; else it is nobody's, and no device model is asked:
	 * Linux's driver would take the access for the register and complain with a backtrace, as often as the guest
	 * likes.
	 */
	if ((port_no == PCI_CFGADDR_PORT) && (size != 4UL)) {
		return IO_FAULT_UNHANDLED;
	}
	if (is_in) {
		*value = 0U; /* nothing of a read's value is the Service VM's business */
	}
	return forward(vcpu) ? IO_FAULT_PENDING : IO_FAULT_ERROR;
}

static memory_fault_result_t forward_memory(
	struct acrn_vm *vm, struct acrn_vcpu *vcpu, gpa_t fault_addr, size_t fault_length, void *cookie)
{
	struct mmio_request *mmio = &vcpu->req.reqs.mmio;

	(void)vm;
	(void)fault_addr;
	(void)fault_length;
	(void)cookie;
	if (mmio->direction == REQUEST_READ) {
		mmio->value = 0UL; /* as above */
	}
	return forward(vcpu) ? FAULT_PENDING : FAULT_ERROR;
}

/* ---- The others ---- */

static ioport_fault_result_t stop_port(
	struct acrn_vcpu *vcpu, uint32_t port_no, bool is_in, uint32_t *value, size_t size, void *cookie)
{
	(void)vcpu;
	(void)port_no;
	(void)is_in;
	(void)value;
	(void)size;
	(void)cookie;
	return IO_FAULT_ERROR;
}

static memory_fault_result_t stop_memory(
	struct acrn_vm *vm, struct acrn_vcpu *vcpu, gpa_t fault_addr, size_t fault_length, void *cookie)
{
	(void)vm;
	(void)vcpu;
	(void)fault_addr;
	(void)fault_length;
	(void)cookie;
	return FAULT_ERROR;
}

static ioport_fault_result_t ignore_port(
	struct acrn_vcpu *vcpu, uint32_t port_no, bool is_in, uint32_t *value, size_t size, void *cookie)
{
	(void)vcpu;
	(void)port_no;
	(void)is_in;
	(void)value;
	(void)size;
	(void)cookie;
	return IO_FAULT_UNHANDLED;
}

static memory_fault_result_t ignore_memory(
	struct acrn_vm *vm, struct acrn_vcpu *vcpu, gpa_t fault_addr, size_t fault_length, void *cookie)
{
	(void)vm;
	(void)vcpu;
	(void)fault_addr;
	(void)fault_length;
	(void)cookie;
	return FAULT_IGNORE;
}

int32_t unhandled_init(struct acrn_vm *vm)
{
	static const struct {
		unhandled_ioport_callback_fn port;
		unhandled_mem_fault_callback_fn memory;
	} callbacks[] = {
		[SCN_PORT_IGNORE] = {ignore_port, ignore_memory},
		[SCN_PORT_STOP] = {stop_port, stop_memory},
		[SCN_PORT_FORWARD] = {forward_port, forward_memory},
		[SCN_PORT_PASSTHROUGH] = {ignore_port, ignore_memory}, /* what is not passed through */
	};
	const uint8_t how = vm->config->unhandled_port;

	vm->forward_io = (how == SCN_PORT_FORWARD);
	if ((how >= ARRAY_SIZE(callbacks)) || (callbacks[how].port == NULL)) {
		return 0; /* SCN_PORT_LOG */
	}
	return ((vm_register_unhandled_ioport_callback(vm, callbacks[how].port, NULL) == 0) &&
		       (vm_register_unhandled_mem_fault_callback(vm, callbacks[how].memory, NULL) == 0))
		? 0
		: -EBUSY;
}
