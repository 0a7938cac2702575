/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clock of a PC with its 128 bytes of CMOS RAM: an MC146818A (data sheet ADI856R2) with periodic, alarm and
 * update-ended interrupts. Time is given in clocks of its 32768 Hz crystal; what has happened is worked out when
 * somebody looks.
 */
#ifndef DM_VRTC_H
#define DM_VRTC_H

#include <dm/vclock.h>
#include <lib/util.h>

struct acrn_vm;

#define VRTC_PORT  0x70U
#define VRTC_GSI   8U
#define VRTC_HZ    32768UL
#define VRTC_CMOS  128U
#define VRTC_NEVER VCLOCK_NEVER

struct vrtc {
	struct vclock clock;     /* glue */
	uint8_t index;           /* port 0x70 */
	uint8_t cmos[VRTC_CMOS]; /* clock, alarm and A, B, C included */
	int64_t offset;          /* seconds since 1970-01-01 at clock 0 */
	uint64_t seen;           /* clock up to which flags are in register C */
};

/**
 * Makes it as firmware leaves it: BCD, 24 hours, no interrupts; memory sizes in the bytes where firmware has them.
 * @param epoch_s seconds since 1970-01-01 at `now`
 * @param now     clocks
 * @param memory  bytes of the VM's RAM
 */
void vrtc_init(struct vrtc *vrtc, int64_t epoch_s, uint64_t now, uint64_t memory);

/** Guest's access to byte `index` (bit 7 is ignored) at `now`. */
uint8_t vrtc_read(struct vrtc *vrtc, uint32_t index, uint64_t now);
void vrtc_write(struct vrtc *vrtc, uint32_t index, uint8_t value, uint64_t now);

/** @return the interrupt line at `now` */
bool vrtc_irq(struct vrtc *vrtc, uint64_t now);

/** @return when vrtc_irq() may change by itself: VRTC_NEVER while no interrupt is enabled, or the line is up */
uint64_t vrtc_next_event(struct vrtc *vrtc, uint64_t now);

/** @return seconds since 1970-01-01 of a Gregorian date, month and day from 1 */
int64_t vrtc_epoch(uint32_t year, uint32_t month, uint32_t day, uint32_t hour, uint32_t minute, uint32_t second);

/* ---- Glue (vrtc_glue.c) ---- */

/** Initialises vm->vrtc with the machine's time, and registers its ports. Before the VM is started. */
void vrtc_attach(struct acrn_vm *vm);

/** The VM is reset: interrupts off; time and CMOS RAM stay. No vCPU of the VM is on a CPU. */
void vrtc_reset(struct vrtc *vrtc);

#endif
