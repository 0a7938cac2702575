/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O APICs. One lock for all chips of a VM: their pins meet in the EOI broadcast anyway.
 *
 * Edges that arrive while the entry is masked are lost, as on the 82093AA (3.2.4, "Interrupt Mask"); a level that is
 * active when the entry is unmasked is delivered then.
 */
#include <dm/vioapic.h>
#include <lib/bits.h>
#include <lib/errno.h>

#define OFFSET_SELECT 0x00U
#define OFFSET_WINDOW 0x10U
#define OFFSET_EOI    0x40U

#define REG_ID  0x00U
#define REG_VER 0x01U
#define REG_ARB 0x02U
#define REG_RTE 0x10U /* two registers per pin */

#define ID_MASK 0x0F000000U

static bool gsi_test(const uint64_t *map, uint32_t gsi)
{
	return (map[gsi / 64U] & BIT(gsi % 64U)) != 0UL;
}

static void gsi_assign(uint64_t *map, uint32_t gsi, bool on)
{
	if (on) {
		map[gsi / 64U] |= BIT(gsi % 64U);
	} else {
		map[gsi / 64U] &= ~BIT(gsi % 64U);
	}
}

static bool is_physical(const struct vioapic *vioapic, uint32_t gsi)
{
	return gsi < vioapic->physical_pins;
}

/* The line asks for an interrupt: it is on the side that the entry calls active. */
static bool line_active(const struct vioapic *vioapic, uint32_t gsi)
{
	const bool active_low = (vioapic->rte[gsi] & RTE_ACTIVE_LOW) != 0UL;

	if (is_physical(vioapic, gsi) && gsi_test(vioapic->waiting, gsi)) {
		return true;
	}
	/* A line that nobody drives rests inactive, whatever the polarity: boards have pull-up resistors. */
	return gsi_test(vioapic->driven, gsi) && (gsi_test(vioapic->high, gsi) != active_low);
}

static bool is_level(const struct vioapic *vioapic, uint32_t gsi)
{
	const uint64_t delivery = (vioapic->rte[gsi] & RTE_DELIVERY) >> 8U;

	/* SMI, NMI, INIT are edge triggered, whatever the entry says; ExtINT is a wire of its own. */
	return ((vioapic->rte[gsi] & RTE_LEVEL) != 0UL) &&
		((delivery == LAPIC_DM_FIXED) || (delivery == LAPIC_DM_LOWEST));
}

/* Sends the entry's message. @return true if a local APIC took it */
static bool send(struct vioapic *vioapic, uint32_t gsi)
{
	const uint64_t rte = vioapic->rte[gsi];
	const struct lapic_msg msg = {
		.dest = (uint32_t)(rte >> 56U),
		.dest_logical = (rte & RTE_DEST_LOGICAL) != 0UL,
		.delivery_mode = (uint8_t)((rte & RTE_DELIVERY) >> 8U),
		.vector = (uint8_t)rte,
		.level = is_level(vioapic, gsi),
	};
	bool accepted = false;

	/* Modes 3 and 6 are reserved: nothing is sent. */
	if ((msg.delivery_mode != 3U) && (msg.delivery_mode != LAPIC_DM_SIPI)) {
		accepted = vioapic->ops->deliver(vioapic->vm, &msg);
	}
	if (accepted) {
		vioapic->delivered++;
	}
	return accepted;
}

/* Level: delivers if active, unmasked and not in service already. */
static void try_level(struct vioapic *vioapic, uint32_t gsi)
{
	const uint64_t rte = vioapic->rte[gsi];

	if (((rte & (RTE_MASKED | RTE_REMOTE_IRR)) != 0UL) || !is_level(vioapic, gsi) || !line_active(vioapic, gsi)) {
		return;
	}
	if (send(vioapic, gsi)) {
		vioapic->rte[gsi] |= RTE_REMOTE_IRR;
	}
}

static void release_physical(struct vioapic *vioapic, uint32_t gsi)
{
	if (is_physical(vioapic, gsi) && gsi_test(vioapic->waiting, gsi)) {
		gsi_assign(vioapic->waiting, gsi, false);
		vioapic->ops->pin_eoi(gsi);
	}
}

static void program_physical(const struct vioapic *vioapic, uint32_t gsi)
{
	const uint64_t rte = vioapic->rte[gsi];

	if (is_physical(vioapic, gsi)) {
		vioapic->ops->pin_set(
			gsi, (rte & RTE_MASKED) != 0UL, is_level(vioapic, gsi), (rte & RTE_ACTIVE_LOW) != 0UL);
	}
}

void vioapic_init(struct vioapic *vioapic, struct acrn_vm *vm, const struct vioapic_ops *ops)
{
	uint32_t gsi;

	*vioapic = (struct vioapic){.vm = vm, .ops = ops};
	spinlock_init(&vioapic->lock);
	for (gsi = 0U; gsi < VIOAPIC_MAX_PINS; gsi++) {
		vioapic->rte[gsi] = RTE_MASKED;
	}
}

int32_t vioapic_add_chip(struct vioapic *vioapic, uint64_t base, uint32_t id, uint32_t pins, bool physical)
{
	struct vioapic_chip *chip;

	if (!is_aligned(base, PAGE_SIZE) || (pins == 0U) || (pins > VIOAPIC_MAX_PINS) ||
		(physical && (vioapic->physical_pins != vioapic->pin_count))) {
		return -EINVAL;
	}
	if ((vioapic->chip_count == VIOAPIC_MAX_CHIPS) || (vioapic->pin_count + pins > VIOAPIC_MAX_PINS)) {
		return -ENOSPC;
	}
	chip = &vioapic->chip[vioapic->chip_count];
	*chip = (struct vioapic_chip){
		.base = base,
		.gsi_base = vioapic->pin_count,
		.pins = pins,
		.id = (id << 24U) & ID_MASK,
		.owner = vioapic,
	};
	vioapic->chip_count++;
	vioapic->pin_count += pins;
	vioapic->physical_pins += physical ? pins : 0U;
	return 0;
}

void vioapic_reset(struct vioapic *vioapic)
{
	uint32_t i;

	spin_lock(&vioapic->lock);
	for (i = 0U; i < vioapic->chip_count; i++) {
		vioapic->chip[i].select = 0U;
	}
	for (i = 0U; i < vioapic->pin_count; i++) {
		vioapic->rte[i] = RTE_MASKED;
		program_physical(vioapic, i);
		release_physical(vioapic, i);
	}
	spin_unlock(&vioapic->lock);
}

void vioapic_set_irq(struct vioapic *vioapic, uint32_t gsi, bool high)
{
	bool was_active;

	if (gsi >= vioapic->pin_count) {
		return;
	}
	spin_lock(&vioapic->lock);
	was_active = line_active(vioapic, gsi);
	gsi_assign(vioapic->driven, gsi, true);
	gsi_assign(vioapic->high, gsi, high);
	if (!was_active && line_active(vioapic, gsi)) {
		if (is_level(vioapic, gsi)) {
			try_level(vioapic, gsi);
		} else if ((vioapic->rte[gsi] & RTE_MASKED) == 0UL) {
			(void)send(vioapic, gsi);
		}
	}
	spin_unlock(&vioapic->lock);
}

void vioapic_arrived(struct vioapic *vioapic, uint32_t gsi)
{
	if (!is_physical(vioapic, gsi)) {
		return;
	}
	spin_lock(&vioapic->lock);
	if (!is_level(vioapic, gsi)) {
		if ((vioapic->rte[gsi] & RTE_MASKED) == 0UL) {
			(void)send(vioapic, gsi);
		}
	} else {
		gsi_assign(vioapic->waiting, gsi, true);
		try_level(vioapic, gsi);
		if ((vioapic->rte[gsi] & (RTE_REMOTE_IRR | RTE_MASKED)) == 0UL) {
			/* No local APIC took it: nobody will ever send the EOI. */
			release_physical(vioapic, gsi);
		}
	}
	spin_unlock(&vioapic->lock);
}

/* With the lock held. */
static void eoi_pin(struct vioapic *vioapic, uint32_t gsi)
{
	vioapic->rte[gsi] &= ~RTE_REMOTE_IRR;
	/* The physical line is asked again: if it is still asserted it arrives anew. */
	release_physical(vioapic, gsi);
	try_level(vioapic, gsi);
}

/* With the lock held. Entries of all chips, or of one. */
static void eoi_range(struct vioapic *vioapic, uint32_t vector, uint32_t first, uint32_t count)
{
	uint32_t gsi;

	for (gsi = first; gsi < first + count; gsi++) {
		const uint64_t rte = vioapic->rte[gsi];

		if (((rte & RTE_REMOTE_IRR) != 0UL) && ((rte & RTE_VECTOR) == vector)) {
			eoi_pin(vioapic, gsi);
		}
	}
}

void vioapic_eoi(struct vioapic *vioapic, uint32_t vector)
{
	spin_lock(&vioapic->lock);
	eoi_range(vioapic, vector, 0U, vioapic->pin_count);
	spin_unlock(&vioapic->lock);
}

bool vioapic_has_level_vector(struct vioapic *vioapic, uint32_t vector)
{
	bool found = false;
	uint32_t gsi;

	spin_lock(&vioapic->lock);
	for (gsi = 0U; (gsi < vioapic->pin_count) && !found; gsi++) {
		const uint64_t rte = vioapic->rte[gsi];

		found = ((rte & RTE_VECTOR) == vector) && is_level(vioapic, gsi) &&
			(((rte & RTE_MASKED) == 0UL) || ((rte & RTE_REMOTE_IRR) != 0UL));
	}
	spin_unlock(&vioapic->lock);
	return found;
}

/*
 * A guest wrote half of an entry. Remote IRR survives while the entry stays level triggered; switching to edge
 * clears it: that is how guests without the EOI register end an interrupt (mask + edge, then level again).
 */
static void write_rte(struct vioapic *vioapic, uint32_t gsi, bool upper, uint32_t val)
{
	const uint64_t old = vioapic->rte[gsi];
	uint64_t rte;

	if (upper) {
		rte = (old & 0xFFFFFFFFUL) | ((uint64_t)val << 32U);
	} else {
		rte = (old & ~0xFFFFFFFFUL) | val;
	}
	rte &= RTE_WRITABLE;
	if ((rte & RTE_LEVEL) != 0UL) {
		rte |= old & RTE_REMOTE_IRR;
	}
	vioapic->rte[gsi] = rte;

	if (((old ^ rte) & (RTE_MASKED | RTE_LEVEL | RTE_ACTIVE_LOW | RTE_DELIVERY)) != 0UL) {
		program_physical(vioapic, gsi);
	}
	if (!is_level(vioapic, gsi) || (((old & RTE_REMOTE_IRR) != 0UL) && ((rte & RTE_REMOTE_IRR) == 0UL))) {
		release_physical(vioapic, gsi);
	}
	try_level(vioapic, gsi);
}

static uint32_t read_window(const struct vioapic_chip *chip)
{
	const struct vioapic *vioapic = chip->owner;
	const uint32_t index = chip->select - REG_RTE;
	uint64_t rte;

	switch (chip->select) {
	case REG_ID:
	case REG_ARB: /* the arbitration id is loaded from the id; there is no APIC bus to rotate it */
		return chip->id;
	case REG_VER:
		return VIOAPIC_VERSION | ((chip->pins - 1U) << 16U);
	default:
		break;
	}
	if ((chip->select < REG_RTE) || (index / 2U >= chip->pins)) {
		return 0U;
	}
	rte = vioapic->rte[chip->gsi_base + index / 2U];
	return (uint32_t)(((index & 1U) != 0U) ? (rte >> 32U) : rte);
}

static void write_window(struct vioapic_chip *chip, uint32_t val)
{
	const uint32_t index = chip->select - REG_RTE;

	if (chip->select == REG_ID) {
		chip->id = val & ID_MASK;
	} else if ((chip->select >= REG_RTE) && (index / 2U < chip->pins)) {
		write_rte(chip->owner, chip->gsi_base + index / 2U, (index & 1U) != 0U, val);
	}
}

uint32_t vioapic_chip_read(struct vioapic_chip *chip, uint32_t offset)
{
	uint32_t val = 0U;

	spin_lock(&chip->owner->lock);
	if (offset == OFFSET_SELECT) {
		val = chip->select;
	} else if (offset == OFFSET_WINDOW) {
		val = read_window(chip);
	}
	spin_unlock(&chip->owner->lock);
	return val;
}

void vioapic_chip_write(struct vioapic_chip *chip, uint32_t offset, uint32_t val)
{
	spin_lock(&chip->owner->lock);
	if (offset == OFFSET_SELECT) {
		chip->select = val & 0xFFU;
	} else if (offset == OFFSET_WINDOW) {
		write_window(chip, val);
	} else if (offset == OFFSET_EOI) {
		eoi_range(chip->owner, val & 0xFFU, chip->gsi_base, chip->pins);
	}
	spin_unlock(&chip->owner->lock);
}
