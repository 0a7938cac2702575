/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/acpi_tables.c: each of its readers over any bytes. Bounds: EXTRA bytes behind a table's fixed
 * part, a FADT of 244 bytes, CPUS CPUs known before.
 */
#include <hv/acpi.h>
#include <lib/errno.h>

static struct acpi_info out;

int main(void)
{
	const size_t size = nondet_u32();
	const uint8_t table = nondet_u8();
	uint8_t *bytes; /* as many as there are, and none behind them */

	ASSUME(size <= ((table > 2U) ? 244U : 44U + EXTRA));
	bytes = __CPROVER_allocate(size, false);
	__CPROVER_havoc_object(&out);
	ASSUME(out.cpu_count <= CPUS && out.ioapic_count <= ACPI_MAX_IOAPICS &&
		out.override_count <= ACPI_MAX_OVERRIDES);
	switch (table) {
	case 0:
		(void)acpi_parse_madt(bytes, size, &out);
		break;
	case 1:
		(void)acpi_parse_mcfg(bytes, size, &out);
		break;
	case 2:
		(void)acpi_parse_s5(bytes, size, &out);
		break;
	default:
		(void)acpi_parse_fadt(bytes, size, &out);
		break;
	}
	PROVE(out.cpu_count <= ACPI_MAX_CPUS && out.ioapic_count <= ACPI_MAX_IOAPICS &&
		out.override_count <= ACPI_MAX_OVERRIDES);
	return 0;
}
