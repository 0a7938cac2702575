/* SPDX-License-Identifier: BSD-3-Clause */
/* arch/x86/vmx/ept.c: what is in the tables, on CPUs whose guests may execute from large pages and on those not. */
#include <unit.h>

#include <asm/caps.h>
#include <asm/ept.h>
#include <asm/page.h>
#include <asm/paging.h>
#include <asm/speculation.h>
#include <hv/arch.h>
#include <hv/memory.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/errno.h>
#include <lib/string.h>

#include <stdlib.h>

#define VM_ID   3U
#define REGION  SIZE_2M
#define REGIONS 600UL
#define HOST    0x4000000000UL /* where the VM's memory is; nobody touches it */
#define TABLES  64U            /* a 64th of the pool */

/* What the tables ask of others. This file and ept.c are linked apart from the other tests (unit.mk). */

struct cpu_caps cpu_caps = {.phys_bits = 52U, .has_ept_1g = true};
struct speculation speculation;

static struct acrn_vm vm;
static uint32_t pages, pages_limit, waits;

hpa_t hva_to_hpa(const void *hva)
{
	return (hpa_t)hva - HV_DIRECT_BASE;
}

void *pages_alloc(uint32_t order, uint16_t owner)
{
	const size_t size = PAGE_SIZE << order;
	void *found;

	EXPECT_EQ(owner, VM_ID);
	if (pages + (1U << order) > pages_limit) {
		return NULL;
	}
	pages += 1U << order;
	found = aligned_alloc(PAGE_SIZE, size);
	return memset(found, 0, size);
}

void *page_alloc(uint16_t owner)
{
	return pages_alloc(0U, owner);
}

void pages_free(void *freed, uint32_t order, uint16_t owner)
{
	EXPECT_EQ(owner, VM_ID);
	pages -= 1U << order;
	free(freed);
}

void page_free(void *page, uint16_t owner)
{
	pages_free(page, 0U, owner);
}

uint64_t memory_pool_size(void)
{
	return 64UL * TABLES * PAGE_SIZE;
}

bool memory_is_private(hpa_t hpa, uint64_t size)
{
	(void)hpa;
	(void)size;
	return false;
}

void vcpu_map_wait(struct acrn_vm *of)
{
	EXPECT(of == &vm);
	waits++;
}

struct found {
	uint32_t large;      /* leaves of 2 MiB and more */
	uint32_t large_code; /* of which executable */
	uint32_t small_code; /* executable leaves of 4 KiB */
};

static void look(const uint64_t *table, uint32_t level, struct found *f)
{
	for (uint32_t i = 0U; i < 512U; i++) {
		const uint64_t entry = table[i];
		const bool code = (entry & EPT_X) != 0UL;

		if ((entry & EPT_RWX) == 0UL) {
			continue;
		}
		if (level == 1U) {
			f->small_code += code ? 1U : 0U;
		} else if ((entry & EPT_LARGE) != 0UL) {
			f->large++;
			f->large_code += code ? 1U : 0U;
		} else {
			look(hpa_to_hva(entry & EPT_ADDR), level - 1U, f);
		}
	}
}

static struct found contents(void)
{
	struct found f = {0};

	look(vm.arch.ept_root, 4U, &f);
	return f;
}

static void begin(bool small_code)
{
	memset(&vm, 0, sizeof(vm));
	vm.vm_id = VM_ID;
	pages = 0U;
	pages_limit = UINT32_MAX;
	waits = 0U;
	speculation.small_code = small_code;
	EXPECT_EQ(ept_init(&vm), 0);
	EXPECT_EQ(arch_gpa_map(&vm, 0UL, HOST, REGIONS * REGION, GPA_RWX, GPA_TYPE_WB), 0);
}

static void end(void)
{
	ept_destroy(&vm);
	EXPECT_EQ(pages, 0U);
}

/* Each page is where it was mapped, with all rights. */
static bool region_is_whole(gpa_t gpa)
{
	for (uint64_t at = gpa; at < gpa + REGION; at += PAGE_SIZE) {
		uint32_t access = 0U;

		if ((arch_gpa_to_hpa(&vm, at + 8UL, NULL, &access) != HOST + at + 8UL) || (access != GPA_RWX)) {
			return false;
		}
	}
	return true;
}

TEST(ept_large_leaves_are_executable_where_they_may_be)
{
	begin(false);
	const struct found f = contents();

	EXPECT_EQ(f.large, 1U + (REGIONS - 512U));
	EXPECT_EQ(f.large_code, f.large);
	EXPECT_EQ(vm.arch.code_tables, 0U);
	EXPECT_EQ(ept_fetch(&vm, 0x1000UL), 0); /* executable by now: somebody else has mapped it */
	EXPECT_EQ(contents().large, f.large);
	EXPECT_EQ(ept_fetch(&vm, REGIONS * REGION), -EFAULT);
	end();
}

TEST(ept_no_large_leaf_is_executable_with_the_erratum)
{
	begin(true);
	EXPECT_EQ(vm.arch.code_tables, TABLES);
	EXPECT_EQ(contents().large, REGIONS);
	EXPECT_EQ(contents().large_code, 0U);
	EXPECT(region_is_whole(5UL * REGION));

	const uint32_t before = pages;

	EXPECT_EQ(ept_fetch(&vm, 5UL * REGION + 0x3123UL), 0);
	EXPECT_EQ(ept_fetch(&vm, 5UL * REGION), 0); /* another vCPU, a moment later */
	EXPECT_EQ(contents().large, REGIONS - 1U);
	EXPECT_EQ(contents().large_code, 0U);
	EXPECT_EQ(contents().small_code, 512U);
	EXPECT(region_is_whole(5UL * REGION));
	EXPECT_EQ(pages, before);
	EXPECT_EQ(waits, 0U);
	end();
}

TEST(ept_fetch_where_nothing_may_be_executed)
{
	begin(true);
	EXPECT_EQ(arch_gpa_map(&vm, REGION, HOST, REGION, GPA_READ | GPA_WRITE, GPA_TYPE_WB), 0);
	EXPECT_EQ(ept_fetch(&vm, REGION), -EFAULT);
	EXPECT_EQ(arch_gpa_unmap(&vm, REGION, REGION), 0);
	EXPECT_EQ(ept_fetch(&vm, REGION), -EFAULT);
	EXPECT_EQ(ept_fetch(&vm, REGIONS * REGION), -EFAULT);
	EXPECT_EQ(ept_fetch(&vm, 1UL << 47U), -EFAULT);
	EXPECT_EQ(contents().small_code, 0U);
	end();
}

TEST(ept_fetch_waits_for_no_lock)
{
	begin(true);
	spin_lock(&vm.lock);
	EXPECT_EQ(ept_fetch(&vm, 0UL), 0);
	EXPECT_EQ(contents().small_code, 0U);
	spin_unlock(&vm.lock);
	EXPECT_EQ(ept_fetch(&vm, 0UL), 0);
	EXPECT_EQ(contents().small_code, 512U);
	end();
}

TEST(ept_code_everywhere_takes_no_more_pages)
{
	begin(true);
	const uint32_t before = pages;
	uint32_t large = REGIONS;

	for (uint64_t i = 0UL; i < 2UL * REGIONS; i++) {
		const gpa_t gpa = (i * 7UL % REGIONS) * REGION;
		const uint64_t generation = vm.arch.ept_generation;
		const uint32_t waited = waits;
		struct found f;

		EXPECT_EQ(ept_fetch(&vm, gpa), 0);
		f = contents();
		EXPECT_EQ(f.large_code, 0U);
		EXPECT(f.small_code <= TABLES * 512U);
		EXPECT(region_is_whole(gpa));
		/* Whoever could still use the old map has been told, and waited for. */
		if (f.large > large) {
			EXPECT(vm.arch.ept_generation > generation);
			EXPECT(waits > waited);
		}
		large = f.large;
		EXPECT_EQ(pages, before);
	}
	EXPECT(waits >= 2UL * (REGIONS - TABLES) / 16UL);
	for (uint64_t i = 0UL; i < REGIONS; i++) {
		EXPECT(region_is_whole(i * REGION));
	}
	end();
}

TEST(ept_map_changes_under_code)
{
	const gpa_t hole = 2UL * REGION + 0x5000UL;

	begin(true);
	EXPECT_EQ(ept_fetch(&vm, 2UL * REGION), 0);
	EXPECT_EQ(ept_fetch(&vm, 3UL * REGION), 0);
	EXPECT_EQ(ept_fetch(&vm, 4UL * REGION), 0);
	EXPECT_EQ(arch_gpa_unmap(&vm, hole, PAGE_SIZE), 0);                                       /* a part */
	EXPECT_EQ(arch_gpa_map(&vm, 3UL * REGION, HOST, REGION, GPA_READ, GPA_TYPE_UC), 0);       /* all of it */
	EXPECT_EQ(arch_gpa_map(&vm, 4UL * REGION, HOST, REGION, GPA_RWX, GPA_TYPE_WB), 0);
	EXPECT(waits >= 3U);
	/* All its code tables are used twice over: none has come back where the map has changed. */
	for (uint64_t i = 10UL; i < REGIONS; i++) {
		EXPECT_EQ(ept_fetch(&vm, i * REGION), 0);
	}
	EXPECT_EQ(arch_gpa_to_hpa(&vm, hole, NULL, NULL), INVALID_HPA);
	EXPECT_EQ(ept_fetch(&vm, hole), -EFAULT);
	EXPECT_EQ(ept_fetch(&vm, hole + PAGE_SIZE), 0);
	EXPECT_EQ(arch_gpa_to_hpa(&vm, hole + PAGE_SIZE, NULL, NULL), HOST + hole + PAGE_SIZE);
	EXPECT_EQ(ept_fetch(&vm, 3UL * REGION), -EFAULT);
	EXPECT_EQ(arch_gpa_to_hpa(&vm, 3UL * REGION, NULL, NULL), HOST);
	EXPECT_EQ(ept_fetch(&vm, 4UL * REGION), 0);
	EXPECT_EQ(arch_gpa_to_hpa(&vm, 4UL * REGION, NULL, NULL), HOST);
	EXPECT_EQ(arch_gpa_unmap(&vm, 0UL, REGIONS * REGION), 0);
	EXPECT_EQ(contents().small_code + contents().large, 0U);
	EXPECT_EQ(arch_gpa_map(&vm, 0UL, HOST, REGION, GPA_RWX, GPA_TYPE_WB), 0);
	EXPECT_EQ(ept_fetch(&vm, 0UL), 0);
	EXPECT(region_is_whole(0UL));
	end();
}

TEST(ept_without_memory_for_code_nothing_is_mapped)
{
	begin(true);
	EXPECT_EQ(vm.arch.code_tables, TABLES);
	ept_destroy(&vm);
	EXPECT_EQ(pages, 0U);
	/* A root and two pages of slots; two tables on the way, and one for code. */
	for (pages_limit = 0U; pages_limit < 3U; pages_limit++) {
		EXPECT_EQ(ept_init(&vm), -ENOMEM);
		EXPECT_EQ(pages, 0U);
	}
	EXPECT_EQ(ept_init(&vm), 0);
	pages_limit = 5U;
	EXPECT_EQ(arch_gpa_map(&vm, 0UL, HOST, REGION, GPA_RWX, GPA_TYPE_WB), -ENOMEM);
	EXPECT_EQ(arch_gpa_to_hpa(&vm, 0UL, NULL, NULL), INVALID_HPA);
	pages_limit = 6U;
	EXPECT_EQ(arch_gpa_map(&vm, 0UL, HOST, REGION, GPA_RWX, GPA_TYPE_WB), 0);
	EXPECT_EQ(ept_fetch(&vm, 0UL), 0);
	EXPECT(region_is_whole(0UL));
	end();
}
