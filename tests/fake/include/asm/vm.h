/* SPDX-License-Identifier: BSD-3-Clause */
/* The fake CPU's part of a VM: its memory map as a list of pages' ranges. */
#ifndef ASM_VM_H
#define ASM_VM_H

#include <lib/types.h>

#define FAKE_REGIONS 64U

struct fake_region {
	uint64_t gpa, hpa, size;
	uint32_t access;
	uint32_t type;
};

struct vm_arch {
	void *root; /* a page, so that leaks show */
	struct fake_region region[FAKE_REGIONS];
	uint32_t regions;
	uint32_t flushes;
	uint8_t io_trapped[0x10000]; /* 1: exits */
	bool pic_wire;
};

#endif
