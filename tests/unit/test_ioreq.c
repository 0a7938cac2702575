/* SPDX-License-Identifier: BSD-3-Clause */
/* hypervisor/ioreq.c: who answers an access. */
#include <unit.h>

#include <string.h>

#include <fake.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <hv/vm_stop.h>
#include <lib/errno.h>

static struct acrn_vm *vm;
static struct acrn_vcpu *vcpu;
static uint32_t last_val;
static size_t last_size;
static uint16_t last_port;
static uint32_t calls;

static uint32_t rd(struct acrn_vm *v, uint16_t port, size_t size)
{
	(void)v;
	calls++;
	last_port = port;
	last_size = size;
	return 0xA1B2C3D4U; /* more than it was asked for */
}

static void wr(struct acrn_vm *v, uint16_t port, size_t size, uint32_t val)
{
	(void)v;
	calls++;
	last_port = port;
	last_size = size;
	last_val = val;
}

/* UVM1, created, not started; nothing registered by devices at the ports used here. */
static void setup(void)
{
	const uint16_t affinity[1] = {2U};

	fake_machine();
	vm = vm_by_id(1U);
	EXPECT_EQ(vm_create(vm, affinity, 1U), 0);
	vcpu = &vm->vcpus[0];
	calls = 0U;
}

static void reg(uint32_t idx, uint16_t base, uint16_t len, io_read_fn_t r, io_write_fn_t w)
{
	const struct vm_io_range range = {base, len, IO_ATTR_RW};

	register_io_emulation_handler(vm, idx, &range, r, w);
}

static int32_t pio(uint32_t dir, uint64_t port, uint64_t size, uint32_t *val)
{
	struct io_request *req = &vcpu->req;
	int32_t ret;

	req->type = REQ_PORTIO;
	req->reqs.pio.direction = dir;
	req->reqs.pio.address = port;
	req->reqs.pio.size = size;
	req->reqs.pio.value = *val;
	ret = emulate_io(vcpu, req);
	*val = req->reqs.pio.value;
	return ret;
}

TEST(ioreq_values_are_masked_to_the_width_both_ways)
{
	static const uint32_t mask[5] = {0U, 0xFFU, 0xFFFFU, 0U, 0xFFFFFFFFU};

	setup();
	reg(RTC_PIO_IDX, 0x70U, 8U, rd, wr);
	for (uint32_t size = 1U; size <= 4U; size *= 2U) {
		uint32_t val = 0xFFFFFFFFU;

		EXPECT_EQ(pio(REQUEST_READ, 0x70U, size, &val), 0);
		EXPECT_EQ(val, 0xA1B2C3D4U & mask[size]);
		EXPECT_EQ(last_size, size);
		val = 0x12345678U;
		EXPECT_EQ(pio(REQUEST_WRITE, 0x71U, size, &val), 0);
		EXPECT_EQ(last_val, 0x12345678U & mask[size]);
		EXPECT_EQ(last_port, 0x71U);
	}
	fake_machine_end();
}

TEST(ioreq_null_handlers_read_ones_and_ignore_writes)
{
	uint32_t val;

	setup();
	reg(RTC_PIO_IDX, 0x70U, 4U, NULL, NULL);
	val = 0x55U;
	EXPECT_EQ(pio(REQUEST_READ, 0x70U, 1U, &val), 0);
	EXPECT_EQ(val, 0xFFU);
	val = 0U;
	EXPECT_EQ(pio(REQUEST_READ, 0x70U, 2U, &val), 0);
	EXPECT_EQ(val, 0xFFFFU);
	val = 0U;
	EXPECT_EQ(pio(REQUEST_READ, 0x70U, 4U, &val), 0);
	EXPECT_EQ(val, 0xFFFFFFFFU);
	EXPECT_EQ(pio(REQUEST_WRITE, 0x70U, 4U, &val), 0);
	EXPECT_EQ(vcpu->io_state, IO_NONE); /* handled: not forwarded */
	fake_machine_end();
}

TEST(ioreq_access_attributes)
{
	const struct vm_io_range read_only = {0x70U, 2U, IO_ATTR_R};
	const struct vm_io_range none = {0x80U, 2U, IO_ATTR_NO_ACCESS};
	uint32_t val = 1U;

	setup();
	register_io_emulation_handler(vm, RTC_PIO_IDX, &read_only, rd, wr);
	register_io_emulation_handler(vm, PIT_PIO_IDX, &none, rd, wr);
	EXPECT_EQ(pio(REQUEST_WRITE, 0x70U, 1U, &val), 0);
	EXPECT_EQ(calls, 0U);
	EXPECT_EQ(pio(REQUEST_READ, 0x70U, 1U, &val), 0);
	EXPECT_EQ(calls, 1U);
	EXPECT_EQ(pio(REQUEST_READ, 0x80U, 1U, &val), 0);
	EXPECT_EQ(val, 0xFFU);
	EXPECT_EQ(calls, 1U);
	fake_machine_end();
}

TEST(ioreq_access_must_lie_in_one_range)
{
	uint32_t val = 0U;

	setup();
	reg(RTC_PIO_IDX, 0x70U, 4U, rd, wr);  /* 70..73 */
	reg(PIT_PIO_IDX, 0x74U, 4U, rd, wr);  /* 74..77, adjacent */
	EXPECT_EQ(pio(REQUEST_READ, 0x70U, 4U, &val), 0);
	EXPECT_EQ(pio(REQUEST_READ, 0x73U, 1U, &val), 0);
	EXPECT_EQ(pio(REQUEST_READ, 0x73U, 2U, &val), -EIO); /* runs into the next */
	EXPECT_EQ(pio(REQUEST_READ, 0x76U, 4U, &val), -EIO); /* runs out of it */
	EXPECT_EQ(pio(REQUEST_WRITE, 0x77U, 2U, &val), -EIO);
	EXPECT_EQ(pio(REQUEST_READ, 0x6FU, 2U, &val), -EIO); /* begins before it */
	EXPECT_EQ(pio(REQUEST_READ, 0x6DU, 4U, &val), -EIO);
	fake_machine_end();
}

TEST(ioreq_last_port)
{
	uint32_t val = 0U;

	setup();
	reg(RTC_PIO_IDX, 0xFFFEU, 2U, rd, wr);
	EXPECT_EQ(vm->pio[RTC_PIO_IDX].port_end, 0x10000U);
	EXPECT_EQ(pio(REQUEST_READ, 0xFFFFU, 1U, &val), 0);
	EXPECT_EQ(pio(REQUEST_READ, 0xFFFEU, 2U, &val), 0);
	EXPECT_EQ(pio(REQUEST_READ, 0xFFFFU, 2U, &val), -EIO);
	EXPECT_EQ(pio(REQUEST_READ, 0xFFFDU, 4U, &val), -EIO);
	EXPECT_EQ(pio(REQUEST_READ, 0x10000U, 1U, &val), -EINVAL);
	fake_machine_end();
}

TEST(ioreq_overlap_is_refused_with_both_ranges)
{
	uint32_t val;

	setup();
	reg(RTC_PIO_IDX, 0x70U, 4U, rd, wr);
	reg(PIT_PIO_IDX, 0x73U, 4U, rd, wr);
	EXPECT(strstr(fake_log, "0x73..0x76 (PIT) refused: they overlap 0x70..0x73 (RTC)") != NULL);
	EXPECT_EQ(vm->ports.map[0x74], 0U); /* nothing of it stays */
	reg(RTC_PIO_IDX, 0x80U, 1U, rd, wr);
	EXPECT(strstr(fake_log, "index") != NULL);
	EXPECT_EQ(vm->ports.map[0x80], 0U);
	reg(PIT_PIO_IDX, 0xFFFFU, 2U, rd, wr);
	EXPECT_EQ(vm->ports.map[0xFFFF], 0U);
	reg(PIT_PIO_IDX, 0x90U, 0U, rd, wr);
	reg(EMUL_PIO_IDX_MAX, 0x90U, 1U, rd, wr);
	EXPECT_EQ(vm->ports.map[0x90], 0U);
	val = 0U;
	EXPECT_EQ(pio(REQUEST_READ, 0x73U, 1U, &val), 0);
	fake_machine_end();
}

TEST(ioreq_registered_ports_exit_in_the_service_vm)
{
	setup();
	EXPECT_EQ(vm_service()->arch.io_trapped[0x20], 1U);  /* PIC */
	EXPECT_EQ(vm_service()->arch.io_trapped[0xCF9], 1U);
	EXPECT_EQ(vm_service()->arch.io_trapped[0x604], 1U); /* PM1 control */
	EXPECT_EQ(vm_service()->arch.io_trapped[0x606], 0U);
	EXPECT_EQ(vm_service()->arch.io_trapped[0x3F8], 0U);
	fake_machine_end();
}

TEST(ioreq_bad_types_and_sizes)
{
	struct io_request *req;
	uint32_t val = 0U;

	setup();
	req = &vcpu->req;
	req->type = 7U;
	EXPECT_EQ(emulate_io(vcpu, req), -EINVAL);
	req->type = REQ_PCICFG;
	EXPECT_EQ(emulate_io(vcpu, req), -EINVAL);
	for (uint64_t size = 0UL; size < 20UL; size++) {
		if ((size != 1UL) && (size != 2UL) && (size != 4UL)) {
			EXPECT_EQ(pio(REQUEST_READ, 0x70U, size, &val), -EINVAL);
		}
	}
	req->type = REQ_MMIO;
	req->reqs.mmio.size = 3UL;
	EXPECT_EQ(emulate_io(vcpu, req), -EINVAL);
	req->reqs.mmio.size = UINT64_MAX;
	EXPECT_EQ(emulate_io(vcpu, req), -EINVAL);
	fake_machine_end();
}

/* What the scenario says for ports nobody has; UVM1 is created anew with it. */
static void setup_unhandled(uint8_t how)
{
	setup();
	fake_scenario.vm[1].unhandled_port = how;
	EXPECT_EQ(vm_destroy(vm), 0);
	EXPECT_EQ(vm_create(vm, (const uint16_t[]){2U}, 1U), 0);
}

TEST(ioreq_unhandled_port_ignored)
{
	uint32_t val = 0x12U;

	setup_unhandled(SCN_PORT_IGNORE);
	EXPECT_EQ(pio(REQUEST_READ, 0x1234U, 1U, &val), 0);
	EXPECT_EQ(val, 0xFFU);
	EXPECT_EQ(pio(REQUEST_READ, 0x1234U, 4U, &val), 0);
	EXPECT_EQ(val, 0xFFFFFFFFU);
	EXPECT_EQ(pio(REQUEST_WRITE, 0x1234U, 4U, &val), 0);
	EXPECT(strstr(fake_log, "0x1234") == NULL);
	fake_machine_end();
}

TEST(ioreq_unhandled_port_logged)
{
	uint32_t val = 0U;

	setup_unhandled(SCN_PORT_LOG);
	EXPECT_EQ(pio(REQUEST_READ, 0x1235U, 2U, &val), 0);
	EXPECT_EQ(val, 0xFFFFU);
	EXPECT(strstr(fake_log, "port 0x1235: nobody has it") != NULL);
	fake_machine_end();
}

TEST(ioreq_unhandled_port_stops)
{
	uint32_t val = 0U;

	setup_unhandled(SCN_PORT_STOP);
	EXPECT(!vm->stop_requested);
	EXPECT_EQ(pio(REQUEST_READ, 0x1236U, 2U, &val), -EFAULT);
	EXPECT_EQ(val, 0xFFFFU);
	EXPECT(vm->stop_requested);
	EXPECT(strstr(vm->stop_reason, "0x1236") != NULL);
	fake_machine_end();
}

/* Linux's driver warns, with a backtrace, about any access to 0xCF8 that is no dword. */
TEST(ioreq_small_access_to_pci_address_is_not_forwarded)
{
	uint32_t val = 0U;

	setup();
	EXPECT_EQ(pio(REQUEST_READ, 0xCF8U, 1U, &val), 0);
	EXPECT_EQ(val, 0xFFU);
	EXPECT_EQ(pio(REQUEST_READ, 0xCF8U, 2U, &val), 0);
	EXPECT_EQ(val, 0xFFFFU);
	EXPECT_EQ(pio(REQUEST_WRITE, 0xCF8U, 1U, &val), 0);
	EXPECT(!vm->stop_requested);
	EXPECT_EQ(vcpu->io_forwarded, 0U);
	/* All else there goes to the device model (there is none here): reset control, the address register itself. */
	EXPECT_EQ(pio(REQUEST_WRITE, 0xCF9U, 1U, &val), -EFAULT);
	EXPECT(vm->stop_requested);
	EXPECT(strstr(vm->stop_reason, "no request page") != NULL);
	vm_stop_clear(vm);
	EXPECT_EQ(pio(REQUEST_READ, 0xCF8U, 4U, &val), -EFAULT);
	EXPECT(vm->stop_requested);
	fake_machine_end();
}

/* ---- MMIO ---- */

static int32_t mm(struct io_request *io_req, void *priv)
{
	calls++;
	last_val = *(uint32_t *)priv;
	if (io_req->reqs.mmio.direction == REQUEST_READ) {
		io_req->reqs.mmio.value = 0x1122334455667788UL;
	}
	return (last_val == 99U) ? -EFAULT : 0;
}

static int32_t mmio(uint32_t dir, uint64_t addr, uint64_t size, uint64_t *val)
{
	struct io_request *req = &vcpu->req;
	int32_t ret;

	req->type = REQ_MMIO;
	req->reqs.mmio.direction = dir;
	req->reqs.mmio.address = addr;
	req->reqs.mmio.size = size;
	req->reqs.mmio.value = *val;
	ret = emulate_io(vcpu, req);
	*val = req->reqs.mmio.value;
	return ret;
}

TEST(ioreq_mmio_look_up)
{
	static uint32_t id[5] = {0U, 1U, 2U, 3U, 99U};
	static const uint64_t base[5] = {0xD0004000UL, 0xD0000000UL, 0xD0008000UL, 0xD0001000UL, 0xE0000000UL};
	uint64_t val = 0UL;

	setup_unhandled(SCN_PORT_IGNORE);
	for (uint32_t i = 0U; i < 5U; i++) { /* not in order of addresses */
		EXPECT_EQ(register_mmio_emulation_handler(vm, mm, base[i], base[i] + 0x1000UL, &id[i]), 0);
	}
	for (uint32_t i = 1U; i < vm->mem.reserved.index->count; i++) {
		EXPECT(vm->mem.reserved.index->sorted[i - 1U]->end <= vm->mem.reserved.index->sorted[i]->start);
	}
	for (uint32_t i = 0U; i < 4U; i++) {
		EXPECT_EQ(mmio(REQUEST_READ, base[i], 4U, &val), 0);
		EXPECT_EQ(last_val, i);
		EXPECT_EQ(val, 0x55667788UL);
		EXPECT_EQ(mmio(REQUEST_READ, base[i] + 0xFF8UL, 8U, &val), 0);
		EXPECT_EQ(val, 0x1122334455667788UL);
	}
	EXPECT_EQ(mmio(REQUEST_READ, 0xE0000000UL, 1U, &val), -EFAULT); /* the handler's own error */
	EXPECT_EQ(mmio(REQUEST_READ, 0xD0000FFEUL, 4U, &val), -EIO);    /* from one into the adjacent one */
	EXPECT_EQ(mmio(REQUEST_READ, 0xD0001FFFUL, 2U, &val), -EIO);    /* out of the end */
	EXPECT_EQ(mmio(REQUEST_READ, 0xD0003FFFUL, 2U, &val), -EIO);    /* into the beginning */
	EXPECT_EQ(mmio(REQUEST_READ, 0xD0002000UL, 4U, &val), 0);       /* nobody */
	EXPECT_EQ(val, 0xFFFFFFFFUL);
	EXPECT_EQ(mmio(REQUEST_READ, UINT64_MAX - 2UL, 8U, &val), -EIO);
	EXPECT_EQ(mmio(REQUEST_READ, UINT64_MAX - 7UL, 8U, &val), 0);
	EXPECT_EQ(val, UINT64_MAX);
	fake_machine_end();
}

TEST(ioreq_mmio_registration)
{
	static uint32_t id;

	setup();
	EXPECT_EQ(register_mmio_emulation_handler(vm, NULL, 0xD0000000UL, 0xD0001000UL, &id), -EINVAL);
	EXPECT_EQ(register_mmio_emulation_handler(vm, mm, 0xD0000000UL, 0xD0000000UL, &id), -EINVAL);
	EXPECT_EQ(register_mmio_emulation_handler(vm, mm, 0xD0001000UL, 0xD0000000UL, &id), -EINVAL);
	EXPECT_EQ(register_mmio_emulation_handler(vm, mm, 0xD0000000UL, 0xD0001000UL, &id), 0);
	EXPECT_EQ(register_mmio_emulation_handler(vm, mm, 0xD0000FFFUL, 0xD0002000UL, &id), -EEXIST);
	EXPECT_EQ(register_mmio_emulation_handler(vm, mm, 0xCFFFF000UL, 0xD0000001UL, &id), -EEXIST);
	EXPECT_EQ(register_mmio_emulation_handler(vm, mm, 0xC0000000UL, 0xE0000000UL, &id), -EEXIST);
	EXPECT(strstr(fake_log, "overlaps 0xd0000000..0xd0001000 (a function)") != NULL);
	while (vm->mmio_count < VM_MMIO_NODES) {
		const uint64_t at = 0xD1000000UL + (vm->mmio_count * 0x1000UL);

		EXPECT_EQ(register_mmio_emulation_handler(vm, mm, at, at + 0x1000UL, &id), 0);
	}
	EXPECT_EQ(register_mmio_emulation_handler(vm, mm, 0xD2000000UL, 0xD2001000UL, &id), -ENOSPC);
	vm->state = VM_RUNNING;
	EXPECT_EQ(register_mmio_emulation_handler(vm, mm, 0xD3000000UL, 0xD3001000UL, &id), -EINVAL);
	vm->state = VM_CREATED;
	fake_machine_end();
}
