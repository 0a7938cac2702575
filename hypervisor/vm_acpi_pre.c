/* SPDX-License-Identifier: BSD-3-Clause */
/* A pre-launched VM's ACPI tables (ACPI 6.4, 5.2): the machine that vm_devices.c gives it, and no other. */
#include <dm/pre_dsdt_aml.h>
#include <dm/vhpet.h>
#include <dm/vioapic.h>
#include <dm/vpci.h>
#include <dm/vpm.h>
#include <hv/vm_acpi_pre.h>
#include <lib/errno.h>
#include <lib/string.h>

#define HEADER_SIZE 36U
#define LENGTH_AT   4U
#define CHECKSUM_AT 9U
#define FADT_SIZE   244U /* revision 3: ACPI 2.0 and later */
#define FACS_SIZE   64U
#define RSDP_SIZE   36U
#define HPET_SIZE   (HEADER_SIZE + 20U)
#define MCFG_SIZE   (HEADER_SIZE + 8U + 16U)

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

_Static_assert((ARRAY_SIZE(listed) <= 7U) && (XSDT_AT + HEADER_SIZE + 7U * 8U <= RSDT_AT) &&
		(RSDT_AT + HEADER_SIZE + 7U * 4U <= FACS_AT),
	"the roots' places");
_Static_assert(DSDT_AT + sizeof(pre_dsdt_aml) <= MADT_AT, "the DSDT's place");

static void put(uint8_t *at, uint64_t value, size_t size)
{
	(void)memcpy(at, &value, size);
}

static void set_checksum(uint8_t *table, size_t len, size_t at)
{
	uint8_t sum = 0U;

	table[at] = 0U;
	for (size_t i = 0U; i < len; i++) {
		sum = (uint8_t)(sum + table[i]);
	}
	table[at] = (uint8_t)(0U - sum);
}

/* The common header; the checksum comes last, by finish(). */
static void begin(uint8_t *table, const char *signature, uint8_t revision)
{
	(void)memcpy(table, signature, 4U);
	table[8] = revision;
	(void)memcpy(table + 10U, "ARIL  ", 6U);
	(void)memcpy(table + 16U, "ARILPRE ", 8U);
	put(table + 24U, 1U, 4U);
	(void)memcpy(table + 28U, "ARIL", 4U);
	put(table + 32U, 1U, 4U);
}

static void finish(uint8_t *table, size_t len)
{
	put(table + LENGTH_AT, len, 4U);
	set_checksum(table, len, CHECKSUM_AT);
}

/* A generic address structure in I/O space. @param access 1: bytes, 2: words, 3: double words */
static void put_gas(uint8_t *at, uint32_t port, uint8_t bits, uint8_t access)
{
	at[0] = 1U;
	at[1] = bits;
	at[2] = 0U;
	at[3] = access;
	put(at + 4U, port, 8U);
}

static void make_fadt(uint8_t *fadt)
{
	begin(fadt, "FACP", 3U);
	put(fadt + 36U, VM_ACPI_PRE_GPA + FACS_AT, 4U);
	put(fadt + 40U, VM_ACPI_PRE_GPA + DSDT_AT, 4U);
	put(fadt + 46U, VPM_SCI_IRQ, 2U);
	put(fadt + 56U, VPM_PM1_EVT_PORT, 4U);
	put(fadt + 64U, VPM_PM1_CNT_PORT, 4U);
	put(fadt + 76U, VPM_TMR_PORT, 4U);
	fadt[88] = 4U;
	fadt[89] = 2U;
	fadt[91] = 4U;
	put(fadt + 96U, 0xFFFU, 2U);  /* above 100: no C2 */
	put(fadt + 98U, 0xFFFFU, 2U); /* above 1000: no C3 */
	fadt[108] = 0x32U;            /* century in CMOS */
	put(fadt + 109U, BOOT_LEGACY_DEVICES | BOOT_8042 | BOOT_NO_VGA, 2U);
	put(fadt + 112U,
		FLAG_WBINVD | FLAG_PROC_C1 | FLAG_NO_PWR_BUTTON | FLAG_NO_SLP_BUTTON | FLAG_NO_FIX_RTC |
			FLAG_TMR_32BIT | FLAG_RESET_REG,
		4U);
	put_gas(fadt + 116U, RESET_PORT, 8U, 1U);
	fadt[128] = RESET_VALUE;
	put(fadt + 140U, VM_ACPI_PRE_GPA + DSDT_AT, 8U);
	put_gas(fadt + 148U, VPM_PM1_EVT_PORT, 32U, 2U);
	put_gas(fadt + 172U, VPM_PM1_CNT_PORT, 16U, 2U);
	put_gas(fadt + 208U, VPM_TMR_PORT, 32U, 3U);
	finish(fadt, FADT_SIZE);
}

/* ---- MADT ---- */

static uint8_t *add_cpu(uint8_t *at, uint32_t uid, uint32_t apic_id)
{
	if (apic_id < 0xFFU) {
		at[0] = 0U;
		at[1] = 8U;
		at[2] = (uint8_t)uid;
		at[3] = (uint8_t)apic_id;
		put(at + 4U, 1U, 4U); /* enabled */
	} else {
		at[0] = 9U;
		at[1] = 16U;
		put(at + 2U, 0U, 2U);
		put(at + 4U, apic_id, 4U);
		put(at + 8U, 1U, 4U);
		put(at + 12U, uid, 4U);
	}
	return at + at[1];
}

static uint8_t *add_override(uint8_t *at, uint32_t irq, uint32_t gsi, uint32_t flags)
{
	at[0] = 2U;
	at[1] = 10U;
	at[2] = 0U; /* ISA */
	at[3] = (uint8_t)irq;
	put(at + 4U, gsi, 4U);
	put(at + 8U, flags, 2U);
	return at + at[1];
}

static void make_madt(const struct vm_acpi_pre_input *in, uint8_t *madt)
{
	uint8_t *at = madt + HEADER_SIZE + 8U;

	begin(madt, "APIC", 4U);
	put(madt + HEADER_SIZE, 0xFEE00000U, 4U);
	put(madt + HEADER_SIZE + 4U, 1U, 4U); /* there are 8259s, too */
	for (uint32_t i = 0U; i < in->cpu_count; i++) {
		at = add_cpu(at, i, in->apic_id[i]);
	}
	at[0] = 1U; /* I/O APIC 0, from GSI 0 on */
	at[1] = 12U;
	put(at + 2U, 0U, 2U);
	put(at + 4U, VIOAPIC_USER_BASE, 4U);
	put(at + 8U, 0U, 4U);
	at = add_override(at + at[1], 0U, 2U, 0U);
	at = add_override(at, VPM_SCI_IRQ, VPM_SCI_IRQ, 0xDU); /* level, active high */
	at[0] = 4U;                                            /* NMI: LINT1 of every CPU */
	at[1] = 6U;
	at[2] = 0xFFU;
	put(at + 3U, 0U, 2U);
	at[5] = 1U;
	at += at[1];
	finish(madt, (size_t)(at - madt));
}

/* Where configuration space is in memory (PCI Firmware 3.2, 4.1.2): bus 0. */
static void make_mcfg(uint8_t *mcfg)
{
	begin(mcfg, "MCFG", 1U);
	put(mcfg + HEADER_SIZE + 8U, VPCI_ECAM_BASE, 8U);
	finish(mcfg, MCFG_SIZE);
}

/* IA-PC HPET Specification 1.0a, 3.2.4. */
static void make_hpet(uint8_t *hpet)
{
	begin(hpet, "HPET", 1U);
	put(hpet + HEADER_SIZE, VHPET_ID, 4U);
	put(hpet + HEADER_SIZE + 8U, VHPET_BASE, 8U); /* in memory: the rest of the address structure is 0 */
	put(hpet + HEADER_SIZE + 17U, HPET_MIN_PERIOD, 2U);
	finish(hpet, HPET_SIZE);
}

/* ---- DSDT ---- */

/* Name (NAME, 0x0F) becomes Name (NAME, 0). */
static void clear_status(uint8_t *dsdt, const char *name)
{
	for (size_t i = HEADER_SIZE; i + 7U <= sizeof(pre_dsdt_aml); i++) {
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
	finish(dsdt, sizeof(pre_dsdt_aml));
}

static void make_rsdp(uint8_t *rsdp)
{
	(void)memcpy(rsdp, "RSD PTR ", 8U);
	(void)memcpy(rsdp + 9U, "ARIL  ", 6U);
	rsdp[15] = 2U;
	put(rsdp + 16U, VM_ACPI_PRE_GPA + RSDT_AT, 4U);
	put(rsdp + 20U, RSDP_SIZE, 4U);
	put(rsdp + 24U, VM_ACPI_PRE_GPA + XSDT_AT, 8U);
	set_checksum(rsdp, 20U, 8U);
	set_checksum(rsdp, RSDP_SIZE, 32U);
}

/* Small kernels, as test kernels are, read the RSDT even where there is an XSDT. */
static void make_roots(uint8_t *area)
{
	begin(area + XSDT_AT, "XSDT", 1U);
	begin(area + RSDT_AT, "RSDT", 1U);
	for (size_t i = 0U; i < ARRAY_SIZE(listed); i++) {
		put(area + XSDT_AT + HEADER_SIZE + 8U * i, VM_ACPI_PRE_GPA + listed[i], 8U);
		put(area + RSDT_AT + HEADER_SIZE + 4U * i, VM_ACPI_PRE_GPA + listed[i], 4U);
	}
	finish(area + XSDT_AT, HEADER_SIZE + 8U * ARRAY_SIZE(listed));
	finish(area + RSDT_AT, HEADER_SIZE + 4U * ARRAY_SIZE(listed));
}

int32_t vm_acpi_pre_make(const struct vm_acpi_pre_input *in, uint8_t *area)
{
	_Static_assert(MADT_AT + HEADER_SIZE + 8U + CONFIG_MAX_VCPUS_PER_VM * 16U + 38U <= VM_ACPI_PRE_SIZE, "MADT");

	if ((in->cpu_count == 0U) || (in->cpu_count > CONFIG_MAX_VCPUS_PER_VM)) {
		return -EINVAL;
	}
	(void)memset(area, 0, VM_ACPI_PRE_SIZE);
	make_rsdp(area);
	make_roots(area);
	(void)memcpy(area + FACS_AT, "FACS", 4U);
	put(area + FACS_AT + LENGTH_AT, FACS_SIZE, 4U);
	area[FACS_AT + 32U] = 2U; /* version */
	make_fadt(area + FADT_AT);
	make_mcfg(area + MCFG_AT);
	make_hpet(area + HPET_AT);
	make_dsdt(in, area + DSDT_AT);
	make_madt(in, area + MADT_AT);
	return 0;
}
