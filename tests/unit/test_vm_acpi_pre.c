/* SPDX-License-Identifier: BSD-3-Clause */
/* The ACPI tables of a pre-launched VM, read by our own parser. */
#define _GNU_SOURCE
#include <hv/acpi.h>
#include <hv/vm_acpi_pre.h>
#include <lib/errno.h>

#include <string.h>

#include "unit.h"

static uint8_t sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0U;

	while (n-- > 0U) {
		s = (uint8_t)(s + *p++);
	}
	return s;
}

static const uint8_t *pre_table(const uint8_t *area, uint64_t gpa, const char *signature)
{
	const uint8_t *t = area + (gpa - VM_ACPI_PRE_GPA);
	uint32_t len;

	EXPECT((gpa >= VM_ACPI_PRE_GPA) && (gpa < VM_ACPI_PRE_GPA + VM_ACPI_PRE_SIZE));
	memcpy(&len, t + 4, 4);
	EXPECT(memcmp(t, signature, 4) == 0);
	EXPECT((size_t)(t - area) + len <= VM_ACPI_PRE_SIZE);
	EXPECT_EQ(sum(t, len), 0);
	return t;
}

TEST(vm_acpi_pre_tables)
{
	static uint8_t area[VM_ACPI_PRE_SIZE];
	static const uint8_t cpus[] = {0, 8, 0, 3, 1, 0, 0, 0, 9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0};
	struct vm_acpi_pre_input in = {.apic_id = {3U, 256U}, .cpu_count = 2U, .has_com1 = true};
	struct acpi_info info = {0};
	const uint8_t *xsdt, *rsdt, *fadt, *madt, *dsdt, *mcfg;
	uint64_t at;

	EXPECT_EQ(vm_acpi_pre_make(&in, area), 0);
	EXPECT(memcmp(area, "RSD PTR ", 8) == 0);
	EXPECT_EQ(sum(area, 20), 0);
	EXPECT_EQ(sum(area, 36), 0);
	memcpy(&at, area + 24, 8);
	xsdt = pre_table(area, at, "XSDT");
	at = 0UL;
	memcpy(&at, area + 16, 4);
	rsdt = pre_table(area, at, "RSDT");
	EXPECT_EQ((rsdt[4] - 36) / 4, (xsdt[4] - 36) / 8);
	for (int i = 0; i < (rsdt[4] - 36) / 4; i++) {
		EXPECT(memcmp(rsdt + 36 + 4 * i, xsdt + 36 + 8 * i, 4) == 0);
	}
	memcpy(&at, xsdt + 36, 8);
	fadt = pre_table(area, at, "FACP");
	memcpy(&at, xsdt + 44, 8);
	madt = pre_table(area, at, "APIC");
	memcpy(&at, xsdt + 52, 8);
	mcfg = pre_table(area, at, "MCFG");
	EXPECT(memcmp(mcfg + 44, "\0\0\0\xE0\0\0\0\0\0\0\0\0", 12) == 0);
	memcpy(&at, xsdt + 60, 8);
	EXPECT_EQ(pre_table(area, at, "HPET")[46], 0xD0);
	/* What our own parser makes of them. */
	EXPECT_EQ(acpi_parse_fadt(fadt, 244, &info), 0);
	EXPECT_EQ(info.pm1a_cnt, 0x604);
	EXPECT_EQ(info.pm_timer, 0x608);
	EXPECT(info.pm_timer_32bit);
	EXPECT_EQ(info.reset_reg.address, 0xCF9);
	EXPECT_EQ(fadt[46], 9);
	dsdt = pre_table(area, info.dsdt, "DSDT");
	EXPECT_EQ(memcmp(memmem(dsdt, 512, "C1ST", 4), "C1ST\x0A\x0F", 6), 0);
	EXPECT_EQ(memcmp(memmem(dsdt, 512, "C2ST", 4), "C2ST\x0A\x00", 6), 0); /* the VM has no COM2 */
	EXPECT_EQ(acpi_parse_madt(madt, (size_t)madt[4] | ((size_t)madt[5] << 8U), &info), 0);
	EXPECT_EQ(info.cpu_count, 2);
	EXPECT_EQ(info.cpu_apic_id[1], 256);
	EXPECT(memcmp(madt + 44, cpus, sizeof(cpus)) == 0);
	EXPECT_EQ(info.ioapic[0].hpa, 0xFEC00000UL);
	EXPECT_EQ(info.override_count, 2);
	EXPECT_EQ(info.override[0].gsi, 2);
	EXPECT(info.override[1].level && !info.override[1].active_low);
	EXPECT(info.has_8259);
	in.cpu_count = CONFIG_MAX_VCPUS_PER_VM + 1U;
	EXPECT_EQ(vm_acpi_pre_make(&in, area), -EINVAL);
}
