/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections as QEMU's ivshmem: registers, doorbell, and who hears it. */
#include <dm/ivshmem.h>
#include <hv/arch.h>
#include <hv/vm.h>
#include <hv/vm_connections.h>
#include <lib/bits.h>
#include <lib/errno.h>

#include <pthread.h>

#include "access.h"
#include "fake.h"
#include "unit.h"

#define PRE      4U
#define MSG      0xFEE00000UL
#define DOORBELL 0xCU

/*
 * VM 4 is pre-launched and has both ends of connection 0, slots 1 and 2; slots 3 and 4 are connections with the
 * hypervisor at the other end: at the first the VM may not ring.
 */
static struct acrn_vm *start(void)
{
	static const struct scenario_connection connection[] = {
		{.name = "both", .vm = {PRE, PRE}, .emits = {true, true}, .type = SCN_CONNECTION_IVSHMEM,
			.size = 0x4000U},
		{.name = "mute", .vm = {SCN_CONNECTION_HV, PRE}, .emits = {true, false},
			.type = SCN_CONNECTION_IVSHMEM, .size = 0x1000U},
		{.name = "loop", .vm = {SCN_CONNECTION_HV, PRE}, .emits = {true, true},
			.type = SCN_CONNECTION_IVSHMEM, .size = 0x1000U}};

	return fake_connected(connection, 3U, true);
}

/* Vector i of the function in `slot` is interrupt 0x40 + 0x10 * slot + i. */
static void switch_on(struct acrn_vm *vm, uint32_t slot)
{
	for (uint32_t i = 0U; i < IVSHMEM_VECTORS; i++) {
		(void)access_bar(vm, slot, 1U, true, i * 16U, 8U, MSG);
		(void)access_bar(vm, slot, 1U, true, i * 16U + 8U, 8U, 0x40U + 0x10U * slot + i);
	}
	vpci_config_write(&vm->vpci, slot << 3U, PCI_COMMAND, 2U, PCI_CMD_MEM | PCI_CMD_MASTER);
	vpci_config_write(&vm->vpci, slot << 3U, PCI_FIRST_CAP + PCI_MSIX_CONTROL, 2U, PCI_MSIX_ENABLE);
}

static void ring(struct acrn_vm *vm, uint32_t slot, uint32_t peer, uint32_t vector)
{
	(void)access_bar(vm, slot, 0U, true, DOORBELL, 4U, (peer << 16U) | vector);
}

/* @return the one interrupt that came since the last look; 0: none; ~0: more */
static uint32_t came(struct acrn_vm *vm)
{
	uint64_t *irr = vm->vcpus[0].arch.irr;
	uint32_t found = 0U;

	for (uint32_t i = 0U; i < 256U; i++) {
		if (bit_test_and_clear(&irr[i / 64U], i % 64U)) {
			found = (found == 0U) ? i : ~0U;
		}
	}
	return found;
}

TEST(ivshmem_function)
{
	struct acrn_vm *vm = start();
	const struct vpci_function *fn = vm->vpci.slot[1];

	REQUIRE(fn != NULL);
	EXPECT_EQ(vpci_config_read(&vm->vpci, 8U, 0U, 4U), 0x11101AF4U);
	EXPECT_EQ(vpci_config_read(&vm->vpci, 8U, 8U, 4U), 0x05000001U);
	EXPECT_EQ(vpci_config_read(&vm->vpci, 8U, PCI_INT_PIN, 1U), 0U);
	EXPECT_EQ(vpci_config_read(&vm->vpci, 8U, PCI_FIRST_CAP, 4U), 0x00070011U);
	EXPECT_EQ(vpci_config_read(&vm->vpci, 8U, PCI_BAR0 + 8U, 4U) & 0xFU, 0xCU);
	EXPECT_EQ(fn->bar[0].size, 0x100U);
	EXPECT_EQ(fn->bar[2].size, 0x4000U);
	EXPECT_EQ(arch_gpa_to_hpa(vm, fn->bar[2].at, NULL, NULL), vm_connections_page(15U) + 0x1000U);
	EXPECT_EQ(arch_gpa_to_hpa(vm, vm->vpci.slot[2]->bar[2].at, NULL, NULL), vm_connections_page(15U) + 0x1000U);
	/* Registers. */
	EXPECT_EQ(access_bar(vm, 1U, 0U, false, 8U, 4U, 0U), 0U);
	EXPECT_EQ(access_bar(vm, 2U, 0U, false, 8U, 4U, 0U), 1U);
	EXPECT_EQ(access_bar(vm, 2U, 0U, false, 4U, 8U, 0U), 0x100000000UL);
	EXPECT_EQ(access_bar(vm, 2U, 0U, false, 8U, 1U, 0U), 1U);
	for (uint32_t at = 0U; at < 0x100U; at += 4U) {
		(void)access_bar(vm, 2U, 0U, true, at, 4U, 0xFFFF0000U);
		EXPECT_EQ(access_bar(vm, 2U, 0U, false, at, 4U, 0U), (at == 8U) ? 1U : 0U);
	}
	EXPECT_EQ(access_bar(vm, 2U, 0U, false, 0xFFU, 1U, 0U), 0U);
	EXPECT(access_bar(vm, 2U, 2U, false, 0U, 8U, 0U) == ~0UL); /* memory, when it is not in the map */
	fake_machine_end();
}

TEST(ivshmem_doorbell)
{
	struct acrn_vm *vm = start();

	ring(vm, 1U, 1U, 0U); /* nobody listens yet: lost */
	switch_on(vm, 1U);
	switch_on(vm, 2U);
	EXPECT_EQ(came(vm), 0U);
	ring(vm, 1U, 1U, 0U);
	EXPECT_EQ(came(vm), 0x60U);
	ring(vm, 1U, 1U, 7U);
	EXPECT_EQ(came(vm), 0x67U);
	ring(vm, 2U, 0U, 3U);
	EXPECT_EQ(came(vm), 0x53U);
	ring(vm, 2U, 1U, 3U); /* to itself */
	EXPECT_EQ(came(vm), 0x63U);
	/* Peers and vectors that are not there, other widths. */
	ring(vm, 1U, 1U, 8U);
	ring(vm, 1U, 2U, 0U);
	ring(vm, 1U, 0xFFFFU, 0xFFFFU);
	(void)access_bar(vm, 1U, 0U, true, DOORBELL, 1U, 0U);
	(void)access_bar(vm, 1U, 0U, true, DOORBELL, 2U, 0U);
	(void)access_bar(vm, 1U, 0U, true, 8U, 8U, 0x1000000000000UL);
	(void)access_bar(vm, 1U, 0U, true, DOORBELL + 2U, 2U, 1U);
	EXPECT_EQ(came(vm), 0U);
	/* A message that is none does no harm. */
	(void)access_bar(vm, 2U, 1U, true, 0U, 8U, 0x1000U);
	ring(vm, 1U, 1U, 0U);
	EXPECT_EQ(came(vm), 0U);
	fake_machine_end();
}

TEST(ivshmem_hypervisor_and_who_may_ring)
{
	struct acrn_vm *vm = start();

	switch_on(vm, 3U);
	EXPECT_EQ(access_bar(vm, 3U, 0U, false, 8U, 4U, 0U), 1U);
	ring(vm, 3U, 0U, 2U);
	EXPECT_EQ(came(vm), 0U);
	ring(vm, 3U, 1U, 2U); /* itself it may */
	EXPECT_EQ(came(vm), 0x72U);
	switch_on(vm, 4U);
	ring(vm, 4U, 0U, 5U);
	EXPECT_EQ(came(vm), 0x85U); /* sent back */
	/* Destroyed and created again: as new. */
	spin_lock(&vm->lock);
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(vm_destroy(vm), 0);
	EXPECT_EQ(vm_create(vm, NULL, 0U), 0);
	spin_unlock(&vm->lock);
	ring(vm, 4U, 0U, 5U);
	EXPECT_EQ(came(vm), 0U);
	switch_on(vm, 4U);
	ring(vm, 4U, 0U, 5U);
	EXPECT_EQ(came(vm), 0x85U);
	fake_machine_end();
}

TEST(ivshmem_reset)
{
	struct acrn_vm *vm = start();

	switch_on(vm, 1U);
	switch_on(vm, 2U);
	vpci_config_write(
		&vm->vpci, 2U << 3U, PCI_FIRST_CAP + PCI_MSIX_CONTROL, 2U, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	ring(vm, 1U, 1U, 4U);
	EXPECT_EQ(access_bar(vm, 2U, 1U, false, VPCI_MSIX_PBA, 8U, 0U), 0x10U);
	spin_lock(&vm->lock);
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(vm_reset(vm), 0);
	spin_unlock(&vm->lock);
	EXPECT_EQ(came(vm), 0U);
	EXPECT_EQ(access_bar(vm, 2U, 1U, false, VPCI_MSIX_PBA, 8U, 0U), 0U);
	EXPECT_EQ(access_bar(vm, 2U, 1U, false, 12U, 4U, 0U), PCI_MSIX_ENTRY_MASK);
	ring(vm, 1U, 1U, 4U); /* off: lost */
	switch_on(vm, 2U);
	EXPECT_EQ(came(vm), 0U);
	ring(vm, 1U, 1U, 4U);
	EXPECT_EQ(came(vm), 0x64U);
	fake_machine_end();
}

static uint32_t read_intr(struct acrn_vm *vm, uint32_t offset)
{
	return (uint32_t)access_bar(vm, 1U, 0U, false, offset, 4U, 0U);
}

static void write_intr(struct acrn_vm *vm, uint32_t offset, uint32_t value)
{
	(void)access_bar(vm, 1U, 0U, true, offset, 4U, value);
}

static struct acrn_vm *start_service(void)
{
	static const struct scenario_connection loop = {.name = "loop", .vm = {0U, SCN_CONNECTION_HV},
		.emits = {true, true}, .type = SCN_CONNECTION_IVSHMEM, .size = 0x1000U};

	(void)fake_connected(&loop, 1U, false);
	return vm_service();
}

/* The Service VM is told to use no MSI: its function is of revision 0, with INTx. */
TEST(ivshmem_service_vm_has_intx)
{
	struct acrn_vm *vm = start_service();
	const struct vpci_function *fn = vm->vpci.slot[1];

	REQUIRE(fn != NULL);
	EXPECT_EQ(vpci_config_read(&vm->vpci, 8U, 8U, 4U), 0x05000000U);
	EXPECT_EQ(vpci_config_read(&vm->vpci, 8U, PCI_INT_PIN, 1U), 1U);
	EXPECT_EQ(vpci_config_read(&vm->vpci, 8U, PCI_FIRST_CAP, 4U), 0x00070011U);
	/* Masked from the start; what comes is kept. */
	ring(vm, 1U, 1U, 7U);
	EXPECT(!fn->intx);
	write_intr(vm, 0U, ~0U);
	EXPECT_EQ(read_intr(vm, 0U), 1U);
	EXPECT(fn->intx);
	EXPECT(vm->vioapic.high[0] != 0UL);
	/* Reading takes it; reads of other registers do not. */
	EXPECT_EQ(access_bar(vm, 1U, 0U, false, 8U, 8U, 0U), 0U);
	EXPECT_EQ(access_bar(vm, 1U, 0U, false, 5U, 1U, 0U), 0U);
	EXPECT(fn->intx);
	EXPECT_EQ(read_intr(vm, 4U), 1U);
	EXPECT(!fn->intx);
	EXPECT_EQ(vm->vioapic.high[0], 0UL);
	EXPECT_EQ(read_intr(vm, 4U), 0U);
	/* To itself, too; as a quad word with the mask. */
	ring(vm, 1U, 0U, 2U);
	EXPECT(fn->intx);
	EXPECT_EQ(access_bar(vm, 1U, 0U, false, 0U, 8U, 0U), 0x100000001UL);
	EXPECT(!fn->intx);
	/* The status can be written; other widths are ignored. */
	write_intr(vm, 4U, ~0U);
	EXPECT(fn->intx);
	(void)access_bar(vm, 1U, 0U, true, 4U, 1U, 0U);
	(void)access_bar(vm, 1U, 0U, true, 0U, 8U, 0U);
	EXPECT(fn->intx);
	write_intr(vm, 0U, 0U);
	EXPECT(!fn->intx);
	write_intr(vm, 0U, 1U);
	EXPECT(fn->intx);
	write_intr(vm, 4U, ~1U);
	EXPECT(!fn->intx);
	/* With MSI-X on, messages and no INTx. */
	switch_on(vm, 1U);
	ring(vm, 1U, 1U, 3U);
	EXPECT_EQ(came(vm), 0x53U);
	EXPECT_EQ(vm->vioapic.high[0], 0UL);
	/* Reset: as new. */
	spin_lock(&vm->lock);
	vpci_reset(&vm->vpci);
	vm_connections_reset(vm);
	spin_unlock(&vm->lock);
	EXPECT(!fn->intx);
	EXPECT_EQ(access_bar(vm, 1U, 0U, false, 0U, 8U, 0U), 0U);
	fake_machine_end();
}

#define RINGS 20000U

static uint32_t rung;

static void *ring_often(void *arg)
{
	struct ivshmem *self = arg;

	for (uint32_t i = 1U; i <= RINGS; i++) {
		__atomic_store_n(&rung, i, __ATOMIC_RELEASE);
		ivshmem_rung(self, 0U);
	}
	return NULL;
}

/* The status is taken while the other end rings: what was rung before the read shows, or was seen. */
TEST(ivshmem_intx_none_is_lost)
{
	struct acrn_vm *vm = start_service();
	struct ivshmem *self = container_of(vm->vpci.slot[1], struct ivshmem, pci);
	uint32_t seen = 0U;
	uint32_t busy = 0U;
	pthread_t thread;

	rung = 0U;
	write_intr(vm, 0U, 1U);
	EXPECT_EQ(pthread_create(&thread, NULL, ring_often, self), 0);
	while (__atomic_load_n(&rung, __ATOMIC_ACQUIRE) < RINGS) {
		if (read_intr(vm, 4U) != 0U) {
			seen = __atomic_load_n(&rung, __ATOMIC_ACQUIRE);
			busy++;
		}
	}
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT(vm->vpci.slot[1]->intx || (seen == RINGS));
	if (read_intr(vm, 4U) != 0U) {
		seen = RINGS;
		busy++;
	}
	EXPECT_EQ(seen, RINGS);
	EXPECT((busy != 0U) && (busy <= RINGS));
	EXPECT_EQ(vm->vioapic.high[0], 0UL);
	fake_machine_end();
}
