/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/sched.c under stress: pCPUs are host threads that sleep when idle, and threads pass tokens to each other.
 * Each token is one wake-up; one that is lost stands still with its token, and with a single token all stand still.
 *
 * WAKE_HOPS in the environment: tokens passed in each round, 20000 if nothing is said; millions take seconds.
 */
#include <unit.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fake.h>
#include <hv/arch.h>
#include <hv/sched.h>

#define CPUS     3U
#define ACTORS   8U
#define HOPS     20000UL
#define PATIENCE_S 60

struct actor {
	struct thread thread;
	uint32_t tokens; /* atomic: waiting for it */
	uint32_t random; /* its own */
};

static struct actor actors[ACTORS];
static uint64_t hops;      /* atomic: made so far */
static uint64_t hops_wanted;
static uint32_t collected; /* atomic: tokens that came to rest after the last hop */
static bool over;          /* atomic */

static void give_token(struct actor *to)
{
	(void)__atomic_add_fetch(&to->tokens, 1U, __ATOMIC_SEQ_CST);
	thread_wake(&to->thread);
}

static struct actor *choose(struct actor *self)
{
	self->random = self->random * 1664525U + 1013904223U;
	return &actors[(self->random >> 16U) % ACTORS];
}

/* Blocks in any case: only another wake-up brings it back. */
static bool act(struct thread *thread)
{
	struct actor *self = container_of(thread, struct actor, thread);

	for (uint32_t n = __atomic_exchange_n(&self->tokens, 0U, __ATOMIC_SEQ_CST); n > 0U; n--) {
		if (__atomic_add_fetch(&hops, 1UL, __ATOMIC_RELAXED) <= hops_wanted) {
			give_token(choose(self));
		} else {
			(void)__atomic_add_fetch(&collected, 1U, __ATOMIC_SEQ_CST);
		}
	}
	return false;
}

static void *pcpu(void *arg)
{
	fake_cpu_id = (uint16_t)(uintptr_t)arg;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		(void)sched_once();
	}
	return NULL;
}

/* Wakes without a reason, as late timers do. */
static void *disturber(void *arg)
{
	uint32_t n = 0U;

	fake_cpu_id = (uint16_t)(uintptr_t)arg;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		const struct timespec moment = {.tv_nsec = 50000};

		thread_wake(&actors[n++ % ACTORS].thread);
		(void)nanosleep(&moment, NULL);
	}
	return NULL;
}

static bool wait_for_all(uint32_t tokens)
{
	for (uint32_t ms = 0U; ms < PATIENCE_S * 1000U; ms++) {
		const struct timespec moment = {.tv_nsec = 1000000};

		if (__atomic_load_n(&collected, __ATOMIC_ACQUIRE) == tokens) {
			return true;
		}
		(void)nanosleep(&moment, NULL);
	}
	return false;
}

static void round_of(uint32_t tokens, bool disturbed)
{
	pthread_t host[CPUS + 1U];
	const uint32_t hosts = CPUS + (disturbed ? 1U : 0U);
	bool all;

	fake_reset();
	fake_threads = true;
	memset(actors, 0, sizeof(actors));
	hops = 0UL;
	collected = 0U;
	over = false;
	for (uint32_t i = 0U; i < ACTORS; i++) {
		actors[i].random = i + tokens;
		thread_init(&actors[i].thread, (uint16_t)(i % CPUS), act, NULL);
	}
	for (uint32_t i = 0U; i < hosts; i++) {
		pthread_create(&host[i], NULL, (i < CPUS) ? pcpu : disturber, (void *)(uintptr_t)i);
	}
	fake_cpu_id = CPUS + 1U;
	for (uint32_t i = 0U; i < tokens; i++) {
		give_token(&actors[i % ACTORS]);
	}
	all = wait_for_all(tokens);
	EXPECT(all);
	if (!all) {
		printf("# %u of %u tokens after %lu hops of %lu\n", collected, tokens, hops, hops_wanted);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	for (uint16_t i = 0U; i < CPUS; i++) {
		arch_kick_cpu(i);
	}
	for (uint32_t i = 0U; i < hosts; i++) {
		pthread_join(host[i], NULL);
	}
	fake_threads = false;
	fake_cpu_id = 0U;
}

TEST(wake_no_token_stands_still)
{
	static const uint32_t tokens[] = {1U, 2U, 5U, 40U};
	const char *wanted = getenv("WAKE_HOPS");

	hops_wanted = (wanted != NULL) ? strtoull(wanted, NULL, 10) : HOPS;
	for (uint32_t i = 0U; i < ARRAY_SIZE(tokens); i++) {
		round_of(tokens[i], false);
		round_of(tokens[i], true);
	}
}
