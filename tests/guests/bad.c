/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guests that end badly, chosen on the command line:
 *	bad=triple	an exception with no IDT: shutdown
 *	bad=garbage	executes bytes that are no program
 *	bad=unmapped	jumps to physical memory where there is none (through its own page tables)
 *	bad=unmapped_data	reads and writes there
 *	bad=insn	an instruction on a device's memory that the hypervisor does not emulate
 *	bad=ins, outs	string I/O with an operand where there is no memory
 *	bad=stack	an exception with its stack there
 *	bad=init	INIT to its boot CPU, which goes on at the reset vector: there is no firmware
 *	bad=cli_spin	spins for ever with interrupts off
 *	bad=cli_hlt	halts for ever with interrupts off
 * Only this VM may suffer. It says what it is about to do, and has no PASS line of its own: whoever
 * runs it looks at what the others did.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/page.h>

const char subject_name[] = "bad";

#define NOBODY	0x7f00

static void no_idt(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0" : : "m"(none));
}

static void triple(void)
{
	no_idt();
	__asm__ volatile("ud2");
}

static void garbage(void)
{
	uint8_t *page = page_alloc();
	uint32_t x = 0x12345678;

	for (size_t i = 0; i < PAGE_SIZE; i++) {
		x = x * 1664525 + 1013904223;
		page[i] = (uint8_t)(x >> 24);
	}
	no_idt();
	((void (*)(void))(uintptr_t)page)();
}

/* An address above all RAM and below the devices. */
static uint64_t nowhere(void)
{
	uint64_t top = boot_ram_top();

	return top < 0xd0000000UL ? 0xd0000000UL : (top + 0x10000000UL) & ~0xfffUL;
}

static void unmapped(void)
{
	uint64_t va = page_window(1);

	page_map(va, nowhere(), PTE_P | PTE_W);
	((void (*)(void))va)();
	/* Bare hardware reads all ones there: FF FF is #UD. */
}

static void unmapped_data(void)
{
	uint64_t va = page_window(1);
	volatile uint32_t *p = (volatile uint32_t *)va;

	page_map(va, nowhere(), PTE_P | PTE_W);
	*p = 0x12345678;
	report_info("nowhere reads %#x", *p);
}

static void insn(void)
{
	uint64_t va = page_window(1);

	page_map(va, nowhere(), PTE_P | PTE_W);
	__asm__ volatile("fnsave (%0)" : : "r"(va) : "memory");
}

static void ins(void)
{
	uint64_t va = page_window(1);

	page_map(va, nowhere(), PTE_P | PTE_W);
	__asm__ volatile("cld\n\tinsl" : "+D"(va) : "d"(NOBODY) : "memory");
}

static void outs(void)
{
	uint64_t va = page_window(1);

	page_map(va, nowhere(), PTE_P | PTE_W);
	__asm__ volatile("cld\n\toutsl" : "+S"(va) : "d"(NOBODY) : "memory");
}

static void stack(void)
{
	uint64_t va = page_window(1);

	page_map(va, nowhere(), PTE_P | PTE_W);
	__asm__ volatile("mov %0, %%rsp\n\tud2" : : "r"(va + 0x800) : "memory");
}

static void cli_spin(void)
{
	for (;;)
		__asm__ volatile("" : : : "memory");
}

static void cli_hlt(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt" : : : "memory");
}

static void init(void)
{
	lapic_enable();
	lapic_ipi(ICR_INIT | ICR_ASSERT, lapic_id());
	delay_ticks(100000);
}

void test_main(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} ways[] = {
		{ "triple", triple }, { "garbage", garbage }, { "unmapped", unmapped },
		{ "unmapped_data", unmapped_data }, { "insn", insn },
		{ "ins", ins }, { "outs", outs }, { "stack", stack }, { "init", init }, { "cli_spin", cli_spin },
		{ "cli_hlt", cli_hlt },
	};
	char name[32];

	if (!boot_option("bad", name, sizeof(name))) {
		report_skip("no bad=... on the command line");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (strcmp(ways[i].name, name) != 0)
			continue;
		report_info("about to: %s", name);
		console_flush();
		ways[i].fn();
		report(strcmp(name, "unmapped_data") == 0, "came back from %s", name);
		return;
	}
	report(false, "unknown bad=%s", name);
}
