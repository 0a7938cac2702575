/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Service VM's ACPI tables.
 *
 * All of the machine's tables are used where they are, but for four: the root (new RSDP, RSDT and XSDT), the MADT (a
 * copy with the CPUs that are vCPUs of the VM, under the local APIC ids which those have), the FADT (a copy that says
 * "no MSI": messages of the machine's devices would arrive with the guest's vectors, which mean something else to the
 * CPU) and the DMAR (left out: the IOMMU is not the VM's). If it has a PCI bus of its own (service_bus.c), that is in
 * the MADT and a copy of the MCFG, and an SSDT describes it. They lie in a piece of the VM's RAM that its memory map
 * calls ACPI reclaimable.
 *
 * How the guest finds them: Linux and multiboot2 images are told the RSDP's address or contents. All others scan the
 * BIOS area. The firmware's own bytes there are never written: the guest page that holds the firmware's RSDP is mapped
 * to a copy of that page in which the RSDP is ours. It is the one page of the Service VM below 1 MiB whose GPA is not
 * its HPA; nothing does DMA to BIOS code.
 */
#include <hv/vm_acpi.h>

#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/log.h>
#include <hv/service_bus.h>
#include <hv/vm.h>
#include <hv/vm_acpi_pre.h>
#include <hv/vm_acpi_tables.h>
#include <hv/vm_loader.h>
#include <lib/errno.h>
#include <lib/string.h>

#define AREA_SIZE (8UL * PAGE_SIZE) /* roots of 64 tables and a MADT of up to 24 KiB */
#define FADT_MAX  512U              /* ACPI 6.5 has 276 bytes */
#define MCFG_MAX  1024U             /* 61 segments */
#define BIOS_AREA 0xE0000UL
#define BIOS_END  0x100000UL
#define EBDA_AT   0x40EUL

static uint8_t area[AREA_SIZE];
static uint8_t page[PAGE_SIZE];
static uint8_t madt[AREA_SIZE];
static uint8_t fadt[FADT_MAX];
static uint8_t mcfg[MCFG_MAX];

/* Reads firmware memory. @return false if it cannot be mapped */
static bool read_firmware(hpa_t hpa, void *dst, size_t len)
{
	const void *at = arch_map_firmware(hpa, len);

	if (at == NULL) {
		return false;
	}
	arch_guest_access_begin();
	(void)memcpy(dst, at, len);
	arch_guest_access_end();
	return true;
}

static void find_tables(struct vm_acpi_input *in)
{
	for (uint32_t i = 0U; i < acpi_info.table_count; i++) {
		struct acpi_header header;

		if (!read_firmware(acpi_info.table[i], &header, sizeof(header)) ||
			(memcmp(header.signature, "DMAR", 4U) == 0)) {
			continue;
		}
		if ((memcmp(header.signature, "FACP", 4U) == 0) && (in->fadt == NULL) &&
			(header.length <= sizeof(fadt)) && read_firmware(acpi_info.table[i], fadt, header.length)) {
			in->fadt = fadt;
			in->fadt_len = header.length;
		} else if ((in->bus != NULL) && (memcmp(header.signature, "MCFG", 4U) == 0)) {
			if ((header.length <= sizeof(mcfg)) && read_firmware(acpi_info.table[i], mcfg, header.length)) {
				in->mcfg = mcfg;
				in->mcfg_len = header.length;
			}
		} else if (memcmp(header.signature, "APIC", 4U) != 0) {
			in->table[in->table_count++] = acpi_info.table[i];
		} else if ((in->madt == NULL) && (header.length <= sizeof(madt)) &&
			read_firmware(acpi_info.table[i], madt, header.length)) {
			in->madt = madt;
			in->madt_len = header.length;
		}
	}
}

static void find_cpus(const struct vm_loader *ld, struct vm_acpi_input *in)
{
	for (uint32_t i = 0U; (i < ld->vm->vcpu_count) && (i < ARRAY_SIZE(in->apic_id)); i++) {
		in->apic_id[i] = ld->vm->vcpus[i].apic_id;
		in->cpu_count++;
	}
}

/* Shows the guest a copy of the page at `gpa` in which every RSDP is ours. @return 0 or -errno */
static int32_t shadow_page(struct vm_loader *ld, gpa_t gpa, gpa_t copy)
{
	int32_t ret = vm_e820_set(&ld->map, copy, PAGE_SIZE, MEM_RESERVED);

	if (ret == 0) {
		ret = vm_loader_write(ld, copy, page, PAGE_SIZE);
	}
	if (ret == 0) {
		ret = arch_gpa_map(ld->vm, gpa, copy, PAGE_SIZE, GPA_RWX, GPA_TYPE_WB);
	}
	return ret;
}

static int32_t replace_rsdps(struct vm_loader *ld, gpa_t first, gpa_t end)
{
	uint32_t found = 0U;
	int32_t ret = 0;

	for (gpa_t gpa = first; (ret == 0) && (gpa < end); gpa += PAGE_SIZE) {
		gpa_t copy;

		if (!read_firmware(gpa, page, PAGE_SIZE) ||
			!vm_acpi_replace_rsdp(page, PAGE_SIZE, ld->rsdp_copy, sizeof(ld->rsdp_copy))) {
			continue;
		}
		copy = vm_loader_alloc(ld, PAGE_SIZE, PAGE_SIZE, LOADER_1M, LOADER_4G, "a BIOS page");
		ret = (copy == INVALID_GPA) ? -ENOSPC : shadow_page(ld, gpa, copy);
		found++;
	}
	if ((ret == 0) && (found == 0U)) {
		pr_dbg("VM%u '%s': no RSDP in 0x%lx-0x%lx to replace", ld->vm->vm_id, ld->vm->name, first, end);
	}
	return ret;
}

/* The firmware's root pointer, where it is in the EBDA or the BIOS area (ACPI 6.4, 5.2.5.1). */
static int32_t replace_firmware_rsdps(struct vm_loader *ld)
{
	uint16_t segment = 0U;
	int32_t ret = 0;

	if (boot_info.efi_system_table != 0UL) {
		return 0; /* EFI firmware has it in its configuration table only */
	}
	if (read_firmware(EBDA_AT, &segment, sizeof(segment)) && (segment >= 0x8000U) && (segment < 0xA000U)) {
		const gpa_t ebda = round_down((gpa_t)segment << 4U, PAGE_SIZE);

		ret = replace_rsdps(ld, ebda, ebda + PAGE_SIZE);
	}
	return (ret == 0) ? replace_rsdps(ld, BIOS_AREA, BIOS_END) : ret;
}

/* A pre-launched VM has RAM below 1 MiB, and its memory map calls the BIOS area reserved. */
static int32_t build_prelaunched(struct vm_loader *ld)
{
	struct vm_acpi_pre_input in;
	int32_t ret;

	_Static_assert(sizeof(area) >= VM_ACPI_PRE_SIZE, "room for the tables");
	if (ld->config->mem_bytes < LOADER_1M) {
		vm_loader_note(ld, LOG_WARN, "less than 1 MiB of memory; it gets no ACPI tables");
		return 0;
	}
	(void)memset(&in, 0, sizeof(in));
	for (uint32_t i = 0U; (i < ld->vm->vcpu_count) && (i < ARRAY_SIZE(in.apic_id)); i++) {
		in.apic_id[i] = ld->vm->vcpus[i].apic_id;
		in.cpu_count++;
	}
	in.has_com1 = ld->vm->vuart[0].active;
	in.has_com2 = ld->vm->vuart[1].active;
	ret = vm_acpi_pre_make(&in, area);
	if (ret != 0) {
		return vm_loader_refuse(ld, "no ACPI tables for %u vCPUs", in.cpu_count);
	}
	ret = vm_loader_write(ld, VM_ACPI_PRE_GPA, area, VM_ACPI_PRE_SIZE);
	ld->rsdp = VM_ACPI_PRE_GPA;
	(void)memcpy(ld->rsdp_copy, area, sizeof(ld->rsdp_copy));
	return ret;
}

int32_t vm_acpi_build(struct vm_loader *ld)
{
	struct vm_acpi_input in;
	struct vm_acpi_bus bus;
	uint32_t kept = 0U;
	gpa_t at;
	int32_t ret;

	if (!ld->identity) {
		return build_prelaunched(ld);
	}
	(void)memset(&in, 0, sizeof(in));
	in.bus = service_bus_describe(ld->vm, &bus) ? &bus : NULL;
	find_tables(&in);
	find_cpus(ld, &in);
	if (in.madt == NULL) {
		vm_loader_note(ld, LOG_WARN, "the machine has no usable MADT; it gets no ACPI tables");
		return 0;
	}
	at = vm_loader_alloc(ld, AREA_SIZE, PAGE_SIZE, LOADER_1M, LOADER_4G, "ACPI tables");
	if (at == INVALID_GPA) {
		return -ENOSPC;
	}
	ret = vm_acpi_make_tables(&in, area, sizeof(area), at, &kept);
	if (ret != 0) {
		return vm_loader_refuse(
			ld, "its ACPI tables do not fit %lu bytes, or the machine's MADT is broken", AREA_SIZE);
	}
	if (kept != in.cpu_count) {
		vm_loader_note(ld, LOG_WARN, "the machine's MADT names %u of its %u vCPUs", kept, in.cpu_count);
	}
	ret = vm_e820_set(&ld->map, at, AREA_SIZE, MEM_ACPI_RECLAIM);
	if (ret == 0) {
		ret = vm_loader_write(ld, at, area, sizeof(area));
	}
	ld->rsdp = at;
	(void)memcpy(ld->rsdp_copy, area, sizeof(ld->rsdp_copy));
	return (ret == 0) ? replace_firmware_rsdps(ld) : ret;
}
