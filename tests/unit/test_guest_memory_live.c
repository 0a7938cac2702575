/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hypervisor/guest_memory.c while the VM runs: what is made, freed and mapped then, by callbacks too, and by one host
 * thread while others, which are the VM's vCPUs, use it.
 *
 * MAP_CHANGES in the environment: changes made under the vCPUs, and callbacks, at the least; 3000 if nothing is said.
 * stress/map makes more.
 */
#include <unit.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <fake.h>
#include <hv/arch.h>
#include <hv/guest_memory.h>
#include <hv/ioreq.h>
#include <hv/vm.h>
#include <lib/errno.h>

#define AT     0xD0000000UL
#define SIZE   0x1000UL
#define PLACES 24U
#define VCPUS  3U
#define MAGIC  0x600DC00C1EUL

static struct acrn_vm *vm;
static vm_memory_reservation_t *reserved[PLACES];
static uint32_t calls;

static void setup(uint16_t vcpus)
{
	static const uint16_t affinity[VCPUS] = {0U, 1U, 2U};

	fake_machine();
	fake_scenario.vm[1].unhandled_port = SCN_PORT_IGNORE;
	vm = vm_by_id(1U);
	EXPECT_EQ(vm_create(vm, affinity, vcpus), 0);
	EXPECT_EQ(vm_start(vm), 0);
	memset(reserved, 0, sizeof(reserved));
	calls = 0U;
}

static int32_t access(struct acrn_vcpu *vcpu, uint32_t direction, gpa_t addr)
{
	int32_t ret;

	vcpu->req.type = REQ_MMIO;
	vcpu->req.reqs.mmio = (struct mmio_request){.direction = direction, .address = addr, .size = 4UL};
	vcpu_map_begin(vcpu);
	ret = emulate_io(vcpu, &vcpu->req);
	vcpu_map_end(vcpu);
	return ret;
}

static hpa_t page(uint32_t index)
{
	return (hpa_t)fake_ram + (index * SIZE);
}

/* ---- One thread ---- */

/* Maps the page that it is called for, for a read what may be read only. */
static memory_fault_result_t on_touch(struct acrn_vm *v, struct acrn_vcpu *c, gpa_t addr, size_t size, void *cookie)
{
	vm_memory_reservation_t *const *r = cookie;
	const bool is_write = (c->req.reqs.mmio.direction == REQUEST_WRITE);
	const uint64_t offset = (addr & ~(SIZE - 1UL)) - (*r)->start;
	int32_t ret;

	(void)size;
	calls++;
	if (!spin_try_lock(&v->lock)) {
		return FAULT_RESTART;
	}
	ret = vm_map_reservation(v, *r, offset, page(1U) + offset, SIZE, is_write ? GPA_READ | GPA_WRITE : GPA_READ);
	spin_unlock(&v->lock);
	return (ret == 0) ? FAULT_RESTART : FAULT_ERROR;
}

TEST(reservation_callback_maps_what_it_was_called_for)
{
	uint32_t rights = 0U;

	setup(1U);
	reserved[0] = vm_reserve_memory_at(vm, AT, 2UL * SIZE, on_touch, &reserved[0]);
	EXPECT(reserved[0] != NULL);
	EXPECT_EQ(access(&vm->vcpus[0], REQUEST_READ, AT + SIZE + 8UL), -EAGAIN);
	EXPECT_EQ(arch_gpa_to_hpa(vm, AT + SIZE, NULL, &rights), page(2U));
	EXPECT_EQ(rights, GPA_READ);
	EXPECT_EQ(access(&vm->vcpus[0], REQUEST_WRITE, AT + SIZE + 8UL), -EAGAIN);
	EXPECT_EQ(arch_gpa_to_hpa(vm, AT + SIZE, NULL, &rights), page(2U));
	EXPECT_EQ(rights, GPA_READ | GPA_WRITE);
	EXPECT_EQ(arch_gpa_to_hpa(vm, AT, NULL, NULL), INVALID_HPA);
	EXPECT(strstr(fake_log, "fails") == NULL); /* to be executed again is not a failure */

	/* Somebody else is at it: the guest comes again. */
	spin_lock(&vm->lock);
	EXPECT_EQ(vm_unmap_reservation(vm, reserved[0], SIZE, SIZE), 0);
	EXPECT_EQ(access(&vm->vcpus[0], REQUEST_READ, AT + SIZE), -EAGAIN);
	EXPECT_EQ(arch_gpa_to_hpa(vm, AT + SIZE, NULL, NULL), INVALID_HPA);
	spin_unlock(&vm->lock);
	EXPECT_EQ(calls, 3U);
	fake_machine_end();
}

/* Takes itself away: from then on nobody has the place. */
static memory_fault_result_t once(struct acrn_vm *v, struct acrn_vcpu *c, gpa_t addr, size_t size, void *cookie)
{
	(void)c;
	(void)addr;
	(void)size;
	(void)cookie;
	calls++;
	spin_lock(&v->lock);
	EXPECT_EQ(vm_free_reserved_memory(v, reserved[1]), 0);
	spin_unlock(&v->lock);
	return FAULT_RESTART;
}

TEST(reservation_changes_while_the_vm_runs)
{
	struct acrn_vcpu *vcpu;
	uint32_t flushes;

	setup(1U);
	vcpu = &vm->vcpus[0];
	flushes = vm->arch.flushes;
	reserved[0] = vm_reserve_memory_at(vm, AT, SIZE, on_touch, &reserved[0]);
	EXPECT_EQ(vm->arch.flushes, flushes + 1U);
	EXPECT_EQ(vm_map_reservation(vm, reserved[0], 0UL, page(3U), SIZE, GPA_RWX), 0);
	EXPECT_EQ(vm->arch.flushes, flushes + 2U);
	EXPECT_EQ(vm_unmap_reservation(vm, reserved[0], 0UL, SIZE + 1UL), -1);
	EXPECT_EQ(vm_unmap_reservation(vm, reserved[0], 0UL, SIZE), 0);
	EXPECT_EQ(vm->arch.flushes, flushes + 3U);
	EXPECT_EQ(access(vcpu, REQUEST_READ, AT), -EAGAIN);
	EXPECT_EQ(vm_free_reserved_memory(vm, reserved[0]), 0);
	EXPECT_EQ(arch_gpa_to_hpa(vm, AT, NULL, NULL), INVALID_HPA);
	EXPECT_EQ(vm_map_reservation(vm, reserved[0], 0UL, page(3U), SIZE, GPA_RWX), -1); /* it is no more */
	EXPECT_EQ(access(vcpu, REQUEST_READ, AT), 0);                                      /* the hint is not either */
	EXPECT_EQ(calls, 1U);

	reserved[1] = vm_reserve_memory_at(vm, AT, SIZE, once, NULL);
	EXPECT_EQ(access(vcpu, REQUEST_READ, AT), -EAGAIN);
	EXPECT_EQ(access(vcpu, REQUEST_READ, AT), 0);
	EXPECT_EQ(calls, 2U);

	/* Hypercalls of the Service VM's vCPUs wait for other VMs': nobody may wait for them. */
	EXPECT(vm_reserve_memory_at(vm_service(), AT, SIZE, once, NULL) == NULL);
	EXPECT(strstr(fake_log, "cannot be reserved: the Service VM runs") != NULL);
	fake_machine_end();
}

TEST(reservation_that_cannot_be_unmapped_is_not_made)
{
	uint32_t n = 0U;

	setup(1U);
	/* A hole in each leaves two, until there is no room for them. */
	while (arch_gpa_map(vm, AT + (n * 4UL * SIZE), page(0U), 3UL * SIZE, GPA_RWX, GPA_TYPE_WB) == 0) {
		n++;
	}
	EXPECT(vm_reserve_memory_at(vm, AT + SIZE, SIZE, on_touch, NULL) == NULL);
	EXPECT(!vm_memory_is_reserved(vm, AT + SIZE, SIZE));
	EXPECT_EQ(access(&vm->vcpus[0], REQUEST_READ, AT + SIZE), 0);
	EXPECT_EQ(calls, 0U);
	EXPECT_EQ(arch_gpa_unmap(vm, AT, n * 4UL * SIZE), 0);
	EXPECT(vm_reserve_memory_at(vm, AT + SIZE, SIZE, on_touch, &reserved[0]) != NULL);
	fake_machine_end();
}

TEST(reservation_over_what_a_device_model_mapped_is_refused)
{
	setup(1U);
	EXPECT_EQ(arch_gpa_map(vm, AT, page(0U), SIZE, GPA_RWX, GPA_TYPE_WB), 0);
	vm->mapped_bytes = SIZE;
	EXPECT(vm_reserve_memory_at(vm, AT + SIZE - 4UL, 8UL, on_touch, NULL) == NULL);
	EXPECT(strstr(fake_log, "overlaps RAM") != NULL);
	EXPECT(vm_reserve_memory_at(vm, AT + SIZE, 8UL, on_touch, NULL) != NULL);
	fake_machine_end();
}

/* ---- Several ---- */

/* Freed as soon as its reservation is: who uses it then is found by the sanitizer. */
struct cookie {
	uint64_t magic;
	gpa_t addr;
};

static struct cookie *cookies[PLACES];
static uint64_t turns; /* atomic */
static bool over;      /* atomic */

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8U;
}

static memory_fault_result_t changing(struct acrn_vm *v, struct acrn_vcpu *c, gpa_t addr, size_t size, void *cookie);

/* vm->lock held: the place is taken, given back, or has something mapped or unmapped. */
static void change(uint32_t place, uint32_t what)
{
	if (reserved[place] == NULL) {
		struct cookie *fresh = malloc(sizeof(*fresh));

		*fresh = (struct cookie){MAGIC, AT + (place * SIZE)};
		cookies[place] = fresh;
		reserved[place] = vm_reserve_memory_at(vm, fresh->addr, SIZE, changing, fresh);
		EXPECT(reserved[place] != NULL);
	} else if ((what & 3U) == 0U) {
		EXPECT_EQ(vm_free_reserved_memory(vm, reserved[place]), 0);
		reserved[place] = NULL;
		cookies[place]->magic = 0UL;
		free(cookies[place]);
	} else if ((what & 3U) == 1U) {
		EXPECT_EQ(vm_unmap_reservation(vm, reserved[place], 0UL, SIZE), 0);
	} else {
		EXPECT_EQ(vm_map_reservation(vm, reserved[place], 0UL, page(place), SIZE, GPA_RWX), 0);
	}
}

/* Now and then it changes something itself: its own place, or another. */
static memory_fault_result_t changing(struct acrn_vm *v, struct acrn_vcpu *c, gpa_t addr, size_t size, void *cookie)
{
	const struct cookie *mine = cookie;
	const uint64_t turn = __atomic_add_fetch(&turns, 1UL, __ATOMIC_RELAXED);
	uint32_t random = (uint32_t)turn ^ c->vcpu_id;

	(void)size;
	EXPECT_EQ(mine->magic, MAGIC);
	EXPECT_EQ(mine->addr, addr & ~(SIZE - 1UL));
	if (((next_random(&random) & 7U) != 0U) || !spin_try_lock(&v->lock)) {
		return FAULT_RESTART;
	}
	change(next_random(&random) % PLACES, next_random(&random));
	spin_unlock(&v->lock);
	return FAULT_RESTART;
}

static void *vcpu_thread(void *arg)
{
	struct acrn_vcpu *vcpu = arg;
	uint32_t random = vcpu->vcpu_id;

	fake_cpu_id = vcpu->pcpu_id;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		const gpa_t addr = AT + ((next_random(&random) % PLACES) * SIZE);
		const int32_t ret = access(vcpu, REQUEST_READ, addr);

		EXPECT((ret == -EAGAIN) || (ret == 0)); /* somebody answered, or nobody had it */
	}
	return NULL;
}

TEST(map_live_changes_under_all_vcpus)
{
	const char *wanted = getenv("MAP_CHANGES");
	const uint64_t changes = (wanted != NULL) ? strtoull(wanted, NULL, 10) : 3000UL;
	pthread_t host[VCPUS];
	uint32_t random = 1U;

	setup((uint16_t)VCPUS);
	turns = 0UL;
	over = false;
	fake_threads = true;
	for (uint32_t i = 0U; i < VCPUS; i++) {
		pthread_create(&host[i], NULL, vcpu_thread, &vm->vcpus[i]);
	}
	fake_cpu_id = 3U;
	for (uint64_t i = 0UL; (i < changes) || (__atomic_load_n(&turns, __ATOMIC_RELAXED) < changes); i++) {
		spin_lock(&vm->lock);
		change(next_random(&random) % PLACES, next_random(&random));
		spin_unlock(&vm->lock);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	for (uint32_t i = 0U; i < VCPUS; i++) {
		pthread_join(host[i], NULL);
	}
	fake_threads = false;
	fake_cpu_id = 0U;
	for (uint32_t i = 0U; i < PLACES; i++) {
		if (reserved[i] != NULL) {
			free(cookies[i]);
		}
	}
	fake_machine_end();
}
