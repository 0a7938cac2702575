/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The request page that the hypervisor shares with the Service VM: see <public/acrn_common.h> for its states.
 *
 * The other side may write anything there at any time. So: the request that counts is vcpu->req; from the slot only
 * the state (acquire) and, once it is COMPLETE, the value (one load) are read; a state that cannot follow the one
 * seen last is a fault of that VM. What the hypervisor writes is never read back.
 *
 * Who touches a slot: its vCPU's thread while the VM runs; hypercalls only while no vCPU of the VM is on a CPU. The
 * page itself belongs to the Service VM, whose memory is never unmapped, so the pointer stays good until
 * vhm_set_page() takes it away.
 */
#include <asm/page.h>
#include <hv/arch.h>
#include <hv/ioreq.h>
#include <hv/log.h>
#include <hv/stats.h>
#include <hv/trace.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

static uint32_t upcall_vector = ACRN_UPCALL_VECTOR;
static uint32_t upcall_vcpu; /* id in the Service VM */

static struct vhm_request *slot_of(const struct acrn_vm *vm, uint32_t id)
{
	return ((vm->ioreq_buf != NULL) && (id < VHM_REQUEST_MAX)) ? &vm->ioreq_buf->req_queue[id] : NULL;
}

uint32_t get_vhm_req_state(struct acrn_vm *vm, uint16_t vhm_req_id)
{
	const struct vhm_request *slot = slot_of(vm, vhm_req_id);
	uint32_t state = REQ_STATE_FREE;

	if (slot != NULL) {
		arch_guest_access_begin();
		state = __atomic_load_n(&slot->processed, __ATOMIC_ACQUIRE);
		arch_guest_access_end();
	}
	return state;
}

void set_vhm_req_state(struct acrn_vm *vm, uint16_t vhm_req_id, uint32_t state)
{
	struct vhm_request *slot = slot_of(vm, vhm_req_id);

	if (slot != NULL) {
		arch_guest_access_begin();
		__atomic_store_n(&slot->processed, state, __ATOMIC_RELEASE);
		arch_guest_access_end();
	}
}

void reset_vm_ioreqs(struct acrn_vm *vm)
{
	for (uint16_t i = 0U; i < VHM_REQUEST_MAX; i++) {
		struct vhm_request *slot = slot_of(vm, i);

		if (slot == NULL) {
			return;
		}
		/* Free first: at no time may a cleared slot read as PENDING (0). */
		set_vhm_req_state(vm, i, REQ_STATE_FREE);
		arch_guest_access_begin();
		(void)memset(slot, 0, offsetof(struct vhm_request, processed));
		(void)memset(slot->reserved2, 0, sizeof(slot->reserved2));
		arch_guest_access_end();
	}
}

void vhm_set_page(struct acrn_vm *vm, hpa_t hpa)
{
	/* The old page: nothing of it may look like work to do. */
	reset_vm_ioreqs(vm);
	vm->ioreq_page = hpa;
	vm->ioreq_buf = (hpa == 0UL) ? NULL : hpa_to_hva(hpa);
	reset_vm_ioreqs(vm);
}

/* A Service VM that lies here does not hear of its own VM's requests; nobody else is harmed. */
static bool somebody_looks(const struct acrn_vm *vm)
{
	uint32_t off;

	/* PENDING must be visible before this load: the other side stores 0, then looks at the slots. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	arch_guest_access_begin();
	off = __atomic_load_n(&vm->ioreq_buf->req_queue[0].upcall_off, __ATOMIC_RELAXED);
	arch_guest_access_end();
	return off != 0U;
}

/* The slot of `vcpu` is, or has been seen, in `state`. */
static void trace_slot(const struct acrn_vcpu *vcpu, uint32_t state)
{
	const struct io_request *const req = &vcpu->req;

	if (req->type == REQ_PORTIO) {
		trace_record(TRACE_IO, vcpu->thread.who,
			TRACE_IO_ARG(state, req->type, (uint32_t)req->reqs.pio.size, req->reqs.pio.direction),
			req->reqs.pio.address, req->reqs.pio.value);
	} else {
		trace_record(TRACE_IO, vcpu->thread.who,
			TRACE_IO_ARG(state, req->type, (uint32_t)req->reqs.mmio.size, req->reqs.mmio.direction),
			req->reqs.mmio.address, req->reqs.mmio.value);
	}
}

int32_t acrn_insert_request_wait(struct acrn_vcpu *vcpu, const struct io_request *io_req)
{
	struct acrn_vm *vm = vcpu->vm;
	struct vhm_request *slot = slot_of(vm, vcpu->vcpu_id);

	if (slot == NULL) {
		return -ENODEV;
	}
	if (get_vhm_req_state(vm, vcpu->vcpu_id) != REQ_STATE_FREE) {
		hv_stats_count(&hv_counters.requests_refused);
		return -EBUSY;
	}
	if (io_req != &vcpu->req) {
		vcpu->req = *io_req;
	}
	arch_guest_access_begin();
	slot->type = vcpu->req.type;
	slot->reqs = vcpu->req.reqs;
	slot->completion_polling = vm->io_polling ? 1U : 0U;
	slot->client = 0;
	arch_guest_access_end();

	vcpu->io_state = IO_PENDING;
	vcpu->io_seen = REQ_STATE_PENDING;
	vcpu->io_since = arch_now();
	vcpu->io_forwarded++;
	hv_stats_count(&hv_counters.requests_forwarded);
	if (trace_wants(TRACE_IO)) {
		trace_slot(vcpu, REQ_STATE_PENDING);
	}
	set_vhm_req_state(vm, vcpu->vcpu_id, REQ_STATE_PENDING);
	if (!somebody_looks(vm)) {
		vhm_fire_upcall();
	}
	return 0;
}

/* The one load of the answer; a write has none. */
static void take_value(struct acrn_vcpu *vcpu, const struct vhm_request *slot)
{
	struct io_request *req = &vcpu->req;

	arch_guest_access_begin();
	if (req->type == REQ_PORTIO) {
		if (req->reqs.pio.direction == REQUEST_READ) {
			req->reqs.pio.value = __atomic_load_n(&slot->reqs.pio.value, __ATOMIC_RELAXED) &
				(uint32_t)mask_bytes(req->reqs.pio.size);
		}
	} else if (req->reqs.mmio.direction == REQUEST_READ) {
		req->reqs.mmio.value =
			__atomic_load_n(&slot->reqs.mmio.value, __ATOMIC_RELAXED) & mask_bytes(req->reqs.mmio.size);
	}
	arch_guest_access_end();
}

static void finish_request(struct acrn_vcpu *vcpu)
{
	const uint64_t latency = arch_now() - vcpu->io_since;

	set_vhm_req_state(vcpu->vm, vcpu->vcpu_id, REQ_STATE_FREE);
	vcpu->io_seen = REQ_STATE_FREE;
	vcpu->io_state = IO_DONE;
	vcpu->io_latency = ((7UL * vcpu->io_latency) + latency) / 8UL;
	hv_stats_count(&hv_counters.requests_completed);
}

int32_t vhm_poll_request(struct acrn_vcpu *vcpu)
{
	const struct vhm_request *slot = slot_of(vcpu->vm, vcpu->vcpu_id);
	uint32_t state;

	if ((slot == NULL) || (vcpu->io_state != IO_PENDING)) {
		return -EIO;
	}
	state = get_vhm_req_state(vcpu->vm, vcpu->vcpu_id);
	if (state == REQ_STATE_COMPLETE) {
		take_value(vcpu, slot);
		if (trace_wants(TRACE_IO)) {
			trace_slot(vcpu, state);
		}
		finish_request(vcpu);
		return 0;
	}
	if ((state == REQ_STATE_PROCESSING) || ((state == REQ_STATE_PENDING) && (vcpu->io_seen == state))) {
		if (trace_wants(TRACE_IO) && (vcpu->io_seen != state)) {
			trace_slot(vcpu, state);
		}
		vcpu->io_seen = state;
		return -EAGAIN;
	}
	hv_stats_count(&hv_counters.requests_refused);
	pr_guest(vcpu->vm->vm_id, vcpu->vcpu_id, "request slot went from state %u to %u", vcpu->io_seen, state);
	/* The slot is ours again, so that the VM's end can be reported through it. */
	set_vhm_req_state(vcpu->vm, vcpu->vcpu_id, REQ_STATE_FREE);
	vcpu->io_seen = REQ_STATE_FREE;
	vcpu->io_state = IO_NONE;
	return -EIO;
}

/* As if the guest had written to a port that the device model owns. */
static bool send_port_write(struct acrn_vcpu *vcpu, uint64_t port, uint64_t size, uint32_t value)
{
	const struct io_request req = {
		.type = REQ_PORTIO,
		.reqs.pio = {.direction = REQUEST_WRITE, .address = port, .size = size, .value = value},
	};

	if (vcpu->io_state == IO_PENDING) {
		return false;
	}
	/* The slot is ours; if it reads otherwise, the other side has scribbled on it. */
	set_vhm_req_state(vcpu->vm, vcpu->vcpu_id, REQ_STATE_FREE);
	return acrn_insert_request_wait(vcpu, &req) == 0;
}

bool vhm_send_power_off(struct acrn_vcpu *vcpu)
{
	return send_port_write(vcpu, VHM_PM1_CONTROL_PORT, VHM_PM1_FAULT_SIZE, VHM_PM1_FAULT);
}

bool vhm_send_reset(struct acrn_vcpu *vcpu)
{
	return send_port_write(vcpu, VHM_RESET_PORT, 1UL, VHM_RESET_NOW);
}

void vhm_set_upcall(uint32_t vector, uint32_t vcpu_id)
{
	__atomic_store_n(&upcall_vcpu, vcpu_id, __ATOMIC_RELAXED);
	__atomic_store_n(&upcall_vector, vector, __ATOMIC_RELAXED);
}

void vhm_fire_upcall(void)
{
	struct acrn_vm *const service = vm_service(); /* there is one: who else gave the page? */
	const uint32_t vector = __atomic_load_n(&upcall_vector, __ATOMIC_RELAXED);
	struct acrn_vcpu *target = vm_vcpu(service, __atomic_load_n(&upcall_vcpu, __ATOMIC_RELAXED));

	/* vCPU 0 can never be taken off line, so it is the one to fall back on. */
	if ((target == NULL) || (target->state != VCPU_RUNNING)) {
		target = &service->vcpus[0];
	}
	trace_event(TRACE_UPCALL, target->thread.who, vector, 0UL, 0UL);
	hv_stats_count(&hv_counters.upcalls);
	arch_vcpu_set_irq(target, vector, false);
}
