/* SPDX-License-Identifier: BSD-3-Clause */
/* What a simulated machine gets wrong and a hypervisor on it must survive. Nothing here touches a real one. */
#include <asm/vmx.h>

#include <asm/caps.h>
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/cmdline.h>
#include <hv/log.h>
#include <lib/bits.h>
#include <lib/string.h>

/*
 * An interrupt gets through to a guest that runs with IF = 0 after this much of its own time at most: the timer goes on
 * where the last exit stopped it.
 */
#define HELP_US 1000UL

static bool help;
static bool exceptions_help;
static bool bochs;

bool vmx_interrupts_need_help(void)
{
	return help;
}

bool vmx_exceptions_need_help(void)
{
	return exceptions_help;
}

bool vmx_vid_is_broken(void)
{
	return bochs;
}

bool vmx_exits_need_help(void)
{
	return bochs;
}

void vmx_quirks_init(void)
{
	/* scripts/bochs/ has the patches with which none of this is needed; the scripts then say so. */
	bochs = !cmdline_has("no-quirks") && strncmp(acpi_info.oem_id, "BOCHS ", sizeof(acpi_info.oem_id)) == 0;

	help = bochs && cpu_caps.has_preemption_timer;
	exceptions_help = bochs && (acpi_info.cpu_count > 1U);
	if (exceptions_help) {
		pr_info("simulator: guests' exceptions exit, because with several CPUs it may lose RIP after one");
	}
	if (help) {
		pr_info("simulator: the preemption timer lets interrupts through to guests that run with IF = 0");
	}
}

void vmx_preemption_timer_set(void)
{
	const uint64_t ticks = ((uint64_t)arch_tsc_khz() * HELP_US / 1000UL) >> cpu_caps.preemption_timer_shift;

	exec_vmwrite(VMX_PREEMPTION_TIMER, MIN(MAX(ticks, 1UL), 0xFFFFFFFFUL));
}
