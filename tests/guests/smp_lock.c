/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two CPUs and what they share: locked instructions, spin locks, and a lock that is handed to and fro, which takes long
 * where both are virtual and share a CPU. Word handover=TICKS: a hand-over takes less, on average.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>

const char subject_name[] = "smp_lock";

#define ROUNDS		3000U
#define HANDOVERS	300U

static struct spinlock lock;
static volatile uint64_t plain;		/* under the lock */
static uint64_t added, swapped;
static uint32_t ticket_next, ticket_now;
static volatile bool in_section, met;
static volatile uint32_t turn;
static struct { uint64_t low, high; } __attribute__((aligned(16))) pair;

static void spin_rounds(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		spin_lock(&lock);
		plain = plain + 1;
		spin_unlock(&lock);
	}
}

static void xadd_rounds(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t one = 1;

		__asm__ volatile("lock xaddq %0, %1" : "+r"(one), "+m"(added) : : "memory", "cc");
	}
}

static void cmpxchg_rounds(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t old = __atomic_load_n(&swapped, __ATOMIC_RELAXED);
		bool done;

		do {
			__asm__ volatile("lock cmpxchgq %3, %1" : "=@ccz"(done), "+m"(swapped), "+a"(old)
					 : "r"(old + 1) : "memory");
		} while (!done);
	}
}

/* Both halves change together, or not at all. */
static void cmpxchg16_rounds(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t low = pair.low, high = pair.high;
		bool done;

		do {
			__asm__ volatile("lock cmpxchg16b %1" : "=@ccz"(done), "+m"(pair), "+a"(low), "+d"(high)
					 : "b"(low + 1), "c"(high + 2) : "memory");
		} while (!done);
	}
}

static void ticket_rounds(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < ROUNDS / 10; i++) {
		const uint32_t mine = __atomic_fetch_add(&ticket_next, 1, __ATOMIC_RELAXED);

		while (__atomic_load_n(&ticket_now, __ATOMIC_ACQUIRE) != mine)
			cpu_pause();
		if (in_section)
			met = true;
		in_section = true;
		plain = plain + 1;
		in_section = false;
		__atomic_store_n(&ticket_now, mine + 1, __ATOMIC_RELEASE);
	}
}

static void hand_over(void *arg)
{
	const uint32_t me = arg != NULL;

	for (uint32_t i = 0; i < HANDOVERS / 2; i++) {
		while (turn != me)
			cpu_pause();
		turn = !me;
	}
}

/* On both CPUs at the same time. */
static bool both(void (*fn)(void *))
{
	static int other;

	on_cpu_async(1, fn, &other);
	fn(NULL);
	return on_cpu_wait(1);
}

static void test_handover(void)
{
	char word[16];
	const uint64_t start = rdtsc();
	uint64_t each, limit = 0;

	report(both(hand_over) && turn == 0, "a lock is handed to and fro");
	each = (rdtsc() - start) / HANDOVERS;
	report_info("a hand-over takes %lu ticks", each);
	if (boot_option("handover", word, sizeof(word))) {
		for (const char *c = word; *c >= '0' && *c <= '9'; c++)
			limit = limit * 10 + (uint64_t)(*c - '0');
		report(each < limit, "a hand-over takes less than %lu ticks", limit);
	}
}

void test_main(void)
{
	if (smp_expected() < 2) {
		report_skip("there is one CPU");
		return;
	}
	lapic_enable();
	if (smp_start() < 2) {
		report(false, "the second CPU starts");
		return;
	}
	report(both(spin_rounds) && plain == 2 * ROUNDS, "XCHG spin lock: no increment is lost");
	report(both(xadd_rounds) && added == 2 * ROUNDS, "LOCK XADD");
	report(both(cmpxchg_rounds) && swapped == 2 * ROUNDS, "LOCK CMPXCHG");
	if ((cpuid(1, 0).ecx & 0x2000U) != 0)
		report(both(cmpxchg16_rounds) && pair.low == 2 * ROUNDS && pair.high == 4 * ROUNDS,
		       "LOCK CMPXCHG16B: both halves");
	plain = 0;
	report(both(ticket_rounds) && plain == 2 * (ROUNDS / 10) && !met, "ticket lock: one at a time");
	test_handover();
}
