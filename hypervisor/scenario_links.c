/* SPDX-License-Identifier: BSD-3-Clause */
/* What a scenario blob says of connections between VMs: COM ports wired together, shared memory and events. */
#include <hv/scenario.h>

#include <lib/errno.h>
#include <lib/string.h>

#include "scenario_priv.h"

/* ---- connections between COM ports ---- */

static int32_t check_vuart_end(const struct scenario_reader *rd, uint32_t index, uint32_t vm_id, uint32_t com)
{
	const struct scenario *out = rd->out;
	const struct scenario_vm *vm;

	if (vm_id >= out->vm_count || out->vm[vm_id].dynamic)
		return refuse(rd, "vuart_connection %u: VM %u doesn't exist or has no name", index, vm_id);
	vm = &out->vm[vm_id];
	if (com != SCN_CONSOLE_COM1 && com != SCN_CONSOLE_COM2)
		return refuse(rd, "vuart_connection %u: COM%u of '%s'; only COM1 and COM2 exist", index, com, vm->name);
	if (vm->console_vuart == com)
		return refuse(
			rd, "vuart_connection %u: COM%u of '%s' is its console_vuart already", index, com, vm->name);
	for (uint32_t i = 0U; i < vm->port_count; i++) {
		if (scenario_ports_hit_com(com, vm->port[i].first, vm->port[i].last))
			return refuse(rd, "vuart_connection %u: COM%u of '%s' is a passed-through port", index, com,
				vm->name);
	}
	for (uint32_t i = 0U; i < index; i++) {
		for (uint32_t k = 0U; k < 2U; k++) {
			if (out->vuart[i].vm[k] == vm_id && out->vuart[i].com[k] == com)
				return refuse(rd,
					"vuart_connection %u: COM%u of '%s' is connected to "
					"something else already",
					index, com, vm->name);
		}
	}
	return 0;
}

static int32_t load_vuart(struct scenario_reader *rd, uint32_t i)
{
	struct scenario_vuart *out = &rd->out->vuart[i];
	struct scn_vuart_record rec;

	memcpy(&rec, rd->vuarts + i * sizeof(rec), sizeof(rec));
	if (rec.reserved != 0U || scenario_get_string(rd, &rec.name, TEXT_NAME, out->name, SCN_MAX_NAME) != 0 ||
		out->name[0] == '\0')
		return refuse(rd, "vuart_connection %u: bad name or reserved field; compile it again", i);
	for (uint32_t k = 0U; k < i; k++) {
		if (strcmp(rd->out->vuart[k].name, out->name) == 0)
			return refuse(rd, "vuart_connection %u: %u has the same name '%s'", i, k, out->name);
	}
	if (rec.vm[0] == rec.vm[1] && rec.com[0] == rec.com[1])
		return refuse(rd, "vuart_connection %u: both ends are the same port", i);
	for (uint32_t k = 0U; k < 2U; k++) {
		if (check_vuart_end(rd, i, rec.vm[k], rec.com[k]) != 0)
			return -EINVAL;
		out->vm[k] = rec.vm[k];
		out->com[k] = rec.com[k];
	}
	return 0;
}

int32_t scenario_load_vuarts(struct scenario_reader *rd)
{
	for (uint32_t i = 0U; i < rd->hdr.vuart_count; i++) {
		if (load_vuart(rd, i) != 0)
			return -EINVAL;
	}
	rd->out->vuart_count = rd->hdr.vuart_count;
	return 0;
}

/* ---- shared memory and events between VMs ---- */

static int32_t check_connection_end(const struct scenario_reader *rd, uint32_t index, uint32_t vm_id)
{
	const struct scenario *out = rd->out;

	if (vm_id != SCN_CONNECTION_HV && (vm_id >= out->vm_count || out->vm[vm_id].dynamic))
		return refuse(rd, "connection %u: VM %u doesn't exist or has no name", index, vm_id);
	return 0;
}

static int32_t check_connection(
	const struct scenario_reader *rd, uint32_t index, const struct scn_connection_record *rec)
{
	if (rec->type != SCN_CONNECTION_CROSSVM && rec->type != SCN_CONNECTION_IVSHMEM)
		return refuse(rd, "connection %u: type %u is unknown", index, rec->type);
	if (rec->emits > 3U)
		return refuse(rd, "connection %u: ends 0x%x emit; there are two", index, rec->emits);
	if (rec->size_kb < SCN_CONNECTION_MIN_KB || rec->size_kb > SCN_CONNECTION_MAX_KB ||
		(rec->size_kb & (rec->size_kb - 1U)) != 0U)
		return refuse(rd, "connection %u: %u KiB; it must be a power of two from %u to %u", index, rec->size_kb,
			SCN_CONNECTION_MIN_KB, SCN_CONNECTION_MAX_KB);
	if (rec->vm[0] == SCN_CONNECTION_HV && rec->vm[1] == SCN_CONNECTION_HV)
		return refuse(rd, "connection %u: both ends are the hypervisor", index);
	return (check_connection_end(rd, index, rec->vm[0]) != 0) ? -EINVAL
								  : check_connection_end(rd, index, rec->vm[1]);
}

static int32_t load_connection(struct scenario_reader *rd, uint32_t i)
{
	struct scenario_connection *out = &rd->out->connection[i];
	struct scn_connection_record rec;

	memcpy(&rec, rd->connections + i * sizeof(rec), sizeof(rec));
	if (scenario_get_string(rd, &rec.name, TEXT_NAME, out->name, SCN_MAX_NAME) != 0 || out->name[0] == '\0')
		return refuse(rd, "connection %u: bad name; compile it again", i);
	for (uint32_t k = 0U; k < i; k++) {
		if (strcmp(rd->out->connection[k].name, out->name) == 0)
			return refuse(rd, "connection %u: %u has the same name '%s'", i, k, out->name);
	}
	if (check_connection(rd, i, &rec) != 0)
		return -EINVAL;
	for (uint32_t k = 0U; k < 2U; k++) {
		out->vm[k] = rec.vm[k];
		out->emits[k] = ((rec.emits >> k) & 1U) != 0U;
	}
	out->type = rec.type;
	out->size = rec.size_kb * 1024U;
	return 0;
}

int32_t scenario_load_connections(struct scenario_reader *rd)
{
	for (uint32_t i = 0U; i < rd->hdr.connection_count; i++) {
		if (load_connection(rd, i) != 0)
			return -EINVAL;
	}
	rd->out->connection_count = rd->hdr.connection_count;
	return 0;
}
