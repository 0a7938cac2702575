/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection between two VMs, or a VM and the hypervisor: shared memory and events in both directions. This is the
 * model; what a guest sees of it is a face, a PCI function:
 * <dm/cross_vm_connection.h>. An event has a number, its vector; a face may have only one kind of event, 0.
 *
 * An end may come and go (its VM is created, reset, destroyed) while the other runs. Memory stays as it is; an event to
 * an end where nobody is goes nowhere.
 */
#ifndef DM_CROSS_VM_H
#define DM_CROSS_VM_H

#include <lib/spinlock.h>
#include <lib/util.h>

struct acrn_vm;
struct cross_vm;

struct cross_vm_end;

/* An event has come to `end`. Connection lock held: it must not emit. */
typedef void (*cross_vm_event_fn)(struct cross_vm_end *end, uint32_t vector);

struct cross_vm_end {
	struct cross_vm *conn;
	bool emits;
	cross_vm_event_fn event; /* NULL: nobody is there */
	uint64_t arg;            /* event()'s */
	struct acrn_vm *vm;      /* of a plugged end */
	uint64_t emitted;        /* events sent from here */
};

struct cross_vm {
	struct spinlock lock;
	const char *name;
	hpa_t hpa;     /* the shared memory */
	uint32_t size; /* bytes */
	struct cross_vm_end end[2];
};

/**
 * Makes a connection with nobody at its ends.
 * @param name kept
 * @param hpa, size the shared memory, whole pages
 */
void cross_vm_init(struct cross_vm *conn, const char *name, hpa_t hpa, uint32_t size, const bool emits[2]);

/** The hypervisor is at this end, for good: it sends each event back. Before the other end is plugged. */
void cross_vm_loop(struct cross_vm_end *end);

/** `vm` is at this end from now on, and event() is called. */
void cross_vm_plug(struct cross_vm_end *end, struct acrn_vm *vm, cross_vm_event_fn event, uint64_t arg);

/** The end is left: when this returns, nobody calls event() any more. */
void cross_vm_unplug(struct cross_vm_end *end);

/** Sends an event to the other end. Any pCPU; takes the connection's lock, then what event() takes. */
void cross_vm_emit(struct cross_vm_end *end, uint32_t vector);

#endif
