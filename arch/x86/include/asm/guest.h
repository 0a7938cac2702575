/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of arch/x86/guest/ share: the vCPU's registers, events to inject, guest memory.
 *
 * All functions: on the vCPU's own pCPU with its VMCS current (inside arch_vcpu_run()), unless said otherwise.
 */
#ifndef ASM_GUEST_H
#define ASM_GUEST_H

#include <asm/cpu.h>
#include <asm/guest_walk.h>
#include <asm/vmx.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/util.h>

/* ---- Registers (vcpu_arch.c) ---- */

/** General register `reg` (0..15 in VMX order; RSP comes from the VMCS). */
uint64_t vcpu_get_gpr(struct acrn_vcpu *vcpu, uint32_t reg);
void vcpu_set_gpr(struct acrn_vcpu *vcpu, uint32_t reg, uint64_t value);

/** As the guest reads it. */
static inline uint64_t vcpu_get_cr0(const struct acrn_vcpu *vcpu)
{
	const uint64_t mask = vcpu->arch.cr0_mask;

	return (exec_vmread(VMX_GUEST_CR0) & ~mask) | (exec_vmread(VMX_CR0_SHADOW) & mask);
}

/** As the guest reads it. */
static inline uint64_t vcpu_get_cr4(const struct acrn_vcpu *vcpu)
{
	const uint64_t mask = vcpu->arch.cr4_mask;

	return (exec_vmread(VMX_GUEST_CR4) & ~mask) | (exec_vmread(VMX_CR4_SHADOW) & mask);
}

/** @return current privilege level: DPL of SS (SDM 25.4.1) */
static inline uint32_t vcpu_get_cpl(void)
{
	return (exec_vmread32(VMX_GUEST_SS_AR) >> 5U) & 3U;
}

/**
 * The exiting instruction is done: RIP past it, RF and the STI/MOV-SS shadow cleared, and a single-step trap pending
 * if TF was set. The only place that moves RIP for an exit.
 */
void vcpu_skip_instruction(struct acrn_vcpu *vcpu);

/** As vcpu_skip_instruction(), to `next_rip`. */
void vcpu_retire_to(struct acrn_vcpu *vcpu, uint64_t next_rip);

/**
 * An iteration of a repeated string instruction is done and the next one is to come: RIP stays, the STI/MOV-SS shadow
 * goes, and a single-step trap is pending if TF was set.
 */
void vcpu_end_iteration(struct acrn_vcpu *vcpu);

/** @return true while the guest runs 64-bit code, not compatibility mode */
bool vcpu_in_64bit_code(struct acrn_vcpu *vcpu);

/** WRMSR to one of enum switched_msr, but KERNEL_GS_BASE. The vCPU is loaded. @return 0; -EACCES: #GP(0) */
int32_t vcpu_write_switched_msr(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value);

/* ---- State of XSAVE (fpu.c) ---- */

/** As after RESET (SDM table 10-1), XCR0 too. The vCPU is not loaded. */
void vcpu_fpu_reset(struct acrn_vcpu *vcpu);

/** From the CPU to the vCPU's area, and back with the guest's XCR0. The guest's XCR0 is not in force in between. */
void vcpu_fpu_save(struct acrn_vcpu *vcpu);
void vcpu_fpu_load(struct acrn_vcpu *vcpu);

/** Vector register `reg` of the loaded vCPU, as struct instr_ops has them. */
void vcpu_get_vec(struct acrn_vcpu *vcpu, uint32_t reg, uint8_t val[32]);
void vcpu_put_vec(struct acrn_vcpu *vcpu, uint32_t reg, const uint8_t *val, uint32_t size, bool zero_rest);

/* ---- Debug registers (debug_regs.c) ---- */

/** DR0 to DR3, DR6 and DR7 as after INIT or RESET. The VMCS is built, the vCPU loaded. */
void vcpu_debug_reset(struct acrn_vcpu *vcpu);

/** DR0 to DR3 into the CPU, if breakpoints are enabled. The vCPU is being loaded. */
void vcpu_debug_load(const struct acrn_vcpu *vcpu);

/**
 * An emulated instruction reads or writes \p size bytes of memory, or of ports: notes the breakpoints that it meets. To
 * be called for each access, while vcpu->arch.watching only.
 */
void vcpu_watch_memory(struct acrn_vcpu *vcpu, gla_t gla, uint32_t size, bool write);
void vcpu_watch_port(struct acrn_vcpu *vcpu, uint16_t port, uint32_t size);

/** That instruction, or iteration of a repeated one, has ended: #DB for what it met. After vcpu_retire_to() etc. */
void vcpu_watch_end(struct acrn_vcpu *vcpu);

int32_t dr_access_vmexit_handler(struct acrn_vcpu *vcpu);

/* ---- Events (inject.c) ---- */

/**
 * Queues exception `vector` for the next entry; error codes as SDM table 6-1 says, 0 for #GP. A second one makes #DF.
 */
void vcpu_inject_exception(struct acrn_vcpu *vcpu, uint8_t vector, uint32_t error);
void vcpu_inject_pf(struct acrn_vcpu *vcpu, uint32_t error, uint64_t cr2);
void vcpu_inject_ud(struct acrn_vcpu *vcpu);
void vcpu_inject_gp(struct acrn_vcpu *vcpu); /* error code 0 */

/** #DB with \p bits added to DR6 (SDM 18.2.3) and DR7.GD cleared. */
void vcpu_inject_db(struct acrn_vcpu *vcpu, uint64_t bits);

/** An exit interrupted the delivery of an event (IDT-vectoring information is valid): deliver it again at entry. */
void vcpu_save_vectoring(struct acrn_vcpu *vcpu);

/** Writes what is due into the entry fields and opens windows for what must wait. Before each entry. */
void vcpu_inject_events(struct acrn_vcpu *vcpu);

int32_t exception_vmexit_handler(struct acrn_vcpu *vcpu);
/** Interrupt window, NMI window, TPR below threshold: what had to wait may go in now. */
int32_t window_vmexit_handler(struct acrn_vcpu *vcpu);

/** Frees the vCPU's own I/O bitmap, if it has one (vm_arch.c). */
void vcpu_io_bitmap_free(struct acrn_vcpu *vcpu);

/* ---- Guest memory (guest_mem.c) ---- */

/**
 * Looks how the guest pages, for the functions below and vcpu->arch.paging: once for each exit that needs them.
 * @return RFLAGS, which it has read anyway
 */
uint64_t vcpu_paging_get(struct acrn_vcpu *vcpu);

/**
 * Linear to physical for an access within one page.
 * @param access GUEST_WALK_*
 * @param found  the page that `gla` is in; constant until the next call with the same READ, WRITE or FETCH, and to be
 *               used before vcpu_map_end() only
 * @return 0; -EFAULT: *error and the address are those of the #PF to inject; -EIO, -EAGAIN as guest_walk()
 */
int32_t vcpu_translate(
	struct acrn_vcpu *vcpu, gla_t gla, uint32_t access, const struct guest_translation **found, uint32_t *error);

/**
 * Copies `size` bytes from or to `offset` in a page that was translated; within the page.
 * @return 0 or -EFAULT: not RAM
 */
int32_t vcpu_copy(struct acrn_vcpu *vcpu, const struct guest_translation *t, uint32_t offset, void *data, uint32_t size,
	bool to_guest);

/**
 * Reads up to INSTR_MAX_LEN instruction bytes at RIP.
 * @param code64 the code segment is a 64-bit one
 * @return number of bytes read (0: not readable; #PF was queued if so)
 */
uint32_t vcpu_fetch(struct acrn_vcpu *vcpu, bool code64, uint8_t *bytes);

/**
 * The instruction at \p rip, which the CPU has just fetched and which lies in the page of the last vcpu_fetch().
 * @return false: it is not 64-bit code, or that page may be another by now
 */
bool vcpu_fetch_again(struct acrn_vcpu *vcpu, uint64_t rip, uint8_t *bytes);

/**
 * Does anybody want the thread to look up from its guest? Who sets a request, or wants the pCPU, from another one also
 * sends an IPI, which waits for the entry and ends it at once: so it is enough to ask where this thread did something.
 */
static inline bool vcpu_is_disturbed(const struct acrn_vcpu *vcpu)
{
	return (__atomic_load_n(&vcpu->requests, __ATOMIC_ACQUIRE) != 0UL) || sched_need_resched();
}

/** Breaks the vCPU's new VMCS if the command line wants that (entry_break.c); in CONFIG_DEBUG builds only. */
void entry_break(struct acrn_vcpu *vcpu);

/* ---- Exits ---- */

/* What an exit's handler returns when the VM goes on. */
#define VMEXIT_LOOK_UP     0 /* the thread looks first: at its state, its request, other threads */
#define VMEXIT_ENTER_AGAIN 1 /* nothing happened that is anybody else's business */
#define VMEXIT_SKIP        2 /* that, and the instruction is done: vcpu_skip_instruction() is due */

/** Takes the vCPU's requests, all but VCPU_REQ_MAP (vcpu_arch.c). @return false if it must not be entered now */
bool vcpu_take_requests(struct acrn_vcpu *vcpu);

/** Builds the VMCS from vcpu->arch.init_regs (vcpu_arch.c). The vCPU is loaded. */
void vcpu_build(struct acrn_vcpu *vcpu);

/** The exit that is timed, vcpu->arch.timed_since, is dealt with (vmexit.c). */
void vcpu_end_timing(struct acrn_vcpu *vcpu);

int32_t cpuid_vmexit_handler(struct acrn_vcpu *vcpu);
int32_t cr_access_vmexit_handler(struct acrn_vcpu *vcpu);
int32_t rdmsr_vmexit_handler(struct acrn_vcpu *vcpu);
int32_t wrmsr_vmexit_handler(struct acrn_vcpu *vcpu);
int32_t xsetbv_vmexit_handler(struct acrn_vcpu *vcpu);
int32_t task_switch_vmexit_handler(struct acrn_vcpu *vcpu);
int32_t vmcall_vmexit_handler(struct acrn_vcpu *vcpu);
int32_t ept_violation_vmexit_handler(struct acrn_vcpu *vcpu);

/** Before the first VM: the tables of CPUID and MSRs. */
void vcpuid_init(void);

/** Clears the bits of MSRs that `vm` may touch without an exit. */
void vmsr_setup_bitmap(struct acrn_vm *vm);

/** MSRs back to their reset values. The vCPU does not run. */
void vmsr_reset(struct acrn_vcpu *vcpu);

/** MTRRs (vmtrr.c). @return 0 or -EACCES (#GP) */
int32_t vmtrr_read(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value);
int32_t vmtrr_write(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value);

/**
 * PAE paging takes its four PDPTEs when it begins and at some changes (SDM 4.4.1): from where the guest's CR3 says.
 * @return false: one has reserved bits, or they are not in memory
 */
bool vcpu_load_pdptes(struct acrn_vcpu *vcpu);

/** A write to EFER by the guest. @return 0 or -EACCES (#GP) */
int32_t vcpu_write_efer(struct acrn_vcpu *vcpu, uint64_t value);

#endif
