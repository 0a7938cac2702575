/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an exit costs: TSC ticks from guest to guest, minimum and median of many, an empty pair of RDTSC subtracted. In
 * Bochs with one CPU a tick is an instruction, so the figures are exact there and mean nothing elsewhere. scripts/bench
 * makes a table of them.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/hypercall.h>
#include <guests/lib/ioapic.h>

const char subject_name[] = "exits";

#define ROUNDS 1001U
#define ELEMENTS 16U	/* of a REP INSB */

#define CPUID1_TSC_DEADLINE 0x01000000U
#define CPUID1_XSAVE 0x04000000U
#define CR4_MCE_BIT 0x40UL
#define CR4_OSXSAVE_BIT 0x40000UL
#define MSR_DEADLINE 0x6e0U
#define IOAPIC_INDEX 0xfec00000UL
#define VEC_SELF 0x60U
#define VEC_TIMER 0x61U
#define NOBODYS_PORT 0x7f00

/* The device model's test device (doc/device-model.md): a User VM has it. */
#define TEST_PORT 0x500
#define TEST_MMIO 0xd0000000UL
#define TEST_ID 0x18
#define TEST_ID_VALUE 0x44545241U

static uint64_t samples[ROUNDS];

static void sort(uint64_t *v, uint32_t n)
{
	for (uint32_t gap = n / 2; gap > 0; gap /= 2)
		for (uint32_t i = gap; i < n; i++) {
			const uint64_t x = v[i];
			uint32_t j = i;

			for (; j >= gap && v[j - gap] > x; j -= gap)
				v[j] = v[j - gap];
			v[j] = x;
		}
}

static void op_nothing(void)
{
	__asm__ volatile("" ::: "memory");
}

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

static void op_uart_read(void)
{
	(void)inb(0x3fd);
}

static void op_pic_write(void)
{
	outb(0x21, 0xff);
}

static void op_misc_enable(void)
{
	(void)rdmsr(0x1a0);
}

static void op_deadline(void)
{
	wrmsr(MSR_DEADLINE, 0);
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

static void op_wbinvd(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

static void op_nobody(void)
{
	(void)inb(NOBODYS_PORT);
}

static void op_test_read(void)
{
	(void)inl(TEST_PORT);
}

static void op_test_write(void)
{
	outl(TEST_PORT, 1);
}

static void op_test_mmio(void)
{
	(void)mmio_read32(TEST_MMIO);
}

static void insb(uint16_t port)
{
	static uint8_t buffer[ELEMENTS];
	uint8_t *to = buffer;
	uint64_t count = ELEMENTS;

	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static void op_pic_insb(void)
{
	insb(0x21);
}

static void op_test_insb(void)
{
	insb(TEST_PORT);
}

static void op_ioapic_read(void)
{
	(void)mmio_read32(IOAPIC_INDEX);
}

static void op_ioapic_write(void)
{
	mmio_write32(IOAPIC_INDEX, IOAPIC_VER);
}

static void op_lapic_read(void)
{
	(void)lapic_read(APIC_ID);
}

static void op_tpr(void)
{
	lapic_write(APIC_TPR, 0);
}

static void op_eoi(void)
{
	lapic_write(APIC_EOI, 0);
}

/* The library's functions ask IA32_APIC_BASE for the mode each time, which is an exit of its own. */
static void op_x2apic_tpr(void)
{
	wrmsr(MSR_X2APIC + APIC_TPR / 16, 0);
}

static void op_x2apic_eoi(void)
{
	wrmsr(MSR_X2APIC + APIC_EOI / 16, 0);
}

static void on_self_ipi(struct trap *t)
{
	(void)t;
	op_x2apic_eoi();
}

static void op_self_ipi(void)
{
	const uint64_t before = trap_count(VEC_SELF);

	wrmsr(MSR_X2APIC + APIC_SELF_IPI / 16, VEC_SELF);
	while (trap_count(VEC_SELF) == before)
		cpu_pause();
}

static void op_cr4(void)
{
	write_cr4(read_cr4() ^ CR4_MCE_BIT);
}

static void op_xsetbv(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	__asm__ volatile("xsetbv" : : "a"(low), "d"(high), "c"(0));
}

static uint64_t cost_of(void (*op)(void))
{
	const uint64_t start = rdtsc();

	op();
	return rdtsc() - start;
}

static void sample(void (*op)(void))
{
	for (uint32_t i = 0; i < ROUNDS; i++)
		samples[i] = cost_of(op);
	sort(samples, ROUNDS);
}

static uint64_t empty;

/* @samples sorted; each stands for @parts equal ones. */
static void tell(const char *name, uint64_t base, uint64_t parts)
{
	report_info("cost %s: min %lu median %lu", name, (samples[0] - base) / parts,
		    (samples[ROUNDS / 2] - base) / parts);
}

static void cost(const char *name, void (*op)(void))
{
	sample(op);
	tell(name, empty, 1);
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
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint64_t deadline = rdtsc() + 10000;

		fired = 0;
		wrmsr(MSR_DEADLINE, deadline);
		while (fired == 0) {
			if (halted)
				sti_hlt_cli();
			else
				irq_window();
		}
		samples[i] = fired - deadline;
	}
	sort(samples, ROUNDS);
	tell(name, 0, 1);
}

static void simple_costs(bool hypervised)
{
	cost("CPUID leaf 0", op_cpuid0);
	cost("CPUID leaf 1", op_cpuid1);
	cost("IN from the PIC (0x21)", op_pic_read);
	cost("OUT to the PIC (0x21)", op_pic_write);
	cost("IN from the UART (0x3FD)", op_uart_read);
	sample(op_pic_insb);
	tell("REP INSB from the PIC, each byte", empty, ELEMENTS);
	if (hypervised)
		cost("RDMSR MISC_ENABLE", op_misc_enable);
	cost("WBINVD", op_wbinvd);
	cost("CR4.MCE write", op_cr4);
	if ((cpuid(1, 0).ecx & CPUID1_XSAVE) != 0) {
		write_cr4(read_cr4() | CR4_OSXSAVE_BIT);
		cost("XSETBV", op_xsetbv);
	}
}

static void apic_costs(void)
{
	if (!lapic_present())
		return;
	lapic_enable();
	if (!lapic_in_x2apic()) {
		cost("xAPIC ID read", op_lapic_read);
		cost("xAPIC TPR write", op_tpr);
		cost("xAPIC EOI write", op_eoi);
	}
	if (ioapic_present()) {
		cost("IOAPIC read", op_ioapic_read);
		cost("IOAPIC write", op_ioapic_write);
	}
	if (!lapic_x2apic_supported())
		return;
	if (!lapic_in_x2apic())
		lapic_enter_x2apic();
	cost("x2APIC TPR write", op_x2apic_tpr);
	cost("x2APIC EOI write", op_x2apic_eoi);
	trap_set_handler(VEC_SELF, on_self_ipi);
	sti();
	cost("x2APIC self-IPI to the handler's end", op_self_ipi);
	cli();
	if ((cpuid(1, 0).ecx & CPUID1_TSC_DEADLINE) != 0) {
		cost("WRMSR TSC_DEADLINE", op_deadline);
		trap_set_handler(VEC_TIMER, on_timer);
		lapic_write(APIC_LVT_TIMER, LVT_DEADLINE | VEC_TIMER);
		cost_timer("timer to its handler, running", false);
		cost_timer("timer to its handler, halted", true);
		lapic_write(APIC_LVT_TIMER, LVT_MASKED);
	}
}

static void device_model_costs(void)
{
	cost("IN from the device model", op_test_read);
	cost("OUT to the device model", op_test_write);
	cost("MMIO read from the device model", op_test_mmio);
	sample(op_test_insb);
	tell("REP INSB from the device model, each byte", empty, ELEMENTS);
}

void test_main(void)
{
	const bool hypervised = (cpuid(1, 0).ecx & (1U << 31)) != 0;

	sample(op_nothing);
	empty = samples[ROUNDS / 2];
	report_info("an empty pair of RDTSC: %lu", empty);
	simple_costs(hypervised);
	apic_costs();
	if (on_service_vm()) {
		cost("VMCALL, unknown", op_vmcall);
		cost("VMCALL GET_API_VERSION", op_api_version);
	} else if (hypervised && inl(TEST_PORT + TEST_ID) == TEST_ID_VALUE) {
		device_model_costs();
	} else {
		cost("IN from nobody", op_nobody);
	}
	report(empty > 0, "measured");
}
