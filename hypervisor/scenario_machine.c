/* SPDX-License-Identifier: BSD-3-Clause */
/* The scenario against the machine it is to run on: places vCPUs, refuses single VMs. */
#include <hv/scenario.h>

#include <lib/printf.h>

#define MIB_SHIFT 20U

static void refuse(struct scenario_vm *vm, const char *fmt, ...) __printf(2, 3);

static void refuse(struct scenario_vm *vm, const char *fmt, ...)
{
	va_list args;

	if (vm->refused)
		return; /* the first reason is the one to mend */
	vm->refused = true;
	va_start(args, fmt);
	(void)vsnprintf(vm->refusal, sizeof(vm->refusal), fmt, args);
	va_end(args);
}

static uint64_t cpu_mask(uint32_t count)
{
	return count >= 64U ? UINT64_MAX : (1UL << count) - 1UL;
}

/* CPUs that other VMs than `self` own. A refused VM frees none: others stay where they were put. */
static uint64_t owned_by_others(const struct scenario *scn, const struct scenario_vm *self)
{
	uint64_t mask = 0UL;

	for (uint32_t i = 0U; i < scn->vm_count; i++) {
		if (&scn->vm[i] != self && scn->vm[i].own_pcpu)
			mask |= scn->vm[i].pcpu_mask;
	}
	return mask;
}

/* With SCHED_NOOP: CPUs that have a vCPU of another VM for good. */
static uint64_t taken_by_others(const struct scenario *scn, const struct scenario_vm *self)
{
	uint64_t mask = 0UL;

	for (uint32_t i = 0U; scn->scheduler == SCN_SCHED_NOOP && i < scn->vm_count; i++) {
		const struct scenario_vm *vm = &scn->vm[i];

		for (uint32_t v = 0U; vm != self && vm->load_order != SCN_POST_LAUNCHED_VM && v < vm->vcpu_count; v++)
			mask |= 1UL << vm->vcpu_pcpu[v];
	}
	return mask;
}

#define MASK_CPUS 64U

/* The CPUs of a mask, from either end. @return how many */
static uint32_t list_cpus(uint64_t mask, bool downwards, uint16_t cpu[MASK_CPUS])
{
	uint32_t count = 0U;

	for (uint32_t i = 0U; i < MASK_CPUS; i++) {
		const uint32_t id = downwards ? MASK_CPUS - 1U - i : i;

		if ((mask & (1UL << id)) != 0UL)
			cpu[count++] = (uint16_t)id;
	}
	return count;
}

static void place_auto(struct scenario *scn, struct scenario_vm *vm, uint32_t usable)
{
	const uint64_t allowed = cpu_mask(usable) & ~owned_by_others(scn, vm) &
		(vm->load_order == SCN_POST_LAUNCHED_VM ? UINT64_MAX : ~taken_by_others(scn, vm));
	uint16_t cpu[MASK_CPUS];
	const uint32_t count = list_cpus(allowed, vm->load_order == SCN_POST_LAUNCHED_VM, cpu);

	vm->pcpu_mask = allowed;
	if (count == 0U) {
		refuse(vm,
			"no CPU is left for it: %u in use, all owned by other VMs (own_pcpu); free "
			"one or "
			"use a machine with more",
			usable);
		return;
	}
	if (vm->load_order == SCN_SERVICE_VM && vm->vcpu_wanted > count) {
		refuse(vm, "it wants %u vCPUs, each the CPU below it, and %u CPUs are left for it; write vcpu_num %u",
			vm->vcpu_wanted, count, count);
		return;
	}
	if (scn->scheduler == SCN_SCHED_NOOP && vm->vcpu_wanted > count) {
		refuse(vm,
			"%u vCPUs, and with SCHED_NOOP there are only %u CPUs for them; use SCHED_IORR or "
			"fewer",
			vm->vcpu_wanted, count);
		return;
	}
	vm->vcpu_count = vm->vcpu_wanted != 0U ? vm->vcpu_wanted : MIN(count, (uint32_t)SCENARIO_MAX_VCPUS);
	for (uint32_t i = 0U; i < vm->vcpu_count; i++)
		vm->vcpu_pcpu[i] = cpu[i % count];
}

static void check_cpus(struct scenario *scn, struct scenario_vm *vm, uint32_t usable)
{
	if (vm->cpu_auto) {
		place_auto(scn, vm, usable);
		return;
	}
	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		if (vm->vcpu_pcpu[i] >= usable) {
			refuse(vm,
				"vCPU %u is to run on pCPU %u, but ids here go up to %u; change "
				"cpu_affinity "
				"or use a machine with more CPUs",
				i, vm->vcpu_pcpu[i], usable - 1U);
			return;
		}
	}
}

/* Bytes of the machine's RAM in [base, base + size). */
static uint64_t ram_inside(const struct scenario_machine *machine, hpa_t base, uint64_t size)
{
	uint64_t sum = 0UL;

	for (uint32_t i = 0U; i < machine->ram_count; i++) {
		const hpa_t start = MAX(base, machine->ram[i].base);
		const hpa_t end = MIN(base + size, machine->ram[i].base + machine->ram[i].size);

		if (end > start)
			sum += end - start;
	}
	return sum;
}

static void take_memory(struct scenario_vm *vm, const struct scenario_machine *machine, uint64_t *left)
{
	if (vm->mem_fixed && machine->ram != NULL && ram_inside(machine, vm->mem_hpa, vm->mem_bytes) != vm->mem_bytes) {
		refuse(vm,
			"its hpa_region 0x%lx-0x%lx is not all free RAM on this machine; move it "
			"or "
			"leave "
			"start_hpa out",
			(unsigned long)vm->mem_hpa, (unsigned long)(vm->mem_hpa + vm->mem_bytes - 1UL));
		return;
	}
	if (vm->mem_bytes > *left || (vm->load_order == SCN_SERVICE_VM && *left == 0UL)) {
		refuse(vm,
			"it needs %lu MB of memory, %lu MB are left; make it or an earlier VM "
			"smaller",
			(unsigned long)(vm->mem_bytes >> MIB_SHIFT), (unsigned long)(*left >> MIB_SHIFT));
		return;
	}
	*left -= vm->mem_bytes;
}

uint32_t scenario_check_machine(struct scenario *scn, const struct scenario_machine *machine)
{
	const uint32_t usable = MIN(machine->pcpu_count, scn->max_pcpus);
	const struct scenario_vm *service = NULL;
	uint64_t left = machine->ram_bytes;
	uint32_t refused = 0U;

	for (uint32_t i = 0U; i < scn->vm_count; i++) {
		struct scenario_vm *vm = &scn->vm[i];

		check_cpus(scn, vm, usable);
		if (vm->load_order == SCN_POST_LAUNCHED_VM) {
			if (service == NULL || service->refused)
				refuse(vm, "the Service VM that would launch it can't run here");
		} else if (!vm->refused) {
			take_memory(vm, machine, &left);
		}
		if (vm->load_order == SCN_SERVICE_VM)
			service = vm;
		if (vm->refused)
			refused++;
	}
	return refused;
}
