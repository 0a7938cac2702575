/* SPDX-License-Identifier: BSD-3-Clause */
/* The boot story: a list of calls, one line in the log each. */
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/boot_scenario.h>
#include <hv/console.h>
#include <hv/dump.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/scenario.h>
#include <hv/sched.h>
#include <hv/summary.h>
#include <hv/timer.h>
#include <hv/trace.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <hv/vm_connections.h>
#include <lib/errno.h>
#include <lib/printf.h>

int32_t boot_info_error;

/** Logs that a boot stage is reached, with thousands of TSC ticks since the image was entered. */
static void stage(const char *name, const char *fmt, ...) __printf(2, 3);

static void stage(const char *name, const char *fmt, ...)
{
	const uint64_t kticks = (arch_now() - arch_boot_ticks()) / 1000UL;
	char text[160];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	pr_info("[%8lu kticks] %s: %s", kticks, name, text);
	summary_stage(name, kticks);
}

/* What the machine is, before anything can go wrong with it. */
static void show_boot_info(void)
{
	uint64_t ram = 0UL;

	if (boot_info_error != 0) {
		pr_err("refused: the boot loader's information is %s; boot with GRUB 2 `multiboot2`",
			boot_info_error == -ENOENT          ? "without a memory map"
				: boot_info_error == -E2BIG ? "too long (memory ranges or modules)"
							    : "broken");
		stop_for_good();
	}
	for (uint32_t i = 0U; i < boot_info.range_count; i++) {
		const struct mem_range *range = &boot_info.ranges[i];

		ram += range->type == MEM_RAM ? range->size : 0UL;
		pr_dbg("memory %012lx-%012lx type %u", range->base, range->base + range->size - 1UL, range->type);
	}
	stage("boot", "%s, %s, image at %#lx (%lu KiB), %lu MiB RAM, %u modules", boot_info.loader,
		boot_info.efi_system_table != 0UL ? "UEFI" : "BIOS", boot_info.hv_base, boot_info.hv_size / 1024UL,
		ram >> 20U, boot_info.module_count);
	for (uint32_t i = 0U; i < boot_info.module_count; i++) {
		pr_info("module %#lx + %#lx: %s", boot_info.modules[i].base, boot_info.modules[i].size,
			boot_info.modules[i].string);
	}
}

/* Where each pCPU ends up. */
static void cpu_run(void)
{
	arch_virt_enable();
	sched_loop();
}

void __noreturn hv_main(void)
{
	struct scenario *scenario;

	console_init(); /* serial and screen: from here on nothing is silent */
	pr_info("Aril hypervisor");
	show_boot_info(); /* what GRUB told us; refuses if it makes no sense */
	arch_survey();    /* what the CPU can do; refuses if it is not enough */
	stage("caps", "CPU surveyed");
	memory_init(); /* our pool out of the RAM */
	stage("memory", "%lu pages free in the pool", memory_pages_free());
	arch_paging_init(); /* final page tables: W^X, guard pages, guest memory behind SMAP */
	console_remap();    /* the screen in the new tables: no line may come between */
	stage("paging", "final page tables");
	acpi_init(); /* CPUs, I/O APICs, power registers */
	stage("acpi", "%u CPUs, %u I/O APICs", acpi_info.cpu_count, acpi_info.ioapic_count);
	arch_irq_init(); /* local APIC, I/O APICs, clocks */
	stage("irq", "TSC %u kHz", arch_tsc_khz());
	scenario = boot_scenario_load(); /* which VMs are wanted */
	boot_scenario_apply(scenario);
	timer_init();
	sched_init(scenario->scheduler, scenario->slice_us); /* before a pCPU can look for work */
	arch_virt_init();                                    /* what guests see of the CPU */
	arch_start_aps(cpu_run);                             /* all other CPUs, into their scheduler loops */
	stage("smp", "%u of %u CPUs are up", arch_cpu_count(), acpi_info.cpu_count);
	trace_boot();                  /* `trace` of the command line */
	console_input_init();          /* the keyboard: attached VM or shell */
	boot_scenario_fit(scenario);   /* which VMs can run here */
	vm_connections_init(scenario); /* memory that VMs share */
	vm_init_slots(scenario);
	vm_boot_all();
	stage("vms", "created");
	stage("run", "boot is finished");
	cpu_run();
	arch_end(ARCH_END_HALT);
}
