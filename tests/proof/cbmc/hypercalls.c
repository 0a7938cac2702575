/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/hypercall.c and hypercall_vm.c: hypercall_dispatch() with every number, every two arguments, every content
 * of the caller's memory, which becomes another at each look, and VMs in every state: what the rest of the hypervisor
 * is called with is what its headers ask for. The VM exists, is no other than may be meant, and is locked; numbers of
 * vCPUs, CPU masks, names, pages and vectors are in range; every lock is given back; who is not the Service VM gets
 * nothing.
 * Bounds: the Service VM in the first slot and CONFIG_MAX_VM_NUM - 1 others, CONFIG_MAX_VCPUS_PER_VM vCPUs each. The
 * copy itself is the proof "copy", HC_VM_SET_MEMORY_REGIONS the proof "regions"; string functions are taken at their
 * headers' word.
 */
#undef __atomic_load_n
#define __atomic_load_n(p, order) (*(p)) /* a VM's state changes under its lock only */
#include <hypervisor/hypercall.c>

#include <hv/arch.h>
#include <hv/hypercall.h>
#include <hv/memory.h>
#include <hv/timer.h>
#include <hv/upcall.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <hv/vm_cpus.h>
#include <hv/vm_life.h>
#include <hv/vm_memory.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <public/acrn_hv_defs.h>

#define VMS CONFIG_MAX_VM_NUM

/* An object for each, not an array: so CBMC keeps them apart. */
static struct acrn_vm first, second, third;
static struct scenario_vm first_config, second_config, third_config;
static struct acrn_vm *const vms[] = {&first, &second, &third};
static struct scenario_vm *const configs[] = {&first_config, &second_config, &third_config};
static struct scenario scenario;
static struct acrn_vm *const service = &first;
static struct acrn_vcpu *const caller = &first.vcpus[0];
static uint64_t asked; /* the hypercall's number */
static uint32_t changes; /* calls that change something */
static hpa_t good_page; /* said to be the Service VM's RAM */

/* ---- Who is there ---- */

struct acrn_vm *vm_by_id(uint16_t vm_id)
{
	for (uint16_t id = 0U; id < VMS; id++) {
		if (vm_id == id) {
			return vms[id];
		}
	}
	return NULL;
}

bool vm_is_service(const struct acrn_vm *vm)
{
	return vm == service;
}

struct acrn_vcpu *vm_vcpu(struct acrn_vm *vm, uint32_t vcpu_id)
{
	return (vcpu_id < vm->vcpu_count) ? &vm->vcpus[vcpu_id] : NULL;
}

uint16_t vm_id_from_relative(uint16_t rel_id)
{
	(void)rel_id;
	return nondet_u16();
}

uint16_t vm_id_to_relative(uint16_t vm_id)
{
	PROVE(vm_id < VMS);
	return nondet_u16();
}

const struct scenario *vm_scenario(void)
{
	return &scenario;
}

int32_t scenario_find_post_launched(const struct scenario *scn, const char *name, size_t len)
{
	const int32_t id = (int32_t)nondet_u8() - 1;

	PROVE(scn == &scenario && len < ACRN_VM_NAME_LEN && is_terminated(name));
	ASSUME(id < (int32_t)VMS && id != 0 && (id != 1 || second_config.load_order == SCN_POST_LAUNCHED_VM));
	ASSUME(id != 2 || third_config.load_order == SCN_POST_LAUNCHED_VM);
	return id;
}

/* ---- The caller's memory ---- */

int32_t copy_from_gpa(struct acrn_vm *vm, void *dst, gpa_t gpa, size_t size)
{
	(void)gpa;
	PROVE(vm == service && size != 0UL && __CPROVER_w_ok(dst, size));
	if (nondet_bool()) {
		return -EFAULT;
	}
	__CPROVER_havoc_slice(dst, size);
	return 0;
}

int32_t copy_to_gpa(struct acrn_vm *vm, gpa_t gpa, const void *src, size_t size)
{
	(void)gpa;
	PROVE(vm == service && size != 0UL && __CPROVER_r_ok(src, size));
	return nondet_bool() ? 0 : -EFAULT;
}

/* ---- Strings ---- */

static bool is_terminated(const char *name)
{
	for (uint32_t i = 0U; i < ACRN_VM_NAME_LEN; i++) {
		if (name[i] == '\0') {
			return true;
		}
	}
	return false;
}

size_t strlen(const char *s)
{
	const size_t len = nondet_u8() % ACRN_VM_NAME_LEN;

	PROVE(is_terminated(s));
	ASSUME(len > 0UL && s[len] == '\0');
	return len;
}

int strcmp(const char *a, const char *b)
{
	PROVE(__CPROVER_r_ok(a, ACRN_VM_NAME_LEN) && is_terminated(b));
	return nondet_bool() ? 0 : 1;
}

/* What a slot's name is counts for nothing. */
size_t strlcpy(char *dst, const char *src, size_t size)
{
	PROVE(size == ACRN_VM_NAME_LEN && __CPROVER_w_ok(dst, size) && __CPROVER_r_ok(src, 1UL));
	return 0UL;
}

/* ---- What is called ---- */

static int32_t any_answer(void)
{
	const int32_t error = (int32_t)(nondet_u8() % 128U);

	return -error;
}

/* A VM that a hypercall may change: not the caller's, locked, a User VM unless the scenario says more. */
static void check_vm(const struct acrn_vm *vm, bool is_life)
{
	const uint32_t order = vm->config->load_order;

	changes++;
	PROVE(vm != service && vm->lock.is_held);
	PROVE(order == SCN_POST_LAUNCHED_VM || (is_life && vm->config->service_control));
}

int32_t vm_create(struct acrn_vm *vm, const uint16_t *affinity, uint16_t count)
{
	PROVE(asked == HC_CREATE_VM && count <= CONFIG_MAX_VCPUS_PER_VM && (affinity == NULL) == (count == 0U));
	PROVE(!vm->config->refused && vm->state == VM_POWERED_OFF);
	check_vm(vm, false);
	for (uint16_t i = 0U; i < count; i++) {
		PROVE(affinity[i] < 64U && (vm->config->pcpu_mask >> affinity[i] & 1UL) != 0UL);
		PROVE(i == 0U || affinity[i] > affinity[i - 1U]);
	}
	if (nondet_bool()) {
		return -ENOMEM;
	}
	vm->state = VM_CREATED;
	return 0;
}

int32_t vm_destroy(struct acrn_vm *vm)
{
	PROVE(asked == HC_DESTROY_VM || asked == HC_CREATE_VM);
	check_vm(vm, true);
	vm->state = VM_POWERED_OFF;
	return 0;
}

int32_t vm_life_start(struct acrn_vm *vm)
{
	PROVE(asked == HC_START_VM);
	PROVE(!vm->forward_io || vm->ioreq_buf != NULL);
	PROVE(vm->state != VM_POWERED_OFF || vm->config->load_order == SCN_PRE_LAUNCHED_VM);
	check_vm(vm, true);
	return any_answer();
}

int32_t vm_life_reset(struct acrn_vm *vm)
{
	PROVE(asked == HC_RESET_VM && vm->config->load_order == SCN_PRE_LAUNCHED_VM);
	check_vm(vm, true);
	return any_answer();
}

int32_t vm_reset(struct acrn_vm *vm)
{
	PROVE(asked == HC_RESET_VM);
	check_vm(vm, false);
	return any_answer();
}

int32_t vm_pause(struct acrn_vm *vm)
{
	PROVE(asked == HC_PAUSE_VM && vm->state != VM_POWERED_OFF);
	check_vm(vm, true);
	return any_answer();
}

const char *vm_life_error(int64_t error)
{
	PROVE(error < 0L);
	return "";
}

int32_t arch_vcpu_set_regs(struct acrn_vcpu *vcpu, const struct acrn_regs *regs)
{
	struct acrn_vm *const vm = vcpu->vm;

	PROVE(asked == HC_SET_VCPU_REGS && vm->state != VM_RUNNING && vm->state != VM_POWERED_OFF);
	PROVE(vcpu >= vm->vcpus && vcpu < vm->vcpus + vm->vcpu_count && __CPROVER_r_ok(regs, sizeof(*regs)));
	check_vm(vm, false);
	return any_answer();
}

int32_t arch_inject_msi(struct acrn_vm *vm, uint64_t addr, uint64_t data)
{
	(void)addr;
	(void)data;
	PROVE(asked == HC_INJECT_MSI && vm->state != VM_POWERED_OFF);
	check_vm(vm, false);
	return any_answer();
}

int32_t vm_set_irqline(struct acrn_vm *vm, uint32_t gsi, uint32_t op)
{
	(void)gsi;
	(void)op;
	PROVE(asked == HC_SET_IRQLINE && vm->state != VM_POWERED_OFF);
	check_vm(vm, false);
	return any_answer();
}

bool vm_is_service_ram(hpa_t hpa, uint64_t size)
{
	PROVE(asked == HC_SET_IOREQ_BUFFER && size == PAGE_SIZE);
	good_page = nondet_bool() ? hpa : INVALID_HPA;
	return good_page == hpa;
}

void vhm_set_page(struct acrn_vm *vm, hpa_t hpa)
{
	PROVE(asked == HC_SET_IOREQ_BUFFER && vm->state == VM_CREATED);
	PROVE(hpa != 0UL && (hpa & (PAGE_SIZE - 1UL)) == 0UL && hpa == good_page);
	check_vm(vm, false);
}

void thread_wake(struct thread *thread)
{
	const struct acrn_vcpu *const vcpu = container_of(thread, struct acrn_vcpu, thread);

	changes++;
	PROVE(asked == HC_NOTIFY_REQUEST_FINISH && vcpu->vm != service);
	PROVE(vcpu >= vcpu->vm->vcpus && vcpu < vcpu->vm->vcpus + vcpu->vm->vcpu_count);
}

void vhm_set_upcall(uint32_t vector, uint32_t vcpu_id)
{
	changes++;
	PROVE(asked == HC_SET_CALLBACK_VECTOR && vector >= 0x20U && vector <= 0xFEU && vcpu_id == caller->vcpu_id);
}

void vcpu_pause(struct acrn_vcpu *vcpu)
{
	changes++;
	PROVE(asked == HC_SERVICE_VM_OFFLINE_CPU && vcpu->vm == service && vcpu != caller && vcpu->vcpu_id != 0U);
}

void vm_cpus_release(struct acrn_vm *vm, uint64_t mask)
{
	PROVE(asked == HC_SERVICE_VM_OFFLINE_CPU && vm == service && mask != 0UL && (mask & (mask - 1UL)) == 0UL);
}

int32_t arch_gpa_audit(struct acrn_vm *vm)
{
	PROVE(asked == HC_ARIL_AUDIT && vm->lock.is_held && vm->state != VM_POWERED_OFF);
	return nondet_bool() ? 0 : -EFAULT;
}

uint64_t memory_pages_owned(uint16_t owner)
{
	PROVE(owner < VMS || owner == PAGE_OWNER_HV);
	return nondet_u32();
}

uint64_t memory_pages_free(void)
{
	return nondet_u32();
}

uint32_t thread_count(void)
{
	return nondet_u32();
}

uint32_t timer_count(void)
{
	return nondet_u32();
}

int64_t hcall_vm_set_memory_regions(struct acrn_vcpu *vcpu, struct acrn_vm *vm, uint64_t arg1, uint64_t arg2)
{
	struct acrn_vm *user = NULL;

	(void)arg2;
	PROVE(asked == HC_VM_SET_MEMORY_REGIONS && vcpu == caller && vm == NULL);
	if (hcall_lock_vm(vcpu, arg1, &user) != 0) { /* arg1: as good as the number in its structure */
		return -EINVAL;
	}
	check_vm(user, false);
	spin_unlock(&user->lock);
	return any_answer();
}

/* ---- Any state ---- */

struct scenario_vm nondet_config(void);

static void any_vms(void)
{
	for (uint16_t id = 0U; id < VMS; id++) {
		struct acrn_vm *const vm = vms[id];

		*configs[id] = nondet_config();
		/* What the scenario reader sees to. */
		ASSUME((configs[id]->load_order == SCN_SERVICE_VM) == (vm == service));
		ASSUME(vm == service || configs[id]->load_order == SCN_PRE_LAUNCHED_VM ||
			configs[id]->load_order == SCN_POST_LAUNCHED_VM);
		ASSUME(!configs[id]->dynamic || configs[id]->load_order == SCN_POST_LAUNCHED_VM);
		vm->vm_id = id;
		vm->config = configs[id];
		vm->state = nondet_u32();
		vm->vcpu_count = nondet_u16();
		vm->forward_io = nondet_bool();
		vm->ioreq_buf = nondet_bool() ? (union vhm_request_buffer *)(void *)configs : NULL;
		ASSUME(vm->state <= VM_PAUSED && vm->vcpu_count <= CONFIG_MAX_VCPUS_PER_VM);
		for (uint16_t i = 0U; i < CONFIG_MAX_VCPUS_PER_VM; i++) {
			vm->vcpus[i].vm = vm;
			vm->vcpus[i].vcpu_id = i;
			vm->vcpus[i].apic_id = nondet_u32();
			vm->vcpus[i].pcpu_id = nondet_u8() % CONFIG_MAX_PCPU_NUM;
			vm->vcpus[i].state = nondet_u32();
		}
	}
}

/* Every call that there is, one after the other, for CBMC to follow no more than one function. */
static void every_call(void)
{
	const uint32_t which = nondet_u8();

	for (uint32_t i = 0U; i < ARRAY_SIZE(hcalls); i++) {
		if (which == i && hcalls[i].fn != NULL) {
			int64_t ret;

			asked = hcalls[i].id;
			ret = hypercall_dispatch(caller, asked, nondet_u64(), nondet_u64());
			PROVE(ret <= 0L);
		}
	}
}

int main(void)
{
	const uint64_t number = nondet_u64();

	any_vms();
	every_call();
	for (uint32_t id = 0U; id < VMS; id++) {
		PROVE(!vms[id]->lock.is_held);
	}
	/* Any other number is none, and no other VM is answered. */
	PROVE(find_hcall(number) == NULL || (find_hcall(number)->id == number && number >> 32U == 0UL));
	changes = 0U;
	PROVE(hypercall_dispatch(&vms[VMS - 1U]->vcpus[0], HC_DESTROY_VM, nondet_u64(), nondet_u64()) == -EPERM);
	PROVE(changes == 0U);
	return 0;
}
