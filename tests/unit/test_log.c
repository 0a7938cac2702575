/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: what a guest can cause has a limit, the ring keeps the newest, a boot finds that of the boot before. */
#include <config.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/log_ring.h>
#include <lib/string.h>

#include <stdio.h>

#include "unit.h"

/* Linked apart from the other tests, since they have the fake's log (unit.mk). */

#define SECOND 1000000UL /* ticks, at 1000 kHz */

static char shown[65536]; /* on serial line and screen */
static size_t shown_len;
static uint32_t lines;
static uint64_t now;

void console_log_line(enum log_level level, const char *line)
{
	(void)level;
	EXPECT(shown_len + strlen(line) + 2U < sizeof(shown));
	shown_len += (size_t)sprintf(shown + shown_len, "%s\n", line);
	lines++;
}

uint64_t arch_now(void)
{
	return now;
}

uint32_t arch_tsc_khz(void)
{
	return 1000U;
}

/* A second that nobody has logged in. */
static void start(void)
{
	now += 2UL * SECOND;
	shown_len = 0U;
	shown[0] = '\0';
	lines = 0U;
}

static void flood(uint16_t vm_id, uint32_t count)
{
	for (uint32_t i = 0U; i < count; i++) {
		log_guest(vm_id, 0U, "flood %u", i);
	}
}

TEST(log_lines_that_a_guest_causes_have_a_limit)
{
	start();
	flood(1U, 100000U);
	EXPECT_EQ(lines, CONFIG_LOG_GUEST_PER_SECOND);
	EXPECT(strncmp(shown, "vm1 vcpu0: flood 0\n", 19U) == 0);
	/* Another VM's are counted by themselves, the hypervisor's not at all. */
	log_guest(2U, 3U, "another");
	pr_err("ours");
	EXPECT_EQ(lines, CONFIG_LOG_GUEST_PER_SECOND + 2U);
	EXPECT(strstr(shown, "vm2 vcpu3: another\nerror: ours\n") != NULL);
	now += SECOND - 1UL;
	flood(1U, 5U);
	EXPECT_EQ(lines, CONFIG_LOG_GUEST_PER_SECOND + 2U);
}

TEST(log_says_how_many_lines_were_dropped)
{
	start();
	flood(1U, 1000U);
	start();
	flood(1U, 1U);
	EXPECT_EQ(lines, 2U);
	EXPECT(strncmp(shown, "warning: vm1: 990 more lines were dropped (at most 10 a second)\nvm1 vcpu0: flood 0\n",
		       80U) == 0);
	start();
	flood(1U, 1U);
	EXPECT_EQ(lines, 1U); /* told once */
}

TEST(log_ring_keeps_the_newest_and_is_found_again)
{
	static union {
		struct log_ring ring;
		uint8_t space[4096];
	} place;
	static char text[8192];
	uint64_t pos = 0UL;
	size_t len;

	start();
	log_move(&place.ring, sizeof(place));
	for (uint32_t i = 0U; i < 500U; i++) {
		pr_info("line %u", i);
	}
	len = log_read(&pos, text, sizeof(text) - 1U);
	text[len] = '\0';
	EXPECT_EQ(len, place.ring.size);
	EXPECT_EQ(pos, place.ring.written);
	EXPECT(strcmp(text + len - 9U, "line 499\n") == 0);
	EXPECT_EQ(log_read(&pos, text, sizeof(text)), 0U);

	EXPECT(log_ring_is_valid(&place.ring, sizeof(place)));
	EXPECT(!log_ring_is_valid(&place.ring, sizeof(place) - 1U));
	/* Bytes that no terminal should see, and a count that cannot be. */
	place.ring.text[place.ring.written % place.ring.size - 2U] = '\x1b';
	start();
	log_show_previous(&place.ring);
	EXPECT(strstr(shown, "| line 49?\n") != NULL);
	EXPECT(strchr(shown, '\x1b') == NULL);
	place.ring.written = UINT64_MAX;
	log_show_previous(&place.ring);
	place.ring.check ^= 1UL;
	EXPECT(!log_ring_is_valid(&place.ring, sizeof(place)));
}

TEST(log_levels_of_the_memory)
{
	static union {
		struct log_ring ring;
		uint8_t space[4096];
	} place;
	uint64_t before;

	start();
	log_move(&place.ring, sizeof(place));
	before = place.ring.written;
	log_set_memory_level(LOG_ERR);
	pr_warn("not kept");
	EXPECT_EQ(place.ring.written, before);
	pr_err("kept");
	EXPECT_EQ(place.ring.written, before + 12U);
	log_set_memory_level(LOG_DBG);
	EXPECT_EQ(lines, 2U); /* the console has its own level */
}
