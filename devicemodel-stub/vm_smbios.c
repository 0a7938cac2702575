/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMBIOS tables of a User VM (DSP0134 3.4): 64-bit entry point, BIOS, system, end. Besides the name, the BIOS date
 * matters: for a machine of this century Linux believes in PCI configuration ports without finding a host bridge.
 */
#include "vm_image.h"

#include <lib/string.h>

#define AREA_SIZE    0x200UL
#define OFFSET_TABLE 0x20U

#define TYPE_BIOS   0U
#define TYPE_SYSTEM 1U
#define TYPE_END    127U
#define BIOS_SIZE   0x18U
#define SYSTEM_SIZE 0x1BU
#define END_SIZE    4U

#define BIOS_NO_CHARACTERISTICS 0x08U
#define BIOS_EXT_ACPI           0x01U
#define BIOS_EXT2_VIRTUAL       0x10U
#define WAKE_POWER_SWITCH       6U

/* A structure's fixed part; its strings follow. */
static uint8_t *structure(uint8_t *at, uint8_t type, uint8_t size)
{
	at[0] = type;
	at[1] = size;
	at[2] = type; /* the handle: any number that no other structure has */
	return at + size;
}

static uint8_t *string(uint8_t *at, const char *text)
{
	const size_t size = strlen(text) + 1U;

	memcpy(at, text, size);
	return at + size;
}

static uint32_t put_table(uint8_t *table)
{
	uint8_t *at = table;
	uint8_t *p = structure(at, TYPE_BIOS, BIOS_SIZE);

	at[4] = 1U; /* vendor, version, date: numbers of strings */
	at[5] = 2U;
	at[8] = 3U;
	at[10] = BIOS_NO_CHARACTERISTICS;
	at[18] = BIOS_EXT_ACPI;
	at[19] = BIOS_EXT2_VIRTUAL;
	memset(at + 20, 0xFF, 4); /* no release numbers of BIOS and embedded controller */
	p = string(string(string(p, "Aril"), "1"), "01/01/2026");

	at = p + 1; /* an empty string ends the strings */
	p = structure(at, TYPE_SYSTEM, SYSTEM_SIZE);
	at[4] = 1U; /* manufacturer, product; the UUID of zeros means: none */
	at[5] = 2U;
	at[24] = WAKE_POWER_SWITCH;
	p = string(string(p, "Aril"), "User VM");

	p = structure(p + 1, TYPE_END, END_SIZE);
	return (uint32_t)(p + 2 - table); /* no strings: two zero bytes */
}

enum vm_image_error vm_image_smbios(const struct vm_image *image)
{
	uint8_t *const area = image->map(image->ctx, VM_IMAGE_SMBIOS, AREA_SIZE);
	uint32_t size;
	uint8_t sum = 0U;

	if (area == NULL) {
		return VM_IMAGE_NO_ROOM;
	}
	memset(area, 0, AREA_SIZE);
	size = put_table(area + OFFSET_TABLE);
	memcpy(area, "_SM3_", 5);
	area[6] = 0x18U; /* size of the entry point */
	area[7] = 3U;    /* version 3.4 */
	area[8] = 4U;
	area[10] = 1U;
	for (uint32_t i = 0; i < 4U; i++) {
		area[12U + i] = (uint8_t)(size >> (8U * i));
		area[16U + i] = (uint8_t)((VM_IMAGE_SMBIOS + OFFSET_TABLE) >> (8U * i));
	}
	for (uint32_t i = 0; i < 0x18U; i++) {
		sum = (uint8_t)(sum + area[i]);
	}
	area[5] = (uint8_t)(0U - sum);
	return VM_IMAGE_OK;
}
