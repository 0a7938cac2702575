/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hypervisor's address space (48-bit, 4 levels):
 *
 *   0xFFFF800000000000  direct map of physical memory (no execute; guest memory as user pages under SMAP)
 *   0xFFFFC00000000000  device windows made by arch_map_mmio() (uncached)
 *   0xFFFFFFFF80000000  the image, wherever it was loaded (text R-X, rodata R--, data RW-)
 *
 * There is a twin of this header in tests/fake/.
 */
#ifndef ASM_PAGE_H
#define ASM_PAGE_H

#include <lib/types.h>

#define HV_DIRECT_BASE 0xFFFF800000000000UL
#define HV_MMIO_BASE   0xFFFFC00000000000UL
#define HV_IMAGE_BASE  0xFFFFFFFF80000000UL

/** @return where physical address `hpa` is in the direct map */
static inline void *hpa_to_hva(hpa_t hpa)
{
	return (void *)(hpa + HV_DIRECT_BASE);
}

/** @return the physical address of `hva`: an address in the direct map or in the image */
hpa_t hva_to_hpa(const void *hva);

#endif
