/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/guest_vm.c: run loop and notifications of a VM. */
#include <unit.h>

#include <string.h>

#include <fake.h>
#include <hv/guest_vm.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/errno.h>

static struct acrn_vm *vm;
static uint64_t badges;
static uint32_t calls, runs;
static int32_t answer;

static int32_t notified(struct acrn_vm *v, uint64_t badge, void *cookie)
{
	EXPECT((v == vm) && (cookie == &badges));
	calls++;
	badges |= badge;
	return answer;
}

/* UVM1, on pCPU 2. */
static void setup(void)
{
	const uint16_t affinity[1] = {2U};

	fake_machine();
	fake_scenario.vm[1].unhandled_port = SCN_PORT_LOG;
	vm = vm_by_id(1U);
	EXPECT_EQ(vm_create(vm, affinity, 1U), 0);
	fake_cpu_id = 2U;
	badges = 0UL;
	calls = 0U;
	runs = 0U;
	answer = 0;
}

static void end(void)
{
	fake_cpu_id = 0U;
	fake_machine_end();
}

static int32_t powers_off(struct acrn_vcpu *vcpu)
{
	runs++;
	if (runs == 3U) {
		vm_stop_self(vcpu->vm, "power off");
	}
	return 0;
}

static int32_t fails(struct acrn_vcpu *vcpu)
{
	vcpu_fatal(vcpu, "an unhandled exit");
	return -EIO;
}

TEST(vm_run_blocks_until_the_vm_ends)
{
	setup();
	vm->vcpus[0].arch.on_run = powers_off;
	EXPECT_EQ(vm_run(vm), 0);
	EXPECT_EQ(runs, 3U);
	EXPECT_EQ(vm->run.exit_reason, VM_GUEST_STOPPED);
	EXPECT_EQ(vm_run(vm), -1); /* it was started already */
	end();
}

TEST(vm_run_says_when_the_vm_was_stopped_for_a_fault)
{
	setup();
	EXPECT_EQ(vm->run.exit_reason, VM_GUEST_UNKNOWN_EXIT);
	vm->vcpus[0].arch.on_run = fails;
	EXPECT_EQ(vm_run(vm), -1);
	EXPECT_EQ(vm->run.exit_reason, VM_GUEST_ERROR_EXIT);
	EXPECT(strstr(vm->stop_reason, "an unhandled exit") != NULL);
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(vm_reset(vm), 0);
	EXPECT_EQ(vm->run.exit_reason, VM_GUEST_UNKNOWN_EXIT);
	end();
}

TEST(vm_run_of_a_vm_that_is_off_fails)
{
	fake_machine();
	EXPECT_EQ(vm_run(vm_by_id(1U)), -1);
	fake_machine_end();
}

TEST(vcpu_start_only_once)
{
	setup();
	EXPECT_EQ(vcpu_start(&vm->vcpus[0]), 0);
	EXPECT_EQ(vm->vcpus[0].state, VCPU_RUNNING);
	EXPECT_EQ(vcpu_start(&vm->vcpus[0]), -1);
	end();
}

TEST(notification_reaches_the_callback_before_the_guest_runs)
{
	setup();
	EXPECT_EQ(vm_register_notification_callback(NULL, notified, NULL), -1);
	EXPECT_EQ(vm_register_notification_callback(vm, NULL, NULL), -1);
	EXPECT_EQ(vm_register_notification_callback(vm, notified, &badges), 0);
	vm_notify(vm, 0x1UL);
	(void)fake_run(2U, 10U);
	EXPECT_EQ(calls, 0U); /* not before it is started */
	EXPECT_EQ(vm_start(vm), 0);
	vm_notify(vm, 0x4UL);
	(void)fake_run(2U, 10U);
	EXPECT_EQ(calls, 1U); /* both in one */
	EXPECT_EQ(badges, 0x5UL);
	EXPECT_EQ(vm->vcpus[0].arch.runs, 1U);
	vm_notify(vm, 0x8UL); /* it sleeps in HLT, and goes on sleeping */
	(void)fake_run(2U, 10U);
	EXPECT_EQ(calls, 2U);
	EXPECT_EQ(vm->vcpus[0].arch.runs, 1U);
	EXPECT_EQ(vm_register_notification_callback(vm, notified, NULL), -1); /* it runs */
	end();
}

/* The guest runs on its pCPU when another pCPU notifies: it is kicked out. */
static int32_t runs_long(struct acrn_vcpu *vcpu)
{
	runs++;
	if (runs == 2U) {
		fake_cpu_id = 0U;
		vm_notify(vcpu->vm, 0x10UL);
		fake_cpu_id = 2U;
	} else if (runs == 5U) {
		vm_stop_self(vcpu->vm, "never notified");
	}
	return 0;
}

static int32_t notified_and_stop(struct acrn_vm *v, uint64_t badge, void *cookie)
{
	(void)notified(v, badge, cookie);
	EXPECT_EQ(runs, 2U); /* at once */
	return -1;
}

TEST(notification_interrupts_a_running_guest_and_an_error_stops_it)
{
	setup();
	EXPECT_EQ(vm_register_notification_callback(vm, notified_and_stop, &badges), 0);
	vm->vcpus[0].arch.on_run = runs_long;
	fake_kicks[2] = 0U;
	EXPECT_EQ(vm_run(vm), -1);
	EXPECT(fake_kicks[2] != 0U);
	EXPECT_EQ(badges, 0x10UL);
	EXPECT(strstr(vm->stop_reason, "notification 0x10: refused") != NULL);
	end();
}

TEST(notification_that_nobody_wants_is_logged)
{
	setup();
	EXPECT_EQ(vm_start(vm), 0);
	vm_notify(vm, 0x2UL);
	(void)fake_run(2U, 10U);
	EXPECT(strstr(fake_log, "notification 0x2: nobody wants it") != NULL);
	EXPECT(!vm->stop_requested);
	vm_notify(vm_by_id(2U), 0x2UL); /* a VM that is off */
	end();
}
