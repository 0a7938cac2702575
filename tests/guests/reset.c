/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Resets that the guest brings about itself: each begins a new life of this program, and leaves nothing of the old one
 * but what has a battery. CMOS RAM holds how many lives there were.
 *
 * SDM vol. 3, table 10-1 (state after RESET); Intel ICH reset control register 0xCF9 (13.7.5 of the ICH9 data sheet).
 */
#include <guests/lib/acpi.h>
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/ioapic.h>
#include <guests/lib/pit.h>
#include <guests/lib/rtc.h>
#include <guests/lib/smp.h>

const char subject_name[] = "reset";

#define CMOS_MAGIC	0x60U	/* nobody's: not firmware's, nor GRUB's */
#define CMOS_LIVES	0x61U
#define MAGIC		0x5aU
#define RESET_PORT	0xcf9U
#define KBD_STATUS	0x64U
#define PATIENCE	50000000UL
#define VEC_TIMER	0x60U
#define OLD_LIFE	0x01d11feU

static volatile uint32_t data_word = MAGIC;
static volatile uint32_t bss_word;

static void write_reset(uint8_t value)
{
	outb(RESET_PORT, (uint8_t)(value & ~4U));
	outb(RESET_PORT, value);
}

static void by_reset_port(void)
{
	write_reset(0x06);
}

static void by_full_reset(void)
{
	write_reset(0x0e);
}

static void by_soft_reset(void)
{
	write_reset(0x04);
}

/* ACPI 6.5, 4.8.3.6: address at 116 of the FADT, value at 128. */
static void by_fadt(void)
{
	const uint8_t *fadt = acpi_find("FACP");

	if (fadt != NULL)
		outb((uint16_t)(fadt[120] | fadt[121] << 8), fadt[128]);
}

static void by_triple_fault(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0\n\tint3" : : "m"(none) : "memory");
}

static void by_keyboard(void)
{
	outb(KBD_STATUS, 0xfe);
}

static void on_other_cpu(void *reset)
{
	((void (*)(void))(uintptr_t)reset)();
	for (;;)
		__asm__ volatile("hlt");
}

static void from_other_cpu(void (*reset)(void))
{
	on_cpu_async(1, on_other_cpu, (void *)(uintptr_t)reset);
}

/* This CPU sleeps, deaf, while another one resets the machine. */
static void by_other_while_halted(void)
{
	from_other_cpu(by_reset_port);
	cli();
	__asm__ volatile("hlt");
}

static void by_other_while_busy(void)
{
	cli();
	from_other_cpu(by_triple_fault);
	for (;;)
		;
}

/* The board that Aril makes for pre-launched VMs: resets by triple fault, and so on. */
static bool on_our_board(void)
{
	const uint8_t *fadt = acpi_find("FACP");

	return on_hypervisor() && fadt != NULL && memcmp(fadt + 16, "ARILPRE", 7) == 0;
}

/* Elsewhere it resets the CPU alone, and the firmware decides what that means. */
static bool has_keyboard(void)
{
	return on_our_board() && inb(KBD_STATUS) != 0xff;
}

static bool has_other_cpu(void)
{
	return smp_online() > 1;
}

static bool has_other_cpu_on_our_board(void)
{
	return on_our_board() && has_other_cpu();
}

static bool always(void)
{
	return true;
}

static const struct {
	const char *name;
	void (*reset)(void);
	bool (*possible)(void);
} ways[] = {
	{ "reset port, 0x06", by_reset_port, always },
	{ "reset port, 0x0e", by_full_reset, always },
	{ "reset port, 0x04", by_soft_reset, on_our_board },	/* elsewhere it is the firmware's to start again */
	{ "reset register of the FADT", by_fadt, on_our_board },
	{ "triple fault", by_triple_fault, on_our_board },
	{ "keyboard controller", by_keyboard, has_keyboard },
	{ "reset port, by another CPU, this one halts", by_other_while_halted, has_other_cpu },
	{ "triple fault of another CPU, this one works", by_other_while_busy, has_other_cpu_on_our_board },
};

/* Things that a reset must undo. */
static void leave_traces(void)
{
	data_word = OLD_LIFE;
	bss_word = OLD_LIFE;
	wrmsr(MSR_STAR, 0x1234567800000000UL);
	wrmsr(MSR_SYSENTER_ESP, OLD_LIFE);
	write_dr0(0x1234000);
	write_dr7(0x401);
	if (lapic_x2apic_supported() && on_hypervisor())
		lapic_enter_x2apic();
	lapic_write(APIC_TDCR, 0xb);
	lapic_write(APIC_LVT_TIMER, LVT_PERIODIC | VEC_TIMER);
	lapic_write(APIC_TMICT, 20000);
	if (ioapic_present())
		ioapic_set_rte(ioapic_isa_pin(0), VEC_TIMER);
	rtc_write(RTC_B, (uint8_t)(rtc_read(RTC_B) | RTC_B_PIE));
}

static void check_traces(void)
{
	report(data_word == MAGIC && bss_word == 0, "the image is loaded anew: data as it was linked, BSS clear");
	report(rdmsr(MSR_STAR) == 0 && rdmsr(MSR_SYSENTER_ESP) == 0, "STAR and SYSENTER_ESP are 0");
	report(read_dr0() == 0 && (read_dr7() & 0xff) == 0, "debug registers are 0");
	report(!lapic_in_x2apic(), "the local APIC is in xAPIC mode");
	report((lapic_read(APIC_LVT_TIMER) & LVT_MASKED) != 0 && lapic_read(APIC_TMICT) == 0,
	       "the local APIC's timer stands, masked");
	report(!ioapic_present() || (ioapic_rte(ioapic_isa_pin(0)) & RTE_MASKED) != 0,
	       "the I/O APIC's pins are masked");
	report((rtc_read(RTC_B) & RTC_B_PIE) == 0, "the clock's periodic interrupt is off");
	report((rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP) != 0, "this is the boot CPU");
}

static void check_reset_register(void)
{
	report(inb(RESET_PORT) == 0, "the reset register is 0");
	outb(RESET_PORT, 0x0a);
	report(inb(RESET_PORT) == 0x0a, "it keeps the kind of reset, which by itself does nothing");
	outb(RESET_PORT, 0);
}

static void check_cpus(void)
{
	unsigned int expected = smp_expected();

	lapic_enable();
	report(smp_start() == expected, "all CPUs wait for INIT and SIPI, and come up");
}

void test_main(void)
{
	unsigned int lives = 0;

	if (!rtc_present()) {
		report_skip("no CMOS RAM");
		return;
	}
	if (rtc_read(CMOS_MAGIC) == MAGIC) {
		lives = rtc_read(CMOS_LIVES);
		report(lives <= ARRAY_SIZE(ways), "as many lives as ways to end one");
		if (lives > 0 && lives <= ARRAY_SIZE(ways))
			report_prefix(ways[lives - 1].name);
		check_traces();
	}
	if (on_our_board())
		check_reset_register();
	check_cpus();
	report_prefix(NULL);
	for (; lives < ARRAY_SIZE(ways); lives++) {
		if (!ways[lives].possible())
			continue;
		rtc_write(CMOS_LIVES, (uint8_t)(lives + 1));
		rtc_write(CMOS_MAGIC, MAGIC);
		report_info("now: %s", ways[lives].name);
		console_flush();
		leave_traces();
		ways[lives].reset();
		delay_ticks(PATIENCE);
		report(false, "%s: the machine goes on", ways[lives].name);
	}
	report(lives == ARRAY_SIZE(ways), "every way led to a new life");
	rtc_write(CMOS_MAGIC, 0);
}
