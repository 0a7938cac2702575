/* SPDX-License-Identifier: BSD-3-Clause */
/* The serial ports in a VM: their I/O ports, their interrupt lines, the console. */
#include <dm/vuart.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <hv/vm_console.h>
#include <public/acrn_common.h>

static struct vuart *vuart_of(struct acrn_vm *vm, uint16_t port)
{
	uint32_t i;

	for (i = 0U; i < ARRAY_SIZE(vm->vuart); i++) {
		/* A port below the base wraps to a large number. */
		if (vm->vuart[i].active && ((uint16_t)(port - vm->vuart[i].base) < VUART_PORT_COUNT)) {
			return &vm->vuart[i];
		}
	}
	return NULL;
}

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

static uint32_t vuart_io_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	struct vuart *const vuart = vuart_of(vm, port);
	uint16_t offset;

	if (vuart == NULL) {
		return 0xFFFFFFFFU;
	}
	offset = (uint16_t)(port - vuart->base);
	return (size == 1U) ? vuart_read(vuart, offset) : read_wide(vuart, offset, size);
}

static void vuart_io_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	struct vuart *vuart = vuart_of(vm, port);
	uint32_t i;

	for (i = 0U; (vuart != NULL) && (i < size); i++) {
		vuart_write(vuart, (uint16_t)(port - vuart->base + i), (uint8_t)(val >> (8U * i)));
	}
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
	const struct vm_io_range range = {base, VUART_PORT_COUNT, IO_ATTR_RW};

	vuart_init(&vm->vuart[index], vm, base, gsi, vuart_line, tx);
	register_io_emulation_handler(
		vm, (index == 0U) ? UART_PIO_IDX : UART2_PIO_IDX, &range, vuart_io_read, vuart_io_write);
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
