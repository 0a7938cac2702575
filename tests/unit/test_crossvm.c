/* SPDX-License-Identifier: BSD-3-Clause */
/* Cross-VM connections: the event page by the seeds' functions, and two ends that come and go. */
#include <dm/cross_vm_connection.h>
#include <dm/cross_vm.h>
#include <hv/arch.h>
#include <hv/acpi.h>
#include <hv/boot_info.h>
#include <hv/hypercall.h>
#include <hv/service_bus.h>
#include <hv/vm.h>
#include <hv/vm_acpi_bus.h>
#include <hv/vm_connections.h>
#include <hv/vm_memory.h>
#include <lib/errno.h>

#include <string.h>

#include "access.h"
#include "fake.h"
#include "unit.h"

#define PRE 4U

static uint32_t emitted;

static void note_emit(void *cookie)
{
	EXPECT_EQ((uintptr_t)cookie, 0x77U);
	emitted++;
}

/* VM 4 is pre-launched and has an end of connection 0; the hypervisor is at the other. */
static struct acrn_vm *start(void)
{
	const struct scenario_connection echo = {.name = "echo", .vm = {PRE, SCN_CONNECTION_HV},
		.emits = {true, true}, .type = SCN_CONNECTION_CROSSVM, .size = 0x2000U};

	emitted = 0U;
	return fake_connected(&echo, 1U, true);
}

static uint64_t page(struct acrn_vm *vm, uint32_t slot, bool is_write, uint32_t offset, uint32_t size, uint64_t value)
{
	return access_bar(vm, slot, 0U, is_write, offset, size, value);
}

static uint32_t count_of(struct acrn_vm *vm, uint32_t slot)
{
	return (uint32_t)page(vm, slot, false, 4U, 4U, 0U);
}

TEST(crossvm_scenario_connection)
{
	struct acrn_vm *vm = start();
	const struct vpci_function *fn = vm->vpci.slot[1];

	REQUIRE(fn != NULL);
	EXPECT_EQ(vpci_config_read(&vm->vpci, 8U, 0U, 4U), 0xA1111AF4U);
	EXPECT_EQ(vpci_config_read(&vm->vpci, 8U, 8U, 4U), 0x00050001U);
	EXPECT_EQ(arch_gpa_to_hpa(vm, fn->bar[1].at, NULL, NULL), vm_connections_page(15U) + 0x1000U);
	EXPECT(page(vm, 1U, false, 8U, 4U, 0U) == 0x6F686365U); /* "echo" */
	/* An event comes back, and holds the line until it is acknowledged. */
	(void)page(vm, 1U, true, 0U, 1U, 1U);
	(void)page(vm, 1U, true, 0x100U, 8U, ~0UL); /* registers repeat */
	EXPECT_EQ(count_of(vm, 1U), 2U);
	EXPECT(fn->intx);
	EXPECT_EQ(vm->vioapic.high[0] & (1UL << VPCI_LINE1_GSI), 1UL << VPCI_LINE1_GSI);
	(void)page(vm, 1U, true, 4U, 4U, 0U);
	EXPECT_EQ(count_of(vm, 1U), 0U);
	EXPECT(!fn->intx);
	EXPECT_EQ(vm->vioapic.high[0] & (1UL << VPCI_LINE1_GSI), 0UL);
	/* Other registers cannot be written. */
	(void)page(vm, 1U, true, 8U, 4U, 0U);
	EXPECT(page(vm, 1U, false, 8U, 4U, 0U) == 0x6F686365U);
	/* Reset: nothing is pending. */
	(void)page(vm, 1U, true, 0U, 1U, 1U);
	spin_lock(&vm->lock);
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(vm_reset(vm), 0);
	EXPECT_EQ(count_of(vm, 1U), 0U);
	EXPECT(!fn->intx);
	EXPECT_EQ(vm->vioapic.high[0] & (1UL << VPCI_LINE1_GSI), 0UL);
	/* Destroyed: nobody is there; created again: as new. */
	EXPECT_EQ(vm_destroy(vm), 0);
	EXPECT_EQ(vm_create(vm, NULL, 0U), 0);
	spin_unlock(&vm->lock);
	EXPECT_EQ(count_of(vm, 1U), 0U);
	fake_machine_end();
}

static uint32_t heard;

static void hear(struct cross_vm_end *end, uint32_t vector)
{
	EXPECT_EQ(vector, 6U);
	EXPECT_EQ(end->arg, 3U);
	heard++;
}

TEST(crossvm_ends_come_and_go)
{
	static struct cross_vm conn;
	static const bool emits[2] = {true, false};

	cross_vm_init(&conn, "x", 0UL, 0x1000U, emits);
	heard = 0U;
	cross_vm_emit(&conn.end[0], 6U); /* nobody is there */
	cross_vm_plug(&conn.end[1], NULL, hear, 3U);
	cross_vm_emit(&conn.end[0], 6U);
	EXPECT_EQ(heard, 1U);
	cross_vm_unplug(&conn.end[1]);
	cross_vm_emit(&conn.end[0], 6U);
	EXPECT_EQ(heard, 1U);
	EXPECT_EQ(conn.end[0].emitted, 3U);
	/* A loop that does not emit is silent. */
	cross_vm_plug(&conn.end[0], NULL, hear, 3U);
	cross_vm_loop(&conn.end[1]);
	cross_vm_emit(&conn.end[0], 6U);
	EXPECT_EQ(heard, 1U);
	conn.end[1].emits = true;
	cross_vm_emit(&conn.end[0], 6U);
	EXPECT_EQ(heard, 2U);
}

TEST(crossvm_that_consumes_nothing_hears_nothing)
{
	struct acrn_vm *vm = start();
	const hpa_t frame = (hpa_t)fake_ram;
	const crossvm_dataport_handle_t dataport = {0x2000U, 2, &frame};
	const crossvm_handle_t handle = {&dataport, note_emit, NULL, CROSSVM_NO_CONSUME, "mute"};

	EXPECT_EQ(cross_vm_connections_init_common(vm, 0UL, &handle, 1, &vm->vpci, NULL), 0);
	consume_connection_event(vm, CROSSVM_NO_CONSUME, true);
	EXPECT_EQ(count_of(vm, 2U), 0U);
	EXPECT(!vm->vpci.slot[2]->intx);
	fake_machine_end();
}

TEST(crossvm_seed_functions)
{
	struct acrn_vm *vm = start();
	const hpa_t frame = (hpa_t)fake_ram;
	const crossvm_dataport_handle_t good = {0x2000U, 2, &frame};
	const crossvm_dataport_handle_t odd = {0x3000U, 3, &frame}, wrong = {0x2000U, 1, &frame};
	crossvm_handle_t handle[2] = {{&good, note_emit, (void *)0x77UL, 5U, "first"}, {&good, NULL, NULL, 6U, NULL}};

	EXPECT_EQ(cross_vm_connections_init_common(vm, 0xD5000000UL, handle, 2, &vm->vpci, NULL), 0);
	EXPECT_EQ(vm->vpci.slot[2]->bar[0].at, 0xD5000000UL);
	EXPECT_EQ(vm->vpci.slot[3]->bar[1].size, 0x2000U);
	EXPECT(page(vm, 3U, false, 8U, 8U, 0U) == 0x6F7463656E6E6F63UL); /* "connecto" */
	(void)page(vm, 2U, true, 0U, 4U, 9U);
	EXPECT_EQ(emitted, 1U);
	(void)page(vm, 3U, true, 0U, 4U, 9U); /* it cannot */
	EXPECT_EQ(emitted, 1U);
	consume_connection_event(vm, 6U, true);
	consume_connection_event(vm, 7U, true); /* nobody's */
	EXPECT_EQ(count_of(vm, 3U), 1U);
	EXPECT_EQ(count_of(vm, 2U), 0U);
	EXPECT(vm->vpci.slot[3]->intx);
	consume_connection_event(vm, 5U, false);
	EXPECT_EQ(count_of(vm, 2U), 1U);
	EXPECT(!vm->vpci.slot[2]->intx);
	/* What is refused. */
	EXPECT_EQ(cross_vm_connections_init_common(NULL, 0UL, handle, 1, &vm->vpci, NULL), -1);
	EXPECT_EQ(cross_vm_connections_init_common(vm, 0UL, NULL, 1, &vm->vpci, NULL), -1);
	EXPECT_EQ(cross_vm_connections_init_common(vm, 0UL, handle, -1, &vm->vpci, NULL), -1);
	EXPECT_EQ(cross_vm_connections_init_common(vm, 0UL, handle, 1, NULL, NULL), -1);
	EXPECT_EQ(cross_vm_connections_init_common(vm, 0xA0000000UL, handle, 1, &vm->vpci, NULL), -1);
	handle[0].dataport = &odd;
	EXPECT_EQ(cross_vm_connections_init_common(vm, 0UL, handle, 1, &vm->vpci, NULL), -1);
	handle[0].dataport = &wrong;
	EXPECT_EQ(cross_vm_connections_init_common(vm, 0UL, handle, 1, &vm->vpci, NULL), -1);
	handle[0].dataport = NULL;
	EXPECT_EQ(cross_vm_connections_init_common(vm, 0UL, handle, 1, &vm->vpci, NULL), -1);
	fake_machine_end();
}

/* ---- Ends in the Service VM and in User VMs ---- */

#define USER 1U

/* The fake machine, with one connection between these two. */
static void start_with(uint8_t one, uint8_t other)
{
	const struct scenario_connection pair = {.name = "pair", .vm = {one, other},
		.emits = {true, true}, .type = SCN_CONNECTION_CROSSVM, .size = 0x2000U};

	(void)fake_connected(&pair, 1U, false);
}

static struct acrn_vm *create_user(void)
{
	struct acrn_vm *vm = vm_by_id(USER);

	spin_lock(&vm->lock);
	EXPECT_EQ(vm_create(vm, NULL, 0U), 0);
	spin_unlock(&vm->lock);
	return vm;
}

static void destroy_user(void)
{
	struct acrn_vm *vm = vm_by_id(USER);

	spin_lock(&vm->lock);
	EXPECT_EQ(vm_destroy(vm), 0);
	spin_unlock(&vm->lock);
}

/* Whatever is not the function's goes on to the device model, as if there were no function. */
TEST(crossvm_user_vm_shares_its_bus)
{
	const uint32_t slot = VPCI_USER_FIRST_SLOT;
	uint32_t value = 0x80000000U;
	struct io_request *req;
	struct acrn_vm *vm;

	start_with(USER, SCN_CONNECTION_HV);
	vm = create_user();
	REQUIRE(vm->vpci.active);
	EXPECT(vm->vpci.slot[0] == NULL);
	REQUIRE(vm->vpci.slot[slot] != NULL);
	EXPECT_EQ(vm->vpci.slot[slot]->bar[0].at, VPCI_USER_MEM_BASE);
	/* Slot 0: the address and the data are the device model's. */
	EXPECT_EQ(access_port(vm, true, 0xCF8U, 4U, &value), -ENODEV);
	EXPECT_EQ(value, 0x80000000U);
	EXPECT_EQ(access_port(vm, false, 0xCFCU, 4U, &value), -ENODEV);
	EXPECT_EQ(access_port(vm, true, 0xCFEU, 2U, &value), -ENODEV);
	/* The address reads back; the reset port and pieces of the register are the device model's. */
	EXPECT_EQ(access_port(vm, false, 0xCF8U, 4U, &value), 0);
	EXPECT_EQ(value, 0x80000000U);
	EXPECT_EQ(access_port(vm, false, 0xCF8U, 2U, &value), -ENODEV);
	EXPECT_EQ(access_port(vm, true, 0xCF9U, 1U, &value), -ENODEV);
	/* The function. */
	value = 0x80000000U | (slot << 11U);
	EXPECT_EQ(access_port(vm, true, 0xCF8U, 4U, &value), 0);
	EXPECT_EQ(access_port(vm, false, 0xCFCU, 4U, &value), 0);
	EXPECT_EQ(value, 0xA1111AF4U);
	value = 0x80000100U | (slot << 11U); /* function 1 of its slot: nobody */
	EXPECT_EQ(access_port(vm, true, 0xCF8U, 4U, &value), 0);
	EXPECT_EQ(access_port(vm, false, 0xCFCU, 4U, &value), 0);
	EXPECT_EQ(value, 0xFFFFFFFFU);
	value = 0x80010000U | (slot << 11U); /* another bus */
	EXPECT_EQ(access_port(vm, true, 0xCF8U, 4U, &value), -ENODEV);
	value = slot << 11U; /* not enabled */
	EXPECT_EQ(access_port(vm, true, 0xCF8U, 4U, &value), -ENODEV);
	EXPECT_EQ(access_port(vm, false, 0xCFCU, 4U, &value), -ENODEV);
	/* In memory. */
	req = &vm->vcpus[0].req;
	*req = (struct io_request){.type = REQ_MMIO};
	req->reqs.mmio = (struct mmio_request){REQUEST_READ, 0U, VPCI_ECAM_BASE + (slot << 15U), 4UL, 0UL};
	EXPECT_EQ(hv_emulate_mmio(&vm->vcpus[0], req), 0);
	EXPECT_EQ(req->reqs.mmio.value, 0xA1111AF4U);
	req->reqs.mmio.address = VPCI_ECAM_BASE + (1UL << 15U);
	EXPECT_EQ(hv_emulate_mmio(&vm->vcpus[0], req), -ENODEV);
	req->reqs.mmio.address = VPCI_USER_MEM_BASE + VPCI_USER_MEM_SIZE - 4UL;
	EXPECT_EQ(hv_emulate_mmio(&vm->vcpus[0], req), -ENODEV);
	/* An event comes back. */
	(void)page(vm, slot, true, 0U, 1U, 1U);
	EXPECT_EQ(count_of(vm, slot), 1U);
	EXPECT_EQ(vm->vioapic.high[0] & (1UL << VPCI_LINE0_GSI), 1UL << VPCI_LINE0_GSI);
	EXPECT_EQ(arch_gpa_to_hpa(vm, vm->vpci.slot[slot]->bar[1].at, NULL, NULL), vm_connections_page(15U) + 0x1000U);
	EXPECT_EQ(arch_gpa_audit(vm), 0);
	fake_machine_end();
}

/* VM 2 has no end: its ports are as they were. */
TEST(crossvm_user_vm_without_an_end)
{
	uint32_t value = 0U;
	struct acrn_vm *vm;

	start_with(2U, SCN_CONNECTION_HV);
	vm = create_user();
	EXPECT(!vm->vpci.active);
	EXPECT_EQ(access_port(vm, false, 0xCF8U, 4U, &value), -ENODEV);
	EXPECT(!vm_by_id(0U)->vpci.active);
	fake_machine_end();
}

/* @return what HC_VM_SET_MEMORY_REGIONS says */
static int64_t set_region(uint32_t type, gpa_t gpa, uint64_t size)
{
	const hpa_t ram = (hpa_t)fake_ram;
	struct set_regions set = {.vmid = 1U, .mr_num = 1U, .regions_gpa = ram + 0x1000UL};
	const struct vm_memory_region region = {
		type, MEM_ACCESS_RWX | MEM_TYPE_WB, gpa, ram + 0x10000UL, size};

	memcpy(fake_ram + 0x1000U, &region, sizeof(region));
	memcpy(fake_ram, &set, sizeof(set));
	return hcall_vm_set_memory_regions(&vm_service()->vcpus[0], NULL, ram, 0UL);
}

/* The device model can neither take the functions' memory away nor change how the guest may use it. */
TEST(crossvm_user_vm_map_is_safe_from_the_device_model)
{
	struct acrn_vm *vm;
	gpa_t at;
	uint32_t access = 0U;

	start_with(USER, SCN_CONNECTION_HV);
	vm = create_user();
	at = vm->vpci.slot[VPCI_USER_FIRST_SLOT]->bar[0].at;
	EXPECT_EQ(set_region(MR_ADD, 0UL, 0x10000UL), 0);
	EXPECT_EQ(set_region(MR_ADD, at, 0x1000UL), -EINVAL);
	EXPECT_EQ(set_region(MR_MODIFY, at, 0x1000UL), -EINVAL);
	EXPECT_EQ(set_region(MR_DEL, at, 0x1000UL), -EINVAL);
	EXPECT_EQ(set_region(MR_DEL, 0UL, 1UL << 40U), -EINVAL);
	EXPECT(arch_gpa_to_hpa(vm, at, NULL, &access) != INVALID_HPA);
	EXPECT_EQ(access, GPA_READ);
	EXPECT_EQ(set_region(MR_DEL, 0UL, 0x10000UL), 0);
	EXPECT_EQ(vm->mapped_bytes, 0UL);
	fake_machine_end();
}

/* A User VM comes and goes while the other end stays: memory stays, events to nobody are lost. */
TEST(crossvm_user_vm_comes_and_goes)
{
	const uint32_t slot = VPCI_USER_FIRST_SLOT;
	struct acrn_vm *service, *vm;
	uint8_t *data;

	start_with(0U, USER);
	service = vm_service();
	REQUIRE(service->vpci.active && (service->vpci.slot[1] != NULL));
	for (uint32_t life = 0U; life < 40U; life++) {
		const uint64_t pages = memory_pages_free();

		(void)page(service, 1U, true, 0U, 4U, 1U); /* nobody hears it */
		vm = create_user();
		EXPECT_EQ(count_of(vm, slot), 0U);
		(void)page(service, 1U, true, 0U, 4U, 1U);
		EXPECT_EQ(count_of(vm, slot), 1U);
		(void)page(vm, slot, true, 0U, 4U, 1U);
		EXPECT_EQ(count_of(service, 1U), life + 1U);
		data = (uint8_t *)arch_gpa_to_hpa(vm, vm->vpci.slot[slot]->bar[1].at, NULL, NULL);
		EXPECT_EQ(data[5], (uint8_t)life);
		data[5]++;
		destroy_user();
		EXPECT_EQ(memory_pages_free(), pages);
	}
	fake_machine_end();
}

/* The Service VM has a bus of its own beside the machine's: nothing of its ports changes. */
TEST(crossvm_service_vm_has_its_own_bus)
{
	struct vm_acpi_bus bus;
	struct acrn_vm *vm;
	uint32_t access = 0U;
	uint64_t size;
	hpa_t base;

	start_with(0U, SCN_CONNECTION_HV);
	vm = vm_service();
	base = vm_connections_window(&size);
	REQUIRE(vm->vpci.active && (base != 0UL));
	EXPECT(is_aligned(base | size, SIZE_2M) && (base + size <= (4UL << 30U)));
	EXPECT(vm_ioport_owner(&vm->ports, 0xCFCU) == NULL);
	REQUIRE(vm->vpci.slot[1] != NULL);
	EXPECT(service_bus_describe(vm, &bus));
	EXPECT_EQ(bus.ecam, base);
	EXPECT_EQ(bus.ioapic, base + SERVICE_BUS_IOAPIC);
	EXPECT_EQ(bus.mem_base, base + SERVICE_BUS_BARS);
	EXPECT_EQ(bus.mem_base + (uint64_t)bus.mem_size, base + size);
	EXPECT_EQ(bus.gsi[1], bus.gsi[0] + 1U);
	EXPECT_EQ(bus.gsi[0], bus.ioapic_gsi);
	EXPECT_EQ(bus.ioapic_gsi, vm->vioapic.physical_pins);
	EXPECT(bus.ioapic_id != acpi_info.ioapic[0].id);
	/* BARs are in the window; the event page cannot be written. */
	EXPECT(vm->vpci.slot[1]->bar[0].at >= bus.mem_base);
	EXPECT(arch_gpa_to_hpa(vm, vm->vpci.slot[1]->bar[0].at, NULL, &access) != INVALID_HPA);
	EXPECT_EQ(access, GPA_READ);
	EXPECT_EQ(arch_gpa_audit(vm), 0);
	/* An event comes back, on the bus's own line. */
	(void)page(vm, 1U, true, 0U, 1U, 1U);
	EXPECT_EQ(count_of(vm, 1U), 1U);
	EXPECT_EQ(vm->vioapic.high[0], 1UL << bus.gsi[1]);
	(void)page(vm, 1U, true, 4U, 4U, 0U);
	EXPECT_EQ(vm->vioapic.high[0], 0UL);
	/* Such memory cannot be lent to a User VM. */
	EXPECT(!vm_is_service_ram(base, PAGE_SIZE));
	fake_machine_end();
}

/* What there is no room for is said, and the Service VM does not start as if nothing were missing. */
TEST(crossvm_service_vm_without_room)
{
	start_with(0U, SCN_CONNECTION_HV);
	fake_machine_end();
	acpi_info.ioapic_count = 2U; /* the second begins behind a gap */
	acpi_info.ioapic[1].gsi_base = 200U;
	vm_boot_all();
	EXPECT_EQ(vm_service()->state, VM_POWERED_OFF);
	EXPECT(strstr(fake_log, "no I/O APIC for its connections") != NULL);
	acpi_info.ioapic_count = 1U;
	fake_scenario.connection[0].size = 16U << 20U;
	vm_connections_init(&fake_scenario);
	vm_boot_all();
	EXPECT_EQ(vm_service()->state, VM_POWERED_OFF);
	fake_machine_end();
}

static int line_1(void)
{
	return (int)VPCI_LINE1_GSI;
}

static int no_line(void)
{
	return 7;
}

TEST(crossvm_one_interrupt_for_all)
{
	struct acrn_vm *vm = start();
	const hpa_t frame = (hpa_t)fake_ram;
	const crossvm_dataport_handle_t port = {0x1000U, 1, &frame};
	const crossvm_handle_t handle[2] = {{&port, NULL, NULL, 5U, "a"}, {&port, NULL, NULL, 6U, "b"}};

	EXPECT_EQ(cross_vm_connections_init_common(vm, 0UL, handle, 2, &vm->vpci, line_1), 0);
	EXPECT(vm->vpci.slot[2] == NULL);
	EXPECT((vm->vpci.slot[3] != NULL) && (vm->vpci.slot[5] != NULL));
	EXPECT_EQ(vpci_config_read(&vm->vpci, 5U << 3U, PCI_INT_LINE, 1U), VPCI_LINE1_GSI);
	EXPECT_EQ(cross_vm_connections_init_common(vm, 0UL, handle, 1, &vm->vpci, no_line), -1);
	fake_machine_end();
}
