/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Application processors. Index 0 is the boot CPU; the others count in the order of arrival.
 */
#ifndef GUESTS_LIB_SMP_H
#define GUESTS_LIB_SMP_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_CPUS		64
#define AP_TRAMPOLINE_PAGE	0x8000U	/* its page number is the start-up IPI's vector */

struct spinlock {
	uint32_t locked;
};

static inline void spin_lock(struct spinlock *l)
{
	while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE) != 0) {
		while (__atomic_load_n(&l->locked, __ATOMIC_RELAXED) != 0)
			__asm__ volatile("pause");
	}
}

static inline void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
}

/* CPUs this machine says it has: enabled MADT entries, at least 1. */
unsigned int smp_expected(void);
/* Start all by INIT, SIPI, SIPI (needs lapic_enable()). Returns the number of CPUs online, BSP
 * included. Without a MADT a broadcast is sent and counted for a while. */
unsigned int smp_start(void);
unsigned int smp_online(void);
/* Copy the trampoline to AP_TRAMPOLINE_PAGE without starting anybody. */
void smp_trampoline_install(void);
/* The same to another page below 1 MiB. */
void smp_trampoline_install_at(uint32_t address);
/* APIC id of an online CPU, as it read it itself. */
uint32_t smp_apic_id(unsigned int cpu);
/* CR0 and EDX as the AP found them after its start-up IPI (SDM vol. 3, table 10-1). */
uint32_t smp_init_cr0(unsigned int cpu);
uint32_t smp_init_edx(unsigned int cpu);
/* Wait until at least @count CPUs are online or the patience is over. */
bool smp_wait_online(unsigned int count);

/* Have an idle CPU run fn(arg) with interrupts on (cpu 0: call it here). Does not wait. */
void on_cpu_async(unsigned int cpu, void (*fn)(void *), void *arg);
/* Wait for the CPU to be idle again; false when the patience is over. */
bool on_cpu_wait(unsigned int cpu);
bool on_cpu(unsigned int cpu, void (*fn)(void *), void *arg);

#endif /* GUESTS_LIB_SMP_H */
