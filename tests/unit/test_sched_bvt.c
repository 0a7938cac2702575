/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/sched_bvt.c, and what the policies have in common. A tick of the fake clock is a microsecond. */
#include <unit.h>

#include <string.h>

#include <fake.h>
#include <hv/arch.h>
#include <hv/sched.h>
#include <hv/timer.h>
#include <hv/upcall.h>
#include <public/scenario_blob.h>

#define MS 1000UL

struct job {
	struct thread thread;
	uint64_t left;     /* to do before it blocks, ticks; UINT64_MAX: it never does */
	uint64_t got;      /* done so far */
	uint64_t first_at; /* time of its last start */
	bool spins;        /* asks for others to run, each turn */
};

static struct job jobs[4];
static uint32_t switches;

/* Who is alone keeps the CPU for good: at this time another thread makes it give way. */
static uint64_t stop_at;
static struct thread stopper;

static bool stop(struct thread *thread)
{
	(void)thread;
	return false;
}

/* Works in steps of 50 us until the slice is over, somebody is woken, or it has nothing to do. */
static bool work(struct thread *thread)
{
	struct job *job = container_of(thread, struct job, thread);

	job->first_at = fake_time;
	while (job->left != 0UL) {
		fake_time += 50UL;
		job->got += 50UL;
		job->left -= (job->left == UINT64_MAX) ? 0UL : MIN(job->left, 50UL);
		if (fake_time >= fake_deadline[0]) {
			timer_expired();
		}
		if (job->spins) {
			sched_skip_turn();
		}
		if (fake_time >= stop_at) {
			thread_wake(&stopper);
			sched_skip_turn();
		}
		if (sched_need_resched()) {
			return job->left != 0UL;
		}
	}
	return false;
}

static void out(struct thread *thread)
{
	(void)thread;
	switches++;
}

static void setup(uint8_t policy)
{
	fake_reset();
	sched_init(policy, 5U * (uint32_t)MS);
	fake_time_step = 0UL;
	fake_cpu_id = 0U;
	memset(jobs, 0, sizeof(jobs));
	for (uint32_t i = 0U; i < 4U; i++) {
		thread_init(&jobs[i].thread, 0U, work, out);
	}
	thread_init(&stopper, 0U, stop, NULL);
	switches = 0U;
}

static void start(uint32_t i, uint64_t todo, struct sched_share share)
{
	jobs[i].left = todo;
	thread_set_share(&jobs[i].thread, &share);
	thread_wake(&jobs[i].thread);
}

static void run_until(uint64_t time)
{
	stop_at = time;
	while (fake_time < time) {
		if (!sched_once()) {
			fake_time += 50UL;
			if (fake_time >= fake_deadline[0]) {
				timer_expired();
			}
		}
	}
}

static uint64_t percent(uint32_t i)
{
	return jobs[i].got * 100UL / (jobs[0].got + jobs[1].got + jobs[2].got + jobs[3].got);
}

TEST(sched_bvt_shares_by_weight)
{
	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U});
	start(1U, UINT64_MAX, (struct sched_share){.weight = 2U});
	start(2U, UINT64_MAX, (struct sched_share){.weight = 4U});
	run_until(2000UL * MS);
	EXPECT(percent(0U) >= 13UL && percent(0U) <= 15UL);
	EXPECT(percent(1U) >= 27UL && percent(1U) <= 30UL);
	EXPECT(percent(2U) >= 56UL && percent(2U) <= 58UL);
	EXPECT_EQ(thread_run_ticks(&jobs[2].thread), jobs[2].got);
	EXPECT(switches < 400U); /* a slice is no less than 5 ms */
}

/* Extremes: nobody starves, whoever has the weight. */
TEST(sched_bvt_nobody_starves)
{
	uint64_t before = 0UL;

	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U});
	start(1U, UINT64_MAX, (struct sched_share){.weight = 128U});
	for (uint32_t i = 1U; i <= 10U; i++) {
		run_until(i * 1500UL * MS); /* it gets 5 ms of 645 */
		EXPECT(jobs[0].got > before);
		before = jobs[0].got;
	}
	EXPECT(jobs[0].got >= 15000UL * MS / 129UL * 9UL / 10UL);
}

static struct hv_timer alarm_timer;

static void wake_sleeper(struct hv_timer *timer)
{
	(void)timer;
	jobs[3].left = 200UL;
	thread_wake(&jobs[3].thread);
}

/* Who sleeps most of the time has the CPU at once when it wakes, at the side of others that always want it. */
TEST(sched_bvt_sleeper_runs_soon)
{
	uint64_t woken;

	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U});
	start(1U, UINT64_MAX, (struct sched_share){.weight = 4U});
	thread_set_share(&jobs[3].thread, &(struct sched_share){.weight = 1U});
	hv_timer_init(&alarm_timer, wake_sleeper);
	for (uint32_t i = 1U; i <= 20U; i++) {
		woken = fake_time + 33UL * MS + i * 777UL;
		hv_timer_start(&alarm_timer, woken, 0UL);
		run_until(woken + 10UL * MS);
		EXPECT_EQ(jobs[3].left, 0UL);
		EXPECT(jobs[3].first_at - woken <= 100UL);
	}
}

/* What it did not use while it slept is lost: it does not keep the others waiting for as long. */
TEST(sched_bvt_long_sleep_is_no_credit)
{
	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U});
	run_until(10000UL * MS);
	start(1U, UINT64_MAX, (struct sched_share){.weight = 1U});
	jobs[0].got = 0UL;
	run_until(10100UL * MS);
	EXPECT(percent(0U) >= 44UL && percent(0U) <= 56UL);
}

/* Nor does it lose its place by blocking for a moment when it has had more than its share. */
TEST(sched_bvt_short_sleep_is_no_trick)
{
	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U});
	start(1U, 20UL * MS, (struct sched_share){.weight = 1U});
	for (uint32_t i = 0U; i < 200U; i++) {
		run_until(fake_time + 5UL * MS);
		if (jobs[1].left == 0UL) {
			jobs[1].left = 4UL * MS;
			thread_wake(&jobs[1].thread);
		}
	}
	EXPECT(percent(1U) <= 52UL);
}

/* Virtual times wrap around: order and shares stay. */
TEST(sched_bvt_virtual_time_wraps)
{
	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U});
	start(1U, UINT64_MAX, (struct sched_share){.weight = 3U});
	run_until(20UL * MS);
	/* All of them a little before the end of 64 bits. */
	jobs[0].thread.bvt.vtime = UINT64_MAX - 100UL * MS * 1024UL;
	jobs[1].thread.bvt.vtime = UINT64_MAX - 100UL * MS * 1024UL;
	jobs[0].got = 0UL;
	jobs[1].got = 0UL;
	run_until(2000UL * MS);
	EXPECT(jobs[0].thread.bvt.vtime < UINT64_MAX / 2UL);
	EXPECT(percent(1U) >= 74UL && percent(1U) <= 76UL);
}

/* A thread that has run alone for a year, and one that slept as long. */
TEST(sched_bvt_after_a_year)
{
	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U});
	run_until(100UL * MS);
	fake_time += 366UL * 24UL * 3600UL * 1000UL * MS;
	run_until(fake_time + 10UL * MS);
	jobs[0].got = 0UL;
	start(1U, UINT64_MAX, (struct sched_share){.weight = 1U});
	run_until(fake_time + 200UL * MS);
	EXPECT(percent(0U) >= 46UL && percent(0U) <= 54UL);
	EXPECT(percent(1U) >= 46UL);
}

/* Its warp lets it run first, but not for longer than the limit; over a long time it gets no more than its share. */
TEST(sched_bvt_warp_is_borrowed)
{
	uint64_t early;

	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U});
	start(1U, UINT64_MAX, (struct sched_share){.weight = 1U, .warp_ms = 200});
	run_until(150UL * MS);
	early = jobs[1].got;
	EXPECT(early >= 140UL * MS);
	run_until(5000UL * MS);
	EXPECT(percent(1U) >= 50UL && percent(1U) <= 53UL);
}

TEST(sched_bvt_warp_ends_at_its_limit)
{
	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U});
	start(1U, UINT64_MAX, (struct sched_share){.weight = 1U, .warp_ms = 8192, .warp_limit_ms = 10U,
		.unwarp_ms = 10U});
	run_until(11UL * MS);
	EXPECT(jobs[1].got >= 10UL * MS);
	run_until(40UL * MS);
	EXPECT(jobs[0].got >= 9UL * MS); /* without the limit it would wait for 8 s */
}

/* A negative warp: what is left over. It still has its share in the long run. */
TEST(sched_bvt_negative_warp_waits)
{
	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U, .warp_ms = -100});
	start(1U, UINT64_MAX, (struct sched_share){.weight = 1U});
	run_until(90UL * MS);
	EXPECT(jobs[0].got <= 5UL * MS);
	run_until(5000UL * MS);
	EXPECT(percent(0U) >= 47UL);
}

/* A wake-up whose thread has the worse claim is looked at, and the running one stays without being switched out. */
TEST(sched_bvt_keeps_the_better_claim)
{
	setup(SCN_SCHED_BVT);
	start(0U, UINT64_MAX, (struct sched_share){.weight = 1U, .warp_ms = 1000});
	hv_timer_init(&alarm_timer, wake_sleeper);
	hv_timer_start(&alarm_timer, 20UL * MS, 0UL);
	run_until(60UL * MS);
	EXPECT_EQ(jobs[3].got, 0UL);
	EXPECT_EQ(switches, 1U); /* for the test's end */
}

/* Under every policy somebody who spins lets another run first, whatever their claims. */
TEST(sched_spinner_lets_others_run)
{
	static const uint8_t policies[] = {SCN_SCHED_IORR, SCN_SCHED_BVT, SCN_SCHED_NOOP};

	for (uint32_t i = 0U; i < 3U; i++) {
		setup(policies[i]);
		start(0U, UINT64_MAX, (struct sched_share){.weight = 128U});
		jobs[0].spins = true;
		start(1U, 20UL * MS, (struct sched_share){.weight = 1U});
		run_until(21UL * MS);
		EXPECT_EQ(jobs[1].left, 0UL);
	}
}

TEST(sched_noop_has_no_slices)
{
	setup(SCN_SCHED_NOOP);
	start(0U, 50UL * MS, (struct sched_share){.weight = 1U});
	start(1U, 50UL * MS, (struct sched_share){.weight = 1U});
	run_until(49UL * MS);
	EXPECT_EQ(fake_deadline[0], UINT64_MAX);
	EXPECT(jobs[0].got >= 49UL * MS);
	EXPECT_EQ(jobs[1].got, 0UL);
	run_until(101UL * MS);
	EXPECT_EQ(jobs[1].left, 0UL);
}

/* Halted time is accounted, and a running thread's too. */
TEST(sched_accounts)
{
	setup(SCN_SCHED_IORR);
	fake_time_step = 10UL;
	EXPECT(!sched_once());
	EXPECT(sched_idle_ticks(0U) >= 10UL);
	EXPECT_EQ(thread_run_ticks(&jobs[0].thread), 0UL);
}
