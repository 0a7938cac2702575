/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The enemy: a Service VM that breaks every rule of the I/O protocol and calls hypercalls with whatever comes.
 * The first boot module is the User VM it torments; a clean copy of it must run to its end afterwards.
 *
 * Words of the command line: seed=N (1), rounds=N (20000 hypercalls), lives=N (20 tormented VMs), timeout=SECONDS,
 * spin, polling. The same seed makes the same calls. die=triple|poweroff|reset: only launches the User VM and dies
 * while that runs.
 */
#include "uvm.h"

#include <guests/lib/acpi.h>
#include <guests/lib/apic.h>
#include <guests/lib/smp.h>
#include <lib/errno.h>

const char subject_name[] = "enemy";

#define SCRATCH_PAGES 4U
#define PAGE          4096UL
#define ERRNO_MAX     133
#define PM1_SLP_EN    0x2000U /* sleep type 0: S5 of the simulators */

static struct uvm victim;
static uint8_t *scratch;
static uint64_t prng_state;
static volatile bool scribble;
static volatile uint64_t scribbles;

/* xorshift64*: repeatable, and that is all we want of it. */
static uint64_t rnd_of(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12U;
	x ^= x << 25U;
	x ^= x >> 27U;
	*state = x;
	return x * 0x2545F4914F6CDD1DUL;
}

static uint64_t rnd(void)
{
	return rnd_of(&prng_state);
}

/* ---- hypercalls ---- */

/* An address: in our scratch memory (aligned, odd, over a page's end), our image, or anywhere. */
static uint64_t rnd_pointer(void)
{
	uint64_t r = rnd();
	uint64_t base = (uint64_t)(uintptr_t)scratch;

	switch (r % 10UL) {
	case 0:
		return 0UL;
	case 1:
		return r >> 8U; /* anywhere below 2^56 */
	case 2:
		return UINT64_MAX - ((r >> 8U) & 0xFFFUL);
	case 3:
		return (r >> 8U) & 0xFFFFFFFFUL;
	case 4:
		return 0xFEE00000UL + ((r >> 8U) & 0xFFFUL);
	case 5:
		return base + PAGE - ((r >> 8U) & 0x3FUL); /* crosses into the next page */
	case 6:
		return base + ((r >> 8U) & 0xFFFUL);
	default:
		return base + ((r >> 8U) & 0xFF8UL);
	}
}

static uint64_t rnd_vmid(void)
{
	uint64_t r = rnd();

	switch (r % 6UL) {
	case 0:
		return r >> 8U;
	case 1:
		return (r >> 8U) & 0xFFFFUL;
	case 2:
		return (r >> 8U) & 0xFUL;
	default:
		return victim.vmid;
	}
}

static void rnd_scratch(void)
{
	uint64_t *p = (uint64_t *)(void *)scratch;
	uint64_t n = SCRATCH_PAGES * PAGE / 8UL;

	/* A few words at a time; small numbers are more dangerous than large ones. */
	for (uint32_t i = 0; i < 16U; i++) {
		uint64_t r = rnd();

		p[(r >> 16U) % n] = ((r & 3UL) == 0UL) ? rnd() : (((r & 3UL) == 1UL) ? rnd_pointer() : r & 0xFFUL);
	}
}

/* vmid fields are at the start of what CREATE_VM and SET_MEMORY_REGIONS take: make them right, often. */
static void plausible_header(uint64_t at)
{
	uint64_t base = (uint64_t)(uintptr_t)scratch;

	if (at >= base && at + 24UL <= base + SCRATCH_PAGES * PAGE && (rnd() & 1UL) != 0UL) {
		struct set_regions set = {
			.vmid = victim.vmid, .mr_num = (uint32_t)(rnd() & 0x1FUL), .regions_gpa = rnd_pointer()};

		memcpy((void *)(uintptr_t)at, &set, sizeof(set));
	}
}

/* A CPU that was taken offline does not come back: such calls are made only for CPUs that there are not. */
static bool would_end_us(uint64_t id, uint64_t arg1)
{
	return id == HC_SERVICE_VM_OFFLINE_CPU && arg1 < 256UL;
}

static uint64_t rnd_id(void)
{
	uint64_t r = rnd();

	switch (r & 7UL) {
	case 0:
		return r >> 8U;
	case 1:
		return (r >> 8U) & 0xFFFFFFFFUL;
	default:
		return HC_ID_BASE | ((r >> 8U) & 0xFFUL);
	}
}

static bool is_result(int64_t ret)
{
	return ret <= 0 && ret >= -ERRNO_MAX;
}

static void fuzz_hypercalls(uint64_t rounds)
{
	uint64_t bad = 0, zero = 0, refused = 0, step = rounds / 10UL;

	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t id = rnd_id();
		uint64_t arg1 = ((rnd() & 3UL) != 0UL) ? rnd_vmid() : rnd_pointer();
		uint64_t arg2 = ((rnd() & 3UL) != 0UL) ? rnd_pointer() : rnd() & 0xFUL;
		int64_t ret;

		rnd_scratch();
		if (id == HC_CREATE_VM || id == HC_VM_SET_MEMORY_REGIONS) {
			arg1 = rnd_pointer();
			plausible_header(arg1);
		}
		if (would_end_us(id, arg1)) {
			continue;
		}
		ret = hypercall(id, arg1, arg2);
		if (!is_result(ret)) {
			if (bad++ < 5UL) {
				report_info(
					"hypercall %#lx(%#lx, %#lx) left RAX = %#lx", id, arg1, arg2, (uint64_t)ret);
			}
		} else if (ret == 0) {
			zero++;
		} else {
			refused++;
		}
		if (step != 0UL && i % step == 0UL) {
			report_info("hypercalls: %lu of %lu, %lu done, %lu refused", i, rounds, zero, refused);
		}
		irq_window();
	}
	report(bad == 0UL, "RAX is 0 or -errno after every hypercall");
	/* What was made under random names goes again; ids are small numbers. */
	for (uint64_t id = 1; id < 64UL; id++) {
		(void)hypercall(HC_DESTROY_VM, id, 0UL);
	}
	(void)hypercall(HC_SET_CALLBACK_VECTOR, ACRN_UPCALL_VECTOR, 0UL);
	victim.created = false;
	victim.started = false;
}

/* Every number once with each of a few hard arguments, the victim alive. */
static void every_number(void)
{
	uint64_t base = (uint64_t)(uintptr_t)scratch;
	const uint64_t hard[] = {0UL, 1UL, base + PAGE - 1UL, base + 1UL, 0xFFFFFFFFFFFFF000UL, 0x7FFFFFFFF000UL,
		0xFEC00000UL, UINT64_MAX};
	uint32_t bad = 0;

	for (uint64_t n = 0; n < 256UL; n++) {
		for (size_t i = 0; i < ARRAY_SIZE(hard); i++) {
			for (size_t j = 0; j < ARRAY_SIZE(hard); j++) {
				if (would_end_us(HC_ID_BASE | n, hard[i])) {
					continue;
				}
				bad += is_result(hypercall(HC_ID_BASE | n, hard[i], hard[j])) ? 0U : 1U;
			}
		}
		irq_window();
	}
	report(bad == 0U, "every hypercall number with hard arguments answers 0 or -errno");
	(void)hypercall(HC_SET_CALLBACK_VECTOR, ACRN_UPCALL_VECTOR, 0UL);
}

/* ---- the request page ---- */

static void rnd_scribble(uint64_t *state)
{
	uint64_t r = rnd_of(state);
	volatile uint32_t *word = (volatile uint32_t *)(void *)victim.page;

	switch (r & 3UL) {
	case 0: /* a state, right or wrong */
		victim.page->req_queue[(r >> 8U) & 0xFUL].processed = (uint32_t)(r >> 16U) & 7U;
		break;
	case 1: /* slot 0, any field */
		word[(r >> 8U) & 63UL] = (uint32_t)(r >> 32U);
		break;
	default: /* anything */
		word[(r >> 8U) & 1023UL] = (uint32_t)(r >> 32U);
		break;
	}
}

/* On another CPU: writes the page as fast as it can while requests run. */
static void scribbler(void *arg)
{
	uint64_t state = 0x9E3779B97F4A7C15UL;

	(void)arg;
	while (scribble) {
		rnd_scribble(&state);
		scribbles = scribbles + 1;
	}
}

enum torment {
	TORMENT_NEVER,    /* never completes */
	TORMENT_TWICE,    /* completes, and again while the next is under way */
	TORMENT_STATES,   /* goes through wrong states */
	TORMENT_FIELDS,   /* changes type, size, address and direction before completing */
	TORMENT_SCRIBBLE, /* random writes between serving */
	TORMENT_NOTIFY,   /* notifies without end, for every vCPU number */
	TORMENT_REMAP,    /* maps the memory anew in other pieces, all the time */
	TORMENT_UNMAP,    /* takes memory away page by page */
	TORMENT_KINDS,
};

static const char *const torment_names[TORMENT_KINDS] = {"never completes", "completes twice", "wrong states",
	"changes the request", "scribbles", "notifies for nothing", "remaps", "unmaps"};

static int64_t set_region(const struct vm_memory_region *region)
{
	static struct set_regions set __attribute__((aligned(64)));
	static struct vm_memory_region one __attribute__((aligned(64)));

	one = *region;
	set = (struct set_regions){.vmid = victim.vmid, .mr_num = 1U, .regions_gpa = (uint64_t)(uintptr_t)&one};
	return hypercall(HC_VM_SET_MEMORY_REGIONS, (uint64_t)(uintptr_t)&set, 0UL);
}

/* The same memory again, in other pieces: tables are made and freed under the running guest. */
static void remap(uint64_t r)
{
	struct vm_memory_region part;
	const uint64_t pages = victim.ram_size / PAGE;
	const uint64_t first = (r >> 8U) % pages;

	part = (struct vm_memory_region){.type = MR_ADD, .prot = MEM_ACCESS_RWX | MEM_TYPE_WB};
	part.size = victim.ram_size;
	if ((r & 1UL) != 0UL) {
		part.gpa = first * PAGE;
		part.size = PAGE * (1UL + (r >> 40U) % (pages - first));
	}
	part.service_vm_gpa = (uint64_t)(uintptr_t)victim.ram + part.gpa;
	if (set_region(&part) != 0) {
		report(false, "the victim's memory mapped again: %#lx + %#lx", part.gpa, part.size);
	}
}

/* Rarely: most lives are to last a while. */
static void unmap(uint64_t r)
{
	const struct vm_memory_region part = {.type = MR_DEL,
		.gpa = (r >> 8U) % (victim.ram_size / PAGE) * PAGE,
		.size = PAGE * (1UL + ((r >> 40U) & 0xFUL))};

	if ((r & 0xFUL) == 0UL && set_region(&part) != 0) {
		report(false, "memory of the victim unmapped: %#lx + %#lx", part.gpa, part.size);
	}
}

/* Tries to lend it all below 4 GiB: the hypervisor's memory, devices, what there is not. Only RAM of ours may go. */
static void lend_everything(void)
{
	static const uint64_t devices[] = {0xA0000UL, 0xFEC00000UL, 0xFED00000UL, 0xFEE00000UL, 0xFFFFF000UL};
	struct vm_memory_region region = {.type = MR_ADD, .prot = MEM_ACCESS_RWX | MEM_TYPE_WB, .gpa = 1UL << 34U};
	uint64_t taken = 0, devices_taken = 0;
	const uint64_t top = (boot_ram_top() + UVM_RAM_STEP - 1UL) & ~(UVM_RAM_STEP - 1UL);

	for (uint64_t at = 0; at < (1UL << 32U); at += UVM_RAM_STEP) {
		region.service_vm_gpa = at;
		region.size = UVM_RAM_STEP;
		if (set_region(&region) == 0) {
			taken++;
			devices_taken += (at + region.size > top) ? 1U : 0U;
		}
		irq_window();
	}
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		region.service_vm_gpa = devices[i];
		region.size = PAGE;
		devices_taken += (set_region(&region) == 0) ? 1U : 0U;
	}
	report(taken > 0UL && devices_taken == 0UL, "only RAM can be lent");
	report_info("%lu of 2048 blocks of 2 MiB lent", taken);
	report(hypercall(HC_ARIL_AUDIT, 0UL, 0UL) == 0, "audit of all page tables after lending everything");
}

static void torment_once(enum torment kind)
{
	struct vhm_request *slot = &victim.page->req_queue[0];
	uint64_t r = rnd();

	switch (kind) {
	case TORMENT_NEVER:
		break;
	case TORMENT_TWICE:
		if (uvm_serve_slot(&victim, 0U)) {
			__atomic_store_n(&slot->processed, REQ_STATE_COMPLETE, __ATOMIC_RELEASE);
			(void)hypercall(HC_NOTIFY_REQUEST_FINISH, victim.vmid, 0UL);
		}
		break;
	case TORMENT_STATES:
		slot->processed = (uint32_t)(r >> 8U) & (((r & 1UL) != 0UL) ? 3U : UINT32_MAX);
		(void)hypercall(HC_NOTIFY_REQUEST_FINISH, victim.vmid, 0UL);
		break;
	case TORMENT_FIELDS:
		if (slot->processed == REQ_STATE_PENDING) {
			slot->type = (uint32_t)r & 7U;
			slot->completion_polling = (uint32_t)(r >> 3U);
			slot->reqs.pio.size = rnd();
			slot->reqs.pio.address = rnd();
			slot->reqs.pio.direction = (uint32_t)rnd();
			slot->reqs.mmio.value = rnd();
			__atomic_store_n(&slot->processed, REQ_STATE_COMPLETE, __ATOMIC_RELEASE);
			(void)hypercall(HC_NOTIFY_REQUEST_FINISH, victim.vmid, 0UL);
		}
		break;
	case TORMENT_SCRIBBLE:
		(void)uvm_serve_slot(&victim, 0U);
		for (uint32_t i = 0; i < 8U; i++) {
			rnd_scribble(&prng_state);
		}
		break;
	case TORMENT_NOTIFY:
		(void)hypercall(HC_NOTIFY_REQUEST_FINISH, victim.vmid, r & 31UL);
		(void)hypercall(HC_NOTIFY_REQUEST_FINISH, victim.vmid, 0UL);
		(void)uvm_serve_slot(&victim, 0U);
		break;
	case TORMENT_REMAP:
		remap(r);
		(void)uvm_serve_slot(&victim, 0U);
		break;
	case TORMENT_UNMAP:
		unmap(r);
		(void)uvm_serve_slot(&victim, 0U);
		break;
	case TORMENT_KINDS:
		break;
	}
}

/* One life of the victim under one kind of torment, which ends it in a random way. */
static bool torment_life(enum torment kind, uint32_t steps)
{
	if (uvm_launch(&victim) != 0) {
		return false;
	}
	for (uint32_t i = 0; i < steps; i++) {
		torment_once(kind);
		irq_window();
		for (uint32_t j = 0; j < 50U; j++) {
			cpu_pause();
		}
		if (victim.dm.end == DM_END_REBOOT) {
			break;
		}
	}
	if ((rnd() & 1UL) != 0UL) {
		(void)uvm_pause(&victim);
		torment_once(kind);
		if ((rnd() & 1UL) != 0UL) {
			(void)uvm_reset(&victim);
			torment_once(kind);
		}
	}
	return uvm_destroy(&victim) == 0;
}

static void torment_all(uint32_t lives)
{
	for (uint32_t kind = 0; kind < TORMENT_KINDS; kind++) {
		uint32_t done = 0;

		victim.quiet = true;
		while (done < lives && torment_life((enum torment)kind, 100U + (uint32_t)(rnd() & 255UL))) {
			done++;
		}
		victim.quiet = false;
		report(done == lives, "%u lives: %s", lives, torment_names[kind]);
	}
}

static void torment_from_other_cpu(uint32_t lives)
{
	uint32_t done = 0;

	if (smp_start() < 2U) {
		report_skip("the page is written from another CPU: only one");
		return;
	}
	if (victim.page == NULL) {
		report(false, "a request page");
		return;
	}
	scribble = true;
	on_cpu_async(1U, scribbler, NULL);
	victim.quiet = true;
	while (done < lives && torment_life((enum torment)(done % TORMENT_KINDS), 200U)) {
		done++;
	}
	victim.quiet = false;
	scribble = false;
	report(on_cpu_wait(1U) && done == lives, "%u lives, the page written from another CPU", lives);
	report_info("%lu writes from the other CPU", scribbles);
}

/* ---- afterwards ---- */

static void clean_run(uint32_t seconds, bool spin)
{
	struct aril_hv_stats stats;

	report(hypercall(HC_ARIL_AUDIT, 0UL, 0UL) == 0, "audit of all page tables");
	if (uvm_launch(&victim) != 0) {
		report(false, "a clean User VM after all that");
		return;
	}
	report(uvm_run(&victim, seconds, spin) == DM_END_POWEROFF, "a clean User VM after all that");
	report(uvm_destroy(&victim) == 0, "the clean User VM destroyed");
	report(hypercall(HC_ARIL_AUDIT, 0UL, 0UL) == 0, "audit of all page tables after the clean run");
	if (uvm_stats(&stats)) {
		report_info("%lu requests, %lu done, %lu refused, %lu VM faults", stats.requests, stats.requests_done,
			stats.requests_refused, stats.vm_faults);
	}
}

/* ---- the end ---- */

static void die(const char *how)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt = {0, 0};

	if (uvm_launch(&victim) != 0) {
		report(false, "launched");
		return;
	}
	/* It runs, and has a request pending. */
	for (uint32_t i = 0; i < 200U && victim.dm.end == DM_END_NONE; i++) {
		(void)uvm_serve_slot(&victim, 0U);
		irq_window();
	}
	report_info("dies now: %s", how);
	if (strcmp(how, "triple") == 0) {
		__asm__ volatile("cli; lidt %0; ud2" : : "m"(no_idt));
	} else if (strcmp(how, "reset") == 0) {
		outb(0xCF9, 0x06);
	} else {
		outw(acpi_pm1a_control(), PM1_SLP_EN);
	}
	report(false, "alive after its death");
}

static uint64_t option(const char *key, uint64_t fallback)
{
	char word[32];

	return boot_option(key, word, sizeof(word)) ? parse_number(word) : fallback;
}

void test_main(void)
{
	uint32_t seconds = (uint32_t)option("timeout", 120UL);
	uint32_t lives = (uint32_t)option("lives", 20UL);
	uint64_t rounds = option("rounds", 20000UL);
	uint64_t seed = option("seed", 1UL);
	struct aril_hv_stats before, after;
	char how[16];

	if (!on_hypervisor()) {
		report_skip("there is no hypervisor");
		return;
	}
	/* The upcall's vector is among what we change: whatever comes is taken. */
	for (unsigned int vec = 0x20; vec <= 0xFEU; vec++) {
		if (vec != VEC_USER_EXIT) {
			(void)trap_set_handler(vec, trap_handler_eoi);
		}
	}
	prng_state = seed * 0x9E3779B97F4A7C15UL + 1UL;
	uvm_init();
	scratch = uvm_alloc(SCRATCH_PAGES * PAGE, PAGE);
	if (scratch == NULL || boot_module_count() == 0U || !uvm_from_module(&victim, 0U)) {
		report(false, "a boot module with a User VM's image");
		return;
	}
	if (boot_option("die", how, sizeof(how))) {
		die(how);
		return;
	}
	report_info("seed %lu, %lu hypercalls, %u lives", seed, rounds, lives);
	report(uvm_launch(&victim) == 0 && uvm_destroy(&victim) == 0, "the victim can be launched");
	if (!uvm_stats(&before)) {
		return;
	}
	torment_all(lives);
	torment_from_other_cpu(lives);
	victim.quiet = true;
	report(uvm_launch(&victim) == 0, "launched for the hypercalls");
	every_number();
	(void)uvm_destroy(&victim);
	report(uvm_launch(&victim) == 0, "launched to lend it memory");
	lend_everything();
	(void)uvm_destroy(&victim);
	report(uvm_launch(&victim) == 0, "launched for random hypercalls");
	fuzz_hypercalls(rounds);
	victim.quiet = false;
	if (uvm_stats(&after)) {
		report(after.pages_free == before.pages_free && after.vms == before.vms, "nothing leaked");
		report_info("pages free %lu -> %lu, VMs %lu -> %lu", before.pages_free, after.pages_free, before.vms,
			after.vms);
	}
	clean_run(seconds, boot_flag("spin"));
}
