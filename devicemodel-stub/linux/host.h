/* SPDX-License-Identifier: BSD-3-Clause */
/* What the Linux program takes from the machine it runs on: files, memory, CPU numbers. */
#ifndef DEVICEMODEL_LINUX_HOST_H
#define DEVICEMODEL_LINUX_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "../vm_image.h"

/** Maps a file for reading. @return 0, or -1 with a line on stderr */
int host_file(const char *path, struct vm_image_file *file);

/**
 * Zeroed memory for a guest, 2 MiB aligned: from hugetlbfs when it has enough, else anonymous memory for which huge
 * pages are asked. All of it is touched.
 * @param size multiple of 2 MiB
 * @return NULL with a line on stderr
 */
void *host_memory(uint64_t size);

/** "128M", "2G", "65536K". @return bytes, 0 if it is none */
uint64_t host_parse_size(const char *text);

/**
 * APIC id of physical CPU `pcpu`: that of the enabled entry of this number in the MADT
 * (/sys/firmware/acpi/tables/APIC).
 * @return false, and *id = pcpu, if there is no such entry
 */
bool host_lapic_id(uint32_t pcpu, uint32_t *id);

/** As host_lapic_id(), in a table in memory. */
bool host_madt_lapic_id(const uint8_t *madt, uint64_t size, uint32_t pcpu, uint32_t *id);

/** @return number of enabled CPUs in the MADT; 0 if it cannot be read */
uint32_t host_pcpu_count(void);

#endif
