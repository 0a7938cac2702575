/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which devices and ports each kind of VM has here.
 *
 *   Service VM      the machine's I/O APICs (virtual, driving the physical ones), PIC, console port, PM1 control and
 *                   reset port watched; all other ports and devices are the machine's
 *   User VM         I/O APIC (48 pins) and PIC; all other ports go to its device model
 *   both            PCI functions if the scenario gives them ends of connections
 *   pre-launched VM the same, a console port, a reset port, PM1, PM timer, PIT, RTC, HPET, keyboard
 *                   controller, PCI bus; nobody has the others
 */
#include <asm/io.h>
#include <config.h>
#include <dm/vhpet.h>
#include <dm/vi8042.h>
#include <dm/vioapic.h>
#include <dm/vpci.h>
#include <dm/vpic.h>
#include <dm/vpit.h>
#include <dm/vpm.h>
#include <dm/vrtc.h>
#include <dm/vuart.h>
#include <hv/acpi.h>
#include <hv/console.h>
#include <hv/ioreq.h>
#include <hv/log.h>
#include <hv/map_test.h>
#include <hv/service_bus.h>
#include <hv/vm.h>
#include <hv/vm_console.h>
#include <hv/vm_connections.h>
#include <hv/vm_devices.h>
#include <hv/vm_stop.h>
#include <hv/arch.h>
#include <lib/bits.h>
#include <lib/errno.h>

#define PCI_CFGADDR_PORT   0xCF8U
#define PCI_CFGADDR_PORTS  4U
#define RESET_PORT         0xCF9U
#define RESET_CPU          0x04U /* bit 2 of the reset control register: reset now */
#define RESET_KIND         0x0AU /* its bits that are kept: soft or hard, with the power off or not */
#define DEBUG_EXIT_PORTS   4U
#define PM1_SLP_EN         0x2000U
#define PM1_SLP_TYP(value) (((value) >> 10U) & 7U)
#define UART_PORTS         8U

/* ---- Ports of the machine ---- */

static uint32_t machine_in(uint16_t port, size_t size)
{
	switch (size) {
	case 1U:
		return inb(port);
	case 2U:
		return inw(port);
	default:
		return inl(port);
	}
}

static void machine_out(uint16_t port, size_t size, uint32_t val)
{
	switch (size) {
	case 1U:
		outb(port, (uint8_t)val);
		break;
	case 2U:
		outw(port, (uint16_t)val);
		break;
	default:
		outl(port, val);
		break;
	}
}

/* ---- The Service VM: reset control lies among the ports of the PCI configuration address ---- */

static uint32_t service_cfgaddr_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	(void)vm;
	return machine_in(port, size);
}

static void service_cfgaddr_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	if ((port == RESET_PORT) && (size == 1U)) {
		if ((val & RESET_CPU) != 0U) {
			vm_reset_requested(vm);
		}
		return;
	}
	machine_out(port, size, val);
}

/* ---- The Service VM: PM1 control, where ACPI power-off happens ---- */

static uint32_t pm1_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	(void)vm;
	return machine_in(port, size);
}

static void pm1_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	const bool is_b =
		(acpi_info.pm1b_cnt != 0U) && (port >= acpi_info.pm1b_cnt) && (port < acpi_info.pm1b_cnt + 2U);
	const uint16_t base = (uint16_t)(is_b ? acpi_info.pm1b_cnt : acpi_info.pm1a_cnt);
	const uint32_t word = (size == 1U) ? (val << (8U * (port - base))) : val;
	const uint32_t s5 = is_b ? acpi_info.s5_b : acpi_info.s5_a;

	if ((word & PM1_SLP_EN) == 0U) {
		machine_out(port, size, val);
	} else if (!acpi_info.has_s5 || (PM1_SLP_TYP(word) == (s5 & 7U))) {
		vm_stop_self(vm, "power off");
	} else {
		pr_guest(vm->vm_id, 0U, "sleep type %u is not supported", PM1_SLP_TYP(word));
	}
}

static void watch_pm1(struct acrn_vm *vm)
{
	const struct vm_io_range a = {(uint16_t)acpi_info.pm1a_cnt, 2U, IO_ATTR_RW};
	const struct vm_io_range b = {(uint16_t)acpi_info.pm1b_cnt, 2U, IO_ATTR_RW};

	if (acpi_info.pm1a_cnt != 0U) {
		register_io_emulation_handler(vm, PM1A_CNT_PIO_IDX, &a, pm1_read, pm1_write);
	}
	if (acpi_info.pm1b_cnt != 0U) {
		register_io_emulation_handler(vm, PM1B_CNT_PIO_IDX, &b, pm1_read, pm1_write);
	}
}

/* ---- Other ports ---- */

/* The address register is a double word only; the reset register lies among its ports and is a byte. */
static uint32_t cfgaddr_read(struct acrn_vm *vm, uint16_t port, size_t size)
{
	if ((port == RESET_PORT) && (size == 1U)) {
		return vm->vpm.reset_control;
	}
	return ((port == PCI_CFGADDR_PORT) && (size == 4U)) ? vpci_address_read(vm) : (uint32_t)mask_bytes(size);
}

static void cfgaddr_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	if ((port == PCI_CFGADDR_PORT) && (size == 4U)) {
		vpci_address_write(vm, val);
	} else if ((port == RESET_PORT) && (size == 1U)) {
		vm->vpm.reset_control = (uint8_t)(val & RESET_KIND);
		if ((val & RESET_CPU) != 0U) {
			vm_reset_requested(vm);
		}
	}
}

static void debug_exit_write(struct acrn_vm *vm, uint16_t port, size_t size, uint32_t val)
{
	(void)port;
	(void)size;
	vm_stop_self(vm, "exit code %u", val);
}

/* Of the hypervisor's serial port, wherever `serial=` put it. */
static bool is_console_port(uint32_t port)
{
	return (console_port() != 0U) && (port >= console_port()) && (port - console_port() < UART_PORTS);
}

/* Ports that have a handler here are not passed through. */
static bool can_pass(const struct acrn_vm *vm, uint32_t port)
{
	return (vm_ioport_owner(&vm->ports, port) == NULL) && !is_console_port(port);
}

/* What the scenario passes through to all vCPUs. */
static void pass_ports(struct acrn_vm *vm)
{
	for (uint32_t i = 0U; i < vm->config->port_count; i++) {
		const struct scn_port_range *range = &vm->config->port[i];

		for (uint32_t port = range->first; (vm->config->port_vcpu[i] == 0U) && (port <= range->last); port++) {
			if (can_pass(vm, port)) {
				allow_guest_pio_access(vm, (uint16_t)port, 1U);
			}
		}
	}
}

/* @return 0 or -ENOMEM */
static int32_t pass_to_vcpu(struct acrn_vcpu *vcpu, const struct scn_port_range *range)
{
	for (uint32_t port = range->first; port <= range->last; port++) {
		if (can_pass(vcpu->vm, port) &&
			(vm_enable_passthrough_ioport(vcpu, (uint16_t)port, (uint16_t)port) != 0)) {
			return -ENOMEM;
		}
	}
	return 0;
}

int32_t vm_devices_init_vcpus(struct acrn_vm *vm)
{
	int32_t ret = 0;

	for (uint32_t i = 0U; (ret == 0) && (i < vm->config->port_count); i++) {
		const struct scn_port_range *range = &vm->config->port[i];
		const uint32_t id = vm->config->port_vcpu[i] - 1U;
		struct acrn_vcpu *vcpu = vm_vcpu(vm, id);

		if (vm->config->port_vcpu[i] == 0U) {
			continue;
		}
		if (vcpu != NULL) {
			ret = pass_to_vcpu(vcpu, range);
		} else {
			pr_warn("VM%u '%s': ports 0x%x..0x%x are for vCPU %u, which it does not have", vm->vm_id,
				vm->name, range->first, range->last, id);
		}
	}
	return ret;
}

static void attach_cables(struct acrn_vm *vm, const struct scenario *scn)
{
	for (uint32_t i = 0U; i < scn->vuart_count; i++) {
		for (uint32_t side = 0U; side < 2U; side++) {
			if (scn->vuart[i].vm[side] == vm->vm_id) {
				vuart_attach_cable(vm, scn->vuart[i].com[side] - 1U, i, side);
			}
		}
	}
}

static void attach_uarts(struct acrn_vm *vm)
{
	if (vm->config->console_vuart != SCN_CONSOLE_NONE) {
		vuart_attach_console(vm, (vm->config->console_vuart == SCN_CONSOLE_COM1) ? 0U : 1U);
	}
	if (vm_scenario() != NULL) {
		attach_cables(vm, vm_scenario());
	}
}

static void init_ports(struct acrn_vm *vm)
{
	static const struct vm_io_range cfgaddr = {PCI_CFGADDR_PORT, PCI_CFGADDR_PORTS, IO_ATTR_RW};
	static const struct vm_io_range debug_exit = {SCN_DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS, IO_ATTR_RW};

	if (vm->config->load_order == SCN_SERVICE_VM) {
		if (vm->config->unhandled_port != SCN_PORT_PASSTHROUGH) {
			deny_guest_pio_access(vm, 0U, 0x10000U);
		} else if (console_port() != 0U) {
			deny_guest_pio_access(vm, console_port(), UART_PORTS); /* the hypervisor's own */
		}
		register_io_emulation_handler(
			vm, PCI_CFGADDR_PIO_IDX, &cfgaddr, service_cfgaddr_read, service_cfgaddr_write);
		watch_pm1(vm);
	} else if (vm->config->load_order == SCN_PRE_LAUNCHED_VM) {
		register_io_emulation_handler(vm, RESET_PIO_IDX, &cfgaddr, cfgaddr_read, cfgaddr_write);
		vpm_attach(vm);
		vpit_attach(vm);
		vrtc_attach(vm);
		vi8042_attach(vm);
	}
	if (vm->config->debug_exit) {
		register_io_emulation_handler(vm, DEBUG_EXIT_PIO_IDX, &debug_exit, NULL, debug_exit_write);
	}
	attach_uarts(vm);
	pass_ports(vm);
}

/* ---- I/O APICs ---- */

/* @return index of the machine's I/O APIC whose GSIs begin with `gsi_base`, or ioapic_count */
static uint32_t ioapic_with(uint32_t gsi_base)
{
	uint32_t i;

	for (i = 0U; i < acpi_info.ioapic_count; i++) {
		if (acpi_info.ioapic[i].gsi_base == gsi_base) {
			break;
		}
	}
	return i;
}

/* As the machine has them, in order of their GSIs, up to the first gap. */
static int32_t attach_machine_ioapics(struct acrn_vm *vm)
{
	vioapic_attach(vm);
	for (uint32_t n = 0U; n < acpi_info.ioapic_count; n++) {
		const uint32_t gsi_base = vm->vioapic.pin_count;
		const uint32_t i = ioapic_with(gsi_base);
		const uint32_t pins = arch_gsi_pins(gsi_base);
		int32_t ret;

		if ((i == acpi_info.ioapic_count) || (pins == 0U) || (gsi_base + pins > VIOAPIC_MAX_PINS)) {
			pr_warn("Service VM: no I/O APIC from interrupt %u on", gsi_base);
			break;
		}
		ret = vioapic_attach_chip(vm, acpi_info.ioapic[i].hpa, acpi_info.ioapic[i].id & 0xFU, pins, true);
		if (ret != 0) {
			return ret;
		}
	}
	return 0;
}

/* ---- PCI ---- */

static int32_t attach_bus(struct acrn_vm *vm)
{
	static const struct vpci_place pre = {.mem_base = (uint32_t)VPCI_MEM_BASE,
		.mem_size = (uint32_t)VPCI_MEM_SIZE,
		.io_base = VPCI_IO_BASE,
		.io_size = VPCI_IO_SIZE,
		.ecam = (uint32_t)VPCI_ECAM_BASE,
		.gsi = {VPCI_LINE0_GSI, VPCI_LINE1_GSI}};
	static const struct vpci_place user = {.mem_base = (uint32_t)VPCI_USER_MEM_BASE,
		.mem_size = (uint32_t)VPCI_USER_MEM_SIZE,
		.ecam = (uint32_t)VPCI_ECAM_BASE,
		.gsi = {VPCI_LINE0_GSI, VPCI_LINE1_GSI},
		.first_slot = VPCI_USER_FIRST_SLOT,
		.shared = true};
	int32_t ret = 0;

	if (vm->config->load_order == SCN_PRE_LAUNCHED_VM) {
		ret = vpci_attach(vm, &pre);
		vpci_attach_ports(vm);
	} else if (!vm_connections_any(vm)) {
		return 0;
	} else if (vm_is_service(vm)) {
		ret = service_bus_attach(vm);
	} else {
		ret = vpci_attach(vm, &user);
		ret = (ret == 0) ? vpci_attach_shared_ports(vm) : ret;
	}
	return (ret == 0) ? vm_connections_attach(vm) : ret;
}

int32_t vm_devices_init(struct acrn_vm *vm)
{
	int32_t ret;

	vm->vuart[0].active = false;
	vm->vuart[1].active = false;
	vm->vpit.clock.active = false;
	vm->vrtc.clock.active = false;
	vm->vhpet.clock.active = false;
	vm->vpci.active = false;
	vpic_attach(vm);
	if (vm->config->load_order == SCN_SERVICE_VM) {
		ret = attach_machine_ioapics(vm);
	} else {
		vioapic_attach(vm);
		ret = vioapic_attach_chip(vm, VIOAPIC_USER_BASE, 0U, VIOAPIC_USER_PINS, false);
	}
	if ((ret == 0) && (vm->config->load_order == SCN_PRE_LAUNCHED_VM)) {
		ret = vhpet_attach(vm);
#if CONFIG_DEBUG
		ret = (ret == 0) ? map_test_attach(vm) : ret;
#endif
	}
	ret = (ret == 0) ? attach_bus(vm) : ret;
	if (ret == 0) {
		init_ports(vm);
		ret = vpci_sync_map(vm);
	}
	return ret;
}

void vm_devices_reset(struct acrn_vm *vm)
{
	/* First: the other end of a cable runs on, and raises no interrupt any more after this. */
	for (uint32_t i = 0U; i < ARRAY_SIZE(vm->vuart); i++) {
		vuart_reset(&vm->vuart[i]);
	}
	vpic_reset(&vm->vpic);
	vioapic_reset(&vm->vioapic);
	vpm_reset(&vm->vpm);
	vpit_reset(&vm->vpit);
	vrtc_reset(&vm->vrtc);
	vhpet_reset(&vm->vhpet);
	vi8042_reset(vm);
	if (vm->vpci.active) {
		vpci_reset(&vm->vpci);
		vm_connections_reset(vm);
	}
}

void vm_devices_stop(struct acrn_vm *vm)
{
	for (uint32_t i = 0U; i < ARRAY_SIZE(vm->vuart); i++) {
		if (vm->vuart[i].active) {
			vuart_unplug(&vm->vuart[i]);
		}
	}
}

void vm_devices_destroy(struct acrn_vm *vm)
{
	if (vm->config->console_vuart != SCN_CONSOLE_NONE) {
		vm_console_unregister(vm->vm_id);
	}
	vm_connections_detach(vm);
	vclock_detach(&vm->vpit.clock);
	vclock_detach(&vm->vrtc.clock);
	vclock_detach(&vm->vhpet.clock);
	for (uint32_t i = 0U; i < ARRAY_SIZE(vm->vuart); i++) {
		if (vm->vuart[i].active) {
			vuart_detach(&vm->vuart[i]);
		}
	}
}
