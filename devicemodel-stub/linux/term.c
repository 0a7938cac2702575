/* SPDX-License-Identifier: BSD-3-Clause */
/* The User VM's console on a terminal or in a log. */
#include "term.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define KEY_ESCAPE 0x01U /* Ctrl-A */

static struct termios saved;

static void terminal_raw(struct term *c)
{
	struct termios t;

	if (tcgetattr(c->in, &saved) != 0) {
		return;
	}
	t = saved;
	cfmakeraw(&t);
	if (tcsetattr(c->in, TCSANOW, &t) == 0) {
		c->raw = true;
	}
}

void term_init(struct term *c, const char *name, bool prefix, bool input)
{
	memset(c, 0, sizeof(*c));
	c->out = STDOUT_FILENO;
	c->in = (!prefix || input) ? STDIN_FILENO : -1;
	c->prefix = prefix;
	c->at_start = true;
	(void)snprintf(c->name, sizeof(c->name), "[%s] ", name);
	if (c->in >= 0 && !prefix && isatty(c->in) == 1) {
		fprintf(stderr, "aril-dm: console of %s; Ctrl-A x ends the VM\n", name);
		terminal_raw(c);
	}
}

void term_restore(struct term *c)
{
	if (c->raw) {
		(void)tcsetattr(c->in, TCSANOW, &saved);
		c->raw = false;
	}
}

void term_flush(struct term *c)
{
	size_t done = 0;

	while (done < c->used) {
		ssize_t n = write(c->out, c->buf + done, c->used - done);

		if (n < 0 && errno != EINTR) {
			break; /* nobody listens any more: the VM goes on */
		}
		done += (n > 0) ? (size_t)n : 0U;
	}
	c->used = 0;
}

void term_put(struct term *c, uint8_t byte)
{
	if (c->prefix && c->at_start && byte != '\r' && byte != '\n') {
		size_t length = strlen(c->name);

		if (c->used + length >= sizeof(c->buf)) {
			term_flush(c);
		}
		memcpy(c->buf + c->used, c->name, length);
		c->used += length;
		c->at_start = false;
	}
	if (c->prefix && byte == '\r') {
		return; /* a lone CR would write over the mark */
	}
	c->buf[c->used++] = (char)byte;
	if (byte == '\n') {
		c->at_start = true;
	}
	if (c->used == sizeof(c->buf) || byte == '\n') {
		term_flush(c);
	}
}

enum term_key term_get(struct term *c, uint8_t *byte)
{
	ssize_t n = read(c->in, byte, 1);

	if (n == 0) {
		return TERM_EOF;
	}
	if (n < 0) {
		return (errno == EINTR || errno == EAGAIN) ? TERM_NOTHING : TERM_EOF;
	}
	if (c->raw && c->escape) {
		c->escape = false;
		if (*byte == 'x') {
			return TERM_QUIT;
		}
		return TERM_BYTE; /* Ctrl-A Ctrl-A gives one Ctrl-A */
	}
	if (c->raw && *byte == KEY_ESCAPE) {
		c->escape = true;
		return TERM_NOTHING;
	}
	return TERM_BYTE;
}
