/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/scenario.c and scenario_links.c: that the parts come in the order in which they rely on each other. All of
 * scenario_load(), each part by what its own proof says it asks for and leaves; any counts.
 * Bounds: CONFIG_MAX_VM_NUM VMs, LINKS connections of each kind: each is like the one before.
 */
#include <lib/types.h>

struct scenario_reader;
struct scn_vm_record;
int32_t part_layout(struct scenario_reader *reader, const uint8_t *blob, size_t size);
int32_t part_header(struct scenario_reader *reader);
int32_t part_vm(struct scenario_reader *reader, uint32_t id, const struct scn_vm_record *rec, bool last);
int32_t part_vuart(struct scenario_reader *reader, uint32_t i);
int32_t part_connection(struct scenario_reader *reader, uint32_t i);

#include <hypervisor/scenario.c>
#undef refuse
#include <hypervisor/scenario_links.c>

#include "lib/scenario.h"

static struct scenario_reader *reading;
static uint8_t blob[1];
static size_t blob_size;
static uint32_t vms_read, vuarts_read, connections_read;
static bool has_header, was_last;
static uint16_t vm_count, vuart_count;
static uint8_t connection_count;

/* Of struct scenario only what the parts look at; it is larger than what CBMC's own does well. */
void *memset(void *dst, int value, size_t size)
{
	PROVE(dst == &out && value == 0 && size == sizeof(out));
	out = (struct scenario){0};
	return dst;
}

void *memcpy(void *dst, const void *src, size_t size)
{
	struct scn_vm_record any; /* not written */

	PROVE(__CPROVER_r_ok(src, size) && size == sizeof(any));
	*(struct scn_vm_record *)dst = any;
	return dst;
}

int32_t part_layout(struct scenario_reader *reader, const uint8_t *bytes, size_t size)
{
	PROVE(reader->out == &out && reader->err == &err && bytes == blob && size == blob_size);
	PROVE(reader->service_count == 0U && (reader->own_mask | reader->named_mask | reader->alone_mask) == 0UL);
	reading = reader;
	reader->hdr.vm_count = vm_count;
	reader->hdr.vuart_count = vuart_count;
	reader->hdr.connection_count = connection_count;
	reader->records = __CPROVER_allocate(reader->hdr.vm_count * sizeof(struct scn_vm_record), false);
	return nondet_bool() ? 0 : -EINVAL;
}

int32_t part_header(struct scenario_reader *reader)
{
	PROVE(reader == reading && out.name[SCN_MAX_NAME] == '\0');
	out.console_vm = nondet_u16();
	has_header = nondet_bool();
	return has_header ? 0 : -EINVAL;
}

int32_t part_vm(struct scenario_reader *reader, uint32_t id, const struct scn_vm_record *rec, bool last)
{
	const bool good = nondet_bool();

	PROVE(reader == reading && has_header && !was_last && __CPROVER_r_ok(rec, sizeof(*rec)));
	PROVE(id == vms_read && id < CONFIG_MAX_VM_NUM && last == (id + 1U == vm_count));
	PROVE(out.vm[id].name[SCN_MAX_NAME] == '\0' && out.vm[id].pcpu_mask == 0UL && !out.vm[id].refused);
	vms_read++;
	was_last = last;
	out.vm[id].load_order = nondet_u8();
	out.vm[id].dynamic = nondet_bool();
	/* load_identity(): only the last may be more than one, and then is dynamic. scenario_vm.c has it. */
	ASSUME(!good || slots_are_good(rec->slots, out.vm[id].dynamic, last));
	return good ? 0 : -EINVAL;
}

int32_t part_vuart(struct scenario_reader *reader, uint32_t i)
{
	PROVE(reader == reading && was_last && i == vuarts_read && i < vuart_count);
	PROVE(out.vm_count != 0U && out.vm_count <= CONFIG_MAX_VM_NUM && out.vuart[i].name[SCN_MAX_NAME] == '\0');
	vuarts_read++;
	return nondet_bool() ? 0 : -EINVAL;
}

int32_t part_connection(struct scenario_reader *reader, uint32_t i)
{
	PROVE(reader == reading && was_last && i == connections_read && i < connection_count);
	PROVE(out.vm_count != 0U && out.vm_count <= CONFIG_MAX_VM_NUM && out.connection[i].name[SCN_MAX_NAME] == '\0');
	PROVE(out.vuart_count == vuarts_read);
	connections_read++;
	return nondet_bool() ? 0 : -EINVAL;
}

/* As any_explain(), of scenario_load()'s own reader. */
void any_message(const struct scenario_reader *reader, const char *fmt, ...)
{
	PROVE(reader == reading && fmt != NULL);
}

static void load(void)
{
	int32_t ret;

	ret = scenario_load(blob, blob_size, &out, &err);
	PROVE(ret == 0 || ret == -EINVAL);
	if (ret != 0) {
		PROVE(out.vm_count == 0U && out.vuart_count == 0U && out.connection_count == 0U);
		return;
	}
	PROVE(vms_read == vm_count && vms_read <= out.vm_count && out.vm_count <= CONFIG_MAX_VM_NUM);
	PROVE(out.vuart_count == vuarts_read && vuarts_read == vuart_count);
	PROVE(out.connection_count == connections_read && connections_read == connection_count);
	PROVE(out.console_vm == SCN_CONSOLE_VM_NONE || out.console_vm < out.vm_count);
	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM && i < out.vm_count; i++) {
		/* Slots of one record are alike. */
		PROVE(i < vms_read || (out.vm[i].dynamic && out.vm[i].load_order == out.vm[i - 1U].load_order));
	}
}

int main(void)
{
	const uint16_t count = nondet_u16();

	blob_size = nondet_u64();
	vuart_count = nondet_u16() % (LINKS + 1U);
	connection_count = nondet_u8() % (LINKS + 1U);
	for (uint16_t i = 1U; i <= CONFIG_MAX_VM_NUM; i++) {
		if (count == i) {
			vm_count = i; /* a number that CBMC sees */
			load();
		}
	}
	return 0;
}
