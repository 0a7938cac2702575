/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MSRs as guests see them: one table of what exists. An MSR that is not in it raises #GP, read or written.
 */
#include <asm/guest.h>

#include <asm/apicv.h>
#include <asm/caps.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <asm/speculation.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

typedef int32_t (*msr_read_t)(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value);
typedef int32_t (*msr_write_t)(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value);

/* ---- Small ones ---- */

static int32_t read_zero(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = 0UL;
	return 0;
}

static int32_t write_ignored(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	(void)value;
	return 0;
}

static int32_t write_zero_only(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	return (value == 0UL) ? 0 : -EACCES;
}

static int32_t read_feature_control(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = FEATURE_CONTROL_LOCK; /* locked with VMX off */
	return 0;
}

static int32_t vlapic_read(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	return vlapic_read_msr(&vcpu->arch.vlapic, msr, value);
}

static int32_t vlapic_write(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const int32_t status = vlapic_write_msr(&vcpu->arch.vlapic, msr, value);

	if (msr == MSR_IA32_APIC_BASE) {
		vcpu->arch.check_events = CHECK_ALL; /* switched off it lets the PIC's interrupts in */
		apicv_update(vcpu);
	}
	return status;
}

static int32_t read_microcode(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	/* Linux uses TSC-deadline timers only if the revision says that an erratum is mended: the machine's own. */
	*value = rdmsr(msr);
	return 0;
}

/* IA32_ARCH_CAPABILITIES: the bits that say "not affected", none that offer an MSR we do not have. */
#define ARCH_CAPS_SHOWN                                                                                                \
	(ARCH_CAPS_RDCL_NO | ARCH_CAPS_IBRS_ALL | ARCH_CAPS_RSBA | ARCH_CAPS_SKIP_L1DFL_VMENTRY | ARCH_CAPS_SSB_NO |   \
		ARCH_CAPS_MDS_NO | ARCH_CAPS_PSCHANGE_MC_NO | ARCH_CAPS_TAA_NO | ARCH_CAPS_SBDR_SSDP_NO |              \
		ARCH_CAPS_FBSDP_NO | ARCH_CAPS_PSDP_NO | ARCH_CAPS_FB_CLEAR | ARCH_CAPS_PBRSB_NO | ARCH_CAPS_GDS_NO |  \
		ARCH_CAPS_RFDS_NO)

static int32_t read_arch_caps(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	if (!cpu_caps.has_arch_caps) {
		return -EACCES;
	}
	*value = cpu_caps.arch_caps & ARCH_CAPS_SHOWN;
	return 0;
}

/*
 * IA32_SPEC_CTRL, unless it is swapped at each exit anyway. What a guest switches on stays on while its vCPU is loaded,
 * and what the hypervisor needs is on in the guest too: each bit only takes predictions away.
 */
static int32_t read_spec_ctrl(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.gprs.spec_ctrl;
	return cpu_caps.has_spec_ctrl ? 0 : -EACCES;
}

static int32_t write_spec_ctrl(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const uint64_t both = value | speculation.host_spec_ctrl;

	/* The CPU knows which bits it has. */
	if (!cpu_caps.has_spec_ctrl || !wrmsr_safe(msr, both)) {
		return -EACCES;
	}
	this_percpu()->spec_ctrl = both;
	vcpu->arch.gprs.spec_ctrl = value;
	return 0;
}

static int32_t read_misc_enable(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.misc_enable;
	return 0;
}

#define MISC_ENABLE_FAST_STRING      BIT(0)
#define MISC_ENABLE_BTS_UNAVAILABLE  BIT(11)
#define MISC_ENABLE_PEBS_UNAVAILABLE BIT(12)
/*
 * What a guest may switch (SDM vol 4, table 2-2): besides fast strings thermal control, SpeedStep, MONITOR, a limit of
 * CPUID's leaves, xTPR messages, no XD. The others are kept and have no effect: a VM has none of it, or, as with the
 * limit and XD, it is an old system's firmware that sets them.
 */
#define MISC_ENABLE_WRITABLE (MISC_ENABLE_FAST_STRING | BIT(3) | BIT(16) | BIT(18) | BIT(22) | BIT(23) | BIT(34))

static int32_t write_misc_enable(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	vcpu->arch.misc_enable = (vcpu->arch.misc_enable & ~MISC_ENABLE_WRITABLE) | (value & MISC_ENABLE_WRITABLE);
	return 0;
}

static int32_t read_debugctl(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = exec_vmread(VMX_GUEST_DEBUGCTL);
	return 0;
}

static int32_t write_debugctl(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	/* BTF only: no branch records, no trace store. */
	if ((value & ~3UL) != 0UL) {
		return -EACCES;
	}
	exec_vmwrite(VMX_GUEST_DEBUGCTL, value & 2UL);
	return 0;
}

static int32_t read_efer(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.efer;
	return 0;
}

static int32_t write_efer(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	return vcpu_write_efer(vcpu, value);
}

/* SYSCALL's and RDTSCP's: read without an exit, written with one, so that a switch of vCPUs need not read them. */
static int32_t write_switched(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return vcpu_write_switched_msr(vcpu, msr, value);
}

static int32_t read_xss(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = 0UL;
	(void)vcpu;
	return cpu_caps.has_enable_xsaves ? 0 : -EACCES;
}

static int32_t write_xss(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	return (cpu_caps.has_enable_xsaves && (value == 0UL)) ? 0 : -EACCES;
}

/* ---- Time: guest TSC = host TSC + offset ---- */

static void set_tsc_offset(struct acrn_vcpu *vcpu, uint64_t offset)
{
	vcpu->arch.tsc_offset = offset;
	vlapic_set_tsc_offset(&vcpu->arch.vlapic, offset);
	exec_vmwrite(VMX_TSC_OFFSET, offset);
}

static int32_t read_tsc(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = arch_now() + vcpu->arch.tsc_offset;
	return 0;
}

static int32_t write_tsc(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const uint64_t offset = value - arch_now();

	(void)msr;
	/* SDM 18.17.3: a write to the TSC adds the same difference to IA32_TSC_ADJUST. */
	vcpu->arch.tsc_adjust += offset - vcpu->arch.tsc_offset;
	set_tsc_offset(vcpu, offset);
	return 0;
}

static int32_t read_tsc_adjust(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.tsc_adjust;
	return 0;
}

static int32_t write_tsc_adjust(struct acrn_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	set_tsc_offset(vcpu, vcpu->arch.tsc_offset + value - vcpu->arch.tsc_adjust);
	vcpu->arch.tsc_adjust = value;
	return 0;
}

/* ---- The table, by number ---- */

static const struct vmsr {
	uint32_t first, last;
	msr_read_t read;   /* NULL: #GP */
	msr_write_t write; /* NULL: #GP */
} vmsrs[] = {
	{MSR_IA32_TSC, MSR_IA32_TSC, read_tsc, write_tsc},
	{0x17U, 0x17U, read_zero, NULL}, /* IA32_PLATFORM_ID: read by microcode loaders */
	{MSR_IA32_APIC_BASE, MSR_IA32_APIC_BASE, vlapic_read, vlapic_write},
	{MSR_IA32_FEATURE_CONTROL, MSR_IA32_FEATURE_CONTROL, read_feature_control, NULL},
	{MSR_IA32_TSC_ADJUST, MSR_IA32_TSC_ADJUST, read_tsc_adjust, write_tsc_adjust},
	{MSR_IA32_SPEC_CTRL, MSR_IA32_SPEC_CTRL, read_spec_ctrl, write_spec_ctrl},
	{MSR_IA32_BIOS_UPDT_TRIG, MSR_IA32_BIOS_UPDT_TRIG, NULL, write_ignored}, /* microcode is the machine's */
	{MSR_IA32_BIOS_SIGN_ID, MSR_IA32_BIOS_SIGN_ID, read_microcode, write_ignored},
	{MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, read_zero, NULL},
	{MSR_IA32_MTRRCAP, MSR_IA32_MTRRCAP, vmtrr_read, NULL},
	{MSR_IA32_ARCH_CAPABILITIES, MSR_IA32_ARCH_CAPABILITIES, read_arch_caps, NULL},
	{MSR_IA32_MCG_CAP, MSR_IA32_MCG_CAP, read_zero, NULL}, /* no banks */
	{MSR_IA32_MCG_STATUS, MSR_IA32_MCG_STATUS, read_zero, write_zero_only},
	{MSR_IA32_MISC_ENABLE, MSR_IA32_MISC_ENABLE, read_misc_enable, write_misc_enable},
	{MSR_IA32_DEBUGCTL, MSR_IA32_DEBUGCTL, read_debugctl, write_debugctl},
	{MSR_IA32_MTRR_PHYSBASE0, MSR_IA32_MTRR_FIX4K_F8000, vmtrr_read, vmtrr_write},
	{MSR_IA32_MTRR_DEF_TYPE, MSR_IA32_MTRR_DEF_TYPE, vmtrr_read, vmtrr_write},
	{MSR_IA32_TSC_DEADLINE, MSR_IA32_TSC_DEADLINE, vlapic_read, vlapic_write},
	{MSR_IA32_X2APIC_BASE, MSR_IA32_X2APIC_BASE + 0xFFU, vlapic_read, vlapic_write},
	{MSR_IA32_XSS, MSR_IA32_XSS, read_xss, write_xss},
	{MSR_IA32_EFER, MSR_IA32_EFER, read_efer, write_efer},
	{MSR_IA32_STAR, MSR_IA32_FMASK, NULL, write_switched},
	{MSR_IA32_TSC_AUX, MSR_IA32_TSC_AUX, NULL, write_switched},
};

static const struct vmsr *__noinline vmsr_search(struct acrn_vcpu *vcpu, uint32_t msr)
{
	uint32_t low = 0U;
	uint32_t high = ARRAY_SIZE(vmsrs);

	while (low < high) {
		const uint32_t mid = (low + high) / 2U;

		if (msr > vmsrs[mid].last) {
			low = mid + 1U;
		} else if (msr < vmsrs[mid].first) {
			high = mid;
		} else {
			vcpu->arch.last_msr = mid;
			return &vmsrs[mid];
		}
	}
	return NULL;
}

/* The same few come again and again. */
static inline const struct vmsr *vmsr_find(struct acrn_vcpu *vcpu, uint32_t msr)
{
	const struct vmsr *const last = &vmsrs[vcpu->arch.last_msr];

	return ((msr >= last->first) && (msr <= last->last)) ? last : vmsr_search(vcpu, msr);
}

int32_t rdmsr_vmexit_handler(struct acrn_vcpu *vcpu)
{
	uint64_t *const gpr = vcpu->arch.gprs.reg;
	const uint32_t msr = (uint32_t)gpr[GPR_RCX];
	const struct vmsr *const entry = vmsr_find(vcpu, msr);
	uint64_t value = 0UL;

	if ((entry == NULL) || (entry->read == NULL) || (entry->read(vcpu, msr, &value) != 0)) {
		vcpu_inject_gp(vcpu);
		return VMEXIT_ENTER_AGAIN;
	}
	gpr[GPR_RAX] = (uint32_t)value;
	gpr[GPR_RDX] = value >> 32U;
	return VMEXIT_SKIP;
}

int32_t wrmsr_vmexit_handler(struct acrn_vcpu *vcpu)
{
	const uint64_t *const gpr = vcpu->arch.gprs.reg;
	const uint32_t msr = (uint32_t)gpr[GPR_RCX];
	const uint64_t value = (gpr[GPR_RDX] << 32U) | (uint32_t)gpr[GPR_RAX];
	const struct vmsr *const entry = vmsr_find(vcpu, msr);

	if ((entry == NULL) || (entry->write == NULL) || (entry->write(vcpu, msr, value) != 0)) {
		vcpu_inject_gp(vcpu);
		return VMEXIT_ENTER_AGAIN;
	}
	return VMEXIT_SKIP;
}

/* ---- MSR bitmap (SDM 25.6.9): read low, read high, write low, write high, 1 KiB each ---- */

static void pass(uint8_t *bitmap, uint32_t msr, bool read, bool write)
{
	const uint32_t index = msr & 0x1FFFU;
	uint8_t *const map = bitmap + ((msr >= 0xC0000000U) ? 1024U : 0U);
	const uint8_t bit = (uint8_t)(1U << (index & 7U));

	if (read) {
		map[index >> 3U] = (uint8_t)(map[index >> 3U] & ~bit);
	}
	if (write) {
		map[2048U + (index >> 3U)] = (uint8_t)(map[2048U + (index >> 3U)] & ~bit);
	}
}

static void setup_bitmap(uint8_t *bitmap)
{
	static const uint32_t read_write[] = {MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
		MSR_IA32_PAT, MSR_IA32_FS_BASE, MSR_IA32_GS_BASE, MSR_IA32_KERNEL_GS_BASE};
	static const uint32_t read_only[] = {
		MSR_IA32_TSC, MSR_IA32_EFER, MSR_IA32_STAR, MSR_IA32_LSTAR, MSR_IA32_CSTAR, MSR_IA32_FMASK};

	(void)memset(bitmap, 0xFF, PAGE_SIZE);
	for (uint32_t i = 0U; i < ARRAY_SIZE(read_write); i++) {
		pass(bitmap, read_write[i], true, true);
	}
	for (uint32_t i = 0U; i < ARRAY_SIZE(read_only); i++) {
		pass(bitmap, read_only[i], true, false);
	}
	pass(bitmap, MSR_IA32_TSC_AUX, cpu_caps.has_rdtscp, false);
	pass(bitmap, MSR_IA32_SPEC_CTRL, speculation.swap, speculation.swap);
	pass(bitmap, MSR_IA32_PRED_CMD, false, cpu_caps.has_spec_ctrl);
	pass(bitmap, MSR_IA32_FLUSH_CMD, false, cpu_caps.has_l1d_flush);
}

/* x2APIC MSRs that the CPU virtualizes (SDM 30.5). The others, timer and ICR among them, exit as before. */
#define X2APIC_MSR(offset) (MSR_IA32_X2APIC_BASE + ((offset) >> 4U))
#define X2APIC_TPR         X2APIC_MSR(0x080U)
#define X2APIC_PPR         X2APIC_MSR(0x0A0U)
#define X2APIC_EOI         X2APIC_MSR(0x0B0U)
#define X2APIC_ISR_FIRST   X2APIC_MSR(0x100U) /* ISR, TMR, IRR: 8 each */
#define X2APIC_IRR_LAST    X2APIC_MSR(0x270U)
#define X2APIC_SELF_IPI    X2APIC_MSR(0x3F0U)

void vmsr_setup_bitmap(struct acrn_vm *vm)
{
	uint8_t *const apicv = vm->arch.msr_bitmap_apicv;

	setup_bitmap(vm->arch.msr_bitmap);
	setup_bitmap(apicv);
	pass(apicv, X2APIC_TPR, true, true);
	pass(apicv, X2APIC_PPR, true, false);
	pass(apicv, X2APIC_EOI, false, true);
	pass(apicv, X2APIC_SELF_IPI, false, true);
	for (uint32_t msr = X2APIC_ISR_FIRST; msr <= X2APIC_IRR_LAST; msr++) {
		pass(apicv, msr, true, false);
	}
}

void vmsr_reset(struct acrn_vcpu *vcpu)
{
	struct vcpu_arch *const arch = &vcpu->arch;

	arch->efer = 0UL;
	arch->tsc_adjust = 0UL;
	arch->tsc_offset = 0UL;
	arch->misc_enable = MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE;
	for (uint32_t i = 0U; i < ARRAY_SIZE(arch->mtrr.fixed); i++) {
		arch->mtrr.fixed[i] = 0x0606060606060606UL;
	}
	for (uint32_t i = 0U; i < VMTRR_VARIABLE; i++) {
		arch->mtrr.base[i] = 0UL;
		arch->mtrr.mask[i] = 0UL;
	}
	/* As firmware would leave them: on, write back. */
	arch->mtrr.def_type = BIT(11) | BIT(10) | 6UL;
}
