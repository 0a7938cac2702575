/* SPDX-License-Identifier: BSD-3-Clause */
/* All that CPU code (arch/) may ask of the core, besides log.h, memory.h and lib/. */
#ifndef HV_UPCALL_H
#define HV_UPCALL_H

#include <config.h>

#include <asm/percpu.h>
#include <lib/util.h>

struct acrn_vm;
struct acrn_vcpu;
struct io_request;

/** The boot story from here on; interrupts off, boot_info filled, on the boot CPU's own stack. Never returns. */
void __noreturn hv_main(void);

/** The timer of this pCPU reached its deadline: run what is due (interrupts off). */
void timer_expired(void);

/** Somebody asked this pCPU to look at its scheduler (arrival of arch_kick_cpu()). */
void sched_kicked(void);

/** A physical interrupt of the Service VM's devices arrived on this pCPU. @param gsi global system interrupt */
void ptirq_arrived(uint32_t gsi);

/** Seeds: <hv/ioreq.h>. */
int32_t emulate_io(struct acrn_vcpu *vcpu, struct io_request *io_req);

/**
 * VMCALL with all registers read. The result belongs into RAX in every case.
 * @param id    R8
 * @param arg1  RDI
 * @param arg2  RSI
 * @return the value for RAX
 */
int64_t hypercall_dispatch(struct acrn_vcpu *vcpu, uint64_t id, uint64_t arg1, uint64_t arg2);

/** Stops the VM of `vcpu` because of what it did; the reason goes to the log and stays in the VM. */
void vcpu_fatal(struct acrn_vcpu *vcpu, const char *fmt, ...) __printf(2, 3);

/** The guest shut itself down by triple fault. */
void vcpu_triple_fault(struct acrn_vcpu *vcpu);

/** HLT: the vCPU sleeps until arch_vcpu_has_event(). */
void vcpu_halt(struct acrn_vcpu *vcpu);

/** Sets request bit VCPU_REQ_* and wakes the vCPU, or makes it leave the guest. From any pCPU. */
void vcpu_make_request(struct acrn_vcpu *vcpu, uint32_t req);

/**
 * The VM's memory map, or what answers for it, has changed: returns when no vCPU on another pCPU uses it as it was, in
 * the guest or for it (vcpu_map_begin()). vm->lock held, no other.
 */
void vcpu_map_wait(struct acrn_vm *vm);

/** The vCPU spins (PAUSE): let another thread of this pCPU run. */
void vcpu_yield(struct acrn_vcpu *vcpu);

/* Whether the running thread of each pCPU is to give way: written by sched.c, from any pCPU; atomic. */
struct sched_give_way {
	bool now;
} __aligned(64);
extern struct sched_give_way sched_give_way[CONFIG_MAX_PCPU_NUM];

/** @return true if the thread on this pCPU should give it away now. Asked at each VM entry, hence inline. */
static inline bool sched_need_resched(void)
{
	return __atomic_load_n(&sched_give_way[arch_cpu_id()].now, __ATOMIC_ACQUIRE);
}

/** EOI of a level-triggered `vector` in a vCPU's local APIC. */
void vioapic_eoi_broadcast(struct acrn_vm *vm, uint32_t vector);

/** INTA cycle on the VM's PIC pair. @return the vector */
uint32_t vpic_intack(struct acrn_vm *vm);

#endif
