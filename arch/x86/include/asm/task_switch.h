/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * task_switch.h: a hardware task switch, which VMX leaves to the hypervisor (SDM vol 3, 8.3 and 26.4.2).
 *
 * Works on a struct and reaches the guest's memory through operations, so it runs in host unit tests. No locks, no
 * state between calls. Outside of IA-32e mode only: there a task switch is #GP without an exit.
 */
#ifndef ASM_TASK_SWITCH_H
#define ASM_TASK_SWITCH_H

#include <lib/util.h>

/** What asks for the switch, as in bits 31:30 of the exit qualification (SDM table 28-2). */
enum task_source {
	TASK_CALL,
	TASK_IRET,
	TASK_JMP,
	TASK_IDT, /* an exception or interrupt through a task gate */
};

/** A segment register with its hidden part. */
struct task_seg {
	uint16_t sel;
	uint32_t base;
	uint32_t limit; /* bytes, scaled */
	uint32_t ar;    /* as in the VMCS; SEG_AR_UNUSABLE: none loaded */
};

/** In the order of the VMCS. */
enum task_seg_index { TASK_ES, TASK_CS, TASK_SS, TASK_DS, TASK_FS, TASK_GS, TASK_LDTR, TASK_TR, TASK_SEGS };

/** What a task switch saves and loads. */
struct task_state {
	uint32_t gpr[8]; /* EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI */
	uint32_t eip;    /* in: what the old task goes on with */
	uint32_t eflags;
	uint32_t cr3;
	bool paging; /* CR0.PG: CR3 is part of a task */
	struct task_seg seg[TASK_SEGS];
	uint32_t gdt_base;
	uint32_t gdt_limit;
	bool debug_trap; /* out: the new TSS's T flag asks for #DB */
};

struct task_request {
	uint16_t selector; /* of the new TSS */
	enum task_source source;
	bool has_error; /* the exception's error code goes onto the new task's stack */
	uint32_t error;
};

struct task_fault {
	uint8_t vector;
	uint32_t error;
	uint32_t cr2; /* for #PF */
};

/** task_switch(): the new task's first instruction is to meet an exception. */
#define TASK_NEW_FAULTS 1

/** The guest's linear memory. `access` is GUEST_WALK_*. Each returns 0, -EFAULT with *fault, or another error. */
struct task_ops {
	int32_t (*read)(void *arg, uint32_t gla, void *buf, uint32_t size, uint32_t access, struct task_fault *fault);
	int32_t (*write)(void *arg, uint32_t gla, void *buf, uint32_t size, uint32_t access, struct task_fault *fault);
	/** All of the range is mapped and allows the access. */
	int32_t (*check)(void *arg, uint32_t gla, uint32_t size, uint32_t access, struct task_fault *fault);
	/** From now on memory is reached through this CR3. @return 0 or -EACCES: PDPTEs with reserved bits */
	int32_t (*load_cr3)(void *arg, uint32_t cr3);
	void *arg;
};

/**
 * Switches from the task in \p st to another.
 * @param st      in: the old task; out: the new one, unless the old one gets a fault
 * @param rq      where to and why; the checks before a VM exit (26.4.2) are made again, as memory may have changed
 * @param fault   receives the exception that comes of it
 * @return 0: \p st is the new task;
 *         -EFAULT: *fault is for the old task, which is as it was;
 *         TASK_NEW_FAULTS: \p st is the new task, as far as it could be loaded, and *fault is for it;
 *         another negative: memory that cannot be reached
 */
int32_t task_switch(
	struct task_state *st, const struct task_request *rq, const struct task_ops *ops, struct task_fault *fault);

#endif /* ASM_TASK_SWITCH_H */
