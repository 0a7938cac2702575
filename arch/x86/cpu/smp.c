/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting the other CPUs: INIT, SIPI, SIPI (SDM vol 3, 9.4.4), one after the other. */
#include <asm/caps.h>
#include <asm/cpu.h>
#include <asm/desc.h>
#include <asm/lapic.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <asm/paging.h>
#include <asm/setup.h>
#include <asm/clock.h>
#include <config.h>
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <lib/bits.h>
#include <lib/string.h>

#define TRAMPOLINE_LOW  0x1000UL /* page 0 holds the real-mode vectors and the BIOS data */
#define TRAMPOLINE_HIGH 0xA0000UL

enum ap_state { AP_WAIT, AP_UP, AP_REFUSED };

static uint32_t ap_state; /* of the one that is being started */
static const char *ap_refusal;
static void (*ap_entry)(void);

static void set_param(uint8_t *page, const uint8_t *param, uint64_t value)
{
	(void)memcpy(page + (param - trampoline_start), &value, sizeof(value));
}

/* Puts the trampoline into a free page below 1 MiB. @return its address, or INVALID_HPA */
static hpa_t place_trampoline(void)
{
	const hpa_t hpa = memory_find_free(PAGE_SIZE, PAGE_SIZE, TRAMPOLINE_LOW, TRAMPOLINE_HIGH);
	uint8_t *page;

	if (hpa == INVALID_HPA) {
		pr_err("no free page below 640 KiB for starting CPUs: only the boot CPU is used");
		return INVALID_HPA;
	}
	memory_reserve(hpa, PAGE_SIZE, "CPU start-up page");
	page = hpa_to_hva(hpa);
	arch_guest_access_begin();
	(void)memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	set_param(page, trampoline_param_cr3, hva_to_hpa(boot_pml4));
	set_param(page, trampoline_param_entry, (uint64_t)boot_ap_high);
	set_param(page, trampoline_param_nx, cpu_caps.has_nx ? EFER_NXE : 0UL);
	arch_guest_access_end();
	return hpa;
}

static bool wait_for_ap(uint64_t ms)
{
	const uint64_t end = rdtsc() + ms * arch_tsc_khz();

	while (__atomic_load_n(&ap_state, __ATOMIC_ACQUIRE) == AP_WAIT) {
		if (rdtsc() > end) {
			return false;
		}
		cpu_pause();
	}
	return true;
}

static void start_ap(uint32_t apic_id, hpa_t trampoline)
{
	const uint32_t order = fls64((sizeof(struct cpu_area) - 1UL) / PAGE_SIZE) + 1U;
	struct cpu_area *area = pages_alloc(order, PAGE_OWNER_HV);
	const uint16_t cpu_id = arch_cpu_count();
	const uint32_t startup = ICR_STARTUP | ICR_ASSERT | (uint32_t)(trampoline >> PAGE_SHIFT);

	if (area == NULL) {
		pr_err("no memory for the CPU with APIC id %u: not used", apic_id);
		return;
	}
	area->percpu.cpu_id = cpu_id;
	area->percpu.apic_id = apic_id;
	area->percpu.deadline = UINT64_MAX;
	gdt_guard_stacks(area);
	arch_guest_access_begin();
	set_param(hpa_to_hva(trampoline), trampoline_param_area, (uint64_t)area);
	arch_guest_access_end();
	__atomic_store_n(&ap_state, AP_WAIT, __ATOMIC_RELEASE);

	lapic_send_ipi(apic_id, ICR_INIT | ICR_LEVEL | ICR_ASSERT);
	clock_delay_us(10000UL);
	lapic_send_ipi(apic_id, startup);
	if (!wait_for_ap(1UL)) {
		lapic_send_ipi(apic_id, startup);
	}
	if (!wait_for_ap(CONFIG_AP_START_TIMEOUT_MS)) {
		/* Its stack and area stay taken: it may still come. INIT keeps it from running into the next one's. */
		lapic_send_ipi(apic_id, ICR_INIT | ICR_LEVEL | ICR_ASSERT);
		pr_err("the CPU with APIC id %u did not start within %u ms: not used", apic_id,
			CONFIG_AP_START_TIMEOUT_MS);
	} else if (__atomic_load_n(&ap_state, __ATOMIC_ACQUIRE) == AP_REFUSED) {
		pr_err("the CPU with APIC id %u is not used: %s", apic_id, ap_refusal);
	}
}

void arch_start_aps(void (*entry)(void))
{
	const uint32_t self = arch_cpu_apic_id(0U);
	hpa_t trampoline = INVALID_HPA;
	uint32_t skipped = acpi_info.cpus_ignored;

	ap_entry = entry;
	for (uint32_t i = 0U; i < acpi_info.cpu_count; i++) {
		if (acpi_info.cpu_apic_id[i] == self) {
			continue;
		}
		if (arch_cpu_count() == CONFIG_MAX_PCPU_NUM ||
			(!lapic_is_x2apic() && acpi_info.cpu_apic_id[i] > 0xFEU)) {
			skipped++;
			continue;
		}
		if (trampoline == INVALID_HPA) {
			trampoline = place_trampoline();
			if (trampoline == INVALID_HPA) {
				return;
			}
		}
		start_ap(acpi_info.cpu_apic_id[i], trampoline);
	}
	if (skipped != 0U) {
		pr_warn("%u more CPUs are not used (limit %u)", skipped, CONFIG_MAX_PCPU_NUM);
	}
}

static void __noreturn ap_refuse(const char *why)
{
	ap_refusal = why;
	__atomic_store_n(&ap_state, AP_REFUSED, __ATOMIC_RELEASE);
	cpu_halt_forever();
}

void __noreturn smp_ap_main(struct cpu_area *area)
{
	const char *why;

	gdt_load(area);
	idt_load();
	paging_load();
	if (!caps_check_ap(&why)) {
		ap_refuse(why);
	}
	lapic_init_cpu();
	clock_init_cpu();
	if (lapic_id() != area->percpu.apic_id) {
		ap_refuse("its APIC id is not what the MADT tells");
	}
	percpu_register(&area->percpu);
	__atomic_store_n(&ap_state, AP_UP, __ATOMIC_RELEASE);
	ap_entry();
	cpu_halt_forever();
}
