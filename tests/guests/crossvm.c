/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cross-VM connections as PCI functions: what is found, the dataport, events in both directions, acknowledging,
 * moving BARs, wild accesses; one end resets itself and in the end goes, while the other runs. The same program runs
 * in both VMs (lib/ends.h). The word "segment": the functions are not on the machine's first bus.
 */
#include <guests/lib/apic.h>
#include <guests/lib/ends.h>
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
#define BURST		5000U
#define MAX_FUNCTIONS	4U

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
	for (unsigned int slot = pci_find(ID, 1); slot < PCI_SLOTS && function_count < MAX_FUNCTIONS;
	     slot = pci_find(ID, slot + 1)) {
		struct function *f = &functions[function_count];

		f->slot = slot;
		f->events = pci_bar(slot, 0);
		f->dataport = pci_bar(slot, 1);
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

static void send(uint32_t number)
{
	(void)number;
	emit(pair);
}

static void send_both(uint32_t number)
{
	send(number);
	emit(one_way);
}

static void test_dataport(void)
{
	ends_test_text();
	*(volatile uint32_t *)(pair->dataport + (ends.first ? 8188U : 8184U)) = ends.first ? 0xa : 0xb;
	(void)ends_meet();
	report(*(volatile uint32_t *)(pair->dataport + (ends.first ? 8184U : 8188U)) == (ends.first ? 0xb : 0xa),
	       "at the end of it, too");
}

/* Events may be taken together, but the last one wakes. */
static void test_burst(void)
{
	uint32_t before = one_way->taken;

	(void)ends_meet();
	if (ends.first) {
		for (uint32_t i = 1; i <= BURST; i++) {
			ends.shared->burst = i;
			emit(one_way);
		}
	} else {
		uint64_t start = rdtsc();

		while (ends.shared->burst < BURST && rdtsc() - start < ENDS_PATIENCE)
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		irq_window();
		report(ends.shared->burst == BURST, "%u events without waiting: the last one wakes", BURST);
		report(one_way->taken > before && one_way->taken - before <= BURST, "and none is made up");
	}
	(void)ends_meet();
	if (!ends.first) {
		before = one_way->taken;
		emit(one_way);
		irq_window();
		report(one_way->taken == before, "the other way there is nothing");
	}
	(void)ends_meet();
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
	unsigned int at = ends.first ? 100 : 200;
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

	wild_registers(f->events, 4096, 61, ~0UL);
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
	if (boot_flag("segment"))
		report(pci_use_other_segment(), "a PCI segment besides the first");
	find();
	if (pair == NULL || one_way == NULL || (boot_flag("first") && loop == NULL)) {
		report(false, "the connections of the scenario: %u functions", function_count);
		return;
	}
	ends_begin(pair->dataport, &pair->taken, send);
	setup();
	if (ends_is_second_life()) {
		ends_second_life();
		return;
	}
	test_found();
	test_dataport();
	test_level();
	ends_test_to_and_fro();
	report(mmio_read32(pair->events + CONSUME) == 0, "none is left");
	test_burst();
	test_move();
	(void)ends_meet();
	test_wild();
	(void)ends_meet();
	ends_test_reset(send_both);
}
