/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting the other CPUs and giving them work. */
#include <guests/lib/acpi.h>
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>

#define INIT_DELAY_TICKS	400000U		/* simulators count one tick an instruction */
#define START_PATIENCE_TICKS	100000000UL
#define BROADCAST_TICKS		4000000UL
#define WORK_PATIENCE_TICKS	400000000UL

struct work {
	void (*fn)(void *);
	void *arg;
	uint32_t apic_id, init_cr0, init_edx;
	bool online;
};

extern const uint8_t ap_trampoline[], ap_trampoline_end[];
extern volatile uint32_t ap_next;
void ap_main(unsigned int cpu, uint64_t cr0, uint32_t edx);

static struct work works[MAX_CPUS] = { { .online = true } };
static unsigned int online = 1;
static bool want_x2apic;

unsigned int smp_expected(void)
{
	struct madt_facts m;

	return acpi_madt(&m) && m.cpu_count > 0 ? m.cpu_count : 1;
}

unsigned int smp_online(void)
{
	return __atomic_load_n(&online, __ATOMIC_ACQUIRE);
}

uint32_t smp_apic_id(unsigned int cpu)
{
	return cpu == 0 ? lapic_id() : works[cpu].apic_id;
}

uint32_t smp_init_cr0(unsigned int cpu)
{
	return works[cpu].init_cr0;
}

uint32_t smp_init_edx(unsigned int cpu)
{
	return works[cpu].init_edx;
}

/* An AP comes here from start.S and stays. */
void ap_main(unsigned int cpu, uint64_t cr0, uint32_t edx)
{
	struct work *w = &works[cpu];

	trap_init_cpu(cpu);
	trap_set_handler(VEC_CPU_WAKE, trap_handler_eoi);
	if (want_x2apic)
		lapic_enter_x2apic();
	else
		lapic_enable();
	w->apic_id = lapic_id();
	w->init_cr0 = (uint32_t)cr0;
	w->init_edx = edx;
	w->online = true;
	__atomic_add_fetch(&online, 1, __ATOMIC_ACQ_REL);
	for (;;) {
		void (*fn)(void *);

		cli();
		fn = __atomic_load_n(&w->fn, __ATOMIC_ACQUIRE);
		if (fn == NULL) {
			sti_hlt_cli();
			continue;
		}
		sti();
		fn(w->arg);
		__atomic_store_n(&w->fn, NULL, __ATOMIC_RELEASE);
	}
}

void smp_trampoline_install(void)
{
	smp_trampoline_install_at(AP_TRAMPOLINE_PAGE);
}

void smp_trampoline_install_at(uint32_t address)
{
	volatile uint64_t page = address;	/* 0 is a place like others */

	want_x2apic = lapic_in_x2apic();
	memcpy((void *)page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
}

bool smp_wait_online(unsigned int count)
{
	uint64_t start = rdtsc();

	while (smp_online() < count) {
		if (rdtsc() - start > START_PATIENCE_TICKS)
			return false;
		cpu_pause();
	}
	return true;
}

unsigned int smp_start(void)
{
	struct madt_facts m;
	uint32_t self = lapic_id();

	smp_trampoline_install();
	if (acpi_madt(&m) && m.cpu_count > 0) {
		for (unsigned int i = 0; i < m.cpu_count; i++) {
			unsigned int before = smp_online();

			if (m.apic_ids[i] == self)
				continue;
			lapic_ipi(ICR_INIT | ICR_ASSERT, m.apic_ids[i]);
			delay_ticks(INIT_DELAY_TICKS);
			for (int sipi = 0; sipi < 2 && smp_online() == before; sipi++) {
				lapic_ipi(ICR_STARTUP | ICR_ASSERT | AP_TRAMPOLINE_PAGE >> 12,
					  m.apic_ids[i]);
				delay_ticks(INIT_DELAY_TICKS / 4);
			}
			smp_wait_online(before + 1);
		}
		return smp_online();
	}
	lapic_ipi(ICR_INIT | ICR_ASSERT | ICR_OTHERS, 0);
	delay_ticks(INIT_DELAY_TICKS);
	lapic_ipi(ICR_STARTUP | ICR_ASSERT | ICR_OTHERS | AP_TRAMPOLINE_PAGE >> 12, 0);
	delay_ticks(BROADCAST_TICKS);
	return smp_online();
}

void on_cpu_async(unsigned int cpu, void (*fn)(void *), void *arg)
{
	struct work *w = &works[cpu];

	if (cpu == 0) {
		fn(arg);
		return;
	}
	w->arg = arg;
	__atomic_store_n(&w->fn, fn, __ATOMIC_RELEASE);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | VEC_CPU_WAKE, w->apic_id);
}

bool on_cpu_wait(unsigned int cpu)
{
	uint64_t start = rdtsc();

	while (__atomic_load_n(&works[cpu].fn, __ATOMIC_ACQUIRE) != NULL) {
		if (rdtsc() - start > WORK_PATIENCE_TICKS)
			return false;
		cpu_pause();
	}
	return true;
}

bool on_cpu(unsigned int cpu, void (*fn)(void *), void *arg)
{
	on_cpu_async(cpu, fn, arg);
	return on_cpu_wait(cpu);
}
