/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CPUID: registers, ranges, and that the leaves agree with each other and with the CPU's state.
 * SDM vol. 2 CPUID.
 */
#include <guests/lib/acpi.h>
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/page.h>

const char subject_name[] = "cpuid";

#define BOCHS_LEAF_4 "in Bochs leaves 1 and 0xB say how many CPUs it was given, leaf 4 what the model had"

STUB(do_cpuid, "cpuid");
STUB(lock_cpuid, ".byte 0xf0, 0x0f, 0xa2");
STUB(sti_cpuid, "sti\n\tcpuid\nsti_cpuid_next:\n\tnop\n\tnop\n\tcli");
extern const uint8_t sti_cpuid_next[];

static bool same(struct cpuid_regs a, struct cpuid_regs b)
{
	return a.eax == b.eax && a.ebx == b.ebx && a.ecx == b.ecx && a.edx == b.edx;
}

static void test_registers(void)
{
	struct regs r, want;
	struct cpuid_regs c = cpuid(0, 0);
	struct trap t;

	regs_fill(&r);
	r.rax = 0xffffffff00000000UL;
	r.rcx = 0xffffffff00000000UL;
	r.rflags = 2 | FLAG_CF | FLAG_ZF | FLAG_OF;
	want = r;
	want.rax = c.eax;
	want.rbx = c.ebx;
	want.rcx = c.ecx;
	want.rdx = c.edx;
	exec_regs(&r, do_cpuid);
	report(regs_equal(&r, &want, FLAG_ARITH),
	       "RAX, RBX, RCX, RDX are zero-extended, the rest and the flags are kept");
	regs_fill(&r);
	report(exec_catch(&r, lock_cpuid, &t) == VEC_UD, "LOCK CPUID: #UD");
}

static uint64_t user_cpuid(uint64_t leaf)
{
	return cpuid((uint32_t)leaf, 0).ebx;
}

static void test_basic(void)
{
	struct cpuid_regs c = cpuid(0, 0);
	uint32_t max = c.eax;
	uint64_t ret = 0;
	char vendor[13] = { 0 };

	memcpy(vendor, &c.ebx, 4);
	memcpy(vendor + 4, &c.edx, 4);
	memcpy(vendor + 8, &c.ecx, 4);
	report_info("vendor %s, highest leaf %#x, signature %#x", vendor, max, cpuid(1, 0).eax);
	report(strcmp(vendor, "GenuineIntel") == 0, "vendor");
	report(max >= 4 && max < 0x100, "highest basic leaf is sane");
	report(user_call(user_cpuid, 0, 0, &ret, NULL) == NO_TRAP && ret == c.ebx, "CPUID at CPL 3");
	report(same(cpuid(max + 1, 0), cpuid(max, 0)) && same(cpuid(0x3fffffff, 0), cpuid(max, 0)),
	       "a leaf above the highest reads as the highest");
	c = cpuid(0x80000000, 0);
	report(c.eax >= 0x80000008 && c.eax < 0x80000100, "highest extended leaf is sane");
	report(same(cpuid(c.eax + 1, 0), cpuid(max, 0)),
	       "a leaf above the highest extended reads as the highest basic one");
	report(same(cpuid(0x80000000 - 1, 0), cpuid(max, 0)), "leaf 0x7FFFFFFF reads as the highest");
}

static void test_leaf1(void)
{
	struct cpuid_regs c = cpuid(1, 0);
	uint64_t cr4 = read_cr4();

	report((c.edx & BIT(0)) != 0 && (c.edx & BIT(4)) != 0 && (c.edx & BIT(5)) != 0 &&
	       (c.edx & BIT(6)) != 0, "FPU, TSC, MSR, PAE");
	if ((c.edx & BIT(9)) != 0) {
		lapic_enable();
		report(c.ebx >> 24 == (lapic_id() & 0xff), "EBX[31:24] is the APIC id");
	} else {
		report_skip("no local APIC: APIC id");
	}
	if ((c.ecx & BIT(26)) != 0) {
		report(((c.ecx & BIT(27)) != 0) == ((cr4 & CR4_OSXSAVE) != 0), "OSXSAVE is as CR4's");
		write_cr4(cr4 | CR4_OSXSAVE);
		report((cpuid(1, 0).ecx & BIT(27)) != 0, "OSXSAVE follows CR4 up");
		write_cr4(cr4 & ~CR4_OSXSAVE);
		report((cpuid(1, 0).ecx & BIT(27)) == 0, "OSXSAVE follows CR4 down");
		write_cr4(cr4);
	} else {
		report_skip("no XSAVE: OSXSAVE");
	}
	report((c.edx & BIT(28)) == 0 || (c.ebx >> 16 & 0xff) >= 1, "logical CPU count with HTT");
}

static void test_features_work(void)
{
	struct cpuid_regs c7 = cpuid(7, 0), ext = cpuid(0x80000001, 0);
	uint64_t cr4 = read_cr4(), v;
	static const struct {
		bool ebx;
		unsigned int bit;
		uint64_t cr4;
		const char *name;
	} bits[] = {
		{ true, 0, CR4_FSGSBASE, "FSGSBASE" }, { true, 7, CR4_SMEP, "SMEP" },
		{ true, 20, CR4_SMAP, "SMAP" }, { false, 2, CR4_UMIP, "UMIP" },
		{ false, 3, CR4_PKE, "PKU" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		bool have = ((bits[i].ebx ? c7.ebx : c7.ecx) >> bits[i].bit & 1) != 0;
		/* SMEP would stop us: the image is mapped user accessible. Never set it for real. */
		bool safe = bits[i].cr4 != CR4_SMEP && bits[i].cr4 != CR4_SMAP;

		if (have && !safe)
			continue;
		report((write_cr4_safe(cr4 | bits[i].cr4) == NO_TRAP) == have,
		       "CR4.%s can be set if and only if CPUID says so", bits[i].name);
		write_cr4(cr4);
	}
	report((write_cr4_safe(cr4 | CR4_PCIDE) == NO_TRAP) == ((cpuid(1, 0).ecx & BIT(17)) != 0),
	       "CR4.PCIDE can be set if and only if CPUID says so");
	write_cr4(cr4);
	report((ext.edx & BIT(29)) != 0, "long mode is reported");
	report(((ext.edx & BIT(20)) != 0) == ((rdmsr(MSR_EFER) & EFER_NXE) != 0),
	       "NX is reported and could be enabled");
	report((rdmsr_safe(MSR_TSC_AUX, &v) == NO_TRAP) == ((ext.edx & BIT(27)) != 0 ||
	       (c7.ecx & BIT(22)) != 0), "TSC_AUX exists if and only if RDTSCP or RDPID does");
	report((rdmsr_safe(MSR_TSC_ADJUST, &v) == NO_TRAP) == ((c7.ebx & BIT(1)) != 0),
	       "TSC_ADJUST exists if and only if CPUID says so");
}

/* Only pre-launched VMs see a topology that Aril made: their MADT says so. Others see the simulator's. */
static bool own_topology(void)
{
	const char *madt = acpi_find("APIC");

	return madt != NULL && memcmp(madt + 16, "ARILPRE ", 8) == 0;
}

/* Leaves 1, 4 and 0xB count the same CPUs (SDM vol. 3 section 9.9.1). */
static void test_topology(void)
{
	uint32_t ids = (cpuid(1, 0).edx & BIT(28)) != 0 ? cpuid(1, 0).ebx >> 16 & 0xff : 1;
	uint32_t cores = (cpuid(4, 0).eax >> 26) + 1, sharing, shift = 0, count = 0;
	bool up = true, caches = true;
	const bool bochs = !own_topology();
	struct cpuid_regs c;

	for (uint32_t i = 0; (cpuid(4, i).eax & 31) != 0 && i < 16; i++) {
		sharing = (cpuid(4, i).eax >> 14 & 0xfff) + 1;
		caches = caches && sharing <= ids && cpuid(4, i).eax >> 26 == cores - 1;
	}
	report_xfail(bochs, BOCHS_LEAF_4, caches, "leaf 4: no cache is shared by more CPUs than leaf 1 counts");
	report_xfail(bochs, BOCHS_LEAF_4, cores <= ids, "leaf 4 has no more cores than leaf 1 has CPUs");
	if (cpuid(0, 0).eax < 0xb || cpuid(0xb, 0).ebx == 0) {
		report_skip("no leaf 0xB: topology");
		return;
	}
	for (uint32_t i = 0; i < 8; i++) {
		c = cpuid(0xb, i);
		if ((c.ecx >> 8 & 0xff) == 0)
			break;
		up = up && (c.eax & 31) >= shift && (c.ebx & 0xffff) >= count;
		shift = c.eax & 31;
		count = c.ebx & 0xffff;
	}
	report(up && count <= 1U << shift, "leaf 0xB: levels grow, and their ids have room");
	report_xfail(bochs, BOCHS_LEAF_4, ids == 1U << shift, "leaves 1 and 0xB leave the same room for ids");
	report_info("%u CPUs, ids of %u bits, %u core ids", count, shift, cores);
}

static void test_subleaves(void)
{
	uint32_t max = cpuid(0, 0).eax;
	struct cpuid_regs c;

	/* Leaf 4 ends with a null cache type, soon. */
	for (uint32_t i = 0;; i++) {
		c = cpuid(4, i);
		if ((c.eax & 31) == 0 || i == 16) {
			report(i > 0 && i < 16, "leaf 4 lists caches and ends");
			break;
		}
	}
	if (max >= 0xb && cpuid(0xb, 0).ebx != 0) {
		uint32_t id = cpuid(0xb, 0).edx;
		bool ok = true, ended = false;

		for (uint32_t i = 0; i < 8 && !ended; i++) {
			c = cpuid(0xb, i);
			ok = ok && c.edx == id && (c.ecx & 0xff) == i;
			ended = (c.ecx >> 8 & 0xff) == 0;
		}
		report(ok && ended, "leaf 0xB: same x2APIC id in each level, sub-leaf echoed, it ends");
		report((id & 0xff) == cpuid(1, 0).ebx >> 24, "leaf 0xB and leaf 1 name the same CPU");
	} else {
		report_skip("no leaf 0xB");
	}
	if (max >= 0xd && (cpuid(1, 0).ecx & BIT(26)) != 0) {
		c = cpuid(0xd, 0);
		report((c.eax & 3) == 3 && c.ecx >= 576 && c.ebx >= 576 && c.ebx <= c.ecx,
		       "leaf 0xD: x87 and SSE, sizes in order");
	} else {
		report_skip("no leaf 0xD");
	}
	c = cpuid(0x80000008, 0);
	report((c.eax & 0xff) >= 36 && (c.eax & 0xff) <= 52 && (c.eax >> 8 & 0xff) >= 48,
	       "address widths are sane");
}

static void test_hypervisor(void)
{
	struct cpuid_regs c;

	if (!on_hypervisor()) {
		report_skip("no hypervisor: leaf 0x40000000");
		return;
	}
	c = cpuid(0x40000000, 0);
	report_info("hypervisor %.4s", (const char *)&c.ebx);
	report(c.eax >= 0x40000000 && c.eax < 0x40000100 && c.ebx == 0x4e524341 &&
	       c.ecx == c.ebx && c.edx == c.ebx, "leaf 0x40000000: range and signature");
	report(c.eax < 0x40000010 || cpuid(0x40000010, 0).eax > 1000, "leaf 0x40000010: TSC rate");
	report((cpuid(1, 0).ecx & BIT(5)) == 0, "VMX is hidden");
}

static volatile uint64_t irq_rip;

static void note_irq(struct trap *t)
{
	irq_rip = t->rip;
	lapic_eoi();
}

static void test_around(void)
{
	struct regs r;

	if (!lapic_present()) {
		report_skip("no local APIC: interrupt shadow");
		return;
	}
	lapic_enable();
	trap_set_handler(0x60, note_irq);
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | 0x60, 0);
	regs_fill(&r);
	r.rax = 0;
	exec_regs(&r, sti_cpuid);
	report(irq_rip == (uint64_t)sti_cpuid_next, "STI; CPUID: the interrupt comes right after it");
	trap_set_handler(0x60, NULL);
}

/* What follows the last byte of the lower half is not canonical. */
static void test_last_byte(void)
{
	const uint64_t top = 0x7ffffffff000UL;
	uint8_t *last = page_alloc();
	struct regs r;
	struct trap t;

	last[0xffe] = 0x0f; /* CPUID */
	last[0xfff] = 0xa2;
	page_map(top, (uint64_t)last, PTE_P | PTE_W);
	regs_fill(&r);
	r.rax = 0;
	report(exec_catch(&r, (const uint8_t *)top + 0xffe, &t) == VEC_GP && t.rip == top + 0x1000 &&
	       t.rbx == cpuid(0, 0).ebx, "at the end of the lower half: #GP behind it");
}

void test_main(void)
{
	test_registers();
	test_basic();
	test_leaf1();
	test_features_work();
	test_topology();
	test_subleaves();
	test_hypervisor();
	test_around();
	test_last_byte();
}
