/* SPDX-License-Identifier: BSD-3-Clause */
/* ACPI tables under libFuzzer: scripts/fuzz acpi. The first byte chooses the parser. */
#include <hv/acpi.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int32_t (*const parsers[])(const void *, size_t, struct acpi_info *) = {
		acpi_parse_madt, acpi_parse_fadt, acpi_parse_mcfg, acpi_parse_s5};
	static struct acpi_info info;
	uint8_t *exact;

	if (size < 2U) {
		return 0;
	}
	/* Of exactly that size: a byte read beyond it is an error. */
	exact = malloc(size - 1U);
	memcpy(exact, data + 1U, size - 1U);
	memset(&info, 0, sizeof(info));
	(void)parsers[data[0] % 4U](exact, size - 1U, &info);
	if (info.ioapic_count > ACPI_MAX_IOAPICS || info.override_count > ACPI_MAX_OVERRIDES) {
		abort();
	}
	free(exact);
	return 0;
}
