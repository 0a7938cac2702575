/* SPDX-License-Identifier: BSD-3-Clause */
/* Creates a User VM, loads it, and serves its requests. */
#include "vm_run.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

static void ops_irq_line(void *ctx, uint32_t gsi, bool high)
{
	struct vm_run *run = ctx;

	if (run->hsm.vcpu_num != 0U) {
		hsm_irq_line(&run->hsm, gsi, high);
	}
}

static uint64_t ops_time_ns(void *ctx)
{
	struct timespec t;

	(void)ctx;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000UL + (uint64_t)t.tv_nsec;
}

static uint64_t ops_wall_s(void *ctx)
{
	(void)ctx;
	return (uint64_t)time(NULL);
}

static void ops_console_out(void *ctx, uint8_t byte)
{
	struct vm_run *run = ctx;

	term_put(&run->console, byte);
}

static void ops_log(void *ctx, const char *line)
{
	struct vm_run *run = ctx;

	term_flush(&run->console);
	fprintf(stderr, "aril-dm %s: %s%s\n", run->options.name, line, run->console.raw ? "\r" : "");
}

static const struct dm_host_ops host_ops = {
	.irq_line = ops_irq_line,
	.time_ns = ops_time_ns,
	.wall_s = ops_wall_s,
	.console_out = ops_console_out,
	.log = ops_log,
};

static void *map_ram(void *ctx, uint64_t gpa, uint64_t size)
{
	struct vm_run *run = ctx;
	const struct vm_image *im = &run->image;

	if (gpa < im->ram_low && size <= im->ram_low - gpa) {
		return run->ram_low + gpa;
	}
	if (gpa >= VM_IMAGE_RAM_HIGH && gpa - VM_IMAGE_RAM_HIGH < im->ram_high &&
		size <= im->ram_high - (gpa - VM_IMAGE_RAM_HIGH)) {
		return run->ram_high + (gpa - VM_IMAGE_RAM_HIGH);
	}
	return NULL;
}

/* Kernel and tables into memory, registers into vCPU 0. */
static int load(struct vm_run *run)
{
	struct vm_entry entry;
	enum vm_image_error error = vm_image_load(&run->image, &entry);

	if (error != VM_IMAGE_OK) {
		fprintf(stderr, "aril-dm: %s\n", vm_image_error_text(error));
		return EXIT_HOST;
	}
	return (hsm_set_entry(&run->hsm, &entry) < 0) ? EXIT_HOST : 0;
}

static int memory(struct vm_run *run)
{
	struct vm_image *im = &run->image;
	uint64_t size = run->options.memory;

	im->ram_low = (size < VM_IMAGE_RAM_LOW_MAX) ? size : VM_IMAGE_RAM_LOW_MAX;
	im->ram_high = size - im->ram_low;
	run->ram_low = host_memory(im->ram_low);
	run->ram_high = (im->ram_high != 0UL) ? host_memory(im->ram_high) : NULL;
	if (run->ram_low == NULL || (im->ram_high != 0UL && run->ram_high == NULL)) {
		return EXIT_HOST;
	}
	if (hsm_map_ram(&run->hsm, 0UL, run->ram_low, im->ram_low) < 0) {
		return EXIT_HOST;
	}
	if (im->ram_high != 0UL && hsm_map_ram(&run->hsm, VM_IMAGE_RAM_HIGH, run->ram_high, im->ram_high) < 0) {
		return EXIT_HOST;
	}
	return 0;
}

/*
 * vCPU i runs on the i-th CPU of the affinity, and has that CPU's APIC id. Where the scenario has placed the vCPUs,
 * their ids count from 0.
 */
static void cpu_ids(struct vm_run *run)
{
	struct vm_image *im = &run->image;

	im->cpu_count = 0U;
	while (run->options.scenario_cpus && im->cpu_count < run->hsm.vcpu_num && im->cpu_count < VM_IMAGE_CPUS_MAX) {
		im->lapic_ids[im->cpu_count] = im->cpu_count;
		im->cpu_count++;
	}
	for (uint32_t pcpu = 0; pcpu < 64U && im->cpu_count < VM_IMAGE_CPUS_MAX; pcpu++) {
		if ((run->options.affinity & (1UL << pcpu)) == 0UL) {
			continue;
		}
		if (!host_lapic_id(pcpu, &im->lapic_ids[im->cpu_count])) {
			fprintf(stderr, "aril-dm: CPU %u is not in the Service VM's MADT; APIC id %u is assumed\n",
				pcpu, pcpu);
		}
		im->cpu_count++;
	}
}

int vm_run_setup(struct vm_run *run)
{
	int ret;

	(void)pthread_mutex_init(&run->lock, NULL);
	if (hsm_create_vm(&run->hsm, run->options.name, run->options.affinity, run->options.polling) < 0) {
		return EXIT_HOST;
	}
	cpu_ids(run);
	if (run->hsm.vcpu_num != run->image.cpu_count) {
		fprintf(stderr, "aril-dm: the hypervisor gave %u vCPUs, %u were asked\n", run->hsm.vcpu_num,
			run->image.cpu_count);
		if (run->hsm.vcpu_num < run->image.cpu_count) {
			run->image.cpu_count = run->hsm.vcpu_num;
		}
	}
	run->image.map = map_ram;
	run->image.ctx = run;
	ret = memory(run);
	if (ret == 0) {
		dm_vm_init(&run->vm, &host_ops, run, run->image.ram_low, run->image.ram_high, run->options.debug_exit);
		ret = load(run);
	}
	if (ret == 0 && hsm_create_client(&run->hsm) < 0) {
		ret = EXIT_HOST;
	}
	return ret;
}

/* What the slot asks, in the devices' words. */
static struct dm_access access_of(const struct acrn_io_request *req)
{
	struct dm_access a = {.space = DM_PIO};

	switch (req->type) {
	case ACRN_IOREQ_TYPE_MMIO:
		a.space = DM_MMIO;
		a.write = req->reqs.mmio_request.direction == ACRN_IOREQ_DIR_WRITE;
		a.addr = req->reqs.mmio_request.address;
		a.size = (uint32_t)req->reqs.mmio_request.size;
		a.value = req->reqs.mmio_request.value;
		break;
	case ACRN_IOREQ_TYPE_PCICFG:
		a.space = DM_PCICFG;
		a.write = req->reqs.pci_request.direction == ACRN_IOREQ_DIR_WRITE;
		a.addr = ((uint64_t)req->reqs.pci_request.bus << 20U) | ((uint64_t)req->reqs.pci_request.dev << 15U) |
			((uint64_t)req->reqs.pci_request.func << 12U) | req->reqs.pci_request.reg;
		a.size = (uint32_t)req->reqs.pci_request.size;
		a.value = req->reqs.pci_request.value;
		break;
	default:
		a.write = req->reqs.pio_request.direction == ACRN_IOREQ_DIR_WRITE;
		a.addr = req->reqs.pio_request.address;
		a.size = (uint32_t)req->reqs.pio_request.size;
		a.value = req->reqs.pio_request.value;
		break;
	}
	if (a.write) {
		a.value &= dm_size_mask(a.size);
	}
	return a;
}

static void answer(struct acrn_io_request *req, const struct dm_access *a)
{
	if (a->write) {
		return;
	}
	if (req->type == ACRN_IOREQ_TYPE_MMIO) {
		req->reqs.mmio_request.value = a->value;
	} else if (req->type == ACRN_IOREQ_TYPE_PCICFG) {
		req->reqs.pci_request.value = (uint32_t)a->value;
	} else {
		req->reqs.pio_request.value = (uint32_t)a->value;
	}
}

/* After an access which changes what the other thread waits for: the timer, or room in the UART's FIFO. */
static void wake_other_thread(struct vm_run *run, const struct dm_access *a)
{
	bool timer = a->write && a->addr >= DM_PORT_PIT && a->addr < DM_PORT_PIT + 4U;
	bool input = !a->write && a->addr == DM_PORT_COM1 && run->console.in >= 0;

	if (a->space == DM_PIO && (timer || input)) {
		(void)eventfd_write(run->wake_fd, 1);
	}
}

bool vm_run_scan(struct vm_run *run)
{
	for (uint32_t i = 0; i < run->hsm.vcpu_num; i++) {
		struct acrn_io_request *req = &run->hsm.slots[i];
		struct dm_access a;
		bool ended;

		if (__atomic_load_n(&req->processed, __ATOMIC_ACQUIRE) != ACRN_IOREQ_STATE_PROCESSING ||
			req->kernel_handled != 0U) {
			continue;
		}
		a = access_of(req);
		(void)pthread_mutex_lock(&run->lock);
		dm_vm_access(&run->vm, &a);
		ended = run->vm.end != DM_END_NONE;
		if (!run->options.prefix) {
			term_flush(&run->console); /* somebody may be typing: echo at once */
		}
		(void)pthread_mutex_unlock(&run->lock);
		wake_other_thread(run, &a);
		if (ended) {
			return false; /* its request is never answered: the slot goes with reset or destruction */
		}
		if (a.delay_us != 0U) {
			(void)usleep(a.delay_us);
		}
		answer(req, &a);
		(void)hsm_complete(&run->hsm, i);
	}
	return true;
}

/* The guest asked for a reset: the same VM from its beginning. */
static int reboot(struct vm_run *run)
{
	int ret;

	if (hsm_reset(&run->hsm) < 0) {
		return EXIT_HOST;
	}
	(void)pthread_mutex_lock(&run->lock);
	run->reboots++;
	dm_vm_reset(&run->vm);
	(void)pthread_mutex_unlock(&run->lock);
	ret = load(run);
	if (ret == 0 && hsm_start(&run->hsm) < 0) {
		ret = EXIT_HOST;
	}
	return ret;
}

static void say_end(struct vm_run *run)
{
	const struct dm_vm *vm = &run->vm;

	term_flush(&run->console);
	fprintf(stderr, "aril-dm %s: ended: %s", run->options.name, dm_end_name(vm->end));
	if (vm->end == DM_END_CRASH) {
		fprintf(stderr, " (the hypervisor's log has the reason)");
	} else if (vm->end == DM_END_EXIT) {
		fprintf(stderr, " %u", vm->end_code);
	}
	fprintf(stderr, "; %lu requests, %lu for nobody, %u reboots%s\n", vm->accesses, vm->unclaimed, run->reboots,
		run->console.raw ? "\r" : "");
}

int vm_run_loop(struct vm_run *run)
{
	if (hsm_start(&run->hsm) < 0) {
		return EXIT_HOST;
	}
	while (!atomic_load(&run->stop)) {
		if (hsm_wait(&run->hsm) < 0) {
			return atomic_load(&run->stop) ? EXIT_SIGNAL : EXIT_HOST;
		}
		if (vm_run_scan(run)) {
			continue;
		}
		if (run->vm.end != DM_END_REBOOT || run->options.no_reboot) {
			say_end(run);
			return (int)run->vm.end;
		}
		ops_log(run, "reboot");
		if (reboot(run) != 0) {
			return EXIT_HOST;
		}
	}
	return EXIT_SIGNAL;
}
