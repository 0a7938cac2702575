/* SPDX-License-Identifier: BSD-3-Clause */
/* Hypercalls: life cycle, states, wrong arguments, requests that are pending when the VM is paused or reset. */
#include "svm_tests.h"

#include <lib/errno.h>

#define CYCLES      100U
#define RUN_CYCLES  10U
#define OUTSIDE_GPA 0x7FFFFFFFF000UL /* no RAM of any machine that we run on */
#define NO_SUCH_VM  0x7FFFUL

static uint64_t gpa(const volatile void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* One expectation; the errnos are those of the table in <hv/hypercall.h>. */
static void expect(int64_t ret, int want, const char *text)
{
	report(ret == want, "%s", text);
	if (ret != want) {
		report_info("%s: got %ld, wanted %d", text, ret, want);
	}
}

static void same_stats(const struct aril_hv_stats *before, const char *text)
{
	struct aril_hv_stats now;

	if (!uvm_stats(&now)) {
		return;
	}
	report(now.pages_free == before->pages_free && now.vms == before->vms && now.vcpus == before->vcpus,
		"nothing leaked: %s", text);
	if (now.pages_free != before->pages_free || now.vms != before->vms || now.vcpus != before->vcpus) {
		report_info("pages free %lu -> %lu, VMs %lu -> %lu, vCPUs %lu -> %lu", before->pages_free,
			now.pages_free, before->vms, now.vms, before->vcpus, now.vcpus);
	}
}

/* ---- life: nothing is lost over a hundred lives ---- */

static void test_life(struct uvm *u, uint32_t seconds, bool spin)
{
	struct aril_hv_stats before;
	uint32_t done = 0;

	/* Once for what is allocated at the first time. */
	if (uvm_launch(u) != 0) {
		report(false, "launched");
		return;
	}
	report(uvm_run(u, seconds, spin) == DM_END_POWEROFF, "ran to its end");
	(void)uvm_destroy(u);
	if (!uvm_stats(&before)) {
		return;
	}
	while (done < CYCLES && uvm_create(u) == 0 && uvm_destroy(u) == 0) {
		done++;
	}
	report(done == CYCLES, "created and destroyed %u times", CYCLES);
	same_stats(&before, "create, destroy");

	for (done = 0; done < RUN_CYCLES && uvm_launch(u) == 0; done++) {
		/* Destroyed after 0, 1, 2.. requests, the next one pending or on its way. */
		uint64_t until = u->served + done;
		uint64_t end = rdtsc() + (uint64_t)seconds * uvm_tsc_khz() * 1000UL;

		while (u->served < until && u->dm.end == DM_END_NONE && rdtsc() < end) {
			(void)uvm_serve(u);
			irq_window();
		}
		if (uvm_destroy(u) != 0) {
			break;
		}
	}
	report(done == RUN_CYCLES, "destroyed while running, %u times", RUN_CYCLES);
	same_stats(&before, "launch, destroy while running");
	report(uvm_launch(u) == 0 && uvm_run(u, seconds, spin) == DM_END_POWEROFF, "runs after all that");
	(void)uvm_destroy(u);
	same_stats(&before, "one more run");
}

/* ---- states: what each call says in each state ---- */

static void test_states(struct uvm *u)
{
	u->quiet = true;
	expect(uvm_create(u), 0, "CREATE_VM");
	expect(uvm_start(u), -EINVAL, "START_VM without a request page is refused");
	expect(uvm_reset(u), -EBUSY, "RESET_VM of a created VM is refused");
	expect(uvm_set_page(u), 0, "SET_IOREQ_BUFFER of a created VM");
	expect(uvm_map_ram(u), 0, "VM_SET_MEMORY_REGIONS of a created VM");
	expect(uvm_load(u), 0, "SET_VCPU_REGS of a created VM");
	expect(uvm_start(u), 0, "START_VM of a created VM");
	expect(uvm_start(u), -EBUSY, "START_VM of a running VM is refused");
	u->started = true;
	expect(uvm_set_page(u), -EBUSY, "SET_IOREQ_BUFFER of a running VM is refused");
	expect(uvm_load(u), -EBUSY, "SET_VCPU_REGS of a running VM is refused");
	expect(uvm_reset(u), -EBUSY, "RESET_VM of a running VM is refused");
	expect(uvm_pause(u), 0, "PAUSE_VM of a running VM");
	expect(uvm_reset(u), 0, "RESET_VM of a paused VM");
	expect(uvm_load(u), 0, "SET_VCPU_REGS after RESET_VM");
	expect(uvm_start(u), 0, "START_VM after RESET_VM");
	expect(uvm_destroy(u), 0, "DESTROY_VM of a running VM");
	expect(uvm_start(u), -ENOENT, "START_VM of a destroyed VM is refused");
	expect(uvm_pause(u), -ENOENT, "PAUSE_VM of a destroyed VM is refused");
	expect(hypercall(HC_NOTIFY_REQUEST_FINISH, u->vmid, 0UL), -ENOENT,
		"NOTIFY_REQUEST_FINISH of a destroyed VM is refused");
	u->quiet = false;
}

/* ---- arguments ---- */

static void test_ids(struct uvm *u)
{
	static const struct {
		uint64_t id;
		const char *name;
	} calls[] = {
		{HC_START_VM, "START_VM"},
		{HC_PAUSE_VM, "PAUSE_VM"},
		{HC_RESET_VM, "RESET_VM"},
		{HC_DESTROY_VM, "DESTROY_VM"},
		{HC_SET_VCPU_REGS, "SET_VCPU_REGS"},
		{HC_SET_IOREQ_BUFFER, "SET_IOREQ_BUFFER"},
		{HC_NOTIFY_REQUEST_FINISH, "NOTIFY_REQUEST_FINISH"},
		{HC_SET_IRQLINE, "SET_IRQLINE"},
		{HC_INJECT_MSI, "INJECT_MSI"},
	};
	char text[80];

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		guest_snprintf(text, sizeof(text), "%s of a VM that there is not", calls[i].name);
		expect(hypercall(calls[i].id, NO_SUCH_VM, gpa(u)), -EINVAL, text);
		guest_snprintf(text, sizeof(text), "%s of the Service VM itself", calls[i].name);
		expect(hypercall(calls[i].id, 0UL, gpa(u)), -EINVAL, text);
		guest_snprintf(text, sizeof(text), "%s with 16 wrong bits above the VM id", calls[i].name);
		expect(hypercall(calls[i].id, NO_SUCH_VM | 0xFFFF0000UL, gpa(u)), -EINVAL, text);
	}
	/* Ids are compared whole, not by their low byte. */
	expect(hypercall(0x80000100UL | 0x10UL, OUTSIDE_GPA, 0UL), -ENOTTY, "an unknown hypercall number");
	expect(hypercall(0x10UL, OUTSIDE_GPA, 0UL), -ENOTTY, "a number without 0x80000000");
	expect(hypercall(0x1234567880000010UL, OUTSIDE_GPA, 0UL), -ENOTTY, "a number with bits above 32");
}

static void test_pointers(struct uvm *u)
{
	static const struct {
		uint64_t id;
		const char *name;
	} in_rsi[] = {
		{HC_SET_VCPU_REGS, "SET_VCPU_REGS"},
		{HC_SET_IOREQ_BUFFER, "SET_IOREQ_BUFFER"},
		{HC_INJECT_MSI, "INJECT_MSI"},
	};
	char text[80];

	expect(hypercall(HC_CREATE_VM, OUTSIDE_GPA, 0UL), -EFAULT, "CREATE_VM outside memory");
	expect(hypercall(HC_CREATE_VM, UINT64_MAX - 8UL, 0UL), -EFAULT, "CREATE_VM at the end of all addresses");
	expect(hypercall(HC_VM_SET_MEMORY_REGIONS, OUTSIDE_GPA, 0UL), -EFAULT, "VM_SET_MEMORY_REGIONS outside memory");
	for (size_t i = 0; i < ARRAY_SIZE(in_rsi); i++) {
		guest_snprintf(text, sizeof(text), "%s outside memory", in_rsi[i].name);
		expect(hypercall(in_rsi[i].id, u->vmid, OUTSIDE_GPA), -EFAULT, text);
	}
	expect(hypercall(HC_ARIL_GET_STATS, OUTSIDE_GPA, 0UL), -EFAULT, "GET_STATS outside memory");
}

static int64_t set_page_at(struct uvm *u, uint64_t page)
{
	static uint64_t page_gpa;

	page_gpa = page;
	return hypercall(HC_SET_IOREQ_BUFFER, u->vmid, gpa(&page_gpa));
}

static int64_t set_region(struct uvm *u, struct vm_memory_region region, uint32_t count)
{
	static struct set_regions set;
	static struct vm_memory_region at;

	at = region;
	set = (struct set_regions){.vmid = u->vmid, .mr_num = count, .regions_gpa = gpa(&at)};
	return hypercall(HC_VM_SET_MEMORY_REGIONS, gpa(&set), 0UL);
}

static void test_contents(struct uvm *u)
{
	static struct acrn_set_vcpu_regs regs;
	struct vm_memory_region good = {.type = MR_ADD,
		.prot = MEM_ACCESS_RWX | MEM_TYPE_WB,
		.gpa = 0x40000000UL,
		.service_vm_gpa = gpa(u->ram),
		.size = 4096UL};
	struct vm_memory_region r;

	/* -ENODEV: another hypervisor of this kind leaves RAX as it was. */
	expect(hypercall(HC_ASSIGN_PCIDEV, u->vmid, gpa(&regs)), -ENODEV, "ASSIGN_PCIDEV: there is none");
	expect(hypercall(HC_ASSIGN_MMIODEV, u->vmid, gpa(&regs)), -ENODEV, "ASSIGN_MMIODEV: there is none");
	expect(set_page_at(u, gpa(u->page) + 8UL), -EINVAL, "a request page that is not aligned");
	expect(set_page_at(u, OUTSIDE_GPA), -EINVAL, "a request page outside memory");
	expect(set_page_at(u, gpa(u->page)), 0, "a good request page");
	r = good;
	r.size = 4095UL;
	expect(set_region(u, r, 1U), -EINVAL, "a region that ends inside a page");
	r = good;
	r.gpa += 1UL;
	expect(set_region(u, r, 1U), -EINVAL, "a region that starts inside a page");
	r = good;
	r.service_vm_gpa = OUTSIDE_GPA;
	expect(set_region(u, r, 1U), -EINVAL, "a region of memory that is not ours");
	r = good;
	r.size = UINT64_MAX & ~0xFFFUL;
	expect(set_region(u, r, 1U), -EINVAL, "a region that wraps around");
	expect(set_region(u, good, 0U), -EINVAL, "no region at all");
	expect(set_region(u, good, 1U), 0, "a good region");
	r = good;
	r.type = MR_DEL;
	expect(set_region(u, r, 1U), 0, "the good region taken away");
	memset(&regs, 0, sizeof(regs));
	regs.vcpu_id = 15U;
	expect(hypercall(HC_SET_VCPU_REGS, u->vmid, gpa(&regs)), -EINVAL, "registers of a vCPU that there is not");
	regs.vcpu_id = 0U;
	regs.vcpu_regs.cr0 = 0x80000000UL; /* PG without PE */
	expect(hypercall(HC_SET_VCPU_REGS, u->vmid, gpa(&regs)), -EINVAL, "paging without protection");
	expect(hypercall(HC_NOTIFY_REQUEST_FINISH, u->vmid, 16UL), -EINVAL, "notify of vCPU 16");
	expect(hypercall(HC_NOTIFY_REQUEST_FINISH, u->vmid, UINT64_MAX), -EINVAL, "notify of vCPU -1");
	expect(hypercall(HC_SET_IRQLINE, u->vmid, 0xFFFFUL), -EINVAL, "interrupt line 65535");
	expect(hypercall(HC_SET_IRQLINE, u->vmid, 4UL | (9UL << 32U)), -EINVAL, "interrupt line operation 9");
	expect(hypercall(HC_SET_CALLBACK_VECTOR, 8UL, 0UL), -EINVAL, "callback vector 8");
	expect(hypercall(HC_SET_CALLBACK_VECTOR, 256UL, 0UL), -EINVAL, "callback vector 256");
	expect(hypercall(HC_SET_CALLBACK_VECTOR, ACRN_UPCALL_VECTOR, 0UL), 0, "callback vector 0xf3");
}

static void test_version(void)
{
	/* Across a page boundary on purpose. */
	static uint8_t buf[2 * 4096] __attribute__((aligned(4096)));
	struct acrn_hc_api_version v;

	expect(hypercall(HC_GET_API_VERSION, gpa(buf + 4092), 0UL), 0, "GET_API_VERSION across two pages");
	memcpy(&v, buf + 4092, sizeof(v));
	report(v.major_version == 1U && v.minor_version == 0U, "API version 1.0");
}

static void call_api_version(void *arg)
{
	(void)hypercall(HC_GET_API_VERSION, (uint64_t)(uintptr_t)arg, 0UL);
}

static uint64_t call_from_user(uint64_t arg)
{
	return (uint64_t)hypercall(HC_GET_API_VERSION, arg, 0UL);
}

static void test_arguments(struct uvm *u)
{
	static struct acrn_hc_api_version v;
	struct trap t;
	uint64_t ret = 0;
	int vec;

	report(catch_exception(call_api_version, &v, &t) == NO_TRAP, "VMCALL in ring 0");
	vec = user_call(call_from_user, gpa(&v), 0UL, &ret, &t);
	report(vec != NO_TRAP || (int64_t)ret < 0, "VMCALL in ring 3 is refused");
	test_version();
	u->quiet = true;
	test_ids(u);
	if (uvm_create(u) != 0 || uvm_set_page(u) != 0 || uvm_map_ram(u) != 0) {
		report(false, "a VM to test with");
		return;
	}
	test_pointers(u);
	test_contents(u);
	expect(uvm_destroy(u), 0, "DESTROY_VM");
	u->quiet = false;
}

/* ---- pending ---- */

static bool wait_pending(struct uvm *u, uint32_t seconds)
{
	uint64_t end = rdtsc() + (uint64_t)seconds * uvm_tsc_khz() * 1000UL;

	while (rdtsc() < end) {
		if (__atomic_load_n(&u->page->req_queue[0].processed, __ATOMIC_ACQUIRE) == REQ_STATE_PENDING) {
			return true;
		}
		irq_window(); /* on a shared CPU the User VM runs when our slice ends */
		cpu_pause();
	}
	return false;
}

static void complete_by_hand(struct uvm *u)
{
	u->page->req_queue[0].reqs.pio.value = 0U;
	__atomic_store_n(&u->page->req_queue[0].processed, REQ_STATE_COMPLETE, __ATOMIC_RELEASE);
}

static void test_pending(struct uvm *u, uint32_t seconds, bool spin)
{
	struct vhm_request *slot;

	if (uvm_launch(u) != 0) {
		report(false, "launched");
		return;
	}
	slot = &u->page->req_queue[0];
	report(wait_pending(u, seconds), "a request arrives");
	expect(hypercall(HC_NOTIFY_REQUEST_FINISH, u->vmid, 0UL), 0, "notify before completion is harmless");
	report(slot->processed == REQ_STATE_PENDING, "and the request is still pending");
	expect(uvm_pause(u), 0, "PAUSE_VM while a request is pending");
	complete_by_hand(u);
	expect(hypercall(HC_NOTIFY_REQUEST_FINISH, u->vmid, 0UL), 0, "NOTIFY_REQUEST_FINISH of a paused VM");
	expect(uvm_reset(u), 0, "RESET_VM");
	for (uint32_t i = 0; i < VHM_REQUEST_MAX; i++) {
		if (u->page->req_queue[i].processed != REQ_STATE_FREE) {
			report(false, "slot %u is FREE after RESET_VM", i);
		}
	}
	report(slot->processed == REQ_STATE_FREE, "slots are FREE after RESET_VM");
	report(uvm_load(u) == 0 && uvm_start(u) == 0, "started again");
	report(wait_pending(u, seconds), "a request arrives again");
	expect(uvm_pause(u), 0, "PAUSE_VM");
	expect(uvm_reset(u), 0, "RESET_VM while a request is pending");
	report(slot->processed == REQ_STATE_FREE, "the slot is FREE");
	report(uvm_load(u) == 0 && uvm_start(u) == 0, "started a third time");
	report(uvm_run(u, seconds, spin) == DM_END_POWEROFF, "and runs to its end");
	expect(uvm_destroy(u), 0, "DESTROY_VM");
	report(uvm_launch(u) == 0 && wait_pending(u, seconds), "launched, a request arrives");
	expect(uvm_destroy(u), 0, "DESTROY_VM while a request is pending");
	complete_by_hand(u);
	expect(hypercall(HC_NOTIFY_REQUEST_FINISH, u->vmid, 0UL), -ENOENT, "notify of a destroyed VM");
}

void svm_tests(const char *name, struct uvm *u, uint32_t seconds, bool spin)
{
	bool all = strcmp(name, "all") == 0;
	bool known = all;

	if (all || strcmp(name, "life") == 0) {
		known = true;
		test_life(u, seconds, spin);
	}
	if (all || strcmp(name, "states") == 0) {
		known = true;
		test_states(u);
	}
	if (all || strcmp(name, "arguments") == 0) {
		known = true;
		test_arguments(u);
	}
	if (all || strcmp(name, "pending") == 0) {
		known = true;
		test_pending(u, seconds, spin);
	}
	if (strcmp(name, "maps") == 0) {
		known = true;
		svm_test_maps(u, seconds, spin);
	}
	if (strcmp(name, "cycles") == 0) {
		known = true;
		svm_test_cycles(u);
	}
	report(known, "battery '%s' exists", name);
}
