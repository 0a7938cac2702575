/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ACPI tables of a User VM (ACPI 6.4, chapter 5): RSDP, XSDT, FADT, FACS, MADT, DSDT, in the 64 KiB below 1 MiB.
 * There is no SMI command port (the VM is always in ACPI mode) and no PM timer.
 */
#include "vm_image.h"

#include "device.h"
#include "dsdt_aml.h"

#include <lib/string.h>

#define TABLE_AREA_SIZE 0x8000UL
#define OFFSET_XSDT     0x040U
#define OFFSET_FADT     0x100U
#define OFFSET_FACS     0x280U /* 64-byte aligned */
#define OFFSET_MADT     0x300U
#define OFFSET_DSDT     0x600U

#define FADT_SIZE 268U /* revision 5 */
#define FACS_SIZE 64U

#define FADT_WBINVD     (1U << 0)
#define FADT_PROC_C1    (1U << 2)
#define FADT_PWR_BUTTON (1U << 4) /* no fixed power button */
#define FADT_SLP_BUTTON (1U << 5) /* no fixed sleep button */
#define FADT_RESET_REG  (1U << 10)
#define BOOT_LEGACY     (1U << 0)
#define BOOT_NO_VGA     (1U << 2)
#define BOOT_NO_ASPM    (1U << 4)

#define GAS_IO 1U

#define IOAPIC_GPA 0xFEC00000U
#define LAPIC_GPA  0xFEE00000U

static void acpi_put(uint8_t *at, uint64_t value, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		at[i] = (uint8_t)(value >> (8U * i));
	}
}

static uint8_t sum_to_zero(const uint8_t *at, uint32_t size)
{
	uint32_t sum = 0U;

	for (uint32_t i = 0; i < size; i++) {
		sum += at[i];
	}
	return (uint8_t)(0U - sum);
}

/* The common header; the checksum comes last, by header_finish(). */
static void header(uint8_t *at, const char *signature, uint32_t size, uint8_t revision)
{
	memcpy(at, signature, 4);
	acpi_put(at + 4, size, 4U);
	at[8] = revision;
	memcpy(at + 10, "ARIL  ", 6);
	memcpy(at + 16, "ARILVM  ", 8);
	acpi_put(at + 24, 1U, 4U);
	memcpy(at + 28, "ARIL", 4);
	acpi_put(at + 32, 1U, 4U);
}

static void header_finish(uint8_t *at, uint32_t size)
{
	at[9] = 0U;
	at[9] = sum_to_zero(at, size);
}

static void gas_io(uint8_t *at, uint32_t port, uint8_t bits, uint8_t access)
{
	at[0] = GAS_IO;
	at[1] = bits;
	at[2] = 0U;
	at[3] = access; /* 1 byte, 2 word, 3 dword */
	acpi_put(at + 4, port, 8U);
}

static void put_fadt(uint8_t *at)
{
	uint64_t base = VM_IMAGE_RSDP;

	header(at, "FACP", FADT_SIZE, 5U);
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
	gas_io(at + 116, DM_PORT_RESET, 8U, 1U);
	at[128] = 0x06U; /* what to write there */
	at[131] = 1U;    /* minor version */
	/* FACS only by its 32-bit address: ACPI 6.4 allows one of the two. */
	acpi_put(at + 140, base + OFFSET_DSDT, 8U);
	gas_io(at + 148, DM_PORT_PM1_EVT, 32U, 2U);
	gas_io(at + 172, DM_PORT_PM1_CNT, 16U, 2U);
	header_finish(at, FADT_SIZE);
}

static uint8_t *madt_cpu(uint8_t *at, uint32_t uid, uint32_t lapic_id)
{
	if (lapic_id < 255U) {
		at[0] = 0U;
		at[1] = 8U;
		at[2] = (uint8_t)uid;
		at[3] = (uint8_t)lapic_id;
		acpi_put(at + 4, 1U, 4U); /* enabled */
		return at + 8;
	}
	at[0] = 9U; /* local x2APIC */
	at[1] = 16U;
	acpi_put(at + 4, lapic_id, 4U);
	acpi_put(at + 8, 1U, 4U);
	acpi_put(at + 12, uid, 4U);
	return at + 16;
}

static uint8_t *madt_override(uint8_t *at, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	at[0] = 2U;
	at[1] = 10U;
	at[3] = irq;
	acpi_put(at + 4, gsi, 4U);
	acpi_put(at + 8, flags, 2U);
	return at + 10;
}

static uint32_t put_madt(uint8_t *at, const struct vm_image *image)
{
	uint8_t *p = at + 44;
	uint32_t size;

	acpi_put(at + 36, LAPIC_GPA, 4U);
	acpi_put(at + 40, 1U, 4U); /* there are 8259s too */
	for (uint32_t i = 0; i < image->cpu_count; i++) {
		p = madt_cpu(p, i, image->lapic_ids[i]);
	}
	p[0] = 1U; /* I/O APIC */
	p[1] = 12U;
	p[2] = 0U;
	acpi_put(p + 4, IOAPIC_GPA, 4U);
	acpi_put(p + 8, 0U, 4U);
	p = madt_override(p + 12, 0U, DM_GSI_PIT, 0U);
	p = madt_override(p, (uint8_t)DM_IRQ_SCI, DM_IRQ_SCI, 0x0DU); /* level, active high */
	p[0] = 4U;                                                    /* NMI at LINT1 of every CPU */
	p[1] = 6U;
	p[2] = 0xFFU;
	p[5] = 1U;
	p += 6;
	size = (uint32_t)(p - at);
	header(at, "APIC", size, 4U);
	header_finish(at, size);
	return size;
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
	memcpy(area, "RSD PTR ", 8);
	memcpy(area + 9, "ARIL  ", 6);
	area[15] = 2U;
	acpi_put(area + 20, 36U, 4U);
	acpi_put(area + 24, base + OFFSET_XSDT, 8U);
	area[8] = sum_to_zero(area, 20U);
	area[32] = sum_to_zero(area, 36U);

	xsdt = area + OFFSET_XSDT;
	header(xsdt, "XSDT", 36U + 16U, 1U);
	acpi_put(xsdt + 36, base + OFFSET_FADT, 8U);
	acpi_put(xsdt + 44, base + OFFSET_MADT, 8U);
	header_finish(xsdt, 36U + 16U);

	put_fadt(area + OFFSET_FADT);
	memcpy(area + OFFSET_FACS, "FACS", 4);
	acpi_put(area + OFFSET_FACS + 4, FACS_SIZE, 4U);
	area[OFFSET_FACS + 32] = 2U;
	/* 16 CPUs at 16 bytes each, and 52 more, stay below the DSDT. */
	_Static_assert(OFFSET_MADT + 44U + VM_IMAGE_CPUS_MAX * 16U + 12U + 20U + 6U <= OFFSET_DSDT, "the MADT fits");
	(void)put_madt(area + OFFSET_MADT, image);
	memcpy(area + OFFSET_DSDT, dsdt_aml, sizeof(dsdt_aml));
	return VM_IMAGE_OK;
}
