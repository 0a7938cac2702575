/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding the machine's ACPI tables. What is in them: acpi_tables.c. */
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/log.h>
#include <lib/string.h>

#define RSDP_V1_SIZE    20U
#define RSDP_V2_SIZE    36U
#define TABLE_MAX       (16U << 20U)
#define BIOS_AREA       0xE0000UL
#define BIOS_AREA_SIZE  0x20000UL
#define EBDA_SEGMENT_AT 0x40EUL

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t checksum2;
	uint8_t reserved[3];
} __packed;

struct acpi_info acpi_info;

static bool rsdp_is_valid(const struct acpi_rsdp *rsdp)
{
	return memcmp(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature)) == 0 &&
		acpi_checksum_ok(rsdp, RSDP_V1_SIZE) && (rsdp->revision < 2U || acpi_checksum_ok(rsdp, RSDP_V2_SIZE));
}

static hpa_t rsdp_scan(hpa_t base, uint64_t size)
{
	const uint8_t *area = arch_map_firmware(base, size);
	hpa_t found = 0UL;

	if (area == NULL) {
		return 0UL;
	}
	arch_guest_access_begin(); /* the EBDA lies in RAM */
	for (uint64_t at = 0UL; at + sizeof(struct acpi_rsdp) <= size && found == 0UL; at += 16UL) {
		if (rsdp_is_valid((const void *)(area + at))) {
			found = base + at;
		}
	}
	arch_guest_access_end();
	return found;
}

/* The loader's copy, or the BIOS areas (ACPI 6.4, 5.2.5.1). */
static hpa_t find_rsdp(void)
{
	const uint8_t *low;
	uint16_t segment;
	hpa_t rsdp = 0UL;

	if (boot_info.rsdp != 0UL || boot_info.efi_system_table != 0UL) {
		return boot_info.rsdp;
	}
	low = arch_map_firmware(EBDA_SEGMENT_AT, sizeof(segment));
	if (low != NULL) {
		arch_guest_access_begin();
		(void)memcpy(&segment, low, sizeof(segment));
		arch_guest_access_end();
		if (segment >= 0x8000U) {
			rsdp = rsdp_scan((hpa_t)segment << 4U, 1024UL);
		}
	}
	return rsdp != 0UL ? rsdp : rsdp_scan(BIOS_AREA, BIOS_AREA_SIZE);
}

/*
 * Opens a table in full.
 * @return the table, to be read between arch_guest_access_begin() and _end() (it may lie in RAM), or NULL
 */
static const struct acpi_header *open_table(hpa_t hpa, uint32_t *length)
{
	const struct acpi_header *header = arch_map_firmware(hpa, sizeof(*header));
	bool ok;

	if (hpa == 0UL || header == NULL) {
		return NULL;
	}
	arch_guest_access_begin();
	*length = header->length;
	arch_guest_access_end();
	if (*length < sizeof(*header) || *length > TABLE_MAX || arch_map_firmware(hpa, *length) == NULL) {
		return NULL;
	}
	arch_guest_access_begin();
	ok = acpi_checksum_ok(header, *length);
	arch_guest_access_end();
	if (!ok) {
		pr_warn("ACPI table at %#lx has a wrong checksum: not used", hpa);
		return NULL;
	}
	return header;
}

/* Notes the tables that RSDT or XSDT list. */
static void read_root(hpa_t root, uint32_t entry_size)
{
	uint32_t length;
	const struct acpi_header *header = open_table(root, &length);
	const uint8_t *entries;

	if (header == NULL) {
		return;
	}
	entries = (const uint8_t *)header + sizeof(*header);
	for (uint32_t at = 0U; at + entry_size <= length - sizeof(*header); at += entry_size) {
		uint64_t table = 0UL;
		uint32_t ignored;

		arch_guest_access_begin();
		(void)memcpy(&table, entries + at, entry_size);
		arch_guest_access_end();
		if (acpi_info.table_count < ACPI_MAX_TABLES && open_table(table, &ignored) != NULL) {
			acpi_info.table[acpi_info.table_count++] = table;
		}
	}
}

/* @return address of the first table with that signature whose checksum is right, or INVALID_HPA */
static hpa_t acpi_find(const char *signature)
{
	for (uint32_t i = 0U; i < acpi_info.table_count; i++) {
		const struct acpi_header *header = arch_map_firmware(acpi_info.table[i], sizeof(*header));
		bool same;

		arch_guest_access_begin();
		same = memcmp(header->signature, signature, sizeof(header->signature)) == 0;
		arch_guest_access_end();
		if (same) {
			return acpi_info.table[i];
		}
	}
	return INVALID_HPA;
}

typedef int32_t (*parser_t)(const void *table, size_t len, struct acpi_info *out);

/* @return what the parser says; 0 if there is no table, which the log knows already */
static int32_t parse_at(hpa_t hpa, parser_t parser)
{
	uint32_t length;
	const struct acpi_header *header = open_table(hpa, &length);
	int32_t ret = 0;

	if (header != NULL) {
		arch_guest_access_begin();
		ret = parser(header, length, &acpi_info);
		arch_guest_access_end();
	}
	return ret;
}

static void parse(const char *signature, parser_t parser)
{
	const hpa_t hpa = acpi_find(signature);
	const int32_t ret = (hpa == INVALID_HPA) ? 0 : parse_at(hpa, parser);

	if (ret != 0) {
		pr_warn("ACPI table %s at %#lx makes no sense (%d)", signature, hpa, ret);
	}
}

static void parse_dsdt(void)
{
	if (parse_at(acpi_info.dsdt, acpi_parse_s5) != 0) {
		pr_warn("no \\_S5 in the DSDT: power-off by ACPI is not possible");
	}
}

void acpi_init(void)
{
	struct acpi_rsdp rsdp;
	const void *at;

	acpi_info.nmi_lint = 0xFFU;
	acpi_info.lapic_base = 0xFEE00000UL;
	acpi_info.has_8259 = true;
	acpi_info.rsdp = find_rsdp();
	at = acpi_info.rsdp != 0UL ? arch_map_firmware(acpi_info.rsdp, sizeof(rsdp)) : NULL;
	if (at != NULL) {
		arch_guest_access_begin();
		(void)memcpy(&rsdp, at, sizeof(rsdp));
		arch_guest_access_end();
		(void)memcpy(acpi_info.oem_id, rsdp.oem_id, sizeof(acpi_info.oem_id));
		if (!rsdp_is_valid(&rsdp)) {
			pr_warn("the ACPI root pointer has a wrong checksum: not used");
		} else if (rsdp.revision >= 2U && rsdp.xsdt != 0UL) {
			read_root(rsdp.xsdt, 8U);
		}
		if (rsdp_is_valid(&rsdp) && acpi_info.table_count == 0U) {
			read_root(rsdp.rsdt, 4U);
		}
	}
	parse("APIC", acpi_parse_madt);
	parse("FACP", acpi_parse_fadt);
	parse("MCFG", acpi_parse_mcfg);
	parse_dsdt();
	if (acpi_info.cpu_count == 0U) {
		pr_warn("no usable ACPI MADT: one CPU, no I/O APIC");
		acpi_info.cpu_count = 1U;
		acpi_info.cpu_apic_id[0] = arch_cpu_apic_id(0U);
	}
}
