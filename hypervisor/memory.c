/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page pool: a bitmap for "taken" and one owner for each page, both at the pool's start. Allocation scans from
 * a hint; the pool is small (128 MiB = 32768 pages at most) and allocation is never on a hot path.
 */
#include <asm/page.h>
#include <config.h>
#include <hv/boot_info.h>
#include <hv/log.h>
#include <hv/log_ring.h>
#include <hv/memory.h>
#include <lib/bits.h>
#include <lib/spinlock.h>
#include <lib/string.h>

#define MAX_ORDER    9U
#define MAX_RESERVED (8U + CONFIG_MAX_VM_NUM + BOOT_MAX_MODULES) /* ours; of pre-launched VMs: memory, modules */
#define LOW_LIMIT    0x100000UL                                  /* leave real-mode memory alone */
#define HIGH_LIMIT   (4UL << 30U)
#define POOL_MIN     (8UL << 20U)
#define OWNER_FREE   0xFFFEU
#define OWNER_FRESH  0xFFFDU /* free and never taken: not poisoned, which would take long at boot */
#define POISON       0xA5
#define POISON_WORD  0xA5A5A5A5A5A5A5A5UL

struct reserved {
	hpa_t base;
	uint64_t size;
	const char *what;
	bool shared; /* VMs may have it in their maps */
};

static struct {
	hpa_t base;
	uint64_t pages;
	uint64_t free;
	uint64_t hint;   /* index of the lowest page that may be free */
	uint16_t *owner; /* of each page, or OWNER_FREE, OWNER_FRESH */
	struct spinlock lock;
} pool;

static struct reserved reserved[MAX_RESERVED];
static uint32_t reserved_count;

hpa_t memory_pool_base(void)
{
	return pool.base;
}

uint64_t memory_pool_size(void)
{
	return pool.pages * PAGE_SIZE;
}

void memory_reserve(hpa_t hpa, uint64_t size, const char *what)
{
	if (reserved_count == MAX_RESERVED) {
		panic("too many memory reservations (%u); %s at %#lx does not fit", MAX_RESERVED, what, hpa);
	}
	if (size == 0UL || !range_is_valid(hpa, size)) {
		panic("memory reservation for %s is broken: %#lx + %#lx", what, hpa, size);
	}
	reserved[reserved_count++] = (struct reserved){.base = hpa, .size = size, .what = what};
}

bool memory_hv_range(uint32_t index, hpa_t *base, uint64_t *size, const char **what)
{
	if (index >= reserved_count) {
		return false;
	}
	*base = reserved[index].base;
	*size = reserved[index].size;
	*what = reserved[index].what;
	return true;
}

void memory_reserve_shared(hpa_t hpa, uint64_t size, const char *what)
{
	memory_reserve(hpa, size, what);
	reserved[reserved_count - 1U].shared = true;
}

static bool is_reserved(hpa_t hpa, uint64_t size, bool shared_too)
{
	const uint64_t len = size == 0UL ? 1UL : size;

	if (!range_is_valid(hpa, len)) {
		return true;
	}
	for (uint32_t i = 0U; i < reserved_count; i++) {
		if ((shared_too || !reserved[i].shared) &&
			ranges_overlap(hpa, len, reserved[i].base, reserved[i].size)) {
			return true;
		}
	}
	return false;
}

bool memory_is_hv_owned(hpa_t hpa, uint64_t size)
{
	return is_reserved(hpa, size, true);
}

bool memory_is_private(hpa_t hpa, uint64_t size)
{
	return is_reserved(hpa, size, false);
}

uint64_t memory_ram_bytes(hpa_t hpa)
{
	for (uint32_t i = 0U; i < boot_info.range_count; i++) {
		const struct mem_range *range = &boot_info.ranges[i];

		if (range->type == MEM_RAM && hpa >= range->base && hpa - range->base < range->size) {
			return range->size - (hpa - range->base);
		}
	}
	return 0UL;
}

/* @return the base of the lowest thing in [base, base+size) that must stay, or 0 if it is all free */
static hpa_t obstacle(hpa_t base, uint64_t size)
{
	hpa_t lowest = 0UL;

	for (uint32_t i = 0U; i < reserved_count; i++) {
		if (ranges_overlap(base, size, reserved[i].base, reserved[i].size)) {
			lowest = lowest == 0UL ? reserved[i].base : MIN(lowest, reserved[i].base);
		}
	}
	for (uint32_t i = 0U; i < boot_info.module_count; i++) {
		const struct boot_module *module = &boot_info.modules[i];

		if (module->size != 0UL && ranges_overlap(base, size, module->base, module->size)) {
			lowest = lowest == 0UL ? module->base : MIN(lowest, module->base);
		}
	}
	if (boot_info.fb.base != 0UL &&
		ranges_overlap(base, size, boot_info.fb.base, (uint64_t)boot_info.fb.pitch * boot_info.fb.height)) {
		lowest = lowest == 0UL ? boot_info.fb.base : MIN(lowest, boot_info.fb.base);
	}
	return lowest;
}

hpa_t memory_find_free(uint64_t size, uint64_t align, hpa_t low, hpa_t high)
{
	for (uint32_t i = boot_info.range_count; i-- > 0U;) {
		const struct mem_range *range = &boot_info.ranges[i];
		hpa_t end = MIN(range->base + range->size, high);
		const hpa_t floor = MAX(range->base, low);

		if (range->type != MEM_RAM) {
			continue;
		}
		while (end > floor && end - floor >= size) {
			const hpa_t base = round_down(end - size, align);
			hpa_t in_the_way;

			if (base < floor) {
				break;
			}
			in_the_way = obstacle(base, size);
			if (in_the_way == 0UL) {
				return base;
			}
			end = in_the_way;
		}
	}
	return INVALID_HPA;
}

static uint64_t wanted_bytes(void)
{
	uint64_t ram = 0UL;

	if (CONFIG_HV_POOL_MB != 0U) {
		return (uint64_t)CONFIG_HV_POOL_MB << 20U;
	}
	for (uint32_t i = 0U; i < boot_info.range_count; i++) {
		ram += boot_info.ranges[i].type == MEM_RAM ? boot_info.ranges[i].size : 0UL;
	}
	return round_up(MIN((16UL << 20U) + ram / 64UL, 128UL << 20U), SIZE_2M);
}

/*
 * The log's fixed place is the beginning of the pool, found again by the next boot of the same machine. Not its end:
 * GRUB takes its own memory from the top of RAM down.
 */
static void place_log(hpa_t base, uint64_t bytes)
{
	struct log_ring *place = hpa_to_hva(base);
	const bool survived = log_ring_is_valid(place, bytes);

	if (survived) {
		log_show_previous(place);
	}
	log_move(place, bytes);
}

/* @param log_bytes taken at the beginning, page aligned */
static void pool_setup(hpa_t base, uint64_t bytes, uint64_t log_bytes)
{
	uint64_t meta;

	pool.base = base;
	pool.pages = bytes / PAGE_SIZE;
	pool.owner = hpa_to_hva(base + log_bytes);
	for (uint64_t i = 0UL; i < pool.pages; i++) {
		pool.owner[i] = OWNER_FRESH;
	}
	meta = (log_bytes + round_up(pool.pages * sizeof(pool.owner[0]), PAGE_SIZE)) / PAGE_SIZE;
	for (uint64_t i = 0UL; i < meta; i++) {
		pool.owner[i] = PAGE_OWNER_HV;
	}
	pool.free = pool.pages - meta;
	pool.hint = meta;
}

void memory_init(void)
{
	const uint64_t log_bytes = round_up(CONFIG_LOG_BUF_SIZE, PAGE_SIZE);
	uint64_t bytes = wanted_bytes();
	hpa_t base;

	memory_reserve(boot_info.hv_base, boot_info.hv_size, "hypervisor image");
	/* Half as much will do for small VMs; less than the minimum cannot work. */
	while ((base = memory_find_free(bytes, SIZE_2M, LOW_LIMIT, HIGH_LIMIT)) == INVALID_HPA &&
		bytes / 2UL >= POOL_MIN) {
		bytes = round_down(bytes / 2UL, SIZE_2M);
	}
	if (base == INVALID_HPA) {
		panic("not enough memory: no free %lu MiB below 4 GiB for the hypervisor", bytes >> 20U);
	}
	memory_reserve(base, bytes, "hypervisor pool");
	place_log(base, log_bytes);
	pool_setup(base, bytes, log_bytes);
}

/* @return true if `count` pages from `index` are all free */
static bool run_is_free(uint64_t index, uint64_t count)
{
	for (uint64_t i = 0UL; i < count; i++) {
		if (pool.owner[index + i] != OWNER_FREE && pool.owner[index + i] != OWNER_FRESH) {
			return false;
		}
	}
	return true;
}

/* A page that was freed before must not have been written to since. */
static void check_poison(uint64_t index)
{
#if CONFIG_DEBUG
	const uint64_t *words = hpa_to_hva(pool.base + index * PAGE_SIZE);

	for (uint64_t i = 0UL; pool.owner[index] == OWNER_FREE && i < PAGE_SIZE / sizeof(*words); i++) {
		if (words[i] != POISON_WORD) {
			panic("free page %#lx was written to: offset %#lx is %#lx", pool.base + index * PAGE_SIZE,
				i * sizeof(*words), words[i]);
		}
	}
#else
	(void)index;
#endif
}

void *pages_alloc(uint32_t order, uint16_t owner)
{
	const uint64_t count = 1UL << order;
	uint64_t index;
	void *pages = NULL;

	ASSERT(order <= MAX_ORDER && owner != OWNER_FREE && owner != OWNER_FRESH);
	spin_lock(&pool.lock);
	/* Natural alignment: the pool starts at a 2 MiB boundary. */
	for (index = round_up(pool.hint, count); index + count <= pool.pages; index += count) {
		if (run_is_free(index, count)) {
			break;
		}
	}
	if (index + count <= pool.pages) {
		for (uint64_t i = 0UL; i < count; i++) {
			check_poison(index + i);
			pool.owner[index + i] = owner;
		}
		pool.free -= count;
		if (order == 0U) {
			pool.hint = index + 1UL; /* nothing below is free */
		}
		pages = hpa_to_hva(pool.base + index * PAGE_SIZE);
	}
	spin_unlock(&pool.lock);
	if (pages != NULL) {
		(void)memset(pages, 0, count * PAGE_SIZE);
	}
	return pages;
}

void *page_alloc(uint16_t owner)
{
	return pages_alloc(0U, owner);
}

void pages_free(void *pages, uint32_t order, uint16_t owner)
{
	const hpa_t hpa = hva_to_hpa(pages);
	const uint64_t count = 1UL << order;
	const uint64_t index = (hpa - pool.base) / PAGE_SIZE;

	ASSERT(order <= MAX_ORDER && is_aligned(hpa, PAGE_SIZE) && hpa >= pool.base && index + count <= pool.pages);
#if CONFIG_DEBUG
	(void)memset(pages, POISON, count * PAGE_SIZE);
#endif
	spin_lock(&pool.lock);
	for (uint64_t i = 0UL; i < count; i++) {
		if (pool.owner[index + i] != owner) {
			panic("page %#lx freed by %u belongs to %u", hpa + i * PAGE_SIZE, owner, pool.owner[index + i]);
		}
		pool.owner[index + i] = OWNER_FREE;
	}
	pool.free += count;
	pool.hint = MIN(pool.hint, index);
	spin_unlock(&pool.lock);
}

void page_free(void *page, uint16_t owner)
{
	pages_free(page, 0U, owner);
}

uint64_t memory_pages_owned(uint16_t owner)
{
	uint64_t count = 0UL;

	spin_lock(&pool.lock);
	for (uint64_t i = 0UL; i < pool.pages; i++) {
		count += pool.owner[i] == owner ? 1UL : 0UL;
	}
	spin_unlock(&pool.lock);
	return count;
}

uint64_t memory_pages_free(void)
{
	return __atomic_load_n(&pool.free, __ATOMIC_RELAXED);
}
