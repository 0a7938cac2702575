/* SPDX-License-Identifier: BSD-3-Clause */
/* The first C code: makes the boot CPU able to report its own faults, reads what GRUB said, goes to hv_main(). */
#include <asm/cpu.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <asm/setup.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/multiboot2.h>
#include <hv/stack_protector.h>
#include <hv/upcall.h>
#include <lib/string.h>

#define MBI_MAX     (1UL << 20U) /* more than any loader passes */
#define EARLY_LIMIT (4UL << 30U) /* end of the early direct map */
#define RSDP_SIZE   36U

struct boot_info boot_info;
struct cpu_area boot_cpu_area;

static uint8_t rsdp_copy[RSDP_SIZE] __aligned(16);

uint64_t arch_boot_ticks(void)
{
	return boot_tsc;
}

/* The loader's copy of the RSDP lies in memory that will be used for other things. */
static void keep_rsdp(void)
{
	if (boot_info.rsdp != 0UL) {
		(void)memcpy(rsdp_copy, hpa_to_hva(boot_info.rsdp), sizeof(rsdp_copy));
		boot_info.rsdp = hva_to_hpa(rsdp_copy);
	}
}

/* Without a framebuffer tag: the VGA text screen, if this is a BIOS boot. */
static void default_screen(void)
{
	if (boot_info.fb.base == 0UL && boot_info.efi_system_table == 0UL) {
		boot_info.fb = (struct boot_framebuffer){
			.base = 0xB8000UL, .width = 80U, .height = 25U, .pitch = 160U, .bpp = 16U, .is_text = true};
	}
}

static void __noreturn setup_on_own_stack(void)
{
	const uint64_t max = boot_mbi < EARLY_LIMIT - MBI_MAX ? MBI_MAX : EARLY_LIMIT - boot_mbi;

	boot_info_error = multiboot2_parse(hpa_to_hva(boot_mbi), max, &boot_info);
	keep_rsdp();
	default_screen();
	boot_info.hv_base = hv_load_base;
	boot_info.hv_size = (uint64_t)image_end - (uint64_t)image_start;
	hv_main();
}

void __noreturn setup_boot_cpu(void)
{
	boot_cpu_area.percpu.cpu_id = 0U;
	boot_cpu_area.percpu.apic_id = cpuid(1U, 0U).ebx >> 24U;
	boot_cpu_area.percpu.deadline = UINT64_MAX;
	gdt_load(&boot_cpu_area);
	percpu_register(&boot_cpu_area.percpu);
	idt_init();
	idt_load();
	/* No secret, but different in each boot; the low byte stays 0. Functions that are active now never return. */
	__stack_chk_guard ^= (rdtsc() * 0x9E3779B97F4A7C15UL) << 8U;
	__asm__ volatile("movq %0, %%rsp\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "call *%1"
			 :
			 : "r"(boot_cpu_area.percpu.stack_top), "r"(setup_on_own_stack)
			 : "memory");
	__builtin_unreachable();
}
