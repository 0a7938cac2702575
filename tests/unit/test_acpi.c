/* SPDX-License-Identifier: BSD-3-Clause */
/* ACPI tables: right ones, truncated ones, and rubbish. */
#include "unit.h"

#include <hv/acpi.h>
#include <lib/errno.h>
#include <stdlib.h>
#include <string.h>

static struct acpi_info info;

/* Parses a copy in an allocation of exactly that size. */
static int32_t parse(int32_t (*parser)(const void *, size_t, struct acpi_info *), const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len != 0U ? len : 1U);
	int32_t ret;

	memcpy(exact, bytes, len);
	ret = parser(exact, len, &info);
	free(exact);
	return ret;
}

static const uint8_t madt[] = {
	'A', 'P', 'I', 'C', 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0,
	0x00, 0x00, 0xE0, 0xFE, 1, 0, 0, 0,         /* local APIC address, PC-AT compatible */
	0, 8, 0, 0, 1, 0, 0, 0,                     /* CPU 0 */
	0, 8, 1, 4, 1, 0, 0, 0,                     /* APIC id 4 */
	0, 8, 2, 6, 0, 0, 0, 0,                     /* disabled */
	9, 16, 0, 0, 0x00, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, /* x2APIC id 256 */
	9, 16, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,       /* the same as above */
	1, 12, 2, 0, 0x00, 0x00, 0xC0, 0xFE, 0, 0, 0, 0,       /* I/O APIC */
	2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0,           /* IRQ 9: level, high */
	2, 10, 0, 0, 2, 0, 0, 0, 0, 0,              /* IRQ 0 -> GSI 2 */
	4, 6, 0xFF, 0, 0, 1,                        /* NMI at LINT1 */
};

TEST(acpi_madt)
{
	memset(&info, 0, sizeof(info));
	EXPECT_EQ(parse(acpi_parse_madt, madt, sizeof(madt)), 0);
	EXPECT_EQ(info.cpu_count, 3U);
	EXPECT_EQ(info.cpu_apic_id[1], 4U);
	EXPECT_EQ(info.cpu_apic_id[2], 256U);
	EXPECT_EQ(info.ioapic_count, 1U);
	EXPECT_EQ(info.ioapic[0].hpa, 0xFEC00000U);
	EXPECT_EQ(info.override_count, 2U);
	EXPECT(info.override[0].level && !info.override[0].active_low);
	EXPECT_EQ(info.override[1].gsi, 2U);
	EXPECT_EQ(info.nmi_lint, 1U);
	EXPECT(info.has_8259);
}

TEST(acpi_madt_cut_anywhere)
{
	for (size_t len = 0U; len <= sizeof(madt); len++) {
		memset(&info, 0, sizeof(info));
		EXPECT_EQ(parse(acpi_parse_madt, madt, len), len < 44U ? -EINVAL : 0);
	}
}

TEST(acpi_fadt)
{
	uint8_t fadt[244] = {0};

	memset(&info, 0, sizeof(info));
	memcpy(fadt + 40U, &(uint32_t){0x1000U}, 4U);    /* DSDT */
	memcpy(fadt + 64U, &(uint32_t){0xB004U}, 4U);    /* PM1a control */
	memcpy(fadt + 76U, &(uint32_t){0xB008U}, 4U);    /* PM timer */
	memcpy(fadt + 112U, &(uint32_t){0x500U}, 4U);    /* reset register, 32-bit timer */
	memcpy(fadt + 116U, "\x01\x08\x00\x01\xF9\x0C\0\0\0\0\0\0\x06", 13U);
	memcpy(fadt + 140U, &(uint64_t){0x123456789000UL}, 8U);
	memcpy(fadt + 208U, "\x01\x20\x00\x03\x08\x04\0\0\0\0\0\0", 12U); /* PM timer moved to 0x408 */
	EXPECT_EQ(parse(acpi_parse_fadt, fadt, sizeof(fadt)), 0);
	EXPECT_EQ(info.dsdt, 0x123456789000UL);
	EXPECT_EQ(info.pm1a_cnt, 0xB004U);
	EXPECT_EQ(info.pm_timer, 0x408U);
	EXPECT(info.pm_timer_32bit);
	EXPECT_EQ(info.reset_reg.address, 0xCF9U);
	EXPECT_EQ(info.reset_value, 6U);
	for (size_t len = 0U; len <= sizeof(fadt); len++) {
		EXPECT_EQ(parse(acpi_parse_fadt, fadt, len), len < 116U ? -EINVAL : 0);
	}
}

TEST(acpi_s5)
{
	uint8_t dsdt[36U + 16U] = {0};

	memset(&info, 0, sizeof(info));
	memcpy(dsdt + 36U, "\x08_S5_\x12\x08\x04\x0A\x07\x0A\x06\x00\x00", 14U);
	EXPECT_EQ(parse(acpi_parse_s5, dsdt, sizeof(dsdt)), 0);
	EXPECT_EQ(info.s5_a, 7U);
	EXPECT_EQ(info.s5_b, 6U);
	for (size_t len = 0U; len < 36U + 12U; len++) {
		EXPECT_EQ(parse(acpi_parse_s5, dsdt, len), -ENOENT);
	}
	memcpy(dsdt + 36U, "\x08\\_S5_\x12\x06\x04\x00\x01\x00\x00", 13U);
	EXPECT_EQ(parse(acpi_parse_s5, dsdt, sizeof(dsdt)), 0);
	EXPECT_EQ(info.s5_a, 0U);
	EXPECT_EQ(info.s5_b, 1U);
	/* a reference, not the name's definition */
	memcpy(dsdt + 36U, "\x70\x70_S5_\x12\x06\x04\x00\x01\x00\x00", 13U);
	EXPECT_EQ(parse(acpi_parse_s5, dsdt, sizeof(dsdt)), -ENOENT);
}

TEST(acpi_mcfg)
{
	uint8_t mcfg[44U + 32U] = {0};

	memset(&info, 0, sizeof(info));
	memcpy(mcfg + 44U + 8U, "\x01\x00", 2U); /* segment 1 first */
	memcpy(mcfg + 60U, &(uint64_t){0xE0000000UL}, 8U);
	mcfg[71] = 0xFFU;
	EXPECT_EQ(parse(acpi_parse_mcfg, mcfg, sizeof(mcfg)), 0);
	EXPECT_EQ(info.mcfg_base, 0xE0000000UL);
	EXPECT_EQ(info.mcfg_last_bus, 0xFFU);
	EXPECT_EQ(parse(acpi_parse_mcfg, mcfg, 60U), -ENOENT);
	EXPECT_EQ(parse(acpi_parse_mcfg, mcfg, 43U), -EINVAL);
}

TEST(acpi_rubbish)
{
	uint8_t bytes[400];

	for (uint32_t round = 0U; round < 20000U; round++) {
		const size_t len = unit_rand64() % sizeof(bytes);

		for (size_t i = 0U; i < len; i++) {
			bytes[i] = (uint8_t)unit_rand64();
			if (i >= 44U && round % 2U == 0U) {
				bytes[i] %= 17U; /* plausible entry types and lengths */
			}
		}
		memset(&info, 0, sizeof(info));
		(void)parse(acpi_parse_madt, bytes, len);
		(void)parse(acpi_parse_fadt, bytes, len);
		(void)parse(acpi_parse_mcfg, bytes, len);
		if (len > 60U) {
			memcpy(bytes + 40U + unit_rand64() % (len - 50U), "\x08_S5_\x12", 6U);
		}
		(void)parse(acpi_parse_s5, bytes, len);
		EXPECT(info.cpu_count <= ACPI_MAX_CPUS && info.ioapic_count <= ACPI_MAX_IOAPICS &&
			info.override_count <= ACPI_MAX_OVERRIDES);
	}
}
