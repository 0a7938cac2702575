/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/scenario.c: one VM's record. load_vm(): any record, as each VM, after any VMs that passed. Bounds:
 * CONFIG_MAX_VM_NUM VMs; the loops over them carry nothing from one VM to the next. All other limits are the format's.
 * Who has a port or a PCI function already: contracts, proved by scenario_owners.c; strings, zeros, messages: by
 * scenario_text.c.
 */
#include <lib/types.h>

struct scenario;
struct scenario_reader;
int32_t any_port_owner(const struct scenario_reader *reader, uint32_t id, uint32_t first, uint32_t last);
uint32_t any_pci_owner(const struct scenario *scn, uint32_t id, uint16_t bdf);

#include <hypervisor/scenario.c>

#include "lib/scenario.h"

int32_t any_port_owner(const struct scenario_reader *reader, uint32_t id, uint32_t first, uint32_t last)
{
	PROVE(reader == &rd && id < CONFIG_MAX_VM_NUM && first <= last && last <= UINT16_MAX);
	return nondet_bool() ? 0 : -EINVAL;
}

uint32_t any_pci_owner(const struct scenario *scn, uint32_t id, uint16_t bdf)
{
	const uint32_t owner = nondet_u32();

	(void)bdf;
	PROVE(scn == &out && id < CONFIG_MAX_VM_NUM);
	ASSUME(owner <= id);
	return owner;
}

void any_explain_vm(const struct scenario_reader *reader, uint32_t id, const char *fmt, ...)
{
	PROVE(reader == &rd && id < CONFIG_MAX_VM_NUM && fmt != NULL && out.vm[id].name[SCN_MAX_NAME] == '\0');
}

static void one_vm(uint32_t id)
{
	struct scn_vm_record rec; /* not written: any */
	const struct scenario_vm *vm = &out.vm[id];
	const bool last = nondet_bool();
	int32_t ret;

	ret = load_vm(&rd, id, &rec, last);
	PROVE(ret == 0 || ret == -EINVAL);
	if (ret == 0) {
		PROVE(vm_is_good(vm));
		PROVE(vms_are_good(id));
		PROVE(slots_are_good(rec.slots, vm->dynamic, last));
	}
}

int main(void)
{
	const uint32_t id = nondet_u32();
	struct scn_header any;

	rd = (struct scenario_reader){.hdr = any,
		.out = &out,
		.err = &err,
		.service_count = nondet_u32(),
		.own_mask = nondet_u64(),
		.named_mask = nondet_u64(),
		.alone_mask = nondet_u64()};
	ASSUME(rd.hdr.str_size <= SCN_BLOB_MAX_SIZE && rd.service_count <= 1U);
	rd.strings = __CPROVER_allocate(rd.hdr.str_size, false);
	out.scheduler = nondet_u8();
	out.max_pcpus = nondet_u32();
	out.console_port = nondet_u16();
	ASSUME(header_is_good());
	/* Each by its own number: with a number that is left open, each access would be to any part of struct scenario.
	 */
	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		if (id == i) {
			any_vms(i);
			ASSUME(i == 0U || !out.vm[i - 1U].dynamic);
			one_vm(i);
		}
	}
	return 0;
}
