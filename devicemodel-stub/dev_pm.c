/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ways in which a VM ends: ACPI PM1 (ACPI 6.4, 4.8.3), the reset port 0xCF9, the keyboard controller's reset
 * pulse, the panic event and the debug exit port.
 */
#include "device.h"

#define PM1_STATUS_BITS 0x8731U /* WAK, PCIEXP.., RTC, SLPBTN, PWRBTN, GBL, BM, TMR */
#define PM1_CNT_SCI_EN  0x0001U
#define PM1_CNT_SLP_EN  0x2000U
#define PM1_SLP_TYP(v)  (((v) >> 10U) & 7U)
#define SLP_TYP_S5      5U /* as \_S5 in dsdt.asl says */

#define PANIC_EVENT_PANICKED 0x01U

static void vm_end(struct dm_vm *vm, enum dm_end end, uint32_t code)
{
	/* The first reason counts. */
	if (vm->end == DM_END_NONE) {
		vm->end = end;
		vm->end_code = code;
	}
}

void dm_pm_reset(struct dm_vm *vm)
{
	vm->pm.status = 0U;
	vm->pm.enable = 0U;
	vm->pm.control = PM1_CNT_SCI_EN; /* no SMI command port: always in ACPI mode */
}

static void pm1_control_write(struct dm_vm *vm, uint16_t value)
{
	vm->pm.control = (uint16_t)((value & ~PM1_CNT_SLP_EN) | PM1_CNT_SCI_EN);
	if ((value & PM1_CNT_SLP_EN) == 0U) {
		return;
	}
	if (PM1_SLP_TYP(value) == SLP_TYP_S5) {
		vm_end(vm, DM_END_POWEROFF, 0U);
	} else {
		dm_log_hex(
			vm, "sleep state that this VM does not have, ignored: SLP_TYP ", PM1_SLP_TYP(value), NULL, 0UL);
	}
}

/* Registers are 16 bits: status at +0, enable at +2, control at +4; +6 is nothing. */
void dm_pm_access(struct dm_vm *vm, struct dm_access *access)
{
	uint32_t offset = (uint32_t)(access->addr - DM_PORT_PM1_EVT);
	uint64_t regs = (uint64_t)vm->pm.status | ((uint64_t)vm->pm.enable << 16U) | ((uint64_t)vm->pm.control << 32U);
	uint64_t mask = dm_size_mask(access->size) << (8U * offset);
	uint64_t new = (access->value << (8U * offset)) & mask;

	if (!access->write) {
		access->value = (regs & mask) >> (8U * offset);
		return;
	}
	if (access->addr == DM_PORT_PM1_CNT && access->size == 4U && (access->value & DM_PM1_FAULT) != 0UL) {
		vm_end(vm, DM_END_CRASH, (uint32_t)access->value);
		return;
	}
	/* Status: writing ones clears. */
	vm->pm.status &= (uint16_t) ~(new &PM1_STATUS_BITS);
	if ((mask & 0xFFFF0000UL) != 0UL) {
		vm->pm.enable = (uint16_t)(((regs & ~mask) | new) >> 16U);
	}
	if ((mask & 0xFFFF00000000UL) != 0UL) {
		pm1_control_write(vm, (uint16_t)(((regs & ~mask) | new) >> 32U));
	}
}

/* There is no keyboard controller (status reads ones), but its reset command works: old ways of rebooting. */
void dm_kbd_access(struct dm_vm *vm, struct dm_access *access)
{
	if (!access->write) {
		access->value = dm_size_mask(access->size);
	} else if ((access->value & 0xFFU) == 0xFEU) {
		vm_end(vm, DM_END_REBOOT, 0U);
	}
}

/* Bit 2 starts the reset that bit 1 chooses the kind of (Intel ICH/PIIX3 reset control register). */
void dm_reset_port_access(struct dm_vm *vm, struct dm_access *access)
{
	if (!access->write) {
		access->value = 0UL;
	} else if ((access->value & 0x04U) != 0UL) {
		vm_end(vm, DM_END_REBOOT, 0U);
	}
}

/* QEMU's docs/specs/pvpanic: a read gives the events that are understood, a write reports one. */
void dm_panic_access(struct dm_vm *vm, struct dm_access *access)
{
	if (!access->write) {
		access->value = PANIC_EVENT_PANICKED;
	} else if ((access->value & PANIC_EVENT_PANICKED) != 0UL) {
		vm_end(vm, DM_END_PANIC, 0U);
	}
}

void dm_debug_exit_access(struct dm_vm *vm, struct dm_access *access)
{
	uint32_t code = (uint32_t)access->value;

	if (!access->write) {
		access->value = dm_size_mask(access->size);
	} else {
		vm_end(vm, (code == 0U) ? DM_END_POWEROFF : DM_END_EXIT, code);
	}
}
