/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading of kernels, and the ACPI tables that a User VM gets. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "../../devicemodel-stub/device.h"
#include "../../devicemodel-stub/vm_image.h"

#define RAM (64UL << 20U)

static uint8_t *ram;
static uint8_t file[0x10000];

static void *map(void *ctx, uint64_t gpa, uint64_t size)
{
	(void)ctx;
	return (gpa < RAM && size <= RAM - gpa) ? ram + gpa : NULL;
}

static struct vm_image fresh(uint64_t size)
{
	struct vm_image im = { .kernel = { file, size, NULL }, .cmdline = "console=ttyS0", .ram_low = RAM,
		.cpu_count = 2, .lapic_ids = { 2, 300 }, .map = map };

	if (ram == NULL) {
		ram = malloc(RAM);
	}
	memset(ram, 0xCC, RAM); /* memory need not be zero */
	memset(file, 0, sizeof(file));
	return im;
}

static uint64_t get(const uint8_t *p, uint32_t size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

static void put(uint8_t *p, uint64_t value, uint32_t size)
{
	memcpy(p, &value, size);
}

static bool sums_to_zero(const uint8_t *p, uint64_t size)
{
	uint8_t sum = 0;

	for (uint64_t i = 0; i < size; i++) {
		sum = (uint8_t)(sum + p[i]);
	}
	return sum == 0U;
}

static void make_bzimage(void)
{
	file[0x1F1] = 3; /* setup sectors: the body starts at 2048 */
	put(file + 0x200, 0x6AEB, 2); /* jump over the header: it ends at 0x26C */
	memcpy(file + 0x202, "HdrS", 4);
	put(file + 0x206, 0x20F, 2);
	file[0x211] = 1;
	put(file + 0x22C, 0x7FFFFFFF, 4);
	put(file + 0x230, 0x200000, 4);
	file[0x234] = 1;
	put(file + 0x238, 2047, 4);
	put(file + 0x258, 0x1000000, 8);
	put(file + 0x260, 0x1000000, 4);
	memset(file + 2048, 0xAB, sizeof(file) - 2048);
}

TEST(dm_image_bzimage)
{
	static const uint8_t initrd[5000] = { 1, 2, 3 };
	struct vm_image im = fresh(sizeof(file));
	struct vm_entry e;
	const uint8_t *zp;
	uint64_t rd;

	make_bzimage();
	im.modules[0] = (struct vm_image_file){ initrd, sizeof(initrd), NULL };
	im.module_count = 1;
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_OK);
	EXPECT_EQ(e.rip, 0x1000000);
	EXPECT_EQ(e.cr0, 0x31);
	EXPECT_EQ(e.cs_sel, 0x10);
	EXPECT_EQ(e.data_sel, 0x18);
	EXPECT_EQ(get(ram + e.gdt_base + 0x10, 8), 0x00CF9B000000FFFF);
	EXPECT_EQ(get(ram + e.gdt_base + 0x18, 8), 0x00CF93000000FFFF);
	zp = ram + e.rsi;
	EXPECT(memcmp(zp + 0x202, "HdrS", 4) == 0);
	EXPECT_EQ(zp[0x210], 0xFF);
	EXPECT(strcmp((char *)ram + get(zp + 0x228, 4), "console=ttyS0") == 0);
	EXPECT_EQ(get(zp + 0x70, 8), VM_IMAGE_RSDP);
	EXPECT_EQ(zp[0x1E8], 3);
	EXPECT_EQ(get(zp + 0x2D0 + 40, 8), 0x100000);
	EXPECT_EQ(get(zp + 0x2D0 + 48, 8), RAM - 0x100000);
	EXPECT_EQ(get(zp + 0x2D0 + 56, 4), 1);
	rd = get(zp + 0x218, 4);
	EXPECT_EQ(get(zp + 0x21C, 4), sizeof(initrd));
	EXPECT(rd % 4096UL == 0UL && rd >= 0x2000000UL && rd + sizeof(initrd) <= RAM);
	EXPECT(memcmp(ram + rd, initrd, sizeof(initrd)) == 0);
	EXPECT_EQ(ram[0x1000000], 0xAB);
	EXPECT_EQ(ram[0x1000000 + sizeof(file) - 2048], 0xCC);
}

TEST(dm_image_bzimage_refusals)
{
	struct vm_image im = fresh(sizeof(file));
	struct vm_entry e;
	static uint8_t big[1];

	make_bzimage();
	put(file + 0x206, 0x205, 2);
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_TOO_OLD);
	make_bzimage();
	file[0x211] = 0;
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_TOO_OLD);
	make_bzimage();
	put(file + 0x260, RAM, 4);
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_NO_ROOM);
	make_bzimage();
	file[0x1F1] = 255;
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_TRUNCATED);
	make_bzimage();
	put(file + 0x238, 5, 4);
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_CMDLINE_LONG);
	make_bzimage();
	im.modules[0] = (struct vm_image_file){ big, RAM - 0x1000000UL, NULL };
	im.module_count = 1;
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_NO_ROOM);
	im.module_count = 0;
	im.cpu_count = 0;
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_BAD_PARAMETER);
	im = fresh(100);
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_NOT_A_KERNEL);
}

static void make_elf(void)
{
	memcpy(file, "\177ELF\1\1\1", 7);
	put(file + 16, 2, 2);
	put(file + 18, 3, 2);
	put(file + 24, 0x400010, 4); /* entry */
	put(file + 28, 52, 4);
	put(file + 42, 32, 2);
	put(file + 44, 1, 2);
	put(file + 52, 1, 4);            /* PT_LOAD */
	put(file + 52 + 4, 0x1000, 4);   /* offset */
	put(file + 52 + 8, 0x400000, 4);
	put(file + 52 + 12, 0x400000, 4);
	put(file + 52 + 16, 0x200, 4);
	put(file + 52 + 20, 0x3000, 4);
	put(file + 0x1000, 0x1BADB002, 4);
	put(file + 0x1004, 3, 4);
	put(file + 0x1008, 0U - 0x1BADB002U - 3U, 4);
}

TEST(dm_image_multiboot)
{
	static const uint8_t module[3] = { 7, 8, 9 };
	struct vm_image im = fresh(0x1200);
	struct vm_entry e;
	const uint8_t *info;
	uint64_t mod;

	make_elf();
	im.modules[0] = (struct vm_image_file){ module, 3, "first" };
	im.module_count = 1;
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_OK);
	EXPECT_EQ(e.rip, 0x400010);
	EXPECT_EQ(e.rax, 0x2BADB002);
	EXPECT_EQ(e.cs_sel, 8);
	EXPECT_EQ(e.data_sel, 0x10);
	EXPECT_EQ(e.cs_ar, 0xC09B);
	EXPECT_EQ(get(ram + 0x400000, 4), 0x1BADB002);
	EXPECT_EQ(ram[0x400200], 0);
	EXPECT_EQ(ram[0x402FFF], 0);
	EXPECT_EQ(ram[0x403000], 7); /* the module behind it */
	info = ram + e.rbx;
	EXPECT_EQ(get(info, 4), 0x24D);
	EXPECT(strcmp((char *)ram + get(info + 16, 4), "console=ttyS0") == 0);
	EXPECT_EQ(get(info + 20, 4), 1);
	mod = get(info + 24, 4);
	EXPECT_EQ(get(ram + mod, 4), 0x403000);
	EXPECT_EQ(get(ram + mod + 4, 4), 0x403003);
	EXPECT(strcmp((char *)ram + get(ram + mod + 8, 4), "first") == 0);
	EXPECT_EQ(get(info + 44, 4), 72);
	EXPECT_EQ(get(ram + get(info + 48, 4), 4), 20);
}

TEST(dm_image_elf_refusals)
{
	struct vm_image im = fresh(0x1200);
	struct vm_entry e;

	make_elf();
	put(file + 52 + 12, 0x1000, 4);
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_NO_ROOM);
	make_elf();
	put(file + 52 + 20, 0xF0000000, 4);
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_NO_ROOM);
	make_elf();
	put(file + 52 + 4, 0xFFFFF000, 4);
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_TRUNCATED);
	make_elf();
	put(file + 44, 0xFFFF, 2);
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_TRUNCATED);
	make_elf();
	put(file + 18, 8, 2);
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_BAD_ELF);
	make_elf();
	file[0x1000] = 0;
	EXPECT_EQ(vm_image_load(&im, &e), VM_IMAGE_NOT_A_KERNEL);
}

/* Any bytes in the headers: an answer, and no access outside file and memory (ASan sees to that). */
TEST(dm_image_random_headers)
{
	uint8_t *copy = malloc(0x1200);
	struct vm_image im = fresh(0x1200);
	struct vm_entry e;

	im.kernel.data = copy;
	im.cpu_count = 1;
	for (uint32_t i = 0; i < 20000U; i++) {
		uint32_t changes = (uint32_t)unit_rand64() % 8U;

		memset(file, 0, sizeof(file));
		if ((i & 1U) != 0U) {
			make_elf();
		} else {
			make_bzimage();
		}
		for (uint32_t c = 0; c < changes; c++) {
			uint64_t r = unit_rand64();
			uint32_t at = (i & 1U) != 0U ? (uint32_t)(r % 84U) : 0x1F1U + (uint32_t)(r % 0x73U);

			file[at] = (uint8_t)(r >> 32U);
		}
		memcpy(copy, file, 0x1200);
		im.kernel.size = 0x1200U - ((unit_rand64() & 7U) == 0U ? unit_rand64() % 0x1200U : 0U);
		EXPECT(strlen(vm_image_error_text(vm_image_load(&im, &e))) > 5U);
	}
	free(copy);
}

TEST(dm_image_acpi_tables)
{
	struct vm_image im = fresh(16);
	const uint8_t *rsdp, *xsdt, *fadt = NULL, *madt = NULL, *dsdt;

	EXPECT_EQ(vm_image_acpi(&im), VM_IMAGE_OK);
	rsdp = ram + VM_IMAGE_RSDP;
	EXPECT(memcmp(rsdp, "RSD PTR ", 8) == 0);
	EXPECT(sums_to_zero(rsdp, 20) && sums_to_zero(rsdp, 36));
	xsdt = ram + get(rsdp + 24, 8);
	EXPECT(memcmp(xsdt, "XSDT", 4) == 0 && sums_to_zero(xsdt, get(xsdt + 4, 4)));
	for (uint64_t at = 36; at < get(xsdt + 4, 4); at += 8) {
		const uint8_t *t = ram + get(xsdt + at, 8);

		EXPECT(sums_to_zero(t, get(t + 4, 4)));
		fadt = (memcmp(t, "FACP", 4) == 0) ? t : fadt;
		madt = (memcmp(t, "APIC", 4) == 0) ? t : madt;
	}
	REQUIRE(fadt != NULL && madt != NULL);
	EXPECT_EQ(get(fadt + 64, 4), DM_PORT_PM1_CNT);
	EXPECT_EQ(get(fadt + 172 + 4, 8), DM_PORT_PM1_CNT);
	EXPECT_EQ(get(fadt + 120, 8), DM_PORT_RESET);
	EXPECT_EQ(get(fadt + 36, 4) % 64UL, 0);
	dsdt = ram + get(fadt + 140, 8);
	EXPECT(memcmp(dsdt, "DSDT", 4) == 0 && sums_to_zero(dsdt, get(dsdt + 4, 4)));
	EXPECT_EQ(get(madt + 44, 4), 0x02000800); /* local APIC, UID 0, id 2 */
	EXPECT_EQ(get(madt + 52, 4), 0x1009);     /* x2APIC for id 300 */
	EXPECT_EQ(get(madt + 56, 4), 300);
}

TEST(dm_image_smbios_tables)
{
	struct vm_image im = fresh(1);
	const uint8_t *const entry = ram + VM_IMAGE_SMBIOS;
	const uint8_t *at, *end;
	uint32_t kinds[3] = {0U, 0U, 0U};

	EXPECT_EQ(vm_image_smbios(&im), VM_IMAGE_OK);
	EXPECT(memcmp(entry, "_SM3_", 5) == 0);
	EXPECT_EQ(entry[6], 0x18U);
	EXPECT(sums_to_zero(entry, 0x18U));
	at = ram + get(entry + 16, 8);
	end = at + get(entry + 12, 4);
	while (at < end) {
		const uint8_t *const s = at;

		kinds[(s[0] == 127U) ? 2U : s[0] & 1U]++;
		at += s[1];
		while ((at[0] != 0U) || (at[1] != 0U)) {
			at++;
		}
		at += 2;
		if (s[0] == 0U) {
			/* The third string is the date, of which the year matters. */
			EXPECT_EQ(s[8], 3U);
			EXPECT(memcmp(at - 6, "2026", 4) == 0);
		}
	}
	EXPECT(at == end);
	EXPECT(kinds[0] == 1U && kinds[1] == 1U && kinds[2] == 1U);
}
