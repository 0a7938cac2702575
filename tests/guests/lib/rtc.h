/* SPDX-License-Identifier: BSD-3-Clause */
/* MC146818 clock and CMOS RAM at ports 0x70 and 0x71. */
#ifndef GUESTS_LIB_RTC_H
#define GUESTS_LIB_RTC_H

#include <stdbool.h>
#include <stdint.h>

#define RTC_SECONDS	0x00
#define RTC_A		0x0a
#define RTC_B		0x0b
#define RTC_C		0x0c
#define RTC_D		0x0d
#define RTC_B_PIE	0x40
#define RTC_B_UIE	0x10
#define RTC_C_PF	0x40

uint8_t rtc_read(uint8_t index);
void rtc_write(uint8_t index, uint8_t value);
/* Register D says "valid RAM" and a status register keeps a value. */
bool rtc_present(void);

#endif /* GUESTS_LIB_RTC_H */
