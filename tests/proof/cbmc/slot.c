/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/vhm.c: for every content of the request page, which becomes another at each look; every vCPU number; every
 * request that the callers may make; with and without a page. Bound: LOOKS looks at the slot.
 */
#include <hv/arch.h>
#include <hv/ioreq.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <lib/errno.h>

static struct acrn_vm vm, service;
static uint8_t page[sizeof(union vhm_request_buffer)];

void arch_guest_access_begin(void)
{
}

void arch_guest_access_end(void)
{
}

/* Only what lies inside may be written; what it becomes counts no more than what the other side writes. */
void *memset(void *dst, int value, size_t size)
{
	(void)value;
	PROVE(__CPROVER_w_ok(dst, size));
	return dst;
}

struct acrn_vm *vm_service(void)
{
	return &service; /* who gave the page */
}

struct acrn_vcpu *vm_vcpu(struct acrn_vm *of, uint32_t id)
{
	return (id < CONFIG_MAX_VCPUS_PER_VM) ? &of->vcpus[id] : NULL;
}

uint64_t arch_now(void)
{
	return nondet_u64();
}

void arch_vcpu_set_irq(struct acrn_vcpu *vcpu, uint32_t vector, bool level)
{
	(void)vector;
	PROVE(vcpu == &service.vcpus[0] && !level);
}

static void any_request(struct io_request *req)
{
	*req = (struct io_request){.type = nondet_bool() ? REQ_PORTIO : REQ_MMIO};
	if (req->type == REQ_PORTIO) {
		req->reqs.pio = (struct pio_request){.direction = nondet_u32(), .address = nondet_u64(),
			.size = 1UL << (nondet_u8() % 3U), .value = nondet_u32()};
	} else {
		req->reqs.mmio = (struct mmio_request){.direction = nondet_u32(), .address = nondet_u64(),
			.size = 1UL << (nondet_u8() % 4U), .value = nondet_u64()};
	}
}

/* Of an answer only the value is taken, and no more of it than was asked for. */
static void check_answer(const struct io_request *req, const struct io_request *asked)
{
	PROVE(req->type == asked->type);
	if (asked->type == REQ_PORTIO) {
		const struct pio_request *now = &req->reqs.pio, *then = &asked->reqs.pio;

		PROVE(now->direction == then->direction && now->address == then->address && now->size == then->size);
		PROVE(now->value == then->value ||
			(then->direction == REQUEST_READ && (uint64_t)now->value >> (8U * then->size) == 0UL));
	} else {
		const struct mmio_request *now = &req->reqs.mmio, *then = &asked->reqs.mmio;

		PROVE(now->direction == then->direction && now->address == then->address && now->size == then->size);
		PROVE(now->value == then->value || then->direction == REQUEST_READ);
		PROVE(now->value == then->value || then->size == 8U || now->value >> (8U * then->size) == 0UL);
	}
}

int main(void)
{
	struct acrn_vcpu *vcpu = &vm.vcpus[0];
	struct io_request asked;

	vm.ioreq_buf = nondet_bool() ? (union vhm_request_buffer *)(void *)page : NULL;
	vm.io_polling = nondet_bool();
	vcpu->vm = &vm;
	vcpu->vcpu_id = nondet_u16();
	service.vcpus[0].state = nondet_u32();
	vhm_set_upcall(nondet_u32(), nondet_u32());
	any_request(&asked);
	vcpu->req = asked;
	if (acrn_insert_request_wait(vcpu, &vcpu->req) == 0) {
		int32_t ret = -EAGAIN;

		PROVE(vcpu->io_state == IO_PENDING && vm.ioreq_buf != NULL && vcpu->vcpu_id < VHM_REQUEST_MAX);
		for (uint32_t look = 0U; look < LOOKS && ret == -EAGAIN; look++) {
			ret = vhm_poll_request(vcpu);
			PROVE(ret == 0 || ret == -EAGAIN || ret == -EIO);
			PROVE(vcpu->io_state == ((ret == 0) ? IO_DONE : (ret == -EAGAIN) ? IO_PENDING : IO_NONE));
			check_answer(&vcpu->req, &asked);
		}
	} else {
		PROVE(vcpu->io_state == IO_NONE);
	}
	(void)vhm_send_power_off(vcpu);
	(void)vhm_send_reset(vcpu);
	reset_vm_ioreqs(&vm);
	return 0;
}
