/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory maps of VMs: overlays, limits, free places. */
#include <hv/vm_e820.h>
#include <lib/errno.h>

#include <string.h>

#include "unit.h"

static struct vm_e820 map;

static void start(void)
{
	memset(&map, 0, sizeof(map));
	EXPECT_EQ(vm_e820_set(&map, 0UL, 0xA0000UL, MEM_RAM), 0);
	EXPECT_EQ(vm_e820_set(&map, 0xF0000UL, 0x10000UL, MEM_RESERVED), 0);
	EXPECT_EQ(vm_e820_set(&map, 0x100000UL, 0x3F00000UL, MEM_RAM), 0);
}

/* The type of each page by the map, 0: none. */
static uint32_t type_at(gpa_t gpa)
{
	for (uint32_t i = 0U; i < map.count; i++) {
		if ((gpa >= map.range[i].base) && (gpa - map.range[i].base < map.range[i].size)) {
			return map.range[i].type;
		}
	}
	return 0U;
}

static void expect_sane(void)
{
	for (uint32_t i = 0U; i < map.count; i++) {
		EXPECT(map.range[i].size != 0UL);
		if (i != 0U) {
			const struct mem_range *last = &map.range[i - 1U];

			EXPECT(last->base + last->size <= map.range[i].base);
			EXPECT((last->base + last->size < map.range[i].base) || (last->type != map.range[i].type));
		}
	}
}

TEST(vm_e820_overlay_splits_and_joins)
{
	start();
	EXPECT_EQ(map.count, 3);
	EXPECT_EQ(vm_e820_set(&map, 0x800000UL, 0x200000UL, MEM_RESERVED), 0);
	EXPECT_EQ(map.count, 5);
	EXPECT(!vm_e820_is_ram(&map, 0x7FFFFFUL, 2UL));
	EXPECT(vm_e820_is_ram(&map, 0x7FFFFFUL, 1UL));
	EXPECT_EQ(vm_e820_ram_from(&map, 0x100000UL), 0x700000);
	EXPECT_EQ(vm_e820_set(&map, 0x800000UL, 0x200000UL, MEM_RAM), 0);
	EXPECT_EQ(map.count, 3);
	EXPECT_EQ(vm_e820_ram_from(&map, 0x100000UL), 0x3F00000);
}

TEST(vm_e820_hole)
{
	start();
	EXPECT_EQ(vm_e820_set(&map, 0x800000UL, 0x200000UL, MEM_NONE), 0);
	EXPECT_EQ(map.count, 4);
	expect_sane();
	EXPECT_EQ(type_at(0x7FFFFFUL), MEM_RAM);
	EXPECT_EQ(type_at(0x800000UL), 0);
	EXPECT_EQ(type_at(0x9FFFFFUL), 0);
	EXPECT_EQ(type_at(0xA00000UL), MEM_RAM);
	EXPECT_EQ(vm_e820_set(&map, 0x10000000UL, 0x1000UL, MEM_NONE), 0); /* there was nothing */
	EXPECT_EQ(map.count, 4);
}

TEST(vm_e820_refuses_nonsense_and_overflow)
{
	start();
	EXPECT_EQ(vm_e820_set(&map, 0UL, 0UL, MEM_RAM), -EINVAL);
	EXPECT_EQ(vm_e820_set(&map, UINT64_MAX, 2UL, MEM_RAM), -EINVAL);
	EXPECT(!vm_e820_is_ram(&map, 0UL, 0UL));
	memset(&map, 0, sizeof(map));
	for (uint32_t i = 0U; i < VM_E820_MAX; i++) {
		EXPECT_EQ(vm_e820_set(&map, i * 0x2000UL, 0x1000UL, MEM_RAM), 0);
	}
	EXPECT_EQ(vm_e820_set(&map, VM_E820_MAX * 0x2000UL, 0x1000UL, MEM_RAM), -ENOSPC);
	EXPECT_EQ(map.count, VM_E820_MAX);
	expect_sane();
}

TEST(vm_e820_random_overlays_match_a_page_array)
{
	static uint8_t pages[256];

	memset(&map, 0, sizeof(map));
	memset(pages, 0, sizeof(pages));
	for (int n = 0; n < 3000; n++) {
		const uint64_t first = unit_rand64() % 256U;
		const uint64_t count = 1U + unit_rand64() % (256U - first);
		const uint32_t type = 1U + (uint32_t)(unit_rand64() % 5U);
		const uint64_t len = (n % 7 == 0) ? count : MIN(count, 9UL);

		EXPECT_EQ(vm_e820_set(&map, first * PAGE_SIZE, len * PAGE_SIZE, type), 0);
		memset(pages + first, (int)type, len);
		for (uint64_t i = 0UL; i < 256UL; i++) {
			EXPECT_EQ(type_at(i * PAGE_SIZE), pages[i]);
		}
		expect_sane();
		if (unit_failed()) {
			return;
		}
	}
}

TEST(vm_e820_limit_cuts_from_the_top)
{
	start();
	EXPECT_EQ(vm_e820_limit(&map, 0xA0000UL + 0x1000000UL), 0);
	EXPECT_EQ(vm_e820_ram_from(&map, 0x100000UL), 0x1000000);
	EXPECT_EQ(type_at(0x1100000UL), MEM_RESERVED);
	EXPECT_EQ(type_at(0x9F000UL), MEM_RAM);
	expect_sane();
}

TEST(vm_e820_free_places)
{
	start();
	EXPECT_EQ(vm_e820_take(&map, 0x3000000UL, 0x1000000UL, "top"), 0);
	EXPECT_EQ(vm_e820_take(&map, 0x100000UL, 0x1000UL, "first page"), 0);
	EXPECT_EQ(vm_e820_find_highest(&map, 0x1000UL, 0x1000UL, 0x100000UL, 1UL << 32U), 0x2FFF000);
	EXPECT_EQ(vm_e820_find_highest(&map, 0x1001UL, 0x200000UL, 0x100000UL, 1UL << 32U), 0x2E00000);
	EXPECT_EQ(vm_e820_find_lowest(&map, 0x1000UL, 0x1000UL, 0x100000UL, 1UL << 32U), 0x101000);
	EXPECT_EQ(vm_e820_find_lowest(&map, 0x1000UL, 0x200000UL, 0x100000UL, 1UL << 32U), 0x200000);
	EXPECT_EQ(vm_e820_find_highest(&map, 0x1000UL, 0x1000UL, 0x10000UL, 0x100000UL), 0x9F000);
	EXPECT_EQ(vm_e820_find_lowest(&map, 0x3000000UL, 0x1000UL, 0UL, 1UL << 32U), INVALID_GPA);
	EXPECT(strcmp(vm_e820_in_the_way(&map, 0x100FFFUL, 1UL)->what, "first page") == 0);
	EXPECT(vm_e820_in_the_way(&map, 0x101000UL, 0x1000UL) == NULL);
	vm_e820_release(&map, 0x3000000UL, 0x1000000UL);
	EXPECT_EQ(vm_e820_find_highest(&map, 0x1000UL, 0x1000UL, 0x100000UL, 1UL << 32U), 0x3FFF000);
}

TEST(vm_e820_busy_list_is_bounded)
{
	start();
	for (uint32_t i = 0U; i < VM_E820_MAX_BUSY; i++) {
		EXPECT_EQ(vm_e820_take(&map, i, 1UL, "x"), 0);
	}
	EXPECT_EQ(vm_e820_take(&map, 0UL, 1UL, "x"), -ENOSPC);
	EXPECT_EQ(vm_e820_take(&map, UINT64_MAX, 2UL, "x"), -EINVAL);
}
