/* SPDX-License-Identifier: BSD-3-Clause */
/* arch/x86/cpu/speculation.c: what is chosen for CPUs as they report themselves. */
#include <unit.h>

#include <asm/msr.h>
#include <asm/speculation.h>
#include <lib/string.h>

struct cpu_caps cpu_caps;

static struct speculation chosen(const struct cpu_caps *caps, enum mitigations wanted)
{
	struct speculation s;

	speculation_choose(&s, caps, wanted);
	return s;
}

TEST(speculation_cpu_without_microcode_is_open)
{
	const struct cpu_caps caps = {.arch_caps = 0UL};
	const struct speculation s = chosen(&caps, MITIGATIONS_AUTO);

	EXPECT(s.branches_open && s.buffers_open && s.l1d_open);
	EXPECT(!s.swap && !s.guard_exit && !s.clear_buffers && !s.flush_l1d && !s.barrier);
	EXPECT_EQ(s.guard_entry, 0U);
	EXPECT_EQ(s.host_spec_ctrl, 0U);
}

/* Skylake with microcode of 2019: everything is needed. */
static const struct cpu_caps skylake = {
	.has_spec_ctrl = true, .has_md_clear = true, .has_l1d_flush = true, .has_rtm = true};

TEST(speculation_skylake_swaps_at_each_exit)
{
	const struct speculation s = chosen(&skylake, MITIGATIONS_AUTO);

	EXPECT(s.swap && s.guard_exit && s.clear_buffers && s.flush_l1d && s.barrier);
	EXPECT_EQ(s.guard_entry, VMRUN_GUARDED);
	EXPECT_EQ(s.host_spec_ctrl, SPEC_CTRL_IBRS);
	EXPECT(!s.branches_open && !s.buffers_open && !s.l1d_open);
}

TEST(speculation_off_is_off)
{
	const struct speculation s = chosen(&skylake, MITIGATIONS_OFF);

	EXPECT(!s.swap && !s.guard_exit && !s.clear_buffers && !s.flush_l1d && !s.barrier);
	EXPECT_EQ(s.guard_entry, 0U);
	EXPECT_EQ(s.host_spec_ctrl, 0U);
}

/* A CPU of 2023: IBRS stays on, and one CALL after the exit. */
static const struct cpu_caps recent = {.has_spec_ctrl = true,
	.has_md_clear = true,
	.has_l1d_flush = true,
	.has_arch_caps = true,
	.has_bhi_dis_s = true,
	.arch_caps = ARCH_CAPS_RDCL_NO | ARCH_CAPS_IBRS_ALL | ARCH_CAPS_SKIP_L1DFL_VMENTRY | ARCH_CAPS_MDS_NO |
		ARCH_CAPS_TAA_NO};

TEST(speculation_recent_cpu_has_ibrs_always)
{
	const struct speculation s = chosen(&recent, MITIGATIONS_AUTO);

	EXPECT(!s.swap && s.guard_exit && !s.clear_buffers && !s.flush_l1d && s.barrier);
	EXPECT_EQ(s.guard_entry, 0U);
	EXPECT_EQ(s.host_spec_ctrl, SPEC_CTRL_IBRS | SPEC_CTRL_BHI_DIS_S);
}

TEST(speculation_each_bit_counts)
{
	struct cpu_caps caps = recent;

	caps.arch_caps = recent.arch_caps | ARCH_CAPS_PBRSB_NO | ARCH_CAPS_BHI_NO;
	EXPECT(!chosen(&caps, MITIGATIONS_AUTO).guard_exit);
	EXPECT_EQ(chosen(&caps, MITIGATIONS_AUTO).host_spec_ctrl, SPEC_CTRL_IBRS);
	caps.arch_caps = recent.arch_caps & ~ARCH_CAPS_MDS_NO;
	EXPECT(chosen(&caps, MITIGATIONS_AUTO).clear_buffers);
	EXPECT_EQ(chosen(&caps, MITIGATIONS_AUTO).guard_entry, VMRUN_GUARDED);
	caps.arch_caps = recent.arch_caps | ARCH_CAPS_FB_CLEAR;
	EXPECT(chosen(&caps, MITIGATIONS_AUTO).clear_buffers);
	caps.arch_caps = recent.arch_caps | ARCH_CAPS_RFDS_CLEAR;
	EXPECT(chosen(&caps, MITIGATIONS_AUTO).clear_buffers);
	caps.arch_caps = recent.arch_caps & ~ARCH_CAPS_TAA_NO;
	EXPECT(!chosen(&caps, MITIGATIONS_AUTO).clear_buffers);
	caps.has_rtm = true;
	EXPECT(chosen(&caps, MITIGATIONS_AUTO).clear_buffers);
	/* Nested: the hypervisor below flushes. */
	caps.arch_caps = ARCH_CAPS_SKIP_L1DFL_VMENTRY;
	EXPECT(!chosen(&caps, MITIGATIONS_AUTO).flush_l1d);
	caps.arch_caps = 0UL;
	EXPECT(chosen(&caps, MITIGATIONS_AUTO).flush_l1d);
}

TEST(speculation_all_does_what_is_not_needed)
{
	const struct speculation s = chosen(&recent, MITIGATIONS_ALL);

	EXPECT(s.swap && s.guard_exit && s.clear_buffers && s.flush_l1d && s.barrier);
	EXPECT_EQ(s.guard_entry, VMRUN_GUARDED);
}

TEST(speculation_page_size_erratum)
{
	struct cpu_caps caps = {.vendor = "GenuineIntel", .family = 6U, .model = 0x55U};

	EXPECT(chosen(&caps, MITIGATIONS_AUTO).small_code);
	EXPECT(!chosen(&caps, MITIGATIONS_OFF).small_code);
	caps.arch_caps = ARCH_CAPS_PSCHANGE_MC_NO;
	EXPECT(!chosen(&caps, MITIGATIONS_AUTO).small_code);
	EXPECT(chosen(&caps, MITIGATIONS_ALL).small_code);
	/* Goldmont says nothing, and is not affected. */
	caps.arch_caps = 0UL;
	caps.model = 0x5CU;
	EXPECT(!chosen(&caps, MITIGATIONS_AUTO).small_code);
	caps.family = 15U;
	EXPECT(chosen(&caps, MITIGATIONS_AUTO).small_code);
	memcpy(caps.vendor, "CentaurHauls", 12U);
	EXPECT(!chosen(&caps, MITIGATIONS_AUTO).small_code);
}
