/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The I/O APICs of a VM: one for a User VM; for the Service VM one for each of the machine's, at the same addresses,
 * and perhaps one for devices that only it has. Sources: Intel 82093AA data sheet (290566); ICH/PCH data sheets for
 * version 0x20 and its EOI register.
 *
 * The version is 0x20, not the 82093AA's 0x11: the local APICs offer suppression of EOI broadcasts (SDM vol 3,
 * 11.8.5), which a guest may only use with I/O APICs that have an EOI register, and 0x20 is how they say so.
 */
#ifndef DM_VIOAPIC_H
#define DM_VIOAPIC_H

#include <hv/lapic_msg.h>
#include <lib/spinlock.h>
#include <lib/util.h>

struct acrn_vm;
struct io_request;

#define VIOAPIC_MAX_PINS  120U /* all chips of a VM together */
#define VIOAPIC_MAX_CHIPS 8U
#define VIOAPIC_VERSION   0x20U
#define VIOAPIC_MMIO_SIZE 0x1000U

/* What a User VM has (ACRN's numbers). */
#define VIOAPIC_USER_BASE 0xFEC00000UL
#define VIOAPIC_USER_PINS 48U

/* Redirection entry. */
#define RTE_VECTOR       0x00000000000000FFUL
#define RTE_DELIVERY     0x0000000000000700UL
#define RTE_DEST_LOGICAL 0x0000000000000800UL
#define RTE_PENDING      0x0000000000001000UL /* delivery status, read only */
#define RTE_ACTIVE_LOW   0x0000000000002000UL
#define RTE_REMOTE_IRR   0x0000000000004000UL /* read only */
#define RTE_LEVEL        0x0000000000008000UL
#define RTE_MASKED       0x0000000000010000UL
#define RTE_DEST         0xFF00000000000000UL
#define RTE_FLAGS        (RTE_DEST_LOGICAL | RTE_ACTIVE_LOW | RTE_LEVEL | RTE_MASKED)
#define RTE_WRITABLE     (RTE_VECTOR | RTE_DELIVERY | RTE_FLAGS | RTE_DEST)

/* Whom the I/O APICs talk to. Called with the lock held: must not call back into the I/O APICs. */
struct vioapic_ops {
	/* A message to the local APICs. @return true if accepted */
	bool (*deliver)(struct acrn_vm *vm, const struct lapic_msg *msg);
	/* Only for physical ones: the guest programmed a pin; see arch_gsi_set(). */
	void (*pin_set)(uint32_t gsi, bool masked, bool level, bool active_low);
	/* Only for physical ones: the guest has dealt with a level interrupt. */
	void (*pin_eoi)(uint32_t gsi);
};

/* One chip: pins [gsi_base, gsi_base + pins) of the VM. */
struct vioapic_chip {
	uint64_t base; /* guest-physical */
	uint32_t gsi_base;
	uint32_t pins;
	uint32_t id;     /* bits 31..24 of register 0, as written (bits 27..24 count) */
	uint32_t select; /* IOREGSEL */
	struct vioapic *owner;
};

struct vioapic {
	struct spinlock lock;
	struct acrn_vm *vm;
	const struct vioapic_ops *ops;
	uint32_t physical_pins; /* the first of them stand for the machine's: RTE writes and EOIs go to ops->pin_set,
				   pin_eoi */
	uint32_t chip_count;
	uint32_t pin_count; /* all chips: GSIs are 0..pin_count-1 */
	struct vioapic_chip chip[VIOAPIC_MAX_CHIPS];
	uint64_t rte[VIOAPIC_MAX_PINS];                   /* by GSI */
	uint64_t high[(VIOAPIC_MAX_PINS + 63U) / 64U];    /* the line is high; bit per GSI */
	uint64_t driven[(VIOAPIC_MAX_PINS + 63U) / 64U];  /* somebody drove it since power-on; else it rests inactive */
	uint64_t waiting[(VIOAPIC_MAX_PINS + 63U) / 64U]; /* a physical level interrupt awaits the guest's EOI */
	uint64_t delivered;                               /* messages accepted */
};

/** Makes `vioapic` a set without chips. */
void vioapic_init(struct vioapic *vioapic, struct acrn_vm *vm, const struct vioapic_ops *ops);

/**
 * Adds a chip; its first GSI is the number of pins so far (GSIs have no gaps). Before the VM runs.
 * @param base guest-physical, aligned to 4 KiB
 * @param id   APIC id, 0..15
 * @param pins 1..VIOAPIC_MAX_PINS
 * @param physical its pins stand for the machine's; such chips come first
 * @return 0; -EINVAL base or pins, or a physical chip behind others; -ENOSPC too many chips or pins
 */
int32_t __must_check vioapic_add_chip(
	struct vioapic *vioapic, uint64_t base, uint32_t id, uint32_t pins, bool physical);

/** Power-on state: all masked, no remote IRR; lines stay as they are driven. Physical pins get unrouted. */
void vioapic_reset(struct vioapic *vioapic);

/** Drives line `gsi`, electrically: an active-low entry is active while `high` is false. Ignored beyond the pins. */
void vioapic_set_irq(struct vioapic *vioapic, uint32_t gsi, bool high);

/**
 * A physical interrupt of `gsi` arrived (only for physical ones): an edge is delivered; a level is delivered, held
 * until the guest's EOI and then reported to ops->pin_eoi. If nobody takes it, pin_eoi is called at once.
 */
void vioapic_arrived(struct vioapic *vioapic, uint32_t gsi);

/** An EOI for `vector` arrived: remote IRR falls in level entries with it; lines still active are delivered again. */
void vioapic_eoi(struct vioapic *vioapic, uint32_t vector);

/** @return true if some entry is level triggered, unmasked or in service, with `vector`: its EOI matters to us */
bool vioapic_has_level_vector(struct vioapic *vioapic, uint32_t vector);

/** Guest's 4-byte access at `offset` into the chip's page: 0x00 IOREGSEL, 0x10 IOWIN, 0x40 EOI. */
uint32_t vioapic_chip_read(struct vioapic_chip *chip, uint32_t offset);
void vioapic_chip_write(struct vioapic_chip *chip, uint32_t offset, uint32_t val);

/* ---- Glue (vioapic_glue.c); vioapic_eoi_broadcast(): <hv/upcall.h> ---- */

/** vioapic_init() for vm->vioapic, with messages to vlapic_deliver() and pins to arch_gsi_*(). */
void vioapic_attach(struct acrn_vm *vm);

/** vioapic_add_chip(), and its page registered as MMIO of the VM. @return as both */
int32_t __must_check vioapic_attach_chip(struct acrn_vm *vm, uint64_t base, uint32_t id, uint32_t pins, bool physical);

#endif
