/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pair of 8259A interrupt controllers of a PC, with the edge/level control registers of the PCI chip sets.
 * Sources: Intel 8259A data sheet (231468); ICH/PCH data sheets for ELCR (ports 0x4D0, 0x4D1).
 */
#ifndef DM_VPIC_H
#define DM_VPIC_H

#include <lib/spinlock.h>
#include <lib/util.h>

struct acrn_vm;

#define VPIC_PIN_COUNT   16U
#define VPIC_CASCADE_PIN 2U

#define VPIC_PORT_MASTER 0x20U
#define VPIC_PORT_SLAVE  0xA0U
#define VPIC_PORT_ELCR   0x4D0U

/* One 8259A. All bit masks are by input 0..7. */
struct vpic_chip {
	uint8_t lines;        /* inputs as they are now, high = 1 */
	uint8_t irr;          /* requests: latched edges; level inputs show `lines` */
	uint8_t isr;          /* in service */
	uint8_t imr;          /* masked */
	uint8_t elcr;         /* level triggered inputs */
	uint8_t vector_base;  /* ICW2, bits 7..3 */
	uint8_t cascade;      /* ICW3 as written */
	uint8_t icw_next;     /* 2..4: the ICW expected next at the odd port; 0: initialised (or never started) */
	uint8_t lowest;       /* the input with the lowest priority, 7 after initialisation */
	bool need_icw4;       /* ICW1.IC4 */
	bool single;          /* ICW1.SNGL: no ICW3 */
	bool auto_eoi;        /* ICW4.AEOI */
	bool special_nested;  /* ICW4.SFNM */
	bool rotate_auto_eoi; /* OCW2: rotate in automatic EOI mode */
	bool special_mask;    /* OCW3: special mask mode */
	bool read_isr;        /* OCW3: the even port reads ISR, else IRR */
	bool poll;            /* OCW3.P: the next read is a poll */
	bool ready;           /* the ICW sequence was completed at least once */
};

struct vpic {
	struct spinlock lock;
	struct vpic_chip chip[2]; /* master, slave */
	bool intr;                /* INTR output of the master; written under lock, read without */
	uint64_t spurious;        /* IRQ 7/15 given because the request had gone */
	struct acrn_vm *vm;
	/* The INTR output changed. Called with the lock held: must not call back into the PIC. */
	void (*wire)(struct acrn_vm *vm, bool asserted);
};

/** Makes `vpic` a pair of chips after power-on. @param wire told of changes of INTR, with `vm` */
void vpic_init(struct vpic *vpic, struct acrn_vm *vm, void (*wire)(struct acrn_vm *vm, bool asserted));

/** Back to power-on; the lines stay as they are driven. INTR falls. */
void vpic_reset(struct vpic *vpic);

/** Drives input `pin` (0..15; 2 is the cascade and is ignored). Any pCPU. */
void vpic_set_irq(struct vpic *vpic, uint32_t pin, bool high);

/**
 * Raises input `pin` (0..15, not 2) and lowers it: an edge input's request stays until it is acknowledged, where one
 * of vpic_set_irq() goes when the line falls. Nothing for a level input. The line is low afterwards. Any pCPU.
 */
void vpic_pulse_irq(struct vpic *vpic, uint32_t pin);

/**
 * Two INTA cycles: the highest request goes into service.
 * @return the vector; the one of input 7 (spurious, nothing in service) when the request has gone
 */
uint32_t vpic_ack(struct vpic *vpic);

/** @return the INTR output */
bool vpic_intr(const struct vpic *vpic);

/** Guest's byte access to ports 0x20/0x21/0xA0/0xA1/0x4D0/0x4D1. Any other port reads 0xFF and ignores writes. */
uint8_t vpic_read_port(struct vpic *vpic, uint16_t port);
void vpic_write_port(struct vpic *vpic, uint16_t port, uint8_t val);

/* ---- Glue (vpic_glue.c): the VM's ports; vpic_intack(): <hv/upcall.h> ---- */

/** Initialises vm->vpic, its INTR to arch_pic_wire(), and registers its ports. Before the VM is started. */
void vpic_attach(struct acrn_vm *vm);

#endif
