/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text on VGA text memory (BIOS) or on a linear framebuffer (UEFI). What is on the screen is also kept here, since
 * reading video memory is slow: scrolling redraws only the cells that change.
 */
#include "screen.h"

#include "font.h"

#include <asm/page.h>
#include <lib/string.h>

#define CELL_W   8U
#define CELL_H   16U
#define MAX_COLS 256U
#define MAX_ROWS 128U

#define ATTR_NORMAL 0x07U
#define ATTR_ERROR  0x4FU

struct cell {
	char c;
	uint8_t attr;
};

static struct {
	struct boot_framebuffer fb;
	volatile uint8_t *memory;
	uint32_t cols, rows;
	uint32_t col, row;
	struct cell text[MAX_ROWS][MAX_COLS];
} screen;

static uint32_t rgb(uint8_t red, uint8_t green, uint8_t blue)
{
	return ((uint32_t)red << screen.fb.red_pos) | ((uint32_t)green << screen.fb.green_pos) |
		((uint32_t)blue << screen.fb.blue_pos);
}

static void put_pixel(volatile uint8_t *pixel, uint32_t colour)
{
	switch (screen.fb.bpp) {
	case 32U:
		*(volatile uint32_t *)(volatile void *)pixel = colour;
		break;
	case 24U:
		pixel[0] = (uint8_t)colour;
		pixel[1] = (uint8_t)(colour >> 8U);
		pixel[2] = (uint8_t)(colour >> 16U);
		break;
	default: /* 15 and 16 bits: the top bits of the channels do not fit their places, black and white do */
		*(volatile uint16_t *)(volatile void *)pixel = colour != 0U ? 0xFFFFU : 0U;
		break;
	}
}

static void draw_glyph(uint32_t row, uint32_t col, struct cell cell)
{
	const bool error = cell.attr == ATTR_ERROR;
	const uint32_t fore = error ? rgb(0xFFU, 0xFFU, 0xFFU) : rgb(0xC0U, 0xC0U, 0xC0U);
	const uint32_t back = error && screen.fb.bpp >= 24U ? rgb(0xA0U, 0U, 0U) : 0U;
	const uint32_t bytes = (screen.fb.bpp + 7U) / 8U;

	for (uint32_t y = 0U; y < CELL_H; y++) {
		const uint32_t bits = font_row(cell.c, y);
		volatile uint8_t *pixel =
			screen.memory + (uint64_t)(row * CELL_H + y) * screen.fb.pitch + (uint64_t)col * CELL_W * bytes;

		for (uint32_t x = 0U; x < CELL_W; x++) {
			put_pixel(pixel, ((bits << x) & 0x80U) != 0U ? fore : back);
			pixel += bytes;
		}
	}
}

static void draw_cell(uint32_t row, uint32_t col)
{
	const struct cell cell = screen.text[row][col];

	if (screen.fb.is_text) {
		volatile uint8_t *at = screen.memory + (uint64_t)row * screen.fb.pitch + 2UL * col;

		at[0] = (uint8_t)cell.c;
		at[1] = cell.attr;
	} else {
		draw_glyph(row, col, cell);
	}
}

static void set_cell(uint32_t row, uint32_t col, char c, uint8_t attr)
{
	struct cell *cell = &screen.text[row][col];

	if (cell->c != c || cell->attr != attr) {
		cell->c = c;
		cell->attr = attr;
		draw_cell(row, col);
	}
}

static void new_line(void)
{
	screen.col = 0U;
	if (screen.row + 1U < screen.rows) {
		screen.row++;
		return;
	}
	for (uint32_t row = 0U; row + 1U < screen.rows; row++) {
		for (uint32_t col = 0U; col < screen.cols; col++) {
			set_cell(row, col, screen.text[row + 1U][col].c, screen.text[row + 1U][col].attr);
		}
	}
	for (uint32_t col = 0U; col < screen.cols; col++) {
		set_cell(screen.rows - 1U, col, ' ', ATTR_NORMAL);
	}
}

void screen_init(const struct boot_framebuffer *fb)
{
	(void)memset(&screen, 0, sizeof(screen));
	if (fb->base == 0UL || (!fb->is_text && (fb->bpp < 15U || fb->bpp > 32U))) {
		return;
	}
	screen.fb = *fb;
	screen.cols = MIN(fb->is_text ? fb->width : fb->width / CELL_W, MAX_COLS);
	screen.rows = MIN(fb->is_text ? fb->height : fb->height / CELL_H, MAX_ROWS);
	if (screen.cols == 0U || screen.rows == 0U || fb->base + screen_bytes() > (4UL << 30U)) {
		screen.fb.base = 0UL; /* the early page tables end at 4 GiB */
		return;
	}
	screen.memory = hpa_to_hva(fb->base);
	for (uint32_t row = 0U; row < screen.rows; row++) {
		for (uint32_t col = 0U; col < screen.cols; col++) {
			set_cell(row, col, ' ', ATTR_NORMAL);
		}
	}
}

hpa_t screen_hpa(void)
{
	return screen.fb.base;
}

uint64_t screen_bytes(void)
{
	return (uint64_t)screen.fb.pitch * screen.fb.height;
}

void screen_moved(volatile void *memory)
{
	screen.memory = memory;
}

void screen_write(const char *text, size_t len, bool highlight)
{
	if (screen.memory == NULL) {
		return;
	}
	for (size_t i = 0U; i < len; i++) {
		if (text[i] == '\n') {
			new_line();
			continue;
		}
		if (text[i] < ' ' || text[i] > '~') {
			continue;
		}
		if (screen.col == screen.cols) {
			new_line();
		}
		set_cell(screen.row, screen.col, text[i], highlight ? ATTR_ERROR : ATTR_NORMAL);
		screen.col++;
	}
}
