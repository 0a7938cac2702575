/* SPDX-License-Identifier: BSD-3-Clause */
/* Where finished lines go: serial port and screen. Lines of the hypervisor begin with "(aril) ". */
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/log.h>
#include <hv/log_ring.h>
#include <lib/spinlock.h>
#include <lib/string.h>

#include <config.h>

#include "screen.h"
#include "uart16550.h"

#define LINE_PREFIX   "(aril) "
#define BAUD_AT_FIRST 115200U
#define PORT_LAST     0xFFF8UL /* the last that 8 ports begin with */

static struct spinlock console_lock;
static bool initialised;
static void (*input_hook)(void);
static bool panicking;
static bool serial_at_line_start = true;
static uint32_t line_count;
/* Until the scenario is read. */
static int32_t serial_level = CONFIG_LOG_LEVEL_SERIAL;
static int32_t screen_level = CONFIG_LOG_LEVEL_SCREEN;

static void lock(void)
{
	if (!__atomic_load_n(&panicking, __ATOMIC_RELAXED)) {
		spin_lock(&console_lock);
	}
}

static void unlock(void)
{
	if (!__atomic_load_n(&panicking, __ATOMIC_RELAXED)) {
		const bool received = uart16550_has_kept();

		spin_unlock(&console_lock);
		if (received && (input_hook != NULL)) {
			input_hook();
		}
	}
}

static void serial_write(const char *text, size_t len)
{
	for (size_t i = 0U; i < len; i++) {
		if (text[i] == '\n') {
			uart16550_putc('\r');
		}
		uart16550_putc(text[i]);
		serial_at_line_start = text[i] == '\n';
	}
}

/* @return true if `serial=` of the command line says which */
static bool wanted_port(uint16_t *base)
{
	uint64_t wanted;

	if (!cmdline_u64("serial", &wanted) || (wanted > PORT_LAST)) {
		return false;
	}
	*base = (uint16_t)wanted;
	return true;
}

void console_init(void)
{
	uint16_t base = CONFIG_SERIAL_PIO_BASE;

	(void)wanted_port(&base);
	(void)uart16550_init(base, BAUD_AT_FIRST);
	screen_init(&boot_info.fb);
	initialised = true;
}

void console_remap(void)
{
	if (screen_hpa() != 0UL) {
		screen_moved(arch_map_mmio(screen_hpa(), screen_bytes()));
	}
}

void console_write(const char *text, size_t len)
{
	lock();
	serial_write(text, len);
	unlock();
}

/* The lock is held. A prompt or a VM's console may stand in the middle of a line. */
static void serial_begin_line(void)
{
	line_count++;
	if (!serial_at_line_start) {
		serial_write("\n", 1U);
	}
}

void console_write_line(const char *text, size_t len)
{
	lock();
	serial_begin_line();
	serial_write(text, len);
	unlock();
}

uint32_t console_line_count(void)
{
	return __atomic_load_n(&line_count, __ATOMIC_RELAXED);
}

void console_set_level(int32_t level)
{
	__atomic_store_n(&serial_level, level, __ATOMIC_RELAXED);
	__atomic_store_n(&screen_level, level, __ATOMIC_RELAXED);
}

/* Nothing keeps a panic's last words back. */
static bool passes(const int32_t *limit, enum log_level level)
{
	return ((int32_t)level <= __atomic_load_n(limit, __ATOMIC_RELAXED)) ||
		__atomic_load_n(&panicking, __ATOMIC_RELAXED);
}

uint16_t console_port(void)
{
	return uart16550_base();
}

/* What was said while the lines went elsewhere, or at another speed. */
static void repeat_log(void)
{
	uint64_t pos = 0UL;
	char text[128];
	size_t len;

	lock();
	while ((len = log_read(&pos, text, sizeof(text))) != 0U) {
		for (size_t i = 0U; i < len; i++) {
			if (serial_at_line_start) {
				serial_write(LINE_PREFIX, sizeof(LINE_PREFIX) - 1U);
			}
			serial_write(&text[i], 1U);
		}
	}
	unlock();
}

void console_use_port(uint16_t base, uint32_t baud)
{
	uint16_t to = base;
	const bool fixed = wanted_port(&to);
	const uint32_t speed = (baud == 0U) ? BAUD_AT_FIRST : baud;

	if ((to == uart16550_base()) && (speed == BAUD_AT_FIRST)) {
		return;
	}
	if (to == 0U) {
		if (!fixed) {
			pr_info("console: no serial port, as the scenario says");
		}
		(void)uart16550_init(0U, speed);
		return;
	}
	if (!uart16550_is_at(to)) {
		pr_warn("console: there is no serial port at 0x%x", to);
		return;
	}
	pr_info("console: goes on at port 0x%x with %u baud", to, speed);
	(void)uart16550_init(to, speed);
	repeat_log();
}

void console_on_input(void (*received)(void))
{
	input_hook = received;
}

int console_getc(void)
{
	return uart16550_getc();
}

void console_enter_panic(void)
{
	if (!initialised) { /* a fault before hv_main(): what a PC has by tradition */
		if (boot_info.fb.base == 0UL) {
			boot_info.fb = (struct boot_framebuffer){
				.base = 0xB8000UL, .width = 80U, .height = 25U, .pitch = 160U, .is_text = true};
		}
		console_init();
	}
	__atomic_store_n(&panicking, true, __ATOMIC_SEQ_CST);
}

void console_log_line(enum log_level level, const char *line)
{
	const size_t len = strlen(line);

	lock();
	if (passes(&serial_level, level)) {
		serial_begin_line();
		serial_write(LINE_PREFIX, sizeof(LINE_PREFIX) - 1U);
		serial_write(line, len);
		serial_write("\n", 1U);
	}
	if (passes(&screen_level, level)) {
		screen_write(line, len, level == LOG_ERR);
		screen_write("\n", 1U, false);
	}
	unlock();
}
