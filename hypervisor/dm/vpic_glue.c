/* SPDX-License-Identifier: BSD-3-Clause */
/* The PIC pair in a VM: its ports, its wire to the local APICs. */
#include <dm/vpic.h>
#include <hv/arch.h>
#include <hv/ioreq.h>
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

static uint32_t vpic_io_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	let_lines_in(vm);
	return (size == 1U) ? vpic_read_port(&vm->vpic, port) : read_wide(&vm->vpic, port, size);
}

static void vpic_io_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	uint32_t i;

	let_lines_in(vm);
	for (i = 0U; i < size; i++) {
		vpic_write_port(&vm->vpic, (uint16_t)(port + i), (uint8_t)(val >> (8U * i)));
	}
	ptirq_pic_changed(vm);
}

uint32_t vpic_intack(struct acrn_vm *vm)
{
	return vpic_ack(&vm->vpic);
}

bool vpic_is_asserted(const struct acrn_vm *vm)
{
	return vpic_intr(&vm->vpic);
}

void vpic_attach(struct acrn_vm *vm)
{
	static const struct vm_io_range master = {VPIC_PORT_MASTER, 2U, IO_ATTR_RW};
	static const struct vm_io_range slave = {VPIC_PORT_SLAVE, 2U, IO_ATTR_RW};
	static const struct vm_io_range elcr = {VPIC_PORT_ELCR, 2U, IO_ATTR_RW};

	vpic_init(&vm->vpic, vm, arch_pic_wire);
	register_io_emulation_handler(vm, PIC_MASTER_PIO_IDX, &master, vpic_io_read, vpic_io_write);
	register_io_emulation_handler(vm, PIC_SLAVE_PIO_IDX, &slave, vpic_io_read, vpic_io_write);
	register_io_emulation_handler(vm, PIC_ELC_PIO_IDX, &elcr, vpic_io_read, vpic_io_write);
}
