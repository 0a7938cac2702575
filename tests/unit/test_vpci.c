/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI bus of a VM: configuration space, moving BARs, shared lines, memory behind BARs. */
#include <dm/vpci.h>
#include <hv/arch.h>
#include <hv/upcall.h>
#include <hv/vcpu_thread.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/errno.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "fake.h"
#include "unit.h"

#define DEV(slot) ((slot) << 3U)

static bool line[VPCI_LINES];
static uint32_t map_changes;

static void note_line(struct acrn_vm *vm, uint32_t gsi, bool asserted)
{
	(void)vm;
	EXPECT((gsi == VPCI_LINE0_GSI) || (gsi == VPCI_LINE1_GSI));
	line[gsi - VPCI_LINE0_GSI] = asserted;
}

static void note_map(struct acrn_vm *vm)
{
	(void)vm;
	map_changes++;
}

static const struct vpci_bus_ops test_bus_ops = {.set_line = note_line, .map_changed = note_map};
static const struct vpci_place test_place = {.mem_base = (uint32_t)VPCI_MEM_BASE, .mem_size = (uint32_t)VPCI_MEM_SIZE,
	.io_base = VPCI_IO_BASE, .io_size = VPCI_IO_SIZE, .ecam = (uint32_t)VPCI_ECAM_BASE,
	.gsi = {VPCI_LINE0_GSI, VPCI_LINE1_GSI}};

static uint64_t test_read(struct vpci_function *fn, uint32_t bar, uint32_t offset, uint32_t size)
{
	EXPECT(offset + size <= fn->bar[bar].size);
	return 0xA0000000UL + (fn->slot << 16U) + (bar << 12U) + offset;
}

static struct {
	struct vpci_function *fn;
	uint32_t bar, offset, size;
	uint64_t value;
} wrote;

static void test_write(struct vpci_function *fn, uint32_t bar, uint32_t offset, uint32_t size, uint64_t value)
{
	wrote.fn = fn;
	wrote.bar = bar;
	wrote.offset = offset;
	wrote.size = size;
	wrote.value = value;
}

static const struct vpci_ops test_ops = {.read = test_read, .write = test_write};

static struct vpci bus;
static struct vpci_function fn[VPCI_SLOTS];

/* Three functions: memory and I/O BAR; 64-bit memory; memory with memory behind it. */
static void make_bus(void)
{
	memset(line, 0, sizeof(line));
	map_changes = 0U;
	vpci_init(&bus, NULL, &test_bus_ops, &test_place);
	vpci_function_init(&fn[1], 0x1AF4U, 0x1234U, 0x050000U, 1U, true, &test_ops);
	vpci_function_add_bar(&fn[1], 0U, 0x1000U, PCI_BAR_MEM32);
	vpci_function_add_bar(&fn[1], 1U, 0x20U, PCI_BAR_IO);
	EXPECT_EQ(vpci_function_add_cap(&fn[1], 0x09U, 6U), 0x40);
	EXPECT_EQ(vpci_function_add_cap(&fn[1], 0x11U, 12U), 0x48);
	EXPECT_EQ(vpci_add(&bus, &fn[1]), 0);
	vpci_function_init(&fn[2], 0x1AF4U, 0x1235U, 0x020000U, 0U, true, &test_ops);
	vpci_function_add_bar(&fn[2], 2U, 0x10000U, PCI_BAR_MEM64 | PCI_BAR_PREFETCH);
	EXPECT_EQ(vpci_add(&bus, &fn[2]), 0);
	vpci_function_init(&fn[3], 0x1AF4U, 0x1236U, 0x020000U, 0U, true, &test_ops);
	vpci_function_add_bar(&fn[3], 0U, 0x2000U, PCI_BAR_MEM32);
	fn[3].bar[0].hpa = 0x5000UL;
	fn[3].bar[0].access = GPA_READ | GPA_WRITE;
	EXPECT_EQ(vpci_add(&bus, &fn[3]), 0);
}

static uint32_t rd(uint32_t slot, uint32_t offset, uint32_t size)
{
	return vpci_config_read(&bus, DEV(slot), offset, size);
}

static void wr(uint32_t slot, uint32_t offset, uint32_t size, uint32_t value)
{
	vpci_config_write(&bus, DEV(slot), offset, size, value);
}

TEST(vpci_configuration_space)
{
	make_bus();
	EXPECT_EQ(rd(0U, 0U, 4U), 0x00425E14U);
	EXPECT_EQ(rd(0U, 8U, 4U), 0x06000000U);
	EXPECT_EQ(rd(1U, 0U, 4U), 0x12341AF4U);
	EXPECT_EQ(rd(1U, 8U, 4U), 0x05000001U);
	EXPECT_EQ(rd(1U, 2U, 2U), 0x1234U);
	EXPECT_EQ(rd(1U, 0xBU, 1U), 0x05U);
	EXPECT_EQ(rd(4U, 0U, 4U), 0xFFFFFFFFU);
	EXPECT_EQ(rd(4U, 0U, 2U), 0xFFFFU);
	EXPECT_EQ(vpci_config_read(&bus, DEV(1U) + 1U, 0U, 4U), 0xFFFFFFFFU); /* function 1 */
	EXPECT_EQ(rd(1U, 0x100U, 4U), 0xFFFFFFFFU);
	/* Read-only registers stay. */
	wr(1U, 0U, 4U, 0U);
	wr(1U, 8U, 4U, 0U);
	wr(1U, PCI_STATUS, 2U, 0xFFFFU);
	EXPECT_EQ(rd(1U, 0U, 4U), 0x12341AF4U);
	EXPECT_EQ(rd(1U, 8U, 4U), 0x05000001U);
	EXPECT_EQ(rd(1U, PCI_STATUS, 2U), PCI_STA_CAPS);
	EXPECT_EQ(rd(1U, PCI_COMMAND, 2U), PCI_CMD_IO | PCI_CMD_MEM);
	wr(1U, PCI_COMMAND, 2U, 0xFFFFU);
	EXPECT_EQ(rd(1U, PCI_COMMAND, 2U), PCI_CMD_IO | PCI_CMD_MEM | PCI_CMD_MASTER | PCI_CMD_INTX_OFF);
	/* The list of capabilities: the last one added comes first. */
	EXPECT_EQ(rd(1U, PCI_CAP_POINTER, 1U), 0x48U);
	EXPECT_EQ(rd(1U, 0x48U, 2U), 0x4011U);
	EXPECT_EQ(rd(1U, 0x40U, 2U), 0x0009U);
	EXPECT_EQ(vpci_function_add_cap(&fn[1], 0x09U, 200U), 0U);
	/* Interrupt pin and line. */
	EXPECT_EQ(rd(1U, PCI_INT_LINE, 2U), 0x0100U | VPCI_LINE1_GSI);
	EXPECT_EQ(rd(2U, PCI_INT_LINE, 2U), 0x0100U | VPCI_LINE0_GSI);
}

static int32_t find(bool io, uint32_t at, uint32_t size, uint32_t *slot)
{
	struct vpci_hit hit = {0};
	const int32_t ret = vpci_find(&bus, io, at, size, &hit);

	*slot = (ret == 0) ? hit.fn->slot : 0U;
	return ret;
}

TEST(vpci_bars_size_and_move)
{
	struct vpci_hit hit;
	uint32_t home, io, slot;

	make_bus();
	home = rd(1U, PCI_BAR0, 4U);
	io = rd(1U, PCI_BAR0 + 4U, 4U);
	EXPECT((home >= VPCI_MEM_BASE) && (home < VPCI_MEM_BASE + VPCI_MEM_SIZE));
	EXPECT_EQ(io & 3U, 1U);
	EXPECT_EQ(rd(2U, PCI_BAR0 + 8U, 4U) & 0xFFFFU, 0xCU);
	/* Sizing by ones. */
	wr(1U, PCI_BAR0, 4U, 0xFFFFFFFFU);
	EXPECT_EQ(rd(1U, PCI_BAR0, 4U), 0xFFFFF000U);
	EXPECT_EQ(find(false, home, 4U, &slot), -ENODEV); /* 0xFFFFF000 is not in the window */
	wr(1U, PCI_BAR0 + 4U, 4U, 0xFFFFFFFFU);
	EXPECT_EQ(rd(1U, PCI_BAR0 + 4U, 4U), 0xFFFFFFE1U);
	wr(2U, PCI_BAR0 + 8U, 4U, 0xFFFFFFFFU);
	wr(2U, PCI_BAR0 + 12U, 4U, 0xFFFFFFFFU);
	EXPECT_EQ(rd(2U, PCI_BAR0 + 8U, 4U), 0xFFFF000CU);
	EXPECT_EQ(rd(2U, PCI_BAR0 + 12U, 4U), 0xFFFFFFFFU);
	wr(1U, PCI_BAR0 + 8U, 4U, 0xFFFFFFFFU); /* there is no such BAR */
	EXPECT_EQ(rd(1U, PCI_BAR0 + 8U, 4U), 0U);
	/* To another place, byte by byte. */
	wr(1U, PCI_BAR0 + 3U, 1U, 0xD8U);
	wr(1U, PCI_BAR0 + 2U, 1U, 0x12U);
	wr(1U, PCI_BAR0, 2U, 0x3FFFU);
	EXPECT_EQ(rd(1U, PCI_BAR0, 4U), 0xD8123000U);
	EXPECT_EQ(vpci_find(&bus, false, 0xD8123FF8U, 8U, &hit), 0);
	EXPECT(hit.fn == &fn[1]);
	EXPECT_EQ(hit.bar, 0U);
	EXPECT_EQ(hit.offset, 0xFF8U);
	EXPECT_EQ(find(false, 0xD8123FFCU, 8U, &slot), -EIO);
	EXPECT_EQ(find(false, 0xD8122FFCU, 8U, &slot), -EIO);
	EXPECT_EQ(find(false, 0xD8124000U, 4U, &slot), -ENODEV);
	/* I/O, at the end of its window. */
	wr(1U, PCI_BAR0 + 4U, 4U, 0xCFE0U);
	EXPECT_EQ(find(true, 0xCFFFU, 1U, &slot), 0);
	EXPECT_EQ(slot, 1U);
	EXPECT_EQ(find(false, 0xCFFFU, 1U, &slot), -ENODEV);
	/* Decoding off and on. */
	wr(1U, PCI_COMMAND, 2U, PCI_CMD_IO);
	EXPECT_EQ(find(false, 0xD8123000U, 4U, &slot), -ENODEV);
	EXPECT_EQ(find(true, 0xCFE0U, 4U, &slot), 0);
	wr(1U, PCI_COMMAND, 2U, PCI_CMD_MEM);
	EXPECT_EQ(find(false, 0xD8123000U, 4U, &slot), 0);
	EXPECT_EQ(find(true, 0xCFE0U, 4U, &slot), -ENODEV);
	/* A 64-bit BAR above 4 GiB is nowhere. */
	wr(2U, PCI_BAR0 + 8U, 4U, 0xD9000000U);
	EXPECT_EQ(find(false, 0xD9000000U, 4U, &slot), -ENODEV);
	wr(2U, PCI_BAR0 + 12U, 4U, 0U);
	EXPECT_EQ(find(false, 0xD9000000U, 4U, &slot), 0);
	EXPECT_EQ(slot, 2U);
	/* Two at one address: the lower slot has it, until it goes. */
	wr(1U, PCI_BAR0, 4U, 0xD9001000U);
	EXPECT_EQ(find(false, 0xD9001000U, 4U, &slot), 0);
	EXPECT_EQ(slot, 1U);
	EXPECT_EQ(find(false, 0xD9000000U, 4U, &slot), -ENODEV);
	wr(1U, PCI_BAR0, 4U, 0xD0000000U);
	EXPECT_EQ(find(false, 0xD9000000U, 4U, &slot), 0);
	/* Everything where it was. */
	vpci_reset(&bus);
	EXPECT_EQ(rd(1U, PCI_BAR0, 4U), home);
	EXPECT_EQ(rd(1U, PCI_BAR0 + 4U, 4U), io);
	EXPECT_EQ(rd(1U, PCI_COMMAND, 2U), PCI_CMD_IO | PCI_CMD_MEM);
	EXPECT_EQ(find(false, home, 4U, &slot), 0);
	EXPECT_EQ(slot, 1U);
}

TEST(vpci_shared_lines)
{
	make_bus();
	vpci_set_intx(&fn[1], true);
	EXPECT(line[1] && !line[0]);
	EXPECT_EQ(rd(1U, PCI_STATUS, 2U), PCI_STA_CAPS | PCI_STA_INTX);
	vpci_set_intx(&fn[3], true);
	vpci_set_intx(&fn[1], false);
	EXPECT(line[1]);
	EXPECT_EQ(rd(1U, PCI_STATUS, 2U), PCI_STA_CAPS);
	wr(3U, PCI_COMMAND, 2U, PCI_CMD_MEM | PCI_CMD_INTX_OFF);
	EXPECT(!line[1]);
	EXPECT_EQ(rd(3U, PCI_STATUS, 2U), PCI_STA_INTX); /* pending all the same */
	wr(3U, PCI_COMMAND, 2U, PCI_CMD_MEM);
	EXPECT(line[1]);
	vpci_set_intx(&fn[2], true);
	EXPECT(line[0]);
	vpci_reset(&bus);
	EXPECT(!line[0] && !line[1]);
	EXPECT_EQ(rd(3U, PCI_STATUS, 2U), 0U);
}

TEST(vpci_room)
{
	uint32_t added = 0U;

	vpci_init(&bus, NULL, &test_bus_ops, &test_place);
	for (uint32_t i = 1U; i < VPCI_SLOTS; i++) {
		vpci_function_init(&fn[i], 1U, 2U, 0xFF0000U, 0U, false, &test_ops);
		vpci_function_add_bar(&fn[i], 0U, 0x1000000U, PCI_BAR_MEM32);
		added += (vpci_add(&bus, &fn[i]) == 0) ? 1U : 0U;
	}
	EXPECT_EQ(added, VPCI_MEM_SIZE / 0x1000000UL);
	vpci_init(&bus, NULL, &test_bus_ops, &test_place);
	for (uint32_t i = 1U; i < VPCI_SLOTS; i++) {
		vpci_function_init(&fn[i], 1U, 2U, 0xFF0000U, 0U, false, &test_ops);
		EXPECT_EQ(vpci_add(&bus, &fn[i]), 0);
	}
	EXPECT_EQ(vpci_add(&bus, &fn[0]), -ENOSPC);
}

/*
 * BARs move while another CPU looks them up: it finds a whole BAR or none, and always one that stays. VPCI_LOOKUPS in
 * the environment: how often; 200000 if nothing is said. stress/bars does it under the race detector.
 */
static void *mover(void *arg)
{
	bool *const stop = arg;

	for (uint32_t i = 0U; !__atomic_load_n(stop, __ATOMIC_RELAXED); i++) {
		wr(1U + i % 2U, PCI_BAR0 + ((i % 2U == 0U) ? 0U : 8U), 4U, 0xD0000000U + (i % 5U) * 0x10000U);
	}
	return NULL;
}

TEST(vpci_lookup_while_bars_move)
{
	const char *wanted = getenv("VPCI_LOOKUPS");
	const uint64_t lookups = (wanted != NULL) ? strtoull(wanted, NULL, 10) : 200000UL;
	pthread_t thread;
	bool stop = false;
	uint32_t hits = 0U;

	make_bus();
	wr(3U, PCI_BAR0, 4U, 0xD8000000U);
	EXPECT_EQ(pthread_create(&thread, NULL, mover, &stop), 0);
	for (uint64_t i = 0U; (i < lookups) && !unit_failed(); i++) {
		const uint32_t at = 0xD0000000U + (uint32_t)(i % 5U) * 0x10000U + 0x10U;
		struct vpci_hit hit;

		EXPECT_EQ(vpci_find(&bus, false, 0xD8000020U, 4U, &hit), 0);
		EXPECT((hit.fn == &fn[3]) && (hit.offset == 0x20U));
		if (vpci_find(&bus, false, at, 4U, &hit) == 0) {
			EXPECT_EQ(hit.offset & 0xFFFU, 0x10U);
			EXPECT((hit.fn == &fn[1]) || (hit.fn == &fn[2]));
			hits++;
		}
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT(hits != 0U);
}

/* ---- In a VM ---- */

TEST(vpci_ports_and_memory_in_a_vm)
{
	struct acrn_vm *vm = fake_prelaunched();
	uint64_t value = 0UL;

	EXPECT_EQ(access_io(vm, false, 0xCFCU, 4U, 0U), 0xFFFFFFFFU); /* not enabled */
	(void)access_io(vm, true, 0xCF8U, 4U, 0x80000003U);
	EXPECT_EQ(access_io(vm, false, 0xCF8U, 4U, 0U), 0x80000000U);
	EXPECT_EQ(access_io(vm, false, 0xCFCU, 4U, 0U), 0x00425E14U);
	EXPECT_EQ(access_io(vm, false, 0xCFCU, 4U, 0U), 0x00425E14U); /* the register stays selected */
	EXPECT_EQ(access_io(vm, false, 0xCFDU, 1U, 0U), 0x5EU);
	EXPECT_EQ(access_io(vm, false, 0xCFEU, 2U, 0U), 0x0042U);
	EXPECT_EQ(access_io(vm, false, 0xCFDU, 2U, 0U), 0x425EU);
	(void)access_io(vm, true, 0xCF8U, 2U, 0x1234U); /* no double word */
	(void)access_io(vm, true, 0xCF9U, 1U, 0x02U);
	EXPECT_EQ(access_io(vm, false, 0xCF8U, 4U, 0U), 0x80000000U);
	EXPECT_EQ(access_io(vm, false, 0xCF8U, 2U, 0U), 0xFFFFU);
	(void)access_io(vm, true, 0xCF8U, 4U, 0x80010000U); /* bus 1 */
	EXPECT_EQ(access_io(vm, false, 0xCFCU, 4U, 0U), 0xFFFFFFFFU);
	EXPECT_EQ(access_memory(vm, false, VPCI_ECAM_BASE, 4U, &value), 0);
	EXPECT_EQ(value, 0x00425E14U);
	EXPECT_EQ(access_memory(vm, false, VPCI_ECAM_BASE + 4U, 8U, &value), 0);
	EXPECT_EQ(value, 0x0600000000000000UL);
	EXPECT_EQ(access_memory(vm, false, VPCI_ECAM_BASE + 0xFFCU, 8U, &value), -EIO);
	EXPECT_EQ(access_memory(vm, false, VPCI_ECAM_BASE + 0x8000U, 2U, &value), 0);
	EXPECT_EQ(value, 0xFFFFU);
	EXPECT_EQ(access_memory(vm, false, VPCI_MEM_BASE, 4U, &value), -ENODEV);
	EXPECT_EQ(access_io(vm, false, VPCI_IO_BASE, 1U, 0U), 0xFFU);
	fake_machine_end();
}

/* The guest runs until it halts. */
static void one_turn(struct acrn_vcpu *vcpu)
{
	vcpu->halted = false;
	thread_wake(&vcpu->thread);
	(void)fake_run(vcpu->pcpu_id, 3U);
}

static struct acrn_vm *held;

/* The thread has tried the lock, did not get it, and looks around: whoever had it lets go. */
static void let_go(void)
{
	if (held != NULL) {
		EXPECT_EQ(held->vcpus[0].requests & BIT(VCPU_REQ_MAP), BIT(VCPU_REQ_MAP));
		spin_unlock(&held->lock);
		held = NULL;
	}
}

TEST(vpci_map_follows_the_bar)
{
	struct acrn_vm *vm = fake_prelaunched();
	struct vpci_function *shared = &fn[5];
	struct acrn_vcpu *vcpu;
	uint32_t home;

	vpci_function_init(shared, 1U, 2U, 0x050000U, 0U, true, &test_ops);
	vpci_function_add_bar(shared, 0U, 0x2000U, PCI_BAR_MEM32);
	shared->bar[0].hpa = 0x7000UL;
	shared->bar[0].access = GPA_READ | GPA_WRITE;
	EXPECT_EQ(vpci_add(&vm->vpci, shared), 0);
	EXPECT_EQ(vpci_sync_map(vm), 0);
	home = shared->bar[0].home;
	EXPECT_EQ(arch_gpa_to_hpa(vm, home, NULL, NULL), 0x7000UL);
	EXPECT_EQ(arch_gpa_to_hpa(vm, home + 0x1FFFU, NULL, NULL), 0x8FFFUL);
	/* The move is asked of every vCPU, and done by the first that comes; not while somebody has the VM's lock. */
	vcpu = &vm->vcpus[0];
	vcpu->requests = 0UL;
	vpci_config_write(&vm->vpci, DEV(shared->slot), PCI_BAR0, 4U, 0xD4000000U);
	EXPECT_EQ(vcpu->requests, BIT(VCPU_REQ_MAP));
	EXPECT_EQ(arch_gpa_to_hpa(vm, home, NULL, NULL), 0x7000UL);
	spin_lock(&vm->lock);
	held = vm;
	fake_on_window = let_go;
	one_turn(vcpu);
	fake_on_window = NULL;
	EXPECT(held == NULL);
	EXPECT_EQ(vcpu->requests & BIT(VCPU_REQ_MAP), 0UL);
	EXPECT_EQ(arch_gpa_to_hpa(vm, home, NULL, NULL), INVALID_HPA);
	EXPECT_EQ(arch_gpa_to_hpa(vm, 0xD4001000UL, NULL, NULL), 0x8000UL);
	/* Decoding off; and reset brings it home. */
	vpci_config_write(&vm->vpci, DEV(shared->slot), PCI_COMMAND, 2U, 0U);
	one_turn(vcpu);
	EXPECT_EQ(arch_gpa_to_hpa(vm, 0xD4001000UL, NULL, NULL), INVALID_HPA);
	spin_lock(&vm->lock);
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(vm_reset(vm), 0);
	spin_unlock(&vm->lock);
	EXPECT_EQ(arch_gpa_to_hpa(vm, home, NULL, NULL), 0x7000UL);
	fake_machine_end();
}
