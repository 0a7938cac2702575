/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/vhm.c and the end of ioreq.c: the slot protocol against a Service VM that keeps it, and one that doesn't.
 */
#include <unit.h>

#include <string.h>

#include <fake.h>
#include <hv/ioreq.h>
#include <hv/stats.h>
#include <hv/trace.h>
#include <hv/vhm.h>
#include <hv/vm.h>
#include <lib/bits.h>
#include <lib/errno.h>

static struct acrn_vm *vm;
static struct acrn_vcpu *vcpu;
static struct vhm_request *slot;

static void setup(bool polling)
{
	const uint16_t affinity[2] = {1U, 2U};

	fake_machine();
	vm = vm_by_id(1U);
	EXPECT_EQ(vm_create(vm, affinity, 2U), 0);
	vm->io_polling = polling;
	vhm_set_page(vm, (hpa_t)fake_ram + 0x5000UL);
	vcpu = &vm->vcpus[1];
	slot = &vm->ioreq_buf->req_queue[1];
}

static int32_t pio(uint32_t dir, uint64_t port, uint64_t size, uint32_t val)
{
	vcpu->req.type = REQ_PORTIO;
	memset(&vcpu->req.reqs, 0, sizeof(vcpu->req.reqs));
	vcpu->req.reqs.pio.direction = dir;
	vcpu->req.reqs.pio.address = port;
	vcpu->req.reqs.pio.size = size;
	vcpu->req.reqs.pio.value = val;
	return emulate_io(vcpu, &vcpu->req);
}

static void answer(uint32_t val)
{
	slot->processed = REQ_STATE_PROCESSING;
	slot->reqs.pio.value = val;
	slot->processed = REQ_STATE_COMPLETE;
}

TEST(vhm_zeroed_page_is_made_free_before_anyone_looks)
{
	setup(false);
	memset(vm->ioreq_buf, 0, 4096); /* all PENDING */
	EXPECT_EQ(get_vhm_req_state(vm, 3U), REQ_STATE_PENDING);
	memset(&slot->reqs, 0x77, sizeof(slot->reqs));
	reset_vm_ioreqs(vm);
	for (uint16_t i = 0U; i < VHM_REQUEST_MAX; i++) {
		EXPECT_EQ(get_vhm_req_state(vm, i), REQ_STATE_FREE);
	}
	EXPECT_EQ(slot->reqs.reserved1[3], 0);
	EXPECT_EQ(get_vhm_req_state(vm, VHM_REQUEST_MAX), REQ_STATE_FREE); /* no such slot */
	set_vhm_req_state(vm, VHM_REQUEST_MAX, 0U);
	set_vhm_req_state(vm, 0xFFFFU, 0U);
	fake_machine_end();
}

TEST(vhm_no_page)
{
	setup(false);
	vhm_set_page(vm, 0UL);
	EXPECT_EQ(get_vhm_req_state(vm, 0U), REQ_STATE_FREE);
	set_vhm_req_state(vm, 0U, REQ_STATE_COMPLETE);
	reset_vm_ioreqs(vm);
	EXPECT_EQ(acrn_insert_request_wait(vcpu, &vcpu->req), -ENODEV);
	EXPECT(pio(REQUEST_READ, 0x80U, 1U, 0U) < 0);
	EXPECT(vm->stop_requested);
	EXPECT(strstr(vm->stop_reason, "no request page") != NULL);
	fake_machine_end();
}

TEST(vhm_read_request_and_its_answer)
{
	setup(false);
	EXPECT_EQ(pio(REQUEST_READ, 0x1234U, 2U, 0xFFFFFFFFU), IOREQ_PENDING);
	EXPECT_EQ(vcpu->io_state, IO_PENDING);
	EXPECT_EQ(slot->processed, REQ_STATE_PENDING);
	EXPECT_EQ(slot->type, REQ_PORTIO);
	EXPECT_EQ(slot->reqs.pio.address, 0x1234U);
	EXPECT_EQ(slot->reqs.pio.size, 2U);
	EXPECT_EQ(slot->reqs.pio.direction, REQUEST_READ);
	EXPECT_EQ(slot->completion_polling, 0U);
	/* The upcall: vector 0xF3 in the Service VM's vCPU 0. */
	EXPECT_EQ(vm_service()->vcpus[0].arch.irr[3], 1UL << (0xF3U - 192U));
	emulate_io_post(vcpu); /* nothing yet */
	EXPECT_EQ(vcpu->io_state, IO_PENDING);
	EXPECT_EQ(vhm_poll_request(vcpu), -EAGAIN);
	slot->processed = REQ_STATE_PROCESSING;
	EXPECT_EQ(vhm_poll_request(vcpu), -EAGAIN);
	vcpu->arch.rax = 0x1111222233334444UL;
	answer(0xDEADBEEFU);
	emulate_io_post(vcpu);
	EXPECT_EQ(vcpu->io_state, IO_NONE);
	EXPECT_EQ(slot->processed, REQ_STATE_FREE);
	EXPECT_EQ(vcpu->arch.pio_posts, 1U);
	EXPECT_EQ(vcpu->arch.rax, 0x111122223333BEEFUL); /* masked and merged */
	emulate_io_post(vcpu); /* once only */
	EXPECT_EQ(vcpu->arch.pio_posts, 1U);
	fake_machine_end();
}

TEST(vhm_four_byte_in_clears_the_upper_half)
{
	setup(false);
	EXPECT_EQ(pio(REQUEST_READ, 0x1234U, 4U, 0U), IOREQ_PENDING);
	vcpu->arch.rax = UINT64_MAX;
	answer(0x80000001U);
	emulate_io_post(vcpu);
	EXPECT_EQ(vcpu->arch.rax, 0x80000001UL);
	fake_machine_end();
}

TEST(vhm_polling_flag_is_written_each_time)
{
	setup(true);
	EXPECT_EQ(pio(REQUEST_WRITE, 0x80U, 1U, 0x1FFU), IOREQ_PENDING);
	EXPECT_EQ(slot->completion_polling, 1U);
	EXPECT_EQ(slot->reqs.pio.value, 0xFFU); /* masked to the width */
	answer(0U);
	emulate_io_post(vcpu);
	vm->io_polling = false;
	EXPECT_EQ(pio(REQUEST_WRITE, 0x80U, 1U, 1U), IOREQ_PENDING);
	EXPECT_EQ(slot->completion_polling, 0U);
	fake_machine_end();
}

TEST(vhm_pending_to_complete_directly_is_legal)
{
	setup(false);
	EXPECT_EQ(pio(REQUEST_READ, 0xCF8U, 4U, 0U), IOREQ_PENDING);
	slot->reqs.pio.value = 5U;
	slot->processed = REQ_STATE_COMPLETE;
	EXPECT_EQ(vhm_poll_request(vcpu), 0);
	EXPECT_EQ(vcpu->req.reqs.pio.value, 5U);
	EXPECT_EQ(vcpu->io_state, IO_DONE);
	EXPECT_EQ(vhm_poll_request(vcpu), -EIO); /* there is nothing to poll any more */
	fake_machine_end();
}

/* What the other side writes elsewhere in the slot does not matter: the type stays, so do size and direction. */
TEST(vhm_only_the_value_is_taken_from_the_slot)
{
	setup(false);
	EXPECT_EQ(pio(REQUEST_READ, 0xCFCU, 2U, 0U), IOREQ_PENDING);
	slot->type = REQ_PCICFG; /* as Linux does */
	memset(&slot->reqs, 0xAA, sizeof(slot->reqs));
	answer(0x12345678U);
	slot->reqs.pio.size = 4UL;
	vcpu->arch.rax = 0UL;
	emulate_io_post(vcpu);
	EXPECT_EQ(vcpu->arch.rax, 0x5678UL);
	EXPECT_EQ(vcpu->arch.mmio_posts, 0U);
	EXPECT_EQ(vcpu->req.reqs.pio.size, 2UL);
	fake_machine_end();
}

TEST(vhm_a_write_takes_nothing_back)
{
	setup(false);
	EXPECT_EQ(pio(REQUEST_WRITE, 0x80U, 4U, 0x11U), IOREQ_PENDING);
	answer(0x99U);
	EXPECT_EQ(vhm_poll_request(vcpu), 0);
	EXPECT_EQ(vcpu->req.reqs.pio.value, 0x11U);
	fake_machine_end();
}

TEST(vhm_mmio_request)
{
	setup(false);
	vcpu->req.type = REQ_MMIO;
	vcpu->req.reqs.mmio = (struct mmio_request){REQUEST_READ, 0U, 0xD0000000UL, 8UL, 0UL};
	EXPECT_EQ(emulate_io(vcpu, &vcpu->req), IOREQ_PENDING);
	EXPECT_EQ(slot->type, REQ_MMIO);
	slot->reqs.mmio.value = 0x0102030405060708UL;
	slot->processed = REQ_STATE_COMPLETE;
	emulate_io_post(vcpu);
	EXPECT_EQ(vcpu->arch.mmio_posts, 1U);
	EXPECT_EQ(vcpu->arch.mmio_value, 0x0102030405060708UL);
	fake_machine_end();
}

TEST(vhm_slot_that_is_not_free_stops_that_vm_only)
{
	setup(false);
	for (uint32_t state = 0U; state < 6U; state++) {
		if (state == REQ_STATE_FREE) {
			continue;
		}
		slot->processed = state;
		EXPECT_EQ(pio(REQUEST_READ, 0x80U, 1U, 0U), -EFAULT);
		EXPECT(vm->stop_requested);
		EXPECT(strstr(vm->stop_reason, "not free") != NULL);
		/* The device model is told through the same slot. */
		EXPECT_EQ(slot->processed, REQ_STATE_PENDING);
		EXPECT_EQ(slot->reqs.pio.address, VHM_PM1_CONTROL_PORT);
		EXPECT_EQ(slot->reqs.pio.value, VHM_PM1_FAULT);
		EXPECT_EQ(vm_pause(vm), 0);
		EXPECT_EQ(vm_reset(vm), 0);
	}
	fake_machine_end();
}

TEST(vhm_illegal_transitions)
{
	static const uint32_t bad[] = {REQ_STATE_FREE, 4U, 0x80000001U, UINT32_MAX};
	const uint64_t refused = hv_counters.requests_refused;

	setup(false);
	for (uint32_t i = 0U; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(pio(REQUEST_READ, 0x80U, 1U, 0U), IOREQ_PENDING);
		slot->processed = bad[i];
		EXPECT_EQ(vhm_poll_request(vcpu), -EIO);
		EXPECT_EQ(vcpu->io_state, IO_NONE);
		EXPECT_EQ(slot->processed, REQ_STATE_FREE);
	}
	/* Backwards: PROCESSING, then PENDING again. */
	EXPECT_EQ(pio(REQUEST_READ, 0x80U, 1U, 0U), IOREQ_PENDING);
	slot->processed = REQ_STATE_PROCESSING;
	EXPECT_EQ(vhm_poll_request(vcpu), -EAGAIN);
	slot->processed = REQ_STATE_PENDING;
	EXPECT_EQ(vhm_poll_request(vcpu), -EIO);
	EXPECT_EQ(hv_counters.requests_refused - refused, 5U);
	fake_machine_end();
}

TEST(vhm_upcall_goes_to_the_chosen_vcpu)
{
	setup(false);
	vhm_set_upcall(0x45U, 1U);
	EXPECT_EQ(vm_service()->vcpus[1].state, VCPU_INIT);
	vhm_fire_upcall(); /* it does not run yet: vCPU 0 */
	EXPECT_EQ(vm_service()->vcpus[0].arch.irr[1], 1UL << 5U);
	vm_service()->vcpus[1].state = VCPU_RUNNING;
	vhm_fire_upcall();
	EXPECT_EQ(vm_service()->vcpus[1].arch.irr[1], 1UL << 5U);
	vm_service()->vcpus[0].arch.irr[1] = 0U;
	vhm_set_upcall(0x45U, 77U);
	vhm_fire_upcall(); /* there is none: vCPU 0 again */
	EXPECT_EQ(vm_service()->vcpus[0].arch.irr[1], 1UL << 5U);
	vhm_set_upcall(ACRN_UPCALL_VECTOR, 0U);
	fake_machine_end();
}

TEST(vhm_no_upcall_while_somebody_looks)
{
	const uint64_t f3 = 1UL << (0xF3U - 192U);
	uint32_t *off;
	uint64_t *irr;

	setup(false);
	off = &vm->ioreq_buf->req_queue[0].upcall_off; /* slot 0's, whoever asks */
	irr = &vm_service()->vcpus[0].arch.irr[3];
	*off = 1U;
	EXPECT_EQ(pio(REQUEST_READ, 0x80U, 1U, 0U), IOREQ_PENDING);
	EXPECT_EQ(slot->processed, REQ_STATE_PENDING);
	EXPECT_EQ(*irr & f3, 0U);
	answer(1U);
	emulate_io_post(vcpu);
	EXPECT_EQ(*off, 1U); /* the hypervisor leaves it alone */
	*off = 0U;
	EXPECT_EQ(pio(REQUEST_READ, 0x80U, 1U, 0U), IOREQ_PENDING);
	EXPECT_EQ(*irr & f3, f3);
	/* A new page or a reset begins with upcalls. */
	*off = 1U;
	reset_vm_ioreqs(vcpu->vm);
	EXPECT_EQ(*off, 0U);
	fake_machine_end();
}

TEST(vhm_a_fault_is_not_told_while_the_slot_is_in_use)
{
	setup(false);
	EXPECT_EQ(pio(REQUEST_READ, 0x80U, 1U, 0U), IOREQ_PENDING);
	EXPECT(!vhm_send_power_off(vcpu));
	EXPECT_EQ(slot->reqs.pio.address, 0x80UL);
	answer(0U);
	emulate_io_post(vcpu);
	EXPECT(vhm_send_reset(vcpu));
	EXPECT_EQ(slot->reqs.pio.address, VHM_RESET_PORT);
	fake_machine_end();
}

/* Each state once, however often the slot is looked at; the answer's value with the last. */
TEST(vhm_states_are_traced)
{
	struct trace_dump dump;
	char line[TRACE_LINE];
	uint32_t seen = 0U;

	setup(false);
	EXPECT_EQ(trace_start(BIT(TRACE_IO >> 4U)), 0);
	trace_clear();
	EXPECT_EQ(pio(REQUEST_READ, 0x1234U, 2U, 0U), IOREQ_PENDING);
	EXPECT_EQ(vhm_poll_request(vcpu), -EAGAIN);
	slot->processed = REQ_STATE_PROCESSING;
	EXPECT_EQ(vhm_poll_request(vcpu), -EAGAIN);
	EXPECT_EQ(vhm_poll_request(vcpu), -EAGAIN);
	answer(0xBEEFU);
	emulate_io_post(vcpu);
	vcpu->req.type = REQ_MMIO;
	vcpu->req.reqs.mmio = (struct mmio_request){REQUEST_WRITE, 0U, 0xD0000000UL, 8UL, 0x77UL};
	EXPECT_EQ(emulate_io(vcpu, &vcpu->req), IOREQ_PENDING);
	answer(0U);
	EXPECT_EQ(vhm_poll_request(vcpu), 0);
	EXPECT_EQ(vcpu->req.reqs.mmio.value, 0x77UL);
	trace_dump_begin(&dump, 0UL);
	while (trace_dump_line(&dump, line)) {
		/* @t cpu n tsc id who arg a b: arg is state, type, size, write */
		static const char *const wanted[] = {
			" 20 0101 200 1234 0 ", " 20 0101 202 1234 0 ", " 20 0101 201 1234 beef ",
			" 20 0101 10810 d0000000 77 ", " 20 0101 10811 d0000000 77 "};

		if ((seen < ARRAY_SIZE(wanted)) && (strstr(line, wanted[seen]) != NULL)) {
			seen++;
		}
	}
	EXPECT_EQ(seen, 5U);
	fake_machine_end();
}

/* An enemy writes anything anywhere between any two steps. */
TEST(vhm_random_enemy)
{
	setup(false);
	for (uint32_t i = 0U; i < 20000U; i++) {
		uint32_t *words = (uint32_t *)(void *)vm->ioreq_buf;

		for (uint64_t n = unit_rand64() % 8UL; n > 0UL; n--) {
			words[unit_rand64() % 1024UL] =
				(uint32_t)(unit_rand64() & ((unit_rand64() & 1UL) ? 3UL : ~0UL));
		}
		switch (unit_rand64() % 4UL) {
		case 0:
			if (vcpu->io_state == IO_NONE) {
				(void)pio((uint32_t)(unit_rand64() & 1UL), 0x100UL, 4UL, 1U);
			}
			break;
		case 1:
			emulate_io_post(vcpu);
			break;
		case 2:
			if (vcpu->io_state == IO_PENDING) {
				(void)vhm_poll_request(vcpu);
			}
			break;
		default:
			if (vm->stop_requested || ((unit_rand64() & 15UL) == 0UL)) {
				EXPECT_EQ(vm_pause(vm), 0);
				EXPECT_EQ(vm_reset(vm), 0);
				EXPECT_EQ(get_vhm_req_state(vm, 1U), REQ_STATE_FREE);
				EXPECT_EQ(vcpu->io_state, IO_NONE);
			}
			break;
		}
		fake_log[0] = '\0';
	}
	EXPECT(!vm_service()->stop_requested);
	fake_machine_end();
}
