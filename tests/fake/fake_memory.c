/* SPDX-License-Identifier: BSD-3-Clause */
/* Free RAM of the fake machine. */
#include "fake.h"

#include <hv/memory.h>

/* The middle of the Service VM's RAM: what VMs share is there, whoever has it besides. */
hpa_t memory_find_free(uint64_t size, uint64_t align, hpa_t low, hpa_t high)
{
	(void)(align | low | high);
	return (size <= FAKE_RAM_SIZE / 4UL) ? (hpa_t)fake_ram + FAKE_RAM_SIZE / 4UL : INVALID_HPA;
}
