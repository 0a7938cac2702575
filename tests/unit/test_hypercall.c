/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/hypercall.c, hypercall_vm.c, hypercall_mem.c. */
#include <unit.h>

#include <pthread.h>
#include <string.h>

#include <fake.h>
#include <hv/arch.h>
#include <hv/hypercall.h>
#include <hv/stats.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/errno.h>
#include <public/acrn_hv_defs.h>

#define BAD_GPA 0x700000000000UL /* nothing is mapped there in the fake */

static struct acrn_vcpu *caller;
static struct acrn_create_vm *cv;
static gpa_t ram;

static void setup(void)
{
	fake_machine();
	caller = &vm_service()->vcpus[0];
	ram = (gpa_t)fake_ram;
	cv = (void *)(fake_ram + 0xFF0UL); /* crosses a page */
}

static int64_t hc(uint64_t id, uint64_t arg1, uint64_t arg2)
{
	int64_t ret;

	vcpu_map_begin(caller); /* as around an exit */
	ret = hypercall_dispatch(caller, id, arg1, arg2);
	vcpu_map_end(caller);
	return ret;
}

static int64_t create(const char *name, uint64_t affinity)
{
	memset(cv, 0, sizeof(*cv));
	memcpy(cv->name, name, strnlen(name, ACRN_VM_NAME_LEN));
	cv->cpu_affinity = affinity;
	return hc(HC_CREATE_VM, (gpa_t)cv, 0UL);
}

/* UVM1 with its request page, created. */
static struct acrn_vm *ready_vm(void)
{
	uint64_t *page;

	setup();
	page = (void *)(fake_ram + 0x10000UL);
	EXPECT_EQ(create("UVM1", 0x2UL), 0);
	*page = ram + 0x5000UL;
	EXPECT_EQ(hc(HC_SET_IOREQ_BUFFER, 1UL, (gpa_t)page), 0);
	return vm_by_id(1U);
}

static int64_t regions(uint16_t vmid, const struct vm_memory_region *mr, uint32_t count)
{
	struct set_regions *set = (void *)(fake_ram + 0x20000UL);

	memset(set, 0, sizeof(*set));
	set->vmid = vmid;
	set->mr_num = count;
	set->regions_gpa = ram + 0x20FF8UL; /* crosses pages */
	memcpy(fake_ram + 0x20FF8UL, mr, count * sizeof(*mr));
	return hc(HC_VM_SET_MEMORY_REGIONS, (gpa_t)set, 0UL);
}

TEST(hypercall_whole_id_counts)
{
	setup();
	EXPECT_EQ(hc(HC_GET_API_VERSION, ram, 0UL), 0);
	EXPECT_EQ(hc(0x00UL, ram, 0UL), -ENOTTY);
	EXPECT_EQ(hc(0x80000100UL, ram, 0UL), -ENOTTY);
	EXPECT_EQ(hc(0x180000000UL, ram, 0UL), -ENOTTY);
	EXPECT_EQ(hc(0xFFFFFFFF80000000UL, ram, 0UL), -ENOTTY);
	EXPECT_EQ(hc(HC_ID(0x41UL), 1UL, ram), -ENOTTY);
	EXPECT_EQ(hc(HC_ID(0xFFUL), 1UL, ram), -ENOTTY);
	EXPECT(strstr(fake_log, "there is no 0x80000100") != NULL);
	fake_machine_end();
}

TEST(hypercall_only_the_service_vm_may)
{
	struct acrn_vm *vm = ready_vm();

	caller = &vm->vcpus[0];
	EXPECT_EQ(hc(HC_GET_API_VERSION, ram, 0UL), -EPERM);
	EXPECT_EQ(hc(HC_DESTROY_VM, 1UL, 0UL), -EPERM);
	EXPECT_EQ(hc(0x123UL, 1UL, 0UL), -EPERM);
	EXPECT_EQ(vm->state, VM_CREATED);
	fake_machine_end();
}

TEST(hypercall_vm_ids)
{
	static const uint64_t bad[] = {0UL, 5UL, 100UL, 0xFFFFUL, 0x10001UL, 0x100000001UL, UINT64_MAX};
	static const uint64_t calls[] = {HC_DESTROY_VM, HC_START_VM, HC_PAUSE_VM, HC_RESET_VM, HC_SET_VCPU_REGS,
		HC_INJECT_MSI, HC_VM_INTR_MONITOR, HC_SET_IRQLINE, HC_SET_IOREQ_BUFFER, HC_NOTIFY_REQUEST_FINISH,
		HC_SET_PTDEV_INTR_INFO, HC_RESET_PTDEV_INTR_INFO, HC_ASSIGN_PCIDEV, HC_DEASSIGN_PCIDEV,
		HC_ASSIGN_MMIODEV, HC_DEASSIGN_MMIODEV, HC_CREATE_VDEV, HC_DESTROY_VDEV};

	setup();
	for (uint32_t c = 0U; c < ARRAY_SIZE(calls); c++) {
		for (uint32_t i = 0U; i < ARRAY_SIZE(bad); i++) {
			EXPECT_EQ(hc(calls[c], bad[i], ram), -EINVAL);
		}
		/* The pre-launched one, whose life is its own. */
		EXPECT_EQ(hc(calls[c], 4UL, ram), (c < 4U) ? -EPERM : -EINVAL);
		EXPECT_EQ(hc(calls[c], 1UL, ram), -ENOENT); /* off */
	}
	EXPECT_EQ(vm_service()->state, VM_RUNNING);
	fake_machine_end();
}

TEST(hypercall_life_of_a_prelaunched_vm_in_the_service_vms_control)
{
	struct acrn_vm *vm;

	setup();
	fake_machine_end();
	fake_scenario.vm[4].refused = false;
	fake_scenario.vm[4].mem_bytes = 0x100000UL;
	fake_scenario.vm[4].mem_fixed = true;
	fake_scenario.vm[4].mem_hpa = (hpa_t)fake_ram + 0x100000UL;
	fake_scenario.vm[4].service_control = true;
	vm_init_slots(&fake_scenario);
	vm_boot_all();
	vm = vm_by_id(4U);
	EXPECT_EQ(vm->state, VM_CREATED);
	EXPECT_EQ(hc(HC_START_VM, 4UL, 0UL), 0);
	EXPECT_EQ(hc(HC_START_VM, 4UL, 0UL), -EBUSY);
	EXPECT_EQ(hc(HC_PAUSE_VM, 4UL, 0UL), 0);
	EXPECT_EQ(vm->state, VM_PAUSED);
	EXPECT_EQ(hc(HC_START_VM, 4UL, 0UL), 0);
	EXPECT_EQ(hc(HC_RESET_VM, 4UL, 0UL), 0);
	EXPECT_EQ(vm->state, VM_RUNNING);
	EXPECT_EQ(hc(HC_DESTROY_VM, 4UL, 0UL), 0);
	EXPECT_EQ(vm->state, VM_POWERED_OFF);
	EXPECT_EQ(hc(HC_PAUSE_VM, 4UL, 0UL), -ENOENT);
	EXPECT_EQ(hc(HC_RESET_VM, 4UL, 0UL), -ENOENT);
	EXPECT_EQ(hc(HC_DESTROY_VM, 4UL, 0UL), -ENOENT);
	EXPECT_EQ(hc(HC_START_VM, 4UL, 0UL), 0);
	EXPECT_EQ(vm->state, VM_RUNNING);
	/* All else about it is not the Service VM's. */
	EXPECT_EQ(hc(HC_INJECT_MSI, 4UL, ram), -EINVAL);
	EXPECT_EQ(hc(HC_SET_VCPU_REGS, 4UL, ram), -EINVAL);
	fake_machine_end();
}

TEST(hypercall_create_answers)
{
	setup();
	EXPECT_EQ(create("UVM1", 0x2UL), 0);
	EXPECT_EQ(cv->vmid, 1U);
	EXPECT_EQ(cv->vcpu_num, 1U);
	EXPECT_EQ(create("UVM1", 0x2UL), -EBUSY);
	EXPECT_EQ(cv->vmid, ACRN_INVALID_VMID);
	EXPECT_EQ(create("", 0x2UL), -EINVAL);
	EXPECT_EQ(create("0123456789abcdef", 0x2UL), -EINVAL); /* no NUL */
	EXPECT_EQ(create("a\nb", 0x2UL), -EINVAL);
	EXPECT_EQ(create("PRE", 0x2UL), 0); /* not a post-launched name: a dynamic slot */
	EXPECT_EQ(cv->vmid, 3U);
	EXPECT_EQ(create("PRE", 0x2UL), -EBUSY);
	EXPECT_EQ(create("other", 0x2UL), -ENOSPC);
	EXPECT_EQ(hc(HC_DESTROY_VM, 3UL, 0UL), 0);
	EXPECT_EQ(create("other", 0x2UL), 0);
	EXPECT(strcmp(vm_by_id(3U)->name, "other") == 0);
	EXPECT_EQ(hc(HC_CREATE_VM, BAD_GPA, 0UL), -EFAULT);
	EXPECT_EQ(hc(HC_CREATE_VM, UINT64_MAX - 10UL, 0UL), -EFAULT);
	EXPECT_EQ(hc(HC_CREATE_VM, ram + FAKE_RAM_SIZE - 8UL, 0UL), -EFAULT); /* begins well */
	fake_machine_end();
}

TEST(hypercall_create_cpus)
{
	setup();
	EXPECT_EQ(create("UVM1", 0x8UL), -EINVAL);  /* outside its set 0x7 */
	EXPECT_EQ(create("UVM1", 0xFUL), -EINVAL);
	EXPECT_EQ(create("UVM1", 1UL << 63U), -EINVAL);
	EXPECT_EQ(create("UVM1", 0x5UL), 0);
	EXPECT_EQ(cv->vcpu_num, 2U);
	EXPECT_EQ(vm_by_id(1U)->vcpus[0].pcpu_id, 0U);
	EXPECT_EQ(vm_by_id(1U)->vcpus[1].pcpu_id, 2U);
	EXPECT_EQ(vm_by_id(1U)->vcpus[1].apic_id, arch_cpu_apic_id(2U));
	EXPECT_EQ(hc(HC_DESTROY_VM, 1UL, 0UL), 0);
	EXPECT_EQ(create("UVM1", 0UL), 0); /* as the scenario places them */
	EXPECT_EQ(cv->vcpu_num, 3U);
	EXPECT_EQ(vm_by_id(1U)->vcpus[1].apic_id, 1U);
	EXPECT_EQ(create("ALONE", 0UL), 0);
	EXPECT_EQ(create("dyn", 0x8UL), -EBUSY); /* that CPU is ALONE's */
	EXPECT_EQ(cv->vmid, ACRN_INVALID_VMID);
	EXPECT_EQ(vm_by_id(3U)->state, VM_POWERED_OFF);
	fake_machine_end();
}

TEST(hypercall_create_flags_and_reserved)
{
	setup();
	memset(cv, 0, sizeof(*cv));
	memcpy(cv->name, "UVM1", 4U);
	cv->reserved0 = 1U;
	EXPECT_EQ(hc(HC_CREATE_VM, (gpa_t)cv, 0UL), -EINVAL);
	cv->reserved0 = 0U;
	cv->reserved1 = 1U;
	EXPECT_EQ(hc(HC_CREATE_VM, (gpa_t)cv, 0UL), -EINVAL);
	cv->reserved1 = 0U;
	cv->vm_flag = GUEST_FLAG_LAPIC_PASSTHROUGH;
	EXPECT_EQ(hc(HC_CREATE_VM, (gpa_t)cv, 0UL), -EINVAL);
	cv->vm_flag = 1UL << 40U;
	EXPECT_EQ(hc(HC_CREATE_VM, (gpa_t)cv, 0UL), -EINVAL);
	cv->vm_flag = GUEST_FLAG_IO_COMPLETION_POLLING;
	EXPECT_EQ(hc(HC_CREATE_VM, (gpa_t)cv, 0UL), 0);
	EXPECT(vm_by_id(1U)->io_polling);
	fake_machine_end();
}

TEST(hypercall_create_never_returns_0_without_a_vm)
{
	int64_t ret;

	setup();
	for (int32_t left = 0; left < 100; left++) {
		fake_pages_left = left;
		ret = create("UVM1", 0x6UL);
		fake_pages_left = -1;
		if (ret == 0) {
			EXPECT_EQ(cv->vmid, 1U);
			break;
		}
		EXPECT_EQ(ret, -ENOMEM);
		EXPECT_EQ(cv->vmid, ACRN_INVALID_VMID);
		EXPECT_EQ(vm_by_id(1U)->state, VM_POWERED_OFF);
		EXPECT_EQ(fake_pages_of(1U), 0U);
	}
	EXPECT_EQ(vm_by_id(1U)->state, VM_CREATED);
	fake_scenario.vm[2].refused = true;
	EXPECT_EQ(create("ALONE", 0UL), -ENODEV);
	fake_machine_end();
}

TEST(hypercall_life)
{
	struct acrn_vm *vm = ready_vm();

	EXPECT_EQ(hc(HC_RESET_VM, 1UL, 0UL), -EBUSY);
	EXPECT_EQ(hc(HC_START_VM, 1UL, 0UL), 0);
	EXPECT_EQ(hc(HC_START_VM, 1UL, 0UL), -EBUSY);
	EXPECT_EQ(hc(HC_RESET_VM, 1UL, 0UL), -EBUSY);
	EXPECT_EQ(hc(HC_PAUSE_VM, 1UL, 0UL), 0);
	EXPECT_EQ(hc(HC_PAUSE_VM, 1UL, 0UL), 0);
	EXPECT_EQ(vm->vcpus[0].state, VCPU_PAUSED); /* it never lies */
	EXPECT_EQ(hc(HC_NOTIFY_REQUEST_FINISH, 1UL, 0UL), 0); /* harmless */
	EXPECT_EQ(hc(HC_RESET_VM, 1UL, 0UL), 0);
	EXPECT_EQ(hc(HC_START_VM, 1UL, 0UL), 0);
	EXPECT_EQ(hc(HC_DESTROY_VM, 1UL, 0UL), 0); /* as after the device model was killed */
	EXPECT_EQ(hc(HC_DESTROY_VM, 1UL, 0UL), -ENOENT);
	EXPECT_EQ(hc(HC_START_VM, 1UL, 0UL), -ENOENT);
	fake_machine_end();
}

TEST(hypercall_start_needs_a_request_page)
{
	setup();
	EXPECT_EQ(create("UVM1", 0x2UL), 0);
	EXPECT_EQ(hc(HC_START_VM, 1UL, 0UL), -EINVAL);
	fake_machine_end();
}

TEST(hypercall_ioreq_buffer)
{
	uint64_t *page = (void *)(fake_ram + 0x10000UL);
	struct acrn_vm *vm = ready_vm();
	const uint64_t bad[] = {0UL, ram + 0x5008UL, ram + 0x5800UL, BAD_GPA, 0xFEE00000UL, 0xC0000000UL,
		(hpa_t)fake_hv_ram, ram + FAKE_RAM_SIZE, UINT64_MAX, UINT64_MAX & PAGE_MASK};

	for (uint32_t i = 0U; i < ARRAY_SIZE(bad); i++) {
		*page = bad[i];
		EXPECT_EQ(hc(HC_SET_IOREQ_BUFFER, 1UL, (gpa_t)page), -EINVAL);
		EXPECT_EQ(vm->ioreq_page, ram + 0x5000UL);
	}
	EXPECT_EQ(hc(HC_SET_IOREQ_BUFFER, 1UL, BAD_GPA), -EFAULT);
	memset(fake_ram + 0x6000UL, 0, 4096U);
	*page = ram + 0x6000UL;
	EXPECT_EQ(hc(HC_SET_IOREQ_BUFFER, 1UL, (gpa_t)page), 0);
	EXPECT_EQ(get_vhm_req_state(vm, 15U), REQ_STATE_FREE);
	EXPECT_EQ(hc(HC_START_VM, 1UL, 0UL), 0);
	EXPECT_EQ(hc(HC_SET_IOREQ_BUFFER, 1UL, (gpa_t)page), -EBUSY);
	fake_machine_end();
}

TEST(hypercall_notify_vcpu_ids)
{
	(void)ready_vm();
	EXPECT_EQ(hc(HC_NOTIFY_REQUEST_FINISH, 1UL, 0UL), 0);
	EXPECT_EQ(hc(HC_NOTIFY_REQUEST_FINISH, 1UL, 1UL), -EINVAL);
	EXPECT_EQ(hc(HC_NOTIFY_REQUEST_FINISH, 1UL, 16UL), -EINVAL);
	EXPECT_EQ(hc(HC_NOTIFY_REQUEST_FINISH, 1UL, 0x100000000UL), -EINVAL);
	EXPECT_EQ(hc(HC_NOTIFY_REQUEST_FINISH, 1UL, UINT64_MAX), -EINVAL);
	fake_machine_end();
}

TEST(hypercall_set_vcpu_regs)
{
	struct acrn_set_vcpu_regs *set = (void *)(fake_ram + 0x30FF0UL);
	struct acrn_vm *vm = ready_vm();

	set->vcpu_regs.rip = 0x1234UL;
	EXPECT_EQ(hc(HC_SET_VCPU_REGS, 1UL, (gpa_t)set), 0);
	EXPECT_EQ(vm->vcpus[0].arch.regs.rip, 0x1234UL);
	set->vcpu_id = 1U;
	EXPECT_EQ(hc(HC_SET_VCPU_REGS, 1UL, (gpa_t)set), -EINVAL);
	set->vcpu_id = 0xFFFFU;
	EXPECT_EQ(hc(HC_SET_VCPU_REGS, 1UL, (gpa_t)set), -EINVAL);
	set->vcpu_id = 0U;
	set->vcpu_regs.idt.reserved[2] = 1U;
	EXPECT_EQ(hc(HC_SET_VCPU_REGS, 1UL, (gpa_t)set), -EINVAL);
	set->vcpu_regs.idt.reserved[2] = 0U;
	set->vcpu_regs.cr0 = UINT64_MAX;
	EXPECT_EQ(hc(HC_SET_VCPU_REGS, 1UL, (gpa_t)set), -EINVAL);
	set->vcpu_regs.cr0 = 0UL;
	EXPECT_EQ(hc(HC_SET_VCPU_REGS, 1UL, BAD_GPA), -EFAULT);
	EXPECT_EQ(hc(HC_START_VM, 1UL, 0UL), 0);
	EXPECT_EQ(hc(HC_SET_VCPU_REGS, 1UL, (gpa_t)set), -EBUSY);
	fake_machine_end();
}

TEST(hypercall_memory_regions)
{
	struct vm_memory_region mr[3];
	struct acrn_vm *vm = ready_vm();
	const uint32_t flushes = vm->arch.flushes;

	memset(mr, 0, sizeof(mr));
	mr[0] = (struct vm_memory_region){MR_ADD, MEM_ACCESS_RWX | MEM_TYPE_WB, 0UL, ram + 0x40000UL, 0x10000UL};
	mr[1] = (struct vm_memory_region){MR_ADD, MEM_ACCESS_READ | MEM_TYPE_UC, 0x100000UL, ram + 0x60000UL, 0x1000UL};
	EXPECT_EQ(regions(1U, mr, 2U), 0);
	EXPECT_EQ(arch_gpa_to_hpa(vm, 0x4321UL, NULL, NULL), ram + 0x44321UL);
	EXPECT_EQ(vm->arch.flushes, flushes + 1U);
	/* Narrower rights on what is there, then a hole. */
	mr[0] = (struct vm_memory_region){MR_MODIFY, MEM_ACCESS_READ | MEM_TYPE_WB, 0x4000UL, 0UL, 0x2000UL};
	mr[1] = (struct vm_memory_region){MR_DEL, 0U, 0x8000UL, 0UL, 0x1000UL};
	EXPECT_EQ(regions(1U, mr, 2U), 0);
	EXPECT_EQ(arch_gpa_to_hpa(vm, 0x8000UL, NULL, NULL), INVALID_HPA);
	EXPECT_EQ(arch_gpa_to_hpa(vm, 0x5008UL, NULL, NULL), ram + 0x45008UL);
	EXPECT_EQ(copy_to_gpa(vm, 0x5000UL, mr, 8UL), -EFAULT);
	EXPECT_EQ(copy_to_gpa(vm, 0x6000UL, mr, 8UL), 0);
	fake_machine_end();
}

TEST(hypercall_memory_size_of_the_scenario)
{
	const uint32_t rwx = MEM_ACCESS_RWX | MEM_TYPE_WB;
	struct vm_memory_region mr[2];
	struct acrn_vm *vm = ready_vm();
	struct scenario_vm *config = &fake_scenario.vm[vm->vm_id];

	config->mem_bytes = 0x20000UL;
	mr[0] = (struct vm_memory_region){MR_ADD, rwx, 0UL, ram + 0x40000UL, 0x10000UL};
	mr[1] = (struct vm_memory_region){MR_ADD, rwx, 0x100000UL, ram + 0x50000UL, 0x11000UL};
	EXPECT_EQ(regions(1U, mr, 2U), -EINVAL);
	EXPECT_EQ(vm->mapped_bytes, 0UL);
	mr[1].size = 0x10000UL;
	EXPECT_EQ(regions(1U, mr, 2U), 0);
	EXPECT_EQ(vm->mapped_bytes, 0x20000UL);
	EXPECT_EQ(regions(1U, mr, 2U), 0); /* the same again is no more */
	mr[0] = (struct vm_memory_region){MR_ADD, rwx, 0xF000UL, ram + 0x40000UL, 0x2000UL};
	EXPECT_EQ(regions(1U, mr, 1U), -EINVAL); /* half of it is */
	mr[1] = (struct vm_memory_region){MR_DEL, 0U, 0x8000UL, 0UL, 0x200000UL};
	EXPECT_EQ(regions(1U, &mr[1], 1U), 0);
	EXPECT_EQ(vm->mapped_bytes, 0x8000UL);
	EXPECT_EQ(regions(1U, mr, 1U), 0);
	EXPECT_EQ(vm->mapped_bytes, 0xA000UL);
	mr[1] = (struct vm_memory_region){MR_DEL, 0U, 0UL, 0UL, 1UL << 47U};
	EXPECT_EQ(regions(1U, &mr[1], 1U), 0);
	EXPECT_EQ(vm->mapped_bytes, 0UL);
	config->mem_bytes = 0UL;
	fake_machine_end();
}

TEST(hypercall_memory_regions_that_are_refused)
{
	const uint32_t rwx = MEM_ACCESS_RWX | MEM_TYPE_WB;
	struct vm_memory_region mr[2];
	struct acrn_vm *vm = ready_vm();
	const struct vm_memory_region bad[] = {
		{1U, rwx, 0UL, ram, 0x1000UL},
		{4U, rwx, 0UL, ram, 0x1000UL},
		{MR_ADD, MEM_ACCESS_RWX, 0UL, ram, 0x1000UL},                                /* no type */
		{MR_ADD, rwx | MEM_TYPE_UC, 0UL, ram, 0x1000UL},                             /* two types */
		{MR_ADD, MEM_TYPE_WB, 0UL, ram, 0x1000UL},                                   /* no access */
		{MR_ADD, MEM_ACCESS_WRITE | MEM_TYPE_WB, 0UL, ram, 0x1000UL},                /* write without read */
		{MR_ADD, rwx | 0x8U, 0UL, ram, 0x1000UL},
		{MR_ADD, rwx | 0x80000000U, 0UL, ram, 0x1000UL},
		{MR_ADD, rwx, 0UL, ram, 0UL},
		{MR_ADD, rwx, 0UL, ram, 0x800UL},
		{MR_ADD, rwx, 0x10UL, ram, 0x1000UL},
		{MR_ADD, rwx, 0UL, ram + 0x10UL, 0x1000UL},
		{MR_ADD, rwx, 0UL, ram, FAKE_RAM_SIZE + 0x1000UL},
		{MR_ADD, rwx, 0UL, ram + FAKE_RAM_SIZE, 0x1000UL},
		{MR_ADD, rwx, 0UL, (hpa_t)fake_hv_ram, 0x1000UL},
		{MR_ADD, rwx, 0UL, 0xC0000000UL, 0x1000UL},                                  /* a device */
		{MR_ADD, rwx, 0UL, UINT64_MAX & PAGE_MASK, 0x2000UL},
		{MR_ADD, rwx, UINT64_MAX & PAGE_MASK, ram, 0x1000UL},
		{MR_ADD, rwx, 1UL << 48U, ram, 0x1000UL},
		{MR_ADD, rwx, (1UL << 48U) - 0x1000UL, ram, 0x2000UL},
		{MR_ADD, rwx, 0xFEE00000UL, ram, 0x1000UL},                                  /* local APIC */
		{MR_ADD, rwx, 0xFEBFF000UL, ram, 0x2000UL},                                  /* into the I/O APIC */
		{MR_MODIFY, rwx, 0x700000UL, 0UL, 0x1000UL},                                 /* not mapped */
		{MR_DEL, 0U, 0x10UL, 0UL, 0x1000UL},
		{MR_DEL, 0U, UINT64_MAX & PAGE_MASK, 0UL, 0x1000UL},
	};

	mr[0] = (struct vm_memory_region){MR_ADD, rwx, 0x200000UL, ram + 0x40000UL, 0x1000UL};
	for (uint32_t i = 0U; i < ARRAY_SIZE(bad); i++) {
		mr[1] = bad[i];
		if (regions(1U, mr, 2U) != -EINVAL) {
			unit_fail(__FILE__, __LINE__, "region %u was accepted", i);
		}
		/* Not even the good one before it. */
		EXPECT_EQ(arch_gpa_to_hpa(vm, 0x200000UL, NULL, NULL), INVALID_HPA);
	}
	EXPECT_EQ(arch_gpa_audit(vm), 0);
	EXPECT_EQ(hc(HC_ARIL_AUDIT, 0UL, 0UL), 0);
	fake_machine_end();
}

static memory_fault_result_t nothing(struct acrn_vm *v, struct acrn_vcpu *c, gpa_t addr, size_t size, void *cookie)
{
	(void)v;
	(void)c;
	(void)addr;
	(void)size;
	(void)cookie;
	return FAULT_IGNORE;
}

/* A page of the hypervisor's that the VM may read: a device model neither makes it writable nor takes it away. */
TEST(hypercall_memory_of_a_reservation_is_not_the_device_models)
{
	struct vm_memory_region mr[1];
	struct acrn_vm *vm = ready_vm();
	const uint32_t rwx = MEM_ACCESS_RWX | MEM_TYPE_WB;
	const hpa_t page = (hpa_t)fake_hv_ram;
	vm_memory_reservation_t *r = vm_reserve_memory_at(vm, 0xD0001000UL, 0x2000UL, nothing, NULL);
	uint32_t rights = 0U;

	mr[0] = (struct vm_memory_region){MR_DEL, 0U, 0UL, 0UL, 1UL << 32U};
	EXPECT_EQ(regions(1U, mr, 1U), 0); /* nothing is in it */
	EXPECT_EQ(vm_map_reservation(vm, r, 0x1000UL, page, 0x1000UL, GPA_READ), 0);
	EXPECT_EQ(regions(1U, mr, 1U), -EINVAL);
	mr[0].size = 0xD0002000UL;
	EXPECT_EQ(regions(1U, mr, 1U), 0);
	mr[0] = (struct vm_memory_region){MR_MODIFY, rwx, 0xD0002000UL, 0UL, 0x1000UL};
	EXPECT_EQ(regions(1U, mr, 1U), -EINVAL);
	EXPECT_EQ(arch_gpa_to_hpa(vm, 0xD0002000UL, NULL, &rights), page);
	EXPECT_EQ(rights, GPA_READ);
	EXPECT_EQ(vm->mapped_bytes, 0UL);
	fake_machine_end();
}

TEST(hypercall_memory_regions_header)
{
	struct set_regions *set = (void *)(fake_ram + 0x20000UL);

	(void)ready_vm();
	*set = (struct set_regions){.vmid = 1U, .mr_num = 0U, .regions_gpa = ram};
	EXPECT_EQ(hc(HC_VM_SET_MEMORY_REGIONS, (gpa_t)set, 0UL), -EINVAL);
	set->mr_num = HCALL_MAX_REGIONS + 1U;
	EXPECT_EQ(hc(HC_VM_SET_MEMORY_REGIONS, (gpa_t)set, 0UL), -EINVAL);
	set->mr_num = UINT32_MAX;
	EXPECT_EQ(hc(HC_VM_SET_MEMORY_REGIONS, (gpa_t)set, 0UL), -EINVAL);
	set->mr_num = 2U;
	set->regions_gpa = UINT64_MAX - 40UL;
	EXPECT_EQ(hc(HC_VM_SET_MEMORY_REGIONS, (gpa_t)set, 0UL), -EFAULT);
	set->regions_gpa = BAD_GPA;
	EXPECT_EQ(hc(HC_VM_SET_MEMORY_REGIONS, (gpa_t)set, 0UL), -EFAULT);
	set->vmid = 0U;
	EXPECT_EQ(hc(HC_VM_SET_MEMORY_REGIONS, (gpa_t)set, 0UL), -EINVAL); /* the Service VM itself */
	set->vmid = 2U;
	EXPECT_EQ(hc(HC_VM_SET_MEMORY_REGIONS, (gpa_t)set, 0UL), -ENOENT);
	set->reserved1 = 1U;
	EXPECT_EQ(hc(HC_VM_SET_MEMORY_REGIONS, (gpa_t)set, 0UL), -EINVAL);
	EXPECT_EQ(hc(HC_VM_SET_MEMORY_REGIONS, BAD_GPA, 0UL), -EFAULT);
	fake_machine_end();
}

/* More regions than one chunk holds, the last one bad. */
TEST(hypercall_memory_regions_in_chunks)
{
	static struct vm_memory_region mr[50];
	struct acrn_vm *vm = ready_vm();

	for (uint32_t i = 0U; i < 50U; i++) {
		mr[i] = (struct vm_memory_region){MR_ADD, MEM_ACCESS_RWX | MEM_TYPE_WB, i * 0x2000UL,
			ram + 0x40000UL + (i * 0x1000UL), 0x1000UL};
	}
	EXPECT_EQ(regions(1U, mr, 50U), 0);
	for (uint32_t i = 0U; i < 50U; i++) {
		EXPECT_EQ(arch_gpa_to_hpa(vm, i * 0x2000UL, NULL, NULL), ram + 0x40000UL + (i * 0x1000UL));
	}
	mr[0].gpa = 0x1000000UL;
	mr[49].prot = 0U;
	EXPECT_EQ(regions(1U, mr, 50U), -EINVAL);
	EXPECT_EQ(arch_gpa_to_hpa(vm, 0x1000000UL, NULL, NULL), INVALID_HPA);
	fake_machine_end();
}

TEST(hypercall_interrupts)
{
	struct acrn_msi_entry *msi = (void *)(fake_ram + 0x30000UL);
	struct acrn_intr_monitor *mon = (void *)(fake_ram + 0x31000UL);
	struct acrn_vm *vm = ready_vm();

	msi->msi_addr = 0xFEE00000UL;
	msi->msi_data = 0x41UL;
	EXPECT_EQ(hc(HC_INJECT_MSI, 1UL, (gpa_t)msi), 0);
	EXPECT_EQ(vm->vcpus[0].arch.irr[1], 2UL);
	msi->msi_addr = 0xFED00000UL;
	EXPECT_EQ(hc(HC_INJECT_MSI, 1UL, (gpa_t)msi), -EINVAL);
	EXPECT_EQ(hc(HC_INJECT_MSI, 1UL, BAD_GPA), -EFAULT);
	EXPECT_EQ(hc(HC_SET_IRQLINE, 1UL, 5UL | (2UL << 32U)), 0);
	EXPECT_EQ(hc(HC_SET_IRQLINE, 1UL, 5UL | (4UL << 32U)), -EINVAL);
	EXPECT_EQ(hc(HC_SET_IRQLINE, 1UL, 48UL), -EINVAL);
	EXPECT_EQ(hc(HC_SET_IRQLINE, 1UL, UINT64_MAX), -EINVAL);
	mon->buf_cnt = 48U;
	EXPECT_EQ(hc(HC_VM_INTR_MONITOR, 1UL, (gpa_t)mon), 0);
	EXPECT_EQ(mon->buf_cnt, 0U);
	mon->buf_cnt = 49U;
	EXPECT_EQ(hc(HC_VM_INTR_MONITOR, 1UL, (gpa_t)mon), -EINVAL);
	mon->cmd = 2U;
	EXPECT_EQ(hc(HC_VM_INTR_MONITOR, 1UL, (gpa_t)mon), -EINVAL);
	EXPECT_EQ(hc(HC_SET_CALLBACK_VECTOR, 0x1FUL, 0UL), -EINVAL);
	EXPECT_EQ(hc(HC_SET_CALLBACK_VECTOR, 0x100UL, 0UL), -EINVAL);
	EXPECT_EQ(hc(HC_SET_CALLBACK_VECTOR, 0xF3UL, 0UL), 0);
	fake_machine_end();
}

TEST(hypercall_pass_through_is_not_there)
{
	(void)ready_vm();
	for (uint64_t id = 0x53UL; id <= 0x5AUL; id++) {
		EXPECT_EQ(hc(HC_ID(id), 1UL, ram), -ENODEV);
	}
	EXPECT_EQ(hc(HC_PM_GET_CPU_STATE, 0x01000000UL, ram), -ENODEV);
	fake_machine_end();
}

TEST(hypercall_offline_cpu)
{
	struct acrn_vcpu *other;

	setup();
	other = &vm_service()->vcpus[1];
	EXPECT_EQ(hc(HC_SERVICE_VM_OFFLINE_CPU, 0UL, 0UL), -EINVAL); /* the caller itself */
	EXPECT_EQ(hc(HC_SERVICE_VM_OFFLINE_CPU, 1UL, 0UL), -EINVAL); /* nobody's APIC id */
	EXPECT_EQ(hc(HC_SERVICE_VM_OFFLINE_CPU, 0x100000002UL, 0UL), -EINVAL);
	EXPECT_EQ(hc(HC_SERVICE_VM_OFFLINE_CPU, 2UL, 0UL), 0);
	EXPECT_EQ(other->state, VCPU_OFFLINE);
	EXPECT_EQ(vm_service()->pcpu_mask, 1UL);
	vcpu_make_request(other, VCPU_REQ_SIPI);
	(void)fake_run(1U, 10U);
	EXPECT_EQ(other->arch.runs, 0U);
	EXPECT_EQ(hc(HC_SERVICE_VM_OFFLINE_CPU, 2UL, 0UL), 0); /* again */
	caller = other;
	EXPECT_EQ(hc(HC_SERVICE_VM_OFFLINE_CPU, 0UL, 0UL), -EBUSY); /* the boot CPU */
	fake_machine_end();
}

static bool in_turn, offline_done; /* atomic */

/* As when PCI devices' memory moves: the CPU that is to go waits until nobody uses the old map. */
static int32_t moving(struct acrn_vcpu *v)
{
	__atomic_store_n(&in_turn, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&v->pause_requested, __ATOMIC_ACQUIRE)) {
		spin_pause();
	}
	arch_gpa_flush(v->vm);
	return 0;
}

static void *other_cpu(void *arg)
{
	fake_cpu_id = *(const uint16_t *)arg;
	while (!__atomic_load_n(&offline_done, __ATOMIC_ACQUIRE)) {
		(void)sched_once();
	}
	return NULL;
}

TEST(hypercall_offline_of_a_cpu_that_waits_for_the_map)
{
	struct acrn_vcpu *other;
	pthread_t host;

	setup();
	other = &vm_service()->vcpus[1];
	other->arch.on_run = moving;
	other->state = VCPU_RUNNING;
	in_turn = false;
	offline_done = false;
	fake_threads = true;
	thread_wake(&other->thread);
	pthread_create(&host, NULL, other_cpu, &other->pcpu_id);
	while (!__atomic_load_n(&in_turn, __ATOMIC_ACQUIRE)) {
		spin_pause();
	}
	EXPECT_EQ(hc(HC_SERVICE_VM_OFFLINE_CPU, 2UL, 0UL), 0);
	EXPECT_EQ(other->state, VCPU_OFFLINE);
	__atomic_store_n(&offline_done, true, __ATOMIC_RELEASE);
	arch_kick_cpu(1U);
	pthread_join(host, NULL);
	fake_threads = false;
	fake_machine_end();
}

TEST(hypercall_stats)
{
	struct aril_hv_stats *stats = (void *)(fake_ram + 0x30FC0UL);
	uint64_t created, free_before;

	setup();
	EXPECT_EQ(hc(HC_ARIL_GET_STATS, (gpa_t)stats, 0UL), 0);
	created = stats->vms_created;
	free_before = stats->pages_free;
	EXPECT_EQ(stats->vms, 1UL);
	EXPECT_EQ(stats->vcpus, 2UL);
	for (uint32_t i = 0U; i < 100U; i++) { /* a hundred lives without a leak */
		EXPECT_EQ(create("UVM1", 0x6UL), 0);
		EXPECT_EQ(hc(HC_DESTROY_VM, 1UL, 0UL), 0);
	}
	EXPECT_EQ(hc(HC_ARIL_GET_STATS, (gpa_t)stats, 0UL), 0);
	EXPECT_EQ(stats->vms_created - created, 100UL);
	EXPECT_EQ(stats->pages_free, free_before);
	EXPECT_EQ(stats->vms, 1UL);
	EXPECT_EQ(hc(HC_ARIL_GET_STATS, BAD_GPA, 0UL), -EFAULT);
	fake_machine_end();
}

/* Everything at random, arguments often near something meaningful. */
static uint64_t random_arg(void)
{
	static const uint64_t edges[] = {0UL, 1UL, 2UL, 3UL, 4UL, 0xFFFFUL, BAD_GPA, UINT64_MAX, UINT64_MAX - 7UL};

	switch (unit_rand64() % 4UL) {
	case 0:
		return edges[unit_rand64() % ARRAY_SIZE(edges)];
	case 1:
		return ram + (unit_rand64() % (FAKE_RAM_SIZE + 16UL));
	case 2:
		return ram + (unit_rand64() % 16UL) * 0x1000UL;
	default:
		return unit_rand64();
	}
}

static void scribble(void)
{
	for (uint32_t i = 0U; i < 64U; i++) {
		uint64_t *at = (void *)(fake_ram + (unit_rand64() % 0x2000UL) * 8UL);

		*at = random_arg();
	}
}

TEST(hypercall_random)
{
	setup();
	for (uint32_t i = 0U; i < 30000U; i++) {
		const uint64_t id = ((unit_rand64() % 8UL) == 0UL) ? unit_rand64() : HC_ID(unit_rand64() & 0xFFUL);

		if ((i % 16U) == 0U) {
			scribble();
		}
		if ((i % 64U) == 0U) {
			(void)create("UVM1", 0x2UL);
			fake_log[0] = '\0';
		}
		if ((id & 0xFFUL) != 1UL) { /* taking its own CPUs away is tested above */
			(void)hc(id, ((unit_rand64() & 1UL) != 0UL) ? 1UL : random_arg(), random_arg());
		}
		(void)fake_run(1U, 2U);
		if (fake_access_depth != 0U) {
			unit_fail(__FILE__, __LINE__, "guest access left open by 0x%lx", id);
			break;
		}
	}
	EXPECT_EQ(hc(HC_ARIL_AUDIT, 0UL, 0UL), 0);
	EXPECT_EQ(vm_service()->state, VM_RUNNING);
	EXPECT(!vm_service()->stop_requested);
	(void)hc(HC_SET_CALLBACK_VECTOR, ACRN_UPCALL_VECTOR, 0UL);
	fake_machine_end();
}

/* One call must end within a bounded time: it runs with interrupts off. The same RAM, again and again. */
TEST(hypercall_regions_map_no_more_than_the_ram)
{
	struct acrn_vm *vm = ready_vm();
	struct vm_memory_region mr[3];

	for (uint32_t i = 0U; i < 3U; i++) {
		mr[i] = (struct vm_memory_region){.type = MR_ADD, .prot = MEM_ACCESS_RWX | MEM_TYPE_WB,
			.gpa = i * FAKE_RAM_SIZE, .service_vm_gpa = ram, .size = FAKE_RAM_SIZE / 2UL};
	}
	EXPECT_EQ(regions(1U, mr, 3U), -EINVAL);
	EXPECT(strstr(fake_log, "more in one call") != NULL);
	EXPECT_EQ(arch_gpa_to_hpa(vm, 0UL, NULL, NULL), INVALID_HPA); /* nothing was done */
	EXPECT_EQ(regions(1U, mr, 2U), 0);
	EXPECT_EQ(regions(1U, &mr[2], 1U), 0); /* another call */
	/* Taking away has no such bound. */
	for (uint32_t i = 0U; i < 3U; i++) {
		mr[i].type = MR_DEL;
		mr[i].size = FAKE_RAM_SIZE;
	}
	EXPECT_EQ(regions(1U, mr, 3U), 0);
	fake_machine_end();
}
