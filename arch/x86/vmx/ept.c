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
#include <asm/speculation.h>
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
#define EPT_TYPE   (7UL << EPT_TYPE_SHIFT)
/*
 * The CPU ignores it (SDM 29.3.2, tables of entry formats). In a large leaf: executable, once it is small pages. In an
 * entry that refers to a page table: that is one of the VM's code tables.
 */
#define EPT_CODE   0x800UL
#define CODE_LEVEL 2U /* of the entry that refers to a code table */

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
	return (level == 1U) || (level == 2U) || ((level == 3U) && cpu_caps.has_ept_1g && !speculation.small_code);
}

/* @param attr EPT_RWX bits and EPT_TYPE */
static uint64_t leaf(hpa_t hpa, uint64_t attr, uint32_t level)
{
	if (level == 1U) {
		return hpa | attr;
	}
	if (speculation.small_code && ((attr & EPT_X) != 0UL)) {
		return hpa | (attr & ~EPT_X) | EPT_LARGE | EPT_CODE;
	}
	return hpa | attr | EPT_LARGE;
}

/* @return what leaf() was told */
static uint64_t attr_of(uint64_t leaf_entry)
{
	return (leaf_entry & (EPT_RWX | EPT_TYPE)) | (((leaf_entry & EPT_CODE) != 0UL) ? EPT_X : 0UL);
}

static bool is_code_table(uint64_t entry, uint32_t level)
{
	return (entry & (EPT_RWX | EPT_CODE | EPT_LARGE)) == (EPT_RWX | EPT_CODE) && (level == CODE_LEVEL);
}

/* Makes `table` mean what `entry` of `level` does: a large leaf, or one that has become a code table. */
static void fill(uint64_t *table, uint64_t entry, uint32_t level)
{
	const uint64_t first = is_leaf(entry, level) ? entry : table_of(entry)[0];
	const hpa_t hpa = first & EPT_ADDR;

	for (uint32_t i = 0U; i < ENTRIES; i++) {
		table[i] = leaf(hpa + i * level_size(level - 1U), attr_of(first), level - 1U);
	}
}

/* ---- Code in small pages ---- */

/*
 * On a CPU with the page-size change erratum a guest that executes from a large page while it changes that page's size
 * can raise a machine check. So no large leaf is executable there, and a fetch makes it a table of small ones. The
 * tables for that are taken when the memory is mapped, up to a limit; when all are in use, the oldest become large
 * leaves again. So no guest can take memory that way, nor fail for lack of it.
 */
#define CODE_SHARE      64U  /* this part of the hypervisor's pages may be a VM's code tables */
#define CODE_TABLES_MIN 32U  /* all the same: an instruction can be in two of them, and each of 16 vCPUs at one */
#define CODE_TABLES_MAX 512U /* enough: 1 GiB of code at a time */
#define CODE_BATCH      16U  /* made large again at a time: one flush for all */
#define CODE_ORDER      1U   /* of the pages for the slots */
#define CODE_NOTHING    UINT64_MAX

_Static_assert(CODE_TABLES_MAX * sizeof(struct ept_code) <= (PAGE_SIZE << CODE_ORDER), "slots fit");

static void code_destroy(struct acrn_vm *vm)
{
	struct vm_arch *const arch = &vm->arch;

	for (uint32_t i = 0U; i < arch->code_tables; i++) {
		page_free(arch->code[i].table, vm->vm_id);
	}
	if (arch->code != NULL) {
		pages_free(arch->code, CODE_ORDER, vm->vm_id);
		arch->code = NULL;
		arch->code_tables = 0U;
	}
}

static int32_t code_init(struct acrn_vm *vm)
{
	vm->arch.code = pages_alloc(CODE_ORDER, vm->vm_id);
	vm->arch.code_next = 0U;
	return (vm->arch.code == NULL) ? -ENOMEM : 0;
}

/* One more 2 MiB may need a code table. */
static int32_t code_grow(struct acrn_vm *vm)
{
	struct vm_arch *const arch = &vm->arch;
	const uint64_t share = memory_pool_size() / PAGE_SIZE / CODE_SHARE;
	uint64_t *table;

	if (arch->code_tables >= MAX(MIN(share, CODE_TABLES_MAX), CODE_TABLES_MIN)) {
		return 0;
	}
	table = page_alloc(vm->vm_id);
	if (table == NULL) {
		return -ENOMEM;
	}
	arch->code[arch->code_tables] = (struct ept_code){.table = table, .gpa = CODE_NOTHING};
	arch->code_tables++;
	return 0;
}

/* Nobody walks `table` any more. */
static void code_release(struct acrn_vm *vm, const uint64_t *table)
{
	for (uint32_t i = 0U; i < vm->arch.code_tables; i++) {
		if (vm->arch.code[i].table == table) {
			vm->arch.code[i].gpa = CODE_NOTHING;
		}
	}
}

/* @return the entry of CODE_LEVEL that gpa goes through, or NULL */
static uint64_t *code_entry(struct acrn_vm *vm, gpa_t gpa)
{
	uint64_t *table = vm->arch.ept_root;

	for (uint32_t level = EPT_LEVELS; level > CODE_LEVEL; level--) {
		const uint64_t entry = table[level_index(gpa, level)];

		if (((entry & EPT_RWX) == 0UL) || is_leaf(entry, level)) {
			return NULL;
		}
		table = table_of(entry);
	}
	return &table[level_index(gpa, CODE_LEVEL)];
}

/* Makes the code tables from arch->code_next on large leaves again. */
static void code_undo(struct acrn_vm *vm)
{
	struct vm_arch *const arch = &vm->arch;
	const uint32_t count = MIN(arch->code_tables, CODE_BATCH);

	for (uint32_t i = 0U; i < count; i++) {
		const struct ept_code *const slot = &arch->code[(arch->code_next + i) % arch->code_tables];

		if (slot->gpa != CODE_NOTHING) {
			const uint64_t first = slot->table[0];

			entry_set(code_entry(vm, slot->gpa), leaf(first & EPT_ADDR, attr_of(first), CODE_LEVEL));
		}
	}
	arch_gpa_flush(vm);
	for (uint32_t i = 0U; i < count; i++) {
		arch->code[(arch->code_next + i) % arch->code_tables].gpa = CODE_NOTHING;
	}
}

/*
 * Nothing is flushed: the CPU that fetched has dropped what it knew of the page by the EPT violation (SDM 29.4.3.1), as
 * any other will that fetches there; for reading and writing the old translation stays true.
 */
static void code_make_small(struct acrn_vm *vm, gpa_t gpa)
{
	struct vm_arch *const arch = &vm->arch;
	uint64_t *const entry = code_entry(vm, gpa);
	struct ept_code *slot;

	if ((entry == NULL) || ((*entry & (EPT_LARGE | EPT_CODE)) != (EPT_LARGE | EPT_CODE))) {
		return; /* another vCPU was here first, or has changed the map */
	}
	if (arch->code[arch->code_next].gpa != CODE_NOTHING) {
		code_undo(vm);
	}
	slot = &arch->code[arch->code_next];
	arch->code_next = (arch->code_next + 1U) % arch->code_tables;
	slot->gpa = gpa;
	fill(slot->table, *entry, CODE_LEVEL);
	entry_set(entry, hva_to_hpa(slot->table) | EPT_RWX | EPT_CODE);
}

int32_t ept_fetch(struct acrn_vm *vm, gpa_t gpa)
{
	uint32_t access = 0U;

	if ((arch_gpa_to_hpa(vm, gpa, NULL, &access) == INVALID_HPA) || ((access & GPA_EXEC) == 0U)) {
		return -EFAULT;
	}
	if (speculation.small_code && spin_try_lock(&vm->lock)) {
		code_make_small(vm, gpa);
		spin_unlock(&vm->lock);
	}
	return 0;
}

/* ---- The map ---- */

/* Frees what a table's entry refers to. */
static void free_below(struct acrn_vm *vm, uint64_t entry, uint32_t level)
{
	uint64_t *const table = table_of(entry);

	if (is_code_table(entry, level)) {
		code_release(vm, table);
		return;
	}
	if (level > 2U) {
		for (uint32_t i = 0U; i < ENTRIES; i++) {
			if (((table[i] & EPT_RWX) != 0UL) && !is_leaf(table[i], level - 1U)) {
				free_below(vm, table[i], level - 1U);
			}
		}
	}
	page_free(table, vm->vm_id);
}

int32_t ept_init(struct acrn_vm *vm)
{
	vm->arch.ept_root = page_alloc(vm->vm_id);
	if ((vm->arch.ept_root == NULL) || (speculation.small_code && (code_init(vm) != 0))) {
		ept_destroy(vm);
		return -ENOMEM;
	}
	vm->arch.eptp = hva_to_hpa(vm->arch.ept_root) | EPTP_WB | EPTP_WALK4;
	vm->arch.ept_generation++;
	return 0;
}

void ept_destroy(struct acrn_vm *vm)
{
	if (vm->arch.ept_root != NULL) {
		free_below(vm, hva_to_hpa(vm->arch.ept_root), EPT_LEVELS + 1U);
		vm->arch.ept_root = NULL;
		vm->arch.eptp = 0UL;
	}
	code_destroy(vm);
}

/* Replaces a large leaf, a code table, or nothing, by a table that means the same. */
static int32_t split(struct acrn_vm *vm, uint64_t *entry, uint32_t level)
{
	uint64_t *const table = page_alloc(vm->vm_id);
	const uint64_t old = *entry;

	if (table == NULL) {
		return -ENOMEM;
	}
	if ((old & EPT_RWX) != 0UL) {
		fill(table, old, level);
	}
	entry_set(entry, hva_to_hpa(table) | EPT_RWX);
	if (is_code_table(old, level)) {
		arch_gpa_flush(vm);
		code_release(vm, table_of(old));
	}
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
			const uint64_t now = (attr == 0UL) ? 0UL : leaf(hpa, attr, level);

			if (((now & EPT_CODE) != 0UL) && (code_grow(vm) != 0)) {
				return -ENOMEM;
			}
			entry_set(entry, now);
			if (present && !is_leaf(old, level)) {
				/* A table goes: nobody may still walk it. */
				arch_gpa_flush(vm);
				free_below(vm, old, level);
			}
		} else if ((attr != 0UL) || present) {
			if (!present || is_leaf(*entry, level) || is_code_table(*entry, level)) {
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
				*access = (uint32_t)(attr_of(entry) & EPT_RWX);
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
