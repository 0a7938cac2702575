/* SPDX-License-Identifier: BSD-3-Clause */
/* The CMOS clock, in its own clocks. */
#include <dm/vrtc.h>

#include "unit.h"

static struct vrtc rtc;
/* 2024-02-29 23:59:58, a Thursday. */
#define LEAP 1709251198

TEST(vrtc_epoch_of_dates)
{
	EXPECT_EQ(vrtc_epoch(1970U, 1U, 1U, 0U, 0U, 0U), 0);
	EXPECT_EQ(vrtc_epoch(2000U, 3U, 1U, 0U, 0U, 0U), 951868800);
	EXPECT_EQ(vrtc_epoch(2024U, 2U, 29U, 23U, 59U, 58U), LEAP);
	EXPECT_EQ(vrtc_epoch(2038U, 1U, 19U, 3U, 14U, 8U), 0x80000000UL);
}

TEST(vrtc_time_goes_on)
{
	static const uint8_t want[10] = {0x58, 0, 0x59, 0, 0x23, 0, 5, 0x29, 2, 0x24};

	vrtc_init(&rtc, LEAP, 1000U, 64UL << 20U);
	for (uint32_t i = 0U; i < 10U; i++) {
		EXPECT_EQ(vrtc_read(&rtc, i, 1000U), want[i]);
	}
	EXPECT_EQ(vrtc_read(&rtc, 0x32U, 1000U), 0x20U);
	EXPECT_EQ(vrtc_read(&rtc, 7U, 1000U + 2U * VRTC_HZ), 1U); /* March */
	EXPECT_EQ(vrtc_read(&rtc, 8U, 1000U + 2U * VRTC_HZ), 3U);
	EXPECT_EQ(vrtc_read(&rtc, 6U, 1000U + 2U * VRTC_HZ), 6U);
	EXPECT_EQ(vrtc_read(&rtc, 13U, 0U), 0x80U);
	EXPECT_EQ(vrtc_read(&rtc, 10U, 10U * VRTC_HZ - 1U), 0xA6U); /* update in progress */
	EXPECT_EQ(vrtc_read(&rtc, 10U, 10U * VRTC_HZ), 0x26U);
	EXPECT_EQ(vrtc_read(&rtc, 0x34U, 0U) | (vrtc_read(&rtc, 0x35U, 0U) << 8U), 48U << 4U);
}

TEST(vrtc_set_and_formats)
{
	vrtc_init(&rtc, LEAP, 0U, 64UL << 20U);
	vrtc_write(&rtc, 11U, 0x86U, 0U); /* SET, binary, 24 hours */
	vrtc_write(&rtc, 0U, 30U, 0U);
	vrtc_write(&rtc, 2U, 45U, 0U);
	vrtc_write(&rtc, 4U, 13U, 0U);
	vrtc_write(&rtc, 7U, 15U, 0U);
	vrtc_write(&rtc, 8U, 12U, 0U);
	vrtc_write(&rtc, 9U, 30U, 0U);
	EXPECT_EQ(vrtc_read(&rtc, 0U, 50U * VRTC_HZ), 30U); /* it stands still */
	vrtc_write(&rtc, 11U, 0x06U, 50U * VRTC_HZ);
	EXPECT_EQ(vrtc_read(&rtc, 0U, 61U * VRTC_HZ), 41U);
	vrtc_write(&rtc, 11U, 0x00U, 61U * VRTC_HZ); /* BCD, 12 hours */
	EXPECT_EQ(vrtc_read(&rtc, 4U, 61U * VRTC_HZ), 0x81U);
	EXPECT_EQ(vrtc_read(&rtc, 2U, 61U * VRTC_HZ), 0x45U);
	vrtc_write(&rtc, 7U, 0xFFU, 61U * VRTC_HZ); /* impossible: brought into range */
	EXPECT_EQ(vrtc_read(&rtc, 7U, 61U * VRTC_HZ), 0x31U);
}

TEST(vrtc_interrupts)
{
	vrtc_init(&rtc, LEAP, 0U, 64UL << 20U);
	EXPECT_EQ(vrtc_next_event(&rtc, 10U), VRTC_NEVER);
	vrtc_write(&rtc, 11U, 0x42U, 10U); /* periodic, 1024 Hz */
	EXPECT_EQ(vrtc_next_event(&rtc, 10U), 32U);
	EXPECT(!vrtc_irq(&rtc, 31U) && vrtc_irq(&rtc, 32U));
	EXPECT_EQ(vrtc_next_event(&rtc, 33U), VRTC_NEVER); /* up until it is seen */
	EXPECT_EQ(vrtc_read(&rtc, 12U, 40U), 0xC0U);
	EXPECT_EQ(vrtc_read(&rtc, 12U, 41U), 0U);
	EXPECT_EQ(vrtc_next_event(&rtc, 41U), 64U);
	vrtc_write(&rtc, 10U, 0x20U, 42U); /* rate 0: none */
	EXPECT_EQ(vrtc_next_event(&rtc, 42U), VRTC_NEVER);
	/* Alarm at 00:00:05 of any hour, 7 seconds from the start. */
	vrtc_write(&rtc, 1U, 0x05U, 50U);
	vrtc_write(&rtc, 3U, 0x00U, 50U);
	vrtc_write(&rtc, 5U, 0xFFU, 50U);
	vrtc_write(&rtc, 11U, 0x22U, 50U);
	EXPECT_EQ(vrtc_next_event(&rtc, 50U), VRTC_HZ);
	EXPECT(!vrtc_irq(&rtc, 7U * VRTC_HZ - 1U) && vrtc_irq(&rtc, 7U * VRTC_HZ));
	EXPECT_EQ(vrtc_read(&rtc, 12U, 7U * VRTC_HZ), 0xB0U); /* the update has ended, too */
	vrtc_write(&rtc, 11U, 0x12U, 7U * VRTC_HZ);
	EXPECT_EQ(vrtc_next_event(&rtc, 7U * VRTC_HZ), 8U * VRTC_HZ);
	EXPECT(vrtc_irq(&rtc, 8U * VRTC_HZ));
	vrtc_write(&rtc, 11U, 0x92U, 8U * VRTC_HZ); /* SET clears the enable of update-ended interrupts */
	EXPECT_EQ(vrtc_read(&rtc, 11U, 8U * VRTC_HZ), 0x82U);
}
