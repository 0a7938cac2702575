/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/hypercall_mem.c: HC_VM_SET_MEMORY_REGIONS with any argument, any memory of the caller, which becomes
 * another at each look, and any memory map of the User VM. Bounds: up to REGIONS regions, each of which meets one piece
 * of the map. The copy itself is the proof "copy".
 */
#include <hv/arch.h>
#include <hv/guest_memory.h>
#include <hv/hypercall.h>
#include <hv/vm.h>
#include <hv/vm_memory.h>
#include <lib/errno.h>

#define GPA_LIMIT (1UL << 48U)

static struct acrn_vm user, service;
static struct acrn_vcpu caller;
static struct scenario_vm config;
static struct vpci_place place;
static bool locked, flushed, changed;

int32_t copy_from_gpa(struct acrn_vm *vm, void *dst, gpa_t gpa, size_t size)
{
	struct set_regions any_set; /* not written: any */

	(void)gpa;
	PROVE(vm == &service && __CPROVER_w_ok(dst, size));
	if (size == sizeof(any_set)) {
		ASSUME(any_set.mr_num <= REGIONS || any_set.mr_num > HCALL_MAX_REGIONS);
		*(struct set_regions *)dst = any_set;
	} else {
		PROVE(size % sizeof(struct vm_memory_region) == 0UL);
		for (uint32_t i = 0U; i < size / sizeof(struct vm_memory_region); i++) {
			struct vm_memory_region any;

			((struct vm_memory_region *)dst)[i] = any;
		}
	}
	return nondet_bool() ? 0 : -EFAULT;
}

hpa_t arch_gpa_to_hpa(struct acrn_vm *vm, gpa_t gpa, uint64_t *contiguous, uint32_t *access)
{
	const hpa_t hpa = nondet_u64();

	(void)access;
	PROVE(vm == &user && locked && gpa < GPA_LIMIT);
	*contiguous = nondet_u64();
	ASSUME(*contiguous >= GPA_LIMIT);
	return hpa;
}

int32_t arch_gpa_map(struct acrn_vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size, uint32_t access, enum gpa_mem_type type)
{
	(void)hpa;
	PROVE(vm == &user && locked);
	PROVE(size != 0UL && ((gpa | size) & (PAGE_SIZE - 1UL)) == 0UL && gpa + size > gpa && gpa + size <= GPA_LIMIT);
	PROVE((access & GPA_READ) != 0U && (access & ~(uint32_t)GPA_RWX) == 0U);
	PROVE(type == GPA_TYPE_WB || type == GPA_TYPE_WT || type == GPA_TYPE_UC || type == GPA_TYPE_WC ||
		type == GPA_TYPE_WP);
	changed = true;
	return nondet_bool() ? 0 : -ENOMEM;
}

int32_t arch_gpa_unmap(struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	PROVE(vm == &user && locked);
	PROVE(size != 0UL && ((gpa | size) & (PAGE_SIZE - 1UL)) == 0UL && gpa + size > gpa && gpa + size <= GPA_LIMIT);
	changed = true;
	return nondet_bool() ? 0 : -ENOMEM;
}

void arch_gpa_flush(struct acrn_vm *vm)
{
	PROVE(vm == &user && locked);
	flushed = true;
}

bool vm_memory_is_reserved(const struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	PROVE(vm == &user && gpa + size >= gpa);
	return nondet_bool();
}

bool vm_is_service_ram(hpa_t hpa, uint64_t size)
{
	(void)hpa;
	(void)size;
	return nondet_bool();
}

bool vm_memory_has_mapped_reservation(struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	PROVE(vm == &user && gpa + size >= gpa);
	return nondet_bool();
}

uint64_t vm_memory_mapped_bytes(struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	const uint64_t bytes = nondet_u64();

	PROVE(vm == &user && locked && gpa + size > gpa && gpa + size <= GPA_LIMIT);
	ASSUME(bytes <= size);
	return bytes;
}

uint64_t vm_ram_total(void)
{
	return nondet_u64();
}

int64_t hcall_lock_vm(struct acrn_vcpu *vcpu, uint64_t rel_id, struct acrn_vm **vm)
{
	(void)rel_id;
	PROVE(vcpu == &caller && !locked);
	if (nondet_bool()) {
		return -EINVAL;
	}
	locked = true;
	spin_lock(&user.lock);
	*vm = &user;
	return 0;
}

int main(void)
{
	int64_t ret;

	caller.vm = &service;
	user.config = &config;
	config.mem_bytes = nondet_u64();
	user.mapped_bytes = nondet_u64();
	user.vpci.active = nondet_bool();
	user.vpci.place = &place;
	place.mem_base = nondet_u32();
	place.mem_size = nondet_u32();
	ret = hcall_vm_set_memory_regions(&caller, NULL, nondet_u64(), nondet_u64());
	PROVE(ret <= 0L);
	PROVE(!changed || flushed);
	PROVE(!user.lock.is_held);
	return 0;
}
