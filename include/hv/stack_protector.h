/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that the compiler's -fstack-protector uses. */
#ifndef HV_STACK_PROTECTOR_H
#define HV_STACK_PROTECTOR_H

#include <lib/util.h>

/** The canary. Changed only by setup_boot_cpu(), which never returns. */
extern uintptr_t __stack_chk_guard;

/** A function is about to return over an overwritten canary. */
void __noreturn __stack_chk_fail(void);

#endif
