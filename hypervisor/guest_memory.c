/* SPDX-License-Identifier: BSD-3-Clause */
/* Who answers for a guest-physical address that is not plain memory: reservations. The look-up is in ioreq.c. */
#include <hv/arch.h>
#include <hv/dump.h>
#include <hv/guest_memory.h>
#include <hv/guest_ram.h>
#include <hv/log.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

/* ---- The table ---- */

/* What a hint points to when there is none: no address is in it. */
static const struct vm_memory_reservation nobody;

void vm_reservations_init(struct vm_reservations *table)
{
	(void)memset(table, 0, sizeof(*table));
	table->copy[0].last_hit = &nobody;
	table->index = &table->copy[0];
}

uint32_t vm_reservation_above(const struct vm_reservation_index *index, gpa_t addr)
{
	uint32_t low = 0U;
	uint32_t high = index->count;

	while (low < high) {
		const uint32_t mid = (low + high) / 2U;

		if (index->sorted[mid]->end > addr) {
			high = mid;
		} else {
			low = mid + 1U;
		}
	}
	return low;
}

/* @return the copy that nobody reads, filled with what counts now */
static struct vm_reservation_index *draft(struct vm_reservations *table)
{
	const struct vm_reservation_index *now = table->index;
	struct vm_reservation_index *next = (now == &table->copy[0]) ? &table->copy[1] : &table->copy[0];

	(void)memcpy(next->sorted, now->sorted, sizeof(next->sorted));
	next->count = now->count;
	next->last_hit = &nobody;
	return next;
}

/*
 * Makes the draft `next` count, and takes the pages of [start, end) out of the memory map. In this order: an access to
 * memory that is gone already has somebody who answers. When it returns nobody reads the other copy.
 * @return 0, or -ENOMEM: it is as it was, but for memory that may be unmapped
 */
static int32_t take_effect(struct acrn_vm *vm, struct vm_reservation_index *next, gpa_t start, gpa_t end)
{
	struct vm_reservations *table = &vm->mem.reserved;
	struct vm_reservation_index *before = table->index;
	const gpa_t first_page = round_down(start, PAGE_SIZE);
	int32_t ret;

	__atomic_store_n(&table->index, next, __ATOMIC_RELEASE);
	ret = arch_gpa_unmap(vm, first_page, round_up(end, PAGE_SIZE) - first_page);
	if (ret != 0) {
		__atomic_store_n(&table->index, before, __ATOMIC_RELEASE);
	}
	arch_gpa_flush(vm);
	return ret;
}

static const struct vm_memory_reservation *overlapping(const struct vm_reservations *table, gpa_t start, gpa_t end)
{
	const struct vm_reservation_index *index = table->index;
	const uint32_t at = vm_reservation_above(index, start);

	return ((at < index->count) && (index->sorted[at]->start < end)) ? index->sorted[at] : NULL;
}

static const struct vm_anon_window *anon_overlapping(const struct vm_reservations *table, gpa_t start, gpa_t end)
{
	for (uint32_t i = 0U; i < table->anon_count; i++) {
		if ((start < table->anon[i].end) && (table->anon[i].start < end)) {
			return &table->anon[i];
		}
	}
	return NULL;
}

/* ---- Reservations ---- */

/* The Service VM's vCPUs wait for other VMs' in hypercalls, so nobody may wait for them: doc/locks.md, rule 3. */
static bool is_immutable(const struct acrn_vm *vm)
{
	return vm_is_fixed(vm) && vm_is_service(vm);
}

/* RAM that the hypervisor manages, or that a device model gave it. */
static bool has_ram(struct acrn_vm *vm, gpa_t start, gpa_t end)
{
	const gpa_t first_page = round_down(start, PAGE_SIZE);

	return vm_ram_overlaps(vm, start, end - start) ||
		((vm->mapped_bytes != 0UL) &&
			(vm_memory_mapped_bytes(vm, first_page, round_up(end, PAGE_SIZE) - first_page) != 0UL));
}

/* Says why [start, end) cannot become `who`'s. @return 0, -EINVAL, -EEXIST */
static int32_t check_free(struct acrn_vm *vm, gpa_t start, gpa_t end, const char *who, bool in_window)
{
	const struct vm_reservations *table = &vm->mem.reserved;
	const struct vm_memory_reservation *other;
	const struct vm_anon_window *window;

	if ((end <= start) || (end > UINT64_MAX - PAGE_SIZE) || is_immutable(vm)) {
		pr_err("VM%u: memory 0x%lx..0x%lx (%s) cannot be reserved%s", vm->vm_id, start, end, who,
			is_immutable(vm) ? ": the Service VM runs" : "");
		return -EINVAL;
	}
	other = overlapping(table, start, end);
	if (other != NULL) {
		pr_err("VM%u: memory 0x%lx..0x%lx (%s) refused: it overlaps 0x%lx..0x%lx (%s)", vm->vm_id, start, end,
			who, other->start, other->end, dump_function_name(other->owner));
		return -EEXIST;
	}
	window = in_window ? NULL : anon_overlapping(table, start, end);
	if (window != NULL) {
		pr_err("VM%u: memory 0x%lx..0x%lx (%s) refused: it overlaps 0x%lx..0x%lx (an anonymous window)",
			vm->vm_id, start, end, who, window->start, window->end);
		return -EEXIST;
	}
	if (has_ram(vm, start, end)) {
		pr_err("VM%u: memory 0x%lx..0x%lx (%s) refused: it overlaps RAM", vm->vm_id, start, end, who);
		return -EEXIST;
	}
	return 0;
}

static struct vm_memory_reservation *free_place(struct vm_reservations *table)
{
	for (uint32_t i = 0U; i < VM_RESERVATIONS; i++) {
		if (table->place[i].start == table->place[i].end) {
			return &table->place[i];
		}
	}
	return NULL;
}

/* @param spec what is to be reserved, complete @return 0 and *result, or -EINVAL, -EEXIST, -ENOSPC, -ENOMEM */
static int32_t reserve(
	struct acrn_vm *vm, const struct vm_memory_reservation *spec, struct vm_memory_reservation **result)
{
	struct vm_reservations *table = &vm->mem.reserved;
	const char *who = dump_function_name(spec->owner);
	struct vm_reservation_index *next;
	struct vm_memory_reservation *place;
	uint32_t at;
	int32_t ret;

	ret = (spec->callback == NULL) ? -EINVAL : check_free(vm, spec->start, spec->end, who, spec->is_anon);
	if (ret != 0) {
		return ret;
	}
	place = free_place(table);
	if (place == NULL) {
		pr_err("VM%u: memory 0x%lx..0x%lx (%s) refused: the table is full", vm->vm_id, spec->start, spec->end,
			who);
		return -ENOSPC;
	}
	*place = *spec;
	next = draft(table);
	at = vm_reservation_above(next, spec->start);
	for (uint32_t i = next->count; i > at; i--) {
		next->sorted[i] = next->sorted[i - 1U];
	}
	next->sorted[at] = place;
	next->count++;
	ret = take_effect(vm, next, spec->start, spec->end);
	if (ret != 0) {
		place->end = place->start;
		return ret;
	}
	*result = place;
	return 0;
}

int32_t vm_reserve_for(struct acrn_vm *vm, gpa_t addr, uint64_t size, memory_fault_callback_fn fault_callback,
	void *cookie, const void *owner)
{
	const struct vm_memory_reservation spec = {addr, addr + size, fault_callback, cookie, owner, false};
	struct vm_memory_reservation *unused;

	return reserve(vm, &spec, &unused);
}

vm_memory_reservation_t *vm_reserve_memory_at(
	struct acrn_vm *vm, gpa_t addr, uint64_t size, memory_fault_callback_fn fault_callback, void *cookie)
{
	const struct vm_memory_reservation spec = {
		addr, addr + size, fault_callback, cookie, (const void *)fault_callback, false};
	struct vm_memory_reservation *reservation;

	return (reserve(vm, &spec, &reservation) == 0) ? reservation : NULL;
}

int32_t vm_memory_make_anon(struct acrn_vm *vm, gpa_t addr, uint64_t size)
{
	struct vm_reservations *table = &vm->mem.reserved;

	if (!is_aligned(addr | size, PAGE_SIZE) || (table->anon_count == VM_ANON_WINDOWS) ||
		(check_free(vm, addr, addr + size, "an anonymous window", false) != 0) ||
		(arch_gpa_unmap(vm, addr, size) != 0)) {
		return -1;
	}
	table->anon[table->anon_count] = (struct vm_anon_window){addr, addr + size, addr};
	table->anon_count++;
	return 0;
}

vm_memory_reservation_t *vm_reserve_anon_memory(struct acrn_vm *vm, uint64_t size, uint64_t align,
	memory_fault_callback_fn fault_callback, void *cookie, gpa_t *addr)
{
	struct vm_reservations *table = &vm->mem.reserved;

	align = MAX(align, PAGE_SIZE);
	if ((size == 0UL) || (size > UINT64_MAX - PAGE_SIZE) || ((align & (align - 1UL)) != 0UL)) {
		return NULL;
	}
	for (uint32_t i = 0U; i < table->anon_count; i++) {
		struct vm_anon_window *window = &table->anon[i];
		const gpa_t start = round_up(window->next, align);
		const struct vm_memory_reservation spec = {start, start + round_up(size, PAGE_SIZE), fault_callback,
			cookie, (const void *)fault_callback, true};
		struct vm_memory_reservation *reservation;

		if ((start < window->next) || (start > window->end) || (window->end - start < spec.end - start)) {
			continue;
		}
		if (reserve(vm, &spec, &reservation) != 0) {
			return NULL;
		}
		window->next = spec.end;
		*addr = start;
		return reservation;
	}
	return NULL;
}

int32_t vm_free_reserved_memory(struct acrn_vm *vm, vm_memory_reservation_t *reservation)
{
	struct vm_reservations *table = &vm->mem.reserved;
	struct vm_reservation_index *next;

	if (reservation->is_anon || is_immutable(vm)) {
		return -1;
	}
	next = draft(table);
	next->count--;
	for (uint32_t at = vm_reservation_above(table->index, reservation->start); at < next->count; at++) {
		next->sorted[at] = next->sorted[at + 1U];
	}
	if (take_effect(vm, next, reservation->start, reservation->end) != 0) {
		return -1;
	}
	reservation->end = reservation->start;
	return 0;
}

static bool can_map(
	const struct acrn_vm *vm, const vm_memory_reservation_t *reservation, uint64_t offset, uint64_t size)
{
	const uint64_t room = reservation->end - reservation->start;

	return !is_immutable(vm) && (offset <= room) && (size <= room - offset);
}

int32_t vm_map_reservation(struct acrn_vm *vm, const vm_memory_reservation_t *reservation, uint64_t offset, hpa_t hpa,
	uint64_t size, uint32_t access)
{
	int32_t ret;

	if (!can_map(vm, reservation, offset, size)) {
		return -1;
	}
	ret = arch_gpa_map(vm, reservation->start + offset, hpa, size, access, GPA_TYPE_WB);
	arch_gpa_flush(vm);
	return (ret == 0) ? 0 : -1;
}

int32_t vm_unmap_reservation(
	struct acrn_vm *vm, const vm_memory_reservation_t *reservation, uint64_t offset, uint64_t size)
{
	int32_t ret;

	if (!can_map(vm, reservation, offset, size)) {
		return -1;
	}
	ret = arch_gpa_unmap(vm, reservation->start + offset, size);
	arch_gpa_flush(vm);
	return (ret == 0) ? 0 : -1;
}

void vm_get_reservation_memory_region(const vm_memory_reservation_t *reservation, gpa_t *addr, uint64_t *size)
{
	*addr = reservation->start;
	*size = reservation->end - reservation->start;
}

bool vm_memory_is_reserved(const struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	const gpa_t start = round_down(gpa, PAGE_SIZE);
	const gpa_t end = round_up(gpa + size, PAGE_SIZE);

	return (overlapping(&vm->mem.reserved, start, end) != NULL) ||
		(anon_overlapping(&vm->mem.reserved, start, end) != NULL);
}

uint64_t vm_memory_mapped_bytes(struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	uint64_t contiguous = 0UL;
	uint64_t bytes = 0UL;

	for (uint64_t done = 0UL; done < size; done += contiguous) {
		const bool mapped = arch_gpa_to_hpa(vm, gpa + done, &contiguous, NULL) != INVALID_HPA;

		contiguous = MIN(contiguous, size - done);
		bytes += mapped ? contiguous : 0UL;
	}
	return bytes;
}

bool vm_memory_has_mapped_reservation(struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	const struct vm_reservation_index *index = vm->mem.reserved.index;

	for (uint32_t at = vm_reservation_above(index, gpa); at < index->count; at++) {
		const gpa_t start = MAX(gpa, index->sorted[at]->start);
		const gpa_t end = MIN(gpa + size, index->sorted[at]->end);

		if (start >= end) {
			break;
		}
		if (vm_memory_mapped_bytes(vm, start, end - start) != 0UL) {
			return true;
		}
	}
	return false;
}

memory_fault_result_t default_error_fault_callback(
	struct acrn_vm *vm, struct acrn_vcpu *vcpu, gpa_t fault_addr, size_t fault_length, void *cookie)
{
	(void)cookie;
	pr_guest(vm->vm_id, vcpu->vcpu_id, "access of %lu bytes at 0x%lx, which nobody may touch", fault_length,
		fault_addr);
	return FAULT_ERROR;
}
