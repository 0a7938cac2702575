/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Local APIC by MSRs: which exist, reserved bits, ICR, self IPI, EOI, priorities, mode changes.
 * SDM vol. 3 section 11.12.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>

const char subject_name[] = "x2apic";

#define VEC_TEST	0x45U
#define VEC_HIGH	0x85U
/* Checks that Bochs leaves out. */
#define report_strict(pass, text) \
	report_xfail(!on_hypervisor(), "Bochs does not check or do it", pass, text)
#define X2(reg)		(MSR_X2APIC + (reg) / 16)

static bool readable(uint32_t reg)
{
	uint64_t v;

	return rdmsr_safe(X2(reg), &v) == NO_TRAP;
}

static bool write_faults(uint32_t reg, uint64_t v)
{
	return wrmsr_safe(X2(reg), v) == VEC_GP && try_error() == 0;
}

static void test_existence(void)
{
	static const uint32_t there[] = {
		APIC_ID, APIC_VERSION, APIC_TPR, APIC_PPR, APIC_LDR, APIC_SVR, APIC_ESR, APIC_ICR,
		APIC_LVT_TIMER, APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_ERROR, APIC_TMICT,
		APIC_TMCCT, APIC_TDCR,
	};
	static const uint32_t missing[] = {
		0x000, 0x010, 0x040, 0x050, 0x060, 0x070, APIC_APR, 0x0c0, APIC_DFR, 0x290, 0x2a0,
		0x2b0, 0x2c0, 0x2d0, 0x2e0, APIC_ICR_HIGH, 0x3a0, 0x3b0, 0x3c0, 0x3d0,
	};
	static const uint32_t read_only[] = {
		APIC_ID, APIC_VERSION, APIC_PPR, APIC_LDR, APIC_ISR, APIC_TMR, APIC_IRR, APIC_TMCCT,
	};
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(there); i++)
		ok = ok && readable(there[i]);
	for (uint32_t i = 0; i < 8; i++)
		ok = ok && readable(APIC_ISR + 16 * i) && readable(APIC_TMR + 16 * i) &&
			readable(APIC_IRR + 16 * i);
	report(ok, "every register that exists can be read");
	ok = true;
	for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
		bool bad = readable(missing[i]) || !write_faults(missing[i], 0);

		if (bad)
			report_info("MSR %#x is there", X2(missing[i]));
		ok = ok && !bad;
	}
	report(ok, "registers that do not exist: #GP");
	ok = true;
	for (size_t i = 0; i < ARRAY_SIZE(read_only); i++)
		ok = ok && write_faults(read_only[i], 0);
	report(ok, "read-only registers: WRMSR gives #GP");
	report(!readable(APIC_EOI) && !readable(APIC_SELF_IPI),
	       "EOI and self IPI are write-only: RDMSR gives #GP");
	ok = true;
	for (uint32_t msr = 0x840; msr < 0x900; msr += 7) {
		uint64_t v;

		ok = ok && rdmsr_safe(msr, &v) == VEC_GP;
	}
	report(ok, "MSRs 0x840 to 0x8FF: #GP");
}

static void test_reserved(void)
{
	report(write_faults(APIC_EOI, 1), "EOI other than 0: #GP");
	report(write_faults(APIC_TPR, 0x100) && write_faults(APIC_TPR, BIT(32)), "TPR: reserved bits");
	report_strict(write_faults(APIC_SELF_IPI, 0x100), "self IPI: reserved bits");
	report(write_faults(APIC_SVR, BIT(31) | 0xff), "SVR: reserved bits");
	report(write_faults(APIC_ESR, 1), "ESR other than 0: #GP");
	report_strict(write_faults(APIC_TDCR, 0x10), "TDCR: reserved bits");
	report_strict(write_faults(APIC_LVT_TIMER, BIT(20) | LVT_MASKED), "LVT timer: reserved bits");
	report_strict(write_faults(APIC_LVT_LINT0, BIT(17) | LVT_MASKED), "LVT LINT0: reserved bits");
	report_strict(write_faults(APIC_ICR, BIT(20)), "ICR: reserved bits");
	report(write_faults(APIC_TMICT, BIT(32)), "TMICT: bits above 31");
}

static void test_id(void)
{
	uint32_t id = lapic_read(APIC_ID);

	report(id == cpuid(0xb, 0).edx || cpuid(0, 0).eax < 0xb, "the id is CPUID.0xB's");
	report((id & 0xff) == cpuid(1, 0).ebx >> 24, "the id's low byte is CPUID.1's");
	report_strict(lapic_read(APIC_LDR) == ((id >> 4) << 16 | 1U << (id & 15)), "LDR is made from the id");
}

/* Interrupts taken by one IPI. */
static unsigned int sent(uint32_t icr_low, uint32_t dest)
{
	trap_count_reset(VEC_TEST);
	lapic_ipi(icr_low | ICR_ASSERT | VEC_TEST, dest);
	irq_window();
	return trap_count(VEC_TEST);
}

static void test_ipi(void)
{
	uint32_t id = lapic_id();

	trap_set_handler(VEC_TEST, trap_handler_eoi);
	trap_set_handler(VEC_HIGH, trap_handler_eoi);
	trap_count_reset(VEC_TEST);
	wrmsr(X2(APIC_SELF_IPI), VEC_TEST);
	report(lapic_vector_bit(APIC_IRR, VEC_TEST), "self IPI: in IRR while interrupts are off");
	irq_window();
	report(trap_count(VEC_TEST) == 1, "self IPI is delivered");
	report(!lapic_vector_bit(APIC_IRR, VEC_TEST) && !lapic_vector_bit(APIC_ISR, VEC_TEST),
	       "after EOI: IRR and ISR are clear");
	report(!lapic_vector_bit(APIC_TMR, VEC_TEST), "TMR is clear for an edge");
	report(sent(ICR_FIXED, id) == 1, "ICR: physical destination");
	report_strict(sent(ICR_LOGICAL, (id >> 4) << 16 | 1U << (id & 15)) == 1,
		      "ICR: logical destination");
	report_strict(sent(ICR_LOGICAL, ((id >> 4) + 1) << 16 | 0xffff) == 0,
		      "ICR: logical destination in another cluster");
	report(sent(ICR_SELF, 0) == 1, "ICR: shorthand self");
	report(sent(ICR_FIXED, 0xffffffff) == 1, "ICR: broadcast id 0xFFFFFFFF");
	report(sent(ICR_FIXED, id + 0x1000) == 0, "ICR: an id that nobody has");
	report_strict(id == 0xff || sent(ICR_FIXED, 0xff) == 0, "ICR: 0xFF is no broadcast here");
	wrmsr(X2(APIC_ICR), (uint64_t)id << 32 | ICR_FIXED | ICR_ASSERT | VEC_TEST);
	irq_window();
	report_strict(rdmsr(X2(APIC_ICR)) >> 32 == id && (rdmsr(X2(APIC_ICR)) & 0xff) == VEC_TEST,
		      "ICR reads back in 64 bits");
}

static volatile bool in_isr;
static volatile uint32_t ppr_inside;

static void note(struct trap *t)
{
	(void)t;
	in_isr = lapic_vector_bit(APIC_ISR, VEC_TEST);
	ppr_inside = lapic_read(APIC_PPR);
	/* EOI of this one lets the next in once interrupts are on. */
	lapic_eoi();
}

static void test_priority(void)
{
	trap_set_handler(VEC_TEST, note);
	lapic_write(APIC_TPR, 0x40);
	report(lapic_read(APIC_TPR) == 0x40 && read_cr8() == 4, "TPR by MSR shows in CR8");
	trap_count_reset(VEC_TEST);
	trap_count_reset(VEC_HIGH);
	wrmsr(X2(APIC_SELF_IPI), VEC_TEST);
	wrmsr(X2(APIC_SELF_IPI), VEC_HIGH);
	irq_window();
	report(trap_count(VEC_TEST) == 0 && trap_count(VEC_HIGH) == 1, "TPR holds back its class only");
	write_cr8(0);
	irq_window();
	report(trap_count(VEC_TEST) == 1 && lapic_read(APIC_TPR) == 0, "CR8 shows in TPR, lets it in");
	report(in_isr && ppr_inside == (VEC_TEST & 0xf0), "in the handler: ISR, PPR");
	lapic_eoi();
	report(lapic_read(APIC_PPR) == 0, "EOI with nothing in service");
}

static void test_nmi(void)
{
	trap_set_handler(VEC_NMI, trap_handler_nop);
	trap_count_reset(VEC_NMI);
	lapic_ipi(ICR_NMI | ICR_ASSERT, lapic_id());
	delay_ticks(2000);
	report(trap_count(VEC_NMI) == 1, "an NMI to ourselves");
	trap_set_handler(VEC_NMI, NULL);
}

static void test_modes(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	report(wrmsr_safe(MSR_APIC_BASE, base & ~APIC_BASE_X2APIC) == VEC_GP,
	       "from x2APIC straight to xAPIC: #GP");
	report(wrmsr_safe(MSR_APIC_BASE, base & ~APIC_BASE_ENABLE) == VEC_GP,
	       "x2APIC without enable: #GP");
	report(rdmsr(MSR_APIC_BASE) == base, "refused changes change nothing");
	if (!on_hypervisor()) {
		report_skip("bare: disabling is for ever in some simulators");
		return;
	}
	wrmsr(MSR_APIC_BASE, base & ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC));
	report(!readable(APIC_ID) && !lapic_present(), "disabled: no MSRs, CPUID's APIC bit is 0");
	report(wrmsr_safe(MSR_APIC_BASE, base) == VEC_GP, "from disabled straight to x2APIC: #GP");
	wrmsr(MSR_APIC_BASE, base & ~APIC_BASE_X2APIC);
	report(lapic_present() && !lapic_in_x2apic(), "to xAPIC");
	lapic_enter_x2apic();
	trap_count_reset(VEC_HIGH);
	wrmsr(X2(APIC_SELF_IPI), VEC_HIGH);
	irq_window();
	report(trap_count(VEC_HIGH) == 1, "and to x2APIC again; it works");
}

void test_main(void)
{
	if (!lapic_present() || !lapic_x2apic_supported()) {
		report_skip("no x2APIC");
		return;
	}
	if (!lapic_in_x2apic())
		report(wrmsr_safe(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC) == NO_TRAP,
		       "x2APIC can be enabled");
	lapic_enable();
	test_existence();
	test_reserved();
	test_id();
	test_ipi();
	test_priority();
	test_nmi();
	test_modes();
}
