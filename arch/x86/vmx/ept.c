/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory map of a VM as extended page tables (SDM vol 3, 29.3.2).
 *
 * Changes are made under vm->lock, or before the VM runs. The CPU walks concurrently: an entry is filled completely
 * before it is linked, and an entry that is replaced by a table of the same meaning (split) may be seen either way.
 * Stale translations are dropped by arch_gpa_flush().
 */
#include <asm/ept.h>

#include <asm/caps.h>
#include <asm/cpu.h>
#include <asm/page.h>
#include <asm/paging.h>
#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/errno.h>

#define EPT_LEVELS 4U
#define ENTRIES    512U
#define GPA_WIDTH  48U
#define EPTP_WB    6UL
#define EPTP_WALK4 (3UL << 3U)

static bool is_leaf(uint64_t entry, uint32_t level)
{
	return (level == 1U) || ((entry & EPT_LARGE) != 0UL);
}

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)hpa_to_hva(entry & EPT_ADDR);
}

static void entry_set(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static bool leaf_size_ok(uint32_t level)
{
	return (level == 1U) || (level == 2U) || ((level == 3U) && cpu_caps.has_ept_1g);
}

int32_t ept_init(struct acrn_vm *vm)
{
	vm->arch.ept_root = page_alloc(vm->vm_id);
	if (vm->arch.ept_root == NULL) {
		return -ENOMEM;
	}
	vm->arch.eptp = hva_to_hpa(vm->arch.ept_root) | EPTP_WB | EPTP_WALK4;
	vm->arch.ept_generation++;
	return 0;
}

static void free_table(struct acrn_vm *vm, uint64_t *table, uint32_t level)
{
	if (level > 1U) {
		for (uint32_t i = 0U; i < ENTRIES; i++) {
			if (((table[i] & EPT_RWX) != 0UL) && !is_leaf(table[i], level)) {
				free_table(vm, table_of(table[i]), level - 1U);
			}
		}
	}
	page_free(table, vm->vm_id);
}

void ept_destroy(struct acrn_vm *vm)
{
	if (vm->arch.ept_root != NULL) {
		free_table(vm, vm->arch.ept_root, EPT_LEVELS);
		vm->arch.ept_root = NULL;
		vm->arch.eptp = 0UL;
	}
}

/* Replaces a large leaf, or nothing, by a table that means the same. */
static int32_t split(struct acrn_vm *vm, uint64_t *entry, uint32_t level)
{
	uint64_t *const table = page_alloc(vm->vm_id);
	const uint64_t old = *entry;

	if (table == NULL) {
		return -ENOMEM;
	}
	if ((old & EPT_RWX) != 0UL) {
		const uint64_t large = (level - 1U == 1U) ? 0UL : EPT_LARGE;

		for (uint32_t i = 0U; i < ENTRIES; i++) {
			table[i] = ((old & ~EPT_LARGE) + i * level_size(level - 1U)) | large;
		}
	}
	entry_set(entry, hva_to_hpa(table) | EPT_RWX);
	return 0;
}

/*
 * Sets [gpa, gpa+size) to `attr` (0: unmapped) within `table`, which covers the addresses around gpa at `level`.
 * Recursion is at most four deep.
 */
static int32_t set_range(
	struct acrn_vm *vm, uint64_t *table, uint32_t level, gpa_t gpa, uint64_t size, hpa_t hpa, uint64_t attr)
{
	const uint64_t span = level_size(level);

	while (size != 0UL) {
		uint64_t *const entry = &table[level_index(gpa, level)];
		const uint64_t chunk = MIN(size, span - (gpa & (span - 1UL)));
		const bool present = (*entry & EPT_RWX) != 0UL;
		int32_t status;

		if ((chunk == span) && leaf_size_ok(level) && ((attr == 0UL) || is_aligned(hpa, span))) {
			const uint64_t old = *entry;

			entry_set(entry, (attr == 0UL) ? 0UL : (hpa | attr | ((level > 1U) ? EPT_LARGE : 0UL)));
			if (present && !is_leaf(old, level)) {
				/* A table goes: nobody may still walk it. */
				arch_gpa_flush(vm);
				free_table(vm, table_of(old), level - 1U);
			}
		} else if ((attr != 0UL) || present) {
			if (!present || is_leaf(*entry, level)) {
				status = split(vm, entry, level);
				if (status != 0) {
					return status;
				}
			}
			status = set_range(vm, table_of(*entry), level - 1U, gpa, chunk, hpa, attr);
			if (status != 0) {
				return status;
			}
		}
		gpa += chunk;
		hpa += chunk;
		size -= chunk;
	}
	return 0;
}

static bool range_ok(gpa_t gpa, uint64_t size)
{
	return is_aligned(gpa | size, PAGE_SIZE) && (size != 0UL) && range_is_valid(gpa, size) &&
		(gpa + size <= (1UL << GPA_WIDTH));
}

void arch_gpa_flush(struct acrn_vm *vm)
{
	(void)__atomic_fetch_add(&vm->arch.ept_generation, 1UL, __ATOMIC_SEQ_CST);
	vcpu_map_wait(vm); /* who begins later does so with the new map, and flushes before it enters */
}

int32_t arch_gpa_map(struct acrn_vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size, uint32_t access, enum gpa_mem_type type)
{
	const uint64_t attr = (uint64_t)(access & GPA_RWX) | ((uint64_t)type << EPT_TYPE_SHIFT);

	/* Write without read is a misconfiguration (SDM 29.3.3.1); execute without read needs a capability. */
	if (!range_ok(gpa, size) || !is_aligned(hpa, PAGE_SIZE) || !range_is_valid(hpa, size) ||
		(hpa + size > (1UL << cpu_caps.phys_bits)) || ((access & GPA_READ) == 0U)) {
		return -EINVAL;
	}
	return set_range(vm, vm->arch.ept_root, EPT_LEVELS, gpa, size, hpa, attr);
}

int32_t arch_gpa_unmap(struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	if (!range_ok(gpa, size)) {
		return -EINVAL;
	}
	return set_range(vm, vm->arch.ept_root, EPT_LEVELS, gpa, size, 0UL, 0UL);
}

hpa_t arch_gpa_to_hpa(struct acrn_vm *vm, gpa_t gpa, uint64_t *contiguous, uint32_t *access)
{
	const uint64_t *table = vm->arch.ept_root;

	if ((gpa >> GPA_WIDTH) != 0UL) {
		if (contiguous != NULL) {
			*contiguous = 0UL - gpa;
		}
		return INVALID_HPA;
	}
	for (uint32_t level = EPT_LEVELS; level >= 1U; level--) {
		const uint64_t entry = __atomic_load_n(&table[level_index(gpa, level)], __ATOMIC_ACQUIRE);
		const uint64_t offset = gpa & (level_size(level) - 1UL);

		if (contiguous != NULL) {
			*contiguous = level_size(level) - offset;
		}
		if ((entry & EPT_RWX) == 0UL) {
			break;
		}
		if (is_leaf(entry, level)) {
			if (access != NULL) {
				*access = (uint32_t)(entry & EPT_RWX);
			}
			return (entry & EPT_ADDR & ~(level_size(level) - 1UL)) + offset;
		}
		table = table_of(entry);
	}
	return INVALID_HPA;
}

static int32_t audit_table(struct acrn_vm *vm, const uint64_t *table, uint32_t level, gpa_t gpa)
{
	for (uint32_t i = 0U; i < ENTRIES; i++) {
		const uint64_t entry = table[i];
		const gpa_t at = gpa + i * level_size(level);
		int32_t status = 0;

		if ((entry & EPT_RWX) == 0UL) {
			continue;
		}
		if (!is_leaf(entry, level)) {
			status = audit_table(vm, table_of(entry), level - 1U, at);
		} else if (memory_is_private(entry & EPT_ADDR & ~(level_size(level) - 1UL), level_size(level))) {
			pr_err("audit: VM %u maps hypervisor memory: gpa %#lx -> %#lx", vm->vm_id, at, entry);
			status = -EFAULT;
		}
		if (status != 0) {
			return status;
		}
	}
	return 0;
}

int32_t arch_gpa_audit(struct acrn_vm *vm)
{
	return (vm->arch.ept_root == NULL) ? 0 : audit_table(vm, vm->arch.ept_root, EPT_LEVELS, 0UL);
}
