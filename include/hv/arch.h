/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All that the neutral core may ask of the CPU. The fake in tests/fake/ implements the same list: it is the
 * contract. Unless said otherwise a function may be called on any pCPU, interrupts are off, and no lock is needed.
 */
#ifndef HV_ARCH_H
#define HV_ARCH_H

#include <lib/util.h>

struct acrn_vm;
struct acrn_vcpu;
struct acrn_regs;

/* ---- Boot, in this order, on the boot CPU ---- */

/** Surveys the CPU, logs what is used and what replaces the missing; refuses (never returns) if it must. */
void arch_survey(void);

/** Builds and loads the final page tables. memory_init() was before. */
void arch_paging_init(void);

/** Interrupts and time: local APIC, I/O APICs, legacy PICs off, TSC rate measured. acpi_init() was before. */
void arch_irq_init(void);

/** Maps device memory (any alignment) uncached, read-write, for good. @return its address; panics if it cannot */
volatile void *arch_map_mmio(hpa_t hpa, uint64_t size);

/** Makes memory of the firmware readable, of any kind. @return its address, or NULL (wraps, beyond the CPU's width) */
const void *arch_map_firmware(hpa_t hpa, uint64_t size);

/** @return TSC at the entry of the image, ticks */
uint64_t arch_boot_ticks(void);

/** Stops all other CPUs for good (panic). Takes no lock. */
void arch_stop_others(void);

/** Fills `regs` with this CPU's registers, as seen by the caller. */
struct dump_regs;
void arch_get_regs(struct dump_regs *regs);

enum arch_end {
	ARCH_END_HALT,     /* this CPU only */
	ARCH_END_EMULATOR, /* Bochs and QEMU end; elsewhere as ARCH_END_HALT */
	ARCH_END_REBOOT,
	ARCH_END_POWEROFF, /* ACPI S5, then what emulators offer, then halt */
};

/** Ends the machine, or this CPU. Takes no lock but the log's. */
void __noreturn arch_end(enum arch_end how);

/* ---- pCPUs and time ---- */

/** @return pCPUs that are up, numbered 0..count-1 in MADT order (0 = the one that booted) */
uint16_t arch_cpu_count(void);

/** @return local APIC id of pCPU `cpu` */
uint32_t arch_cpu_apic_id(uint16_t cpu);

/** Starts the other pCPUs; each ends in `entry` on its own stack, interrupts off. */
void arch_start_aps(void (*entry)(void));

/** Makes pCPU `cpu` leave guest mode or HLT, and look at its scheduler. Works on the caller's own too (no-op). */
void arch_kick_cpu(uint16_t cpu);

/** Enables interrupts and halts until the next one, which has been handled on return; interrupts off again. */
void arch_idle(void);

/** Takes the interrupts that wait (timers, kicks, devices), for code that spins; interrupts are off again on return. */
void arch_irq_window(void);

/** @return time stamp counter, ticks */
uint64_t arch_now(void);

/** @return TSC rate, kHz */
uint32_t arch_tsc_khz(void);

/** Asks for timer_expired() on this pCPU when arch_now() >= ticks; UINT64_MAX: none. Replaces the last wish. */
void arch_set_deadline(uint64_t ticks);

/* ---- Guest memory ---- */

#define GPA_READ  0x1U
#define GPA_WRITE 0x2U
#define GPA_EXEC  0x4U
#define GPA_RWX   0x7U
enum gpa_mem_type { GPA_TYPE_UC = 0, GPA_TYPE_WC = 1, GPA_TYPE_WT = 4, GPA_TYPE_WP = 5, GPA_TYPE_WB = 6 };

/**
 * Maps [gpa, gpa+size) to [hpa, hpa+size); replaces what was there. All page aligned. The caller holds vm->lock
 * or the VM does not run yet. Large pages where alignment allows.
 * @param access GPA_READ | GPA_WRITE | GPA_EXEC
 * @return 0, or -ENOMEM (then part of the range may be mapped), or -EINVAL (alignment, width, wrap)
 */
int32_t __must_check arch_gpa_map(
	struct acrn_vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size, uint32_t access, enum gpa_mem_type type);

/** Unmaps [gpa, gpa+size), page aligned. @return 0, -ENOMEM (a large page could not be split), -EINVAL */
int32_t __must_check arch_gpa_unmap(struct acrn_vm *vm, gpa_t gpa, uint64_t size);

/** Makes every vCPU of the VM drop stale translations before it runs guest code again; waits for those running. */
void arch_gpa_flush(struct acrn_vm *vm);

/**
 * @param contiguous out, may be NULL: bytes from gpa on that the same entry maps contiguously, or leaves unmapped
 * @param access     out, may be NULL: GPA_* rights
 * @return the host address, or INVALID_HPA
 */
hpa_t arch_gpa_to_hpa(struct acrn_vm *vm, gpa_t gpa, uint64_t *contiguous, uint32_t *access);

/** Walks the VM's whole map. @return 0 if no entry touches memory_is_hv_owned(), else -EFAULT and a log line */
int32_t arch_gpa_audit(struct acrn_vm *vm);

/** Opens and closes the window in which the hypervisor may touch guest pages of the direct map (SMAP). */
void arch_guest_access_begin(void);
void arch_guest_access_end(void);

/* ---- VMs and vCPUs ---- */

/** What guests see of the CPU is put together. Boot CPU, once, after arch_irq_init(). */
void arch_virt_init(void);

/** This pCPU can run vCPUs from now on. Once on each. Panics if VMX refuses what the survey found. */
void arch_virt_enable(void);

/** Gives the VM its empty memory map and bitmaps, and its CPUID. @return 0 or -ENOMEM (nothing kept) */
int32_t __must_check arch_vm_init(struct acrn_vm *vm);

/** Gives back all of arch_vm_init() and every page of the memory map. No vCPU may run. */
void arch_vm_destroy(struct acrn_vm *vm);

/** @return 0 or -ENOMEM. Then arch_vcpu_reset() is due. */
int32_t __must_check arch_vcpu_init(struct acrn_vcpu *vcpu);
void arch_vcpu_destroy(struct acrn_vcpu *vcpu);

/** Registers as after RESET or INIT (SDM vol 3, 10.1.1); local APIC included. The vCPU must not run. */
void arch_vcpu_reset(struct acrn_vcpu *vcpu);

/** Sets registers, HC_SET_VCPU_REGS's. The vCPU must not run. @return 0; -EINVAL: it cannot have these, and keeps its
 * own */
int32_t __must_check arch_vcpu_set_regs(struct acrn_vcpu *vcpu, const struct acrn_regs *regs);

/**
 * Runs guest code until the next exit and handles the exit; injects what is due before. On the vCPU's own pCPU.
 * @return 0: run again; ARCH_VCPU_MAP_DUE: VCPU_REQ_MAP is to be looked after before it can run; <0: the VM was
 *         stopped (vcpu_fatal() was called)
 */
int32_t arch_vcpu_run(struct acrn_vcpu *vcpu);
#define ARCH_VCPU_MAP_DUE 1

/** Makes this CPU hold the vCPU's state; what emulates its instructions needs that. Nothing if it does already. */
void arch_vcpu_load(struct acrn_vcpu *vcpu);

/** This pCPU will run another thread: saves what the hardware holds of `vcpu`. */
void arch_vcpu_unload(struct acrn_vcpu *vcpu);

/** @return true if a halted vCPU has an event that ends HLT (interrupt, NMI, INIT, SIPI) */
bool arch_vcpu_has_event(struct acrn_vcpu *vcpu);

/* emulate_pio_post(), emulate_mmio_post(), setup_io_bitmap(), allow_guest_pio_access(): <hv/ioreq.h>, the seeds' names.
 */

/* ---- Interrupts to guests and from devices ---- */

/** Sets interrupt `vector` pending in the local APIC of `vcpu` and wakes it. */
void arch_vcpu_set_irq(struct acrn_vcpu *vcpu, uint32_t vector, bool level);

/** Delivers a message-signalled interrupt to the VM. @return 0 or -EINVAL (address or delivery mode) */
int32_t arch_inject_msi(struct acrn_vm *vm, uint64_t addr, uint64_t data);

/** A line from the PIC pair to the VM's LINT0 changed. */
void arch_pic_wire(struct acrn_vm *vm, bool asserted);

/**
 * The Service VM programmed its I/O APIC pin: route the physical pin accordingly (masked: unroute).
 * @param gsi   global system interrupt
 * @param level true: level triggered; the physical line stays masked from its arrival until arch_gsi_eoi()
 */
void arch_gsi_set(uint32_t gsi, bool masked, bool level, bool active_low);

/**
 * Takes a GSI for the hypervisor itself, for good: arch_gsi_set() and arch_gsi_eoi() ignore it from now on.
 * @param arrived called at each arrival, interrupts off, on any pCPU; it must make a level-triggered line drop
 * @return 0; -ENODEV no I/O APIC has that pin; -EBUSY taken; -ENOSPC no vector is left
 */
int32_t __must_check arch_gsi_claim(uint32_t gsi, bool level, bool active_low, void (*arrived)(void));

/** @return pins of the machine's I/O APIC whose first one is `gsi_base`; 0: there is none, or it is not used */
uint32_t arch_gsi_pins(uint32_t gsi_base);

/** The guest has dealt with a level interrupt of `gsi`. */
void arch_gsi_eoi(uint32_t gsi);

#endif
