/* SPDX-License-Identifier: BSD-3-Clause */
#include <guests/lib/cost.h>
#include <guests/lib/guest.h>

#define MAGIC	0x6c697261U	/* counters.patch */

static struct cost samples[COST_ROUNDS];
static struct cost empty;	/* median of rounds in which nothing is done */
static bool counted;
static uint32_t row;		/* number of the row to come, the profile's name for it */

/* @name 0: what comes counts for no row. */
static inline bool look(struct cost *at, uint32_t name)
{
	uint64_t a = MAGIC, c = name, d = 0, si = 0;

	__asm__ volatile("xchg %%bx, %%bx" : "+a"(a), "+c"(c), "+d"(d), "+S"(si) : : "memory");
	at->instructions = a;
	at->vmreads = c;
	at->vmwrites = d;
	at->exits = si;
	return a != MAGIC;
}

void cost_begin(struct cost *at)
{
	if (!look(at, row))
		at->instructions = rdtsc();
}

void cost_end(struct cost *at)
{
	const uint64_t now = rdtsc();

	if (!look(at, 0))
		at->instructions = now;
}

void cost_sample(uint32_t i, const struct cost *begin, const struct cost *end)
{
	samples[i] = (struct cost){
		.instructions = end->instructions - begin->instructions,
		.vmreads = end->vmreads - begin->vmreads,
		.vmwrites = end->vmwrites - begin->vmwrites,
		.exits = end->exits - begin->exits,
	};
}

void cost_sample_ticks(uint32_t i, uint64_t ticks)
{
	samples[i] = (struct cost){.instructions = ticks};
}

/* Sorts the @which-th count of all samples. */
static void sort(uint32_t which)
{
	for (uint32_t gap = COST_ROUNDS / 2; gap > 0; gap /= 2)
		for (uint32_t i = gap; i < COST_ROUNDS; i++) {
			const uint64_t x = ((uint64_t *)&samples[i])[which];
			uint32_t j = i;

			for (; j >= gap && ((uint64_t *)&samples[j - gap])[which] > x; j -= gap)
				((uint64_t *)&samples[j])[which] = ((uint64_t *)&samples[j - gap])[which];
			((uint64_t *)&samples[j])[which] = x;
		}
}

static void sort_all(void)
{
	for (uint32_t which = 0; which < sizeof(struct cost) / sizeof(uint64_t); which++)
		sort(which);
}

void cost_tell(const char *name, uint32_t parts, bool overhead)
{
	const uint64_t base = overhead ? empty.instructions : 0;
	const struct cost *median = &samples[COST_ROUNDS / 2];

	sort_all();
	if (counted && median->exits != 0)
		report_info("cost %s: min %lu median %lu reads %lu writes %lu exits %lu", name,
			    (samples[0].instructions - base) / parts, (median->instructions - base) / parts,
			    median->vmreads / parts, median->vmwrites / parts, median->exits);
	else
		report_info("cost %s: min %lu median %lu", name, (samples[0].instructions - base) / parts,
			    (median->instructions - base) / parts);
	row++;
}

static void measure(void (*op)(void))
{
	for (uint32_t i = 0; i < COST_ROUNDS; i++) {
		struct cost begin, end;

		cost_begin(&begin);
		op();
		cost_end(&end);
		cost_sample(i, &begin, &end);
	}
}

static void op_nothing(void)
{
	__asm__ volatile("" ::: "memory");
}

void cost_init(void)
{
	struct cost at;

	counted = look(&at, 0);
	measure(op_nothing);
	sort_all();
	empty = samples[COST_ROUNDS / 2];
	row = 1;
	report_info("an empty round: %lu%s", empty.instructions, counted ? ", counted" : "");
}

bool cost_is_counted(void)
{
	return counted;
}

void cost_measure_parts(const char *name, void (*op)(void), uint32_t parts)
{
	measure(op);
	cost_tell(name, parts, true);
}

void cost_measure(const char *name, void (*op)(void))
{
	cost_measure_parts(name, op, 1);
}
