/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * XSAVE: XCR0 and its #GP cases, sizes in CPUID, headers, CR0.TS, IA32_XSS; and that all of the state stays as it is
 * while the VM exits, sleeps, and shares its CPU with another that fills the same registers with other values. SDM
 * vol. 1 chapter 13.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>

const char subject_name[] = "xsave";

#define NOBODY		0x7f00
#define VEC_TIMER	0x50U
#define AREA_SIZE	12288U
#define XCR0_X87	BIT(0)
#define XCR0_SSE	BIT(1)
#define XCR0_AVX	BIT(2)
#define XCR0_MPX	(BIT(3) | BIT(4))
#define XCR0_AVX512	(BIT(5) | BIT(6) | BIT(7))
#define XCR0_PKRU	BIT(9)
#define MSR_XSS		0xda0U
#define CR4_OSXMMEXCPT	0x400UL

STUB(xgetbv_insn, "xgetbv");
STUB(xsetbv_insn, "xsetbv");
STUB(xsave_insn, "xsave64 (%rdi)");
STUB(xrstor_insn, "xrstor64 (%rdi)");
STUB(xsaves_insn, "xsaves64 (%rdi)");
STUB(xsavec_insn, "xsavec64 (%rdi)");
STUB(movaps_insn, "movaps %xmm1, %xmm2");
STUB(vmovaps_insn, "vmovaps %ymm1, %ymm2");

static uint8_t given[AREA_SIZE] __attribute__((aligned(64))), got[AREA_SIZE] __attribute__((aligned(64)));
static struct trap t;
static uint64_t supported;

static int xgetbv(uint32_t index, uint64_t *v)
{
	struct regs r;
	int vec;

	regs_fill(&r);
	r.rcx = index;
	vec = exec_catch(&r, xgetbv_insn, &t);
	*v = (r.rdx << 32) | (uint32_t)r.rax;
	return vec;
}

static int xsetbv(uint32_t index, uint64_t v)
{
	struct regs r;

	regs_fill(&r);
	r.rcx = index;
	r.rax = 0xffffffff00000000UL | (uint32_t)v;
	r.rdx = 0xffffffff00000000UL | v >> 32;
	return exec_catch(&r, xsetbv_insn, &t);
}

static int area_insn(const uint8_t *insn, void *area, uint64_t mask)
{
	struct regs r;

	regs_fill(&r);
	r.rdi = (uint64_t)area;
	r.rax = (uint32_t)mask;
	r.rdx = mask >> 32;
	return exec_catch(&r, insn, &t);
}

static uint64_t xcr0(void)
{
	uint64_t v = 0;

	xgetbv(0, &v);
	return v;
}

static uint64_t user_xsetbv(uint64_t v)
{
	__asm__ volatile("xsetbv" : : "a"((uint32_t)v), "c"(0), "d"((uint32_t)(v >> 32)));
	return 0;
}

static void test_enable(void)
{
	uint64_t cr4 = read_cr4(), v;

	write_cr4(cr4 & ~CR4_OSXSAVE);
	report((cpuid(1, 0).ecx & BIT(27)) == 0, "CPUID's OSXSAVE mirrors CR4: off");
	report(xgetbv(0, &v) == VEC_UD && xsetbv(0, 1) == VEC_UD, "without CR4.OSXSAVE: XGETBV and XSETBV give #UD");
	report(area_insn(xsave_insn, got, 1) == VEC_UD, "without CR4.OSXSAVE: XSAVE gives #UD");
	write_cr4(cr4 | CR4_OSXSAVE | CR4_OSFXSR | CR4_OSXMMEXCPT);
	report((cpuid(1, 0).ecx & BIT(27)) != 0, "CPUID's OSXSAVE mirrors CR4: on");
	report(xgetbv(0, &v) == NO_TRAP && v == XCR0_X87, "XCR0 is 1 after reset");
}

static void test_xsetbv(void)
{
	uint64_t refused = 0, v;
	bool ok = true;
	struct trap frame;

	report(xsetbv(0, XCR0_X87 | XCR0_SSE) == NO_TRAP && xcr0() == (XCR0_X87 | XCR0_SSE), "XSETBV");
	report(xsetbv(0, 0) == VEC_GP && t.err == 0, "XCR0 without x87: #GP(0)");
	report(xsetbv(0, XCR0_SSE) == VEC_GP, "SSE without x87: #GP");
	report(xsetbv(0, XCR0_X87 | XCR0_AVX) == VEC_GP, "AVX without SSE: #GP");
	for (unsigned int bit = 5; bit < 8; bit++)
		ok = ok && xsetbv(0, XCR0_X87 | XCR0_SSE | XCR0_AVX | BIT(bit)) == VEC_GP;
	report(ok, "a part of AVX-512: #GP");
	report(xsetbv(0, XCR0_X87 | XCR0_SSE | XCR0_AVX512) == VEC_GP, "AVX-512 without AVX: #GP");
	report(xsetbv(0, XCR0_X87 | BIT(3)) == VEC_GP && xsetbv(0, XCR0_X87 | BIT(4)) == VEC_GP, "a part of MPX: #GP");
	report(xsetbv(0, XCR0_X87 | BIT(8)) == VEC_GP, "bit 8, of IA32_XSS: #GP");
	report(xsetbv(0, XCR0_X87 | BIT(63)) == VEC_GP, "bit 63: #GP");
	for (unsigned int bit = 0; bit < 64; bit++) {
		if ((supported & BIT(bit)) == 0 && xsetbv(0, XCR0_X87 | BIT(bit)) != VEC_GP)
			refused |= BIT(bit);
	}
	report(refused == 0, "bits that CPUID does not list: #GP");
	report(xsetbv(1, XCR0_X87) == VEC_GP && xsetbv(0xffffffff, XCR0_X87) == VEC_GP, "ECX other than 0: #GP");
	report(xgetbv(2, &v) == VEC_GP, "XGETBV of 2: #GP");
	report(xcr0() == (XCR0_X87 | XCR0_SSE), "refused values change nothing");
	report(user_call(user_xsetbv, XCR0_X87 | XCR0_SSE, 0, NULL, &frame) == VEC_GP && frame.err == 0,
	       "XSETBV at CPL 3: #GP(0)");
	if ((supported & XCR0_AVX) != 0)
		report(area_insn(vmovaps_insn, got, 0) == VEC_UD, "AVX without its bit in XCR0: #UD");
	report(xsetbv(0, supported) == NO_TRAP && xcr0() == supported, "everything that CPUID lists");
}

static void test_sizes(void)
{
	struct cpuid_regs main = cpuid(0xd, 0), one = cpuid(0xd, 1);
	uint32_t need = 576;
	bool ok = true;

	for (unsigned int bit = 2; bit < 63; bit++) {
		struct cpuid_regs c = cpuid(0xd, bit);

		if ((supported & BIT(bit)) == 0) {
			ok = ok && ((c.ecx & 1) != 0 || (c.eax == 0 && c.ebx == 0));
			continue;
		}
		ok = ok && c.eax != 0 && c.ebx >= 576 && (c.ecx & 1) == 0;
		if (c.eax + c.ebx > need)
			need = c.eax + c.ebx;
	}
	report(ok, "CPUID.D: a size and a place for each state, none for others");
	report(main.ebx == need, "CPUID.D: EBX is what XCR0 needs");
	report(main.ecx >= main.ebx && main.ecx <= AREA_SIZE, "CPUID.D: ECX is what all need");
	xsetbv(0, XCR0_X87);
	report(cpuid(0xd, 0).ebx == 576, "CPUID.D: EBX follows XCR0");
	xsetbv(0, supported);
	report((cpuid(7, 0).ebx & BIT(14)) != 0 || (supported & XCR0_MPX) == 0, "no MPX state without MPX");
	report((cpuid(7, 0).edx & BIT(24)) != 0 || (supported & (BIT(17) | BIT(18))) == 0, "no AMX state without AMX");
	report((cpuid(7, 0).ecx & BIT(3)) != 0 || (supported & XCR0_PKRU) == 0,
	       "no PKRU state without protection keys");
	report((cpuid(7, 0).ebx & BIT(16)) != 0 || (supported & XCR0_AVX512) == 0, "no AVX-512 state without AVX-512");
	if ((one.eax & BIT(2)) != 0) {
		uint64_t v;

		report(xgetbv(1, &v) == NO_TRAP && (v & ~supported) == 0, "XGETBV of 1: states in use");
	}
}

/* --- the state itself ------------------------------------------------------------------------------ */

static uint64_t seed;

static uint8_t next_byte(void)
{
	seed = seed * 6364136223846793005UL + 1442695040888963407UL;
	return (uint8_t)(seed >> 56);
}

/* Legal contents for all states. */
static void fill(uint8_t *area)
{
	memset(area, 0, AREA_SIZE);
	*(uint16_t *)area = (uint16_t)(0x037f & ~(next_byte() & 0x3f));		/* FCW */
	area[4] = 0xff;								/* no register is empty */
	*(uint32_t *)(area + 24) = 0x1f80;
	for (unsigned int i = 0; i < 8; i++) {
		for (unsigned int k = 0; k < 10; k++)
			area[32 + 16 * i + k] = next_byte();
	}
	for (unsigned int i = 160; i < 416; i++)
		area[i] = next_byte();
	*(uint64_t *)(area + 512) = supported;
	for (unsigned int bit = 2; bit < 63; bit++) {
		struct cpuid_regs c = cpuid(0xd, bit);

		if ((supported & BIT(bit)) == 0)
			continue;
		for (unsigned int i = 0; i < (bit == 9 ? 4 : c.eax); i++)
			area[c.ebx + i] = next_byte();
	}
}

static void exits(unsigned int round)
{
	switch (round % 4) {
	case 0:
		inb(NOBODY);
		break;
	case 1:
		cpuid(1, 0);
		break;
	case 2:
		delay_ticks(20000);
		break;
	default:
		if (lapic_present()) {
			lapic_write(APIC_TMICT, 1000 + (uint32_t)(seed & 0xfff));
			sti_hlt_cli();
		}
		break;
	}
}

static bool same(const uint8_t *a, const uint8_t *b, uint32_t first, uint32_t end)
{
	return memcmp(a + first, b + first, end - first) == 0;
}

static bool kept(void)
{
	bool ok = same(given, got, 0, 2) && same(given, got, 24, 28) && same(given, got, 32, 416);

	for (unsigned int bit = 2; bit < 63; bit++) {
		struct cpuid_regs c = cpuid(0xd, bit);

		if ((supported & BIT(bit)) != 0)
			ok = ok && same(given, got, c.ebx, c.ebx + (bit == 9 ? 4 : c.eax));
	}
	return ok && *(uint64_t *)(got + 512) == supported;
}

static void test_kept(void)
{
	uint64_t cr4 = read_cr4();
	unsigned int wrong = 0;

	if ((supported & XCR0_PKRU) != 0)
		write_cr4(cr4 | CR4_PKE);
	if (lapic_present()) {
		lapic_enable();
		lapic_write(APIC_TDCR, 0xb);
		lapic_write(APIC_LVT_TIMER, VEC_TIMER);
		trap_set_handler(VEC_TIMER, trap_handler_eoi);
	}
	seed = rdtsc();	/* differs in each VM */
	for (unsigned int round = 0; round < 60; round++) {
		fill(given);
		given[512 + 8] = 0;
		if ((supported & XCR0_PKRU) != 0)
			*(uint32_t *)(given + cpuid(0xd, 9).ebx) &= ~3U;	/* key 0 is everybody's */
		if (area_insn(xrstor_insn, given, ~0UL) != NO_TRAP)
			wrong += 100;
		exits(round);
		memset(got, 0, AREA_SIZE);
		if (area_insn(xsave_insn, got, ~0UL) != NO_TRAP || !kept())
			wrong++;
	}
	report(wrong == 0, "all states stay over exits and sleep");
	if ((supported & XCR0_PKRU) != 0) {
		__asm__ volatile("wrpkru" : : "a"(0), "c"(0), "d"(0));
		write_cr4(cr4);
	}
	if ((supported & XCR0_AVX) != 0) {
		/* XCR0 itself: the upper halves are out of reach, and still there. */
		fill(given);
		area_insn(xrstor_insn, given, ~0UL);
		xsetbv(0, XCR0_X87 | XCR0_SSE);
		exits(3);
		report(xcr0() == (XCR0_X87 | XCR0_SSE), "XCR0 stays over sleep");
		xsetbv(0, supported);
		memset(got, 0, AREA_SIZE);
		area_insn(xsave_insn, got, ~0UL);
		report(kept(), "states that XCR0 hid for a while are still there");
	}
}

static void test_faults(void)
{
	uint64_t cr0 = read_cr0(), cr4 = read_cr4();

	fill(given);
	report(area_insn(xsave_insn, got + 8, 1) == VEC_GP, "XSAVE to an address that is not aligned to 64: #GP");
	*(uint64_t *)(given + 512) = BIT(62);
	report(area_insn(xrstor_insn, given, ~0UL) == VEC_GP, "XRSTOR, XSTATE_BV with a bit that XCR0 lacks: #GP");
	*(uint64_t *)(given + 512) = supported;
	given[512 + 16] = 1;
	report(area_insn(xrstor_insn, given, ~0UL) == VEC_GP, "XRSTOR, a reserved byte of the header: #GP");
	given[512 + 16] = 0;
	*(uint32_t *)(given + 24) = 0x80000000U;
	report(area_insn(xrstor_insn, given, ~0UL) == VEC_GP, "XRSTOR, reserved bits of MXCSR: #GP");
	*(uint32_t *)(given + 24) = 0x1f80;
	*(uint64_t *)(given + 512 + 8) = BIT(63);
	if ((cpuid(0xd, 1).eax & BIT(1)) == 0)
		report(area_insn(xrstor_insn, given, ~0UL) == VEC_GP, "XRSTOR, compacted form without XSAVEC: #GP");
	*(uint64_t *)(given + 512 + 8) = 0;
	write_cr0(cr0 | CR0_TS);
	report(area_insn(xsave_insn, got, 1) == VEC_NM && area_insn(movaps_insn, got, 1) == VEC_NM, "CR0.TS: #NM");
	exits(3);
	report((read_cr0() & CR0_TS) != 0 && area_insn(movaps_insn, got, 1) == VEC_NM, "CR0.TS stays over sleep");
	write_cr0(cr0 | CR0_EM);
	report(area_insn(movaps_insn, got, 1) == VEC_UD, "CR0.EM: SSE gives #UD");
	write_cr0(cr0);
	write_cr4(cr4 & ~CR4_OSFXSR);
	report(area_insn(movaps_insn, got, 1) == VEC_UD, "without CR4.OSFXSR: SSE gives #UD");
	write_cr4(cr4);
}

static void test_xsaves(void)
{
	uint32_t bits = cpuid(0xd, 1).eax;
	uint64_t v;

	if ((bits & BIT(1)) != 0) {
		memset(got, 0, AREA_SIZE);
		report(area_insn(xsavec_insn, got, ~0UL) == NO_TRAP &&
		       *(uint64_t *)(got + 512 + 8) == (BIT(63) | supported), "XSAVEC: compacted, XCOMP_BV");
	} else {
		report(area_insn(xsavec_insn, got, 1) == VEC_UD, "no XSAVEC: #UD");
	}
	if ((bits & BIT(3)) == 0) {
		report(area_insn(xsaves_insn, got, 1) == VEC_UD, "no XSAVES: #UD");
		report(rdmsr_safe(MSR_XSS, &v) == VEC_GP, "no XSAVES: no IA32_XSS");
		return;
	}
	report(rdmsr_safe(MSR_XSS, &v) == NO_TRAP && v == 0, "IA32_XSS is 0");
	report(wrmsr_safe(MSR_XSS, 0) == NO_TRAP, "IA32_XSS takes 0");
	report(wrmsr_safe(MSR_XSS, XCR0_X87) == VEC_GP && wrmsr_safe(MSR_XSS, XCR0_AVX) == VEC_GP,
	       "IA32_XSS with states of XCR0: #GP");
	report(wrmsr_safe(MSR_XSS, BIT(62)) == VEC_GP, "IA32_XSS with an unknown state: #GP");
	v = cpuid(0xd, 1).ecx | (uint64_t)cpuid(0xd, 1).edx << 32;
	if (v == 0)
		report(wrmsr_safe(MSR_XSS, BIT(8)) == VEC_GP, "IA32_XSS with a state that CPUID does not list: #GP");
	memset(got, 0, AREA_SIZE);
	report(area_insn(xsaves_insn, got, ~0UL) == NO_TRAP && *(uint64_t *)(got + 512 + 8) == (BIT(63) | supported),
	       "XSAVES");
}

void test_main(void)
{
	if ((cpuid(1, 0).ecx & BIT(26)) == 0) {
		report_skip("no XSAVE");
		report(write_cr4_safe(read_cr4() | CR4_OSXSAVE) == VEC_GP, "CR4.OSXSAVE without XSAVE: #GP");
		return;
	}
	supported = cpuid(0xd, 0).eax | (uint64_t)cpuid(0xd, 0).edx << 32;
	report_info("XCR0 can be %#lx", supported);
	test_enable();
	test_xsetbv();
	test_sizes();
	test_kept();
	test_faults();
	test_xsaves();
}
