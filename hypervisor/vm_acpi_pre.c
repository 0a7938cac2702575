/* SPDX-License-Identifier: BSD-3-Clause */
/* A pre-launched VM's ACPI tables (ACPI 6.4, 5.2): the machine that vm_devices.c gives it, and no other. */
#include <dm/pre_dsdt_aml.h>
#include <dm/vhpet.h>
#include <dm/vioapic.h>
#include <dm/vpci.h>
#include <dm/vpm.h>
#include <hv/vm_acpi_pre.h>
#include <lib/acpi_table.h>
#include <lib/errno.h>
#include <lib/string.h>

#define OEM_TABLE_ID "ARILPRE "
#define FADT_SIZE    244U /* revision 3: ACPI 2.0 and later */
#define HPET_SIZE    (ACPI_HEADER_SIZE + 20U)
#define MCFG_SIZE    (ACPI_HEADER_SIZE + 8U + 16U)

/* Offsets in the area; what is behind the MADT's is its. */
#define XSDT_AT 0x40U /* room for 7 tables in each root */
#define RSDT_AT 0xA0U
#define FACS_AT 0x100U /* 64-byte aligned, as it must be */
#define FADT_AT 0x140U
#define MCFG_AT 0x240U
#define HPET_AT 0x280U
#define DSDT_AT 0x300U
#define MADT_AT 0x1000U

#define FLAG_WBINVD        BIT_FLAG(0U)
#define FLAG_PROC_C1       BIT_FLAG(2U)
#define FLAG_NO_PWR_BUTTON BIT_FLAG(4U)
#define FLAG_NO_SLP_BUTTON BIT_FLAG(5U)
#define FLAG_NO_FIX_RTC    BIT_FLAG(6U)
#define FLAG_TMR_32BIT     BIT_FLAG(8U)
#define FLAG_RESET_REG     BIT_FLAG(10U)
#define BIT_FLAG(n)        (1U << (n))

#define BOOT_LEGACY_DEVICES 0x01U
#define BOOT_8042           0x02U
#define BOOT_NO_VGA         0x04U

#define HPET_MIN_PERIOD 500U /* clocks: 50 us, see dm/vhpet_glue.c */

#define RESET_PORT  0xCF9U
#define RESET_VALUE 0x06U

/* What the roots list. */
static const uint32_t listed[] = {FADT_AT, MADT_AT, MCFG_AT, HPET_AT};

_Static_assert((ARRAY_SIZE(listed) <= 7U) && (XSDT_AT + ACPI_HEADER_SIZE + 7U * 8U <= RSDT_AT) &&
		(RSDT_AT + ACPI_HEADER_SIZE + 7U * 4U <= FACS_AT),
	"the roots' places");
_Static_assert(DSDT_AT + sizeof(pre_dsdt_aml) <= MADT_AT, "the DSDT's place");

static void make_fadt(uint8_t *fadt)
{
	acpi_begin(fadt, "FACP", 3U, OEM_TABLE_ID);
	acpi_put(fadt + 36U, VM_ACPI_PRE_GPA + FACS_AT, 4U);
	acpi_put(fadt + 40U, VM_ACPI_PRE_GPA + DSDT_AT, 4U);
	acpi_put(fadt + 46U, VPM_SCI_IRQ, 2U);
	acpi_put(fadt + 56U, VPM_PM1_EVT_PORT, 4U);
	acpi_put(fadt + 64U, VPM_PM1_CNT_PORT, 4U);
	acpi_put(fadt + 76U, VPM_TMR_PORT, 4U);
	fadt[88] = 4U;
	fadt[89] = 2U;
	fadt[91] = 4U;
	acpi_put(fadt + 96U, 0xFFFU, 2U);  /* above 100: no C2 */
	acpi_put(fadt + 98U, 0xFFFFU, 2U); /* above 1000: no C3 */
	fadt[108] = 0x32U;                 /* century in CMOS */
	acpi_put(fadt + 109U, BOOT_LEGACY_DEVICES | BOOT_8042 | BOOT_NO_VGA, 2U);
	acpi_put(fadt + 112U,
		FLAG_WBINVD | FLAG_PROC_C1 | FLAG_NO_PWR_BUTTON | FLAG_NO_SLP_BUTTON | FLAG_NO_FIX_RTC |
			FLAG_TMR_32BIT | FLAG_RESET_REG,
		4U);
	acpi_put_io_gas(fadt + 116U, RESET_PORT, 8U, 1U);
	fadt[128] = RESET_VALUE;
	acpi_put(fadt + 140U, VM_ACPI_PRE_GPA + DSDT_AT, 8U);
	acpi_put_io_gas(fadt + 148U, VPM_PM1_EVT_PORT, 32U, 2U);
	acpi_put_io_gas(fadt + 172U, VPM_PM1_CNT_PORT, 16U, 2U);
	acpi_put_io_gas(fadt + 208U, VPM_TMR_PORT, 32U, 3U);
	acpi_finish(fadt, FADT_SIZE);
}

/* Where configuration space is in memory (PCI Firmware 3.2, 4.1.2): bus 0. */
static void make_mcfg(uint8_t *mcfg)
{
	acpi_begin(mcfg, "MCFG", 1U, OEM_TABLE_ID);
	acpi_put(mcfg + ACPI_HEADER_SIZE + 8U, VPCI_ECAM_BASE, 8U);
	acpi_finish(mcfg, MCFG_SIZE);
}

/* IA-PC HPET Specification 1.0a, 3.2.4. */
static void make_hpet(uint8_t *hpet)
{
	acpi_begin(hpet, "HPET", 1U, OEM_TABLE_ID);
	acpi_put(hpet + ACPI_HEADER_SIZE, VHPET_ID, 4U);
	acpi_put(hpet + ACPI_HEADER_SIZE + 8U, VHPET_BASE, 8U); /* in memory: the rest of the address structure is 0 */
	acpi_put(hpet + ACPI_HEADER_SIZE + 17U, HPET_MIN_PERIOD, 2U);
	acpi_finish(hpet, HPET_SIZE);
}

/* ---- DSDT ---- */

/* Name (NAME, 0x0F) becomes Name (NAME, 0). */
static void clear_status(uint8_t *dsdt, const char *name)
{
	for (size_t i = ACPI_HEADER_SIZE; i + 7U <= sizeof(pre_dsdt_aml); i++) {
		if ((dsdt[i] == 0x08U) && (memcmp(dsdt + i + 1U, name, 4U) == 0) && (dsdt[i + 5U] == 0x0AU)) {
			dsdt[i + 6U] = 0U;
			return;
		}
	}
}

static void make_dsdt(const struct vm_acpi_pre_input *in, uint8_t *dsdt)
{
	(void)memcpy(dsdt, pre_dsdt_aml, sizeof(pre_dsdt_aml));
	if (!in->has_com1) {
		clear_status(dsdt, "C1ST");
	}
	if (!in->has_com2) {
		clear_status(dsdt, "C2ST");
	}
	acpi_finish(dsdt, sizeof(pre_dsdt_aml));
}

/* Small kernels, as test kernels are, read the RSDT even where there is an XSDT. */
static void make_roots(uint8_t *area)
{
	acpi_begin(area + XSDT_AT, "XSDT", 1U, OEM_TABLE_ID);
	acpi_begin(area + RSDT_AT, "RSDT", 1U, OEM_TABLE_ID);
	for (size_t i = 0U; i < ARRAY_SIZE(listed); i++) {
		acpi_put(area + XSDT_AT + ACPI_HEADER_SIZE + 8U * i, VM_ACPI_PRE_GPA + listed[i], 8U);
		acpi_put(area + RSDT_AT + ACPI_HEADER_SIZE + 4U * i, VM_ACPI_PRE_GPA + listed[i], 4U);
	}
	acpi_finish(area + XSDT_AT, ACPI_HEADER_SIZE + 8U * ARRAY_SIZE(listed));
	acpi_finish(area + RSDT_AT, ACPI_HEADER_SIZE + 4U * ARRAY_SIZE(listed));
}

int32_t vm_acpi_pre_make(const struct vm_acpi_pre_input *in, uint8_t *area)
{
	_Static_assert(MADT_AT + ACPI_PC_MADT_SIZE(CONFIG_MAX_VCPUS_PER_VM) <= VM_ACPI_PRE_SIZE, "MADT");

	if ((in->cpu_count == 0U) || (in->cpu_count > CONFIG_MAX_VCPUS_PER_VM)) {
		return -EINVAL;
	}
	(void)memset(area, 0, VM_ACPI_PRE_SIZE);
	acpi_put_rsdp(area, "ARIL  ", VM_ACPI_PRE_GPA + RSDT_AT, VM_ACPI_PRE_GPA + XSDT_AT);
	make_roots(area);
	acpi_put_facs(area + FACS_AT);
	make_fadt(area + FADT_AT);
	make_mcfg(area + MCFG_AT);
	make_hpet(area + HPET_AT);
	make_dsdt(in, area + DSDT_AT);
	(void)acpi_put_pc_madt(
		area + MADT_AT, OEM_TABLE_ID, in->apic_id, in->cpu_count, VIOAPIC_USER_BASE, VPM_SCI_IRQ);
	return 0;
}
