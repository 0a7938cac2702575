/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory map of a User VM changes under the eyes of its vCPUs: whatever a hypercall has said is done must be true
 * for each of them, whether its CPU is in guest mode, in the hypervisor or with another VM. The guest is
 * tests/guests/maps.c.
 */
#include "svm_tests.h"

#include <guests/lib/maps.h>

#define ROUNDS     120UL
#define TURNS      3UL /* of each vCPU, between two changes */
#define PROTECT_US 200UL
#define LARGE      0x200000UL
#define PAGE       4096UL
#define RW_RAM     (MEM_ACCESS_RWX | MEM_TYPE_WB)
#define READ_ONLY  (MEM_ACCESS_READ | MEM_TYPE_WB)

static struct maps_shared *shared;
static uint8_t *region[2]; /* of Service VM memory, to show in the window; LARGE and aligned */
static uint64_t epoch;

static void map(struct uvm *u, uint32_t type, uint32_t prot, const uint8_t *at, uint64_t size)
{
	static struct set_regions set __attribute__((aligned(64)));
	static struct vm_memory_region r __attribute__((aligned(64)));

	r = (struct vm_memory_region){
		.type = type,
		.prot = prot,
		.gpa = MAPS_WINDOW_GPA,
		.service_vm_gpa = (uint64_t)(uintptr_t)at,
		.size = size,
	};
	set = (struct set_regions){.vmid = u->vmid, .mr_num = 1U, .regions_gpa = (uint64_t)(uintptr_t)&r};
	if (hypercall(HC_VM_SET_MEMORY_REGIONS, (uint64_t)(uintptr_t)&set, 0UL) != 0) {
		report(false, "the window's mapping can be changed (type %u)", type);
	}
}

static void serve_us(struct uvm *u, uint64_t us)
{
	uint64_t end = rdtsc() + us * uvm_tsc_khz() / 1000UL;

	while (rdtsc() < end) {
		(void)uvm_serve(u);
		irq_window();
	}
}

/* @return false if a vCPU does not come forward within `seconds` */
static bool let_all_turn(struct uvm *u, uint32_t seconds)
{
	uint64_t end = rdtsc() + (uint64_t)seconds * uvm_tsc_khz() * 1000UL;
	uint64_t goal[MAPS_CPUS];
	uint32_t behind = u->vcpu_num;

	for (uint32_t i = 0; i < u->vcpu_num; i++) {
		goal[i] = shared->cpu[i].turns + TURNS;
	}
	while (behind != 0U && rdtsc() < end) {
		(void)uvm_serve(u);
		irq_window();
		behind = 0U;
		for (uint32_t i = 0; i < u->vcpu_num; i++) {
			behind += shared->cpu[i].turns < goal[i] ? 1U : 0U;
		}
	}
	return behind == 0U;
}

static void show(struct uvm *u, const uint8_t *at, uint64_t size)
{
	map(u, MR_ADD, RW_RAM, at, size);
	__atomic_store_n(&shared->epoch, epoch, __ATOMIC_RELEASE);
}

/* The two regions in turn, `gap`: with nothing between them. */
static void remap(struct uvm *u, uint32_t seconds, uint64_t size, bool gap, const char *text)
{
	bool alive = true;
	uint64_t stale = 0UL;

	for (uint64_t n = 0; n < ROUNDS && alive; n++) {
		uint8_t *at = region[n & 1UL];

		if (gap) {
			map(u, MR_DEL, 0U, NULL, size);
			__atomic_store_n(&shared->epoch, ++epoch, __ATOMIC_RELEASE);
			alive = let_all_turn(u, seconds);
		}
		*(volatile uint64_t *)at = ++epoch;
		show(u, at, size);
		alive = alive && let_all_turn(u, seconds);
	}
	report(alive, "%s: every vCPU comes forward", text);
	for (uint32_t i = 0; i < u->vcpu_num; i++) {
		if (shared->cpu[i].stale != 0UL) {
			report_info("vCPU%u: %lu stale reads, the last found %lu where %lu was due", i,
				shared->cpu[i].stale, shared->cpu[i].found, shared->cpu[i].wanted);
		}
		stale += shared->cpu[i].stale;
		shared->cpu[i].stale = 0UL;
	}
	report(stale == 0UL, "%s: no old value is read when the hypercall has returned", text);
}

static void protect(struct uvm *u, uint32_t seconds, enum maps_task task, const char *text)
{
	static uint8_t before[PAGE] __attribute__((aligned(64)));
	uint64_t through = 0UL, lost = 0UL;
	bool alive = true;

	shared->task = task;
	for (uint64_t n = 0; n < ROUNDS / 4UL && alive; n++) {
		map(u, MR_MODIFY, READ_ONLY, NULL, PAGE);
		memcpy(before, region[0], PAGE);
		/* Nobody answers a request meanwhile: a vCPU can be in a write that was caught, or in none. */
		delay_ticks(PROTECT_US * uvm_tsc_khz() / 1000UL);
		through += memcmp(before, region[0], PAGE) != 0 ? 1U : 0U;
		serve_us(u, PROTECT_US);
		through += memcmp(before, region[0], PAGE) != 0 ? 1U : 0U;
		memset(region[0], 0, PAGE);
		map(u, MR_MODIFY, RW_RAM, NULL, PAGE);
		alive = let_all_turn(u, seconds);
		for (uint32_t i = 0; i < u->vcpu_num; i++) {
			lost += ((volatile uint64_t *)region[0])[8U * (1U + i)] == 0UL ? 1U : 0U;
		}
	}
	report(alive, "%s: every vCPU comes forward", text);
	report(through == 0UL, "%s: none gets through while the page is read-only", text);
	report(lost == 0UL, "%s: and all do afterwards", text);
	if (through != 0UL || lost != 0UL) {
		report_info("%s: %lu times, %lu times", text, through, lost);
	}
}

void svm_test_maps(struct uvm *u, uint32_t seconds, bool spin)
{
	region[0] = uvm_alloc(LARGE, LARGE);
	region[1] = uvm_alloc(LARGE, LARGE);
	if (region[0] == NULL || region[1] == NULL || uvm_launch(u) != 0) {
		report(false, "launched");
		return;
	}
	shared = (struct maps_shared *)(uintptr_t)(u->ram + MAPS_SHARED_GPA);
	show(u, region[0], PAGE);
	for (uint64_t end = rdtsc() + (uint64_t)seconds * uvm_tsc_khz() * 1000UL;
		shared->ready < u->vcpu_num && rdtsc() < end;) {
		(void)uvm_serve(u);
		irq_window();
	}
	report(shared->ready == u->vcpu_num, "all %u vCPUs are at work", u->vcpu_num);
	remap(u, seconds, PAGE, false, "one page after the other");
	remap(u, seconds, PAGE, true, "one page, then none");
	map(u, MR_DEL, 0U, NULL, LARGE);
	remap(u, seconds, LARGE, false, "one large page after the other");
	remap(u, seconds, LARGE, true, "one large page, then none");
	show(u, region[0], LARGE);
	protect(u, seconds, MAPS_WRITE, "writes");
	protect(u, seconds, MAPS_WRITE_EMULATED, "writes by emulated instructions");
	shared->task = MAPS_STOP;
	report(uvm_run(u, seconds, spin) == DM_END_POWEROFF, "and the VM runs to its end");
	(void)uvm_destroy(u);
}
