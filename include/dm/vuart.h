/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A 16550A serial port. Sources: PC16550D data sheet (National Semiconductor, June 1995).
 *
 * The line has no speed: a byte written is sent at once, and received bytes wait in a ring behind the 16-byte FIFO
 * as if still on the wire. The receive time-out (4 character times) is therefore over at once, too.
 *
 * At a port's other end is the hypervisor's console, nobody, or another port by a null-modem cable. The cable loses
 * nothing that somebody waits for: while the receiver has DTR on (its driver has the port open) and the ring is full,
 * bytes stay in the sender's FIFO, and LSR.THRE stays clear. With DTR off they are received as the chip does it: what
 * doesn't fit in its FIFO is an overrun. With nobody there (VM off, stopped, not yet created) they are gone.
 */
#ifndef DM_VUART_H
#define DM_VUART_H

#include <lib/spinlock.h>
#include <lib/util.h>

struct acrn_vm;

#define VUART_PORT_COUNT 8U
#define VUART_FIFO_SIZE  16U
#define VUART_RING_SIZE  1024U /* power of two */

#define VUART_COM1_BASE 0x3F8U
#define VUART_COM2_BASE 0x2F8U
#define VUART_COM1_GSI  4U
#define VUART_COM2_GSI  3U

struct vuart;

/* Never goes away; its lock is the lock of both ports. */
struct vuart_cable {
	struct spinlock lock;
	struct vuart *end[2]; /* NULL: not plugged in */
};

struct vuart {
	struct spinlock lock;      /* of a port without cable */
	struct vuart_cable *cable; /* NULL: console or nobody; constant while the VM exists */
	uint32_t side;             /* its end of the cable */
	struct acrn_vm *vm;
	uint16_t base;  /* first port */
	uint32_t gsi;   /* its interrupt line */
	bool active;    /* initialised: the VM has this port */
	bool irq_level; /* what set_irq was told last */

	/* Registers. */
	uint8_t ier;
	uint8_t fcr; /* FIFO enable, DMA mode and trigger level as written; reset bits never stay */
	uint8_t lcr;
	uint8_t mcr;
	uint8_t line_err; /* LSR bits cleared by reading LSR: OE, PE, FE, BI */
	uint8_t modem;    /* MSR, status (7..4) and deltas (3..0) */
	uint8_t scr;
	uint8_t dll;
	uint8_t dlm;
	bool thre_pending; /* THRE interrupt not yet seen */

	/* Received, not yet read: ring[head..head+count). */
	uint16_t ring[VUART_RING_SIZE];
	uint32_t head;
	uint32_t count;
	uint32_t breaks;                  /* in the ring, behind its first byte */
	uint8_t tx_fifo[VUART_FIFO_SIZE]; /* waits for the other end of the cable */
	uint32_t tx_len;
	uint64_t tx_count;
	uint64_t rx_count;
	uint64_t rx_lost;

	/* Called with the lock held: must not call back into the port. */
	void (*set_irq)(struct vuart *vuart, bool level); /* level of the interrupt line */
	void (*tx)(struct vuart *vuart, uint8_t byte);    /* NULL: nobody listens */
};

/**
 * Makes `vuart` a port after master reset.
 * @param base first of its 8 ports
 * @param gsi  its interrupt line
 */
void vuart_init(struct vuart *vuart, struct acrn_vm *vm, uint16_t base, uint32_t gsi,
	void (*set_irq)(struct vuart *vuart, bool level), void (*tx)(struct vuart *vuart, uint8_t byte));

/** Plugs end `side` (0 or 1) of the cable in, for the life of the port. Right after vuart_init(). */
void vuart_plug(struct vuart *vuart, struct vuart_cable *cable, uint32_t side);

/** Pulls the cable, if it has one, until the next reset: the VM has stopped. The other end sees its lines fall. */
void vuart_unplug(struct vuart *vuart);

/** Master reset; the ring is emptied, the interrupt line falls; the cable is plugged in (again). */
void vuart_reset(struct vuart *vuart);

/**
 * The VM goes: when this returns nobody raises its interrupt any more, and late bytes from the console are dropped.
 * Takes the port's lock.
 */
void vuart_detach(struct vuart *vuart);

/** Guest's access to register `offset` (0..7); others read 0xFF. */
uint8_t vuart_read(struct vuart *vuart, uint16_t offset);
void vuart_write(struct vuart *vuart, uint16_t offset, uint8_t val);

/** A byte arrives on the line. @return false if it was lost (ring full: overrun error) */
bool vuart_rx(struct vuart *vuart, uint8_t byte);

/** A break arrives on the line: a zero byte with LSR.BI. */
void vuart_rx_break(struct vuart *vuart);

/** @return how many bytes vuart_rx() takes before it loses some */
uint32_t vuart_rx_room(struct vuart *vuart);

/* ---- Glue (vuart_glue.c): vm->vuart[index], 0 is COM1, 1 is COM2. Before the VM is started. ---- */

/** Initialises the port and registers it; bytes go to console_vm_putc(), and the keyboard may be attached to it. */
void vuart_attach_console(struct acrn_vm *vm, uint32_t index);

/** Initialises the port, registers it, and plugs in end `side` of the scenario's connection number `cable`. */
void vuart_attach_cable(struct acrn_vm *vm, uint32_t index, uint32_t cable, uint32_t side);

#endif
