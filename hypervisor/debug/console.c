/* SPDX-License-Identifier: BSD-3-Clause */
/* Where finished lines go: serial port and screen. Lines of the hypervisor begin with "(aril) ". */
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/cmdline.h>
#include <hv/console.h>
#include <hv/log.h>
#include <lib/spinlock.h>
#include <lib/string.h>

#include <config.h>

#include "screen.h"
#include "uart16550.h"

#define LINE_PREFIX "(aril) "

static struct spinlock console_lock;
static bool initialised;
static bool panicking;
static bool serial_at_line_start = true;
static uint32_t line_count;
static uint32_t serial_level = CONFIG_LOG_LEVEL_SERIAL;

static void lock(void)
{
	if (!__atomic_load_n(&panicking, __ATOMIC_RELAXED)) {
		spin_lock(&console_lock);
	}
}

static void unlock(void)
{
	if (!__atomic_load_n(&panicking, __ATOMIC_RELAXED)) {
		spin_unlock(&console_lock);
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

void console_init(void)
{
	uint64_t base = CONFIG_SERIAL_PIO_BASE;

	if (cmdline_u64("serial", &base) && base > 0xFFF8UL) {
		base = CONFIG_SERIAL_PIO_BASE;
	}
	(void)uart16550_init((uint16_t)base);
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

void console_set_level(uint32_t level)
{
	__atomic_store_n(&serial_level, level, __ATOMIC_RELAXED);
}

static uint32_t console_level(void)
{
	return __atomic_load_n(&serial_level, __ATOMIC_RELAXED);
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
	if ((uint32_t)level <= console_level()) {
		serial_begin_line();
		serial_write(LINE_PREFIX, sizeof(LINE_PREFIX) - 1U);
		serial_write(line, len);
		serial_write("\n", 1U);
	}
	if ((uint32_t)level <= CONFIG_LOG_LEVEL_SCREEN) {
		screen_write(line, len, level == LOG_ERR);
		screen_write("\n", 1U, false);
	}
	unlock();
}
