/* SPDX-License-Identifier: BSD-3-Clause */
/* The Service VM's ACPI tables, made of the machine's. Hostile ones are made of good ones. */
#include <hv/vm_acpi_tables.h>
#include <lib/errno.h>

#include <stdlib.h>
#include <string.h>

#include "unit.h"

static void w32(void *at, uint32_t value)
{
	memcpy(at, &value, 4);
}

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0U;

	while (n-- > 0U) {
		s = (uint8_t)(s + *p++);
	}
	return s;
}

static size_t make_madt(uint8_t *t)
{
	static const uint8_t entries[] = {
		0, 8, 1, 0, 1, 0, 0, 0,  0, 8, 2, 2, 1, 0, 0, 0,  0, 8, 3, 4, 1, 0, 0, 0, /* CPUs 0 2 4 */
		0, 8, 4, 6, 0, 0, 0, 0, /* disabled */
		9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, /* 2 again, as x2APIC */
		1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0,
		2, 10, 0, 0, 2, 0, 0, 0, 0, 0,
		4, 6, 0xFF, 5, 0, 1,  4, 6, 3, 5, 0, 1,  4, 6, 2, 5, 0, 1,
	};
	const size_t len = 44U + sizeof(entries);

	memset(t, 0, 44);
	memcpy(t, "APIC", 4);
	w32(t + 4, (uint32_t)len);
	memcpy(t + 10, "OEMOEM", 6);
	memcpy(t + 44, entries, sizeof(entries));
	t[9] = (uint8_t)(0U - sum(t, len));
	return len;
}

TEST(vm_acpi_madt_has_the_vms_cpus_only)
{
	static uint8_t area[4096], madt[256];
	struct vm_acpi_input in = {.table = {0x1000UL, 0x234567890UL}, .table_count = 2U, .madt = madt,
		.apic_id = {0U, 2U}, .cpu_count = 2U};
	struct acpi_info info = {0};
	uint32_t kept = 0U;
	uint64_t xsdt, at;
	uint32_t len, rsdt;

	in.madt_len = make_madt(madt);
	EXPECT_EQ(vm_acpi_make_tables(&in, area, sizeof(area), 0x700000UL, &kept), 0);
	EXPECT_EQ(kept, 2);
	EXPECT_EQ(sum(area, 20), 0);
	EXPECT_EQ(sum(area, 36), 0);
	memcpy(&xsdt, area + 24, 8);
	memcpy(&rsdt, area + 16, 4);
	xsdt -= 0x700000UL;
	rsdt -= 0x700000U;
	memcpy(&len, area + xsdt + 4, 4);
	EXPECT_EQ(len, 36 + 3 * 8);
	EXPECT_EQ(sum(area + xsdt, len), 0);
	memcpy(&at, area + xsdt + 36 + 16, 8);
	EXPECT_EQ(at, 0x234567890UL);
	memcpy(&len, area + rsdt + 4, 4);
	EXPECT_EQ(len, 36 + 2 * 4); /* the table above 4 GiB does not fit an RSDT */
	EXPECT_EQ(sum(area + rsdt, len), 0);
	memcpy(&at, area + xsdt + 36, 8);
	at -= 0x700000UL;
	memcpy(&len, area + at + 4, 4);
	EXPECT_EQ(len, in.madt_len - 8U - 8U - 6U); /* CPU 4, the disabled one and the NMI of UID 3 are gone */
	EXPECT_EQ(sum(area + at, len), 0);
	EXPECT_EQ(acpi_parse_madt(area + at, len, &info), 0);
	EXPECT_EQ(info.cpu_count, 2);
	EXPECT_EQ(info.ioapic_count, 1);
	EXPECT_EQ(info.override_count, 1);
	EXPECT_EQ(vm_acpi_make_tables(&in, area, 200U, 0x700000UL, &kept), -ENOSPC);
	in.madt_len = 43U;
	EXPECT_EQ(vm_acpi_make_tables(&in, area, sizeof(area), 0x700000UL, &kept), -EINVAL);
}

/* Messages of the machine's devices are translated by nobody: the Service VM's kernel must not use them. */
TEST(vm_acpi_fadt_says_no_msi)
{
	static uint8_t area[4096], madt[256], fadt[276] = "FACP";
	struct vm_acpi_input in = {.table = {0x1000UL}, .table_count = 1U, .madt = madt, .fadt = fadt,
		.fadt_len = sizeof(fadt), .apic_id = {0U}, .cpu_count = 1U};
	uint32_t kept = 0U;
	uint64_t at;

	in.madt_len = make_madt(madt);
	fadt[109] = 0x03U;
	fadt[275] = 0x77U;
	EXPECT_EQ(vm_acpi_make_tables(&in, area, sizeof(area), 0x700000UL, &kept), 0);
	memcpy(&at, area + 24, 8);
	EXPECT_EQ(area[at - 0x700000UL + 4], 36 + 3 * 8);
	EXPECT_EQ(sum(area + (at - 0x700000UL), 36 + 3 * 8), 0);
	memcpy(&at, area + (at - 0x700000UL) + 36 + 8, 8);
	at -= 0x700000UL;
	EXPECT(memcmp(area + at, "FACP", 4) == 0);
	EXPECT_EQ(area[at + 109], 0x0B);
	EXPECT_EQ(area[at + 275], 0x77);
	EXPECT_EQ(sum(area + at, sizeof(fadt)), 0);
	/* It does not run into the MADT, whose length is unchanged. */
	memcpy(&at, area + 24, 8);
	memcpy(&at, area + (at - 0x700000UL) + 36, 8);
	EXPECT(memcmp(area + (at - 0x700000UL), "APIC", 4) == 0);
	EXPECT_EQ(sum(area + (at - 0x700000UL), area[at - 0x700000UL + 4]), 0);
	/* Of ACPI 1.0, without the flags; too short to be one; no room. */
	in.fadt_len = 100U;
	EXPECT_EQ(vm_acpi_make_tables(&in, area, sizeof(area), 0x700000UL, &kept), 0);
	in.fadt_len = 35U;
	EXPECT_EQ(vm_acpi_make_tables(&in, area, sizeof(area), 0x700000UL, &kept), -EINVAL);
	in.fadt_len = sizeof(fadt);
	EXPECT_EQ(vm_acpi_make_tables(&in, area, 500U, 0x700000UL, &kept), -ENOSPC);
}

/* @return offset in `area` of the first table in the XSDT with that signature, or 0 */
static uint64_t find(const uint8_t *area, const char *signature)
{
	uint64_t xsdt, at;
	uint32_t len;

	memcpy(&xsdt, area + 24, 8);
	xsdt -= 0x700000UL;
	memcpy(&len, area + xsdt + 4, 4);
	EXPECT_EQ(sum(area + xsdt, len), 0);
	for (uint32_t i = 36U; i < len; i += 8U) {
		memcpy(&at, area + xsdt + i, 8);
		if ((at >= 0x700000UL) && (at < 0x710000UL) && (memcmp(area + (at - 0x700000UL), signature, 4) == 0)) {
			memcpy(&len, area + (at - 0x700000UL) + 4, 4);
			EXPECT_EQ(sum(area + (at - 0x700000UL), len), 0);
			return at - 0x700000UL;
		}
	}
	return 0UL;
}

static uint32_t count32(const uint8_t *at, size_t len, uint32_t value)
{
	uint32_t count = 0U;

	for (size_t i = 0; i + 4U <= len; i++) {
		count += (memcmp(at + i, &value, 4) == 0) ? 1U : 0U;
	}
	return count;
}

TEST(vm_acpi_tells_of_a_bus)
{
	static uint8_t area[8192], madt[256], mcfg[44U + 40U];
	struct vm_acpi_bus bus = {.ecam = 0x3E000000U, .mem_base = 0x3E200000U, .mem_size = 0x600000U,
		.gsi = {24U, 25U}, .ioapic = 0x3E100000U, .ioapic_id = 5U, .ioapic_gsi = 24U};
	struct vm_acpi_input in = {.table = {0x1000UL}, .table_count = 1U, .madt = madt, .bus = &bus,
		.apic_id = {0U}, .cpu_count = 1U};
	struct acpi_info info = {0};
	uint32_t kept = 0U, len;
	uint64_t at;

	in.madt_len = make_madt(madt);
	EXPECT_EQ(vm_acpi_make_tables(&in, area, sizeof(area), 0x700000UL, &kept), 0);
	at = find(area, "APIC");
	memcpy(&len, area + at + 4, 4);
	EXPECT_EQ(acpi_parse_madt(area + at, len, &info), 0);
	EXPECT_EQ(info.ioapic_count, 2);
	EXPECT_EQ(info.ioapic[1].hpa, 0x3E100000UL);
	EXPECT_EQ(info.ioapic[1].gsi_base, 24);
	EXPECT_EQ(info.ioapic[1].id, 5);
	/* No MCFG of the machine's: it has segment 0 all the same. */
	at = find(area, "MCFG");
	EXPECT_EQ(area[at + 4], 44 + 16);
	EXPECT_EQ(bus.segment, 1);
	EXPECT_EQ(count32(area + at + 44, 8, 0x3E000000U), 1);
	EXPECT_EQ(area[at + 52], 1);
	EXPECT_EQ(area[at + 54] | area[at + 55], 0);
	/* Each number of the source was replaced, and none is there twice. */
	at = find(area, "SSDT");
	memcpy(&len, area + at + 4, 4);
	EXPECT(len < VM_ACPI_BUS_SSDT);
	EXPECT_EQ(count32(area + at, len, 0x3E000000U), 1);
	EXPECT_EQ(count32(area + at, len, 0x3E200000U), 1);
	EXPECT_EQ(count32(area + at, len, 0x3E7FFFFFU), 1);
	EXPECT_EQ(count32(area + at, len, 0x600000U), 1);
	EXPECT_EQ(count32(area + at, len, 24U), 1);
	EXPECT_EQ(count32(area + at, len, 25U), 1);
	for (uint32_t n = 1U; n <= 3U; n++) {
		EXPECT_EQ(count32(area + at, len, 0xA11A0000U + n), 0);
	}
	/* The machine's entries stay, a cut one goes. */
	memcpy(mcfg, "MCFG", 4);
	mcfg[60 - 16 + 8] = 3U; /* segment 3 */
	in.mcfg = mcfg;
	in.mcfg_len = sizeof(mcfg);
	EXPECT_EQ(vm_acpi_make_tables(&in, area, sizeof(area), 0x700000UL, &kept), 0);
	at = find(area, "MCFG");
	EXPECT_EQ(area[at + 4], 44 + 3 * 16);
	EXPECT_EQ(area[at + 52], 3);
	EXPECT_EQ(bus.segment, 4);
	EXPECT_EQ(area[at + 44 + 32 + 8], 4);
	in.mcfg_len = 20U;
	EXPECT_EQ(vm_acpi_make_tables(&in, area, sizeof(area), 0x700000UL, &kept), 0);
	EXPECT_EQ(bus.segment, 1);
	EXPECT_EQ(vm_acpi_make_tables(&in, area, 1500U, 0x700000UL, &kept), -ENOSPC);
}

TEST(vm_acpi_random_madt_is_safe)
{
	static uint8_t area[8192];

	for (int n = 0; n < 5000; n++) {
		uint8_t good[256];
		struct vm_acpi_input in = {.apic_id = {0U, 2U}, .cpu_count = 2U};
		uint32_t kept;
		uint8_t *exact;

		in.madt_len = make_madt(good);
		for (int i = 0; i < 4; i++) {
			good[44U + unit_rand64() % (in.madt_len - 44U)] = (uint8_t)unit_rand64();
		}
		in.madt_len -= unit_rand64() % 20U;
		exact = malloc(in.madt_len);
		memcpy(exact, good, in.madt_len);
		in.madt = exact;
		EXPECT_EQ(vm_acpi_make_tables(&in, area, sizeof(area), 0x700000UL, &kept), 0);
		EXPECT(kept <= 2U);
		free(exact);
	}
}
