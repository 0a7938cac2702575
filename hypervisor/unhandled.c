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

/* What is done with a port and with memory, always the same: the cookie of the two below. */
struct answer {
	ioport_fault_result_t port;
	memory_fault_result_t memory;
};

static ioport_fault_result_t answer_port(
	struct acrn_vcpu *vcpu, uint32_t port_no, bool is_in, uint32_t *value, size_t size, void *cookie)
{
	const struct answer *answer = cookie;

	(void)vcpu;
	(void)port_no;
	(void)is_in;
	(void)value;
	(void)size;
	return answer->port;
}

static memory_fault_result_t answer_memory(
	struct acrn_vm *vm, struct acrn_vcpu *vcpu, gpa_t fault_addr, size_t fault_length, void *cookie)
{
	const struct answer *answer = cookie;

	(void)vm;
	(void)vcpu;
	(void)fault_addr;
	(void)fault_length;
	return answer->memory;
}

/* libsel4vm's cookies are not const. */
static struct answer stop = {IO_FAULT_ERROR, FAULT_ERROR};
static struct answer ignore = {IO_FAULT_UNHANDLED, FAULT_IGNORE};

int32_t unhandled_init(struct acrn_vm *vm)
{
	static const struct {
		unhandled_ioport_callback_fn port;
		unhandled_mem_fault_callback_fn memory;
		struct answer *answer;
	} callbacks[] = {
		[SCN_PORT_IGNORE] = {answer_port, answer_memory, &ignore},
		[SCN_PORT_STOP] = {answer_port, answer_memory, &stop},
		[SCN_PORT_FORWARD] = {forward_port, forward_memory, NULL},
		[SCN_PORT_PASSTHROUGH] = {answer_port, answer_memory, &ignore}, /* what is not passed through */
	};
	const uint8_t how = vm->config->unhandled_port;

	vm->forward_io = (how == SCN_PORT_FORWARD);
	if ((how >= ARRAY_SIZE(callbacks)) || (callbacks[how].port == NULL)) {
		return 0; /* SCN_PORT_LOG */
	}
	return ((vm_register_unhandled_ioport_callback(vm, callbacks[how].port, callbacks[how].answer) == 0) &&
		       (vm_register_unhandled_mem_fault_callback(vm, callbacks[how].memory, callbacks[how].answer) ==
			       0))
		? 0
		: -EBUSY;
}
