/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The local APIC's timer (SDM vol 3, 11.5.4). Its input clock is TSC / 2^VLAPIC_TIMER_SHIFT. The counter is never
 * counted: it is computed from the time of its start.
 */
#include <hv/arch.h>
#include <hv/vm.h>

#include "vlapic_priv.h"

static uint32_t mode_of(uint32_t lvt)
{
	return (lvt & LVT_TIMER_MODE) >> 17U;
}

/* Bits 3, 1, 0: 0 divides by 2, 1 by 4 ... 6 by 128, 7 by 1. */
static uint8_t shift_of(uint32_t divide)
{
	const uint32_t code = ((divide >> 1U) & 4U) | (divide & 3U);

	return (uint8_t)(VLAPIC_TIMER_SHIFT + ((code + 1U) & 7U));
}

static uint32_t initial_of(const struct vlapic *vlapic)
{
	return vreg_get(vlapic, LAPIC_TIMER_INITIAL);
}

uint32_t vlapic_timer_current(const struct vlapic *vlapic)
{
	const uint32_t initial = initial_of(vlapic);
	uint64_t counted;

	/* timer_mode 3 is reserved and does not count. */
	if ((initial == 0U) || vlapic->timer_ended || (vlapic->timer_mode > TIMER_PERIODIC)) {
		return 0U;
	}
	counted = (arch_now() - vlapic->timer_start) >> vlapic->timer_shift;
	if (vlapic->timer_mode == TIMER_PERIODIC) {
		return initial - (uint32_t)(counted % initial);
	}
	return (counted >= initial) ? 0U : (initial - (uint32_t)counted);
}

/* Arms the host's timer for the counter's next zero. timer_start, initial count, mode and shift are set. */
static void arm_counter(struct vlapic *vlapic)
{
	const uint64_t length = (uint64_t)initial_of(vlapic) << vlapic->timer_shift;
	const uint32_t current = vlapic_timer_current(vlapic);
	const uint64_t min_period = (uint64_t)arch_tsc_khz() * VLAPIC_TIMER_MIN_PERIOD_US / 1000U;

	if (current == 0U) {
		hv_timer_stop(&vlapic->timer);
	} else if (vlapic->timer_mode == TIMER_PERIODIC) {
		const uint64_t now = arch_now();
		const uint64_t next = now + length - (now - vlapic->timer_start) % length;

		hv_timer_start(&vlapic->timer, next, MAX(length, min_period));
	} else {
		hv_timer_start(&vlapic->timer, vlapic->timer_start + length, 0UL);
	}
}

void vlapic_timer_reset(struct vlapic *vlapic)
{
	hv_timer_stop(&vlapic->timer);
	vlapic->tsc_deadline = 0UL;
	vlapic->timer_mode = TIMER_ONESHOT;
	vlapic->timer_shift = shift_of(0U);
}

void vlapic_timer_write_initial(struct vlapic *vlapic, uint32_t count)
{
	if (vlapic->timer_mode > TIMER_PERIODIC) {
		vreg_set(vlapic, LAPIC_TIMER_INITIAL, 0U); /* ignored; the CPU may have put it into the page */
		return;
	}
	vreg_set(vlapic, LAPIC_TIMER_INITIAL, count);
	vlapic->timer_start = arch_now();
	vlapic->timer_ended = false;
	arm_counter(vlapic);
}

/* The counter goes on from `current`, at the rate or in the mode that is new; a count that has ended stays at 0. */
static void count_on(struct vlapic *vlapic, uint32_t current)
{
	vlapic->timer_ended = current == 0U;
	if (current != 0U) {
		vlapic->timer_start = arch_now() - ((uint64_t)(initial_of(vlapic) - current) << vlapic->timer_shift);
		arm_counter(vlapic);
	}
}

void vlapic_timer_write_divide(struct vlapic *vlapic, uint32_t divide)
{
	const uint32_t current = vlapic_timer_current(vlapic);

	vreg_set(vlapic, LAPIC_TIMER_DIVIDE, divide & 0xBU);
	vlapic->timer_shift = shift_of(divide);
	count_on(vlapic, current);
}

void vlapic_timer_write_lvt(struct vlapic *vlapic, uint32_t lvt)
{
	const uint32_t current = vlapic_timer_current(vlapic);
	const uint8_t old = vlapic->timer_mode;
	const uint8_t new = (uint8_t)mode_of(lvt);

	vreg_set(vlapic, LAPIC_LVT_TIMER, lvt);
	if (old == new) {
		return;
	}
	vlapic->timer_mode = new;
	if ((old > TIMER_PERIODIC) || (new > TIMER_PERIODIC)) {
		/* To or from TSC-deadline mode: disarmed (11.5.4.1). */
		hv_timer_stop(&vlapic->timer);
		vlapic->tsc_deadline = 0UL;
		vreg_set(vlapic, LAPIC_TIMER_INITIAL, 0U);
	} else {
		count_on(vlapic, current);
	}
}

void vlapic_timer_write_deadline(struct vlapic *vlapic, uint64_t deadline)
{
	const uint64_t now = arch_now();
	const uint64_t guest_now = now + vlapic->tsc_offset;

	if (vlapic->timer_mode != TIMER_DEADLINE) {
		return;
	}
	vlapic->tsc_deadline = 0UL;
	hv_timer_stop(&vlapic->timer);
	if (deadline == 0UL) {
		return;
	}
	if (deadline <= guest_now) {
		vlapic_fire_lvt(vlapic, LAPIC_LVT_TIMER);
		return;
	}
	vlapic->tsc_deadline = deadline;
	/* A deadline that the host's TSC never reaches: nothing to arm. */
	if (deadline - guest_now < UINT64_MAX - now) {
		hv_timer_start(&vlapic->timer, now + (deadline - guest_now), 0UL);
	}
}

void vlapic_set_tsc_offset(struct vlapic *vlapic, uint64_t offset)
{
	const uint64_t deadline = vlapic->tsc_deadline;

	vlapic->tsc_offset = offset;
	if (deadline != 0UL) {
		vlapic_timer_write_deadline(vlapic, deadline);
	}
}

/* On the vCPU's pCPU, but not in its thread: only posts. */
void vlapic_timer_expired(struct hv_timer *timer)
{
	struct vlapic *vlapic = container_of(timer, struct vlapic, timer);

	vlapic->tsc_deadline = 0UL;
	vlapic_fire_lvt(vlapic, LAPIC_LVT_TIMER);
}
