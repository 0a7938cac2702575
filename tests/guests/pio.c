/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IN and OUT: widths, what becomes of RAX, edges of the port space, permissions, and what happens
 * around the instruction (flags, interrupt shadow, single step, breakpoints).
 * SDM vol. 2 IN/OUT, vol. 1 chapter 19, vol. 3 sections 6.8.3 and 18.3.1.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>

const char subject_name[] = "pio";

#define COM1_SCR	0x3ff
#define NOBODY		0x7f00	/* no PC device lives here */
#define PCI_ADDRESS	0xcf8
#define BITMAP_PORT	0x348	/* nobody either, and inside the permission bitmap */
#define VEC_TEST	0x60

STUB(in_al_dx, "inb %dx, %al");
STUB(in_ax_dx, "inw %dx, %ax");
STUB(in_eax_dx, "inl %dx, %eax");
STUB(in_eax_dx_rexw, ".byte 0x48, 0xed");
STUB(in_al_imm, "inb $0x80, %al");
STUB(in_eax_imm, "inl $0xf0, %eax");
STUB(out_al_dx, "outb %al, %dx");
STUB(out_ax_dx, "outw %ax, %dx");
STUB(out_eax_dx, "outl %eax, %dx");
STUB(out_al_imm, "outb %al, $0x80");
STUB(lock_in, ".byte 0xf0, 0xec");
STUB(rep_in, ".byte 0xf3, 0xec");
STUB(sti_in, "sti\n\tinb %dx, %al\nsti_in_next:\n\tnop\n\tnop\n\tcli");
STUB(sti_out, "sti\n\toutb %al, %dx\nsti_out_next:\n\tnop\n\tnop\n\tcli");
STUB(bp_in, "inb %dx, %al\nbp_in_next:\n\tnop");
extern const uint8_t sti_in_next[], sti_out_next[], bp_in_next[];

/* Run @stub on @port; true if only @expect_rax changed, and no flag. */
static bool io_regs(const uint8_t *stub, uint64_t rdx, uint64_t rax, uint64_t expect_rax,
		    uint64_t flags)
{
	struct regs r, want;
	struct trap t;

	regs_fill(&r);
	r.rax = rax;
	r.rdx = rdx;
	r.rflags = flags | 2;
	want = r;
	want.rax = expect_rax;
	if (exec_catch(&r, stub, &t) != NO_TRAP)
		return false;
	return regs_equal(&r, &want, FLAG_ARITH | FLAG_DF | FLAG_IF);
}

static void test_merge(void)
{
	const uint64_t rax = 0x1122334455667788UL;

	report(io_regs(in_al_dx, NOBODY, rax, 0x11223344556677ffUL, 0),
	       "1-byte IN merges into AL, unowned port reads ones");
	report(io_regs(in_ax_dx, NOBODY, rax, 0x112233445566ffffUL, 0), "2-byte IN merges into AX");
	report(io_regs(in_eax_dx, NOBODY, rax, 0xffffffffUL, 0), "4-byte IN clears RAX[63:32]");
	report(io_regs(in_eax_dx_rexw, NOBODY, rax, 0xffffffffUL, 0),
	       "REX.W IN is a 4-byte IN");
	report(io_regs(in_eax_dx, 0xdeadbeef00000000UL | NOBODY, rax, 0xffffffffUL, 0),
	       "bits of RDX above DX do not count");
	report(io_regs(in_eax_imm, 0, rax, 0xffffffffUL, 0), "4-byte IN from an immediate port");
	outb(0x80, 0x11);
	report(io_regs(out_al_imm, 0, rax, rax, 0), "OUT to an immediate port");
	report(io_regs(out_al_dx, NOBODY, rax, rax, 0), "1-byte OUT to nobody changes no register");
	report(io_regs(out_ax_dx, NOBODY, rax, rax, 0), "2-byte OUT to nobody changes no register");
	report(io_regs(out_eax_dx, NOBODY, rax, rax, 0), "4-byte OUT to nobody changes no register");
	report(io_regs(rep_in, NOBODY, rax, 0x11223344556677ffUL, 0), "REP before IN is ignored");
}

static void test_value(void)
{
	static const uint8_t patterns[] = { 0x00, 0xff, 0xa5, 0x5a, 0x80, 0x01 };
	bool ok = true;

	if (!console_present()) {
		report_skip("no UART: scratch register");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		ok = ok && io_regs(out_al_dx, COM1_SCR, patterns[i], patterns[i], 0);
		ok = ok && io_regs(in_al_dx, COM1_SCR, 0x1122334455667788UL,
				   0x1122334455667700UL | patterns[i], 0);
	}
	report(ok, "UART scratch register keeps what OUT wrote and IN merges it");
}

/* PCI configuration address register: the one 32-bit register a PC has at a fixed port. */
static void test_wide_value(void)
{
	uint32_t saved = inl(PCI_ADDRESS);
	uint8_t low;

	outl(PCI_ADDRESS, 0x80000010);
	if (inl(PCI_ADDRESS) != 0x80000010) {
		report_skip("no PCI configuration mechanism");
		return;
	}
	report(io_regs(in_eax_dx, PCI_ADDRESS, 0x1122334455667788UL, 0x80000010UL, 0),
	       "4-byte IN with bit 31 set is zero-extended");
	report(io_regs(out_eax_dx, PCI_ADDRESS, 0x1122334480000020UL, 0x1122334480000020UL, 0) &&
	       inl(PCI_ADDRESS) == 0x80000020, "4-byte OUT writes EAX");
	/* Narrow accesses inside the range are not the address register (PCI 3.0, 3.2.2.3.2). */
	low = inb(PCI_ADDRESS);
	outb(PCI_ADDRESS + 3, 0);
	report(inl(PCI_ADDRESS) == 0x80000020, "a 1-byte OUT does not reach the 4-byte register");
	report_info("1-byte IN at 0xCF8 gave %#x", low);
	outl(PCI_ADDRESS, saved);
}

static void test_edges(void)
{
	const uint64_t rax = 0x1122334455667788UL;
	struct regs r;

	report(io_regs(in_al_dx, 0xffff, rax, 0x11223344556677ffUL, 0), "IN AL at port 0xFFFF");
	report(io_regs(out_al_dx, 0xffff, rax, rax, 0), "OUT AL at port 0xFFFF");
	report(io_regs(in_ax_dx, 0xfffe, rax, 0x112233445566ffffUL, 0), "IN AX at port 0xFFFE");
	report(io_regs(in_eax_dx, 0xfffc, rax, 0xffffffffUL, 0), "IN EAX at port 0xFFFC");

	/* Past the end of the port space: the data is the chipset's business, the rest is not. */
	regs_fill(&r);
	r.rax = rax;
	r.rdx = 0xffff;
	exec_regs(&r, in_ax_dx);
	report(r.rax >> 16 == rax >> 16, "IN AX across the end of the port space merges");
	r.rax = rax;
	exec_regs(&r, in_eax_dx);
	report(r.rax >> 32 == 0, "IN EAX across the end of the port space zero-extends");
	report(io_regs(out_ax_dx, 0xffff, rax, rax, 0) && io_regs(out_eax_dx, 0xfffd, rax, rax, 0),
	       "OUT across the end of the port space completes");

	/* A wide access that begins inside a 1-byte device's range and ends behind it. */
	if (console_present()) {
		outb(COM1_SCR, 0x5a);
		r.rax = rax;
		r.rdx = COM1_SCR;
		exec_regs(&r, in_ax_dx);
		report(r.rax >> 16 == rax >> 16, "IN AX from a device's last port merges");
		report_info("IN AX from the UART's last port gave %#lx", r.rax & 0xffff);
		r.rdx = COM1_SCR - 8;
		exec_regs(&r, in_ax_dx);
		report(inb(COM1_SCR) == 0x5a, "IN AX that ends on a device's first port harms nothing");
	}
}

static void test_flags(void)
{
	bool ok = true;

	for (unsigned int i = 0; i < 64; i++) {
		uint64_t f = (i & 1 ? FLAG_CF : 0) | (i & 2 ? FLAG_PF : 0) | (i & 4 ? FLAG_AF : 0) |
			(i & 8 ? FLAG_ZF : 0) | (i & 16 ? FLAG_SF : 0) | (i & 32 ? FLAG_OF | FLAG_DF : 0);

		ok = ok && io_regs(in_al_dx, NOBODY, 0, 0xff, f);
		ok = ok && io_regs(out_eax_dx, NOBODY, 0, 0, f);
	}
	report(ok, "IN and OUT change no flag");
}

static volatile uint64_t irq_rip;

static void note_irq(struct trap *t)
{
	irq_rip = t->rip;
	lapic_eoi();
}

static void test_shadow(void)
{
	struct regs r;

	if (!lapic_present()) {
		report_skip("no local APIC: interrupt shadow");
		return;
	}
	lapic_enable();
	trap_set_handler(VEC_TEST, note_irq);
	regs_fill(&r);
	r.rdx = NOBODY;
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_TEST, 0);
	irq_rip = 0;
	exec_regs(&r, sti_in);
	report(irq_rip == (uint64_t)sti_in_next, "STI; IN: the interrupt comes right after IN");
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_TEST, 0);
	irq_rip = 0;
	exec_regs(&r, sti_out);
	report(irq_rip == (uint64_t)sti_out_next, "STI; OUT: the interrupt comes right after OUT");
	trap_set_handler(VEC_TEST, NULL);
}

static unsigned int db_hits;
static uint64_t db_rips[8], db_dr6[8];

static void note_db(struct trap *t)
{
	if (db_hits < ARRAY_SIZE(db_rips)) {
		db_rips[db_hits] = t->rip;
		db_dr6[db_hits] = read_dr6();
	}
	db_hits++;
	write_dr6(0xffff0ff0);
	if ((db_dr6[(db_hits - 1) % ARRAY_SIZE(db_dr6)] & 0x4000) == 0)
		t->rflags |= FLAG_RF;	/* an instruction breakpoint: go on with it */
	else if (t->rip != (uint64_t)bp_in_next && t->rip != (uint64_t)bp_in)
		t->rflags &= ~FLAG_TF;
}

static void test_debug(void)
{
	struct regs r;

	trap_set_handler(VEC_DB, note_db);
	regs_fill(&r);
	r.rdx = NOBODY;
	r.rflags |= FLAG_TF;
	db_hits = 0;
	write_dr6(0xffff0ff0);
	exec_regs(&r, bp_in);
	/* The call into the stub is the first step, then IN, then NOP ends it. */
	report(db_hits == 3 && db_rips[0] == (uint64_t)bp_in && db_rips[1] == (uint64_t)bp_in_next &&
	       (db_dr6[1] & 0x4000) != 0, "single step: #DB with DR6.BS right after IN");

	if (!quirk_code_breakpoints_work()) {
		report_skip("code breakpoints do not work on this machine");
		trap_set_handler(VEC_DB, NULL);
		return;
	}
	regs_fill(&r);
	r.rdx = NOBODY;
	db_hits = 0;
	write_dr0((uint64_t)bp_in);
	write_dr1((uint64_t)bp_in_next);
	write_dr7(0x400 | 0x2 | 0x8);
	exec_regs(&r, bp_in);
	write_dr7(0x400);
	report(db_hits == 2 && db_rips[0] == (uint64_t)bp_in && (db_dr6[0] & 0xf) == 1,
	       "breakpoint on IN fires once, RF lets it run");
	report(db_hits == 2 && db_rips[1] == (uint64_t)bp_in_next && (db_dr6[1] & 0xf) == 2,
	       "RF is gone after IN: a breakpoint on the next instruction fires");
	report((r.rax & 0xff) == 0xff, "IN under a breakpoint gives its value");
	trap_set_handler(VEC_DB, NULL);
}

static uint64_t user_in(uint64_t port)
{
	return inb((uint16_t)port);
}

static uint64_t user_inl(uint64_t port)
{
	return inl((uint16_t)port);
}

static void test_user(void)
{
	uint8_t *bitmap = trap_io_bitmap();
	uint64_t ret = 0;
	struct trap t;

	report(user_call(user_in, NOBODY, 0, &ret, &t) == VEC_GP && t.err == 0,
	       "CPL 3, IOPL 0, port above the bitmap: #GP(0)");
	report(user_call(user_in, BITMAP_PORT, 0, &ret, &t) == VEC_GP && t.err == 0,
	       "CPL 3, IOPL 0, bit set: #GP(0)");
	report(user_call(user_in, NOBODY, 0x3000, &ret, &t) == NO_TRAP && ret == 0xff,
	       "CPL 3, IOPL 3: IN works");
	bitmap[BITMAP_PORT / 8] &= (uint8_t)~1U;
	report(user_call(user_in, BITMAP_PORT, 0, &ret, &t) == NO_TRAP && ret == 0xff,
	       "CPL 3, IOPL 0, bit clear: IN works");
	report(user_call(user_inl, BITMAP_PORT, 0, &ret, &t) == VEC_GP && t.err == 0,
	       "4-byte IN with only its first bit clear: #GP(0)");
	bitmap[BITMAP_PORT / 8] = 0xf0;
	report(user_call(user_inl, BITMAP_PORT, 0, &ret, &t) == NO_TRAP && ret == 0xffffffff,
	       "4-byte IN with its four bits clear works");
	report(user_call(user_inl, BITMAP_PORT + 1, 0, &ret, &t) == VEC_GP,
	       "4-byte IN whose last bit is set: #GP");
	bitmap[BITMAP_PORT / 8] = 0xff;
}

void test_main(void)
{
	struct regs r;
	struct trap t;

	test_merge();
	test_value();
	test_wide_value();
	test_edges();
	test_flags();
	regs_fill(&r);
	r.rdx = NOBODY;
	report(exec_catch(&r, lock_in, &t) == VEC_UD && t.rip == (uint64_t)lock_in, "LOCK IN: #UD");
	test_user();
	test_debug();
	test_shadow();
}
