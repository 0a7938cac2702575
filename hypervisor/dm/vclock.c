/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices' clocks: conversion from and to the TSC's. */
#include <dm/vclock.h>
#include <hv/arch.h>
#include <lib/clock.h>

static uint64_t tsc_hz(void)
{
	return (uint64_t)arch_tsc_khz() * 1000UL;
}

static void expired(struct hv_timer *timer)
{
	struct vclock *clock = container_of(timer, struct vclock, timer);

	spin_lock(&clock->lock);
	if (clock->active) {
		clock->due(clock, vclock_now(clock));
	}
	spin_unlock(&clock->lock);
}

void vclock_attach(
	struct vclock *clock, struct acrn_vm *vm, uint64_t hz, void (*due)(struct vclock *clock, uint64_t now))
{
	*clock = (struct vclock){.vm = vm, .hz = hz, .due = due, .active = true};
	spinlock_init(&clock->lock);
	hv_timer_init(&clock->timer, expired);
}

uint64_t vclock_now(const struct vclock *clock)
{
	return clock_scale(arch_now(), tsc_hz(), clock->hz);
}

void vclock_arm(struct vclock *clock, uint64_t at)
{
	if (at == VCLOCK_NEVER) {
		hv_timer_stop(&clock->timer);
	} else {
		hv_timer_start(&clock->timer, clock_scale_up(at, clock->hz, tsc_hz()), 0UL);
	}
}

void vclock_stop(struct vclock *clock)
{
	hv_timer_stop_wait(&clock->timer);
}

void vclock_detach(struct vclock *clock)
{
	if (clock->active) {
		spin_lock(&clock->lock);
		clock->active = false;
		spin_unlock(&clock->lock);
		vclock_stop(clock);
	}
}
