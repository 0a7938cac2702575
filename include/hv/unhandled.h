/* SPDX-License-Identifier: BSD-3-Clause */
/* What the scenario says of ports and memory that nobody has (unhandled_port), as callbacks of the VM. */
#ifndef HV_UNHANDLED_H
#define HV_UNHANDLED_H

#include <lib/util.h>

struct acrn_vm;

/**
 * Registers the callbacks for vm->config->unhandled_port: forward to the Service VM, stop, ignore; none for "log",
 * which is what happens without. Also sets vm->forward_io. At the creation of the VM.
 * @return 0; -EBUSY: the VM runs
 */
int32_t __must_check unhandled_init(struct acrn_vm *vm);

#endif
