/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The proofs of the scenario reader are a chain: each calls one part with any state that the parts before it can leave,
 * and proves what the parts behind it may take for granted. What that is stands here, once: a proof of a part says
 * PROVE(x_is_good(...)), one of a later part ASSUME(x_is_good(...)), and scenario_load.c shows that the parts are
 * called in this order with nothing else between. A called function that has a proof of its own is replaced by its
 * contract, any_*(): it proves what the function asks for and gives any result that the function may give.
 */
#ifndef PROOF_SCENARIO_H
#define PROOF_SCENARIO_H

#include <hv/scenario.h>
#include <lib/errno.h>

#include <hypervisor/scenario_priv.h>

static struct scenario out;
static struct scenario_error err;
static struct scenario_reader rd;

/* ---- what the parts leave ---- */

/* check_layout(). The parts of the blob are as long as the header says. */
static bool layout_is_good(void)
{
	return rd.hdr.vm_count != 0U && rd.hdr.vm_count <= CONFIG_MAX_VM_NUM && rd.hdr.vuart_count <= SCN_MAX_VUARTS &&
		rd.hdr.connection_count <= SCN_MAX_CONNECTIONS && rd.hdr.str_size <= SCN_BLOB_MAX_SIZE &&
		__CPROVER_r_ok(rd.records, rd.hdr.vm_count * sizeof(struct scn_vm_record)) &&
		__CPROVER_r_ok(rd.vuarts, rd.hdr.vuart_count * sizeof(struct scn_vuart_record)) &&
		__CPROVER_r_ok(rd.connections, rd.hdr.connection_count * sizeof(struct scn_connection_record)) &&
		__CPROVER_r_ok(rd.strings, rd.hdr.str_size);
}

/* load_header() */
static bool header_is_good(void)
{
	return out.name[SCN_MAX_NAME] == '\0' && out.max_pcpus != 0U && out.max_pcpus <= CONFIG_MAX_PCPU_NUM &&
		out.scheduler <= SCN_SCHED_NOOP && out.console_port <= 0xFFF8U;
}

static bool cpus_are_good(const struct scenario_vm *vm)
{
	bool good = vm->vcpu_count <= SCENARIO_MAX_VCPUS && vm->vcpu_wanted <= SCENARIO_MAX_VCPUS &&
		(vm->vcpu_count == 0U) == vm->cpu_auto && !(vm->cpu_auto && (vm->own_pcpu || vm->pcpu_mask != 0UL));

	for (uint32_t i = 0U; i < SCENARIO_MAX_VCPUS; i++) {
		good = good &&
			(i >= vm->vcpu_count ||
				(vm->vcpu_pcpu[i] < out.max_pcpus && (vm->pcpu_mask >> vm->vcpu_pcpu[i] & 1UL) != 0UL));
	}
	return good;
}

static bool memory_is_good(const struct scenario_vm *vm)
{
	return vm->mem_bytes <= (uint64_t)SCN_MEM_MAX_MB << 20U && vm->mem_bytes % SIZE_2M == 0UL &&
		(vm->load_order != SCN_PRE_LAUNCHED_VM || vm->mem_bytes != 0UL) &&
		(vm->mem_fixed ? vm->load_order == SCN_PRE_LAUNCHED_VM && vm->mem_hpa != 0UL &&
					vm->mem_hpa % SIZE_2M == 0UL && vm->mem_hpa <= (uint64_t)SCN_MEM_MAX_MB << 20U
			       : vm->mem_hpa == 0UL);
}

/* The strings end inside their arrays, which are zeros from the beginning. */
static bool strings_are_good(const struct scenario_vm *vm)
{
	bool good = vm->name[SCN_MAX_NAME] == '\0' && vm->kern_mod[SCN_MAX_TAG] == '\0' &&
		vm->ramdisk_mod[SCN_MAX_TAG] == '\0' && vm->bootargs[SCN_MAX_BOOTARGS] == '\0' &&
		vm->module_count <= SCN_MAX_MODULES;

	for (uint32_t i = 0U; i < SCN_MAX_MODULES; i++) {
		good = good && vm->module[i].tag[SCN_MAX_TAG] == '\0' &&
			vm->module[i].string[SCN_MAX_MOD_STRING] == '\0';
	}
	return good;
}

static bool ports_are_good(const struct scenario_vm *vm)
{
	bool good = vm->port_count <= SCN_MAX_PORTS;

	for (uint32_t i = 0U; i < SCN_MAX_PORTS; i++) {
		good = good &&
			(i >= vm->port_count ||
				(vm->port[i].first <= vm->port[i].last &&
					(i == 0U || vm->port[i].first > vm->port[i - 1U].last) &&
					vm->port_vcpu[i] <= SCN_MAX_VCPUS));
	}
	return good;
}

/* load_vm(), of the VM alone. */
static bool vm_is_good(const struct scenario_vm *vm)
{
	return vm->load_order >= SCN_PRE_LAUNCHED_VM && vm->load_order <= SCN_POST_LAUNCHED_VM &&
		vm->kern_type <= SCN_KERNEL_RAWIMAGE && vm->console_vuart <= SCN_CONSOLE_COM2 &&
		vm->dynamic == (vm->name[0] == '\0') && (!vm->dynamic || vm->load_order == SCN_POST_LAUNCHED_VM) &&
		!vm->refused && vm->pci_count <= SCN_MAX_PCI_DEVS && cpus_are_good(vm) && memory_is_good(vm) &&
		strings_are_good(vm) && ports_are_good(vm);
}

/* load_vm(), of VM `id` and all before it: what they are given is nobody else's, and the reader knows what is given. */
static bool vms_are_good(uint32_t id)
{
	const struct scenario_vm *vm = &out.vm[id];
	bool good = rd.service_count <= 1U;

	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM && i <= id; i++) {
		const struct scenario_vm *before = &out.vm[i];

		good = good && (before->load_order != SCN_SERVICE_VM || rd.service_count == 1U) &&
			(before->pcpu_mask & ~rd.named_mask) == 0UL &&
			(!before->own_pcpu || (before->pcpu_mask & ~rd.own_mask) == 0UL);
		if (i < id) {
			good = good && before->load_order <= vm->load_order && !before->dynamic &&
				(before->load_order != SCN_SERVICE_VM || vm->load_order != SCN_SERVICE_VM) &&
				(!(before->own_pcpu || vm->own_pcpu) || (before->pcpu_mask & vm->pcpu_mask) == 0UL) &&
				!(before->mem_fixed && vm->mem_fixed && before->mem_hpa < vm->mem_hpa + vm->mem_bytes &&
					vm->mem_hpa < before->mem_hpa + before->mem_bytes);
		}
	}
	return good;
}

/* load_vm(), of a record's slots: one, but for the last. */
static bool slots_are_good(uint32_t slots, bool dynamic, bool last)
{
	return slots != 0U && (dynamic ? last : slots == 1U);
}

/* The first `count` VMs are any that the reader lets pass. */
static void any_vms(uint32_t count)
{
	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM && i < count; i++) {
		struct scenario_vm any; /* not written */

		out.vm[i] = any;
		ASSUME(vm_is_good(&out.vm[i]));
	}
	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM && i < count; i++) {
		ASSUME(vms_are_good(i) && (i + 1U == count || !out.vm[i].dynamic));
	}
}

/* load_vuart() */
static bool vuart_is_good(uint32_t i)
{
	const struct scenario_vuart *link = &out.vuart[i];
	bool good = link->name[SCN_MAX_NAME] == '\0' && link->name[0] != '\0';

	for (uint32_t k = 0U; k < 2U; k++) {
		good = good && link->vm[k] < out.vm_count &&
			(link->com[k] == SCN_CONSOLE_COM1 || link->com[k] == SCN_CONSOLE_COM2);
	}
	return good && (link->vm[0] != link->vm[1] || link->com[0] != link->com[1]);
}

/* load_connection() */
static bool connection_is_good(uint32_t i)
{
	const struct scenario_connection *link = &out.connection[i];
	bool good = link->name[SCN_MAX_NAME] == '\0' && link->name[0] != '\0';

	for (uint32_t k = 0U; k < 2U; k++) {
		good = good && (link->vm[k] == SCN_CONNECTION_HV || link->vm[k] < out.vm_count);
	}
	return good && (link->vm[0] != SCN_CONNECTION_HV || link->vm[1] != SCN_CONNECTION_HV) &&
		(link->type == SCN_CONNECTION_CROSSVM || link->type == SCN_CONNECTION_IVSHMEM) &&
		link->size >= SCN_CONNECTION_MIN_KB * 1024U && link->size <= SCN_CONNECTION_MAX_KB * 1024U &&
		(link->size & (link->size - 1U)) == 0U;
}

/* ---- contracts ---- */

/* scenario_text.c */
bool any_zero(const void *data, size_t size)
{
	PROVE(__CPROVER_r_ok(data, size));
	return nondet_bool();
}

/* scenario_text.c. Of what is written, the parts under proof look at the first character, and at the end that stays. */
int32_t any_string(const struct scenario_reader *reader, const struct scn_string *str, enum text_kind kind, char *dst,
	uint32_t max)
{
	PROVE(reader == &rd && __CPROVER_r_ok(rd.strings, rd.hdr.str_size) && __CPROVER_r_ok(str, sizeof(*str)));
	PROVE(kind <= TEXT_LINE && max != 0U && __CPROVER_w_ok(dst, max + 1UL) && dst[max] == '\0');
	dst[0] = (char)nondet_u8();
	return nondet_bool() ? 0 : -EINVAL;
}

/* scenario_text.c */
int any_strcmp(const char *a, const char *b)
{
	PROVE(__CPROVER_r_ok(a, SCN_MAX_NAME + 1U) && a[SCN_MAX_NAME] == '\0');
	PROVE(__CPROVER_r_ok(b, SCN_MAX_NAME + 1U) && b[SCN_MAX_NAME] == '\0');
	return (int)nondet_u32();
}

/* scenario_text.c */
void any_explain(const struct scenario_reader *reader, const char *fmt, ...)
{
	PROVE(reader == &rd && fmt != NULL);
}

#endif
