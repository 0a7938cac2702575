/* SPDX-License-Identifier: BSD-3-Clause */
/* Multiboot2 tags -> struct boot_info (Multiboot2 specification 2.0, section 3). Pure: no hardware, bounds-checked. */
#include <asm/page.h>
#include <hv/multiboot2.h>
#include <lib/errno.h>
#include <lib/string.h>

enum mb2_tag_type {
	MB2_TAG_END = 0,
	MB2_TAG_CMDLINE = 1,
	MB2_TAG_LOADER = 2,
	MB2_TAG_MODULE = 3,
	MB2_TAG_MMAP = 6,
	MB2_TAG_FRAMEBUFFER = 8,
	MB2_TAG_EFI64 = 12,
	MB2_TAG_ACPI_OLD = 14,
	MB2_TAG_ACPI_NEW = 15,
};

struct mb2_tag {
	uint32_t type;
	uint32_t size; /* with this header, without the padding to 8 */
};

struct mb2_mmap_entry {
	uint64_t base;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

struct mb2_framebuffer {
	uint64_t base;
	uint32_t pitch, width, height;
	uint8_t bpp, type;
	uint16_t reserved;
	uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size; /* type 1 only */
};

#define MB2_HEADER     8U
#define MB2_ENTRIES_AT 8U /* in the body of a memory map tag, after entry size and version */
#define FB_BODY_MIN    24U
#define FB_BODY_RGB    30U
#define FB_RGB         1U
#define FB_TEXT        2U
#define RSDP_OLD_SIZE  20U

/* Copies a string of at most `len` bytes that may lack its end. */
static void copy_string(char *dst, size_t size, const uint8_t *src, size_t len)
{
	size_t n = 0U;

	while (n < len && n + 1U < size && src[n] != 0U) {
		dst[n] = (char)src[n];
		n++;
	}
	dst[n] = '\0';
}

static int32_t parse_module(const uint8_t *body, size_t len, struct boot_info *out)
{
	struct boot_module *module = &out->modules[out->module_count];
	uint32_t start;
	uint32_t end;

	if (len < 8U) {
		return 0;
	}
	if (out->module_count == BOOT_MAX_MODULES) {
		return -E2BIG;
	}
	(void)memcpy(&start, body, sizeof(start));
	(void)memcpy(&end, body + 4U, sizeof(end));
	if (end < start) {
		return 0;
	}
	module->base = start;
	module->size = (uint64_t)end - start;
	copy_string(module->string, sizeof(module->string), body + 8U, len - 8U);
	out->module_count++;
	return 0;
}

/* Stronger kinds win where ranges overlap: nothing that any entry calls unusable is ever used as RAM. */
static uint32_t strength(uint32_t type)
{
	switch (type) {
	case MEM_RAM:
		return 0U;
	case MEM_ACPI_RECLAIM:
		return 1U;
	case MEM_ACPI_NVS:
		return 2U;
	case MEM_UNUSABLE:
		return 4U;
	default:
		return 3U;
	}
}

/* Removes [base, end) from the ranges; a range around it becomes two. @return false if there is no room */
static bool cut(struct boot_info *out, uint64_t base, uint64_t end)
{
	for (uint32_t i = 0U; i < out->range_count; i++) {
		struct mem_range *range = &out->ranges[i];
		const uint64_t range_end = range->base + range->size;

		if (range->base >= end || range_end <= base) {
			continue;
		}
		if (range->base < base && range_end > end) {
			if (out->range_count == BOOT_MAX_RANGES) {
				return false;
			}
			out->ranges[out->range_count] =
				(struct mem_range){.base = end, .size = range_end - end, .type = range->type};
			out->range_count++;
			range->size = base - range->base;
		} else if (range->base < base) {
			range->size = base - range->base;
		} else if (range_end > end) {
			range->base = end;
			range->size = range_end - end;
		} else {
			*range = out->ranges[--out->range_count];
			i--;
		}
	}
	return true;
}

/* Adds one range of strength `level`, if it has it, rounded to pages: RAM inwards, all else outwards. */
static bool add_range(struct boot_info *out, const struct mb2_mmap_entry *entry, uint32_t level)
{
	uint64_t base = entry->base;
	uint64_t end;
	const uint32_t type = (entry->type >= MEM_RAM && entry->type <= MEM_UNUSABLE) ? entry->type : MEM_RESERVED;

	if (strength(type) != level || __builtin_add_overflow(entry->base, entry->size, &end) ||
		end > UINT64_MAX - PAGE_SIZE) {
		return true; /* wraps: nonsense */
	}
	base = type == MEM_RAM ? round_up(base, PAGE_SIZE) : round_down(base, PAGE_SIZE);
	end = type == MEM_RAM ? round_down(end, PAGE_SIZE) : round_up(end, PAGE_SIZE);
	if (entry->size == 0UL || base >= end) {
		return true;
	}
	if (!cut(out, base, end) || out->range_count == BOOT_MAX_RANGES) {
		return false;
	}
	out->ranges[out->range_count++] = (struct mem_range){.base = base, .size = end - base, .type = type};
	return true;
}

static void sort_and_join(struct boot_info *out)
{
	uint32_t kept = 0U;

	for (uint32_t i = 1U; i < out->range_count; i++) {
		const struct mem_range range = out->ranges[i];
		uint32_t at = i;

		while (at > 0U && out->ranges[at - 1U].base > range.base) {
			out->ranges[at] = out->ranges[at - 1U];
			at--;
		}
		out->ranges[at] = range;
	}
	for (uint32_t i = 1U; i < out->range_count; i++) {
		struct mem_range *last = &out->ranges[kept];
		const struct mem_range range = out->ranges[i];

		if (last->type == range.type && last->base + last->size == range.base) {
			last->size += range.size;
		} else {
			out->ranges[++kept] = range;
		}
	}
	out->range_count = out->range_count != 0U ? kept + 1U : 0U;
}

static int32_t parse_mmap(const uint8_t *body, size_t len, struct boot_info *out)
{
	uint32_t entry_size;
	int32_t ret = 0;

	if (len < MB2_ENTRIES_AT) {
		return 0;
	}
	(void)memcpy(&entry_size, body, sizeof(entry_size));
	if (entry_size < sizeof(struct mb2_mmap_entry)) {
		return 0;
	}
	out->range_count = 0U; /* a second map replaces the first */
	for (uint32_t level = 0U; level <= strength(MEM_UNUSABLE); level++) {
		for (size_t at = MB2_ENTRIES_AT; at + entry_size <= len; at += entry_size) {
			struct mb2_mmap_entry entry;

			(void)memcpy(&entry, body + at, sizeof(entry));
			if (!add_range(out, &entry, level)) {
				ret = -E2BIG;
			}
		}
	}
	sort_and_join(out);
	return ret;
}

static void parse_framebuffer(const uint8_t *body, size_t len, struct boot_framebuffer *fb)
{
	struct mb2_framebuffer tag;

	(void)memset(&tag, 0, sizeof(tag));
	if (len < FB_BODY_MIN - 1U) {
		return;
	}
	(void)memcpy(&tag, body, MIN(len, sizeof(tag)));
	if (tag.type == FB_TEXT) {
		fb->is_text = true;
	} else if (tag.type != FB_RGB || len < FB_BODY_RGB || tag.bpp > 32U || tag.red_pos > 24U ||
		tag.green_pos > 24U || tag.blue_pos > 24U) {
		return; /* palette modes are not drawn on */
	}
	if (tag.width > 0x10000U || tag.height > 0x10000U || tag.pitch > 0x100000U ||
		(uint64_t)tag.width * (fb->is_text ? 2U : (tag.bpp + 7U) / 8U) > tag.pitch) {
		fb->is_text = false;
		return;
	}
	fb->base = tag.base;
	fb->width = tag.width;
	fb->height = tag.height;
	fb->pitch = tag.pitch;
	fb->bpp = tag.bpp;
	fb->red_pos = tag.red_pos;
	fb->green_pos = tag.green_pos;
	fb->blue_pos = tag.blue_pos;
}

static int32_t parse_tag(const struct mb2_tag *tag, const uint8_t *body, size_t len, struct boot_info *out)
{
	switch (tag->type) {
	case MB2_TAG_CMDLINE:
		copy_string(out->cmdline, sizeof(out->cmdline), body, len);
		break;
	case MB2_TAG_LOADER:
		copy_string(out->loader, sizeof(out->loader), body, len);
		break;
	case MB2_TAG_MODULE:
		return parse_module(body, len, out);
	case MB2_TAG_MMAP:
		return parse_mmap(body, len, out);
	case MB2_TAG_FRAMEBUFFER:
		parse_framebuffer(body, len, &out->fb);
		break;
	case MB2_TAG_EFI64:
		if (len >= sizeof(uint64_t)) {
			(void)memcpy(&out->efi_system_table, body, sizeof(uint64_t));
		}
		break;
	case MB2_TAG_ACPI_OLD:
		if (len >= RSDP_OLD_SIZE && out->rsdp == 0UL) {
			out->rsdp = hva_to_hpa(body);
		}
		break;
	case MB2_TAG_ACPI_NEW:
		if (len >= RSDP_OLD_SIZE) {
			out->rsdp = hva_to_hpa(body);
		}
		break;
	default:
		break;
	}
	return 0;
}

int32_t multiboot2_parse(const void *info, size_t max, struct boot_info *out)
{
	const uint8_t *bytes = info;
	uint32_t total;
	int32_t ret = 0;
	bool has_ram = false;

	(void)memset(out, 0, sizeof(*out));
	if (max < MB2_HEADER) {
		return -EINVAL;
	}
	(void)memcpy(&total, bytes, sizeof(total));
	if (total < MB2_HEADER || total > max) {
		return -EINVAL;
	}
	for (size_t at = MB2_HEADER; at + sizeof(struct mb2_tag) <= total;) {
		struct mb2_tag tag;
		int32_t tag_ret;

		(void)memcpy(&tag, bytes + at, sizeof(tag));
		if (tag.type == MB2_TAG_END) {
			break;
		}
		if (tag.size < sizeof(tag) || tag.size > total - at) {
			return -EINVAL;
		}
		tag_ret = parse_tag(&tag, bytes + at + sizeof(tag), tag.size - sizeof(tag), out);
		ret = tag_ret != 0 ? tag_ret : ret;
		at += (size_t)round_up(tag.size, 8UL);
	}
	for (uint32_t i = 0U; i < out->range_count; i++) {
		has_ram = has_ram || out->ranges[i].type == MEM_RAM;
	}
	return has_ram ? ret : -ENOENT;
}
