/* SPDX-License-Identifier: BSD-3-Clause */
/* HC_VM_SET_MEMORY_REGIONS: the Service VM lends its memory to a User VM. */
#include <hv/arch.h>
#include <hv/hypercall.h>
#include <hv/log.h>
#include <hv/vm.h>
#include <hv/vm_memory.h>
#include <lib/bits.h>
#include <lib/errno.h>

#define CHUNK      32U /* regions on the stack at a time */
#define LAPIC_PAGE 0xFEE00000UL
#define GPA_LIMIT  (1UL << 48U) /* four levels */

struct batch {
	struct acrn_vcpu *caller;
	struct acrn_vm *vm;
	gpa_t array;
	uint32_t count;
	uint64_t left; /* bytes that may still be mapped: the time of one call, with interrupts off, has a bound */
	uint64_t room; /* bytes that the VM may still get by its scenario's memory/size */
};

/* @return 0 and *type, or -EINVAL: not exactly one memory type */
static int32_t mem_type_of(uint32_t prot, enum gpa_mem_type *type)
{
	switch (prot & MEM_TYPE_MASK) {
	case MEM_TYPE_WB:
		*type = GPA_TYPE_WB;
		break;
	case MEM_TYPE_WT:
		*type = GPA_TYPE_WT;
		break;
	case MEM_TYPE_UC:
		*type = GPA_TYPE_UC;
		break;
	case MEM_TYPE_WC:
		*type = GPA_TYPE_WC;
		break;
	case MEM_TYPE_WP:
		*type = GPA_TYPE_WP;
		break;
	default:
		return -EINVAL;
	}
	return 0;
}

/* MEM_ACCESS_* have the values of GPA_*. Memory that can be written or executed can be read (SDM 29.3.3.1). */
static bool prot_is_good(uint32_t prot)
{
	enum gpa_mem_type type;

	return ((prot & ~(MEM_ACCESS_RWX | MEM_TYPE_MASK)) == 0U) && ((prot & MEM_ACCESS_READ) != 0U) &&
		(mem_type_of(prot, &type) == 0);
}

static bool hits_emulated(const struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	return vm_memory_is_reserved(vm, gpa, size) || ranges_overlap(gpa, size, LAPIC_PAGE, PAGE_SIZE);
}

/* Where the hypervisor itself maps memory: behind BARs. */
static bool hits_bars(const struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	return vm->vpci.active && ranges_overlap(gpa, size, vm->vpci.place->mem_base, vm->vpci.place->mem_size);
}

static bool is_all_mapped(struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	uint64_t contiguous = 0UL;

	for (uint64_t done = 0UL; done < size; done += contiguous) {
		if ((arch_gpa_to_hpa(vm, gpa + done, &contiguous, NULL) == INVALID_HPA) || (contiguous == 0UL)) {
			return false;
		}
	}
	return true;
}

/* Bytes that it may get beyond those that it has. */
static uint64_t room_of(const struct acrn_vm *vm)
{
	const uint64_t limit = vm->config->mem_bytes;

	return (limit == 0UL) ? UINT64_MAX : (limit - MIN(limit, vm->mapped_bytes));
}

/* @return NULL, or what is wrong with the region */
static const char *what_is_wrong(struct acrn_vm *vm, const struct vm_memory_region *mr)
{
	if ((mr->type != MR_ADD) && (mr->type != MR_DEL) && (mr->type != MR_MODIFY)) {
		return "unknown type";
	}
	if ((mr->size == 0UL) || !is_aligned(mr->gpa | mr->size, PAGE_SIZE)) {
		return "not whole pages";
	}
	if (!range_is_valid(mr->gpa, mr->size) || (mr->gpa + mr->size > GPA_LIMIT)) {
		return "beyond the address space";
	}
	if (mr->type != MR_ADD && vm_memory_has_mapped_reservation(vm, mr->gpa, mr->size)) {
		return "an emulated device has memory there";
	}
	if (mr->type == MR_DEL) {
		return hits_bars(vm, mr->gpa, mr->size) ? "the hypervisor's PCI functions are there" : NULL;
	}
	if (hits_emulated(vm, mr->gpa, mr->size)) {
		return "an emulated device is there";
	}
	if (!prot_is_good(mr->prot)) {
		return "bad protection or memory type";
	}
	if (mr->type == MR_MODIFY) {
		return is_all_mapped(vm, mr->gpa, mr->size) ? NULL : "not mapped";
	}
	if (!is_aligned(mr->service_vm_gpa, PAGE_SIZE)) {
		return "not whole pages";
	}
	if (!vm_is_service_ram(mr->service_vm_gpa, mr->size)) {
		return "not the Service VM's RAM";
	}
	return NULL;
}

/* Two regions of one call at the same place count twice: no device model has a reason for that. */
static const char *takes_too_much(struct batch *batch, const struct vm_memory_region *mr)
{
	uint64_t more;

	if (mr->type != MR_ADD) {
		return NULL;
	}
	more = mr->size - vm_memory_mapped_bytes(batch->vm, mr->gpa, mr->size);
	if (more > batch->room) {
		return "more than the memory/size of its scenario";
	}
	batch->room -= more;
	return NULL;
}

static int32_t check_region(struct batch *batch, const struct vm_memory_region *mr)
{
	const bool counts = (mr->type != MR_DEL);
	const char *wrong = (counts && (mr->size > batch->left)) ? "more in one call than the machine has RAM"
								 : what_is_wrong(batch->vm, mr);

	if (wrong == NULL) {
		wrong = takes_too_much(batch, mr);
	}
	if (wrong == NULL) {
		batch->left -= counts ? mr->size : 0UL;
		return 0;
	}
	hcall_refuse(batch->caller, "VM%u memory 0x%lx + 0x%lx from 0x%lx (type %u, prot 0x%x): %s", batch->vm->vm_id,
		mr->gpa, mr->size, mr->service_vm_gpa, mr->type, mr->prot, wrong);
	return -EINVAL;
}

static int32_t modify_region(struct acrn_vm *vm, const struct vm_memory_region *mr, enum gpa_mem_type type)
{
	uint64_t done = 0UL;
	int32_t ret = 0;

	while ((ret == 0) && (done < mr->size)) {
		uint64_t contiguous = 0UL;
		const hpa_t hpa = arch_gpa_to_hpa(vm, mr->gpa + done, &contiguous, NULL);

		if ((hpa == INVALID_HPA) || (contiguous == 0UL)) {
			return -EINVAL;
		}
		contiguous = MIN(contiguous, mr->size - done);
		ret = arch_gpa_map(vm, mr->gpa + done, hpa, contiguous, mr->prot & MEM_ACCESS_RWX, type);
		done += contiguous;
	}
	return ret;
}

static int32_t change_map(struct batch *batch, const struct vm_memory_region *mr)
{
	enum gpa_mem_type type = GPA_TYPE_WB;
	int32_t ret;

	if (mr->type == MR_DEL) {
		return arch_gpa_unmap(batch->vm, mr->gpa, mr->size);
	}
	ret = mem_type_of(mr->prot, &type);
	if (ret != 0) {
		return ret;
	}
	if (mr->type == MR_MODIFY) {
		return modify_region(batch->vm, mr, type);
	}
	/* The Service VM's guest-physical addresses are the machine's. */
	return arch_gpa_map(batch->vm, mr->gpa, mr->service_vm_gpa, mr->size, mr->prot & MEM_ACCESS_RWX, type);
}

/* The region is this call's own copy: what is checked is what is done. */
static int32_t apply_region(struct batch *batch, const struct vm_memory_region *mr)
{
	struct acrn_vm *const vm = batch->vm;
	int32_t ret = check_region(batch, mr);
	uint64_t before;

	if (ret != 0) {
		return ret;
	}
	/* Counted as it is: a change that fails may have been made in part. */
	before = vm_memory_mapped_bytes(vm, mr->gpa, mr->size);
	ret = change_map(batch, mr);
	vm->mapped_bytes += vm_memory_mapped_bytes(vm, mr->gpa, mr->size) - before;
	return ret;
}

/* Calls `fn` for a copy of each region. */
static int32_t for_each_region(struct batch *batch, int32_t (*fn)(struct batch *, const struct vm_memory_region *))
{
	struct vm_memory_region chunk[CHUNK];
	int32_t ret = 0;

	batch->left = vm_ram_total();
	batch->room = room_of(batch->vm);
	for (uint32_t i = 0U; (ret == 0) && (i < batch->count); i += CHUNK) {
		const uint32_t n = MIN(CHUNK, batch->count - i);

		ret = copy_from_gpa(
			batch->caller->vm, chunk, batch->array + (i * sizeof(chunk[0])), n * sizeof(chunk[0]));
		for (uint32_t k = 0U; (ret == 0) && (k < n); k++) {
			ret = fn(batch, &chunk[k]);
		}
	}
	return ret;
}

static int32_t set_regions(struct batch *batch)
{
	int32_t ret = for_each_region(batch, check_region);

	if (ret != 0) {
		return ret;
	}
	ret = for_each_region(batch, apply_region);
	/* In any case: part of it may have been done. After this no vCPU uses memory that was taken away. */
	arch_gpa_flush(batch->vm);
	return ret;
}

int64_t hcall_vm_set_memory_regions(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	struct set_regions set;
	struct batch batch = {.caller = caller};
	int64_t ret = copy_from_gpa(caller->vm, &set, arg1, sizeof(set));

	(void)arg2;
	if (ret != 0) {
		return ret;
	}
	if ((set.reserved0 != 0U) || (set.reserved1 != 0U) || (set.reserved2 != 0U) || (set.mr_num == 0U) ||
		(set.mr_num > HCALL_MAX_REGIONS)) {
		hcall_refuse(caller, "set_memory_regions: %u regions, or reserved fields", set.mr_num);
		return -EINVAL;
	}
	if (!range_is_valid(set.regions_gpa, set.mr_num * sizeof(struct vm_memory_region))) {
		return -EFAULT;
	}
	ret = hcall_lock_vm(caller, set.vmid, &vm);
	if (ret != 0) {
		return ret;
	}
	batch.vm = vm;
	batch.array = set.regions_gpa;
	batch.count = set.mr_num;
	ret = set_regions(&batch);
	spin_unlock(&vm->lock);
	return ret;
}
