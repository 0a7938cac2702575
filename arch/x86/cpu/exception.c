/* SPDX-License-Identifier: BSD-3-Clause */
/* Exceptions of the hypervisor itself: a fix-up where one is foreseen (rdmsr_safe()), else the end. */
#include <asm/cpu.h>
#include <asm/exception.h>
#include <asm/irq.h>
#include <asm/lapic.h>
#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/dump.h>
#include <hv/log.h>

#define VECTOR_FIRST_IRQ 32U

struct ex_entry {
	uint64_t fault_rip;
	uint64_t fixup_rip;
};

extern const struct ex_entry ex_table_start[];
extern const struct ex_entry ex_table_end[];

static const char *const exc_names[] = {
	[EXC_DE] = "#DE divide error",
	[EXC_DB] = "#DB debug",
	[EXC_NMI] = "NMI",
	[EXC_BP] = "#BP breakpoint",
	[EXC_OF] = "#OF overflow",
	[EXC_BR] = "#BR bound",
	[EXC_UD] = "#UD invalid opcode",
	[EXC_NM] = "#NM device not available",
	[EXC_DF] = "#DF double fault",
	[EXC_TS] = "#TS invalid TSS",
	[EXC_NP] = "#NP segment not present",
	[EXC_SS] = "#SS stack fault",
	[EXC_GP] = "#GP general protection",
	[EXC_PF] = "#PF page fault",
	[EXC_MF] = "#MF x87",
	[EXC_AC] = "#AC alignment",
	[EXC_MC] = "#MC machine check",
	[EXC_XM] = "#XM SIMD",
	[EXC_VE] = "#VE virtualization",
	[EXC_CP] = "#CP control protection",
};

static bool stopping; /* a CPU has panicked: an NMI means halt */
static uint32_t nmi_count;

uint32_t exception_nmi_count(void)
{
	return __atomic_load_n(&nmi_count, __ATOMIC_RELAXED);
}

void exception_stop_other_cpus(void)
{
	if (!__atomic_exchange_n(&stopping, true, __ATOMIC_SEQ_CST) && lapic_is_ready()) {
		for (uint16_t cpu = 0U; cpu < arch_cpu_count(); cpu++) {
			if (cpu != arch_cpu_id()) {
				lapic_send_ipi(arch_cpu_apic_id(cpu), ICR_NMI | ICR_ASSERT);
			}
		}
	}
}

static bool fixed_up(struct exc_frame *frame)
{
	for (const struct ex_entry *entry = ex_table_start; entry < ex_table_end; entry++) {
		if (entry->fault_rip == frame->rip) {
			frame->rip = entry->fixup_rip;
			return true;
		}
	}
	return false;
}

static void nmi(void)
{
	if (__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
		cpu_halt_forever();
	}
	/*
	 * Not ours to interpret; counted for the status display. No log here: the interrupted code may hold its lock.
	 */
	(void)__atomic_fetch_add(&nmi_count, 1U, __ATOMIC_RELAXED);
}

static void __noreturn unexpected(const struct exc_frame *frame)
{
	const char *name = frame->vector < ARRAY_SIZE(exc_names) ? exc_names[frame->vector] : NULL;
	const struct dump_regs regs = {
		.rip = frame->rip,
		.rsp = frame->rsp,
		.rbp = frame->rbp,
		.rflags = frame->rflags,
		.rax = frame->rax,
		.rbx = frame->rbx,
		.rcx = frame->rcx,
		.rdx = frame->rdx,
		.rsi = frame->rsi,
		.rdi = frame->rdi,
		.r8 = frame->r8,
		.r9 = frame->r9,
		.r10 = frame->r10,
		.r11 = frame->r11,
		.r12 = frame->r12,
		.r13 = frame->r13,
		.r14 = frame->r14,
		.r15 = frame->r15,
		.cr0 = read_cr0(),
		.cr2 = read_cr2(),
		.cr3 = read_cr3(),
		.cr4 = read_cr4(),
	};

	panic_with_regs(&regs, "exception %lu (%s), error code 0x%lx, at %#lx%s", frame->vector,
		name != NULL ? name : "reserved", frame->error, frame->rip,
		frame->vector == EXC_DF ? " (if CR2 is just below a stack: stack overflow)" : "");
}

void exception_dispatch(struct exc_frame *frame)
{
	if (frame->vector >= VECTOR_FIRST_IRQ) {
		irq_dispatch((uint32_t)frame->vector);
	} else if (frame->vector == EXC_NMI) {
		nmi();
	} else if ((frame->vector != EXC_GP && frame->vector != EXC_PF && frame->vector != EXC_UD) ||
		!fixed_up(frame)) {
		unexpected(frame);
	}
}
