/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The request page in the hands of an enemy, under libFuzzer: scripts/fuzz ioreq.
 *
 * Input: bytes of four, each a step: a request of the guest's, a word of the page overwritten, or a look at the slot.
 * What must hold: no undefined behaviour; the hypervisor writes nothing outside the page; what it asked for (type,
 * direction, address, size) is what it goes on with, whatever the page says; a value has no more bits than the access.
 */
#include <unit.h>

#include <stdlib.h>
#include <string.h>

#include <fake.h>
#include <hv/ioreq.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <lib/bits.h>

#define PAGE_AT 0x5000UL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The fake machine reports by it what it finds wrong. */
void unit_fail(const char *file, int line, const char *fmt, ...)
{
	(void)file;
	(void)line;
	(void)fmt;
	abort();
}

static void need(bool good)
{
	if (!good) {
		abort();
	}
}

static void request(struct acrn_vcpu *vcpu, const uint8_t *step)
{
	struct io_request req = {.type = ((step[1] & 0x80U) != 0U) ? REQ_MMIO : REQ_PORTIO};

	req.reqs.mmio.direction = (step[1] >> 6U) & 1U;
	req.reqs.mmio.address = ((uint64_t)step[2] << 8U) | step[3];
	req.reqs.mmio.size = 1UL << (step[1] & 3U);
	if (req.type == REQ_PORTIO && req.reqs.pio.size == 8UL) {
		req.reqs.pio.size = 4UL;
	}
	if (vcpu->io_state == IO_NONE && acrn_insert_request_wait(vcpu, &req) == 0) {
		need(vcpu->io_state == IO_PENDING);
	}
}

static void look(struct acrn_vcpu *vcpu)
{
	const struct io_request before = vcpu->req;
	const struct mmio_request *mmio = &vcpu->req.reqs.mmio;
	uint64_t value;

	if (vcpu->io_state != IO_PENDING) {
		return;
	}
	switch (vhm_poll_request(vcpu)) {
	case 0:
		value = (before.type == REQ_PORTIO) ? vcpu->req.reqs.pio.value : mmio->value;
		need(vcpu->io_state == IO_DONE && get_vhm_req_state(vcpu->vm, 0U) == REQ_STATE_FREE);
		need((value & ~mask_bytes(before.reqs.mmio.size)) == 0UL);
		vcpu->io_state = IO_NONE;
		break;
	case -11: /* -EAGAIN */
		need(vcpu->io_state == IO_PENDING);
		break;
	default:
		need(vcpu->io_state == IO_NONE);
		vhm_send_power_off(vcpu);
		vcpu->io_state = IO_NONE;
		return;
	}
	need(vcpu->req.type == before.type && mmio->direction == before.reqs.mmio.direction &&
		mmio->address == before.reqs.mmio.address && mmio->size == before.reqs.mmio.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint16_t affinity[1] = {1U};
	struct acrn_vm *vm;
	uint32_t *page;

	fake_machine();
	vm = vm_by_id(1U);
	need(vm_create(vm, affinity, 1U) == 0);
	memset(fake_ram + PAGE_AT - 0x1000UL, 0x5A, 0x3000UL);
	vhm_set_page(vm, (hpa_t)fake_ram + PAGE_AT);
	page = (uint32_t *)(void *)vm->ioreq_buf;
	for (; size >= 4U; data += 4, size -= 4U) {
		switch (data[0] % 4U) {
		case 0:
			request(&vm->vcpus[0], data);
			break;
		case 1: /* the state, most of the time a legal one */
			vm->ioreq_buf->req_queue[0].processed = data[1] % 5U;
			break;
		case 2:
			page[(((uint32_t)data[1] << 8U) | data[2]) % 1024U] = data[3] * 0x01010101U;
			break;
		default:
			look(&vm->vcpus[0]);
			break;
		}
	}
	for (uint32_t i = 0U; i < 0x1000U; i++) {
		need(fake_ram[PAGE_AT - 0x1000UL + i] == 0x5AU && fake_ram[PAGE_AT + 0x1000UL + i] == 0x5AU);
	}
	fake_machine_end();
	return 0;
}
