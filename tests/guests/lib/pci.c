/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration space in memory. */
#include <guests/lib/acpi.h>
#include <guests/lib/guest.h>
#include <guests/lib/pci.h>

#define MCFG_FIXED	44U
#define MCFG_ENTRY	16U

uint64_t pci_ecam;

static bool use_segment(bool other)
{
	const uint8_t *mcfg = acpi_find("MCFG");
	uint32_t length;
	uint16_t segment;

	if (mcfg == NULL)
		return false;
	memcpy(&length, mcfg + 4, sizeof(length));
	for (uint32_t at = MCFG_FIXED; at + MCFG_ENTRY <= length; at += MCFG_ENTRY) {
		memcpy(&segment, mcfg + at + 8, sizeof(segment));
		if ((segment != 0) == other)
			memcpy(&pci_ecam, mcfg + at, sizeof(pci_ecam));
	}
	return pci_ecam != 0;
}

bool pci_use_other_segment(void)
{
	return use_segment(true);
}

bool pci_use_memory(void)
{
	return use_segment(false);
}
