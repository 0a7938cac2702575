/* SPDX-License-Identifier: BSD-3-Clause */
/* Cross-VM connections: the event page by the seeds' functions, and two ends that come and go. */
#include <dm/cross_vm_connection.h>
#include <dm/cross_vm.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <hv/vm_connections.h>
#include <lib/errno.h>

#include <string.h>

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
	fake_machine();
	fake_machine_end();
	fake_scenario.connection_count = 1U;
	fake_scenario.connection[0] = (struct scenario_connection){.name = "echo", .vm = {PRE, SCN_CONNECTION_HV},
		.emits = {true, true}, .type = SCN_CONNECTION_CROSSVM, .size = 0x2000U};
	fake_scenario.vm[PRE].refused = false;
	fake_scenario.vm[PRE].mem_bytes = 0x100000UL;
	fake_scenario.vm[PRE].mem_fixed = true;
	fake_scenario.vm[PRE].mem_hpa = (hpa_t)fake_ram + 0x100000UL;
	fake_scenario.vm[PRE].autostart = true;
	vm_connections_init(&fake_scenario);
	vm_init_slots(&fake_scenario);
	vm_boot_all();
	emitted = 0U;
	return vm_by_id(PRE);
}

static uint64_t page(struct acrn_vm *vm, uint32_t slot, bool is_write, uint32_t offset, uint32_t size, uint64_t value)
{
	struct io_request *req = &vm->vcpus[0].req;

	*req = (struct io_request){.type = REQ_MMIO};
	req->reqs.mmio.direction = is_write ? REQUEST_WRITE : REQUEST_READ;
	req->reqs.mmio.address = vm->vpci.slot[slot]->bar[0].at + offset;
	req->reqs.mmio.size = size;
	req->reqs.mmio.value = value;
	EXPECT_EQ(hv_emulate_mmio(&vm->vcpus[0], req), 0);
	return req->reqs.mmio.value;
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
