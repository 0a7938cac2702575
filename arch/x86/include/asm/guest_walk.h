/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest_walk.h: translates guest-linear to guest-physical addresses as the guest's CPU would (SDM
 * vol. 3, ch. 4).
 *
 * A pure function: CPU state comes in a struct, guest memory is reached through an operations
 * table, so it runs in host unit tests and fuzzers. No locks, no state between calls; any context.
 */
#ifndef ASM_GUEST_WALK_H
#define ASM_GUEST_WALK_H

#include <lib/util.h>

/* Kind of access. None of WRITE and FETCH: a data read. */
#define GUEST_WALK_READ 0U
#define GUEST_WALK_WRITE                                                                                               \
	(1U << 0)                     /* data write, or the read of a read-modify-write instruction                    \
				       */
#define GUEST_WALK_FETCH    (1U << 1) /* instruction fetch; excludes WRITE */
#define GUEST_WALK_USER     (1U << 2) /* a user-mode access whatever the CPL is */
#define GUEST_WALK_IMPLICIT (1U << 3) /* implicit supervisor-mode access: descriptor tables, TSS (SDM 4.6.1) */

/* Bits of a page-fault error code (SDM vol. 3, 4.7). */
#define PF_EC_PRESENT (1U << 0)
#define PF_EC_WRITE   (1U << 1)
#define PF_EC_USER    (1U << 2)
#define PF_EC_RSVD    (1U << 3)
#define PF_EC_FETCH   (1U << 4)
#define PF_EC_PK      (1U << 5)

/** What decides on a translation, as the guest sees it (CR0/CR4 with the guest's own bits, not the
 * host's). */
struct guest_walk_state {
	uint64_t cr0;
	uint64_t cr3;
	uint64_t cr4;
	uint64_t efer;
	uint64_t pdpte[4];  /* the four PDPTE registers; used with PAE paging only (VMCS guest
			       PDPTEs) */
	uint32_t pkru;      /* used with CR4.PKE */
	uint32_t pkrs;      /* IA32_PKRS; used with CR4.PKS */
	uint8_t cpl;        /* 0..3; 3 means user-mode accesses */
	uint8_t maxphyaddr; /* guest's CPUID 80000008h:EAX[7:0], 32..52 */
	bool rflags_ac;     /* RFLAGS.AC: lifts SMAP for explicit accesses */
	bool has_1g;        /* guest's CPUID says 1 GiB pages */
};

/** Access to the guest's paging structures. */
struct guest_walk_ops {
	/**
	 * Reads one paging-structure entry, atomically.
	 * @gpa   address, aligned to size
	 * @size  4 or 8 bytes
	 * @entry receives the entry (zero-extended)
	 * @return 0, or negative if the address is not guest RAM
	 */
	int32_t (*read)(void *arg, gpa_t gpa, uint32_t size, uint64_t *entry);
	/**
	 * Atomically replaces an entry that still has the value old, to set accessed and dirty
	 * bits. NULL: these bits are left alone.
	 * @return 0; -EAGAIN if the entry has another value by now; another negative: cannot be
	 * written
	 */
	int32_t (*cmpxchg)(void *arg, gpa_t gpa, uint32_t size, uint64_t old, uint64_t val);
	void *arg;
};

#define GUEST_WALK_LEVELS 5U /* entries read at most */

struct guest_walk_result {
	gpa_t gpa;           /* translation of gla; valid if guest_walk() returned 0 */
	uint64_t page_size;  /* bytes mapped by the leaf entry (4096 without paging); valid with gpa
			      */
	uint32_t error_code; /* of the #PF to inject; valid if guest_walk() returned -EFAULT */
	uint64_t cr2;        /* of the #PF to inject: the linear address; valid with error_code */
	/* What gpa was made of, besides the CPU state: valid with gpa. */
	uint32_t used;       /* entries */
	uint32_t entry_size; /* bytes of each: 4 or 8 */
	gpa_t entry_gpa[GUEST_WALK_LEVELS];
	uint64_t entry[GUEST_WALK_LEVELS]; /* their values, accessed and dirty bits as they were set */
};

/**
 * Translates one linear address and checks the rights of one access that lies within one page.
 *
 * Covers: no paging, 32-bit paging (with PSE and PSE-36), PAE, 4-level and 5-level paging; R/W,
 * U/S, XD, CR0.WP, SMEP, SMAP, protection keys for user and supervisor pages, reserved bits. Sets
 * accessed and dirty bits on success if ops->cmpxchg is given.
 *
 * @st     CPU state
 * @ops    access to paging structures
 * @gla    linear address; only its low 32 bits count outside of IA-32e mode
 * @access GUEST_WALK_*
 * @res    result
 * @return 0;
 *         -EFAULT: the guest gets a #PF with res->error_code and res->cr2;
 *         -EIO: a paging structure lies outside of guest RAM;
 *         -EAGAIN: other CPUs kept changing the entries: re-enter the guest and let it try again;
 *         -EINVAL: gla is not canonical (the caller has to check this first: it is #GP or #SS, not
 * #PF)
 */
int32_t guest_walk(const struct guest_walk_state *st, const struct guest_walk_ops *ops, gla_t gla, uint32_t access,
	struct guest_walk_result *res);

#endif /* ASM_GUEST_WALK_H */
