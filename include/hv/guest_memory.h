/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest-physical memory that somebody answers for: libsel4vm's guest_memory.h. There is one table and one dispatch;
 * ACRN's register_mmio_emulation_handler() (<hv/ioreq.h>) is a user of it, and so is the forwarding to the Service VM
 * (unhandled.c), as the callback for what nobody has reserved.
 *
 * A reservation is taken out of the VM's memory map. What is mapped into it with vm_map_reservation() is accessed
 * without an exit, as far as its rights go; all else calls its callback. So a page with GPA_READ alone is read
 * directly, and each write is a call.
 *
 * While a callback runs, vcpu->req.reqs.mmio is the access: direction, address, size (1, 2, 4 or 8 bytes), and value,
 * which for a write is what is written, and for a read is what will be read: all ones unless the callback sets it.
 *
 * Who changes anything here holds vm->lock, or the VM has not been started yet. The Service VM's memory is fixed once
 * it runs; another VM's may change at any time, also under its vCPUs: when a function returns, none of them uses what
 * was taken away, and no callback of a reservation that was freed is running, but the caller's own.
 *
 * A callback may change the memory of its own VM, and map what it was called for, but a vCPU's thread must not wait for
 * vm->lock, whose holder may be waiting for it:
 *
 *	if (!spin_try_lock(&vm->lock)) {
 *		return FAULT_RESTART;
 *	}
 *	ret = vm_map_reservation(vm, reservation, ...);
 *	spin_unlock(&vm->lock);
 *	return (ret == 0) ? FAULT_RESTART : FAULT_ERROR;
 *
 * Callbacks run on several vCPUs at once: one may be called for a page that another has just mapped.
 */
#ifndef HV_GUEST_MEMORY_H
#define HV_GUEST_MEMORY_H

#include <lib/util.h>

struct acrn_vm;
struct acrn_vcpu;

#define VM_RESERVATIONS 32U
#define VM_ANON_WINDOWS 4U

typedef enum memory_fault_result {
	FAULT_HANDLED,   /* done; a read's value is in the request. The instruction ends by itself */
	FAULT_UNHANDLED, /* the VM's callback for unhandled faults is asked; from that: FAULT_IGNORE and a log line */
	FAULT_RESTART,   /* the guest is to execute the instruction again */
	FAULT_IGNORE,    /* a read gives ones, a write is lost */
	FAULT_ERROR,     /* the VM stops, with a reason */
	FAULT_PENDING,   /* not libsel4vm's: the answer comes later, vcpu->io_state is IO_PENDING */
	FAULT_SPANS,     /* not libsel4vm's: the access runs over the end of something inside the reservation; -EIO */
} memory_fault_result_t;

/** @param fault_addr guest-physical; all of fault_length bytes are inside the reservation */
typedef memory_fault_result_t (*memory_fault_callback_fn)(
	struct acrn_vm *vm, struct acrn_vcpu *vcpu, gpa_t fault_addr, size_t fault_length, void *cookie);
typedef memory_fault_callback_fn unhandled_mem_fault_callback_fn;

typedef struct vm_memory_reservation {
	gpa_t start;
	gpa_t end; /* not included; start == end: the place in the table is free */
	memory_fault_callback_fn callback;
	void *cookie;
	const void *owner; /* function whose name the log shows */
	bool is_anon;
} vm_memory_reservation_t;

struct vm_anon_window {
	gpa_t start, end, next;
};

/* Which reservations there are. Constant but for the hint, as long as somebody may be reading it. */
struct vm_reservation_index {
	const struct vm_memory_reservation *sorted[VM_RESERVATIONS]; /* by address; the first `count` */
	uint32_t count;
	const struct vm_memory_reservation *last_hit; /* a hint, never NULL; atomic */
};

struct vm_reservations {
	struct vm_memory_reservation place[VM_RESERVATIONS]; /* one that is in an index is constant */
	struct vm_reservation_index copy[2];
	/* The copy that counts; atomic. Read by vCPUs between vcpu_map_begin() and vcpu_map_end(). */
	struct vm_reservation_index *index;
	struct vm_anon_window anon[VM_ANON_WINDOWS];
	uint32_t anon_count;
};

/** Makes an empty table. */
void vm_reservations_init(struct vm_reservations *table);

/**
 * Reserves [addr, addr+size), any alignment.
 * @return the reservation; NULL, with a log line that names both owners: no callback, it wraps, it overlaps another
 *         reservation, an anonymous window or RAM, the table is full, or it is the Service VM's, which runs
 */
vm_memory_reservation_t *vm_reserve_memory_at(
	struct acrn_vm *vm, gpa_t addr, uint64_t size, memory_fault_callback_fn fault_callback, void *cookie);

/** As vm_reserve_memory_at(); the log shows the name of the function `owner`. @return 0, -EINVAL, -EEXIST, -ENOSPC */
int32_t __must_check vm_reserve_for(struct acrn_vm *vm, gpa_t addr, uint64_t size,
	memory_fault_callback_fn fault_callback, void *cookie, const void *owner);

/** Donates a window, page aligned, to vm_reserve_anon_memory(). @return 0, or -1 as for vm_reserve_memory_at() */
int32_t __must_check vm_memory_make_anon(struct acrn_vm *vm, gpa_t addr, uint64_t size);

/**
 * Reserves whole pages somewhere in the donated windows.
 * @param align power of two, bytes; less than a page counts as a page
 * @param addr  out: where
 * @return the reservation, or NULL: no window has room, or as for vm_reserve_memory_at()
 */
vm_memory_reservation_t *vm_reserve_anon_memory(struct acrn_vm *vm, uint64_t size, uint64_t align,
	memory_fault_callback_fn fault_callback, void *cookie, gpa_t *addr);

/**
 * Ends a reservation and unmaps what was mapped into it. A callback may end its own one.
 * @return 0; -1: it is anonymous, no memory, or it is the Service VM's, which runs
 */
int32_t __must_check vm_free_reserved_memory(struct acrn_vm *vm, vm_memory_reservation_t *reservation);

/**
 * Maps host memory into a reservation, in the place of what was mapped there. All page aligned.
 * @param offset bytes from the start of the reservation
 * @param access GPA_READ | GPA_WRITE | GPA_EXEC; what it does not allow calls the callback
 * @return 0; -1: outside of the reservation, not aligned, no memory (then a part may be mapped), or it is the Service
 *         VM's, which runs
 */
int32_t __must_check vm_map_reservation(struct acrn_vm *vm, const vm_memory_reservation_t *reservation, uint64_t offset,
	hpa_t hpa, uint64_t size, uint32_t access);

/** Where the reservation is. */
void vm_get_reservation_memory_region(const vm_memory_reservation_t *reservation, gpa_t *addr, uint64_t *size);

/** As vm_map_reservation(), the reverse: each access calls the callback again. */
int32_t __must_check vm_unmap_reservation(
	struct acrn_vm *vm, const vm_memory_reservation_t *reservation, uint64_t offset, uint64_t size);

/** @return true if a page of [gpa, gpa+size) has a byte of a reservation or of an anonymous window. vm->lock held */
bool vm_memory_is_reserved(const struct acrn_vm *vm, gpa_t gpa, uint64_t size);

/** @return true if something is mapped into a reservation at a page of [gpa, gpa+size). vm->lock held */
bool vm_memory_has_mapped_reservation(struct acrn_vm *vm, gpa_t gpa, uint64_t size);

/** @return bytes of [gpa, gpa+size) that the VM's memory map has something for. vm->lock held */
uint64_t vm_memory_mapped_bytes(struct acrn_vm *vm, gpa_t gpa, uint64_t size);

/** A callback for memory that must not be touched: says who and where, FAULT_ERROR. */
memory_fault_result_t default_error_fault_callback(
	struct acrn_vm *vm, struct acrn_vcpu *vcpu, gpa_t fault_addr, size_t fault_length, void *cookie);

/** @return place in index->sorted of the first reservation that ends above `addr`; index->count if none does */
uint32_t vm_reservation_above(const struct vm_reservation_index *index, gpa_t addr);

#endif
