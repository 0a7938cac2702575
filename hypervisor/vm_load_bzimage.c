/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KERNEL_BZIMAGE: Linux's x86 boot protocol (Documentation/arch/x86/boot.rst), version 2.10 (Linux 2.6.31) or later.
 * Older ones don't say how much memory the kernel needs while it unpacks itself (init_size), so nothing could be placed
 * safely; they are refused.
 *
 * A kernel that says it has a 64-bit entry (XLF_KERNEL_64, Linux 3.8 and later) is entered there, by a map of the first
 * 4 GiB that lies outside of its init_size, as the protocol demands; the others by the 32-bit entry. Kernel, zero page
 * and command line lie below 4 GiB for both; a ramdisk that finds no room there goes above, if the kernel looks there.
 *
 * EFI: no efi_info is filled, as the boot loader's information does not hold the EFI memory map. The kernel then runs
 * without EFI runtime services; ACPI is found by acpi_rsdp_addr, the screen by the frame buffer in screen_info.
 */
#include <hv/boot_info.h>
#include <hv/log.h>
#include <hv/vm.h>
#include <hv/vm_bzimage.h>
#include <hv/vm_loader.h>
#include <lib/errno.h>
#include <lib/string.h>

#define LINUX_CODE 0x10U /* __BOOT_CS */
#define LINUX_DATA 0x18U /* __BOOT_DS */

#define SECTOR 512UL

/* Offsets in the file and in the zero page. */
#define ZP_SCREEN_INFO     0x000U
#define ZP_ACPI_RSDP       0x070U
#define ZP_EXT_RAMDISK     0x0C0U
#define ZP_EXT_RD_SIZE     0x0C4U
#define ZP_EXT_CMD_LINE    0x0C8U
#define ZP_ALT_MEM_K       0x1E0U
#define ZP_E820_ENTRIES    0x1E8U
#define HDR_START          0x1F1U
#define HDR_SETUP_SECTS    0x1F1U
#define HDR_SYSSIZE        0x1F4U
#define HDR_BOOT_FLAG      0x1FEU
#define HDR_JUMP_LEN       0x201U
#define HDR_MAGIC          0x202U
#define HDR_VERSION        0x206U
#define HDR_TYPE_OF_LOADER 0x210U
#define HDR_LOADFLAGS      0x211U
#define HDR_CODE32_START   0x214U
#define HDR_RAMDISK_IMAGE  0x218U
#define HDR_RAMDISK_SIZE   0x21CU
#define HDR_CMD_LINE_PTR   0x228U
#define HDR_INITRD_MAX     0x22CU
#define HDR_ALIGNMENT      0x230U
#define HDR_RELOCATABLE    0x234U
#define HDR_CMDLINE_SIZE   0x238U
#define HDR_XLOADFLAGS     0x236U
#define HDR_SETUP_DATA     0x250U
#define HDR_PREF_ADDRESS   0x258U
#define HDR_INIT_SIZE      0x260U
#define HDR_NEEDED_END     0x264U
#define HDR_LIMIT          0x290U /* what follows in the zero page is not the header's */
#define ZP_E820_TABLE      0x2D0U

#define LOADER_UNKNOWN 0xFFU
#define LOADED_HIGH    0x01U
#define VERSION_MIN    0x20AU
#define VERSION_XLF    0x20CU
#define VERSION_RSDP   0x20EU
#define XLF_KERNEL_64  0x1U
#define XLF_ABOVE_4G   0x2U
#define ENTRY_64       0x200UL

#define SCREEN_VGA        0x01U /* orig_video_isVGA: text */
#define SCREEN_VLFB       0x23U /* linear frame buffer */
#define SCREEN_EFI        0x70U
#define SCREEN_64BIT_BASE 0x2U

struct e820_entry {
	uint64_t base, size;
	uint32_t type;
} __packed;

static uint64_t get(const uint8_t *bytes, uint32_t at, uint32_t size)
{
	uint64_t value = 0UL;

	(void)memcpy(&value, bytes + at, size);
	return value;
}

static void put(uint8_t *bytes, uint32_t at, uint64_t value, uint32_t size)
{
	(void)memcpy(bytes + at, &value, size);
}

/* ---- The header ---- */

int32_t bzimage_parse(const struct vm_image *image, struct bzimage_plan *plan, const char **why)
{
	uint8_t header[HDR_LIMIT];
	uint64_t sects;
	uint64_t end;

	(void)memset(plan, 0, sizeof(*plan));
	*why = "boot_flag is not 0xAA55 or header not \"HdrS\": no bzImage; KERNEL_BZIMAGE needs Linux's "
	       "arch/x86/boot/bzImage";
	if (!vm_image_read(image, 0UL, header, sizeof(header)) || (get(header, HDR_BOOT_FLAG, 2U) != 0xAA55UL) ||
		(memcmp(header + HDR_MAGIC, "HdrS", 4U) != 0)) {
		return -EINVAL;
	}
	plan->version = (uint32_t)get(header, HDR_VERSION, 2U);
	end = HDR_MAGIC + get(header, HDR_JUMP_LEN, 1U);
	*why = "version is below 2.10, or jump too short for it; use Linux 2.6.31 or later";
	if ((plan->version < VERSION_MIN) || (end < HDR_NEEDED_END)) {
		return -EINVAL;
	}
	*why = "loadflags has no LOADED_HIGH: a zImage, to be loaded below 1 MiB; build a bzImage";
	if ((get(header, HDR_LOADFLAGS, 1U) & LOADED_HIGH) == 0UL) {
		return -EINVAL;
	}
	plan->header_end = (uint32_t)MIN(end, (uint64_t)HDR_LIMIT);
	sects = get(header, HDR_SETUP_SECTS, 1U);
	plan->at = (((sects == 0UL) ? 4UL : sects) + 1UL) * SECTOR;
	*why = "setup_sects and syssize promise more than the file holds; copy it again";
	if ((plan->at >= image->size) || (get(header, HDR_SYSSIZE, 4U) == 0UL) ||
		/* syssize counts units of 16 bytes; the file may end in the last of them */
		(get(header, HDR_SYSSIZE, 4U) * 16UL > round_up(image->size - plan->at, 16UL))) {
		return -EINVAL;
	}
	plan->size = image->size - plan->at;
	plan->pref_address = get(header, HDR_PREF_ADDRESS, 8U);
	plan->align = get(header, HDR_ALIGNMENT, 4U);
	plan->relocatable = get(header, HDR_RELOCATABLE, 1U) != 0UL;
	plan->room = MAX(get(header, HDR_INIT_SIZE, 4U), plan->size);
	plan->initrd_max = get(header, HDR_INITRD_MAX, 4U);
	plan->cmdline_max = (uint32_t)get(header, HDR_CMDLINE_SIZE, 4U);
	*why = "kernel_alignment is no power of two, or pref_address not in 1 MiB..4 GiB";
	if ((plan->align == 0UL) || ((plan->align & (plan->align - 1UL)) != 0UL) || (plan->pref_address >= LOADER_4G) ||
		(plan->pref_address < LOADER_1M)) {
		return -EINVAL;
	}
	plan->align = MAX(plan->align, PAGE_SIZE);
	if (plan->version >= VERSION_XLF) {
		plan->has_entry64 = (get(header, HDR_XLOADFLAGS, 2U) & XLF_KERNEL_64) != 0UL;
		plan->above_4g = (get(header, HDR_XLOADFLAGS, 2U) & XLF_ABOVE_4G) != 0UL;
	}
	*why = "xloadflags has XLF_KERNEL_64, but the file ends before that entry; copy it again";
	if (plan->has_entry64 && (plan->size <= ENTRY_64)) {
		return -EINVAL;
	}
	(void)memcpy(plan->header, header + HDR_START, plan->header_end - HDR_START);
	return 0;
}

/* ---- Placing ---- */

/*
 * At the preferred address if it is free. Else a relocatable kernel goes to the lowest free place above it: below it
 * would move itself to the preferred address without asking. A kernel that is not relocatable has modules moved away.
 */
static int32_t place_kernel(struct vm_loader *ld, const struct bzimage_plan *plan, gpa_t *at)
{
	*at = plan->pref_address;
	if (plan->relocatable) {
		*at = vm_e820_find_lowest(&ld->map, plan->room, plan->align, plan->pref_address, LOADER_4G);
	}
	if (*at == INVALID_GPA) {
		*at = plan->pref_address; /* only moving modules can help */
	}
	if (!vm_e820_is_ram(&ld->map, *at, plan->room)) {
		return vm_loader_refuse(ld,
			"kernel module '%s': init_size 0x%lx at pref_address 0x%lx does not fit its memory; give it "
			"more",
			ld->kernel.tag, plan->room, plan->pref_address);
	}
	return vm_loader_claim(ld, *at, plan->room, "init_size");
}

static int32_t place_ramdisk(struct vm_loader *ld, const struct bzimage_plan *plan)
{
	struct vm_image *ramdisk = &ld->module[0];
	gpa_t high = MIN(plan->initrd_max + 1UL, LOADER_4G);

	if (!ld->has_ramdisk) {
		return 0;
	}
	if (plan->above_4g &&
		(vm_e820_find_highest(&ld->map, ramdisk->size, PAGE_SIZE, LOADER_1M, high) == INVALID_GPA)) {
		high = UINT64_MAX;
	}
	return vm_loader_place_module(ld, ramdisk, PAGE_SIZE, high);
}

/* ---- The zero page ---- */

void bzimage_fill_screen(uint8_t *zero_page, const struct boot_framebuffer *fb, bool efi)
{
	uint8_t *screen = zero_page + ZP_SCREEN_INFO;

	if ((fb->base == 0UL) || fb->is_text) {
		if (efi) {
			return; /* no VGA text under EFI: the kernel finds its screen by itself, or has none */
		}
		put(screen, 0x06U, 3UL, 1U); /* orig_video_mode: 80 x 25 colour text */
		put(screen, 0x07U, ((fb->width != 0U) && (fb->width < 256U)) ? fb->width : 80UL, 1U);
		put(screen, 0x0EU, ((fb->height != 0U) && (fb->height < 256U)) ? fb->height : 25UL, 1U);
		put(screen, 0x01U, get(screen, 0x0EU, 1U) - 1UL, 1U); /* orig_y: goes on at the bottom */
		put(screen, 0x0FU, SCREEN_VGA, 1U);
		put(screen, 0x10U, 16UL, 2U); /* orig_video_points */
		return;
	}
	put(screen, 0x0FU, efi ? SCREEN_EFI : SCREEN_VLFB, 1U);
	put(screen, 0x12U, fb->width, 2U);
	put(screen, 0x14U, fb->height, 2U);
	put(screen, 0x16U, fb->bpp, 2U);
	put(screen, 0x18U, fb->base & 0xFFFFFFFFUL, 4U);
	/* In units of 64 KiB for VESA, of bytes for EFI. */
	put(screen, 0x1CU,
		efi ? (uint64_t)fb->pitch * fb->height : round_up((uint64_t)fb->pitch * fb->height, 65536UL) >> 16U,
		4U);
	put(screen, 0x24U, fb->pitch, 2U);
	put(screen, 0x26U, (fb->bpp == 16U) ? 5UL : 8UL, 1U); /* red */
	put(screen, 0x27U, fb->red_pos, 1U);
	put(screen, 0x28U, (fb->bpp == 16U) ? 6UL : 8UL, 1U); /* green */
	put(screen, 0x29U, fb->green_pos, 1U);
	put(screen, 0x2AU, (fb->bpp == 16U) ? 5UL : 8UL, 1U); /* blue */
	put(screen, 0x2BU, fb->blue_pos, 1U);
	if ((fb->base >> 32U) != 0UL) {
		put(screen, 0x36U, SCREEN_64BIT_BASE, 4U);
		put(screen, 0x3AU, fb->base >> 32U, 4U);
	}
}

/* Fills the E820 table of the zero page. */
static void bzimage_fill_e820(uint8_t *zero_page, const struct vm_e820 *map)
{
	_Static_assert(
		ZP_E820_TABLE + VM_E820_MAX * sizeof(struct e820_entry) <= BZIMAGE_ZERO_PAGE, "the zero page's table");

	for (uint32_t i = 0U; i < map->count; i++) {
		const struct e820_entry entry = {map->range[i].base, map->range[i].size, map->range[i].type};

		(void)memcpy(zero_page + ZP_E820_TABLE + i * sizeof(entry), &entry, sizeof(entry));
	}
	put(zero_page, ZP_E820_ENTRIES, map->count, 1U);
	put(zero_page, ZP_ALT_MEM_K, MIN(vm_e820_ram_from(map, LOADER_1M) >> 10U, (uint64_t)UINT32_MAX), 4U);
}

static void fill_zero_page(
	const struct vm_loader *ld, const struct bzimage_plan *plan, gpa_t kernel, gpa_t cmdline, uint8_t *zp)
{
	static const struct boot_framebuffer no_screen;

	(void)memset(zp, 0, BZIMAGE_ZERO_PAGE);
	(void)memcpy(zp + HDR_START, plan->header, plan->header_end - HDR_START);
	put(zp, HDR_TYPE_OF_LOADER, LOADER_UNKNOWN, 1U);
	put(zp, HDR_CODE32_START, kernel, 4U);
	put(zp, HDR_CMD_LINE_PTR, cmdline, 4U);
	put(zp, ZP_EXT_CMD_LINE, 0UL, 4U);
	put(zp, HDR_SETUP_DATA, 0UL, 8U); /* a list of ours, not of the file */
	put(zp, HDR_RAMDISK_IMAGE, ld->has_ramdisk ? ld->module[0].gpa : 0UL, 4U);
	put(zp, HDR_RAMDISK_SIZE, ld->has_ramdisk ? ld->module[0].size : 0UL, 4U);
	put(zp, ZP_EXT_RAMDISK, ld->has_ramdisk ? (ld->module[0].gpa >> 32U) : 0UL, 4U);
	put(zp, ZP_EXT_RD_SIZE, ld->has_ramdisk ? (ld->module[0].size >> 32U) : 0UL, 4U);
	put(zp, ZP_ACPI_RSDP, ld->rsdp, 8U);
	bzimage_fill_e820(zp, &ld->map);
	if (ld->identity) {
		bzimage_fill_screen(zp, &boot_info.fb, boot_info.efi_system_table != 0UL);
	} else {
		bzimage_fill_screen(zp, &no_screen, true);
	}
}

static void warn_of_gaps(const struct vm_loader *ld, const struct bzimage_plan *plan)
{
	if (strlen(ld->cmdline) > plan->cmdline_max) {
		vm_loader_note(
			ld, LOG_WARN, "the kernel reads only %u characters of its command line", plan->cmdline_max);
	}
	if (ld->module_count > (ld->has_ramdisk ? 1U : 0U)) {
		vm_loader_note(ld, LOG_WARN,
			"Linux's boot protocol has no modules but the ramdisk; the others are not passed");
	}
	if (ld->identity && (plan->version < VERSION_RSDP) && (boot_info.efi_system_table != 0UL)) {
		vm_loader_note(ld, LOG_WARN,
			"boot protocol %x.%02x has no acpi_rsdp_addr: under EFI the kernel won't find ACPI tables; "
			"use Linux 5.0 or later",
			plan->version >> 8U, plan->version & 0xFFU);
	}
}

int32_t vm_load_bzimage(struct vm_loader *ld)
{
	static uint8_t zero_page[BZIMAGE_ZERO_PAGE];
	static struct bzimage_plan plan;
	const char *why = "";
	gpa_t kernel;
	gpa_t info;
	int32_t ret;

	if (bzimage_parse(&ld->kernel, &plan, &why) != 0) {
		return vm_loader_refuse(ld, "kernel module '%s': %s", ld->kernel.tag, why);
	}
	warn_of_gaps(ld, &plan);
	ret = place_kernel(ld, &plan, &kernel);
	if (ret == 0) {
		ret = place_ramdisk(ld, &plan);
	}
	if (ret == 0) {
		ret = vm_loader_copy(ld, plan.at, kernel, plan.size);
	}
	if (ret == 0) {
		ret = plan.has_entry64 ? vm_loader_long_regs(ld, kernel + ENTRY_64, LINUX_CODE, LINUX_DATA)
				       : vm_loader_flat_regs(ld, (uint32_t)kernel, LINUX_CODE, LINUX_DATA);
	}
	if (ret != 0) {
		return ret;
	}
	/* The zero page, and the command line behind it. */
	info = vm_loader_alloc_info(ld, BZIMAGE_ZERO_PAGE + sizeof(ld->cmdline), PAGE_SIZE, "the zero page");
	if (info == INVALID_GPA) {
		return -ENOSPC;
	}
	fill_zero_page(ld, &plan, kernel, info + BZIMAGE_ZERO_PAGE, zero_page);
	ld->regs.gprs.rsi = info;
	ret = vm_loader_write(ld, info, zero_page, sizeof(zero_page));
	return (ret == 0) ? vm_loader_write(ld, info + BZIMAGE_ZERO_PAGE, ld->cmdline, sizeof(ld->cmdline)) : ret;
}
