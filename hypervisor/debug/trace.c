/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings of events, one for each pCPU.
 *
 * Only its own pCPU writes a ring, with interrupts off, so an event is a few stores and one more of the count. When the
 * ring is full the oldest go. A reader on another pCPU copies an event and then looks at the count again: at
 * `first + size` the writer may be in the middle of overwriting event `first`. x86 keeps the order of stores among
 * each other, and of loads; release and acquire say so to the compiler.
 */
#include <config.h>

#include <asm/page.h>
#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/trace.h>
#include <hv/vm.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/string.h>

#define RING_EVENTS (1UL << CONFIG_TRACE_ORDER)
#define RING_BYTES  (RING_EVENTS * sizeof(struct trace_event))

#define DUMP_VERSION 1U

struct trace_ring {
	struct trace_event *events; /* RING_EVENTS; NULL before the first trace_start() */
	uint64_t count;             /* recorded ever; event n is at n % RING_EVENTS */
	uint64_t start;             /* trace_clear(): those before are forgotten; the reader's own */
} __aligned(64);

static struct trace_ring rings[CONFIG_MAX_PCPU_NUM];
uint32_t trace_classes __aligned(64);
static bool at_end;
static uint64_t at_end_most;

enum part {
	PART_BEGIN,
	PART_NAMES,
	PART_VMS,
	PART_CPU,
	PART_EVENTS,
	PART_END,
	PART_OVER,
};

void trace_record(uint32_t id, uint16_t who, uint32_t arg, uint64_t a, uint64_t b)
{
	struct trace_ring *const ring = &rings[arch_cpu_id()];
	const uint64_t n = ring->count;

	ring->events[n % RING_EVENTS] = (struct trace_event){arch_now(), (uint16_t)id, who, arg, a, b};
	__atomic_store_n(&ring->count, n + 1UL, __ATOMIC_RELEASE);
}

static uint32_t ring_order(void)
{
	uint32_t order = 0U;

	while ((PAGE_SIZE << order) < RING_BYTES) {
		order++;
	}
	return order;
}

int32_t trace_start(uint32_t classes)
{
	for (uint16_t cpu = 0U; cpu < arch_cpu_count(); cpu++) {
		if (rings[cpu].events == NULL) {
			rings[cpu].events = pages_alloc(ring_order(), PAGE_OWNER_HV);
		}
		if (rings[cpu].events == NULL) {
			return -ENOMEM; /* those of other pCPUs serve at the next try */
		}
	}
	__atomic_store_n(&trace_classes, classes & TRACE_ALL, __ATOMIC_RELEASE);
	return 0;
}

void trace_stop(void)
{
	__atomic_store_n(&trace_classes, 0U, __ATOMIC_RELEASE);
}

static uint64_t count_of(uint16_t cpu)
{
	return __atomic_load_n(&rings[cpu].count, __ATOMIC_ACQUIRE);
}

void trace_clear(void)
{
	for (uint16_t cpu = 0U; cpu < arch_cpu_count(); cpu++) {
		rings[cpu].start = count_of(cpu);
	}
}

void trace_counts(uint16_t cpu, uint64_t *recorded, uint64_t *lost)
{
	*recorded = count_of(cpu) - rings[cpu].start;
	*lost = (*recorded > RING_EVENTS) ? (*recorded - RING_EVENTS) : 0UL;
}

/* ---- The dump ---- */

void trace_dump_begin(struct trace_dump *dump, uint64_t most)
{
	trace_stop();
	*dump = (struct trace_dump){.part = PART_BEGIN, .most = (most == 0UL) ? RING_EVENTS : most};
}

/* The sum of a line: of its characters, and of their sums, so that a swap is seen too. */
static uint32_t line_sum(const char *text)
{
	uint32_t sum = 1U;
	uint32_t sums = 0U;

	for (; *text != '\0'; text++) {
		sum = (sum + (uint8_t)*text) & 0xFFU;
		sums = (sums + sum) & 0xFFU;
	}
	return (sums << 8U) | sum;
}

/* Every line begins "@t " and ends with a blank and four digits. */
static bool emit(struct trace_dump *dump, char *line, const char *fmt, ...) __printf(3, 4);

static bool emit(struct trace_dump *dump, char *line, const char *fmt, ...)
{
	const size_t room = TRACE_LINE - sizeof(" 0123");
	size_t len;
	va_list args;

	(void)strlcpy(line, "@t ", TRACE_LINE);
	va_start(args, fmt);
	(void)vsnprintf(line + 3, room - 3U, fmt, args);
	va_end(args);
	len = strlen(line);
	(void)snprintf(line + len, TRACE_LINE - len, " %04x", line_sum(line));
	dump->lines++;
	return true;
}

static bool emit_begin(struct trace_dump *dump, char *line)
{
	dump->part = PART_NAMES;
	return emit(dump, line, "begin %u cpus %u khz %u", DUMP_VERSION, arch_cpu_count(), arch_tsc_khz());
}

/* So that nobody needs the table of this very hypervisor. */
static bool emit_name(struct trace_dump *dump, char *line)
{
	const uint32_t reason = dump->reason;
	const char *const name = arch_exit_name(reason);

	if (reason == ARRAY_SIZE(((struct acrn_vcpu *)0)->exit_count)) {
		dump->part = PART_VMS;
		return false;
	}
	dump->reason++;
	return (strcmp(name, "unknown") != 0) && emit(dump, line, "exit %u %s", reason, name);
}

static bool emit_vm(struct trace_dump *dump, char *line)
{
	const struct acrn_vm *const vm = vm_by_id(dump->vm);

	if (vm == NULL) {
		dump->part = PART_CPU;
		return false;
	}
	dump->vm++;
	return (vm->name[0] != '\0') && emit(dump, line, "vm %u %s", vm->vm_id, vm->name);
}

/* The oldest event that is still there, and wanted. */
static bool emit_cpu(struct trace_dump *dump, char *line)
{
	uint64_t recorded, lost;

	if (dump->cpu == arch_cpu_count()) {
		dump->part = PART_END;
		return false;
	}
	trace_counts(dump->cpu, &recorded, &lost);
	dump->end = rings[dump->cpu].start + recorded;
	dump->next = dump->end - MIN(recorded - lost, dump->most);
	dump->part = PART_EVENTS;
	return emit(
		dump, line, "cpu %u first %lx count %lu lost %lu", dump->cpu, dump->next, dump->end - dump->next, lost);
}

/* @return false if it was, or may have been, overwritten while it was read */
static bool read_event(uint16_t cpu, uint64_t n, struct trace_event *event)
{
	const struct trace_event *const from = &rings[cpu].events[n % RING_EVENTS];

	*event = *(const volatile struct trace_event *)from;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return count_of(cpu) - n < RING_EVENTS;
}

static bool emit_event(struct trace_dump *dump, char *line)
{
	struct trace_event e;
	const uint64_t n = dump->next;

	if (n == dump->end) {
		dump->cpu++;
		dump->part = PART_CPU;
		return false;
	}
	dump->next++;
	return read_event(dump->cpu, n, &e) &&
		emit(dump, line, "%x %lx %lx %x %04x %x %lx %lx", dump->cpu, n, e.tsc, e.id, e.who, e.arg, e.a, e.b);
}

bool trace_dump_line(struct trace_dump *dump, char *line)
{
	bool (*const parts[])(struct trace_dump *, char *) = {
		[PART_BEGIN] = emit_begin,
		[PART_NAMES] = emit_name,
		[PART_VMS] = emit_vm,
		[PART_CPU] = emit_cpu,
		[PART_EVENTS] = emit_event,
	};

	while (dump->part < PART_END) {
		if (parts[dump->part](dump, line)) {
			return true;
		}
	}
	if (dump->part == PART_OVER) {
		return false;
	}
	dump->part = PART_OVER;
	return emit(dump, line, "end %lu", dump->lines);
}

/* ---- From boot to the end ---- */

void trace_boot(void)
{
	at_end = cmdline_has("trace") || cmdline_u64("trace", &at_end_most);
	if (at_end && (trace_start(TRACE_ALL) != 0)) {
		pr_err("trace: no memory for %lu events on each CPU", RING_EVENTS);
		at_end = false;
	}
}

void trace_dump_at_end(void)
{
	struct trace_dump dump;
	char line[TRACE_LINE];

	if (!at_end) {
		return;
	}
	trace_dump_begin(&dump, at_end_most);
	while (trace_dump_line(&dump, line)) {
		const size_t len = strlen(line);

		line[len] = '\n';
		console_write_line(line, len + 1U);
	}
}
