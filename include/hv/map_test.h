/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests (CONFIG_DEBUG): memory that is there once it is touched, in each pre-launched VM if the hypervisor's
 * command line says map_test. No device of ours reserves, frees or maps anything while a VM runs, so that no VM would
 * ever walk these paths.
 *
 * At MAP_TEST_BASE are MAP_TEST_PAGES pages. The first touch of one writes MAP_TEST_PATTERN + its number into the first
 * 4 bytes of a page of the VM's RAM, from MAP_TEST_RAM on, and maps that: read only, if the touch was a read; a write
 * makes it writable. A page of registers follows. tests/guests/map_test.c is the other side.
 */
#ifndef HV_MAP_TEST_H
#define HV_MAP_TEST_H

#include <lib/util.h>

#define MAP_TEST_BASE    0xC8000000UL
#define MAP_TEST_PAGES   8UL
#define MAP_TEST_RAM     0x2000000UL
#define MAP_TEST_PATTERN 0x7E570000U

/* The register, 4 bytes: how many callbacks there were; to be written: */
#define MAP_TEST_REGISTER (MAP_TEST_BASE + MAP_TEST_PAGES * 0x1000UL)
#define MAP_TEST_UNMAP    1U /* all pages; they keep what is in them, and are read only at first again */
#define MAP_TEST_FORGET   2U /* the same, and the next touch writes the pattern */
#define MAP_TEST_REMAKE   3U /* frees the reservation of the pages, and makes a new one */

struct acrn_vm;

/** Gives the VM its window, if the command line wants that. Before it runs. @return 0 or -ENOMEM */
int32_t __must_check map_test_attach(struct acrn_vm *vm);

#endif
