/* SPDX-License-Identifier: BSD-3-Clause */
/* MADT entry, MCFG and SSDT for the Service VM's second PCI bus (ACPI 6.4, 5.2.12.3; PCI Firmware 3.2, 4.1.2). */
#include <dm/service_bus_aml.h>
#include <hv/vm_acpi_bus.h>
#include <lib/acpi_table.h>
#include <lib/string.h>

#define MADT_IOAPIC 1U

/* The numbers in service_bus.asl that are replaced. */
#define AML_GSI0     0xA11A0001U
#define AML_GSI1     0xA11A0002U
#define AML_SEGMENT  0xA11A0003U
#define AML_MEM_BASE 0xA2200000U
#define AML_MEM_LAST 0xA3355FFFU
#define AML_MEM_SIZE 0x01156000U
#define AML_ECAM     0xA4400000U

_Static_assert(sizeof(service_bus_aml) <= VM_ACPI_BUS_SSDT, "room for the SSDT");

void vm_acpi_bus_ioapic(const struct vm_acpi_bus *bus, uint8_t *out)
{
	out[0] = MADT_IOAPIC;
	out[1] = VM_ACPI_BUS_IOAPIC;
	out[2] = (uint8_t)bus->ioapic_id;
	out[3] = 0U;
	acpi_put(out + 4U, bus->ioapic, 4U);
	acpi_put(out + 8U, bus->ioapic_gsi, 4U);
}

size_t vm_acpi_bus_mcfg(struct vm_acpi_bus *bus, const uint8_t *mcfg, size_t len, uint8_t *out)
{
	size_t used = VM_ACPI_MCFG_FIXED;
	uint16_t segment = 0U;

	if ((mcfg != NULL) && (len >= VM_ACPI_MCFG_FIXED)) {
		used = len - (len - VM_ACPI_MCFG_FIXED) % VM_ACPI_BUS_MCFG;
		(void)memcpy(out, mcfg, used);
	} else {
		(void)memset(out, 0, VM_ACPI_MCFG_FIXED);
		acpi_begin(out, "MCFG", 1U, "ARILBUS ");
	}
	bus->segment = 0U; /* the machine's, also when no table says so */
	for (size_t at = VM_ACPI_MCFG_FIXED; at < used; at += VM_ACPI_BUS_MCFG) {
		(void)memcpy(&segment, out + at + 8U, sizeof(segment));
		bus->segment = MAX(bus->segment, (uint32_t)segment);
	}
	bus->segment++;
	acpi_put(out + used, bus->ecam, 8U);
	acpi_put(out + used + 8U, bus->segment, 8U); /* buses 0 to 0 */
	return used + VM_ACPI_BUS_MCFG;
}

static void replace(uint8_t *aml, uint32_t from, uint32_t to)
{
	for (size_t at = 0U; at + sizeof(from) <= sizeof(service_bus_aml); at++) {
		if (memcmp(aml + at, &from, sizeof(from)) == 0) {
			(void)memcpy(aml + at, &to, sizeof(to));
			return;
		}
	}
}

size_t vm_acpi_bus_ssdt(const struct vm_acpi_bus *bus, uint8_t *out)
{
	(void)memcpy(out, service_bus_aml, sizeof(service_bus_aml));
	replace(out, AML_GSI0, bus->gsi[0]);
	replace(out, AML_GSI1, bus->gsi[1]);
	replace(out, AML_SEGMENT, bus->segment);
	replace(out, AML_MEM_BASE, bus->mem_base);
	replace(out, AML_MEM_LAST, bus->mem_base + (bus->mem_size - 1U));
	replace(out, AML_MEM_SIZE, bus->mem_size);
	replace(out, AML_ECAM, bus->ecam);
	return sizeof(service_bus_aml);
}
