/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two ends of a connection that run the same subject in two VMs: how they meet, and what they test together. The word
 * "first" on the command line tells the ends apart: that one stays to see the other one reset itself, and go.
 * "rounds=N": events to and fro.
 */
#ifndef GUESTS_LIB_ENDS_H
#define GUESTS_LIB_ENDS_H

#include <stdbool.h>
#include <stdint.h>

#define ENDS_PATIENCE	20000000000UL	/* ticks: the other VM may start much later, or share the CPU */

/* In the memory of the connection: what the two agree about. It survives their resets. */
struct ends_shared {
	uint32_t step[2];	/* how far each end has come */
	uint32_t burst;		/* events sent without waiting, so far */
	uint32_t lives;		/* of the second */
	uint32_t text[64];
};

struct ends {
	bool first;
	volatile struct ends_shared *shared;
	volatile uint32_t *taken;		/* events that have come */
	void (*send)(uint32_t number);		/* sends an event; the numbers of successive ones are successive */
};

extern struct ends ends;

/* The connection's memory is at @memory. Which end this is, the command line says. */
void ends_begin(uint64_t memory, volatile uint32_t *taken, void (*send)(uint32_t number));

/* Until the other end is as far as we are now. */
bool ends_meet(void);

/* Sleeps until @count events have come. */
bool ends_wait(uint32_t count);

/* Each end sees what the other has written. */
void ends_test_text(void);

/* Events to and fro, asleep in between. */
void ends_test_to_and_fro(void);

/* This is the second end, after its reset. */
bool ends_is_second_life(void);

/* What it does then. */
void ends_second_life(void);

/* The end: the second resets itself, comes back, and goes, while the first sends by @send, which may do more. */
void ends_test_reset(void (*send)(uint32_t number));

#endif /* GUESTS_LIB_ENDS_H */
