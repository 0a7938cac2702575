/* SPDX-License-Identifier: BSD-3-Clause */
/* The real header, but a write is told to the test. */
#ifndef FAKE_VMCS_ASM_MSR_H
#define FAKE_VMCS_ASM_MSR_H

#define wrmsr real_wrmsr
#include_next <asm/msr.h>
#undef wrmsr

void wrmsr(uint32_t msr, uint64_t value);

#endif
