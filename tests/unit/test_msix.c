/* SPDX-License-Identifier: BSD-3-Clause */
/* MSI-X on a VM's PCI bus: the table, masks, pending bits, and that no interrupt is lost or made up between CPUs. */
#include <dm/vpci.h>
#include <dm/vpci_msix.h>
#include <lib/bits.h>
#include <lib/errno.h>

#include <pthread.h>
#include <string.h>

#include "unit.h"

#define VECTORS 5U
#define BAR     1U
#define ADDRESS 0xFEE01000UL
#define CONTROL (PCI_FIRST_CAP + PCI_MSIX_CONTROL)

static struct vpci bus;
static struct vpci_function fn;
static struct vpci_msix msix;
static bool line;

static struct {
	uint32_t count;
	uint64_t address;
	uint32_t data;
	uint32_t seen; /* what `raised` was */
} sent;
static uint32_t raised;

static void note_line(struct acrn_vm *vm, uint32_t gsi, bool asserted)
{
	(void)vm;
	line = (gsi == VPCI_LINE1_GSI) ? asserted : line;
}

static void note_msi(struct acrn_vm *vm, uint64_t address, uint32_t data)
{
	(void)vm;
	sent.count++;
	sent.address = address;
	sent.data = data;
	sent.seen = __atomic_load_n(&raised, __ATOMIC_ACQUIRE);
}

static void note_map(struct acrn_vm *vm)
{
	(void)vm;
}

static void make(void)
{
	static const struct vpci_bus_ops bus_ops = {note_line, note_msi, note_map};
	static const struct vpci_ops no_ops;
	static const struct vpci_place place = {.mem_base = (uint32_t)VPCI_MEM_BASE,
		.mem_size = (uint32_t)VPCI_MEM_SIZE,
		.gsi = {VPCI_LINE0_GSI, VPCI_LINE1_GSI}};

	memset(&sent, 0, sizeof(sent));
	line = false;
	vpci_init(&bus, NULL, &bus_ops, &place);
	vpci_function_init(&fn, 1U, 2U, 0x050000U, 0U, true, &no_ops);
	EXPECT_EQ(vpci_msix_init(&fn, &msix, BAR, VECTORS), 0);
	EXPECT_EQ(vpci_add(&bus, &fn), 0);
}

static void config(uint32_t offset, uint32_t size, uint32_t value)
{
	vpci_config_write(&bus, fn.slot << 3U, offset, size, value);
}

/* As a driver does: the vector's entry, then the function's switches. */
static void set_up(uint32_t vector, uint32_t control)
{
	vpci_msix_write(&fn, vector * 16U, 4U, ADDRESS);
	vpci_msix_write(&fn, vector * 16U + 4U, 4U, 0U);
	vpci_msix_write(&fn, vector * 16U + 8U, 4U, 0x40U + vector);
	vpci_msix_write(&fn, vector * 16U + 12U, 4U, control);
}

static void switch_on(void)
{
	config(PCI_COMMAND, 2U, PCI_CMD_MEM | PCI_CMD_MASTER);
	config(CONTROL, 2U, PCI_MSIX_ENABLE);
}

static uint64_t pending(void)
{
	return vpci_msix_read(&fn, VPCI_MSIX_PBA, 8U);
}

TEST(msix_capability)
{
	make();
	EXPECT_EQ(vpci_config_read(&bus, fn.slot << 3U, PCI_CAP_POINTER, 1U), PCI_FIRST_CAP);
	EXPECT_EQ(vpci_config_read(&bus, fn.slot << 3U, PCI_FIRST_CAP, 4U), 0x00040011U);
	EXPECT_EQ(vpci_config_read(&bus, fn.slot << 3U, PCI_FIRST_CAP + 4U, 4U), BAR);
	EXPECT_EQ(vpci_config_read(&bus, fn.slot << 3U, PCI_FIRST_CAP + 8U, 4U), 0x800U | BAR);
	config(PCI_FIRST_CAP, 4U, ~0U);
	config(PCI_FIRST_CAP + 4U, 4U, ~0U);
	EXPECT_EQ(vpci_config_read(&bus, fn.slot << 3U, PCI_FIRST_CAP, 4U), 0xC0040011U);
	EXPECT_EQ(vpci_config_read(&bus, fn.slot << 3U, PCI_FIRST_CAP + 4U, 4U), BAR);
	vpci_reset(&bus);
	EXPECT_EQ(vpci_config_read(&bus, fn.slot << 3U, PCI_FIRST_CAP, 4U), 0x00040011U);
	EXPECT_EQ(vpci_msix_init(&fn, &msix, 2U, 0U), -EINVAL);
	EXPECT_EQ(vpci_msix_init(&fn, &msix, 2U, VPCI_MSIX_MAX + 1U), -EINVAL);
	EXPECT_EQ(vpci_function_add_cap(&fn, 9U, 180U), 0x4C);
	EXPECT_EQ(vpci_msix_init(&fn, &msix, 2U, 1U), -ENOSPC);
}

TEST(msix_table)
{
	make();
	EXPECT_EQ(vpci_msix_read(&fn, 12U, 4U), PCI_MSIX_ENTRY_MASK);
	vpci_msix_write(&fn, 16U, 8U, 0x123456789ABCDEF3UL);
	EXPECT(vpci_msix_read(&fn, 16U, 8U) == 0x123456789ABCDEF0UL); /* an address of double words */
	vpci_msix_write(&fn, 24U, 8U, 0xFFFFFFFE00000041UL);
	EXPECT(vpci_msix_read(&fn, 24U, 8U) == 0x41U);
	EXPECT(vpci_msix_read(&fn, 17U, 2U) == 0xBCDEU);
	/* Neither bytes, words nor what is not aligned. */
	vpci_msix_write(&fn, 16U, 1U, 0U);
	vpci_msix_write(&fn, 16U, 2U, 0U);
	vpci_msix_write(&fn, 18U, 4U, 0U);
	vpci_msix_write(&fn, 20U, 8U, 0U);
	EXPECT(vpci_msix_read(&fn, 16U, 8U) == 0x123456789ABCDEF0UL);
	/* Behind the table, and the pending bits. */
	vpci_msix_write(&fn, VECTORS * 16U, 4U, ~0U);
	vpci_msix_write(&fn, VPCI_MSIX_PBA, 8U, ~0UL);
	vpci_msix_write(&fn, VPCI_MSIX_BAR_SIZE - 8U, 8U, ~0UL);
	EXPECT(vpci_msix_read(&fn, VECTORS * 16U, 8U) == 0U);
	EXPECT(vpci_msix_read(&fn, VECTORS * 16U - 4U, 8U) == 0U);
	EXPECT(pending() == 0U);
	EXPECT(vpci_msix_read(&fn, VPCI_MSIX_PBA - 4U, 8U) == 0U);
	EXPECT(vpci_msix_read(&fn, VPCI_MSIX_BAR_SIZE - 8U, 8U) == 0U);
}

TEST(msix_messages)
{
	make();
	set_up(3U, 0U);
	vpci_msix_raise(&fn, 3U); /* off: nothing, and nothing is kept */
	EXPECT(pending() == 0U);
	switch_on();
	EXPECT_EQ(sent.count, 0U);
	vpci_msix_raise(&fn, 3U);
	EXPECT_EQ(sent.count, 1U);
	EXPECT(sent.address == ADDRESS);
	EXPECT_EQ(sent.data, 0x43U);
	EXPECT(pending() == 0U);
	vpci_msix_raise(&fn, VECTORS); /* there is none */
	vpci_msix_raise(&fn, 64U);
	EXPECT_EQ(sent.count, 1U);
	EXPECT(pending() == 0U);
}

/* Each of the four ways to hold an interrupt back keeps it, once. */
TEST(msix_masks_keep_what_comes)
{
	make();
	set_up(3U, 0U);
	switch_on();
	vpci_msix_write(&fn, 3U * 16U + 12U, 4U, PCI_MSIX_ENTRY_MASK);
	vpci_msix_raise(&fn, 3U);
	vpci_msix_raise(&fn, 3U);
	vpci_msix_raise(&fn, 4U); /* masked since reset */
	EXPECT_EQ(sent.count, 0U);
	EXPECT(pending() == 0x18U);
	EXPECT(vpci_msix_read(&fn, VPCI_MSIX_PBA, 1U) == 0x18U);
	vpci_msix_write(&fn, 3U * 16U + 8U, 8U, 0x55U); /* data and mask in one go: the new data */
	EXPECT_EQ(sent.count, 1U);
	EXPECT_EQ(sent.data, 0x55U);
	EXPECT(pending() == 0x10U);
	config(CONTROL, 2U, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	vpci_msix_raise(&fn, 3U);
	EXPECT(pending() == 0x18U);
	config(CONTROL + 1U, 1U, PCI_MSIX_ENABLE >> 8U);
	EXPECT_EQ(sent.count, 2U);
	config(PCI_COMMAND, 2U, PCI_CMD_MEM); /* no bus master */
	vpci_msix_raise(&fn, 3U);
	EXPECT_EQ(sent.count, 2U);
	config(PCI_COMMAND, 2U, PCI_CMD_MEM | PCI_CMD_MASTER);
	EXPECT_EQ(sent.count, 3U);
	EXPECT(pending() == 0x10U);
	/* Off: forgotten. */
	config(CONTROL, 2U, 0U);
	EXPECT(pending() == 0U);
	config(CONTROL, 2U, PCI_MSIX_ENABLE);
	vpci_msix_raise(&fn, 4U);
	EXPECT(pending() == 0x10U);
	vpci_reset(&bus);
	EXPECT(pending() == 0U);
	EXPECT(vpci_msix_read(&fn, 3U * 16U + 8U, 8U) == 0x100000000UL);
	vpci_msix_raise(&fn, 3U);
	EXPECT_EQ(sent.count, 3U);
}

TEST(msix_instead_of_intx)
{
	make();
	vpci_set_intx(&fn, true);
	EXPECT(line);
	config(CONTROL, 2U, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
	EXPECT(!line);
	config(CONTROL, 2U, 0U);
	EXPECT(line);
}

#define RACES 100000U

static void *raise_often(void *arg)
{
	(void)arg;
	for (uint32_t i = 1U; i <= RACES; i++) {
		__atomic_store_n(&raised, i, __ATOMIC_RELEASE);
		vpci_msix_raise(&fn, 0U);
	}
	return NULL;
}

TEST(msix_none_is_lost_while_masks_change)
{
	pthread_t thread;

	make();
	set_up(0U, 0U);
	switch_on();
	raised = 0U;
	EXPECT_EQ(pthread_create(&thread, NULL, raise_often, NULL), 0);
	for (uint32_t i = 0U; __atomic_load_n(&raised, __ATOMIC_RELAXED) < RACES; i++) {
		switch (i % 3U) {
		case 0U:
			vpci_msix_write(&fn, 12U, 4U, PCI_MSIX_ENTRY_MASK);
			vpci_msix_write(&fn, 12U, 4U, 0U);
			break;
		case 1U:
			config(CONTROL, 2U, PCI_MSIX_ENABLE | PCI_MSIX_MASK_ALL);
			config(CONTROL, 2U, PCI_MSIX_ENABLE);
			break;
		default:
			config(PCI_COMMAND, 2U, PCI_CMD_MEM);
			config(PCI_COMMAND, 2U, PCI_CMD_MEM | PCI_CMD_MASTER);
			break;
		}
	}
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT(pending() == 0U);
	EXPECT_EQ(sent.seen, RACES); /* a message came after the last one was raised */
	EXPECT(sent.count <= RACES);
}
