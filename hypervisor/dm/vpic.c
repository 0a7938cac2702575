/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two cascaded 8259A, as in a PC's chip set.
 *
 * Where the chip sets differ from the 8259A data sheet we follow the chip sets: ICW1.LTIM does nothing, ELCR
 * chooses edge or level for each input. A request goes away when its line falls before the acknowledge, and IRQ7 or
 * IRQ15 is spurious then. Only vpic_pulse_irq() latches one that stays: pulses are a legal way to raise a line in the
 * hypercall interface, and must not get lost.
 */
#include <dm/vpic.h>
#include <lib/bits.h>

#define MASTER 0U
#define SLAVE  1U

#define CASCADE_BIT 0x04U

#define ICW1_ICW4   0x01U
#define ICW1_SINGLE 0x02U
#define ICW1_SELECT 0x10U
#define ICW4_AEOI   0x02U
#define ICW4_SFNM   0x10U

#define OCW2_LEVEL    0x07U
#define OCW2_EOI      0x20U
#define OCW2_SPECIFIC 0x40U
#define OCW2_ROTATE   0x80U

#define OCW3_SELECT   0x08U
#define OCW3_READ_ISR 0x01U
#define OCW3_READ     0x02U
#define OCW3_POLL     0x04U
#define OCW3_SMM      0x20U
#define OCW3_ESMM     0x40U

/* Inputs that are edge triggered on every PC: timer, keyboard, cascade; RTC, FPU. */
static const uint8_t elcr_writable[2] = {0xF8U, 0xDEU};

/* 0: highest priority .. 7: lowest. */
static uint32_t rank_of(const struct vpic_chip *chip, uint32_t input)
{
	return (input - chip->lowest - 1U) & 7U;
}

/* The input of highest priority among `inputs` (not 0). */
static uint32_t first_of(const struct vpic_chip *chip, uint32_t inputs)
{
	/* Turned so that the highest priority is bit 0. */
	const uint32_t shift = (chip->lowest + 1U) & 7U;
	const uint32_t turned = ((inputs >> shift) | (inputs << (8U - shift))) & 0xFFU;

	return (ffs64(turned) + shift) & 7U;
}

/* The input to be acknowledged next, or -1. */
static int32_t chip_request(const struct vpic *vpic, uint32_t which)
{
	const struct vpic_chip *chip = &vpic->chip[which];
	const uint32_t requests = (uint32_t)chip->irr & ~(uint32_t)chip->imr;
	uint32_t serving = chip->isr;
	uint32_t input;
	uint32_t limit;

	if ((chip->icw_next != 0U) || !chip->ready || (requests == 0U)) {
		return -1;
	}
	if (chip->special_mask) {
		/* An input both masked and in service holds up nobody. */
		serving &= ~(uint32_t)chip->imr;
	}
	input = first_of(chip, requests);
	if (serving == 0U) {
		return (int32_t)input;
	}
	limit = rank_of(chip, first_of(chip, serving));
	if (rank_of(chip, input) < limit) {
		return (int32_t)input;
	}
	/* Special fully nested: the slave may interrupt itself; it has looked at its own priorities. */
	if ((which == MASTER) && chip->special_nested && (input == VPIC_CASCADE_PIN) &&
		(rank_of(chip, input) == limit)) {
		return (int32_t)input;
	}
	return -1;
}

/* Level inputs request while they are high. */
static void chip_follow_levels(struct vpic_chip *chip, uint32_t level_inputs)
{
	chip->irr = (uint8_t)((chip->irr & ~level_inputs) | (chip->lines & level_inputs));
}

/* Something changed: the slave's output to the master, the master's to the CPU. */
static void vpic_update(struct vpic *vpic)
{
	struct vpic_chip *master = &vpic->chip[MASTER];
	bool intr;

	chip_follow_levels(&vpic->chip[SLAVE], vpic->chip[SLAVE].elcr);
	if (chip_request(vpic, SLAVE) >= 0) {
		master->lines |= CASCADE_BIT;
	} else {
		master->lines &= (uint8_t)~CASCADE_BIT;
	}
	chip_follow_levels(master, (uint32_t)master->elcr | CASCADE_BIT);

	intr = chip_request(vpic, MASTER) >= 0;
	if (intr != vpic->intr) {
		__atomic_store_n(&vpic->intr, intr, __ATOMIC_RELEASE);
		vpic->wire(vpic->vm, intr);
	}
}

static void chip_end_service(struct vpic_chip *chip, uint32_t input, bool rotate)
{
	chip->isr &= (uint8_t)~BIT32(input);
	if (rotate) {
		chip->lowest = (uint8_t)input;
	}
}

/* INTA for `input`. */
static void chip_ack(struct vpic_chip *chip, uint32_t input)
{
	chip->irr &= (uint8_t)~BIT32(input);
	chip->isr |= (uint8_t)BIT32(input);
	if (chip->auto_eoi) {
		chip_end_service(chip, input, chip->rotate_auto_eoi);
	}
}

static void chip_power_on(struct vpic_chip *chip)
{
	const uint8_t lines = chip->lines;

	*chip = (struct vpic_chip){.lines = lines, .lowest = 7U};
}

void vpic_reset(struct vpic *vpic)
{
	spin_lock(&vpic->lock);
	chip_power_on(&vpic->chip[MASTER]);
	chip_power_on(&vpic->chip[SLAVE]);
	vpic_update(vpic);
	spin_unlock(&vpic->lock);
}

void vpic_init(struct vpic *vpic, struct acrn_vm *vm, void (*wire)(struct acrn_vm *vm, bool asserted))
{
	*vpic = (struct vpic){.vm = vm, .wire = wire};
	spinlock_init(&vpic->lock);
	chip_power_on(&vpic->chip[MASTER]);
	chip_power_on(&vpic->chip[SLAVE]);
}

/* @return the chip that has input `pin`, and the input's bit; NULL: devices have no such input */
static struct vpic_chip *chip_of(struct vpic *vpic, uint32_t pin, uint8_t *bit)
{
	if ((pin >= VPIC_PIN_COUNT) || (pin == VPIC_CASCADE_PIN)) {
		return NULL;
	}
	*bit = (uint8_t)BIT32(pin & 7U);
	return &vpic->chip[pin >> 3U];
}

void vpic_set_irq(struct vpic *vpic, uint32_t pin, bool high)
{
	uint8_t bit;
	struct vpic_chip *chip = chip_of(vpic, pin, &bit);

	if (chip == NULL) {
		return;
	}
	spin_lock(&vpic->lock);
	if (high && ((chip->lines & bit) == 0U)) {
		chip->lines |= bit;
		chip->irr |= bit;
		vpic_update(vpic);
	} else if (!high && ((chip->lines & bit) != 0U)) {
		chip->lines &= (uint8_t)~bit;
		chip->irr &= (uint8_t)~bit;
		vpic_update(vpic);
	}
	spin_unlock(&vpic->lock);
}

void vpic_pulse_irq(struct vpic *vpic, uint32_t pin)
{
	uint8_t bit;
	struct vpic_chip *chip = chip_of(vpic, pin, &bit);

	if (chip == NULL) {
		return;
	}
	spin_lock(&vpic->lock);
	if ((chip->lines & bit) == 0U) {
		chip->irr |= bit; /* vpic_update() takes it back from a level input: nobody holds it high */
	}
	chip->lines &= (uint8_t)~bit;
	vpic_update(vpic);
	spin_unlock(&vpic->lock);
}

uint32_t vpic_ack(struct vpic *vpic)
{
	struct vpic_chip *chip = &vpic->chip[MASTER];
	int32_t input;
	uint32_t vector;

	spin_lock(&vpic->lock);
	input = chip_request(vpic, MASTER);
	if (input == (int32_t)VPIC_CASCADE_PIN) {
		/* The master has the slave in service even if the slave's request went away in between. */
		chip_ack(chip, VPIC_CASCADE_PIN);
		chip = &vpic->chip[SLAVE];
		input = chip_request(vpic, SLAVE);
	}
	if (input >= 0) {
		chip_ack(chip, (uint32_t)input);
	} else {
		input = 7;
		vpic->spurious++;
	}
	vector = (uint32_t)chip->vector_base + (uint32_t)input;
	vpic_update(vpic);
	spin_unlock(&vpic->lock);
	return vector;
}

bool vpic_intr(const struct vpic *vpic)
{
	return __atomic_load_n(&vpic->intr, __ATOMIC_ACQUIRE);
}

/* ICW1 restarts the chip (data sheet, "Initialization command words 1 and 2"). */
static void write_icw1(struct vpic_chip *chip, uint8_t val)
{
	chip->irr = 0U; /* an edge has to come anew; level inputs reappear in vpic_update() */
	chip->isr = 0U;
	chip->imr = 0U;
	chip->lowest = 7U;
	chip->special_mask = false;
	chip->read_isr = false;
	chip->poll = false;
	chip->auto_eoi = false;
	chip->special_nested = false;
	chip->rotate_auto_eoi = false;
	chip->need_icw4 = (val & ICW1_ICW4) != 0U;
	chip->single = (val & ICW1_SINGLE) != 0U;
	chip->icw_next = 2U;
}

static void write_ocw2(struct vpic_chip *chip, uint8_t val)
{
	const bool rotate = (val & OCW2_ROTATE) != 0U;
	const uint32_t level = val & OCW2_LEVEL;
	uint32_t serving = chip->isr;

	switch (val & (OCW2_EOI | OCW2_SPECIFIC)) {
	case OCW2_EOI:
		if (chip->special_mask) {
			/* Masked ones are ended by specific EOI only. */
			serving &= ~(uint32_t)chip->imr;
		}
		if (serving != 0U) {
			chip_end_service(chip, first_of(chip, serving), rotate);
		}
		break;
	case OCW2_EOI | OCW2_SPECIFIC:
		chip_end_service(chip, level, rotate);
		break;
	case OCW2_SPECIFIC:
		if (rotate) {
			chip->lowest = (uint8_t)level;
		}
		break;
	default:
		chip->rotate_auto_eoi = rotate;
		break;
	}
}

static void write_ocw3(struct vpic_chip *chip, uint8_t val)
{
	if ((val & OCW3_ESMM) != 0U) {
		chip->special_mask = (val & OCW3_SMM) != 0U;
	}
	if ((val & OCW3_READ) != 0U) {
		chip->read_isr = (val & OCW3_READ_ISR) != 0U;
	}
	chip->poll = (val & OCW3_POLL) != 0U;
}

static void write_even(struct vpic_chip *chip, uint8_t val)
{
	if ((val & ICW1_SELECT) != 0U) {
		write_icw1(chip, val);
	} else if ((val & OCW3_SELECT) != 0U) {
		write_ocw3(chip, val);
	} else {
		write_ocw2(chip, val);
	}
}

/* The odd port: the rest of the ICWs, then OCW1. */
static void write_odd(struct vpic_chip *chip, uint8_t val)
{
	switch (chip->icw_next) {
	case 2U:
		chip->vector_base = val & 0xF8U;
		if (!chip->single) {
			chip->icw_next = 3U;
		} else {
			chip->icw_next = chip->need_icw4 ? 4U : 0U;
		}
		break;
	case 3U:
		chip->cascade = val;
		chip->icw_next = chip->need_icw4 ? 4U : 0U;
		break;
	case 4U:
		chip->auto_eoi = (val & ICW4_AEOI) != 0U;
		chip->special_nested = (val & ICW4_SFNM) != 0U;
		chip->icw_next = 0U;
		break;
	default:
		chip->imr = val;
		return;
	}
	if (chip->icw_next == 0U) {
		chip->ready = true;
	}
}

static void write_elcr(struct vpic *vpic, uint32_t which, uint8_t val)
{
	struct vpic_chip *chip = &vpic->chip[which];
	const uint8_t old = chip->elcr;

	chip->elcr = val & elcr_writable[which];
	/* What was a level's request is not an edge. */
	chip->irr &= (uint8_t) ~(old & (uint8_t)~chip->elcr);
}

/* A poll stands for INTA: the request goes into service. */
static uint8_t chip_poll(struct vpic *vpic, uint32_t which)
{
	struct vpic_chip *chip = &vpic->chip[which];
	const int32_t input = chip_request(vpic, which);

	chip->poll = false;
	if (input < 0) {
		return 0U;
	}
	chip_ack(chip, (uint32_t)input);
	vpic_update(vpic);
	return (uint8_t)(0x80U | (uint32_t)input);
}

uint8_t vpic_read_port(struct vpic *vpic, uint16_t port)
{
	const uint32_t which = ((port & 0xFFFEU) == VPIC_PORT_SLAVE) ? SLAVE : MASTER;
	const struct vpic_chip *chip = &vpic->chip[which];
	uint8_t val = 0xFFU;

	spin_lock(&vpic->lock);
	switch (port) {
	case VPIC_PORT_MASTER:
	case VPIC_PORT_SLAVE:
		if (chip->poll) {
			val = chip_poll(vpic, which);
		} else {
			val = chip->read_isr ? chip->isr : chip->irr;
		}
		break;
	case VPIC_PORT_MASTER + 1U:
	case VPIC_PORT_SLAVE + 1U:
		val = chip->poll ? chip_poll(vpic, which) : chip->imr;
		break;
	case VPIC_PORT_ELCR:
	case VPIC_PORT_ELCR + 1U:
		val = vpic->chip[port - VPIC_PORT_ELCR].elcr;
		break;
	default:
		break;
	}
	spin_unlock(&vpic->lock);
	return val;
}

void vpic_write_port(struct vpic *vpic, uint16_t port, uint8_t val)
{
	spin_lock(&vpic->lock);
	switch (port) {
	case VPIC_PORT_MASTER:
		write_even(&vpic->chip[MASTER], val);
		break;
	case VPIC_PORT_MASTER + 1U:
		write_odd(&vpic->chip[MASTER], val);
		break;
	case VPIC_PORT_SLAVE:
		write_even(&vpic->chip[SLAVE], val);
		break;
	case VPIC_PORT_SLAVE + 1U:
		write_odd(&vpic->chip[SLAVE], val);
		break;
	case VPIC_PORT_ELCR:
	case VPIC_PORT_ELCR + 1U:
		write_elcr(vpic, (uint32_t)port - VPIC_PORT_ELCR, val);
		break;
	default:
		break;
	}
	vpic_update(vpic);
	spin_unlock(&vpic->lock);
}
