/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ACPI PM timer: 3.579545 MHz, 24 or 32 bits as the FADT says, never backwards, every width of access; PM1 as far
 * as reading and harmless bits go. ACPI specification, 4.8.
 */
#include <guests/lib/acpi.h>
#include <guests/lib/guest.h>
#include <guests/lib/pit.h>

const char subject_name[] = "pmtimer";

#define PM_HZ		3579545U
#define TRIES		20
#define FADT_SMI_CMD	48
#define FADT_ACPI_ENABLE 52
#define FADT_PM1A_EVT	56
#define FADT_PM1A_CNT	64
#define FADT_PM_TMR	76
#define FADT_FLAGS	112
#define FLAG_TMR_32	0x100U
#define CNT_SCI_EN	1U

static uint16_t tmr, evt, cnt, smi_command;
static uint8_t acpi_enable;
static uint32_t mask;

static uint32_t read32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t now(void)
{
	return inl(tmr) & mask;
}

static void test_counting(void)
{
	uint32_t last = now(), sum = 0;
	bool ok = true;

	for (unsigned int i = 0; i < 5000; i++) {
		uint32_t v = now(), step = (v - last) & mask;

		ok = ok && step < 0x100000;
		sum += step;
		last = v;
	}
	report(ok && sum > 0, "it counts up, never backwards");
	report(mask == 0xffffffff || inl(tmr) >> 24 == 0, "with 24 bits the others are zero");
	outl(tmr, 0);
	report(((now() - last) & mask) < 0x100000, "it is read-only");
}

static void test_rate(void)
{
	uint64_t want = PM_HZ / 50;
	bool ok = false;

	/* Once in some tries: another VM may have the CPU just then. */
	for (unsigned int i = 0; i < TRIES && !ok; i++) {
		uint64_t tsc = pit_measure_tsc(20000), got;
		uint32_t start = now();

		delay_ticks(tsc);
		got = (now() - start) & mask;
		ok = tsc != 0 && got > want * 95 / 100 && got < want * 105 / 100;
	}
	report(ok, "3.58 MHz by the PIT, within 5 per cent");
}

static void test_widths(void)
{
	uint32_t a = now(), word, byte;

	word = inw(tmr);
	byte = inb(tmr);
	report(((word - a) & 0xffff) < 0x4000 && byte <= 0xff, "16 bits of it");
	a = now();
	word = inw((uint16_t)(tmr + 2));
	report_xfail(!on_hypervisor(), "Bochs has no such", ((word - (a >> 16)) & 0xff) <= 1,
		     "the upper half by itself");
	(void)byte;
}

static void test_pm1(void)
{
	uint16_t enable = inw((uint16_t)(evt + 2)), control;

	if ((inw(cnt) & CNT_SCI_EN) == 0 && smi_command != 0) {
		outb(smi_command, acpi_enable);
		delay_ticks(100000);
	}
	control = inw(cnt);
	report((control & CNT_SCI_EN) != 0, "PM1 control: ACPI mode is on");
	report((control & 0x2000) == 0, "PM1 control: SLP_EN reads as zero");
	outw((uint16_t)(evt + 2), enable | 0x20);
	report((inw((uint16_t)(evt + 2)) & 0x20) != 0, "PM1 enable: GBL_EN is kept");
	outw((uint16_t)(evt + 2), enable);
	report(inw((uint16_t)(evt + 2)) == enable, "PM1 enable as before");
	outw(evt, 0xffff);
	report((inw(evt) & 0x0320) == 0, "PM1 status: buttons and GBL are clear");
}

void test_main(void)
{
	const uint8_t *fadt = acpi_find("FACP");

	if (fadt == NULL || read32(fadt + FADT_PM_TMR) == 0) {
		report_skip("no PM timer");
		return;
	}
	tmr = (uint16_t)read32(fadt + FADT_PM_TMR);
	evt = (uint16_t)read32(fadt + FADT_PM1A_EVT);
	cnt = (uint16_t)read32(fadt + FADT_PM1A_CNT);
	smi_command = (uint16_t)read32(fadt + FADT_SMI_CMD);
	acpi_enable = fadt[FADT_ACPI_ENABLE];
	mask = (read32(fadt + FADT_FLAGS) & FLAG_TMR_32) != 0 ? 0xffffffff : 0xffffff;
	test_counting();
	test_rate();
	test_widths();
	test_pm1();
}
