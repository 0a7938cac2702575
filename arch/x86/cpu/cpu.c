/* SPDX-License-Identifier: BSD-3-Clause */
/* The pCPUs that are up, and small services of the CPU. */
#include <asm/caps.h>
#include <asm/cpu.h>
#include <asm/exception.h>
#include <asm/irq.h>
#include <asm/lapic.h>
#include <asm/page.h>
#include <asm/setup.h>
#include <config.h>
#include <hv/arch.h>
#include <hv/dump.h>
#include <hv/log.h>

static struct percpu *percpu_table[CONFIG_MAX_PCPU_NUM];
static uint16_t cpu_count;

void percpu_register(struct percpu *percpu)
{
	percpu_table[percpu->cpu_id] = percpu;
	__atomic_store_n(&cpu_count, (uint16_t)(percpu->cpu_id + 1U), __ATOMIC_RELEASE);
}

/* @return the data of pCPU `cpu` */
static struct percpu *percpu_of(uint16_t cpu)
{
	ASSERT(cpu < cpu_count);
	return percpu_table[cpu];
}

uint16_t arch_cpu_count(void)
{
	return __atomic_load_n(&cpu_count, __ATOMIC_ACQUIRE);
}

uint32_t arch_cpu_apic_id(uint16_t cpu)
{
	return percpu_of(cpu)->apic_id;
}

hpa_t hva_to_hpa(const void *hva)
{
	const uint64_t addr = (uint64_t)hva;

	if (addr >= HV_IMAGE_BASE) {
		ASSERT(addr - HV_IMAGE_BASE < (uint64_t)image_end - (uint64_t)image_start);
		return addr - HV_IMAGE_BASE + hv_load_base;
	}
	ASSERT(addr >= HV_DIRECT_BASE && addr < HV_MMIO_BASE);
	return addr - HV_DIRECT_BASE;
}

void arch_kick_cpu(uint16_t cpu)
{
	if (cpu != arch_cpu_id()) {
		lapic_send_ipi(arch_cpu_apic_id(cpu), VECTOR_KICK | ICR_ASSERT);
	}
}

void arch_idle(void)
{
	struct percpu *self = this_percpu();

	self->in_idle = true;
	/* STI takes effect after HLT has begun: an interrupt that is already pending ends the HLT at once. */
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	self->in_idle = false;
}

void arch_irq_window(void)
{
	/* STI's shadow covers the NOP: what waits is taken between it and CLI. */
	__asm__ volatile("sti; nop; cli" : : : "memory");
}

uint64_t arch_now(void)
{
	return rdtsc();
}

void arch_guest_access_begin(void)
{
	stac();
}

void arch_guest_access_end(void)
{
	clac();
}

void arch_stop_others(void)
{
	exception_stop_other_cpus();
}

void arch_get_regs(struct dump_regs *regs)
{
	*regs = (struct dump_regs){0};
	__asm__ volatile("movq %%rbx, %0" : "=m"(regs->rbx));
	__asm__ volatile("movq %%r12, %0" : "=m"(regs->r12));
	__asm__ volatile("movq %%r13, %0" : "=m"(regs->r13));
	__asm__ volatile("movq %%r14, %0" : "=m"(regs->r14));
	__asm__ volatile("movq %%r15, %0" : "=m"(regs->r15));
	/* Where the caller is, as if it had just been interrupted after this call. */
	regs->rbp = *(const uint64_t *)__builtin_frame_address(0);
	regs->rsp = (uint64_t)__builtin_frame_address(0) + 16UL;
	regs->rip = (uint64_t)__builtin_return_address(0);
	regs->rflags = read_rflags();
	regs->cr0 = read_cr0();
	regs->cr2 = read_cr2();
	regs->cr3 = read_cr3();
	regs->cr4 = read_cr4();
}
