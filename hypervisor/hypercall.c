/* SPDX-License-Identifier: BSD-3-Clause */
/* Hypercalls: who may call what, finding the VM meant, and the calls that are about no User VM. */
#include <hv/arch.h>
#include <hv/hypercall.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/sched.h>
#include <hv/stats.h>
#include <hv/timer.h>
#include <hv/upcall.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <hv/vm_cpus.h>
#include <hv/vm_life.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <public/acrn_hv_defs.h>

#define VECTOR_FIRST 0x20UL
#define VECTOR_LAST  0xFEUL

struct hcall {
	uint64_t id;
	hcall_fn_t fn;
	const char *name;
	enum hcall_target target;
};

/* By the low byte of their number. */
#define INDEX(id)                   ((id)&0xFFUL)
#define HCALL(id, fn, name, target) [INDEX(id)] = {(id), (fn), (name), (target)}
static const struct hcall hcalls[INDEX(~0UL) + 1UL] = {
	HCALL(HC_NOTIFY_REQUEST_FINISH, hcall_notify_request_finish, "notify_request_finish", TARGET_UNLOCKED),
	HCALL(HC_SET_IRQLINE, hcall_set_irqline, "set_irqline", TARGET_LOCKED),
	HCALL(HC_INJECT_MSI, hcall_inject_msi, "inject_msi", TARGET_LOCKED),
	HCALL(HC_VM_SET_MEMORY_REGIONS, hcall_vm_set_memory_regions, "vm_set_memory_regions", TARGET_NONE),
	HCALL(HC_CREATE_VM, hcall_create_vm, "create_vm", TARGET_NONE),
	HCALL(HC_DESTROY_VM, hcall_destroy_vm, "destroy_vm", TARGET_LIFE),
	HCALL(HC_START_VM, hcall_start_vm, "start_vm", TARGET_LIFE),
	HCALL(HC_PAUSE_VM, hcall_pause_vm, "pause_vm", TARGET_LIFE),
	HCALL(HC_RESET_VM, hcall_reset_vm, "reset_vm", TARGET_LIFE),
	HCALL(HC_SET_VCPU_REGS, hcall_set_vcpu_regs, "set_vcpu_regs", TARGET_LOCKED),
	HCALL(HC_SET_IOREQ_BUFFER, hcall_set_ioreq_buffer, "set_ioreq_buffer", TARGET_LOCKED),
	HCALL(HC_VM_INTR_MONITOR, hcall_vm_intr_monitor, "vm_intr_monitor", TARGET_LOCKED),
	HCALL(HC_GET_API_VERSION, hcall_get_api_version, "get_api_version", TARGET_NONE),
	HCALL(HC_SERVICE_VM_OFFLINE_CPU, hcall_service_vm_offline_cpu, "service_vm_offline_cpu", TARGET_NONE),
	HCALL(HC_SET_CALLBACK_VECTOR, hcall_set_callback_vector, "set_callback_vector", TARGET_NONE),
	HCALL(HC_SET_PTDEV_INTR_INFO, hcall_not_available, "set_ptdev_intr_info", TARGET_LOCKED),
	HCALL(HC_RESET_PTDEV_INTR_INFO, hcall_not_available, "reset_ptdev_intr_info", TARGET_LOCKED),
	HCALL(HC_ASSIGN_PCIDEV, hcall_not_available, "assign_pcidev", TARGET_LOCKED),
	HCALL(HC_DEASSIGN_PCIDEV, hcall_not_available, "deassign_pcidev", TARGET_LOCKED),
	HCALL(HC_ASSIGN_MMIODEV, hcall_not_available, "assign_mmiodev", TARGET_LOCKED),
	HCALL(HC_DEASSIGN_MMIODEV, hcall_not_available, "deassign_mmiodev", TARGET_LOCKED),
	HCALL(HC_CREATE_VDEV, hcall_not_available, "create_vdev", TARGET_LOCKED),
	HCALL(HC_DESTROY_VDEV, hcall_not_available, "destroy_vdev", TARGET_LOCKED),
	HCALL(HC_PM_GET_CPU_STATE, hcall_not_available, "pm_get_cpu_state", TARGET_NONE),
	HCALL(HC_ARIL_GET_STATS, hcall_aril_get_stats, "aril_get_stats", TARGET_NONE),
	HCALL(HC_ARIL_AUDIT, hcall_aril_audit, "aril_audit", TARGET_NONE),
};

static const struct hcall *find_hcall(uint64_t id)
{
	const struct hcall *const hcall = &hcalls[INDEX(id)];

	return ((hcall->fn != NULL) && (hcall->id == id)) ? hcall : NULL;
}

static struct acrn_vm *user_vm(uint64_t rel_id)
{
	struct acrn_vm *vm = (rel_id < INVALID_VM_ID) ? vm_by_id(vm_id_from_relative((uint16_t)rel_id)) : NULL;

	return ((vm != NULL) && (vm->config->load_order == SCN_POST_LAUNCHED_VM)) ? vm : NULL;
}

static int64_t vm_is_not_off(struct acrn_vcpu *caller, const struct acrn_vm *vm)
{
	if (__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == VM_POWERED_OFF) {
		hcall_refuse(caller, "VM%u '%s' is off", vm->vm_id, vm->name);
		return -ENOENT;
	}
	return 0;
}

int64_t hcall_lock_vm(struct acrn_vcpu *caller, uint64_t rel_id, struct acrn_vm **vm)
{
	int64_t ret;

	*vm = user_vm(rel_id);
	if (*vm == NULL) {
		hcall_refuse(caller, "0x%lx is not a User VM", rel_id);
		return -EINVAL;
	}
	spin_lock(&(*vm)->lock);
	ret = vm_is_not_off(caller, *vm);
	if (ret != 0) {
		spin_unlock(&(*vm)->lock);
	}
	return ret;
}

static int64_t call_locked(const struct hcall *hcall, struct acrn_vcpu *caller, uint64_t arg1, uint64_t arg2)
{
	struct acrn_vm *vm;
	int64_t ret = hcall_lock_vm(caller, arg1, &vm);

	if (ret == 0) {
		ret = hcall->fn(caller, vm, arg1, arg2);
		spin_unlock(&vm->lock);
	}
	return ret;
}

/* @return 0: the Service VM may decide on its life. Of pre-launched VMs only the scenario can say so. */
static int64_t may_control(struct acrn_vcpu *caller, const struct acrn_vm *vm, uint64_t rel_id)
{
	if ((vm == NULL) || (vm == caller->vm)) {
		hcall_refuse(caller, "0x%lx is not a User VM", rel_id);
		return -EINVAL;
	}
	if ((vm->config->load_order == SCN_PRE_LAUNCHED_VM) && !vm->config->service_control) {
		hcall_refuse(caller, "VM%u '%s' has no service_vm_control in the scenario", vm->vm_id, vm->name);
		return -EPERM;
	}
	return 0;
}

static int64_t call_life(const struct hcall *hcall, struct acrn_vcpu *caller, uint64_t arg1, uint64_t arg2)
{
	struct acrn_vm *vm = (arg1 < INVALID_VM_ID) ? vm_by_id(vm_id_from_relative((uint16_t)arg1)) : NULL;
	int64_t ret = may_control(caller, vm, arg1);

	if (ret != 0) {
		return ret;
	}
	spin_lock(&vm->lock);
	/* A pre-launched VM that is off can be started again: its image is the hypervisor's. */
	if ((hcall->id != HC_START_VM) || (vm->config->load_order != SCN_PRE_LAUNCHED_VM)) {
		ret = vm_is_not_off(caller, vm);
	}
	if (ret == 0) {
		ret = hcall->fn(caller, vm, arg1, arg2);
		if (ret < 0) {
			hcall_refuse(caller, "%s: VM%u '%s' %s", hcall->name, vm->vm_id, vm->name, vm_life_error(ret));
		}
	}
	spin_unlock(&vm->lock);
	return ret;
}

static int64_t call_unlocked(const struct hcall *hcall, struct acrn_vcpu *caller, uint64_t arg1, uint64_t arg2)
{
	struct acrn_vm *vm = user_vm(arg1);
	int64_t ret;

	if (vm == NULL) {
		hcall_refuse(caller, "0x%lx is not a User VM", arg1);
		return -EINVAL;
	}
	ret = vm_is_not_off(caller, vm);
	return (ret == 0) ? hcall->fn(caller, vm, arg1, arg2) : ret;
}

static int64_t call(struct acrn_vcpu *vcpu, uint64_t id, uint64_t arg1, uint64_t arg2)
{
	const struct hcall *hcall = find_hcall(id);
	int64_t ret;

	if (hcall == NULL) {
		hcall_refuse(vcpu, "there is no 0x%lx", id);
		return -ENOTTY;
	}
	switch (hcall->target) {
	case TARGET_LOCKED:
		ret = call_locked(hcall, vcpu, arg1, arg2);
		break;
	case TARGET_LIFE:
		ret = call_life(hcall, vcpu, arg1, arg2);
		break;
	case TARGET_UNLOCKED:
		ret = call_unlocked(hcall, vcpu, arg1, arg2);
		break;
	default:
		ret = hcall->fn(vcpu, NULL, arg1, arg2);
		break;
	}
	if (ret < 0) {
		pr_guest(vcpu->vm->vm_id, vcpu->vcpu_id, "hypercall %s(0x%lx, 0x%lx) fails: %ld", hcall->name, arg1,
			arg2, ret);
	}
	return ret;
}

int64_t hypercall_dispatch(struct acrn_vcpu *vcpu, uint64_t id, uint64_t arg1, uint64_t arg2)
{
	int64_t ret;

	hv_stats_count(&hv_counters.hypercalls);
	ret = vm_is_service(vcpu->vm) ? call(vcpu, id, arg1, arg2) : -EPERM;
	if (ret < 0) {
		hv_stats_count(&hv_counters.hypercalls_failed);
	}
	return ret;
}

/* ---- Calls about the hypervisor and the Service VM ---- */

int64_t hcall_not_available(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	(void)caller;
	(void)vm;
	(void)arg1;
	(void)arg2;
	return -ENODEV;
}

int64_t hcall_get_api_version(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	static const struct acrn_hc_api_version version = {.major_version = 1U, .minor_version = 0U};

	(void)vm;
	(void)arg2;
	return copy_to_gpa(caller->vm, arg1, &version, sizeof(version));
}

int64_t hcall_set_callback_vector(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	(void)vm;
	(void)arg2;
	if ((arg1 < VECTOR_FIRST) || (arg1 > VECTOR_LAST)) {
		return -EINVAL;
	}
	vhm_set_upcall((uint32_t)arg1, caller->vcpu_id);
	return 0;
}

static struct acrn_vcpu *vcpu_by_apic_id(struct acrn_vm *vm, uint64_t apic_id)
{
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i].apic_id == apic_id) {
			return &vm->vcpus[i];
		}
	}
	return NULL;
}

/* @return true if another vCPU of the VM lives on the same physical CPU */
static bool shares_pcpu(const struct acrn_vcpu *vcpu)
{
	const struct acrn_vm *vm = vcpu->vm;

	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		if ((&vm->vcpus[i] != vcpu) && (vm->vcpus[i].pcpu_id == vcpu->pcpu_id) &&
			(vm->vcpus[i].state != VCPU_OFFLINE)) {
			return true;
		}
	}
	return false;
}

/*
 * One at a time, and without waiting for one's turn: two vCPUs that take each other off line would otherwise wait for
 * each other with interrupts off.
 */
int64_t hcall_service_vm_offline_cpu(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	static bool under_way;
	struct acrn_vcpu *vcpu = vcpu_by_apic_id(caller->vm, arg1);

	(void)vm;
	(void)arg2;
	if ((vcpu == NULL) || (vcpu == caller)) {
		return -EINVAL;
	}
	if ((vcpu->vcpu_id == 0U) || __atomic_exchange_n(&under_way, true, __ATOMIC_ACQUIRE)) {
		return -EBUSY;
	}
	if (vcpu->state != VCPU_OFFLINE) {
		/* That one may be moving memory of PCI devices, and wait until nobody uses the old map. */
		vcpu_map_end(caller);
		vcpu_pause(vcpu);
		vcpu_map_begin(caller);
		vcpu->state = VCPU_OFFLINE;
		if (!shares_pcpu(vcpu)) {
			vm_cpus_release(caller->vm, BIT(vcpu->pcpu_id));
		}
		pr_info("Service VM gives CPU%u back", vcpu->pcpu_id);
	}
	__atomic_store_n(&under_way, false, __ATOMIC_RELEASE);
	return 0;
}

int64_t hcall_aril_get_stats(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	struct aril_hv_stats stats = {
		.pages_free = memory_pages_free(),
		.vms_created = hv_counters.vms_created,
		.requests = hv_counters.requests_forwarded,
		.requests_done = hv_counters.requests_completed,
		.requests_refused = hv_counters.requests_refused,
		.vm_faults = hv_counters.faults,
		.vms_destroyed = hv_counters.vms_destroyed,
		.upcalls = hv_counters.upcalls,
		.hypercalls = hv_counters.hypercalls,
		.hypercalls_failed = hv_counters.hypercalls_failed,
		.threads = thread_count(),
		.timers = timer_count(),
	};
	const struct acrn_vm *each;

	(void)vm;
	(void)arg2;
	stats.pages_total = stats.pages_free + memory_pages_owned(PAGE_OWNER_HV);
	for (uint16_t id = 0U; (each = vm_by_id(id)) != NULL; id++) {
		stats.pages_total += memory_pages_owned(id);
		if (__atomic_load_n(&each->state, __ATOMIC_RELAXED) != VM_POWERED_OFF) {
			stats.vms++;
			stats.vcpus += each->vcpu_count;
		}
	}
	return copy_to_gpa(caller->vm, arg1, &stats, sizeof(stats));
}

/* Maps are walked under their VMs' locks. Whoever has the caller's may be waiting for it: then it must ask again. */
int64_t hcall_aril_audit(struct acrn_vcpu *caller, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	struct acrn_vm *each;
	int64_t ret = 0;

	(void)vm;
	(void)arg1;
	(void)arg2;
	for (uint16_t id = 0U; (each = vm_by_id(id)) != NULL; id++) {
		if (each != caller->vm) {
			spin_lock(&each->lock);
		} else if (!spin_try_lock(&each->lock)) {
			return -EBUSY;
		}
		if ((each->state != VM_POWERED_OFF) && (each->config->load_order != SCN_PRE_LAUNCHED_VM) &&
			(arch_gpa_audit(each) != 0)) {
			ret = -EFAULT;
		}
		spin_unlock(&each->lock);
	}
	return ret;
}
