/* SPDX-License-Identifier: BSD-3-Clause */
/* The CPU's part of a VM: nothing. */
#ifndef ASM_VM_H
#define ASM_VM_H

struct vm_arch {
	char none;
};

#endif
