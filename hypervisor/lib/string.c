/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory and string functions. The compiler calls the first four by itself. */
#include <lib/string.h>

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;
	const void *s = src;

	/* Fast with ERMS, and short. */
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	if ((uintptr_t)d - (uintptr_t)s >= n) { /* unsigned: also true when dst is below src */
		return memcpy(dst, src, n);
	}
	d += n;
	s += n;
	while (n != 0U) {
		*--d = *--s;
		n--;
	}
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	const uint64_t eight = (uint8_t)c * 0x0101010101010101UL;
	void *d = dst;
	size_t left = n / 8U;

	/* Not byte by byte on CPUs without ERMS, which are those before Ivy Bridge. */
	__asm__ volatile("rep stosq" : "+D"(d), "+c"(left) : "a"(eight) : "memory");
	left = n % 8U;
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(left) : "a"(eight) : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a;
	const uint8_t *y = b;

	for (size_t i = 0U; i < n; i++) {
		if (x[i] != y[i]) {
			return (int)x[i] - (int)y[i];
		}
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0U;

	while (s[n] != '\0') {
		n++;
	}
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0U;

	while (n < max && s[n] != '\0') {
		n++;
	}
	return n;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (size_t i = 0U; i < n; i++) {
		if (a[i] != b[i] || a[i] == '\0') {
			return (int)(uint8_t)a[i] - (int)(uint8_t)b[i];
		}
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	while (*s != (char)c) {
		if (*s == '\0') {
			return NULL;
		}
		s++;
	}
	return (char *)(uintptr_t)s; /* C's signature takes the const away */
}

char *strstr(const char *s, const char *needle)
{
	const size_t n = strlen(needle);

	while (true) {
		if (strncmp(s, needle, n) == 0) {
			return (char *)(uintptr_t)s;
		}
		if (*s == '\0') {
			return NULL;
		}
		s++;
	}
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	const size_t len = strlen(src);

	if (size != 0U) {
		const size_t n = len < size ? len : size - 1U;

		(void)memcpy(dst, src, n);
		dst[n] = '\0';
	}
	return len;
}

static bool digit_value(char c, uint64_t base, uint64_t *digit)
{
	if (c >= '0' && c <= '9') {
		*digit = (uint64_t)(c - '0');
	} else if (c >= 'a' && c <= 'f') {
		*digit = (uint64_t)(c - 'a') + 10UL;
	} else if (c >= 'A' && c <= 'F') {
		*digit = (uint64_t)(c - 'A') + 10UL;
	} else {
		return false;
	}
	return *digit < base;
}

bool str_to_u64(const char *s, uint64_t *value)
{
	uint64_t base = 10UL;
	uint64_t result = 0UL;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16UL;
		s += 2;
	}
	if (*s == '\0') {
		return false;
	}
	for (; *s != '\0'; s++) {
		uint64_t digit;

		if (!digit_value(*s, base, &digit) || __builtin_mul_overflow(result, base, &result) ||
			__builtin_add_overflow(result, digit, &result)) {
			return false;
		}
	}
	*value = result;
	return true;
}
