/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/timer.c */
#include <unit.h>

#include <fake.h>
#include <hv/timer.h>
#include <hv/upcall.h>

static struct hv_timer t[8];
static uint32_t fired[8];
static uint32_t order;

static void on_expired(struct hv_timer *timer)
{
	fired[timer - t] = ++order;
}

static void on_expired_restart(struct hv_timer *timer)
{
	fired[timer - t]++;
	hv_timer_start(timer, 0UL, 0UL); /* a deadline in the past, again and again */
}

static void setup(void)
{
	fake_reset();
	fake_time_step = 0UL;
	order = 0U;
	for (uint32_t i = 0U; i < 8U; i++) {
		hv_timer_init(&t[i], on_expired);
		fired[i] = 0U;
	}
}

TEST(timer_fires_in_order_of_deadlines)
{
	setup();
	hv_timer_start(&t[0], 300UL, 0UL);
	EXPECT_EQ(fake_deadline[0], 300UL);
	hv_timer_start(&t[1], 100UL, 0UL);
	EXPECT_EQ(fake_deadline[0], 100UL);
	hv_timer_start(&t[2], 200UL, 0UL);
	EXPECT_EQ(fake_deadline[0], 100UL);
	fake_time = 250UL;
	timer_expired();
	EXPECT_EQ(fired[1], 1U);
	EXPECT_EQ(fired[2], 2U);
	EXPECT_EQ(fired[0], 0U);
	EXPECT_EQ(fake_deadline[0], 300UL);
	fake_time = 300UL;
	timer_expired();
	EXPECT_EQ(fired[0], 3U);
	EXPECT_EQ(fake_deadline[0], UINT64_MAX);
}

TEST(timer_equal_deadlines_keep_their_order)
{
	setup();
	hv_timer_start(&t[3], 100UL, 0UL);
	hv_timer_start(&t[1], 100UL, 0UL);
	hv_timer_start(&t[2], 100UL, 0UL);
	fake_time = 100UL;
	timer_expired();
	EXPECT_EQ(fired[3], 1U);
	EXPECT_EQ(fired[1], 2U);
	EXPECT_EQ(fired[2], 3U);
}

TEST(timer_stop_and_rearm)
{
	setup();
	hv_timer_start(&t[0], 100UL, 0UL);
	hv_timer_start(&t[1], 200UL, 0UL);
	hv_timer_stop(&t[0]);
	hv_timer_stop(&t[0]);
	EXPECT_EQ(fake_deadline[0], 200UL);
	hv_timer_start(&t[1], 50UL, 0UL); /* earlier */
	EXPECT_EQ(fake_deadline[0], 50UL);
	hv_timer_start(&t[1], 500UL, 0UL); /* later */
	EXPECT_EQ(fake_deadline[0], 500UL);
	fake_time = 499UL;
	timer_expired();
	EXPECT_EQ(order, 0U);
	fake_time = 500UL;
	timer_expired();
	EXPECT_EQ(order, 1U);
	EXPECT(!t[1].armed);
}

TEST(timer_periodic_keeps_phase_and_skips_what_it_missed)
{
	setup();
	hv_timer_start(&t[0], 100UL, 100UL);
	fake_time = 350UL; /* 100, 200, 300 were missed: one call, next at 400 */
	timer_expired();
	EXPECT_EQ(order, 1U);
	EXPECT_EQ(fake_deadline[0], 400UL);
	fake_time = 400UL;
	timer_expired();
	EXPECT_EQ(order, 2U);
	EXPECT_EQ(fake_deadline[0], 500UL);
}

TEST(timer_that_rearms_itself_in_the_past_does_not_hang)
{
	setup();
	hv_timer_init(&t[0], on_expired_restart);
	hv_timer_start(&t[0], 1UL, 0UL);
	fake_time = 10UL;
	timer_expired();
	EXPECT(fired[0] >= 1U);
	EXPECT(fired[0] <= 64U);
	EXPECT_EQ(fake_deadline[0], 0UL); /* fires again at once */
}

TEST(timer_on_another_pcpu)
{
	setup();
	fake_cpu_id = 2U;
	hv_timer_start(&t[0], 100UL, 0UL);
	EXPECT_EQ(fake_deadline[2], 100UL);
	fake_cpu_id = 0U;
	hv_timer_start(&t[0], 200UL, 0UL); /* moves here */
	EXPECT_EQ(fake_deadline[0], 200UL);
	fake_cpu_id = 2U;
	fake_time = 100UL;
	timer_expired();
	EXPECT_EQ(order, 0U);
	EXPECT_EQ(fake_deadline[2], UINT64_MAX);
	hv_timer_stop(&t[0]); /* from another pCPU: that one's deadline stays, and finds nothing */
	fake_cpu_id = 0U;
	fake_time = 200UL;
	timer_expired();
	EXPECT_EQ(order, 0U);
}
