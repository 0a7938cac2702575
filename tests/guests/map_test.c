/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that the hypervisor maps when it is touched, and takes away while another CPU uses it: <hv/map_test.h>.
 * A pre-launched VM only.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>
#include <hv/map_test.h>

#define PAGE	  4096UL
#define COMMANDS  600U	/* under each kind of use */

const char subject_name[] = "map_test";

static volatile uint32_t *const reg = (volatile uint32_t *)MAP_TEST_REGISTER;
static volatile bool over;
static uint32_t added[MAP_TEST_PAGES];	/* by the other CPU, to word 2 of each page */
static uint32_t reads, strange;

static volatile uint32_t *word(unsigned int page, unsigned int index)
{
	return (volatile uint32_t *)(MAP_TEST_BASE + page * PAGE) + index;
}

/* The same by another way: it is the VM's RAM. */
static volatile uint32_t *ram(unsigned int page, unsigned int index)
{
	return (volatile uint32_t *)(MAP_TEST_RAM + page * PAGE) + index;
}

static void test_touch(void)
{
	uint32_t before = *reg;
	bool good = true;

	for (unsigned int i = 0; i < MAP_TEST_PAGES; i++)
		good = good && *word(i, 0) == MAP_TEST_PATTERN + i;
	report(good, "a read finds what was put there for it");
	report(*reg == before + MAP_TEST_PAGES, "one callback for each page that is read");
	good = *word(0, 0) == MAP_TEST_PATTERN && *word(0, 1) == *ram(0, 1);
	report(good && *reg == before + MAP_TEST_PAGES, "then reads need nobody");
	*word(3, 1) = 0x1234;
	report(*reg == before + MAP_TEST_PAGES + 1, "the first write to a page that is read only is a callback");
	*word(3, 1) = *word(3, 1) + 1;
	report(*word(3, 1) == 0x1235 && *ram(3, 1) == 0x1235 && *reg == before + MAP_TEST_PAGES + 1,
	       "then writes need nobody, and arrive");
	*reg = MAP_TEST_UNMAP;
	__atomic_add_fetch(word(3, 1), 1, __ATOMIC_SEQ_CST);
	/* It reads, then writes: two callbacks. */
	report(*word(3, 1) == 0x1236 && *reg == before + MAP_TEST_PAGES + 3,
	       "what was unmapped is mapped again, with what is in it, by a locked instruction");
	*reg = MAP_TEST_FORGET;
	report(*word(3, 0) == MAP_TEST_PATTERN + 3 && *word(3, 1) == 0x1236, "what was forgotten is put there again");
}

/* The emulator writes the memory in the guest's place, from the register to a page that is not mapped. */
static void test_emulated(void)
{
	uint64_t from = MAP_TEST_REGISTER;
	uint64_t to;

	*reg = MAP_TEST_UNMAP;
	to = (uint64_t)word(5, 1);
	__asm__ volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
	report(*ram(5, 1) == *reg, "a string move from a device to a page that is not mapped");
	*reg = MAP_TEST_UNMAP;
	from = (uint64_t)word(6, 0);
	to = (uint64_t)word(7, 1);
	__asm__ volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
	report(*ram(7, 1) == MAP_TEST_PATTERN + 6, "from one page that is not mapped to another");
	*word(0, 1023) = 0;
	*reg = MAP_TEST_UNMAP;
	*(volatile uint64_t *)(MAP_TEST_BASE + PAGE - 4) = 0xABCD0001UL << 32 | 0x55;
	report(*ram(0, 1023) == 0x55 && *ram(1, 0) == 0xABCD0001, "a write over the end of a page to the next");
	*word(1, 0) = MAP_TEST_PATTERN + 1;
}

static void add(void *arg)
{
	(void)arg;
	for (unsigned int n = 0; !over; n++) {
		unsigned int page = n % MAP_TEST_PAGES;

		if ((n & 8U) != 0)
			*word(page, 2) = *word(page, 2) + 1;
		else
			__atomic_add_fetch(word(page, 2), 1, __ATOMIC_SEQ_CST);
		added[page]++;
	}
}

static void look(void *arg)
{
	(void)arg;
	for (unsigned int n = 0; !over; n++) {
		unsigned int page = n % MAP_TEST_PAGES;
		uint32_t found = *word(page, 0);

		/* Ones: it fell into the moment in which nobody had the place. */
		if (found != MAP_TEST_PATTERN + page && found != ~0U)
			strange++;
		reads++;
	}
}

static void test_taken_away(void)
{
	bool good = true;

	*reg = MAP_TEST_UNMAP;
	for (unsigned int i = 0; i < MAP_TEST_PAGES; i++)
		*word(i, 2) = 0;
	on_cpu_async(1, add, NULL);
	for (unsigned int i = 0; i < COMMANDS; i++)
		*reg = MAP_TEST_UNMAP;
	over = true;
	report(on_cpu_wait(1), "the other CPU comes to an end");
	for (unsigned int i = 0; i < MAP_TEST_PAGES; i++)
		good = good && added[i] != 0 && added[i] == *word(i, 2) && added[i] == *ram(i, 2);
	report(good, "no write of the other CPU is lost while pages are unmapped");
	over = false;
	on_cpu_async(1, look, NULL);
	for (unsigned int i = 0; i < COMMANDS; i++)
		*reg = MAP_TEST_REMAKE;
	over = true;
	report(on_cpu_wait(1), "it comes to an end again");
	report(reads != 0 && strange == 0, "it reads nothing strange while the reservation is freed and made");
	report_info("%u reads, %u callbacks", reads, *reg);
}

void test_main(void)
{
	lapic_enable();
	report(smp_start() == 2, "two CPUs are there");
	test_touch();
	test_emulated();
	test_taken_away();
}
