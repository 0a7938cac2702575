/* SPDX-License-Identifier: BSD-3-Clause */
/* Fixed-width types and the address types that must not be mixed up. */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t hpa_t; /* host-physical address, bytes */
typedef uint64_t gpa_t; /* guest-physical address, bytes */
typedef uint64_t gla_t; /* guest-linear address, bytes */

#define INVALID_HPA UINT64_MAX
#define INVALID_GPA UINT64_MAX

#define PAGE_SHIFT 12U
#define PAGE_SIZE  4096UL
#define PAGE_MASK  (~(PAGE_SIZE - 1UL))
#define SIZE_2M    (2UL << 20U)
#define SIZE_1G    (1UL << 30U)

#endif
