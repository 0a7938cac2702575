/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The RAM of a VM that the hypervisor manages: libsel4vm's guest_ram.h. Regions are sorted and disjoint; neighbours
 * that are alike are one. vm->lock held (<hv/guest_memory.h>), or the VM does not run yet. (A User VM's memory is its
 * device model's: it has no regions here.)
 */
#ifndef HV_GUEST_RAM_H
#define HV_GUEST_RAM_H

#include <lib/util.h>

struct acrn_vm;

/**
 * @param hva    the piece in the direct map; may be touched during the call
 * @param size   bytes, in one page
 * @param offset of the piece from the start of the range that was asked for
 * @return 0 to go on; anything else ends vm_ram_touch() with it
 */
typedef int32_t (*vm_ram_touch_callback_fn)(
	struct acrn_vm *vm, gpa_t gpa, void *hva, size_t size, size_t offset, void *cookie);

/**
 * Maps [start, start+bytes) to [hpa, hpa+bytes) and adds it as free RAM. All page aligned.
 * @return 0; -1, with a log line: it overlaps RAM or a reservation, the table is full, not aligned, or no memory
 */
int32_t __must_check vm_ram_register_at(struct acrn_vm *vm, gpa_t start, uint64_t bytes, hpa_t hpa);

/** @return true if all of [start, start+bytes) is RAM */
bool vm_ram_contains(const struct acrn_vm *vm, gpa_t start, uint64_t bytes);

/** @return true if a byte of [start, start+bytes) is RAM */
bool vm_ram_overlaps(const struct acrn_vm *vm, gpa_t start, uint64_t bytes);

/** The largest region that is not allocated. @return 0, or -1: there is none */
int32_t __must_check vm_ram_find_largest_free_region(const struct acrn_vm *vm, gpa_t *start, uint64_t *bytes);

/** Allocates `bytes` (whole pages) in the first region with room, never at 0. @return the address, or 0 */
gpa_t vm_ram_allocate(struct acrn_vm *vm, uint64_t bytes);

/** Allocates [start, start+bytes). @return 0; -1: not all of it is free RAM, or the table is full */
int32_t __must_check vm_ram_mark_allocated(struct acrn_vm *vm, gpa_t start, uint64_t bytes);

/** The reverse. @return 0; -1: not all of it is allocated RAM, or the table is full */
int32_t __must_check vm_ram_free(struct acrn_vm *vm, gpa_t start, uint64_t bytes);

/**
 * Calls `callback` for each piece of [start, start+bytes), page by page, across regions.
 * @return 0; -1: not all of it is RAM that is mapped (then nothing, or a part, was touched); else what a callback said
 */
int32_t __must_check vm_ram_touch(
	struct acrn_vm *vm, gpa_t start, uint64_t bytes, vm_ram_touch_callback_fn callback, void *cookie);

#endif
