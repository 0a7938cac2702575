/* SPDX-License-Identifier: BSD-3-Clause */
/* Linux's boot protocol: the file's header, the zero page. Pure but for reading the image. */
#ifndef HV_VM_BZIMAGE_H
#define HV_VM_BZIMAGE_H

#include <lib/util.h>

struct vm_image;
struct vm_e820;
struct boot_framebuffer;

#define BZIMAGE_ZERO_PAGE 4096U

struct bzimage_plan {
	uint32_t version;   /* 0x20F is 2.15 */
	uint64_t at, size;  /* the protected-mode kernel in the file */
	gpa_t pref_address; /* 1 MiB .. 4 GiB */
	uint64_t align;     /* a power of two, PAGE_SIZE at least */
	bool relocatable;
	bool has_entry64;                /* XLF_KERNEL_64: enterable in 64-bit mode, 0x200 behind its start */
	bool above_4g;                   /* XLF_CAN_BE_LOADED_ABOVE_4G: finds a ramdisk there */
	uint64_t room;                   /* bytes from its start that it may write to before it reads the memory map */
	uint64_t initrd_max;             /* highest address of the ramdisk's last byte */
	uint32_t cmdline_max;            /* characters */
	uint32_t header_end;             /* offset in the file */
	uint8_t header[0x290U - 0x1F1U]; /* the setup header, from 0x1F1 on */
};

/**
 * Reads the setup header of a bzImage.
 * @param why out on failure: one readable clause, a constant
 * @return 0 or -EINVAL
 */
int32_t bzimage_parse(const struct vm_image *image, struct bzimage_plan *plan, const char **why);

/** Fills screen_info of the zero page, so that the kernel's console goes on where the boot loader's screen was. */
void bzimage_fill_screen(uint8_t *zero_page, const struct boot_framebuffer *fb, bool efi);

#endif
