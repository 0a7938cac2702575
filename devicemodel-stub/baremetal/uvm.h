/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * User VMs seen from a bare-metal Service VM: hypercalls, memory, the request page, the loop that serves it.
 *
 * The Service VM's memory is mapped GPA = HPA, so a pointer of ours is the address that a hypercall wants.
 */
#ifndef DEVICEMODEL_BAREMETAL_UVM_H
#define DEVICEMODEL_BAREMETAL_UVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <guests/lib/guest.h>
#include <public/acrn_common.h>
#include <public/acrn_hv_defs.h>

#include "../device.h"
#include "../vm_image.h"

#define UVM_MAX      4U
#define UVM_LINE_MAX 200U
#define UVM_RAM_STEP 0x200000UL

#define VEC_TICK 0x51U

/** VMCALL. @return RAX as the hypervisor left it */
int64_t hypercall(uint64_t id, uint64_t arg1, uint64_t arg2);

/* A hypercall's argument or a page of requests: nothing may stand at its side by accident. */
struct uvm {
	/* What the owner fills before uvm_create(). */
	char name[ACRN_VM_NAME_LEN];
	uint64_t affinity; /* bitmap of pCPU ids */
	bool polling;
	uint64_t ram_size; /* bytes, multiple of UVM_RAM_STEP */
	struct vm_image_file kernel;
	const char *cmdline;

	/* What became of it. */
	bool created;
	bool started;
	uint16_t vmid, vcpu_num;
	uint8_t *ram; /* kept over destruction, for the next creation */
	union vhm_request_buffer *page;
	struct dm_vm dm;
	struct vm_image image;
	uint64_t served, notified;
	uint32_t reboots;
	bool quiet; /* console output is dropped */
	char line[UVM_LINE_MAX];
	uint32_t line_used;
};

/** Takes stock of free memory, enables the local APIC, sets the upcall's and the timer's handler. Once. */
void uvm_init(void);

/** @return `size` bytes of free RAM (page aligned, never given back), or NULL with a FAIL line */
void *uvm_alloc(uint64_t size, uint64_t align);

/** @return TSC rate in kHz, as the hypervisor says, else 1 GHz */
uint64_t uvm_tsc_khz(void);

/** Upcalls that arrived so far. */
uint64_t uvm_upcalls(void);

/** Timer interrupts so far (about 100 a second). */
uint64_t uvm_ticks(void);

/**
 * The steps of a VM's life; each does one or a few hypercalls.
 * @return 0, or the first hypercall's -errno (a line tells which)
 */
int64_t uvm_create(struct uvm *u);
int64_t uvm_set_page(struct uvm *u);
int64_t uvm_map_ram(struct uvm *u);
/** Kernel into memory and registers into vCPU 0. */
int64_t uvm_load(struct uvm *u);
int64_t uvm_start(struct uvm *u);
int64_t uvm_pause(struct uvm *u);
int64_t uvm_reset(struct uvm *u);
int64_t uvm_destroy(struct uvm *u);

/** All steps to a running VM. */
int64_t uvm_launch(struct uvm *u);

/** Asks for pending requests of the VM and serves them all. @return number served */
uint32_t uvm_serve(struct uvm *u);

/**
 * One slot: PENDING -> PROCESSING -> emulated -> COMPLETE, and notified unless it is polled.
 * @return false if it was not PENDING
 */
bool uvm_serve_slot(struct uvm *u, uint32_t slot);

/** Halts until an interrupt if no slot of these VMs is PENDING; with `spin` it only pauses. */
void uvm_wait(struct uvm *const *vms, uint32_t count, bool spin);

/**
 * Serves until the VM's end, rebooting it when it asks.
 * @param seconds patience, by the TSC
 * @return how it ended; DM_END_NONE when the patience was over (the state of its slots is printed)
 */
enum dm_end uvm_run(struct uvm *u, uint32_t seconds, bool spin);

/** As uvm_run(), for several at once; the result of each is in its dm.end. @return false: out of patience */
bool uvm_run_all(struct uvm *const *vms, uint32_t count, uint32_t seconds, bool spin);

/** Prints vmid, slots and counts of a VM, for the reader of a failed test. */
void uvm_dump(const struct uvm *u);

/** HC_ARIL_GET_STATS. @return false with a FAIL line if the hypervisor has none */
bool uvm_stats(struct aril_hv_stats *stats);

/**
 * Fills `u` from a boot module and its string: name=, cpus=MASK, mem=MiB, polling; the string becomes the guest's
 * command line. @return false if the module is no ELF file
 */
bool uvm_from_module(struct uvm *u, unsigned int module);

/** Value of "key=value" among the words of `words`. @return false if there is none */
bool uvm_word(const char *words, const char *key, char *buf, size_t size);

#endif
