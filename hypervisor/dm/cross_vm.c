/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections: who is at their ends, and events from one to the other. */
#include <dm/cross_vm.h>

static struct cross_vm_end *other(struct cross_vm_end *end)
{
	return &end->conn->end[(end == &end->conn->end[0]) ? 1U : 0U];
}

/* Connection lock held. */
static void send(struct cross_vm_end *from, uint32_t vector)
{
	struct cross_vm_end *to = other(from);

	from->emitted++;
	if (to->event != NULL) {
		to->event(to, vector);
	}
}

static void send_back(struct cross_vm_end *end, uint32_t vector)
{
	if (end->emits) {
		send(end, vector);
	}
}

void cross_vm_init(struct cross_vm *conn, const char *name, hpa_t hpa, uint32_t size, const bool emits[2])
{
	spinlock_init(&conn->lock);
	conn->name = name;
	conn->hpa = hpa;
	conn->size = size;
	for (uint32_t i = 0U; i < 2U; i++) {
		conn->end[i] = (struct cross_vm_end){.conn = conn, .emits = emits[i]};
	}
}

void cross_vm_loop(struct cross_vm_end *end)
{
	end->event = send_back;
}

void cross_vm_plug(struct cross_vm_end *end, struct acrn_vm *vm, cross_vm_event_fn event, uint64_t arg)
{
	spin_lock(&end->conn->lock);
	end->vm = vm;
	end->arg = arg;
	end->event = event;
	spin_unlock(&end->conn->lock);
}

void cross_vm_unplug(struct cross_vm_end *end)
{
	spin_lock(&end->conn->lock);
	end->vm = NULL;
	end->event = NULL;
	spin_unlock(&end->conn->lock);
}

void cross_vm_emit(struct cross_vm_end *end, uint32_t vector)
{
	spin_lock(&end->conn->lock);
	send(end, vector);
	spin_unlock(&end->conn->lock);
}
