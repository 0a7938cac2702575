/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory map that a VM is told (the E820 map, ACPI 6.4 section 15), and which places in its RAM are taken while it
 * is loaded. Pure: no hardware, no log.
 */
#ifndef HV_VM_E820_H
#define HV_VM_E820_H

#include <hv/boot_info.h>
#include <lib/util.h>

#define VM_E820_MAX      128U /* what Linux's zero page holds */
#define VM_E820_MAX_BUSY 48U

struct vm_e820 {
	/* ascending, disjoint, neighbours differ in type; base is guest-physical */
	struct mem_range range[VM_E820_MAX];
	uint32_t count;
	struct vm_e820_busy {
		gpa_t base;
		uint64_t size;
		const char *what;
	} busy[VM_E820_MAX_BUSY]; /* may overlap; not told to the guest */
	uint32_t busy_count;
};

/**
 * Makes [base, base+size) a range of `type`, whatever was there; MEM_NONE: a hole.
 * @return 0; -EINVAL size 0 or wrap; -ENOSPC more than VM_E820_MAX ranges (the map is unchanged)
 */
int32_t __must_check vm_e820_set(struct vm_e820 *map, gpa_t base, uint64_t size, uint32_t type);

/** Turns the RAM above the first `limit` bytes of RAM into reserved memory. @return 0 or -ENOSPC */
int32_t __must_check vm_e820_limit(struct vm_e820 *map, uint64_t limit);

/** @return true if all of [base, base+size) is RAM; false for size 0 */
bool vm_e820_is_ram(const struct vm_e820 *map, gpa_t base, uint64_t size);

/** @return bytes of RAM that follow `base` without a gap */
uint64_t vm_e820_ram_from(const struct vm_e820 *map, gpa_t base);

/** Notes that [base, base+size) is taken for `what` (a constant string). @return 0, -EINVAL, -ENOSPC */
int32_t __must_check vm_e820_take(struct vm_e820 *map, gpa_t base, uint64_t size, const char *what);

/** Forgets what vm_e820_take() noted with the same base and size. */
void vm_e820_release(struct vm_e820 *map, gpa_t base, uint64_t size);

/** @return the first taken place that touches [base, base+size), or NULL */
const struct vm_e820_busy *vm_e820_in_the_way(const struct vm_e820 *map, gpa_t base, uint64_t size);

/**
 * Looks for RAM that is not taken. Takes nothing.
 * @param size, align bytes; align is a power of two
 * @param low, high   low <= address, address + size <= high
 * @return the lowest such address, or INVALID_GPA
 */
gpa_t vm_e820_find_lowest(const struct vm_e820 *map, uint64_t size, uint64_t align, gpa_t low, gpa_t high);

/** As vm_e820_find_lowest(), but the highest. */
gpa_t vm_e820_find_highest(const struct vm_e820 *map, uint64_t size, uint64_t align, gpa_t low, gpa_t high);

#endif
