/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an exit costs, from guest to guest: <guests/lib/cost.h>. scripts/bench makes a table of it. With the word
 * "other-cpu" only what a device model costs that polls on another CPU; with "few" two rows that stand for all exits.
 */
#include <guests/lib/acpi.h>
#include <guests/lib/apic.h>
#include <guests/lib/cost.h>
#include <guests/lib/guest.h>
#include <guests/lib/hypercall.h>
#include <guests/lib/ioapic.h>

const char subject_name[] = "exits";

#define ELEMENTS 16U	/* of a REP INSB */

#define CPUID1_TSC_DEADLINE 0x01000000U
#define CPUID1_XSAVE 0x04000000U
#define IOAPIC_INDEX 0xfec00000UL
#define XAPIC 0xfee00000UL
/* Not lapic_write(): it asks IA32_APIC_BASE for the mode each time, which is an exit of its own. */
#define X2APIC(reg) (MSR_X2APIC + (reg) / 16)
#define VEC_SELF 0x60U
#define VEC_TIMER 0x61U
#define NOBODYS_PORT 0x7f00

/* The device model's test device (doc/device-model.md): a User VM has it. */
#define TEST_PORT 0x500
#define TEST_MMIO 0xd0000000UL
#define TEST_ID 0x18
#define TEST_ID_VALUE 0x44545241U

static uint16_t acpi_pm_timer_port;
static uint64_t misc_enable;

/* Memory behind the image, which nobody has touched: one page a round. */
#define FRESH_MEMORY 0x800000UL
static uint8_t *fresh;

static void op_cpuid0(void)
{
	(void)cpuid(0, 0);
}

static void op_cpuid1(void)
{
	(void)cpuid(1, 0);
}

static void op_pic_read(void)
{
	(void)inb(0x21);
}

static void op_pic_write(void)
{
	outb(0x21, 0xff);
}

static void op_uart_read(void)
{
	(void)inb(0x3fd);
}

static void op_uart_write(void)
{
	outb(0x3ff, 0x55); /* scratch */
}

static void op_pm_timer(void)
{
	(void)inl(acpi_pm_timer_port);
}

static void op_nobody_read(void)
{
	(void)inb(NOBODYS_PORT);
}

static void op_nobody_write(void)
{
	outb(NOBODYS_PORT, 0);
}

static void insb(uint16_t port)
{
	static uint8_t buffer[ELEMENTS];
	uint8_t *to = buffer;
	uint64_t count = ELEMENTS;

	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static void outsb(uint16_t port)
{
	static const uint8_t buffer[ELEMENTS];
	const uint8_t *from = buffer;
	uint64_t count = ELEMENTS;

	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

static void op_pic_insb(void)
{
	insb(0x21);
}

static void op_uart_outsb(void)
{
	outsb(0x3ff);
}

static void op_misc_enable_read(void)
{
	(void)rdmsr(MSR_MISC_ENABLE);
}

static void op_misc_enable_write(void)
{
	wrmsr(MSR_MISC_ENABLE, misc_enable);
}

static void op_apic_base(void)
{
	(void)rdmsr(MSR_APIC_BASE);
}

static void op_unknown_msr(void)
{
	uint64_t value;

	(void)rdmsr_safe(0x12345678, &value);
}

static void op_wbinvd(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

static void op_cr0(void)
{
	write_cr0(read_cr0() ^ CR0_CD);
}

static void op_cr4(void)
{
	write_cr4(read_cr4() ^ CR4_MCE);
}

static void op_xsetbv(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	__asm__ volatile("xsetbv" : : "a"(low), "d"(high), "c"(0));
}

static void op_fresh_page(void)
{
	*(volatile uint64_t *)fresh = 1;
	fresh += 4096;
}

static void op_vmcall(void)
{
	(void)hypercall(0x800000ffUL, 0, 0);
}

static void op_api_version(void)
{
	static uint64_t version; /* major and minor, 32 bits each */

	(void)hypercall(HC_GET_API_VERSION, (uint64_t)&version, 0);
}

static void op_ioapic_read(void)
{
	(void)mmio_read32(IOAPIC_INDEX);
}

static void op_ioapic_write(void)
{
	mmio_write32(IOAPIC_INDEX, IOAPIC_VER);
}

static void op_xapic_id(void)
{
	(void)mmio_read32(XAPIC + APIC_ID);
}

static void op_xapic_tpr(void)
{
	mmio_write32(XAPIC + APIC_TPR, 0);
}

static void op_xapic_eoi(void)
{
	mmio_write32(XAPIC + APIC_EOI, 0);
}

static void op_x2apic_tpr(void)
{
	wrmsr(X2APIC(APIC_TPR), 0);
}

static void op_x2apic_eoi(void)
{
	wrmsr(X2APIC(APIC_EOI), 0);
}

static void op_x2apic_timer(void)
{
	(void)rdmsr(X2APIC(APIC_TMCCT));
}

static void op_deadline(void)
{
	wrmsr(MSR_TSC_DEADLINE, 0);
}

static void on_self_ipi(struct trap *t)
{
	(void)t;
	op_x2apic_eoi();
}

static void wait_for_self(uint64_t before)
{
	while (trap_count(VEC_SELF) == before)
		;
}

static void op_self_ipi(void)
{
	const uint64_t before = trap_count(VEC_SELF);

	wrmsr(X2APIC(APIC_SELF_IPI), VEC_SELF);
	wait_for_self(before);
}

static void op_icr_self(void)
{
	const uint64_t before = trap_count(VEC_SELF);

	wrmsr(X2APIC(APIC_ICR), ICR_SELF | ICR_FIXED | ICR_ASSERT | VEC_SELF);
	wait_for_self(before);
}

static void op_test_read(void)
{
	(void)inl(TEST_PORT);
}

static void op_test_write(void)
{
	outl(TEST_PORT, 1);
}

static void op_test_mmio_read(void)
{
	(void)mmio_read32(TEST_MMIO);
}

static void op_test_mmio_write(void)
{
	mmio_write32(TEST_MMIO, 1);
}

static void op_test_insb(void)
{
	insb(TEST_PORT);
}

static void op_test_outsb(void)
{
	outsb(TEST_PORT);
}

static volatile uint64_t fired;

static void on_timer(struct trap *t)
{
	(void)t;
	fired = rdtsc();
	lapic_eoi();
}

/* From the deadline to the handler, the guest running or halted. */
static void cost_timer(const char *name, bool halted)
{
	for (uint32_t i = 0; i < COST_ROUNDS; i++) {
		/* Not always the same: two VMs on one CPU would fall into step, and meet in each round or in none. */
		const uint64_t deadline = rdtsc() + 10000 + rdtsc() / 16 % 5000;
		struct cost at; /* for the profile */

		fired = 0;
		wrmsr(MSR_TSC_DEADLINE, deadline);
		cost_begin(&at);
		while (fired == 0) {
			if (halted)
				sti_hlt_cli();
			else
				irq_window();
		}
		cost_end(&at);
		cost_sample_ticks(i, fired - deadline);
	}
	cost_tell(name, 1, false);
}

/* HLT, with the interrupt that ends it behind it already: what going to sleep and waking up cost, without the sleep. */
static void op_halt(void)
{
	wrmsr(X2APIC(APIC_SELF_IPI), VEC_SELF);
	sti_hlt_cli();
}

static void port_costs(void)
{
	cost_measure("IN from the PIC (0x21)", op_pic_read);
	cost_measure("OUT to the PIC (0x21)", op_pic_write);
	cost_measure("IN from the UART (0x3FD)", op_uart_read);
	cost_measure("OUT to the UART (0x3FF)", op_uart_write);
	cost_measure_parts("REP INSB from the PIC, each byte", op_pic_insb, ELEMENTS);
	cost_measure_parts("REP OUTSB to the UART, each byte", op_uart_outsb, ELEMENTS);
	acpi_pm_timer_port = acpi_pm_timer();
	if (acpi_pm_timer_port != 0)
		cost_measure("IN from the PM timer", op_pm_timer);
}

static void register_costs(bool hypervised)
{
	uint64_t value;

	cost_measure("CPUID leaf 0", op_cpuid0);
	cost_measure("CPUID leaf 1", op_cpuid1);
	if (hypervised) {
		misc_enable = rdmsr(MSR_MISC_ENABLE);
		cost_measure("RDMSR MISC_ENABLE", op_misc_enable_read);
		cost_measure("WRMSR MISC_ENABLE", op_misc_enable_write);
		cost_measure("RDMSR APIC_BASE", op_apic_base);
	}
	if (rdmsr_safe(0x12345678, &value) == VEC_GP)
		cost_measure("RDMSR, unknown: to the #GP handler and back", op_unknown_msr);
	cost_measure("WBINVD", op_wbinvd);
	cost_measure("CR0.CD write", op_cr0);
	write_cr0(read_cr0() & ~CR0_CD);
	cost_measure("CR4.MCE write", op_cr4);
	if ((cpuid(1, 0).ecx & CPUID1_XSAVE) != 0) {
		write_cr4(read_cr4() | CR4_OSXSAVE);
		cost_measure("XSETBV", op_xsetbv);
	}
	fresh = (uint8_t *)FRESH_MEMORY;
	cost_measure("EPT: first touch of a page", op_fresh_page);
}

static void x2apic_costs(void)
{
	cost_measure("x2APIC TPR write", op_x2apic_tpr);
	cost_measure("x2APIC EOI write", op_x2apic_eoi);
	cost_measure("RDMSR x2APIC timer count", op_x2apic_timer);
	trap_set_handler(VEC_SELF, on_self_ipi);
	sti();
	cost_measure("x2APIC self-IPI to the handler's end", op_self_ipi);
	cost_measure("x2APIC ICR self to the handler's end", op_icr_self);
	cli();
	cost_measure("HLT, interrupt pending, to the handler's end", op_halt);
}

static void timer_costs(void)
{
	cost_measure("WRMSR TSC_DEADLINE", op_deadline);
	trap_set_handler(VEC_TIMER, on_timer);
	lapic_write(APIC_LVT_TIMER, LVT_DEADLINE | VEC_TIMER);
	cost_timer("timer to its handler, running", false);
	cost_timer("timer to its handler, halted", true);
	lapic_write(APIC_LVT_TIMER, LVT_MASKED);
}

static void apic_costs(void)
{
	if (!lapic_present())
		return;
	lapic_enable();
	if (!lapic_in_x2apic()) {
		cost_measure("xAPIC ID read", op_xapic_id);
		cost_measure("xAPIC TPR write", op_xapic_tpr);
		cost_measure("xAPIC EOI write", op_xapic_eoi);
	}
	if (ioapic_present()) {
		cost_measure("IOAPIC read", op_ioapic_read);
		cost_measure("IOAPIC write", op_ioapic_write);
	}
	if (!lapic_x2apic_supported())
		return;
	if (!lapic_in_x2apic())
		lapic_enter_x2apic();
	x2apic_costs();
	if ((cpuid(1, 0).ecx & CPUID1_TSC_DEADLINE) != 0)
		timer_costs();
}

/* The device model polls on another CPU, or so the word says: then it is only about that. */
static void other_cpu_costs(void)
{
	cost_measure("IN from the device model on another CPU", op_test_read);
	cost_measure("OUT to the device model on another CPU", op_test_write);
	cost_measure("MMIO read from the device model on another CPU", op_test_mmio_read);
}

static void device_model_costs(void)
{
	cost_measure("IN from the device model", op_test_read);
	cost_measure("OUT to the device model", op_test_write);
	cost_measure("MMIO read from the device model", op_test_mmio_read);
	cost_measure("MMIO write to the device model", op_test_mmio_write);
	cost_measure_parts("REP INSB from the device model, each byte", op_test_insb, ELEMENTS);
	cost_measure_parts("REP OUTSB to the device model, each byte", op_test_outsb, ELEMENTS);
}

void test_main(void)
{
	const bool hypervised = (cpuid(1, 0).ecx & (1U << 31)) != 0;

	cost_init();
	if (boot_flag("other-cpu")) {
		other_cpu_costs();
		report(cost_is_counted(), "counted");
		return;
	}
	if (boot_flag("few")) {
		cost_measure("CPUID leaf 0", op_cpuid0);
		cost_measure("IN from the PIC (0x21)", op_pic_read);
		report(true, "measured");
		return;
	}
	register_costs(hypervised);
	port_costs();
	apic_costs();
	if (on_service_vm()) {
		cost_measure("VMCALL, unknown", op_vmcall);
		cost_measure("VMCALL GET_API_VERSION", op_api_version);
	} else if (hypervised && inl(TEST_PORT + TEST_ID) == TEST_ID_VALUE) {
		device_model_costs();
	} else {
		cost_measure("IN from nobody", op_nobody_read);
		cost_measure("OUT to nobody", op_nobody_write);
	}
	report(true, "measured");
}
