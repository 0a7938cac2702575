/* SPDX-License-Identifier: BSD-3-Clause */
/* Text on VGA text memory or on a linear framebuffer. */
#ifndef DEBUG_SCREEN_H
#define DEBUG_SCREEN_H

#include <hv/boot_info.h>
#include <lib/util.h>

/** Takes the screen over and clears it. @param fb as the boot loader described it; base 0: no screen */
void screen_init(const struct boot_framebuffer *fb);

/** The video memory is now at `memory`, given by arch_map_mmio() for [screen_hpa(), +screen_bytes()). */
void screen_moved(volatile void *memory);

/** @return physical address of the video memory; 0: no screen */
hpa_t screen_hpa(void);

/** @return its size, bytes */
uint64_t screen_bytes(void);

/**
 * Writes characters at the end of the text, scrolling; '\n' starts a line.
 * @param highlight in the colour for errors
 */
void screen_write(const char *text, size_t len, bool highlight);

#endif
