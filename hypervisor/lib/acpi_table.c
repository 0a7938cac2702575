/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of ACPI tables, for whoever gives a VM some: hypervisor and device model. */
#include <lib/acpi_table.h>
#include <lib/string.h>

#define LENGTH_AT   4U
#define CHECKSUM_AT 9U

#define RSDP_CHECKSUM_AT  8U
#define RSDP_OEM_ID_AT    9U
#define RSDP_RSDT_AT      16U
#define RSDP_LENGTH_AT    20U
#define RSDP_XSDT_AT      24U
#define RSDP_CHECKSUM2_AT 32U

#define FACS_SIZE       64U
#define FACS_VERSION_AT 32U

#define GAS_IO 1U

#define MADT_LAPIC       0U
#define MADT_IOAPIC      1U
#define MADT_OVERRIDE    2U
#define MADT_LAPIC_NMI   4U
#define MADT_X2APIC      9U
#define MADT_ENABLED     1U
#define MADT_PCAT_COMPAT 1U
#define MADT_UID_ALL     0xFFU
#define LEVEL_HIGH       0xDU
#define LAPIC_GPA        0xFEE00000U
#define PIT_GSI          2U

void acpi_put(uint8_t *at, uint64_t value, size_t size)
{
	(void)memcpy(at, &value, size);
}

/* Makes the bytes of [table, table+len) add up to 0 by the byte at offset `at`. */
static void set_checksum(uint8_t *table, size_t len, size_t at)
{
	uint8_t sum = 0U;

	table[at] = 0U;
	for (size_t i = 0U; i < len; i++) {
		sum = (uint8_t)(sum + table[i]);
	}
	table[at] = (uint8_t)(0U - sum);
}

void acpi_begin(uint8_t *table, const char *signature, uint8_t revision, const char *oem_table_id)
{
	(void)memcpy(table, signature, 4U);
	table[ACPI_REVISION_AT] = revision;
	(void)memcpy(table + ACPI_OEM_ID_AT, "ARIL  ", 6U);
	(void)memcpy(table + 16U, oem_table_id, 8U);
	acpi_put(table + 24U, 1U, 4U);
	(void)memcpy(table + 28U, "ARIL", 4U);
	acpi_put(table + 32U, 1U, 4U);
}

void acpi_finish(uint8_t *table, size_t len)
{
	acpi_put(table + LENGTH_AT, len, 4U);
	set_checksum(table, len, CHECKSUM_AT);
}

void acpi_put_rsdp(uint8_t *rsdp, const char *oem_id, uint32_t rsdt, uint64_t xsdt)
{
	(void)memcpy(rsdp, "RSD PTR ", 8U);
	(void)memcpy(rsdp + RSDP_OEM_ID_AT, oem_id, 6U);
	rsdp[ACPI_RSDP_REVISION_AT] = 2U;
	acpi_put(rsdp + RSDP_RSDT_AT, rsdt, 4U);
	acpi_put(rsdp + RSDP_LENGTH_AT, ACPI_RSDP_SIZE, 4U);
	acpi_put(rsdp + RSDP_XSDT_AT, xsdt, 8U);
	acpi_finish_rsdp_v1(rsdp);
	set_checksum(rsdp, ACPI_RSDP_SIZE, RSDP_CHECKSUM2_AT);
}

void acpi_finish_rsdp_v1(uint8_t *rsdp)
{
	set_checksum(rsdp, ACPI_RSDP_V1_SIZE, RSDP_CHECKSUM_AT);
}

void acpi_put_facs(uint8_t *facs)
{
	(void)memcpy(facs, "FACS", 4U);
	acpi_put(facs + LENGTH_AT, FACS_SIZE, 4U);
	facs[FACS_VERSION_AT] = 2U;
}

void acpi_put_io_gas(uint8_t *at, uint32_t port, uint8_t bits, uint8_t access)
{
	at[0] = GAS_IO;
	at[1] = bits;
	at[2] = 0U;
	at[3] = access;
	acpi_put(at + 4U, port, 8U);
}

/* ---- MADT. All make an entry, and return where the next one begins ---- */

static uint8_t *put_cpu(uint8_t *at, uint32_t uid, uint32_t apic_id)
{
	if (apic_id < 0xFFU) {
		at[0] = MADT_LAPIC;
		at[1] = 8U;
		at[2] = (uint8_t)uid;
		at[3] = (uint8_t)apic_id;
		acpi_put(at + 4U, MADT_ENABLED, 4U);
	} else {
		at[0] = MADT_X2APIC;
		at[1] = 16U;
		acpi_put(at + 4U, apic_id, 4U);
		acpi_put(at + 8U, MADT_ENABLED, 4U);
		acpi_put(at + 12U, uid, 4U);
	}
	return at + at[1];
}

static uint8_t *put_ioapic(uint8_t *at, uint32_t gpa)
{
	at[0] = MADT_IOAPIC;
	at[1] = 12U;
	acpi_put(at + 4U, gpa, 4U);
	return at + at[1];
}

static uint8_t *put_override(uint8_t *at, uint32_t irq, uint32_t gsi, uint32_t flags)
{
	at[0] = MADT_OVERRIDE;
	at[1] = 10U;
	at[3] = (uint8_t)irq;
	acpi_put(at + 4U, gsi, 4U);
	acpi_put(at + 8U, flags, 2U);
	return at + at[1];
}

static uint8_t *put_nmi_at_lint1(uint8_t *at)
{
	at[0] = MADT_LAPIC_NMI;
	at[1] = 6U;
	at[2] = MADT_UID_ALL;
	at[5] = 1U;
	return at + at[1];
}

size_t acpi_put_pc_madt(uint8_t *madt, const char *oem_table_id, const uint32_t *apic_id, uint32_t cpu_count,
	uint32_t ioapic_gpa, uint32_t sci)
{
	uint8_t *at = madt + ACPI_HEADER_SIZE + 8U;
	size_t len;

	acpi_begin(madt, "APIC", 4U, oem_table_id);
	acpi_put(madt + ACPI_HEADER_SIZE, LAPIC_GPA, 4U);
	acpi_put(madt + ACPI_HEADER_SIZE + 4U, MADT_PCAT_COMPAT, 4U);
	for (uint32_t i = 0U; i < cpu_count; i++) {
		at = put_cpu(at, i, apic_id[i]);
	}
	at = put_ioapic(at, ioapic_gpa);
	at = put_override(at, 0U, PIT_GSI, 0U);
	at = put_override(at, sci, sci, LEVEL_HIGH);
	at = put_nmi_at_lint1(at);
	len = (size_t)(at - madt);
	acpi_finish(madt, len);
	return len;
}
