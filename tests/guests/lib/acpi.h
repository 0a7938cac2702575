/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The few ACPI facts a test guest needs (ACPI 6.5: 5.2.5 RSDP, 5.2.9 FADT, 5.2.12 MADT), read at
 * each call: the tables are tiny and it keeps no state.
 */
#ifndef GUESTS_LIB_ACPI_H
#define GUESTS_LIB_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <guests/lib/smp.h>

struct madt_facts {
	uint64_t lapic_base;
	unsigned int cpu_count;
	uint32_t apic_ids[MAX_CPUS];
	unsigned int ioapic_count;
	uint64_t ioapic_base;		/* of the first */
	uint32_t ioapic_gsi_base;
	uint32_t irq_gsi[16];		/* ISA IRQ -> GSI */
	uint16_t irq_flags[16];		/* MPS INTI flags of the override, 0 = conforming */
};

/* Table by signature ("APIC", "FACP"), checksum right, or NULL. */
const void *acpi_find(const char *signature);
/* The address of the I/O APIC that has interrupt @gsi, 0 when there is none; *first is the first that it has. */
uint64_t acpi_ioapic_of(uint32_t gsi, uint32_t *first);
/* False when there is no MADT; *m then holds identity IRQs and nothing else. */
bool acpi_madt(struct madt_facts *m);
/* I/O ports from the FADT, 0 when there is no FADT. */
uint16_t acpi_pm1a_control(void);
uint16_t acpi_pm_timer(void);

#endif /* GUESTS_LIB_ACPI_H */
