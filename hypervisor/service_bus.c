/* SPDX-License-Identifier: BSD-3-Clause */
#include <dm/vioapic.h>
#include <dm/vpci.h>
#include <hv/acpi.h>
#include <hv/log.h>
#include <hv/service_bus.h>
#include <hv/vm.h>
#include <hv/vm_acpi_bus.h>
#include <hv/vm_connections.h>
#include <lib/errno.h>

#define IOAPIC_IDS 16U

static struct vpci_place place;

/* @return an id that no I/O APIC of the machine has; IOAPIC_IDS: there is none */
static uint32_t free_ioapic_id(void)
{
	uint32_t used = 0U;
	uint32_t id = 0U;

	for (uint32_t i = 0U; i < acpi_info.ioapic_count; i++) {
		used |= 1U << (acpi_info.ioapic[i].id % IOAPIC_IDS);
	}
	while ((id < IOAPIC_IDS) && ((used & (1U << id)) != 0U)) {
		id++;
	}
	return id;
}

/* Interrupts behind all of the machine's. */
static int32_t attach_ioapic(struct acrn_vm *vm, hpa_t base)
{
	const uint32_t gsi = vm->vioapic.pin_count;
	const uint32_t id = free_ioapic_id();
	int32_t ret = -ENODEV;

	if ((gsi != 0U) && (vm->vioapic.chip_count == acpi_info.ioapic_count) && (id < IOAPIC_IDS)) {
		ret = vioapic_attach_chip(vm, base, id, VPCI_LINES, false);
	}
	if (ret != 0) {
		pr_err("Service VM: no I/O APIC for its connections: the machine's have %u interrupts, ids, or gaps",
			gsi);
		return -ENODEV;
	}
	for (uint32_t i = 0U; i < VPCI_LINES; i++) {
		place.gsi[i] = gsi + i;
	}
	return 0;
}

int32_t service_bus_attach(struct acrn_vm *vm)
{
	uint64_t size;
	const hpa_t base = vm_connections_window(&size);
	int32_t ret;

	if (base == 0UL) {
		return -ENOSPC;
	}
	place = (struct vpci_place){
		.mem_base = (uint32_t)(base + SERVICE_BUS_BARS),
		.mem_size = (uint32_t)(size - SERVICE_BUS_BARS),
		.ecam = (uint32_t)(base + SERVICE_BUS_ECAM),
	};
	ret = attach_ioapic(vm, base + SERVICE_BUS_IOAPIC);
	if (ret == 0) {
		ret = vpci_attach(vm, &place);
	}
	if (ret == 0) {
		pr_info("Service VM: a PCI bus for its connections at 0x%lx, interrupts %u and %u", base, place.gsi[0],
			place.gsi[1]);
	}
	return ret;
}

bool service_bus_describe(const struct acrn_vm *vm, struct vm_acpi_bus *bus)
{
	const struct vioapic_chip *chip;

	if (!vm_is_service(vm) || !vm->vpci.active) {
		return false;
	}
	chip = &vm->vioapic.chip[vm->vioapic.chip_count - 1U];
	*bus = (struct vm_acpi_bus){
		.ecam = place.ecam,
		.mem_base = place.mem_base,
		.mem_size = place.mem_size,
		.gsi = {place.gsi[0], place.gsi[1]},
		.ioapic = (uint32_t)chip->base,
		.ioapic_id = chip->id >> 24U,
		.ioapic_gsi = chip->gsi_base,
	};
	return true;
}
