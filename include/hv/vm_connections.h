/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of the scenario's connections a VM has, and their faces. */
#ifndef HV_VM_CONNECTIONS_H
#define HV_VM_CONNECTIONS_H

#include <lib/util.h>

struct acrn_vm;
struct scenario;

/** Reserves and clears the memory of the scenario's connections. Boot, before VMs are created. */
void vm_connections_init(const struct scenario *scenario);

/** @return one of 2 * SCN_MAX_CONNECTIONS pages for registers that guests may read; 0: there is no memory */
hpa_t vm_connections_page(uint32_t index);

/** @return where the Service VM's bus may have its addresses, 2 MiB aligned, below 4 GiB; 0: nowhere. *size bytes */
hpa_t vm_connections_window(uint64_t *size);

/** @return true if the scenario has a connection with an end in the VM */
bool vm_connections_any(const struct acrn_vm *vm);

/** Puts the VM's ends of connections on its PCI bus. vm->lock held. @return 0; -ENOSPC: no room or memory for one */
int32_t __must_check vm_connections_attach(struct acrn_vm *vm);

/** The VM is reset: no event is pending any more. After vpci_reset(). No vCPU of the VM is on a CPU. */
void vm_connections_reset(struct acrn_vm *vm);

/** The VM goes: the other ends stay, and reach nobody. */
void vm_connections_detach(struct acrn_vm *vm);

#endif
