/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/scenario.c: three parts of the reader, one by one. check_layout(): any blob of any size; whether its
 * checksum is right is left open. load_header(): any header and string table. load_memory(): any record, after any VMs.
 * Bounds: a string table of up to STRINGS bytes and the limits of strings that tests/proof/cbmc.py makes small in a
 * copy of <public/scenario_blob.h>, CONFIG_MAX_VM_NUM VMs. Not here: a VM's other parts, connections.
 */
#include <hypervisor/scenario.c>

static struct scenario out;
static struct scenario_error err;
static struct scenario_reader rd;

int vsnprintf(char *buf, size_t size, const char *fmt, va_list list)
{
	(void)fmt;
	(void)list;
	PROVE(size != 0UL && __CPROVER_w_ok(buf, size));
	buf[0] = '\0';
	return 0;
}

/* What check_layout() leaves, and any VMs. */
static void any_state(void)
{
	__CPROVER_havoc_object(&out);
	__CPROVER_havoc_object(&rd);
	ASSUME(rd.hdr.str_size <= STRINGS);
	rd.out = &out;
	rd.err = &err;
	rd.strings = __CPROVER_allocate(rd.hdr.str_size, false);
}

static void layout(void)
{
	const size_t size = nondet_u32();
	uint8_t *blob;
	int32_t ret;

	ASSUME(size <= 2UL * SCN_BLOB_MAX_SIZE);
	blob = __CPROVER_allocate(size, false);
	rd.out = &out;
	rd.err = &err;
	ret = check_layout(&rd, blob, size);
	PROVE(ret == 0 || ret == -EINVAL);
	if (ret == 0) {
		PROVE(rd.hdr.vm_count != 0U && rd.hdr.vm_count <= CONFIG_MAX_VM_NUM);
		PROVE(rd.hdr.vuart_count <= SCN_MAX_VUARTS && rd.hdr.connection_count <= SCN_MAX_CONNECTIONS);
		PROVE(__CPROVER_r_ok(rd.records, rd.hdr.vm_count * sizeof(struct scn_vm_record)));
		PROVE(__CPROVER_r_ok(rd.vuarts, rd.hdr.vuart_count * sizeof(struct scn_vuart_record)));
		PROVE(__CPROVER_r_ok(rd.connections, rd.hdr.connection_count * sizeof(struct scn_connection_record)));
		PROVE(__CPROVER_r_ok(rd.strings, rd.hdr.str_size));
	}
}

static void header_or_memory(void)
{
	struct scn_vm_record rec; /* not written: any */
	int32_t ret;

	any_state();
	if (nondet_bool()) {
		ret = load_header(&rd);
		PROVE(ret != 0 || (out.max_pcpus != 0U && out.max_pcpus <= CONFIG_MAX_PCPU_NUM));
	} else {
		ret = load_memory(&rd, nondet_u32() % CONFIG_MAX_VM_NUM, &rec);
	}
	PROVE(ret == 0 || ret == -EINVAL);
}

int main(void)
{
	if (nondet_bool()) {
		layout();
	} else {
		header_or_memory();
	}
	return 0;
}
