/* SPDX-License-Identifier: BSD-3-Clause */
/* Physical I/O APICs: pins are routed as the Service VM asks for, to one of our vectors on one of our CPUs. */
#include <asm/io.h>
#include <asm/ioapic.h>
#include <asm/irq.h>
#include <asm/lapic.h>
#include <asm/percpu.h>
#include <config.h>
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/log.h>
#include <hv/upcall.h>
#include <lib/errno.h>
#include <lib/spinlock.h>

#define IOREGSEL    0x00U
#define IOWIN       0x10U
#define REG_VERSION 0x01U
#define REG_RTE     0x10U

#define RTE_ACTIVE_LOW 0x02000U
#define RTE_LEVEL      0x08000U
#define RTE_MASKED     0x10000U

struct ioapic {
	volatile uint8_t *regs;
	uint32_t gsi_base;
	uint32_t pins;
};

struct route {
	uint32_t vector; /* IRQ_NO_VECTOR: not routed */
	bool level, active_low;
	bool in_service;       /* level: masked since it arrived */
	void (*arrived)(void); /* the hypervisor's own: whom to tell; set once */
};

static struct ioapic ioapics[CONFIG_MAX_IOAPIC_NUM];
static uint32_t ioapic_count;
static struct route routes[CONFIG_MAX_GSI];
static struct spinlock ioapic_lock; /* index and window registers, routes */

static uint32_t reg_read(const struct ioapic *ioapic, uint32_t reg)
{
	mmio_write32(ioapic->regs + IOREGSEL, reg);
	return mmio_read32(ioapic->regs + IOWIN);
}

static void reg_write(const struct ioapic *ioapic, uint32_t reg, uint32_t value)
{
	mmio_write32(ioapic->regs + IOREGSEL, reg);
	mmio_write32(ioapic->regs + IOWIN, value);
}

static const struct ioapic *ioapic_of(uint32_t gsi)
{
	for (uint32_t i = 0U; i < ioapic_count; i++) {
		if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].pins) {
			return &ioapics[i];
		}
	}
	return NULL;
}

/* The pCPU that takes a GSI. One place to change when devices move with the Service VM's vCPUs. */
static uint16_t destination_cpu(uint32_t gsi)
{
	(void)gsi;
	return 0U;
}

static void write_rte(uint32_t gsi, bool masked)
{
	const struct ioapic *ioapic = ioapic_of(gsi);
	const struct route *route = &routes[gsi];
	uint32_t reg;

	if (ioapic == NULL) {
		return;
	}
	reg = REG_RTE + 2U * (gsi - ioapic->gsi_base);
	if (masked) {
		/*
		 * Pin settings stay: changing the trigger mode of a pending level interrupt would lose its remote IRR.
		 */
		reg_write(ioapic, reg, reg_read(ioapic, reg) | RTE_MASKED);
	} else {
		reg_write(ioapic, reg, RTE_MASKED);
		reg_write(ioapic, reg + 1U, arch_cpu_apic_id(destination_cpu(gsi)) << 24U);
		reg_write(ioapic, reg,
			route->vector | (route->level ? RTE_LEVEL : 0U) | (route->active_low ? RTE_ACTIVE_LOW : 0U));
	}
}

void ioapic_init(void)
{
	for (uint32_t i = 0U; i < acpi_info.ioapic_count; i++) {
		struct ioapic *ioapic = &ioapics[ioapic_count];

		if (ioapic_count == CONFIG_MAX_IOAPIC_NUM) {
			pr_warn("I/O APIC %u at %#lx is not used: more than %u", acpi_info.ioapic[i].id,
				acpi_info.ioapic[i].hpa, CONFIG_MAX_IOAPIC_NUM);
			continue;
		}
		ioapic->regs = arch_map_mmio(acpi_info.ioapic[i].hpa, PAGE_SIZE);
		ioapic->gsi_base = acpi_info.ioapic[i].gsi_base;
		ioapic->pins = ((reg_read(ioapic, REG_VERSION) >> 16U) & 0xFFU) + 1U;
		for (uint32_t pin = 0U; pin < ioapic->pins; pin++) {
			reg_write(ioapic, REG_RTE + 2U * pin, RTE_MASKED);
			reg_write(ioapic, REG_RTE + 2U * pin + 1U, 0U);
		}
		ioapic_count++;
		pr_info("I/O APIC %u at %#lx: GSI %u..%u", acpi_info.ioapic[i].id, acpi_info.ioapic[i].hpa,
			ioapic->gsi_base, ioapic->gsi_base + ioapic->pins - 1U);
	}
}

void arch_gsi_set(uint32_t gsi, bool masked, bool level, bool active_low)
{
	struct route *route;

	if (gsi >= CONFIG_MAX_GSI || ioapic_of(gsi) == NULL) {
		return; /* a pin that only the virtual I/O APIC has */
	}
	spin_lock(&ioapic_lock);
	route = &routes[gsi];
	if (route->arrived != NULL) {
		/* The guest may program its pin as it likes. */
	} else if (masked) {
		write_rte(gsi, true);
		if (route->vector != IRQ_NO_VECTOR) {
			irq_vector_free(route->vector);
		}
		route->vector = IRQ_NO_VECTOR;
		route->in_service = false;
	} else {
		if (route->vector == IRQ_NO_VECTOR) {
			route->vector = irq_vector_alloc(gsi);
		}
		route->level = level;
		route->active_low = active_low;
		if (route->vector == IRQ_NO_VECTOR) {
			pr_warn("no vector left for GSI %u", gsi);
		} else if (!(level && route->in_service)) {
			route->in_service = false;
			write_rte(gsi, false);
		}
	}
	spin_unlock(&ioapic_lock);
}

void arch_gsi_eoi(uint32_t gsi)
{
	if (gsi >= CONFIG_MAX_GSI) {
		return;
	}
	spin_lock(&ioapic_lock);
	if (routes[gsi].in_service) {
		routes[gsi].in_service = false;
		write_rte(gsi, false);
	}
	spin_unlock(&ioapic_lock);
}

void ioapic_interrupt(uint32_t gsi)
{
	struct route *route = &routes[gsi];
	bool routed;

	spin_lock(&ioapic_lock);
	routed = route->vector != IRQ_NO_VECTOR;
	if (routed && route->level && route->arrived == NULL) {
		route->in_service = true;
		write_rte(gsi, true); /* before EOI, or it comes again at once */
	}
	spin_unlock(&ioapic_lock);
	if (routed && route->arrived != NULL) {
		route->arrived();
		lapic_eoi(); /* after it, or a level-triggered one would come again at once */
		return;
	}
	lapic_eoi();
	if (routed) {
		ptirq_arrived(gsi);
	}
}

int32_t arch_gsi_claim(uint32_t gsi, bool level, bool active_low, void (*arrived)(void))
{
	struct route *route;
	int32_t ret = 0;

	if (gsi >= CONFIG_MAX_GSI || ioapic_of(gsi) == NULL) {
		return -ENODEV;
	}
	spin_lock(&ioapic_lock);
	route = &routes[gsi];
	if (route->vector != IRQ_NO_VECTOR) {
		ret = -EBUSY;
	} else {
		route->vector = irq_vector_alloc(gsi);
		if (route->vector == IRQ_NO_VECTOR) {
			ret = -ENOSPC;
		} else {
			route->level = level;
			route->active_low = active_low;
			route->arrived = arrived;
			write_rte(gsi, false);
		}
	}
	spin_unlock(&ioapic_lock);
	return ret;
}

bool arch_gsi_info(uint32_t gsi, struct gsi_info *info)
{
	bool routed = false;

	if (gsi < CONFIG_MAX_GSI) {
		const struct route *route = &routes[gsi];

		spin_lock(&ioapic_lock);
		routed = route->vector != IRQ_NO_VECTOR;
		*info = (struct gsi_info){.vector = route->vector,
			.level = route->level,
			.active_low = route->active_low,
			.claimed = route->arrived != NULL,
			.count = routed ? irq_count(route->vector) : 0UL};
		spin_unlock(&ioapic_lock);
	}
	return routed;
}

uint32_t arch_gsi_pins(uint32_t gsi_base)
{
	const struct ioapic *ioapic = ioapic_of(gsi_base);

	return ((ioapic != NULL) && (ioapic->gsi_base == gsi_base)) ? ioapic->pins : 0U;
}
