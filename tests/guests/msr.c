/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RDMSR and WRMSR: unknown ones, reserved bits, canonical addresses, and that what is written is
 * there and acts. SDM vol. 4 chapter 2, vol. 3 sections 2.2.1, 11.4.4, 12.12.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>

const char subject_name[] = "msr";

#define NON_CANONICAL	0x0000800000000000UL

STUB(do_rdmsr, "rdmsr");
STUB(do_wrmsr, "wrmsr");
STUB(do_rdpmc, "rdpmc");

static void test_unknown(void)
{
	static const uint32_t unknown[] = {
		0x0000ffff, 0x00001fff, 0x00002000, 0x40000fff, 0x80000000, 0xbfffffff,
		0xc0001fff, 0xc0002000, 0xc0010fff, 0xffffffff,
	};
	struct regs r, before;
	struct trap t;
	uint64_t v;
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		bool rd = rdmsr_safe(unknown[i], &v) == VEC_GP && try_error() == 0;
		bool wr = wrmsr_safe(unknown[i], 0) == VEC_GP && try_error() == 0;

		if (!rd || !wr)
			report_info("MSR %#x: RDMSR %s, WRMSR %s", unknown[i], rd ? "#GP" : "no #GP",
				    wr ? "#GP" : "no #GP");
		ok = ok && rd && wr;
	}
	report(ok, "unknown MSRs: #GP(0)");

	regs_fill(&r);
	r.rcx = 0xffffffff0000ffffUL;
	before = r;
	report(exec_catch(&r, do_rdmsr, &t) == VEC_GP && t.rip == (uint64_t)do_rdmsr &&
	       t.rax == before.rax && t.rdx == before.rdx && t.rcx == before.rcx,
	       "RDMSR that faults leaves the registers and RIP alone");
}

/* A machine without performance monitoring, which a VM is: no version, no MSR, no counter. */
static void test_no_pmu(void)
{
	/* PMC0, PERFEVTSEL0, FIXED_CTR0, PERF_CAPABILITIES, FIXED_CTR_CTRL, PERF_GLOBAL_*, PEBS_ENABLE, DS_AREA */
	static const uint32_t msrs[] = { 0xc1, 0x186, 0x309, 0x345, 0x38d, 0x38e, 0x38f, 0x390, 0x3f1, 0x600 };
	struct regs r;
	struct trap t;
	uint64_t v;
	bool has_pmu = cpuid(0, 0).eax >= 0xa && (cpuid(0xa, 0).eax & 0xff) != 0, ok = true;

	if (on_hypervisor()) {
		report(!has_pmu, "CPUID 0AH offers a VM no performance monitoring");
	} else if (has_pmu) {
		report_skip("performance monitoring is there");
		return;
	}
	report((cpuid(1, 0).ecx & BIT(15)) == 0, "without performance monitoring no PERF_CAPABILITIES");
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		bool gp = rdmsr_safe(msrs[i], &v) == VEC_GP && wrmsr_safe(msrs[i], 0) == VEC_GP;

		if (!gp)
			report_info("MSR %#x: no #GP", msrs[i]);
		ok = ok && gp;
	}
	report(ok, "without performance monitoring its MSRs: #GP");
	regs_fill(&r);
	r.rcx = 0;
	report(exec_catch(&r, do_rdpmc, &t) == VEC_GP && t.err == 0 && t.rip == (uint64_t)do_rdpmc,
	       "RDPMC of a counter that is not there: #GP");
}

static void test_registers(void)
{
	struct regs r, want;
	struct trap t;
	uint64_t pat = rdmsr(MSR_PAT);

	regs_fill(&r);
	r.rcx = 0xabcdef0000000000UL | MSR_PAT;
	r.rflags = 2 | FLAG_ARITH;
	want = r;
	want.rax = (uint32_t)pat;
	want.rdx = pat >> 32;
	report(exec_catch(&r, do_rdmsr, &t) == NO_TRAP && regs_equal(&r, &want, FLAG_ARITH),
	       "RDMSR takes ECX, zero-extends into RAX and RDX, changes nothing else");
	r = want;
	r.rax |= 0x5555555500000000UL;
	r.rdx |= 0xaaaaaaaa00000000UL;
	want = r;
	report(exec_catch(&r, do_wrmsr, &t) == NO_TRAP && regs_equal(&r, &want, FLAG_ARITH) &&
	       rdmsr(MSR_PAT) == pat, "WRMSR takes EDX:EAX and changes no register");
}

static uint64_t user_rdmsr(uint64_t msr)
{
	return rdmsr((uint32_t)msr);
}

static uint64_t user_wrmsr(uint64_t msr)
{
	wrmsr((uint32_t)msr, 0);
	return 0;
}

static void test_user(void)
{
	struct trap t;
	uint64_t ret;

	report(user_call(user_rdmsr, MSR_PAT, 0, &ret, &t) == VEC_GP && t.err == 0,
	       "RDMSR at CPL 3: #GP(0)");
	report(user_call(user_wrmsr, MSR_FS_BASE, 0, &ret, &t) == VEC_GP && t.err == 0,
	       "WRMSR at CPL 3: #GP(0)");
}

static void test_efer(void)
{
	uint64_t efer = rdmsr(MSR_EFER), v = 0;
	bool ok = true;

	report((efer & (EFER_LME | EFER_LMA)) == (EFER_LME | EFER_LMA), "EFER: LME and LMA are set");
	for (unsigned int bit = 1; bit < 64; bit++) {
		if (bit == 8 || bit == 10 || bit == 11)
			continue;
		if (wrmsr_safe(MSR_EFER, efer | BIT(bit)) != VEC_GP) {
			report_info("EFER bit %u: no #GP", bit);
			ok = false;
		}
	}
	report(ok, "EFER: reserved bits give #GP");
	report(rdmsr(MSR_EFER) == efer, "EFER: a refused write changes nothing");
	report(wrmsr_safe(MSR_EFER, efer & ~EFER_LME) == VEC_GP, "EFER: LME can't go while paging is on");
	report(wrmsr_safe(MSR_EFER, efer ^ EFER_LMA) == NO_TRAP && rdmsr(MSR_EFER) == efer,
	       "EFER: LMA is read-only, writes to it are ignored");
	report(wrmsr_safe(MSR_EFER, efer | EFER_SCE) == NO_TRAP &&
	       rdmsr_safe(MSR_EFER, &v) == NO_TRAP && v == (efer | EFER_SCE), "EFER: SCE can be set");
	wrmsr(MSR_EFER, efer);
	report(rdmsr(MSR_EFER) == efer, "EFER: SCE can be cleared");
	if ((cpuid(0x80000001, 0).edx & BIT(20)) != 0) {
		wrmsr(MSR_EFER, efer & ~EFER_NXE);
		ok = (rdmsr(MSR_EFER) & EFER_NXE) == 0;
		wrmsr(MSR_EFER, efer | EFER_NXE);
		report(ok && (rdmsr(MSR_EFER) & EFER_NXE) != 0, "EFER: NXE toggles");
		wrmsr(MSR_EFER, efer);
	}
}

static void check_canonical(uint32_t msr, const char *name)
{
	uint64_t saved = rdmsr(msr);
	bool ok = true;

	ok = ok && wrmsr_safe(msr, NON_CANONICAL) == VEC_GP && rdmsr(msr) == saved;
	ok = ok && wrmsr_safe(msr, 0xffff7fffffffffffUL) == VEC_GP;
	ok = ok && wrmsr_safe(msr, NON_CANONICAL - 1) == NO_TRAP && rdmsr(msr) == NON_CANONICAL - 1;
	ok = ok && wrmsr_safe(msr, 0xffff800000000000UL) == NO_TRAP &&
		rdmsr(msr) == 0xffff800000000000UL;
	wrmsr(msr, saved);
	report(ok && rdmsr(msr) == saved, "%s: keeps canonical addresses, #GP for others", name);
}

static void test_bases(void)
{
	static const uint64_t words[2] = { 0x1111, 0x2222 };
	uint64_t v, fs = rdmsr(MSR_FS_BASE), gs = rdmsr(MSR_GS_BASE);

	check_canonical(MSR_FS_BASE, "FS_BASE");
	check_canonical(MSR_GS_BASE, "GS_BASE");
	check_canonical(MSR_KERNEL_GS_BASE, "KERNEL_GS_BASE");
	check_canonical(MSR_LSTAR, "LSTAR");
	check_canonical(MSR_CSTAR, "CSTAR");
	check_canonical(MSR_SYSENTER_ESP, "SYSENTER_ESP");
	check_canonical(MSR_SYSENTER_EIP, "SYSENTER_EIP");
	wrmsr(MSR_FS_BASE, (uint64_t)&words[0]);
	__asm__ volatile("mov %%fs:0, %0" : "=r"(v));
	report(v == 0x1111, "FS_BASE acts");
	wrmsr(MSR_GS_BASE, (uint64_t)&words[1]);
	__asm__ volatile("mov %%gs:0, %0" : "=r"(v));
	report(v == 0x2222, "GS_BASE acts");
	wrmsr(MSR_KERNEL_GS_BASE, (uint64_t)&words[0]);
	__asm__ volatile("swapgs\n\tmov %%gs:0, %0" : "=r"(v));
	report(v == 0x1111 && rdmsr(MSR_KERNEL_GS_BASE) == (uint64_t)&words[1] &&
	       rdmsr(MSR_GS_BASE) == (uint64_t)&words[0], "SWAPGS exchanges the two MSRs");
	wrmsr(MSR_FS_BASE, fs);
	wrmsr(MSR_GS_BASE, gs);
}

extern const uint8_t syscall_target[];
__asm__(".pushsection .text\n"
	"syscall_target:\n\t"
	"mov %rcx, %rax\n\tmov %r11, %rdx\n\tjmp *%rcx\n"
	".popsection\n");

static void test_syscall(void)
{
	uint64_t star = rdmsr(MSR_STAR), lstar = rdmsr(MSR_LSTAR), fmask = rdmsr(MSR_FMASK);
	uint64_t efer = rdmsr(MSR_EFER), rcx, r11, flags;

	wrmsr(MSR_STAR, 0x0018000812345678UL);
	report(rdmsr(MSR_STAR) == 0x0018000812345678UL, "STAR keeps all 64 bits");
	wrmsr(MSR_FMASK, FLAG_CF);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_target);
	wrmsr(MSR_EFER, efer | EFER_SCE);
	__asm__ volatile("stc\n\tsyscall\n\tpushfq\n\tpop %2"
			 : "=a"(rcx), "=d"(r11), "=r"(flags) : : "rcx", "r11", "memory", "cc");
	report((r11 & FLAG_CF) != 0 && (flags & FLAG_CF) == 0 && rcx > (uint64_t)test_syscall,
	       "SYSCALL goes to LSTAR, RCX and R11 are set, FMASK clears flags");
	wrmsr(MSR_EFER, efer & ~EFER_SCE);
	try_begin();
	__asm__ volatile(TRY("syscall") : : : "rcx", "r11", "memory");
	report(try_vector() == VEC_UD, "SYSCALL without EFER.SCE: #UD");
	wrmsr(MSR_EFER, efer);
	wrmsr(MSR_STAR, star);
	wrmsr(MSR_LSTAR, lstar);
	wrmsr(MSR_FMASK, fmask);
	report(wrmsr_safe(MSR_FMASK, BIT(32)) == VEC_GP || rdmsr(MSR_FMASK) <= 0xffffffff,
	       "FMASK has 32 bits");
	wrmsr(MSR_FMASK, fmask);
}

static void test_pat(void)
{
	uint64_t saved = rdmsr(MSR_PAT);
	static const uint8_t good[] = { 0, 1, 4, 5, 6, 7 };
	bool ok = true;

	report(saved == 0x0007040600070406UL, "PAT: power-on value");
	/* Entry 7 only, which no page of this image uses. */
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint64_t v = (saved & ~(0xffUL << 56)) | (uint64_t)good[i] << 56;

		ok = ok && wrmsr_safe(MSR_PAT, v) == NO_TRAP && rdmsr(MSR_PAT) == v;
	}
	report(ok, "PAT: every memory type is kept");
	wrmsr(MSR_PAT, saved);
	ok = true;
	for (unsigned int entry = 0; entry < 8; entry++) {
		static const uint8_t bad[] = { 2, 3, 8, 0x10, 0x80, 0xff };

		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			uint64_t v = (saved & ~(0xffUL << (entry * 8))) |
				(uint64_t)bad[i] << (entry * 8);

			ok = ok && wrmsr_safe(MSR_PAT, v) == VEC_GP;
		}
	}
	report(ok && rdmsr(MSR_PAT) == saved, "PAT: reserved types in each entry give #GP");
}

static void test_apic_base(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);
	unsigned int width = cpuid(0x80000008, 0).eax & 0xff;

	if (!lapic_present()) {
		report_skip("no local APIC");
		return;
	}
	report((base & APIC_BASE_ENABLE) != 0, "APIC_BASE: enabled");
	report((base & APIC_BASE_BSP) != 0, "APIC_BASE: this is the boot CPU");
	report((base & 0xfffffffffffff000UL) == 0xfee00000UL, "APIC_BASE: default address");
	report(wrmsr_safe(MSR_APIC_BASE, base | 1) == VEC_GP, "APIC_BASE: bit 0 reserved");
	report(wrmsr_safe(MSR_APIC_BASE, base | BIT(9)) == VEC_GP, "APIC_BASE: bit 9 reserved");
	report(wrmsr_safe(MSR_APIC_BASE, base | BIT(width)) == VEC_GP,
	       "APIC_BASE: address bits above the physical width reserved");
	report(wrmsr_safe(MSR_APIC_BASE, (base & ~APIC_BASE_ENABLE) | APIC_BASE_X2APIC) == VEC_GP,
	       "APIC_BASE: x2APIC without enable gives #GP");
	if ((base & APIC_BASE_X2APIC) == 0) {
		uint64_t v;

		report(rdmsr_safe(MSR_X2APIC + 2, &v) == VEC_GP,
		       "x2APIC MSRs give #GP in xAPIC mode");
	}
	report(rdmsr(MSR_APIC_BASE) == base, "APIC_BASE: refused writes change nothing");
}

/* SDM vol. 4 table 2-2: fast strings, thermal control, SpeedStep, xTPR. */
#define MISC_ENABLE_RW	(BIT(0) | BIT(3) | BIT(16) | BIT(23))

static void test_misc(void)
{
	uint64_t v, t0;
	bool has_misc = rdmsr_safe(MSR_MISC_ENABLE, &v) == NO_TRAP;

	report_xfail(!on_hypervisor(), "Bochs has no MISC_ENABLE", has_misc, "MISC_ENABLE is there");
	if (has_misc) {
		report((v & 1) != 0, "MISC_ENABLE: fast strings");
		report(wrmsr_safe(MSR_MISC_ENABLE, v) == NO_TRAP && rdmsr(MSR_MISC_ENABLE) == v,
		       "MISC_ENABLE: writing what it holds is fine");
		report(wrmsr_safe(MSR_MISC_ENABLE, v ^ MISC_ENABLE_RW) == NO_TRAP &&
		       rdmsr(MSR_MISC_ENABLE) == (v ^ MISC_ENABLE_RW), "MISC_ENABLE: what can be written is kept");
		report(wrmsr_safe(MSR_MISC_ENABLE, v ^ BIT(11)) != NO_TRAP || rdmsr(MSR_MISC_ENABLE) == v,
		       "MISC_ENABLE: BTS unavailable can't");
		wrmsr(MSR_MISC_ENABLE, v);
	}
	t0 = rdmsr(MSR_TSC);
	report(rdtsc() >= t0 && rdmsr(MSR_TSC) > t0, "TSC: MSR and RDTSC agree and grow");
	if ((cpuid(1, 0).edx & BIT(12)) != 0) {
		report(rdmsr_safe(MSR_MTRRCAP, &v) == NO_TRAP && wrmsr_safe(MSR_MTRRCAP, v) == VEC_GP,
		       "MTRRCAP is read-only");
		v = rdmsr(MSR_MTRR_DEF_TYPE);
		report(wrmsr_safe(MSR_MTRR_DEF_TYPE, v | 2) == VEC_GP ||
		       (wrmsr_safe(MSR_MTRR_DEF_TYPE, (v & ~7UL) | 2) == VEC_GP),
		       "MTRR default type: a reserved type gives #GP");
		report(rdmsr(MSR_MTRR_DEF_TYPE) == v, "MTRR default type is unchanged");
	} else {
		report_skip("no MTRR");
	}
	v = rdmsr(MSR_SYSENTER_CS);
	wrmsr(MSR_SYSENTER_CS, 0x1b);
	report(rdmsr(MSR_SYSENTER_CS) == 0x1b, "SYSENTER_CS keeps a value");
	wrmsr(MSR_SYSENTER_CS, v);
	if (rdmsr_safe(MSR_TSC_AUX, &v) == NO_TRAP) {
		uint32_t aux;

		wrmsr(MSR_TSC_AUX, 0x13579bdf);
		if ((cpuid(0x80000001, 0).edx & BIT(27)) != 0) {
			__asm__ volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
			report(aux == 0x13579bdf, "TSC_AUX acts in RDTSCP");
		}
		report(wrmsr_safe(MSR_TSC_AUX, BIT(32)) == VEC_GP || rdmsr(MSR_TSC_AUX) == 0,
		       "TSC_AUX has 32 bits");
		wrmsr(MSR_TSC_AUX, v);
	}
	if (rdmsr_safe(MSR_TSC_ADJUST, &v) == NO_TRAP) {
		uint64_t before = rdtsc();

		wrmsr(MSR_TSC_ADJUST, v + (1UL << 40));
		report(rdtsc() - before >= 1UL << 40, "TSC_ADJUST moves the TSC");
		wrmsr(MSR_TSC_ADJUST, v);
		report(rdtsc() - before < 1UL << 39, "TSC_ADJUST moves it back");
		wrmsr(MSR_TSC, rdtsc() + (1UL << 41));
		report(rdmsr(MSR_TSC_ADJUST) - v >= 1UL << 40, "writing the TSC moves TSC_ADJUST");
		wrmsr(MSR_TSC_ADJUST, v);
	} else {
		report_skip("no TSC_ADJUST");
	}
}

void test_main(void)
{
	test_unknown();
	test_no_pmu();
	test_registers();
	test_user();
	test_efer();
	test_bases();
	test_syscall();
	test_pat();
	test_apic_base();
	test_misc();
}
