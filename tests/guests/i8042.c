/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a probe finds at the keyboard controller's ports; the A20 gate; and the legacy video hole, which answers like
 * memory. IBM PS/2 Technical Reference. What hangs on the controller is not asked.
 */
#include <guests/lib/guest.h>

const char subject_name[] = "i8042";

#define DATA	0x60
#define STATUS	0x64
#define PORT92	0x92
#define TRIES	100000

static bool wait_status(uint8_t mask, uint8_t value)
{
	for (unsigned int i = 0; i < TRIES; i++) {
		if ((inb(STATUS) & mask) == value)
			return true;
	}
	return false;
}

static void drain(void)
{
	for (unsigned int i = 0; i < 16 && (inb(STATUS) & 1) != 0; i++)
		(void)inb(DATA);
}

static void command(uint8_t value)
{
	(void)wait_status(2, 0);
	outb(STATUS, value);
}

/* The answer, or -1. */
static int ask(uint8_t value)
{
	drain();
	command(value);
	return wait_status(1, 1) ? inb(DATA) : -1;
}

static void test_controller(void)
{
	int ctr;

	report(ask(0xaa) == 0x55, "self-test");
	report((inb(STATUS) & 4) != 0, "the system flag is set");
	command(0xad);
	ctr = ask(0x20);
	report(ctr >= 0, "the command byte can be read");
	command(0x60);
	(void)wait_status(2, 0);
	outb(DATA, (uint8_t)((ctr & ~0x03) | 0x30));
	report(ask(0x20) == ((ctr & ~0x03) | 0x30), "and written");
	command(0xae);
	report((ask(0x20) & 0x10) == 0, "enabling the keyboard shows in it");
	command(0xad);
	report((ask(0x20) & 0x10) != 0, "disabling, too");
	report(ask(0xab) == 0, "interface test");
	report((ask(0xd0) & 1) != 0, "the output port does not reset");
	drain();
	report((inb(STATUS) & 1) == 0, "nothing is left to read");
}

static void test_a20(void)
{
	uint8_t old = inb(PORT92);

	report((old & 1) == 0, "port 0x92 does not reset");
	outb(PORT92, 2);
	report((inb(PORT92) & 2) != 0, "the A20 gate can be opened");
	outb(PORT92, old);
}

static void test_video(void)
{
	volatile uint16_t *text = (volatile uint16_t *)0xb8000;
	uint16_t old = text[100];
	bool ok;

	text[100] = 0x1741;
	ok = text[100] == 0x1741;
	text[100] = 0x0742;
	ok = ok && text[100] == 0x0742;
	text[100] = old;
	report(ok, "there is memory at 0xB8000");
}

void test_main(void)
{
	if (inb(STATUS) == 0xff) {
		report_skip("no keyboard controller");
	} else {
		test_controller();
		test_a20();
	}
	if (on_hypervisor() && *(volatile uint16_t *)0xb8000 == 0xffff)
		report_skip("no video memory");
	else
		test_video();
}
