/* SPDX-License-Identifier: BSD-3-Clause */
/* The event timers in a VM: their page, their interrupts. */
#include <dm/vhpet.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <public/acrn_common.h>

/* A guest may ask for ten million interrupts a second; it gets one in 50 us, so that the machine goes on. */
#define MIN_CLOCKS 500UL

/* Lock held. */
static void drive(struct vhpet *hpet, uint32_t matched)
{
	for (uint32_t n = 0U; n < VHPET_TIMERS; n++) {
		const uint32_t gsi = vhpet_gsi(hpet, n);

		if (gsi == 0U) {
			continue; /* no route was chosen */
		}
		if (vhpet_is_level(hpet, n)) {
			(void)vm_set_irqline(
				hpet->clock.vm, gsi, ((hpet->status & BIT(n)) != 0UL) ? GSI_SET_HIGH : GSI_SET_LOW);
		} else if ((matched & (1U << n)) != 0U) {
			(void)vm_set_irqline(hpet->clock.vm, gsi, GSI_RAISING_PULSE);
		}
	}
}

/* Lock held; before a write, which may route lines elsewhere or make them edges. */
static void release_lines(struct vhpet *hpet)
{
	for (uint32_t n = 0U; n < VHPET_TIMERS; n++) {
		if ((hpet->status & BIT(n)) != 0UL) {
			(void)vm_set_irqline(hpet->clock.vm, vhpet_gsi(hpet, n), GSI_SET_LOW);
		}
	}
}

static void due(struct vclock *clock, uint64_t now)
{
	struct vhpet *hpet = container_of(clock, struct vhpet, clock);
	uint64_t next;

	drive(hpet, vhpet_advance(hpet, now));
	next = vhpet_next(hpet);
	vclock_arm(clock, MAX(next, now + MIN_CLOCKS));
}

/* Registers are 8 bytes, read and written as such or by halves; narrower reads give their part, writes do nothing. */
static int32_t hpet_access(struct io_request *io_req, void *arg)
{
	struct vhpet *hpet = arg;
	struct mmio_request *mmio = &io_req->reqs.mmio;
	const uint32_t offset = (uint32_t)(mmio->address - VHPET_BASE);
	const uint32_t shift = 8U * (offset & 7U);
	uint32_t matched;

	spin_lock(&hpet->clock.lock);
	matched = vhpet_advance(hpet, vclock_now(&hpet->clock));
	if (mmio->direction == REQUEST_READ) {
		mmio->value = vhpet_read(hpet, offset & ~7U) >> shift;
	} else if ((mmio->size >= 4UL) && ((offset & 3U) == 0U)) {
		drive(hpet, matched);
		matched = 0U;
		release_lines(hpet);
		vhpet_write(hpet, offset & ~7U, mmio->value << shift, mask_bytes(mmio->size) << shift);
		__atomic_store_n(&hpet->clock.vm->legacy_replaced, vhpet_replaces_legacy(hpet), __ATOMIC_RELAXED);
		vclock_arm(&hpet->clock, vhpet_next(hpet));
	}
	drive(hpet, matched);
	spin_unlock(&hpet->clock.lock);
	return 0;
}

int32_t vhpet_attach(struct acrn_vm *vm)
{
	struct vhpet *hpet = &vm->vhpet;

	vclock_attach(&hpet->clock, vm, VHPET_HZ, due);
	vhpet_init(hpet);
	vm->legacy_replaced = false;
	return register_mmio_emulation_handler(vm, hpet_access, VHPET_BASE, VHPET_BASE + VHPET_SIZE, hpet);
}

void vhpet_reset(struct vhpet *hpet)
{
	if (hpet->clock.active) {
		vclock_stop(&hpet->clock);
		spin_lock(&hpet->clock.lock);
		release_lines(hpet);
		vhpet_init(hpet);
		__atomic_store_n(&hpet->clock.vm->legacy_replaced, false, __ATOMIC_RELAXED);
		spin_unlock(&hpet->clock.lock);
	}
}
