/* SPDX-License-Identifier: BSD-3-Clause */
/* The page pool, on memory of this process below 4 GiB ("physical" addresses are the process's own). */
#include "unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <hv/boot_info.h>
#include <lib/util.h>

/* The product's file under other names: other tests may bring their own fakes of what it calls. */
static struct boot_info test_boot_info;
static jmp_buf panicked;
static void __noreturn test_panic(const char *fmt, ...);
#define boot_info test_boot_info
#define panic test_panic
#define log_move test_log_move
#define log_ring_is_valid test_log_ring_is_valid
#define log_show_previous test_log_show_previous
#define memory_init test_memory_init
#define memory_reserve test_memory_reserve
#define memory_hv_range test_memory_hv_range
#define memory_reserve_shared test_memory_reserve_shared
#define memory_is_hv_owned test_memory_is_hv_owned
#define memory_is_private test_memory_is_private
#define memory_find_free test_memory_find_free
#define memory_ram_bytes test_memory_ram_bytes
#define memory_pool_base test_memory_pool_base
#define memory_pool_size test_memory_pool_size
#define memory_pages_owned test_memory_pages_owned
#define memory_pages_free test_memory_pages_free
#define page_alloc test_page_alloc
#define pages_alloc test_pages_alloc
#define page_free test_page_free
#define pages_free test_pages_free
#include "../../hypervisor/memory.c"

static uint64_t log_bytes_seen;

static void __noreturn test_panic(const char *fmt, ...)
{
	(void)fmt;
	longjmp(panicked, 1);
}

bool test_log_ring_is_valid(const struct log_ring *old, uint64_t bytes)
{
	(void)old;
	(void)bytes;
	return false;
}

void test_log_show_previous(const struct log_ring *old)
{
	(void)old;
}

void test_log_move(void *place, uint64_t bytes)
{
	memset(place, 0, bytes); /* it must be ours */
	log_bytes_seen = bytes;
}

#define RAM_SIZE (64UL << 20U)

static uint8_t *ram;

static bool setup(void)
{
	if (ram == NULL) {
		ram = mmap((void *)0x20000000UL, RAM_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	}
	if (ram == MAP_FAILED) {
		return false;
	}
	memset(&test_boot_info, 0, sizeof(test_boot_info));
	memset(&pool, 0, sizeof(pool));
	reserved_count = 0U;
	test_boot_info.range_count = 1U;
	test_boot_info.ranges[0] = (struct mem_range){.base = (hpa_t)ram, .size = RAM_SIZE, .type = MEM_RAM};
	test_boot_info.hv_base = (hpa_t)ram + RAM_SIZE - (2UL << 20U); /* the image is at the top */
	test_boot_info.hv_size = 2UL << 20U;
	return true;
}

TEST(memory_pool_avoids_image_and_modules)
{
	REQUIRE(setup());
	test_boot_info.module_count = 1U;
	test_boot_info.modules[0].base = (hpa_t)ram + (50UL << 20U) + 5U;
	test_boot_info.modules[0].size = 100U;
	memory_init();
	EXPECT_EQ(memory_pool_base() + memory_pool_size(), (hpa_t)ram + (50UL << 20U)); /* directly below it */
	EXPECT(memory_is_hv_owned(memory_pool_base(), 1U));
	EXPECT(memory_is_hv_owned(test_boot_info.hv_base + 5U, 1U));
	EXPECT(!memory_is_hv_owned(test_boot_info.modules[0].base, 100U));
	EXPECT(memory_is_hv_owned(memory_pool_base() - 1U, 2U));
	EXPECT(!memory_is_hv_owned(memory_pool_base() - 1U, 1U));
	EXPECT(memory_is_hv_owned(UINT64_MAX, 2U)); /* wraps */
	EXPECT(memory_is_private(memory_pool_base(), 1U));
	memory_reserve_shared(0x1000UL, 0x1000UL, "shared");
	EXPECT(memory_is_hv_owned(0x1FFFUL, 1U));
	EXPECT(!memory_is_private(0x1FFFUL, 1U));
	EXPECT_EQ(log_bytes_seen, CONFIG_LOG_BUF_SIZE);
}

TEST(memory_pages_have_owners)
{
	uint64_t before;
	uint8_t *a;
	uint8_t *b;

	REQUIRE(setup());
	memory_init();
	before = memory_pages_free();
	a = page_alloc(3U);
	b = pages_alloc(4U, 3U);
	REQUIRE(a != NULL && b != NULL);
	EXPECT_EQ((uint64_t)b % (16UL * PAGE_SIZE), 0U);
	EXPECT_EQ(memory_pages_owned(3U), 17U);
	memset(b, 0x11, 16UL * PAGE_SIZE);
	pages_free(b, 4U, 3U);
	b = pages_alloc(4U, 4U);
	REQUIRE(b != NULL);
	for (size_t i = 0U; i < 16UL * PAGE_SIZE; i++) {
		if (b[i] != 0U) {
			unit_fail(__FILE__, __LINE__, "byte %zu of a new page is not 0", i);
			break;
		}
	}
	pages_free(b, 4U, 4U);
	page_free(a, 3U);
	EXPECT_EQ(memory_pages_free(), before);
	EXPECT_EQ(memory_pages_owned(3U) + memory_pages_owned(4U), 0U);
}

TEST(memory_runs_dry_and_recovers)
{
	static void *pages[16384];
	uint64_t count = 0U;

	REQUIRE(setup());
	memory_init();
	while (count < ARRAY_SIZE(pages) && (pages[count] = page_alloc(1U)) != NULL) {
		count++;
	}
	EXPECT_EQ(memory_pages_free(), 0U);
	EXPECT_EQ(memory_pages_owned(1U), count);
	EXPECT(pages_alloc(1U, 1U) == NULL);
	for (uint64_t i = 0U; i < count; i++) {
		page_free(pages[i], 1U);
	}
	EXPECT_EQ(memory_pages_free(), count);
	EXPECT(pages_alloc(9U, 1U) != NULL);
}

TEST(memory_panics_on_misuse)
{
	void *volatile page;

	REQUIRE(setup());
	memory_init();
	page = page_alloc(1U);
	if (setjmp(panicked) == 0) {
		page_free(page, 2U); /* not the owner */
		unit_fail(__FILE__, __LINE__, "a foreign page was freed");
	}
	spinlock_init(&pool.lock);
	page_free(page, 1U);
	if (setjmp(panicked) == 0) {
		page_free(page, 1U); /* twice */
		unit_fail(__FILE__, __LINE__, "a page was freed twice");
	}
	spinlock_init(&pool.lock);
	*(volatile uint8_t *)page = 1U; /* use after free */
	if (setjmp(panicked) == 0) {
		(void)page_alloc(1U);
		unit_fail(__FILE__, __LINE__, "a write after free was not seen");
	}
}

TEST(memory_too_little)
{
	REQUIRE(setup());
	test_boot_info.ranges[0].size = 4UL << 20U;
	test_boot_info.hv_base = (hpa_t)ram + (2UL << 20U);
	if (setjmp(panicked) == 0) {
		memory_init();
		unit_fail(__FILE__, __LINE__, "2 MiB were enough");
	}
}

TEST(memory_ram_bytes_counts_ram_only)
{
	boot_info.range_count = 3U;
	boot_info.ranges[0] = (struct mem_range){.base = 0x100000UL, .size = 0x2000UL, .type = MEM_RAM};
	boot_info.ranges[1] = (struct mem_range){.base = 0x102000UL, .size = 0x1000UL, .type = MEM_ACPI_RECLAIM};
	boot_info.ranges[2] = (struct mem_range){.base = 0x100000000UL, .size = 0x1000UL, .type = MEM_RAM};
	EXPECT_EQ(memory_ram_bytes(0xFFFFFUL), 0U);
	EXPECT_EQ(memory_ram_bytes(0x100000UL), 0x2000U);
	EXPECT_EQ(memory_ram_bytes(0x101FFFUL), 1U);
	EXPECT_EQ(memory_ram_bytes(0x102000UL), 0U);
	EXPECT_EQ(memory_ram_bytes(0xE0000000UL), 0U);
	EXPECT_EQ(memory_ram_bytes(0x100000FFFUL), 1U);
	EXPECT_EQ(memory_ram_bytes(INVALID_HPA), 0U);
}
