/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's linear memory, through its own page tables and its memory map. */
#include <asm/guest.h>

#include <asm/caps.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <hv/arch.h>
#include <hv/memory.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <lib/util.h>

/* @return `size` bytes of RAM at `gpa` in the direct map, or NULL. *rights: what the memory map allows there */
static void *ram_at(struct acrn_vm *vm, gpa_t gpa, uint32_t size, uint32_t *rights)
{
	const hpa_t hpa = arch_gpa_to_hpa(vm, gpa, NULL, rights);

	return ((hpa == INVALID_HPA) || (memory_ram_bytes(hpa) < size)) ? NULL : hpa_to_hva(hpa);
}

static inline uint64_t load_entry(const void *at, uint32_t size)
{
	return (size == 8U) ? __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED)
			    : __atomic_load_n((const uint32_t *)at, __ATOMIC_RELAXED);
}

static int32_t read_entry(void *arg, gpa_t gpa, uint32_t size, uint64_t *entry)
{
	const void *const at = ram_at(arg, gpa, size, NULL);

	if (at == NULL) {
		return -EIO;
	}
	stac();
	*entry = load_entry(at, size);
	clac();
	return 0;
}

static int32_t cmpxchg_entry(void *arg, gpa_t gpa, uint32_t size, uint64_t old, uint64_t val)
{
	uint32_t access = 0U;
	void *const at = ram_at(arg, gpa, size, &access);
	bool done;

	if ((at == NULL) || ((access & GPA_WRITE) == 0U)) {
		return -EIO;
	}
	stac();
	if (size == 8U) {
		done = __atomic_compare_exchange_n(
			(uint64_t *)at, &old, val, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	} else {
		uint32_t old32 = (uint32_t)old;

		done = __atomic_compare_exchange_n(
			(uint32_t *)at, &old32, (uint32_t)val, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	}
	clac();
	return done ? 0 : -EAGAIN;
}

/* ---- How the guest pages ---- */

static bool is_pae(const struct guest_walk_state *st)
{
	return ((st->cr0 & CR0_PG) != 0UL) && ((st->cr4 & CR4_PAE) != 0UL) && ((st->efer & EFER_LMA) == 0UL);
}

static uint32_t read_pkru(void)
{
	uint32_t low;
	uint32_t high;

	/* PKRU is live: the hypervisor does not switch it. RDPKRU needs CR4.PKE, which the host lacks. */
	write_cr4(read_cr4() | CR4_PKE);
	__asm__ volatile("rdpkru" : "=a"(low), "=d"(high) : "c"(0));
	write_cr4(read_cr4() & ~CR4_PKE);
	return low;
}

/* What only some guests have. @return true if it has changed */
static bool __noinline get_pdptes_and_keys(struct guest_walk_state *st)
{
	bool changed = false;

	for (uint32_t i = 0U; is_pae(st) && (i < 4U); i++) {
		const uint64_t pdpte = exec_vmread((enum vmcs_field)(VMX_GUEST_PDPTE0 + 2U * i));

		changed = changed || (pdpte != st->pdpte[i]);
		st->pdpte[i] = pdpte;
	}
	if ((st->cr4 & CR4_PKE) != 0UL) {
		const uint32_t pkru = read_pkru();

		changed = changed || (pkru != st->pkru);
		st->pkru = pkru;
	}
	return changed;
}

uint64_t vcpu_paging_get(struct acrn_vcpu *vcpu)
{
	struct guest_walk_state *const st = &vcpu->arch.paging;
	const uint64_t cr0 = vcpu_get_cr0(vcpu);
	const uint64_t cr3 = exec_vmread(VMX_GUEST_CR3);
	const uint64_t cr4 = vcpu_get_cr4(vcpu);
	const uint64_t efer = vcpu->arch.efer;
	const uint8_t cpl = (uint8_t)vcpu_get_cpl();
	const uint64_t rflags = exec_vmread(VMX_GUEST_RFLAGS);
	const bool ac = (rflags & RFLAGS_AC) != 0UL;
	bool changed = ((st->cr0 ^ cr0) | (st->cr3 ^ cr3) | (st->cr4 ^ cr4) | (st->efer ^ efer)) != 0UL;

	changed = changed || (st->cpl != cpl) || (st->rflags_ac != ac);
	if (unlikely(changed)) {
		st->cr0 = cr0;
		st->cr3 = cr3;
		st->cr4 = cr4;
		st->efer = efer;
		st->cpl = cpl;
		st->rflags_ac = ac;
		st->maxphyaddr = cpu_caps.phys_bits;
		st->has_1g = cpu_caps.has_1g_pages;
	}
	if (unlikely(((cr4 & CR4_PKE) != 0UL) || is_pae(st))) {
		changed = get_pdptes_and_keys(st) || changed;
	}
	if (unlikely(changed)) {
		vcpu->arch.paging_epoch++;
	}
	return rflags;
}

/* ---- Translations ---- */

/* Guest memory may be accessed: between stac() and clac(). */
static inline bool entries_are_same(const struct guest_translation *t)
{
	uint64_t changed = 0UL;

	if (t->entry_size == 8U) {
		for (uint32_t i = 0U; i < t->used; i++) {
			changed |= load_entry(t->at[i], 8U) ^ t->entry[i];
		}
	} else {
		for (uint32_t i = 0U; i < t->used; i++) {
			changed |= load_entry(t->at[i], 4U) ^ t->entry[i];
		}
	}
	return changed == 0UL;
}

/* @return true if `t` is the translation wanted, and only the guest's tables may have changed since */
static inline bool is_for(const struct acrn_vcpu *vcpu, const struct guest_translation *t, gla_t page, uint32_t access)
{
	return (t->page == page) && (t->access == access) && (t->paging == vcpu->arch.paging_epoch) &&
		(t->generation == __atomic_load_n(&vcpu->vm->arch.ept_generation, __ATOMIC_ACQUIRE));
}

static inline bool still_true(
	const struct acrn_vcpu *vcpu, const struct guest_translation *t, gla_t page, uint32_t access)
{
	bool same;

	if (!is_for(vcpu, t, page, access)) {
		return false;
	}
	stac();
	same = entries_are_same(t);
	clac();
	return same;
}

/* Notes what a walk found. The map does not lose anything meanwhile: vcpu_map_begin(). */
static void note(struct acrn_vcpu *vcpu, struct guest_translation *t, gla_t page, uint32_t access,
	const struct guest_walk_result *res)
{
	/* Before the map is looked at: if it changes now, this is out of date at once. */
	t->generation = __atomic_load_n(&vcpu->vm->arch.ept_generation, __ATOMIC_ACQUIRE);
	t->paging = vcpu->arch.paging_epoch;
	t->page = page;
	t->access = access;
	t->used = res->used;
	t->entry_size = res->entry_size;
	for (uint32_t i = 0U; i < res->used; i++) {
		t->entry[i] = res->entry[i];
		t->at[i] = ram_at(vcpu->vm, res->entry_gpa[i], res->entry_size, NULL);
		if (t->at[i] == NULL) {
			t->generation = 0UL;
		}
	}
	t->gpa = res->gpa & PAGE_MASK;
	t->rights = 0U;
	t->hva = ram_at(vcpu->vm, t->gpa, PAGE_SIZE, &t->rights);
}

static int32_t __noinline walk(
	struct acrn_vcpu *vcpu, struct guest_translation *t, gla_t gla, uint32_t access, uint32_t *error)
{
	const struct guest_walk_ops ops = {.read = read_entry, .cmpxchg = cmpxchg_entry, .arg = vcpu->vm};
	struct guest_walk_result res;
	const int32_t status = guest_walk(&vcpu->arch.paging, &ops, gla, access, &res);

	if (status == 0) {
		note(vcpu, t, gla & PAGE_MASK, access, &res);
	} else {
		*error = res.error_code;
	}
	return status;
}

int32_t vcpu_translate(
	struct acrn_vcpu *vcpu, gla_t gla, uint32_t access, const struct guest_translation **found, uint32_t *error)
{
	struct guest_translation *const t = &vcpu->arch.translations[access & (GUEST_WALK_WRITE | GUEST_WALK_FETCH)];

	*found = t;
	return likely(still_true(vcpu, t, gla & PAGE_MASK, access)) ? 0 : walk(vcpu, t, gla, access, error);
}

int32_t vcpu_copy(struct acrn_vcpu *vcpu, const struct guest_translation *t, uint32_t offset, void *data, uint32_t size,
	bool to_guest)
{
	if (unlikely(t->hva == NULL) || (to_guest && ((t->rights & GPA_WRITE) == 0U))) {
		/* Not wholly RAM: the first page behind the end of it, at best. */
		return to_guest ? copy_to_gpa(vcpu->vm, t->gpa + offset, data, size)
				: copy_from_gpa(vcpu->vm, data, t->gpa + offset, size);
	}
	stac();
	if (to_guest) {
		(void)memcpy(t->hva + offset, data, size);
	} else {
		(void)memcpy(data, t->hva + offset, size);
	}
	clac();
	return 0;
}

/* Page by page. @return bytes read */
static uint32_t __noinline fetch_in_parts(struct acrn_vcpu *vcpu, gla_t gla, bool code64, uint8_t *bytes)
{
	uint32_t got = 0U;

	while (got < INSTR_MAX_LEN) {
		const struct guest_translation *t;
		uint32_t error = 0U;
		uint32_t chunk;

		if (!code64) {
			gla &= 0xFFFFFFFFUL;
		}
		chunk = (uint32_t)MIN((uint64_t)(INSTR_MAX_LEN - got), PAGE_SIZE - (gla & ~PAGE_MASK));
		if ((vcpu_translate(vcpu, gla, GUEST_WALK_FETCH, &t, &error) != 0) ||
			(vcpu_copy(vcpu, t, (uint32_t)(gla & ~PAGE_MASK), bytes + got, chunk, false) != 0)) {
			if (got == 0U) {
				vcpu_inject_pf(vcpu, error, gla);
			}
			break; /* the bytes so far may be all of the instruction */
		}
		got += chunk;
		gla += chunk;
	}
	return got;
}

/* @return false: not within the page that was last fetched from, or that is another by now */
static inline bool fetch_known(struct acrn_vcpu *vcpu, gla_t gla, uint8_t *bytes)
{
	const struct guest_translation *const t = &vcpu->arch.translations[GUEST_WALK_FETCH];
	const uint64_t offset = gla & ~PAGE_MASK;

	bool same;

	if ((offset > PAGE_SIZE - INSTR_MAX_LEN) || (t->hva == NULL) ||
		!is_for(vcpu, t, gla - offset, GUEST_WALK_FETCH)) {
		return false;
	}
	stac();
	same = entries_are_same(t);
	__builtin_memcpy(bytes, t->hva + offset, INSTR_MAX_LEN);
	clac();
	return same;
}

bool vcpu_fetch_again(struct acrn_vcpu *vcpu, uint64_t rip, uint8_t *bytes)
{
	/*
	 * Of how a guest in long mode pages, CR3 is all that can have changed since vcpu_paging_get() without an exit
	 * and matter here: whether the page may be fetched from the CPU has checked, and set_long_mode() counts an
	 * epoch.
	 */
	return vcpu_in_64bit_code(vcpu) && (vcpu->arch.paging.cr3 == exec_vmread(VMX_GUEST_CR3)) &&
		fetch_known(vcpu, rip, bytes);
}

uint32_t vcpu_fetch(struct acrn_vcpu *vcpu, bool code64, uint8_t *bytes)
{
	gla_t gla = exec_vmread(VMX_GUEST_RIP) + (code64 ? 0UL : exec_vmread(VMX_GUEST_CS_BASE));

	if (!code64) {
		gla &= 0xFFFFFFFFUL;
	}
	return likely(fetch_known(vcpu, gla, bytes)) ? INSTR_MAX_LEN : fetch_in_parts(vcpu, gla, code64, bytes);
}
