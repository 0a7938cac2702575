/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a boot loader leaves: registers, command line, memory map, modules. By the header that guests.mk gives it, this
 * subject is an image for multiboot 1 (Multiboot Specification 0.6.96, 3.2 and 3.3), multiboot 2 (3.2 to 3.6) or a raw
 * one. "modules" on the command line: there are three, as the test runner makes them.
 */
#include <guests/lib/acpi.h>
#include <guests/lib/guest.h>

const char subject_name[] = "load";

#define MB1_MAGIC	0x2badb002U
#define MB2_MAGIC	0x36d76289U
#define FIRST_MIB	0x100000UL
#define MAX_RANGES	64U
#define MAX_MODULES	16U

extern const uint32_t boot_magic, boot_info;
extern const struct boot_state {
	uint32_t ecx, edx, esi, edi, ebp, cr0, eflags;
	uint16_t cs, ds, es, fs, gs, ss;
} boot_state;
extern uint8_t image_start[], image_end[];

struct range {
	uint64_t base, length;
	uint32_t type;
};

/* What both kinds of information say. */
static struct {
	const char *cmdline;
	bool has_memory, has_mmap;
	uint32_t mem_lower, mem_upper;
	unsigned int ranges, modules;
	struct range range[MAX_RANGES];
	struct boot_module module[MAX_MODULES];
	uint64_t start, end;		/* the information itself */
	const uint8_t *rsdp;		/* multiboot 2: the copy of the root pointer */
} facts;

static uint64_t data_word = 0x123456789abcdef0UL;
static uint64_t bss_words[2048];

static void add_range(uint64_t base, uint64_t length, uint32_t type)
{
	if (facts.ranges < MAX_RANGES)
		facts.range[facts.ranges++] = (struct range){ base, length, type };
}

static void add_module(uint64_t start, uint64_t end, const char *args)
{
	if (facts.modules < MAX_MODULES)
		facts.module[facts.modules++] = (struct boot_module){ start, end, args };
}

static const uint8_t *at32(uint64_t address)
{
	return (const uint8_t *)(address & 0xffffffffU);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static void read_mb1(void)
{
	const uint8_t *info = at32(boot_info);
	uint32_t flags = get32(info), length = get32(info + 44);

	facts.start = boot_info;
	facts.end = boot_info + 116UL;
	facts.has_memory = (flags & 1) != 0;
	facts.mem_lower = get32(info + 4);
	facts.mem_upper = get32(info + 8);
	facts.cmdline = (flags & 4) != 0 ? (const char *)at32(get32(info + 16)) : NULL;
	for (uint32_t i = 0; (flags & 8) != 0 && i < get32(info + 20); i++) {
		const uint8_t *m = at32(get32(info + 24) + 16UL * i);

		add_module(get32(m), get32(m + 4), (const char *)at32(get32(m + 8)));
	}
	facts.has_mmap = (flags & 64) != 0;
	for (uint32_t at = 0; facts.has_mmap && at < length;) {
		const uint8_t *m = at32(get32(info + 48) + (uint64_t)at);

		add_range(get64(m + 4), get64(m + 12), get32(m + 20));
		at += get32(m) + 4;
	}
}

static void read_mb2_mmap(const uint8_t *tag, uint32_t size)
{
	uint32_t step = get32(tag + 8);

	facts.has_mmap = true;
	for (uint32_t at = 16; step >= 20 && at + step <= size; at += step)
		add_range(get64(tag + at), get64(tag + at + 8), get32(tag + at + 16));
}

static void read_mb2(void)
{
	const uint8_t *info = at32(boot_info);
	uint32_t total = get32(info), at = 8;

	facts.start = boot_info;
	facts.end = boot_info + (uint64_t)total;
	while (at + 8 <= total) {
		const uint8_t *tag = info + at;
		uint32_t type = get32(tag), size = get32(tag + 4);

		if (type == 0 || size < 8)
			break;
		if (type == 1) {
			facts.cmdline = (const char *)tag + 8;
		} else if (type == 3) {
			add_module(get32(tag + 8), get32(tag + 12), (const char *)tag + 16);
		} else if (type == 4) {
			facts.has_memory = true;
			facts.mem_lower = get32(tag + 8);
			facts.mem_upper = get32(tag + 12);
		} else if (type == 6) {
			read_mb2_mmap(tag, size);
		} else if (type == 15) {
			facts.rsdp = tag + 8;
		}
		at += (size + 7) & ~7U;
	}
}

static bool in_ram(uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < facts.ranges; i++) {
		const struct range *r = &facts.range[i];

		if (r->type == 1 && start >= r->base && end <= r->base + r->length)
			return true;
	}
	return false;
}

static bool overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
	return a < b_end && b < a_end;
}

static bool touches_image(uint64_t start, uint64_t end)
{
	return overlap(start, end, (uint64_t)image_start, (uint64_t)image_end);
}

static void test_state(void)
{
	volatile uint32_t *low = (volatile uint32_t *)0x9000UL, *high = (volatile uint32_t *)(0x9000UL + FIRST_MIB);
	uint32_t before = *high;
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bss_words); i++)
		sum |= bss_words[i];
	report(sum == 0, "BSS is cleared");
	report(data_word == 0x123456789abcdef0UL, "data is loaded");
	report((boot_state.cr0 & 0x80000001U) == 1, "protected mode without paging");
	report((boot_state.eflags & (FLAG_IF | BIT(17))) == 0, "interrupts off, no V86 mode");
	report((boot_state.cs & 7) == 0 && boot_state.cs != 0, "CS is a ring 0 selector");
	report(boot_state.ds == boot_state.es && boot_state.ds == boot_state.fs && boot_state.ds == boot_state.gs &&
	       boot_state.ds == boot_state.ss && boot_state.ds != 0 && (boot_state.ds & 7) == 0,
	       "one data selector of ring 0 everywhere");
	*low = ~before;
	report(*high == before, "A20 is on");
}

static void test_memory(void)
{
	bool ascending = true, upper = false;

	report(facts.has_memory && facts.mem_lower >= 512 && facts.mem_lower <= 640, "mem_lower");
	report(facts.has_mmap && facts.ranges >= 2 && facts.ranges < MAX_RANGES, "there is a memory map");
	for (unsigned int i = 0; i < facts.ranges; i++) {
		const struct range *r = &facts.range[i];

		ascending = ascending && r->length != 0 &&
			(i == 0 || r->base >= r[-1].base + r[-1].length);
		upper = upper || (r->type == 1 && r->base <= FIRST_MIB &&
			r->base + r->length >= FIRST_MIB + facts.mem_upper * 1024UL);
	}
	report(ascending, "its ranges ascend and are apart");
	report(upper, "mem_upper is RAM from 1 MiB on");
	report(in_ram((uint64_t)image_start, (uint64_t)image_end), "the image lies in RAM");
	report(in_ram(facts.start, facts.end), "the information lies in RAM");
	report(!touches_image(facts.start, facts.end), "and apart from the image");
	report(!in_ram(0xf0000, FIRST_MIB), "the BIOS area is no RAM");
	if (boot_magic == MB2_MAGIC && acpi_find("FACP") != NULL)
		report(facts.rsdp != NULL && memcmp(facts.rsdp, "RSD PTR ", 8) == 0, "the ACPI root pointer");
}

static bool pattern_ok(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != (uint8_t)(7 * i + 3))
			return false;
	}
	return true;
}

static void test_modules(void)
{
	static const char *const strings[] = { "pre-env", "with words", "pre-small" };
	const struct boot_module *m = facts.module;
	bool places = true, named = true;

	report(facts.modules == 3, "three modules");
	if (facts.modules != 3)
		return;
	for (unsigned int i = 0; i < 3; i++) {
		places = places && m[i].start % 4096 == 0 && in_ram(m[i].start, m[i].end) &&
			!touches_image(m[i].start, m[i].end) &&
			!overlap(m[i].start, m[i].end, facts.start, facts.end) && m[i].start >= FIRST_MIB;
		for (unsigned int k = 0; k < i; k++)
			places = places && !overlap(m[i].start, m[i].end, m[k].start, m[k].end);
		named = named && strcmp(m[i].args, strings[i]) == 0;
	}
	report(places, "modules lie in RAM above 1 MiB, page aligned and apart from all else");
	report(named, "their strings");
	report(memcmp((const void *)m[0].start, "NR_CPUS=", 8) == 0, "the first module's bytes");
	report(m[1].end - m[1].start == 10000 && pattern_ok((const uint8_t *)m[1].start, 10000),
	       "the second's, whole");
	report(m[2].end - m[2].start == 1 && *(const char *)m[2].start == 'Z', "one of one byte");
}

static bool has_word(const char *word)
{
	const char *p = facts.cmdline == NULL ? "" : facts.cmdline;
	size_t n = strlen(word);

	for (; *p != '\0'; p++) {
		if (strncmp(p, word, n) == 0)
			return true;
	}
	return false;
}

void test_main(void)
{
	if (boot_magic == MB1_MAGIC)
		read_mb1();
	else if (boot_magic == MB2_MAGIC)
		read_mb2();
	report_prefix(boot_magic == MB1_MAGIC ? "multiboot 1" : boot_magic == MB2_MAGIC ? "multiboot 2" : "raw");
	test_state();
	if (boot_magic != MB1_MAGIC && boot_magic != MB2_MAGIC) {
		report((boot_magic | boot_info | boot_state.ecx | boot_state.edx | boot_state.esi | boot_state.edi |
			boot_state.ebp) == 0, "general registers are 0");
		return;
	}
	test_memory();
	report(facts.cmdline != NULL, "there is a command line");
	if (has_word("modules")) {
		report(strcmp(facts.cmdline, "modules second=\"a b\" last") == 0, "it is as given");
		test_modules();
	}
}
