/* SPDX-License-Identifier: BSD-3-Clause */
/* The VMs' consoles on the hypervisor's serial port. */
#include <config.h>

#include <dm/vuart.h>
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/vm_console.h>
#include <lib/errno.h>
#include <lib/printf.h>
#include <lib/spinlock.h>

/* Where the filter is in an escape sequence (ECMA-48). */
enum esc_state {
	ESC_NONE,
	ESC_SEEN, /* ESC */
	ESC_CSI,  /* ESC [ ... up to a byte 0x40..0x7E */
};

struct vm_console {
	const char *name; /* NULL: the VM has no console */
	struct vuart *vuart;
	uint32_t esc;  /* enum esc_state */
	uint32_t more; /* bytes that a UTF-8 character still wants */
	uint32_t len;
	bool cr_held;  /* attached: a CR waits for the next byte */
	uint64_t last; /* TSC of the last byte */
	char line[VM_CONSOLE_LINE];
	uint32_t history_head; /* bytes ever written; the ring's index modulo its size */
	char history[VM_CONSOLE_HISTORY];
};

static struct spinlock vm_console_lock = SPINLOCK_INIT;
static struct vm_console consoles[CONFIG_MAX_VM_NUM];
static uint16_t attached_vm = VM_CONSOLE_NONE;
static uint16_t awaited_vm = VM_CONSOLE_NONE; /* is attached when it gets its console */
static void (*partial_line_hook)(void);

static struct vm_console *console_of(uint16_t vm_id)
{
	if ((vm_id >= CONFIG_MAX_VM_NUM) || (consoles[vm_id].name == NULL)) {
		return NULL;
	}
	return &consoles[vm_id];
}

/* Prints the line begun, marked, in one piece. Not while somebody is attached: the history has it. */
static void flush_line(struct vm_console *console)
{
	char text[VM_CONSOLE_LINE + 40U];
	int len;

	if (attached_vm == VM_CONSOLE_NONE) {
		len = snprintf(text, sizeof(text), "[%s] %.*s\n", console->name, (int)console->len, console->line);
		console_write_line(text, MIN((size_t)len, sizeof(text) - 1U));
	}
	console->len = 0U;
}

/*
 * A byte above 0x7F: kept if it is UTF-8. U+0080 to U+009F are control characters, U+009B does what ESC [ does; so
 * does a lone byte of that value on a terminal without UTF-8.
 */
static bool is_utf8(struct vm_console *console, uint8_t c)
{
	if ((console->more == 0U) || (console->len == 0U) || ((c & 0xC0U) != 0x80U)) {
		console->more = (c < 0xC2U) ? 0U : ((c < 0xE0U) ? 1U : ((c < 0xF0U) ? 2U : ((c < 0xF5U) ? 3U : 0U)));
		return console->more != 0U;
	}
	console->more--;
	if ((c < 0xA0U) && ((uint8_t)console->line[console->len - 1U] == 0xC2U)) {
		console->len--;
		console->esc = (c == 0x9BU) ? ESC_CSI : ESC_NONE;
		return false;
	}
	return true;
}

/* Bytes that would move the cursor or erase the screen must not reach lines shared by all VMs. */
static bool is_text(struct vm_console *console, uint8_t c)
{
	switch (console->esc) {
	case ESC_SEEN:
		console->esc = (c == (uint8_t)'[') ? ESC_CSI : ESC_NONE;
		return false;
	case ESC_CSI:
		if ((c >= 0x40U) && (c <= 0x7EU)) {
			console->esc = ESC_NONE;
		}
		return false;
	default:
		break;
	}
	if (c == 0x1BU) {
		console->esc = ESC_SEEN;
		return false;
	}
	if (c >= 0x80U) {
		return is_utf8(console, c);
	}
	console->more = 0U;
	return ((c >= 0x20U) && (c != 0x7FU)) || (c == (uint8_t)'\t');
}

static void put_line_buffered(struct vm_console *console, uint8_t c)
{
	if (c == (uint8_t)'\n') {
		console->esc = ESC_NONE;
		flush_line(console);
	} else if (c == (uint8_t)'\b') {
		if (console->len != 0U) {
			console->len--;
		}
		console->more = 0U;
	} else if (is_text(console, c)) {
		console->line[console->len] = (char)c;
		console->len++;
		if (console->len == VM_CONSOLE_LINE) {
			flush_line(console);
		} else if ((console->len == 1U) && (partial_line_hook != NULL)) {
			partial_line_hook();
		}
	}
}

/* console_write() makes CR LF of LF: the guest's own CR before LF is dropped, any other CR is kept. */
static void put_attached(struct vm_console *console, uint8_t c)
{
	char text[2];
	size_t len = 0U;

	if (console->cr_held && (c != (uint8_t)'\n')) {
		text[len] = '\r';
		len++;
	}
	console->cr_held = (c == (uint8_t)'\r');
	if (!console->cr_held) {
		text[len] = (char)c;
		len++;
	}
	if (len != 0U) {
		console_write(text, len);
	}
}

void console_vm_putc(uint16_t vm_id, uint8_t c)
{
	struct vm_console *console;

	spin_lock(&vm_console_lock);
	console = console_of(vm_id);
	if (console != NULL) {
		console->last = arch_now();
		console->history[console->history_head % VM_CONSOLE_HISTORY] = (char)c;
		console->history_head++;
		if (attached_vm == vm_id) {
			put_attached(console, c);
		} else {
			put_line_buffered(console, c);
		}
	}
	spin_unlock(&vm_console_lock);
}

/* With the lock held. */
static void detach_locked(void)
{
	static const char text[] = "\n-- back at the hypervisor's console --\n";

	if (attached_vm != VM_CONSOLE_NONE) {
		attached_vm = VM_CONSOLE_NONE;
		console_write(text, sizeof(text) - 1U);
	}
}

void vm_console_unregister(uint16_t vm_id)
{
	struct vm_console *console;

	spin_lock(&vm_console_lock);
	console = console_of(vm_id);
	if (console != NULL) {
		if (attached_vm == vm_id) {
			detach_locked();
		}
		if (console->len != 0U) {
			flush_line(console);
		}
		console->name = NULL;
		console->vuart = NULL;
	}
	spin_unlock(&vm_console_lock);
}

/* The last output, from the first whole line that is still there. */
static void show_history(const struct vm_console *console)
{
	const uint32_t head = console->history_head;
	uint32_t at = (head > VM_CONSOLE_HISTORY) ? (head - VM_CONSOLE_HISTORY) : 0U;
	char c = '\n';

	if (at != 0U) {
		while ((at != head) && (console->history[at % VM_CONSOLE_HISTORY] != '\n')) {
			at++;
		}
	}
	for (; at != head; at++) {
		c = console->history[at % VM_CONSOLE_HISTORY];
		if (c != '\r') {
			console_write(&c, 1U);
		}
	}
}

/* With the lock held. */
static void attach_locked(uint16_t vm_id, struct vm_console *console)
{
	char text[80];
	const int len = snprintf(text, sizeof(text), "-- console of %s; Ctrl-] leaves it --\n", console->name);

	console_write_line(text, MIN((size_t)len, sizeof(text) - 1U));
	console->len = 0U; /* what was begun is in the history */
	console->cr_held = false;
	show_history(console);
	attached_vm = vm_id;
}

int32_t vm_console_attach(uint16_t vm_id)
{
	struct vm_console *console;
	int32_t ret = -ENODEV;

	spin_lock(&vm_console_lock);
	console = console_of(vm_id);
	if (console != NULL) {
		attach_locked(vm_id, console);
		ret = 0;
	}
	spin_unlock(&vm_console_lock);
	return ret;
}

void vm_console_attach_later(uint16_t vm_id)
{
	awaited_vm = vm_id;
}

void vm_console_register(uint16_t vm_id, const char *name, struct vuart *vuart)
{
	if (vm_id >= CONFIG_MAX_VM_NUM) {
		return;
	}
	spin_lock(&vm_console_lock);
	consoles[vm_id].vuart = vuart;
	consoles[vm_id].name = name;
	consoles[vm_id].len = 0U;
	consoles[vm_id].esc = ESC_NONE;
	consoles[vm_id].cr_held = false;
	if (awaited_vm == vm_id) {
		awaited_vm = VM_CONSOLE_NONE;
		if (attached_vm == VM_CONSOLE_NONE) {
			attach_locked(vm_id, &consoles[vm_id]);
		}
	}
	spin_unlock(&vm_console_lock);
}

void vm_console_detach(void)
{
	spin_lock(&vm_console_lock);
	detach_locked();
	spin_unlock(&vm_console_lock);
}

uint16_t vm_console_attached(void)
{
	return __atomic_load_n(&attached_vm, __ATOMIC_RELAXED);
}

bool vm_console_input(uint8_t c)
{
	struct vuart *vuart = NULL;
	bool used;

	spin_lock(&vm_console_lock);
	used = attached_vm != VM_CONSOLE_NONE;
	if (used) {
		if (c == VM_CONSOLE_ESCAPE) {
			detach_locked();
		} else {
			vuart = consoles[attached_vm].vuart;
		}
	}
	spin_unlock(&vm_console_lock);

	/* Not under the lock: a port holds its own while it sends to us. VM slots, and so ports, never go away. */
	if (vuart != NULL) {
		(void)vuart_rx(vuart, c);
	}
	return used;
}

void vm_console_on_partial_line(void (*begun)(void))
{
	partial_line_hook = begun;
}

bool vm_console_poll(void)
{
	const uint64_t now = arch_now();
	const uint64_t patience = (uint64_t)arch_tsc_khz() * VM_CONSOLE_PATIENCE_MS;
	bool remain = false;

	spin_lock(&vm_console_lock);
	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		struct vm_console *console = &consoles[i];

		if ((console->name == NULL) || (console->len == 0U)) {
			continue;
		}
		/* A byte may have come after `now`. */
		if ((now > console->last) && (now - console->last > patience)) {
			flush_line(console);
		} else {
			remain = true;
		}
	}
	spin_unlock(&vm_console_lock);
	return remain;
}
