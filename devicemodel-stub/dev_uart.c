/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 16550A UART at COM1 (National PC16550D data sheet). What is sent leaves at once: THR is always empty, and the
 * THR-empty interrupt is raised when it is enabled, and after each byte.
 */
#include "device.h"

#include <lib/string.h>

#define REG_DATA 0U
#define REG_IER  1U
#define REG_IIR  2U /* read; FCR when written */
#define REG_LCR  3U
#define REG_MCR  4U
#define REG_LSR  5U
#define REG_MSR  6U
#define REG_SCR  7U

#define IER_RX   0x01U
#define IER_THRE 0x02U
#define IER_RLS  0x04U
#define IER_MSR  0x08U

#define IIR_NONE  0x01U
#define IIR_MSR   0x00U
#define IIR_THRE  0x02U
#define IIR_RX    0x04U
#define IIR_RLS   0x06U
#define IIR_TMOUT 0x0CU
#define IIR_FIFO  0xC0U

#define FCR_ENABLE   0x01U
#define FCR_RX_RESET 0x02U
#define FCR_STICKY   0xC9U

#define LCR_DLAB 0x80U

#define MCR_OUT2 0x08U
#define MCR_LOOP 0x10U
#define MCR_MASK 0x1FU

#define LSR_DR   0x01U
#define LSR_OE   0x02U
#define LSR_THRE 0x20U
#define LSR_TEMT 0x40U

static const uint8_t trigger_level[4] = {1U, 4U, 8U, 14U};

static uint32_t fifo_size(const struct dm_uart *u)
{
	return ((u->fcr & FCR_ENABLE) != 0U) ? DM_UART_FIFO : 1U;
}

/* Modem status: a ready peer, or our own outputs in loopback. */
static uint8_t modem_lines(const struct dm_uart *u)
{
	uint32_t m = u->mcr;

	if ((m & MCR_LOOP) == 0U) {
		return 0xB0U; /* DCD, DSR, CTS */
	}
	return (uint8_t)(((m & 0x01U) << 5U) | ((m & 0x02U) << 3U) | ((m & 0x04U) << 4U) | ((m & 0x08U) << 4U));
}

static uint8_t iir_cause(const struct dm_uart *u)
{
	if ((u->ier & IER_RLS) != 0U && u->overrun) {
		return IIR_RLS;
	}
	if ((u->ier & IER_RX) != 0U && u->rx_count > 0U) {
		/* No timer for the character time-out: it is reported as soon as the trigger is not reached. */
		bool below = (u->fcr & FCR_ENABLE) != 0U && u->rx_count < trigger_level[u->fcr >> 6U];

		return below ? IIR_TMOUT : IIR_RX;
	}
	if ((u->ier & IER_THRE) != 0U && u->thre_pending) {
		return IIR_THRE;
	}
	if ((u->ier & IER_MSR) != 0U && u->msr_delta != 0U) {
		return IIR_MSR;
	}
	return IIR_NONE;
}

/* Tells the hypervisor when the level changes, and only then: each call is a hypercall. */
static void update_irq(struct dm_vm *vm)
{
	struct dm_uart *u = &vm->uart;
	bool want = iir_cause(u) != IIR_NONE && (u->mcr & MCR_OUT2) != 0U && (u->mcr & MCR_LOOP) == 0U;

	if (want != u->line) {
		u->line = want;
		vm->ops->irq_line(vm->ctx, DM_IRQ_COM1, want);
	}
}

void dm_uart_reset(struct dm_vm *vm)
{
	bool line = vm->uart.line;

	memset(&vm->uart, 0, sizeof(vm->uart));
	vm->uart.dll = 1U;
	vm->uart.line = line;
	update_irq(vm);
}

bool dm_uart_can_receive(const struct dm_vm *vm)
{
	return vm->uart.rx_count < fifo_size(&vm->uart);
}

static bool rx_push(struct dm_uart *u, uint8_t byte)
{
	if (u->rx_count >= fifo_size(u)) {
		return false;
	}
	u->rx[(u->rx_head + u->rx_count) % DM_UART_FIFO] = byte;
	u->rx_count++;
	return true;
}

bool dm_uart_receive(struct dm_vm *vm, uint8_t byte)
{
	bool taken = (vm->uart.mcr & MCR_LOOP) == 0U && rx_push(&vm->uart, byte);

	update_irq(vm);
	return taken;
}

static uint8_t rx_pop(struct dm_uart *u)
{
	uint8_t byte = 0U;

	if (u->rx_count > 0U) {
		byte = u->rx[u->rx_head];
		u->rx_head = (u->rx_head + 1U) % DM_UART_FIFO;
		u->rx_count--;
	}
	return byte;
}

static uint8_t uart_read(struct dm_uart *u, uint32_t reg)
{
	uint8_t value;

	switch (reg) {
	case REG_DATA:
		return ((u->lcr & LCR_DLAB) != 0U) ? u->dll : rx_pop(u);
	case REG_IER:
		return ((u->lcr & LCR_DLAB) != 0U) ? u->dlm : u->ier;
	case REG_IIR:
		value = iir_cause(u);
		if (value == IIR_THRE) {
			u->thre_pending = false; /* reading its report answers the interrupt */
		}
		return (uint8_t)(value | (((u->fcr & FCR_ENABLE) != 0U) ? IIR_FIFO : 0U));
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		value = (uint8_t)(LSR_THRE | LSR_TEMT | ((u->rx_count > 0U) ? LSR_DR : 0U) |
			(u->overrun ? LSR_OE : 0U));
		u->overrun = false;
		return value;
	case REG_MSR:
		value = (uint8_t)(modem_lines(u) | u->msr_delta);
		u->msr_delta = 0U;
		return value;
	default:
		return u->scr;
	}
}

static void uart_write_data(struct dm_vm *vm, uint8_t value)
{
	struct dm_uart *u = &vm->uart;

	if ((u->mcr & MCR_LOOP) != 0U) {
		if (!rx_push(u, value)) {
			u->overrun = true;
			if ((u->fcr & FCR_ENABLE) == 0U) {
				u->rx[u->rx_head] = value; /* RBR is overwritten; a full FIFO keeps what it has */
			}
		}
	} else {
		vm->ops->console_out(vm->ctx, value);
	}
	/* The interrupt falls with the write and rises again when the byte has left, which is now: an edge. */
	u->thre_pending = false;
	update_irq(vm);
	u->thre_pending = true;
}

static void uart_write_mcr(struct dm_uart *u, uint8_t value)
{
	uint8_t before = modem_lines(u);
	uint8_t changed;

	u->mcr = value & MCR_MASK;
	changed = before ^ modem_lines(u);
	u->msr_delta |= (uint8_t)((changed >> 4U) & 0x0BU);
	if ((changed & 0x40U) != 0U && (before & 0x40U) != 0U) {
		u->msr_delta |= 0x04U; /* trailing edge of RI */
	}
}

static void uart_write(struct dm_vm *vm, uint32_t reg, uint8_t value)
{
	struct dm_uart *u = &vm->uart;

	switch (reg) {
	case REG_DATA:
		if ((u->lcr & LCR_DLAB) != 0U) {
			u->dll = value;
		} else {
			uart_write_data(vm, value);
		}
		break;
	case REG_IER:
		if ((u->lcr & LCR_DLAB) != 0U) {
			u->dlm = value;
			break;
		}
		if ((value & IER_THRE) != 0U && (u->ier & IER_THRE) == 0U) {
			u->thre_pending = true;
		}
		u->ier = value & 0x0FU;
		break;
	case REG_IIR:
		if (((value ^ u->fcr) & FCR_ENABLE) != 0U || (value & FCR_RX_RESET) != 0U) {
			u->rx_count = 0U;
		}
		u->fcr = ((value & FCR_ENABLE) != 0U) ? (value & FCR_STICKY) : 0U;
		break;
	case REG_LCR:
		u->lcr = value;
		break;
	case REG_MCR:
		uart_write_mcr(u, value);
		break;
	case REG_SCR:
		u->scr = value;
		break;
	default:
		break; /* LSR and MSR are read-only */
	}
}

/* A wider access is that many single ones, as on the ISA bus. */
void dm_uart_access(struct dm_vm *vm, struct dm_access *access)
{
	uint32_t reg = (uint32_t)(access->addr - DM_PORT_COM1);
	uint64_t value = 0UL;

	for (uint32_t i = 0; i < access->size; i++) {
		if (access->write) {
			uart_write(vm, reg + i, (uint8_t)(access->value >> (8U * i)));
		} else {
			value |= (uint64_t)uart_read(&vm->uart, reg + i) << (8U * i);
		}
	}
	if (!access->write) {
		access->value = value;
	}
	update_irq(vm);
}
