/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock in a VM: its ports, its interrupt, and the time it begins with. */
#include <asm/io.h>
#include <dm/vrtc.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <public/acrn_common.h>

#define PORTS      2U
#define HOST_TRIES 100000U
#define FIELDS     7U
#define B_BINARY   0x04U
#define B_24_HOURS 0x02U

/* ---- The machine's time ---- */

static uint8_t host_cmos(uint8_t index)
{
	outb(VRTC_PORT, index);
	return inb(VRTC_PORT + 1U);
}

static uint32_t host_field(uint8_t value, bool binary)
{
	return binary ? value : (((uint32_t)value >> 4U) * 10U + (value & 0xFU));
}

/* Two equal looks, neither of them during an update. Without a clock that works: whatever it says. */
static void host_fields(uint8_t field[FIELDS])
{
	static const uint8_t index[FIELDS] = {0U, 2U, 4U, 7U, 8U, 9U, 0x32U};
	uint8_t last[FIELDS] = {0U};
	uint32_t tries = 0U;
	bool same;

	do {
		while (((host_cmos(10U) & 0x80U) != 0U) && (tries < HOST_TRIES)) {
			tries++;
		}
		same = true;
		for (uint32_t i = 0U; i < FIELDS; i++) {
			field[i] = host_cmos(index[i]);
			same = same && (field[i] == last[i]);
			last[i] = field[i];
		}
		tries++;
	} while (!same && (tries < HOST_TRIES));
}

static int64_t host_time(void)
{
	const uint8_t b = host_cmos(11U);
	const bool binary = (b & B_BINARY) != 0U;
	uint8_t field[FIELDS];
	uint32_t hour;
	uint32_t century;

	host_fields(field);
	hour = host_field(field[2] & 0x7FU, binary);
	if ((b & B_24_HOURS) == 0U) {
		hour = hour % 12U + (((field[2] & 0x80U) != 0U) ? 12U : 0U);
	}
	century = host_field(field[6], false);
	century = ((century < 19U) || (century > 99U)) ? 20U : century; /* not every machine has it there */
	return vrtc_epoch(century * 100U + MIN(host_field(field[5], binary), 99U),
		MIN(MAX(host_field(field[4], binary), 1U), 12U), MIN(MAX(host_field(field[3], binary), 1U), 31U),
		MIN(hour, 23U), MIN(host_field(field[1], binary), 59U), MIN(host_field(field[0], binary), 59U));
}

/*
 * Read once: later the machine's clock is the Service VM's, and index and data ports are not ours alone.
 * @return seconds since 1970-01-01 at `now` (clocks)
 */
static int64_t wall_clock(uint64_t now)
{
	static bool known;
	static int64_t at_clock0; /* vm->lock of a boot-time creation; constant afterwards */

	if (!known) {
		at_clock0 = host_time() - (int64_t)(now / VRTC_HZ);
		known = true;
	}
	return at_clock0 + (int64_t)(now / VRTC_HZ);
}

/* ---- The VM's ---- */

/* Lock held. */
static void update(struct vrtc *vrtc)
{
	const uint64_t now = vclock_now(&vrtc->clock);
	const bool wired = !__atomic_load_n(&vrtc->clock.vm->legacy_replaced, __ATOMIC_RELAXED);
	const bool irq = vrtc_irq(vrtc, now) && wired;

	(void)vm_set_irqline(vrtc->clock.vm, VRTC_GSI, irq ? GSI_SET_HIGH : GSI_SET_LOW);
	vclock_arm(&vrtc->clock, vrtc_next_event(vrtc, now));
}

static void due(struct vclock *clock, uint64_t now)
{
	(void)now;
	update(container_of(clock, struct vrtc, clock));
}

static uint32_t rtc_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	struct vrtc *vrtc = &vm->vrtc;
	uint32_t value = 0xFFU; /* the index cannot be read */

	spin_lock(&vrtc->clock.lock);
	if (port == VRTC_PORT + 1U) {
		value = vrtc_read(vrtc, vrtc->index, vclock_now(&vrtc->clock));
		update(vrtc);
	} else if (size > 1U) {
		value |= (uint32_t)vrtc_read(vrtc, vrtc->index, vclock_now(&vrtc->clock)) << 8U;
		update(vrtc);
	}
	spin_unlock(&vrtc->clock.lock);
	return value;
}

static void rtc_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	struct vrtc *vrtc = &vm->vrtc;
	uint32_t bytes = val;

	spin_lock(&vrtc->clock.lock);
	if (port == VRTC_PORT) {
		vrtc->index = (uint8_t)(val & 0x7FU);
		bytes >>= 8U;
	}
	if ((port != VRTC_PORT) || (size > 1U)) {
		vrtc_write(vrtc, vrtc->index, (uint8_t)bytes, vclock_now(&vrtc->clock));
		update(vrtc);
	}
	spin_unlock(&vrtc->clock.lock);
}

void vrtc_attach(struct acrn_vm *vm)
{
	static const struct vm_io_range range = {VRTC_PORT, PORTS, IO_ATTR_RW};
	uint64_t now;

	vclock_attach(&vm->vrtc.clock, vm, VRTC_HZ, due);
	now = vclock_now(&vm->vrtc.clock);
	vrtc_init(&vm->vrtc, wall_clock(now), now, vm->config->mem_bytes);
	register_io_emulation_handler(vm, RTC_PIO_IDX, &range, rtc_read, rtc_write);
}

void vrtc_reset(struct vrtc *vrtc)
{
	if (vrtc->clock.active) {
		vclock_stop(&vrtc->clock);
		spin_lock(&vrtc->clock.lock);
		/* RESET clears the enables and the flags; time, format and RAM have a battery. */
		vrtc_write(vrtc, 11U, vrtc->cmos[11] & 0x87U, vclock_now(&vrtc->clock));
		(void)vrtc_read(vrtc, 12U, vclock_now(&vrtc->clock));
		update(vrtc);
		spin_unlock(&vrtc->clock.lock);
	}
}
