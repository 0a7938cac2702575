/* SPDX-License-Identifier: BSD-3-Clause */
/* Words of the hypervisor's command line: `word` or `name=value`, separated by spaces. */
#ifndef HV_CMDLINE_H
#define HV_CMDLINE_H

#include <lib/util.h>

/** @return true if `word` stands alone on boot_info.cmdline */
bool cmdline_has(const char *word);

/**
 * Finds `name=value`; the last one counts.
 * @param value out, terminated
 * @param size  bytes of `value`
 * @return true if found and it fits
 */
bool cmdline_get(const char *name, char *value, size_t size);

/** As cmdline_get() for a number (decimal or 0x...). @return true and *value if there is one, else *value stays */
bool cmdline_u64(const char *name, uint64_t *value);

#endif
