/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CPUID as guests see it: the machine's leaves minus what hidden[] names, each with its reason.
 *
 * The constant part is computed once; what depends on the vCPU (APIC id, mirrors of CR4, XCR0) is put in at the exit.
 */
#include <asm/guest.h>

#include <asm/caps.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <public/acrn_common.h>

#define BASIC_MAX      0x1FU
#define SUBLEAVES      4U /* cached; higher ones exist in leaf 0DH only */
#define EXT_BASE       0x80000000U
#define EXT_MAX        8U
#define LEAF_XSAVE     0xDU
#define LEAF_TOPOLOGY  0xBU
#define LEAF_TOPOLOGY2 0x1FU
#define LEAF_TSC       0x15U

enum reg { EAX, EBX, ECX, EDX };

static const struct hidden {
	uint32_t leaf;
	uint32_t subleaf;
	enum reg reg;
	uint32_t bits;
	const char *why;
} hidden[] = {
	{0x1U, 0U, ECX, BIT32(2) | BIT32(4) | BIT32(15), "DTES64, DS-CPL, PDCM: no debug store, no PMU"},
	{0x1U, 0U, ECX, BIT32(3), "MONITOR: MWAIT would take the pCPU away"},
	{0x1U, 0U, ECX, BIT32(5) | BIT32(6), "VMX, SMX: no nesting, no measured launch"},
	{0x1U, 0U, ECX, BIT32(7) | BIT32(8), "EIST, TM2: frequency and heat are the hypervisor's"},
	{0x1U, 0U, ECX, BIT32(11), "SDBG: silicon debug"},
	{0x1U, 0U, EDX, BIT32(21) | BIT32(22) | BIT32(29) | BIT32(31), "DS, ACPI, TM, PBE: thermal and debug store"},
	{0x6U, 0U, EAX, ~BIT32(2), "all of thermal and power management but ARAT"},
	{0x6U, 0U, EBX, ~0U, "thermal thresholds"},
	{0x6U, 0U, ECX, ~0U, "APERF/MPERF"},
	{0x6U, 0U, EDX, ~0U, "hardware feedback"},
	{0x7U, 0U, EBX, BIT32(2), "SGX"},
	{0x7U, 0U, EBX, BIT32(12) | BIT32(15), "RDT monitoring and allocation: shared by all VMs"},
	{0x7U, 0U, EBX, BIT32(14), "MPX: no state is switched"},
	{0x7U, 0U, EBX, BIT32(25), "processor trace"},
	{0x7U, 0U, ECX, BIT32(5), "WAITPKG: would wait without an exit"},
	{0x7U, 0U, ECX, BIT32(7), "CET shadow stacks: no state is switched"},
	{0x7U, 0U, ECX, BIT32(13), "TME"},
	{0x7U, 0U, ECX, BIT32(23), "key locker"},
	{0x7U, 0U, ECX, BIT32(24), "bus-lock detection"},
	{0x7U, 0U, ECX, BIT32(29), "ENQCMD"},
	{0x7U, 0U, ECX, BIT32(30), "SGX launch control"},
	{0x7U, 0U, ECX, BIT32(31), "PKS: no state is switched"},
	{0x7U, 0U, EDX, BIT32(5), "user interrupts"},
	{0x7U, 0U, EDX, BIT32(15), "hybrid: a vCPU is just a CPU"},
	{0x7U, 0U, EDX, BIT32(18), "PCONFIG"},
	{0x7U, 0U, EDX, BIT32(19), "architectural LBR"},
	{0x7U, 0U, EDX, BIT32(20), "CET indirect branch tracking"},
	{0x7U, 0U, EDX, BIT32(22) | BIT32(24) | BIT32(25), "AMX: no state is switched"},
	{0x7U, 0U, EDX, BIT32(30), "core capabilities"},
	{0x7U, 1U, EAX, BIT32(17) | BIT32(21) | BIT32(22) | BIT32(26), "FRED, LKGS, HRESET, LAM: not switched"},
	{LEAF_XSAVE, 1U, EAX, BIT32(4), "XFD: belongs to AMX"},
	{LEAF_XSAVE, 1U, ECX, ~0U, "supervisor states: none is switched"},
	{LEAF_XSAVE, 1U, EDX, ~0U, "supervisor states"},
	{0x80000007U, 0U, EDX, ~BIT32(8), "all but invariant TSC"},
};

/* Leaves that read as zero. */
static const struct {
	uint32_t first, last;
	const char *why;
} empty[] = {
	{0x5U, 0x5U, "MONITOR"},
	{0xAU, 0xAU, "PMU: counters are not virtualised"},
	{0xFU, 0x10U, "RDT"},
	{0x12U, 0x12U, "SGX"},
	{0x14U, 0x14U, "processor trace"},
	{0x16U, 0x17U, "frequencies: the measured rate is in leaf 15H and 40000010H"},
	{0x19U, 0x1EU, "key locker, hybrid, PCONFIG, LBR, AMX"},
	{0x20U, 0x3FFFFFFFU, "unknown"},
};

static struct cpuid_regs basic[BASIC_MAX + 1U][SUBLEAVES];
static struct cpuid_regs ext[EXT_MAX + 1U];
static uint32_t basic_max;
static uint32_t ext_max;

static bool leaf_is_empty(uint32_t leaf)
{
	for (uint32_t i = 0U; i < ARRAY_SIZE(empty); i++) {
		if ((leaf >= empty[i].first) && (leaf <= empty[i].last)) {
			return true;
		}
	}
	return false;
}

static void hide(struct cpuid_regs *r, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0U; i < ARRAY_SIZE(hidden); i++) {
		const struct hidden *const h = &hidden[i];

		if ((h->leaf != leaf) || (h->subleaf != subleaf)) {
			continue;
		}
		switch (h->reg) {
		case EAX:
			r->eax &= ~h->bits;
			break;
		case EBX:
			r->ebx &= ~h->bits;
			break;
		case ECX:
			r->ecx &= ~h->bits;
			break;
		default:
			r->edx &= ~h->bits;
			break;
		}
	}
}

static void clear_unless(bool has, uint32_t *reg, uint32_t bits)
{
	if (!has) {
		*reg &= ~bits;
	}
}

/* What the CPU has but VMX cannot let the guest execute, and what we add ourselves. */
static void adjust_features(void)
{
	struct cpuid_regs *const one = &basic[1][0];
	struct cpuid_regs *const seven = &basic[7][0];

	one->ecx |= BIT32(21) | BIT32(24) | BIT32(31); /* x2APIC, TSC deadline (both emulated), hypervisor */
	one->ecx &= ~BIT32(27);                        /* OSXSAVE: mirror */
	clear_unless(cpu_caps.has_xsave, &one->ecx, BIT32(26) | BIT32(28) | BIT32(12) | BIT32(29));
	clear_unless(cpu_caps.has_pcid, &one->ecx, BIT32(17));
	seven->ebx |= BIT32(1);  /* TSC_ADJUST is emulated */
	seven->ecx &= ~BIT32(4); /* OSPKE: mirror */
	clear_unless(cpu_caps.has_enable_invpcid, &seven->ebx, BIT32(10));
	clear_unless(cpu_caps.has_pku, &seven->ecx, BIT32(3));
	clear_unless(cpu_caps.has_la57, &seven->ecx, BIT32(16));
	clear_unless(cpu_caps.has_enable_rdtscp, &seven->ecx, BIT32(22)); /* RDPID */
	clear_unless(cpu_caps.has_spec_ctrl, &seven->edx, BIT32(26) | BIT32(27) | BIT32(31));
	clear_unless(cpu_caps.has_arch_caps, &seven->edx, BIT32(29));
	clear_unless(cpu_caps.has_enable_xsaves, &basic[LEAF_XSAVE][1].eax, BIT32(3));
	clear_unless(cpu_caps.has_enable_rdtscp, &ext[1].edx, BIT32(27));
	basic[LEAF_XSAVE][0].eax &= (uint32_t)cpu_caps.xcr0_mask;
	basic[LEAF_XSAVE][0].edx &= (uint32_t)(cpu_caps.xcr0_mask >> 32U);
}

void vcpuid_init(void)
{
	basic_max = MIN(MAX(cpu_caps.max_leaf, LEAF_TSC), BASIC_MAX);
	ext_max = MIN(cpu_caps.max_ext_leaf - EXT_BASE, EXT_MAX);
	for (uint32_t leaf = 0U; leaf <= MIN(cpu_caps.max_leaf, BASIC_MAX); leaf++) {
		for (uint32_t sub = 0U; sub < SUBLEAVES; sub++) {
			if (!leaf_is_empty(leaf)) {
				basic[leaf][sub] = cpuid(leaf, sub);
				hide(&basic[leaf][sub], leaf, sub);
			}
		}
	}
	for (uint32_t i = 0U; i <= ext_max; i++) {
		ext[i] = cpuid(EXT_BASE + i, 0U);
		hide(&ext[i], EXT_BASE + i, 0U);
	}
	basic[0][0].eax = basic_max;
	ext[0].eax = EXT_BASE + ext_max;
	adjust_features();
	/* TSC = crystal * EBX / EAX; the local APIC's timer counts the crystal (vlapic.h). */
	basic[LEAF_TSC][0] = (struct cpuid_regs){
		.eax = 1U, .ebx = BIT32(VLAPIC_TIMER_SHIFT), .ecx = (arch_tsc_khz() >> VLAPIC_TIMER_SHIFT) * 1000U};
}

static struct cpuid_regs xsave_leaf(struct acrn_vcpu *vcpu, uint32_t subleaf)
{
	struct cpuid_regs r = {0U, 0U, 0U, 0U};

	(void)vcpu;
	if (subleaf < SUBLEAVES) {
		r = basic[LEAF_XSAVE][subleaf];
	} else if ((subleaf < 63U) && ((cpu_caps.xcr0_mask & BIT(subleaf)) != 0UL)) {
		return cpuid(LEAF_XSAVE, subleaf);
	}
	if ((subleaf >= 2U) && ((cpu_caps.xcr0_mask & BIT(subleaf & 63U)) == 0UL)) {
		return (struct cpuid_regs){0U, 0U, 0U, 0U};
	}
	if (subleaf < 2U) {
		/* Size of the enabled states: the guest's XCR0 is in force, XSS is 0. */
		r.ebx = cpuid(LEAF_XSAVE, subleaf).ebx;
		if (subleaf == 0U) {
			r.ecx = cpu_caps.xsave_size;
		}
	}
	return r;
}

/*
 * A VM whose vCPUs have ids of their own is one package of cores with one thread each, wherever they run (SDM vol 3,
 * 9.9.1; vol 2, CPUID).
 */

/* @return bits of an APIC id of the VM */
static uint32_t id_width(const struct acrn_vm *vm)
{
	return (vm->vcpu_count > 1U) ? (fls64(vm->vcpu_count - 1UL) + 1U) : 0U;
}

static void own_leaf_1(const struct acrn_vm *vm, struct cpuid_regs *r)
{
	const uint32_t width = id_width(vm);

	r->ebx = (r->ebx & 0xFF00FFFFU) | (BIT32(16) << width);
	r->edx = (r->edx & ~BIT32(28)) | ((width != 0U) ? BIT32(28) : 0U); /* HTT */
}

static void own_leaf_4(const struct acrn_vm *vm, struct cpuid_regs *r)
{
	const uint32_t ids = BIT32(id_width(vm));
	const uint32_t sharing = (((r->eax >> 5U) & 7U) >= 3U) ? ids : 1U; /* caches from level 3 on */

	if ((r->eax & 0x1FU) != 0U) {
		r->eax = (r->eax & 0x3FFFU) | ((sharing - 1U) << 14U) | ((ids - 1U) << 26U);
	}
}

static void own_topology_leaf(const struct acrn_vm *vm, uint32_t subleaf, struct cpuid_regs *r)
{
	/* EAX: shift to the next level's id; EBX: logical processors in this one; ECX: 1 threads, 2 cores. */
	r->eax = (subleaf == 1U) ? id_width(vm) : 0U;
	r->ebx = (subleaf == 0U) ? 1U : ((subleaf == 1U) ? vm->vcpu_count : 0U);
	r->ecx = (subleaf < 2U) ? ((subleaf + 1U) << 8U) : 0U;
}

/* Leaves whose data depend on ECX, and those that depend on the vCPU. */
#define LEAVES_WITH_SUBLEAVES (BIT(4) | BIT(7) | BIT(LEAF_TOPOLOGY) | BIT(0x18) | BIT(LEAF_TOPOLOGY2))
#define LEAVES_OF_VCPU        (BIT(1) | BIT(LEAF_XSAVE))

/* @return true if the leaf's data are basic[leaf][0], always */
static inline bool is_plain(uint32_t leaf)
{
	return (leaf <= basic_max) && ((BIT(leaf) & (LEAVES_WITH_SUBLEAVES | LEAVES_OF_VCPU)) == 0UL);
}

static struct cpuid_regs basic_leaf(struct acrn_vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r = {0U, 0U, 0U, 0U};

	if (leaf == LEAF_XSAVE) {
		return cpu_caps.has_xsave ? xsave_leaf(vcpu, subleaf) : r;
	}
	/* Leaves without subleaves ignore ECX. */
	if ((BIT(leaf) & LEAVES_WITH_SUBLEAVES) != 0UL) {
		if (subleaf < SUBLEAVES) {
			r = basic[leaf][subleaf];
		}
	} else {
		r = basic[leaf][0];
	}
	switch (leaf) {
	case 1U:
		r.ebx = (r.ebx & 0x00FFFFFFU) | (vcpu->apic_id << 24U);
		if ((vcpu_get_cr4(vcpu) & CR4_OSXSAVE) != 0UL) {
			r.ecx |= BIT32(27);
		}
		if (!vlapic_is_enabled(&vcpu->arch.vlapic)) {
			r.edx &= ~BIT32(9); /* APIC: mirror of IA32_APIC_BASE.EN */
		}
		if (vcpu->vm->own_apic_ids) {
			own_leaf_1(vcpu->vm, &r);
		}
		break;
	case 4U:
		if (vcpu->vm->own_apic_ids) {
			own_leaf_4(vcpu->vm, &r);
		}
		break;
	case 7U:
		if ((subleaf == 0U) && ((vcpu_get_cr4(vcpu) & CR4_PKE) != 0UL)) {
			r.ecx |= BIT32(4);
		}
		break;
	case LEAF_TOPOLOGY:
	case LEAF_TOPOLOGY2:
		if (vcpu->vm->own_apic_ids) {
			own_topology_leaf(vcpu->vm, subleaf, &r);
		}
		r.ecx = (r.ecx & ~0xFFU) | (subleaf & 0xFFU);
		r.edx = vcpu->apic_id;
		break;
	default:
		break;
	}
	return r;
}

/* CPUID as `vcpu` sees it. */
static struct cpuid_regs vcpuid_get(struct acrn_vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	if (leaf <= basic_max) {
		return basic_leaf(vcpu, leaf, subleaf);
	}
	switch (leaf) {
	case ACRN_CPUID_SIGNATURE:
		return (struct cpuid_regs){
			ACRN_CPUID_TSC_KHZ, ACRN_SIGNATURE_DWORD, ACRN_SIGNATURE_DWORD, ACRN_SIGNATURE_DWORD};
	case ACRN_CPUID_FEATURES:
		return (struct cpuid_regs){vm_is_service(vcpu->vm) ? ACRN_FEATURE_SERVICE_VM : 0U, 0U, 0U, 0U};
	case ACRN_CPUID_TSC_KHZ:
		return (struct cpuid_regs){arch_tsc_khz(), 0U, 0U, 0U};
	default:
		break;
	}
	if ((leaf >= ACRN_CPUID_SIGNATURE) && (leaf < ACRN_CPUID_SIGNATURE + 0x100U)) {
		return (struct cpuid_regs){0U, 0U, 0U, 0U};
	}
	if ((leaf >= EXT_BASE) && (leaf - EXT_BASE <= ext_max)) {
		struct cpuid_regs r = ext[leaf - EXT_BASE];

		/* SYSCALL exists in 64-bit mode only (SDM: CPUID, leaf 80000001H, EDX bit 11). */
		if ((leaf == EXT_BASE + 1U) && ((exec_vmread(VMX_GUEST_CS_AR) & BIT(13)) == 0UL)) {
			r.edx &= ~BIT32(11);
		}
		return r;
	}
	/* SDM: above the maximum, the data of the highest basic leaf. */
	return basic_leaf(vcpu, basic_max, subleaf);
}

int32_t cpuid_vmexit_handler(struct acrn_vcpu *vcpu)
{
	uint64_t *const gpr = vcpu->arch.gprs.reg;
	const uint32_t leaf = (uint32_t)gpr[GPR_RAX];
	const struct cpuid_regs r = is_plain(leaf) ? basic[leaf][0] : vcpuid_get(vcpu, leaf, (uint32_t)gpr[GPR_RCX]);

	gpr[GPR_RAX] = r.eax;
	gpr[GPR_RBX] = r.ebx;
	gpr[GPR_RCX] = r.ecx;
	gpr[GPR_RDX] = r.edx;
	return VMEXIT_SKIP;
}

int32_t arch_vcpu_cpuid(struct acrn_vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	struct cpuid_regs r;

	if (vcpu->pcpu_id != arch_cpu_id()) {
		return -EBUSY; /* its VMCS may be in use there */
	}
	arch_vcpu_load(vcpu);
	r = vcpuid_get(vcpu, leaf, subleaf);
	arch_vcpu_unload(vcpu);
	out[0] = r.eax;
	out[1] = r.ebx;
	out[2] = r.ecx;
	out[3] = r.edx;
	return 0;
}
