/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interval timer of a PC: an Intel 8254 with channels 0 (IRQ 0) and 2 (gate and output at port 0x61). Channel 1,
 * once the refresh of memory, counts like the others and is wired to nothing. Source: 8254 data sheet (231164).
 *
 * Time is given in clocks of the chip. Nothing runs while nobody looks: a count is computed from when it was loaded.
 */
#ifndef DM_VPIT_H
#define DM_VPIT_H

#include <dm/vclock.h>
#include <lib/util.h>

struct acrn_vm;

#define VPIT_PORT     0x40U
#define VPIT_PORT61   0x61U
#define VPIT_HZ       1193182UL
#define VPIT_GSI      2U /* IRQ 0: PIC pin 0, I/O APIC pin 2 */
#define VPIT_CHANNELS 3U
#define VPIT_NEVER    VCLOCK_NEVER

struct vpit_channel {
	uint8_t mode;   /* 0..5 */
	uint8_t access; /* 1 low byte, 2 high byte, 3 both */
	bool bcd;
	bool gate;
	bool loaded;     /* a count was written since the control word */
	bool triggered;  /* modes 1, 5: the gate has risen since then */
	bool write_high; /* the next write is the high byte */
	bool read_high;  /* the next read is the high byte */
	uint8_t low;     /* the low byte, written */
	uint8_t latched; /* bytes of the latched count that are to be read, 0: none */
	bool status_latched;
	uint8_t status; /* latched */
	uint16_t latch; /* latched count, as read */
	uint32_t count; /* loaded: 1..65536 clocks (BCD 10000) */
	uint32_t next;  /* modes 2, 3: count for the next period; 0: the same */
	uint64_t start; /* clock at which `count` was loaded, or counting went on */
	uint64_t held;  /* modes 0, 4, gate low: clocks counted when it fell */
};

struct vpit {
	struct vclock clock; /* glue */
	struct vpit_channel channel[VPIT_CHANNELS];
	uint8_t speaker; /* port 0x61, bits 1..0 */
};

/** Makes all channels as after power-on: mode 0, no count; gates 0 and 1 high. */
void vpit_init(struct vpit *vpit);

/** Guest's access to port 0x40 + `offset` (0..3) at `now` (clocks). The control port reads 0xFF. */
uint8_t vpit_read(struct vpit *vpit, uint32_t offset, uint64_t now);
void vpit_write(struct vpit *vpit, uint32_t offset, uint8_t value, uint64_t now);

/** Guest's access to port 0x61. */
uint8_t vpit_read61(struct vpit *vpit, uint64_t now);
void vpit_write61(struct vpit *vpit, uint8_t value, uint64_t now);

/** @return the output of channel `index` at `now` */
bool vpit_out(struct vpit *vpit, uint32_t index, uint64_t now);

/** @return the clock of the first rising edge of channel 0's output after `now`; VPIT_NEVER: none */
uint64_t vpit_next_edge(struct vpit *vpit, uint64_t now);

/* ---- Glue (vpit_glue.c) ---- */

/** Initialises vm->vpit and registers its ports. Before the VM is started. */
void vpit_attach(struct acrn_vm *vm);

/** Back to power-on. No vCPU of the VM is on a CPU. */
void vpit_reset(struct vpit *vpit);

#endif
