/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cross-VM connections as seL4's virtual machines have them: names, parameters and return values of its
 * cross_vm_connection.h, over our VMs and our PCI bus. One connection is one PCI function 1af4:a111:
 *
 *   BAR 0  the event page; reads are plain memory, writes are acted on
 *            0x00  EMIT     any write sends an event; reads 0
 *            0x04  CONSUME  events not acknowledged yet; a write stores (the guest's driver writes 0)
 *            0x08  NAME     48 bytes
 *   BAR 1  the dataport
 *   INTA   asserted while CONSUME is not 0
 *
 * seL4 pulses the interrupt; a guest with a level-triggered PIC input would lose that.
 */
#ifndef DM_CROSS_VM_CONNECTION_H
#define DM_CROSS_VM_CONNECTION_H

#include <dm/vpci.h>
#include <lib/util.h>

struct acrn_vm;

#define CROSSVM_NO_CONSUME UINT64_MAX /* crossvm_handle.consume_id: no events come */

typedef void (*emit_fn)(void *cookie);
typedef int (*alloc_free_interrupt_fn)(void);

/* The memory of a connection: `num_frames` pages, contiguous here: frames[0] says where. */
typedef struct crossvm_dataport_handle {
	size_t size; /* bytes, a power of two, at least a page */
	int num_frames;
	const hpa_t *frames;
} crossvm_dataport_handle_t;

typedef struct crossvm_handle {
	const crossvm_dataport_handle_t *dataport;
	emit_fn emit_fn;             /* called when the guest emits, on its vCPU's thread; NULL: it cannot */
	void *emit_cookie;           /* its argument (seL4's has none) */
	uint64_t consume_id;         /* what consume_connection_event() is called with; or CROSSVM_NO_CONSUME */
	const char *connection_name; /* NULL: "connector" */
} crossvm_handle_t;

/**
 * Gives the VM one PCI function for each connection. Before it runs.
 * @param connection_base_addr where their BARs begin, within the bus's window; 0: where there is room
 * @param pci        the VM's bus
 * @param alloc_irq  called once, names the interrupt of them all: one of the bus's lines; NULL: as their slots have it
 * @return 0; -1: bad argument, or no room (a line in the log says which)
 */
int cross_vm_connections_init_common(struct acrn_vm *vm, uintptr_t connection_base_addr,
	const crossvm_handle_t *connections, int num_connections, struct vpci *pci, alloc_free_interrupt_fn alloc_irq);

/**
 * An event has come for the VM's connection with that id; nothing if there is none. Any pCPU.
 * @param inject_irq assert the interrupt, too; else only the count goes up
 */
void consume_connection_event(struct acrn_vm *vm, uint64_t event_id, bool inject_irq);

/** Nothing is to be consumed any more: the VM is reset. After vpci_reset(). */
void cross_vm_connections_reset(const struct acrn_vm *vm);

/** Its functions are gone: the VM is destroyed. Nobody calls consume_connection_event() for it any more. */
void cross_vm_connections_release(const struct acrn_vm *vm);

#endif
