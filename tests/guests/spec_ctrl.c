/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MSRs against speculation: IA32_SPEC_CTRL, IA32_PRED_CMD, IA32_FLUSH_CMD, IA32_ARCH_CAPABILITIES, each there if
 * CPUID.7:EDX says so. SDM vol. 4, table 2-2.
 */
#include <guests/lib/guest.h>

const char subject_name[] = "spec_ctrl";

#define MSR_SPEC_CTRL		0x48
#define MSR_PRED_CMD		0x49
#define MSR_ARCH_CAPABILITIES	0x10a
#define MSR_FLUSH_CMD		0x10b

#define HAS_IBRS	(1U << 26)
#define HAS_STIBP	(1U << 27)
#define HAS_L1D_FLUSH	(1U << 28)
#define HAS_ARCH_CAPS	(1U << 29)
#define HAS_SSBD	(1U << 31)

/* An instruction that exits in a VM, and time for other VMs: the value must outlast both. */
static bool stays(uint64_t value)
{
	bool same = true;

	for (int i = 0; i < 200; i++) {
		cpuid(0, 0);
		for (int k = 0; k < 200; k++)
			asm volatile("pause");
		same = same && rdmsr(MSR_SPEC_CTRL) == value;
	}
	return same;
}

static void test_spec_ctrl(uint32_t edx)
{
	const uint64_t good = 1 | ((edx & HAS_STIBP) ? 2 : 0) | ((edx & HAS_SSBD) ? 4 : 0);
	uint64_t value;

	if (!(edx & HAS_IBRS)) {
		report(rdmsr_safe(MSR_SPEC_CTRL, &value) == VEC_GP && wrmsr_safe(MSR_SPEC_CTRL, 1) == VEC_GP,
		       "SPEC_CTRL that CPUID does not have: #GP");
		return;
	}
	report(rdmsr_safe(MSR_SPEC_CTRL, &value) == NO_TRAP && value == 0, "SPEC_CTRL: 0 at first");
	for (uint64_t v = 0; v < 8; v++) {
		if (v & ~good)
			continue;
		report(wrmsr_safe(MSR_SPEC_CTRL, v) == NO_TRAP && stays(v), "SPEC_CTRL: %lu stays", v);
	}
	wrmsr(MSR_SPEC_CTRL, good);
	report(wrmsr_safe(MSR_SPEC_CTRL, 1UL << 31) == VEC_GP && wrmsr_safe(MSR_SPEC_CTRL, 1UL << 32) == VEC_GP &&
	       rdmsr(MSR_SPEC_CTRL) == good, "SPEC_CTRL: reserved bits: #GP, and the old value stays");
	wrmsr(MSR_SPEC_CTRL, 0);
}

static void test_command(bool has, uint32_t msr, const char *name)
{
	uint64_t value;

	if (!has) {
		report(wrmsr_safe(msr, 1) == VEC_GP, "%s that CPUID does not have: #GP", name);
		return;
	}
	report(wrmsr_safe(msr, 1) == NO_TRAP, "%s: the command is taken", name);
	report(rdmsr_safe(msr, &value) == VEC_GP, "%s: RDMSR: #GP", name);
	report(wrmsr_safe(msr, 1UL << 32) == VEC_GP, "%s: reserved bits: #GP", name);
}

void test_main(void)
{
	uint32_t edx = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).edx : 0;
	uint64_t value;

	test_spec_ctrl(edx);
	test_command(edx & HAS_IBRS, MSR_PRED_CMD, "PRED_CMD");
	test_command(edx & HAS_L1D_FLUSH, MSR_FLUSH_CMD, "FLUSH_CMD");
	report((rdmsr_safe(MSR_ARCH_CAPABILITIES, &value) == NO_TRAP) == !!(edx & HAS_ARCH_CAPS),
	       "ARCH_CAPABILITIES: there if CPUID says so");
	report(wrmsr_safe(MSR_ARCH_CAPABILITIES, 0) == VEC_GP, "ARCH_CAPABILITIES: WRMSR: #GP");
}
