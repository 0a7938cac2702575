/* SPDX-License-Identifier: BSD-3-Clause */
/* The formatter against the C library's, and our string functions' edges. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

/* The product's functions under other names, so that the C library's stay. */
#define vsnprintf hv_vsnprintf
#define snprintf  hv_snprintf
#include "../../hypervisor/lib/printf.c"
#undef vsnprintf
#undef snprintf

#define memcpy hv_memcpy
#define memmove hv_memmove
#define memset hv_memset
#define memcmp hv_memcmp
#define strlen hv_strlen
#define strnlen hv_strnlen
#define strcmp hv_strcmp
#define strncmp hv_strncmp
#define strchr hv_strchr
#define strstr hv_strstr
#define strlcpy hv_strlcpy
#undef LIB_STRING_H
#include "../../hypervisor/lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strncmp

#define SAME(...)                                                                                                      \
	do {                                                                                                           \
		char ours[128];                                                                                        \
		char libc[128];                                                                                        \
		const int n = hv_snprintf(ours, sizeof(ours), __VA_ARGS__);                                            \
		const int m = snprintf(libc, sizeof(libc), __VA_ARGS__);                                               \
		if (n != m || strcmp_plain(ours, libc) != 0) {                                                         \
			unit_fail(__FILE__, __LINE__, "\"%s\" (%d), libc says \"%s\" (%d)", ours, n, libc, m);      \
		}                                                                                                      \
	} while (0)

static int strcmp_plain(const char *a, const char *b)
{
	return memcmp(a, b, strlen(a) + 1U);
}

TEST(printf_integers)
{
	SAME("%d %i %u", -5, 7, 4294967295U);
	SAME("%ld %lu %lld", INT64_MIN, UINT64_MAX, (long long)INT64_MAX);
	SAME("%x %X %#x %#X %o %#o", 0xdeadU, 0xBEEFU, 0x12U, 0x12U, 8U, 8U);
	SAME("%#x %#o", 0U, 0U);
	SAME("%hhd %hhu %hd %hu", -1, 255, -1, 65535);
	SAME("%zu %jd %td", (size_t)12, (intmax_t)-3, (ptrdiff_t)4);
	SAME("%d", -2147483647 - 1);
}

TEST(printf_width_and_flags)
{
	SAME("[%5d] [%-5d] [%05d] [%+d] [% d] [%+05d]", 42, 42, 42, 42, 42, 42);
	SAME("[%8.3d] [%-8.3d] [%.0d] [%.5x]", 42, -42, 0, 0xABU);
	SAME("[%016lx] [%#010x] [%#-10x]", 0x1234UL, 0xFFU, 0xFFU);
	SAME("[%*d] [%-*d] [%*d]", 6, 1, 6, 1, -6, 1);
	SAME("[%.*s] [%10s] [%-10s] [%.2s]", 2, "abcdef", "right", "left", "cut");
	SAME("%c%c%c%%", 'a', 'b', 'c');
	SAME("%p", (void *)0x1234);
}

TEST(printf_cuts_and_terminates)
{
	char buf[8];

	EXPECT_EQ(hv_snprintf(buf, sizeof(buf), "%s", "0123456789"), 10);
	EXPECT_EQ(buf[7], 0);
	EXPECT_EQ(buf[6], '6');
	EXPECT_EQ(hv_snprintf(NULL, 0U, "%d", 1234), 4);
	EXPECT_EQ(hv_snprintf(buf, 1U, "abc"), 3);
	EXPECT_EQ(buf[0], 0);
}

TEST(printf_null_string_and_odd_ends)
{
	char buf[32];
	const char *volatile odd = "100%";
	const char *volatile null = NULL;
	const char *volatile format = "%s";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)hv_snprintf(buf, sizeof(buf), odd);
	EXPECT(strcmp_plain(buf, "100") == 0);
	(void)hv_snprintf(buf, sizeof(buf), format, null);
	EXPECT(strcmp_plain(buf, "(null)") == 0);
#pragma GCC diagnostic pop
}

TEST(string_to_number)
{
	uint64_t value = 7U;

	EXPECT(str_to_u64("18446744073709551615", &value));
	EXPECT_EQ(value, UINT64_MAX);
	EXPECT(str_to_u64("0xFFFFffff00000000", &value));
	EXPECT_EQ(value, 0xFFFFFFFF00000000UL);
	EXPECT(!str_to_u64("18446744073709551616", &value));
	EXPECT(!str_to_u64("0x10000000000000000", &value));
	EXPECT(!str_to_u64("", &value));
	EXPECT(!str_to_u64("0x", &value));
	EXPECT(!str_to_u64("12a", &value));
	EXPECT(!str_to_u64("-1", &value));
	EXPECT_EQ(value, 0xFFFFFFFF00000000UL);
}

TEST(string_move_and_search)
{
	char buf[16] = "0123456789";
	char small[4];

	(void)hv_memmove(buf + 2, buf, 8U);
	EXPECT(memcmp(buf, "0101234567", 10U) == 0);
	(void)hv_memmove(buf, buf + 2, 8U);
	EXPECT(memcmp(buf, "01234567", 8U) == 0);
	EXPECT_EQ(hv_strlcpy(small, "abcdef", sizeof(small)), 6U);
	EXPECT(memcmp(small, "abc", 4U) == 0);
	EXPECT(hv_strstr("module args", "args") != NULL);
	EXPECT(hv_strstr("module", "modules") == NULL);
	EXPECT(hv_strchr("abc", 'd') == NULL);
	EXPECT(hv_strchr("abc", '\0') != NULL);
	EXPECT_EQ(hv_strnlen("abcdef", 3U), 3U);
}
