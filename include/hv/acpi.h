/* SPDX-License-Identifier: BSD-3-Clause */
/* What the hypervisor needs from the machine's ACPI tables. The parsers are pure and bounds-checked. */
#ifndef HV_ACPI_H
#define HV_ACPI_H

#include <lib/util.h>

#define ACPI_MAX_CPUS      256U
#define ACPI_MAX_IOAPICS   16U
#define ACPI_MAX_OVERRIDES 32U
#define ACPI_MAX_TABLES    64U

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	uint32_t creator_id;
	uint32_t creator_revision;
} __packed;

struct acpi_ioapic {
	uint8_t id;
	hpa_t hpa;
	uint32_t gsi_base;
};

struct acpi_override {
	uint8_t irq; /* ISA */
	uint32_t gsi;
	bool level, active_low;
};

/* A generic address, resolved: in port or memory space. */
struct acpi_gas {
	uint8_t space;    /* 0 memory, 1 ports */
	uint8_t width;    /* bits */
	uint64_t address; /* 0: none */
};

struct acpi_info {
	uint32_t cpu_count; /* enabled CPUs, in MADT order */
	uint32_t cpu_apic_id[ACPI_MAX_CPUS];
	uint32_t cpus_ignored; /* enabled, but beyond ACPI_MAX_CPUS */
	hpa_t lapic_base;
	bool has_8259;
	struct acpi_ioapic ioapic[ACPI_MAX_IOAPICS];
	uint32_t ioapic_count;
	struct acpi_override override[ACPI_MAX_OVERRIDES];
	uint32_t override_count;
	uint8_t nmi_lint; /* local NMI pin for all CPUs: 0, 1; 0xFF none told */

	bool has_fadt;
	uint16_t sci_irq;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt; /* ports; 0: none */
	uint32_t pm_timer;                               /* port; 0: none */
	bool pm_timer_32bit;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	bool has_s5;
	uint8_t s5_a, s5_b; /* SLP_TYP for power-off */
	hpa_t dsdt, facs;

	hpa_t mcfg_base; /* segment 0; 0: no ECAM */
	uint8_t mcfg_first_bus, mcfg_last_bus;

	char oem_id[6]; /* of the RSDP: who made the firmware's tables */
	hpa_t rsdp;
	hpa_t table[ACPI_MAX_TABLES]; /* of RSDT or XSDT, whose checksum is right */
	uint32_t table_count;
};

/** Constant after acpi_init(). */
extern struct acpi_info acpi_info;

/** Finds and reads all tables; logs what is odd. Without a MADT: this CPU only, no I/O APIC. Boot CPU. */
void acpi_init(void);

/** @return true if the bytes add up to 0 */
bool acpi_checksum_ok(const void *data, size_t len);

/** Reads a MADT of `len` bytes (header included) into `out`. @return 0 or -EINVAL (shorter than its fixed part) */
int32_t acpi_parse_madt(const void *madt, size_t len, struct acpi_info *out);

/** Reads a FADT of `len` bytes into `out`. @return 0 or -EINVAL */
int32_t acpi_parse_fadt(const void *fadt, size_t len, struct acpi_info *out);

/** Reads an MCFG of `len` bytes into `out`. @return 0 or -EINVAL; -ENOENT: no entry for segment 0 */
int32_t acpi_parse_mcfg(const void *mcfg, size_t len, struct acpi_info *out);

/** Looks for the \_S5 package in AML. @return 0, or -ENOENT */
int32_t acpi_parse_s5(const void *dsdt, size_t len, struct acpi_info *out);

#endif
