/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/timer.c */
#include <unit.h>

#include <pthread.h>
#include <unistd.h>

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

/* ---- A timer is stopped while its function runs on another pCPU ---- */

static struct hv_timer slow;
static bool entered, may_leave, left;

static void slow_expired(struct hv_timer *timer)
{
	(void)timer;
	__atomic_store_n(&entered, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&may_leave, __ATOMIC_SEQ_CST)) {
		__builtin_ia32_pause();
	}
	__atomic_store_n(&left, true, __ATOMIC_SEQ_CST);
}

static void *slow_cpu(void *arg)
{
	(void)arg;
	fake_cpu_id = 3U;
	hv_timer_start(&slow, 100UL, 10UL); /* periodic: on the list again while it runs */
	__atomic_store_n(&fake_time, 100UL, __ATOMIC_SEQ_CST);
	timer_expired();
	return NULL;
}

static void *let_leave(void *arg)
{
	(void)arg;
	(void)usleep(20000U);
	__atomic_store_n(&may_leave, true, __ATOMIC_SEQ_CST);
	return NULL;
}

TEST(timer_stop_waits_for_the_function)
{
	pthread_t host[2];

	setup();
	entered = false;
	may_leave = false;
	left = false;
	hv_timer_init(&slow, slow_expired);
	pthread_create(&host[0], NULL, slow_cpu, NULL);
	while (!__atomic_load_n(&entered, __ATOMIC_SEQ_CST)) {
		(void)usleep(100U);
	}
	fake_cpu_id = 0U;
	hv_timer_stop(&slow); /* does not wait */
	EXPECT(!__atomic_load_n(&left, __ATOMIC_SEQ_CST));
	pthread_create(&host[1], NULL, let_leave, NULL);
	hv_timer_stop_wait(&slow);
	EXPECT(__atomic_load_n(&left, __ATOMIC_SEQ_CST));
	EXPECT(!slow.armed);
	pthread_join(host[0], NULL);
	pthread_join(host[1], NULL);
	/* On its own pCPU, from the function itself, it does not wait for itself. */
	hv_timer_stop_wait(&slow);
}
