/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lives of VMs, ended and begun again at random moments, many times: nothing is lost, and each call answers what
 * the VM's state demands. The guest is tests/guests/churn.c, as a User VM and as a pre-launched VM in our control.
 */
#include "svm_tests.h"

#include <lib/errno.h>

#define CYCLES      60U
#define MOMENT_US   3000UL
#define QUIET_LOOKS 400U

enum act { START, PAUSE, RESET, DESTROY, ACTS };
enum state { OFF, RUNNING, PAUSED, STATES };

static const char *const act_names[ACTS] = {"START_VM", "PAUSE_VM", "RESET_VM", "DESTROY_VM"};
static const char *const state_names[STATES] = {"off", "running", "paused"};
static const uint64_t act_ids[ACTS] = {HC_START_VM, HC_PAUSE_VM, HC_RESET_VM, HC_DESTROY_VM};

/* What a pre-launched VM answers, and what it is then. */
static const struct {
	int answer;
	enum state then;
} model[STATES][ACTS] = {
	[OFF] =
		{
			[START] = {0, RUNNING},
			[PAUSE] = {-ENOENT, OFF},
			[RESET] = {-ENOENT, OFF},
			[DESTROY] = {-ENOENT, OFF},
		},
	[RUNNING] =
		{
			[START] = {-EBUSY, RUNNING},
			[PAUSE] = {0, PAUSED},
			[RESET] = {0, RUNNING},
			[DESTROY] = {0, OFF},
		},
	[PAUSED] =
		{
			[START] = {0, RUNNING},
			[PAUSE] = {0, PAUSED},
			[RESET] = {0, RUNNING},
			[DESTROY] = {0, OFF},
		},
};

static uint64_t seed;

/* xorshift64*: the same moments in each run. */
static uint64_t random_below(uint64_t limit)
{
	seed ^= seed >> 12U;
	seed ^= seed << 25U;
	seed ^= seed >> 27U;
	return ((seed * 0x2545F4914F6CDD1DUL) >> 32U) % limit;
}

/* The User VM's requests are served meanwhile, but for some moments. */
static void let_some_time_pass(struct uvm *u)
{
	uint64_t end = rdtsc() + random_below(MOMENT_US) * uvm_tsc_khz() / 1000UL;
	bool serve = random_below(4UL) != 0UL;

	while (rdtsc() < end) {
		if (serve && u->created) {
			(void)uvm_serve(u);
		}
		irq_window();
	}
}

/* Time slices come and go, as long as the console has lines to write: the fewest timers of 100 ms. */
static bool quiet_stats(struct aril_hv_stats *stats)
{
	struct aril_hv_stats now;

	if (!uvm_stats(stats)) {
		return false;
	}
	for (uint32_t i = 0; i < QUIET_LOOKS; i++) {
		delay_ticks(uvm_tsc_khz() / 4UL);
		irq_window();
		if (uvm_stats(&now) && now.timers < stats->timers) {
			stats->timers = now.timers;
		}
	}
	return true;
}

static void same(const struct aril_hv_stats *before, const struct aril_hv_stats *now, const char *text)
{
	bool equal = now->pages_free == before->pages_free && now->vms == before->vms && now->vcpus == before->vcpus &&
		now->threads == before->threads && now->timers == before->timers;

	report(equal, "%s: pages, VMs, vCPUs, threads and timers are as many as before", text);
	if (!equal) {
		report_info("pages free %lu -> %lu, VMs %lu -> %lu, vCPUs %lu -> %lu", before->pages_free,
			now->pages_free, before->vms, now->vms, before->vcpus, now->vcpus);
		report_info("threads %lu -> %lu, timers %lu -> %lu", before->threads, now->threads, before->timers,
			now->timers);
	}
}

/* ---- The pre-launched VM ---- */

static bool act_on_pre(uint64_t id, enum state *state, enum act act)
{
	int64_t ret = hypercall(act_ids[act], id, 0UL);

	if (ret != model[*state][act].answer) {
		report(false, "%s of a pre-launched VM that is %s answers %d (it said %ld)", act_names[act],
			state_names[*state], model[*state][act].answer, ret);
		return false;
	}
	*state = model[*state][act].then;
	return true;
}

static bool switch_pre_off(uint64_t id, enum state *state)
{
	return *state == OFF || act_on_pre(id, state, DESTROY);
}

static void cycle_pre(struct uvm *u, uint64_t id, uint32_t cycles)
{
	struct aril_hv_stats before, now;
	enum state state = RUNNING; /* since boot */
	uint32_t done = 0;

	if (!switch_pre_off(id, &state) || !quiet_stats(&before)) {
		return;
	}
	while (done < cycles && act_on_pre(id, &state, (enum act)random_below(ACTS))) {
		let_some_time_pass(u);
		done++;
	}
	report(done == cycles, "pre-launched VM: %u random acts, each with the answer that the state demands", cycles);
	if (switch_pre_off(id, &state) && quiet_stats(&now)) {
		same(&before, &now, "pre-launched VM");
	}
}

/* ---- The User VM ---- */

static bool pause_and_go_on(struct uvm *u)
{
	if (uvm_pause(u) != 0) {
		return false;
	}
	let_some_time_pass(u);
	return uvm_start(u) == 0;
}

static bool reset_and_go_on(struct uvm *u)
{
	return uvm_pause(u) == 0 && uvm_reset(u) == 0 && uvm_load(u) == 0 && uvm_start(u) == 0;
}

static bool one_life(struct uvm *u)
{
	bool good = uvm_launch(u) == 0;

	for (uint64_t acts = random_below(5UL); good && acts > 0UL; acts--) {
		let_some_time_pass(u);
		good = (random_below(2UL) == 0UL) ? pause_and_go_on(u) : reset_and_go_on(u);
	}
	let_some_time_pass(u);
	return uvm_destroy(u) == 0 && good;
}

static void cycle_user(struct uvm *u, uint32_t cycles)
{
	struct aril_hv_stats before, now;
	uint32_t done = 0;

	/* Once for what is allocated at the first time. */
	if (!one_life(u) || !quiet_stats(&before)) {
		report(false, "User VM: a first life");
		return;
	}
	while (done < cycles && one_life(u)) {
		done++;
	}
	report(done == cycles, "User VM: %u lives of pauses and resets, ended at random moments", cycles);
	if (quiet_stats(&now)) {
		same(&before, &now, "User VM");
	}
}

void svm_test_cycles(struct uvm *u)
{
	uint32_t cycles = CYCLES;
	char word[24];

	seed = 1UL;
	if (boot_option("seed", word, sizeof(word))) {
		seed = parse_number(word) | 1UL;
	}
	if (boot_option("rounds", word, sizeof(word))) {
		cycles = (uint32_t)parse_number(word);
	}
	u->quiet = true;
	if (boot_option("pre", word, sizeof(word))) {
		cycle_pre(u, parse_number(word), cycles);
	}
	cycle_user(u, cycles);
	u->quiet = false;
}
