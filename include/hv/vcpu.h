/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtual CPU: its thread, its one I/O request, its registers (arch). */
#ifndef HV_VCPU_H
#define HV_VCPU_H

#include <asm/vcpu.h>
#include <hv/ioreq.h>
#include <hv/sched.h>
#include <lib/util.h>

struct acrn_vm;

/* Written by the vCPU's own thread, or by others after vcpu_pause() has made it leave the CPU. */
enum vcpu_state {
	VCPU_OFFLINE, /* not created */
	VCPU_INIT,    /* an application processor waiting for SIPI, or never started */
	VCPU_RUNNING, /* runs, is runnable, or halts in HLT */
	VCPU_PAUSED,  /* by vm_pause(); the state before is kept */
};

/* The life of vcpu->req; see vhm.c. */
enum vcpu_io_state {
	IO_NONE,    /* no request under way */
	IO_PENDING, /* in the slot: the guest must not be entered */
	IO_DONE,    /* the value is back in vcpu->req; the post-work is due before entry */
};

/* Bits of vcpu->requests: things to do before the next entry. Set by vcpu_make_request(). */
#define VCPU_REQ_EVENT     0U /* look for interrupts to inject */
#define VCPU_REQ_TLB_FLUSH 1U /* the VM's memory map changed */
#define VCPU_REQ_NMI       2U
#define VCPU_REQ_INIT      3U /* INIT arrived */
#define VCPU_REQ_SIPI      4U /* SIPI arrived; vector in vcpu->sipi_vector */
#define VCPU_REQ_MAP       5U /* PCI BARs have moved: the memory map is to follow, first */

#define VCPU_EXIT_REASONS   80U
#define VCPU_TIMED_AT_FIRST 256U /* exits */

struct acrn_vcpu {
	struct acrn_vm *vm;
	uint16_t vcpu_id; /* 0.. in its VM, slot on the request page */
	uint16_t pcpu_id; /* constant */
	uint32_t apic_id; /* constant */
	uint32_t state;   /* enum vcpu_state */
	uint32_t state_before_pause;
	bool pause_requested; /* atomic; the thread blocks at its next turn */
	bool halted;          /* in HLT; thread's own */
	uint8_t sipi_vector;
	uint64_t requests;  /* VCPU_REQ_* bits; atomic */
	uint64_t map_epoch; /* atomic; odd while its thread uses the memory map: vcpu_map_begin() */
	struct thread thread;

	struct io_request req; /* the one request; the hypervisor's own copy */
	uint32_t io_state;     /* enum vcpu_io_state; thread's own, others only while it is paused */
	uint64_t io_since;     /* TSC when it became pending */
	uint32_t io_seen;      /* REQ_STATE_* of the slot as last seen: it must not go backwards */
	uint64_t io_latency;   /* running mean of how long the Service VM takes, ticks */

	uint32_t until_timed;    /* exits up to the next that is timed, that one too */
	uint32_t timed_at_first; /* how many are timed yet without a pause */
	uint64_t io_forwarded;   /* requests sent to the Service VM */
	/* By basic exit reason: how many; how many of them were timed; ticks that these took, to the next entry. */
	uint64_t exit_count[VCPU_EXIT_REASONS];
	uint64_t exit_timed[VCPU_EXIT_REASONS];
	uint64_t exit_ticks[VCPU_EXIT_REASONS];

	struct vcpu_arch arch;
};

/** Prepares vCPU `vcpu_id` of `vm` on `pcpu_id`: state VCPU_INIT, reset registers. @return 0 or -ENOMEM */
int32_t __must_check vcpu_create(struct acrn_vm *vm, uint16_t vcpu_id, uint16_t pcpu_id);

/** @return its VM exits since it was created; a moment's figure while it runs */
uint64_t vcpu_exits(const struct acrn_vcpu *vcpu);

/** Frees it. Its thread is off the CPU and blocked. */
void vcpu_destroy(struct acrn_vcpu *vcpu);

/* vcpu_start(): <hv/guest_vm.h>. */

/** Makes its thread leave the CPU and stay off; returns when it is off. State VCPU_PAUSED. */
void vcpu_pause(struct acrn_vcpu *vcpu);

/** The first half of vcpu_pause(): does not wait. */
void vcpu_request_pause(struct acrn_vcpu *vcpu);

/** Back to the state before vcpu_pause(). */
void vcpu_resume(struct acrn_vcpu *vcpu);

/** Back to reset: registers, pending events, request. The vCPU is paused or offline; state VCPU_INIT. */
void vcpu_reset(struct acrn_vcpu *vcpu);

/** Something is pending for `vcpu`: wake it if it sleeps, kick its pCPU if it runs guest code elsewhere. */
void vcpu_kick(struct acrn_vcpu *vcpu);

/**
 * From here to vcpu_map_end() the thread uses the VM's memory map and its reservations: in the guest, or for it
 * (instruction emulation). vcpu_map_wait() on another pCPU waits for the end, so that no table is freed, and no page
 * taken away, under it. What is in between waits for no vm->lock, and does not begin again.
 */
static inline void vcpu_map_begin(struct acrn_vcpu *vcpu)
{
	const uint64_t epoch = __atomic_load_n(&vcpu->map_epoch, __ATOMIC_RELAXED); /* changed by this thread only */

	/* A full barrier: either vcpu_map_wait() sees this, or the map that is read from now on is the new one. */
	(void)__atomic_exchange_n(&vcpu->map_epoch, epoch + 1UL, __ATOMIC_SEQ_CST);
}

static inline void vcpu_map_end(struct acrn_vcpu *vcpu)
{
	const uint64_t epoch = __atomic_load_n(&vcpu->map_epoch, __ATOMIC_RELAXED);

	__atomic_store_n(&vcpu->map_epoch, epoch + 1UL, __ATOMIC_RELEASE);
}

/* vcpu_make_request(), vcpu_halt(), vcpu_fatal()...: <hv/upcall.h>. */

#endif
