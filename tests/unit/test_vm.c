/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/vm.c, vm_stop.c, vm_cpus.c, vm_memory.c, vm_devices.c, ptirq.c, guest_copy.c. */
#include <unit.h>

#include <string.h>

#include <asm/io.h>
#include <fake.h>
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/memory.h>
#include <hv/upcall.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <hv/vm_cpus.h>
#include <hv/vm_memory.h>
#include <lib/errno.h>

static const uint16_t on_1[1] = {1U};

static struct acrn_vm *user(void)
{
	fake_machine();
	return vm_by_id(1U);
}

TEST(vm_look_ups_know_their_ends)
{
	struct acrn_vm *vm = user();

	EXPECT_EQ(vm_create(vm, on_1, 1U), 0);
	EXPECT(vm_vcpu(vm, 0U) == &vm->vcpus[0]);
	EXPECT(vm_vcpu(vm, 1U) == NULL);
	EXPECT(vm_vcpu(vm, UINT32_MAX) == NULL);
	EXPECT(vm_by_id(4U) != NULL);
	EXPECT(vm_by_id(5U) == NULL);
	EXPECT(vm_by_id(0xFFFFU) == NULL);
	EXPECT(vm_service() == vm_by_id(0U));
	fake_machine_end();
}

TEST(vm_relative_ids)
{
	(void)user();
	for (uint16_t id = 0U; id < 5U; id++) {
		EXPECT_EQ(vm_id_from_relative(vm_id_to_relative(id)), id);
	}
	EXPECT_EQ(vm_id_to_relative(0U), 0U);
	EXPECT_EQ(vm_id_to_relative(5U), INVALID_VM_ID);
	EXPECT_EQ(vm_id_from_relative(5U), INVALID_VM_ID);
	/* The Service VM in the middle. */
	fake_machine_end();
	fake_scenario.vm[0].load_order = SCN_PRE_LAUNCHED_VM;
	fake_scenario.vm[2].load_order = SCN_SERVICE_VM;
	vm_init_slots(&fake_scenario);
	EXPECT_EQ(vm_id_to_relative(2U), 0U);
	EXPECT_EQ(vm_id_to_relative(3U), 1U);
	EXPECT_EQ(vm_id_to_relative(1U), 4U);
	EXPECT_EQ(vm_id_from_relative(4U), 1U);
}

TEST(vm_life)
{
	struct acrn_vm *vm = user();

	EXPECT_EQ(vm_start(vm), -ENOENT);
	EXPECT_EQ(vm_pause(vm), -ENOENT);
	EXPECT_EQ(vm_reset(vm), -ENOENT);
	EXPECT_EQ(vm_destroy(vm), 0);
	EXPECT_EQ(vm_create(vm, on_1, 1U), 0);
	EXPECT_EQ(vm->state, VM_CREATED);
	EXPECT_EQ(vm_create(vm, on_1, 1U), -EBUSY);
	EXPECT_EQ(vm_reset(vm), -EBUSY);
	EXPECT_EQ(vm_start(vm), 0);
	EXPECT_EQ(vm_start(vm), -EBUSY);
	EXPECT_EQ(vm_reset(vm), -EBUSY);
	EXPECT_EQ(sched_load(1U), 1U);
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(sched_load(1U), 0U); /* off the queue, not only off the CPU */
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(vm->state, VM_PAUSED);
	EXPECT_EQ(vm_start(vm), 0);
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(vm_reset(vm), 0);
	EXPECT_EQ(vm->state, VM_CREATED);
	EXPECT_EQ(vm_start(vm), 0);
	EXPECT_EQ(vm_destroy(vm), 0); /* running: paused first */
	EXPECT_EQ(vm->state, VM_POWERED_OFF);
	EXPECT_EQ(fake_pages_of(1U), 0U);
	fake_machine_end();
}

TEST(vm_paused_before_its_first_start_begins_with_it)
{
	struct acrn_vm *vm = user();

	EXPECT_EQ(vm_create(vm, on_1, 1U), 0);
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(vm_start(vm), 0);
	EXPECT_EQ(vm->vcpus[0].state, VCPU_RUNNING);
	(void)fake_run(1U, 1U);
	EXPECT(vm->vcpus[0].arch.runs != 0U);
	fake_machine_end();
}

TEST(vm_every_failing_allocation_leaves_nothing_behind)
{
	const uint16_t affinity[3] = {0U, 1U, 2U};
	struct acrn_vm *vm = user();
	int32_t left;

	for (left = 0; left < 100; left++) {
		int32_t ret;

		fake_pages_left = left;
		ret = vm_create(vm, affinity, 3U);
		fake_pages_left = -1;
		if (ret == 0) {
			break;
		}
		EXPECT_EQ(ret, -ENOMEM);
		EXPECT_EQ(vm->state, VM_POWERED_OFF);
		EXPECT_EQ(fake_pages_of(1U), 0U);
		EXPECT_EQ(vm->pcpu_mask, 0U);
	}
	EXPECT(left >= 5);
	EXPECT_EQ(vm->vcpu_count, 3U);
	fake_machine_end();
}

TEST(vm_reset_and_destroy_in_each_state_of_a_request)
{
	static const uint32_t states[] = {REQ_STATE_FREE, REQ_STATE_PENDING, REQ_STATE_PROCESSING, REQ_STATE_COMPLETE};

	for (uint32_t destroy = 0U; destroy < 2U; destroy++) {
		for (uint32_t i = 0U; i < ARRAY_SIZE(states); i++) {
			struct acrn_vm *vm = user();
			union vhm_request_buffer *page = (void *)(fake_ram + 0x3000UL);

			EXPECT_EQ(vm_create(vm, on_1, 1U), 0);
			vhm_set_page(vm, (hpa_t)page);
			EXPECT_EQ(vm_start(vm), 0);
			if (states[i] != REQ_STATE_FREE) {
				vm->vcpus[0].req = (struct io_request){.type = REQ_PORTIO,
					.reqs.pio = {.direction = REQUEST_READ, .address = 0x60UL, .size = 1UL}};
				EXPECT_EQ(emulate_io(&vm->vcpus[0], &vm->vcpus[0].req), IOREQ_PENDING);
				page->req_queue[0].processed = states[i];
			}
			EXPECT_EQ(vm_pause(vm), 0);
			EXPECT_EQ(page->req_queue[0].processed, states[i]); /* pausing does not touch it */
			EXPECT_EQ((destroy != 0U) ? vm_destroy(vm) : vm_reset(vm), 0);
			EXPECT_EQ(page->req_queue[0].processed, REQ_STATE_FREE);
			EXPECT_EQ(vm->vcpus[0].arch.pio_posts, 0U);
			if (destroy == 0U) {
				EXPECT_EQ(vm->vcpus[0].io_state, IO_NONE);
				EXPECT(vm->ioreq_buf == page);
				EXPECT_EQ(vm_start(vm), 0);
			} else {
				EXPECT(vm->ioreq_buf == NULL);
			}
			fake_machine_end();
		}
	}
}

TEST(vm_affinity_is_checked)
{
	const uint16_t too_high[1] = {4U};
	const uint16_t way_too_high[1] = {0xFFFFU};
	const uint16_t twice[2] = {1U, 1U};
	struct acrn_vm *vm = user();

	EXPECT_EQ(vm_create(vm, on_1, 0U), -EINVAL);
	EXPECT_EQ(vm_create(vm, on_1, CONFIG_MAX_VCPUS_PER_VM + 1U), -EINVAL);
	EXPECT_EQ(vm_create(vm, too_high, 1U), -EINVAL);
	EXPECT_EQ(vm_create(vm, way_too_high, 1U), -EINVAL);
	EXPECT_EQ(vm_create(vm, twice, 2U), -EINVAL); /* both would have the CPU's APIC id */
	fake_machine_end();
}

TEST(vm_apic_ids_are_the_cpus_or_the_vms_own)
{
	const uint16_t named[2] = {1U, 2U};
	struct acrn_vm *vm = user();

	EXPECT_EQ(vm_service()->vcpus[1].apic_id, arch_cpu_apic_id(1U));
	EXPECT(!vm_service()->own_apic_ids);
	EXPECT_EQ(vm_create(vm, named, 2U), 0);
	EXPECT_EQ(vm->vcpus[1].apic_id, arch_cpu_apic_id(2U));
	EXPECT(!vm->own_apic_ids);
	EXPECT_EQ(vm_destroy(vm), 0);
	/* The scenario may put several on one CPU. */
	fake_scenario.vm[1].vcpu_pcpu[0] = 1U;
	EXPECT_EQ(vm_create(vm, NULL, 0U), 0);
	EXPECT_EQ(vm->vcpu_count, 3U);
	EXPECT(vm->own_apic_ids);
	for (uint32_t i = 0U; i < 3U; i++) {
		EXPECT_EQ(vm->vcpus[i].apic_id, i);
	}
	EXPECT_EQ(vm->vcpus[0].pcpu_id, vm->vcpus[1].pcpu_id);
	fake_machine_end();
}

/* SCHED_NOOP: a pCPU has one vCPU, whoever wants a second one there. */
TEST(vm_alone_on_its_cpus)
{
	const uint16_t on_2[1] = {2U};
	const uint16_t on_0[1] = {0U};
	struct acrn_vm *vm = user();
	struct acrn_vm *other = vm_by_id(3U);

	fake_scenario.scheduler = SCN_SCHED_NOOP;
	EXPECT_EQ(vm_create(vm, on_0, 1U), -EBUSY); /* the Service VM is there */
	vm_cpus_release(vm_service(), 1UL);         /* it gives one back */
	EXPECT_EQ(vm_create(vm, on_0, 1U), 0);
	EXPECT_EQ(vm_create(other, on_0, 1U), -EBUSY);
	EXPECT_EQ(vm_create(other, on_2, 1U), 0);
	EXPECT_EQ(vm_destroy(vm), 0);
	EXPECT_EQ(vm_destroy(other), 0);
	fake_scenario.vm[1].vcpu_pcpu[0] = 2U;
	fake_scenario.vm[1].vcpu_pcpu[1] = 2U;
	fake_scenario.vm[1].vcpu_count = 2U;
	EXPECT_EQ(vm_create(vm, NULL, 0U), -EINVAL); /* two of its own on one */
	fake_scenario.scheduler = SCN_SCHED_IORR;
	EXPECT_EQ(vm_create(vm, NULL, 0U), 0);
	fake_machine_end();
}

TEST(vm_that_owns_its_cpu_shares_it_with_nobody)
{
	const uint16_t on_3[1] = {3U};
	const uint16_t on_0[1] = {0U};
	struct acrn_vm *vm = user();
	struct acrn_vm *alone = vm_by_id(2U);

	EXPECT_EQ(vm_create(alone, on_0, 1U), -EBUSY); /* the Service VM is there */
	EXPECT_EQ(vm_create(alone, on_3, 1U), 0);
	EXPECT_EQ(vm_create(vm, on_3, 1U), -EBUSY);
	EXPECT_EQ(vm_destroy(alone), 0);
	EXPECT_EQ(vm_create(vm, on_3, 1U), 0);
	fake_machine_end();
}

/* ---- Stopping by itself ---- */

TEST(vm_stop_keeps_the_first_reason)
{
	struct acrn_vm *vm = user();

	EXPECT_EQ(vm_create(vm, on_1, 1U), 0);
	vhm_set_page(vm, (hpa_t)fake_ram);
	EXPECT_EQ(vm_start(vm), 0);
	vcpu_fatal(&vm->vcpus[0], "opcode %d", 15);
	vcpu_triple_fault(&vm->vcpus[0]);
	EXPECT(strcmp(vm->stop_reason, "vCPU0: opcode 15") == 0);
	EXPECT_EQ(vm->faults, 2UL);
	EXPECT_EQ(vm->ioreq_buf->req_queue[0].reqs.pio.address, VHM_PM1_CONTROL_PORT);
	EXPECT(strstr(fake_log, "VM1 'UVM1' has stopped: vCPU0: opcode 15") != NULL);
	(void)fake_run(1U, 10U);
	EXPECT_EQ(vm->vcpus[0].arch.runs, 0U);
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(vm_start(vm), -ESHUTDOWN); /* only a reset brings it back */
	EXPECT_EQ(vm_reset(vm), 0);
	EXPECT_EQ(vm->stop_reason[0], '\0');
	EXPECT_EQ(vm_start(vm), 0);
	(void)fake_run(1U, 10U);
	EXPECT_EQ(vm->vcpus[0].arch.runs, 1U);
	fake_machine_end();
}

static int service_stops(const char *on_stop)
{
	int how;

	fake_cmdline_on_stop = on_stop;
	fake_end_set = true;
	how = setjmp(fake_end);
	if (how == 0) {
		vcpu_triple_fault(&vm_service()->vcpus[0]);
	}
	fake_end_set = false;
	return how;
}

TEST(vm_end_of_the_service_vm_is_the_end_of_the_machine)
{
	struct acrn_vm *vm = user();

	EXPECT_EQ(vm_create(vm, on_1, 1U), 0);
	vhm_set_page(vm, (hpa_t)fake_ram);
	EXPECT_EQ(vm_start(vm), 0);
	EXPECT_EQ(service_stops(NULL), FAKE_POWEROFF);
	EXPECT(strstr(fake_log, "Service VM has stopped: vCPU0: triple fault") != NULL);
	EXPECT(vm->stop_requested); /* it cannot be without the Service VM */
	fake_machine_end();
	(void)user();
	EXPECT_EQ(service_stops("reboot"), FAKE_REBOOT);
	fake_machine_end();
	(void)user();
	EXPECT_EQ(service_stops("halt"), 0);
	fake_machine_end();
}

/* The Service VM's other vCPUs may be in a hypercall while it stops. */
TEST(vm_started_after_the_service_vm_stopped_does_not_run)
{
	struct acrn_vm *vm = user();

	EXPECT_EQ(vm_create(vm, on_1, 1U), 0);
	EXPECT_EQ(service_stops("halt"), 0);
	EXPECT(!vm->stop_requested);
	EXPECT_EQ(vm_start(vm), 0);
	(void)fake_run(1U, 10U);
	EXPECT_EQ(vm->vcpus[0].arch.runs, 0U);
	EXPECT(strcmp(vm->stop_reason, "the Service VM has stopped") == 0);
	fake_machine_end();
	/* The same for one that was paused. */
	vm = user();
	EXPECT_EQ(vm_create(vm, on_1, 1U), 0);
	EXPECT_EQ(vm_start(vm), 0);
	EXPECT_EQ(vm_pause(vm), 0);
	EXPECT_EQ(service_stops("halt"), 0);
	EXPECT_EQ(vm_start(vm), 0);
	(void)fake_run(1U, 10U);
	EXPECT_EQ(vm->vcpus[0].arch.runs, 0U);
	fake_machine_end();
}

TEST(vm_a_running_prelaunched_vm_keeps_the_machine_on)
{
	struct acrn_vm *pre;

	fake_machine();
	pre = vm_by_id(4U);
	EXPECT(strstr(fake_log, "cannot run here: tests that want it") != NULL);
	pre->state = VM_RUNNING;
	EXPECT_EQ(service_stops(NULL), 0);
	EXPECT(strstr(fake_log, "'PRE' still runs") != NULL);
	pre->state = VM_POWERED_OFF;
	fake_machine_end();
}

/* ---- Boot ---- */

TEST(vm_prelaunched_gets_memory_that_the_service_vm_loses)
{
	struct acrn_vm *pre;

	pre = fake_prelaunched();
	EXPECT_EQ(pre->state, VM_RUNNING);
	EXPECT_EQ(vm_service()->state, VM_RUNNING);
	EXPECT_EQ(arch_gpa_to_hpa(pre, 0UL, NULL, NULL), (hpa_t)fake_ram + 0x100000UL);
	EXPECT_EQ(arch_gpa_to_hpa(vm_service(), (gpa_t)fake_ram + 0x100000UL, NULL, NULL), INVALID_HPA);
	EXPECT_EQ(arch_gpa_to_hpa(vm_service(), (gpa_t)fake_ram, NULL, NULL), (hpa_t)fake_ram);
	EXPECT(!vm_is_service_ram((hpa_t)fake_ram + 0x100000UL, 0x1000UL));
	EXPECT(!vm_is_service_ram((hpa_t)fake_ram + 0xFF000UL, 0x2000UL));
	EXPECT(vm_is_service_ram((hpa_t)fake_ram, 0x100000UL));
	fake_machine_end();
}

TEST(vm_that_cannot_be_loaded_is_not_kept)
{
	fake_machine();
	fake_machine_end();
	fake_load_result = -ENOENT;
	vm_boot_all();
	EXPECT_EQ(vm_service()->state, VM_POWERED_OFF);
	EXPECT(strstr(fake_log, "does not start: error -2") != NULL);
	EXPECT_EQ(fake_pages_of(0U), 0U);
	fake_machine_end();
}

/* ---- Memory ---- */

/* The Service VM's map has all below 4 GiB, the direct map has RAM only: an access would end the hypervisor. */
TEST(vm_copies_touch_ram_only)
{
	static const gpa_t holes[] = {0x1000UL, 0xA0000UL, 0xE0000000UL, 0xECB9559AUL, 0xFED40000UL, 0xFFFFFFF0UL};
	struct acrn_vm *service;
	uint64_t value = 0UL;

	fake_machine();
	service = vm_service();
	for (uint32_t i = 0U; i < ARRAY_SIZE(holes); i++) {
		EXPECT(arch_gpa_to_hpa(service, holes[i], NULL, NULL) == holes[i]);
		EXPECT_EQ(copy_to_gpa(service, holes[i], &value, sizeof(value)), -EFAULT);
		EXPECT_EQ(copy_from_gpa(service, &value, holes[i], sizeof(value)), -EFAULT);
	}
	/* From RAM over its end. */
	EXPECT_EQ(copy_to_gpa(service, (gpa_t)fake_ram + FAKE_RAM_SIZE - 8UL, &value, 8UL), 0);
	EXPECT_EQ(copy_to_gpa(service, (gpa_t)fake_ram + FAKE_RAM_SIZE - 4UL, &value, 8UL), -EFAULT);
	fake_machine_end();
}

TEST(vm_service_memory_leaves_out_what_is_not_its)
{
	struct acrn_vm *service;

	(void)user();
	service = vm_service();
	for (uint32_t i = 0U; i < service->arch.regions; i++) {
		const struct fake_region *r = &service->arch.region[i];

		EXPECT_EQ(r->gpa, r->hpa);
		EXPECT(!ranges_overlap(r->gpa, r->size, 0xFEE00000UL, 0x1000UL)); /* local APIC */
		EXPECT(!ranges_overlap(r->gpa, r->size, 0xFEC00000UL, 0x1000UL)); /* I/O APIC */
		EXPECT(!memory_is_hv_owned(r->hpa, r->size));
		EXPECT_EQ(r->type, ((r->gpa >> 32U) == 0UL) ? GPA_TYPE_UC : GPA_TYPE_WB);
	}
	fake_machine_end();
}

TEST(vm_service_ram_in_adjacent_ranges)
{
	(void)user();
	boot_info.range_count = 2U;
	boot_info.ranges[0] = (struct mem_range){0x100000000UL, 0x3000UL, MEM_RAM};
	boot_info.ranges[1] = (struct mem_range){0x100003000UL, 0x3000UL, MEM_RAM};
	EXPECT(vm_is_service_ram(0x100000000UL, 0x6000UL));
	EXPECT(vm_is_service_ram(0x100002000UL, 0x2000UL));
	EXPECT(!vm_is_service_ram(0x100000000UL, 0x7000UL));
	EXPECT(!vm_is_service_ram(0x100000000UL, 0UL));
	EXPECT(!vm_is_service_ram(0x100005000UL, UINT64_MAX - 0x1000UL));
	boot_info.ranges[1].type = MEM_RESERVED;
	EXPECT(!vm_is_service_ram(0x100002000UL, 0x2000UL));
	fake_machine_end();
}

TEST(vm_copies_cross_pages_and_stop_at_holes)
{
	struct acrn_vm *vm = user();
	uint8_t buf[0x3000];

	EXPECT_EQ(vm_create(vm, on_1, 1U), 0);
	/* Three pages in another order, the third read-only. */
	EXPECT_EQ(arch_gpa_map(vm, 0x1000UL, (hpa_t)fake_ram + 0x9000UL, 0x1000UL, GPA_RWX, GPA_TYPE_WB), 0);
	EXPECT_EQ(arch_gpa_map(vm, 0x2000UL, (hpa_t)fake_ram + 0x7000UL, 0x1000UL, GPA_RWX, GPA_TYPE_WB), 0);
	EXPECT_EQ(arch_gpa_map(vm, 0x3000UL, (hpa_t)fake_ram + 0x8000UL, 0x1000UL, GPA_READ, GPA_TYPE_WB), 0);
	for (uint32_t i = 0U; i < sizeof(buf); i++) {
		buf[i] = (uint8_t)(i * 7U);
	}
	EXPECT_EQ(copy_to_gpa(vm, 0x1FF0UL, buf, 0x20UL), 0);
	EXPECT_EQ(fake_ram[0x9FFF], buf[0xF]);
	EXPECT_EQ(fake_ram[0x7000], buf[0x10]);
	EXPECT_EQ(copy_to_gpa(vm, 0x2FF0UL, buf, 0x20UL), -EFAULT); /* read-only */
	EXPECT_EQ(copy_from_gpa(vm, buf, 0x1000UL, 0x3000UL), 0);
	EXPECT_EQ(copy_from_gpa(vm, buf, 0x1000UL, 0x3001UL), -EFAULT);
	EXPECT_EQ(copy_from_gpa(vm, buf, 0x0UL, 1UL), -EFAULT);
	EXPECT_EQ(copy_from_gpa(vm, buf, UINT64_MAX - 4UL, 8UL), -EFAULT);
	EXPECT_EQ(copy_to_gpa(vm, UINT64_MAX, buf, 1UL), -EFAULT);
	EXPECT_EQ(copy_from_gpa(vm, buf, 0x0UL, 0UL), 0);
	fake_machine_end();
}

/* ---- Devices ---- */

static int32_t service_out(uint64_t port, uint64_t size, uint32_t val)
{
	struct acrn_vcpu *vcpu = &vm_service()->vcpus[0];
	struct io_request req = {.type = REQ_PORTIO,
		.reqs.pio = {.direction = REQUEST_WRITE, .address = port, .size = size, .value = val}};

	vcpu->req = req;
	return emulate_io(vcpu, &vcpu->req);
}

static int service_out_ends(uint64_t port, uint64_t size, uint32_t val)
{
	int how;

	fake_end_set = true;
	how = setjmp(fake_end);
	if (how == 0) {
		EXPECT_EQ(service_out(port, size, val), 0);
	}
	fake_end_set = false;
	return how;
}

TEST(vm_service_pci_address_passes_and_reset_port_resets)
{
	(void)user();
	EXPECT_EQ(service_out(0xCF8UL, 4UL, 0x80001234U), 0);
	EXPECT_EQ(fake_ports[0xCF9], 0x12U);
	EXPECT_EQ(fake_port_writes, 1U);
	EXPECT_EQ(service_out_ends(0xCF9UL, 1UL, 0x02U), 0); /* kind of reset chosen, none asked for */
	EXPECT_EQ(fake_port_writes, 1U);
	EXPECT_EQ(service_out_ends(0xCF9UL, 1UL, 0x06U), FAKE_REBOOT);
	fake_machine_end();
}

TEST(vm_service_power_off)
{
	(void)user();
	EXPECT_EQ(service_out_ends(0x604UL, 2UL, 0x0001U), 0); /* SCI_EN: the machine's */
	EXPECT_EQ(fake_port_writes, 1U);
	EXPECT_EQ(service_out_ends(0x604UL, 2UL, 0x2000U | (3U << 10U)), 0); /* another sleep type */
	EXPECT(!vm_service()->stop_requested);
	EXPECT_EQ(service_out_ends(0x605UL, 1UL, 0x34U), FAKE_POWEROFF); /* the byte with SLP_EN, type 5 */
	EXPECT(strstr(fake_log, "Service VM has stopped: power off") != NULL);
	fake_machine_end();
}

TEST(vm_debug_exit)
{
	(void)user();
	fake_machine_end();
	fake_scenario.vm[0].debug_exit = true;
	fake_log[0] = '\0';
	vm_boot_all();
	EXPECT_EQ(service_out_ends(0xF4UL, 4UL, 33U), FAKE_POWEROFF);
	EXPECT(strstr(fake_log, "Service VM has stopped: exit code 33") != NULL);
	fake_machine_end();
}

TEST(vm_irq_lines)
{
	struct acrn_vm *vm = user();

	EXPECT_EQ(vm_create(vm, on_1, 1U), 0);
	EXPECT_EQ(vm_set_irqline(vm, 47U, GSI_SET_HIGH), 0);
	EXPECT_EQ(vm_set_irqline(vm, 48U, GSI_SET_HIGH), -EINVAL);
	EXPECT_EQ(vm_set_irqline(vm, UINT32_MAX, GSI_SET_HIGH), -EINVAL);
	EXPECT_EQ(vm_set_irqline(vm, 4U, 4U), -EINVAL);
	for (uint32_t op = 0U; op < 4U; op++) {
		EXPECT_EQ(vm_set_irqline(vm, 4U, op), 0);
	}
	EXPECT_EQ(vm->vpic.chip[0].lines & (1U << 4U), 1U << 4U); /* a falling pulse ends high */
	EXPECT_EQ(vm_set_irqline(vm, 2U, GSI_SET_HIGH), 0);
	EXPECT_EQ(vm->vpic.chip[0].lines & 1U, 1U); /* the PIT's line is PIC input 0 */
	fake_machine_end();
}
