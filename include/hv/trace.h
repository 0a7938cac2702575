/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trace: a ring of fixed-size events for each pCPU, written by that pCPU alone, so without locks. Off it costs a
 * test of one word at each point; nothing is allocated before it is first switched on. doc/tracing.md.
 */
#ifndef HV_TRACE_H
#define HV_TRACE_H

#include <lib/util.h>

/* What can happen. The class, which can be switched by itself, is id >> 4. scripts/lib/trace_events.py has
 * the same numbers. */
#define TRACE_EXIT   0x00U /* arg: basic exit reason; a: guest RIP; b: exit qualification */
#define TRACE_ENTRY  0x01U /* arg: VM-entry interruption information, 0: nothing is injected; a: guest RIP */
#define TRACE_IRQ    0x10U /* arg: vector that becomes pending in the local APIC of `who` */
#define TRACE_UPCALL 0x11U /* arg: vector; `who` in the Service VM is told of a request */
#define TRACE_IO     0x20U /* a request slot changed its state; arg: TRACE_IO_ARG(); a: address; b: value */
#define TRACE_RUN    0x30U /* thread `who` is given the pCPU */
#define TRACE_STOP   0x31U /* thread `who` leaves it; arg: 1 if it stays runnable, 0 if it blocks */
#define TRACE_WAKE   0x32U /* thread `who` was blocked and is runnable now; arg: its pCPU */
#define TRACE_IDLE   0x33U /* arg: 1 the pCPU halts, 0 it goes on */
#define TRACE_TIMER  0x40U /* a software timer fires; a: its deadline, b: its function */

#define TRACE_CLASSES 5U
#define TRACE_ALL     0x1FU /* a bit for each class */

/* arg of TRACE_IO: REQ_STATE_*, REQ_PORTIO or REQ_MMIO..., bytes, write. */
#define TRACE_IO_ARG(state, type, size, write) ((state) | ((type) << 4U) | ((size) << 8U) | ((write) << 16U))

/* Whose event it is: a vCPU, or the hypervisor itself. */
#define TRACE_WHO(vm, vcpu) ((uint16_t)(((vm) << 8U) | (vcpu)))
#define TRACE_NOBODY        ((uint16_t)0xFFFFU)

struct trace_event {
	uint64_t tsc;
	uint16_t id;  /* TRACE_* */
	uint16_t who; /* TRACE_WHO() or TRACE_NOBODY */
	uint32_t arg;
	uint64_t a, b;
};

/* Classes that are recorded: bits. Written by trace_start() and trace_stop() only. */
extern uint32_t trace_classes;

/** @return true if events of kind `id` (a constant) are recorded now; for events whose arguments cost something */
static inline bool trace_wants(uint32_t id)
{
	/* Not an atomic load, of which gcc makes an instruction of its own; nothing is ordered by it. */
	return unlikely((trace_classes & (1U << (id >> 4U))) != 0U);
}

/** Adds an event to this pCPU's ring. Interrupts off; not from an NMI handler. */
void trace_record(uint32_t id, uint16_t who, uint32_t arg, uint64_t a, uint64_t b);

/** trace_record() if such events are recorded now. */
static inline void trace_event(uint32_t id, uint16_t who, uint32_t arg, uint64_t a, uint64_t b)
{
	if (trace_wants(id)) {
		trace_record(id, who, arg, a, b);
	}
}

/**
 * Records `classes` (bits) from now on, behind what the rings hold. The first call takes the rings from the pool, and
 * they are kept. Not on two pCPUs at a time.
 * @return 0, or -ENOMEM: nothing has changed
 */
int32_t __must_check trace_start(uint32_t classes);

/** Records nothing from now on. What the rings hold stays. */
void trace_stop(void);

/** Forgets all events so far. */
void trace_clear(void);

/**
 * Counts of pCPU `cpu` since the last trace_clear().
 * @param recorded out: events
 * @param lost     out: how many of them were overwritten by later ones
 */
void trace_counts(uint16_t cpu, uint64_t *recorded, uint64_t *lost);

/* Where a reader stands: trace_dump_begin(). */
struct trace_dump {
	uint32_t part, reason;
	uint16_t cpu, vm;
	uint64_t most;      /* newest events of each pCPU that are wanted */
	uint64_t next, end; /* of pCPU `cpu`: number of the next event, and of the one behind the last */
	uint64_t lines;     /* given so far */
};

/** Stops recording and begins a dump of the newest `most` events of each pCPU (0: all). */
void trace_dump_begin(struct trace_dump *dump, uint64_t most);

#define TRACE_LINE 128U /* bytes that hold any line of the dump */

/**
 * The next line of the dump, each with its own checksum: other output may come between them.
 * @param line out, TRACE_LINE bytes, terminated, without newline
 * @return false after the last one
 */
bool trace_dump_line(struct trace_dump *dump, char *line);

/**
 * The words of the command line: `trace` records all from now on, and trace_dump_at_end() dumps all; `trace=N` the
 * newest N of each pCPU. All pCPUs are known, and the pool is there.
 */
void trace_boot(void);

/** The end of the machine is near: if trace_boot() was told to, writes the dump to the console. */
void trace_dump_at_end(void);

#endif
