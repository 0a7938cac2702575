/* SPDX-License-Identifier: BSD-3-Clause */
/* Words of the hypervisor's command line. */
#include <hv/boot_info.h>
#include <hv/cmdline.h>
#include <lib/string.h>

#define NUMBER_MAX 24U

/* The next word at or after *at. @return its length, 0 at the end */
static size_t next_word(const char **at)
{
	size_t len = 0U;

	while (**at == ' ') {
		(*at)++;
	}
	while ((*at)[len] != '\0' && (*at)[len] != ' ') {
		len++;
	}
	return len;
}

bool cmdline_has(const char *word)
{
	const char *at = boot_info.cmdline;
	const size_t want = strlen(word);

	for (size_t len = next_word(&at); len != 0U; at += len, len = next_word(&at)) {
		if (len == want && strncmp(at, word, len) == 0) {
			return true;
		}
	}
	return false;
}

bool cmdline_get(const char *name, char *value, size_t size)
{
	const char *at = boot_info.cmdline;
	const size_t want = strlen(name);
	bool found = false;

	for (size_t len = next_word(&at); len != 0U; at += len, len = next_word(&at)) {
		if (len > want && at[want] == '=' && strncmp(at, name, want) == 0) {
			const size_t n = len - want - 1U;

			found = n < size;
			if (found) {
				(void)memcpy(value, at + want + 1U, n);
				value[n] = '\0';
			}
		}
	}
	return found;
}

bool cmdline_u64(const char *name, uint64_t *value)
{
	char text[NUMBER_MAX];

	return cmdline_get(name, text, sizeof(text)) && str_to_u64(text, value);
}
