/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers and commands of the keyboard controller. */
#include <dm/vi8042.h>
#include <lib/string.h>

#define STATUS_FULL     0x01U /* output buffer */
#define STATUS_SYSTEM   0x04U /* self-test passed */
#define STATUS_COMMAND  0x08U /* the last byte written was a command */
#define STATUS_UNLOCKED 0x10U /* constant */
#define STATUS_AUX      0x20U /* the byte in the buffer is the mouse's */
#define STATUS_TIMEOUT  0x40U /* the device did not answer */

#define CTR_IRQ     0x01U
#define CTR_SYSTEM  0x04U
#define CTR_KBD_OFF 0x10U
#define CTR_AUX_OFF 0x20U

#define OUT_NO_RESET 0x01U
#define OUT_A20      0x02U
#define OUT_REST     0xCCU /* clock and data lines at rest, no interrupt */

#define PORT92_RESET 0x01U
#define PORT92_A20   0x02U

#define CMD_READ_RAM    0x20U
#define CMD_WRITE_RAM   0x60U
#define CMD_PASSWORD    0xA4U
#define CMD_AUX_OFF     0xA7U
#define CMD_AUX_ON      0xA8U
#define CMD_AUX_TEST    0xA9U
#define CMD_SELF_TEST   0xAAU
#define CMD_KBD_TEST    0xABU
#define CMD_KBD_OFF     0xADU
#define CMD_KBD_ON      0xAEU
#define CMD_READ_INPUT  0xC0U
#define CMD_READ_OUTPUT 0xD0U
#define CMD_SET_OUTPUT  0xD1U
#define CMD_KBD_LOOP    0xD2U
#define CMD_AUX_LOOP    0xD3U
#define CMD_TO_AUX      0xD4U
#define CMD_A20_OFF     0xDDU
#define CMD_A20_ON      0xDFU
#define CMD_TEST_LINES  0xE0U
#define CMD_PULSE       0xF0U

#define SELF_TEST_PASSED 0x55U
#define CLOCK_STUCK_LOW  0x01U
#define NO_PASSWORD      0xF1U
#define INPUT_UNLOCKED   0x80U
#define RESEND           0xFEU

void vi8042_init(struct vi8042 *kbc)
{
	(void)memset(kbc->ram, 0, sizeof(kbc->ram));
	kbc->ram[0] = CTR_SYSTEM | CTR_KBD_OFF | CTR_AUX_OFF;
	kbc->status = STATUS_SYSTEM;
	kbc->output = 0U;
	kbc->out_port = OUT_REST | OUT_A20 | OUT_NO_RESET;
	kbc->command = 0U;
	kbc->port92 = PORT92_A20;
}

/* @param how STATUS_AUX, STATUS_TIMEOUT */
static void answer(struct vi8042 *kbc, uint8_t value, uint8_t how)
{
	kbc->output = value;
	kbc->status = (uint8_t)((kbc->status & ~(STATUS_AUX | STATUS_TIMEOUT)) | STATUS_FULL | how);
}

uint8_t vi8042_read_data(struct vi8042 *kbc)
{
	kbc->status &= (uint8_t) ~(STATUS_FULL | STATUS_AUX | STATUS_TIMEOUT);
	return kbc->output;
}

uint8_t vi8042_read_status(const struct vi8042 *kbc)
{
	return kbc->status | STATUS_UNLOCKED;
}

bool vi8042_irq(const struct vi8042 *kbc)
{
	return ((kbc->status & STATUS_FULL) != 0U) && ((kbc->ram[0] & CTR_IRQ) != 0U);
}

bool vi8042_write_data(struct vi8042 *kbc, uint8_t value)
{
	const uint8_t command = kbc->command;

	kbc->command = 0U;
	kbc->status &= (uint8_t)~STATUS_COMMAND;
	switch (command) {
	case 0U: /* for the keyboard: nobody answers, and the controller says so */
		answer(kbc, RESEND, STATUS_TIMEOUT);
		break;
	case CMD_TO_AUX:
		answer(kbc, RESEND, STATUS_TIMEOUT | STATUS_AUX);
		break;
	case CMD_SET_OUTPUT:
		kbc->out_port = value | OUT_NO_RESET;
		return (value & OUT_NO_RESET) == 0U;
	case CMD_KBD_LOOP:
	case CMD_AUX_LOOP: /* there is no second port: it comes as the keyboard's, which tells drivers so */
		answer(kbc, value, 0U);
		break;
	default: /* CMD_WRITE_RAM */
		kbc->ram[command % VI8042_RAM] = value;
		if (command == CMD_WRITE_RAM) {
			kbc->status = (uint8_t)((kbc->status & ~STATUS_SYSTEM) | (value & CTR_SYSTEM));
		}
		break;
	}
	return false;
}

/* Commands without data. */
static void simple_command(struct vi8042 *kbc, uint8_t command)
{
	switch (command) {
	case CMD_PASSWORD:
		answer(kbc, NO_PASSWORD, 0U);
		break;
	case CMD_AUX_OFF:
		kbc->ram[0] |= CTR_AUX_OFF;
		break;
	case CMD_AUX_ON:
		kbc->ram[0] &= (uint8_t)~CTR_AUX_OFF;
		break;
	case CMD_AUX_TEST:
		answer(kbc, CLOCK_STUCK_LOW, 0U);
		break;
	case CMD_SELF_TEST:
		kbc->status |= STATUS_SYSTEM;
		answer(kbc, SELF_TEST_PASSED, 0U);
		break;
	case CMD_KBD_TEST:
	case CMD_TEST_LINES:
		answer(kbc, 0U, 0U);
		break;
	case CMD_KBD_OFF:
		kbc->ram[0] |= CTR_KBD_OFF;
		break;
	case CMD_KBD_ON:
		kbc->ram[0] &= (uint8_t)~CTR_KBD_OFF;
		break;
	case CMD_READ_INPUT:
		answer(kbc, INPUT_UNLOCKED, 0U);
		break;
	case CMD_READ_OUTPUT:
		answer(kbc, kbc->out_port, 0U);
		break;
	case CMD_A20_OFF:
		kbc->out_port &= (uint8_t)~OUT_A20;
		break;
	case CMD_A20_ON:
		kbc->out_port |= OUT_A20;
		break;
	default:
		break;
	}
}

bool vi8042_write_command(struct vi8042 *kbc, uint8_t value)
{
	kbc->command = 0U;
	kbc->status |= STATUS_COMMAND;
	if ((value >= CMD_READ_RAM) && (value < CMD_READ_RAM + VI8042_RAM)) {
		answer(kbc, kbc->ram[value - CMD_READ_RAM], 0U);
	} else if (((value >= CMD_WRITE_RAM) && (value < CMD_WRITE_RAM + VI8042_RAM)) ||
		((value >= CMD_SET_OUTPUT) && (value <= CMD_TO_AUX))) {
		kbc->command = value;
	} else if (value >= CMD_PULSE) {
		return (value & OUT_NO_RESET) == 0U; /* low bits that are 0 are pulsed */
	} else {
		simple_command(kbc, value);
	}
	return false;
}

bool vi8042_write_port92(struct vi8042 *kbc, uint8_t value)
{
	const bool reset = ((value & ~kbc->port92) & PORT92_RESET) != 0U;

	kbc->port92 = value & (PORT92_A20 | PORT92_RESET);
	return reset;
}
