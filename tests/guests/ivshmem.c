/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections as QEMU's ivshmem: what is found, the shared memory, the doorbell in both directions, MSI-X with its
 * masks and pending bits, wild accesses; one end resets itself and in the end goes, while the other runs. The same
 * program runs in both VMs (lib/ends.h). Other words: "segment": the functions are not on the machine's first bus, and
 * of revision 0; "intx": its INTx is used, not MSI-X; "order=zephyr": they are set up as Zephyr does; "mcfg": with
 * configuration space in memory.
 */
#include <guests/lib/apic.h>
#include <guests/lib/ends.h>
#include <guests/lib/guest.h>
#include <guests/lib/ioapic.h>
#include <guests/lib/pci.h>
#include <guests/lib/wild.h>
#include <guests/lib/zephyr.h>

const char subject_name[] = "ivshmem";

#define ID		0x11101af4U
#define INTR_MASK	0x00U
#define INTR_STATUS	0x04U
#define IVPOSITION	0x08U
#define DOORBELL	0x0cU
#define CAP_MSIX	0x11U
#define ENABLE		0x8000U
#define MASK_ALL	0x4000U
#define MASKED		1U
#define VECTORS		8U
#define VEC0		0x50U	/* of the first function's vector 0; all follow */
#define INTX_VEC	0xa0U	/* of the lower interrupt line; the other's is one more */
#define MESSAGE		0xfee00000U
#define LOGICAL		0x4U
#define LOWEST		0x100U	/* in the data */
#define NMI		0x400U
#define BURST		3000U
#define MAX_FUNCTIONS	4U
#define NOBODY		0x77U	/* no local APIC's id */

struct function {
	unsigned int slot, cap;
	uint64_t regs, table, pba, memory;
	uint32_t size;
	volatile uint32_t taken;	/* interrupts of all vectors */
	volatile uint32_t vector[VECTORS];
	volatile uint32_t burst;	/* what ends.shared->burst was at the last interrupt */
};

static struct function functions[MAX_FUNCTIONS];
static unsigned int function_count;
static struct function *pair, *one_way, *loop;
static bool segment, intx;

static void handler(struct trap *t)
{
	unsigned int n = (unsigned int)t->vec - VEC0;
	struct function *f = &functions[n / VECTORS];

	f->taken++;
	f->vector[n % VECTORS]++;
	f->burst = ends.shared->burst;
	lapic_eoi();
}

/* Both lines: whose status is set, that one has rung. */
static void intx_handler(struct trap *t)
{
	(void)t;
	for (unsigned int i = 0; i < function_count; i++) {
		if (mmio_read32(functions[i].regs + INTR_STATUS) != 0)
			functions[i].taken++;
	}
	lapic_eoi();
}

static unsigned int find_cap(unsigned int slot, uint8_t id)
{
	unsigned int at = pci_read8(slot, PCI_CAPS);

	while (at != 0 && pci_read8(slot, at) != id)
		at = pci_read8(slot, at + 1);
	return at;
}

static uint64_t table_of(const struct function *f, unsigned int reg)
{
	uint32_t where = pci_read32(f->slot, f->cap + reg);

	return pci_bar(f->slot, where & 7) + (where & ~7U);
}

static void find(void)
{
	for (unsigned int slot = pci_find(ID, 1); slot < PCI_SLOTS && function_count < MAX_FUNCTIONS;
	     slot = pci_find(ID, slot + 1)) {
		struct function *f = &functions[function_count];

		f->slot = slot;
		f->cap = find_cap(slot, CAP_MSIX);
		f->regs = pci_bar(slot, 0);
		f->table = table_of(f, 4);
		f->pba = table_of(f, 8);
		f->memory = pci_bar(slot, 2);
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

static void set_up_msix(const struct function *f)
{
	pci_write16(f->slot, PCI_COMMAND, PCI_CMD_MEM);
	control(f, ENABLE | MASK_ALL);
	for (unsigned int i = 0; i < VECTORS; i++)
		set_entry(f, i, MESSAGE | lapic_id() << 12, message(f, i));
	pci_write16(f->slot, PCI_COMMAND, PCI_CMD_MEM | PCI_CMD_MASTER);
	control(f, ENABLE);
}

static void set_up_intx(const struct function *f)
{
	uint32_t gsi = pci_read8(f->slot, PCI_INT_LINE);

	control(f, 0);
	pci_write16(f->slot, PCI_COMMAND, PCI_CMD_MEM);
	if (!ioapic_set_gsi(gsi, (INTX_VEC + (gsi & 1)) | RTE_LEVEL | RTE_DEST(lapic_id())))
		report(false, "no I/O APIC has interrupt %u", gsi);
	mmio_write32(f->regs + INTR_MASK, 1);
}

static void set_up(const struct function *f)
{
	if (intx)
		set_up_intx(f);
	else
		set_up_msix(f);
}

/* As Zephyr does: it finds the same. */
static void set_up_as_zephyr(const struct function *f)
{
	struct zephyr_ivshmem z = { 0 };

	bool found = zephyr_find(ID, f->slot) == f->slot &&
		     zephyr_ivshmem_set_up(&z, f->slot, message(f, 0), VECTORS + 1);

	report(found && z.registers == f->regs && z.registers_size == 256 && z.memory == f->memory &&
	       z.memory_size == f->size && z.vectors == VECTORS,
	       "set up as Zephyr does: registers, %u bytes of memory, %u vectors", (unsigned int)z.memory_size,
	       z.vectors);
}

static void ring(const struct function *f, unsigned int peer, unsigned int vector)
{
	mmio_write32(f->regs + DOORBELL, peer << 16 | vector);
}

static void ring_other(const struct function *f, unsigned int vector)
{
	ring(f, ends.first ? 1 : 0, vector);
}

static void send(uint32_t number)
{
	ring_other(pair, number % VECTORS);
}

static void send_both(uint32_t number)
{
	send(number);
	ring_other(one_way, number % VECTORS);
}

/* ---- Tests ---- */

static void test_found(void)
{
	report(pci_read32(pair->slot, PCI_CLASS) == (segment ? 0x05000000 : 0x05000001), "class 0x0500, revision %u",
	       segment ? 0 : 1);
	report((pci_read8(pair->slot, PCI_STATUS) & PCI_STA_CAPS) != 0 && pair->cap != 0, "capability MSI-X");
	report(pci_read16(pair->slot, pair->cap + 2) == VECTORS - 1, "off, with %u vectors", VECTORS);
	report(pci_bar_size(pair->slot, 0) == 256 && (pci_read32(pair->slot, PCI_BAR(0)) & 0xf) == 0,
	       "registers: 256 bytes");
	report((pci_read32(pair->slot, PCI_BAR(2)) & 0xf) == 0xc && pci_read32(pair->slot, PCI_BAR(3)) == 0,
	       "memory: 64-bit, prefetchable");
	report(pci_read8(pair->slot, PCI_INT_LINE + 1) == (segment ? 1 : 0), segment ? "INTA" : "no interrupt pin");
	report(mmio_read32(pair->regs + IVPOSITION) == (ends.first ? 0 : 1), "IVPosition is the end's number");
	report(mmio_read32(entry(pair, 0) + 12) == MASKED && mmio_read32(entry(pair, VECTORS - 1) + 12) == MASKED,
	       "all vectors are masked from the start");
	report(mmio_read32(pair->pba) == 0, "none is pending");
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
		ring(loop, ends.first ? 0 : 1, i);
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

/* INTx of revision 0, on the hypervisor's end of a connection. */
static void test_intx(void)
{
	uint32_t before = loop->taken;

	ring_other(loop, 3);
	report(mmio_read32(loop->regs + INTR_MASK) == 1 && (pci_read16(loop->slot, PCI_STATUS) & PCI_STA_INTX) != 0,
	       "rung: its interrupt is pending");
	ring_other(loop, 4);
	irq_window();
	report(loop->taken == before + 1 && (pci_read16(loop->slot, PCI_STATUS) & PCI_STA_INTX) == 0,
	       "it comes once; reading the status ends it");
	mmio_write32(loop->regs + INTR_MASK, 0);
	ring(loop, ends.first ? 0 : 1, 5);
	irq_window();
	report(loop->taken == before + 1 && (pci_read16(loop->slot, PCI_STATUS) & PCI_STA_INTX) == 0,
	       "masked, a doorbell to oneself is kept");
	mmio_write32(loop->regs + INTR_MASK, 0xffffffff);
	irq_window();
	report(loop->taken == before + 2, "unmasked: it comes");
	pci_write16(loop->slot, PCI_COMMAND, PCI_CMD_MEM | PCI_CMD_INTX_OFF);
	ring_other(loop, 0);
	irq_window();
	report(loop->taken == before + 2, "INTx disabled: it does not");
	pci_write16(loop->slot, PCI_COMMAND, PCI_CMD_MEM);
	irq_window();
	report(loop->taken == before + 3 && mmio_read32(loop->regs + INTR_STATUS) == 0, "enabled: it comes");
}

/* Rings may be taken together, but after the last one there is an interrupt, whoever masks what meanwhile. */
static void test_burst(void)
{
	uint32_t before = one_way->taken;

	(void)ends_meet();
	if (ends.first) {
		for (uint32_t i = 1; i <= BURST; i++) {
			ends.shared->burst = i;
			ring_other(one_way, 2);
		}
	} else {
		uint64_t start = rdtsc();

		for (unsigned int i = 0; one_way->burst < BURST && rdtsc() - start < ENDS_PATIENCE; i++) {
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
	(void)ends_meet();
	before = one_way->taken;
	if (!ends.first)
		ring_other(one_way, 0);
	(void)ends_meet();
	irq_window();
	report(one_way->taken == before, "the other way there is nothing");
}

/* Every width at every register, and at random; the VM lives. No entry is left with an address that is a message. */
static void test_wild(void)
{
	struct function *f = loop != NULL ? loop : one_way;
	uint32_t bars[4];
	uint32_t before;

	for (unsigned int i = 0; i < 4; i++)
		bars[i] = pci_read32(f->slot, PCI_BAR(i));
	wild_registers(f->table, 4096, 13, ~0UL);
	report(mmio_read32(entry(f, 0)) == 0xfffffffc && mmio_read32(entry(f, 0) + 12) == MASKED &&
	       mmio_read32(f->pba) == 0, "wild writes to the table: what can be there is there");
	wild_registers(f->regs, 256, 1, ~0UL);
	wild_registers(f->regs, 256, 1, 0x00010003);
	report(mmio_read32(f->regs + IVPOSITION) == (ends.first ? 0 : 1),
	       "wild writes to the registers: the end is as it was");
	for (unsigned int i = 0; i < VECTORS; i++)
		mmio_write32(entry(f, i) + 12, 0);
	wild_registers(f->regs, 256, 1, 0x00010003);
	report(mmio_read32(f->pba) == 0, "messages to nowhere are gone");
	wild_config(f->slot, 3000);
	report(pci_read32(f->slot, PCI_ID) == ID, "wild writes to configuration space: it is still there");
	for (unsigned int i = 0; i < 4; i++)
		pci_write32(f->slot, PCI_BAR(i), bars[i]);
	set_up(f);
	before = f->taken;
	ring(f, ends.first ? 0 : 1, 6);
	irq_window();
	report(f->taken == before + 1, "and works when it is set up again");
}

static void test_interrupts(void)
{
	if (intx) {
		test_intx();
		return;
	}
	test_vectors();
	test_masks();
	test_messages();
}

static void set_up_all(void)
{
	char order[16];
	bool zephyr = boot_option("order", order, sizeof(order)) && strncmp(order, "zephyr", 7) == 0;

	if (boot_flag("mcfg"))
		report(pci_use_memory(), "configuration space in memory");
	for (unsigned int i = 0; i < MAX_FUNCTIONS * VECTORS; i++)
		trap_set_handler(VEC0 + i, handler);
	trap_set_handler(INTX_VEC, intx_handler);
	trap_set_handler(INTX_VEC + 1, intx_handler);
	for (unsigned int i = 0; i < function_count; i++) {
		if (zephyr)
			set_up_as_zephyr(&functions[i]);
		else
			set_up(&functions[i]);
	}
}

void test_main(void)
{
	uint32_t share;

	segment = boot_flag("segment");
	intx = boot_flag("intx");
	if (segment)
		report(pci_use_other_segment(), "a PCI segment besides the first");
	find();
	if (pair == NULL || one_way == NULL || (boot_flag("first") && loop == NULL)) {
		report(false, "the connections of the scenario: %u functions", function_count);
		return;
	}
	ends_begin(pair->memory, &pair->taken, send);
	lapic_enable();
	if (!ends_is_second_life())
		test_found();
	set_up_all();
	if (ends_is_second_life()) {
		ends_second_life();
		return;
	}
	ends_test_text();
	if (loop != NULL)
		test_interrupts();
	share = pair->vector[3] - pair->vector[4];
	ends_test_to_and_fro();
	report(pair->vector[3] - pair->vector[4] == share, "each vector its share");
	test_burst();
	(void)ends_meet();
	test_wild();
	(void)ends_meet();
	ends_test_reset(send_both);
}
