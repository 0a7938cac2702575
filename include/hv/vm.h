/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtual machine: its vCPUs, its devices, its handlers, its life. */
#ifndef HV_VM_H
#define HV_VM_H

#include <config.h>

#include <asm/vm.h>
#include <dm/vhpet.h>
#include <dm/vi8042.h>
#include <dm/vioapic.h>
#include <dm/vpci.h>
#include <dm/vpic.h>
#include <dm/vpit.h>
#include <dm/vpm.h>
#include <dm/vrtc.h>
#include <dm/vuart.h>
#include <hv/guest_vm.h>
#include <hv/ioports.h>
#include <hv/ioreq.h>
#include <hv/scenario.h>
#include <hv/vcpu.h>
#include <lib/spinlock.h>
#include <lib/util.h>

enum vm_state {
	VM_POWERED_OFF, /* the slot is free, or the VM has not been created */
	VM_CREATED,
	VM_RUNNING,
	VM_PAUSED,
};

/* Where a pre-launched VM is between its guest's wish to be reset and its new start. */
enum vm_restart {
	VM_RESTART_NONE,
	VM_RESTART_WANTED,    /* its vCPUs stand still, its keeper has been woken */
	VM_RESTART_UNDER_WAY, /* vm->lock is held; what the VM does next counts already */
};

/* Why a VM stopped by itself: shown by the console, kept until it is reset or destroyed. */
#define VM_STOP_REASON_LEN 96U

#define VM_MMIO_NODES 16U

#define INVALID_VM_ID ACRN_INVALID_VMID

struct acrn_vm {
	uint16_t vm_id;                   /* absolute, the slot's index */
	uint32_t state;                   /* enum vm_state; vm->lock */
	const struct scenario_vm *config; /* what the scenario says of this slot */
	char name[16];
	struct spinlock lock; /* life cycle and memory map; taken before any device's lock */

	uint64_t pcpu_mask;    /* physical CPUs it has claimed; vm_cpus.c */
	bool own_apic_ids;     /* vCPU n has APIC id n, in a topology of the VM's own; else the pCPU's */
	uint64_t mapped_bytes; /* memory that a User VM's device model gave it; vm->lock */
	uint16_t vcpu_count;
	struct acrn_vcpu vcpus[CONFIG_MAX_VCPUS_PER_VM];

	/* Who answers what: constant while the VM runs, but for reservations of memory. */
	struct vm_ioports ports;
	struct vm_mem mem;
	struct vm_io_handler_desc pio[EMUL_PIO_IDX_MAX]; /* ACRN's registrations: behind entries of the above */
	struct mem_io_node mmio[VM_MMIO_NODES];
	uint32_t mmio_count;
	struct vm_run run;

	/* Forwarding (User VMs). */
	hpa_t ioreq_page;                    /* 0: none */
	union vhm_request_buffer *ioreq_buf; /* direct map; belongs to the Service VM */
	bool io_polling;                     /* completion by polling */
	bool forward_io;                     /* unhandled accesses go to the Service VM */

	struct vpic vpic;
	struct vioapic vioapic;
	struct vuart vuart[2]; /* COM1, COM2 */
	struct vpm vpm;        /* of a pre-launched VM, as are the next */
	struct vpit vpit;
	struct vrtc vrtc;
	struct vhpet vhpet;
	bool legacy_replaced; /* atomic: the HPET has the interrupts of vpit and vrtc, which raise none */
	struct vi8042 vi8042;
	struct vpci vpci;

	bool stop_claimed;   /* atomic: somebody is writing stop_reason */
	bool stop_requested; /* atomic: stopped by itself; waits for the Service VM, or for the end */
	char stop_reason[VM_STOP_REASON_LEN];
	uint32_t restart;     /* enum vm_restart; atomic */
	struct thread keeper; /* of a pre-launched VM: starts it anew when its guest asks for a reset; vm_life.c */
	hpa_t ram_hpa;        /* of a pre-launched VM: its memory, which is its own from boot on; 0: it has none */
	uint64_t faults;      /* times vcpu_fatal() was called */

	struct vm_arch arch;
};

/** The VM whose slot is `vm_id`, or NULL when there is no such slot. Its state may be VM_POWERED_OFF. */
struct acrn_vm *vm_by_id(uint16_t vm_id);

/** The Service VM, or NULL if the scenario has none. */
struct acrn_vm *vm_service(void);

/** @return true if `vm` is the Service VM */
bool vm_is_service(const struct acrn_vm *vm);

/** vCPU `vcpu_id`, or NULL when it does not exist. */
struct acrn_vcpu *vm_vcpu(struct acrn_vm *vm, uint32_t vcpu_id);

/**
 * A VM id as hypercalls use it: the Service VM is 0, the others follow. @return INVALID_VM_ID or the other kind of id
 */
uint16_t vm_id_to_relative(uint16_t vm_id);
uint16_t vm_id_from_relative(uint16_t rel_id);

/** @return true if who answers for ports and devices is settled: vCPUs run, or may go on at any time */
static inline bool vm_is_fixed(const struct acrn_vm *vm)
{
	return (vm->state == VM_RUNNING) || (vm->state == VM_PAUSED);
}

/** @return the scenario of vm_init_slots(), NULL before */
const struct scenario *vm_scenario(void);

/** @return name of enum vm_state */
const char *vm_state_name(uint32_t state);

/** Reads the scenario into VM slots. Boot only. */
void vm_init_slots(const struct scenario *scenario);

/** Creates and starts the Service VM and the pre-launched VMs. A VM that cannot start says why; the others run. */
void vm_boot_all(void);

/**
 * Creates the VM in `vm`'s slot: memory map, devices, vCPUs. VM_POWERED_OFF -> VM_CREATED. vm->lock held.
 *
 * The vCPUs have the APIC ids of the pCPUs that the caller names, which then cannot be given twice: device models know
 * those ids (acrn-dm makes the MADT of them). Placed by the scenario, they count 0, 1, 2.., but in the Service VM.
 * @param affinity vCPU -> pCPU, `count` entries; NULL: as the scenario places them
 * @return 0; -EBUSY wrong state; -EINVAL affinity; -ENOMEM (nothing kept)
 */
int32_t __must_check vm_create(struct acrn_vm *vm, const uint16_t *affinity, uint16_t count);

/**
 * VM_CREATED or VM_PAUSED -> VM_RUNNING. vm->lock held.
 * @return 0; -ENOENT it is off; -EBUSY it runs; -ESHUTDOWN it has stopped by itself and must be reset first
 */
int32_t __must_check vm_start(struct acrn_vm *vm);

/** Takes every vCPU off its CPU; when it returns none runs. -> VM_PAUSED. vm->lock held. @return 0 or -ENOENT (off) */
int32_t __must_check vm_pause(struct acrn_vm *vm);

/**
 * Paused VM back to reset: vCPUs, devices, request slots; memory kept. -> VM_CREATED. vm->lock held.
 * @return 0; -ENOENT it is off; -EBUSY it is not paused
 */
int32_t __must_check vm_reset(struct acrn_vm *vm);

/** Pauses, then frees all. -> VM_POWERED_OFF. vm->lock held. @return 0 (also when it was off) */
int32_t vm_destroy(struct acrn_vm *vm);

/**
 * The VM stops by itself (fault, triple fault, power-off request): its vCPUs block; the reason is logged and kept.
 * From a vCPU thread of that VM, vm->lock NOT held.
 */
void vm_stop_self(struct acrn_vm *vm, const char *fmt, ...) __printf(2, 3);

/** Copies from/to guest-physical memory, across pages. @return 0 or -EFAULT (nothing or part was copied) */
int32_t __must_check copy_from_gpa(struct acrn_vm *vm, void *dst, gpa_t gpa, size_t size);
int32_t __must_check copy_to_gpa(struct acrn_vm *vm, gpa_t gpa, const void *src, size_t size);

/**
 * @param size in: bytes wanted; out: how many are contiguous
 * @param need GPA_* rights that the VM's map must give
 * @return where [gpa, gpa+*size) is in the direct map, for arch_guest_access_begin(); NULL: it is not RAM
 */
void *guest_window(struct acrn_vm *vm, gpa_t gpa, size_t *size, uint32_t need);

/** Sets interrupt line `gsi` of the VM (PIC pin and I/O APIC pin). @param op GSI_* @return 0 or -EINVAL */
int32_t vm_set_irqline(struct acrn_vm *vm, uint32_t gsi, uint32_t op);

#endif
