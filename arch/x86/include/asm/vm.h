/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of a VM that the CPU code owns. There is a twin of this header in tests/fake/. */
#ifndef ASM_VM_H
#define ASM_VM_H

#include <lib/types.h>

/* A page table that serves to execute from 2 MiB of the VM's memory (ept.c). */
struct ept_code {
	uint64_t *table; /* direct map */
	uint64_t gpa;    /* an address in what it maps, or UINT64_MAX: it is free */
};

struct vm_arch {
	uint64_t *ept_root;      /* PML4, direct map */
	uint64_t eptp;           /* VMCS field */
	uint64_t ept_generation; /* grows with each change that needs INVEPT; atomic */
	struct ept_code *code;   /* code_tables of them, used in turn; none where large pages are executable */
	uint32_t code_tables;
	uint32_t code_next;
	uint8_t *io_bitmap;        /* two pages: ports 0..0x7FFF, 0x8000..0xFFFF; a set bit exits */
	uint8_t *msr_bitmap;       /* one page, SDM 25.6.9; a set bit exits */
	uint8_t *msr_bitmap_apicv; /* the same for vCPUs whose x2APIC the CPU virtualizes */
	bool hide_x2apic;
};

#endif
