/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hypervisor's own page tables.
 *
 * All RAM is in the direct map, never executable. Pages that are not the hypervisor's own (guest RAM, modules,
 * everything outside image and pool) are user pages: with SMAP they can be touched only between
 * arch_guest_access_begin() and arch_guest_access_end(). ACPI memory and firmware-reserved ranges below 4 GiB
 * that hold tables are mapped read-only by arch_map_firmware().
 */
#ifndef ASM_PAGING_H
#define ASM_PAGING_H

#include <lib/util.h>

#define PTE_P   0x001UL
#define PTE_W   0x002UL
#define PTE_U   0x004UL
#define PTE_PWT 0x008UL
#define PTE_PCD 0x010UL
#define PTE_A   0x020UL
#define PTE_D   0x040UL
#define PTE_PS  0x080UL /* in a PDE or PDPTE: a leaf */
#define PTE_G   0x100UL
#define PTE_NX  0x8000000000000000UL
#define PTE_ADDR 0x000FFFFFFFFFF000UL

/** Loads the final tables and the same CR0, CR4, EFER bits on another CPU. */
void paging_load(void);

/** Takes one page at `hva` (direct map or image) out of the tables: a guard page. Before other CPUs run. */
void paging_unmap_guard(void *hva);

#endif
