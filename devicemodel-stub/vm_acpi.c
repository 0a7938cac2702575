/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ACPI tables of a User VM (ACPI 6.4, chapter 5): RSDP, XSDT, FADT, FACS, MADT, DSDT, in the 64 KiB below 1 MiB.
 * There is no SMI command port (the VM is always in ACPI mode) and no PM timer.
 */
#include "vm_image.h"

#include "device.h"
#include "dsdt_aml.h"

#include <lib/acpi_table.h>
#include <lib/string.h>

#define TABLE_AREA_SIZE 0x8000UL
#define OFFSET_XSDT     0x040U
#define OFFSET_FADT     0x100U
#define OFFSET_FACS     0x280U /* 64-byte aligned */
#define OFFSET_MADT     0x300U
#define OFFSET_DSDT     0x600U

#define FADT_SIZE 268U /* revision 5 */

#define FADT_WBINVD     (1U << 0)
#define FADT_PROC_C1    (1U << 2)
#define FADT_PWR_BUTTON (1U << 4) /* no fixed power button */
#define FADT_SLP_BUTTON (1U << 5) /* no fixed sleep button */
#define FADT_RESET_REG  (1U << 10)
#define BOOT_LEGACY     (1U << 0)
#define BOOT_NO_VGA     (1U << 2)
#define BOOT_NO_ASPM    (1U << 4)

#define IOAPIC_GPA   0xFEC00000U
#define OEM_TABLE_ID "ARILVM  "

static void put_fadt(uint8_t *at)
{
	uint64_t base = VM_IMAGE_RSDP;

	acpi_begin(at, "FACP", 5U, OEM_TABLE_ID);
	acpi_put(at + 36, base + OFFSET_FACS, 4U);
	acpi_put(at + 40, base + OFFSET_DSDT, 4U);
	acpi_put(at + 46, DM_IRQ_SCI, 2U);
	acpi_put(at + 56, DM_PORT_PM1_EVT, 4U);
	acpi_put(at + 64, DM_PORT_PM1_CNT, 4U);
	at[88] = 4U;                    /* PM1_EVT_LEN */
	at[89] = 2U;                    /* PM1_CNT_LEN */
	acpi_put(at + 96, 0xFFFFU, 2U); /* no C2 */
	acpi_put(at + 98, 0xFFFFU, 2U); /* no C3 */
	at[108] = 0x32U;                /* century register of the clock */
	acpi_put(at + 109, BOOT_LEGACY | BOOT_NO_VGA | BOOT_NO_ASPM, 2U);
	acpi_put(at + 112, FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_RESET_REG, 4U);
	acpi_put_io_gas(at + 116, DM_PORT_RESET, 8U, 1U);
	at[128] = 0x06U; /* what to write there */
	at[131] = 1U;    /* minor version */
	/* FACS only by its 32-bit address: ACPI 6.4 allows one of the two. */
	acpi_put(at + 140, base + OFFSET_DSDT, 8U);
	acpi_put_io_gas(at + 148, DM_PORT_PM1_EVT, 32U, 2U);
	acpi_put_io_gas(at + 172, DM_PORT_PM1_CNT, 16U, 2U);
	acpi_finish(at, FADT_SIZE);
}

enum vm_image_error vm_image_acpi(const struct vm_image *image)
{
	uint8_t *area = image->map(image->ctx, VM_IMAGE_RSDP, TABLE_AREA_SIZE);
	uint64_t base = VM_IMAGE_RSDP;
	uint8_t *xsdt;

	if (image->cpu_count == 0U || image->cpu_count > VM_IMAGE_CPUS_MAX) {
		return VM_IMAGE_BAD_PARAMETER;
	}
	if (area == NULL) {
		return VM_IMAGE_NO_ROOM;
	}
	_Static_assert(OFFSET_DSDT + sizeof(dsdt_aml) <= TABLE_AREA_SIZE, "the DSDT fits");
	memset(area, 0, TABLE_AREA_SIZE);
	acpi_put_rsdp(area, "ARIL  ", 0U, base + OFFSET_XSDT);
	xsdt = area + OFFSET_XSDT;
	acpi_begin(xsdt, "XSDT", 1U, OEM_TABLE_ID);
	acpi_put(xsdt + 36, base + OFFSET_FADT, 8U);
	acpi_put(xsdt + 44, base + OFFSET_MADT, 8U);
	acpi_finish(xsdt, 36U + 16U);

	put_fadt(area + OFFSET_FADT);
	acpi_put_facs(area + OFFSET_FACS);
	_Static_assert(OFFSET_MADT + ACPI_PC_MADT_SIZE(VM_IMAGE_CPUS_MAX) <= OFFSET_DSDT, "the MADT fits");
	(void)acpi_put_pc_madt(
		area + OFFSET_MADT, OEM_TABLE_ID, image->lapic_ids, image->cpu_count, IOAPIC_GPA, DM_IRQ_SCI);
	memcpy(area + OFFSET_DSDT, dsdt_aml, sizeof(dsdt_aml));
	return VM_IMAGE_OK;
}
