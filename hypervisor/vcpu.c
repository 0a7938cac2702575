/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual CPUs: making, pausing and waking them. Their life as a thread is in vcpu_thread.c. */
#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/trace.h>
#include <hv/upcall.h>
#include <hv/vcpu.h>
#include <hv/vcpu_thread.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/string.h>

static void clear_work(struct acrn_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->requests, 0UL, __ATOMIC_RELAXED);
	vcpu->halted = false;
	vcpu->sipi_vector = 0U;
	vcpu->io_state = IO_NONE;
	vcpu->io_seen = REQ_STATE_FREE;
	(void)memset(&vcpu->req, 0, sizeof(vcpu->req));
}

int32_t vcpu_create(struct acrn_vm *vm, uint16_t vcpu_id, uint16_t pcpu_id)
{
	struct acrn_vcpu *vcpu = &vm->vcpus[vcpu_id];
	int32_t ret;

	/* Not vcpu->thread: a late waker of its former life may be looking at it. */
	vcpu->vm = vm;
	vcpu->vcpu_id = vcpu_id;
	vcpu->pcpu_id = pcpu_id;
	vcpu->apic_id = vm->own_apic_ids ? vcpu_id : arch_cpu_apic_id(pcpu_id);
	vcpu->state_before_pause = VCPU_INIT;
	vcpu->pause_requested = false;
	clear_work(vcpu);
	vcpu->io_since = 0UL;
	vcpu->io_latency = 0UL;
	vcpu->until_timed = 1U;
	vcpu->timed_at_first = VCPU_TIMED_AT_FIRST;
	vcpu->io_forwarded = 0UL;
	(void)memset(vcpu->exit_count, 0, sizeof(vcpu->exit_count));
	(void)memset(vcpu->exit_timed, 0, sizeof(vcpu->exit_timed));
	(void)memset(vcpu->exit_ticks, 0, sizeof(vcpu->exit_ticks));
	(void)memset(&vcpu->arch, 0, sizeof(vcpu->arch));

	ret = arch_vcpu_init(vcpu);
	if (ret != 0) {
		return ret;
	}
	arch_vcpu_reset(vcpu);
	vcpu->state = VCPU_INIT;
	vcpu->thread.who = TRACE_WHO(vm->vm_id, vcpu_id);
	thread_init(&vcpu->thread, pcpu_id, vcpu_thread_run, vcpu_thread_switch_out);
	thread_set_share(&vcpu->thread, &vm->config->share);
	return 0;
}

uint64_t vcpu_exits(const struct acrn_vcpu *vcpu)
{
	uint64_t exits = 0UL;

	for (uint32_t reason = 0U; reason < VCPU_EXIT_REASONS; reason++) {
		exits += vcpu->exit_count[reason];
	}
	return exits;
}

void vcpu_destroy(struct acrn_vcpu *vcpu)
{
	thread_retire(&vcpu->thread);
	vcpu->state = VCPU_OFFLINE;
	arch_vcpu_destroy(vcpu);
}

int32_t vcpu_start(struct acrn_vcpu *vcpu)
{
	if (vcpu->state != VCPU_INIT) {
		return -1;
	}
	__atomic_store_n(&vcpu->pause_requested, false, __ATOMIC_RELEASE);
	vcpu->state = VCPU_RUNNING;
	thread_wake(&vcpu->thread);
	return 0;
}

void vcpu_request_pause(struct acrn_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->pause_requested, true, __ATOMIC_SEQ_CST);
	(void)bit_test_and_set(&vcpu->requests, VCPU_REQ_EVENT); /* makes it look up if it is the caller's own */
	thread_unqueue(&vcpu->thread);
	if (thread_is_running(&vcpu->thread) && (vcpu->pcpu_id != arch_cpu_id())) {
		arch_kick_cpu(vcpu->pcpu_id);
	}
}

void vcpu_pause(struct acrn_vcpu *vcpu)
{
	if ((vcpu->state == VCPU_PAUSED) || (vcpu->state == VCPU_OFFLINE)) {
		return;
	}
	vcpu_request_pause(vcpu);
	thread_wait_off_cpu(&vcpu->thread);
	vcpu->state_before_pause = vcpu->state;
	vcpu->state = VCPU_PAUSED;
}

void vcpu_resume(struct acrn_vcpu *vcpu)
{
	if (vcpu->state != VCPU_PAUSED) {
		return;
	}
	vcpu->state = vcpu->state_before_pause;
	__atomic_store_n(&vcpu->pause_requested, false, __ATOMIC_RELEASE);
	/* Whatever came while it was paused made its thread run in vain: let it look again. */
	thread_wake(&vcpu->thread);
}

void vcpu_reset(struct acrn_vcpu *vcpu)
{
	clear_work(vcpu);
	arch_vcpu_reset(vcpu);
	vcpu->state = VCPU_INIT;
	__atomic_store_n(&vcpu->pause_requested, false, __ATOMIC_RELEASE);
}

void vcpu_make_request(struct acrn_vcpu *vcpu, uint32_t req)
{
	(void)bit_test_and_set(&vcpu->requests, req);
	vcpu_kick(vcpu);
}

void vcpu_kick(struct acrn_vcpu *vcpu)
{
	thread_wake(&vcpu->thread);
	/* If it became RUNNING after thread_wake() it will look at its requests before it enters the guest anyway. */
	if ((vcpu->pcpu_id != arch_cpu_id()) && thread_is_running(&vcpu->thread)) {
		arch_kick_cpu(vcpu->pcpu_id);
	}
}

void vcpu_map_wait(struct acrn_vm *vm)
{
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		struct acrn_vcpu *vcpu = &vm->vcpus[i];
		/* A full barrier, as in vcpu_map_begin(): this sees that it has begun, or it sees the change. */
		const uint64_t epoch = __atomic_fetch_add(&vcpu->map_epoch, 0UL, __ATOMIC_SEQ_CST);

		if ((vcpu->pcpu_id == arch_cpu_id()) || ((epoch & 1UL) == 0UL)) {
			continue;
		}
		vcpu_make_request(vcpu, VCPU_REQ_TLB_FLUSH);
		while (__atomic_load_n(&vcpu->map_epoch, __ATOMIC_ACQUIRE) == epoch) {
			spin_pause();
		}
	}
}

void vcpu_halt(struct acrn_vcpu *vcpu)
{
	vcpu->halted = true;
}

void vcpu_yield(struct acrn_vcpu *vcpu)
{
	if ((vcpu->pcpu_id == arch_cpu_id()) && sched_others_runnable()) {
		sched_skip_turn();
	}
}
