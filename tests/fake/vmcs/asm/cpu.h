/* SPDX-License-Identifier: BSD-3-Clause */
/* The real header, but WBINVD is told to the test. */
#ifndef FAKE_VMCS_ASM_CPU_H
#define FAKE_VMCS_ASM_CPU_H

#define cpu_wbinvd real_wbinvd
#include_next <asm/cpu.h>
#undef cpu_wbinvd

void cpu_wbinvd(void);

#endif
