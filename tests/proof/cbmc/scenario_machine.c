/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/scenario_machine.c: any VMs that the reader let pass, on any machine.
 * list_cpus(): by its contract, proved by scenario_text.c.
 * Bounds: CONFIG_MAX_VM_NUM VMs, RANGES ranges of RAM: loops over both add up, or carry a bit, and index nothing by it.
 */
#include <lib/types.h>

static uint32_t usable; /* how many CPUs there are */

uint32_t any_list(uint64_t mask, bool downwards, uint16_t *cpu);

#include <hypervisor/scenario_machine.c>

#include "lib/scenario.h"

int vsnprintf(char *buf, size_t size, const char *fmt, va_list list)
{
	(void)list;
	PROVE(fmt != NULL && size != 0UL && __CPROVER_w_ok(buf, size));
	buf[0] = '\0';
	return (int)nondet_u32();
}

uint32_t any_list(uint64_t mask, bool downwards, uint16_t *cpu)
{
	const uint32_t count = nondet_u32();

	(void)downwards;
	PROVE(usable >= MASK_CPUS || mask >> usable == 0UL);
	ASSUME(count <= MASK_CPUS);
	for (uint32_t i = 0U; i < MASK_CPUS; i++) {
		cpu[i] = nondet_u16();
		ASSUME(i >= count || cpu[i] < usable);
	}
	return count;
}

static void any_passed(void)
{
	out.max_pcpus = nondet_u32();
	out.scheduler = nondet_u8();
	out.vm_count = nondet_u32();
	ASSUME(out.max_pcpus != 0U && out.max_pcpus <= CONFIG_MAX_PCPU_NUM);
	ASSUME(out.vm_count != 0U && out.vm_count <= CONFIG_MAX_VM_NUM);
	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		struct scenario_vm any; /* not written */

		out.vm[i] = any;
		ASSUME(cpus_are_good(&out.vm[i]) && !out.vm[i].refused);
	}
}

int main(void)
{
	struct scenario_range ram[RANGES]; /* not written: any */
	const struct scenario_machine machine = {.pcpu_count = nondet_u32(),
		.ram_bytes = nondet_u64(),
		.ram = nondet_bool() ? ram : NULL,
		.ram_count = nondet_u32()};
	uint32_t refused;

	ASSUME(machine.pcpu_count != 0U && machine.ram_count <= RANGES);
	any_passed();
	usable = MIN(machine.pcpu_count, out.max_pcpus);
	refused = scenario_check_machine(&out, &machine);
	PROVE(refused <= out.vm_count);
	for (uint32_t i = 0U; i < CONFIG_MAX_VM_NUM && i < out.vm_count; i++) {
		const struct scenario_vm *vm = &out.vm[i];

		PROVE(refused != 0U || !vm->refused);
		PROVE(vm->vcpu_count <= SCENARIO_MAX_VCPUS && (vm->refused || vm->vcpu_count != 0U));
		for (uint32_t k = 0U; k < SCENARIO_MAX_VCPUS; k++) {
			PROVE(vm->refused || k >= vm->vcpu_count || vm->vcpu_pcpu[k] < usable);
		}
	}
	return 0;
}
