/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * INS and OUTS: data, counts, both directions, widths, address sizes, page crossing, faults
 * half-way, single step. SDM vol. 2 INS, OUTS, REP; vol. 1 7.3.9.
 */
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/legacy.h>
#include <guests/lib/page.h>

const char subject_name[] = "pio_string";

#define NOBODY		0x7f00
#define PCI_ADDRESS	0xcf8
#define COM1		0x3f8
#define COM1_LSR	0x3fd
#define COM1_MCR	0x3fc
#define COM1_SCR	0x3ff
#define MCR_LOOP	0x10

STUB(insb_one, "insb");
STUB(insw_one, "insw");
STUB(insl_one, "insl");
STUB(insl_rexw, ".byte 0x48, 0x6d");
STUB(outsb_one, "outsb");
STUB(outsw_one, "outsw");
STUB(outsl_one, "outsl");
STUB(rep_insb, "rep insb");
STUB(rep_insw, "rep insw");
STUB(rep_insl, "rep insl");
STUB(rep_outsb, "rep outsb");
STUB(rep_outsw, "rep outsw");
STUB(rep_outsl, "rep outsl");
STUB(repne_insb, ".byte 0xf2, 0x6c");
STUB(rep_insb_a32, "addr32 rep insb");
STUB(rep_outsb_a32, "addr32 rep outsb");
STUB(insb_a32, "addr32 insb");
STUB(outsb_fs, ".byte 0x64\n\toutsb");
STUB(insb_fs, ".byte 0x64\n\tinsb");

static uint8_t *buf;		/* two pages, identity mapped */
static uint64_t window;		/* two pages of the alias window, [1] may be unmapped */

static int run(const uint8_t *stub, struct regs *r, struct trap *t)
{
	struct trap unused;

	return exec_catch(r, stub, t == NULL ? &unused : t);
}

static void setup(struct regs *r, uint64_t port, uint64_t address, uint64_t count)
{
	regs_fill(r);
	r->rdx = port;
	r->rsi = address;
	r->rdi = address;
	r->rcx = count;
}

/* All of @n bytes are @v. */
static bool filled(const uint8_t *p, uint8_t v, size_t n)
{
	for (; n > 0; n--) {
		if (*p++ != v)
			return false;
	}
	return true;
}

static void test_single(void)
{
	static const struct {
		const uint8_t *stub;
		unsigned int width;
		bool in;
		const char *name;
	} forms[] = {
		{ insb_one, 1, true, "INSB" }, { insw_one, 2, true, "INSW" },
		{ insl_one, 4, true, "INSD" }, { insl_rexw, 4, true, "REX.W INSD" },
		{ outsb_one, 1, false, "OUTSB" }, { outsw_one, 2, false, "OUTSW" },
		{ outsl_one, 4, false, "OUTSD" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		for (int down = 0; down < 2; down++) {
			struct regs r, want;
			uint64_t step = down ? 0 - (uint64_t)forms[i].width : forms[i].width;
			bool ok;

			memset(buf, 0x11, 64);
			setup(&r, NOBODY, (uint64_t)buf + 16, 5);
			r.rflags = 2 | FLAG_CF | FLAG_ZF | (down ? FLAG_DF : 0);
			want = r;
			if (forms[i].in)
				want.rdi += step;
			else
				want.rsi += step;
			ok = run(forms[i].stub, &r, NULL) == NO_TRAP;
			ok = ok && regs_equal(&r, &want, FLAG_ARITH | FLAG_DF);
			ok = ok && filled(buf, 0x11, 16) &&
				filled(buf + 16, forms[i].in ? 0xff : 0x11, forms[i].width) &&
				filled(buf + 16 + forms[i].width, 0x11, 32);
			report(ok, "%s, DF=%d: data, index register, nothing else", forms[i].name, down);
		}
	}
}

static void test_rep(void)
{
	static const struct {
		const uint8_t *stub;
		unsigned int width;
		bool in;
		const char *name;
	} forms[] = {
		{ rep_insb, 1, true, "REP INSB" }, { rep_insw, 2, true, "REP INSW" },
		{ rep_insl, 4, true, "REP INSD" }, { repne_insb, 1, true, "REPNE INSB" },
		{ rep_outsb, 1, false, "REP OUTSB" }, { rep_outsw, 2, false, "REP OUTSW" },
		{ rep_outsl, 4, false, "REP OUTSD" },
	};
	static const unsigned int counts[] = { 0, 1, 2, 7, 64, 300 };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		for (int down = 0; down < 2; down++) {
			bool ok = true;

			for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
				size_t bytes = (size_t)counts[c] * forms[i].width;
				uint8_t *low = buf + 2048, *start;
				struct regs r, want;

				start = down && bytes > 0 ? low + bytes - forms[i].width : low;
				memset(buf, 0x22, 2 * PAGE_SIZE);
				setup(&r, NOBODY, (uint64_t)start, counts[c]);
				r.rflags = 2 | FLAG_ZF | (down ? FLAG_DF : 0);
				want = r;
				want.rcx = 0;
				if (forms[i].in)
					want.rdi += down ? 0 - bytes : bytes;
				else
					want.rsi += down ? 0 - bytes : bytes;
				ok = ok && run(forms[i].stub, &r, NULL) == NO_TRAP;
				ok = ok && regs_equal(&r, &want, FLAG_ARITH | FLAG_DF);
				ok = ok && filled(buf, 0x22, 2048) &&
					filled(low, forms[i].in ? 0xff : 0x22, bytes) &&
					filled(low + bytes, 0x22, 2048);
			}
			report(ok, "%s, DF=%d: counts 0 to 300, over a page border", forms[i].name, down);
		}
	}
}

/* Values, not just all ones: the last of OUTS stays in a register, INS reads it back. */
static void test_values(void)
{
	static const uint8_t bytes[] = { 0x10, 0x32, 0x54, 0x76 };
	uint32_t words[3] = { 0x80000010, 0x80000020, 0x80000034 };
	struct regs r;
	bool ok;

	if (console_present()) {
		memcpy(buf, bytes, sizeof(bytes));
		setup(&r, COM1_SCR, (uint64_t)buf, 4);
		run(rep_outsb, &r, NULL);
		ok = inb(COM1_SCR) == 0x76;
		setup(&r, COM1_SCR, (uint64_t)buf + 3, 4);
		r.rflags |= FLAG_DF;
		run(rep_outsb, &r, NULL);
		report(ok && inb(COM1_SCR) == 0x10, "REP OUTSB writes in order, up and down");
		memset(buf, 0, 16);
		setup(&r, COM1_SCR, (uint64_t)buf, 5);
		run(rep_insb, &r, NULL);
		report(filled(buf, 0x10, 5) && buf[5] == 0, "REP INSB reads a device's value");
	} else {
		report_skip("no UART: byte values");
	}
	outl(PCI_ADDRESS, 0x80000000);
	if (inl(PCI_ADDRESS) != 0x80000000) {
		report_skip("no PCI configuration mechanism: 4-byte values");
		return;
	}
	memcpy(buf, words, sizeof(words));
	setup(&r, PCI_ADDRESS, (uint64_t)buf, 3);
	run(rep_outsl, &r, NULL);
	report(inl(PCI_ADDRESS) == 0x80000034, "REP OUTSD writes in order");
	memset(buf, 0, 32);
	setup(&r, PCI_ADDRESS, (uint64_t)buf + 1, 3);
	run(rep_insl, &r, NULL);
	memcpy(words, buf + 1, sizeof(words));
	report(words[0] == 0x80000034 && words[1] == words[0] && words[2] == words[0] &&
	       buf[0] == 0 && buf[13] == 0, "REP INSD to an odd address");
	/* A value that lies across two pages. */
	window = page_window(2);
	page_map(window, (uint64_t)buf + PAGE_SIZE, PTE_P | PTE_W);
	page_map(window + PAGE_SIZE, (uint64_t)buf, PTE_P | PTE_W);
	setup(&r, PCI_ADDRESS, window + PAGE_SIZE - 2, 1);
	memset(buf, 0, 2 * PAGE_SIZE);
	run(rep_insl, &r, NULL);
	report(buf[2 * PAGE_SIZE - 2] == 0x34 && buf[2 * PAGE_SIZE - 1] == 0 && buf[0] == 0 &&
	       buf[1] == 0x80, "INSD to two pages that are not neighbours");
	buf[2 * PAGE_SIZE - 2] = 0x44;
	setup(&r, PCI_ADDRESS, window + PAGE_SIZE - 2, 1);
	run(rep_outsl, &r, NULL);
	report(inl(PCI_ADDRESS) == 0x80000044, "OUTSD from two pages that are not neighbours");
	outl(PCI_ADDRESS, 0);
}

/* The UART's loop-back: a stream of different bytes through one port. */
static void test_stream(void)
{
	static const uint8_t sent[] = "0123456789abcde";
	struct regs r;

	if (!console_present()) {
		report_skip("no UART: loop-back");
		return;
	}
	console_flush();
	outb(COM1_MCR, MCR_LOOP | 0x0b);
	outb(COM1 + 2, 0x07);
	memcpy(buf, sent, 15);
	memset(buf + 64, 0, 32);
	setup(&r, COM1, (uint64_t)buf, 15);
	run(rep_outsb, &r, NULL);
	for (unsigned int i = 0; i < 100000 && (inb(COM1_LSR) & 0x40) == 0; i++)
		cpu_pause();
	delay_ticks(20000);
	setup(&r, COM1, (uint64_t)buf + 64, 15);
	run(rep_insb, &r, NULL);
	outb(COM1_MCR, 0x0b);
	outb(COM1 + 2, 0x07);
	report(memcmp(buf + 64, sent, 15) == 0, "REP OUTSB, then REP INSB through the UART's loop-back");
}

static void test_address_size(void)
{
	struct regs r;
	uint64_t low = (uint64_t)buf;

	setup(&r, NOBODY, low | 0xdead00000000UL << 16, 3);
	r.rcx |= 0x700000000UL;
	memset(buf, 0, 16);
	report(run(rep_insb_a32, &r, NULL) == NO_TRAP && filled(buf, 0xff, 3) && buf[3] == 0,
	       "address size 32: EDI and ECX are used");
	report((uint32_t)r.rdi == low + 3 && (uint32_t)r.rcx == 0, "address size 32: EDI, ECX advance");
	report(r.rdi == low + 3, "address size 32: RDI is zero-extended");
	setup(&r, NOBODY, low, 0x500000000UL);
	memset(buf, 0, 16);
	report(run(rep_insb_a32, &r, NULL) == NO_TRAP && buf[0] == 0 && (uint32_t)r.rdi == low,
	       "address size 32: ECX 0 is no iteration whatever RCX holds");
	setup(&r, NOBODY, low, 2);
	r.rsi |= 0x1234UL << 48;
	report(run(rep_outsb_a32, &r, NULL) == NO_TRAP && (uint32_t)r.rsi == low + 2,
	       "address size 32: OUTS uses ESI");
	setup(&r, NOBODY, low, 1);
	r.rflags |= FLAG_DF;
	report(run(insb_a32, &r, NULL) == NO_TRAP && r.rdi == low - 1, "address size 32, down");
}

static void test_segment(void)
{
	struct regs r;
	uint64_t saved = rdmsr(MSR_FS_BASE);

	if (!console_present()) {
		report_skip("no UART: segment override");
		return;
	}
	buf[0] = 0x12;
	buf[100] = 0x9a;
	wrmsr(MSR_FS_BASE, 100);
	setup(&r, COM1_SCR, (uint64_t)buf, 0);
	run(outsb_fs, &r, NULL);
	report(inb(COM1_SCR) == 0x9a && r.rsi == (uint64_t)buf + 1, "OUTSB with FS: the base counts");
	setup(&r, COM1_SCR, (uint64_t)buf, 0);
	buf[100] = 0;
	run(insb_fs, &r, NULL);
	report(buf[0] == 0x9a && buf[100] == 0, "INSB with FS: ES is used all the same");
	wrmsr(MSR_FS_BASE, saved);
}

static void test_faults(void)
{
	struct regs r, before;
	struct trap t;
	uint64_t edge = window + PAGE_SIZE;
	int vec;

	page_map(window, (uint64_t)buf, PTE_P | PTE_W);
	page_map(edge, (uint64_t)buf + PAGE_SIZE, 0);
	memset(buf, 0x33, 2 * PAGE_SIZE);

	setup(&r, NOBODY, edge - 3, 10);
	before = r;
	vec = run(rep_insb, &r, &t);
	report(vec == VEC_PF && t.cr2 == edge && t.err == 2 && t.rip == (uint64_t)rep_insb,
	       "REP INSB into a missing page: #PF, address, error code, RIP");
	report(vec == VEC_PF && t.rdi == edge && t.rcx == 7, "REP INSB: RDI, RCX tell the progress");
	report(filled(buf + PAGE_SIZE - 3, 0xff, 3) && buf[PAGE_SIZE - 4] == 0x33,
	       "REP INSB: what came before the fault is there");
	report(t.rdx == before.rdx && t.rax == before.rax && t.rsi == before.rsi,
	       "REP INSB: other registers are whole");

	setup(&r, NOBODY, edge - 5, 4);
	vec = run(rep_outsw, &r, &t);
	report(vec == VEC_PF && t.rsi == edge - 1 && t.rcx == 2 && t.err == 0 && t.cr2 == edge,
	       "REP OUTSW whose third word reaches a missing page");
	setup(&r, NOBODY, edge - 2, 1);
	vec = run(insl_one, &r, &t);
	report(vec == VEC_PF && t.cr2 == edge && t.rdi == edge - 2 && buf[PAGE_SIZE - 1] == 0xff,
	       "INSD half in a missing page: #PF, RDI kept");
	setup(&r, NOBODY, edge + 2, 6);
	r.rflags |= FLAG_DF;
	page_map(window, (uint64_t)buf, 0);
	page_map(edge, (uint64_t)buf + PAGE_SIZE, PTE_P | PTE_W);
	vec = run(rep_insb, &r, &t);
	report(vec == VEC_PF && t.cr2 == edge - 1 && t.rdi == edge - 1 && t.rcx == 3 &&
	       filled(buf + PAGE_SIZE, 0xff, 3), "REP INSB downwards into a missing page");

	page_map(window, (uint64_t)buf, PTE_P);
	page_map(edge, (uint64_t)buf + PAGE_SIZE, PTE_P | PTE_W);
	memset(buf, 0x44, 64);
	setup(&r, NOBODY, window, 4);
	vec = run(rep_insb, &r, &t);
	report(vec == VEC_PF && t.err == 3 && t.rcx == 4 && filled(buf, 0x44, 16),
	       "REP INSB into a read-only page: #PF, nothing written");
	report(run(rep_outsb, &r, &t) == NO_TRAP && r.rcx == 0, "REP OUTSB from a read-only page");
	setup(&r, NOBODY, 0x8000000000000000UL, 4);
	vec = run(rep_insb, &r, &t);
	report(vec == VEC_GP && t.err == 0 && t.rcx == 4, "INS to a non-canonical address: #GP(0)");
	vec = run(outsb_one, &r, &t);
	report(vec == VEC_GP && t.err == 0 && t.rsi == 0x8000000000000000UL,
	       "OUTS from a non-canonical address: #GP(0)");
	setup(&r, NOBODY, 0x8000000000000000UL, 0);
	report(run(rep_insb, &r, &t) == NO_TRAP, "count 0 touches no memory");

	/* The accessed and dirty bits belong to the data page. */
	page_map(window, (uint64_t)buf, PTE_P | PTE_W);
	setup(&r, NOBODY, window, 1);
	run(rep_outsb, &r, NULL);
	report((*page_entry(window) & (PTE_A | PTE_D)) == PTE_A, "OUTS sets accessed, not dirty");
	setup(&r, NOBODY, window, 1);
	run(rep_insb, &r, NULL);
	report((*page_entry(window) & (PTE_A | PTE_D)) == (PTE_A | PTE_D), "INS sets dirty");
}

/* A fault half-way, mended by the handler: the instruction goes on where it was. */
static void mend(struct trap *t)
{
	(void)t;
	page_map(window + PAGE_SIZE, (uint64_t)buf + PAGE_SIZE, PTE_P | PTE_W);
}

static void test_resume(void)
{
	struct regs r;

	page_map(window, (uint64_t)buf, PTE_P | PTE_W);
	page_map(window + PAGE_SIZE, (uint64_t)buf + PAGE_SIZE, 0);
	memset(buf, 0x55, 2 * PAGE_SIZE);
	trap_set_handler(VEC_PF, mend);
	trap_count_reset(VEC_PF);
	setup(&r, NOBODY, window + PAGE_SIZE - 7, 20);
	exec_regs(&r, rep_insw);
	trap_set_handler(VEC_PF, NULL);
	report(trap_count(VEC_PF) == 1 && r.rcx == 0 && r.rdi == window + PAGE_SIZE + 33 &&
	       filled(buf + PAGE_SIZE - 7, 0xff, 40) && buf[PAGE_SIZE - 8] == 0x55 &&
	       buf[PAGE_SIZE + 33] == 0x55, "REP INSW goes on after its #PF is mended");
}

static unsigned int steps, steps_inside;

static void note_step(struct trap *t)
{
	steps++;
	if (t->rip == (uint64_t)rep_insb || t->rip == (uint64_t)rep_outsb)
		steps_inside++;
	write_dr6(0xffff0ff0);
	if (t->rip == (uint64_t)rep_insb_after || t->rip == (uint64_t)rep_outsb_after)
		t->rflags &= ~FLAG_TF;
}

static void test_step(void)
{
	struct regs r;

	trap_set_handler(VEC_DB, note_step);
	for (int in = 0; in < 2; in++) {
		memset(buf, 0, 16);
		setup(&r, NOBODY, (uint64_t)buf, 4);
		r.rflags |= FLAG_TF;
		steps = steps_inside = 0;
		exec_regs(&r, in ? rep_insb : rep_outsb);
		/* One after the CALL, one after each iteration; the last has RIP behind. */
		report(steps == 5 && steps_inside == 4 && r.rcx == 0,
		       "single step stops after each iteration of REP %s", in ? "INSB" : "OUTSB");
	}
	trap_set_handler(VEC_DB, NULL);
}

static uint64_t user_insb(uint64_t port)
{
	uint64_t dest = (uint64_t)buf, count = 4;

	__asm__ volatile("rep insb" : "+D"(dest), "+c"(count) : "d"(port) : "memory");
	return dest - (uint64_t)buf;
}

static uint64_t user_outsw(uint64_t address)
{
	__asm__ volatile("outsw" : "+S"(address) : "d"((uint16_t)NOBODY) : "memory");
	return 0;
}

static uint64_t user_insl(uint64_t address)
{
	__asm__ volatile("insl" : "+D"(address) : "d"((uint16_t)NOBODY) : "memory");
	return 0;
}

static void test_user(void)
{
	uint64_t cr0 = read_cr0(), at = (uint64_t)buf;
	struct trap t;
	uint64_t ret = 0;

	memset(buf, 0, 16);
	report(user_call(user_insb, NOBODY, 0, &ret, &t) == VEC_GP && t.err == 0 && t.rcx == 4 &&
	       buf[0] == 0, "CPL 3, IOPL 0: #GP before anything is moved");
	report(user_call(user_insb, NOBODY, 0x3000, &ret, &t) == NO_TRAP && ret == 4 &&
	       filled(buf, 0xff, 4), "CPL 3, IOPL 3: REP INSB works");
	write_cr0(cr0 | CR0_AM);
	report(user_call(user_outsw, at + 1, 0x3000 | FLAG_AC, &ret, &t) == VEC_AC && t.err == 0,
	       "CPL 3, AC and AM: OUTSW from an odd address gives #AC(0)");
	report(user_call(user_insl, at + 2, 0x3000 | FLAG_AC, &ret, &t) == VEC_AC && t.rdi == at + 2,
	       "CPL 3, AC and AM: INSD to a half-aligned address gives #AC");
	report(user_call(user_insl, at + 4, 0x3000 | FLAG_AC, &ret, &t) == NO_TRAP &&
	       user_call(user_outsw, at + 1, 0x3000, &ret, &t) == NO_TRAP, "... not when aligned, or without AC");
	write_cr0(cr0 & ~CR0_AM);
	report(user_call(user_outsw, at + 1, 0x3000 | FLAG_AC, &ret, &t) == NO_TRAP, "... nor without AM");
	write_cr0(cr0);
}

/* --- compatibility mode ------------------------------------------------------------------------------ */

__asm__(".pushsection .text\n\t.code32\n"
	"compat_out_in:\n\tcld\n\toutsb\n\tinsb\n\tlret\n\t.code64\n\t.popsection\n");
void compat_out_in(void);

static void test_compat(void)
{
	struct legacy l = { .edx = COM1_SCR, .esi = (uint32_t)(uintptr_t)buf, .edi = (uint32_t)(uintptr_t)buf + 16 };

	buf[0] = 0x5c;
	buf[16] = 0;
	legacy_compat(compat_out_in, &l);
	report(buf[16] == 0x5c && l.esi == (uint32_t)(uintptr_t)buf + 1 && l.edi == (uint32_t)(uintptr_t)buf + 17,
	       "compatibility mode: OUTSB, INSB");
}

void test_main(void)
{
	buf = page_alloc();
	page_alloc();
	window = page_window(2);
	test_single();
	test_rep();
	test_values();
	test_stream();
	test_address_size();
	test_segment();
	test_faults();
	test_resume();
	test_step();
	test_user();
	test_compat();
}
