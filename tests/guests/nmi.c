/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NMIs: taken with IF clear, blocked until IRET (whatever it returns from), one kept meanwhile;
 * they come before interrupts. SDM vol. 3 section 6.7.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>

const char subject_name[] = "nmi";

#define NOBODY	0x7f00
#define VEC_A	0x61U
#define HALT_COUNT 50000U	/* of the local APIC's timer */

static unsigned int taken, depth, depth_max;

enum action { NOTHING, SEND_ONE, SEND_TWO, SEND_EXITS, SEND_FAULT, SEND_WINDOW, SEND_HALT };
static enum action action;

static void send_nmi(void)
{
	lapic_ipi(ICR_NMI | ICR_ASSERT, lapic_id());
}

static void do_fault(void *unused)
{
	(void)unused;
	__asm__ volatile("ud2");
}

static unsigned int seen_inside;

static uint64_t timers_at_end;

static void halt_until_timer(void)
{
	trap_count_reset(VEC_A);
	lapic_write(APIC_TMICT, HALT_COUNT);
	sti_hlt_cli();
	timers_at_end = trap_count(VEC_A);
}

static void on_nmi(struct trap *frame)
{
	(void)frame;
	taken++;
	depth++;
	if (depth > depth_max)
		depth_max = depth;
	if (taken == 1 && action != NOTHING) {
		send_nmi();
		if (action == SEND_TWO)
			send_nmi();
		if (action == SEND_EXITS) {
			for (int i = 0; i < 10; i++) {
				cpuid(0, 0);
				inb(NOBODY);
			}
		}
		if (action == SEND_WINDOW)
			irq_window();
		if (action == SEND_HALT)
			halt_until_timer();
		seen_inside = taken;
		if (action == SEND_FAULT) {
			/* The fault's handler ends by IRET, which unblocks NMIs. */
			trap_handler_t old = trap_set_handler(VEC_UD, NULL);

			catch_exception(do_fault, NULL, NULL);
			trap_set_handler(VEC_UD, old);
			delay_ticks(1000);
			seen_inside = taken;
		}
	}
	depth--;
}

static void begin(enum action what)
{
	action = what;
	taken = depth = depth_max = 0;
	seen_inside = 0;
}

static void settle(void)
{
	delay_ticks(20000);
}

static void test_basic(void)
{
	begin(NOTHING);
	send_nmi();
	settle();
	report(taken == 1, "an NMI with interrupts off");
	begin(NOTHING);
	lapic_write(APIC_TPR, 0xff);
	send_nmi();
	settle();
	lapic_write(APIC_TPR, 0);
	report(taken == 1, "TPR does not hold it back");
}

static void test_blocking(void)
{
	begin(SEND_ONE);
	send_nmi();
	settle();
	report(taken == 2 && depth_max == 1 && seen_inside == 1, "a second one waits for IRET");
	begin(SEND_TWO);
	send_nmi();
	settle();
	report((taken == 2 || taken == 3) && depth_max == 1, "two that wait are one or two, none inside the handler");
	begin(SEND_EXITS);
	send_nmi();
	settle();
	report(taken == 2 && depth_max == 1 && seen_inside == 1, "none gets in at instructions that exit");
	begin(SEND_WINDOW);
	trap_set_handler(VEC_A, trap_handler_eoi);
	trap_count_reset(VEC_A);
	send_nmi();
	settle();
	report(taken == 2 && depth_max == 1, "interrupts on in the handler: still blocked");
	trap_set_handler(VEC_A, NULL);
}

/* Any IRET unblocks: that of an interrupt taken inside the handler, too. */
static void test_unblocking(void)
{
	begin(SEND_WINDOW);
	trap_set_handler(VEC_A, trap_handler_eoi);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_A, 0);
	send_nmi();
	settle();
	report(taken == 2 && seen_inside == 2, "the IRET of an interrupt inside the handler unblocks");
	irq_window();
	trap_set_handler(VEC_A, NULL);
}

/* An NMI that waits for another one's IRET does not end a HLT. */
static void test_halt(void)
{
	begin(SEND_HALT);
	trap_set_handler(VEC_A, trap_handler_eoi);
	lapic_write(APIC_TDCR, 0xb);
	lapic_write(APIC_LVT_TIMER, VEC_A);
	send_nmi();
	settle();
	report(timers_at_end == 1, "HLT in the handler, with another NMI waiting, ends at an interrupt");
	report(taken == 2 && seen_inside == 2, "... whose IRET lets the NMI in");
	lapic_write(APIC_LVT_TIMER, LVT_MASKED);
	trap_set_handler(VEC_A, NULL);
}

static uint64_t order[4];
static unsigned int order_count;

static void note_order(struct trap *frame)
{
	if (order_count < 4)
		order[order_count++] = frame->vec;
	if (frame->vec != VEC_NMI)
		lapic_eoi();
}

/* Both become deliverable at the end of a handler that IRET leaves with IF set. */
static void test_order(void)
{
	trap_set_handler(VEC_NMI, note_order);
	trap_set_handler(VEC_A, note_order);
	order_count = 0;
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_A, 0);
	send_nmi();
	settle();
	report(order_count == 1 && order[0] == VEC_NMI, "an NMI comes while an interrupt is held back");
	irq_window();
	report(order_count == 2 && order[1] == VEC_A, "... which comes later");
	trap_set_handler(VEC_A, NULL);
	trap_set_handler(VEC_NMI, on_nmi);
}

/* An NMI and string I/O, MMIO, CPUID: taken between instructions, registers whole. */
static void test_many(void)
{
	unsigned int sent = 0;

	begin(NOTHING);
	for (unsigned int i = 0; i < 100; i++) {
		unsigned int before = taken;

		send_nmi();
		sent++;
		for (unsigned int k = 0; k < 100 && taken == before; k++) {
			cpuid(0, 0);
			inb(NOBODY);
		}
	}
	report(taken == sent && depth_max == 1, "100 NMIs among instructions that exit: each once");
}

void test_main(void)
{
	if (!lapic_present()) {
		report_skip("no local APIC");
		return;
	}
	lapic_enable();
	trap_set_handler(VEC_NMI, on_nmi);
	trap_set_ist(VEC_NMI, 0);	/* one inside another would overwrite its frame */
	test_basic();
	test_blocking();
	test_unblocking();
	test_halt();
	test_order();
	test_many();
	begin(SEND_FAULT);
	send_nmi();
	settle();
	report(taken == 2, "a fault inside the handler: the second NMI is taken");
	trap_set_handler(VEC_NMI, NULL);
}
