/* SPDX-License-Identifier: BSD-3-Clause */
/* Which defences this CPU needs and has. Where they act: vmx_entry.S, vmexit.c, vcpu_arch.c; ept.c. */
#include <asm/speculation.h>

#include <asm/cpu.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/percpu.h>
#include <hv/cmdline.h>
#include <hv/log.h>
#include <lib/string.h>

struct speculation speculation;

static enum mitigations mode;

static bool has(const struct cpu_caps *caps, uint64_t bit)
{
	return (caps->arch_caps & bit) != 0UL;
}

/* Predictions of branches and returns that a VM has trained. */
static void choose_branches(struct speculation *s, const struct cpu_caps *caps, bool all)
{
	const bool always = has(caps, ARCH_CAPS_IBRS_ALL) && !all;

	if (!caps->has_spec_ctrl) {
		s->branches_open = true;
		return;
	}
	s->barrier = true;
	s->host_spec_ctrl = SPEC_CTRL_IBRS;
	if (caps->has_bhi_dis_s && !has(caps, ARCH_CAPS_BHI_NO)) {
		s->host_spec_ctrl |= SPEC_CTRL_BHI_DIS_S;
	}
	/*
	 * Without IBRS_ALL the bit acts only when it is written after the exit, and does nothing for returns. With it
	 * one return after an exit can still follow the guest's stack of returns, unless PBRSB_NO.
	 */
	s->swap = !always;
	s->guard_exit = s->swap || !has(caps, ARCH_CAPS_PBRSB_NO);
}

/* Leftovers in store, fill and load buffers: MDS, TAA, MMIO stale data, register file data. */
static void choose_buffers(struct speculation *s, const struct cpu_caps *caps, bool all)
{
	const bool affected = !has(caps, ARCH_CAPS_MDS_NO) || (caps->has_rtm && !has(caps, ARCH_CAPS_TAA_NO)) ||
		has(caps, ARCH_CAPS_FB_CLEAR) || has(caps, ARCH_CAPS_RFDS_CLEAR);

	s->clear_buffers = caps->has_md_clear && (affected || all);
	s->buffers_open = affected && !caps->has_md_clear;
}

/* L1 terminal fault: a guest reads what is in the data cache, by an entry of its page tables that is not present. */
static void choose_l1d(struct speculation *s, const struct cpu_caps *caps, bool all)
{
	const bool affected = !has(caps, ARCH_CAPS_RDCL_NO) && !has(caps, ARCH_CAPS_SKIP_L1DFL_VMENTRY);

	s->flush_l1d = caps->has_l1d_flush && (affected || all);
	s->l1d_open = affected && !caps->has_l1d_flush;
}

/*
 * "Machine check error avoidance on page size change": those that Intel names as not affected, of the CPUs with what
 * Aril needs, are Atoms and Xeon Phis. Newer CPUs say so.
 */
static bool has_page_size_erratum(const struct cpu_caps *caps)
{
	static const uint8_t free_models[] = {0x37U, 0x4AU, 0x4CU, 0x4DU, 0x5AU, 0x75U, /* Silvermont, Airmont */
		0x5CU, 0x5FU, 0x7AU, 0x86U,                                             /* Goldmont, Tremont D */
		0x57U, 0x85U};                                                          /* Knights Landing, Mill */

	if (has(caps, ARCH_CAPS_PSCHANGE_MC_NO) || (strcmp(caps->vendor, "GenuineIntel") != 0)) {
		return false;
	}
	for (uint32_t i = 0U; (caps->family == 6U) && (i < ARRAY_SIZE(free_models)); i++) {
		if (caps->model == free_models[i]) {
			return false;
		}
	}
	return true;
}

void speculation_choose(struct speculation *s, const struct cpu_caps *caps, enum mitigations wanted)
{
	(void)memset(s, 0, sizeof(*s));
	s->verw_selector = SEL_DATA;
	if (wanted == MITIGATIONS_OFF) {
		return;
	}
	choose_branches(s, caps, wanted == MITIGATIONS_ALL);
	choose_buffers(s, caps, wanted == MITIGATIONS_ALL);
	choose_l1d(s, caps, wanted == MITIGATIONS_ALL);
	s->small_code = has_page_size_erratum(caps) || (wanted == MITIGATIONS_ALL);
	s->guard_entry = (s->swap || s->clear_buffers) ? VMRUN_GUARDED : 0U;
}

void speculation_host(void)
{
	if (cpu_caps.has_spec_ctrl) {
		wrmsr(MSR_IA32_SPEC_CTRL, speculation.host_spec_ctrl);
		this_percpu()->spec_ctrl = speculation.host_spec_ctrl;
	}
}

static const char *in_words(const char *done, bool is_done, bool is_open)
{
	if (mode == MITIGATIONS_OFF) {
		return "off: mitigations=off";
	}
	return is_done ? done : (is_open ? "NO DEFENCE on this CPU" : "not needed");
}

const char *speculation_branches(void)
{
	return in_words(speculation.swap ? "at each exit; IBPB between VMs" : "always on; IBPB between VMs",
		speculation.barrier, speculation.branches_open);
}

const char *speculation_buffers(void)
{
	return in_words("cleared at each entry", speculation.clear_buffers, speculation.buffers_open);
}

const char *speculation_l1d(void)
{
	return in_words("flushed before a VM runs", speculation.flush_l1d, speculation.l1d_open);
}

const char *speculation_code(void)
{
	return in_words("guests execute small pages", speculation.small_code, false);
}

void speculation_init(void)
{
	char word[32] = "";
	const bool told = cmdline_get("mitigations", word, sizeof(word));

	if (strcmp(word, "off") == 0) {
		mode = MITIGATIONS_OFF;
	} else if (strcmp(word, "all") == 0) {
		mode = MITIGATIONS_ALL;
	} else if (told && (strcmp(word, "auto") != 0)) {
		pr_warn("command line: mitigations=%s is not off, auto or all: auto is taken", word);
	}
	speculation_choose(&speculation, &cpu_caps, mode);
	if (told) {
		pr_info("speculation: branches: %s; buffers: %s; L1D: %s; page sizes: %s", speculation_branches(),
			speculation_buffers(), speculation_l1d(), speculation_code());
	}
}
