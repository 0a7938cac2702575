/* SPDX-License-Identifier: BSD-3-Clause */
/* Where physical memory is: the proof says it. */
#ifndef ASM_PAGE_H
#define ASM_PAGE_H

#include <lib/types.h>

void *hpa_to_hva(hpa_t hpa);
hpa_t hva_to_hpa(const void *hva);

#endif
