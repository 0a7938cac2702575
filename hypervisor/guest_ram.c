/* SPDX-License-Identifier: BSD-3-Clause */
/* The RAM of a VM: which pieces there are, and which are in use. */
#include <asm/page.h>
#include <hv/arch.h>
#include <hv/guest_ram.h>
#include <hv/log.h>
#include <hv/vm.h>
#include <lib/bits.h>

/* ---- The table ---- */

static gpa_t end_of(const struct vm_ram_region *region)
{
	return region->start + region->size;
}

/* @return index of the first region that ends above `addr`; the count if none does */
static uint32_t first_above(const struct vm_mem *mem, gpa_t addr)
{
	uint32_t i = 0U;

	while ((i < mem->num_ram_regions) && (end_of(&mem->ram_regions[i]) <= addr)) {
		i++;
	}
	return i;
}

/* There is room. */
static void insert(struct vm_mem *mem, uint32_t at, struct vm_ram_region region)
{
	for (uint32_t i = mem->num_ram_regions; i > at; i--) {
		mem->ram_regions[i] = mem->ram_regions[i - 1U];
	}
	mem->ram_regions[at] = region;
	mem->num_ram_regions++;
}

/* Makes a region begin at `addr`, which is inside of one or nowhere. There is room. */
static void split_at(struct vm_mem *mem, gpa_t addr)
{
	const uint32_t i = first_above(mem, addr);
	struct vm_ram_region *region = &mem->ram_regions[i];

	if ((i < mem->num_ram_regions) && (region->start < addr)) {
		const struct vm_ram_region upper = {addr, end_of(region) - addr, region->allocated};

		region->size = addr - region->start;
		insert(mem, i + 1U, upper);
	}
}

static void merge(struct vm_mem *mem)
{
	uint32_t kept = 0U;

	for (uint32_t i = 1U; i < mem->num_ram_regions; i++) {
		struct vm_ram_region *last = &mem->ram_regions[kept];
		const struct vm_ram_region *next = &mem->ram_regions[i];

		if ((end_of(last) == next->start) && (last->allocated == next->allocated)) {
			last->size += next->size;
		} else {
			kept++;
			mem->ram_regions[kept] = *next;
		}
	}
	mem->num_ram_regions = MIN(mem->num_ram_regions, kept + 1U);
}

/* @return true if all of [start, start+bytes) is RAM, and `allocated` as wanted (NULL: either) */
static bool is_all(const struct vm_mem *mem, gpa_t start, uint64_t bytes, const bool *allocated)
{
	gpa_t at = start;

	if ((bytes == 0UL) || !range_is_valid(start, bytes)) {
		return false;
	}
	for (uint32_t i = first_above(mem, start); (i < mem->num_ram_regions) && (at < start + bytes); i++) {
		const struct vm_ram_region *region = &mem->ram_regions[i];

		if ((region->start > at) || ((allocated != NULL) && (region->allocated != *allocated))) {
			return false;
		}
		at = end_of(region);
	}
	return at >= start + bytes;
}

/* ---- The interface ---- */

bool vm_ram_contains(const struct acrn_vm *vm, gpa_t start, uint64_t bytes)
{
	return is_all(&vm->mem, start, bytes, NULL);
}

bool vm_ram_overlaps(const struct acrn_vm *vm, gpa_t start, uint64_t bytes)
{
	const uint32_t i = first_above(&vm->mem, start);

	return (i < vm->mem.num_ram_regions) && (vm->mem.ram_regions[i].start < start + bytes);
}

int32_t vm_ram_register_at(struct acrn_vm *vm, gpa_t start, uint64_t bytes, hpa_t hpa)
{
	struct vm_mem *mem = &vm->mem;
	const char *why = NULL;

	if ((bytes == 0UL) || !range_is_valid(start, bytes) || !is_aligned(start | bytes | hpa, PAGE_SIZE)) {
		why = "no whole pages";
	} else if (vm_ram_overlaps(vm, start, bytes)) {
		why = "it overlaps other RAM";
	} else if (vm_memory_is_reserved(vm, start, bytes)) {
		why = "it overlaps a reservation";
	} else if (mem->num_ram_regions == VM_RAM_REGIONS) {
		why = "the table is full";
	} else if (arch_gpa_map(vm, start, hpa, bytes, GPA_RWX, GPA_TYPE_WB) != 0) {
		why = "it cannot be mapped";
	}
	if (why != NULL) {
		pr_err("VM%u: RAM 0x%lx..0x%lx refused: %s", vm->vm_id, start, start + bytes, why);
		return -1;
	}
	insert(mem, first_above(mem, start), (struct vm_ram_region){start, bytes, false});
	merge(mem);
	arch_gpa_flush(vm); /* what vCPUs know of the place */
	return 0;
}

int32_t vm_ram_find_largest_free_region(const struct acrn_vm *vm, gpa_t *start, uint64_t *bytes)
{
	const struct vm_ram_region *best = NULL;

	for (uint32_t i = 0U; i < vm->mem.num_ram_regions; i++) {
		const struct vm_ram_region *region = &vm->mem.ram_regions[i];

		if (!region->allocated && ((best == NULL) || (region->size > best->size))) {
			best = region;
		}
	}
	if (best == NULL) {
		return -1;
	}
	*start = best->start;
	*bytes = best->size;
	return 0;
}

/* [start, start+bytes) is all `!allocated`. @return 0 or -1: no room in the table */
static int32_t change(struct vm_mem *mem, gpa_t start, uint64_t bytes, bool allocated)
{
	if (mem->num_ram_regions + 2U > VM_RAM_REGIONS) {
		return -1;
	}
	split_at(mem, start);
	split_at(mem, start + bytes);
	for (uint32_t i = first_above(mem, start);
		(i < mem->num_ram_regions) && (mem->ram_regions[i].start < start + bytes); i++) {
		mem->ram_regions[i].allocated = allocated;
	}
	merge(mem);
	return 0;
}

int32_t vm_ram_mark_allocated(struct acrn_vm *vm, gpa_t start, uint64_t bytes)
{
	const bool free = false;

	return is_all(&vm->mem, start, bytes, &free) ? change(&vm->mem, start, bytes, true) : -1;
}

int32_t vm_ram_free(struct acrn_vm *vm, gpa_t start, uint64_t bytes)
{
	const bool allocated = true;

	return is_all(&vm->mem, start, bytes, &allocated) ? change(&vm->mem, start, bytes, false) : -1;
}

gpa_t vm_ram_allocate(struct acrn_vm *vm, uint64_t bytes)
{
	const uint64_t size = round_up(bytes, PAGE_SIZE);

	for (uint32_t i = 0U; i < vm->mem.num_ram_regions; i++) {
		const struct vm_ram_region *region = &vm->mem.ram_regions[i];
		const gpa_t start = MAX(region->start, PAGE_SIZE); /* 0 is the answer "none" */

		if (!region->allocated && (size >= bytes) && (start < end_of(region)) &&
			(end_of(region) - start >= size) && (vm_ram_mark_allocated(vm, start, size) == 0)) {
			return start;
		}
	}
	return 0UL;
}

int32_t vm_ram_touch(struct acrn_vm *vm, gpa_t start, uint64_t bytes, vm_ram_touch_callback_fn callback, void *cookie)
{
	if (!vm_ram_contains(vm, start, bytes)) {
		return -1;
	}
	for (uint64_t offset = 0UL; offset < bytes;) {
		const gpa_t gpa = start + offset;
		size_t size = MIN(bytes - offset, PAGE_SIZE - (gpa & (PAGE_SIZE - 1UL)));
		void *const hva = guest_window(vm, gpa, &size, GPA_READ | GPA_WRITE);
		int32_t ret;

		if (hva == NULL) {
			return -1;
		}
		arch_guest_access_begin();
		ret = callback(vm, gpa, hva, size, offset, cookie);
		arch_guest_access_end();
		if (ret != 0) {
			return ret;
		}
		offset += size;
	}
	return 0;
}
