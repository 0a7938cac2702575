/* SPDX-License-Identifier: BSD-3-Clause */
/* The canary's value and what happens when one is found dead. */
#include <hv/log.h>
#include <hv/stack_protector.h>

uintptr_t __stack_chk_guard = 0x00000AFF0DC0DE00UL; /* a zero byte stops string overruns; re-seeded at boot */

void __noreturn __stack_chk_fail(void)
{
	panic("stack smashed in the function at the top of the backtrace");
}
