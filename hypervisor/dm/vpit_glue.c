/* SPDX-License-Identifier: BSD-3-Clause */
/* The interval timer in a VM: its ports, its interrupt. */
#include <dm/vpit.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <public/acrn_common.h>

#define PORTS 4U
/* A guest may ask for a million interrupts a second; it gets one in 50 us, so that the machine goes on. */
#define MIN_CLOCKS 60UL

static void due(struct vclock *clock, uint64_t now)
{
	const uint64_t next = vpit_next_edge(container_of(clock, struct vpit, clock), now);

	/* The output fell and rose, however long ago: the line is left as the chip would have it, high. */
	if (!__atomic_load_n(&clock->vm->legacy_replaced, __ATOMIC_RELAXED)) {
		(void)vm_set_irqline(clock->vm, VPIT_GSI, GSI_FALLING_PULSE);
	}
	vclock_arm(clock, MAX(next, now + MIN_CLOCKS));
}

/* @return whether writing `value` to port VPIT_PORT + `offset` changes what channel 0 does */
static bool changes_channel0(uint32_t offset, uint8_t value)
{
	return (offset == 0U) || ((offset == 3U) && ((value & 0xC0U) == 0U) && ((value & 0x30U) != 0U));
}

/* The chip has an 8-bit bus: wider accesses come as one cycle per byte, the lowest first. */
static uint32_t pit_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	uint32_t value = 0U;

	spin_lock(&vm->vpit.clock.lock);
	for (uint32_t i = 0U; i < size; i++) {
		value |= (uint32_t)vpit_read(&vm->vpit, port - VPIT_PORT + i, vclock_now(&vm->vpit.clock)) << (8U * i);
	}
	spin_unlock(&vm->vpit.clock.lock);
	return value;
}

static void pit_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	struct vpit *vpit = &vm->vpit;
	const uint64_t now = vclock_now(&vpit->clock);
	bool changes = false;

	spin_lock(&vpit->clock.lock);
	for (uint32_t i = 0U; i < size; i++) {
		const uint32_t offset = port - VPIT_PORT + i;
		const uint8_t byte = (uint8_t)(val >> (8U * i));

		vpit_write(vpit, offset, byte, now);
		changes = changes || changes_channel0(offset, byte);
	}
	if (changes) {
		/* Not after others: an edge that is due, and about to be delivered, would be lost. */
		if (!vpit_out(vpit, 0U, now)) {
			(void)vm_set_irqline(vm, VPIT_GSI, GSI_SET_LOW);
		}
		vclock_arm(&vpit->clock, vpit_next_edge(vpit, now));
	}
	spin_unlock(&vpit->clock.lock);
}

static uint32_t port61_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	uint32_t value;

	(void)port;
	(void)size;
	spin_lock(&vm->vpit.clock.lock);
	value = vpit_read61(&vm->vpit, vclock_now(&vm->vpit.clock));
	spin_unlock(&vm->vpit.clock.lock);
	return value;
}

static void port61_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	(void)port;
	(void)size;
	spin_lock(&vm->vpit.clock.lock);
	vpit_write61(&vm->vpit, (uint8_t)val, vclock_now(&vm->vpit.clock));
	spin_unlock(&vm->vpit.clock.lock);
}

void vpit_attach(struct acrn_vm *vm)
{
	static const struct vm_io_range pit = {VPIT_PORT, PORTS, IO_ATTR_RW};
	static const struct vm_io_range port61 = {VPIT_PORT61, 1U, IO_ATTR_RW};

	vclock_attach(&vm->vpit.clock, vm, VPIT_HZ, due);
	vpit_init(&vm->vpit);
	register_io_emulation_handler(vm, PIT_PIO_IDX, &pit, pit_read, pit_write);
	register_io_emulation_handler(vm, PORT61_PIO_IDX, &port61, port61_read, port61_write);
}

void vpit_reset(struct vpit *vpit)
{
	if (vpit->clock.active) {
		vclock_stop(&vpit->clock);
		spin_lock(&vpit->clock.lock);
		vpit_init(vpit);
		(void)vm_set_irqline(vpit->clock.vm, VPIT_GSI, GSI_SET_LOW);
		spin_unlock(&vpit->clock.lock);
	}
}
