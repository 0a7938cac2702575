/* SPDX-License-Identifier: BSD-3-Clause */
/* The boot loader's tags: well-formed ones, overlapping memory maps, and rubbish. */
#include "unit.h"

#include <hv/multiboot2.h>
#include <lib/errno.h>
#include <stdlib.h>
#include <string.h>

#define INFO_MAX 8192U

static uint8_t *info;
static uint32_t used;

static void put32(uint32_t value)
{
	memcpy(info + used, &value, sizeof(value));
	used += 4U;
}

static void put64(uint64_t value)
{
	put32((uint32_t)value);
	put32((uint32_t)(value >> 32U));
}

static void begin(void)
{
	free(info);
	info = calloc(1U, INFO_MAX);
	used = 8U;
}

static void tag(uint32_t type, uint32_t body)
{
	used = (used + 7U) & ~7U;
	put32(type);
	put32(body + 8U);
}

static void mmap_entry(uint64_t base, uint64_t size, uint32_t type)
{
	put64(base);
	put64(size);
	put32(type);
	put32(0U);
}

static int32_t finish(struct boot_info *out)
{
	uint8_t *exact;
	int32_t ret;

	tag(0U, 0U);
	memcpy(info, &used, sizeof(used));
	/* In an allocation of exactly that size: one byte read beyond it is an error. */
	exact = malloc(used);
	memcpy(exact, info, used);
	ret = multiboot2_parse(exact, used, out);
	free(exact);
	return ret;
}

TEST(multiboot2_reads_tags)
{
	static struct boot_info out;

	begin();
	tag(1U, 6U);
	memcpy(info + used, "a=1 b", 6U);
	used += 6U;
	tag(3U, 8U + 10U);
	put32(0x100000U);
	put32(0x101234U);
	memcpy(info + used, "KERNEL  x", 10U);
	used += 10U;
	tag(6U, 8U + 2U * 24U);
	put32(24U);
	put32(0U);
	mmap_entry(0x100000U, 0x7F00000U, 1U);
	mmap_entry(0U, 0x9FC00U, 1U);
	tag(12U, 8U);
	put64(0x1122334455667788UL);
	EXPECT_EQ(finish(&out), 0);
	EXPECT(strcmp(out.cmdline, "a=1 b") == 0);
	EXPECT_EQ(out.module_count, 1U);
	EXPECT_EQ(out.modules[0].base, 0x100000U);
	EXPECT_EQ(out.modules[0].size, 0x1234U);
	EXPECT(strcmp(out.modules[0].string, "KERNEL  x") == 0);
	EXPECT_EQ(out.range_count, 2U);
	EXPECT_EQ(out.ranges[0].base, 0U);
	EXPECT_EQ(out.ranges[0].size, 0x9F000U); /* RAM is rounded inwards */
	EXPECT_EQ(out.ranges[1].base, 0x100000U);
	EXPECT_EQ(out.efi_system_table, 0x1122334455667788UL);
}

TEST(multiboot2_reserved_wins_over_ram)
{
	static struct boot_info out;

	begin();
	tag(6U, 8U + 4U * 24U);
	put32(24U);
	put32(0U);
	mmap_entry(0x200800U, 0x100U, 2U); /* inside the RAM, rounded outwards */
	mmap_entry(0x100000U, 0x300000U, 1U);
	mmap_entry(0x3FF000U, 0x2000U, 4U);
	mmap_entry(UINT64_MAX - 10U, 100U, 1U); /* wraps: ignored */
	EXPECT_EQ(finish(&out), 0);
	EXPECT_EQ(out.range_count, 4U);
	EXPECT_EQ(out.ranges[0].size, 0x100000U);
	EXPECT_EQ(out.ranges[1].base, 0x200000U);
	EXPECT_EQ(out.ranges[1].size, 0x1000U);
	EXPECT_EQ(out.ranges[1].type, 2U);
	EXPECT_EQ(out.ranges[2].base, 0x201000U);
	EXPECT_EQ(out.ranges[2].size, 0x3FF000U - 0x201000U);
	EXPECT_EQ(out.ranges[3].type, 4U);
}

TEST(multiboot2_framebuffer)
{
	static struct boot_info out;

	begin();
	tag(6U, 8U + 24U);
	put32(24U);
	put32(0U);
	mmap_entry(0U, 0x100000U, 1U);
	tag(8U, 30U);
	put64(0xC0000000UL);
	put32(3200U);
	put32(800U);
	put32(600U);
	info[used++] = 32U;
	info[used++] = 1U;
	used += 2U;
	memcpy(info + used, "\x10\x08\x08\x08\x00\x08", 6U);
	used += 6U;
	EXPECT_EQ(finish(&out), 0);
	EXPECT_EQ(out.fb.base, 0xC0000000UL);
	EXPECT_EQ(out.fb.red_pos, 16U);
	EXPECT_EQ(out.fb.green_pos, 8U);
	EXPECT(!out.fb.is_text);
}

TEST(multiboot2_refuses)
{
	static struct boot_info out;
	static const uint8_t none[8] __aligned(8) = {8U, 0U, 0U, 0U};
	static const uint8_t huge[16] __aligned(8) = {16U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 1U, 0U, 0U, 0U, 200U, 0U, 0U,
		0U};

	EXPECT_EQ(multiboot2_parse(none, 4U, &out), -EINVAL);
	EXPECT_EQ(multiboot2_parse(none, 8U, &out), -ENOENT);
	EXPECT_EQ(multiboot2_parse(huge, 8U, &out), -EINVAL);  /* total beyond max */
	EXPECT_EQ(multiboot2_parse(huge, 16U, &out), -EINVAL); /* tag beyond total */
}

TEST(multiboot2_rubbish)
{
	static struct boot_info out;

	for (uint32_t round = 0U; round < 20000U; round++) {
		const uint32_t size = 16U + (uint32_t)(unit_rand64() % 240U);
		uint8_t *bytes = malloc(size);

		for (uint32_t i = 0U; i < size; i++) {
			bytes[i] = (uint8_t)unit_rand64();
		}
		memcpy(bytes, &size, sizeof(size));
		/* Plausible tags in most rounds, so that their bodies are reached. */
		for (uint32_t at = 8U; round % 4U != 0U && at + 16U < size;) {
			const uint32_t type = (uint32_t)(unit_rand64() % 16U);
			const uint32_t len = 8U + (uint32_t)(unit_rand64() % 64U);

			memcpy(bytes + at, &type, sizeof(type));
			memcpy(bytes + at + 4U, &len, sizeof(len));
			if (type == 6U) {
				memcpy(bytes + at + 8U, &(uint32_t){24U}, 4U);
			}
			at += (len + 7U) & ~7U;
		}
		(void)multiboot2_parse(bytes, size, &out);
		for (uint32_t i = 1U; i < out.range_count; i++) {
			EXPECT(out.ranges[i].base >= out.ranges[i - 1U].base + out.ranges[i - 1U].size);
			EXPECT(out.ranges[i].size != 0U);
		}
		free(bytes);
	}
}
