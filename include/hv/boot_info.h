/* SPDX-License-Identifier: BSD-3-Clause */
/* What the boot loader told us, in one struct: filled by boot/multiboot2.c, read by the core. */
#ifndef HV_BOOT_INFO_H
#define HV_BOOT_INFO_H

#include <lib/types.h>

#define BOOT_MAX_RANGES  128U
#define BOOT_MAX_MODULES 32U
#define BOOT_STRING_MAX  512U

enum mem_range_type { /* the E820 numbers */
	MEM_NONE = 0, /* no range: vm_e820_set() takes it out of the map */
	MEM_RAM = 1,
	MEM_RESERVED = 2,
	MEM_ACPI_RECLAIM = 3,
	MEM_ACPI_NVS = 4,
	MEM_UNUSABLE = 5,
};

struct mem_range {
	hpa_t base;
	uint64_t size; /* bytes, not 0 */
	uint32_t type; /* enum mem_range_type */
};

struct boot_module {
	hpa_t base;
	uint64_t size;                /* bytes */
	char string[BOOT_STRING_MAX]; /* "TAG args..." */
};

struct boot_framebuffer {
	hpa_t base;             /* 0: none */
	uint32_t width, height; /* pixels; characters in text mode */
	uint32_t pitch;         /* bytes per line */
	uint8_t bpp;
	bool is_text;                         /* EGA text: 0xB8000 style cells */
	uint8_t red_pos, green_pos, blue_pos; /* bit position of each 8-bit channel (RGB mode) */
};

struct boot_info {
	struct mem_range ranges[BOOT_MAX_RANGES]; /* sorted, not overlapping, page-rounded (RAM inwards) */
	uint32_t range_count;
	struct boot_module modules[BOOT_MAX_MODULES];
	uint32_t module_count;
	char cmdline[BOOT_STRING_MAX];
	char loader[64];
	hpa_t rsdp;             /* of the copy in the multiboot information, or found by scan; 0: none */
	hpa_t efi_system_table; /* 0: booted by BIOS */
	struct boot_framebuffer fb;
	hpa_t hv_base;    /* where the image was loaded, 2 MiB aligned */
	uint64_t hv_size; /* image with bss, rounded up to 2 MiB */
};

/** What multiboot2_parse() said; reported and acted on by hv_main() when there is a console. */
extern int32_t boot_info_error;

/** The one instance; constant after boot. */
extern struct boot_info boot_info;

#endif
