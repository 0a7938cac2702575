/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page tables of a test guest: the identity map of start.S and 4 KiB aliases in a window above it.
 */
#ifndef GUESTS_LIB_PAGE_H
#define GUESTS_LIB_PAGE_H

#include <stdint.h>

#define PTE_P		0x001UL
#define PTE_W		0x002UL
#define PTE_U		0x004UL
#define PTE_PWT		0x008UL
#define PTE_PCD		0x010UL
#define PTE_A		0x020UL
#define PTE_D		0x040UL
#define PTE_PS		0x080UL
#define PTE_G		0x100UL
#define PTE_NX		0x8000000000000000UL
#define PTE_ADDR	0x000ffffffffff000UL

#define PAGE_SIZE	4096UL
#define ALIAS_WINDOW	0x100000000000UL	/* 16 TiB: nothing else is there */

/* A zeroed 4 KiB page (identity mapped), from a pool that is never given back. */
void *page_alloc(void);
/* Map the 4 KiB page at @va to @pa with @flags (PTE_P included if wanted); splits a 2 MiB page. */
void page_map(uint64_t va, uint64_t pa, uint64_t flags);
/* The 4 KiB entry of @va, splitting or creating tables as needed. INVLPG is the caller's. */
uint64_t *page_entry(uint64_t va);
/* A PML4 with what is mapped now, but the first 4 GiB for CPL 0 only: the library lives under SMEP and SMAP. */
uint64_t *page_supervisor_map(void);
/* @pages consecutive addresses in the alias window, followed by an unmapped guard page. */
uint64_t page_window(unsigned int pages);

#endif /* GUESTS_LIB_PAGE_H */
