/* SPDX-License-Identifier: BSD-3-Clause */
/* The serial ports in a VM: their I/O ports, their interrupt lines, the console. */
#include <dm/vuart.h>
#include <hv/ioports.h>
#include <hv/log.h>
#include <hv/vm.h>
#include <hv/vm_console.h>
#include <public/acrn_common.h>

/* The chip has an 8-bit bus: wider accesses come as one cycle per byte, the lowest first. */
static uint32_t __noinline read_wide(struct vuart *vuart, uint16_t offset, size_t size)
{
	uint32_t val = 0U;
	uint32_t i;

	for (i = 0U; i < size; i++) {
		val |= (uint32_t)vuart_read(vuart, (uint16_t)(offset + i)) << (8U * i);
	}
	return val;
}

static ioport_fault_result_t vuart_in(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t *result)
{
	struct vuart *const vuart = cookie;
	const uint16_t offset = (uint16_t)(port - vuart->base);

	(void)vcpu;
	*result = (size == 1U) ? vuart_read(vuart, offset) : read_wide(vuart, offset, size);
	return IO_FAULT_HANDLED;
}

static ioport_fault_result_t vuart_out(
	struct acrn_vcpu *vcpu, void *cookie, uint32_t port, uint32_t size, uint32_t value)
{
	struct vuart *const vuart = cookie;

	(void)vcpu;
	for (uint32_t i = 0U; i < size; i++) {
		vuart_write(vuart, (uint16_t)(port - vuart->base + i), (uint8_t)(value >> (8U * i)));
	}
	return IO_FAULT_HANDLED;
}

static void vuart_line(struct vuart *vuart, bool level)
{
	(void)vm_set_irqline(vuart->vm, vuart->gsi, level ? GSI_SET_HIGH : GSI_SET_LOW);
}

static void vuart_to_console(struct vuart *vuart, uint8_t byte)
{
	console_vm_putc(vuart->vm->vm_id, byte);
}

static struct vuart *attach(struct acrn_vm *vm, uint32_t index, void (*tx)(struct vuart *vuart, uint8_t byte))
{
	const uint16_t base = (index == 0U) ? VUART_COM1_BASE : VUART_COM2_BASE;
	const uint32_t gsi = (index == 0U) ? VUART_COM1_GSI : VUART_COM2_GSI;
	const vm_ioport_range_t ports = {base, (uint16_t)(base + VUART_PORT_COUNT - 1U)};
	const vm_ioport_interface_t interface = {
		&vm->vuart[index], vuart_in, vuart_out, (index == 0U) ? "COM1" : "COM2"};
	const int32_t status = vm_io_port_add_handler(vm, ports, interface);

	ASSERT(status == 0); /* the VM is being made: nobody has them yet */
	vuart_init(&vm->vuart[index], vm, base, gsi, vuart_line, tx);
	return &vm->vuart[index];
}

void vuart_attach_console(struct acrn_vm *vm, uint32_t index)
{
	vm_console_register(vm->vm_id, vm->name, attach(vm, index, vuart_to_console));
}

void vuart_attach_cable(struct acrn_vm *vm, uint32_t index, uint32_t cable, uint32_t side)
{
	/* Zeroed is plugged in nowhere and unlocked. */
	static struct vuart_cable cables[SCN_MAX_VUARTS];

	vuart_plug(attach(vm, index, NULL), &cables[cable], side);
}
