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

#include <asm/page.h>
#include <lib/util.h>

#define PTE_P    0x001UL
#define PTE_W    0x002UL
#define PTE_U    0x004UL
#define PTE_PWT  0x008UL
#define PTE_PCD  0x010UL
#define PTE_A    0x020UL
#define PTE_D    0x040UL
#define PTE_PS   0x080UL /* in a PDE or PDPTE: a leaf */
#define PTE_G    0x100UL
#define PTE_NX   0x8000000000000000UL
#define PTE_ADDR 0x000FFFFFFFFFF000UL

/** @return bytes that one entry of `level` covers, in our tables and in EPT alike; level 1 is the page table */
static inline uint64_t level_size(uint32_t level)
{
	return PAGE_SIZE << (9U * (level - 1U));
}

/** @return the entry of a table of `level` that an address (linear or guest-physical) goes through */
static inline uint32_t level_index(uint64_t addr, uint32_t level)
{
	return (uint32_t)(addr >> (PAGE_SHIFT + 9U * (level - 1U))) & 511U;
}

/** Loads the final tables and the same CR0, CR4, EFER bits on another CPU. */
void paging_load(void);

/** Takes one page at `hva` (direct map or image) out of the tables: a guard page. Before other CPUs run. */
void paging_unmap_guard(void *hva);

#endif
