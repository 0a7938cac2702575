/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Service VM as an enemy, under libFuzzer: scripts/fuzz hypercall.
 *
 * Input: steps of up to 10 bytes: a hypercall, a word of the Service VM's memory written (as it is, or an address), a
 * turn of a CPU. Addresses are relative to that memory, so that an input means the same in every run.
 * What must hold: no undefined behaviour, no panic, no hang; no VM maps the hypervisor's memory; when all VMs are gone,
 * so are their pages and CPUs.
 */
#include <unit.h>

#include <stdlib.h>
#include <string.h>

#include <fake.h>
#include <hv/arch.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <public/acrn_hv_defs.h>

#define STEP     64U /* what a 15-bit number selects of the Service VM's memory */
#define BAD_GPA  0x700000000000UL
#define IS_GPA   0x8000U
#define IS_WRONG 0x7F00U

static const uint64_t ids[] = {
	HC_GET_API_VERSION, HC_SERVICE_VM_OFFLINE_CPU, HC_SET_CALLBACK_VECTOR, HC_CREATE_VM, HC_DESTROY_VM, HC_START_VM,
	HC_PAUSE_VM, HC_RESET_VM, HC_SET_VCPU_REGS, HC_INJECT_MSI, HC_VM_INTR_MONITOR, HC_SET_IRQLINE,
	HC_SET_IOREQ_BUFFER, HC_NOTIFY_REQUEST_FINISH, HC_VM_SET_MEMORY_REGIONS, HC_SET_PTDEV_INTR_INFO,
	HC_ASSIGN_PCIDEV, HC_CREATE_VDEV, HC_PM_GET_CPU_STATE, HC_ARIL_GET_STATS, HC_ARIL_AUDIT, HC_ID(0xFFUL),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The fake machine reports by it what it finds wrong. */
void unit_fail(const char *file, int line, const char *fmt, ...)
{
	(void)file;
	(void)line;
	(void)fmt;
	abort();
}

static uint64_t argument(const uint8_t *bytes)
{
	const uint64_t wrong[] = {UINT64_MAX, BAD_GPA, (uint64_t)fake_hv_ram, (uint64_t)fake_ram + FAKE_RAM_SIZE - 1UL};
	const uint32_t number = ((uint32_t)bytes[0] << 8U) | bytes[1];

	if ((number & IS_GPA) != 0U) {
		return (uint64_t)fake_ram + (number & ~IS_GPA) * STEP;
	}
	return (number >= IS_WRONG) ? wrong[number % ARRAY_SIZE(wrong)] : number;
}

/*
 * Good structures to begin with, so that the input need only spoil them; in steps of STEP: 0 and 1 create a VM, 2
 * sets 4 memory regions (at 4), 3 says where the request page is, 16 is an MSI, 32 registers.
 */
static void prepare_memory(void)
{
	struct acrn_create_vm *create = (void *)fake_ram;
	struct set_regions *set = (void *)(fake_ram + 2U * STEP);
	uint64_t *ioreq_page = (void *)(fake_ram + 3U * STEP);
	struct vm_memory_region *region = (void *)(fake_ram + 4U * STEP);
	struct acrn_msi_entry *msi = (void *)(fake_ram + 16U * STEP);

	memcpy(create->name, "UVM1", 5U);
	create->cpu_affinity = 0x6UL;
	create = (void *)(fake_ram + STEP);
	memcpy(create->name, "ALONE", 6U);
	create->cpu_affinity = 0x8UL;
	*set = (struct set_regions){.vmid = 1U, .mr_num = 4U, .regions_gpa = (uint64_t)region};
	*ioreq_page = (uint64_t)fake_ram + 0x5000UL;
	for (uint32_t i = 0U; i < 4U; i++) {
		region[i] = (struct vm_memory_region){.type = (i == 3U) ? MR_DEL : MR_ADD,
			.prot = MEM_ACCESS_RWX | MEM_TYPE_WB, .gpa = (i % 3U) * 0x10000UL,
			.service_vm_gpa = (uint64_t)fake_ram + 0x10000UL * (i + 1U), .size = 0x4000UL};
	}
	*msi = (struct acrn_msi_entry){.msi_addr = 0xFEE00000UL, .msi_data = 0x41UL};
}

/* A word of the first pages: the structures of hypercalls lie there, at any alignment. */
static void write_memory(const uint8_t *where, const void *value, size_t size)
{
	memcpy(fake_ram + ((((uint32_t)where[0] << 8U) | where[1]) % 0x8000U), value, size);
}

static size_t step(const uint8_t *data, size_t size)
{
	uint64_t value;

	switch (data[0] % 4U) {
	case 0:
		if (size >= 6U) {
			(void)hypercall_dispatch(&vm_service()->vcpus[0], ids[data[1] % ARRAY_SIZE(ids)],
				argument(data + 2), argument(data + 4));
		}
		return 6U;
	case 1:
		if (size >= 7U) {
			write_memory(data + 1, data + 3, 4U);
		}
		return 7U;
	case 2:
		if (size >= 5U) {
			value = argument(data + 3);
			write_memory(data + 1, &value, sizeof(value));
		}
		return 5U;
	default:
		if (size >= 2U) {
			(void)fake_run(data[1] % fake_cpu_count, 4U);
		}
		return 2U;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acrn_vm *vm;

	fake_machine();
	prepare_memory();
	while (size != 0U) {
		const size_t used = step(data, size);

		data += MIN(used, size);
		size -= MIN(used, size);
	}
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		if (vm->state != VM_POWERED_OFF && arch_gpa_audit(vm) != 0) {
			abort();
		}
	}
	fake_machine_end();
	return 0;
}
