/* SPDX-License-Identifier: BSD-3-Clause */
/* One formatter, writing into a bounded buffer. */
#include <lib/printf.h>
#include <lib/string.h>

#define FLAG_LEFT  0x01U
#define FLAG_ZERO  0x02U
#define FLAG_PLUS  0x04U
#define FLAG_SPACE 0x08U
#define FLAG_ALT   0x10U
#define FLAG_UPPER 0x20U

#define NUMBER_DIGITS 24U /* 64 bits in octal are 22 */
#define FIELD_MAX     4096

struct sink {
	char *buf;
	size_t size;
	size_t len; /* without the cut */
};

struct spec {
	uint32_t flags;
	int width;
	int precision; /* -1: none */
	int length;    /* bytes of an integer argument */
};

static void put(struct sink *out, char c)
{
	if (out->len + 1U < out->size) {
		out->buf[out->len] = c;
	}
	out->len++;
}

static void put_repeated(struct sink *out, char c, int count)
{
	for (int i = 0; i < count; i++) {
		put(out, c);
	}
}

static void put_text(struct sink *out, const char *text, size_t len, const struct spec *spec)
{
	const int pad = spec->width - (int)len;

	if ((spec->flags & FLAG_LEFT) == 0U) {
		put_repeated(out, ' ', pad);
	}
	for (size_t i = 0U; i < len; i++) {
		put(out, text[i]);
	}
	if ((spec->flags & FLAG_LEFT) != 0U) {
		put_repeated(out, ' ', pad);
	}
}

static void put_number(struct sink *out, uint64_t value, uint32_t base, const char *prefix, const struct spec *spec)
{
	const char *digits = (spec->flags & FLAG_UPPER) != 0U ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[NUMBER_DIGITS];
	int count = 0;
	int zeros = 0;
	int pad;

	for (; value != 0UL; value /= base) {
		text[count++] = digits[value % base];
	}
	if (count == 0 && spec->precision != 0) {
		text[count++] = '0';
	}
	if (spec->precision > count) {
		zeros = spec->precision - count;
	}
	pad = spec->width - count - zeros - (int)strlen(prefix);
	if ((spec->flags & (FLAG_LEFT | FLAG_ZERO)) == FLAG_ZERO && spec->precision < 0 && pad > 0) {
		zeros += pad;
		pad = 0;
	}
	if ((spec->flags & FLAG_LEFT) == 0U) {
		put_repeated(out, ' ', pad);
	}
	for (; *prefix != '\0'; prefix++) {
		put(out, *prefix);
	}
	put_repeated(out, '0', zeros);
	while (count > 0) {
		put(out, text[--count]);
	}
	if ((spec->flags & FLAG_LEFT) != 0U) {
		put_repeated(out, ' ', pad);
	}
}

static const char *parse_flags(const char *fmt, struct spec *spec)
{
	for (;; fmt++) {
		switch (*fmt) {
		case '-':
			spec->flags |= FLAG_LEFT;
			break;
		case '0':
			spec->flags |= FLAG_ZERO;
			break;
		case '+':
			spec->flags |= FLAG_PLUS;
			break;
		case ' ':
			spec->flags |= FLAG_SPACE;
			break;
		case '#':
			spec->flags |= FLAG_ALT;
			break;
		default:
			return fmt;
		}
	}
}

static const char *parse_int(const char *fmt, int *value)
{
	int result = 0;

	for (; *fmt >= '0' && *fmt <= '9'; fmt++) {
		result = MIN(result * 10 + (*fmt - '0'), FIELD_MAX);
	}
	*value = result;
	return fmt;
}

static const char *parse_length(const char *fmt, struct spec *spec)
{
	spec->length = 4;
	if (*fmt == 'h') {
		fmt++;
		spec->length = 2;
		if (*fmt == 'h') {
			fmt++;
			spec->length = 1;
		}
	} else if (*fmt == 'l' || *fmt == 'z' || *fmt == 't' || *fmt == 'j') {
		spec->length = 8;
		fmt += (fmt[0] == 'l' && fmt[1] == 'l') ? 2 : 1;
	}
	return fmt;
}

static uint64_t narrow_unsigned(uint64_t value, int length)
{
	return length == 8 ? value : value & ((1UL << (8U * (uint32_t)length)) - 1UL);
}

static void put_signed(struct sink *out, int64_t value, struct spec *spec)
{
	const char *prefix = "";

	if (value < 0) {
		prefix = "-";
	} else if ((spec->flags & FLAG_PLUS) != 0U) {
		prefix = "+";
	} else if ((spec->flags & FLAG_SPACE) != 0U) {
		prefix = " ";
	}
	put_number(out, value < 0 ? 0UL - (uint64_t)value : (uint64_t)value, 10U, prefix, spec);
}

static void put_unsigned(struct sink *out, char conversion, uint64_t value, struct spec *spec)
{
	const bool alt = (spec->flags & FLAG_ALT) != 0U && value != 0UL;

	switch (conversion) {
	case 'x':
		put_number(out, value, 16U, alt ? "0x" : "", spec);
		break;
	case 'X':
		spec->flags |= FLAG_UPPER;
		put_number(out, value, 16U, alt ? "0X" : "", spec);
		break;
	case 'o':
		put_number(out, value, 8U, alt ? "0" : "", spec);
		break;
	default:
		put_number(out, value, 10U, "", spec);
		break;
	}
}

/* What stands between % and the conversion. @return where that is */
static const char *parse_spec(const char *fmt, struct spec *spec, va_list *args)
{
	fmt = parse_flags(fmt, spec);
	if (*fmt == '*') {
		spec->width = va_arg(*args, int);
		if (spec->width < 0) {
			spec->flags |= FLAG_LEFT;
			spec->width = spec->width < -FIELD_MAX ? FIELD_MAX : -spec->width;
		}
		spec->width = MIN(spec->width, FIELD_MAX);
		fmt++;
	} else {
		fmt = parse_int(fmt, &spec->width);
	}
	if (*fmt == '.') {
		fmt++;
		if (*fmt == '*') {
			spec->precision = va_arg(*args, int);
			spec->precision = MIN(spec->precision, FIELD_MAX);
			fmt++;
		} else {
			fmt = parse_int(fmt, &spec->precision);
		}
	}
	return parse_length(fmt, spec);
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list caller_args)
{
	va_list args; /* a parameter of this type may be a pointer, which has another address */
	struct sink out = {.buf = buf, .size = size, .len = 0U};

	va_copy(args, caller_args);
	for (; *fmt != '\0'; fmt++) {
		struct spec spec = {.flags = 0U, .width = 0, .precision = -1, .length = 4};
		int64_t number;
		const char *text;
		char c;

		if (*fmt != '%') {
			put(&out, *fmt);
			continue;
		}
		fmt = parse_spec(fmt + 1, &spec, &args);
		switch (*fmt) {
		case 'd':
		case 'i':
			number = spec.length == 8 ? va_arg(args, int64_t) : va_arg(args, int);
			if (spec.length == 1) {
				number = (int8_t)number; /* NOLINT(bugprone-signed-char-misuse): %hhd is signed */
			} else if (spec.length == 2) {
				number = (int16_t)number;
			}
			put_signed(&out, number, &spec);
			break;
		case 'u':
		case 'x':
		case 'X':
		case 'o':
			number = spec.length == 8 ? va_arg(args, int64_t) : (int64_t)va_arg(args, uint32_t);
			put_unsigned(&out, *fmt, narrow_unsigned((uint64_t)number, spec.length), &spec);
			break;
		case 'p':
			spec.flags |= FLAG_ALT;
			put_number(&out, (uint64_t)va_arg(args, void *), 16U, "0x", &spec);
			break;
		case 'c':
			c = (char)va_arg(args, int);
			put_text(&out, &c, 1U, &spec);
			break;
		case 's':
			text = va_arg(args, const char *);
			if (text == NULL) {
				text = "(null)";
			}
			put_text(&out, text, strnlen(text, spec.precision < 0 ? SIZE_MAX : (size_t)spec.precision),
				&spec);
			break;
		case '%':
			put(&out, '%');
			break;
		case '\0':
			fmt--; /* a lone % at the end */
			break;
		default: /* unknown: shown as it stands */
			put(&out, '%');
			put(&out, *fmt);
			break;
		}
	}
	va_end(args);
	if (size != 0U) {
		buf[MIN(out.len, size - 1U)] = '\0';
	}
	return (int)out.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return len;
}
