/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine as small test kernels take it, of which there are many outside of this tree: a multiboot 1 image at 4 MiB
 * without header flags; one module that holds the environment, here "NR_CPUS=n"; the local APIC turned off and on
 * again in xAPIC mode; all other CPUs started at once by INIT and one start-up IPI to "all but self", without a pause
 * between them, at address 0, where RAM is; APIC ids from 0 without gaps, as indices of tables; then x2APIC mode; the
 * RSDT; the end by a 32-bit OUT to 0xF4.
 */
#include <guests/lib/acpi.h>
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>

const char subject_name[] = "flat";

static unsigned int cpus = 1;
static uint32_t seen_ids, x2apic_ids;

/* SDM vol. 3 section 11.4.3: off loses everything, on again is xAPIC mode. */
static void restart_apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC));
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE);
	lapic_enable();
}

static void restart_and_note(void *arg)
{
	(void)arg;
	restart_apic();
	__atomic_or_fetch(&seen_ids, 1U << lapic_id(), __ATOMIC_SEQ_CST);
}

static void enter_x2apic(void *arg)
{
	(void)arg;
	lapic_enter_x2apic();
	__atomic_or_fetch(&x2apic_ids, 1U << lapic_id(), __ATOMIC_SEQ_CST);
}

static unsigned int env_number(const char *p, const char *end)
{
	unsigned int n = 0;

	for (; p < end && *p >= '0' && *p <= '9'; p++)
		n = 10 * n + (unsigned int)(*p - '0');
	return n;
}

static void read_environment(void)
{
	struct boot_module env = boot_module_get(0);

	report(boot_module_count() == 1 && env.end > env.start, "one module");
	if (env.end - env.start > 8 && memcmp((const char *)env.start, "NR_CPUS=", 8) == 0)
		cpus = env_number((const char *)env.start + 8, (const char *)env.end);
	report(cpus >= 1 && cpus <= 16, "it is the environment");
}

static void test_cpus(void)
{
	uint32_t all = (1U << cpus) - 1;
	bool ok = true;

	smp_trampoline_install_at(0);
	lapic_ipi(ICR_INIT | ICR_ASSERT | ICR_OTHERS, 0);
	lapic_ipi(ICR_STARTUP | ICR_OTHERS | 0, 0);
	report(smp_wait_online(cpus), "all CPUs start at address 0 by one INIT and one SIPI to all others");
	delay_ticks(1000000);
	report(smp_online() == cpus, "not more than NR_CPUS says");
	for (unsigned int i = 0; i < smp_online(); i++)
		ok = on_cpu(i, restart_and_note, NULL) && ok;
	report(ok && seen_ids == all, "each restarts its APIC; their ids count from 0 without gaps");
	for (unsigned int i = smp_online(); i-- > 0;)
		ok = on_cpu(i, enter_x2apic, NULL) && ok;
	report(ok && x2apic_ids == all, "and keeps its id in x2APIC mode");
}

static void test_tables(void)
{
	const uint8_t *rsdp = NULL;
	uint32_t rsdt = 0, len = 0;
	bool fadt = false;

	for (uint64_t at = 0xe0000; at < 0x100000 && rsdp == NULL; at += 16) {
		if (memcmp((const void *)at, "RSD PTR ", 8) == 0)
			rsdp = (const uint8_t *)at;
	}
	report(rsdp != NULL, "the root pointer is found below 1 MiB");
	if (rsdp == NULL)
		return;
	memcpy(&rsdt, rsdp + 16, 4);
	report(rsdt != 0 && memcmp((const void *)(uint64_t)rsdt, "RSDT", 4) == 0, "there is an RSDT");
	if (rsdt != 0)
		memcpy(&len, (const uint8_t *)(uint64_t)rsdt + 4, 4);
	for (uint32_t at = 36; at + 4 <= len; at += 4) {
		uint32_t table;

		memcpy(&table, (const uint8_t *)(uint64_t)rsdt + at, 4);
		fadt = fadt || memcmp((const void *)(uint64_t)table, "FACP", 4) == 0;
	}
	report(fadt, "it lists the FADT");
}

void test_main(void)
{
	volatile uint64_t address = 0x10;
	volatile uint8_t *page0 = (volatile uint8_t *)address;
	uint16_t com1, base_kib;

	read_environment();
	*page0 = 0xa5;
	report(*page0 == 0xa5, "page 0 is RAM");
	address = 0x400;
	memcpy(&com1, (const void *)address, 2);
	memcpy(&base_kib, (const void *)(address + 0x13), 2);
	report(com1 == 0x3f8 && base_kib == 640, "BIOS data: COM1 and the base memory");
	report(strcmp(boot_cmdline(), "flat.elf first second") == 0, "the command line is as written");
	restart_apic();
	report(lapic_id() == 0 && !lapic_in_x2apic(), "the boot CPU has APIC id 0, in xAPIC mode");
	test_tables();
	test_cpus();
}
