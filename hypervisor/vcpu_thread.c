/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a vCPU: one turn after the other until its CPU is wanted by somebody else or it has nothing to do.
 *
 * A request that the Service VM works on is state in the vCPU (io_state), looked after here: the guest is not
 * entered before it is complete, and no stack waits for it. In notification mode the thread sleeps after a short
 * spin and HC_NOTIFY_REQUEST_FINISH wakes it; in polling mode nobody would, so it never sleeps.
 */
#include <hv/arch.h>
#include <hv/sched.h>
#include <hv/upcall.h>
#include <hv/vcpu.h>
#include <hv/vcpu_thread.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/errno.h>

enum turn {
	TURN_AGAIN, /* keep the CPU */
	TURN_YIELD, /* let others run, then go on */
	TURN_BLOCK, /* nothing to do before thread_wake() */
};

static inline bool must_stand_still(const struct acrn_vcpu *vcpu)
{
	/* Also before its start: INIT, for one, can be injected into a VM that is just being set up. */
	return __atomic_load_n(&vcpu->pause_requested, __ATOMIC_ACQUIRE) ||
		__atomic_load_n(&vcpu->vm->stop_requested, __ATOMIC_ACQUIRE) ||
		(__atomic_load_n(&vcpu->vm->state, __ATOMIC_ACQUIRE) != VM_RUNNING);
}

static bool has_request(const struct acrn_vcpu *vcpu, uint64_t bits)
{
	return (__atomic_load_n(&vcpu->requests, __ATOMIC_ACQUIRE) & bits) != 0UL;
}

/* Waiting actively pays if the Service VM answers from another CPU within a moment; try it seldom if it did not. */
static bool spin_is_over(const struct acrn_vcpu *vcpu)
{
	const uint64_t limit = ((uint64_t)arch_tsc_khz() * VCPU_IO_SPIN_US) / 1000UL;
	const uint64_t budget = (vcpu->io_latency <= limit) ? limit : (limit / 8UL);

	return (arch_now() - vcpu->io_since) >= budget;
}

static enum turn wait_for_io(const struct acrn_vcpu *vcpu)
{
	/* This CPU's timers and kicks are for other threads too, and nobody enters the guest to let them in. */
	arch_irq_window();
	if (vcpu->vm->io_polling) {
		if (!sched_others_runnable()) {
			return TURN_AGAIN;
		}
		sched_skip_turn(); /* who it waits for may be behind it by the policy's order */
		return TURN_YIELD;
	}
	return (sched_others_runnable() || spin_is_over(vcpu)) ? TURN_BLOCK : TURN_AGAIN;
}

/* It is pending: what is answered is finished in the same turn. */
static enum turn look_after_io(struct acrn_vcpu *vcpu)
{
	switch (vhm_poll_request(vcpu)) {
	case 0:
		break;
	case -EAGAIN:
		__builtin_ia32_pause();
		return wait_for_io(vcpu);
	default:
		vcpu_fatal(vcpu, "the Service VM broke the protocol of its I/O request");
		return TURN_BLOCK;
	}
	/* Finishing the instruction writes guest state; another vCPU's may be loaded, or none. */
	arch_vcpu_load(vcpu);
	emulate_io_post(vcpu);
	return TURN_AGAIN;
}

/*
 * PCI BARs have moved. The memory map is vm->lock's, which this thread must not wait for: its holder may be waiting for
 * this thread. So the lock is tried once a turn.
 */
static enum turn update_map(struct acrn_vcpu *vcpu)
{
	struct acrn_vm *vm = vcpu->vm;
	int32_t ret;

	if (!spin_try_lock(&vm->lock)) {
		arch_irq_window();
		return TURN_YIELD;
	}
	(void)bit_test_and_clear(&vcpu->requests, VCPU_REQ_MAP); /* first: what moves later asks again */
	ret = vpci_sync_map(vm);
	spin_unlock(&vm->lock);
	if (ret != 0) {
		vcpu_fatal(vcpu, "its memory map cannot follow its PCI devices: error %d", ret);
	}
	return TURN_AGAIN;
}

static enum turn run_guest(struct acrn_vcpu *vcpu)
{
	int32_t ret;

	if ((vcpu->state == VCPU_INIT) && !has_request(vcpu, BIT(VCPU_REQ_INIT) | BIT(VCPU_REQ_SIPI))) {
		return TURN_BLOCK;
	}
	if (vcpu->halted) {
		if (!arch_vcpu_has_event(vcpu)) {
			return TURN_BLOCK;
		}
		vcpu->halted = false;
	}
	ret = arch_vcpu_run(vcpu);
	if (unlikely(ret != 0)) {
		if (ret == ARCH_VCPU_MAP_DUE) {
			return update_map(vcpu);
		}
		if (!must_stand_still(vcpu)) {
			vcpu_fatal(vcpu, "the CPU could not run it");
		}
	}
	return TURN_AGAIN;
}

static enum turn vcpu_turn(struct acrn_vcpu *vcpu)
{
	if (must_stand_still(vcpu)) {
		return TURN_BLOCK;
	}
	if (sched_need_resched()) {
		return TURN_YIELD;
	}
	return (vcpu->io_state != IO_NONE) ? look_after_io(vcpu) : run_guest(vcpu);
}

bool vcpu_thread_run(struct thread *thread)
{
	struct acrn_vcpu *vcpu = container_of(thread, struct acrn_vcpu, thread);
	enum turn turn;

	/* Once, not at each turn: vm_notify() makes the thread come here again. */
	if (unlikely(__atomic_load_n(&vcpu->vm->run.badge, __ATOMIC_ACQUIRE) != 0UL) && (vcpu->vcpu_id == 0U) &&
		!must_stand_still(vcpu)) {
		vm_take_notifications(vcpu->vm);
	}
	do {
		turn = vcpu_turn(vcpu);
	} while (turn == TURN_AGAIN);
	return turn == TURN_YIELD;
}

void vcpu_thread_switch_out(struct thread *thread)
{
	arch_vcpu_unload(container_of(thread, struct acrn_vcpu, thread));
}
