/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 8259A pair: masks, requests, in-service, EOI forms, priorities, special mask mode, poll,
 * rotation, ELCR, requests that go away. 8259A data sheet, PIIX3 data sheet for ELCR.
 * Sources: PIT (IRQ 0) and COM1's "transmitter empty" (IRQ 4).
 */
#include <guests/lib/guest.h>
#include <guests/lib/pic.h>
#include <guests/lib/pit.h>

const char subject_name[] = "pic";

#define COM1_IER	0x3f9
#define COM1_IIR	0x3fa
#define PATIENCE	100000000UL
#define VEC_IRQ(n)	(PIC_VECTOR + (n))

/* Wait for the console first, and report nothing until the request was served: each character
 * sent takes the request away and brings it again. */
static void raise_irq4(void)
{
	console_flush();
	outb(COM1_IER, 0);
	inb(COM1_IIR);
	outb(COM1_IER, 2);
}

static void lower_irq4(void)
{
	outb(COM1_IER, 0);
	inb(COM1_IIR);
}

static volatile uint8_t isr_inside, irr_inside;

static void note_irq4(struct trap *t)
{
	(void)t;
	isr_inside = pic_isr(PIC_MASTER_CMD);
	irr_inside = pic_irr(PIC_MASTER_CMD);
	lower_irq4();
	pic_eoi(4);
}

static void test_registers(void)
{
	bool ok = true;

	for (unsigned int v = 0; v < 256; v++) {
		outb(PIC_MASTER_DATA, (uint8_t)v);
		outb(PIC_SLAVE_DATA, (uint8_t)~v);
		ok = ok && inb(PIC_MASTER_DATA) == v && inb(PIC_SLAVE_DATA) == (uint8_t)~v;
	}
	report(ok, "both mask registers keep all values");
	pic_init();
	report(inb(PIC_MASTER_DATA) == 0xff, "masked after initialisation");
	outb(PIC_MASTER_CMD, 0x11);
	outb(PIC_MASTER_DATA, PIC_VECTOR);
	outb(PIC_MASTER_DATA, 4);
	outb(PIC_MASTER_DATA, 1);
	report(inb(PIC_MASTER_DATA) == 0, "ICW1 clears the mask");
	pic_init();
	report(pic_isr(PIC_MASTER_CMD) == 0 && pic_isr(PIC_SLAVE_CMD) == 0, "nothing in service");
}

static void test_request(void)
{
	bool idle, requested, silent, came;

	lower_irq4();
	idle = (pic_irr(PIC_MASTER_CMD) & 0x10) == 0;
	raise_irq4();
	requested = (pic_irr(PIC_MASTER_CMD) & 0x10) != 0;
	trap_count_reset(VEC_IRQ(4));
	irq_window();
	silent = trap_count(VEC_IRQ(4)) == 0;
	pic_mask(4, false);
	came = trap_wait(VEC_IRQ(4), 1, PATIENCE);
	report(idle, "no request without a reason");
	report(requested, "a masked request shows in IRR");
	report(silent, "and interrupts nobody");
	report(came, "unmasking brings it");
	report((isr_inside & 0x10) != 0 && (irr_inside & 0x10) == 0, "in the handler: ISR, not IRR");
	report(pic_isr(PIC_MASTER_CMD) == 0, "EOI clears ISR");
	trap_wait(VEC_IRQ(4), 2, 100000);
	report(trap_count(VEC_IRQ(4)) == 1, "one edge is one interrupt");

	/* Withdrawn before it is acknowledged: it may come as IRQ 7, never as itself. */
	trap_count_reset(VEC_IRQ(4));
	raise_irq4();
	lower_irq4();
	irq_window();
	report(trap_count(VEC_IRQ(4)) == 0, "a request that went away is not delivered as itself");
	report((pic_isr(PIC_MASTER_CMD) & 0x80) == 0, "a spurious IRQ 7 leaves no ISR bit");
	pic_mask(4, true);
}

static void no_eoi(struct trap *t)
{
	(void)t;
}

static void test_eoi(void)
{
	bool stays, held, other, cleared, next;

	trap_set_handler(VEC_IRQ(4), no_eoi);
	trap_count_reset(VEC_IRQ(4));
	raise_irq4();
	pic_mask(4, false);
	trap_wait(VEC_IRQ(4), 1, PATIENCE);
	stays = pic_isr(PIC_MASTER_CMD) == 0x10;
	raise_irq4();
	trap_wait(VEC_IRQ(4), 2, 100000);
	held = trap_count(VEC_IRQ(4)) == 1;
	outb(PIC_MASTER_CMD, 0x63);
	other = pic_isr(PIC_MASTER_CMD) == 0x10;
	outb(PIC_MASTER_CMD, 0x64);
	cleared = pic_isr(PIC_MASTER_CMD) == 0;
	next = trap_wait(VEC_IRQ(4), 2, PATIENCE);
	pic_eoi(4);
	lower_irq4();
	pic_mask(4, true);
	report(stays, "without EOI it stays in service");
	report(held, "and holds back its own level");
	report(other, "specific EOI of another level does nothing");
	report(cleared, "specific EOI of its level clears it");
	report(next, "the next request comes then");
}

/* IRQ 0 and IRQ 4 are both requested when this returns; the PIC is as after pic_init(). */
static void request_both(void)
{
	pic_init();
	trap_count_reset(VEC_IRQ(0));
	trap_count_reset(VEC_IRQ(4));
	raise_irq4();
	pit_set(0, 0, 200);
	/* A device model looks at its clock when it gets the CPU: some time later. */
	for (uint64_t start = rdtsc(); (pic_irr(PIC_MASTER_CMD) & 0x11) != 0x11 && rdtsc() - start < PATIENCE;) {
		delay_ticks(10000);
	}
}

static void test_nested(void)
{
	bool first, second, nested, both, higher, none;

	request_both();
	outb(PIC_MASTER_DATA, 0xee);
	irq_window();
	first = trap_count(VEC_IRQ(0)) == 1 && trap_count(VEC_IRQ(4)) == 0;
	outb(PIC_MASTER_CMD, PIC_EOI);
	irq_window();
	second = trap_count(VEC_IRQ(4)) == 1;
	/* IRQ 4 is in service: IRQ 0 may interrupt it. */
	pit_set(0, 0, 200);
	nested = trap_wait(VEC_IRQ(0), 2, PATIENCE);
	both = pic_isr(PIC_MASTER_CMD) == 0x11;
	outb(PIC_MASTER_CMD, PIC_EOI);
	higher = pic_isr(PIC_MASTER_CMD) == 0x10;
	outb(PIC_MASTER_CMD, PIC_EOI);
	none = pic_isr(PIC_MASTER_CMD) == 0;
	lower_irq4();
	report(first, "IRQ 0 comes before IRQ 4 and holds it back");
	report(second, "IRQ 4 after IRQ 0's EOI");
	report(nested, "IRQ 0 gets in while IRQ 4 is in service");
	report(both, "both are in service");
	report(higher, "a non-specific EOI ends the higher one");
	report(none, "the next ends the other");
}

/* Special mask mode: a level in service and masked does not hold back lower ones. */
static void test_special_mask(void)
{
	bool waits, let_in, ended;

	request_both();
	outb(PIC_MASTER_DATA, 0xee);
	irq_window();
	irq_window();
	waits = trap_count(VEC_IRQ(0)) == 1 && trap_count(VEC_IRQ(4)) == 0;
	pic_mask(0, true);
	outb(PIC_MASTER_CMD, 0x68);
	irq_window();
	let_in = trap_count(VEC_IRQ(4)) == 1;
	outb(PIC_MASTER_CMD, 0x48);
	outb(PIC_MASTER_CMD, 0x60);
	outb(PIC_MASTER_CMD, 0x64);
	ended = pic_isr(PIC_MASTER_CMD) == 0;
	lower_irq4();
	report(waits, "IRQ 4 waits for IRQ 0's EOI");
	report(let_in, "special mask mode lets it in");
	report(ended, "special mask mode is off, both ended");
}

static void test_rotation(void)
{
	bool four, zero;

	request_both();
	outb(PIC_MASTER_CMD, 0xc3);	/* set priority: 3 lowest, 4 highest */
	outb(PIC_MASTER_DATA, 0xee);
	irq_window();
	four = trap_count(VEC_IRQ(4)) == 1 && trap_count(VEC_IRQ(0)) == 0;
	outb(PIC_MASTER_CMD, 0x64);
	irq_window();
	zero = trap_count(VEC_IRQ(0)) == 1;
	outb(PIC_MASTER_CMD, 0x60);
	outb(PIC_MASTER_CMD, 0xc7);
	lower_irq4();
	report(four, "set priority: IRQ 4 before IRQ 0");
	report(zero, "then IRQ 0");

	/* Rotate on non-specific EOI: what was served gets the lowest place. */
	request_both();
	outb(PIC_MASTER_DATA, 0xee);
	irq_window();
	outb(PIC_MASTER_CMD, 0xa0);
	pit_set(0, 0, 200);
	delay_ticks(100000);
	trap_count_reset(VEC_IRQ(0));
	irq_window();
	four = trap_count(VEC_IRQ(4)) == 1 && trap_count(VEC_IRQ(0)) == 0;
	outb(PIC_MASTER_CMD, 0x64);
	irq_window();
	outb(PIC_MASTER_CMD, 0x60);
	outb(PIC_MASTER_CMD, 0xc7);
	lower_irq4();
	report(four, "rotation on EOI: IRQ 0 served goes behind IRQ 4");
	pic_init();
}

static void test_priority(void)
{
	if (!pit_present()) {
		report_skip("no PIT: priorities");
		return;
	}
	trap_set_handler(VEC_IRQ(0), no_eoi);
	trap_set_handler(VEC_IRQ(4), no_eoi);
	test_nested();
	test_special_mask();
	test_rotation();
}

static void test_poll(void)
{
	uint8_t v, isr;

	pic_init();
	raise_irq4();
	outb(PIC_MASTER_DATA, 0xef);
	outb(PIC_MASTER_CMD, 0x0c);
	v = inb(PIC_MASTER_CMD);
	isr = pic_isr(PIC_MASTER_CMD);
	outb(PIC_MASTER_CMD, 0x64);
	lower_irq4();
	report_xfail(!on_hypervisor(), "Bochs polls otherwise", (v & 0x87) == 0x84, "poll: bit 7 and the level");
	report_xfail(!on_hypervisor(), "Bochs polls otherwise", isr == 0x10, "poll acknowledges: it is in service");
	outb(PIC_MASTER_CMD, 0x0c);
	v = inb(PIC_MASTER_CMD);
	report((v & 0x80) == 0, "poll with nothing pending");
	pic_init();
}

static void test_auto_eoi(void)
{
	pic_init();
	outb(PIC_MASTER_CMD, 0x11);
	outb(PIC_MASTER_DATA, PIC_VECTOR);
	outb(PIC_MASTER_DATA, 4);
	outb(PIC_MASTER_DATA, 3);
	outb(PIC_MASTER_DATA, 0xef);
	trap_count_reset(VEC_IRQ(4));
	trap_set_handler(VEC_IRQ(4), no_eoi);
	raise_irq4();
	trap_wait(VEC_IRQ(4), 1, PATIENCE);
	lower_irq4();
	report(trap_count(VEC_IRQ(4)) == 1 && pic_isr(PIC_MASTER_CMD) == 0, "automatic EOI");
	pic_init();
}

static void test_elcr(void)
{
	uint8_t saved1 = inb(PIC_ELCR1), saved2 = inb(PIC_ELCR2);

	outb(PIC_ELCR1, 0xff);
	outb(PIC_ELCR2, 0xff);
	if (inb(PIC_ELCR1) == 0xff && inb(PIC_ELCR2) == 0xff) {
		outb(PIC_ELCR1, 0);
		if (inb(PIC_ELCR1) == 0xff) {
			report_skip("no ELCR");
			return;
		}
	}
	outb(PIC_ELCR1, 0xff);
	report(inb(PIC_ELCR1) == 0xf8 && inb(PIC_ELCR2) == 0xde,
	       "ELCR: IRQ 0, 1, 2, 8 and 13 are always edge");
	outb(PIC_ELCR1, 0);
	outb(PIC_ELCR2, 0);
	report(inb(PIC_ELCR1) == 0 && inb(PIC_ELCR2) == 0, "ELCR can be cleared");
	outb(PIC_ELCR1, saved1);
	outb(PIC_ELCR2, saved2);
}

void test_main(void)
{
	if (!pic_present()) {
		report_skip("no PIC");
		return;
	}
	trap_set_handler(VEC_IRQ(4), note_irq4);
	trap_set_handler(VEC_IRQ(7), trap_handler_nop);
	test_registers();
	if (console_present()) {
		console_flush();
		test_request();
		test_eoi();
		test_priority();
		test_poll();
		test_auto_eoi();
	} else {
		report_skip("no UART: requests");
	}
	test_elcr();
}
