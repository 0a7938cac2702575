/* SPDX-License-Identifier: BSD-3-Clause */
/* PM1 and the PM timer of a pre-launched VM, by its ports. */
#include <dm/vpm.h>
#include <hv/vm.h>

#include <string.h>

#include "access.h"
#include "fake.h"
#include "unit.h"

TEST(vpm_timer_rate)
{
	EXPECT_EQ(vpm_timer(1000000UL, 1000U), VPM_TMR_HZ);
	EXPECT_EQ(vpm_timer(3000000000UL, 3000000U), VPM_TMR_HZ);
	/* A year at 4 GHz: nothing overflows on the way. */
	EXPECT_EQ(vpm_timer(31536000UL * 4000000000UL, 4000000U), (uint32_t)(31536000UL * VPM_TMR_HZ));
}

TEST(vpm_registers_and_power_off)
{
	struct acrn_vm *vm;

	vm = fake_prelaunched();
	EXPECT_EQ(vm->state, VM_RUNNING);
	EXPECT_EQ(access_io(vm, false, 0x600U, 4U, 0U), 0U);
	(void)access_io(vm, true, 0x602U, 2U, 0xFFFFU);
	(void)access_io(vm, true, 0x600U, 2U, 0xFFFFU); /* clears status; enable stays */
	EXPECT_EQ(access_io(vm, false, 0x600U, 4U, 0U), 0x47210000U);
	EXPECT_EQ(access_io(vm, false, 0x603U, 1U, 0U), 0x47U);
	EXPECT_EQ(access_io(vm, false, 0x604U, 2U, 0U), 1U); /* ACPI mode is on */
	fake_time = 5000000UL;
	EXPECT(access_io(vm, false, 0x608U, 4U, 0U) - 5U * VPM_TMR_HZ < 100U); /* the fake clock ticks with each look */
	(void)access_io(vm, true, 0x608U, 4U, 1U);
	EXPECT(access_io(vm, false, 0x608U, 4U, 0U) - 5U * VPM_TMR_HZ < 100U); /* the fake clock ticks with each look */
	(void)access_io(vm, true, 0x604U, 2U, (3U << 10U) | 0x2000U); /* S3 */
	EXPECT(!vm->stop_requested);
	(void)access_io(vm, true, 0x604U, 2U, 5U << 10U); /* the type alone */
	EXPECT(!vm->stop_requested);
	EXPECT_EQ(access_io(vm, false, 0x604U, 2U, 0U), 0x1401U);
	(void)access_io(vm, true, 0x605U, 1U, 0x34U); /* the high byte alone */
	EXPECT(vm->stop_requested);
	EXPECT(strcmp(vm->stop_reason, "power off") == 0);
	fake_machine_end();
}
