/* SPDX-License-Identifier: BSD-3-Clause */
/* Leaving: reset and power-off, by every way there is, the cleanest first. */
#include <asm/cpu.h>
#include <asm/desc.h>
#include <asm/io.h>
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/log.h>

#define PM1_SCI_EN   0x0001U
#define PM1_SLP_TYP  10U
#define PM1_SLP_MASK 0x3C00U
#define PM1_SLP_EN   0x2000U
#define WAIT_SPINS   200000U

/* About 0.2 s: an I/O read takes about a microsecond on real hardware, and works without a calibrated clock. */
static void wait_a_moment(void)
{
	for (uint32_t i = 0U; i < WAIT_SPINS; i++) {
		(void)inb(0x80U);
	}
}

static void end_emulator(void)
{
	wait_a_moment();
	for (const char *c = "Shutdown"; *c != '\0'; c++) {
		outb(0x8900U, (uint8_t)*c); /* Bochs */
	}
	outw(0x604U, 0x2000U); /* QEMU */
}

static void enter_s5(uint32_t port, uint8_t type)
{
	uint16_t value;

	if (port != 0U) {
		value = (uint16_t)(inw((uint16_t)port) & ~(PM1_SLP_MASK | PM1_SLP_EN));
		outw((uint16_t)port, (uint16_t)(value | ((uint32_t)type << PM1_SLP_TYP) | PM1_SLP_EN));
	}
}

static void power_off(void)
{
	pr_info("power off");
	cpu_cli();
	wait_a_moment(); /* the last line is still in the serial port's FIFO */
	if (acpi_info.has_s5) {
		enter_s5(acpi_info.pm1a_cnt, acpi_info.s5_a & 7U);
		enter_s5(acpi_info.pm1b_cnt, acpi_info.s5_b & 7U);
		wait_a_moment();
	}
	end_emulator();
	pr_err("the machine did not power off; it is safe to switch it off now");
}

static void reset_by_acpi(void)
{
	const struct acpi_gas *reg = &acpi_info.reset_reg;

	if (reg->address == 0UL) {
		return;
	}
	if (reg->space == 1U && reg->address <= 0xFFFFUL) {
		outb((uint16_t)reg->address, acpi_info.reset_value);
	} else if (reg->space == 0U) {
		*(volatile uint8_t *)arch_map_mmio(reg->address, 1UL) = acpi_info.reset_value;
	}
}

/* INIT is blocked in VMX operation (SDM vol 3, 24.8), and a keyboard controller's reset may be one. */
static void leave_vmx(void)
{
	if ((read_cr4() & CR4_VMXE) != 0UL) {
		__asm__ volatile("vmxoff" : : : "memory", "cc");
		write_cr4(read_cr4() & ~CR4_VMXE);
	}
}

static void reboot(void)
{
	static const struct desc_ptr no_idt = {.limit = 0U, .base = 0UL};

	pr_info("reboot");
	cpu_cli();
	wait_a_moment();
	reset_by_acpi();
	wait_a_moment();
	outb(0xCF9U, 0x02U);
	outb(0xCF9U, 0x06U);
	wait_a_moment();
	leave_vmx();
	outb(0x64U, 0xFEU);
	wait_a_moment();
	__asm__ volatile("lidt %0; int3" : : "m"(no_idt)); /* triple fault */
}

void __noreturn arch_end(enum arch_end how)
{
	switch (how) {
	case ARCH_END_EMULATOR:
		end_emulator();
		break;
	case ARCH_END_REBOOT:
		reboot();
		break;
	case ARCH_END_POWEROFF:
		power_off();
		break;
	default:
		break;
	}
	cpu_halt_forever();
}
