/* SPDX-License-Identifier: BSD-3-Clause */
/* Page tables. */
#include <guests/lib/guest.h>
#include <guests/lib/page.h>

#define POOL_PAGES	192

static uint8_t pool[POOL_PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned int pool_used;
static uint64_t window_next = ALIAS_WINDOW;

void *page_alloc(void)
{
	if (pool_used == POOL_PAGES) {
		report(false, "page_alloc(): the pool is empty");
		guest_exit(1);
	}
	return pool[pool_used++];
}

static uint64_t *table_below(uint64_t *entry, uint64_t leaf_size)
{
	uint64_t *table;

	if ((*entry & PTE_P) != 0 && (*entry & PTE_PS) == 0)
		return (uint64_t *)(*entry & PTE_ADDR);
	table = page_alloc();
	if ((*entry & PTE_P) != 0) {
		uint64_t flags = *entry & ~(PTE_ADDR | (leaf_size == PAGE_SIZE ? PTE_PS : 0));

		for (uint64_t i = 0; i < 512; i++)
			table[i] = ((*entry & PTE_ADDR) + i * leaf_size) | flags;
	}
	*entry = (uint64_t)table | PTE_P | PTE_W | PTE_U;
	return table;
}

uint64_t *page_entry(uint64_t va)
{
	uint64_t *table = (uint64_t *)(read_cr3() & PTE_ADDR);

	table = table_below(&table[va >> 39 & 511], 1UL << 30);
	table = table_below(&table[va >> 30 & 511], 1UL << 21);
	table = table_below(&table[va >> 21 & 511], PAGE_SIZE);
	return &table[va >> 12 & 511];
}

void page_map(uint64_t va, uint64_t pa, uint64_t flags)
{
	*page_entry(va) = (pa & PTE_ADDR) | flags;
	invlpg((const void *)va);
}

uint64_t page_window(unsigned int pages)
{
	uint64_t va = window_next;

	window_next += (pages + 1) * PAGE_SIZE;
	return va;
}

uint64_t *page_supervisor_map(void)
{
	uint64_t *pml4 = page_alloc(), *pdpt = page_alloc(), *old = (uint64_t *)(read_cr3() & PTE_ADDR);

	for (int i = 0; i < 512; i++)
		pml4[i] = old[i];
	pml4[0] = (uint64_t)pdpt | PTE_P | PTE_W;
	for (uint64_t g = 0; g < 4; g++) {
		uint64_t *pd = page_alloc();

		pdpt[g] = (uint64_t)pd | PTE_P | PTE_W;
		for (uint64_t i = 0; i < 512; i++)
			pd[i] = (g << 30 | i << 21) | PTE_P | PTE_W | PTE_PS | (g == 3 && i >= 480 ? PTE_PCD : 0);
	}
	return pml4;
}
