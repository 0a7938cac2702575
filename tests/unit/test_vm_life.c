/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/vm_life.c, and the resets of vm_stop.c: pre-launched VMs start anew. */
#include <unit.h>

#include <string.h>

#include <fake.h>
#include <hv/arch.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <hv/vm_life.h>
#include <hv/vm_stop.h>
#include <lib/errno.h>

#define PRE_CPU 2U

/* The Service VM on CPUs 0 and 1, a pre-launched VM of one vCPU on CPU 2. */
static int32_t start(struct acrn_vm *vm)
{
	int32_t ret;

	spin_lock(&vm->lock);
	ret = vm_life_start(vm);
	spin_unlock(&vm->lock);
	return ret;
}

TEST(vm_life_guest_reset_loads_anew_and_runs)
{
	struct acrn_vm *vm = fake_prelaunched();
	const uint64_t pages = fake_pages_of(4U);
	uint32_t loads;

	EXPECT_EQ(vm->state, VM_RUNNING);
	for (uint32_t i = 0U; i < 5U; i++) {
		loads = fake_loads;
		(void)fake_run(PRE_CPU, 1U);
		if (i % 2U == 0U) {
			vm_reset_requested(vm);
		} else {
			vcpu_triple_fault(&vm->vcpus[0]);
		}
		EXPECT(vm->stop_requested);
		EXPECT_EQ(fake_loads, loads); /* not on the vCPU's thread */
		(void)fake_run(PRE_CPU, 2U);
		EXPECT_EQ(fake_loads, loads + 1U);
		EXPECT_EQ(vm->state, VM_RUNNING);
		EXPECT(!vm->stop_requested);
		EXPECT_EQ(vm->restart, VM_RESTART_NONE);
		EXPECT_EQ(vm->vcpus[0].state, VCPU_RUNNING);
		EXPECT_EQ(fake_pages_of(4U), pages);
	}
	EXPECT_EQ(vm->faults, 2U);
	EXPECT(strstr(fake_log, "'PRE' is reset: vCPU0: triple fault") != NULL);
	fake_machine_end();
}

TEST(vm_life_a_reset_under_way_keeps_the_machine_on)
{
	struct acrn_vm *vm = fake_prelaunched();

	vm_reset_requested(vm);
	if (setjmp(fake_end) == 0) {
		fake_end_set = true;
		vm_stop_self(vm_service(), "power off");
	} else {
		EXPECT(false);
	}
	fake_end_set = false;
	(void)fake_run(PRE_CPU, 3U);
	EXPECT_EQ(vm->state, VM_RUNNING);
	fake_machine_end();
}

TEST(vm_life_on_reset_stop)
{
	struct acrn_vm *vm = fake_prelaunched();
	const uint32_t loads = fake_loads;

	fake_cmdline_on_reset = "stop";
	vcpu_triple_fault(&vm->vcpus[0]);
	(void)fake_run(PRE_CPU, 3U);
	EXPECT(vm->stop_requested);
	EXPECT_EQ(fake_loads, loads);
	EXPECT_EQ(vm_start(vm), -EBUSY); /* it is RUNNING, though nothing of it runs */
	EXPECT_EQ(start(vm), 0);
	EXPECT_EQ(fake_loads, loads + 1U);
	EXPECT(!vm->stop_requested);
	fake_machine_end();
}

TEST(vm_life_a_paused_vm_is_reset_when_it_goes_on)
{
	struct acrn_vm *vm = fake_prelaunched();
	const uint32_t loads = fake_loads;

	vm_reset_requested(vm);
	EXPECT_EQ(vm_pause(vm), 0);
	(void)fake_run(PRE_CPU, 3U);
	EXPECT_EQ(fake_loads, loads);
	EXPECT_EQ(vm->state, VM_PAUSED);
	EXPECT_EQ(start(vm), 0);
	(void)fake_run(PRE_CPU, 3U);
	EXPECT_EQ(fake_loads, loads + 1U);
	EXPECT(!vm->stop_requested);
	/* A reset by somebody else grants the wish. */
	vm_reset_requested(vm);
	EXPECT_EQ(vm_life_reset(vm), 0);
	(void)fake_run(PRE_CPU, 3U);
	EXPECT_EQ(fake_loads, loads + 2U);
	fake_machine_end();
}

TEST(vm_life_the_keeper_does_not_wait_for_the_lock)
{
	struct acrn_vm *vm = fake_prelaunched();
	const uint32_t loads = fake_loads;

	vm_reset_requested(vm);
	spin_lock(&vm->lock);
	EXPECT(vm->keeper.run(&vm->keeper));
	EXPECT_EQ(fake_loads, loads);
	EXPECT_EQ(vm_destroy(vm), 0);
	spin_unlock(&vm->lock);
	EXPECT_EQ(vm->restart, VM_RESTART_NONE);
	EXPECT_EQ(sched_load(PRE_CPU), 0U);
	fake_machine_end();
}

TEST(vm_life_from_off_and_back)
{
	struct acrn_vm *vm = fake_prelaunched();
	const uint64_t pages = fake_pages_of(4U);

	for (uint32_t i = 0U; i < 10U; i++) {
		EXPECT_EQ(vm_destroy(vm), 0);
		EXPECT_EQ(fake_pages_of(4U), 0U);
		EXPECT_EQ(start(vm), 0);
		EXPECT_EQ(vm->state, VM_RUNNING);
		EXPECT_EQ(arch_gpa_to_hpa(vm, 0UL, NULL, NULL), (hpa_t)fake_ram + 0x100000UL);
		EXPECT_EQ(fake_pages_of(4U), pages);
	}
	fake_machine_end();
}

TEST(vm_life_what_cannot_be_loaded_again_stays_stopped)
{
	struct acrn_vm *vm = fake_prelaunched();

	fake_load_result = -EINVAL;
	vm_reset_requested(vm);
	(void)fake_run(PRE_CPU, 3U);
	EXPECT(vm->stop_requested);
	EXPECT_EQ(vm->restart, VM_RESTART_NONE);
	EXPECT(strstr(vm->stop_reason, "cannot be loaded again: error -22") != NULL);
	fake_load_result = 0;
	EXPECT_EQ(start(vm), 0);
	EXPECT(!vm->stop_requested);
	fake_machine_end();
}

TEST(vm_life_other_vms_are_not_loaded_here)
{
	struct acrn_vm *vm = fake_prelaunched();

	EXPECT_EQ(vm_life_reset(vm_service()), -EPERM);
	EXPECT_EQ(vm_life_reset(vm_by_id(1U)), -EPERM);
	EXPECT_EQ(start(vm_by_id(1U)), -ENOENT);
	EXPECT_EQ(vm_destroy(vm), 0);
	fake_scenario.vm[4].refused = true;
	EXPECT_EQ(start(vm), -ENODEV);
	fake_machine_end();
}
