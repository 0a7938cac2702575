/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections as QEMU's ivshmem: what is found, the shared memory, the doorbell in both directions, MSI-X with its
 * masks and pending bits, wild accesses; one end resets itself and in the end goes, while the other runs. The same
 * program runs in both VMs; "first" on the command line tells the ends apart: that one stays to see the other one go.
 * "segment": the functions are not on the machine's first bus.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/pci.h>
#include <guests/lib/wild.h>

const char subject_name[] = "ivshmem";

#define ID		0x11101af4U
#define IVPOSITION	0x08U
#define DOORBELL	0x0cU
#define CAP_MSIX	0x11U
#define ENABLE		0x8000U
#define MASK_ALL	0x4000U
#define MASKED		1U
#define VECTORS		8U
#define VEC0		0x50U	/* of the first function's vector 0; all follow */
#define MESSAGE		0xfee00000U
#define LOGICAL		0x4U
#define LOWEST		0x100U	/* in the data */
#define NMI		0x400U
#define PATIENCE	20000000000UL	/* ticks: the other VM may start much later, or share the CPU */
#define ROUNDS		2000U
#define BURST		3000U
#define MAX_FUNCTIONS	4U
#define NOBODY		0x77U	/* no local APIC's id */

/* The memory of the pair: what the two agree about. It survives their resets. */
struct shared {
	uint32_t step[2];	/* how far each end has come */
	uint32_t burst;		/* rings without waiting, so far */
	uint32_t lives;		/* of the second */
	uint32_t text[64];
};

struct function {
	unsigned int slot, cap;
	uint64_t regs, table, pba, memory;
	uint32_t size;
	volatile uint32_t taken;	/* interrupts of all vectors */
	volatile uint32_t vector[VECTORS];
	volatile uint32_t burst;	/* what shared->burst was at the last interrupt */
};

static struct function functions[MAX_FUNCTIONS];
static unsigned int function_count;
static struct function *pair, *one_way, *loop;
static volatile struct shared *shared;
static bool first;

static void handler(struct trap *t)
{
	unsigned int n = (unsigned int)t->vec - VEC0;
	struct function *f = &functions[n / VECTORS];

	f->taken++;
	f->vector[n % VECTORS]++;
	f->burst = shared->burst;
	lapic_eoi();
}

static unsigned int find_cap(unsigned int slot, uint8_t id)
{
	unsigned int at = pci_read8(slot, PCI_CAPS);

	while (at != 0 && pci_read8(slot, at) != id)
		at = pci_read8(slot, at + 1);
	return at;
}

static uint64_t bar_of(const struct function *f, unsigned int bar)
{
	return pci_read32(f->slot, PCI_BAR(bar)) & ~0xfU;
}

static void find(void)
{
	for (unsigned int slot = 1; slot < PCI_SLOTS && function_count < MAX_FUNCTIONS; slot++) {
		struct function *f = &functions[function_count];

		if (pci_read32(slot, PCI_ID) != ID)
			continue;
		f->slot = slot;
		f->cap = find_cap(slot, CAP_MSIX);
		f->regs = bar_of(f, 0);
		f->table = bar_of(f, pci_read32(slot, f->cap + 4) & 7) + (pci_read32(slot, f->cap + 4) & ~7U);
		f->pba = bar_of(f, pci_read32(slot, f->cap + 8) & 7) + (pci_read32(slot, f->cap + 8) & ~7U);
		f->memory = bar_of(f, 2);
		f->size = pci_bar_size(slot, 2);
		if (f->size == 8192)
			pair = f;
		else if (f->size == 65536)
			one_way = f;
		else if (f->size == 4096)
			loop = f;
		function_count++;
	}
}

/* ---- What a driver does ---- */

static uint64_t entry(const struct function *f, unsigned int vector)
{
	return f->table + 16 * vector;
}

static void set_entry(const struct function *f, unsigned int vector, uint32_t address, uint32_t data)
{
	mmio_write32(entry(f, vector), address);
	mmio_write32(entry(f, vector) + 4, 0);
	mmio_write32(entry(f, vector) + 8, data);
	mmio_write32(entry(f, vector) + 12, 0);
}

static uint32_t message(const struct function *f, unsigned int vector)
{
	return VEC0 + VECTORS * (unsigned int)(f - functions) + vector;
}

static void control(const struct function *f, uint16_t value)
{
	pci_write16(f->slot, f->cap + 2, value);
}

static void set_up(const struct function *f)
{
	pci_write16(f->slot, PCI_COMMAND, PCI_CMD_MEM);
	control(f, ENABLE | MASK_ALL);
	for (unsigned int i = 0; i < VECTORS; i++)
		set_entry(f, i, MESSAGE | lapic_id() << 12, message(f, i));
	pci_write16(f->slot, PCI_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER);
	control(f, ENABLE);
}

static void ring(const struct function *f, unsigned int peer, unsigned int vector)
{
	mmio_write32(f->regs + DOORBELL, peer << 16 | vector);
}

static void ring_other(const struct function *f, unsigned int vector)
{
	ring(f, first ? 1 : 0, vector);
}

/* ---- Tests ---- */

static void test_found(void)
{
	report(pci_read32(pair->slot, PCI_CLASS) == 0x05000001, "class 0x0500, revision 1");
	report((pci_read8(pair->slot, PCI_STATUS) & PCI_STA_CAPS) != 0 && pair->cap != 0, "capability MSI-X");
	report(pci_read16(pair->slot, pair->cap + 2) == VECTORS - 1, "off, with %u vectors", VECTORS);
	report(pci_bar_size(pair->slot, 0) == 256 && (pci_read32(pair->slot, PCI_BAR(0)) & 0xf) == 0,
	       "registers: 256 bytes");
	report((pci_read32(pair->slot, PCI_BAR(2)) & 0xf) == 0xc && pci_read32(pair->slot, PCI_BAR(3)) == 0,
	       "memory: 64-bit, prefetchable");
	report(pci_read8(pair->slot, PCI_INT_LINE + 1) == 0, "no interrupt pin");
	report(mmio_read32(pair->regs + IVPOSITION) == (first ? 0 : 1), "IVPosition is the end's number");
	report(mmio_read32(entry(pair, 0) + 12) == MASKED && mmio_read32(entry(pair, VECTORS - 1) + 12) == MASKED,
	       "all vectors are masked from the start");
	report(mmio_read32(pair->pba) == 0, "none is pending");
}

/* Until the other end is as far as we are now. */
static bool meet(void)
{
	uint64_t start = rdtsc();
	uint32_t now = ++shared->step[first];

	while (shared->step[!first] < now) {
		if (rdtsc() - start > PATIENCE)
			return false;
		irq_window();
		cpu_pause();
	}
	return true;
}

/* Sleeps until @count interrupts have come. */
static bool wait_taken(const struct function *f, uint32_t count)
{
	uint64_t start = rdtsc();

	while (f->taken < count) {
		if (rdtsc() - start > PATIENCE)
			return false;
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	}
	return true;
}

static void test_memory(void)
{
	bool ok = true;

	for (unsigned int i = 0; i < 32; i++)
		shared->text[(first ? 0 : 32) + i] = (first ? 0x1000 : 0x2000) + i;
	report(meet(), "the other end is there");
	for (unsigned int i = 0; i < 32; i++)
		ok = ok && shared->text[(first ? 32 : 0) + i] == (first ? 0x2000 : 0x1000) + i;
	report(ok, "each sees what the other has written");
}

/* True if exactly @count interrupts came since @before, all of @vector. */
static bool came(const struct function *f, const struct function *before, unsigned int vector, uint32_t count)
{
	irq_window();
	return f->taken - before->taken == count && f->vector[vector] - before->vector[vector] == count;
}

static void test_vectors(void)
{
	struct function before;
	bool back = true, own = true;

	for (unsigned int i = 0; i < VECTORS; i++) {
		before = *loop;
		ring_other(loop, i);
		back = back && came(loop, &before, i, 1);
		before = *loop;
		ring(loop, first ? 0 : 1, i);
		own = own && came(loop, &before, i, 1);
	}
	report(back, "the hypervisor's end sends each vector back");
	report(own, "a doorbell to oneself");
	before = *loop;
	ring(loop, 2, 0);
	ring(loop, 0xffff, 0);
	ring(loop, 0, VECTORS);
	ring(loop, 1, 0xffff);
	report(came(loop, &before, 0, 0), "peers and vectors that are not there: nothing");
}

static void test_masks(void)
{
	struct function before = *loop;

	mmio_write32(entry(loop, 3) + 12, MASKED);
	ring_other(loop, 3);
	ring_other(loop, 3);
	report(came(loop, &before, 3, 0) && mmio_read32(loop->pba) == 8, "a masked vector is pending");
	mmio_write32(entry(loop, 3) + 12, 0);
	report(came(loop, &before, 3, 1) && mmio_read32(loop->pba) == 0, "unmasked: it comes, once");
	before = *loop;
	control(loop, ENABLE | MASK_ALL);
	ring_other(loop, 5);
	report(came(loop, &before, 5, 0) && mmio_read32(loop->pba) == 0x20, "all masked: pending");
	control(loop, ENABLE);
	report(came(loop, &before, 5, 1), "unmasked: it comes");
	before = *loop;
	pci_write16(loop->slot, PCI_COMMAND, PCI_CMD_MEM);
	ring_other(loop, 5);
	report(came(loop, &before, 5, 0), "no bus master: no message");
	pci_write16(loop->slot, PCI_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER);
	report(came(loop, &before, 5, 1), "bus master: it comes");
	before = *loop;
	control(loop, 0);
	ring_other(loop, 5);
	report(came(loop, &before, 5, 0) && mmio_read32(loop->pba) == 0, "MSI-X off: nothing is kept");
	control(loop, ENABLE);
	report(came(loop, &before, 5, 0), "nor does it come when it is on");
}

static void test_messages(void)
{
	struct function before = *loop;
	uint32_t data = message(loop, 1);
	unsigned int nmis;

	lapic_write(APIC_DFR, 0xffffffff);
	lapic_write(APIC_LDR, 0x02000000);
	set_entry(loop, 1, MESSAGE | 0x02U << 12 | LOGICAL, data);
	ring_other(loop, 1);
	report(came(loop, &before, 1, 1), "a logical destination");
	set_entry(loop, 1, MESSAGE | 0x03U << 12 | LOGICAL, data | LOWEST);
	ring_other(loop, 1);
	report(came(loop, &before, 1, 2), "lowest priority");
	set_entry(loop, 1, MESSAGE | 0xffU << 12, data);
	ring_other(loop, 1);
	report(came(loop, &before, 1, 3), "everybody");
	set_entry(loop, 1, MESSAGE | NOBODY << 12, data);
	ring_other(loop, 1);
	set_entry(loop, 1, MESSAGE | 0x04U << 12 | LOGICAL, data);
	ring_other(loop, 1);
	report(came(loop, &before, 1, 3), "nobody");
	set_entry(loop, 1, 0x1000, data);
	ring_other(loop, 1);
	mmio_write32(entry(loop, 1) + 4, 1);
	ring_other(loop, 1);
	set_entry(loop, 1, MESSAGE, data | 0x300);
	ring_other(loop, 1);
	report(came(loop, &before, 1, 3), "messages that are no interrupts");
	trap_set_handler(VEC_NMI, trap_handler_nop);
	nmis = trap_count(VEC_NMI);
	set_entry(loop, 1, MESSAGE | lapic_id() << 12, NMI);
	ring_other(loop, 1);
	irq_window();
	report(trap_count(VEC_NMI) == nmis + 1, "an NMI");
	set_entry(loop, 1, MESSAGE | lapic_id() << 12, data);
}

static void test_to_and_fro(void)
{
	uint32_t before = pair->taken, i;

	(void)meet();
	for (i = 0; i < ROUNDS; i++) {
		if (first)
			ring_other(pair, i % VECTORS);
		if (!wait_taken(pair, before + i + 1))
			break;
		if (!first)
			ring_other(pair, i % VECTORS);
	}
	report(i == ROUNDS, "%u rings to and fro, asleep in between", ROUNDS);
	report(pair->taken - before == ROUNDS && pair->vector[3] == pair->vector[4],
	       "not one more, each vector its share");
}

/* Rings may be taken together, but after the last one there is an interrupt, whoever masks what meanwhile. */
static void test_burst(void)
{
	uint32_t before = one_way->taken;

	(void)meet();
	if (first) {
		for (uint32_t i = 1; i <= BURST; i++) {
			shared->burst = i;
			ring_other(one_way, 2);
		}
	} else {
		uint64_t start = rdtsc();

		for (unsigned int i = 0; one_way->burst < BURST && rdtsc() - start < PATIENCE; i++) {
			if (i % 2 == 0)
				mmio_write32(entry(one_way, 2) + 12, MASKED);
			else
				control(one_way, ENABLE | MASK_ALL);
			irq_window();
			mmio_write32(entry(one_way, 2) + 12, 0);
			control(one_way, ENABLE);
			irq_window();
		}
		report(one_way->burst == BURST, "%u rings while masks change: none is lost", BURST);
		report(one_way->taken > before && one_way->taken - before <= BURST, "and none is made up");
	}
	(void)meet();
	before = one_way->taken;
	if (!first)
		ring_other(one_way, 0);
	(void)meet();
	irq_window();
	report(one_way->taken == before, "the other way there is nothing");
}

static void wild_bar(uint64_t base, unsigned int size, unsigned int step, uint64_t value)
{
	for (unsigned int width = 1; width <= 8; width *= 2) {
		for (unsigned int offset = 0; offset < size; offset += offset < 256 ? 1 : step) {
			(void)wild_write(base + offset, width, value);
			irq_window();
		}
	}
}

/* Every width at every register, and at random; the VM lives. No entry is left with an address that is a message. */
static void test_wild(void)
{
	struct function *f = loop != NULL ? loop : one_way;
	uint32_t bars[4];
	uint32_t before;

	for (unsigned int i = 0; i < 4; i++)
		bars[i] = pci_read32(f->slot, PCI_BAR(i));
	wild_bar(f->table, 4096, 13, ~0UL);
	report(mmio_read32(entry(f, 0)) == 0xfffffffc && mmio_read32(entry(f, 0) + 12) == MASKED &&
	       mmio_read32(f->pba) == 0, "wild writes to the table: what can be there is there");
	wild_bar(f->regs, 256, 1, ~0UL);
	wild_bar(f->regs, 256, 1, 0x00010003);
	report(mmio_read32(f->regs + IVPOSITION) == (first ? 0 : 1),
	       "wild writes to the registers: the end is as it was");
	for (unsigned int i = 0; i < VECTORS; i++)
		mmio_write32(entry(f, i) + 12, 0);
	wild_bar(f->regs, 256, 1, 0x00010003);
	report(mmio_read32(f->pba) == 0, "messages to nowhere are gone");
	wild_config(f->slot, 3000);
	report(pci_read32(f->slot, PCI_ID) == ID, "wild writes to configuration space: it is still there");
	for (unsigned int i = 0; i < 4; i++)
		pci_write32(f->slot, PCI_BAR(i), bars[i]);
	set_up(f);
	before = f->vector[6];
	ring(f, first ? 0 : 1, 6);
	irq_window();
	report(f->vector[6] == before + 1, "and works when it is set up again");
}

/* The second resets itself while the first goes on ringing. */
static void test_other_resets(void)
{
	uint64_t start = rdtsc();
	uint32_t sent = 0;

	shared->lives = 1;
	(void)meet();
	while (shared->lives == 1 && rdtsc() - start < PATIENCE) {
		ring_other(pair, sent % VECTORS);
		ring_other(one_way, sent % VECTORS);
		sent++;
	}
	report(shared->lives == 2 && sent != 0, "the other end resets while it is rung");
	report(meet(), "and comes back");
	shared->lives = 3;
	start = rdtsc();
	while (shared->lives == 3 && rdtsc() - start < PATIENCE)
		ring_other(pair, 0);
	report(shared->lives == 4, "it hears the doorbell again");
	for (unsigned int i = 0; i < 2000; i++)
		ring_other(pair, 0);
	report(true, "it goes while it is rung");
}

static void second_life(void)
{
	uint32_t before = pair->taken;

	shared->lives = 2;
	(void)meet();
	report(wait_taken(pair, before + 1), "after its reset an end hears the doorbell");
	while (shared->lives != 3)
		irq_window();
	shared->lives = 4;
}

void test_main(void)
{
	first = boot_flag("first");
	if (boot_flag("segment"))
		report(pci_use_other_segment(), "a PCI segment besides the first");
	find();
	if (pair == NULL || one_way == NULL || (first && loop == NULL)) {
		report(false, "the connections of the scenario: %u functions", function_count);
		return;
	}
	shared = (volatile struct shared *)pair->memory;
	lapic_enable();
	for (unsigned int i = 0; i < MAX_FUNCTIONS * VECTORS; i++)
		trap_set_handler(VEC0 + i, handler);
	if (first || shared->lives != 1)
		test_found();
	for (unsigned int i = 0; i < function_count; i++)
		set_up(&functions[i]);
	if (!first && shared->lives == 1) {
		second_life();
		return;
	}
	test_memory();
	if (loop != NULL) {
		test_vectors();
		test_masks();
		test_messages();
	}
	test_to_and_fro();
	test_burst();
	(void)meet();
	test_wild();
	(void)meet();
	if (first) {
		test_other_resets();
	} else {
		report(meet(), "the first is ready for a reset");
		outb(0xcf9, 0x06);
		for (;;)
			__asm__ volatile("hlt");
	}
}
