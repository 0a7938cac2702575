/* SPDX-License-Identifier: BSD-3-Clause */
/* The hypervisor's page tables. Built on the boot CPU; later only windows are added, under a lock. */
#include <asm/caps.h>
#include <asm/cpu.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <asm/paging.h>
#include <asm/setup.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <lib/spinlock.h>

#define LEVEL_4K     1U
#define LEVEL_2M     2U
#define LEVEL_1G     3U
#define LEVEL_TOP    4U
#define TABLE_RIGHTS (PTE_P | PTE_W | PTE_U | PTE_A)
#define MMIO_SIZE    (1UL << 39U) /* one top-level entry */

static uint64_t *top;
static uint64_t mmio_next = HV_MMIO_BASE;
static struct spinlock window_lock;

static uint64_t *new_table(void)
{
	uint64_t *table = page_alloc(PAGE_OWNER_HV);

	if (table == NULL) {
		panic("no page for the hypervisor's own page tables; raise CONFIG_HV_POOL_MB");
	}
	return table;
}

static uint64_t *table_of(uint64_t entry)
{
	return hpa_to_hva(entry & PTE_ADDR);
}

/* Replaces the large leaf *entry of `level` by a table of the same mapping. */
static void split(uint64_t *entry, uint32_t level)
{
	uint64_t *table = new_table();
	const uint64_t base = *entry & PTE_ADDR;
	const uint64_t rights = (*entry & ~PTE_ADDR) & ~(level == LEVEL_2M ? PTE_PS : 0UL);

	for (uint32_t i = 0U; i < 512U; i++) {
		table[i] = (base + i * level_size(level - 1U)) | rights;
	}
	*entry = hva_to_hpa(table) | TABLE_RIGHTS;
}

/* @return the entry of `hva` at `level`; tables on the way are made, larger leaves split */
static uint64_t *walk(uint64_t hva, uint32_t level)
{
	uint64_t *table = top;

	for (uint32_t at = LEVEL_TOP; at > level; at--) {
		uint64_t *entry = &table[level_index(hva, at)];

		if ((*entry & PTE_P) == 0UL) {
			*entry = hva_to_hpa(new_table()) | TABLE_RIGHTS;
		} else if ((*entry & PTE_PS) != 0UL && at <= LEVEL_1G) {
			split(entry, at);
		}
		table = table_of(*entry);
	}
	return &table[level_index(hva, level)];
}

/* @return the leaf entry that maps `hva`, or NULL */
static uint64_t *find(uint64_t hva)
{
	uint64_t *table = top;

	for (uint32_t level = LEVEL_TOP; level >= LEVEL_4K; level--) {
		uint64_t *entry = &table[level_index(hva, level)];

		if ((*entry & PTE_P) == 0UL) {
			return NULL;
		}
		if (level == LEVEL_4K || ((*entry & PTE_PS) != 0UL && level <= LEVEL_1G)) {
			return entry;
		}
		table = table_of(*entry);
	}
	return NULL;
}

/* Maps page-aligned [hva, hva+size) to hpa with leaves as large as alignment and `max_level` allow. */
static void map(uint64_t hva, hpa_t hpa, uint64_t size, uint64_t rights, uint32_t max_level)
{
	while (size != 0UL) {
		uint32_t level = max_level;

		while (level > LEVEL_4K && (!is_aligned(hva | hpa, level_size(level)) || size < level_size(level))) {
			level--;
		}
		*walk(hva, level) = hpa | rights | (level > LEVEL_4K ? PTE_PS : 0UL);
		hva += level_size(level);
		hpa += level_size(level);
		size -= level_size(level);
	}
}

static void map_direct(hpa_t hpa, uint64_t size, uint64_t rights)
{
	map(HV_DIRECT_BASE + hpa, hpa, size, PTE_P | PTE_A | PTE_D | PTE_G | PTE_NX | rights,
		cpu_caps.has_1g_pages ? LEVEL_1G : LEVEL_2M);
}

/* RAM is for guests unless it is ours; firmware's tables can be read only. */
static void map_all_ram(void)
{
	for (uint32_t i = 0U; i < boot_info.range_count; i++) {
		const struct mem_range *range = &boot_info.ranges[i];

		if (range->type == MEM_RAM) {
			map_direct(range->base, range->size, PTE_W | PTE_U);
		} else if (range->type == MEM_ACPI_RECLAIM || range->type == MEM_ACPI_NVS) {
			map_direct(range->base, range->size, 0UL);
		}
	}
	map_direct(memory_pool_base(), memory_pool_size(), PTE_W);
	map_direct(boot_info.hv_base, boot_info.hv_size, 0UL); /* the image is written through its own mapping only */
}

static void map_image(void)
{
	const uint64_t common = PTE_P | PTE_A | PTE_D | PTE_G;
	const uint64_t base = hv_load_base - HV_IMAGE_BASE;

	map((uint64_t)text_start, base + (uint64_t)text_start, (uint64_t)(text_end - text_start), common, LEVEL_2M);
	map((uint64_t)rodata_start, base + (uint64_t)rodata_start, (uint64_t)(rodata_end - rodata_start),
		common | PTE_NX, LEVEL_2M);
	map((uint64_t)data_start, base + (uint64_t)data_start, (uint64_t)(image_end - data_start),
		common | PTE_NX | PTE_W, LEVEL_2M);
}

/* @return the physical address of the final top-level table (CR3) */
static hpa_t paging_cr3(void)
{
	return hva_to_hpa(top);
}

void paging_load(void)
{
	uint64_t cr4 = (read_cr4() | CR4_PAE | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE) & ~CR4_PGE;

	cr4 |= cpu_caps.has_smep ? CR4_SMEP : 0UL;
	cr4 |= cpu_caps.has_smap ? CR4_SMAP : 0UL;
	cr4 |= cpu_caps.has_umip ? CR4_UMIP : 0UL;
	cr4 |= cpu_caps.has_xsave ? CR4_OSXSAVE : 0UL;
	wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_NXE);
	write_cr0((read_cr0() | CR0_WP | CR0_NE | CR0_MP | CR0_ET) & ~(CR0_CD | CR0_NW | CR0_EM | CR0_TS | CR0_AM));
	write_cr3(paging_cr3());
	write_cr4(cr4);
	write_cr4(cr4 | CR4_PGE); /* nothing global is left from the early tables */
	arch_guest_access_end();
}

void arch_paging_init(void)
{
	top = new_table();
	map_all_ram();
	map_image();
	gdt_guard_stacks(&boot_cpu_area);
	paging_load();
}

volatile void *arch_map_mmio(hpa_t hpa, uint64_t size)
{
	const hpa_t base = round_down(hpa, PAGE_SIZE);
	const uint64_t bytes = round_up(hpa + size, PAGE_SIZE) - base;
	uint64_t hva;

	if (!range_is_valid(hpa, size) || size == 0UL || (hpa + size - 1UL) >> cpu_caps.phys_bits != 0UL) {
		panic("device memory at %#lx + %#lx is beyond the CPU's %u address bits", hpa, size,
			cpu_caps.phys_bits);
	}
	spin_lock(&window_lock);
	/* A guard page between windows; the same offset in 2 MiB, so that large windows get large pages. */
	hva = round_up(mmio_next, SIZE_2M) + (base & (SIZE_2M - 1UL));
	if (bytes < SIZE_2M) {
		hva = mmio_next;
	}
	if (hva + bytes > HV_MMIO_BASE + MMIO_SIZE) {
		panic("no room for more device windows");
	}
	map(hva, base, bytes, PTE_P | PTE_W | PTE_A | PTE_D | PTE_G | PTE_NX | PTE_PCD | PTE_PWT, LEVEL_2M);
	mmio_next = hva + bytes + PAGE_SIZE;
	spin_unlock(&window_lock);
	return (volatile void *)(hva + (hpa - base));
}

const void *arch_map_firmware(hpa_t hpa, uint64_t size)
{
	if (size == 0UL || !range_is_valid(hpa, size) || (hpa + size - 1UL) >> cpu_caps.phys_bits != 0UL) {
		return NULL;
	}
	spin_lock(&window_lock);
	for (hpa_t page = round_down(hpa, PAGE_SIZE); page < hpa + size; page += PAGE_SIZE) {
		if (find(HV_DIRECT_BASE + page) == NULL) {
			map_direct(page, PAGE_SIZE, 0UL);
		}
	}
	spin_unlock(&window_lock);
	return hpa_to_hva(hpa);
}

void paging_unmap_guard(void *hva)
{
	spin_lock(&window_lock);
	*walk((uint64_t)hva, LEVEL_4K) = 0UL;
	spin_unlock(&window_lock);
	cpu_invlpg(hva);
}
