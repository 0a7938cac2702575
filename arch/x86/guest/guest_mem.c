/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's linear memory, through its own page tables and its memory map. */
#include <asm/guest.h>

#include <asm/caps.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <hv/arch.h>
#include <hv/memory.h>
#include <lib/errno.h>
#include <lib/util.h>

static int32_t read_entry(void *arg, gpa_t gpa, uint32_t size, uint64_t *entry)
{
	struct acrn_vm *const vm = arg;
	const hpa_t hpa = arch_gpa_to_hpa(vm, gpa, NULL, NULL);

	if ((hpa == INVALID_HPA) || (memory_ram_bytes(hpa) < size)) {
		return -EIO;
	}
	arch_guest_access_begin();
	*entry = (size == 8U) ? __atomic_load_n((const uint64_t *)hpa_to_hva(hpa), __ATOMIC_RELAXED)
			      : __atomic_load_n((const uint32_t *)hpa_to_hva(hpa), __ATOMIC_RELAXED);
	arch_guest_access_end();
	return 0;
}

static int32_t cmpxchg_entry(void *arg, gpa_t gpa, uint32_t size, uint64_t old, uint64_t val)
{
	struct acrn_vm *const vm = arg;
	uint32_t access = 0U;
	const hpa_t hpa = arch_gpa_to_hpa(vm, gpa, NULL, &access);
	bool done;

	if ((hpa == INVALID_HPA) || ((access & GPA_WRITE) == 0U) || (memory_ram_bytes(hpa) < size)) {
		return -EIO;
	}
	arch_guest_access_begin();
	if (size == 8U) {
		done = __atomic_compare_exchange_n((uint64_t *)hpa_to_hva(hpa), &old, val, false, __ATOMIC_SEQ_CST,
			__ATOMIC_RELAXED);
	} else {
		uint32_t old32 = (uint32_t)old;

		done = __atomic_compare_exchange_n((uint32_t *)hpa_to_hva(hpa), &old32, (uint32_t)val, false,
			__ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	}
	arch_guest_access_end();
	return done ? 0 : -EAGAIN;
}

/* Fills `st` from the VMCS for guest_walk(). */
static void guest_walk_state_get(struct acrn_vcpu *vcpu, struct guest_walk_state *st)
{
	const uint64_t rflags = exec_vmread(VMX_GUEST_RFLAGS);

	*st = (struct guest_walk_state){
		.cr0 = vcpu_get_cr0(vcpu),
		.cr3 = exec_vmread(VMX_GUEST_CR3),
		.cr4 = vcpu_get_cr4(vcpu),
		.efer = vcpu->arch.efer,
		.cpl = (uint8_t)vcpu_get_cpl(),
		.maxphyaddr = cpu_caps.phys_bits,
		.rflags_ac = (rflags & RFLAGS_AC) != 0UL,
		.has_1g = cpu_caps.has_1g_pages,
	};
	if (((st->cr0 & CR0_PG) != 0UL) && ((st->cr4 & CR4_PAE) != 0UL) && ((st->efer & EFER_LMA) == 0UL)) {
		for (uint32_t i = 0U; i < 4U; i++) {
			st->pdpte[i] = exec_vmread((enum vmcs_field)(VMX_GUEST_PDPTE0 + 2U * i));
		}
	}
	if ((st->cr4 & CR4_PKE) != 0UL) {
		uint32_t high;

		/* PKRU is live: the hypervisor does not switch it. RDPKRU needs CR4.PKE, which the host lacks. */
		write_cr4(read_cr4() | CR4_PKE);
		__asm__ volatile("rdpkru" : "=a"(st->pkru), "=d"(high) : "c"(0));
		write_cr4(read_cr4() & ~CR4_PKE);
	}
}

int32_t vcpu_gla_to_gpa(struct acrn_vcpu *vcpu, gla_t gla, uint32_t access, gpa_t *gpa, uint32_t *error)
{
	const struct guest_walk_ops ops = {.read = read_entry, .cmpxchg = cmpxchg_entry, .arg = vcpu->vm};
	struct guest_walk_state st;
	struct guest_walk_result res;
	int32_t status;

	guest_walk_state_get(vcpu, &st);
	status = guest_walk(&st, &ops, gla, access, &res);
	*gpa = res.gpa;
	*error = res.error_code;
	return status;
}

uint32_t vcpu_fetch(struct acrn_vcpu *vcpu, uint8_t *bytes, uint32_t max)
{
	const bool lma = (vcpu->arch.efer & EFER_LMA) != 0UL;
	const bool code64 = lma && ((exec_vmread(VMX_GUEST_CS_AR) & (1UL << 13U)) != 0UL);
	gla_t gla = exec_vmread(VMX_GUEST_RIP) + (code64 ? 0UL : exec_vmread(VMX_GUEST_CS_BASE));
	uint32_t got = 0U;

	while (got < max) {
		gpa_t gpa;
		uint32_t error;
		uint32_t chunk;

		if (!code64) {
			gla &= 0xFFFFFFFFUL;
		}
		chunk = (uint32_t)MIN((uint64_t)(max - got), PAGE_SIZE - (gla & (PAGE_SIZE - 1UL)));
		if ((vcpu_gla_to_gpa(vcpu, gla, GUEST_WALK_FETCH, &gpa, &error) != 0) ||
			(copy_from_gpa(vcpu->vm, bytes + got, gpa, chunk) != 0)) {
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
