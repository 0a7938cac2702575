/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Local APIC through its page: registers, IPIs to self, priorities, EOI, errors, software disable.
 * SDM vol. 3 chapter 11.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>

const char subject_name[] = "apic";

#define VEC_LOW		0x41U
#define VEC_HIGH	0x81U
#define VEC_ERROR	0x92U

static uint32_t reg(uint32_t offset)
{
	return mmio_read32(lapic_base() + offset);
}

static void set_reg(uint32_t offset, uint32_t v)
{
	mmio_write32(lapic_base() + offset, v);
}

static bool no_vectors(uint32_t first)
{
	uint32_t any = 0;

	for (uint32_t i = 0; i < 8; i++)
		any |= reg(first + i * 16);
	return any == 0;
}

static void test_registers(void)
{
	uint32_t version = reg(APIC_VERSION), id = reg(APIC_ID), saved;
	bool ok = true;

	report((version & 0xff) >= 0x10 && (version & 0xff) < 0x20, "integrated APIC version");
	report((version >> 16 & 0xff) >= 3 && (version >> 16 & 0xff) < 8, "LVT count");
	report(id >> 24 == cpuid(1, 0).ebx >> 24, "id agrees with CPUID");
	set_reg(APIC_VERSION, 0);
	report(reg(APIC_VERSION) == version, "the version is read-only");
	report(no_vectors(APIC_IRR) && no_vectors(APIC_ISR), "IRR and ISR are empty");
	set_reg(APIC_ISR, 0xffffffff);
	set_reg(APIC_IRR, 0xffffffff);
	set_reg(APIC_TMR, 0xffffffff);
	report(no_vectors(APIC_IRR) && no_vectors(APIC_ISR), "IRR and ISR are read-only");
	for (uint32_t v = 0; v < 256; v += 0x11) {
		set_reg(APIC_TPR, v);
		ok = ok && reg(APIC_TPR) == v && reg(APIC_PPR) == v;
	}
	report(ok, "TPR keeps 8 bits, PPR follows it when nothing is in service");
	set_reg(APIC_TPR, 0);
	saved = reg(APIC_LDR);
	set_reg(APIC_LDR, 0xffffffff);
	report(reg(APIC_LDR) == 0xff000000, "LDR has 8 bits");
	set_reg(APIC_LDR, saved);
	saved = reg(APIC_DFR);
	set_reg(APIC_DFR, 0);
	report(reg(APIC_DFR) == 0x0fffffff, "DFR has 4 bits, the others are ones");
	set_reg(APIC_DFR, 0xffffffff);
	report(reg(APIC_DFR) == 0xffffffff, "DFR: flat");
	set_reg(APIC_DFR, saved);
	set_reg(APIC_LVT_LINT0, 0xffffffff);
	report((reg(APIC_LVT_LINT0) & 0xfffe0000U) == 0 && (reg(APIC_LVT_LINT0) & 0xff) == 0xff,
	       "LINT0: reserved bits read 0");
	set_reg(APIC_LVT_LINT0, LVT_MASKED);
	report(reg(APIC_LVT_LINT0) == LVT_MASKED, "LINT0 keeps what is written");
}

static volatile bool in_isr, in_irr;
static volatile uint32_t ppr_inside;
static volatile unsigned int order[8], order_count;

static void note_low(struct trap *t)
{
	(void)t;
	if (order_count < 8)
		order[order_count++] = VEC_LOW;
	in_isr = lapic_vector_bit(APIC_ISR, VEC_LOW);
	in_irr = lapic_vector_bit(APIC_IRR, VEC_LOW);
	ppr_inside = lapic_read(APIC_PPR);
	lapic_eoi();
}

static void note_high(struct trap *t)
{
	(void)t;
	if (order_count < 8)
		order[order_count++] = VEC_HIGH;
	lapic_eoi();
}

static void self_ipi(unsigned int vec)
{
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | vec, 0);
}

static void test_self_ipi(void)
{
	trap_set_handler(VEC_LOW, note_low);
	trap_set_handler(VEC_HIGH, note_high);
	trap_count_reset(VEC_LOW);
	self_ipi(VEC_LOW);
	report(lapic_vector_bit(APIC_IRR, VEC_LOW) && !lapic_vector_bit(APIC_ISR, VEC_LOW),
	       "self IPI: in IRR while interrupts are off");
	self_ipi(VEC_LOW);
	irq_window();
	report(trap_count(VEC_LOW) == 1, "two requests of one vector are one interrupt");
	report(in_isr && !in_irr, "in the handler: in ISR, not in IRR");
	report(ppr_inside == (VEC_LOW & 0xf0), "in the handler: PPR is the vector's class");
	report(no_vectors(APIC_IRR) && no_vectors(APIC_ISR) && reg(APIC_PPR) == 0,
	       "after EOI all is empty");
	report(!lapic_vector_bit(APIC_TMR, VEC_LOW), "an edge interrupt's TMR bit is 0");

	order_count = 0;
	self_ipi(VEC_LOW);
	self_ipi(VEC_HIGH);
	irq_window();
	report(order_count == 2 && order[0] == VEC_HIGH && order[1] == VEC_LOW,
	       "the higher vector comes first");
	trap_count_reset(VEC_LOW);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | VEC_LOW, lapic_id());
	irq_window();
	report(trap_count(VEC_LOW) == 1, "physical destination: ourselves");
	lapic_ipi(ICR_FIXED | ICR_ASSERT | VEC_LOW, 0xff);
	irq_window();
	report(trap_count(VEC_LOW) == 2, "physical destination 0xFF: everybody");
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_ALL | VEC_LOW, 0);
	irq_window();
	report(trap_count(VEC_LOW) == 3, "shorthand: all including self");
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_OTHERS | VEC_LOW, 0);
	irq_window();
	report(trap_count(VEC_LOW) == 3, "shorthand: all but self");
	report((reg(APIC_ICR) & 0xff) == VEC_LOW && (reg(APIC_ICR) & ICR_BUSY) == 0,
	       "ICR reads back, not busy");
}

static void test_logical(void)
{
	uint32_t ldr = reg(APIC_LDR), dfr = reg(APIC_DFR);

	set_reg(APIC_DFR, 0xffffffff);
	set_reg(APIC_LDR, 0x04000000);
	trap_count_reset(VEC_LOW);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_LOGICAL | VEC_LOW, 0x0c);
	irq_window();
	report(trap_count(VEC_LOW) == 1, "logical flat: our bit among others");
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_LOGICAL | VEC_LOW, 0x08);
	irq_window();
	report(trap_count(VEC_LOW) == 1, "logical flat: somebody else's bit");
	lapic_ipi(ICR_LOWEST | ICR_ASSERT | ICR_LOGICAL | VEC_LOW, 0x04);
	irq_window();
	report(trap_count(VEC_LOW) == 2, "lowest priority among one");
	set_reg(APIC_DFR, 0x0fffffff);
	set_reg(APIC_LDR, 0x21000000);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_LOGICAL | VEC_LOW, 0x23);
	irq_window();
	report(trap_count(VEC_LOW) == 3, "logical cluster: same cluster, our bit");
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_LOGICAL | VEC_LOW, 0x11);
	irq_window();
	report(trap_count(VEC_LOW) == 3, "logical cluster: another cluster");
	set_reg(APIC_DFR, dfr);
	set_reg(APIC_LDR, ldr);
}

static void test_tpr(void)
{
	trap_count_reset(VEC_LOW);
	set_reg(APIC_TPR, 0x40);
	self_ipi(VEC_LOW);
	irq_window();
	report(trap_count(VEC_LOW) == 0 && lapic_vector_bit(APIC_IRR, VEC_LOW),
	       "TPR of the vector's class holds it back");
	set_reg(APIC_TPR, 0x30);
	irq_window();
	report(trap_count(VEC_LOW) == 1, "a lower TPR lets it through");
	set_reg(APIC_TPR, 0);
}

static volatile bool nested_seen, low_held;

static void nest_inner(struct trap *t)
{
	(void)t;
	nested_seen = true;
	lapic_eoi();
}

static void nest_outer(struct trap *t)
{
	(void)t;
	self_ipi(VEC_LOW);
	self_ipi(VEC_HIGH);
	sti();
	__asm__ volatile("nop");
	cli();
	low_held = nested_seen && lapic_vector_bit(APIC_IRR, VEC_LOW);
	lapic_eoi();
}

static void test_nesting(void)
{
	trap_set_handler(VEC_HIGH, nest_inner);
	trap_set_handler(0x61, nest_outer);
	trap_count_reset(VEC_LOW);
	self_ipi(0x61);
	irq_window();
	report(low_held, "inside a handler only a higher class gets in");
	irq_window();
	report(trap_count(VEC_LOW) == 1, "the lower one comes after EOI");
	trap_set_handler(0x61, NULL);
}

static void test_error(void)
{
	trap_set_handler(VEC_ERROR, trap_handler_eoi);
	trap_count_reset(VEC_ERROR);
	set_reg(APIC_LVT_ERROR, VEC_ERROR);
	set_reg(APIC_ESR, 0);
	set_reg(APIC_ESR, 0);
	report(reg(APIC_ESR) == 0, "ESR is clear after two writes");
	self_ipi(5);
	irq_window();
	set_reg(APIC_ESR, 0);
	report((reg(APIC_ESR) & 0x60) != 0, "an IPI with vector 5 is an illegal vector in ESR");
	report_xfail(!on_hypervisor(), "Bochs does not", trap_count(VEC_ERROR) >= 1, "and raises the error interrupt");
	set_reg(APIC_ESR, 0);
	report(reg(APIC_ESR) == 0, "ESR is clear again");
	set_reg(APIC_LVT_ERROR, LVT_MASKED);
}

static void test_nmi(void)
{
	trap_set_handler(VEC_NMI, trap_handler_nop);
	trap_count_reset(VEC_NMI);
	lapic_ipi(ICR_NMI | ICR_ASSERT, lapic_id());
	delay_ticks(2000);
	report(trap_count(VEC_NMI) == 1, "an NMI to ourselves comes with interrupts off");
	trap_set_handler(VEC_NMI, NULL);
}

static void test_disable(void)
{
	uint32_t lvt;

	trap_set_handler(SPURIOUS_VECTOR, trap_handler_nop);
	set_reg(APIC_LVT_TIMER, VEC_LOW);
	set_reg(APIC_SVR, SPURIOUS_VECTOR);
	lvt = reg(APIC_LVT_TIMER);
	report((lvt & LVT_MASKED) != 0, "software disable masks the LVT");
	set_reg(APIC_LVT_TIMER, VEC_LOW);
	report((reg(APIC_LVT_TIMER) & LVT_MASKED) != 0, "the mask can't be cleared while disabled");
	set_reg(APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
	report((reg(APIC_LVT_TIMER) & LVT_MASKED) != 0, "enabling does not clear the masks");
	lapic_enable();
}

static void test_empty_eoi(void)
{
	/* EOI with nothing in service is harmless, whatever is written. */
	set_reg(APIC_EOI, 0x12345678);
	report(no_vectors(APIC_ISR), "EOI with nothing in service");
	trap_count_reset(VEC_LOW);
	self_ipi(VEC_LOW);
	irq_window();
	report(trap_count(VEC_LOW) == 1, "interrupts still work after it");
}

/* SDM vol. 3 section 11.4.5. The Service VM is refused: it has the machine's devices there. */
static void test_moved(void)
{
	const uint64_t base = rdmsr(MSR_APIC_BASE), there = 0xfed80000;
	uint64_t flags = base & (APIC_BASE_ENABLE | APIC_BASE_BSP);
	uint32_t version = lapic_read(APIC_VERSION);
	bool answers;

	if (wrmsr_safe(MSR_APIC_BASE, there | flags) != NO_TRAP) {
		report_skip("the registers cannot be moved");
		return;
	}
	answers = lapic_base() == there && mmio_read32(there + APIC_VERSION) == version;
	trap_count_reset(VEC_LOW);
	self_ipi(VEC_LOW);
	irq_window();
	report(answers && trap_count(VEC_LOW) == 1, "the registers can be moved");
	report(mmio_read32((base & ~0xfffUL) + APIC_VERSION) != version, "and are not at their old place then");
	wrmsr(MSR_APIC_BASE, base);
	report(lapic_read(APIC_VERSION) == version, "and back");
}

void test_main(void)
{
	if (!lapic_present()) {
		report_skip("no local APIC");
		return;
	}
	if (lapic_in_x2apic()) {
		report_skip("already in x2APIC mode");
		return;
	}
	lapic_enable();
	test_registers();
	test_self_ipi();
	test_logical();
	test_tpr();
	test_nesting();
	test_error();
	test_nmi();
	test_disable();
	test_empty_eoi();
	test_moved();
}
