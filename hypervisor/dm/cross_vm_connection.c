/* SPDX-License-Identifier: BSD-3-Clause */
/* Cross-VM connections, seL4's face: the PCI function and its event page. */
#include <asm/page.h>
#include <dm/cross_vm_connection.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/scenario.h>
#include <hv/vm.h>
#include <hv/vm_connections.h>
#include <lib/string.h>

#define VENDOR     0x1AF4U
#define DEVICE     0xA111U
#define CLASS_CODE 0x000500U /* upstream's, which meant 0x050000; drivers do not look */
#define REVISION   1U

#define BAR_EVENT    0U
#define BAR_DATAPORT 1U

#define REG_EMIT    0x00U
#define REG_CONSUME 0x04U
#define REG_NAME    0x08U
#define NAME_SIZE   48U
#define REG_MASK    0xFFU /* registers repeat in the page */

#define MAX_DATAPORT 0x1000000UL

struct function {
	struct vpci_function pci;
	struct spinlock lock; /* the count and the line that follows it */
	struct acrn_vm *vm;   /* NULL: free; pool_lock */
	emit_fn emit;
	void *emit_cookie;
	uint64_t consume_id;
	uint32_t count; /* CONSUME */
	uint8_t *page;  /* the event page in the direct map: guest memory */
};

#define FUNCTIONS (2U * SCN_MAX_CONNECTIONS)
static struct function functions[FUNCTIONS];
static struct spinlock pool_lock = SPINLOCK_INIT;

/* ---- Registers ---- */

/* Lock held. */
static void set_count(struct function *self, uint32_t count, bool inject_irq)
{
	self->count = count;
	arch_guest_access_begin();
	(void)memcpy(self->page + REG_CONSUME, &count, sizeof(count));
	arch_guest_access_end();
	if (inject_irq || (count == 0U)) {
		vpci_set_intx(&self->pci, count != 0U);
	}
}

/* Only while the page is not in the map, or its access was emulated: else reads do not come here. */
static uint64_t page_read(struct vpci_function *fn, uint32_t bar, uint32_t offset, uint32_t size)
{
	const struct function *self = container_of(fn, struct function, pci);
	uint64_t value = 0UL;

	if (bar != BAR_EVENT) {
		return ~0UL;
	}
	arch_guest_access_begin();
	(void)memcpy(&value, self->page + offset, size);
	arch_guest_access_end();
	return value;
}

static void page_write(struct vpci_function *fn, uint32_t bar, uint32_t offset, uint32_t size, uint64_t value)
{
	struct function *self = container_of(fn, struct function, pci);

	if (bar != BAR_EVENT) {
		return;
	}
	switch (offset & REG_MASK) {
	case REG_EMIT:
		if (self->emit != NULL) {
			self->emit(self->emit_cookie);
		} else {
			pr_guest(self->vm->vm_id, 0U, "emits on a connection where it can only wait");
		}
		break;
	case REG_CONSUME:
		spin_lock(&self->lock);
		set_count(self, (uint32_t)value, true);
		spin_unlock(&self->lock);
		break;
	default:
		pr_guest(self->vm->vm_id, 0U, "writes %u bytes at 0x%x of a connection's event page: no register", size,
			offset);
		break;
	}
}

static const struct vpci_ops face_ops = {.read = page_read, .write = page_write};

void consume_connection_event(struct acrn_vm *vm, uint64_t event_id, bool inject_irq)
{
	/* CROSSVM_NO_CONSUME is nobody's id, and that of functions that are just being made. */
	for (uint32_t i = 0U; (i < FUNCTIONS) && (event_id != CROSSVM_NO_CONSUME); i++) {
		struct function *self = &functions[i];

		if ((__atomic_load_n(&self->vm, __ATOMIC_ACQUIRE) == vm) && (self->consume_id == event_id)) {
			spin_lock(&self->lock);
			set_count(self, self->count + 1U, inject_irq);
			spin_unlock(&self->lock);
			return;
		}
	}
}

/* ---- Coming and going ---- */

static bool dataport_is_good(const crossvm_dataport_handle_t *dataport)
{
	return (dataport != NULL) && (dataport->frames != NULL) && (dataport->num_frames > 0) &&
		(dataport->size >= PAGE_SIZE) && (dataport->size <= MAX_DATAPORT) &&
		((dataport->size & (dataport->size - 1UL)) == 0UL) &&
		(dataport->size == (size_t)dataport->num_frames * PAGE_SIZE);
}

static void make_page(struct function *self, const char *name)
{
	arch_guest_access_begin();
	(void)memset(self->page, 0, PAGE_SIZE);
	(void)memcpy(self->page + REG_NAME, name, MIN(strlen(name), (size_t)NAME_SIZE));
	arch_guest_access_end();
}

/* @return a free function, taken for `vm`; NULL: there is none, or no memory for its page */
static struct function *take_function(struct acrn_vm *vm)
{
	struct function *taken = NULL;

	spin_lock(&pool_lock);
	for (uint32_t i = 0U; (i < FUNCTIONS) && (taken == NULL); i++) {
		const hpa_t page = vm_connections_page(i);

		if ((functions[i].vm == NULL) && (page != 0UL)) {
			taken = &functions[i];
			taken->consume_id = CROSSVM_NO_CONSUME;
			taken->page = hpa_to_hva(page);
			__atomic_store_n(&taken->vm, vm, __ATOMIC_RELEASE);
		}
	}
	spin_unlock(&pool_lock);
	return taken;
}

static int add_connection(struct acrn_vm *vm, const crossvm_handle_t *handle, struct vpci *pci, uint32_t gsi)
{
	struct function *self = dataport_is_good(handle->dataport) ? take_function(vm) : NULL;
	struct vpci_bar *bar;

	if (self == NULL) {
		return -1;
	}
	spinlock_init(&self->lock);
	self->emit = handle->emit_fn;
	self->emit_cookie = handle->emit_cookie;
	self->count = 0U;
	make_page(self, (handle->connection_name != NULL) ? handle->connection_name : "connector");
	vpci_function_init(&self->pci, VENDOR, DEVICE, CLASS_CODE, REVISION, true, &face_ops);
	vpci_function_add_bar(&self->pci, BAR_EVENT, PAGE_SIZE, PCI_BAR_MEM32 | PCI_BAR_PREFETCH);
	vpci_function_add_bar(
		&self->pci, BAR_DATAPORT, (uint32_t)handle->dataport->size, PCI_BAR_MEM32 | PCI_BAR_PREFETCH);
	bar = self->pci.bar;
	bar[BAR_EVENT].hpa = hva_to_hpa(self->page);
	bar[BAR_EVENT].access = GPA_READ;
	bar[BAR_DATAPORT].hpa = handle->dataport->frames[0];
	bar[BAR_DATAPORT].access = GPA_READ | GPA_WRITE;
	self->pci.gsi = gsi;
	if (vpci_add(pci, &self->pci) != 0) {
		return -1;
	}
	self->consume_id = handle->consume_id;
	return 0;
}

int cross_vm_connections_init_common(struct acrn_vm *vm, uintptr_t connection_base_addr,
	const crossvm_handle_t *connections, int num_connections, struct vpci *pci, alloc_free_interrupt_fn alloc_irq)
{
	const int gsi = (alloc_irq == NULL) ? 0 : alloc_irq();

	if ((vm == NULL) || (pci == NULL) || (connections == NULL) || (num_connections < 0) || (gsi < 0) ||
		!vpci_set_floor(pci, connection_base_addr)) {
		pr_err("cross-VM connections: bad argument, or 0x%lx is not in the bus's window", connection_base_addr);
		return -1;
	}
	for (int i = 0; i < num_connections; i++) {
		if (add_connection(vm, &connections[i], pci, (uint32_t)gsi) != 0) {
			pr_err("VM%u: no room for its cross-VM connection %d, or no good dataport", vm->vm_id, i);
			return -1;
		}
	}
	return 0;
}

void cross_vm_connections_reset(const struct acrn_vm *vm)
{
	for (uint32_t i = 0U; i < FUNCTIONS; i++) {
		struct function *self = &functions[i];

		if (__atomic_load_n(&self->vm, __ATOMIC_ACQUIRE) == vm) {
			spin_lock(&self->lock);
			set_count(self, 0U, true);
			spin_unlock(&self->lock);
		}
	}
}

void cross_vm_connections_release(const struct acrn_vm *vm)
{
	spin_lock(&pool_lock);
	for (uint32_t i = 0U; i < FUNCTIONS; i++) {
		if (functions[i].vm == vm) {
			functions[i].vm = NULL;
		}
	}
	spin_unlock(&pool_lock);
}
