/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MTRRs and the PAT as registers: which values they take, which give #GP, what a refused write leaves. SDM vol. 3
 * sections 12.11 and 12.12.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>

const char subject_name[] = "mtrr";

#define MSR_PHYSBASE(n)	(0x200U + 2 * (n))
#define MSR_PHYSMASK(n)	(0x201U + 2 * (n))
#define CAP_FIXED	BIT(8)
#define CAP_WC		BIT(10)
#define DEF_E		BIT(11)
#define DEF_FE		BIT(10)
#define MASK_VALID	BIT(11)
#define BYTES(v)	((uint64_t)(v) * 0x0101010101010101UL)

static const uint32_t fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f };
static uint64_t cap;
static uint64_t phys;	/* address bits of a base or mask */

static bool type_legal(uint64_t type)
{
	return type == 0 || type == 1 || (type >= 4 && type <= 6);
}

/* @value is kept, or refused with nothing changed. The register is as before after it. */
static bool takes(uint32_t msr, uint64_t value)
{
	uint64_t old = rdmsr(msr);
	bool kept = wrmsr_safe(msr, value) == NO_TRAP && rdmsr(msr) == value;

	wrmsr(msr, old);
	return kept;
}

static bool refuses(uint32_t msr, uint64_t value)
{
	uint64_t old = rdmsr(msr);
	bool refused = wrmsr_safe(msr, value) == VEC_GP && try_error() == 0 && rdmsr(msr) == old;

	if (!refused)
		wrmsr(msr, old);
	return refused;
}

static void test_cap(void)
{
	cap = rdmsr(MSR_MTRRCAP);
	report((cap & 0xff) != 0 && (cap & 0xff) <= 10, "MTRRCAP: variable ranges");
	report(wrmsr_safe(MSR_MTRRCAP, cap) == VEC_GP, "MTRRCAP is read-only: #GP");
	report((cpuid(1, 0).edx & BIT(12)) != 0, "CPUID has MTRR");
	report((cap & CAP_WC) != 0 || !takes(MSR_MTRR_DEF_TYPE, 1), "MTRRCAP: write combining");
}

static void test_def_type(void)
{
	uint64_t old = rdmsr(MSR_MTRR_DEF_TYPE);
	bool good = true, bad = true, reserved = true;

	for (uint64_t type = 0; type < 256; type++) {
		if (type_legal(type))
			good = good && takes(MSR_MTRR_DEF_TYPE, (old & (DEF_E | DEF_FE)) | type);
		else
			bad = bad && refuses(MSR_MTRR_DEF_TYPE, (old & (DEF_E | DEF_FE)) | type);
	}
	report(good, "MTRR_DEF_TYPE takes UC, WC, WT, WP, WB");
	report(bad, "MTRR_DEF_TYPE: any other type gives #GP");
	for (unsigned int bit = 8; bit < 64; bit++) {
		if (bit != 10 && bit != 11)
			reserved = reserved && refuses(MSR_MTRR_DEF_TYPE, old | BIT(bit));
	}
	report(reserved, "MTRR_DEF_TYPE: reserved bits give #GP");
	report(takes(MSR_MTRR_DEF_TYPE, old ^ DEF_FE), "MTRR_DEF_TYPE: FE can be switched");
}

static void test_fixed(void)
{
	bool good = true, bad = true;

	if ((cap & CAP_FIXED) == 0) {
		report_skip("no fixed ranges");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		for (uint64_t type = 0; type < 8; type++) {
			if (type_legal(type))
				good = good && takes(fixed[i], BYTES(type));
			else
				bad = bad && refuses(fixed[i], BYTES(type));
		}
		for (unsigned int byte = 0; byte < 8; byte++) {
			bad = bad && refuses(fixed[i], (BYTES(6) & ~(0xffUL << 8 * byte)) | 2UL << 8 * byte);
			good = good && takes(fixed[i], (BYTES(6) & ~(0xffUL << 8 * byte)) | 1UL << 8 * byte);
		}
		bad = bad && refuses(fixed[i], BYTES(0x46));
	}
	report(good, "fixed ranges take UC, WC, WT, WP, WB in each byte");
	report(bad, "fixed ranges: a bad type in any byte gives #GP");
}

static void test_variable(void)
{
	unsigned int count = cap & 0xff;
	bool good = true, bad = true, reserved = true;
	uint64_t v;

	for (unsigned int n = 0; n < count; n++) {
		for (uint64_t type = 0; type < 8; type++) {
			if (type_legal(type))
				good = good && takes(MSR_PHYSBASE(n), 0xfd000000UL | type);
			else
				bad = bad && refuses(MSR_PHYSBASE(n), 0xfd000000UL | type);
		}
		good = good && takes(MSR_PHYSBASE(n), phys | 6) && takes(MSR_PHYSMASK(n), phys | MASK_VALID) &&
			takes(MSR_PHYSMASK(n), phys);
		for (unsigned int bit = 8; bit < 12; bit++)
			reserved = reserved && refuses(MSR_PHYSBASE(n), 0xfd000000UL | BIT(bit));
		for (unsigned int bit = 0; bit < 11; bit++)
			reserved = reserved && refuses(MSR_PHYSMASK(n), 0xff000000UL | BIT(bit));
		for (unsigned int bit = cpuid(0x80000008, 0).eax & 0xff; bit < 64; bit++)
			reserved = reserved && refuses(MSR_PHYSBASE(n), BIT(bit)) && refuses(MSR_PHYSMASK(n), BIT(bit));
	}
	report(good, "variable ranges take all addresses and types");
	report(bad, "variable ranges: a bad type gives #GP");
	report(reserved, "variable ranges: reserved bits, and addresses the CPU lacks, give #GP");
	report(rdmsr_safe(MSR_PHYSBASE(count), &v) == VEC_GP || count == 10, "a range beyond MTRRCAP's count: #GP");
}

static void test_pat(void)
{
	uint64_t old = rdmsr(MSR_PAT);
	bool good = true, bad = true;

	for (unsigned int entry = 0; entry < 8; entry++) {
		for (uint64_t type = 0; type < 256; type++) {
			uint64_t value = (old & ~(0xffUL << 8 * entry)) | type << 8 * entry;

			if (type_legal(type) || type == 7)
				good = good && takes(MSR_PAT, value);
			else
				bad = bad && refuses(MSR_PAT, value);
		}
	}
	report(good, "PAT: UC, WC, WT, WP, WB, UC- in each entry");
	report(bad, "PAT: any other value in any entry gives #GP");
}

/* Different values in each VM that shares the CPU. */
static void test_kept(void)
{
	uint64_t mark = (rdtsc() & 1) != 0 ? 4 : 5;
	uint64_t pat = rdmsr(MSR_PAT), base = rdmsr(MSR_PHYSBASE(1));
	bool ok = true;

	if (!lapic_present()) {
		report_skip("no local APIC: sleep");
		return;
	}
	lapic_enable();
	lapic_write(APIC_LVT_TIMER, 0x50);
	trap_set_handler(0x50, trap_handler_eoi);
	wrmsr(MSR_PAT, (pat & ~0xff00000000000000UL) | mark << 56);
	wrmsr(MSR_PHYSBASE(1), mark << 20 | mark);
	for (unsigned int i = 0; i < 10; i++) {
		lapic_write(APIC_TMICT, 3000);
		sti_hlt_cli();
		ok = ok && rdmsr(MSR_PAT) >> 56 == mark && rdmsr(MSR_PHYSBASE(1)) == (mark << 20 | mark);
	}
	wrmsr(MSR_PAT, pat);
	wrmsr(MSR_PHYSBASE(1), base);
	report(ok, "PAT and MTRRs stay while the CPU sleeps and others use it");
	trap_set_handler(0x50, NULL);
}

static void test_wbinvd(void)
{
	static volatile uint32_t word;

	word = 0x12345678;
	__asm__ volatile("wbinvd" : : : "memory");
	report(word == 0x12345678, "WBINVD writes back before it empties the caches");
}

void test_main(void)
{
	uint64_t v;

	test_wbinvd();
	if ((cpuid(1, 0).edx & BIT(12)) == 0 || rdmsr_safe(MSR_MTRRCAP, &v) != NO_TRAP) {
		report_skip("no MTRRs");
		return;
	}
	phys = (BIT(cpuid(0x80000008, 0).eax & 0xff) - 1) & ~0xfffUL;
	test_cap();
	test_def_type();
	test_fixed();
	test_variable();
	test_pat();
	test_kept();
}
