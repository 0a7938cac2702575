/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a virtual machine.
 *
 *   POWERED_OFF --vm_create--> CREATED --vm_start--> RUNNING --vm_pause--> PAUSED
 *                                 ^                     ^------vm_start------|
 *                                 |--------------------vm_reset--------------|     any --vm_destroy--> POWERED_OFF
 *
 * What is made of these steps for pre-launched VMs: vm_life.c. All under vm->lock, which a vCPU thread never takes for
 * its own VM: whoever holds it may wait for that thread to leave its CPU.
 */
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/stats.h>
#include <hv/summary.h>
#include <hv/unhandled.h>
#include <hv/vcpu.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <hv/vm_cpus.h>
#include <hv/vm_devices.h>
#include <hv/vm_life.h>
#include <hv/vm_load.h>
#include <hv/vm_memory.h>
#include <hv/vm_stop.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

struct hv_counters hv_counters;

static struct acrn_vm vms[CONFIG_MAX_VM_NUM];
static uint32_t vm_slots;
static uint32_t service_id = CONFIG_MAX_VM_NUM;
static const struct scenario *the_scenario;

/* ---- Who is who ---- */

struct acrn_vm *vm_by_id(uint16_t vm_id)
{
	return (vm_id < vm_slots) ? &vms[vm_id] : NULL;
}

struct acrn_vm *vm_service(void)
{
	return (service_id < vm_slots) ? &vms[service_id] : NULL;
}

bool vm_is_service(const struct acrn_vm *vm)
{
	return (vm->config != NULL) && (vm->config->load_order == SCN_SERVICE_VM);
}

struct acrn_vcpu *vm_vcpu(struct acrn_vm *vm, uint32_t vcpu_id)
{
	return (vcpu_id < vm->vcpu_count) ? &vm->vcpus[vcpu_id] : NULL;
}

uint16_t vm_id_to_relative(uint16_t vm_id)
{
	return ((vm_id < vm_slots) && (service_id < vm_slots)) ? (uint16_t)((vm_id + vm_slots - service_id) % vm_slots)
							       : INVALID_VM_ID;
}

uint16_t vm_id_from_relative(uint16_t rel_id)
{
	return ((rel_id < vm_slots) && (service_id < vm_slots)) ? (uint16_t)((rel_id + service_id) % vm_slots)
								: INVALID_VM_ID;
}

const struct scenario *vm_scenario(void)
{
	return the_scenario;
}

const char *vm_state_name(uint32_t state)
{
	static const char *const names[] = {
		[VM_POWERED_OFF] = "off",
		[VM_CREATED] = "created",
		[VM_RUNNING] = "running",
		[VM_PAUSED] = "paused",
	};

	return (state < ARRAY_SIZE(names)) ? names[state] : "?";
}

void vm_init_slots(const struct scenario *scenario)
{
	the_scenario = scenario;
	service_id = CONFIG_MAX_VM_NUM;
	vm_slots = MIN(scenario->vm_count, CONFIG_MAX_VM_NUM);
	for (uint32_t i = 0U; i < vm_slots; i++) {
		struct acrn_vm *vm = &vms[i];

		vm->vm_id = (uint16_t)i;
		vm->state = VM_POWERED_OFF;
		vm->restart = VM_RESTART_NONE;
		vm->ram_hpa = 0UL;
		vm->config = &scenario->vm[i];
		(void)strlcpy(vm->name, vm->config->name, sizeof(vm->name));
		spinlock_init(&vm->lock);
		if (vm->config->load_order == SCN_SERVICE_VM) {
			service_id = i;
		}
	}
}

/* ---- Creating and destroying ---- */

/* Everything that is not constant from slot to slot and not cleared by its own init function. */
static void clear_vm(struct acrn_vm *vm)
{
	(void)memset(vm->pio, 0, sizeof(vm->pio));
	(void)memset(vm->mmio, 0, sizeof(vm->mmio));
	vm->mmio_count = 0U;
	(void)memset(&vm->mem, 0, sizeof(vm->mem));
	vm_reservations_init(&vm->mem.reserved);
	(void)memset(&vm->run, 0, sizeof(vm->run));
	vm->ioreq_page = 0UL;
	vm->ioreq_buf = NULL;
	vm->faults = 0UL;
	vm->mapped_bytes = 0UL;
	vm->vcpu_count = 0U;
	vm_stop_clear(vm);
}

static void free_vcpus(struct acrn_vm *vm)
{
	while (vm->vcpu_count != 0U) {
		vm->vcpu_count--;
		vcpu_destroy(&vm->vcpus[vm->vcpu_count]);
	}
}

static int32_t create_vcpus(struct acrn_vm *vm, const uint16_t *affinity, uint16_t count)
{
	for (uint16_t i = 0U; i < count; i++) {
		const int32_t ret = vcpu_create(vm, i, affinity[i]);

		if (ret != 0) {
			free_vcpus(vm);
			return ret;
		}
		vm->vcpu_count = (uint16_t)(i + 1U);
	}
	return 0;
}

/* Memory first: registering an MMIO range takes it out of the map. */
static int32_t create_memory_and_devices(struct acrn_vm *vm)
{
	int32_t ret = 0;

	if (vm->config->load_order == SCN_SERVICE_VM) {
		ret = vm_map_service_memory(vm);
	} else if (vm->config->load_order == SCN_PRE_LAUNCHED_VM) {
		ret = vm_map_prelaunched_memory(vm);
	}
	return (ret == 0) ? vm_devices_init(vm) : ret;
}

/* Everything but the CPUs' claim. Also undoes a part. */
static void free_vm(struct acrn_vm *vm)
{
	vm_life_end(vm);
	/* Before the vCPUs: the console's thread brings bytes, and so interrupts, without vm->lock. */
	vm_devices_destroy(vm);
	free_vcpus(vm);
	arch_vm_destroy(vm);
	vm_ioports_destroy(vm);
	if (memory_pages_owned(vm->vm_id) != 0UL) {
		pr_err("VM%u '%s' leaves %lu pages behind", vm->vm_id, vm->name, memory_pages_owned(vm->vm_id));
	}
}

static int32_t create_vm(struct acrn_vm *vm, const uint16_t *affinity, uint16_t count)
{
	int32_t ret;

	clear_vm(vm);
	ret = arch_vm_init(vm);
	if (ret != 0) {
		return ret;
	}
	ret = vm_ioports_init(vm);
	if (ret == 0) {
		ret = create_memory_and_devices(vm);
	}
	if (ret == 0) {
		ret = unhandled_init(vm);
	}
	if (ret == 0) {
		ret = create_vcpus(vm, affinity, count);
	}
	if (ret == 0) {
		ret = vm_devices_init_vcpus(vm);
	}
	if (ret != 0) {
		free_vm(vm);
	}
	return ret;
}

int32_t vm_create(struct acrn_vm *vm, const uint16_t *affinity, uint16_t count)
{
	const bool placed = (affinity == NULL);
	bool once;
	uint64_t mask = 0UL;
	int32_t ret;

	if (vm->state != VM_POWERED_OFF) {
		return -EBUSY;
	}
	vm->own_apic_ids = placed && !vm_is_service(vm);
	if (placed) {
		affinity = vm->config->vcpu_pcpu;
		count = (uint16_t)vm->config->vcpu_count;
	}
	if ((count == 0U) || (count > CONFIG_MAX_VCPUS_PER_VM)) {
		return -EINVAL;
	}
	once = !vm->own_apic_ids || (vm_scenario()->scheduler == SCN_SCHED_NOOP);
	for (uint16_t i = 0U; i < count; i++) {
		if ((affinity[i] >= CONFIG_MAX_PCPU_NUM) || (once && ((mask & BIT(affinity[i])) != 0UL))) {
			return -EINVAL;
		}
		mask |= BIT(affinity[i]);
	}
	ret = vm_cpus_claim(vm, mask);
	if (ret != 0) {
		return ret;
	}
	ret = create_vm(vm, affinity, count);
	if (ret != 0) {
		pr_err("VM%u '%s' cannot be created: error %d", vm->vm_id, vm->name, ret);
		vm_cpus_release(vm, mask);
		return ret;
	}
	vm_life_begin(vm);
	vm->io_polling = vm->config->io_polling;
	vm->state = VM_CREATED;
	hv_stats_count(&hv_counters.vms_created);
	pr_info("VM%u '%s' created: %u vCPUs on CPU mask 0x%lx", vm->vm_id, vm->name, count, mask);
	return 0;
}

int32_t vm_destroy(struct acrn_vm *vm)
{
	/* What runs is stopped first, in whatever state it is: nobody else would do it for a dead device model. */
	if (vm_pause(vm) != 0) {
		return 0; /* it is off */
	}
	summary_keep_vm(vm);
	vhm_set_page(vm, 0UL);
	free_vm(vm);
	vm_cpus_release(vm, vm->pcpu_mask);
	vm->state = VM_POWERED_OFF;
	hv_stats_count(&hv_counters.vms_destroyed);
	pr_info("VM%u '%s' destroyed: %lu pages free", vm->vm_id, vm->name, memory_pages_free());
	(void)strlcpy(vm->name, vm->config->name, sizeof(vm->name));
	return 0;
}

/* ---- Running ---- */

/* Those that are paused, and what came up meanwhile. */
static void resume(struct acrn_vm *vm)
{
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		vcpu_resume(&vm->vcpus[i]);
	}
	if (vm->restart == VM_RESTART_WANTED) {
		thread_wake(&vm->keeper); /* it found the VM paused */
	}
}

int32_t vm_start(struct acrn_vm *vm)
{
	if (vm->state == VM_POWERED_OFF) {
		return -ENOENT;
	}
	if (vm->state == VM_RUNNING) {
		return -EBUSY;
	}
	if (vm->stop_requested && (vm->restart != VM_RESTART_WANTED)) {
		return -ESHUTDOWN;
	}
	__atomic_store_n(&vm->state, VM_RUNNING, __ATOMIC_RELEASE);
	vm_stop_if_orphan(vm);
	resume(vm);
	if (vm->vcpus[0].state == VCPU_INIT) {
		(void)vcpu_start(&vm->vcpus[0]); /* its first start; the others wait for INIT and SIPI */
	}
	return 0;
}

int32_t vm_pause(struct acrn_vm *vm)
{
	if (vm->state == VM_POWERED_OFF) {
		return -ENOENT;
	}
	/* All at once, then wait for each. */
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i].state != VCPU_PAUSED) {
			vcpu_request_pause(&vm->vcpus[i]);
		}
	}
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		vcpu_pause(&vm->vcpus[i]);
	}
	vm->state = VM_PAUSED;
	return 0;
}

int32_t vm_reset(struct acrn_vm *vm)
{
	int32_t ret;

	if (vm->state == VM_POWERED_OFF) {
		return -ENOENT;
	}
	if (vm->state != VM_PAUSED) {
		return -EBUSY;
	}
	vm_stop_clear(vm);
	(void)vm_life_forget_wish(vm);
	reset_vm_ioreqs(vm);
	vm_devices_reset(vm);
	ret = vpci_sync_map(vm);
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		vcpu_reset(&vm->vcpus[i]);
	}
	vm->state = VM_CREATED;
	return ret;
}

/* ---- Boot ---- */

static int32_t boot_locked(struct acrn_vm *vm)
{
	int32_t ret = 0;

	if (vm->config->load_order == SCN_PRE_LAUNCHED_VM) {
		vm_load_reserve_modules(vm);
		ret = vm_reserve_prelaunched_memory(vm);
	}
	if (ret == 0) {
		ret = vm_create(vm, NULL, 0U);
	}
	if (ret != 0) {
		return ret;
	}
	ret = vm_load_image(vm);
	if ((ret == 0) && vm->config->autostart) {
		ret = vm_start(vm);
	}
	if (ret != 0) {
		(void)vm_destroy(vm);
	}
	return ret;
}

static void boot_vm(struct acrn_vm *vm)
{
	int32_t ret;

	if (vm->config->refused) {
		pr_err("VM%u '%s' cannot run here: %s", vm->vm_id, vm->name, vm->config->refusal);
		return;
	}
	spin_lock(&vm->lock);
	ret = boot_locked(vm);
	spin_unlock(&vm->lock);
	if (ret != 0) {
		pr_err("VM%u '%s' does not start: error %d", vm->vm_id, vm->name, ret);
	}
}

void vm_boot_all(void)
{
	uint32_t exist = 0U;

	/* The Service VM last: it gets the memory that the others leave. */
	for (uint32_t i = 0U; i < vm_slots; i++) {
		if (vms[i].config->load_order == SCN_PRE_LAUNCHED_VM) {
			boot_vm(&vms[i]);
		}
	}
	if (vm_service() != NULL) {
		boot_vm(vm_service());
	}
	for (uint32_t i = 0U; i < vm_slots; i++) {
		exist += (vms[i].state != VM_POWERED_OFF) ? 1U : 0U;
	}
	if (exist == 0U) {
		pr_err("there is no VM: the lines above say why; the console takes commands, `help` lists them");
	}
}
