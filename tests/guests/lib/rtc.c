/* SPDX-License-Identifier: BSD-3-Clause */
/* Real-time clock helpers. */
#include <guests/lib/guest.h>
#include <guests/lib/rtc.h>

uint8_t rtc_read(uint8_t index)
{
	outb(0x70, index);
	return inb(0x71);
}

void rtc_write(uint8_t index, uint8_t value)
{
	outb(0x70, index);
	outb(0x71, value);
}

bool rtc_present(void)
{
	uint8_t a = rtc_read(RTC_A);

	return rtc_read(RTC_D) == 0x80 && (a & 0x70) == 0x20;
}
