/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/debug/trace.c */
#include <unit.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <fake.h>
#include <hv/trace.h>
#include <lib/errno.h>

#define RING (1UL << CONFIG_TRACE_ORDER)

static char text[1 << 20];

/* The rings outlive a test, as they do the switching off: what was in them is forgotten. */
static void setup(void)
{
	fake_reset();
	fake_cpu_count = 2U;
	fake_cpu_id = 0U;
	fake_time_step = 1UL;
	trace_stop();
	trace_clear();
}

/* @return lines but for those with names: other tests have left VMs */
static uint32_t dump(uint64_t most)
{
	struct trace_dump d;
	char line[TRACE_LINE];
	uint32_t lines = 0U;
	size_t at = 0;

	text[0] = '\0';
	trace_dump_begin(&d, most);
	while (trace_dump_line(&d, line)) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\n", line);
		lines += ((strncmp(line, "@t vm ", 6) != 0) && (strncmp(line, "@t exit ", 8) != 0)) ? 1U : 0U;
	}
	return lines;
}

static void record(uint32_t count)
{
	for (uint32_t i = 0U; i < count; i++) {
		trace_event(TRACE_EXIT, TRACE_WHO(1U, 2U), i, 0x1000UL + i, 7UL);
	}
}

TEST(trace_off_records_nothing)
{
	uint64_t recorded, lost;

	setup();
	EXPECT(!trace_wants(TRACE_EXIT));
	record(5U);
	trace_counts(0U, &recorded, &lost);
	EXPECT_EQ(recorded, 0UL);
	EXPECT_EQ(lost, 0UL);
}

TEST(trace_without_memory_stays_off)
{
	setup();
	fake_cpu_count = 40U; /* rings that no test has had yet */
	fake_pages_left = 0;
	EXPECT_EQ(trace_start(TRACE_ALL), -ENOMEM);
	EXPECT(!trace_wants(TRACE_EXIT));
}

TEST(trace_lines_of_a_dump)
{
	setup();
	EXPECT_EQ(trace_start(TRACE_ALL), 0);
	fake_time = 0x100UL;
	trace_event(TRACE_IO, TRACE_WHO(1U, 2U), TRACE_IO_ARG(2U, 1U, 4U, 1U), 0xd0000000UL, 0xabUL);
	fake_cpu_id = 1U;
	trace_event(TRACE_IDLE, TRACE_NOBODY, 1U, 0UL, 0UL);
	fake_cpu_id = 0U;
	EXPECT_EQ(dump(0UL), 6U);
	EXPECT(strstr(text, "@t begin 1 cpus 2 khz ") == text);
	EXPECT(strstr(text, " 101 20 0102 10412 d0000000 ab ") != NULL);
	EXPECT(strstr(text, " 33 ffff 1 0 0 ") != NULL);
	EXPECT(strstr(text, "\n@t end ") != NULL);
	EXPECT(!trace_wants(TRACE_IO)); /* a dump stops it: its own output would push out what is wanted */
}

TEST(trace_classes_are_switched_by_themselves)
{
	uint64_t recorded, lost;

	setup();
	EXPECT_EQ(trace_start(1U << (TRACE_RUN >> 4U)), 0);
	record(3U);
	trace_event(TRACE_RUN, TRACE_NOBODY, 0U, 0UL, 0UL);
	trace_counts(0U, &recorded, &lost);
	EXPECT_EQ(recorded, 1UL);
}

TEST(trace_wrap_counts_what_is_lost)
{
	uint64_t recorded, lost;
	char wanted[64];

	setup();
	EXPECT_EQ(trace_start(TRACE_ALL), 0);
	record((uint32_t)RING + 10U);
	trace_counts(0U, &recorded, &lost);
	EXPECT_EQ(recorded, RING + 10UL);
	EXPECT_EQ(lost, 10UL);
	/* The oldest place in the ring is the one that the writer would overwrite next: it is not trusted. */
	EXPECT_EQ(dump(0UL), 1U + 2U + (uint32_t)RING - 1U + 1U);
	(void)snprintf(wanted, sizeof(wanted), "count %lu lost 10 ", RING);
	EXPECT(strstr(text, wanted) != NULL);
	EXPECT(strstr(text, " 0 0102 89 1089 7 ") != NULL); /* the newest */
}

TEST(trace_dump_of_the_newest)
{
	setup();
	EXPECT_EQ(trace_start(TRACE_ALL), 0);
	record(20U);
	EXPECT_EQ(dump(4UL), 1U + 2U + 4U + 1U);
	EXPECT(strstr(text, " f 100f 7 ") == NULL);
	EXPECT(strstr(text, " 10 1010 7 ") != NULL);
}

TEST(trace_clear_forgets)
{
	uint64_t recorded, lost;

	setup();
	EXPECT_EQ(trace_start(TRACE_ALL), 0);
	record((uint32_t)RING * 2U);
	trace_clear();
	trace_counts(0U, &recorded, &lost);
	EXPECT_EQ(recorded, 0UL);
	EXPECT_EQ(lost, 0UL);
	record(2U);
	EXPECT_EQ(dump(0UL), 1U + 2U + 2U + 1U);
}

TEST(trace_from_boot_to_the_end)
{
	setup();
	trace_dump_at_end(); /* nobody asked */
	EXPECT(strstr(fake_log, "@t") == NULL);
	fake_cmdline_trace = 2UL;
	trace_boot();
	record(5U);
	trace_dump_at_end();
	EXPECT(strstr(fake_log, "count 2 lost 0 ") != NULL);
	EXPECT(strstr(fake_log, "@t end ") != NULL);
	fake_cmdline_trace = 0UL;
	trace_boot();
}

/* A reader on another pCPU never sees half an event: a = b and arg in all that it takes. */
static bool stop_writer;

static void *writer(void *arg)
{
	(void)arg;
	fake_cpu_id = 1U;
	for (uint32_t i = 0U; !__atomic_load_n(&stop_writer, __ATOMIC_ACQUIRE); i++) {
		trace_record(TRACE_EXIT, TRACE_NOBODY, i, i, i);
	}
	return NULL;
}

TEST(trace_reader_against_writer)
{
	pthread_t host;
	uint32_t events = 0U, torn = 0U;

	setup();
	EXPECT_EQ(trace_start(TRACE_ALL), 0);
	stop_writer = false;
	pthread_create(&host, NULL, writer, NULL);
	while (events < 5000U) {
		struct trace_dump d;
		char line[TRACE_LINE];

		trace_dump_begin(&d, 0UL);
		while (trace_dump_line(&d, line)) {
			unsigned int cpu, arg;
			unsigned long n, tsc, a, b;

			if (sscanf(line, "@t %u %lx %lx 0 ffff %x %lx %lx", &cpu, &n, &tsc, &arg, &a, &b) == 6) {
				events++;
				torn += ((a != b) || (arg != (uint32_t)a)) ? 1U : 0U;
			}
		}
	}
	__atomic_store_n(&stop_writer, true, __ATOMIC_RELEASE);
	pthread_join(host, NULL);
	EXPECT_EQ(torn, 0U);
}
