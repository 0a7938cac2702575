/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that read a scenario blob share. */
#ifndef SCENARIO_PRIV_H
#define SCENARIO_PRIV_H

#include <hv/scenario.h>

/* One load in progress: everything the checks need, so that they take one argument. */
struct scenario_reader {
	const uint8_t *records; /* VM records */
	const uint8_t *vuarts;
	const uint8_t *connections;
	const uint8_t *strings;
	struct scn_header hdr;
	struct scenario *out;
	struct scenario_error *err;
	uint32_t service_count;
	uint64_t own_mask;   /* pCPUs owned by VMs so far */
	uint64_t named_mask; /* pCPUs named by VMs so far */
	uint64_t alone_mask; /* with SCHED_NOOP: those that one vCPU has for good */
};

/** Writes why the blob is refused. */
void scenario_explain(const struct scenario_reader *rd, const char *fmt, ...) __printf(2, 3);

/* What refuses a blob is seen to be an error where it stands, by readers and by analyzers. */
#define refuse(rd, ...) (scenario_explain(rd, __VA_ARGS__), -EINVAL)

enum text_kind { TEXT_NAME, TEXT_TAG, TEXT_LINE };

/** Copies a string of the blob, at most `max` characters of that kind. @return 0, or -EINVAL */
int32_t scenario_get_string(
	const struct scenario_reader *rd, const struct scn_string *str, enum text_kind kind, char *dst, uint32_t max);

/** @return true if [first, last] touches COM port `com` (SCN_CONSOLE_COM1, ...) */
bool scenario_ports_hit_com(uint32_t com, uint32_t first, uint32_t last);

/** COM ports wired together; after the VMs. @return 0, or -EINVAL */
int32_t scenario_load_vuarts(struct scenario_reader *rd);

/** Shared memory and events between VMs; after the VMs. @return 0, or -EINVAL */
int32_t scenario_load_connections(struct scenario_reader *rd);

#endif
