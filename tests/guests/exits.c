/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an exit costs: TSC ticks from guest to guest, the median of many, an empty pair of RDTSC subtracted. In Bochs
 * with one CPU a tick is an instruction, so the figures are exact there and mean nothing elsewhere.
 */
#include <guests/lib/guest.h>
#include <guests/lib/hypercall.h>

const char subject_name[] = "exits";

#define ROUNDS 1001U

static uint64_t samples[ROUNDS];

static void sort(uint64_t *v, uint32_t n)
{
	for (uint32_t gap = n / 2; gap > 0; gap /= 2)
		for (uint32_t i = gap; i < n; i++) {
			const uint64_t x = v[i];
			uint32_t j = i;

			for (; j >= gap && v[j - gap] > x; j -= gap)
				v[j] = v[j - gap];
			v[j] = x;
		}
}

static void op_nothing(void)
{
	__asm__ volatile("" ::: "memory");
}

static void op_cpuid0(void)
{
	(void)cpuid(0, 0);
}

static void op_cpuid1(void)
{
	(void)cpuid(1, 0);
}

static void op_pic_read(void)
{
	(void)inb(0x21);
}

static void op_uart_read(void)
{
	(void)inb(0x3fd);
}

static void op_pic_write(void)
{
	outb(0x21, 0xff);
}

static void op_misc_enable(void)
{
	(void)rdmsr(0x1a0);
}

static void op_deadline(void)
{
	wrmsr(0x6e0, 0);
}

static void op_vmcall(void)
{
	(void)hypercall(0x800000ffUL, 0, 0);
}

static void op_wbinvd(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

static uint64_t median(void (*op)(void))
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint64_t start = rdtsc();

		op();
		samples[i] = rdtsc() - start;
	}
	sort(samples, ROUNDS);
	return samples[ROUNDS / 2];
}

void test_main(void)
{
	static const struct {
		const char *name;
		void (*op)(void);
		bool hypervisor_only;
	} ops[] = {
		{"CPUID leaf 0", op_cpuid0, false},
		{"CPUID leaf 1", op_cpuid1, false},
		{"IN from the PIC (0x21)", op_pic_read, false},
		{"OUT to the PIC (0x21)", op_pic_write, false},
		{"IN from the UART (0x3FD)", op_uart_read, false},
		{"RDMSR MISC_ENABLE", op_misc_enable, true},
		{"WRMSR TSC_DEADLINE", op_deadline, false},
		{"VMCALL, unknown", op_vmcall, true},
		{"WBINVD", op_wbinvd, false},
	};
	const bool hypervised = (cpuid(1, 0).ecx & (1U << 31)) != 0;
	const uint64_t empty = median(op_nothing);

	report_info("an empty pair of RDTSC: %lu", empty);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (ops[i].hypervisor_only && !hypervised)
			continue;
		if (ops[i].op == op_vmcall && !on_service_vm())
			continue; /* #UD, as bare */
		report_info("cost %s: %lu", ops[i].name, median(ops[i].op) - empty);
	}
	report(empty > 0, "measured");
}
