/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Code all over the memory: a function in each 2 MiB and one that goes over into the next, run by all CPUs at once,
 * again and again, while the memory around them is written to.
 */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>

const char subject_name[] = "code";

#define STEP		0x200000UL
#define FIRST		(8 * STEP)	/* above the image */
#define ROUNDS		3U
#define MAX_PLACES	512
#define OFFSET		0x1230UL
#define STRADDLE	(STEP - 3)	/* the MOV's first three bytes are in this step, the others in the next */

static uint64_t places[MAX_PLACES];	/* where there is memory to use */
static uint64_t steps;
static uint32_t wrong[MAX_CPUS];

static uint32_t number(uint64_t step)
{
	return (uint32_t)step * 0x01010101U ^ 0x5a5a5a5aU;
}

/* MOV EAX, number; RET. False: no memory is there. */
static bool put(uint64_t at, uint32_t value)
{
	volatile uint8_t *code = (volatile uint8_t *)at;

	code[0] = 0xb8;
	for (unsigned int i = 0; i < 4; i++)
		code[1 + i] = (uint8_t)(value >> 8 * i);
	code[5] = 0xc3;
	return code[0] == 0xb8 && code[5] == 0xc3;
}

static uint32_t call(uint64_t at)
{
	return ((uint32_t (*)(void))at)();
}

static void work(void *arg)
{
	unsigned int cpu = (unsigned int)(uint64_t)arg;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (uint64_t i = 0; i < steps; i++) {
			uint64_t step = cpu % 2 == 0 ? i : steps - 1 - i;
			uint64_t at = places[step];
			volatile uint32_t *mine = (volatile uint32_t *)(at + 0x8000 + 64 * cpu);

			*mine = round + (uint32_t)step;
			wrong[cpu] += call(at + OFFSET) != number(step) ? 1 : 0;
			wrong[cpu] += call(at + STRADDLE) != ~number(step) ? 1 : 0;
			wrong[cpu] += *mine != round + (uint32_t)step ? 1 : 0;
		}
	}
}

void test_main(void)
{
	unsigned int cpus = 1;

	if (smp_expected() > 1) {
		lapic_enable();
		cpus = smp_start();
	}
	for (uint64_t at = FIRST; at + 2 * STEP <= boot_ram_top() && steps < MAX_PLACES; at += STEP) {
		/* Of the Service VM's memory the hypervisor has a part. */
		if (put(at + OFFSET, number(steps)) && put(at + STRADDLE, ~number(steps)))
			places[steps++] = at;
	}
	report_info("%u CPUs, code in %lu places", cpus, steps);
	report(steps > 4, "there is memory for it");
	for (unsigned int cpu = 1; cpu < cpus; cpu++)
		on_cpu_async(cpu, work, (void *)(uint64_t)cpu);
	work((void *)0);
	for (unsigned int cpu = 1; cpu < cpus; cpu++)
		report(on_cpu_wait(cpu), "CPU %u has come to the end", cpu);
	for (unsigned int cpu = 0; cpu < cpus; cpu++)
		report(wrong[cpu] == 0, "CPU %u: each function was what had been put there", cpu);
	(void)put(places[0] + OFFSET, 0x12345678);
	report(call(places[0] + OFFSET) == 0x12345678, "code that is written again");
}
