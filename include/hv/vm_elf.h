/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the parts of an ELF image go. Pure but for reading the image. */
#ifndef HV_VM_ELF_H
#define HV_VM_ELF_H

#include <lib/util.h>

struct vm_image;
struct multiboot_header;

#define ELF_MAX_SEGMENTS 16U

struct elf_segment {
	uint64_t at;            /* in the file */
	gpa_t gpa;              /* gpa + memsz <= 4 GiB */
	uint64_t filesz, memsz; /* bytes; filesz <= memsz, memsz != 0 */
};

struct elf_plan {
	struct elf_segment segment[ELF_MAX_SEGMENTS];
	uint32_t count;       /* >= 1 */
	gpa_t entry;          /* physical */
	bool entry_is_inside; /* in one of the segments */
};

/**
 * Reads the headers of an ELF32 or ELF64 image.
 * @param why out on failure: one readable clause, a constant
 * @return 0 or -EINVAL
 */
int32_t elf_parse(const struct vm_image *image, struct elf_plan *plan, const char **why);

/** The same from a multiboot header with has_address. */
int32_t elf_plan_from_addresses(
	const struct vm_image *image, const struct multiboot_header *header, struct elf_plan *plan, const char **why);

#endif
