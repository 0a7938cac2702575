/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers for assembly: compiled to text, the lines with -> become $(O)/include/asm/offsets.h. */
#include <asm/desc.h>
#include <asm/exception.h>
#include <asm/page.h>
#include <asm/percpu.h>
#include <asm/speculation.h>
#include <asm/vcpu.h>
#include <config.h>
#include <lib/util.h>

#define DEFINE(name, value)     __asm__ volatile(".ascii \"->" #name " %c0\"" : : "i"(value))
#define DEFINE_HEX(name, value) __asm__ volatile(".ascii \"->" #name " " #value "\"")

void asm_offsets(void);

void asm_offsets(void)
{
	DEFINE_HEX(HV_IMAGE_BASE, 0xFFFFFFFF80000000);
	DEFINE_HEX(HV_DIRECT_BASE, 0xFFFF800000000000);
	DEFINE(BOOT_CS64, SEL_CODE64);
	DEFINE(BOOT_DS, SEL_DATA);
	DEFINE(CPU_AREA_STACK_TOP, offsetof(struct cpu_area, stack) + CONFIG_STACK_SIZE);
	DEFINE(PERCPU_STACK_TOP, offsetof(struct percpu, stack_top));
	DEFINE(PERCPU_LOADED_VCPU, offsetof(struct percpu, loaded_vcpu));
	DEFINE(GPRS_RAX, offsetof(struct guest_gprs, reg) + 8U * 0U);
	DEFINE(GPRS_RCX, offsetof(struct guest_gprs, reg) + 8U * 1U);
	DEFINE(GPRS_RDX, offsetof(struct guest_gprs, reg) + 8U * 2U);
	DEFINE(GPRS_RBX, offsetof(struct guest_gprs, reg) + 8U * 3U);
	DEFINE(GPRS_RBP, offsetof(struct guest_gprs, reg) + 8U * 5U);
	DEFINE(GPRS_RSI, offsetof(struct guest_gprs, reg) + 8U * 6U);
	DEFINE(GPRS_RDI, offsetof(struct guest_gprs, reg) + 8U * 7U);
	DEFINE(GPRS_R8, offsetof(struct guest_gprs, reg) + 8U * 8U);
	DEFINE(GPRS_R9, offsetof(struct guest_gprs, reg) + 8U * 9U);
	DEFINE(GPRS_R10, offsetof(struct guest_gprs, reg) + 8U * 10U);
	DEFINE(GPRS_R11, offsetof(struct guest_gprs, reg) + 8U * 11U);
	DEFINE(GPRS_R12, offsetof(struct guest_gprs, reg) + 8U * 12U);
	DEFINE(GPRS_R13, offsetof(struct guest_gprs, reg) + 8U * 13U);
	DEFINE(GPRS_R14, offsetof(struct guest_gprs, reg) + 8U * 14U);
	DEFINE(GPRS_R15, offsetof(struct guest_gprs, reg) + 8U * 15U);
	DEFINE(GPRS_HOST_RSP, offsetof(struct guest_gprs, host_rsp));
	DEFINE(GPRS_SPEC_CTRL, offsetof(struct guest_gprs, spec_ctrl));
	DEFINE(VMRUN_LAUNCHED, VMRUN_LAUNCHED);
	DEFINE(SPECULATION_GUARD_EXIT, offsetof(struct speculation, guard_exit));
	DEFINE(SPECULATION_SWAP, offsetof(struct speculation, swap));
	DEFINE(SPECULATION_HOST_SPEC_CTRL, offsetof(struct speculation, host_spec_ctrl));
	DEFINE(SPECULATION_VERW_SELECTOR, offsetof(struct speculation, verw_selector));
}

_Static_assert(HV_IMAGE_BASE == 0xFFFFFFFF80000000UL, "as above");
_Static_assert(HV_DIRECT_BASE == 0xFFFF800000000000UL, "as above");
