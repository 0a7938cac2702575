/* SPDX-License-Identifier: BSD-3-Clause */
/* Files, memory and CPU numbers of the Service VM. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGE_2M     (2UL << 20U)
#define MADT_PATH   "/sys/firmware/acpi/tables/APIC"
#define MADT_MAX    65536U
#define MADT_LAPIC  0U
#define MADT_X2APIC 9U

int host_file(const char *path, struct vm_image_file *file)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *data = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	} else if (fd >= 0) {
		errno = EINVAL;
	}
	if (data == MAP_FAILED) {
		fprintf(stderr, "aril-dm: %s: %s\n", path, strerror(errno));
		if (fd >= 0) {
			(void)close(fd);
		}
		return -1;
	}
	(void)close(fd);
	file->data = data;
	file->size = (uint64_t)st.st_size;
	file->string = NULL;
	return 0;
}

void *host_memory(uint64_t size)
{
	uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_HUGETLB | (21 << MAP_HUGE_SHIFT), -1, 0);

	if (at != MAP_FAILED) {
		return at;
	}
	at = mmap(NULL, size + HUGE_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) {
		fprintf(stderr, "aril-dm: %lu MiB of memory: %s\n", size >> 20U, strerror(errno));
		return NULL;
	}
	/* The driver wants a huge page whole or not at all: start where one may start. */
	at += (HUGE_2M - ((uintptr_t)at & (HUGE_2M - 1UL))) & (HUGE_2M - 1UL);
	if (madvise(at, size, MADV_HUGEPAGE) != 0) {
		fprintf(stderr, "aril-dm: this kernel has no transparent huge pages: 4 KiB pages are used\n");
	}
	for (uint64_t i = 0; i < size; i += 4096U) {
		((volatile uint8_t *)at)[i] = 0U;
	}
	return at;
}

uint64_t host_parse_size(const char *text)
{
	char *end = NULL;
	uint64_t n;
	uint32_t shift = 0U;

	if (text[0] < '0' || text[0] > '9') {
		return 0UL;
	}
	errno = 0;
	n = strtoull(text, &end, 0);
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10U;
		break;
	case 'm':
	case 'M':
		shift = 20U;
		break;
	case 'g':
	case 'G':
		shift = 30U;
		break;
	default:
		return 0UL; /* a number alone is too easily meant in another unit */
	}
	if (errno != 0 || end[1] != '\0' || n > (UINT64_MAX >> shift)) {
		return 0UL;
	}
	return n << shift;
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | ((uint32_t)p[1] << 8U) | ((uint32_t)p[2] << 16U) | ((uint32_t)p[3] << 24U);
}

/* Calls for each enabled CPU until `pcpu` is reached; @return CPUs seen, *id that of `pcpu` if seen > pcpu */
static uint32_t madt_walk(const uint8_t *madt, uint64_t size, uint32_t pcpu, uint32_t *id)
{
	uint32_t seen = 0U;

	for (uint64_t at = 44; at + 2U <= size && madt[at + 1] >= 2U && at + madt[at + 1] <= size; at += madt[at + 1]) {
		const uint8_t *e = madt + at;

		if (e[0] == MADT_LAPIC && e[1] >= 8U && (le32(e + 4) & 1U) != 0U && e[3] != 0xFFU) {
			if (seen++ == pcpu) {
				*id = e[3];
			}
		} else if (e[0] == MADT_X2APIC && e[1] >= 16U && (le32(e + 8) & 1U) != 0U) {
			if (seen++ == pcpu) {
				*id = le32(e + 4);
			}
		}
	}
	return seen;
}

bool host_madt_lapic_id(const uint8_t *madt, uint64_t size, uint32_t pcpu, uint32_t *id)
{
	*id = pcpu;
	return madt_walk(madt, size, pcpu, id) > pcpu;
}

static uint64_t madt_read(uint8_t *buf, uint64_t size)
{
	int fd = open(MADT_PATH, O_RDONLY | O_CLOEXEC);
	uint64_t used = 0;
	ssize_t n;

	if (fd < 0) {
		return 0UL;
	}
	while (used < size && (n = read(fd, buf + used, size - used)) > 0) {
		used += (uint64_t)n;
	}
	(void)close(fd);
	return used;
}

bool host_lapic_id(uint32_t pcpu, uint32_t *id)
{
	static uint8_t madt[MADT_MAX];

	return host_madt_lapic_id(madt, madt_read(madt, sizeof(madt)), pcpu, id);
}

uint32_t host_pcpu_count(void)
{
	static uint8_t madt[MADT_MAX];
	uint32_t id;

	return madt_walk(madt, madt_read(madt, sizeof(madt)), UINT32_MAX, &id);
}
