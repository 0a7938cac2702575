/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended page tables: one 4-level map per VM (SDM vol 3, 29.3). Mechanism behind arch_gpa_*() of <hv/arch.h>. */
#ifndef ASM_EPT_H
#define ASM_EPT_H

#include <lib/types.h>
#include <lib/util.h>

struct acrn_vm;

#define EPT_R          0x1UL
#define EPT_W          0x2UL
#define EPT_X          0x4UL
#define EPT_RWX        0x7UL
#define EPT_LARGE      0x80UL
#define EPT_ADDR       0x000FFFFFFFFFF000UL
#define EPT_TYPE_SHIFT 3U

/** Gives `vm` an empty map. @return 0 or -ENOMEM */
int32_t __must_check ept_init(struct acrn_vm *vm);

/** Frees the whole map. No vCPU of the VM runs. */
void ept_destroy(struct acrn_vm *vm);

/**
 * The CPU could not fetch an instruction at `gpa`: on CPUs whose guests must not execute from large pages
 * (speculation.small_code) the page becomes small ones, unless vm->lock is held by somebody. Between vcpu_map_begin()
 * and vcpu_map_end().
 * @return 0: enter the guest again; -EFAULT: nothing executable is there
 */
int32_t __must_check ept_fetch(struct acrn_vm *vm, gpa_t gpa);

#endif
