/* SPDX-License-Identifier: BSD-3-Clause */
/* PM1 and the PM timer. ACPI mode is always on: there is no SMI that could switch it. */
#include <dm/vpm.h>
#include <hv/arch.h>
#include <hv/ioreq.h>
#include <hv/log.h>
#include <hv/vm.h>
#include <lib/clock.h>

#define PM1_EN_KEPT        0x4721U /* PCIEXP_WAKE_DIS, RTC, SLPBTN, PWRBTN, GBL, TMR */
#define CNT_SCI_EN         0x0001U
#define CNT_KEPT           0x1C02U /* SLP_TYP, BM_RLD */
#define CNT_SLP_EN         0x2000U
#define CNT_SLP_TYP(value) (((value) >> 10U) & 7U)

uint32_t vpm_timer(uint64_t now, uint32_t tsc_khz)
{
	return (uint32_t)clock_scale(now, (uint64_t)tsc_khz * 1000UL, VPM_TMR_HZ);
}

void vpm_reset(struct vpm *vpm)
{
	vpm->enable = 0U;
	vpm->control = 0U;
	vpm->reset_control = 0U;
}

/* Part of a register: `size` bytes from `at` on. */
static uint32_t part(uint32_t value, uint32_t at, size_t size)
{
	const uint32_t shifted = (at < 4U) ? (value >> (8U * at)) : 0U;

	return (size >= 4U) ? shifted : (shifted & ((1U << (8U * size)) - 1U));
}

static uint32_t evt_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	return part((uint32_t)vm->vpm.enable << 16U, (uint32_t)port - VPM_PM1_EVT_PORT, size);
}

/* Status bits are cleared by ones, and are clear. */
static void evt_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	const uint32_t shift = 8U * ((uint32_t)port - VPM_PM1_EVT_PORT);
	const uint32_t mask = (size >= 4U) ? ~0U : (((1U << (8U * size)) - 1U) << shift);
	const uint32_t now = (uint32_t)vm->vpm.enable << 16U;

	vm->vpm.enable = (uint16_t)((((now & ~mask) | ((val << shift) & mask)) >> 16U) & PM1_EN_KEPT);
}

static uint32_t cnt_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	return part(vm->vpm.control | CNT_SCI_EN, (uint32_t)port - VPM_PM1_CNT_PORT, size);
}

static void cnt_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	const uint32_t shift = 8U * ((uint32_t)port - VPM_PM1_CNT_PORT);
	const uint32_t mask = ((size == 1U) ? 0xFFU : 0xFFFFU) << shift;
	const uint32_t word = ((vm->vpm.control & ~mask) | ((val << shift) & mask)) & 0xFFFFU;

	vm->vpm.control = (uint16_t)(word & CNT_KEPT);
	if ((word & CNT_SLP_EN) == 0U) {
		return;
	}
	if (CNT_SLP_TYP(word) == VPM_S5_TYP) {
		vm_stop_self(vm, "power off");
	} else {
		pr_guest(vm->vm_id, 0U, "sleep type %u is not supported", CNT_SLP_TYP(word));
	}
}

static uint32_t tmr_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	(void)vm;
	return part(vpm_timer(arch_now(), arch_tsc_khz()), (uint32_t)port - VPM_TMR_PORT, size);
}

void vpm_attach(struct acrn_vm *vm)
{
	static const struct vm_io_range evt = {VPM_PM1_EVT_PORT, 4U, IO_ATTR_RW};
	static const struct vm_io_range cnt = {VPM_PM1_CNT_PORT, 2U, IO_ATTR_RW};
	static const struct vm_io_range tmr = {VPM_TMR_PORT, 4U, IO_ATTR_RW};

	vpm_reset(&vm->vpm);
	register_io_emulation_handler(vm, PM1A_EVT_PIO_IDX, &evt, evt_read, evt_write);
	register_io_emulation_handler(vm, PM1A_CNT_PIO_IDX, &cnt, cnt_read, cnt_write);
	register_io_emulation_handler(vm, PM_TMR_PIO_IDX, &tmr, tmr_read, NULL);
}
