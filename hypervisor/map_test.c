/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is there once it is touched: <hv/map_test.h>. */
#include <asm/page.h>
#include <config.h>
#include <hv/arch.h>
#include <hv/cmdline.h>
#include <hv/guest_memory.h>
#include <hv/guest_ram.h>
#include <hv/log.h>
#include <hv/map_test.h>
#include <hv/vm.h>
#include <lib/errno.h>

#define WINDOW_SIZE (MAP_TEST_PAGES * PAGE_SIZE)

static struct map_test {
	vm_memory_reservation_t *window; /* the VM's lock, as the next */
	uint32_t touched;                /* bit n: page n has its pattern */
	uint32_t calls;                  /* atomic */
} map_tests[CONFIG_MAX_VM_NUM];

/* vm_ram_touch()'s. */
static int32_t write_pattern(struct acrn_vm *vm, gpa_t gpa, void *hva, size_t size, size_t offset, void *cookie)
{
	(void)vm;
	(void)size;
	(void)offset;
	(void)cookie;
	*(uint32_t *)hva = MAP_TEST_PATTERN + (uint32_t)((gpa - MAP_TEST_RAM) / PAGE_SIZE);
	return 0;
}

/* vm->lock held. Nothing if another vCPU was here first. */
static int32_t map_page(struct acrn_vm *vm, struct map_test *test, uint64_t offset, uint32_t wanted)
{
	const gpa_t ram = MAP_TEST_RAM + offset;
	const uint32_t bit = 1U << (offset / PAGE_SIZE);
	uint32_t rights = 0U;

	if ((arch_gpa_to_hpa(vm, MAP_TEST_BASE + offset, NULL, &rights) != INVALID_HPA) &&
		((rights & wanted) == wanted)) {
		return 0;
	}
	if (((test->touched & bit) == 0U) && (vm_ram_touch(vm, ram, sizeof(uint32_t), write_pattern, NULL) != 0)) {
		return -EFAULT;
	}
	test->touched |= bit;
	return vm_map_reservation(vm, test->window, offset, arch_gpa_to_hpa(vm, ram, NULL, NULL), PAGE_SIZE, wanted);
}

static memory_fault_result_t on_touch(
	struct acrn_vm *vm, struct acrn_vcpu *vcpu, gpa_t fault_addr, size_t fault_length, void *cookie)
{
	struct map_test *test = cookie;
	const uint32_t rights = (vcpu->req.reqs.mmio.direction == REQUEST_WRITE) ? GPA_READ | GPA_WRITE : GPA_READ;
	int32_t ret;

	(void)fault_length;
	if (!spin_try_lock(&vm->lock)) {
		return FAULT_RESTART;
	}
	(void)__atomic_fetch_add(&test->calls, 1U, __ATOMIC_RELAXED);
	ret = map_page(vm, test, round_down(fault_addr, PAGE_SIZE) - MAP_TEST_BASE, rights);
	spin_unlock(&vm->lock);
	return (ret == 0) ? FAULT_RESTART : FAULT_ERROR;
}

/* vm->lock held. @return 0 or -1 */
static int32_t command(struct acrn_vm *vm, struct map_test *test, uint64_t what)
{
	if (what == MAP_TEST_REMAKE) {
		if (vm_free_reserved_memory(vm, test->window) != 0) {
			return -1;
		}
		test->window = vm_reserve_memory_at(vm, MAP_TEST_BASE, WINDOW_SIZE, on_touch, test);
		return (test->window != NULL) ? 0 : -1;
	}
	if (what == MAP_TEST_FORGET) {
		test->touched = 0U;
	}
	return vm_unmap_reservation(vm, test->window, 0UL, WINDOW_SIZE);
}

static memory_fault_result_t registers(
	struct acrn_vm *vm, struct acrn_vcpu *vcpu, gpa_t fault_addr, size_t fault_length, void *cookie)
{
	struct mmio_request *access = &vcpu->req.reqs.mmio;
	struct map_test *test = cookie;
	int32_t ret;

	(void)fault_length;
	if (fault_addr != MAP_TEST_REGISTER) {
		return FAULT_IGNORE;
	}
	if (access->direction == REQUEST_READ) {
		access->value = __atomic_load_n(&test->calls, __ATOMIC_RELAXED);
		return FAULT_HANDLED;
	}
	if (!spin_try_lock(&vm->lock)) {
		return FAULT_RESTART;
	}
	ret = command(vm, test, access->value);
	spin_unlock(&vm->lock);
	return (ret == 0) ? FAULT_HANDLED : FAULT_ERROR;
}

int32_t map_test_attach(struct acrn_vm *vm)
{
	struct map_test *test = &map_tests[vm->vm_id];

	if (!cmdline_has("map_test")) {
		return 0;
	}
	pr_warn("VM%u: map_test is on the command line", vm->vm_id);
	*test = (struct map_test){.window = vm_reserve_memory_at(vm, MAP_TEST_BASE, WINDOW_SIZE, on_touch, test)};
	return ((test->window != NULL) && (vm_ram_mark_allocated(vm, MAP_TEST_RAM, WINDOW_SIZE) == 0) &&
		       (vm_reserve_memory_at(vm, MAP_TEST_REGISTER, PAGE_SIZE, registers, test) != NULL))
		? 0
		: -ENOMEM;
}
