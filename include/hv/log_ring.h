/* SPDX-License-Identifier: BSD-3-Clause */
/* The log's place in RAM, and reading it back. */
#ifndef HV_LOG_RING_H
#define HV_LOG_RING_H

#include <lib/util.h>

#define LOG_RING_MAGIC 0x474F4C204C495241UL /* "ARIL LOG" */

struct log_ring {
	uint64_t magic;
	uint64_t size;    /* bytes of text[] */
	uint64_t written; /* bytes ever written; the newest is at (written - 1) % size */
	uint64_t check;   /* magic ^ size */
	char text[];
};

/**
 * Goes on in another place, taking the lines so far along. Boot only.
 * @param place page aligned; stays the log's for good
 * @param bytes its size
 */
void log_move(void *place, uint64_t bytes);

/** @return true if `old`, `bytes` large, is the log of an earlier boot whose memory survived */
bool log_ring_is_valid(const struct log_ring *old, uint64_t bytes);

/** Logs the last lines of an earlier boot's log, marked as such. `old` is valid and will be overwritten. */
void log_show_previous(const struct log_ring *old);

/**
 * Reads the log's text.
 * @param pos in and out: bytes since the first line ever; moved on past what is no longer there
 * @return bytes copied to `buf`; 0 at the end
 */
size_t log_read(uint64_t *pos, char *buf, size_t size);

/** From now on no lock is taken: the last words of a panic. */
void log_enter_panic(void);

#endif
