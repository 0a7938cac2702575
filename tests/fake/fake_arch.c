/* SPDX-License-Identifier: BSD-3-Clause */
/* The CPU and machine that the core runs on in unit tests: the contract of <hv/arch.h>, kept by the simplest means. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#include <asm/io.h>
#include <asm/percpu.h>
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/boot_info.h>
#include <hv/dump.h>
#include <hv/lapic_msg.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/sched.h>
#include <hv/summary.h>
#include <hv/timer.h>
#include <hv/upcall.h>
#include <hv/vm_connections.h>
#include <hv/console.h>
#include <hv/vm_console.h>
#include <hv/vm_load.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <unit.h>

_Thread_local uint16_t fake_cpu_id;
uint16_t fake_cpu_count = 4U;
uint64_t fake_time;
uint64_t fake_time_step;
uint64_t fake_deadline[CONFIG_MAX_PCPU_NUM];
uint32_t fake_kicks[CONFIG_MAX_PCPU_NUM];
uint32_t fake_idles;
uint32_t fake_windows;
void (*fake_on_window)(void);
bool fake_threads;
jmp_buf fake_end;
bool fake_end_set;
char fake_log[65536];

uint32_t fake_access_depth;
int32_t fake_pages_left = -1;
uint8_t *fake_ram;
uint8_t *fake_hv_ram;
uint8_t fake_ports[0x10008];
uint32_t fake_port_writes;
struct scenario fake_scenario;
struct acpi_info acpi_info;
struct boot_info boot_info;

/* ---- Log ---- */

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void add_line(const char *fmt, va_list args)
{
	size_t used;

	pthread_mutex_lock(&log_mutex);
	used = strlen(fake_log);
	if (used + 512U > sizeof(fake_log)) {
		used = 0U;
	}
	(void)vsnprintf(fake_log + used, sizeof(fake_log) - used - 2U, fmt, args);
	(void)strcat(fake_log, "\n");
	pthread_mutex_unlock(&log_mutex);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list args;

	(void)level;
	va_start(args, fmt);
	add_line(fmt, args);
	va_end(args);
}

void log_guest(uint16_t vm_id, uint16_t vcpu_id, const char *fmt, ...)
{
	va_list args;

	(void)vm_id;
	(void)vcpu_id;
	va_start(args, fmt);
	add_line(fmt, args);
	va_end(args);
}

static void __noreturn end(int how)
{
	if (!fake_end_set) {
		fprintf(stderr, "the machine ends unexpectedly (%d)\n%s", how, fake_log);
		abort();
	}
	longjmp(fake_end, how);
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_line(fmt, args);
	va_end(args);
	end(FAKE_PANIC);
}

/* ---- pCPUs and time ---- */

static pthread_mutex_t idle_mutex[CONFIG_MAX_PCPU_NUM];
static pthread_cond_t idle_cond[CONFIG_MAX_PCPU_NUM];
static bool kicked[CONFIG_MAX_PCPU_NUM];

uint16_t arch_cpu_count(void)
{
	return fake_cpu_count;
}

uint32_t arch_cpu_apic_id(uint16_t cpu)
{
	return 2U * cpu;
}

void arch_kick_cpu(uint16_t cpu)
{
	if (cpu == fake_cpu_id) {
		return;
	}
	(void)__atomic_fetch_add(&fake_kicks[cpu], 1U, __ATOMIC_SEQ_CST);
	if (fake_threads) {
		pthread_mutex_lock(&idle_mutex[cpu]);
		kicked[cpu] = true;
		pthread_cond_signal(&idle_cond[cpu]);
		pthread_mutex_unlock(&idle_mutex[cpu]);
	}
}

void arch_idle(void)
{
	const uint16_t cpu = fake_cpu_id;

	if (!fake_threads) {
		fake_idles++;
		return;
	}
	pthread_mutex_lock(&idle_mutex[cpu]);
	while (!kicked[cpu]) {
		pthread_cond_wait(&idle_cond[cpu], &idle_mutex[cpu]);
	}
	kicked[cpu] = false;
	pthread_mutex_unlock(&idle_mutex[cpu]);
}

void arch_irq_window(void)
{
	fake_windows++;
	if (fake_on_window != NULL) {
		fake_on_window();
	}
}

uint64_t arch_now(void)
{
	return __atomic_add_fetch(&fake_time, fake_time_step, __ATOMIC_RELAXED);
}

uint32_t arch_tsc_khz(void)
{
	return 1000U; /* 1 tick is 1 us */
}

void arch_set_deadline(uint64_t ticks)
{
	fake_deadline[fake_cpu_id] = ticks;
}

void arch_end(enum arch_end how)
{
	end((how == ARCH_END_REBOOT) ? FAKE_REBOOT : FAKE_POWEROFF);
}

/* ---- The hypervisor's memory ---- */

#define FAKE_PAGES 4096U
static struct {
	void *at;
	uint32_t pages;
	uint16_t owner;
} pages[FAKE_PAGES];
static pthread_mutex_t pages_mutex = PTHREAD_MUTEX_INITIALIZER;

void *pages_alloc(uint32_t order, uint16_t owner)
{
	void *at = NULL;

	if (fake_pages_left == 0) {
		return NULL;
	}
	pthread_mutex_lock(&pages_mutex);
	for (uint32_t i = 0U; i < FAKE_PAGES; i++) {
		if (pages[i].at == NULL) {
			at = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
			memset(at, 0, PAGE_SIZE << order);
			pages[i].at = at;
			pages[i].pages = 1U << order;
			pages[i].owner = owner;
			break;
		}
	}
	if (fake_pages_left > 0) {
		fake_pages_left--;
	}
	pthread_mutex_unlock(&pages_mutex);
	return at;
}

void *page_alloc(uint16_t owner)
{
	return pages_alloc(0U, owner);
}

void pages_free(void *at, uint32_t order, uint16_t owner)
{
	pthread_mutex_lock(&pages_mutex);
	for (uint32_t i = 0U; i < FAKE_PAGES; i++) {
		if ((pages[i].at == at) && (pages[i].owner == owner) && (pages[i].pages == (1U << order))) {
			free(at);
			pages[i].at = NULL;
			pthread_mutex_unlock(&pages_mutex);
			return;
		}
	}
	pthread_mutex_unlock(&pages_mutex);
	unit_fail(__FILE__, __LINE__, "pages_free(%p, %u, %u): not taken like that", at, order, owner);
}

void page_free(void *page, uint16_t owner)
{
	pages_free(page, 0U, owner);
}

uint64_t memory_pages_owned(uint16_t owner)
{
	uint64_t sum = 0UL;

	for (uint32_t i = 0U; i < FAKE_PAGES; i++) {
		if ((pages[i].at != NULL) && (pages[i].owner == owner)) {
			sum += pages[i].pages;
		}
	}
	return sum;
}

uint64_t memory_pages_free(void)
{
	uint64_t used = 0UL;

	for (uint32_t i = 0U; i < FAKE_PAGES; i++) {
		used += (pages[i].at != NULL) ? pages[i].pages : 0U;
	}
	return 100000UL - used;
}

static struct mem_range reserved[16]; /* type 1: shared */
static uint32_t reserved_count;

static bool is_reserved(hpa_t hpa, uint64_t size, uint32_t types)
{
	for (uint32_t i = 0U; i < reserved_count; i++) {
		if ((reserved[i].type < types) && ranges_overlap(hpa, size, reserved[i].base, reserved[i].size)) {
			return true;
		}
	}
	return false;
}

bool memory_is_hv_owned(hpa_t hpa, uint64_t size)
{
	return is_reserved(hpa, size, 2U);
}

bool memory_is_private(hpa_t hpa, uint64_t size)
{
	return is_reserved(hpa, size, 1U);
}

uint64_t memory_ram_bytes(hpa_t hpa)
{
	for (uint32_t i = 0U; i < boot_info.range_count; i++) {
		const struct mem_range *range = &boot_info.ranges[i];

		if ((range->type == MEM_RAM) && (hpa >= range->base) && (hpa - range->base < range->size)) {
			return range->size - (hpa - range->base);
		}
	}
	return 0UL;
}

void memory_reserve(hpa_t hpa, uint64_t size, const char *what)
{
	(void)what;
	reserved[reserved_count++] = (struct mem_range){.base = hpa, .size = size};
}

void memory_reserve_shared(hpa_t hpa, uint64_t size, const char *what)
{
	memory_reserve(hpa, size, what);
	reserved[reserved_count - 1U].type = 1U;
}

bool memory_hv_range(uint32_t index, hpa_t *base, uint64_t *size, const char **what)
{
	if (index >= reserved_count) {
		return false;
	}
	*base = reserved[index].base;
	*size = reserved[index].size;
	*what = "reserved";
	return true;
}

/* ---- Guest memory: ranges that never overlap, unsorted ---- */

static int32_t cut(struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	struct vm_arch *arch = &vm->arch;

	for (uint32_t i = 0U; i < arch->regions; i++) {
		struct fake_region r = arch->region[i];

		if (!ranges_overlap(gpa, size, r.gpa, r.size)) {
			continue;
		}
		arch->region[i] = arch->region[--arch->regions];
		i--;
		if (arch->regions + 2U > FAKE_REGIONS) {
			return -ENOMEM;
		}
		if (r.gpa < gpa) {
			arch->region[arch->regions++] = (struct fake_region){r.gpa, r.hpa, gpa - r.gpa, r.access,
				r.type};
		}
		if (r.gpa + r.size > gpa + size) {
			const uint64_t off = gpa + size - r.gpa;

			arch->region[arch->regions++] =
				(struct fake_region){r.gpa + off, r.hpa + off, r.size - off, r.access, r.type};
		}
	}
	return 0;
}

int32_t arch_gpa_map(struct acrn_vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size, uint32_t access, enum gpa_mem_type type)
{
	int32_t ret;

	if (!is_aligned(gpa | hpa | size, PAGE_SIZE) || !range_is_valid(gpa, size) || (size == 0UL)) {
		return -EINVAL;
	}
	ret = cut(vm, gpa, size);
	if ((ret != 0) || (vm->arch.regions == FAKE_REGIONS)) {
		return -ENOMEM;
	}
	vm->arch.region[vm->arch.regions++] = (struct fake_region){gpa, hpa, size, access, type};
	return 0;
}

int32_t arch_gpa_unmap(struct acrn_vm *vm, gpa_t gpa, uint64_t size)
{
	if (!is_aligned(gpa | size, PAGE_SIZE) || !range_is_valid(gpa, size)) {
		return -EINVAL;
	}
	return cut(vm, gpa, size);
}

void arch_gpa_flush(struct acrn_vm *vm)
{
	(void)__atomic_fetch_add(&vm->arch.flushes, 1U, __ATOMIC_SEQ_CST);
	vcpu_map_wait(vm);
}

hpa_t arch_gpa_to_hpa(struct acrn_vm *vm, gpa_t gpa, uint64_t *contiguous, uint32_t *access)
{
	uint64_t hole = UINT64_MAX - gpa; /* never 0 for a guest-physical address */

	for (uint32_t i = 0U; i < vm->arch.regions; i++) {
		const struct fake_region *r = &vm->arch.region[i];

		/*
		 * Below 4 GiB is the Service VM's view of devices, which the host process does not have: touching it
		 * ends it.
		 */
		if ((gpa >= r->gpa) && (gpa - r->gpa < r->size)) {
			if (contiguous != NULL) {
				/* As small pages would: exercises the page-crossing paths. */
				*contiguous = MIN(r->gpa + r->size - gpa, PAGE_SIZE - (gpa & (PAGE_SIZE - 1UL)));
			}
			if (access != NULL) {
				*access = r->access;
			}
			return r->hpa + (gpa - r->gpa);
		}
		if (r->gpa > gpa) {
			hole = MIN(hole, r->gpa - gpa);
		}
	}
	if (contiguous != NULL) {
		*contiguous = hole;
	}
	return INVALID_HPA;
}

int32_t arch_gpa_audit(struct acrn_vm *vm)
{
	for (uint32_t i = 0U; i < vm->arch.regions; i++) {
		if (memory_is_private(vm->arch.region[i].hpa, vm->arch.region[i].size) &&
			(vm->config->load_order != SCN_PRE_LAUNCHED_VM)) {
			return -EFAULT;
		}
	}
	return 0;
}

void arch_guest_access_begin(void)
{
	fake_access_depth++;
}

void arch_guest_access_end(void)
{
	fake_access_depth--;
}

/* ---- VMs and vCPUs ---- */

int32_t arch_vm_init(struct acrn_vm *vm)
{
	memset(&vm->arch, 0, sizeof(vm->arch));
	vm->arch.root = page_alloc(vm->vm_id);
	setup_io_bitmap(vm);
	return (vm->arch.root == NULL) ? -ENOMEM : 0;
}

void arch_vm_destroy(struct acrn_vm *vm)
{
	if (vm->arch.root != NULL) {
		page_free(vm->arch.root, vm->vm_id);
		vm->arch.root = NULL;
	}
}

void setup_io_bitmap(struct acrn_vm *vm)
{
	memset(vm->arch.io_trapped, vm_is_service(vm) ? 0 : 1, sizeof(vm->arch.io_trapped));
}

void allow_guest_pio_access(struct acrn_vm *vm, uint16_t port_address, uint32_t nbytes)
{
	for (uint32_t i = port_address; (i < port_address + nbytes) && (i < 0x10000U); i++) {
		vm->arch.io_trapped[i] = 0U;
	}
}

void deny_guest_pio_access(struct acrn_vm *vm, uint16_t port_address, uint32_t nbytes)
{
	for (uint32_t i = port_address; (i < port_address + nbytes) && (i < 0x10000U); i++) {
		vm->arch.io_trapped[i] = 1U;
	}
}

int32_t allow_vcpu_pio_access(struct acrn_vcpu *vcpu, uint16_t port_address, uint32_t nbytes)
{
	vcpu->arch.direct_port = port_address, vcpu->arch.direct_ports = nbytes;
	return (fake_pages_left == 0) ? -ENOMEM : 0;
}

int32_t arch_vcpu_init(struct acrn_vcpu *vcpu)
{
	vcpu->arch.page = page_alloc(vcpu->vm->vm_id);
	return (vcpu->arch.page == NULL) ? -ENOMEM : 0;
}

void arch_vcpu_destroy(struct acrn_vcpu *vcpu)
{
	if (vcpu->arch.loaded) {
		unit_fail(__FILE__, __LINE__, "vCPU%u is freed while it is in a CPU", vcpu->vcpu_id);
	}
	page_free(vcpu->arch.page, vcpu->vm->vm_id);
	vcpu->arch.page = NULL;
}

void arch_vcpu_reset(struct acrn_vcpu *vcpu)
{
	vcpu->arch.resets++;
	vcpu->arch.rax = 0UL;
	memset(vcpu->arch.irr, 0, sizeof(vcpu->arch.irr));
}

int32_t arch_vcpu_set_regs(struct acrn_vcpu *vcpu, const struct acrn_regs *regs)
{
	if (regs->cr0 == UINT64_MAX) {
		return -EINVAL;
	}
	vcpu->arch.regs = *regs;
	return 0;
}

int32_t arch_vcpu_run(struct acrn_vcpu *vcpu)
{
	vcpu->arch.loaded = true;
	vcpu->arch.runs++;
	if ((__atomic_load_n(&vcpu->requests, __ATOMIC_ACQUIRE) & BIT(VCPU_REQ_MAP)) != 0UL) {
		return ARCH_VCPU_MAP_DUE;
	}
	(void)bit_test_and_clear(&vcpu->requests, VCPU_REQ_EVENT);
	if (bit_test_and_clear(&vcpu->requests, VCPU_REQ_INIT) && (vcpu->vcpu_id != 0U)) {
		vcpu->state = VCPU_INIT;
	}
	if (bit_test_and_clear(&vcpu->requests, VCPU_REQ_SIPI) && (vcpu->state == VCPU_INIT)) {
		vcpu->state = VCPU_RUNNING;
	}
	if (vcpu->state != VCPU_RUNNING) {
		return 0;
	}
	vcpu->exit_count[0]++;
	if (vcpu->arch.on_run == NULL) {
		memset(vcpu->arch.irr, 0, sizeof(vcpu->arch.irr));
		vcpu_halt(vcpu);
		return 0;
	}
	return vcpu->arch.on_run(vcpu);
}

void arch_vcpu_load(struct acrn_vcpu *vcpu)
{
	vcpu->arch.loaded = true;
}

void arch_vcpu_unload(struct acrn_vcpu *vcpu)
{
	vcpu->arch.loaded = false;
	vcpu->arch.unloads++;
}

bool arch_vcpu_has_event(struct acrn_vcpu *vcpu)
{
	uint64_t any = __atomic_load_n(&vcpu->requests, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0U; i < 4U; i++) {
		any |= __atomic_load_n(&vcpu->arch.irr[i], __ATOMIC_ACQUIRE);
	}
	return any != 0UL;
}

/* The SDM's rule: 1 and 2 bytes merge, 4 zero-extend. */
void emulate_pio_post(struct acrn_vcpu *vcpu, const struct io_request *io_req)
{
	const struct pio_request *pio = &io_req->reqs.pio;

	vcpu->arch.pio_posts++;
	vcpu->arch.posts_unloaded += vcpu->arch.loaded ? 0U : 1U;
	if (pio->direction == REQUEST_READ) {
		const uint64_t mask = mask_bytes(pio->size);

		vcpu->arch.rax = (pio->size == 4UL) ? pio->value : ((vcpu->arch.rax & ~mask) | (pio->value & mask));
	}
}

void emulate_mmio_post(struct acrn_vcpu *vcpu, const struct io_request *io_req)
{
	vcpu->arch.mmio_posts++;
	vcpu->arch.posts_unloaded += vcpu->arch.loaded ? 0U : 1U;
	vcpu->arch.mmio_value = io_req->reqs.mmio.value;
}

/* ---- Interrupts ---- */

void arch_vcpu_set_irq(struct acrn_vcpu *vcpu, uint32_t vector, bool level)
{
	(void)level;
	(void)bit_test_and_set(&vcpu->arch.irr[vector / 64U], vector % 64U);
	vcpu_kick(vcpu);
}

int32_t arch_inject_msi(struct acrn_vm *vm, uint64_t addr, uint64_t data)
{
	if ((addr >> 20U) != 0xFEEUL) {
		return -EINVAL;
	}
	arch_vcpu_set_irq(&vm->vcpus[0], (uint32_t)(data & 0xFFU), false);
	return 0;
}

void arch_pic_wire(struct acrn_vm *vm, bool asserted)
{
	vm->arch.pic_wire = asserted;
}

bool vlapic_deliver(struct acrn_vm *vm, const struct lapic_msg *msg)
{
	arch_vcpu_set_irq(&vm->vcpus[0], msg->vector, msg->level);
	return true;
}

void arch_gsi_set(uint32_t gsi, bool masked, bool level, bool active_low)
{
	(void)gsi;
	(void)masked;
	(void)level;
	(void)active_low;
}

void arch_gsi_eoi(uint32_t gsi)
{
	(void)gsi;
}

uint32_t arch_gsi_pins(uint32_t gsi_base)
{
	return (gsi_base == 0U) ? 24U : 0U;
}

/* ---- Other modules ---- */

const char *dump_function_name(const void *function)
{
	return (function != NULL) ? "a function" : "?";
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	return (size_t)snprintf(dst, size, "%s", src);
}

const char *arch_exit_name(uint32_t reason)
{
	return (reason == 30U) ? "I/O instruction" : "unknown";
}

/* ---- The machine as a whole ---- */

void fake_reset(void)
{
	static bool once;

	if (!once) {
		once = true;
		fake_ram = aligned_alloc(SIZE_2M, FAKE_RAM_SIZE);
		fake_hv_ram = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
		for (uint32_t i = 0U; i < CONFIG_MAX_PCPU_NUM; i++) {
			pthread_mutex_init(&idle_mutex[i], NULL);
			pthread_cond_init(&idle_cond[i], NULL);
		}
	}
	memset(fake_ram, 0, FAKE_RAM_SIZE);
	fake_cpu_id = 0U;
	fake_cpu_count = 4U;
	fake_time = 0UL;
	fake_time_step = 1UL;
	memset(fake_deadline, 0xFF, sizeof(fake_deadline));
	memset(fake_kicks, 0, sizeof(fake_kicks));
	memset(kicked, 0, sizeof(kicked));
	fake_idles = 0U;
	fake_windows = 0U;
	fake_on_window = NULL;
	fake_threads = false;
	fake_end_set = false;
	fake_log[0] = '\0';
	fake_cmdline_on_stop = NULL;
	fake_cmdline_trace = 0UL;
	fake_cmdline_on_reset = NULL;
	fake_load_result = 0;
	fake_loads = 0U;
	fake_access_depth = 0U;
	fake_pages_left = -1;
	fake_port_writes = 0U;
	memset(fake_ports, 0, sizeof(fake_ports));
	memset(&acpi_info, 0, sizeof(acpi_info));
	memset(&boot_info, 0, sizeof(boot_info));
	reserved_count = 0U;
	memory_reserve((hpa_t)fake_hv_ram, PAGE_SIZE, "hypervisor");
	boot_info.ranges[0] = (struct mem_range){(hpa_t)fake_ram, FAKE_RAM_SIZE, MEM_RAM};
	boot_info.range_count = 1U;
	timer_init();
	sched_init(SCN_SCHED_IORR, 5000U);
}

static struct scenario_vm *add_vm(const char *name, uint8_t load_order, uint64_t pcpu_mask)
{
	struct scenario_vm *vm = &fake_scenario.vm[fake_scenario.vm_count++];

	(void)snprintf(vm->name, sizeof(vm->name), "%s", name);
	vm->load_order = load_order;
	vm->share.weight = 1U;
	vm->console_vuart = SCN_CONSOLE_NONE;
	vm->unhandled_port = (load_order == SCN_POST_LAUNCHED_VM) ? SCN_PORT_FORWARD : SCN_PORT_IGNORE;
	vm->pcpu_mask = pcpu_mask;
	for (; pcpu_mask != 0UL; pcpu_mask &= pcpu_mask - 1UL) {
		vm->vcpu_pcpu[vm->vcpu_count++] = (uint16_t)ffs64(pcpu_mask);
	}
	return vm;
}

void fake_machine(void)
{
	struct scenario_vm *vm;

	fake_reset();
	memset(&fake_scenario, 0, sizeof(fake_scenario));
	fake_scenario.slice_us = 5000U;
	acpi_info.pm1a_cnt = 0x604U;
	acpi_info.has_s5 = true;
	acpi_info.s5_a = 5U;
	acpi_info.ioapic_count = 1U;
	acpi_info.ioapic[0].hpa = 0xFEC00000UL;
	vm = add_vm("SVM", SCN_SERVICE_VM, 0x3UL);
	vm->unhandled_port = SCN_PORT_PASSTHROUGH;
	vm->autostart = true;
	(void)add_vm("UVM1", SCN_POST_LAUNCHED_VM, 0x7UL);
	vm = add_vm("ALONE", SCN_POST_LAUNCHED_VM, 0x8UL);
	vm->own_pcpu = true;
	vm = add_vm("", SCN_POST_LAUNCHED_VM, 0xFUL);
	vm->dynamic = true;
	vm = add_vm("PRE", SCN_PRE_LAUNCHED_VM, 0x4UL);
	vm->refused = true;
	(void)snprintf(vm->refusal, sizeof(vm->refusal), "tests that want it take this away");
	vm_init_slots(&fake_scenario);
	vm_boot_all();
}

struct acrn_vm *fake_connected(const struct scenario_connection *connection, uint32_t count, bool prelaunched)
{
	struct scenario_vm *vm = &fake_scenario.vm[4];

	fake_machine();
	fake_machine_end();
	for (uint32_t i = 0U; i < count; i++) {
		fake_scenario.connection[i] = connection[i];
	}
	fake_scenario.connection_count = count;
	if (prelaunched) {
		vm->refused = false;
		vm->mem_bytes = 0x100000UL;
		vm->mem_fixed = true;
		vm->mem_hpa = (hpa_t)fake_ram + 0x100000UL;
		vm->autostart = true;
	}
	vm_connections_init(&fake_scenario);
	vm_init_slots(&fake_scenario);
	vm_boot_all();
	return vm_by_id(4U);
}

struct acrn_vm *fake_prelaunched(void)
{
	return fake_connected(NULL, 0U, true);
}

uint32_t fake_run(uint16_t cpu, uint32_t max)
{
	const uint16_t was = fake_cpu_id;
	uint32_t turns = 0U;

	fake_cpu_id = cpu;
	while ((turns < max) && sched_once()) {
		turns++;
	}
	fake_cpu_id = was;
	return turns;
}

void fake_machine_end(void)
{
	struct acrn_vm *vm;

	fake_pages_left = -1;
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		spin_lock(&vm->lock);
		(void)vm_destroy(vm);
		spin_unlock(&vm->lock);
		EXPECT_EQ(memory_pages_owned(id), 0U);
		EXPECT_EQ(vm->pcpu_mask, 0U);
	}
	EXPECT_EQ(fake_access_depth, 0U);
}
