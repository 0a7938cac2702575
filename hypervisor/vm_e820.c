/* SPDX-License-Identifier: BSD-3-Clause */
/* A VM's memory map: overlaying ranges, looking for free places. */
#include <hv/vm_e820.h>
#include <lib/errno.h>

/* ---- The map ---- */

/* Appends, joined to the last range if it goes on from there with the same type. @return false: no room */
static bool append(struct vm_e820 *map, gpa_t base, gpa_t end, uint32_t type)
{
	struct mem_range *last = (map->count != 0U) ? &map->range[map->count - 1U] : NULL;

	if ((base >= end) || (type == MEM_NONE)) {
		return true;
	}
	if ((last != NULL) && (last->type == type) && (last->base + last->size == base)) {
		last->size += end - base;
		return true;
	}
	if (map->count == VM_E820_MAX) {
		return false;
	}
	map->range[map->count++] = (struct mem_range){.base = base, .size = end - base, .type = type};
	return true;
}

int32_t vm_e820_set(struct vm_e820 *map, gpa_t base, uint64_t size, uint32_t type)
{
	static struct vm_e820 old; /* boot only, one CPU: too big for the stack */
	const gpa_t end = base + size;
	bool fits = true;
	bool done = false;

	if ((size == 0UL) || (end < base)) {
		return -EINVAL;
	}
	old = *map;
	map->count = 0U;
	for (uint32_t i = 0U; fits && (i < old.count); i++) {
		const struct mem_range *range = &old.range[i];
		const gpa_t range_end = range->base + range->size;

		fits = append(map, range->base, MIN(range_end, base), range->type);
		if (fits && !done && (range_end > base)) {
			fits = append(map, base, end, type);
			done = true;
		}
		if (fits) {
			fits = append(map, MAX(range->base, end), range_end, range->type);
		}
	}
	if (fits && !done) {
		fits = append(map, base, end, type);
	}
	if (!fits) {
		*map = old;
		return -ENOSPC;
	}
	return 0;
}

int32_t vm_e820_limit(struct vm_e820 *map, uint64_t limit)
{
	for (uint32_t i = 0U; i < map->count; i++) {
		const struct mem_range range = map->range[i];
		const uint64_t keep = MIN(range.size, limit);

		if (range.type != MEM_RAM) {
			continue;
		}
		limit -= keep;
		if (keep != range.size) {
			const int32_t ret = vm_e820_set(map, range.base + keep, range.size - keep, MEM_RESERVED);

			if (ret != 0) {
				return ret;
			}
		}
	}
	return 0;
}

uint64_t vm_e820_ram_from(const struct vm_e820 *map, gpa_t base)
{
	/* Neighbours differ in type, so RAM without a gap is one range. */
	for (uint32_t i = 0U; i < map->count; i++) {
		const struct mem_range *range = &map->range[i];

		if ((range->type == MEM_RAM) && (base >= range->base) && (base - range->base < range->size)) {
			return range->size - (base - range->base);
		}
	}
	return 0UL;
}

bool vm_e820_is_ram(const struct vm_e820 *map, gpa_t base, uint64_t size)
{
	return (size != 0UL) && (vm_e820_ram_from(map, base) >= size);
}

/* ---- Taken places ---- */

int32_t vm_e820_take(struct vm_e820 *map, gpa_t base, uint64_t size, const char *what)
{
	if ((size == 0UL) || (base + size < base)) {
		return -EINVAL;
	}
	if (map->busy_count == VM_E820_MAX_BUSY) {
		return -ENOSPC;
	}
	map->busy[map->busy_count++] = (struct vm_e820_busy){.base = base, .size = size, .what = what};
	return 0;
}

void vm_e820_release(struct vm_e820 *map, gpa_t base, uint64_t size)
{
	for (uint32_t i = 0U; i < map->busy_count; i++) {
		if ((map->busy[i].base == base) && (map->busy[i].size == size)) {
			map->busy[i] = map->busy[--map->busy_count];
			return;
		}
	}
}

const struct vm_e820_busy *vm_e820_in_the_way(const struct vm_e820 *map, gpa_t base, uint64_t size)
{
	for (uint32_t i = 0U; i < map->busy_count; i++) {
		if (ranges_overlap(base, size, map->busy[i].base, map->busy[i].size)) {
			return &map->busy[i];
		}
	}
	return NULL;
}

gpa_t vm_e820_find_lowest(const struct vm_e820 *map, uint64_t size, uint64_t align, gpa_t low, gpa_t high)
{
	for (uint32_t i = 0U; (size != 0UL) && (i < map->count); i++) {
		const struct mem_range *range = &map->range[i];
		const gpa_t end = MIN(range->base + range->size, high);
		const gpa_t floor = MAX(range->base, low);
		gpa_t at = round_up(floor, align);

		if ((range->type != MEM_RAM) || (at < floor)) {
			continue;
		}
		while ((at < end) && (end - at >= size)) {
			const struct vm_e820_busy *busy = vm_e820_in_the_way(map, at, size);
			gpa_t next;

			if (busy == NULL) {
				return at;
			}
			next = round_up(busy->base + busy->size, align);
			if (next <= at) {
				break; /* the top of the address space */
			}
			at = next;
		}
	}
	return INVALID_GPA;
}

gpa_t vm_e820_find_highest(const struct vm_e820 *map, uint64_t size, uint64_t align, gpa_t low, gpa_t high)
{
	for (uint32_t i = map->count; (size != 0UL) && (i-- > 0U);) {
		const struct mem_range *range = &map->range[i];
		const gpa_t floor = MAX(range->base, low);
		gpa_t end = MIN(range->base + range->size, high);

		while ((range->type == MEM_RAM) && (end > floor) && (end - floor >= size)) {
			const gpa_t at = round_down(end - size, align);
			const struct vm_e820_busy *busy;

			if (at < floor) {
				break;
			}
			busy = vm_e820_in_the_way(map, at, size);
			if (busy == NULL) {
				return at;
			}
			end = busy->base;
		}
	}
	return INVALID_GPA;
}
