/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What something costs: instructions of this CPU, the hypervisor's among them, its VMREADs and VMWRITEs, and VM exits.
 * Our Bochs counts them (scripts/bochs/counters.patch). Elsewhere TSC ticks are taken, which are instructions in any
 * Bochs with one CPU, and the other three are not told. scripts/bench makes a table of the lines.
 */
#ifndef GUESTS_LIB_COST_H
#define GUESTS_LIB_COST_H

#include <stdbool.h>
#include <stdint.h>

#define COST_ROUNDS	1001U

/* A point on the way, or the distance between two. */
struct cost {
	uint64_t instructions;
	uint64_t vmreads;
	uint64_t vmwrites;
	uint64_t exits;
};

/* Learns whether there are counters, and what an empty round costs. First of all. */
void cost_init(void);
/* True if the simulator counts; false: only TSC ticks, which mean nothing with several CPUs. */
bool cost_is_counted(void);

/* From here on this CPU's work counts as that of the row which is told next. */
void cost_begin(struct cost *at);
void cost_end(struct cost *at);
/* Round @i (below COST_ROUNDS) took from @begin to @end. */
void cost_sample(uint32_t i, const struct cost *begin, const struct cost *end);
/* Round @i took so many instructions; nothing else is known of it. */
void cost_sample_ticks(uint32_t i, uint64_t ticks);
/* "INFO: subject: cost @name: min .. median ..": of all rounds, each for @parts equal parts. @overhead: take off what
 * an empty round costs. */
void cost_tell(const char *name, uint32_t parts, bool overhead);

/* All of it for a function. */
void cost_measure(const char *name, void (*op)(void));
void cost_measure_parts(const char *name, void (*op)(void), uint32_t parts);

#endif /* GUESTS_LIB_COST_H */
