/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupt lines: the machine's on their way to the Service VM, and those that devices of ours drive in a VM. */
#include <config.h>

#include <dm/vioapic.h>
#include <dm/vpic.h>
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/ptirq.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/errno.h>
#include <lib/spinlock.h>

#define PIT_GSI     2U /* wired to I/O APIC pin 2 and to PIC input 0 */
#define PIT_PIC_PIN 0U

/*
 * What the Service VM programmed for a physical pin, in its I/O APIC and in its PIC pair. The I/O APIC's wish goes
 * first: an operating system that uses it has masked the PIC, or soon will.
 */
struct pin_wish {
	bool ioapic, ioapic_level, ioapic_low;
	bool pic, pic_level;
};

static struct pin_wish wishes[CONFIG_MAX_GSI];
static uint32_t ioapic_open;        /* how many pins the Service VM's I/O APIC has unmasked */
static uint16_t pic_waiting;        /* level inputs that arrived and wait for the PIC's EOI; by PIC input */
static struct spinlock wishes_lock; /* taken after the devices' locks */

/* ISA interrupts keep their number but for the MADT's overrides. */
static const struct acpi_override *override_of(uint32_t irq)
{
	for (uint32_t i = 0U; i < acpi_info.override_count; i++) {
		if (acpi_info.override[i].irq == irq) {
			return &acpi_info.override[i];
		}
	}
	return NULL;
}

static uint32_t irq_to_gsi(uint32_t irq)
{
	const struct acpi_override *const o = override_of(irq);

	return (o != NULL) ? o->gsi : irq;
}

/* @return the PIC input, or VPIC_PIN_COUNT if none */
static uint32_t gsi_to_irq(uint32_t gsi)
{
	for (uint32_t irq = 0U; irq < VPIC_PIN_COUNT; irq++) {
		if ((irq != VPIC_CASCADE_PIN) && (irq_to_gsi(irq) == gsi)) {
			return irq;
		}
	}
	return VPIC_PIN_COUNT;
}

static void apply(uint32_t gsi)
{
	const struct pin_wish *const w = &wishes[gsi];
	const struct acpi_override *const o = (gsi_to_irq(gsi) < VPIC_PIN_COUNT) ? override_of(gsi_to_irq(gsi)) : NULL;

	if (w->ioapic) {
		arch_gsi_set(gsi, false, w->ioapic_level, w->ioapic_low);
	} else if (w->pic) {
		arch_gsi_set(gsi, false, w->pic_level, (o != NULL) && o->active_low);
	} else {
		arch_gsi_set(gsi, true, false, false);
	}
}

void ptirq_ioapic_set(uint32_t gsi, bool masked, bool level, bool active_low)
{
	if (gsi >= CONFIG_MAX_GSI) {
		return;
	}
	spin_lock(&wishes_lock);
	if (wishes[gsi].ioapic == masked) {
		ioapic_open = masked ? ioapic_open - 1U : ioapic_open + 1U;
	}
	wishes[gsi].ioapic = !masked;
	wishes[gsi].ioapic_level = level;
	wishes[gsi].ioapic_low = active_low;
	apply(gsi);
	spin_unlock(&wishes_lock);
}

static bool pic_wants(const struct vpic *vpic, uint32_t irq)
{
	const struct vpic_chip *const chip = &vpic->chip[irq / 8U];
	const uint32_t bit = 1U << (irq & 7U);

	if (!chip->ready || ((vpic->chip[0].imr == 0xFFU) && (ioapic_open != 0U))) {
		return false; /* not used, or given up for the I/O APIC */
	}
	/* A masked edge input still latches its request; a level input must not hold the line masked for nothing. */
	return ((chip->elcr & bit) == 0U) || ((chip->imr & bit) == 0U);
}

/* All that decides what the PIC wants of the lines, in one word. */
static uint64_t pic_settings(const struct vpic *vpic)
{
	uint64_t settings = 0UL;

	for (uint32_t i = 0U; i < 2U; i++) {
		const struct vpic_chip *const chip = &vpic->chip[i];

		settings =
			(settings << 24U) | ((uint64_t)chip->imr << 16U) | ((uint64_t)chip->elcr << 8U) | chip->ready;
	}
	return settings;
}

static void route_pic_pin(const struct vpic *vpic, uint32_t irq)
{
	const uint32_t gsi = irq_to_gsi(irq);
	const bool level = (vpic->chip[irq / 8U].elcr & (1U << (irq & 7U))) != 0U;

	if ((irq == VPIC_CASCADE_PIN) || (gsi >= CONFIG_MAX_GSI)) {
		return;
	}
	if ((wishes[gsi].pic != pic_wants(vpic, irq)) || (wishes[gsi].pic_level != level)) {
		wishes[gsi].pic = pic_wants(vpic, irq);
		wishes[gsi].pic_level = level;
		apply(gsi);
	}
}

/* A level interrupt that was raised: its EOI has come, so the line may speak again. */
static void finish_pic_pin(struct vpic *vpic, uint32_t irq)
{
	const struct vpic_chip *const chip = &vpic->chip[irq / 8U];
	const uint32_t bit = 1U << (irq & 7U);
	bool finished;

	spin_lock(&wishes_lock);
	finished = ((pic_waiting & (1U << irq)) != 0U) && ((chip->isr & bit) == 0U) &&
		(((chip->irr & bit) == 0U) || ((chip->lines & bit) != 0U));
	if (finished) {
		pic_waiting = (uint16_t)(pic_waiting & ~(1U << irq));
	}
	spin_unlock(&wishes_lock);
	if (finished) {
		vpic_set_irq(vpic, irq, false);
		arch_gsi_eoi(irq_to_gsi(irq));
	}
}

void ptirq_pic_changed(struct acrn_vm *vm)
{
	static uint64_t last_settings; /* wishes_lock; the Service VM has one PIC pair */
	struct vpic *const vpic = &vm->vpic;
	uint64_t settings;

	if (!vm_is_service(vm)) {
		return;
	}
	settings = pic_settings(vpic);
	if (settings != __atomic_load_n(&last_settings, __ATOMIC_RELAXED)) {
		spin_lock(&wishes_lock);
		__atomic_store_n(&last_settings, settings, __ATOMIC_RELAXED);
		for (uint32_t irq = 0U; irq < VPIC_PIN_COUNT; irq++) {
			route_pic_pin(vpic, irq);
		}
		spin_unlock(&wishes_lock);
	}
	if (__atomic_load_n(&pic_waiting, __ATOMIC_RELAXED) != 0U) {
		for (uint32_t irq = 0U; irq < VPIC_PIN_COUNT; irq++) {
			finish_pic_pin(vpic, irq);
		}
	}
}

static void arrived_at_pic(struct acrn_vm *service, uint32_t gsi)
{
	const uint32_t irq = gsi_to_irq(gsi);
	bool level;

	if ((irq == VPIC_PIN_COUNT) || wishes[gsi].ioapic) {
		return;
	}
	spin_lock(&wishes_lock);
	level = wishes[gsi].pic_level;
	if (level) {
		pic_waiting = (uint16_t)(pic_waiting | (1U << irq));
	}
	spin_unlock(&wishes_lock);
	if (level) {
		vpic_set_irq(&service->vpic, irq, true);
	} else {
		/* Nobody tells us when the line falls. */
		vpic_pulse_irq(&service->vpic, irq);
	}
}

void ptirq_arrived(uint32_t gsi)
{
	struct acrn_vm *service = vm_service();

	if ((service != NULL) && (__atomic_load_n(&service->state, __ATOMIC_ACQUIRE) == VM_RUNNING)) {
		vioapic_arrived(&service->vioapic, gsi);
		arrived_at_pic(service, gsi);
	} else {
		/* Nobody will ever deal with it. */
		arch_gsi_set(gsi, true, false, false);
	}
}

static uint32_t pic_pin(uint32_t gsi)
{
	return (gsi == PIT_GSI) ? PIT_PIC_PIN : gsi;
}

static void drive(struct acrn_vm *vm, uint32_t gsi, bool high)
{
	if (gsi < VPIC_PIN_COUNT) {
		vpic_set_irq(&vm->vpic, pic_pin(gsi), high);
	}
	vioapic_set_irq(&vm->vioapic, gsi, high);
}

static void pulse(struct acrn_vm *vm, uint32_t gsi)
{
	if (gsi < VPIC_PIN_COUNT) {
		vpic_pulse_irq(&vm->vpic, pic_pin(gsi));
	}
	vioapic_set_irq(&vm->vioapic, gsi, true);
	vioapic_set_irq(&vm->vioapic, gsi, false);
}

int32_t vm_set_irqline(struct acrn_vm *vm, uint32_t gsi, uint32_t op)
{
	if ((gsi >= vm->vioapic.pin_count) || (op > GSI_FALLING_PULSE)) {
		return -EINVAL;
	}
	switch (op) {
	case GSI_SET_HIGH:
		drive(vm, gsi, true);
		break;
	case GSI_SET_LOW:
		drive(vm, gsi, false);
		break;
	case GSI_RAISING_PULSE:
		pulse(vm, gsi);
		break;
	default:
		drive(vm, gsi, false);
		drive(vm, gsi, true);
		break;
	}
	return 0;
}
