/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cross-VM connections as PCI functions: what is found, the dataport, events in both directions, acknowledging,
 * moving BARs, wild accesses; one end resets itself and in the end goes, while the other runs. The same program runs
 * in both VMs; the words of their command lines tell the ends apart: "first" stays to see the other one go. The word
 * rounds=N says how many events go to and fro; "segment": the functions are not on the machine's first bus.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/ioapic.h>
#include <guests/lib/page.h>
#include <guests/lib/pci.h>
#include <guests/lib/wild.h>

const char subject_name[] = "crossvm";

#define ID		0xa1111af4U
#define EMIT		0x00U
#define CONSUME		0x04U
#define NAME		0x08U
#define VEC0		0x55U	/* of the first interrupt line; the second's is one more */
#define PATIENCE	20000000000UL	/* ticks: the other VM may start much later, or share the CPU */
#define ROUNDS		2000U
#define BURST		5000U
#define MAX_FUNCTIONS	4U

/* The dataport of "pair": what the two agree about. It survives their resets. */
struct shared {
	uint32_t step[2];	/* how far each end has come */
	uint32_t burst;		/* events sent without waiting, so far */
	uint32_t lives;		/* of the second */
	uint32_t text[64];
};

struct function {
	unsigned int slot;
	uint32_t gsi;
	char name[48];
	uint64_t events, dataport;
	uint32_t size;
	volatile uint32_t taken;	/* events acknowledged */
	volatile uint32_t interrupts;
};

static struct function functions[MAX_FUNCTIONS];
static unsigned int function_count;
static struct function *pair, *one_way, *loop;
static volatile struct shared *shared;
static bool first;

static void read_name(const struct function *f, char *text)
{
	for (unsigned int i = 0; i < sizeof(f->name); i++)
		text[i] = *(volatile char *)(f->events + NAME + i);
}

/* It reads as at first. */
static bool has_name(const struct function *f)
{
	char text[sizeof(f->name)];

	read_name(f, text);
	return memcmp(text, f->name, sizeof(text)) == 0;
}

/* All functions of both lines: whoever has events gets them acknowledged. */
static void handler(struct trap *t)
{
	(void)t;
	for (unsigned int i = 0; i < function_count; i++) {
		struct function *f = &functions[i];
		uint32_t count = mmio_read32(f->events + CONSUME);

		if (count != 0) {
			f->interrupts++;
			mmio_write32(f->events + CONSUME, 0);
			f->taken += count;
		}
	}
	lapic_eoi();
}

static void find(void)
{
	for (unsigned int slot = 1; slot < PCI_SLOTS && function_count < MAX_FUNCTIONS; slot++) {
		struct function *f = &functions[function_count];

		if (pci_read32(slot, PCI_ID) != ID)
			continue;
		f->slot = slot;
		f->events = pci_read32(slot, PCI_BAR(0)) & ~0xfU;
		f->dataport = pci_read32(slot, PCI_BAR(1)) & ~0xfU;
		f->size = pci_bar_size(slot, 1);
		f->gsi = pci_read8(slot, PCI_INT_LINE);
		read_name(f, f->name);
		if (strncmp(f->name, "pair", 5) == 0)
			pair = f;
		else if (strncmp(f->name, "one-way", 8) == 0)
			one_way = f;
		else if (strncmp(f->name, "loop", 4) == 0)
			loop = f;
		function_count++;
	}
}

static void test_found(void)
{
	report((pci_read32(pair->slot, PCI_BAR(0)) & 0xf) == 8 && pci_bar_size(pair->slot, 0) == 4096,
	       "event page: a page of prefetchable memory");
	report((pci_read32(pair->slot, PCI_BAR(1)) & 0xf) == 8 && pair->size == 8192, "dataport: 8 KiB");
	report(one_way->size == 65536, "another dataport: 64 KiB");
	report(pci_read32(pair->slot, PCI_BAR(2)) == 0, "no third BAR");
	report((pci_read32(pair->slot, PCI_INT_LINE) >> 8 & 0xff) == 1, "interrupt pin A");
	report(pci_ecam != 0 ? pair->gsi >= 16 : (pair->gsi & 0xfe) == 10, "one of the two lines");
	report((pci_read16(pair->slot, PCI_COMMAND) & PCI_CMD_MEM) != 0, "memory is decoded from the start");
	report(pci_read8(pair->slot, PCI_CAPS) == 0, "no capabilities");
	report(mmio_read32(pair->events + EMIT) == 0, "EMIT reads 0");
}

static void emit(const struct function *f)
{
	*(volatile uint8_t *)(f->events + EMIT) = 1;
}

/* Until the other end is as far as we are now. */
static bool meet(void)
{
	uint64_t start = rdtsc();
	uint32_t now = shared->step[!first];

	now = ++shared->step[first];
	while (shared->step[!first] < now) {
		if (rdtsc() - start > PATIENCE)
			return false;
		irq_window();
		cpu_pause();
	}
	return true;
}

/* Sleeps until @count events have been taken. */
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

static void test_dataport(void)
{
	bool ok = true;

	for (unsigned int i = 0; i < 32; i++)
		shared->text[(first ? 0 : 32) + i] = (first ? 0x1000 : 0x2000) + i;
	report(meet(), "the other end is there");
	for (unsigned int i = 0; i < 32; i++)
		ok = ok && shared->text[(first ? 32 : 0) + i] == (first ? 0x2000 : 0x1000) + i;
	report(ok, "each sees what the other has written");
	*(volatile uint32_t *)(pair->dataport + (first ? 8188U : 8184U)) = first ? 0xa : 0xb;
	(void)meet();
	report(*(volatile uint32_t *)(pair->dataport + (first ? 8184U : 8188U)) == (first ? 0xb : 0xa),
	       "at the end of it, too");
}

static void test_to_and_fro(uint32_t rounds)
{
	uint32_t before = pair->taken, i;

	(void)meet();
	for (i = 0; i < rounds; i++) {
		if (first)
			emit(pair);
		if (!wait_taken(pair, before + i + 1))
			break;
		if (!first)
			emit(pair);
	}
	report(i == rounds, "%u events to and fro, asleep in between", rounds);
	report(pair->taken - before == rounds, "not one more");
	report(mmio_read32(pair->events + CONSUME) == 0, "none is left");
}

/* Events may be taken together, but the last one wakes. */
static void test_burst(void)
{
	uint32_t before = one_way->taken;

	(void)meet();
	if (first) {
		for (uint32_t i = 1; i <= BURST; i++) {
			shared->burst = i;
			emit(one_way);
		}
	} else {
		uint64_t start = rdtsc();

		while (shared->burst < BURST && rdtsc() - start < PATIENCE)
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		irq_window();
		report(shared->burst == BURST, "%u events without waiting: the last one wakes", BURST);
		report(one_way->taken > before && one_way->taken - before <= BURST, "and none is made up");
	}
	(void)meet();
	if (!first) {
		before = one_way->taken;
		emit(one_way);
		irq_window();
		report(one_way->taken == before, "the other way there is nothing");
	}
	(void)meet();
	report(mmio_read32(one_way->events + CONSUME) == 0, "all are acknowledged");
}

static void test_level(void)
{
	uint32_t before;

	if (loop == NULL)
		return;
	/* The hypervisor sends each event back at once. */
	before = loop->taken;
	emit(loop);
	report(mmio_read32(loop->events + CONSUME) == 1, "the hypervisor's end: an event comes back");
	report((pci_read16(loop->slot, PCI_STATUS) & PCI_STA_INTX) != 0, "its interrupt is pending");
	*(volatile uint16_t *)(loop->events + EMIT) = 0xffff;
	mmio_write32(loop->events + EMIT, 0);
	report(mmio_read32(loop->events + CONSUME) == 3, "any width, any value");
	irq_window();
	report(loop->taken == before + 3, "all in one interrupt");
	report((pci_read16(loop->slot, PCI_STATUS) & PCI_STA_INTX) == 0, "acknowledged: not pending any more");
	pci_write16(loop->slot, PCI_COMMAND, PCI_CMD_MEM | PCI_CMD_INTX_OFF);
	emit(loop);
	irq_window();
	report(loop->taken == before + 3 && (pci_read16(loop->slot, PCI_STATUS) & PCI_STA_INTX) != 0,
	       "INTx disabled: pending, and not raised");
	pci_write16(loop->slot, PCI_COMMAND, PCI_CMD_MEM);
	irq_window();
	report(loop->taken == before + 4, "enabled: raised");
	mmio_write32(loop->events + CONSUME, 5);
	irq_window();
	report(loop->taken == before + 9, "a count that the guest writes counts");
}

static void test_move(void)
{
	const struct function *f = one_way;
	uint32_t home = pci_read32(f->slot, PCI_BAR(1));
	volatile uint32_t *old = (volatile uint32_t *)f->dataport, *moved;
	uint32_t place = pci_ecam != 0 ? (uint32_t)functions[0].events + 0x100000 : 0xd8000000;
	unsigned int at = first ? 100 : 200;
	bool ok = true;

	moved = (volatile uint32_t *)(uint64_t)place;
	old[at] = 0x12345678;
	report(moved[at] == 0xffffffff, "nothing is at the new place");
	for (unsigned int i = 0; i < 50; i++) {
		pci_write32(f->slot, PCI_BAR(1), place);
		ok = ok && moved[at] == 0x12345678 + i && old[at] == 0xffffffff;
		moved[at]++;
		pci_write32(f->slot, PCI_BAR(1), home);
		ok = ok && old[at] == 0x12345679 + i && moved[at] == 0xffffffff;
	}
	report(ok, "the dataport moves with its BAR, to and fro");
	pci_write16(f->slot, PCI_COMMAND, 0);
	report(old[at] == 0xffffffff && mmio_read32(f->events + NAME) == 0xffffffff, "decoding off: nothing");
	pci_write16(f->slot, PCI_COMMAND, PCI_CMD_MEM);
	report(old[at] == 0x123456aa && has_name(f), "and on");
}

/* Every width at every register, and at random; the VM lives. */
static void test_wild(void)
{
	struct function *f = loop != NULL ? loop : one_way;
	uint32_t bars[2] = { pci_read32(f->slot, PCI_BAR(0)), pci_read32(f->slot, PCI_BAR(1)) };

	for (unsigned int width = 1; width <= 8; width *= 2) {
		for (unsigned int offset = 0; offset < 4096; offset += offset < 256 ? 1 : 61) {
			(void)wild_write(f->events + offset, width, ~0UL);
			irq_window();
		}
	}
	report(has_name(f), "wild writes to the event page: the name is as it was");
	mmio_write32(f->events + CONSUME, 0);
	wild_config(f->slot, 3000);
	report(pci_read32(f->slot, PCI_ID) == ID, "wild writes to configuration space: it is still there");
	pci_write32(f->slot, PCI_BAR(0), bars[0]);
	pci_write32(f->slot, PCI_BAR(1), bars[1]);
	pci_write16(f->slot, PCI_COMMAND, PCI_CMD_MEM);
	report(has_name(f), "and works when it is set up again");
	mmio_write32(f->events + CONSUME, 0);
}

/* The second resets itself while the first goes on emitting. */
static void test_other_resets(void)
{
	uint64_t start = rdtsc();
	uint32_t sent = 0;

	shared->lives = 1;
	(void)meet();
	while (shared->lives == 1 && rdtsc() - start < PATIENCE) {
		emit(pair);
		emit(one_way);
		sent++;
	}
	report(shared->lives == 2 && sent != 0, "the other end resets while events come");
	report(meet(), "and comes back");
	shared->lives = 3;
	start = rdtsc();
	while (shared->lives == 3 && rdtsc() - start < PATIENCE)
		emit(pair);
	report(shared->lives == 4, "it hears events again");
	for (unsigned int i = 0; i < 2000; i++)
		emit(pair);
	report(true, "it goes while events come");
}

static void second_life(void)
{
	uint32_t before = pair->taken;

	shared->lives = 2;
	(void)meet();
	report(wait_taken(pair, before + 1), "after its reset an end hears events");
	while (shared->lives != 3)
		irq_window();
	shared->lives = 4;
}

static void setup(void)
{
	lapic_enable();
	trap_set_handler(VEC0, handler);
	trap_set_handler(VEC0 + 1, handler);
	for (unsigned int i = 0; i < function_count; i++)
		report(ioapic_set_gsi(functions[i].gsi, (VEC0 + (functions[i].gsi & 1)) | RTE_LEVEL |
				      RTE_DEST(lapic_id())), "interrupt %u of '%s'", functions[i].gsi,
		       functions[i].name);
}

void test_main(void)
{
	char rounds[16] = "";

	first = boot_flag("first");
	if (boot_flag("segment"))
		report(pci_use_other_segment(), "a PCI segment besides the first");
	find();
	if (pair == NULL || one_way == NULL || (first && loop == NULL)) {
		report(false, "the connections of the scenario: %u functions", function_count);
		return;
	}
	shared = (volatile struct shared *)pair->dataport;
	setup();
	if (!first && shared->lives == 1) {
		second_life();
		return;
	}
	test_found();
	test_dataport();
	test_level();
	test_to_and_fro(boot_option("rounds", rounds, sizeof(rounds)) ? (uint32_t)parse_number(rounds) : ROUNDS);
	test_burst();
	test_move();
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
