/* SPDX-License-Identifier: BSD-3-Clause */
/* The I/O APICs in a VM: their pages, their way to local APICs and to the machine's pins. */
#include <dm/vioapic.h>
#include <hv/arch.h>
#include <hv/ioreq.h>
#include <hv/ptirq.h>
#include <hv/upcall.h>
#include <hv/vm.h>

static const struct vioapic_ops vm_ops = {
	.deliver = vlapic_deliver,
	.pin_set = ptirq_ioapic_set,
	.pin_eoi = arch_gsi_eoi,
};

/* Registers are 4 bytes on 16-byte boundaries. A narrower read gives its part, a narrower write is zero-extended. */
static int32_t vioapic_mmio_access(struct io_request *io_req, void *chip)
{
	struct vioapic_chip *self = chip;
	struct mmio_request *mmio = &io_req->reqs.mmio;
	const uint32_t offset = (uint32_t)(mmio->address - self->base);
	const uint32_t shift = 8U * (offset & 3U);

	if (mmio->direction == REQUEST_WRITE) {
		if ((offset & 3U) == 0U) {
			vioapic_chip_write(self, offset, (uint32_t)mmio->value);
		}
	} else {
		mmio->value = vioapic_chip_read(self, offset & ~3U) >> shift; /* emulate_io() cuts it to the size */
	}
	return 0;
}

void vioapic_eoi_broadcast(struct acrn_vm *vm, uint32_t vector)
{
	vioapic_eoi(&vm->vioapic, vector);
}

void vioapic_attach(struct acrn_vm *vm)
{
	vioapic_init(&vm->vioapic, vm, &vm_ops);
}

int32_t vioapic_attach_chip(struct acrn_vm *vm, uint64_t base, uint32_t id, uint32_t pins, bool physical)
{
	const uint32_t index = vm->vioapic.chip_count;
	const int32_t ret = vioapic_add_chip(&vm->vioapic, base, id, pins, physical);

	if (ret != 0) {
		return ret;
	}
	return register_mmio_emulation_handler(
		vm, vioapic_mmio_access, base, base + VIOAPIC_MMIO_SIZE, &vm->vioapic.chip[index]);
}
