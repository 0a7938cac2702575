/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory maps that the hypervisor makes: the Service VM's (GPA = HPA) and those of pre-launched VMs. A User VM's
 * map is empty at first and filled by HC_VM_SET_MEMORY_REGIONS.
 */
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/guest_ram.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/vm.h>
#include <hv/vm_memory.h>
#include <lib/errno.h>

#define SIZE_4G       (4UL << 30U)
#define LAPIC_PAGE    0xFEE00000UL
#define LOW_RAM_LIMIT (3UL << 30U) /* of a pre-launched VM; the rest of its memory is above 4 GiB */

/* ---- Service VM ---- */

static int32_t unmap_hv_memory(struct acrn_vm *vm)
{
	const char *what;
	hpa_t base;
	uint64_t size;

	for (uint32_t i = 0U; memory_hv_range(i, &base, &size, &what); i++) {
		const hpa_t first = round_down(base, PAGE_SIZE);
		const int32_t ret = arch_gpa_unmap(vm, first, round_up(base + size, PAGE_SIZE) - first);

		if (ret != 0) {
			return ret;
		}
	}
	return 0;
}

static int32_t unmap_trapped_pages(struct acrn_vm *vm)
{
	int32_t ret = arch_gpa_unmap(vm, LAPIC_PAGE, PAGE_SIZE);

	for (uint32_t i = 0U; (ret == 0) && (i < acpi_info.ioapic_count); i++) {
		ret = arch_gpa_unmap(vm, round_down(acpi_info.ioapic[i].hpa, PAGE_SIZE), PAGE_SIZE);
	}
	return ret;
}

int32_t vm_map_service_memory(struct acrn_vm *vm)
{
	int32_t ret;

	/* All below 4 GiB as device memory first: holes, BARs, firmware; then RAM and ACPI tables as what they are. */
	ret = arch_gpa_map(vm, 0UL, 0UL, SIZE_4G, GPA_RWX, GPA_TYPE_UC);
	for (uint32_t i = 0U; (ret == 0) && (i < boot_info.range_count); i++) {
		const struct mem_range *range = &boot_info.ranges[i];
		const hpa_t first = round_down(range->base, PAGE_SIZE);
		const bool is_memory =
			(range->type == MEM_RAM) || (range->type == MEM_ACPI_RECLAIM) || (range->type == MEM_ACPI_NVS);

		ret = arch_gpa_map(vm, first, first, round_up(range->base + range->size, PAGE_SIZE) - first, GPA_RWX,
			is_memory ? GPA_TYPE_WB : GPA_TYPE_UC);
	}
	if (ret == 0) {
		ret = unmap_hv_memory(vm);
	}
	if (ret == 0) {
		ret = unmap_trapped_pages(vm);
	}
	return (ret == 0) ? arch_gpa_audit(vm) : ret;
}

bool vm_is_service_ram(hpa_t hpa, uint64_t size)
{
	if ((size == 0UL) || !range_is_valid(hpa, size) || memory_is_hv_owned(hpa, size)) {
		return false;
	}
	/* Firmware may report adjacent ranges of RAM: go from one to the next. */
	for (uint32_t i = 0U; (size != 0UL) && (i < boot_info.range_count); i++) {
		const struct mem_range *range = &boot_info.ranges[i];

		if ((range->type == MEM_RAM) && (hpa >= range->base) && (hpa - range->base < range->size)) {
			const uint64_t part = MIN(size, range->size - (hpa - range->base));

			hpa += part;
			size -= part;
		}
	}
	return size == 0UL;
}

uint64_t vm_ram_total(void)
{
	uint64_t total = 0UL;

	for (uint32_t i = 0U; i < boot_info.range_count; i++) {
		total += (boot_info.ranges[i].type == MEM_RAM) ? boot_info.ranges[i].size : 0UL;
	}
	return total;
}

/* ---- Pre-launched VMs ---- */

/* @return true if [hpa, hpa+size) touches a boot module */
static bool vm_memory_is_module(hpa_t hpa, uint64_t size)
{
	for (uint32_t i = 0U; i < boot_info.module_count; i++) {
		const struct boot_module *module = &boot_info.modules[i];

		if ((module->size != 0UL) && ranges_overlap(hpa, size, module->base, module->size)) {
			return true;
		}
	}
	return false;
}

/* The highest place in one RAM range, 2 MiB aligned, that nobody has. */
static hpa_t find_ram(uint64_t size)
{
	for (uint32_t i = boot_info.range_count; i > 0U; i--) {
		const struct mem_range *range = &boot_info.ranges[i - 1U];
		hpa_t base;

		if ((range->type != MEM_RAM) || (range->size < size)) {
			continue;
		}
		base = round_down(range->base + range->size - size, SIZE_2M);
		while ((base >= range->base) && (base >= SIZE_2M)) {
			if (!memory_is_hv_owned(base, size) && !vm_memory_is_module(base, size)) {
				return base;
			}
			base -= SIZE_2M;
		}
	}
	return INVALID_HPA;
}

int32_t vm_reserve_prelaunched_memory(struct acrn_vm *vm)
{
	const struct scenario_vm *config = vm->config;
	const uint64_t size = config->mem_bytes;
	const hpa_t base = config->mem_fixed ? config->mem_hpa : find_ram(size);

	if ((size == 0UL) || (base == INVALID_HPA) || !vm_is_service_ram(base, size) ||
		vm_memory_is_module(base, size)) {
		pr_err("VM%u '%s': no place for its %lu MiB of memory", vm->vm_id, vm->name, size >> 20U);
		return -ENOMEM;
	}
	memory_reserve(base, size, config->name);
	vm->ram_hpa = base;
	pr_info("VM%u '%s': %lu MiB of memory at 0x%lx", vm->vm_id, vm->name, size >> 20U, base);
	return 0;
}

int32_t vm_map_prelaunched_memory(struct acrn_vm *vm)
{
	const uint64_t size = vm->config->mem_bytes;
	const uint64_t low = MIN(size, LOW_RAM_LIMIT);

	if ((vm->ram_hpa == 0UL) || (vm_ram_register_at(vm, 0UL, low, vm->ram_hpa) != 0) ||
		((size > low) && (vm_ram_register_at(vm, SIZE_4G, size - low, vm->ram_hpa + low) != 0))) {
		return -ENOMEM;
	}
	return 0;
}
