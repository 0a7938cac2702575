/* SPDX-License-Identifier: BSD-3-Clause */
/* Formatted output. */
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>

#define LINE_MAX	512

struct out {
	char *buf;
	size_t size, len;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

struct spec {
	bool zero, left, alt, upper;
	unsigned int width;
};

static void put_padded(struct out *o, const struct spec *s, const char *prefix, const char *text,
		       size_t len)
{
	size_t total = len + strlen(prefix);
	size_t pad = s->width > total ? s->width - total : 0;

	if (!s->left && !s->zero) {
		for (; pad > 0; pad--)
			put(o, ' ');
	}
	for (; *prefix != '\0'; prefix++)
		put(o, *prefix);
	if (s->zero && !s->left) {
		for (; pad > 0; pad--)
			put(o, '0');
	}
	for (size_t i = 0; i < len; i++)
		put(o, text[i]);
	for (; pad > 0; pad--)
		put(o, ' ');
}

static void put_number(struct out *o, const struct spec *s, uint64_t v, unsigned int base, bool neg)
{
	char tmp[24];
	size_t at = sizeof(tmp);

	do {
		unsigned int digit = (unsigned int)(v % base);

		tmp[--at] = (char)(digit < 10 ? '0' + digit : (s->upper ? 'A' : 'a') + digit - 10);
		v /= base;
	} while (v != 0);
	put_padded(o, s, neg ? "-" : s->alt && base == 16 ? "0x" : "", tmp + at, sizeof(tmp) - at);
}

static const char *parse_spec(const char *f, struct spec *s, bool *is_long)
{
	for (;; f++) {
		if (*f == '0')
			s->zero = true;
		else if (*f == '-')
			s->left = true;
		else if (*f == '#')
			s->alt = true;
		else
			break;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		s->width = s->width * 10 + (unsigned int)(*f - '0');
	for (; *f == 'l' || *f == 'z'; f++)
		*is_long = true;
	return f;
}

int guest_vsnprintf(char *buf, size_t size, const char *fmt, __builtin_va_list ap)
{
	struct out o = { buf, size, 0 };

	for (const char *f = fmt; *f != '\0'; f++) {
		struct spec s = { 0 };
		bool is_long = false;
		const char *str;
		char c;
		long d;

		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse_spec(f + 1, &s, &is_long);
		switch (*f) {
		case 'd':
		case 'i':
			d = is_long ? __builtin_va_arg(ap, long) : __builtin_va_arg(ap, int);
			put_number(&o, &s, d < 0 ? 0 - (uint64_t)d : (uint64_t)d, 10, d < 0);
			break;
		case 'X':
			s.upper = true;
			__attribute__((fallthrough));
		case 'u':
		case 'x':
			put_number(&o, &s, is_long ? __builtin_va_arg(ap, unsigned long)
				   : __builtin_va_arg(ap, unsigned int), *f == 'u' ? 10 : 16, false);
			break;
		case 'p':
			s.alt = true;
			put_number(&o, &s, (uint64_t)__builtin_va_arg(ap, void *), 16, false);
			break;
		case 's':
			str = __builtin_va_arg(ap, const char *);
			str = str == NULL ? "(null)" : str;
			put_padded(&o, &s, "", str, strlen(str));
			break;
		case 'c':
			c = (char)__builtin_va_arg(ap, int);
			put_padded(&o, &s, "", &c, 1);
			break;
		default:
			put(&o, *f);
			break;
		}
	}
	if (size > 0)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int guest_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	__builtin_va_list ap;
	int n;

	__builtin_va_start(ap, fmt);
	n = guest_vsnprintf(buf, size, fmt, ap);
	__builtin_va_end(ap);
	return n;
}

void printf(const char *fmt, ...)
{
	static struct spinlock lock;
	char line[LINE_MAX];
	__builtin_va_list ap;
	uint64_t flags = read_flags();

	__builtin_va_start(ap, fmt);
	guest_vsnprintf(line, sizeof(line), fmt, ap);
	__builtin_va_end(ap);

	/* With interrupts off: a handler on this CPU may print too. */
	cli();
	spin_lock(&lock);
	for (const char *p = line; *p != '\0'; p++)
		console_putc(*p);
	spin_unlock(&lock);
	if ((flags & FLAG_IF) != 0)
		sti();
}
