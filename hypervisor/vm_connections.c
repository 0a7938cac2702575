/* SPDX-License-Identifier: BSD-3-Clause */
/* The scenario's connections on the PCI buses of its VMs. */
#include <asm/page.h>
#include <dm/cross_vm_connection.h>
#include <dm/cross_vm.h>
#include <dm/ivshmem.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/service_bus.h>
#include <hv/vm.h>
#include <hv/vm_connections.h>
#include <lib/errno.h>
#include <lib/string.h>

#define REGISTER_PAGES (2UL * SCN_MAX_CONNECTIONS)
#define LOWEST         0x100000UL
#define SIZE_4G        (4UL << 30U)
#define SMALL_BARS     0x10000UL /* an end's BARs besides the dataport, at most */

static struct cross_vm connections[SCN_MAX_CONNECTIONS];
static struct ivshmem ivshmem[2U * SCN_MAX_CONNECTIONS];
static uint32_t connection_count;
static hpa_t register_pages;
static uint64_t window_size; /* addresses of the Service VM's bus, from register_pages on; 0: it has no end */

/* ---- Memory ---- */

static void set_up(struct cross_vm *conn, const struct scenario_connection *config, hpa_t hpa)
{
	cross_vm_init(conn, config->name, hpa, config->size, config->emits);
	for (uint32_t side = 0U; side < 2U; side++) {
		if (config->vm[side] == SCN_CONNECTION_HV) {
			cross_vm_loop(&conn->end[side]);
		}
	}
}

/* Twice what its ends need, so that each BAR finds a place at a multiple of its size. */
static uint64_t service_window(const struct scenario *scenario)
{
	uint64_t bars = 0UL;

	for (uint32_t i = 0U; i < 2U * scenario->connection_count; i++) {
		const struct scenario_connection *config = &scenario->connection[i / 2U];
		const uint8_t vm = config->vm[i % 2U];

		if ((vm != SCN_CONNECTION_HV) && (scenario->vm[vm].load_order == SCN_SERVICE_VM)) {
			bars += config->size + SMALL_BARS;
		}
	}
	return (bars == 0UL) ? 0UL : SERVICE_BUS_BARS + round_up(2UL * bars, SIZE_2M);
}

void vm_connections_init(const struct scenario *scenario)
{
	uint64_t size = REGISTER_PAGES * PAGE_SIZE;
	hpa_t at;

	connection_count = 0U;
	register_pages = 0UL;
	window_size = 0UL;
	if (scenario->connection_count == 0U) {
		return;
	}
	for (uint32_t i = 0U; i < scenario->connection_count; i++) {
		size += scenario->connection[i].size;
	}
	window_size = service_window(scenario);
	size = MAX(size, window_size);
	at = memory_find_free(size, SIZE_2M, LOWEST, (window_size != 0UL) ? SIZE_4G : UINT64_MAX);
	if (at == INVALID_HPA) {
		pr_err("no %lu KiB of memory for the scenario's connections", size >> 10U);
		return;
	}
	memory_reserve_shared(at, size, "connections");
	arch_guest_access_begin();
	(void)memset(hpa_to_hva(at), 0, size);
	arch_guest_access_end();
	register_pages = at;
	at += REGISTER_PAGES * PAGE_SIZE;
	for (uint32_t i = 0U; i < scenario->connection_count; i++) {
		set_up(&connections[i], &scenario->connection[i], at);
		at += scenario->connection[i].size;
	}
	connection_count = scenario->connection_count;
}

hpa_t vm_connections_window(uint64_t *size)
{
	*size = window_size;
	return (window_size != 0UL) ? register_pages : 0UL;
}

hpa_t vm_connections_page(uint32_t index)
{
	return ((register_pages != 0UL) && (index < REGISTER_PAGES)) ? register_pages + index * PAGE_SIZE : 0UL;
}

/* ---- seL4's face ---- */

/* Connection lock held; the end is plugged, so the VM is there. */
static void event_came(struct cross_vm_end *end, uint32_t vector)
{
	(void)vector;
	consume_connection_event(end->vm, end->arg, true);
}

static void guest_emits(void *end)
{
	cross_vm_emit(end, 0U);
}

/* @param id 2 * index of the connection + side */
static int32_t attach_crossvm(struct acrn_vm *vm, struct cross_vm *conn, uint32_t side, uint32_t id)
{
	struct cross_vm_end *end = &conn->end[side];
	const crossvm_dataport_handle_t dataport = {conn->size, (int)(conn->size / PAGE_SIZE), &conn->hpa};
	const crossvm_handle_t handle = {
		.dataport = &dataport,
		.emit_fn = end->emits ? guest_emits : NULL,
		.emit_cookie = end,
		.consume_id = conn->end[1U - side].emits ? id : CROSSVM_NO_CONSUME,
		.connection_name = conn->name,
	};

	if (cross_vm_connections_init_common(vm, 0UL, &handle, 1, &vm->vpci, NULL) != 0) {
		return -ENOSPC;
	}
	cross_vm_plug(end, vm, event_came, id);
	return 0;
}

/* ---- QEMU's face ---- */

/* Connection lock held. */
static void peer_rang(struct cross_vm_end *end, uint32_t vector)
{
	ivshmem_rung(&ivshmem[end->arg], vector);
}

static void guest_rings(void *end, uint32_t vector)
{
	cross_vm_emit(end, vector);
}

/* @param id 2 * index of the connection + side */
static int32_t attach_ivshmem(struct acrn_vm *vm, struct cross_vm *conn, uint32_t side, uint32_t id)
{
	struct cross_vm_end *end = &conn->end[side];
	struct ivshmem *self = &ivshmem[id];
	int32_t ret;

	self->position = side;
	self->has_intx = vm_is_service(vm); /* its firmware says "no MSI" */
	self->ring = end->emits ? guest_rings : NULL;
	self->cookie = end;
	ret = ivshmem_attach(self, &vm->vpci, conn->hpa, conn->size);
	if (ret == 0) {
		cross_vm_plug(end, vm, peer_rang, id);
	}
	return ret;
}

/* ---- All ---- */

/* Gives the VM the end as the function that the connection's type names. */
static int32_t attach_end(struct acrn_vm *vm, const struct scenario_connection *config, uint32_t id)
{
	struct cross_vm *conn = &connections[id / 2U];

	if (id / 2U >= connection_count) {
		return -ENOSPC;
	}
	switch (config->type) {
	case SCN_CONNECTION_CROSSVM:
		return attach_crossvm(vm, conn, id % 2U, id);
	case SCN_CONNECTION_IVSHMEM:
		return attach_ivshmem(vm, conn, id % 2U, id);
	default:
		return -EINVAL;
	}
}

bool vm_connections_any(const struct acrn_vm *vm)
{
	const struct scenario *scn = vm_scenario();

	for (uint32_t i = 0U; (scn != NULL) && (i < 2U * scn->connection_count); i++) {
		if (scn->connection[i / 2U].vm[i % 2U] == vm->vm_id) {
			return true;
		}
	}
	return false;
}

int32_t vm_connections_attach(struct acrn_vm *vm)
{
	const struct scenario *scn = vm_scenario();
	int32_t ret = 0;

	for (uint32_t i = 0U; (scn != NULL) && (i < 2U * scn->connection_count) && (ret == 0); i++) {
		const struct scenario_connection *config = &scn->connection[i / 2U];
		if (config->vm[i % 2U] != vm->vm_id) {
			continue;
		}
		ret = attach_end(vm, config, i);
		if (ret != 0) {
			pr_err("VM%u '%s': no room for its connection '%s'", vm->vm_id, vm->name, config->name);
		}
	}
	return ret;
}

void vm_connections_reset(struct acrn_vm *vm)
{
	for (uint32_t i = 0U; i < 2U * connection_count; i++) {
		const struct cross_vm_end *end = &connections[i / 2U].end[i % 2U];

		if ((end->vm == vm) && (end->event == peer_rang)) {
			ivshmem_reset(&ivshmem[i]);
		}
	}
	cross_vm_connections_reset(vm);
}

void vm_connections_detach(struct acrn_vm *vm)
{
	for (uint32_t i = 0U; i < 2U * connection_count; i++) {
		struct cross_vm_end *end = &connections[i / 2U].end[i % 2U];

		if (end->vm == vm) {
			cross_vm_unplug(end);
		}
	}
	cross_vm_connections_release(vm);
}
