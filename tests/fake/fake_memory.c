/* SPDX-License-Identifier: BSD-3-Clause */
/* Free RAM of the fake machine. */
#include "fake.h"

#include <hv/memory.h>

#include <sys/mman.h>

#define LOW_SIZE (8UL << 20U)

/* RAM whose addresses have 32 bits. */
static hpa_t low_ram(uint64_t size, uint64_t align)
{
	static void *low;

	if (low == NULL) {
		low = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	}
	return ((low != MAP_FAILED) && (size + align <= LOW_SIZE)) ? round_up((hpa_t)low, align) : INVALID_HPA;
}

/* The middle of the Service VM's RAM: what VMs share is there, whoever has it besides. */
hpa_t memory_find_free(uint64_t size, uint64_t align, hpa_t low, hpa_t high)
{
	(void)low;
	if (high <= (4UL << 30U)) {
		return low_ram(size, align);
	}
	return (size <= FAKE_RAM_SIZE / 4UL) ? (hpa_t)fake_ram + FAKE_RAM_SIZE / 4UL : INVALID_HPA;
}
