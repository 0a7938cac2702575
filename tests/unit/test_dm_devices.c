/* SPDX-License-Identifier: BSD-3-Clause */
/* The device model's devices, over a fake home that counts and remembers. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "../../devicemodel-stub/device.h"

static struct dm_vm vm;
static uint64_t now_ns, wall;
static char out[256], logged[4096];
static size_t out_used;
static uint32_t log_lines, irq_edges[24];
static bool irq_level[24];

static void fake_irq(void *ctx, uint32_t gsi, bool high)
{
	EXPECT(ctx == &vm);
	EXPECT(gsi < 24U);
	if (high && !irq_level[gsi]) {
		irq_edges[gsi]++;
	}
	irq_level[gsi] = high;
}

static uint64_t fake_time(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static uint64_t fake_wall(void *ctx)
{
	(void)ctx;
	return wall;
}

static void fake_out(void *ctx, uint8_t byte)
{
	(void)ctx;
	if (out_used < sizeof(out) - 1U) {
		out[out_used++] = (char)byte;
		out[out_used] = '\0';
	}
}

static void fake_log(void *ctx, const char *line)
{
	(void)ctx;
	log_lines++;
	strncat(logged, line, sizeof(logged) - strlen(logged) - 1U);
}

static const struct dm_host_ops fake_ops = {
	.irq_line = fake_irq,
	.time_ns = fake_time,
	.wall_s = fake_wall,
	.console_out = fake_out,
	.log = fake_log,
};

static void fresh(void)
{
	now_ns = 1000000000UL;
	wall = 1700000000UL; /* 2023-11-14 22:13:20 UTC, a Tuesday */
	out_used = 0;
	out[0] = logged[0] = '\0';
	log_lines = 0;
	memset(irq_edges, 0, sizeof(irq_edges));
	memset(irq_level, 0, sizeof(irq_level));
	dm_vm_init(&vm, &fake_ops, &vm, 128UL << 20U, 0UL, true);
	EXPECT_EQ(log_lines, 0);
}

static uint64_t rd(enum dm_space space, uint64_t addr, uint32_t size)
{
	struct dm_access a = { .space = space, .addr = addr, .size = size, .value = 0x5A5A5A5A5A5A5A5AUL };

	dm_vm_access(&vm, &a);
	return a.value;
}

static void wr(enum dm_space space, uint64_t addr, uint32_t size, uint64_t value)
{
	struct dm_access a = { .space = space, .write = true, .addr = addr, .size = size, .value = value };

	dm_vm_access(&vm, &a);
}

#define IN(port, size)         rd(DM_PIO, port, size)
#define OUT(port, size, value) wr(DM_PIO, port, size, value)

TEST(dm_unclaimed_reads_ones_and_is_logged_once)
{
	fresh();
	EXPECT_EQ(IN(0x7F00, 1), 0xFF);
	EXPECT_EQ(IN(0x7F00, 2), 0xFFFF);
	EXPECT_EQ(IN(0x7F00, 4), 0xFFFFFFFF);
	OUT(0x7F00, 4, 1);
	EXPECT_EQ(log_lines, 1);
	EXPECT_EQ(rd(DM_MMIO, 0xE0000000, 8), UINT64_MAX);
	EXPECT_EQ(rd(DM_MMIO, 0xE0000FF8, 4), 0xFFFFFFFF);
	EXPECT_EQ(log_lines, 2);
	EXPECT_EQ(rd(DM_PCICFG, 0x8000, 4), 0xFFFFFFFF);
	EXPECT_EQ(log_lines, 2);
	EXPECT_EQ(vm.unclaimed, 7);
	for (uint64_t page = 0; page < 100; page++) {
		(void)rd(DM_MMIO, 0xE1000000 + page * 4096, 1);
	}
	EXPECT(log_lines < 20U);
}

TEST(dm_access_must_be_wholly_inside_a_device)
{
	fresh();
	EXPECT_EQ(IN(DM_PORT_TEST - 2, 4), 0xFFFFFFFF);
	EXPECT_EQ(IN(DM_PORT_TEST + DM_TEST_SIZE - 2, 4), 0xFFFFFFFF);
	EXPECT_EQ(IN(DM_PORT_COM1 - 1, 2), 0xFFFF);
	EXPECT(strstr(logged, "test device") != NULL);
	OUT(DM_PORT_TEST - 2, 4, 0xFFFFFFFF);
	EXPECT_EQ(IN(DM_PORT_TEST, 4), 0);
	EXPECT_EQ(IN(0xFFFF, 1), 0xFF);
}

TEST(dm_illegal_sizes_are_refused)
{
	static const uint32_t sizes[] = { 0U, 3U, 5U, 8U, 16U, UINT32_MAX };

	fresh();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		EXPECT_EQ(IN(DM_PORT_TEST, sizes[i]), UINT64_MAX);
	}
	EXPECT_EQ(vm.test.count, 0);
}

TEST(dm_overlapping_ranges_are_refused_with_both_names)
{
	fresh();
	EXPECT_EQ(dm_range_add(&vm, DM_PIO, 0x3FF, 0x3FF, dm_test_access, "intruder"), -1);
	EXPECT(strstr(logged, "intruder") != NULL && strstr(logged, "COM1") != NULL);
	EXPECT_EQ(dm_range_add(&vm, DM_PIO, 10, 5, dm_test_access, "backwards"), -1);
	EXPECT_EQ(dm_range_add(&vm, DM_MMIO, 0x3FF, 0x3FF, dm_test_access, "other space"), 0);
}

TEST(dm_random_accesses_break_nothing)
{
	fresh();
	for (uint32_t i = 0; i < 300000U; i++) {
		uint64_t r = unit_rand64();
		struct dm_access a = { .space = (enum dm_space)(r % 3U), .write = ((r >> 8U) & 1U) != 0U,
			.size = (uint32_t)(r >> 9U) & 0xFU, .addr = (r >> 16U) & 0xFFFFU, .value = unit_rand64() };

		now_ns += (r >> 32U) & 0xFFFFFFU;
		wall += (r >> 60U);
		if ((r >> 63U) != 0U && vm.range_count > 0U) {
			a.addr = vm.ranges[(r >> 40U) % vm.range_count].first + ((r >> 50U) & 7U);
		}
		dm_vm_access(&vm, &a);
		(void)dm_uart_receive(&vm, (uint8_t)r);
		EXPECT(dm_vm_tick(&vm) <= 1000000000UL);
		if (vm.end != DM_END_NONE) {
			dm_vm_reset(&vm);
		}
		if (unit_failed()) {
			return;
		}
	}
}

/* ---- UART ---- */

TEST(dm_uart_sends_and_interrupts)
{
	fresh();
	OUT(0x3FC, 1, 0x0B);
	OUT(0x3F9, 1, 0x02); /* THR empty */
	EXPECT_EQ(irq_edges[4], 1);
	EXPECT_EQ(IN(0x3FA, 1) & 0xF, 0x2);
	EXPECT(!irq_level[4]);
	EXPECT_EQ(IN(0x3FA, 1) & 0xF, 0x1);
	OUT(0x3F8, 1, 'h');
	OUT(0x3F8, 1, 'i');
	EXPECT(strcmp(out, "hi") == 0);
	EXPECT_EQ(irq_edges[4], 3); /* an edge for each byte, though the first was not looked at */
	EXPECT_EQ(IN(0x3FD, 1), 0x60);
	OUT(0x3FC, 1, 0x03); /* OUT2 off: no interrupt reaches the line */
	EXPECT(!irq_level[4]);
}

TEST(dm_uart_receives_into_its_fifo)
{
	fresh();
	EXPECT(dm_uart_receive(&vm, 'x'));
	EXPECT(!dm_uart_receive(&vm, 'y')); /* no FIFO: one byte */
	EXPECT_EQ(IN(0x3FD, 1) & 1, 1);
	EXPECT_EQ(IN(0x3F8, 1), 'x');
	OUT(0x3FA, 1, 0xC7); /* FIFO on, trigger 14 */
	EXPECT_EQ(IN(0x3FA, 1) & 0xC0, 0xC0);
	OUT(0x3FC, 1, 0x08);
	OUT(0x3F9, 1, 0x01);
	for (uint32_t i = 0; i < DM_UART_FIFO; i++) {
		EXPECT(dm_uart_can_receive(&vm));
		EXPECT(dm_uart_receive(&vm, (uint8_t)i));
		EXPECT_EQ(IN(0x3FA, 1) & 0xF, (i + 1U < 14U) ? 0xC : 0x4);
	}
	EXPECT(!dm_uart_can_receive(&vm) && !dm_uart_receive(&vm, 99));
	EXPECT(irq_level[4]);
	for (uint32_t i = 0; i < DM_UART_FIFO; i++) {
		EXPECT_EQ(IN(0x3F8, 1), i);
	}
	EXPECT(!irq_level[4]);
	EXPECT_EQ(IN(0x3FD, 1), 0x60);
}

TEST(dm_uart_is_found_by_a_driver)
{
	fresh();
	/* What Linux's 8250 driver looks at: IER's bits, loopback's modem lines, the scratch register. */
	OUT(0x3F9, 1, 0xFF);
	EXPECT_EQ(IN(0x3F9, 1), 0x0F);
	OUT(0x3F9, 1, 0);
	EXPECT_EQ(IN(0x3F9, 1), 0);
	OUT(0x3FC, 1, 0x1A); /* loop, OUT2, RTS */
	EXPECT_EQ(IN(0x3FE, 1) & 0xF0, 0x90);
	OUT(0x3F8, 1, 0xA5);
	EXPECT_EQ(IN(0x3F8, 1), 0xA5);
	EXPECT_EQ(out_used, 0);
	OUT(0x3FF, 1, 0x5A);
	EXPECT_EQ(IN(0x3FF, 1), 0x5A);
	OUT(0x3FB, 1, 0x83);
	OUT(0x3F8, 2, 0x0102); /* divisor by one word */
	EXPECT_EQ(IN(0x3F8, 1), 0x02);
	EXPECT_EQ(IN(0x3F9, 1), 0x01);
	dm_vm_reset(&vm);
	EXPECT_EQ(IN(0x3FB, 1), 0);
}

/* ---- CMOS ---- */

static uint64_t cmos(uint8_t index)
{
	OUT(0x70, 1, index);
	return IN(0x71, 1);
}

static void cmos_set(uint8_t index, uint8_t value)
{
	OUT(0x70, 1, index);
	OUT(0x71, 1, value);
}

TEST(dm_cmos_clock)
{
	fresh();
	EXPECT_EQ(cmos(0x32), 0x20);
	EXPECT_EQ(cmos(9), 0x23);
	EXPECT_EQ(cmos(8), 0x11);
	EXPECT_EQ(cmos(7), 0x14);
	EXPECT_EQ(cmos(6), 3);
	EXPECT_EQ(cmos(4), 0x22);
	EXPECT_EQ(cmos(2), 0x13);
	EXPECT_EQ(cmos(0), 0x20);
	EXPECT_EQ(cmos(0xA) & 0x80, 0);
	EXPECT_EQ(cmos(0xD), 0x80);
	wall = 951782399; /* 2000-02-28 23:59:59 */
	EXPECT_EQ(cmos(7), 0x28);
	wall++;
	EXPECT_EQ(cmos(7), 0x29);
	EXPECT_EQ(cmos(8), 0x02);
	wall += 86400;
	EXPECT_EQ(cmos(8), 0x03);
	EXPECT_EQ(cmos(7), 0x01);
	cmos_set(0xB, 0x06); /* binary */
	EXPECT_EQ(cmos(9), 0);
	EXPECT_EQ(cmos(0x32), 20);
	wall = 0;
	EXPECT_EQ(cmos(9), 70);
	EXPECT_EQ(cmos(6), 5); /* a Thursday */
	cmos_set(0xB, 0x00); /* BCD, 12 hours */
	EXPECT_EQ(cmos(4), 0x12);
	wall = 13 * 3600;
	EXPECT_EQ(cmos(4), 0x81);
}

TEST(dm_cmos_every_day_of_a_century)
{
	static const uint8_t length[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	uint32_t year = 1970, month = 0, day = 1;

	fresh();
	cmos_set(0xB, 0x06);
	for (wall = 0; year < 2101U && !unit_failed(); wall += 86400) {
		uint32_t days = length[month] + ((month == 1U &&
			(year % 4U == 0U && (year % 100U != 0U || year % 400U == 0U)))
							 ? 1U : 0U);

		EXPECT_EQ(cmos(0x32) * 100 + cmos(9), year);
		EXPECT_EQ(cmos(8), month + 1U);
		EXPECT_EQ(cmos(7), day);
		if (++day > days) {
			day = 1;
			if (++month == 12U) {
				month = 0;
				year++;
			}
		}
	}
}

TEST(dm_cmos_can_be_set_and_survives_a_reset)
{
	fresh();
	cmos_set(0xB, 0x82);
	cmos_set(9, 0x30);
	cmos_set(8, 0x02);
	cmos_set(7, 0x03);
	cmos_set(4, 0x04);
	cmos_set(2, 0x05);
	cmos_set(0, 0x06);
	cmos_set(0xB, 0x02);
	wall += 10;
	EXPECT_EQ(cmos(9), 0x30);
	EXPECT_EQ(cmos(0), 0x16);
	dm_vm_reset(&vm);
	EXPECT_EQ(cmos(9), 0x30);
	EXPECT_EQ(cmos(8), 0x02);
	EXPECT_EQ(cmos(0x34) | (cmos(0x35) << 8), (112UL << 20U) / 65536UL);
}

/* ---- PIT ---- */

TEST(dm_pit_counts_down)
{
	fresh();
	OUT(0x43, 1, 0x34); /* channel 0, both bytes, mode 2 */
	OUT(0x40, 1, 0xE8);
	OUT(0x40, 1, 0x03); /* 1000 ticks */
	EXPECT_EQ(dm_vm_tick(&vm) / 1000UL, 838);
	now_ns += 419000; /* 499 ticks */
	OUT(0x43, 1, 0x00); /* latch */
	now_ns += 100000;
	EXPECT_EQ(IN(0x40, 1) | (IN(0x40, 1) << 8), 501);
	EXPECT_EQ(irq_edges[DM_GSI_PIT], 0);
	now_ns += 400000;
	EXPECT(dm_vm_tick(&vm) > 0UL);
	EXPECT_EQ(irq_edges[DM_GSI_PIT], 1);
	EXPECT(irq_level[DM_GSI_PIT]); /* a PIC forgets a request whose line falls */
	now_ns += 838096UL * 10UL;
	(void)dm_vm_tick(&vm);
	EXPECT_EQ(irq_edges[DM_GSI_PIT], 2); /* the missed ones stay missed */
}

TEST(dm_pit_one_shot_and_channel_2)
{
	fresh();
	OUT(0x61, 1, 0x01);
	OUT(0x43, 1, 0xB0); /* channel 2, mode 0: Linux's calibration */
	OUT(0x42, 1, 0xFF);
	OUT(0x42, 1, 0x0F);
	EXPECT_EQ(IN(0x61, 1) & 0x20, 0);
	now_ns += 4000000;
	EXPECT_EQ(IN(0x61, 1) & 0x20, 0x20);
	OUT(0x43, 1, 0x30); /* channel 0, one shot */
	OUT(0x40, 1, 0x10);
	OUT(0x40, 1, 0x00);
	now_ns += 1000000;
	EXPECT_EQ(dm_pit_tick(&vm), UINT64_MAX);
	EXPECT_EQ(irq_edges[DM_GSI_PIT], 1);
	EXPECT_EQ(dm_pit_tick(&vm), UINT64_MAX);
	EXPECT_EQ(irq_edges[DM_GSI_PIT], 1);
	OUT(0x43, 1, 0xE2); /* read-back: status of channel 0 */
	EXPECT_EQ(IN(0x40, 1), 0xB0);
}

/* ---- ends ---- */

TEST(dm_pm1_power_off)
{
	fresh();
	EXPECT_EQ(IN(DM_PORT_PM1_CNT, 2), 1);
	OUT(DM_PORT_PM1_CNT, 2, 5U << 10U);
	EXPECT_EQ(vm.end, DM_END_NONE);
	OUT(DM_PORT_PM1_CNT, 2, (3U << 10U) | 0x2000U);
	EXPECT_EQ(vm.end, DM_END_NONE);
	OUT(DM_PORT_PM1_CNT, 2, (5U << 10U) | 0x2000U);
	EXPECT_EQ(vm.end, DM_END_POWEROFF);
	OUT(0xCF9, 1, 6);
	EXPECT_EQ(vm.end, DM_END_POWEROFF); /* the first reason counts */
	dm_vm_reset(&vm);
	EXPECT_EQ(vm.end, DM_END_NONE);
	OUT(DM_PORT_PM1_EVT + 2, 2, 0x0120);
	EXPECT_EQ(IN(DM_PORT_PM1_EVT + 2, 2), 0x0120);
	EXPECT_EQ(IN(DM_PORT_PM1_EVT, 4), 0x01200000);
}

TEST(dm_a_fault_is_not_a_power_off)
{
	fresh();
	OUT(DM_PORT_PM1_CNT, 4, 0x80000000UL | 0x2000U | (5U << 10U));
	EXPECT_EQ(vm.end, DM_END_CRASH);
	fresh();
	OUT(DM_PORT_PM1_CNT, 4, 0x2000U | (5U << 10U));
	EXPECT_EQ(vm.end, DM_END_POWEROFF);
}

TEST(dm_ways_of_rebooting)
{
	fresh();
	OUT(0x64, 1, 0xFE);
	EXPECT_EQ(vm.end, DM_END_REBOOT);
	fresh();
	OUT(0xCF9, 1, 0x02);
	EXPECT_EQ(vm.end, DM_END_NONE);
	OUT(0xCF9, 1, 0x06);
	EXPECT_EQ(vm.end, DM_END_REBOOT);
	EXPECT_EQ(IN(0x64, 1), 0xFF);
}

TEST(dm_panic_and_debug_exit)
{
	fresh();
	EXPECT_EQ(IN(DM_PORT_PANIC, 1), 1);
	OUT(DM_PORT_PANIC, 1, 1);
	EXPECT_EQ(vm.end, DM_END_PANIC);
	fresh();
	OUT(DM_PORT_DEBUG_EXIT, 4, 0);
	EXPECT_EQ(vm.end, DM_END_POWEROFF);
	fresh();
	OUT(DM_PORT_DEBUG_EXIT, 1, 3);
	EXPECT_EQ(vm.end, DM_END_EXIT);
	EXPECT_EQ(vm.end_code, 3);
	dm_vm_init(&vm, &fake_ops, &vm, 128UL << 20U, 0UL, false);
	OUT(DM_PORT_DEBUG_EXIT, 1, 3);
	OUT(DM_PORT_TEST + DM_TEST_END, 4, 3);
	EXPECT_EQ(vm.end, DM_END_NONE);
}

/* ---- PCI, test device ---- */

TEST(dm_pci_has_nothing)
{
	fresh();
	OUT(0xCF8, 4, 0x80001234);
	EXPECT_EQ(IN(0xCF8, 4), 0x80001234);
	EXPECT_EQ(IN(0xCFC, 4), 0xFFFFFFFF);
	EXPECT_EQ(IN(0xCFE, 2), 0xFFFF);
	EXPECT_EQ(IN(0xCF8, 1), 0xFF);
	OUT(0xCF8, 1, 0); /* not the address register */
	EXPECT_EQ(IN(0xCF8, 4), 0x80001234);
	EXPECT_EQ(vm.end, DM_END_NONE);
}

TEST(dm_scratch_is_like_memory)
{
	fresh();
	wr(DM_MMIO, DM_MMIO_SCRATCH + 3, 8, 0x8877665544332211UL);
	wr(DM_MMIO, DM_MMIO_SCRATCH + 4, 1, 0x99);
	EXPECT_EQ(rd(DM_MMIO, DM_MMIO_SCRATCH + 2, 4), 0x33991100UL);
	wr(DM_MMIO, DM_MMIO_SCRATCH + DM_SCRATCH_SIZE - 2U, 2, 0xABCD);
	EXPECT_EQ(rd(DM_MMIO, DM_MMIO_SCRATCH + DM_SCRATCH_SIZE - 1U, 1), 0xAB);
	EXPECT_EQ(rd(DM_MMIO, DM_MMIO_SCRATCH + DM_SCRATCH_SIZE - 1U, 2), 0xFFFF); /* over the end */
}

TEST(dm_test_device)
{
	struct dm_access a = { .space = DM_PIO, .addr = DM_PORT_TEST, .size = 2 };

	fresh();
	EXPECT_EQ(IN(DM_PORT_TEST + DM_TEST_ID, 4), DM_TEST_ID_VALUE);
	EXPECT_EQ(IN(DM_PORT_TEST + DM_TEST_ID + 1, 1), 0x52);
	wr(DM_MMIO, DM_MMIO_TEST, 8, 0x8877665544332211UL);
	EXPECT_EQ(rd(DM_MMIO, DM_MMIO_TEST, 8), 0x8877665544332211UL);
	EXPECT_EQ(IN(DM_PORT_TEST + 3, 2), 0x5544);
	EXPECT_EQ(IN(DM_PORT_TEST + DM_TEST_LAST, 4), 2U | (3U << 16U));
	EXPECT_EQ(IN(DM_PORT_TEST + DM_TEST_COUNT, 4), 3);
	EXPECT_EQ(IN(DM_PORT_TEST + 6, 4), 0xFFFFFFFF); /* ECHO into DELAY */
	EXPECT_EQ(IN(DM_PORT_TEST + 0x0A, 4), 0xFFFFFFFF);
	OUT(DM_PORT_TEST + DM_TEST_DELAY, 4, 5000);
	OUT(DM_PORT_TEST + DM_TEST_MODE, 4, DM_TEST_MODE_EXCESS);
	dm_vm_access(&vm, &a);
	EXPECT_EQ(a.value, 0xFFFFFFFFFFFF2211UL);
	EXPECT_EQ(a.delay_us, 5000);
	OUT(DM_PORT_TEST + DM_TEST_MODE, 4, DM_TEST_MODE_INVERT);
	EXPECT_EQ(IN(DM_PORT_TEST, 1), 0xEE);
	OUT(DM_PORT_TEST + DM_TEST_MODE, 4, DM_TEST_MODE_TWICE);
	dm_vm_access(&vm, &a);
	EXPECT(a.complete_twice);
	OUT(DM_PORT_TEST + DM_TEST_DELAY, 4, UINT32_MAX);
	EXPECT_EQ(IN(DM_PORT_TEST + DM_TEST_DELAY, 4), DM_TEST_DELAY_MAX);
	OUT(DM_PORT_TEST + DM_TEST_MODE, 4, 77);
	EXPECT_EQ(IN(DM_PORT_TEST + DM_TEST_MODE, 4), DM_TEST_MODE_PLAIN);
}
