/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread of a vCPU.
 *
 * Who does what before guest code runs: this thread looks after pausing, stopping, the pending I/O request and HLT;
 * arch_vcpu_run() consumes the bits of vcpu->requests. It is called in state VCPU_INIT only when VCPU_REQ_INIT or
 * VCPU_REQ_SIPI is set, and enters the guest only if the vCPU is VCPU_RUNNING then.
 */
#ifndef HV_VCPU_THREAD_H
#define HV_VCPU_THREAD_H

#include <hv/sched.h>

/* A forwarded request is waited for actively for so long, microseconds, if such waits have been short lately. */
#define VCPU_IO_SPIN_US 20U

/** struct thread's run(): lives until the CPU is to be given away. @return false if it waits for thread_wake() */
bool vcpu_thread_run(struct thread *thread);

/** struct thread's switch_out(). */
void vcpu_thread_switch_out(struct thread *thread);

#endif
