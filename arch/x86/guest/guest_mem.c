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
	arch_guest_access_begin();
	*entry = load_entry(at, size);
	arch_guest_access_end();
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
	arch_guest_access_begin();
	if (size == 8U) {
		done = __atomic_compare_exchange_n((uint64_t *)at, &old, val, false, __ATOMIC_SEQ_CST,
			__ATOMIC_RELAXED);
	} else {
		uint32_t old32 = (uint32_t)old;

		done = __atomic_compare_exchange_n((uint32_t *)at, &old32, (uint32_t)val, false, __ATOMIC_SEQ_CST,
			__ATOMIC_RELAXED);
	}
	arch_guest_access_end();
	return done ? 0 : -EAGAIN;
}

/* ---- How the guest pages ---- */

static bool is_pae(const struct guest_walk_state *st)
{
	return ((st->cr0 & CR0_PG) != 0UL) && ((st->cr4 & CR4_PAE) != 0UL) && ((st->efer & EFER_LMA) == 0UL);
}

static bool same_paging(const struct guest_walk_state *a, const struct guest_walk_state *b)
{
	if ((a->cr0 != b->cr0) || (a->cr3 != b->cr3) || (a->cr4 != b->cr4) || (a->efer != b->efer) ||
		(a->cpl != b->cpl) || (a->rflags_ac != b->rflags_ac) || (a->pkru != b->pkru)) {
		return false;
	}
	return !is_pae(a) || (memcmp(a->pdpte, b->pdpte, sizeof(a->pdpte)) == 0);
}

void vcpu_paging_get(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;
	struct guest_walk_state st = {
		.cr0 = vcpu_get_cr0(vcpu),
		.cr3 = exec_vmread(VMX_GUEST_CR3),
		.cr4 = vcpu_get_cr4(vcpu),
		.efer = arch->efer,
		.cpl = (uint8_t)vcpu_get_cpl(),
		.maxphyaddr = cpu_caps.phys_bits,
		.rflags_ac = (exec_vmread(VMX_GUEST_RFLAGS) & RFLAGS_AC) != 0UL,
		.has_1g = cpu_caps.has_1g_pages,
	};

	if (is_pae(&st)) {
		for (uint32_t i = 0U; i < 4U; i++) {
			st.pdpte[i] = exec_vmread((enum vmcs_field)(VMX_GUEST_PDPTE0 + 2U * i));
		}
	}
	if ((st.cr4 & CR4_PKE) != 0UL) {
		uint32_t high;

		/* PKRU is live: the hypervisor does not switch it. RDPKRU needs CR4.PKE, which the host lacks. */
		write_cr4(read_cr4() | CR4_PKE);
		__asm__ volatile("rdpkru" : "=a"(st.pkru), "=d"(high) : "c"(0));
		write_cr4(read_cr4() & ~CR4_PKE);
	}
	if (!same_paging(&st, &arch->paging)) {
		arch->paging = st;
		arch->paging_epoch++;
	}
}

/* ---- Translations ---- */

static bool still_true(const struct acrn_vcpu *vcpu, const struct guest_translation *t, gla_t page, uint32_t access)
{
	uint64_t changed = 0UL;

	if ((t->page != page) || (t->access != access) || (t->paging != vcpu->arch.paging_epoch) ||
		(t->generation != __atomic_load_n(&vcpu->vm->arch.ept_generation, __ATOMIC_ACQUIRE))) {
		return false;
	}
	arch_guest_access_begin();
	if (t->entry_size == 8U) {
		for (uint32_t i = 0U; i < t->used; i++) {
			changed |= load_entry(t->at[i], 8U) ^ t->entry[i];
		}
	} else {
		for (uint32_t i = 0U; i < t->used; i++) {
			changed |= load_entry(t->at[i], 4U) ^ t->entry[i];
		}
	}
	arch_guest_access_end();
	return changed == 0UL;
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

int32_t vcpu_translate(struct acrn_vcpu *vcpu, gla_t gla, uint32_t access, const struct guest_translation **found,
	uint32_t *error)
{
	const struct guest_walk_ops ops = {.read = read_entry, .cmpxchg = cmpxchg_entry, .arg = vcpu->vm};
	struct guest_translation *const t = &vcpu->arch.translations[access & (GUEST_WALK_WRITE | GUEST_WALK_FETCH)];
	const gla_t page = gla & PAGE_MASK;
	struct guest_walk_result res;
	int32_t status;

	*found = t;
	if (likely(still_true(vcpu, t, page, access))) {
		return 0;
	}
	status = guest_walk(&vcpu->arch.paging, &ops, gla, access, &res);
	if (status != 0) {
		*error = res.error_code;
		return status;
	}
	note(vcpu, t, page, access, &res);
	return 0;
}

int32_t vcpu_copy(struct acrn_vcpu *vcpu, const struct guest_translation *t, uint32_t offset, void *data, uint32_t size,
	bool to_guest)
{
	if (unlikely(t->hva == NULL) || (to_guest && ((t->rights & GPA_WRITE) == 0U))) {
		/* Not wholly RAM: the first page behind the end of it, at best. */
		return to_guest ? copy_to_gpa(vcpu->vm, t->gpa + offset, data, size)
				: copy_from_gpa(vcpu->vm, data, t->gpa + offset, size);
	}
	arch_guest_access_begin();
	if (to_guest) {
		(void)memcpy(t->hva + offset, data, size);
	} else {
		(void)memcpy(data, t->hva + offset, size);
	}
	arch_guest_access_end();
	return 0;
}

uint32_t vcpu_fetch(struct acrn_vcpu *vcpu, bool code64, uint8_t *bytes)
{
	gla_t gla = exec_vmread(VMX_GUEST_RIP) + (code64 ? 0UL : exec_vmread(VMX_GUEST_CS_BASE));
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
