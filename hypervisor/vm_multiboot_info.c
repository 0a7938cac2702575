/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The information that multiboot images get. All of it is one block of guest memory, built here and written at once.
 *
 * ACPI: a multiboot2 image is told the root pointer of its VM's tables by value. A multiboot1 image scans the BIOS area
 * for it, as the specification has no field for it; vm_acpi.c has put it there.
 */
#include <hv/log.h>
#include <hv/vm.h>
#include <hv/vm_loader.h>
#include <hv/vm_multiboot.h>
#include <lib/errno.h>
#include <lib/string.h>

#define INFO_SIZE   12288U /* 128 ranges, 10 modules and 2 KiB of command line need less than 9 KiB */
#define LOADER_NAME "Aril"

#define MB1_BOOT_MAGIC  0x2BADB002U
#define MB1_HAS_MEMORY  0x001U
#define MB1_HAS_CMDLINE 0x004U
#define MB1_HAS_MODULES 0x008U
#define MB1_HAS_MMAP    0x040U
#define MB1_HAS_LOADER  0x200U

#define MB2_BOOT_MAGIC 0x36D76289U
#define RSDP_V1_SIZE   20U

struct mb1_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table;
	uint32_t vbe[4];
	uint32_t framebuffer[7];
};

_Static_assert(sizeof(struct mb1_info) == 116U, "multiboot 0.6.96, 3.3");

struct mb1_module {
	uint32_t start, end, string, reserved;
};

struct mb1_mmap {
	uint32_t size; /* of what follows */
	uint64_t base, length;
	uint32_t type;
} __packed;

struct mb2_mmap {
	uint64_t base, length;
	uint32_t type, reserved;
};

/* The block under construction. */
static struct {
	uint8_t bytes[INFO_SIZE];
	uint32_t used;
	bool full;
	uint32_t gpa;
} block;

/* Appends `len` bytes at a multiple of `align`. @return its guest address */
static uint32_t put(const void *src, size_t len, uint32_t align)
{
	const uint32_t at = (uint32_t)round_up(block.used, align);

	if ((at > INFO_SIZE) || (len > INFO_SIZE - at)) {
		block.full = true;
		return block.gpa;
	}
	(void)memcpy(&block.bytes[at], src, len);
	block.used = at + (uint32_t)len;
	return block.gpa + at;
}

static uint32_t put_string(const char *text)
{
	return put(text, strlen(text) + 1U, 1U);
}

/* KiB of RAM at 0 (at most 640) and at 1 MiB: the specification's mem_lower and mem_upper. */
static uint32_t mem_lower(const struct vm_loader *ld)
{
	return (uint32_t)MIN(vm_e820_ram_from(&ld->map, 0UL) >> 10U, 640UL);
}

static uint32_t mem_upper(const struct vm_loader *ld)
{
	return (uint32_t)MIN(vm_e820_ram_from(&ld->map, LOADER_1M) >> 10U, (uint64_t)UINT32_MAX);
}

/* ---- Multiboot 1 ---- */

static void put_mb1_modules(const struct vm_loader *ld, struct mb1_info *info)
{
	struct mb1_module modules[LOADER_MAX_MODULES];

	(void)memset(modules, 0, sizeof(modules));
	for (uint32_t i = 0U; i < ld->module_count; i++) {
		modules[i].start = (uint32_t)ld->module[i].gpa;
		modules[i].end = (uint32_t)(ld->module[i].gpa + ld->module[i].size);
		modules[i].string = put_string(ld->module[i].string);
	}
	info->mods_count = ld->module_count;
	info->mods_addr = put(modules, ld->module_count * sizeof(modules[0]), 4U);
}

static void put_mb1_mmap(const struct vm_loader *ld, struct mb1_info *info)
{
	for (uint32_t i = 0U; i < ld->map.count; i++) {
		const struct mb1_mmap entry = {
			.size = sizeof(entry) - sizeof(entry.size),
			.base = ld->map.range[i].base,
			.length = ld->map.range[i].size,
			.type = ld->map.range[i].type,
		};
		const uint32_t at = put(&entry, sizeof(entry), 4U);

		info->mmap_addr = (i == 0U) ? at : info->mmap_addr;
	}
	info->mmap_length = ld->map.count * (uint32_t)sizeof(struct mb1_mmap);
}

static void build_mb1(const struct vm_loader *ld)
{
	struct mb1_info info;

	(void)memset(&info, 0, sizeof(info));
	(void)put(&info, sizeof(info), 4U); /* its place: EBX points to the block's start */
	info.flags = MB1_HAS_MEMORY | MB1_HAS_CMDLINE | MB1_HAS_MODULES | MB1_HAS_MMAP | MB1_HAS_LOADER;
	info.mem_lower = mem_lower(ld);
	info.mem_upper = mem_upper(ld);
	info.cmdline = put_string(ld->cmdline);
	info.boot_loader_name = put_string(LOADER_NAME);
	put_mb1_modules(ld, &info);
	put_mb1_mmap(ld, &info);
	(void)memcpy(block.bytes, &info, sizeof(info));
}

/* ---- Multiboot 2 ---- */

static void put_tag(uint32_t type, const void *a, size_t a_len, const void *b, size_t b_len)
{
	const uint32_t head[2] = {type, (uint32_t)(sizeof(head) + a_len + b_len)};

	(void)put(head, sizeof(head), 8U);
	if (a_len != 0U) {
		(void)put(a, a_len, 1U);
	}
	if (b_len != 0U) {
		(void)put(b, b_len, 1U);
	}
}

static void put_mb2_mmap(const struct vm_loader *ld)
{
	const uint32_t head[4] = {6U, (uint32_t)(sizeof(head) + ld->map.count * sizeof(struct mb2_mmap)),
		(uint32_t)sizeof(struct mb2_mmap), 0U};

	(void)put(head, sizeof(head), 8U);
	for (uint32_t i = 0U; i < ld->map.count; i++) {
		const struct mb2_mmap entry = {
			.base = ld->map.range[i].base,
			.length = ld->map.range[i].size,
			.type = ld->map.range[i].type,
		};

		(void)put(&entry, sizeof(entry), 1U);
	}
}

static void build_mb2(const struct vm_loader *ld, const struct multiboot_header *header, uint32_t load_base)
{
	const uint32_t memory[2] = {mem_lower(ld), mem_upper(ld)};
	uint32_t head[2] = {0U, 0U};

	(void)put(head, sizeof(head), 8U);
	put_tag(1U, ld->cmdline, strlen(ld->cmdline) + 1U, NULL, 0U);
	put_tag(2U, LOADER_NAME, sizeof(LOADER_NAME), NULL, 0U);
	for (uint32_t i = 0U; i < ld->module_count; i++) {
		const struct vm_image *module = &ld->module[i];
		const uint32_t place[2] = {(uint32_t)module->gpa, (uint32_t)(module->gpa + module->size)};

		put_tag(3U, place, sizeof(place), module->string, strlen(module->string) + 1U);
	}
	put_tag(4U, memory, sizeof(memory), NULL, 0U);
	put_mb2_mmap(ld);
	if (ld->rsdp != 0UL) {
		put_tag(14U, ld->rsdp_copy, RSDP_V1_SIZE, NULL, 0U);
		put_tag(15U, ld->rsdp_copy, sizeof(ld->rsdp_copy), NULL, 0U);
	}
	if (header->relocatable) {
		put_tag(21U, &load_base, sizeof(load_base), NULL, 0U);
	}
	put_tag(0U, NULL, 0U, NULL, 0U);
	head[0] = block.used;
	(void)memcpy(block.bytes, head, sizeof(head));
}

int32_t multiboot_write_info(struct vm_loader *ld, const struct multiboot_header *header, uint32_t load_base)
{
	gpa_t at;

	for (uint32_t i = 0U; i < ld->module_count; i++) {
		const int32_t ret = vm_loader_place_module(ld, &ld->module[i], PAGE_SIZE, LOADER_4G);

		if (ret != 0) {
			return ret;
		}
	}
	at = vm_loader_alloc_info(ld, INFO_SIZE, PAGE_SIZE, "the boot information");
	if (at == INVALID_GPA) {
		return -ENOSPC;
	}
	(void)memset(&block, 0, sizeof(block));
	block.gpa = (uint32_t)at;
	if (header->version == 1U) {
		build_mb1(ld);
	} else {
		build_mb2(ld, header, load_base);
	}
	if (block.full) {
		return vm_loader_refuse(ld,
			"its boot information needs more than %u bytes; shorten command line or module strings",
			INFO_SIZE);
	}
	ld->regs.gprs.rax = (header->version == 1U) ? MB1_BOOT_MAGIC : MB2_BOOT_MAGIC;
	ld->regs.gprs.rbx = at;
	return vm_loader_write(ld, at, block.bytes, block.used);
}
