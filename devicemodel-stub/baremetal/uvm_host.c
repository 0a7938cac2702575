/* SPDX-License-Identifier: BSD-3-Clause */
/* What the bare-metal Service VM has for itself: free memory, interrupts, time, its modules. */
#include "uvm.h"

#include <guests/lib/acpi.h>
#include <guests/lib/apic.h>

#define MB_BOOT_MAGIC 0x2BADB002U
#define MB_INFO_MMAP  0x40U
#define TICK_HZ       100UL
#define TSC_KHZ_GUESS 1000000UL
#define LOWEST_FREE   0x100000UL

extern uint32_t boot_magic, boot_info;
extern uint8_t image_end[];

static uint64_t free_next, free_end;
static volatile uint64_t upcalls, ticks;

int64_t hypercall(uint64_t id, uint64_t arg1, uint64_t arg2)
{
	register uint64_t r8 __asm__("r8") = id;
	int64_t ret;

	__asm__ volatile("vmcall" : "=a"(ret) : "a"(0xA511A511A511A511UL), "r"(r8), "D"(arg1), "S"(arg2) : "memory");
	return ret;
}

static void upcall_handler(struct trap *t)
{
	(void)t;
	upcalls = upcalls + 1;
	lapic_eoi();
}

static void tick_handler(struct trap *t)
{
	(void)t;
	ticks = ticks + 1;
	lapic_eoi();
}

uint64_t uvm_upcalls(void)
{
	return upcalls;
}

uint64_t uvm_ticks(void)
{
	return ticks;
}

uint64_t uvm_tsc_khz(void)
{
	uint32_t khz = cpuid(ACRN_CPUID_TSC_KHZ, 0).eax;

	return (on_hypervisor() && khz != 0U) ? khz : TSC_KHZ_GUESS;
}

#define USED_MAX (UVM_MAX + 8U)

static struct {
	uint64_t start, end;
} used[USED_MAX];
static uint32_t used_count;

static void note_used(uint64_t start, uint64_t end)
{
	if (used_count < USED_MAX) {
		used[used_count].start = start;
		used[used_count++].end = end;
	}
}

/* What is in use: the image, the modules, what the loader wrote. */
static void note_all_used(void)
{
	note_used(0UL, LOWEST_FREE);
	note_used(0x400000UL, (uint64_t)(uintptr_t)image_end); /* where test guests are linked */
	note_used(boot_info, (uint64_t)boot_info + 0x10000UL);
	for (unsigned int i = 0; i < boot_module_count(); i++) {
		struct boot_module m = boot_module_get(i);

		note_used(m.start, m.end);
	}
}

/* From `at` on: nothing that is used before *end, which is brought nearer. @return false if `at` itself is used */
static bool gap_from(uint64_t at, uint64_t *end)
{
	for (uint32_t i = 0; i < used_count; i++) {
		if (at >= used[i].start && at < used[i].end) {
			return false;
		}
		if (used[i].start > at && used[i].start < *end) {
			*end = used[i].start;
		}
	}
	return true;
}

static void take_if_longest(uint64_t at, uint64_t end)
{
	if (at < end && gap_from(at, &end) && end - at > free_end - free_next) {
		free_next = at;
		free_end = end;
	}
}

/* The longest piece of RAM below 4 GiB that nothing is in: it begins with a range, or behind something used. */
static void find_free(void)
{
	const uint32_t *info = (const uint32_t *)(uintptr_t)boot_info;

	if (boot_magic != MB_BOOT_MAGIC || (info[0] & MB_INFO_MMAP) == 0U) {
		return;
	}
	note_all_used();
	for (uint32_t i = 0; i < info[11];) {
		const uint32_t at = info[12] + i;
		const uint32_t *e = (const uint32_t *)(uintptr_t)at;
		uint64_t base = e[1] | ((uint64_t)e[2] << 32U);
		uint64_t end = base + (e[3] | ((uint64_t)e[4] << 32U));

		i += e[0] + 4U;
		if (e[5] != 1U || base >= 0x100000000UL) {
			continue;
		}
		if (end > 0x100000000UL) {
			end = 0x100000000UL;
		}
		take_if_longest(base, end);
		for (uint32_t k = 0; k < used_count; k++) {
			if (used[k].end > base) {
				take_if_longest(used[k].end, end);
			}
		}
	}
}

void *uvm_alloc(uint64_t size, uint64_t align)
{
	uint64_t at = (free_next + align - 1UL) & ~(align - 1UL);

	if (at > free_end || size > free_end - at) {
		report(false, "%lu KiB of free memory (%lu KiB left)", size >> 10U, (free_end - free_next) >> 10U);
		return NULL;
	}
	free_next = at + size;
	memset((void *)(uintptr_t)at, 0, size);
	return (void *)(uintptr_t)at;
}

void uvm_init(void)
{
	find_free();
	report_info(
		"free memory %#lx-%#lx, TSC %lu kHz, %u CPU(s)", free_next, free_end, uvm_tsc_khz(), smp_expected());
	lapic_enable();
	(void)trap_set_handler(ACRN_UPCALL_VECTOR, upcall_handler);
	(void)trap_set_handler(VEC_TICK, tick_handler);
	/* The rate is not measured: it only has to be now and then. Divide by 1; the bus clock is near the TSC's. */
	lapic_write(APIC_TDCR, 0xBU);
	lapic_write(APIC_LVT_TIMER, LVT_PERIODIC | VEC_TICK);
	lapic_write(APIC_TMICT, (uint32_t)(uvm_tsc_khz() * 1000UL / TICK_HZ));
}

/* @return what follows the word that is `word` or, if `end` is '=', begins with `word` and that; NULL: there is none */
static const char *find_word(const char *words, const char *word, char end)
{
	const size_t length = strlen(word);

	for (const char *p = words; *p != '\0';) {
		if (strncmp(p, word, length) == 0 && (p[length] == end || (end == ' ' && p[length] == '\0'))) {
			return p + length;
		}
		while (*p != '\0' && *p != ' ') {
			p++;
		}
		while (*p == ' ') {
			p++;
		}
	}
	return NULL;
}

bool uvm_word(const char *words, const char *key, char *buf, size_t size)
{
	const char *p = find_word(words, key, '=');
	size_t n = 0;

	if (p == NULL) {
		return false;
	}
	for (p++; *p != '\0' && *p != ' ' && n + 1U < size; p++) {
		buf[n++] = *p;
	}
	buf[n] = '\0';
	return true;
}

static bool flag(const char *words, const char *word)
{
	return find_word(words, word, ' ') != NULL;
}

bool uvm_from_module(struct uvm *u, unsigned int module)
{
	struct boot_module m = boot_module_get(module);
	unsigned int cpus = smp_expected();
	char value[32];

	if (m.end < m.start + 64UL || memcmp((const void *)(uintptr_t)m.start, "\177ELF", 4) != 0) {
		return false;
	}
	memset(u, 0, sizeof(*u));
	guest_snprintf(u->name, sizeof(u->name), "UVM%u", module + 1U);
	if (uvm_word(m.args, "name", value, sizeof(value))) {
		guest_snprintf(u->name, sizeof(u->name), "%s", value);
	}
	/* Without a word about it: the last CPU, which need not be ours. */
	u->affinity = 1UL << (cpus - 1U);
	if (uvm_word(m.args, "cpus", value, sizeof(value)) || boot_option("cpus", value, sizeof(value))) {
		u->affinity = parse_number(value);
	}
	u->ram_size = 16UL << 20U;
	if (uvm_word(m.args, "mem", value, sizeof(value)) || boot_option("mem", value, sizeof(value))) {
		u->ram_size = parse_number(value) << 20U;
	}
	u->polling = flag(m.args, "polling") || boot_flag("polling");
	u->kernel.data = (const void *)(uintptr_t)m.start;
	u->kernel.size = m.end - m.start;
	u->cmdline = m.args;
	return true;
}
