/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory-mapped registers through page tables and code that change from one access to the next: what an emulator might
 * remember of the last one must not show. SDM vol. 3, 4.7, 4.8, 4.10.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/ioapic.h>
#include <guests/lib/page.h>

const char subject_name[] = "remap";

#define IOAPIC_PAGE	0xfec00000UL
#define IOAPIC_WINDOW	0x10UL
#define LAPIC_PAGE	0xfee00000UL
#define DEVICE		(PTE_P | PTE_W | PTE_PCD)
#define ROUNDS		20

STUB(load_eax, "movl (%rbx), %eax");
STUB(store_eax, "movl %eax, (%rbx)");
STUB(add_eax, "addl %eax, (%rbx)");

static uint64_t va;	/* one page of the alias window */
static uint32_t ioapic_version, lapic_version;

static void map(uint64_t pa, uint64_t flags)
{
	*page_entry(va) = pa | flags;
	invlpg((void *)va);
}

static int load(uint64_t at, uint32_t *value, struct trap *t)
{
	struct regs r;
	int vec;

	regs_fill(&r);
	r.rbx = at;
	vec = exec_catch(&r, load_eax, t);
	*value = (uint32_t)r.rax;
	return vec;
}

static int store(uint64_t at, uint32_t value, struct trap *t)
{
	struct regs r;

	regs_fill(&r);
	r.rbx = at;
	r.rax = value;
	return exec_catch(&r, store_eax, t);
}

static bool reads(uint64_t at, uint32_t expected)
{
	struct trap t;
	uint32_t value;

	return load(at, &value, &t) == NO_TRAP && value == expected;
}

static void test_leaf(void)
{
	bool ok = true;

	for (int i = 0; i < ROUNDS; i++) {
		map(IOAPIC_PAGE, DEVICE);
		ok = ok && reads(va + IOAPIC_WINDOW, ioapic_version);
		map(LAPIC_PAGE, DEVICE);
		ok = ok && reads(va + APIC_VERSION, lapic_version);
	}
	report(ok, "a page entry that goes from one device to another");
}

static void test_faults(void)
{
	struct trap t;
	uint32_t value;
	bool ok = true;

	write_cr0(read_cr0() | CR0_WP);
	for (int i = 0; i < ROUNDS; i++) {
		map(LAPIC_PAGE, DEVICE);
		ok = ok && reads(va + APIC_VERSION, lapic_version) && store(va + APIC_TPR, 0, &t) == NO_TRAP;
		map(LAPIC_PAGE, 0);
		ok = ok && load(va + APIC_VERSION, &value, &t) == VEC_PF && t.err == 0 &&
			t.cr2 == va + APIC_VERSION;
		ok = ok && store(va + APIC_TPR, 0, &t) == VEC_PF && t.err == 2 && t.cr2 == va + APIC_TPR;
		map(LAPIC_PAGE, PTE_P);
		ok = ok && reads(va + APIC_VERSION, lapic_version) &&
			store(va + APIC_TPR, 0, &t) == VEC_PF && t.err == 3;
	}
	report(ok, "a page that goes away or becomes read-only: #PF");
}

static void test_accessed_dirty(void)
{
	const uint64_t flags = PTE_A | PTE_D;
	struct trap t;
	struct regs r;
	bool ok = true;

	for (int i = 0; i < ROUNDS; i++) {
		map(LAPIC_PAGE, DEVICE);
		ok = ok && reads(va + APIC_VERSION, lapic_version) && (*page_entry(va) & flags) == PTE_A;
		map(LAPIC_PAGE, DEVICE);
		ok = ok && store(va + APIC_TPR, 0, &t) == NO_TRAP && (*page_entry(va) & flags) == flags;
		map(LAPIC_PAGE, DEVICE);
		regs_fill(&r);
		r.rbx = va + APIC_TPR;
		r.rax = 0;
		ok = ok && exec_catch(&r, add_eax, &t) == NO_TRAP && (*page_entry(va) & flags) == flags;
	}
	report(ok, "accessed and dirty bits that were cleared are set again");
}

/* Tables that differ in the window's top entry only. */
static uint64_t other_tables(uint64_t pa)
{
	const uint64_t cr3 = read_cr3() & PTE_ADDR;
	uint64_t *top = page_alloc();
	uint64_t *table = top;

	memcpy(top, (const void *)cr3, PAGE_SIZE);
	for (unsigned int shift = 39; shift > 12; shift -= 9) {
		uint64_t *next = page_alloc();

		table[(va >> shift) & 511] = (uint64_t)next | PTE_P | PTE_W;
		table = next;
	}
	table[(va >> 12) & 511] = pa | DEVICE;
	return (uint64_t)top;
}

static void test_cr3(void)
{
	const uint64_t old = read_cr3();
	const uint64_t other = other_tables(IOAPIC_PAGE);
	bool ok = true;

	map(LAPIC_PAGE, DEVICE);
	for (int i = 0; i < ROUNDS; i++) {
		ok = ok && reads(va + APIC_VERSION, lapic_version);
		write_cr3(other);
		ok = ok && reads(va + IOAPIC_WINDOW, ioapic_version);
		write_cr3(old);
	}
	report(ok, "MOV to CR3: other tables, other device");
}

/* mov eax, [rbx+APIC_VERSION]; mov ecx, [...]; mov [...], ecx: each with RET. Longer than an instruction may be. */
static const uint8_t codes[3][16] = {
	{0x8b, 0x43, APIC_VERSION, 0xc3},
	{0x8b, 0x4b, APIC_VERSION, 0xc3},
	{0x67, 0x8b, 0x43, APIC_VERSION, 0xc3}, /* at the 32-bit address */
};

static bool runs(const uint8_t *code, unsigned int which)
{
	struct regs r;
	struct trap t;

	regs_fill(&r);
	r.rbx = LAPIC_PAGE + (which == 2 ? 1UL << 32 : 0);
	r.rax = 0;
	r.rcx = 0;
	return exec_catch(&r, code, &t) == NO_TRAP && (uint32_t)r.rax == (which == 1 ? 0 : lapic_version) &&
		(uint32_t)r.rcx == (which == 1 ? lapic_version : 0);
}

static void test_code(void)
{
	uint8_t *pages[2] = {page_alloc(), page_alloc()};
	uint8_t *const code = pages[0];
	const uint64_t alias = page_window(1);
	bool ok = true;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		memcpy(code, codes[i % 3], sizeof(codes[0]));
		(void)cpuid(0, 0); /* serializes */
		ok = ok && runs(code, i % 3);
	}
	report(ok, "code that is changed between accesses");

	ok = true;
	memcpy(pages[0], codes[0], sizeof(codes[0]));
	memcpy(pages[1], codes[1], sizeof(codes[1]));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		page_map(alias, (uint64_t)pages[i % 2], PTE_P | PTE_W);
		invlpg((void *)alias);
		ok = ok && runs((const uint8_t *)alias, i % 2);
	}
	report(ok, "other code at the same address");
}

void test_main(void)
{
	va = page_window(1);
	if (!lapic_present() || !ioapic_present() || lapic_in_x2apic()) {
		report_skip("no APICs in memory");
		return;
	}
	lapic_enable();
	lapic_version = mmio_read32(LAPIC_PAGE + APIC_VERSION);
	mmio_write32(IOAPIC_PAGE, IOAPIC_VER);
	ioapic_version = mmio_read32(IOAPIC_PAGE + IOAPIC_WINDOW);
	report(lapic_version != 0 && lapic_version != ioapic_version, "two devices to tell apart");
	test_leaf();
	test_faults();
	test_accessed_dirty();
	test_cr3();
	test_code();
}
