/* SPDX-License-Identifier: BSD-3-Clause */
#include <hv/ioreq.h>
#include <hv/vm.h>

#include "access.h"
#include "unit.h"

int32_t access_port(struct acrn_vm *vm, bool is_write, uint16_t at, uint32_t size, uint32_t *value)
{
	struct io_request *req = &vm->vcpus[0].req;
	int32_t ret;

	*req = (struct io_request){.type = REQ_PORTIO};
	req->reqs.pio.direction = is_write ? REQUEST_WRITE : REQUEST_READ;
	req->reqs.pio.address = at;
	req->reqs.pio.size = size;
	req->reqs.pio.value = *value;
	ret = hv_emulate_pio(&vm->vcpus[0], req);
	*value = (uint32_t)req->reqs.pio.value;
	return ret;
}

int32_t access_memory(struct acrn_vm *vm, bool is_write, uint64_t at, uint32_t size, uint64_t *value)
{
	struct io_request *req = &vm->vcpus[0].req;
	int32_t ret;

	*req = (struct io_request){.type = REQ_MMIO};
	req->reqs.mmio.direction = is_write ? REQUEST_WRITE : REQUEST_READ;
	req->reqs.mmio.address = at;
	req->reqs.mmio.size = size;
	req->reqs.mmio.value = *value;
	ret = hv_emulate_mmio(&vm->vcpus[0], req);
	*value = req->reqs.mmio.value;
	return ret;
}

uint32_t access_io(struct acrn_vm *vm, bool is_write, uint16_t at, uint32_t size, uint32_t value)
{
	EXPECT_EQ(access_port(vm, is_write, at, size, &value), 0);
	return value;
}

uint64_t access_bar(struct acrn_vm *vm, uint32_t slot, uint32_t bar, bool is_write, uint32_t offset, uint32_t size,
	uint64_t value)
{
	EXPECT_EQ(access_memory(vm, is_write, vm->vpci.slot[slot]->bar[bar].at + offset, size, &value), 0);
	return value;
}
