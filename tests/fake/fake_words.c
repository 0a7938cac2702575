/* SPDX-License-Identifier: BSD-3-Clause */
/* The words of the command line, and lines that go to the console without the log. */
#include <stdio.h>
#include <string.h>

#include "fake.h"

#include <hv/cmdline.h>
#include <hv/console.h>

const char *fake_cmdline_on_stop;
const char *fake_cmdline_on_reset;
uint64_t fake_cmdline_trace;

bool cmdline_get(const char *name, char *value, size_t size)
{
	const char *word = (strcmp(name, "on_stop") == 0) ? fake_cmdline_on_stop :
		(strcmp(name, "on_reset") == 0) ? fake_cmdline_on_reset : NULL;

	if (word == NULL) {
		return false;
	}
	(void)snprintf(value, size, "%s", word);
	return true;
}

bool cmdline_has(const char *word)
{
	(void)word;
	return false;
}

bool cmdline_u64(const char *name, uint64_t *value)
{
	if ((strcmp(name, "trace") != 0) || (fake_cmdline_trace == 0UL)) {
		return false;
	}
	*value = fake_cmdline_trace;
	return true;
}

void console_write_line(const char *text, size_t len)
{
	const size_t at = strlen(fake_log);

	if (at + len < sizeof(fake_log)) {
		memcpy(fake_log + at, text, len);
		fake_log[at + len] = '\0';
	}
}
