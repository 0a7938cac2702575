/* SPDX-License-Identifier: BSD-3-Clause */
/* The keyboard controller in a VM: its ports, its interrupt, its reset. */
#include <dm/vi8042.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <hv/vm_stop.h>

/* Lock held. */
static void update_line(struct acrn_vm *vm)
{
	(void)vm_set_irqline(vm, VI8042_GSI, vi8042_irq(&vm->vi8042) ? GSI_SET_HIGH : GSI_SET_LOW);
}

/* The chip has an 8-bit bus, and nothing is beside its ports. */
static uint32_t kbc_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	uint32_t value;

	(void)size;
	spin_lock(&vm->vi8042.lock);
	if (port == VI8042_DATA_PORT) {
		value = vi8042_read_data(&vm->vi8042);
		update_line(vm);
	} else if (port == VI8042_STATUS_PORT) {
		value = vi8042_read_status(&vm->vi8042);
	} else {
		value = vm->vi8042.port92;
	}
	spin_unlock(&vm->vi8042.lock);
	return value;
}

static void kbc_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	bool reset;

	(void)size;
	spin_lock(&vm->vi8042.lock);
	if (port == VI8042_DATA_PORT) {
		reset = vi8042_write_data(&vm->vi8042, (uint8_t)val);
	} else if (port == VI8042_STATUS_PORT) {
		reset = vi8042_write_command(&vm->vi8042, (uint8_t)val);
	} else {
		reset = vi8042_write_port92(&vm->vi8042, (uint8_t)val);
	}
	update_line(vm);
	spin_unlock(&vm->vi8042.lock);
	if (reset) {
		vm_reset_requested(vm);
	}
}

void vi8042_attach(struct acrn_vm *vm)
{
	static const struct vm_io_range data = {VI8042_DATA_PORT, 1U, IO_ATTR_RW};
	static const struct vm_io_range status = {VI8042_STATUS_PORT, 1U, IO_ATTR_RW};
	static const struct vm_io_range port92 = {VI8042_PORT92, 1U, IO_ATTR_RW};

	spinlock_init(&vm->vi8042.lock);
	vi8042_init(&vm->vi8042);
	register_io_emulation_handler(vm, KBD_PIO_IDX, &data, kbc_read, kbc_write);
	register_io_emulation_handler(vm, KBD_STATUS_PIO_IDX, &status, kbc_read, kbc_write);
	register_io_emulation_handler(vm, PORT92_PIO_IDX, &port92, kbc_read, kbc_write);
}

void vi8042_reset(struct acrn_vm *vm)
{
	spin_lock(&vm->vi8042.lock);
	vi8042_init(&vm->vi8042);
	update_line(vm);
	spin_unlock(&vm->vi8042.lock);
}
