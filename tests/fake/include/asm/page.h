/* SPDX-License-Identifier: BSD-3-Clause */
/* The fake CPU's view of memory: "physical" addresses are the host process's own. */
#ifndef ASM_PAGE_H
#define ASM_PAGE_H

#include <lib/types.h>

static inline void *hpa_to_hva(hpa_t hpa)
{
	return (void *)hpa;
}

static inline hpa_t hva_to_hpa(const void *hva)
{
	return (hpa_t)hva;
}

#endif
