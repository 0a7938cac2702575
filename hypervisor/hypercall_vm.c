/* SPDX-License-Identifier: BSD-3-Clause */
/* The hypercalls by which the Service VM makes and runs User VMs. Answers: <hv/hypercall.h>. */
#include <hv/arch.h>
#include <hv/hypercall.h>
#include <hv/log.h>
#include <hv/vcpu.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <hv/vm_life.h>
#include <hv/vm_memory.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

#define FLAGS_ACCEPTED (GUEST_FLAG_IO_COMPLETION_POLLING | GUEST_FLAG_RT)

/* ---- CREATE_VM ---- */

/* Printable, terminated, not empty: it ends up in the log. */
static bool name_is_good(const uint8_t *name)
{
	uint32_t len = 0U;

	while ((len < ACRN_VM_NAME_LEN) && (name[len] > ' ') && (name[len] < 0x7FU)) {
		len++;
	}
	return (len > 0U) && (len < ACRN_VM_NAME_LEN) && (name[len] == 0U);
}

static bool request_is_good(struct acrn_vcpu *caller, const struct acrn_create_vm *cv)
{
	if ((cv->reserved0 != 0U) || (cv->reserved1 != 0U)) {
		hcall_refuse(caller, "create_vm: reserved fields are not 0");
		return false;
	}
	if (!name_is_good(cv->name)) {
		hcall_refuse(caller, "create_vm: the name is not 1..15 printable characters");
		return false;
	}
	if ((cv->vm_flag & ~FLAGS_ACCEPTED) != 0UL) {
		hcall_refuse(caller, "create_vm: flags 0x%lx are not available", cv->vm_flag & ~FLAGS_ACCEPTED);
		return false;
	}
	return true;
}

/* A dynamic slot that is off. @return it, locked, or NULL; -EBUSY in *ret if a VM of that name runs already */
static struct acrn_vm *lock_dynamic_slot(const char *name, int64_t *ret)
{
	struct acrn_vm *vm;
	struct acrn_vm *found = NULL;

	*ret = -ENOSPC;
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		if (!vm->config->dynamic) {
			continue;
		}
		spin_lock(&vm->lock);
		if ((vm->state != VM_POWERED_OFF) && (strcmp(vm->name, name) == 0)) {
			spin_unlock(&vm->lock);
			if (found != NULL) {
				spin_unlock(&found->lock);
			}
			*ret = -EBUSY;
			return NULL;
		}
		if ((found == NULL) && (vm->state == VM_POWERED_OFF)) {
			found = vm; /* stays locked; slots are locked in order of their ids */
		} else {
			spin_unlock(&vm->lock);
		}
	}
	return found;
}

static struct acrn_vm *lock_slot(const char *name, int64_t *ret)
{
	const int32_t id = scenario_find_post_launched(vm_scenario(), name, strlen(name));
	struct acrn_vm *vm = (id >= 0) ? vm_by_id((uint16_t)id) : NULL;

	if (vm == NULL) {
		return lock_dynamic_slot(name, ret);
	}
	spin_lock(&vm->lock);
	if (vm->state != VM_POWERED_OFF) {
		spin_unlock(&vm->lock);
		*ret = -EBUSY;
		return NULL;
	}
	return vm;
}

/* One vCPU per bit, in ascending order. @return number of vCPUs, or -EINVAL */
static int32_t place_vcpus(const struct acrn_vm *vm, uint64_t mask, uint16_t *affinity)
{
	int32_t count = 0;

	if ((mask & ~vm->config->pcpu_mask) != 0UL) {
		return -EINVAL;
	}
	for (; mask != 0UL; mask &= mask - 1UL) {
		if (count == (int32_t)CONFIG_MAX_VCPUS_PER_VM) {
			return -EINVAL;
		}
		affinity[count++] = (uint16_t)ffs64(mask);
	}
	return count;
}

static int64_t create_in_slot(struct acrn_vcpu *caller, struct acrn_vm *vm, struct acrn_create_vm *cv)
{
	uint16_t affinity[CONFIG_MAX_VCPUS_PER_VM];
	const int32_t count = place_vcpus(vm, cv->cpu_affinity, affinity);
	int64_t ret;

	if (vm->config->refused) {
		hcall_refuse(
			caller, "create_vm: '%s' cannot run here: %s", (const char *)cv->name, vm->config->refusal);
		return -ENODEV;
	}
	if (count < 0) {
		hcall_refuse(caller, "create_vm: CPU mask 0x%lx, the scenario gives '%s' 0x%lx", cv->cpu_affinity,
			(const char *)cv->name, vm->config->pcpu_mask);
		return -EINVAL;
	}
	(void)strlcpy(vm->name, (const char *)cv->name, sizeof(vm->name));
	ret = vm_create(vm, (count == 0) ? NULL : affinity, (uint16_t)count);
	if (ret != 0) {
		(void)strlcpy(vm->name, vm->config->name, sizeof(vm->name));
		return ret;
	}
	if ((cv->vm_flag & GUEST_FLAG_IO_COMPLETION_POLLING) != 0UL) {
		vm->io_polling = true;
	}
	cv->vmid = vm_id_to_relative(vm->vm_id);
	cv->vcpu_num = vm->vcpu_count;
	return 0;
}

int64_t hcall_create_vm(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	struct acrn_create_vm cv;
	int64_t ret;

	(void)arg2;
	ret = copy_from_gpa(caller->vm, &cv, arg1, sizeof(cv));
	if (ret != 0) {
		return ret;
	}
	cv.vmid = ACRN_INVALID_VMID;
	cv.vcpu_num = 0U;
	/* Now, so that nothing can fail once the VM is there. */
	ret = copy_to_gpa(caller->vm, arg1, &cv, sizeof(cv));
	if (ret != 0) {
		return ret;
	}
	if (!request_is_good(caller, &cv)) {
		return -EINVAL;
	}
	vm = lock_slot((const char *)cv.name, &ret);
	if (vm == NULL) {
		hcall_refuse(caller, "create_vm: '%s' %s", (const char *)cv.name,
			(ret == -EBUSY) ? "exists" : "is not in the scenario, and no slot is free");
		return ret;
	}
	ret = create_in_slot(caller, vm, &cv);
	if (ret == 0) {
		ret = copy_to_gpa(caller->vm, arg1, &cv, sizeof(cv));
		if (ret != 0) {
			(void)vm_destroy(vm);
		}
	}
	spin_unlock(&vm->lock);
	return ret;
}

/* ---- Life ---- */

int64_t hcall_destroy_vm(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	(void)caller;
	(void)arg1;
	(void)arg2;
	return vm_destroy(vm);
}

int64_t hcall_start_vm(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	(void)caller;
	(void)arg1;
	(void)arg2;
	if (vm->forward_io && (vm->ioreq_buf == NULL)) {
		return -EINVAL;
	}
	return vm_life_start(vm);
}

int64_t hcall_pause_vm(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	(void)caller;
	(void)arg1;
	(void)arg2;
	return vm_pause(vm);
}

int64_t hcall_reset_vm(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	(void)caller;
	(void)arg1;
	(void)arg2;
	return (vm->config->load_order == SCN_PRE_LAUNCHED_VM) ? vm_life_reset(vm) : vm_reset(vm);
}

static bool reserved_are_zero(const struct acrn_set_vcpu_regs *set)
{
	const struct acrn_regs *regs = &set->vcpu_regs;
	uint64_t any = 0UL;

	for (uint32_t i = 0U; i < 3U; i++) {
		any |= set->reserved[i] | regs->gdt.reserved[i] | regs->idt.reserved[i] | regs->reserved_32[i];
	}
	for (uint32_t i = 0U; i < 4U; i++) {
		any |= regs->reserved_64[i];
	}
	return any == 0UL;
}

int64_t hcall_set_vcpu_regs(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	struct acrn_set_vcpu_regs set;
	struct acrn_vcpu *vcpu;
	const int64_t ret = copy_from_gpa(caller->vm, &set, arg2, sizeof(set));

	(void)arg1;
	if (ret != 0) {
		return ret;
	}
	if (vm->state == VM_RUNNING) {
		return -EBUSY;
	}
	vcpu = vm_vcpu(vm, set.vcpu_id);
	if ((vcpu == NULL) || !reserved_are_zero(&set)) {
		hcall_refuse(caller, "set_vcpu_regs: vCPU%u of VM%u, or reserved fields", set.vcpu_id, vm->vm_id);
		return -EINVAL;
	}
	return arch_vcpu_set_regs(vcpu, &set.vcpu_regs);
}

/* ---- Requests ---- */

int64_t hcall_set_ioreq_buffer(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	uint64_t page = 0UL;
	const int64_t ret = copy_from_gpa(caller->vm, &page, arg2, sizeof(page));

	(void)arg1;
	if (ret != 0) {
		return ret;
	}
	if (vm->state != VM_CREATED) {
		return -EBUSY;
	}
	if ((page == 0UL) || !is_aligned(page, PAGE_SIZE) || !vm_is_service_ram(page, PAGE_SIZE)) {
		hcall_refuse(caller, "set_ioreq_buffer: 0x%lx is not a page of the Service VM's RAM", page);
		return -EINVAL;
	}
	vhm_set_page(vm, page);
	return 0;
}

/* No lock: it may find the VM on its way out, and then wakes a thread that looks, blocks again or is gone. */
int64_t hcall_notify_request_finish(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	struct acrn_vcpu *vcpu = (arg2 < VHM_REQUEST_MAX) ? vm_vcpu(vm, (uint32_t)arg2) : NULL;

	(void)caller;
	(void)arg1;
	if (vcpu == NULL) {
		return -EINVAL;
	}
	thread_wake(&vcpu->thread);
	return 0;
}

/* ---- Interrupts ---- */

int64_t hcall_inject_msi(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	struct acrn_msi_entry msi;
	const int64_t ret = copy_from_gpa(caller->vm, &msi, arg2, sizeof(msi));

	(void)arg1;
	return (ret == 0) ? arch_inject_msi(vm, msi.msi_addr, msi.msi_data) : ret;
}

int64_t hcall_set_irqline(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	(void)caller;
	(void)arg1;
	return vm_set_irqline(vm, (uint32_t)arg2, (uint32_t)(arg2 >> 32U));
}

int64_t hcall_vm_intr_monitor(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	uint32_t head[2]; /* cmd, buf_cnt */
	const int64_t ret = copy_from_gpa(caller->vm, head, arg2, sizeof(head));

	(void)vm;
	(void)arg1;
	if (ret != 0) {
		return ret;
	}
	if ((head[0] > 1U) || (head[1] > ARRAY_SIZE(((struct acrn_intr_monitor *)NULL)->buffer))) {
		return -EINVAL;
	}
	if (head[0] == 0U) {
		head[1] = 0U; /* nothing is passed through: no counts */
		return copy_to_gpa(caller->vm, arg2, head, sizeof(head));
	}
	return 0;
}
