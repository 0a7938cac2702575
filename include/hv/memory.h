/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hypervisor's own memory: one pool of pages taken from the memory map at boot, never grown.
 *
 * Every page has an owner, so that a leak has a name: destroying a VM must bring its count back to what it was.
 */
#ifndef HV_MEMORY_H
#define HV_MEMORY_H

#include <lib/util.h>

#define PAGE_OWNER_HV 0xFFFFU /* the hypervisor itself; VM ids are the other owners */

/** Takes the pool out of boot_info's RAM (as high as possible below 4 GiB). Panics if there is not enough. */
void memory_init(void);

/**
 * A zeroed page.
 * @param owner VM id, or PAGE_OWNER_HV
 * @return its address in the direct map, or NULL when the pool is empty
 */
void *page_alloc(uint16_t owner);

/** 2^order contiguous, naturally aligned zeroed pages (order <= 9), or NULL. */
void *pages_alloc(uint32_t order, uint16_t owner);

/** Gives a page of page_alloc() back. `owner` must be the one it was taken with. */
void page_free(void *page, uint16_t owner);

/** Gives 2^order pages back. */
void pages_free(void *pages, uint32_t order, uint16_t owner);

/** @return pages now held by `owner` */
uint64_t memory_pages_owned(uint16_t owner);

/** @return pages free in the pool */
uint64_t memory_pages_free(void);

/** @return true if [hpa, hpa+size) touches the hypervisor's image, pool, trampoline or a pre-launched VM's memory */
bool memory_is_hv_owned(hpa_t hpa, uint64_t size);

/** Marks [hpa, hpa+size) as not for the Service VM (the trampoline, pre-launched VMs' memory). Boot only. */
void memory_reserve(hpa_t hpa, uint64_t size, const char *what);

/** As memory_reserve(), for memory that VMs share: their maps may have it. Boot only. */
void memory_reserve_shared(hpa_t hpa, uint64_t size, const char *what);

/** As memory_is_hv_owned(), but for memory that VMs share. */
bool memory_is_private(hpa_t hpa, uint64_t size);

/**
 * What may be touched through the direct map on a guest's behalf: RAM. Guests' maps have more (BARs, firmware, holes).
 * @return bytes of RAM from `hpa` on, 0 if there is none
 */
uint64_t memory_ram_bytes(hpa_t hpa);

/** One range taken from the Service VM, for the memory map and the audit. @return false past the last */
bool memory_hv_range(uint32_t index, hpa_t *base, uint64_t *size, const char **what);

/** @return physical address of the pool; after memory_init() */
hpa_t memory_pool_base(void);

/** @return size of the pool, bytes */
uint64_t memory_pool_size(void);

/**
 * Looks for free RAM, highest first: not reserved, no boot module, not the framebuffer. Takes nothing.
 * @param size, align bytes; align is a power of two
 * @param low, high   limits: low <= address, address + size <= high
 * @return its address, or INVALID_HPA
 */
hpa_t memory_find_free(uint64_t size, uint64_t align, hpa_t low, hpa_t high);

#endif
