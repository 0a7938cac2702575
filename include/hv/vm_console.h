/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VMs' consoles on the hypervisor's serial port. Detached: whole lines, each marked "[NAME] ". Attached to one
 * VM: its bytes as they are, the keyboard goes to its serial port, and the others' lines wait in their history.
 */
#ifndef HV_VM_CONSOLE_H
#define HV_VM_CONSOLE_H

#include <lib/util.h>

struct vuart;

#define VM_CONSOLE_NONE        0xFFFFU
#define VM_CONSOLE_ESCAPE      0x1DU /* Ctrl-] */
#define VM_CONSOLE_PATIENCE_MS 200U
#define VM_CONSOLE_LINE        160U  /* longer lines are cut in pieces */
#define VM_CONSOLE_HISTORY     4096U /* bytes kept per VM; shown on attaching */

/**
 * The VM has a console from now on (again: history stays).
 * @param name  for the mark; must stay valid
 * @param vuart where the keyboard goes; initialised
 */
void vm_console_register(uint16_t vm_id, const char *name, struct vuart *vuart);

/** The VM's console is gone: the line begun is printed; detaches if it was attached. */
void vm_console_unregister(uint16_t vm_id);

/** The VM's serial port sent byte `c`. Any pCPU; takes only the consoles' own locks. Unknown VMs: ignored. */
void console_vm_putc(uint16_t vm_id, uint8_t c);

/**
 * Connects keyboard and screen to the VM's console and shows its last output.
 * @return 0, or -ENODEV (no such VM or it has no console)
 */
int32_t vm_console_attach(uint16_t vm_id);

/** Attaches as soon as the VM has a console, if none is attached then. Boot. */
void vm_console_attach_later(uint16_t vm_id);

/** Back to the hypervisor. */
void vm_console_detach(void);

/** @return the VM attached, or VM_CONSOLE_NONE */
uint16_t vm_console_attached(void);

/**
 * A byte from the keyboard. Ctrl-] detaches.
 * @return true if it was used; false: nothing is attached, the byte is the shell's
 */
bool vm_console_input(uint8_t c);

/**
 * Prints lines begun that have not grown for VM_CONSOLE_PATIENCE_MS (a prompt).
 * @return true if other begun lines remain: call again later
 */
bool vm_console_poll(void);

/**
 * `begun` is called whenever a line is begun, on any pCPU, under the consoles' lock: vm_console_poll() is due later.
 */
void vm_console_on_partial_line(void (*begun)(void));

#endif
