/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * COM2 at the end of a null-modem cable. The same program runs in both VMs; the words of their command lines tell the
 * ends apart: "first" stays to see the other one go. With "echo" and "life" the one end sends back what comes, and the
 * other one checks it while somebody pauses, resets, stops and starts them at the console.
 */
#include <guests/lib/guest.h>
#include <guests/lib/pic.h>

const char subject_name[] = "cable";

#define COM2	0x2f8
#define DATA	(COM2 + 0)
#define IER	(COM2 + 1)
#define IIR	(COM2 + 2)
#define FCR	(COM2 + 2)
#define LCR	(COM2 + 3)
#define MCR	(COM2 + 4)
#define LSR	(COM2 + 5)
#define MSR	(COM2 + 6)
#define SCR	(COM2 + 7)

#define LSR_DR		0x01
#define LSR_THRE	0x20
#define LSR_ERRORS	0x8e
#define MSR_CTS		0x10
#define MSR_DSR		0x20
#define MSR_DCD		0x80

#define POLLED		2000U
#define BYTES		10000U
#define PATIENCE	4000000000UL	/* ticks: the other VM may start much later */
#define VEC_IRQ3	(PIC_VECTOR + 3)

#define MSR_DELTAS	0x0b
#define MSR_HERE	(MSR_CTS | MSR_DSR | MSR_DCD)
#define LSR_BI		0x10
#define QUIET		20000000UL	/* ticks: nothing is on its way any more */
#define STALLED		200000000UL	/* ticks without a byte: the other end does not run */

static uint32_t wanted, sent, received, wrong;	/* bytes, each way */
static uint8_t errors;
static bool first;

/* What each end sends: all values, no period of a power of two, and not what the other one sends. */
static uint8_t pattern(uint32_t i, bool of_first)
{
	return (uint8_t)(i * 7 + i / 251 + (of_first ? 0x55 : 0));
}

static bool wait_msr(uint8_t mask, uint8_t value)
{
	const uint64_t start = rdtsc();

	while (rdtsc() - start < PATIENCE) {
		if ((inb(MSR) & mask) == value)
			return true;
		cpu_pause();
	}
	return false;
}

static void take(uint8_t byte)
{
	if (byte != pattern(received, !first))
		wrong++;
	received++;
}

static void fill(void)
{
	for (unsigned int i = 0; i < 16 && sent < wanted; i++)
		outb(DATA, pattern(sent++, first));
}

static void begin(uint32_t bytes)
{
	wanted = bytes;
	sent = 0;
	received = 0;
	wrong = 0;
	errors = 0;
}

static void result(const char *how)
{
	report(sent == wanted && received == wanted, "%s: %u bytes each way", how, wanted);
	report(wrong == 0 && (errors & LSR_ERRORS) == 0, "%s: all as they were sent, no error", how);
}

static void test_polling(void)
{
	const uint64_t start = rdtsc();

	begin(POLLED);
	while ((sent < wanted || received < wanted) && rdtsc() - start < PATIENCE) {
		const uint8_t lsr = inb(LSR);

		errors |= lsr;
		if (lsr & LSR_DR)
			take(inb(DATA));
		else if ((lsr & LSR_THRE) && sent < wanted)
			fill();
		else
			cpu_pause();
	}
	result("polling");
}

static void on_irq3(struct trap *t)
{
	uint8_t iir;

	(void)t;
	while (((iir = inb(IIR)) & 1) == 0) {
		if ((iir & 0x0e) == 0x02)
			fill();
		else if ((iir & 0x0e) == 0x06)
			errors |= inb(LSR);
		else if (received < wanted)
			take(inb(DATA));
		else
			outb(IER, 2);	/* what comes now is for the next test */
	}
	pic_eoi(3);
}

static void test_interrupts(void)
{
	begin(BYTES);
	pic_init();
	trap_set_handler(VEC_IRQ3, on_irq3);
	pic_mask(3, false);
	outb(IER, 0x07);
	/* Without the timer that nobody set, only the port wakes: a lost interrupt is a hang, which the test sees. */
	while (sent < wanted || received < wanted)
		sti_hlt_cli();
	outb(IER, 0);
	pic_mask(3, true);
	result("interrupts");
}

/* One byte each way: both have come so far. */
static bool meet(uint8_t mark)
{
	const uint64_t start = rdtsc();

	outb(DATA, mark);
	while (rdtsc() - start < PATIENCE) {
		if (inb(LSR) & LSR_DR)
			return inb(DATA) == mark;
		cpu_pause();
	}
	return false;
}

/* One end moves its outputs, the other one watches. */
static void test_modem(void)
{
	bool ok = true;

	ok = ok && meet(1);
	if (first) {
		inb(MSR);
		ok = ok && meet(2) && wait_msr(MSR_CTS | MSR_DSR | MSR_DCD, MSR_DSR | MSR_DCD);
		ok = ok && meet(3) && wait_msr(MSR_CTS | MSR_DSR | MSR_DCD, MSR_CTS | MSR_DSR | MSR_DCD);
	} else {
		ok = ok && meet(2);
		outb(MCR, 0x09);
		ok = ok && meet(3);
		outb(MCR, 0x0b);
	}
	ok = ok && meet(4);
	report(ok, "RTS arrives as CTS");
}

static void test_break(void)
{
	bool ok = meet(5);

	if (first) {
		outb(LCR, 0x43);
		outb(LCR, 0x03);
	} else {
		const uint64_t start = rdtsc();
		uint8_t lsr = 0;

		while ((lsr & LSR_DR) == 0 && rdtsc() - start < PATIENCE)
			lsr = inb(LSR);
		ok = ok && (lsr & 0x11) == 0x11 && inb(DATA) == 0;
	}
	report(meet(6) && ok, "a break arrives as a break");
}

/* Nobody is there any more: the lines have fallen, and what is sent is gone at once. */
static void test_alone(void)
{
	bool fell, empty = true;

	if (!first)
		return;
	fell = wait_msr(MSR_CTS | MSR_DSR | MSR_DCD, 0);
	for (uint32_t i = 0; i < POLLED && empty; i++) {
		empty = (inb(LSR) & LSR_THRE) != 0;
		outb(DATA, (uint8_t)i);
	}
	report(fell, "the other VM's end: its lines fall");
	report(empty, "the other VM's end: sending goes on");
}

/* Sends back what comes, until a break. */
static void echo(void)
{
	uint8_t lsr;

	while (((lsr = inb(LSR)) & LSR_BI) == 0) {
		errors |= lsr;
		if ((lsr & (LSR_DR | LSR_THRE)) == (LSR_DR | LSR_THRE))
			outb(DATA, inb(DATA));
		else
			cpu_pause();
	}
	report((errors & LSR_ERRORS) == 0, "echo: no error to the end");
}

/* Another life of one of the two ends: what belongs to the one before is thrown away, and the count begins anew. */
static void begin_life(void)
{
	uint64_t last = rdtsc();

	while (rdtsc() - last < QUIET) {
		if (inb(LSR) & LSR_DR) {
			inb(DATA);
			last = rdtsc();
		}
	}
	inb(MSR);
	begin(0);
	first = true;	/* what comes is what was sent */
}

enum flow_end { FLOW_BYTES, FLOW_STALLED, FLOW_LINES };

/* Sends and checks the echo until `end` happens; FLOW_BYTES: until `bytes` more have come back. */
static bool flow(enum flow_end end, uint32_t bytes)
{
	const uint64_t start = rdtsc();
	const uint32_t enough = received + bytes;
	uint64_t last = start;

	while (rdtsc() - start < PATIENCE) {
		const uint8_t lsr = inb(LSR);

		errors |= lsr;
		if (lsr & LSR_DR) {
			take(inb(DATA));
			last = rdtsc();
			if (end == FLOW_BYTES && received >= enough)
				return true;
			continue;
		}
		if (end == FLOW_LINES && (inb(MSR) & MSR_DELTAS) != 0)
			return true;
		if (end == FLOW_STALLED && (lsr & LSR_THRE) == 0 && rdtsc() - last > STALLED)
			return true;
		if (lsr & LSR_THRE)
			outb(DATA, pattern(sent++, false));
		else
			cpu_pause();
	}
	return false;
}

static bool good(void)
{
	return wrong == 0 && (errors & LSR_ERRORS) == 0;
}

/* The INFO lines are what the one at the console waits for. */
static void life(void)
{
	bool ok;

	begin_life();
	ok = flow(FLOW_BYTES, POLLED);
	report_info("flows, either end may be paused or reset");
	report(ok && flow(FLOW_STALLED, 0) && good(), "the other end is paused: its bytes wait");
	report_info("the other end is silent");
	report(flow(FLOW_BYTES, POLLED) && good(), "the other end is resumed: nothing was lost");
	report_info("this end may be paused and resumed");
	report(flow(FLOW_BYTES, BYTES) && good(), "nothing was lost here");
	report_info("the other end may be reset");
	ok = flow(FLOW_LINES, 0) && good();
	report(wait_msr(MSR_HERE, MSR_HERE) && ok, "the other end is reset: its lines fall and come back");
	begin_life();
	report(flow(FLOW_BYTES, POLLED) && good(), "the other end's next life sends back what it got");
	report_info("the other end may be stopped");
	ok = flow(FLOW_LINES, 0) && good() && (inb(MSR) & MSR_HERE) == 0;
	for (uint32_t i = 0; i < POLLED && ok; i++) {
		ok = (inb(LSR) & LSR_THRE) != 0;
		outb(DATA, (uint8_t)i);
	}
	report(ok, "the other end is stopped: its lines fall, sending goes on");
	report_info("the other end may be started");
	ok = wait_msr(MSR_HERE, MSR_HERE);
	begin_life();
	report(ok && flow(FLOW_BYTES, POLLED) && good(), "the other end is started again: bytes flow");
	outb(LCR, 0x43);
	outb(LCR, 0x03);
}

void test_main(void)
{
	first = boot_flag("first");
	outb(SCR, 0xa5);
	if (inb(SCR) != 0xa5) {
		report_skip("no COM2");
		return;
	}
	outb(LCR, 0x03);
	outb(FCR, 0x87);
	outb(MCR, 0x0b);
	report(wait_msr(MSR_CTS | MSR_DSR | MSR_DCD, MSR_CTS | MSR_DSR | MSR_DCD), "the other end is there");
	if (boot_flag("echo")) {
		inb(LSR);
		echo();
		return;
	}
	if (boot_flag("life")) {
		life();
		return;
	}
	test_polling();
	test_interrupts();
	test_modem();
	test_break();
	test_alone();
}
