/* SPDX-License-Identifier: BSD-3-Clause */
/* The event timers in a VM: their page, their interrupts. */
#include <dm/vhpet.h>
#include <hv/arch.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/clock.h>
#include <public/acrn_common.h>

/* A guest may ask for ten million interrupts a second; it gets one in 50 us, so that the machine goes on. */
#define MIN_CLOCKS 500UL

static uint64_t tsc_hz(void)
{
	return (uint64_t)arch_tsc_khz() * 1000UL;
}

static uint64_t clocks(void)
{
	return clock_scale(arch_now(), tsc_hz(), VHPET_HZ);
}

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
				hpet->vm, gsi, ((hpet->status & BIT(n)) != 0UL) ? GSI_SET_HIGH : GSI_SET_LOW);
		} else if ((matched & (1U << n)) != 0U) {
			(void)vm_set_irqline(hpet->vm, gsi, GSI_RAISING_PULSE);
		}
	}
}

/* Lock held; before a write, which may route lines elsewhere or make them edges. */
static void release_lines(struct vhpet *hpet)
{
	for (uint32_t n = 0U; n < VHPET_TIMERS; n++) {
		if ((hpet->status & BIT(n)) != 0UL) {
			(void)vm_set_irqline(hpet->vm, vhpet_gsi(hpet, n), GSI_SET_LOW);
		}
	}
}

/* Lock held. @param earliest clock */
static void arm(struct vhpet *hpet, uint64_t earliest)
{
	const uint64_t next = vhpet_next(hpet);

	if (next == VHPET_NEVER) {
		hv_timer_stop(&hpet->deadline);
	} else {
		hv_timer_start(&hpet->deadline, clock_scale_up(MAX(next, earliest), VHPET_HZ, tsc_hz()), 0UL);
	}
}

static void expired(struct hv_timer *timer)
{
	struct vhpet *hpet = container_of(timer, struct vhpet, deadline);

	spin_lock(&hpet->lock);
	if (hpet->active) {
		const uint64_t now = clocks();

		drive(hpet, vhpet_advance(hpet, now));
		arm(hpet, now + MIN_CLOCKS);
	}
	spin_unlock(&hpet->lock);
}

/* Registers are 8 bytes, read and written as such or by halves; narrower reads give their part, writes do nothing. */
static int32_t hpet_access(struct io_request *io_req, void *arg)
{
	struct vhpet *hpet = arg;
	struct mmio_request *mmio = &io_req->reqs.mmio;
	const uint32_t offset = (uint32_t)(mmio->address - VHPET_BASE);
	const uint32_t shift = 8U * (offset & 7U);
	uint32_t matched;

	spin_lock(&hpet->lock);
	matched = vhpet_advance(hpet, clocks());
	if (mmio->direction == REQUEST_READ) {
		mmio->value = vhpet_read(hpet, offset & ~7U) >> shift;
	} else if ((mmio->size >= 4UL) && ((offset & 3U) == 0U)) {
		drive(hpet, matched);
		matched = 0U;
		release_lines(hpet);
		vhpet_write(hpet, offset & ~7U, mmio->value << shift, mask_bytes(mmio->size) << shift);
		__atomic_store_n(&hpet->vm->legacy_replaced, vhpet_replaces_legacy(hpet), __ATOMIC_RELAXED);
		arm(hpet, 0UL);
	}
	drive(hpet, matched);
	spin_unlock(&hpet->lock);
	return 0;
}

int32_t vhpet_attach(struct acrn_vm *vm)
{
	struct vhpet *hpet = &vm->vhpet;

	spinlock_init(&hpet->lock);
	hpet->vm = vm;
	hv_timer_init(&hpet->deadline, expired);
	vhpet_init(hpet);
	vm->legacy_replaced = false;
	hpet->active = true;
	return register_mmio_emulation_handler(vm, hpet_access, VHPET_BASE, VHPET_BASE + VHPET_SIZE, hpet);
}

void vhpet_reset(struct vhpet *hpet)
{
	if (hpet->active) {
		hv_timer_stop_wait(&hpet->deadline);
		spin_lock(&hpet->lock);
		release_lines(hpet);
		vhpet_init(hpet);
		__atomic_store_n(&hpet->vm->legacy_replaced, false, __ATOMIC_RELAXED);
		spin_unlock(&hpet->lock);
	}
}

void vhpet_detach(struct vhpet *hpet)
{
	if (hpet->active) {
		spin_lock(&hpet->lock);
		hpet->active = false;
		spin_unlock(&hpet->lock);
		hv_timer_stop_wait(&hpet->deadline);
	}
}
