/* SPDX-License-Identifier: BSD-3-Clause */
/* The PIC pair in a VM: its ports, its wire to the local APICs. */
#include <dm/vpic.h>
#include <hv/arch.h>
#include <hv/ioports.h>
#include <hv/log.h>
#include <hv/ptirq.h>
#include <hv/upcall.h>
#include <hv/vm.h>

static void let_lines_in(const struct acrn_vm *vm)
{
	if (vm_is_service(vm)) {
		/* What the machine's devices have signalled so far shows in this access. The device's lock is free. */
		arch_irq_window();
	}
}

/* The chips have an 8-bit bus: wider accesses come as one cycle per byte, the lowest first. */
static uint32_t __noinline read_wide(struct vpic *vpic, uint16_t port, size_t size)
{
	uint32_t val = 0U;
	uint32_t i;

	for (i = 0U; i < size; i++) {
		val |= (uint32_t)vpic_read_port(vpic, (uint16_t)(port + i)) << (8U * i);
	}
	return val;
}

static ioport_fault_result_t vpic_in(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t *result)
{
	struct vpic *const vpic = cookie;

	let_lines_in(vcpu->vm);
	*result = (size == 1U) ? vpic_read_port(vpic, (uint16_t)port) : read_wide(vpic, (uint16_t)port, size);
	return IO_FAULT_HANDLED;
}

static ioport_fault_result_t vpic_out(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t value)
{
	let_lines_in(vcpu->vm);
	for (uint32_t i = 0U; i < size; i++) {
		vpic_write_port(cookie, (uint16_t)(port + i), (uint8_t)(value >> (8U * i)));
	}
	ptirq_pic_changed(vcpu->vm);
	return IO_FAULT_HANDLED;
}

uint32_t vpic_intack(struct acrn_vm *vm)
{
	return vpic_ack(&vm->vpic);
}

static void add_ports(struct acrn_vm *vm, uint16_t first, const char *name)
{
	const vm_ioport_interface_t interface = {&vm->vpic, vpic_in, vpic_out, name};
	const int32_t status =
		vm_io_port_add_handler(vm, (vm_ioport_range_t){first, (uint16_t)(first + 1U)}, interface);

	ASSERT(status == 0); /* the VM is being made: nobody has them yet */
}

void vpic_attach(struct acrn_vm *vm)
{
	vpic_init(&vm->vpic, vm, arch_pic_wire);
	add_ports(vm, VPIC_PORT_MASTER, "PIC master");
	add_ports(vm, VPIC_PORT_SLAVE, "PIC slave");
	add_ports(vm, VPIC_PORT_ELCR, "PIC ELCR");
}
