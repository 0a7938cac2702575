/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/sched.c */
#include <unit.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <fake.h>
#include <hv/arch.h>
#include <hv/sched.h>
#include <hv/timer.h>
#include <hv/upcall.h>

struct worker {
	struct thread thread;
	bool stay;
	uint32_t runs;
	uint32_t outs;
	struct worker *wakes;
};

static struct worker w[4];
static char trace[64];

static bool work(struct thread *thread)
{
	struct worker *self = container_of(thread, struct worker, thread);

	self->runs++;
	if (strlen(trace) < sizeof(trace) - 1U) {
		trace[strlen(trace)] = (char)('a' + (self - w));
	}
	if (self->wakes != NULL) {
		thread_wake(&self->wakes->thread);
		self->wakes = NULL;
	}
	return self->stay;
}

static void out(struct thread *thread)
{
	container_of(thread, struct worker, thread)->outs++;
}

static void setup(void)
{
	fake_reset();
	memset(w, 0, sizeof(w));
	memset(trace, 0, sizeof(trace));
	for (uint32_t i = 0U; i < 4U; i++) {
		thread_init(&w[i].thread, 0U, work, out);
	}
}

TEST(sched_idles_without_threads)
{
	setup();
	EXPECT(!sched_once());
	EXPECT_EQ(fake_idles, 1U);
	EXPECT_EQ(sched_load(0U), 0U);
}

TEST(sched_blocked_threads_run_once_per_wake)
{
	setup();
	thread_wake(&w[0].thread);
	thread_wake(&w[0].thread); /* again: nothing */
	EXPECT_EQ(sched_load(0U), 1U);
	EXPECT_EQ(fake_run(0U, 10U), 1U);
	EXPECT_EQ(w[0].runs, 1U);
	EXPECT_EQ(w[0].outs, 1U);
	EXPECT_EQ(w[0].thread.state, THREAD_BLOCKED);
	EXPECT_EQ(sched_load(0U), 0U);
}

TEST(sched_round_robin)
{
	setup();
	for (uint32_t i = 0U; i < 3U; i++) {
		w[i].stay = true;
		thread_wake(&w[i].thread);
	}
	for (uint32_t i = 0U; i < 6U; i++) {
		EXPECT(sched_once());
	}
	EXPECT(strcmp(trace, "abcabc") == 0);
	EXPECT_EQ(sched_load(0U), 3U);
}

TEST(sched_slice_only_when_shared)
{
	setup();
	fake_time_step = 0UL;
	thread_wake(&w[0].thread);
	EXPECT(sched_once());
	EXPECT_EQ(fake_deadline[0], UINT64_MAX); /* alone: never disturbed */
	w[1].stay = true;
	w[2].stay = true;
	thread_wake(&w[1].thread);
	thread_wake(&w[2].thread);
	EXPECT(sched_once());
	EXPECT_EQ(fake_deadline[0], 5000UL); /* 5000 us at 1 MHz */
	EXPECT(!sched_need_resched());
	fake_time = 5000UL;
	timer_expired();
	EXPECT(sched_need_resched());
}

/* A waker on the thread's own CPU, between its last look and its blocking. */
TEST(sched_wake_while_running_is_not_lost)
{
	setup();
	w[0].wakes = &w[0];
	thread_wake(&w[0].thread);
	EXPECT_EQ(fake_run(0U, 10U), 2U);
	EXPECT_EQ(w[0].runs, 2U);
}

TEST(sched_wake_asks_the_running_thread_to_give_way)
{
	setup();
	w[0].wakes = &w[1];
	w[0].stay = true;
	thread_wake(&w[0].thread);
	EXPECT(sched_once()); /* a wakes b and leaves the loop, though it would stay */
	EXPECT(sched_once());
	EXPECT(strcmp(trace, "ab") == 0);
}

TEST(sched_wake_of_another_pcpu_kicks_it)
{
	setup();
	thread_init(&w[0].thread, 2U, work, out);
	thread_wake(&w[0].thread);
	EXPECT_EQ(fake_kicks[2], 1U);
	thread_wake(&w[0].thread); /* runnable already */
	EXPECT_EQ(fake_kicks[2], 1U);
	EXPECT_EQ(fake_run(2U, 5U), 1U);
}

TEST(sched_unqueue_and_retire)
{
	setup();
	thread_wake(&w[0].thread);
	thread_unqueue(&w[0].thread);
	EXPECT_EQ(fake_run(0U, 5U), 0U);
	thread_wake(&w[0].thread);
	thread_retire(&w[0].thread);
	EXPECT_EQ(sched_load(0U), 0U);
	thread_wake(&w[0].thread); /* late waker: nothing */
	EXPECT_EQ(fake_run(0U, 5U), 0U);
	thread_init(&w[0].thread, 1U, work, out); /* new life elsewhere */
	thread_wake(&w[0].thread);
	EXPECT_EQ(fake_run(1U, 5U), 1U);
}

/* ---- With real threads: two pCPUs pass a token; a lost wake-up stops them for ever ---- */

#define ROUNDS 20000U

struct player {
	struct thread thread;
	struct player *other;
	uint32_t token; /* atomic: what the other sent last */
	uint32_t seen;
};

static struct player players[2];

static bool play(struct thread *thread)
{
	struct player *self = container_of(thread, struct player, thread);
	const uint32_t token = __atomic_load_n(&self->token, __ATOMIC_ACQUIRE);

	if (token == self->seen) {
		return false;
	}
	self->seen = token;
	__atomic_store_n(&self->other->token, token + 1U, __ATOMIC_RELEASE);
	thread_wake(&self->other->thread);
	return false;
}

static void *player_cpu(void *arg)
{
	struct player *self = arg;

	fake_cpu_id = self->thread.pcpu;
	while (__atomic_load_n(&self->token, __ATOMIC_ACQUIRE) < ROUNDS) {
		(void)sched_once();
	}
	/* Let the other one see the end, too. */
	__atomic_store_n(&self->other->token, ROUNDS + 1U, __ATOMIC_RELEASE);
	thread_wake(&self->other->thread);
	return NULL;
}

TEST(sched_no_wake_up_is_lost_between_cpus)
{
	pthread_t host[2];

	fake_reset();
	fake_threads = true;
	memset(players, 0, sizeof(players));
	for (uint16_t i = 0U; i < 2U; i++) {
		players[i].other = &players[1U - i];
		thread_init(&players[i].thread, (uint16_t)(i + 1U), play, NULL);
	}
	players[0].token = 1U;
	thread_wake(&players[0].thread);
	for (uint32_t i = 0U; i < 2U; i++) {
		pthread_create(&host[i], NULL, player_cpu, &players[i]);
	}
	for (uint32_t i = 0U; i < 2U; i++) {
		pthread_join(host[i], NULL);
	}
	EXPECT(players[0].seen >= ROUNDS - 2U);
	fake_threads = false;
}

/* Wakers hammer a thread that counts what it is told, while another host thread retires and revives it. */
static struct worker target;
static uint32_t told;
static bool stop_all;

static bool count(struct thread *thread)
{
	(void)thread;
	(void)__atomic_exchange_n(&told, 0U, __ATOMIC_SEQ_CST);
	return false;
}

static void *waker(void *arg)
{
	fake_cpu_id = (uint16_t)(uintptr_t)arg;
	for (uint32_t i = 0U; i < 20000U; i++) {
		__atomic_store_n(&told, 1U, __ATOMIC_SEQ_CST);
		thread_wake(&target.thread);
	}
	return NULL;
}

static void *target_cpu(void *arg)
{
	fake_cpu_id = (uint16_t)(uintptr_t)arg;
	while (!__atomic_load_n(&stop_all, __ATOMIC_ACQUIRE)) {
		(void)sched_once();
	}
	return NULL;
}

TEST(sched_last_wake_is_always_served)
{
	pthread_t host[3];

	fake_reset();
	fake_threads = true;
	stop_all = false;
	memset(&target, 0, sizeof(target));
	thread_init(&target.thread, 1U, count, NULL);
	pthread_create(&host[0], NULL, target_cpu, (void *)1UL);
	pthread_create(&host[1], NULL, waker, (void *)2UL);
	pthread_create(&host[2], NULL, waker, (void *)3UL);
	pthread_join(host[1], NULL);
	pthread_join(host[2], NULL);
	for (uint32_t i = 0U; (i < 10000000U) && (__atomic_load_n(&told, __ATOMIC_SEQ_CST) != 0U); i++) {
		(void)sched_yield();
	}
	EXPECT_EQ(told, 0U);
	__atomic_store_n(&stop_all, true, __ATOMIC_RELEASE);
	fake_cpu_id = 0U;
	thread_wake(&target.thread);
	arch_kick_cpu(1U);
	pthread_join(host[0], NULL);
	fake_threads = false;
}

/* The thread's life ends and begins again on another CPU while late wakers are on their way. */
static void *reviver(void *arg)
{
	fake_cpu_id = (uint16_t)(uintptr_t)arg;
	for (uint32_t i = 0U; i < 5000U; i++) {
		thread_retire(&target.thread);
		thread_init(&target.thread, (uint16_t)(5U + (i & 1U)), count, NULL);
	}
	return NULL;
}

TEST(sched_retire_against_late_wakers)
{
	pthread_t host[2];

	fake_reset();
	memset(&target, 0, sizeof(target));
	thread_init(&target.thread, 5U, count, NULL); /* nobody runs pCPUs 5 and 6: only the queues are at stake */
	pthread_create(&host[0], NULL, waker, (void *)2UL);
	pthread_create(&host[1], NULL, reviver, (void *)3UL);
	pthread_join(host[0], NULL);
	pthread_join(host[1], NULL);
	thread_retire(&target.thread);
	EXPECT_EQ(sched_load(5U), 0U);
	EXPECT_EQ(sched_load(6U), 0U);
}

/* As above, on a pCPU that runs: the waker makes the thread run at any moment, also after it was waited for. */
TEST(sched_wait_and_retire_against_late_wakers)
{
	pthread_t host[2];
	uint32_t not_blocked = 0U;

	fake_reset();
	fake_threads = true;
	stop_all = false;
	memset(&target, 0, sizeof(target));
	thread_init(&target.thread, 1U, count, NULL);
	pthread_create(&host[0], NULL, target_cpu, (void *)1UL);
	pthread_create(&host[1], NULL, waker, (void *)2UL);
	fake_cpu_id = 0U;
	for (uint32_t i = 0U; i < 5000U; i++) {
		thread_wait_off_cpu(&target.thread);
		thread_retire(&target.thread);
		/* Now no waker can change it. */
		not_blocked += (target.thread.state != THREAD_BLOCKED) ? 1U : 0U;
		thread_init(&target.thread, 1U, count, NULL);
	}
	EXPECT_EQ(not_blocked, 0U);
	pthread_join(host[1], NULL);
	__atomic_store_n(&stop_all, true, __ATOMIC_RELEASE);
	arch_kick_cpu(1U);
	pthread_join(host[0], NULL);
	fake_threads = false;
}

/* Waiting takes a thread off its queue, too. */
TEST(sched_wait_off_cpu_of_a_queued_thread)
{
	setup();
	thread_wake(&w[0].thread);
	thread_wait_off_cpu(&w[0].thread);
	EXPECT_EQ(w[0].thread.state, THREAD_BLOCKED);
	EXPECT_EQ(fake_run(0U, 5U), 0U);
}

/* A late waker has made it run for another moment, and it is still running when its life ends. */
static bool in_run, leave_run;

static bool linger(struct thread *thread)
{
	(void)thread;
	__atomic_store_n(&in_run, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&leave_run, __ATOMIC_SEQ_CST)) {
		__builtin_ia32_pause();
	}
	return false;
}

static void *one_turn(void *arg)
{
	fake_cpu_id = (uint16_t)(uintptr_t)arg;
	(void)sched_once();
	return NULL;
}

static void *end_turn(void *arg)
{
	(void)arg;
	(void)usleep(20000U);
	__atomic_store_n(&leave_run, true, __ATOMIC_SEQ_CST);
	return NULL;
}

TEST(sched_retire_waits_for_a_running_thread)
{
	pthread_t host[2];

	fake_reset();
	in_run = false;
	leave_run = false;
	memset(&target, 0, sizeof(target));
	thread_init(&target.thread, 1U, linger, NULL);
	thread_wake(&target.thread);
	pthread_create(&host[0], NULL, one_turn, (void *)1UL);
	while (!__atomic_load_n(&in_run, __ATOMIC_SEQ_CST)) {
		(void)usleep(100U);
	}
	pthread_create(&host[1], NULL, end_turn, NULL);
	thread_retire(&target.thread);
	EXPECT(__atomic_load_n(&leave_run, __ATOMIC_SEQ_CST));
	EXPECT_EQ(target.thread.state, THREAD_BLOCKED);
	thread_wake(&target.thread);
	EXPECT_EQ(sched_load(1U), 0U);
	pthread_join(host[0], NULL);
	pthread_join(host[1], NULL);
}
