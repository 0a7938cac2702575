/* SPDX-License-Identifier: BSD-3-Clause */
/* arch/x86/guest/vmexit.c, with a guest that is a list of exits, and an array as VMCS (tests/fake/vmcs). */
#include <asm/guest.h>

#include <asm/apicv.h>
#include <asm/irq.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/speculation.h>
#include <asm/vmcs.h>
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/log.h>
#include <hv/trace.h>
#include <hv/upcall.h>
#include <lib/errno.h>
#include <string.h>

#include "unit.h"

#define RIP   0x1000UL
#define LMA   0x400UL
#define CODE  0x409BU /* 32-bit */
#define CODE6 0xA09BU /* 64-bit */
#define RING3 0x60U

uint64_t fake_vmcs[FAKE_VMCS_FIELDS];
struct percpu fake_percpu;
struct speculation speculation;
struct sched_give_way sched_give_way[CONFIG_MAX_PCPU_NUM];
uint32_t trace_classes;

static struct acrn_vm vm;
static struct acrn_vcpu *const vcpu = &vm.vcpus[0];

/* What was asked of others, since start(). */
static struct {
	uint32_t entries, fatal, ud, gp, db, loads, builds, l1d_flushes, invepts, irq_vector, halts, yields;
	uint32_t irq_windows, triple, dumps, injections, traced, wbinvds, timers_set;
	const char *handler;
} seen;

static uint32_t script[8]; /* exit reasons of the entries to come; then kicks */
static uint64_t entry_result;
static int32_t handler_result;
static bool inject_disturbs, is_service, takes_requests;
static uint64_t now;

/* ---- What vmexit.c asks of others ---- */

uint64_t vmx_vmrun(struct guest_gprs *regs, uint32_t how)
{
	(void)regs;
	EXPECT_EQ(how, (uint32_t)vcpu->arch.launched | speculation.guard_entry);
	fake_vmcs[VMX_EXIT_REASON] = (seen.entries < 8U) ? script[seen.entries] : (uint32_t)EXIT_EXTERNAL_INTERRUPT;
	seen.entries++;
	return entry_result;
}

#define HANDLER(name)                                                                                                  \
	int32_t name##_vmexit_handler(struct acrn_vcpu *of)                                                            \
	{                                                                                                              \
		EXPECT(of == vcpu);                                                                                    \
		seen.handler = #name;                                                                                  \
		return handler_result;                                                                                 \
	}

HANDLER(exception)
HANDLER(window)
HANDLER(task_switch)
HANDLER(cpuid)
HANDLER(vmcall)
HANDLER(cr_access)
HANDLER(dr_access)
HANDLER(pio_instr)
HANDLER(rdmsr)
HANDLER(wrmsr)
HANDLER(virtualized_eoi)
HANDLER(ept_violation)
HANDLER(xsetbv)
HANDLER(apic_write)

void vcpu_fatal(struct acrn_vcpu *of, const char *fmt, ...)
{
	EXPECT(of == vcpu && fmt != NULL);
	seen.fatal++;
}

void vcpu_inject_ud(struct acrn_vcpu *of)
{
	(void)of;
	seen.ud++;
}

void vcpu_inject_gp(struct acrn_vcpu *of)
{
	(void)of;
	seen.gp++;
}

void vcpu_inject_db(struct acrn_vcpu *of, uint64_t bits)
{
	(void)of;
	EXPECT_EQ(bits, 0x4000UL);
	seen.db++;
}

void vcpu_inject_events(struct acrn_vcpu *of)
{
	seen.injections++;
	of->arch.check_events = CHECK_NOTHING;
	if (inject_disturbs) {
		of->requests = 1UL << VCPU_REQ_EVENT;
	}
}

bool vcpu_take_requests(struct acrn_vcpu *of)
{
	of->requests = 0UL;
	return takes_requests;
}

void arch_vcpu_load(struct acrn_vcpu *of)
{
	fake_percpu.loaded_vcpu = of;
	seen.loads++;
}

void vcpu_build(struct acrn_vcpu *of)
{
	of->arch.init_pending = false;
	seen.builds++;
}

bool vcpu_in_64bit_code(struct acrn_vcpu *of)
{
	return ((of->arch.efer & LMA) != 0UL) && (fake_vmcs[VMX_GUEST_CS_AR] == CODE6);
}

void wrmsr(uint32_t msr, uint64_t value)
{
	EXPECT_EQ(msr, MSR_IA32_FLUSH_CMD);
	EXPECT_EQ(value, 1UL);
	seen.l1d_flushes++;
}

void cpu_wbinvd(void)
{
	seen.wbinvds++;
}

void vmx_invept(uint64_t eptp)
{
	EXPECT_EQ(eptp, vm.arch.eptp);
	seen.invepts++;
}

void vmx_preemption_timer_set(void)
{
	seen.timers_set++;
}

void irq_dispatch(uint32_t vector)
{
	seen.irq_vector = vector;
	fake_vmcs[VMX_EXIT_INTR_INFO] = 0x80000000UL | VECTOR_KICK; /* the next one */
}

void vcpu_triple_fault(struct acrn_vcpu *of)
{
	(void)of;
	seen.triple++;
}

void vcpu_halt(struct acrn_vcpu *of)
{
	(void)of;
	seen.halts++;
}

void vcpu_yield(struct acrn_vcpu *of)
{
	(void)of;
	seen.yields++;
}

void arch_irq_window(void)
{
	seen.irq_windows++;
}

bool vm_is_service(const struct acrn_vm *of)
{
	(void)of;
	return is_service;
}

void trace_record(uint32_t id, uint16_t who, uint32_t arg, uint64_t a, uint64_t b)
{
	(void)who;
	(void)a;
	(void)b;
	EXPECT((id == TRACE_ENTRY) || ((id == TRACE_EXIT) && (arg == vcpu->arch.exit_reason)));
	seen.traced++;
}

uint64_t arch_now(void)
{
	return now += 10UL;
}

void speculation_host(void)
{
}

void vmx_dump(void)
{
	seen.dumps++;
}

uint32_t vmcs_check(void)
{
	return 0U;
}

const char *vmx_exit_name(uint32_t reason)
{
	(void)reason;
	return "name";
}

void vmx_insn_failed(const char *insn, uint64_t operand)
{
	(void)insn;
	(void)operand;
	__builtin_trap();
}

void log_line(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

void log_guest(uint16_t vm_id, uint16_t vcpu_id, const char *fmt, ...)
{
	(void)vm_id;
	(void)vcpu_id;
	(void)fmt;
}

/* ---- Set-up ---- */

/* 64-bit code at RIP, CPL 0; each exit has an instruction of 2 bytes. */
static void start(void)
{
	memset(&vm, 0, sizeof(vm));
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	memset(&seen, 0, sizeof(seen));
	memset(&speculation, 0, sizeof(speculation));
	for (uint32_t i = 0U; i < 8U; i++) {
		script[i] = EXIT_EXTERNAL_INTERRUPT;
	}
	vcpu->vm = &vm;
	vcpu->until_timed = 1000U;
	vcpu->arch.efer = LMA;
	vm.arch.eptp = 0x5000UL;
	fake_vmcs[VMX_GUEST_RIP] = RIP;
	fake_vmcs[VMX_GUEST_CS_AR] = CODE6;
	fake_vmcs[VMX_GUEST_RFLAGS] = 2UL;
	fake_vmcs[VMX_EXIT_INSTR_LEN] = 2UL;
	fake_vmcs[VMX_EXIT_INTR_INFO] = 0x80000000UL | VECTOR_KICK;
	fake_percpu.loaded_vcpu = vcpu;
	sched_give_way[0].now = false;
	trace_classes = 0U;
	entry_result = 0UL;
	handler_result = VMEXIT_ENTER_AGAIN;
	inject_disturbs = false;
	is_service = false;
	takes_requests = true;
}

/* The guest exits for `reason`; then for a kick, which ends the run. @return arch_vcpu_run()'s */
static int32_t exit_for(uint32_t reason)
{
	script[seen.entries] = reason;
	return arch_vcpu_run(vcpu);
}

/* ---- Dispatch ---- */

TEST(vmexit_each_reason_goes_to_its_handler)
{
	static const struct {
		uint32_t reason;
		const char *name;
	} expected[] = {{EXIT_EXCEPTION_NMI, "exception"}, {EXIT_INT_WINDOW, "window"}, {EXIT_NMI_WINDOW, "window"},
		{EXIT_TASK_SWITCH, "task_switch"}, {EXIT_CPUID, "cpuid"}, {EXIT_VMCALL, "vmcall"},
		{EXIT_CR_ACCESS, "cr_access"}, {EXIT_DR_ACCESS, "dr_access"}, {EXIT_IO_INSTRUCTION, "pio_instr"},
		{EXIT_RDMSR, "rdmsr"}, {EXIT_WRMSR, "wrmsr"}, {EXIT_TPR_BELOW_THRESHOLD, "window"},
		{EXIT_VIRTUALIZED_EOI, "virtualized_eoi"}, {EXIT_EPT_VIOLATION, "ept_violation"},
		{EXIT_XSETBV, "xsetbv"}, {EXIT_APIC_WRITE, "apic_write"}};

	for (uint32_t i = 0U; i < sizeof(expected) / sizeof(expected[0]); i++) {
		start();
		EXPECT_EQ(exit_for(expected[i].reason), 0);
		EXPECT(seen.handler != NULL && strcmp(seen.handler, expected[i].name) == 0);
		EXPECT_EQ(seen.entries, 2U); /* it enters again, up to the interrupt */
		EXPECT_EQ(vcpu->exit_count[expected[i].reason], 1U);
		EXPECT_EQ(vcpu->arch.exit_reason, EXIT_EXTERNAL_INTERRUPT);
	}
}

/* Reasons that the SDM has and no control of ours brings, and those that it may have one day. */
TEST(vmexit_unknown_reason_stops_the_vm)
{
	static const uint32_t reasons[] = {EXIT_INIT, EXIT_SIPI, 5U, 6U, EXIT_INVLPG, EXIT_RDTSC, EXIT_RSM, 35U,
		EXIT_MTF, 38U, 42U, EXIT_APIC_ACCESS, EXIT_GDTR_IDTR, EXIT_LDTR_TR, EXIT_EPT_MISCONFIG, EXIT_RDTSCP,
		EXIT_RDRAND, EXIT_INVPCID, EXIT_RDSEED, 62U, EXIT_XSAVES, EXIT_XRSTORS, 79U, EXIT_REASON_MAX, 0x7FFFU,
		0xFFFFU};

	for (uint32_t i = 0U; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		start();
		EXPECT_EQ(exit_for(reasons[i]), -1);
		EXPECT_EQ(seen.fatal, 1U);
		EXPECT_EQ(seen.ud + seen.entries, 1U);
		start();
		fake_vmcs[VMX_GUEST_SS_AR] = RING3; /* user code only hurts itself */
		EXPECT_EQ(exit_for(reasons[i]), 0);
		EXPECT_EQ(seen.fatal, 0U);
		EXPECT_EQ(seen.ud, 1U);
		EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP);
	}
}

TEST(vmexit_instructions_that_the_guest_does_not_have)
{
	static const uint32_t undefined[] = {EXIT_GETSEC, EXIT_VMCLEAR, EXIT_VMCLEAR + 4U, EXIT_VMXON, EXIT_MWAIT,
		EXIT_MONITOR, EXIT_INVEPT, EXIT_INVVPID, EXIT_VMFUNC, EXIT_ENCLS};

	for (uint32_t i = 0U; i < sizeof(undefined) / sizeof(undefined[0]); i++) {
		start();
		EXPECT_EQ(exit_for(undefined[i]), 0);
		EXPECT_EQ(seen.ud, 1U);
		EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP);
	}
	start();
	EXPECT_EQ(exit_for(EXIT_RDPMC), 0);
	EXPECT_EQ(seen.gp, 1U);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP);
}

TEST(vmexit_small_handlers)
{
	start();
	fake_vmcs[VMX_EXIT_INTR_INFO] = 0x80000041UL;
	EXPECT_EQ(arch_vcpu_run(vcpu), 0);
	EXPECT_EQ(seen.irq_vector, VECTOR_KICK);
	EXPECT_EQ(seen.entries, 2U); /* a device's interrupt is no reason to look up, a kick is */
	start();
	fake_vmcs[VMX_EXIT_INTR_INFO] = 0x80000041UL;
	speculation.flush_l1d = true; /* but then: its handler may have touched another VM's data */
	EXPECT_EQ(arch_vcpu_run(vcpu), 0);
	EXPECT_EQ(seen.irq_vector, 0x41U);
	EXPECT_EQ(seen.entries, 1U);

	start();
	EXPECT_EQ(exit_for(EXIT_TRIPLE_FAULT), -1);
	EXPECT_EQ(seen.triple, 1U);

	start();
	EXPECT_EQ(exit_for(EXIT_PAUSE), 0);
	EXPECT_EQ(seen.yields, 1U);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP + 2UL);

	start();
	EXPECT_EQ(exit_for(EXIT_PREEMPTION_TIMER), 0);
	EXPECT_EQ(seen.irq_windows, 1U);
	EXPECT_EQ(seen.timers_set, 1U);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP);

	start(); /* caches matter to the Service VM only */
	EXPECT_EQ(exit_for(EXIT_WBINVD), 0);
	EXPECT_EQ(exit_for(EXIT_INVD), 0);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP + 4UL);
	EXPECT_EQ(seen.wbinvds, 0U);
	is_service = true;
	EXPECT_EQ(exit_for(EXIT_INVD), 0);
	EXPECT_EQ(seen.wbinvds, 1U);

	EXPECT(strcmp(arch_exit_name(EXIT_CPUID), "name") == 0);
}

TEST(vmexit_hlt_ends_the_sti_shadow)
{
	start();
	fake_vmcs[VMX_GUEST_RFLAGS] = 0x202UL;
	fake_vmcs[VMX_GUEST_INTERRUPTIBILITY] = BLOCK_BY_STI | BLOCK_BY_NMI;
	EXPECT_EQ(exit_for(EXIT_HLT), 0);
	EXPECT_EQ(seen.halts, 1U);
	EXPECT_EQ(seen.entries, 1U);
	EXPECT(vcpu->arch.halt_if && (vcpu->arch.check_events == CHECK_ALL));
	EXPECT_EQ(fake_vmcs[VMX_GUEST_INTERRUPTIBILITY], BLOCK_BY_NMI);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP + 2UL);
	fake_vmcs[VMX_GUEST_RFLAGS] = 2UL;
	EXPECT_EQ(exit_for(EXIT_HLT), 0);
	EXPECT(!vcpu->arch.halt_if);
}

/* ---- The end of an instruction ---- */

static uint64_t rip_after(uint64_t rip, uint64_t efer, uint32_t cs)
{
	start();
	vcpu->arch.efer = efer;
	fake_vmcs[VMX_GUEST_RIP] = rip;
	fake_vmcs[VMX_GUEST_CS_AR] = cs;
	handler_result = VMEXIT_SKIP;
	EXPECT_EQ(exit_for(EXIT_CPUID), 0);
	return fake_vmcs[VMX_GUEST_RIP];
}

TEST(vmexit_eip_wraps_but_in_64bit_code)
{
	EXPECT_EQ(rip_after(0xFFFFFFFEUL, 0UL, CODE), 0UL);
	EXPECT_EQ(rip_after(0xFFFFFFFFUL, 0UL, CODE), 1UL);
	EXPECT_EQ(rip_after(0xFFFFFFFEUL, LMA, CODE), 0UL); /* compatibility mode */
	EXPECT_EQ(rip_after(0xFFFFFFFEUL, LMA, CODE6), 0x100000000UL);
	EXPECT_EQ(rip_after(0xFFFFFFFDUL, 0UL, CODE), 0xFFFFFFFFUL);
	EXPECT_EQ(rip_after(0x7FFFFFFFEUL, LMA, CODE6), 0x800000000UL);
	EXPECT_EQ(rip_after(0xFFFFFFFFFFFFFFFEUL, LMA, CODE6), 0UL);
	EXPECT_EQ(rip_after(0UL, 0UL, CODE), 2UL);
	EXPECT_EQ(rip_after(0x100001000UL, LMA, CODE6), 0x100001002UL);
}

TEST(vmexit_end_of_an_instruction)
{
	static const struct {
		uint64_t rflags, shadow, debugctl; /* before */
		uint64_t rflags_after, shadow_after;
		uint32_t db;
	} cases[] = {
		{0x10002UL, 0UL, 0UL, 2UL, 0UL, 0U},                               /* RF */
		{0x102UL, 0UL, 0UL, 0x102UL, 0UL, 1U},                             /* TF */
		{0x102UL, 0UL, 2UL, 0x102UL, 0UL, 0U},                             /* TF, but of branches only */
		{0x10102UL, 0UL, 1UL, 0x102UL, 0UL, 1U},                           /* both */
		{2UL, BLOCK_BY_MOV_SS | BLOCK_BY_SMI, 0UL, 2UL, BLOCK_BY_SMI, 0U}, /* shadow */
		{2UL, BLOCK_BY_NMI, 0UL, 2UL, BLOCK_BY_NMI, 0U},                   /* that is no shadow */
	};

	for (uint32_t i = 0U; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start();
		fake_vmcs[VMX_GUEST_RFLAGS] = cases[i].rflags;
		fake_vmcs[VMX_GUEST_INTERRUPTIBILITY] = cases[i].shadow;
		fake_vmcs[VMX_GUEST_DEBUGCTL] = cases[i].debugctl;
		vcpu_skip_instruction(vcpu);
		EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP + 2UL);
		EXPECT_EQ(fake_vmcs[VMX_GUEST_RFLAGS], cases[i].rflags_after);
		EXPECT_EQ(fake_vmcs[VMX_GUEST_INTERRUPTIBILITY], cases[i].shadow_after);
		EXPECT_EQ(seen.db, cases[i].db);
	}
}

TEST(vmexit_end_of_an_iteration)
{
	start();
	fake_vmcs[VMX_GUEST_INTERRUPTIBILITY] = BLOCK_BY_STI;
	vcpu_end_iteration(vcpu);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_INTERRUPTIBILITY], 0U);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RIP], RIP);
	fake_vmcs[VMX_GUEST_RFLAGS] = 0x102UL;
	vcpu_end_iteration(vcpu);
	EXPECT_EQ(fake_vmcs[VMX_GUEST_RFLAGS], 0x10102UL); /* the trap's image has RF */
	EXPECT_EQ(seen.db, 1U);
	fake_vmcs[VMX_GUEST_DEBUGCTL] = 2UL;
	vcpu_end_iteration(vcpu);
	EXPECT_EQ(seen.db, 1U);
}

/* ---- Before and after the guest ---- */

TEST(vmexit_entry_that_fails)
{
	start();
	entry_result = 0x40UL; /* ZF */
	EXPECT_EQ(arch_vcpu_run(vcpu), -EIO);
	EXPECT(!vcpu->arch.launched);
	EXPECT_EQ(seen.fatal, 1U);
	start();
	EXPECT_EQ(exit_for(EXIT_ENTRY_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE), -EIO);
	EXPECT_EQ(vcpu->arch.exit_reason, EXIT_ENTRY_GUEST_STATE);
	EXPECT_EQ(seen.fatal, 1U);
	EXPECT_EQ(seen.dumps, 1U);
}

TEST(vmexit_what_is_due_before_the_entry)
{
	start();
	fake_percpu.loaded_vcpu = NULL;
	vcpu->arch.init_pending = true;
	vm.arch.ept_generation = 3UL;
	speculation.flush_l1d = true;
	speculation.guard_entry = VMRUN_GUARDED;
	EXPECT_EQ(exit_for(EXIT_CPUID), 0);
	EXPECT_EQ(seen.entries, 2U);
	EXPECT_EQ(seen.loads, 1U);
	EXPECT_EQ(seen.builds, 1U);
	EXPECT_EQ(seen.invepts, 1U); /* once for each change */
	EXPECT_EQ(seen.l1d_flushes, 1U);
	EXPECT_EQ(seen.injections, 0U);
	EXPECT_EQ(vcpu->map_epoch, 2U);

	start();
	vcpu->requests = (1UL << VCPU_REQ_MAP) | (1UL << VCPU_REQ_EVENT);
	EXPECT_EQ(arch_vcpu_run(vcpu), ARCH_VCPU_MAP_DUE);
	EXPECT_EQ(vcpu->requests, (1UL << VCPU_REQ_MAP) | (1UL << VCPU_REQ_EVENT));
	start();
	vcpu->requests = 1UL << VCPU_REQ_SIPI;
	takes_requests = false;
	EXPECT_EQ(arch_vcpu_run(vcpu), 0);
	EXPECT_EQ(seen.entries, 0U);
	EXPECT_EQ(vcpu->map_epoch, 2U);
	takes_requests = true;
	vcpu->requests = 1UL << VCPU_REQ_EVENT;
	EXPECT_EQ(arch_vcpu_run(vcpu), 0);
	EXPECT_EQ(seen.entries, 1U);
}

TEST(vmexit_who_disturbs_is_heard_between_two_entries)
{
	start();
	sched_give_way[0].now = true;
	EXPECT_EQ(exit_for(EXIT_CPUID), 0);
	EXPECT_EQ(seen.entries, 1U);
	start();
	vcpu->arch.check_events = CHECK_ALL;
	inject_disturbs = true;
	EXPECT_EQ(arch_vcpu_run(vcpu), 0);
	EXPECT_EQ(seen.entries, 0U);
	inject_disturbs = false;
	vcpu->requests = 0UL;
	vcpu->arch.check_events = CHECK_ALL;
	EXPECT_EQ(arch_vcpu_run(vcpu), 0);
	EXPECT_EQ(seen.entries, 1U);
	EXPECT_EQ(seen.injections, 2U);
}

TEST(vmexit_trace)
{
	start();
	trace_classes = ~0U;
	EXPECT_EQ(exit_for(EXIT_CPUID), 0);
	EXPECT_EQ(seen.traced, 4U); /* two entries, two exits */
	EXPECT(strcmp(seen.handler, "cpuid") == 0);
}

TEST(vmexit_timing)
{
	start();
	vcpu->until_timed = 1U;
	vcpu->timed_at_first = 1U;
	handler_result = VMEXIT_SKIP;
	script[1] = EXIT_CPUID;
	EXPECT_EQ(exit_for(EXIT_CPUID), 0);
	EXPECT_EQ(seen.entries, 3U);
	EXPECT_EQ(vcpu->exit_timed[EXIT_CPUID], 2U);
	EXPECT_EQ(vcpu->exit_ticks[EXIT_CPUID], 20U);
	EXPECT_EQ(vcpu->timed_at_first, 0U);
	EXPECT_EQ(vcpu->until_timed, 60U); /* of 61, less the interrupt */
	start(); /* a reason that no table has room for */
	vcpu->until_timed = 1U;
	fake_vmcs[VMX_GUEST_SS_AR] = RING3;
	EXPECT_EQ(exit_for(0x7FFFU), 0);
	EXPECT_EQ(arch_vcpu_run(vcpu), 0);
	EXPECT_EQ(vcpu->exit_timed[VCPU_EXIT_REASONS - 1U], 1U);
}
