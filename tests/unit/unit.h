/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unit.h: the framework of the host unit tests.
 *
 * A test file includes this header and writes
 *
 *	TEST(module_what_it_shows)
 *	{
 *		EXPECT_EQ(f(2), 4);
 *	}
 *
 * Tests register themselves; all tests/unit/test_*.c and unit.c make one program. It prints one line for each test,
 * "ok 3 - name" or "not ok 3 - name", with the failed expectations before it as "# file:line: ...", and a last line
 * "# N passed, N failed". Arguments select tests whose name contains one of them. The exit code is 0 if at least one
 * test ran and none failed. UNIT_SEED in the environment changes the sequence of unit_rand64().
 */
#ifndef UNIT_UNIT_H
#define UNIT_UNIT_H

#include <stdbool.h>
#include <stdint.h>

/** One test; made by TEST(). */
struct unit_test {
	const char *name;
	void (*fn)(void);
	struct unit_test *next;
};

/** Appends a test to the list; called by the constructor that TEST() makes. */
void unit_register(struct unit_test *test);

/** Marks the running test as failed and prints "# file:line: message"; the test goes on. */
void unit_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Marks the running test as skipped, with the reason; the test should return. A skipped test
 * counts as passed. */
void unit_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** True if an expectation of the running test has failed: to leave a loop early. */
bool unit_failed(void);

/** Next value of a repeatable pseudo random sequence, restarted for each test. */
uint64_t unit_rand64(void);

#define TEST(id)                                                                                   \
	static void unit_fn_##id(void);                                                            \
	static struct unit_test unit_test_##id = {.name = #id, .fn = unit_fn_##id};                \
	__attribute__((constructor)) static void unit_ctor_##id(void)                              \
	{                                                                                          \
		unit_register(&unit_test_##id);                                                    \
	}                                                                                          \
	static void unit_fn_##id(void)

/** The condition holds. */
#define EXPECT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			unit_fail(__FILE__, __LINE__, "expected: %s", #cond);                      \
		}                                                                                  \
	} while (0)

/** Two integers (or booleans, enums) are equal; both are shown in hexadecimal when they are not. */
#define EXPECT_EQ(a, b)                                                                            \
	do {                                                                                       \
		uint64_t unit_a = (uint64_t)(a);                                                   \
		uint64_t unit_b = (uint64_t)(b);                                                   \
		if (unit_a != unit_b) {                                                            \
			unit_fail(__FILE__, __LINE__, "%s = 0x%llx, expected %s = 0x%llx", #a,     \
				(unsigned long long)unit_a, #b, (unsigned long long)unit_b);       \
		}                                                                                  \
	} while (0)

/** Two integers differ. */
#define EXPECT_NE(a, b) EXPECT((uint64_t)(a) != (uint64_t)(b))

/** As EXPECT, but the test ends when it does not hold (only inside the TEST function itself). */
#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			unit_fail(__FILE__, __LINE__, "required: %s", #cond);                      \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#endif /* UNIT_UNIT_H */
