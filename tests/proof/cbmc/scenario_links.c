/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/scenario_links.c: load_vuart() and load_connection(): any record, as each of the format's connections,
 * after any others that passed. check_vuart_end() and check_connection_end(), which these two have by their contracts:
 * any end, between any VMs that passed. Bounds: CONFIG_MAX_VM_NUM VMs; an end looks at one. Strings and messages:
 * contracts, proved by scenario_text.c.
 */
#include <lib/types.h>

struct scenario_reader;
int32_t any_vuart_end(const struct scenario_reader *reader, uint32_t index, uint32_t vm_id, uint32_t com);
int32_t any_connection_end(const struct scenario_reader *reader, uint32_t index, uint32_t vm_id);

#include <hypervisor/scenario_links.c>

#include "lib/scenario.h"

bool scenario_ports_hit_com(uint32_t com, uint32_t first, uint32_t last)
{
	PROVE((com == SCN_CONSOLE_COM1 || com == SCN_CONSOLE_COM2) && first <= last && last <= UINT16_MAX);
	return nondet_bool();
}

static bool end_is_good(uint32_t vm_id)
{
	return vm_id < out.vm_count;
}

int32_t any_vuart_end(const struct scenario_reader *reader, uint32_t index, uint32_t vm_id, uint32_t com)
{
	const bool good = nondet_bool();

	PROVE(reader == &rd && index < SCN_MAX_VUARTS);
	ASSUME(!good || (end_is_good(vm_id) && (com == SCN_CONSOLE_COM1 || com == SCN_CONSOLE_COM2)));
	return good ? 0 : -EINVAL;
}

int32_t any_connection_end(const struct scenario_reader *reader, uint32_t index, uint32_t vm_id)
{
	const bool good = nondet_bool();

	PROVE(reader == &rd && index < SCN_MAX_CONNECTIONS);
	ASSUME(!good || vm_id == SCN_CONNECTION_HV || end_is_good(vm_id));
	return good ? 0 : -EINVAL;
}

static void one_vuart(uint32_t i)
{
	int32_t ret;

	for (uint32_t k = 0U; k < i; k++) {
		ASSUME(out.vuart[k].name[SCN_MAX_NAME] == '\0');
	}
	ret = load_vuart(&rd, i);
	PROVE(ret == 0 || ret == -EINVAL);
	PROVE(ret != 0 || vuart_is_good(i));
}

static void one_connection(uint32_t i)
{
	int32_t ret;

	for (uint32_t k = 0U; k < i; k++) {
		ASSUME(out.connection[k].name[SCN_MAX_NAME] == '\0');
	}
	ret = load_connection(&rd, i);
	PROVE(ret == 0 || ret == -EINVAL);
	PROVE(ret != 0 || connection_is_good(i));
}

static void one_end(uint32_t vm_id)
{
	const uint32_t com = nondet_u8();

	ASSUME(vm_id >= out.vm_count || (out.vm[vm_id].name[SCN_MAX_NAME] == '\0' && ports_are_good(&out.vm[vm_id])));
	if (check_vuart_end(&rd, nondet_u32() % SCN_MAX_VUARTS, vm_id, com) == 0) {
		PROVE(end_is_good(vm_id) && !out.vm[vm_id].dynamic &&
			(com == SCN_CONSOLE_COM1 || com == SCN_CONSOLE_COM2));
		PROVE(out.vm[vm_id].console_vuart != com);
	}
	if (check_connection_end(&rd, nondet_u32() % SCN_MAX_CONNECTIONS, vm_id) == 0) {
		PROVE(vm_id == SCN_CONNECTION_HV || (end_is_good(vm_id) && !out.vm[vm_id].dynamic));
	}
}

/* As VM 0, 1, ... and the first that is none; all others are none either. */
static void ends(uint32_t vm_id)
{
	for (uint32_t count = 1U; count <= CONFIG_MAX_VM_NUM; count++) {
		for (uint32_t i = 0U; i <= count; i++) {
			if (out.vm_count == count && vm_id == i) {
				out.vm_count = count; /* it is: now CBMC sees it */
				one_end(i);
			}
		}
		if (out.vm_count == count && vm_id == SCN_CONNECTION_HV) {
			out.vm_count = count;
			one_end(SCN_CONNECTION_HV);
		}
	}
}

int main(void)
{
	const uint32_t which = nondet_u32();
	const uint32_t vm_id = nondet_u8();
	const uint8_t part = nondet_u8();
	struct scenario any; /* not written */

	out = any;
	rd.out = &out;
	rd.err = &err;
	rd.hdr.vuart_count = (uint16_t)(nondet_u16() % (SCN_MAX_VUARTS + 1U));
	rd.hdr.connection_count = (uint8_t)(nondet_u8() % (SCN_MAX_CONNECTIONS + 1U));
	rd.hdr.str_size = nondet_u32() % (SCN_BLOB_MAX_SIZE + 1U);
	rd.vuarts = __CPROVER_allocate(rd.hdr.vuart_count * sizeof(struct scn_vuart_record), false);
	rd.connections = __CPROVER_allocate(rd.hdr.connection_count * sizeof(struct scn_connection_record), false);
	rd.strings = __CPROVER_allocate(rd.hdr.str_size, false);
	ASSUME(out.vm_count != 0U && out.vm_count <= CONFIG_MAX_VM_NUM);
	/* Each by its own number: with a number that is left open, each access would be to any part of struct scenario.
	 */
	for (uint32_t i = 0U; i < SCN_MAX_VUARTS; i++) {
		if (part == 0U && which == i && i < rd.hdr.vuart_count) {
			out.vuart[i].name[SCN_MAX_NAME] = '\0'; /* as nobody has written to it */
			one_vuart(i);
		}
	}
	for (uint32_t i = 0U; i < SCN_MAX_CONNECTIONS; i++) {
		if (part == 1U && which == i && i < rd.hdr.connection_count) {
			out.connection[i].name[SCN_MAX_NAME] = '\0';
			one_connection(i);
		}
	}
	if (part == 2U) {
		ends(vm_id);
	}
	return 0;
}
