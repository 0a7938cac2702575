/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/ioports.c, ioreq.c: every range of ports registered, then every request that is not memory's. */
#include <hv/ioports.h>
#include <hv/ioreq.h>
#include <hv/vm.h>

#include <__fc_builtin.h>

static struct acrn_vm vm;
static uint8_t map[VM_IOPORT_COUNT];

void *pages_alloc(uint32_t order, uint16_t owner)
{
	(void)owner;
	return (order == 4U) ? map : NULL;
}

void deny_guest_pio_access(struct acrn_vm *of, uint16_t port, uint32_t count)
{
	(void)of;
	(void)port;
	(void)count;
}

void vcpu_fatal(struct acrn_vcpu *vcpu, const char *fmt, ...)
{
	(void)vcpu;
	(void)fmt;
}

static ioport_fault_result_t port_in(struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size,
	uint32_t *result)
{
	(void)vcpu;
	(void)cookie;
	(void)port;
	(void)size;
	*result = Frama_C_unsigned_int_interval(0, 0xFFFFFFFFU);
	return Frama_C_interval(IO_FAULT_HANDLED, IO_FAULT_ERROR);
}

static ioport_fault_result_t port_out(struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size,
	uint32_t value)
{
	(void)vcpu;
	(void)cookie;
	(void)port;
	(void)size;
	(void)value;
	return Frama_C_interval(IO_FAULT_HANDLED, IO_FAULT_ERROR);
}

static ioport_fault_result_t unhandled(struct acrn_vcpu *vcpu, uint32_t port, bool is_in, uint32_t *value, size_t size,
	void *cookie)
{
	(void)vcpu;
	(void)cookie;
	(void)port;
	(void)size;
	(void)is_in;
	*value = Frama_C_unsigned_int_interval(0, 0xFFFFFFFFU);
	return Frama_C_interval(IO_FAULT_HANDLED, IO_FAULT_PENDING);
}

int main(void)
{
	struct acrn_vcpu *vcpu = &vm.vcpus[0];
	vm_ioport_range_t range;

	vcpu->vm = &vm;
	if (vm_ioports_init(&vm) != 0) {
		return 1;
	}
	for (int i = 0; i < 2; i++) {
		Frama_C_make_unknown((char *)&range, sizeof(range));
		(void)vm_io_port_add_handler(&vm, range, (vm_ioport_interface_t){
			.port_in = Frama_C_interval(0, 1) ? port_in : NULL,
			.port_out = Frama_C_interval(0, 1) ? port_out : NULL});
	}
	if (Frama_C_interval(0, 1)) {
		(void)vm_register_unhandled_ioport_callback(&vm, unhandled, NULL);
	}
	Frama_C_make_unknown((char *)&vcpu->req, sizeof(vcpu->req));
	vcpu->req.type = Frama_C_interval(0, 1) ? REQ_PORTIO : 77U;
	return emulate_io(vcpu, &vcpu->req);
}
