/* SPDX-License-Identifier: BSD-3-Clause */
/* Multiboot headers of guests' images. The bytes are hostile: each field is fetched with its bounds. */
#include <hv/vm_multiboot.h>
#include <lib/errno.h>
#include <lib/string.h>

#define MB1_MAGIC        0x1BADB002U
#define MB1_PAGE_ALIGN   0x1U
#define MB1_MEMORY       0x2U
#define MB1_VIDEO        0x4U
#define MB1_REQUIRED     0xFFFFU /* flags that a loader must understand or refuse */
#define MB1_ADDRESSES    0x10000U
#define MB1_BASE_SIZE    12U
#define MB1_ADDRESS_SIZE 32U

#define MB2_MAGIC     0xE85250D6U
#define MB2_ARCH_I386 0U
#define MB2_BASE_SIZE 16U
#define MB2_OPTIONAL  0x1U

enum mb2_header_tag {
	MB2_HTAG_END = 0,
	MB2_HTAG_INFO_REQUEST = 1,
	MB2_HTAG_ADDRESS = 2,
	MB2_HTAG_ENTRY = 3,
	MB2_HTAG_CONSOLE = 4,
	MB2_HTAG_FRAMEBUFFER = 5,
	MB2_HTAG_MODULE_ALIGN = 6,
	MB2_HTAG_EFI_SERVICES = 7,
	MB2_HTAG_EFI32_ENTRY = 8,
	MB2_HTAG_EFI64_ENTRY = 9,
	MB2_HTAG_RELOCATABLE = 10,
};

static uint32_t get32(const uint8_t *bytes, size_t at)
{
	uint32_t value;

	(void)memcpy(&value, bytes + at, sizeof(value));
	return value;
}

static uint16_t get16(const uint8_t *bytes, size_t at)
{
	uint16_t value;

	(void)memcpy(&value, bytes + at, sizeof(value));
	return value;
}

/* ---- Multiboot 1 ---- */

static int32_t parse_mb1(const uint8_t *bytes, size_t len, size_t at, struct multiboot_header *out, const char **why)
{
	const uint32_t flags = get32(bytes, at + 4U);

	out->version = 1U;
	out->at = (uint32_t)at;
	if ((flags & MB1_VIDEO) != 0U) {
		*why = "its multiboot header demands a video mode (flag 2), which is not offered; clear the flag";
		return -EINVAL;
	}
	if ((flags & MB1_REQUIRED & ~(MB1_PAGE_ALIGN | MB1_MEMORY)) != 0U) {
		*why = "its multiboot header sets required flags that nobody has defined; clear bits 3-15";
		return -EINVAL;
	}
	if ((flags & MB1_ADDRESSES) == 0U) {
		return 0;
	}
	if (len - at < MB1_ADDRESS_SIZE) {
		*why = "its multiboot header is cut off before the address fields";
		return -EINVAL;
	}
	out->has_address = true;
	out->header_addr = get32(bytes, at + 12U);
	out->load_addr = get32(bytes, at + 16U);
	out->load_end = get32(bytes, at + 20U);
	out->bss_end = get32(bytes, at + 24U);
	out->has_entry = true;
	out->entry = get32(bytes, at + 28U);
	return 0;
}

static bool is_mb1(const uint8_t *bytes, size_t at)
{
	return (get32(bytes, at) == MB1_MAGIC) &&
		(get32(bytes, at) + get32(bytes, at + 4U) + get32(bytes, at + 8U) == 0U);
}

/* ---- Multiboot 2 ---- */

/* What multiboot_write_info() gives: the tag types of the information structure. */
static bool info_is_offered(uint32_t type)
{
	switch (type) {
	case 1U: /* command line */
	case 2U: /* boot loader name */
	case 3U: /* modules */
	case 4U: /* basic memory information */
	case 6U: /* memory map */
		return true;
	default:
		return false;
	}
}

static int32_t check_requests(const uint8_t *tag, uint32_t size, const char **why)
{
	for (uint32_t at = 8U; at + 4U <= size; at += 4U) {
		if (!info_is_offered(get32(tag, at))) {
			*why = "its multiboot2 header demands information that cannot be promised; mark the request "
			       "optional";
			return -EINVAL;
		}
	}
	return 0;
}

static int32_t parse_relocatable(const uint8_t *tag, struct multiboot_header *out, const char **why)
{
	out->relocatable = true;
	out->reloc_min = get32(tag, 8U);
	out->reloc_max = get32(tag, 12U);
	out->reloc_align = get32(tag, 16U);
	if ((out->reloc_align == 0U) || ((out->reloc_align & (out->reloc_align - 1U)) != 0U) ||
		(out->reloc_min > out->reloc_max)) {
		*why = "its multiboot2 relocatable tag has an alignment that is not a power of two, or min above max";
		return -EINVAL;
	}
	return 0;
}

static uint32_t tag_min_size(uint16_t type)
{
	switch (type) {
	case MB2_HTAG_ADDRESS:
	case MB2_HTAG_RELOCATABLE:
		return 24U;
	case MB2_HTAG_ENTRY:
		return 12U;
	default:
		return 8U;
	}
}

static int32_t parse_mb2_tag(const uint8_t *tag, uint32_t size, struct multiboot_header *out, const char **why)
{
	const uint16_t type = get16(tag, 0U);
	const bool optional = (get16(tag, 2U) & MB2_OPTIONAL) != 0U;

	if (size < tag_min_size(type)) {
		*why = "a tag of its multiboot2 header is too short";
		return -EINVAL;
	}
	switch (type) {
	case MB2_HTAG_INFO_REQUEST:
		return optional ? 0 : check_requests(tag, size, why);
	case MB2_HTAG_ADDRESS:
		out->has_address = true;
		out->header_addr = get32(tag, 8U);
		out->load_addr = get32(tag, 12U);
		out->load_end = get32(tag, 16U);
		out->bss_end = get32(tag, 20U);
		return 0;
	case MB2_HTAG_ENTRY:
		out->has_entry = true;
		out->entry = get32(tag, 8U);
		return 0;
	case MB2_HTAG_CONSOLE:      /* there is a serial console; a screen is promised to nobody */
	case MB2_HTAG_MODULE_ALIGN: /* always so */
	case MB2_HTAG_EFI32_ENTRY:  /* not entered from EFI */
	case MB2_HTAG_EFI64_ENTRY:
		return 0;
	case MB2_HTAG_RELOCATABLE:
		return parse_relocatable(tag, out, why);
	default:
		break; /* a video mode, EFI boot services, or unknown */
	}
	if (!optional) {
		*why = "its multiboot2 header demands a video mode, EFI boot services or something unknown; mark the "
		       "tag optional";
		return -EINVAL;
	}
	return 0;
}

static int32_t parse_mb2(const uint8_t *bytes, size_t len, size_t at, struct multiboot_header *out, const char **why)
{
	const uint32_t header_len = get32(bytes, at + 8U);
	uint32_t pos = MB2_BASE_SIZE;

	out->version = 2U;
	out->at = (uint32_t)at;
	if ((get32(bytes, at + 4U) != MB2_ARCH_I386) || (header_len < MB2_BASE_SIZE) || (header_len > len - at)) {
		*why = "its multiboot2 header is for another architecture, or longer than 32 KiB";
		return -EINVAL;
	}
	while (header_len - pos >= 8U) {
		const uint8_t *tag = bytes + at + pos;
		const uint32_t size = get32(tag, 4U);
		int32_t ret;

		if ((get16(tag, 0U) == MB2_HTAG_END) && (size == 8U)) {
			return 0;
		}
		if ((size < 8U) || (size > header_len - pos)) {
			*why = "a tag of its multiboot2 header has an impossible size";
			return -EINVAL;
		}
		ret = parse_mb2_tag(tag, size, out, why);
		if (ret != 0) {
			return ret;
		}
		pos += (uint32_t)MIN(round_up(size, 8UL), (uint64_t)(header_len - pos));
	}
	*why = "its multiboot2 header has no end tag";
	return -EINVAL;
}

static bool is_mb2(const uint8_t *bytes, size_t at)
{
	return (get32(bytes, at) == MB2_MAGIC) &&
		(get32(bytes, at) + get32(bytes, at + 4U) + get32(bytes, at + 8U) + get32(bytes, at + 12U) == 0U);
}

int32_t multiboot_find_header(const uint8_t *bytes, size_t len, struct multiboot_header *out, const char **why)
{
	const size_t len2 = MIN(len, (size_t)MULTIBOOT2_SEARCH);
	const size_t len1 = MIN(len, (size_t)MULTIBOOT1_SEARCH);

	(void)memset(out, 0, sizeof(*out));
	for (size_t at = 0U; at + MB2_BASE_SIZE <= len2; at += 8U) {
		if (is_mb2(bytes, at)) {
			return parse_mb2(bytes, len2, at, out, why);
		}
	}
	for (size_t at = 0U; at + MB1_BASE_SIZE <= len1; at += 4U) {
		if (is_mb1(bytes, at)) {
			return parse_mb1(bytes, len1, at, out, why);
		}
	}
	*why = "there is no multiboot header in its first 8 KiB nor a multiboot2 header in its first 32 KiB; link it "
	       "to the front";
	return -ENOENT;
}
