/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/scenario.c: layout and header. check_layout(): any blob of any size; whether its checksum is right is left
 * open. load_header(): any header. Strings, zeros, checksum, messages: contracts, proved by scenario_text.c.
 */
#include <hypervisor/scenario.c>

#include "lib/scenario.h"

uint32_t any_crc32(const uint8_t *blob, size_t size)
{
	PROVE(size >= sizeof(struct scn_header) && size <= SCN_BLOB_MAX_SIZE && __CPROVER_r_ok(blob, size));
	return nondet_u32();
}

static void layout(void)
{
	const size_t size = nondet_u32();
	uint8_t *blob;
	int32_t ret;

	ASSUME(size <= 2UL * SCN_BLOB_MAX_SIZE);
	blob = __CPROVER_allocate(size, false);
	ret = check_layout(&rd, blob, size);
	PROVE(ret == 0 || ret == -EINVAL);
	PROVE(ret != 0 || layout_is_good());
}

static void header(void)
{
	struct scn_header any; /* not written */
	int32_t ret;

	rd.hdr = any;
	ASSUME(rd.hdr.str_size <= SCN_BLOB_MAX_SIZE);
	rd.strings = __CPROVER_allocate(rd.hdr.str_size, false);
	ret = load_header(&rd);
	PROVE(ret == 0 || ret == -EINVAL);
	PROVE(ret != 0 || header_is_good());
}

int main(void)
{
	rd.out = &out;
	rd.err = &err;
	if (nondet_bool()) {
		layout();
	} else {
		header();
	}
	return 0;
}
