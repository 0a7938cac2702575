/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/vcpu_thread.c and vcpu.c. */
#include <unit.h>

#include <pthread.h>
#include <string.h>

#include <fake.h>
#include <hv/arch.h>
#include <hv/sched.h>
#include <hv/upcall.h>
#include <hv/vcpu_thread.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <lib/errno.h>

static struct acrn_vm *vm;
static struct acrn_vcpu *vcpu;
static struct vhm_request *slot;
static uint32_t reads_left;
static uint32_t reads_done;

/* The guest: reads port 0x60 so many times, then halts. */
static int32_t guest(struct acrn_vcpu *v)
{
	if (reads_left == 0U) {
		vcpu_halt(v);
		return 0;
	}
	reads_left--;
	reads_done++;
	v->req.type = REQ_PORTIO;
	v->req.reqs.pio = (struct pio_request){REQUEST_READ, 0U, 0x60UL, 4UL, 0U};
	return (emulate_io(v, &v->req) < 0) ? -EIO : 0;
}

/* UVM1 with one vCPU on `pcpu`, started. */
static void setup(uint16_t pcpu, bool polling)
{
	fake_machine();
	(void)fake_run(0U, 10U); /* the Service VM's vCPU 0 halts */
	vm = vm_by_id(1U);
	EXPECT_EQ(vm_create(vm, &pcpu, 1U), 0);
	vm->io_polling = polling;
	vhm_set_page(vm, (hpa_t)fake_ram + 0x5000UL);
	vcpu = &vm->vcpus[0];
	vcpu->arch.on_run = guest;
	slot = &vm->ioreq_buf->req_queue[0];
	reads_left = 1U;
	reads_done = 0U;
	EXPECT_EQ(vm_start(vm), 0);
}

TEST(vcpu_thread_halt_blocks_and_an_event_wakes)
{
	setup(2U, false);
	reads_left = 0U;
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT(vcpu->halted);
	EXPECT_EQ(vcpu->arch.runs, 1U);
	thread_wake(&vcpu->thread); /* without an event: sleeps on */
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(vcpu->arch.runs, 1U);
	vcpu_make_request(vcpu, VCPU_REQ_EVENT);
	EXPECT_EQ(fake_run(2U, 1U), 1U);
	EXPECT_EQ(vcpu->arch.runs, 2U);
	fake_machine_end();
}

TEST(vcpu_thread_notification_mode_spins_a_moment_then_sleeps)
{
	setup(2U, false);
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(vcpu->thread.state, THREAD_BLOCKED);
	EXPECT_EQ(vcpu->io_state, IO_PENDING);
	EXPECT_EQ(vcpu->arch.runs, 1U);        /* the guest was not entered again */
	EXPECT(fake_time - vcpu->io_since >= VCPU_IO_SPIN_US);
	EXPECT(fake_time - vcpu->io_since < 4U * VCPU_IO_SPIN_US);
	EXPECT(fake_windows > 0U);
	/* A wake-up for another reason: looks, and sleeps on. */
	thread_wake(&vcpu->thread);
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(vcpu->arch.runs, 1U);
	slot->reqs.pio.value = 7U;
	slot->processed = REQ_STATE_COMPLETE;
	EXPECT_EQ(hypercall_dispatch(&vm_service()->vcpus[0], 0x80000031UL, 1UL, 0UL), 0);
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(vcpu->arch.rax, 7UL);
	EXPECT_EQ(vcpu->arch.runs, 2U); /* and halted */
	fake_machine_end();
}

static void complete_it(void)
{
	if (fake_windows == 5U) {
		slot->reqs.pio.value = 9U;
		slot->processed = REQ_STATE_COMPLETE;
	}
}

TEST(vcpu_thread_fast_answer_needs_no_sleep)
{
	setup(2U, false);
	fake_on_window = complete_it;
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(vcpu->arch.rax, 9UL);
	EXPECT_EQ(vcpu->thread.slices, 1UL);
	fake_machine_end();
}

static void complete_late(void)
{
	if (fake_windows == 1000U) {
		slot->processed = REQ_STATE_COMPLETE;
	}
}

TEST(vcpu_thread_polling_mode_never_sleeps)
{
	setup(2U, true);
	fake_on_window = complete_late;
	EXPECT_EQ(fake_run(2U, 10U), 1U); /* only to halt at the end */
	EXPECT_EQ(vcpu->arch.pio_posts, 1U);
	EXPECT(fake_windows >= 1000U);
	fake_machine_end();
}

static void pause_it(void)
{
	if (fake_windows == 100U) {
		vcpu_request_pause(vcpu); /* as from another pCPU */
	}
}

TEST(vcpu_thread_polling_ends_when_pause_is_requested)
{
	setup(2U, true);
	fake_on_window = pause_it;
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(vcpu->thread.state, THREAD_BLOCKED);
	EXPECT_EQ(vcpu->io_state, IO_PENDING);
	EXPECT_EQ(vm_pause(vm), 0);
	/* Completed while paused; goes on after the resume. */
	slot->processed = REQ_STATE_COMPLETE;
	thread_wake(&vcpu->thread);
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(vcpu->arch.pio_posts, 0U);
	EXPECT_EQ(vm_start(vm), 0);
	fake_on_window = NULL;
	EXPECT(fake_run(2U, 10U) >= 1U);
	EXPECT_EQ(vcpu->arch.pio_posts, 1U);
	fake_machine_end();
}

/* Service VM and User VM on one CPU: the waiting vCPU gives the CPU to the one that is to answer. */
static int32_t service_guest(struct acrn_vcpu *v)
{
	memset(v->arch.irr, 0, sizeof(v->arch.irr));
	if ((slot->processed == REQ_STATE_PENDING) && (vm->ioreq_buf != NULL)) {
		slot->reqs.pio.value = 0x5AU;
		slot->processed = REQ_STATE_COMPLETE;
		if (slot->completion_polling == 0U) {
			(void)hypercall_dispatch(v, 0x80000031UL, 1UL, 0UL);
		}
		return 0;
	}
	vcpu_halt(v);
	return 0;
}

static void shared_cpu(bool polling)
{
	setup(0U, polling);
	vm_service()->vcpus[0].arch.on_run = service_guest;
	reads_left = 50U;
	EXPECT(fake_run(0U, 1000U) < 1000U);
	EXPECT_EQ(reads_done, 50U);
	EXPECT_EQ(vcpu->arch.pio_posts, 50U);
	EXPECT_EQ(vcpu->arch.rax, 0x5AUL);
	EXPECT(vcpu->halted);
	EXPECT_EQ(vcpu->arch.loaded, false);
	EXPECT_EQ(vcpu->arch.posts_unloaded, 0U); /* its registers were in the CPU when they were written */
	fake_machine_end();
}

TEST(vcpu_thread_shared_cpu_notification)
{
	shared_cpu(false);
}

TEST(vcpu_thread_shared_cpu_polling)
{
	shared_cpu(true);
}

TEST(vcpu_thread_broken_protocol_stops_the_vm)
{
	setup(2U, false);
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	slot->processed = 0x55U;
	thread_wake(&vcpu->thread);
	EXPECT(fake_run(2U, 10U) <= 2U);
	EXPECT(vm->stop_requested);
	EXPECT_EQ(vm->faults, 1UL);
	EXPECT_EQ(slot->reqs.pio.address, 0x404UL); /* its device model is told */
	EXPECT_EQ(slot->processed, REQ_STATE_PENDING);
	thread_wake(&vcpu->thread);
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(vcpu->arch.runs, 1U);
	fake_machine_end();
}

static int32_t bad_guest(struct acrn_vcpu *v)
{
	(void)v;
	return -EIO;
}

TEST(vcpu_thread_run_error_without_a_reason_still_stops)
{
	setup(2U, false);
	vcpu->arch.on_run = bad_guest;
	EXPECT(fake_run(2U, 10U) <= 2U);
	EXPECT(vm->stop_requested);
	EXPECT(vm->stop_reason[0] != '\0');
	fake_machine_end();
}

TEST(vcpu_thread_init_and_sipi)
{
	const uint16_t affinity[2] = {1U, 2U};
	struct acrn_vcpu *ap;

	fake_machine();
	vm = vm_by_id(1U);
	EXPECT_EQ(vm_create(vm, affinity, 2U), 0);
	vhm_set_page(vm, (hpa_t)fake_ram + 0x5000UL);
	EXPECT_EQ(vm_start(vm), 0);
	ap = &vm->vcpus[1];
	thread_wake(&ap->thread);
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(ap->arch.runs, 0U); /* waits for SIPI */
	vcpu_make_request(ap, VCPU_REQ_INIT);
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(ap->state, VCPU_INIT);
	vcpu_make_request(ap, VCPU_REQ_SIPI);
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(ap->state, VCPU_RUNNING);
	EXPECT(ap->halted);
	vcpu_make_request(ap, VCPU_REQ_INIT); /* out of HLT into INIT */
	EXPECT_EQ(fake_run(2U, 10U), 1U);
	EXPECT_EQ(ap->state, VCPU_INIT);
	fake_machine_end();
}

/* ---- Real threads: User VM on pCPU 2, Service VM on pCPU 0, notification mode; a lost wake-up hangs it ---- */

#define MANY 5000U
static bool done_all;

static void *cpu_thread(void *arg)
{
	fake_cpu_id = (uint16_t)(uintptr_t)arg;
	while (!__atomic_load_n(&done_all, __ATOMIC_ACQUIRE)) {
		(void)sched_once();
	}
	return NULL;
}

static int32_t mt_service(struct acrn_vcpu *v)
{
	for (uint32_t i = 0U; i < 4U; i++) {
		__atomic_store_n(&v->arch.irr[i], 0UL, __ATOMIC_SEQ_CST);
	}
	if (__atomic_load_n(&slot->processed, __ATOMIC_SEQ_CST) == REQ_STATE_PENDING) {
		__atomic_store_n(&slot->processed, REQ_STATE_PROCESSING, __ATOMIC_RELEASE);
		__atomic_store_n(&slot->reqs.pio.value, 0x77U, __ATOMIC_RELAXED);
		__atomic_store_n(&slot->processed, REQ_STATE_COMPLETE, __ATOMIC_RELEASE);
		(void)hypercall_dispatch(v, 0x80000031UL, 1UL, 0UL);
		return 0;
	}
	vcpu_halt(v);
	return 0;
}

static int32_t mt_user(struct acrn_vcpu *v)
{
	if (reads_left == 0U) {
		__atomic_store_n(&done_all, true, __ATOMIC_RELEASE);
		vcpu_halt(v);
		/* Both CPUs may idle: let them see it. */
		thread_wake(&vm_service()->vcpus[0].thread);
		arch_kick_cpu(0U);
		return 0;
	}
	return guest(v);
}

TEST(vcpu_thread_no_completion_is_lost_between_cpus)
{
	pthread_t host[2];

	setup(2U, false);
	vm_service()->vcpus[0].arch.on_run = mt_service;
	vcpu->arch.on_run = mt_user;
	reads_left = MANY;
	done_all = false;
	fake_threads = true;
	pthread_create(&host[0], NULL, cpu_thread, (void *)0UL);
	pthread_create(&host[1], NULL, cpu_thread, (void *)2UL);
	pthread_join(host[1], NULL);
	arch_kick_cpu(0U);
	fake_cpu_id = 3U;
	arch_kick_cpu(0U);
	pthread_join(host[0], NULL);
	fake_cpu_id = 0U;
	fake_threads = false;
	EXPECT_EQ(reads_done, MANY);
	EXPECT_EQ(vcpu->arch.pio_posts, MANY);
	fake_access_depth = 0U; /* not atomic: two threads counted */
	fake_machine_end();
}

/* Pause, resume and destroy from one CPU while the vCPU works on another. */
static int32_t busy_guest(struct acrn_vcpu *v)
{
	(void)v;
	return 0;
}

TEST(vcpu_thread_pause_while_it_runs_elsewhere)
{
	pthread_t host;

	setup(2U, false);
	vcpu->arch.on_run = busy_guest;
	done_all = false;
	fake_threads = true;
	pthread_create(&host, NULL, cpu_thread, (void *)2UL);
	for (uint32_t i = 0U; i < 500U; i++) {
		uint32_t runs;

		EXPECT_EQ(vm_pause(vm), 0);
		EXPECT(!vcpu->arch.loaded);
		runs = vcpu->arch.runs;
		EXPECT_EQ(vcpu->state, VCPU_PAUSED);
		if ((i & 1U) != 0U) {
			EXPECT_EQ(vm_reset(vm), 0);
			EXPECT_EQ(vcpu->arch.runs, runs);
		}
		EXPECT_EQ(vm_start(vm), 0);
	}
	EXPECT_EQ(vm_destroy(vm), 0);
	__atomic_store_n(&done_all, true, __ATOMIC_RELEASE);
	arch_kick_cpu(2U);
	pthread_join(host, NULL);
	fake_threads = false;
	fake_machine_end();
}

/* INIT comes by MSI at any time; the registers may just be being set. */
TEST(vcpu_thread_does_not_run_before_the_vm_does)
{
	const uint16_t pcpu = 2U;

	fake_machine();
	vm = vm_by_id(1U);
	EXPECT_EQ(vm_create(vm, &pcpu, 1U), 0);
	vcpu = &vm->vcpus[0];
	vcpu_make_request(vcpu, VCPU_REQ_INIT);
	(void)fake_run(2U, 10U);
	EXPECT_EQ(vcpu->arch.runs, 0U);
	EXPECT_EQ(vm_start(vm), 0);
	(void)fake_run(2U, 10U);
	EXPECT(vcpu->arch.runs > 0U);
	fake_machine_end();
}
