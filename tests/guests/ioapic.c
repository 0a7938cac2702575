/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O APIC: registers, masks, edge and level, remote IRR, delivery modes. 82093AA data sheet.
 * Interrupt sources: PIT channel 0 (edge) and COM1's "transmitter empty" (a level as long as
 * nobody reads IIR or writes a character).
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/ioapic.h>
#include <guests/lib/pit.h>

const char subject_name[] = "ioapic";

#define VEC_EDGE	0x52U
#define VEC_LEVEL	0x62U
#define COM1_IER	0x3f9
#define COM1_IIR	0x3fa
#define PATIENCE	100000000UL
#define FREE_PIN	11U	/* no device of ours is wired to it */
#define LEVEL_REASON	"Bochs has no level re-trigger and no remote IRR"

static void test_registers(void)
{
	uint32_t version = ioapic_read(IOAPIC_VER), id = ioapic_read(IOAPIC_ID);
	uint64_t rte;
	bool ok = true;

	report((version & 0xff) >= 0x11 && (version & 0xff) <= 0x20, "version");
	report(ioapic_pins() >= 16 && ioapic_pins() <= 240, "number of pins");
	ioapic_write(IOAPIC_VER, 0);
	report(ioapic_read(IOAPIC_VER) == version, "the version is read-only");
	ioapic_write(IOAPIC_ID, 0x05000000);
	report((ioapic_read(IOAPIC_ID) & 0x0f000000) == 0x05000000, "the id can be written");
	ioapic_write(IOAPIC_ID, id);
	mmio_write32(0xfec00000, 0x10);
	report((mmio_read32(0xfec00000) & 0xff) == 0x10, "the index register reads back");
	for (unsigned int pin = 0; pin < ioapic_pins(); pin++) {
		ioapic_set_rte(pin, RTE_MASKED | RTE_DEST(0x5a) | (0x80 + pin));
		ok = ok && ioapic_rte(pin) == (RTE_MASKED | RTE_DEST(0x5a) | (0x80 + pin));
	}
	report(ok, "each redirection entry keeps its own value");
	ioapic_write(0x10 + 2 * FREE_PIN, 0xffffffff);
	ioapic_write(0x11 + 2 * FREE_PIN, 0xff000000);
	rte = ioapic_rte(FREE_PIN);
	report((rte & (RTE_PENDING | RTE_REMOTE_IRR)) == 0, "status bits of an entry are read-only");
	report_xfail(!on_hypervisor(), "Bochs keeps them", (rte & 0x00fffffffffe0000UL) == 0,
		     "reserved bits of an entry read 0");
	report((rte & RTE_MASKED) != 0 && (rte & 0xff) == 0xff, "the other bits are kept");
	ioapic_set_rte(FREE_PIN, RTE_MASKED);
	if (on_hypervisor()) {
		uint32_t beyond = ioapic_read(0x10 + 2 * ioapic_pins());

		report(beyond == 0 || beyond == 0xffffffff, "an entry behind the last is nothing");
		ioapic_write(0x10 + 2 * ioapic_pins(), 0x12);
		report(ioapic_rte(0) == (RTE_MASKED | RTE_DEST(0x5a) | 0x80),
		       "and writing it harms none");
	} else {
		report_skip("bare: touching an entry behind the last ends Bochs");
	}
	ioapic_mask_all();
}

static void test_edge(void)
{
	unsigned int pin = ioapic_isa_pin(0);
	bool ok;

	if (!pit_present()) {
		report_skip("no PIT: edge");
		return;
	}
	trap_set_handler(VEC_EDGE, trap_handler_eoi);
	pit_set(0, 2, PIT_HZ / 1000);
	ioapic_set_rte(pin, VEC_EDGE | RTE_DEST(lapic_id()));
	trap_count_reset(VEC_EDGE);
	report(trap_wait(VEC_EDGE, 3, PATIENCE), "edge interrupts, physical destination");
	report(!lapic_vector_bit(APIC_TMR, VEC_EDGE), "TMR is clear for them");
	report((ioapic_rte(pin) & RTE_REMOTE_IRR) == 0, "remote IRR is clear for them");
	ioapic_set_rte(pin, VEC_EDGE | RTE_DEST(lapic_id()) | RTE_MASKED);
	irq_window();
	trap_count_reset(VEC_EDGE);
	ok = !trap_wait(VEC_EDGE, 1, 400000);
	report(ok, "masked: none");
	ioapic_set_rte(pin, VEC_EDGE | RTE_DEST(lapic_in_x2apic() ? 0xff : lapic_id() ^ 0x40));
	trap_count_reset(VEC_EDGE);
	report(lapic_in_x2apic() || !trap_wait(VEC_EDGE, 1, 400000), "a destination nobody has: none");
	if (!lapic_in_x2apic()) {
		lapic_write(APIC_DFR, 0xffffffff);
		lapic_write(APIC_LDR, 0x02000000);
		ioapic_set_rte(pin, VEC_EDGE | RTE_LOGICAL | RTE_DEST(0x06));
		trap_count_reset(VEC_EDGE);
		report(trap_wait(VEC_EDGE, 2, PATIENCE), "logical destination");
		ioapic_set_rte(pin, VEC_EDGE | RTE_LOGICAL | RTE_LOWEST | RTE_DEST(0x02));
		trap_count_reset(VEC_EDGE);
		report(trap_wait(VEC_EDGE, 2, PATIENCE), "lowest priority");
	}
	trap_set_handler(VEC_NMI, trap_handler_nop);
	trap_count_reset(VEC_NMI);
	ioapic_set_rte(pin, RTE_NMI | RTE_DEST(lapic_id()));
	for (uint64_t start = rdtsc(); trap_count(VEC_NMI) == 0 && rdtsc() - start < PATIENCE;)
		cpu_pause();
	ioapic_set_rte(pin, RTE_MASKED);
	report(trap_count(VEC_NMI) >= 1, "NMI delivery, with interrupts off");
	pit_set(0, 0, 0);
	delay_ticks(100000);
	trap_set_handler(VEC_NMI, NULL);
}

static volatile bool remote_irr_inside, tmr_inside;
static unsigned int level_pin, level_runs;

/* The first time it leaves the line as it is: EOI must bring a second interrupt. */
static void note_level(struct trap *t)
{
	(void)t;
	remote_irr_inside = (ioapic_rte(level_pin) & RTE_REMOTE_IRR) != 0;
	tmr_inside = lapic_vector_bit(APIC_TMR, VEC_LEVEL);
	if (++level_runs > 1)
		inb(COM1_IIR);
	lapic_eoi();
}

static void test_level(void)
{
	bool bare = !on_hypervisor(), silent, came;

	if (!console_present()) {
		report_skip("no UART: level");
		return;
	}
	/* No console output while the line is up: each character would take it down and up. */
	console_flush();
	level_pin = ioapic_isa_pin(4);
	trap_set_handler(VEC_LEVEL, note_level);
	trap_count_reset(VEC_LEVEL);
	level_runs = 0;
	ioapic_set_rte(level_pin, VEC_LEVEL | RTE_LEVEL | RTE_DEST(lapic_id()));
	outb(COM1_IER, 2);
	trap_wait(VEC_LEVEL, 1, 4000000);
	trap_wait(VEC_LEVEL, 2, 400000);
	outb(COM1_IER, 0);
	inb(COM1_IIR);
	irq_window();
	report(trap_count(VEC_LEVEL) >= 1, "level interrupt from COM1");
	report_xfail(bare, LEVEL_REASON, trap_count(VEC_LEVEL) == 2,
		     "EOI with the line up brings it again, EOI with the line down does not");
	report(tmr_inside, "TMR is set for a level interrupt");
	report_xfail(bare, LEVEL_REASON, remote_irr_inside, "remote IRR is set until EOI");
	report((ioapic_rte(level_pin) & RTE_REMOTE_IRR) == 0, "remote IRR is clear afterwards");

	/* A line that went up while masked is served on unmasking: it is a level. */
	console_flush();
	ioapic_set_rte(level_pin, VEC_LEVEL | RTE_LEVEL | RTE_MASKED | RTE_DEST(lapic_id()));
	level_runs = 1;
	trap_count_reset(VEC_LEVEL);
	outb(COM1_IER, 2);
	silent = !trap_wait(VEC_LEVEL, 1, 200000);
	ioapic_set_rte(level_pin, VEC_LEVEL | RTE_LEVEL | RTE_DEST(lapic_id()));
	came = trap_wait(VEC_LEVEL, 1, 4000000);
	outb(COM1_IER, 0);
	inb(COM1_IIR);
	ioapic_set_rte(level_pin, RTE_MASKED);
	irq_window();
	report(silent, "a masked level is silent");
	report(came, "unmasking a level that is up brings it");
	trap_set_handler(VEC_LEVEL, NULL);
}

void test_main(void)
{
	if (!lapic_present() || !ioapic_present()) {
		report_skip("no I/O APIC");
		return;
	}
	lapic_enable();
	ioapic_mask_all();
	test_registers();
	test_edge();
	test_level();
}
