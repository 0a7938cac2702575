/* SPDX-License-Identifier: BSD-3-Clause */
/* The boot loader's tags, read into struct boot_info. */
#ifndef HV_MULTIBOOT2_H
#define HV_MULTIBOOT2_H

#include <hv/boot_info.h>
#include <lib/util.h>

/**
 * Reads the multiboot2 information. Touches nothing outside [info, info+max): any content is safe.
 * Sets all of *out but hv_base and hv_size.
 * @param info 8-byte aligned
 * @param max  bytes that may be read
 * @return 0; -EINVAL: not multiboot2 information (sizes); -ENOENT: no memory map with RAM in it;
 *         -E2BIG: more ranges or modules than boot_info can hold (the rest is in *out)
 */
int32_t multiboot2_parse(const void *info, size_t max, struct boot_info *out);

#endif
