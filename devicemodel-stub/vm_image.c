/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads a kernel into a User VM's memory: Linux by the 32-bit boot protocol (Linux's
 * Documentation/x86/boot.rst and zero-page.rst), or a multiboot1 ELF (Multiboot Specification 0.6.96).
 */
#include "vm_image.h"

#include <lib/string.h>

/* Guest-physical places below 640 KiB; the same for both kinds of kernel. */
#define GDT_GPA       0x1000UL
#define ZERO_PAGE_GPA 0x10000UL
#define MB_INFO_GPA   0x20000UL
#define CMDLINE_GPA   0x30000UL
#define STACK_TOP_GPA 0x9000UL
#define RAM_640K      0xA0000UL
#define BIOS_AREA     0xE0000UL
#define RAM_1M        0x100000UL
#define MODULE_ALIGN  0x1000UL

#define LINUX_CS     0x10U /* Linux wants data at 0x18 */
#define MULTIBOOT_CS 0x08U
#define CR0_START    0x31UL /* PE, ET, NE */

#define E820_RAM      1U
#define E820_RESERVED 2U

struct e820_entry {
	uint64_t base, size;
	uint32_t type;
};

#define E820_MAX 5U

const char *vm_image_error_text(enum vm_image_error error)
{
	switch (error) {
	case VM_IMAGE_OK:
		return "no error";
	case VM_IMAGE_NOT_A_KERNEL:
		return "the kernel is neither a Linux bzImage nor an ELF file with a multiboot1 header";
	case VM_IMAGE_TRUNCATED:
		return "the kernel file ends before what its headers promise; copy it again";
	case VM_IMAGE_TOO_OLD:
		return "the kernel's boot protocol is too old; Linux 2.6.24 or later as bzImage is needed";
	case VM_IMAGE_BAD_ELF:
		return "the ELF kernel is not an x86 executable that can be entered in 32-bit mode";
	case VM_IMAGE_NO_ROOM:
		return "kernel and RAM disk do not fit into the VM's memory; give it more";
	case VM_IMAGE_BAD_PARAMETER:
		return "impossible memory size, number of CPUs or number of modules";
	case VM_IMAGE_CMDLINE_LONG:
		return "the command line is longer than the kernel takes";
	}
	return "unknown error";
}

static uint64_t get(const uint8_t *at, uint32_t size)
{
	uint64_t value = 0UL;

	for (uint32_t i = 0; i < size; i++) {
		value |= (uint64_t)at[i] << (8U * i);
	}
	return value;
}

static void put(uint8_t *at, uint64_t value, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		at[i] = (uint8_t)(value >> (8U * i));
	}
}

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1UL) & ~(align - 1UL);
}

static uint32_t memory_map(const struct vm_image *image, struct e820_entry *map)
{
	uint32_t n = 0U;

	map[n++] = (struct e820_entry){0UL, RAM_640K, E820_RAM};
	map[n++] = (struct e820_entry){BIOS_AREA, RAM_1M - BIOS_AREA, E820_RESERVED};
	map[n++] = (struct e820_entry){RAM_1M, image->ram_low - RAM_1M, E820_RAM};
	if (image->ram_high != 0UL) {
		map[n++] = (struct e820_entry){VM_IMAGE_RAM_HIGH, image->ram_high, E820_RAM};
	}
	return n;
}

/* Copies `text` to CMDLINE_GPA. */
static enum vm_image_error put_cmdline(const struct vm_image *image, uint64_t limit)
{
	const char *text = (image->cmdline != NULL) ? image->cmdline : "";
	size_t length = strlen(text);
	char *at;

	if (length >= VM_IMAGE_CMDLINE_MAX || length > limit) {
		return VM_IMAGE_CMDLINE_LONG;
	}
	at = image->map(image->ctx, CMDLINE_GPA, length + 1U);
	if (at == NULL) {
		return VM_IMAGE_NO_ROOM;
	}
	memcpy(at, text, length + 1U);
	return VM_IMAGE_OK;
}

/* A flat 32-bit code segment at `code_sel` and a data segment behind it. */
static enum vm_image_error put_gdt(const struct vm_image *image, struct vm_entry *entry, uint16_t code_sel)
{
	uint8_t *gdt = image->map(image->ctx, GDT_GPA, 64UL);

	if (gdt == NULL) {
		return VM_IMAGE_NO_ROOM;
	}
	memset(gdt, 0, 64);
	put(gdt + code_sel, 0x00CF9B000000FFFFUL, 8U);
	put(gdt + code_sel + 8U, 0x00CF93000000FFFFUL, 8U);
	memset(entry, 0, sizeof(*entry));
	entry->gdt_base = GDT_GPA;
	entry->gdt_limit = 31U;
	entry->cs_sel = code_sel;
	entry->data_sel = code_sel + 8U;
	entry->cs_ar = 0xC09BU; /* VMX access rights: bits 11:8 are reserved (SDM vol. 3, 25.4.1) */
	entry->cr0 = CR0_START;
	entry->rsp = STACK_TOP_GPA;
	return VM_IMAGE_OK;
}

/* ---- Linux ---- */

#define HDR_SETUP_SECTS  0x1F1U
#define HDR_JUMP         0x200U
#define HDR_MAGIC        0x202U
#define HDR_VERSION      0x206U
#define HDR_LOADER       0x210U
#define HDR_LOADFLAGS    0x211U
#define HDR_RAMDISK      0x218U
#define HDR_RAMDISK_SIZE 0x21CU
#define HDR_CMDLINE      0x228U
#define HDR_INITRD_MAX   0x22CU
#define HDR_RELOCATABLE  0x234U
#define HDR_CMDLINE_SIZE 0x238U
#define HDR_PREF_ADDRESS 0x258U
#define HDR_INIT_SIZE    0x260U
#define HDR_END_MIN      0x264U

#define ZP_ACPI_RSDP    0x070U
#define ZP_E820_ENTRIES 0x1E8U
#define ZP_E820_TABLE   0x2D0U
#define ZP_ALT_MEM_K    0x1E0U

#define LOADFLAGS_HIGH    0x01U
#define LINUX_DEFAULT_GPA RAM_1M

struct linux_plan {
	uint32_t version;
	uint64_t setup_bytes; /* boot sector and setup code in the file */
	uint64_t load_gpa;
	uint64_t end_gpa; /* of what the kernel needs while it unpacks itself */
	uint64_t cmdline_limit;
	uint64_t initrd_max; /* last byte that the RAM disk may have */
};

static enum vm_image_error linux_plan(const struct vm_image *image, struct linux_plan *plan)
{
	const uint8_t *h = image->kernel.data;
	uint64_t size = image->kernel.size;
	uint32_t sects = h[HDR_SETUP_SECTS];
	uint64_t init_size;

	plan->version = (uint32_t)get(h + HDR_VERSION, 2U);
	if (plan->version < 0x206U || (h[HDR_LOADFLAGS] & LOADFLAGS_HIGH) == 0U) {
		return VM_IMAGE_TOO_OLD;
	}
	plan->setup_bytes = ((sects == 0U) ? 4UL : (uint64_t)sects) * 512UL + 512UL;
	if (plan->setup_bytes >= size) {
		return VM_IMAGE_TRUNCATED;
	}
	plan->cmdline_limit = get(h + HDR_CMDLINE_SIZE, 4U);
	plan->initrd_max = get(h + HDR_INITRD_MAX, 4U);
	plan->load_gpa = LINUX_DEFAULT_GPA;
	init_size = size - plan->setup_bytes;
	if (plan->version >= 0x20AU) {
		init_size = get(h + HDR_INIT_SIZE, 4U);
		if (init_size < size - plan->setup_bytes) {
			init_size = size - plan->setup_bytes;
		}
		if (h[HDR_RELOCATABLE] != 0U || get(h + HDR_PREF_ADDRESS, 8U) >= RAM_1M) {
			plan->load_gpa = get(h + HDR_PREF_ADDRESS, 8U);
		}
	}
	if (plan->load_gpa < RAM_1M || plan->load_gpa >= image->ram_low ||
		init_size > image->ram_low - plan->load_gpa) {
		return VM_IMAGE_NO_ROOM;
	}
	plan->end_gpa = plan->load_gpa + init_size;
	return VM_IMAGE_OK;
}

/* The RAM disk as high as it may be. */
static enum vm_image_error linux_initrd(const struct vm_image *image, const struct linux_plan *plan, uint8_t *zp)
{
	const struct vm_image_file *rd = &image->modules[0];
	uint64_t top = image->ram_low;
	uint64_t gpa;
	void *at;

	if (image->module_count == 0U || rd->size == 0UL) {
		return VM_IMAGE_OK;
	}
	if (top > plan->initrd_max + 1UL) {
		top = plan->initrd_max + 1UL;
	}
	if (rd->size > top || ((top - rd->size) & ~(MODULE_ALIGN - 1UL)) < plan->end_gpa) {
		return VM_IMAGE_NO_ROOM;
	}
	gpa = (top - rd->size) & ~(MODULE_ALIGN - 1UL);
	at = image->map(image->ctx, gpa, rd->size);
	if (at == NULL) {
		return VM_IMAGE_NO_ROOM;
	}
	memcpy(at, rd->data, rd->size);
	put(zp + HDR_RAMDISK, gpa, 4U);
	put(zp + HDR_RAMDISK_SIZE, rd->size, 4U);
	return VM_IMAGE_OK;
}

static void linux_zero_page(const struct vm_image *image, uint8_t *zp)
{
	const uint8_t *h = image->kernel.data;
	struct e820_entry map[E820_MAX];
	uint32_t count = memory_map(image, map);
	uint32_t header_end = HDR_MAGIC + h[HDR_JUMP + 1U];

	if (header_end > ZP_E820_TABLE) {
		header_end = ZP_E820_TABLE;
	}
	memset(zp, 0, 4096);
	memcpy(zp + HDR_SETUP_SECTS, h + HDR_SETUP_SECTS, header_end - HDR_SETUP_SECTS);
	zp[HDR_LOADER] = 0xFFU; /* no number of our own */
	put(zp + HDR_CMDLINE, CMDLINE_GPA, 4U);
	put(zp + HDR_RAMDISK, 0U, 4U);
	put(zp + HDR_RAMDISK_SIZE, 0U, 4U);
	put(zp + ZP_ACPI_RSDP, VM_IMAGE_RSDP, 8U);
	put(zp + ZP_ALT_MEM_K, (image->ram_low - RAM_1M) >> 10U, 4U);
	zp[ZP_E820_ENTRIES] = (uint8_t)count;
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *e = zp + ZP_E820_TABLE + 20U * i;

		put(e, map[i].base, 8U);
		put(e + 8, map[i].size, 8U);
		put(e + 16, map[i].type, 4U);
	}
}

static enum vm_image_error linux_load(const struct vm_image *image, struct vm_entry *entry)
{
	const uint8_t *file = image->kernel.data;
	struct linux_plan plan;
	enum vm_image_error error = linux_plan(image, &plan);
	uint64_t body;
	uint8_t *zp, *at;

	if (error != VM_IMAGE_OK) {
		return error;
	}
	body = image->kernel.size - plan.setup_bytes;
	at = image->map(image->ctx, plan.load_gpa, body);
	zp = image->map(image->ctx, ZERO_PAGE_GPA, 4096UL);
	if (at == NULL || zp == NULL) {
		return VM_IMAGE_NO_ROOM;
	}
	memcpy(at, file + plan.setup_bytes, body);
	linux_zero_page(image, zp);
	error = linux_initrd(image, &plan, zp);
	if (error == VM_IMAGE_OK) {
		error = put_cmdline(image, plan.cmdline_limit);
	}
	if (error == VM_IMAGE_OK) {
		error = put_gdt(image, entry, LINUX_CS);
	}
	entry->rip = plan.load_gpa;
	entry->rsi = ZERO_PAGE_GPA;
	return error;
}

/* ---- Multiboot1 ELF ---- */

#define MB_MAGIC        0x1BADB002U
#define MB_SEARCH       8192U
#define MB_BOOT_MAGIC   0x2BADB002U
#define MB_FLAG_AOUT    0x10000U
#define MB_MUST_KNOW    0xFFFFU
#define MB_KNOWN        0x0003U
#define MB_INFO_MEMORY  0x001U
#define MB_INFO_CMDLINE 0x004U
#define MB_INFO_MODS    0x008U
#define MB_INFO_MMAP    0x040U
#define MB_INFO_LOADER  0x200U

#define ELF_MACHINE_386   3U
#define ELF_MACHINE_AMD64 62U
#define ELF_PT_LOAD       1U

static bool multiboot_header(const struct vm_image_file *file)
{
	const uint8_t *p = file->data;

	for (uint64_t i = 0; i + 12UL <= file->size && i + 12UL <= MB_SEARCH; i += 4UL) {
		uint32_t flags = (uint32_t)get(p + i + 4, 4U);

		if (get(p + i, 4U) == MB_MAGIC && (uint32_t)(MB_MAGIC + flags + (uint32_t)get(p + i + 8, 4U)) == 0U) {
			return (flags & MB_MUST_KNOW & ~MB_KNOWN) == 0U && (flags & MB_FLAG_AOUT) == 0U;
		}
	}
	return false;
}

/* One PT_LOAD segment. */
static enum vm_image_error elf_segment(
	const struct vm_image *image, uint64_t offset, uint64_t paddr, uint64_t filesz, uint64_t memsz, uint64_t *top)
{
	const uint8_t *file = image->kernel.data;
	uint8_t *at;

	if (memsz == 0UL) {
		return VM_IMAGE_OK;
	}
	if (filesz > memsz || memsz > image->ram_low || paddr > image->ram_low - memsz) {
		return VM_IMAGE_NO_ROOM;
	}
	if (paddr < RAM_1M) {
		return VM_IMAGE_NO_ROOM; /* our own tables are down there */
	}
	if (offset > image->kernel.size || filesz > image->kernel.size - offset) {
		return VM_IMAGE_TRUNCATED;
	}
	at = image->map(image->ctx, paddr, memsz);
	if (at == NULL) {
		return VM_IMAGE_NO_ROOM;
	}
	memcpy(at, file + offset, filesz);
	memset(at + filesz, 0, memsz - filesz);
	if (paddr + memsz > *top) {
		*top = paddr + memsz;
	}
	return VM_IMAGE_OK;
}

static enum vm_image_error elf_load(const struct vm_image *image, uint64_t *entry_gpa, uint64_t *top)
{
	const uint8_t *f = image->kernel.data;
	bool wide = f[4] == 2U;
	uint64_t phoff = wide ? get(f + 32, 8U) : get(f + 28, 4U);
	uint32_t phentsize = (uint32_t)get(f + (wide ? 54 : 42), 2U);
	uint32_t phnum = (uint32_t)get(f + (wide ? 56 : 44), 2U);
	uint64_t machine = get(f + 18, 2U);

	if ((f[4] != 1U && !wide) || f[5] != 1U || (machine != ELF_MACHINE_386 && machine != ELF_MACHINE_AMD64) ||
		phentsize < (wide ? 56U : 32U)) {
		return VM_IMAGE_BAD_ELF;
	}
	if (phoff > image->kernel.size || (uint64_t)phnum * phentsize > image->kernel.size - phoff) {
		return VM_IMAGE_TRUNCATED;
	}
	for (uint32_t i = 0; i < phnum; i++) {
		const uint8_t *ph = f + phoff + (uint64_t)i * phentsize;
		enum vm_image_error error;

		if (get(ph, 4U) != ELF_PT_LOAD) {
			continue;
		}
		error = wide
			? elf_segment(image, get(ph + 8, 8U), get(ph + 24, 8U), get(ph + 32, 8U), get(ph + 40, 8U), top)
			: elf_segment(
				  image, get(ph + 4, 4U), get(ph + 12, 4U), get(ph + 16, 4U), get(ph + 20, 4U), top);
		if (error != VM_IMAGE_OK) {
			return error;
		}
	}
	*entry_gpa = wide ? get(f + 24, 8U) : get(f + 24, 4U);
	return (*top != 0UL && *entry_gpa < *top) ? VM_IMAGE_OK : VM_IMAGE_BAD_ELF;
}

/*
 * The information block: header at 0, memory map at 0x100, module list at 0x200, loader's name at 0x300, module
 * strings from 0x400, 256 bytes each.
 */
static enum vm_image_error multiboot_info(const struct vm_image *image, uint64_t top)
{
	uint8_t *info = image->map(image->ctx, MB_INFO_GPA, 0x1000UL);
	struct e820_entry map[E820_MAX];
	uint32_t count = memory_map(image, map);

	if (info == NULL) {
		return VM_IMAGE_NO_ROOM;
	}
	memset(info, 0, 0x1000);
	put(info, MB_INFO_MEMORY | MB_INFO_CMDLINE | MB_INFO_MODS | MB_INFO_MMAP | MB_INFO_LOADER, 4U);
	put(info + 4, RAM_640K >> 10U, 4U);
	put(info + 8, (image->ram_low - RAM_1M) >> 10U, 4U);
	put(info + 16, CMDLINE_GPA, 4U);
	put(info + 20, image->module_count, 4U);
	put(info + 24, MB_INFO_GPA + 0x200UL, 4U);
	put(info + 44, 24U * count, 4U);
	put(info + 48, MB_INFO_GPA + 0x100UL, 4U);
	put(info + 64, MB_INFO_GPA + 0x300UL, 4U);
	memcpy(info + 0x300, "Aril", 5);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *e = info + 0x100 + 24U * i;

		put(e, 20U, 4U);
		put(e + 4, map[i].base, 8U);
		put(e + 12, map[i].size, 8U);
		put(e + 20, map[i].type, 4U);
	}
	for (uint32_t i = 0; i < image->module_count; i++) {
		const struct vm_image_file *m = &image->modules[i];
		uint8_t *e = info + 0x200 + 16U * i;
		void *at;

		top = align_up(top, MODULE_ALIGN);
		at = (m->size <= image->ram_low) ? image->map(image->ctx, top, m->size) : NULL;
		if (at == NULL || top + m->size > image->ram_low) {
			return VM_IMAGE_NO_ROOM;
		}
		memcpy(at, m->data, m->size);
		put(e, top, 4U);
		put(e + 4, top + m->size, 4U);
		put(e + 8, MB_INFO_GPA + 0x400UL + 256UL * i, 4U);
		if (m->string != NULL) {
			size_t length = strlen(m->string);

			memcpy(info + 0x400U + 256U * i, m->string, (length < 255U) ? length : 255U);
		}
		top += m->size;
	}
	return put_cmdline(image, VM_IMAGE_CMDLINE_MAX);
}

static enum vm_image_error multiboot_load(const struct vm_image *image, struct vm_entry *entry)
{
	uint64_t entry_gpa = 0UL;
	uint64_t top = 0UL;
	enum vm_image_error error = elf_load(image, &entry_gpa, &top);

	if (error == VM_IMAGE_OK) {
		error = multiboot_info(image, top);
	}
	if (error == VM_IMAGE_OK) {
		error = put_gdt(image, entry, MULTIBOOT_CS);
	}
	if (error == VM_IMAGE_OK) {
		entry->rip = entry_gpa;
		entry->rax = MB_BOOT_MAGIC;
		entry->rbx = MB_INFO_GPA;
	}
	return error;
}

enum vm_image_error vm_image_load(const struct vm_image *image, struct vm_entry *entry)
{
	const uint8_t *f = image->kernel.data;
	enum vm_image_error error;

	if (image->module_count > VM_IMAGE_MODULES_MAX || image->ram_low < VM_IMAGE_RAM_MIN ||
		image->ram_low > VM_IMAGE_RAM_LOW_MAX || (image->ram_low & 0xFFFUL) != 0UL ||
		(image->ram_high & 0xFFFUL) != 0UL) {
		return VM_IMAGE_BAD_PARAMETER;
	}
	error = vm_image_acpi(image);
	if (error == VM_IMAGE_OK) {
		error = vm_image_smbios(image);
	}
	if (error != VM_IMAGE_OK) {
		return error;
	}
	if (image->kernel.size >= 64UL && memcmp(f, "\177ELF", 4) == 0 && multiboot_header(&image->kernel)) {
		return multiboot_load(image, entry);
	}
	if (image->kernel.size >= HDR_END_MIN + 512UL && memcmp(f + HDR_MAGIC, "HdrS", 4) == 0) {
		return linux_load(image, entry);
	}
	return VM_IMAGE_NOT_A_KERNEL;
}
