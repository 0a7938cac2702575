/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory and string functions, with C's meaning. */
#ifndef LIB_STRING_H
#define LIB_STRING_H

#include <lib/types.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strstr(const char *s, const char *needle);

/**
 * Copies at most size-1 bytes of `src` and always terminates `dst` (size > 0).
 * @return strlen(src): the copy was cut short if that is >= size
 */
size_t strlcpy(char *dst, const char *src, size_t size);

/**
 * Reads an unsigned number: decimal, or hexadecimal after 0x.
 * @return true and *value if all of `s` is one number that fits 64 bits
 */
bool str_to_u64(const char *s, uint64_t *value);

#endif
