/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of a User VM's devices: who answers which port and which address. */
#include "device.h"

#include <lib/string.h>

static char *put_text(char *p, const char *end, const char *text)
{
	while (*text != '\0' && p < end) {
		*p++ = *text++;
	}
	return p;
}

static char *put_hex(char *p, const char *end, uint64_t value)
{
	char digits[16];
	uint32_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value & 0xFU];
		value >>= 4U;
	} while (value != 0UL);
	p = put_text(p, end, "0x");
	while (n > 0U && p < end) {
		*p++ = digits[--n];
	}
	return p;
}

void dm_log_hex(struct dm_vm *vm, const char *text, uint64_t a, const char *name_b, uint64_t b)
{
	char line[160];
	char *p = line;
	const char *end = line + sizeof(line) - 1;

	p = put_text(p, end, text);
	p = put_hex(p, end, a);
	if (name_b != NULL) {
		p = put_text(p, end, name_b);
		p = put_hex(p, end, b);
	}
	*p = '\0';
	vm->ops->log(vm->ctx, line);
}

const char *dm_end_name(enum dm_end end)
{
	switch (end) {
	case DM_END_POWEROFF:
		return "power-off";
	case DM_END_REBOOT:
		return "reboot";
	case DM_END_CRASH:
		return "crash";
	case DM_END_PANIC:
		return "panic";
	case DM_END_EXIT:
		return "exit code";
	case DM_END_NONE:
		break;
	}
	return "running";
}

int dm_range_add(
	struct dm_vm *vm, enum dm_space space, uint64_t first, uint64_t last, dm_access_fn fn, const char *name)
{
	if (vm->range_count == DM_RANGES_MAX || first > last) {
		vm->ops->log(vm->ctx, "device table is full");
		return -1;
	}
	for (uint32_t i = 0; i < vm->range_count; i++) {
		const struct dm_range *r = &vm->ranges[i];

		if (r->space == space && first <= r->last && r->first <= last) {
			vm->ops->log(vm->ctx, "two devices claim one address:");
			vm->ops->log(vm->ctx, r->name);
			vm->ops->log(vm->ctx, name);
			return -1;
		}
	}
	vm->ranges[vm->range_count++] =
		(struct dm_range){.space = space, .first = first, .last = last, .fn = fn, .name = name};
	return 0;
}

/* Writes to it are delays of old software; there is nothing to do. */
static void post_access(struct dm_vm *vm, struct dm_access *access)
{
	(void)vm;
	if (!access->write) {
		access->value = dm_size_mask(access->size);
	}
}

void dm_vm_init(struct dm_vm *vm, const struct dm_host_ops *ops, void *ctx, uint64_t ram_low, uint64_t ram_high,
	bool debug_exit)
{
	static const struct dm_range table[] = {
		{DM_PIO, DM_PORT_PIT, DM_PORT_PIT + 3U, dm_pit_access, "PIT"},
		{DM_PIO, DM_PORT_PORT61, DM_PORT_PORT61, dm_port61_access, "port 0x61"},
		{DM_PIO, DM_PORT_KBD, DM_PORT_KBD, dm_kbd_access, "keyboard controller's reset"},
		{DM_PIO, DM_PORT_CMOS, DM_PORT_CMOS + 1U, dm_cmos_access, "CMOS"},
		{DM_PIO, DM_PORT_POST, DM_PORT_POST, post_access, "POST code"},
		{DM_PIO, DM_PORT_COM1, DM_PORT_COM1 + 7U, dm_uart_access, "COM1"},
		{DM_PIO, DM_PORT_PM1_EVT, DM_PORT_PM1_CNT + 3U, dm_pm_access, "PM1"},
		{DM_PIO, DM_PORT_TEST, DM_PORT_TEST + DM_TEST_SIZE - 1U, dm_test_access, "test device"},
		{DM_PIO, DM_PORT_PANIC, DM_PORT_PANIC, dm_panic_access, "panic event"},
		{DM_PIO, DM_PORT_PCI_DATA, DM_PORT_PCI_DATA + 3U, dm_pci_data_access, "PCI data"},
		{DM_MMIO, DM_MMIO_TEST, DM_MMIO_TEST + DM_TEST_SIZE - 1U, dm_test_access, "test device"},
		{DM_MMIO, DM_MMIO_SCRATCH, DM_MMIO_SCRATCH + DM_SCRATCH_SIZE - 1U, dm_scratch_access,
			"test device's scratch"},
	};

	memset(vm, 0, sizeof(*vm));
	vm->ops = ops;
	vm->ctx = ctx;
	vm->ram_low = ram_low;
	vm->ram_high = ram_high;
	vm->debug_exit = debug_exit;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		(void)dm_range_add(vm, table[i].space, table[i].first, table[i].last, table[i].fn, table[i].name);
	}
	/* 0xCF8 is PCI's only as a dword; as a byte, 0xCF9 is the reset port. pci_addr sorts that out. */
	(void)dm_range_add(vm, DM_PIO, DM_PORT_PCI_ADDR, DM_PORT_PCI_ADDR + 3U, dm_pci_addr_access, "PCI address");
	if (debug_exit) {
		(void)dm_range_add(
			vm, DM_PIO, DM_PORT_DEBUG_EXIT, DM_PORT_DEBUG_EXIT + 3U, dm_debug_exit_access, "debug exit");
	}
	dm_vm_reset(vm);
}

void dm_vm_reset(struct dm_vm *vm)
{
	vm->end = DM_END_NONE;
	vm->end_code = 0U;
	vm->pci_addr = 0U;
	dm_uart_reset(vm);
	dm_cmos_reset(vm);
	dm_pit_reset(vm);
	dm_pm_reset(vm);
	vm->test.delay_us = 0U;
	vm->test.mode = DM_TEST_MODE_PLAIN;
}

/* True the first time that this port or page is asked for. */
static bool first_of_its_kind(struct dm_vm *vm, const struct dm_access *access)
{
	uint64_t page = access->addr >> 12U;

	if (access->space == DM_PIO) {
		uint32_t port = (uint32_t)access->addr & 0xFFFFU;
		uint8_t bit = (uint8_t)(1U << (port & 7U));

		if ((vm->pio_logged[port >> 3U] & bit) != 0U) {
			return false;
		}
		vm->pio_logged[port >> 3U] |= bit;
		return true;
	}
	if (access->space == DM_PCICFG) {
		return false; /* an empty bus is no news */
	}
	for (uint32_t i = 0; i < vm->mmio_logged_count; i++) {
		if (vm->mmio_logged[i] == page) {
			return false;
		}
	}
	if (vm->mmio_logged_count == sizeof(vm->mmio_logged) / sizeof(vm->mmio_logged[0])) {
		return false; /* enough said */
	}
	vm->mmio_logged[vm->mmio_logged_count++] = page;
	return true;
}

static void access_unclaimed(struct dm_vm *vm, struct dm_access *access, const struct dm_range *partly)
{
	const char *text;

	vm->unclaimed++;
	if (first_of_its_kind(vm, access)) {
		if (partly != NULL) {
			vm->ops->log(vm->ctx, "the next access is only partly inside this device:");
			vm->ops->log(vm->ctx, partly->name);
		}
		if (access->space == DM_PIO) {
			text = access->write ? "write to a port that nobody has: " : "read of a port that nobody has: ";
		} else {
			text = access->write ? "write to an address that nobody has: "
					     : "read of an address that nobody has: ";
		}
		dm_log_hex(vm, text, access->addr, ", bytes: ", access->size);
	}
	if (!access->write) {
		access->value = dm_size_mask(access->size);
	}
}

static bool size_is_legal(const struct dm_access *access)
{
	uint32_t size = access->size;

	return size == 1U || size == 2U || size == 4U || (size == 8U && access->space == DM_MMIO);
}

void dm_vm_access(struct dm_vm *vm, struct dm_access *access)
{
	uint64_t last = access->addr + access->size - 1U;
	const struct dm_range *partly = NULL;

	vm->accesses++;
	access->delay_us = 0U;
	access->complete_twice = false;
	if (!size_is_legal(access)) {
		dm_log_hex(vm, "request with a size that cannot be: ", access->size, ", address: ", access->addr);
		access->value = UINT64_MAX;
		return;
	}
	for (uint32_t i = 0; i < vm->range_count; i++) {
		const struct dm_range *r = &vm->ranges[i];

		if (r->space != access->space || access->addr > r->last || last < r->first) {
			continue;
		}
		if (access->addr >= r->first && last <= r->last) {
			r->fn(vm, access);
			return;
		}
		partly = r;
	}
	access_unclaimed(vm, access, partly);
}

uint64_t dm_vm_tick(struct dm_vm *vm)
{
	uint64_t next = dm_pit_tick(vm);

	return (next < 1000000000UL) ? next : 1000000000UL;
}
