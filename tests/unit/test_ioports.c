/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/ioports.c and the port half of ioreq.c: libsel4vm's ioports.h. */
#include <unit.h>

#include <string.h>

#include <fake.h>
#include <hv/ioports.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <lib/errno.h>

static struct acrn_vm *vm;
static struct acrn_vcpu *vcpu;
static uint32_t in_calls, out_calls, callback_calls;
static uint32_t last_port, last_size, last_value;
static bool last_is_in;
static uint32_t give; /* what a read gives */
static ioport_fault_result_t say;

static ioport_fault_result_t port_in(struct acrn_vcpu *v, void *cookie, uint32_t port, uint32_t size, uint32_t *result)
{
	EXPECT(v == vcpu);
	EXPECT(cookie == &in_calls);
	EXPECT_EQ(*result, 0xFFFFFFFFU);
	in_calls++;
	last_port = port;
	last_size = size;
	*result = give;
	return say;
}

static ioport_fault_result_t port_out(struct acrn_vcpu *v, void *cookie, uint32_t port, uint32_t size, uint32_t value)
{
	EXPECT(v == vcpu);
	EXPECT(cookie == &in_calls);
	out_calls++;
	last_port = port;
	last_size = size;
	last_value = value;
	return say;
}

static ioport_fault_result_t callback(struct acrn_vcpu *v, uint32_t port_no, bool is_in, uint32_t *value, size_t size,
	void *cookie)
{
	EXPECT(v == vcpu);
	EXPECT(cookie == &callback_calls);
	callback_calls++;
	last_port = port_no;
	last_size = (uint32_t)size;
	last_is_in = is_in;
	last_value = *value;
	if (is_in) {
		*value = give;
	}
	return say;
}

static const vm_ioport_interface_t both = {&in_calls, port_in, port_out, "both"};

static void setup(void)
{
	const uint16_t affinity[2] = {1U, 2U};

	fake_machine();
	fake_scenario.vm[1].unhandled_port = SCN_PORT_LOG;
	vm = vm_by_id(1U);
	EXPECT_EQ(vm_create(vm, affinity, 2U), 0);
	vcpu = &vm->vcpus[1];
	in_calls = 0U;
	out_calls = 0U;
	callback_calls = 0U;
	give = 0xA1B2C3D4U;
	say = IO_FAULT_HANDLED;
}

static int32_t add(uint16_t start, uint16_t end)
{
	return vm_io_port_add_handler(vm, (vm_ioport_range_t){start, end}, both);
}

static int32_t access(uint32_t direction, uint64_t port, uint64_t size, uint32_t *value)
{
	struct pio_request *pio = &vcpu->req.reqs.pio;
	int32_t ret;

	vcpu->req.type = REQ_PORTIO;
	*pio = (struct pio_request){.direction = direction, .address = port, .size = size, .value = *value};
	ret = emulate_io(vcpu, &vcpu->req);
	*value = pio->value;
	return ret;
}

TEST(ioports_handler_gets_port_size_cookie_and_masked_value)
{
	static const uint32_t mask[5] = {0U, 0xFFU, 0xFFFFU, 0U, 0xFFFFFFFFU};

	setup();
	EXPECT_EQ(add(0x300U, 0x307U), 0);
	for (uint32_t size = 1U; size <= 4U; size *= 2U) {
		uint32_t value = 0U;

		EXPECT_EQ(access(REQUEST_READ, 0x302U, size, &value), 0);
		EXPECT_EQ(value, 0xA1B2C3D4U & mask[size]);
		EXPECT_EQ(last_port, 0x302U);
		EXPECT_EQ(last_size, size);
		value = 0x12345678U;
		EXPECT_EQ(access(REQUEST_WRITE, 0x303U, size, &value), 0);
		EXPECT_EQ(last_value, 0x12345678U & mask[size]);
		EXPECT_EQ(last_port, 0x303U);
	}
	EXPECT_EQ(in_calls, 3U);
	EXPECT_EQ(out_calls, 3U);
	EXPECT_EQ(callback_calls, 0U);
	fake_machine_end();
}

TEST(ioports_ends_are_inclusive)
{
	uint32_t value = 0U;

	setup();
	EXPECT_EQ(add(0x300U, 0x303U), 0);
	EXPECT_EQ(access(REQUEST_READ, 0x303U, 1U, &value), 0);
	EXPECT_EQ(in_calls, 1U);
	EXPECT_EQ(access(REQUEST_READ, 0x304U, 1U, &value), 0);
	EXPECT_EQ(value, 0xFFU);
	EXPECT_EQ(in_calls, 1U);
	EXPECT_EQ(add(0xFFFFU, 0xFFFFU), 0);
	EXPECT_EQ(access(REQUEST_READ, 0xFFFFU, 1U, &value), 0);
	EXPECT_EQ(in_calls, 2U);
	EXPECT_EQ(add(0U, 0U), 0);
	EXPECT_EQ(access(REQUEST_READ, 0U, 1U, &value), 0);
	EXPECT_EQ(in_calls, 3U);
	fake_machine_end();
}

TEST(ioports_overlap_is_refused_with_both_names)
{
	static const vm_ioport_interface_t other = {NULL, NULL, NULL, "other"};
	static const vm_ioport_range_t bad[] = {
		{0x30FU, 0x310U}, /* touches the start */
		{0x31FU, 0x320U}, /* touches the end */
		{0x310U, 0x31FU}, /* the same */
		{0x300U, 0x330U}, /* around it */
		{0x314U, 0x314U}, /* one port inside */
	};

	setup();
	EXPECT_EQ(add(0x310U, 0x31FU), 0);
	for (uint32_t i = 0U; i < ARRAY_SIZE(bad); i++) {
		fake_log[0] = '\0';
		EXPECT_EQ(vm_io_port_add_handler(vm, bad[i], other), -1);
		EXPECT(strstr(fake_log, "(other) refused: they overlap 0x310..0x31f (both)") != NULL);
	}
	EXPECT_EQ(add(0x400U, 0x400U), 0);
	EXPECT_EQ(add(0x400U, 0x400U), -1); /* the same single port */
	EXPECT_EQ(add(0x320U, 0x320U), 0);  /* neighbours are no overlap */
	EXPECT_EQ(add(0x30FU, 0x30FU), 0);
	EXPECT_EQ(add(0x20U, 0x20U), -1);   /* the PIC's, registered in ACRN's way: one table */
	EXPECT(strstr(fake_log, "(PIC master)") != NULL);
	fake_machine_end();
}

TEST(ioports_acrn_registration_over_a_range_is_refused)
{
	static const struct vm_io_range range = {0x303U, 1U, IO_ATTR_RW};

	setup();
	EXPECT_EQ(add(0x300U, 0x303U), 0);
	register_io_emulation_handler(vm, RTC_PIO_IDX, &range, NULL, NULL);
	EXPECT(strstr(fake_log, "(RTC) refused: they overlap 0x300..0x303 (both)") != NULL);
	EXPECT_EQ(vm->pio[RTC_PIO_IDX].port_end, 0U);
	fake_machine_end();
}

TEST(ioports_reversed_full_table_and_running_vm_are_refused)
{
	uint32_t added = 0U;

	setup();
	EXPECT_EQ(add(0x301U, 0x300U), -1);
	while (add((uint16_t)(0x1000U + added), (uint16_t)(0x1000U + added)) == 0) {
		added++;
	}
	EXPECT_EQ(vm->ports.count, VM_IOPORT_ENTRIES);
	EXPECT(strstr(fake_log, "the table is full") != NULL);
	EXPECT(vm_ioport_owner(&vm->ports, 0x1000U + added) == NULL);
	for (uint32_t state = VM_RUNNING; state <= VM_PAUSED; state++) {
		vm->state = state;
		EXPECT_EQ(add(0x300U, 0x303U), -1);
		EXPECT_EQ(vm_register_unhandled_ioport_callback(vm, callback, NULL), -1);
		EXPECT_EQ(vm_enable_passthrough_ioport(vcpu, 0x300U, 0x303U), -1);
	}
	vm->state = VM_CREATED;
	fake_machine_end();
}

TEST(ioports_handler_that_does_not_handle)
{
	uint32_t value = 0U;

	setup();
	EXPECT_EQ(vm_register_unhandled_ioport_callback(vm, callback, &callback_calls), 0);
	EXPECT_EQ(add(0x300U, 0x303U), 0);
	say = IO_FAULT_UNHANDLED;
	EXPECT_EQ(access(REQUEST_READ, 0x300U, 2U, &value), 0);
	EXPECT_EQ(value, 0xFFFFU);
	EXPECT_EQ(access(REQUEST_READ, 0x300U, 4U, &value), 0);
	EXPECT_EQ(value, 0xFFFFFFFFU);
	EXPECT_EQ(access(REQUEST_WRITE, 0x300U, 1U, &value), 0);
	EXPECT_EQ(callback_calls, 0U); /* it does not fall through to the callback */
	fake_machine_end();
}

TEST(ioports_handler_error_stops_that_vm_with_a_reason)
{
	uint32_t value = 0U;

	setup();
	EXPECT_EQ(add(0x300U, 0x303U), 0);
	say = IO_FAULT_ERROR;
	EXPECT_EQ(access(REQUEST_READ, 0x301U, 1U, &value), -EFAULT);
	EXPECT_EQ(value, 0xFFU);
	EXPECT(vm->stop_requested);
	EXPECT(strstr(vm->stop_reason, "read of 1 bytes at port 0x301") != NULL);
	EXPECT_EQ(vm->run.exit_reason, VM_GUEST_ERROR_EXIT);
	EXPECT(!vm_service()->stop_requested);
	fake_machine_end();
}

TEST(ioports_null_handlers_read_ones_and_ignore_writes)
{
	static const vm_ioport_interface_t none = {NULL, NULL, NULL, NULL};
	uint32_t value = 0U;

	setup();
	EXPECT_EQ(vm_io_port_add_handler(vm, (vm_ioport_range_t){0x300U, 0x303U}, none), 0);
	EXPECT_EQ(access(REQUEST_READ, 0x300U, 2U, &value), 0);
	EXPECT_EQ(value, 0xFFFFU);
	EXPECT_EQ(access(REQUEST_WRITE, 0x300U, 2U, &value), 0);
	fake_machine_end();
}

TEST(ioports_unhandled_callback)
{
	uint32_t value = 0U;

	setup();
	EXPECT_EQ(vm_register_unhandled_ioport_callback(NULL, callback, NULL), -1);
	EXPECT_EQ(vm_register_unhandled_ioport_callback(vm, NULL, NULL), -1);
	EXPECT_EQ(vm_register_unhandled_ioport_callback(vm, callback, NULL), 0);
	EXPECT_EQ(vm_register_unhandled_ioport_callback(vm, callback, &callback_calls), 0); /* the last one counts */
	EXPECT_EQ(access(REQUEST_READ, 0x1234U, 1U, &value), 0);
	EXPECT_EQ(value, 0xD4U);
	EXPECT(last_is_in);
	EXPECT_EQ(last_value, 0xFFFFFFFFU);
	value = 0x12345678U;
	EXPECT_EQ(access(REQUEST_WRITE, 0x1236U, 2U, &value), 0);
	EXPECT(!last_is_in);
	EXPECT_EQ(last_port, 0x1236U);
	EXPECT_EQ(last_size, 2U);
	EXPECT_EQ(last_value, 0x5678U);
	say = IO_FAULT_UNHANDLED;
	EXPECT_EQ(access(REQUEST_READ, 0x1234U, 4U, &value), 0);
	EXPECT_EQ(value, 0xFFFFFFFFU);
	say = IO_FAULT_PENDING;
	EXPECT_EQ(access(REQUEST_READ, 0x1234U, 4U, &value), IOREQ_PENDING);
	say = IO_FAULT_ERROR;
	EXPECT_EQ(access(REQUEST_READ, 0x1234U, 4U, &value), -EFAULT);
	EXPECT(vm->stop_requested);
	EXPECT_EQ(callback_calls, 5U);
	fake_machine_end();
}

TEST(ioports_default_is_ones_and_a_log_line)
{
	uint32_t value = 0U;

	setup(); /* SCN_PORT_LOG: no callback */
	EXPECT(vm->ports.unhandled == NULL);
	EXPECT_EQ(access(REQUEST_READ, 0x1235U, 2U, &value), 0);
	EXPECT_EQ(value, 0xFFFFU);
	EXPECT(strstr(fake_log, "read of 2 bytes at port 0x1235: nobody has it") != NULL);
	EXPECT_EQ(access(REQUEST_WRITE, 0x1235U, 4U, &value), 0);
	EXPECT(strstr(fake_log, "write of 4 bytes at port 0x1235: nobody has it") != NULL);
	EXPECT(!vm->stop_requested);
	fake_machine_end();
}

TEST(ioports_straddling_access_is_refused)
{
	uint32_t value = 0U;

	setup();
	EXPECT_EQ(vm_register_unhandled_ioport_callback(vm, callback, &callback_calls), 0);
	EXPECT_EQ(add(0x300U, 0x301U), 0);
	EXPECT_EQ(add(0x302U, 0x303U), 0);
	EXPECT_EQ(access(REQUEST_READ, 0x300U, 4U, &value), -EIO); /* over two ranges */
	EXPECT_EQ(access(REQUEST_READ, 0x303U, 2U, &value), -EIO); /* out of one */
	EXPECT_EQ(access(REQUEST_READ, 0x2FFU, 2U, &value), -EIO); /* into one */
	EXPECT_EQ(access(REQUEST_READ, 0x2FEU, 2U, &value), 0);
	EXPECT_EQ(in_calls, 0U);
	EXPECT_EQ(callback_calls, 1U);
	fake_machine_end();
}

TEST(ioports_passthrough_is_per_vcpu)
{
	setup();
	EXPECT_EQ(vm_enable_passthrough_ioport(vcpu, 0x300U, 0x303U), 0);
	EXPECT_EQ(vcpu->arch.direct_port, 0x300U);
	EXPECT_EQ(vcpu->arch.direct_ports, 4U); /* the end is included */
	EXPECT_EQ(vm->vcpus[0].arch.direct_ports, 0U);
	EXPECT_EQ(vm->arch.io_trapped[0x300], 1U); /* the VM's bitmap is as it was */
	EXPECT_EQ(vm_enable_passthrough_ioport(&vm->vcpus[0], 0x302U, 0x302U), 0); /* both may have it */
	fake_machine_end();
}

TEST(ioports_scenario_gives_ports_to_one_vcpu)
{
	static const uint16_t affinity[2] = {1U, 2U};
	struct scenario_vm *config;
	struct acrn_vm *user;

	fake_machine();
	config = &fake_scenario.vm[1];
	config->port[0] = (struct scn_port_range){0x80U, 0x80U};
	config->port[1] = (struct scn_port_range){0x300U, 0x303U};
	config->port[2] = (struct scn_port_range){0x400U, 0x400U};
	config->port_vcpu[1] = 2U;
	config->port_vcpu[2] = 8U;
	config->port_count = 3U;
	user = vm_by_id(1U);
	EXPECT_EQ(vm_create(user, affinity, 2U), 0);
	EXPECT_EQ(user->arch.io_trapped[0x80], 0U);
	EXPECT_EQ(user->arch.io_trapped[0x300], 1U);
	EXPECT_EQ(user->vcpus[0].arch.direct_ports, 0U);
	EXPECT_EQ(user->vcpus[1].arch.direct_port, 0x303U); /* the last that it was given */
	EXPECT(strstr(fake_log, "ports 0x400..0x400 are for vCPU 7, which it does not have") != NULL);
	config->port_count = 0U;
	fake_machine_end();
}

TEST(ioports_passthrough_and_handlers_exclude_each_other)
{
	uint32_t value = 0U;

	setup();
	EXPECT_EQ(add(0x300U, 0x303U), 0);
	EXPECT_EQ(vm_enable_passthrough_ioport(vcpu, 0x303U, 0x310U), -1);
	EXPECT(strstr(fake_log, "(pass-through) refused: they overlap 0x300..0x303 (both)") != NULL);
	EXPECT_EQ(vm_enable_passthrough_ioport(vcpu, 0x311U, 0x310U), -1);
	EXPECT_EQ(vcpu->arch.direct_ports, 0U);
	EXPECT_EQ(vm_enable_passthrough_ioport(vcpu, 0x310U, 0x313U), 0);
	EXPECT_EQ(add(0x304U, 0x310U), -1);
	EXPECT(strstr(fake_log, "a vCPU has 0x310 itself") != NULL);
	EXPECT_EQ(add(0x304U, 0x30FU), 0);
	/* For the vCPUs that do not have it, nobody has it. */
	EXPECT_EQ(access(REQUEST_READ, 0x310U, 1U, &value), 0);
	EXPECT_EQ(value, 0xFFU);
	fake_pages_left = 0;
	EXPECT_EQ(vm_enable_passthrough_ioport(vcpu, 0x320U, 0x320U), -1);
	fake_pages_left = -1;
	EXPECT_EQ(add(0x320U, 0x320U), 0);
	fake_machine_end();
}

TEST(ioports_registered_ports_exit_in_every_vm)
{
	setup();
	allow_guest_pio_access(vm, 0x300U, 8U);
	EXPECT_EQ(add(0x302U, 0x303U), 0);
	EXPECT_EQ(vm->arch.io_trapped[0x301], 0U);
	EXPECT_EQ(vm->arch.io_trapped[0x302], 1U);
	EXPECT_EQ(vm->arch.io_trapped[0x303], 1U);
	EXPECT_EQ(vm->arch.io_trapped[0x304], 0U);
	fake_machine_end();
}
