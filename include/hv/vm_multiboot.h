/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The boot loader's half of the Multiboot Specification 0.6.96 and the Multiboot2 Specification 2.0: what an image's
 * header asks for, and the information that the image is given.
 */
#ifndef HV_VM_MULTIBOOT_H
#define HV_VM_MULTIBOOT_H

#include <lib/util.h>

struct vm_loader;

#define MULTIBOOT1_SEARCH 8192U /* the header lies in these first bytes */
#define MULTIBOOT2_SEARCH 32768U

struct multiboot_header {
	uint32_t version; /* 1 or 2; 2 wins if the image has both: only it can pass the ACPI root pointer */
	uint32_t at;      /* where it is in the image */
	bool has_address; /* the next four are meant, and replace the ELF program headers */
	uint32_t header_addr;
	uint32_t load_addr;
	uint32_t load_end; /* 0: all of the file from load_addr on */
	uint32_t bss_end;  /* 0: no BSS */
	bool has_entry;
	uint32_t entry;
	bool relocatable;
	uint32_t reloc_min, reloc_max, reloc_align;
};

/**
 * Looks for a multiboot header in the first `len` bytes of an image. Pure.
 * @param why  out on failure: one readable clause, a constant
 * @return 0; -ENOENT there is none; -EINVAL it asks for what is not offered, or is broken
 */
int32_t multiboot_find_header(const uint8_t *bytes, size_t len, struct multiboot_header *out, const char **why);

/**
 * Writes the information structure to guest memory and sets EAX and EBX of ld->regs. Modules are placed.
 * @param load_base where the image was loaded (told to relocatable multiboot2 images)
 * @return 0 or -errno, logged
 */
int32_t __must_check multiboot_write_info(
	struct vm_loader *ld, const struct multiboot_header *header, uint32_t load_base);

#endif
