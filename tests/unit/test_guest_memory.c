/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/guest_memory.c, guest_ram.c and the memory half of ioreq.c. */
#include <unit.h>

#include <string.h>

#include <fake.h>
#include <hv/arch.h>
#include <hv/guest_memory.h>
#include <hv/guest_ram.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <lib/errno.h>

#define AT 0xD0000000UL

static struct acrn_vm *vm;
static struct acrn_vcpu *vcpu;
static uint32_t calls, unhandled_calls;
static gpa_t last_addr;
static size_t last_size;
static uint64_t last_value;
static memory_fault_result_t say, unhandled_say;

static memory_fault_result_t fault(struct acrn_vm *v, struct acrn_vcpu *c, gpa_t addr, size_t size, void *cookie)
{
	struct mmio_request *access = &c->req.reqs.mmio;

	EXPECT((v == vm) && (c == vcpu) && (cookie == &calls));
	EXPECT_EQ(addr, access->address);
	EXPECT_EQ(size, access->size);
	calls++;
	last_addr = addr;
	last_size = size;
	last_value = access->value;
	if ((access->direction == REQUEST_READ) && (say == FAULT_HANDLED)) {
		access->value = 0x1122334455667788UL;
	}
	return say;
}

static memory_fault_result_t unhandled(struct acrn_vm *v, struct acrn_vcpu *c, gpa_t addr, size_t size, void *cookie)
{
	(void)size;
	EXPECT((v == vm) && (c == vcpu) && (cookie == &unhandled_calls));
	unhandled_calls++;
	last_addr = addr;
	if (unhandled_say == FAULT_HANDLED) {
		c->req.reqs.mmio.value = 0x55UL;
	}
	return unhandled_say;
}

static void setup(void)
{
	const uint16_t affinity[1] = {2U};

	fake_machine();
	fake_scenario.vm[1].unhandled_port = SCN_PORT_LOG;
	vm = vm_by_id(1U);
	EXPECT_EQ(vm_create(vm, affinity, 1U), 0);
	vcpu = &vm->vcpus[0];
	calls = 0U;
	unhandled_calls = 0U;
	say = FAULT_HANDLED;
	unhandled_say = FAULT_HANDLED;
}

static int32_t access(uint32_t direction, gpa_t addr, uint64_t size, uint64_t *value)
{
	struct mmio_request *mmio = &vcpu->req.reqs.mmio;
	int32_t ret;

	vcpu->req.type = REQ_MMIO;
	*mmio = (struct mmio_request){.direction = direction, .address = addr, .size = size, .value = *value};
	ret = emulate_io(vcpu, &vcpu->req);
	*value = mmio->value;
	return ret;
}

static vm_memory_reservation_t *at(gpa_t addr, uint64_t size)
{
	return vm_reserve_memory_at(vm, addr, size, fault, &calls);
}

TEST(reservation_callback_has_the_access)
{
	uint64_t value = 0UL;

	setup();
	EXPECT(at(AT, 0x1000UL) != NULL);
	EXPECT_EQ(access(REQUEST_READ, AT + 8UL, 4UL, &value), 0);
	EXPECT_EQ(value, 0x55667788UL); /* cut to the size */
	EXPECT_EQ(last_addr, AT + 8UL);
	EXPECT_EQ(last_size, 4U);
	value = 0xAABBCCDDEEFFUL;
	EXPECT_EQ(access(REQUEST_WRITE, AT + 0xFFCUL, 4UL, &value), 0);
	EXPECT_EQ(last_value, 0xCCDDEEFFUL);
	EXPECT_EQ(calls, 2U);
	fake_machine_end();
}

TEST(reservation_results)
{
	uint64_t value = 0UL;

	setup();
	EXPECT(at(AT, 0x1000UL) != NULL);
	say = FAULT_IGNORE;
	EXPECT_EQ(access(REQUEST_READ, AT, 2UL, &value), 0);
	EXPECT_EQ(value, 0xFFFFUL);
	say = FAULT_RESTART;
	EXPECT_EQ(access(REQUEST_READ, AT, 2UL, &value), -EAGAIN);
	say = FAULT_PENDING;
	EXPECT_EQ(access(REQUEST_READ, AT, 2UL, &value), IOREQ_PENDING);
	say = FAULT_UNHANDLED; /* no callback of the VM: ones, and a line */
	EXPECT_EQ(access(REQUEST_READ, AT, 8UL, &value), 0);
	EXPECT_EQ(value, UINT64_MAX);
	EXPECT(strstr(fake_log, "address 0xd0000000: nobody has it") != NULL);
	EXPECT(!vm->stop_requested);
	say = FAULT_ERROR;
	EXPECT_EQ(access(REQUEST_WRITE, AT + 4UL, 2UL, &value), -EFAULT);
	EXPECT(vm->stop_requested);
	EXPECT(strstr(vm->stop_reason, "write of 2 bytes at address 0xd0000004") != NULL);
	fake_machine_end();
}

TEST(reservation_then_the_callback_of_the_vm_then_ones)
{
	uint64_t value = 0UL;

	setup();
	EXPECT_EQ(vm_register_unhandled_mem_fault_callback(NULL, unhandled, NULL), -1);
	EXPECT_EQ(vm_register_unhandled_mem_fault_callback(vm, NULL, NULL), -1);
	EXPECT_EQ(vm_register_unhandled_mem_fault_callback(vm, unhandled, &unhandled_calls), 0);
	EXPECT(at(AT, 0x1000UL) != NULL);
	EXPECT_EQ(access(REQUEST_READ, AT, 1UL, &value), 0);
	EXPECT_EQ(unhandled_calls, 0U);
	say = FAULT_UNHANDLED;
	EXPECT_EQ(access(REQUEST_READ, AT, 1UL, &value), 0);
	EXPECT_EQ(unhandled_calls, 1U);
	EXPECT_EQ(value, 0x55UL);
	EXPECT_EQ(access(REQUEST_READ, AT + 0x1000UL, 1UL, &value), 0); /* reserved by nobody */
	EXPECT_EQ(unhandled_calls, 2U);
	EXPECT_EQ(last_addr, AT + 0x1000UL);
	unhandled_say = FAULT_UNHANDLED;
	EXPECT_EQ(access(REQUEST_READ, AT + 0x1000UL, 1UL, &value), 0);
	EXPECT_EQ(value, 0xFFUL);
	EXPECT(!vm->stop_requested);
	unhandled_say = FAULT_ERROR; /* only that VM stops, with a reason */
	EXPECT_EQ(access(REQUEST_READ, AT + 0x1000UL, 1UL, &value), -EFAULT);
	EXPECT(vm->stop_requested);
	EXPECT(!vm_service()->stop_requested);
	vm->state = VM_RUNNING;
	EXPECT_EQ(vm_register_unhandled_mem_fault_callback(vm, unhandled, NULL), -1);
	vm->state = VM_CREATED;
	fake_machine_end();
}

TEST(reservation_overlap_is_refused_with_both_names)
{
	setup();
	EXPECT(vm_reserve_memory_at(vm, AT, 0x1000UL, NULL, NULL) == NULL);
	EXPECT(at(AT, 0UL) == NULL);
	EXPECT(at(UINT64_MAX - 0xFFFUL, 0x2000UL) == NULL);
	EXPECT(at(AT, 0x1000UL) != NULL);
	EXPECT(at(AT, 0x1000UL) == NULL);
	EXPECT(at(AT + 0xFFFUL, 1UL) == NULL);
	EXPECT(at(AT - 0x1000UL, 0x1001UL) == NULL);
	EXPECT(strstr(fake_log, "overlaps 0xd0000000..0xd0001000 (a function)") != NULL);
	EXPECT(at(AT - 0x1000UL, 0x1000UL) != NULL);
	EXPECT(at(0xFEC00FFFUL, 0x10UL) == NULL); /* the I/O APIC's, registered in ACRN's way: one table */
	EXPECT_EQ(register_mmio_emulation_handler(vm, (hv_mem_io_handler_t)(uintptr_t)1U, AT, AT + 1UL, NULL), -EEXIST);
	fake_machine_end();
}

TEST(reservation_access_must_lie_inside)
{
	uint64_t value = 0UL;

	setup();
	EXPECT(at(AT, 0x1004UL) != NULL);
	EXPECT_EQ(access(REQUEST_READ, AT + 0x1002UL, 4UL, &value), -EIO);
	EXPECT_EQ(access(REQUEST_READ, AT - 1UL, 2UL, &value), -EIO);
	EXPECT_EQ(access(REQUEST_READ, AT + 0x1000UL, 4UL, &value), 0);
	EXPECT_EQ(calls, 1U);
	fake_machine_end();
}

TEST(reservation_free_and_table_full)
{
	vm_memory_reservation_t *r[VM_RESERVATIONS];
	uint64_t value = 0UL, size;
	uint32_t n = 0U;
	gpa_t addr;

	setup();
	while ((r[n] = at(AT + (0x2000UL * n), 0x1000UL)) != NULL) {
		n++;
	}
	EXPECT_EQ(vm->mem.reserved.index->count, VM_RESERVATIONS);
	EXPECT(strstr(fake_log, "the table is full") != NULL);
	vm_get_reservation_memory_region(r[2], &addr, &size);
	EXPECT_EQ(addr, AT + 0x4000UL);
	EXPECT_EQ(size, 0x1000UL);
	EXPECT_EQ(access(REQUEST_READ, addr, 1UL, &value), 0);
	EXPECT_EQ(calls, 1U);
	EXPECT_EQ(vm_free_reserved_memory(vm, r[2]), 0);
	EXPECT_EQ(access(REQUEST_READ, addr, 1UL, &value), 0);
	EXPECT_EQ(calls, 1U); /* not the callback's any more */
	EXPECT(!vm_memory_is_reserved(vm, addr, 0x1000UL));
	EXPECT(vm_memory_is_reserved(vm, addr + 0x1FFFUL, 2UL));
	for (uint32_t i = 0U; i < n; i++) {
		if (i != 2U) {
			EXPECT_EQ(access(REQUEST_READ, AT + (0x2000UL * i), 1UL, &value), 0);
		}
	}
	EXPECT_EQ(calls, n);
	r[2] = at(addr, 0x800UL);
	EXPECT(r[2] != NULL);
	fake_machine_end();
}

TEST(reservation_read_only_page_with_a_write_callback)
{
	vm_memory_reservation_t *r;
	uint64_t value = 0x77UL;
	uint32_t rights = 0U;
	const hpa_t page = (hpa_t)fake_ram + 0x10000UL;

	setup();
	r = at(AT, 0x3000UL);
	EXPECT_EQ(vm_map_reservation(vm, r, 0x1000UL, page, 0x1000UL, GPA_READ), 0);
	EXPECT_EQ(arch_gpa_to_hpa(vm, AT + 0x1008UL, NULL, &rights), page + 8UL);
	EXPECT_EQ(rights, GPA_READ);
	EXPECT_EQ(arch_gpa_to_hpa(vm, AT, NULL, NULL), INVALID_HPA);
	EXPECT_EQ(copy_to_gpa(vm, AT + 0x1008UL, &value, 8UL), -EFAULT); /* so the CPU's write comes here: */
	EXPECT_EQ(access(REQUEST_WRITE, AT + 0x1008UL, 4UL, &value), 0);
	EXPECT_EQ(calls, 1U);
	EXPECT_EQ(last_value, 0x77UL);
	EXPECT_EQ(copy_from_gpa(vm, &value, AT + 0x1008UL, 8UL), 0); /* and a read needs nobody */
	EXPECT_EQ(calls, 1U);
	EXPECT_EQ(vm_map_reservation(vm, r, 0x3000UL, page, 0x1000UL, GPA_READ), -1);
	EXPECT_EQ(vm_map_reservation(vm, r, 0x1000UL, page, UINT64_MAX - 0xFFFUL, GPA_READ), -1);
	EXPECT_EQ(vm_map_reservation(vm, r, 0x800UL, page, 0x1000UL, GPA_READ), -1);
	EXPECT_EQ(vm_free_reserved_memory(vm, r), 0);
	EXPECT_EQ(arch_gpa_to_hpa(vm, AT + 0x1008UL, NULL, NULL), INVALID_HPA);
	fake_machine_end();
}

TEST(reservation_anonymous_windows)
{
	vm_memory_reservation_t *r;
	gpa_t addr = 0UL;

	setup();
	EXPECT(vm_reserve_anon_memory(vm, 0x1000UL, 0UL, fault, &calls, &addr) == NULL); /* no window yet */
	EXPECT_EQ(vm_memory_make_anon(vm, AT + 0x800UL, 0x1000UL), -1);
	EXPECT_EQ(vm_memory_make_anon(vm, AT + 0x1000UL, 0x7000UL), 0);
	EXPECT_EQ(vm_memory_make_anon(vm, AT, 0x2000UL), -1); /* windows overlap */
	EXPECT(at(AT + 0x7FFFUL, 2UL) == NULL);               /* a fixed one in the window */
	EXPECT(strstr(fake_log, "(an anonymous window)") != NULL);
	r = vm_reserve_anon_memory(vm, 0x10UL, 0UL, fault, &calls, &addr);
	EXPECT(r != NULL);
	EXPECT_EQ(addr, AT + 0x1000UL);
	EXPECT_EQ(r->end - r->start, 0x1000UL); /* whole pages */
	EXPECT_EQ(vm_free_reserved_memory(vm, r), -1);
	EXPECT(vm_reserve_anon_memory(vm, 0x1000UL, 0x4000UL, fault, &calls, &addr) != NULL);
	EXPECT_EQ(addr, AT + 0x4000UL);
	EXPECT(vm_reserve_anon_memory(vm, 0x4000UL, 0UL, fault, &calls, &addr) == NULL); /* no room */
	EXPECT(vm_reserve_anon_memory(vm, 0x1000UL, 0x3000UL, fault, &calls, &addr) == NULL);
	EXPECT(vm_reserve_anon_memory(vm, UINT64_MAX, 0UL, fault, &calls, &addr) == NULL);
	EXPECT(vm_reserve_anon_memory(vm, 0x3000UL, 0UL, fault, &calls, &addr) != NULL); /* to the last byte */
	EXPECT_EQ(addr, AT + 0x5000UL);
	EXPECT_EQ(vm_memory_make_anon(vm, 0xE0000000UL, 0x1000UL), 0);
	EXPECT(vm_reserve_anon_memory(vm, 0x1000UL, 0UL, fault, &calls, &addr) != NULL); /* the next window */
	EXPECT_EQ(addr, 0xE0000000UL);
	fake_machine_end();
}

TEST(reservation_default_error_callback_stops_the_vm)
{
	uint64_t value = 0UL;

	setup();
	EXPECT(vm_reserve_memory_at(vm, AT, 0x1000UL, default_error_fault_callback, NULL) != NULL);
	EXPECT_EQ(access(REQUEST_READ, AT, 4UL, &value), -EFAULT);
	EXPECT(strstr(fake_log, "which nobody may touch") != NULL);
	EXPECT(vm->stop_requested);
	fake_machine_end();
}

/* ---- RAM ---- */

static void setup_ram(void)
{
	setup();
	EXPECT_EQ(vm_ram_register_at(vm, 0x0UL, 0x4000UL, (hpa_t)fake_ram), 0);
	EXPECT_EQ(vm_ram_register_at(vm, 0x100000UL, 0x8000UL, (hpa_t)fake_ram + 0x10000UL), 0);
}

TEST(ram_regions_are_sorted_merged_and_disjoint)
{
	setup_ram();
	EXPECT_EQ(vm->mem.num_ram_regions, 2U);
	EXPECT_EQ(vm_ram_register_at(vm, 0x3000UL, 0x2000UL, (hpa_t)fake_ram), -1);
	EXPECT_EQ(vm_ram_register_at(vm, 0x4800UL, 0x1000UL, (hpa_t)fake_ram), -1);
	EXPECT_EQ(vm_ram_register_at(vm, 0x4000UL, 0UL, (hpa_t)fake_ram), -1);
	EXPECT_EQ(vm_ram_register_at(vm, 0x4000UL, 0x1000UL, (hpa_t)fake_ram + 0x8000UL), 0); /* joins the first */
	EXPECT_EQ(vm->mem.num_ram_regions, 2U);
	EXPECT_EQ(vm->mem.ram_regions[0].size, 0x5000UL);
	EXPECT(vm_ram_contains(vm, 0x3FFFUL, 2UL));
	EXPECT(!vm_ram_contains(vm, 0x4FFFUL, 2UL));
	EXPECT(at(0x2000UL, 0x1000UL) == NULL); /* a reservation in RAM */
	EXPECT(strstr(fake_log, "it overlaps RAM") != NULL);
	EXPECT(at(AT, 0x1000UL) != NULL);
	EXPECT_EQ(vm_ram_register_at(vm, AT, 0x1000UL, (hpa_t)fake_ram), -1); /* RAM in a reservation */
	fake_machine_end();
}

TEST(ram_allocate_mark_free)
{
	gpa_t start = 0UL;
	uint64_t size = 0UL;

	setup_ram();
	EXPECT_EQ(vm_ram_find_largest_free_region(vm, &start, &size), 0);
	EXPECT_EQ(start, 0x100000UL);
	EXPECT_EQ(size, 0x8000UL);
	EXPECT_EQ(vm_ram_allocate(vm, 0x1800UL), 0x1000UL); /* first fit, whole pages, not 0 */
	EXPECT_EQ(vm_ram_allocate(vm, 0x2000UL), 0x100000UL);
	EXPECT_EQ(vm_ram_allocate(vm, 0x10000UL), 0UL);
	EXPECT_EQ(vm_ram_allocate(vm, UINT64_MAX), 0UL);
	EXPECT_EQ(vm_ram_mark_allocated(vm, 0x2000UL, 0x1000UL), -1); /* is allocated */
	EXPECT_EQ(vm_ram_mark_allocated(vm, 0x104000UL, 0x1000UL), 0);
	EXPECT_EQ(vm_ram_mark_allocated(vm, 0x107000UL, 0x2000UL), -1); /* runs out of RAM */
	EXPECT_EQ(vm_ram_find_largest_free_region(vm, &start, &size), 0);
	EXPECT_EQ(start, 0x105000UL);
	EXPECT_EQ(size, 0x3000UL);
	EXPECT_EQ(vm_ram_free(vm, 0x104000UL, 0x2000UL), -1); /* half of it is free */
	EXPECT_EQ(vm_ram_free(vm, 0x104000UL, 0x1000UL), 0);
	EXPECT_EQ(vm_ram_free(vm, 0x100000UL, 0x2000UL), 0);
	EXPECT_EQ(vm_ram_free(vm, 0x1000UL, 0x2000UL), 0);
	EXPECT_EQ(vm->mem.num_ram_regions, 2U); /* as at first */
	EXPECT(!vm->mem.ram_regions[0].allocated && !vm->mem.ram_regions[1].allocated);
	fake_machine_end();
}

TEST(ram_table_full)
{
	setup();
	EXPECT_EQ(vm_ram_register_at(vm, 0UL, 0x100000UL, (hpa_t)fake_ram), 0);
	for (uint64_t page = 0x1000UL; page < 0x100000UL; page += 0x2000UL) {
		const uint32_t before = vm->mem.num_ram_regions;
		const bool fits = before + 2U <= VM_RAM_REGIONS;

		EXPECT_EQ(vm_ram_mark_allocated(vm, page, 0x1000UL), fits ? 0 : -1);
		EXPECT_EQ(vm->mem.num_ram_regions, fits ? before + 2U : before);
	}
	EXPECT(vm->mem.num_ram_regions <= VM_RAM_REGIONS);
	fake_machine_end();
}

static uint64_t touched, pieces;

static int32_t touch(struct acrn_vm *v, gpa_t gpa, void *hva, size_t size, size_t offset, void *cookie)
{
	EXPECT((v == vm) && (cookie == &touched));
	EXPECT_EQ(fake_access_depth, 1U);
	EXPECT_EQ(offset, touched);
	EXPECT((gpa & 0xFFFUL) + size <= 0x1000UL);
	memset(hva, 0xA5, size);
	touched += size;
	pieces++;
	return (touched >= 0x6000UL) ? 7 : 0;
}

TEST(ram_touch_goes_over_pages_and_regions)
{
	uint8_t byte = 0U;

	setup_ram();
	EXPECT_EQ(vm_ram_mark_allocated(vm, 0x2000UL, 0x1000UL), 0); /* an allocated part is no obstacle */
	touched = 0UL;
	pieces = 0UL;
	EXPECT_EQ(vm_ram_touch(vm, 0x1FF0UL, 0x1020UL, touch, &touched), 0);
	EXPECT_EQ(touched, 0x1020UL);
	EXPECT_EQ(pieces, 3UL);
	EXPECT_EQ(copy_from_gpa(vm, &byte, 0x300FUL, 1UL), 0);
	EXPECT_EQ(byte, 0xA5U);
	EXPECT_EQ(copy_from_gpa(vm, &byte, 0x3010UL, 1UL), 0);
	EXPECT(byte != 0xA5U);
	EXPECT_EQ(vm_ram_touch(vm, 0x3000UL, 0x1001UL, touch, &touched), -1); /* beyond RAM */
	EXPECT_EQ(vm_ram_touch(vm, 0x3000UL, 0UL, touch, &touched), -1);
	EXPECT_EQ(pieces, 3UL);
	touched = 0UL;
	EXPECT_EQ(vm_ram_touch(vm, 0x100000UL, 0x8000UL, touch, &touched), 7); /* what the callback says ends it */
	EXPECT_EQ(touched, 0x6000UL);
	fake_machine_end();
}
