/* SPDX-License-Identifier: BSD-3-Clause */
/* unit.c: runs the registered unit tests and reports (see unit.h). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "unit.h"

static struct unit_test *first_test;
static struct unit_test **last_link = &first_test;
static bool test_failed;
static bool test_skipped;
static uint64_t rand_state;
static uint64_t rand_seed = 0x9E3779B97F4A7C15UL;

void unit_register(struct unit_test *test)
{
	*last_link = test;
	last_link = &test->next;
}

void unit_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	test_failed = true;
	printf("# %s:%d: ", file, line);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

void unit_skip(const char *fmt, ...)
{
	va_list args;

	test_skipped = true;
	printf("# skipped: ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

bool unit_failed(void)
{
	return test_failed;
}

uint64_t unit_rand64(void)
{
	uint64_t z;

	/* splitmix64: any seed will do, also 0 */
	rand_state += 0x9E3779B97F4A7C15UL;
	z = rand_state;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
	return z ^ (z >> 31);
}

static bool selected(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (strstr(name, argv[i]) != NULL) {
			return true;
		}
	}
	return argc <= 1;
}

int main(int argc, char **argv)
{
	const char *seed = getenv("UNIT_SEED");
	const struct unit_test *test;
	unsigned int count = 0U, failed = 0U;

	if (seed != NULL) {
		rand_seed = strtoull(seed, NULL, 0);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (test = first_test; test != NULL; test = test->next) {
		if (!selected(test->name, argc, argv)) {
			continue;
		}
		test_failed = false;
		test_skipped = false;
		rand_state = rand_seed;
		test->fn();
		count++;
		if (test_failed) {
			failed++;
		}
		printf("%s %u - %s%s\n", test_failed ? "not ok" : "ok", count, test->name,
			test_skipped ? " # SKIP" : "");
	}
	printf("# %u passed, %u failed\n", count - failed, failed);
	return ((failed != 0U) || (count == 0U)) ? 1 : 0;
}
