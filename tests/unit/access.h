/* SPDX-License-Identifier: BSD-3-Clause */
/* Accesses that a guest makes: vCPU 0 of a VM of the fake machine exits for each. */
#ifndef UNIT_ACCESS_H
#define UNIT_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

struct acrn_vm;

/** To ports. @param value in and out @return as hv_emulate_pio() */
int32_t access_port(struct acrn_vm *vm, bool is_write, uint16_t at, uint32_t size, uint32_t *value);

/** To memory. @param value in and out @return as hv_emulate_mmio() */
int32_t access_memory(struct acrn_vm *vm, bool is_write, uint64_t at, uint32_t size, uint64_t *value);

/** To ports where somebody answers. @return the value that is read */
uint32_t access_io(struct acrn_vm *vm, bool is_write, uint16_t at, uint32_t size, uint32_t value);

/** To memory BAR `bar` of the PCI function in `slot`, which answers. @return the value that is read */
uint64_t access_bar(struct acrn_vm *vm, uint32_t slot, uint32_t bar, bool is_write, uint32_t offset, uint32_t size,
	uint64_t value);

#endif
