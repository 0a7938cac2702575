/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Forwarded I/O, seen from the User VM: every access here goes as a request to the Service VM's test device
 * (devicemodel-stub/dev_test.c, doc/device-model.md). Bare there is no such device and the subject is skipped.
 *
 * Words of the command line: nommio, count=N (round trips in the last part).
 */
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>

const char subject_name[] = "ioreq";

#define TEST_PORT  0x500
#define TEST_MMIO  0xd0000000UL
#define REG_ECHO   0x00
#define REG_DELAY  0x08
#define REG_MODE   0x0c
#define REG_COUNT  0x10
#define REG_LAST   0x14
#define REG_ID     0x18
#define ID_VALUE   0x44545241U
#define MODE_PLAIN  0U
#define MODE_EXCESS 1U
#define MODE_INVERT 2U
#define MODE_TWICE  3U
#define LAST_WRITE  0x100U
#define UNOWNED     0x7f00

STUB(ioreq_in_al, "inb %dx, %al");
STUB(ioreq_in_ax, "inw %dx, %ax");
STUB(ioreq_in_eax, "inl %dx, %eax");
STUB(ioreq_out_al, "outb %al, %dx");
STUB(ioreq_out_ax, "outw %ax, %dx");
STUB(ioreq_out_eax, "outl %eax, %dx");

static uint64_t run(const uint8_t *stub, uint16_t port, uint64_t rax)
{
	struct regs r;
	struct trap t;

	regs_fill(&r);
	r.rax = rax;
	r.rdx = port;
	if (exec_catch(&r, stub, &t) != NO_TRAP)
		return 0xbadbadbadbadUL;
	return r.rax;
}

static uint32_t last(void)
{
	return inl(TEST_PORT + REG_LAST);
}

static void test_widths(void)
{
	outl(TEST_PORT + REG_ECHO, 0x44332211);
	outl(TEST_PORT + REG_ECHO + 4, 0x88776655);
	report(inl(TEST_PORT) == 0x44332211U, "4-byte OUT, 4-byte IN");
	report(inw(TEST_PORT) == 0x2211U && inw(TEST_PORT + 2) == 0x4433U, "2-byte IN");
	report(inb(TEST_PORT) == 0x11U && inb(TEST_PORT + 3) == 0x44U, "1-byte IN");
	report(inl(TEST_PORT + 1) == 0x55443322U && inw(TEST_PORT + 3) == 0x5544U, "unaligned IN");
	outw(TEST_PORT + 1, 0xbbaa);
	report(inl(TEST_PORT) == 0x44bbaa11U, "2-byte unaligned OUT");
	outb(TEST_PORT + 3, 0xcc);
	report(inl(TEST_PORT) == 0xccbbaa11U, "1-byte OUT");
	report(inl(TEST_PORT + 4) == 0x88776655U, "and nothing else was written");
}

static void test_what_arrives(void)
{
	(void)inb(TEST_PORT + 5);
	report(last() == (1U | 5U << 16), "a 1-byte IN arrives as one");
	(void)inw(TEST_PORT + 6);
	report(last() == (2U | 6U << 16), "a 2-byte IN arrives as one");
	(void)inl(TEST_PORT + 3);
	report(last() == (4U | 3U << 16), "an unaligned 4-byte IN arrives as one");
	outw(TEST_PORT + 2, 0);
	report(last() == (2U | LAST_WRITE | 2U << 16), "a 2-byte OUT arrives as one");
	outl(TEST_PORT + REG_COUNT, 0);
	for (int i = 0; i < 10; i++)
		(void)inb(TEST_PORT);
	report(inl(TEST_PORT + REG_COUNT) == 10U, "ten accesses arrive as ten");
}

static void test_merge(const char *what)
{
	const uint64_t rax = 0x1122334455667788UL;

	outl(TEST_PORT, 0xd4c3b2a1);
	report(run(ioreq_in_al, TEST_PORT, rax) == 0x11223344556677a1UL, "1-byte IN merges into AL%s", what);
	report(run(ioreq_in_ax, TEST_PORT, rax) == 0x112233445566b2a1UL, "2-byte IN merges into AX%s", what);
	report(run(ioreq_in_eax, TEST_PORT, rax) == 0xd4c3b2a1UL, "4-byte IN clears RAX[63:32]%s", what);
}

static void test_out_rax(void)
{
	const uint64_t rax = 0x99887766d4c3b2a1UL;

	outl(TEST_PORT, 0);
	report(run(ioreq_out_al, TEST_PORT, rax) == rax && inl(TEST_PORT) == 0xa1U,
	       "1-byte OUT sends AL and changes no register");
	report(run(ioreq_out_ax, TEST_PORT, rax) == rax && inl(TEST_PORT) == 0xb2a1U,
	       "2-byte OUT sends AX and changes no register");
	report(run(ioreq_out_eax, TEST_PORT, rax) == rax && inl(TEST_PORT) == 0xd4c3b2a1U,
	       "4-byte OUT sends EAX and changes no register");
}

static void test_wrong_answers(void)
{
	outl(TEST_PORT + REG_MODE, MODE_EXCESS);
	test_merge(", whatever stands above the answer");
	outl(TEST_PORT + REG_MODE, MODE_INVERT);
	outl(TEST_PORT, 0x0f0f1234);
	report(inl(TEST_PORT) == ~0x0f0f1234U, "the answer is the device's, not what was written");
	outl(TEST_PORT + REG_MODE, MODE_TWICE);
	outl(TEST_PORT, 0x600dcafe);
	report(inl(TEST_PORT) == 0x600dcafeU && inw(TEST_PORT) == 0xcafeU,
	       "a completion reported twice does no harm");
	outl(TEST_PORT + REG_MODE, MODE_PLAIN);
}

static void test_delay(void)
{
	uint64_t fast, slow, start;

	start = rdtsc();
	(void)inb(TEST_PORT);
	fast = rdtsc() - start;
	outl(TEST_PORT + REG_DELAY, 20000);
	outl(TEST_PORT, 0xfeedf00d);
	start = rdtsc();
	report(inl(TEST_PORT) == 0xfeedf00dU, "an answer that takes 20 ms");
	slow = rdtsc() - start;
	outl(TEST_PORT + REG_DELAY, 0);
	report(slow > fast, "the guest waited for it");
	report_info("TSC ticks of an access: %lu, delayed by 20 ms: %lu", fast, slow);
}

static void test_edges(void)
{
	report(inb(UNOWNED) == 0xffU && inw(UNOWNED) == 0xffffU && inl(UNOWNED) == 0xffffffffU,
	       "a port that nobody has reads ones");
	outb(UNOWNED, 0);
	outl(UNOWNED, 0);
	report(inl(UNOWNED) == 0xffffffffU, "and drops writes");
	report(inl(TEST_PORT + 0x1e) == 0xffffffffU, "an access over the end of the device reads ones");
	report(inl(TEST_PORT - 2) == 0xffffffffU, "an access into the start of the device reads ones");
	report(inb(0xffff) == 0xffU, "1-byte IN from port 0xffff");
	outb(0xffff, 1);
	report(true, "1-byte OUT to port 0xffff");
}

static void test_string(void)
{
	static uint8_t out[64], in[64];
	const void *src = out;
	void *dst = in;
	uint64_t n = sizeof(out);

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(0x80 + i);
	outl(TEST_PORT + REG_COUNT, 0);
	__asm__ volatile("rep outsb" : "+S"(src), "+c"(n) : "d"((uint16_t)TEST_PORT) : "memory");
	report(n == 0 && src == out + sizeof(out), "REP OUTSB ends with RCX 0 and RSI moved");
	report(inl(TEST_PORT + REG_COUNT) == sizeof(out), "each byte arrived");
	report(inb(TEST_PORT) == out[63], "the last byte is the last");
	outl(TEST_PORT, 0x5a5a5a5a);
	n = sizeof(in);
	__asm__ volatile("rep insb" : "+D"(dst), "+c"(n) : "d"((uint16_t)TEST_PORT) : "memory");
	report(n == 0 && dst == in + sizeof(in), "REP INSB ends with RCX 0 and RDI moved");
	report(in[0] == 0x5aU && in[31] == 0x5aU && in[63] == 0x5aU, "each byte was stored");
	dst = in + 4;
	__asm__ volatile("std\n\tinsl\n\tcld" : "+D"(dst) : "d"((uint16_t)TEST_PORT) : "memory");
	report(dst == in, "INSD with DF moves RDI down");
}

static void test_mmio(void)
{
	volatile uint8_t *base = (volatile uint8_t *)TEST_MMIO;
	volatile uint16_t *w = (volatile uint16_t *)TEST_MMIO;
	volatile uint32_t *l = (volatile uint32_t *)TEST_MMIO;
	volatile uint64_t *q = (volatile uint64_t *)TEST_MMIO;
	int32_t extended;

	report(l[REG_ID / 4] == ID_VALUE, "the device by MMIO");
	if (l[REG_ID / 4] != ID_VALUE)
		return;
	q[0] = 0x8877665544332211UL;
	report(q[0] == 0x8877665544332211UL, "8-byte MMIO write and read");
	report(l[0] == 0x44332211U && l[1] == 0x88776655U, "4-byte MMIO read");
	report(w[1] == 0x4433U && base[7] == 0x88U, "2-byte and 1-byte MMIO read");
	l[1] = 0xddccbbaaU;
	w[0] = 0x1234;
	base[2] = 0x56;
	report(q[0] == 0xddccbbaa44561234UL, "4-, 2- and 1-byte MMIO write");
	__asm__ volatile("movsbl 7(%1), %0" : "=r"(extended) : "r"(base) : "memory");
	report(extended == (int32_t)0xffffffddU, "MOVSX from MMIO");
	__asm__ volatile("orl $0x80000000, (%0)" : : "r"(base) : "memory", "cc");
	report(l[0] == 0xc4561234U, "OR to MMIO");
	report(inl(TEST_PORT) == 0xc4561234U, "and by port it is the same device");
	report(*(volatile uint32_t *)(TEST_MMIO + 0x10000) == 0xffffffffU, "MMIO of nobody reads ones");
	*(volatile uint32_t *)(TEST_MMIO + 0x10000) = 0;
}

static void test_many(void)
{
	uint64_t n = 1000, start, ticks;
	uint32_t sum = 0;
	char word[16];

	if (boot_option("count", word, sizeof(word)))
		n = parse_number(word);
	if (n == 0)
		return;
	outl(TEST_PORT + REG_COUNT, 0);
	start = rdtsc();
	for (uint64_t i = 0; i < n; i++) {
		outl(TEST_PORT, (uint32_t)i * 0x9e3779b9U);
		sum += inl(TEST_PORT) == (uint32_t)i * 0x9e3779b9U;
	}
	ticks = rdtsc() - start;
	report(sum == n && inl(TEST_PORT + REG_COUNT) == 2 * n, "many round trips, none lost, none doubled");
	report_info("%lu round trips, %lu TSC ticks each", 2 * n, ticks / (2 * n));
}

void test_main(void)
{
	if (inl(TEST_PORT + REG_ID) != ID_VALUE) {
		report_skip("there is no test device");
		return;
	}
	outl(TEST_PORT + REG_MODE, MODE_PLAIN);
	outl(TEST_PORT + REG_DELAY, 0);
	test_widths();
	test_what_arrives();
	test_merge("");
	test_out_rax();
	test_wrong_answers();
	test_delay();
	test_edges();
	test_string();
	if (boot_flag("nommio"))
		report_skip("MMIO, by word");
	else
		test_mmio();
	test_many();
}
