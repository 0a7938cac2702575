/* SPDX-License-Identifier: BSD-3-Clause */
/* A User VM's life by hypercalls, and its requests. */
#include "uvm.h"

#include <guests/lib/acpi.h>

#define PAGE 4096UL

/* ---- what the devices need of us ---- */

static void ops_irq_line(void *ctx, uint32_t gsi, bool high)
{
	struct uvm *u = ctx;

	if (u->created) {
		uint64_t op = high ? GSI_SET_HIGH : GSI_SET_LOW;
		int64_t ret = hypercall(HC_SET_IRQLINE, u->vmid, gsi | (op << 32U));

		if (ret != 0) {
			printf("svm: SET_IRQLINE %u of %s: %ld\n", gsi, u->name, ret);
		}
	}
}

static uint64_t ops_time_ns(void *ctx)
{
	uint64_t tsc = rdtsc();
	uint64_t khz = uvm_tsc_khz();

	(void)ctx;
	return tsc / khz * 1000000UL + tsc % khz * 1000000UL / khz;
}

/* Nobody sets a clock here: a guest sees a plausible and repeatable date. */
static uint64_t ops_wall_s(void *ctx)
{
	return 1700000000UL + ops_time_ns(ctx) / 1000000000UL;
}

static void ops_console_out(void *ctx, uint8_t byte)
{
	struct uvm *u = ctx;

	if (u->quiet || byte == '\r') {
		return;
	}
	if (byte != '\n') {
		u->line[u->line_used++] = (char)byte;
	}
	if (byte == '\n' || u->line_used == UVM_LINE_MAX - 1U) {
		u->line[u->line_used] = '\0';
		printf("[%s] %s\n", u->name, u->line);
		u->line_used = 0;
	}
}

static void ops_log(void *ctx, const char *text)
{
	struct uvm *u = ctx;

	if (!u->quiet) {
		printf("svm: %s: %s\n", u->name, text);
	}
}

static const struct dm_host_ops uvm_ops = {
	.irq_line = ops_irq_line,
	.time_ns = ops_time_ns,
	.wall_s = ops_wall_s,
	.console_out = ops_console_out,
	.log = ops_log,
};

static void *map_ram(void *ctx, uint64_t gpa, uint64_t size)
{
	struct uvm *u = ctx;

	return (gpa < u->ram_size && size <= u->ram_size - gpa) ? u->ram + gpa : NULL;
}

/* ---- life ---- */

static int64_t said(const struct uvm *u, const char *what, int64_t ret)
{
	if (ret != 0 && !u->quiet) {
		printf("svm: %s of %s: %ld\n", what, u->name, ret);
	}
	return ret;
}

int64_t uvm_create(struct uvm *u)
{
	static struct acrn_create_vm vm __attribute__((aligned(64)));
	int64_t ret;

	memset(&vm, 0, sizeof(vm));
	memcpy(vm.name, u->name, sizeof(vm.name));
	vm.vmid = ACRN_INVALID_VMID;
	vm.vm_flag = u->polling ? GUEST_FLAG_IO_COMPLETION_POLLING : 0UL;
	vm.cpu_affinity = u->affinity;
	ret = hypercall(HC_CREATE_VM, (uint64_t)(uintptr_t)&vm, 0UL);
	if (ret == 0 && (vm.vmid == ACRN_INVALID_VMID || vm.vcpu_num == 0U || vm.vcpu_num > VHM_REQUEST_MAX)) {
		report(false, "CREATE_VM of %s said 0 but gave VM %#x with %u vCPUs", u->name, vm.vmid, vm.vcpu_num);
		return -1;
	}
	if (ret == 0) {
		u->vmid = vm.vmid;
		u->vcpu_num = vm.vcpu_num;
		u->created = true;
		u->started = false;
	}
	return said(u, "CREATE_VM", ret);
}

int64_t uvm_set_page(struct uvm *u)
{
	static uint64_t page_gpa __attribute__((aligned(64)));

	if (u->page == NULL) {
		u->page = uvm_alloc(PAGE, PAGE);
		if (u->page == NULL) {
			return -1;
		}
	}
	page_gpa = (uint64_t)(uintptr_t)u->page;
	return said(u, "SET_IOREQ_BUFFER", hypercall(HC_SET_IOREQ_BUFFER, u->vmid, (uint64_t)(uintptr_t)&page_gpa));
}

int64_t uvm_map_ram(struct uvm *u)
{
	static struct set_regions set __attribute__((aligned(64)));
	static struct vm_memory_region region __attribute__((aligned(64)));

	if (u->ram == NULL) {
		u->ram = uvm_alloc(u->ram_size, UVM_RAM_STEP);
		if (u->ram == NULL) {
			return -1;
		}
	}
	region = (struct vm_memory_region){
		.type = MR_ADD,
		.prot = MEM_ACCESS_RWX | MEM_TYPE_WB,
		.gpa = 0UL,
		.service_vm_gpa = (uint64_t)(uintptr_t)u->ram,
		.size = u->ram_size,
	};
	set = (struct set_regions){.vmid = u->vmid, .mr_num = 1U, .regions_gpa = (uint64_t)(uintptr_t)&region};
	return said(u, "VM_SET_MEMORY_REGIONS", hypercall(HC_VM_SET_MEMORY_REGIONS, (uint64_t)(uintptr_t)&set, 0UL));
}

static void fill_image(struct uvm *u)
{
	struct madt_facts madt;
	bool have = acpi_madt(&madt);

	memset(&u->image, 0, sizeof(u->image));
	u->image.kernel = u->kernel;
	u->image.cmdline = u->cmdline;
	u->image.ram_low = u->ram_size;
	u->image.map = map_ram;
	u->image.ctx = u;
	/* No mask: the scenario has placed the vCPUs, and their ids count from 0. */
	while (u->affinity == 0UL && u->image.cpu_count < u->vcpu_num) {
		u->image.lapic_ids[u->image.cpu_count] = u->image.cpu_count;
		u->image.cpu_count++;
	}
	for (uint32_t pcpu = 0; pcpu < 64U && u->image.cpu_count < u->vcpu_num; pcpu++) {
		if ((u->affinity & (1UL << pcpu)) != 0UL) {
			u->image.lapic_ids[u->image.cpu_count++] =
				(have && pcpu < madt.cpu_count) ? madt.apic_ids[pcpu] : pcpu;
		}
	}
}

int64_t uvm_load(struct uvm *u)
{
	static struct acrn_set_vcpu_regs regs __attribute__((aligned(64)));
	struct acrn_regs *r = &regs.vcpu_regs;
	enum vm_image_error error;
	struct vm_entry entry;

	fill_image(u);
	error = vm_image_load(&u->image, &entry);
	if (error != VM_IMAGE_OK) {
		report(false, "loading %s: %s", u->name, vm_image_error_text(error));
		return -1;
	}
	memset(&regs, 0, sizeof(regs));
	r->gprs.rax = entry.rax;
	r->gprs.rbx = entry.rbx;
	r->gprs.rsi = entry.rsi;
	r->gprs.rsp = entry.rsp;
	r->rip = entry.rip;
	r->cr0 = entry.cr0;
	r->gdt.base = entry.gdt_base;
	r->gdt.limit = entry.gdt_limit;
	r->cs_ar = entry.cs_ar;
	r->cs_limit = 0xFFFFFFFFU;
	r->cs_sel = entry.cs_sel;
	r->ss_sel = r->ds_sel = r->es_sel = r->fs_sel = r->gs_sel = entry.data_sel;
	return said(u, "SET_VCPU_REGS", hypercall(HC_SET_VCPU_REGS, u->vmid, (uint64_t)(uintptr_t)&regs));
}

int64_t uvm_start(struct uvm *u)
{
	int64_t ret = hypercall(HC_START_VM, u->vmid, 0UL);

	u->started = ret == 0;
	return said(u, "START_VM", ret);
}

int64_t uvm_pause(struct uvm *u)
{
	return said(u, "PAUSE_VM", hypercall(HC_PAUSE_VM, u->vmid, 0UL));
}

int64_t uvm_reset(struct uvm *u)
{
	dm_vm_reset(&u->dm);
	return said(u, "RESET_VM", hypercall(HC_RESET_VM, u->vmid, 0UL));
}

int64_t uvm_destroy(struct uvm *u)
{
	int64_t ret = hypercall(HC_DESTROY_VM, u->vmid, 0UL);

	if (ret == 0) {
		u->created = false;
		u->started = false;
	}
	return said(u, "DESTROY_VM", ret);
}

int64_t uvm_launch(struct uvm *u)
{
	int64_t ret = uvm_create(u);

	if (ret == 0) {
		ret = uvm_set_page(u);
	}
	if (ret == 0) {
		ret = uvm_map_ram(u);
	}
	if (ret == 0) {
		bool debug_exit = true;

		dm_vm_init(&u->dm, &uvm_ops, u, u->ram_size, 0UL, debug_exit);
		ret = uvm_load(u);
	}
	if (ret == 0) {
		ret = uvm_start(u);
	}
	if (ret != 0 && u->created) {
		(void)uvm_destroy(u);
	}
	return ret;
}

/* ---- requests ---- */

static struct dm_access access_of(const struct vhm_request *req)
{
	struct dm_access a = {.space = DM_PIO};

	if (req->type == REQ_MMIO || req->type == REQ_WP) {
		a.space = DM_MMIO;
		a.write = req->reqs.mmio.direction == REQUEST_WRITE;
		a.addr = req->reqs.mmio.address;
		a.size = (uint32_t)req->reqs.mmio.size;
		a.value = req->reqs.mmio.value;
	} else {
		a.write = req->reqs.pio.direction == REQUEST_WRITE;
		a.addr = req->reqs.pio.address;
		a.size = (uint32_t)req->reqs.pio.size;
		a.value = req->reqs.pio.value;
	}
	if (a.write) {
		a.value &= dm_size_mask(a.size);
	}
	return a;
}

static uint32_t slot_state(const struct vhm_request *req)
{
	return __atomic_load_n(&req->processed, __ATOMIC_ACQUIRE);
}

static void notify(struct uvm *u, uint32_t slot)
{
	int64_t ret = hypercall(HC_NOTIFY_REQUEST_FINISH, u->vmid, slot);

	u->notified++;
	(void)said(u, "NOTIFY_REQUEST_FINISH", ret);
}

bool uvm_serve_slot(struct uvm *u, uint32_t slot)
{
	struct vhm_request *req = &u->page->req_queue[slot];
	struct dm_access a;
	bool polled;

	if (slot_state(req) != REQ_STATE_PENDING) {
		return false;
	}
	__atomic_store_n(&req->processed, REQ_STATE_PROCESSING, __ATOMIC_RELEASE);
	a = access_of(req);
	dm_vm_access(&u->dm, &a);
	u->served++;
	if (u->dm.end != DM_END_NONE) {
		return true; /* never answered: the slot goes with reset or destruction */
	}
	if (a.delay_us != 0U) {
		delay_ticks(a.delay_us * uvm_tsc_khz() / 1000UL);
	}
	if (!a.write && a.space == DM_MMIO) {
		req->reqs.mmio.value = a.value;
	} else if (!a.write) {
		req->reqs.pio.value = (uint32_t)a.value;
	}
	polled = req->completion_polling != 0U; /* before COMPLETE: the slot may be another's then */
	__atomic_store_n(&req->processed, REQ_STATE_COMPLETE, __ATOMIC_RELEASE);
	if (!polled) {
		notify(u, slot);
	}
	if (a.complete_twice) {
		notify(u, slot);
	}
	return true;
}

uint32_t uvm_serve(struct uvm *u)
{
	uint32_t served = 0;

	for (uint32_t slot = 0; u->started && slot < u->vcpu_num && u->dm.end == DM_END_NONE; slot++) {
		served += uvm_serve_slot(u, slot) ? 1U : 0U;
	}
	if (u->started && u->dm.end == DM_END_NONE) {
		(void)dm_vm_tick(&u->dm);
	}
	return served;
}

/* While we look at the slots all the time requests need no upcall. */
static void set_upcalls(struct uvm *const *vms, uint32_t count, bool on)
{
	for (uint32_t i = 0; i < count; i++) {
		if (vms[i]->started) {
			__atomic_store_n(&vms[i]->page->req_queue[0].upcall_off, on ? 0U : 1U, __ATOMIC_RELAXED);
		}
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void uvm_wait(struct uvm *const *vms, uint32_t count, bool spin)
{
	if (spin) {
		irq_window();
		cpu_pause();
		return;
	}
	set_upcalls(vms, count, true);
	cli();
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t slot = 0; vms[i]->started && slot < vms[i]->vcpu_num; slot++) {
			if (slot_state(&vms[i]->page->req_queue[slot]) == REQ_STATE_PENDING &&
				vms[i]->dm.end == DM_END_NONE) {
				irq_window();
				return;
			}
		}
	}
	sti_hlt_cli();
}

void uvm_dump(const struct uvm *u)
{
	printf("svm: %s: VM %u, %u vCPUs, end %s, %lu served, %lu notified, %lu for nobody, %lu upcalls, %lu ticks\n",
		u->name, u->vmid, u->vcpu_num, dm_end_name(u->dm.end), u->served, u->notified, u->dm.unclaimed,
		uvm_upcalls(), uvm_ticks());
	for (uint32_t slot = 0; u->page != NULL && slot < u->vcpu_num; slot++) {
		const struct vhm_request *req = &u->page->req_queue[slot];

		printf("svm: %s: slot %u: state %u type %u dir %u address %#lx size %lu value %#x polling %u\n",
			u->name, slot, slot_state(req), req->type, req->reqs.pio.direction, req->reqs.pio.address,
			req->reqs.pio.size, req->reqs.pio.value, req->completion_polling);
	}
}

static int64_t reboot(struct uvm *u)
{
	int64_t ret = uvm_pause(u);

	u->reboots++;
	if (ret == 0) {
		ret = uvm_reset(u);
	}
	if (ret == 0) {
		ret = uvm_load(u);
	}
	return (ret == 0) ? uvm_start(u) : ret;
}

bool uvm_run_all(struct uvm *const *vms, uint32_t count, uint32_t seconds, bool spin)
{
	uint64_t start = rdtsc();
	uint64_t patience = (uint64_t)seconds * uvm_tsc_khz() * 1000UL;

	for (;;) {
		uint32_t running = 0, served = 0;

		set_upcalls(vms, count, false);
		for (uint32_t i = 0; i < count; i++) {
			served += uvm_serve(vms[i]);
			if (vms[i]->dm.end == DM_END_REBOOT && reboot(vms[i]) != 0) {
				uvm_dump(vms[i]);
				return false;
			}
			running += (vms[i]->dm.end == DM_END_NONE) ? 1U : 0U;
		}
		if (running == 0U) {
			return true;
		}
		if (rdtsc() - start > patience) {
			set_upcalls(vms, count, true);
			for (uint32_t i = 0; i < count; i++) {
				uvm_dump(vms[i]);
			}
			return false;
		}
		if (served == 0U) {
			uvm_wait(vms, count, spin);
		}
	}
}

enum dm_end uvm_run(struct uvm *u, uint32_t seconds, bool spin)
{
	struct uvm *one[1] = {u};

	return uvm_run_all(one, 1U, seconds, spin) ? u->dm.end : DM_END_NONE;
}

bool uvm_stats(struct aril_hv_stats *stats)
{
	static struct aril_hv_stats out __attribute__((aligned(64)));
	int64_t ret;

	memset(&out, 0xA5, sizeof(out));
	ret = hypercall(HC_ARIL_GET_STATS, (uint64_t)(uintptr_t)&out, 0UL);
	*stats = out;
	if (ret != 0) {
		report(false, "HC_ARIL_GET_STATS: %ld", ret);
	}
	return ret == 0;
}
