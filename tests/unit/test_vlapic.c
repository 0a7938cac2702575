/* SPDX-License-Identifier: BSD-3-Clause */
/* The local APIC, against SDM vol 3, chapter 11. */
#include <stdarg.h>

#include <asm/caps.h>
#include <asm/lapic.h>
#include <asm/msr.h>
#include <asm/vlapic.h>
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "unit.h"

#define VCPUS 4U

#define TMR 0x180U
#define PPR 0x0A0U
#define DFR 0x0E0U

#define X2(reg) (MSR_IA32_X2APIC_BASE + ((reg) >> 4U))

static struct acrn_vm vm;
static uint32_t pages[VCPUS][1024] __aligned(4096);
static const uint32_t ids[VCPUS] = {0U, 2U, 4U, 0x21U};

/* What the local APIC asks of others. This file and vlapic*.c are linked apart from the other tests (unit.mk). */

struct cpu_caps cpu_caps = {.phys_bits = 40U};

static uint64_t now = 1000000UL;

#define MAPPED_GPA 0x200000UL

hpa_t arch_gpa_to_hpa(struct acrn_vm *of, gpa_t gpa, uint64_t *contiguous, uint32_t *access)
{
	(void)of;
	(void)contiguous;
	(void)access;
	return (gpa == MAPPED_GPA) ? gpa : INVALID_HPA;
}

uint64_t arch_now(void)
{
	return now;
}

uint32_t arch_tsc_khz(void)
{
	return 1000000U;
}

void log_guest(uint16_t vm_id, uint16_t vcpu_id, const char *fmt, ...)
{
	(void)vm_id;
	(void)vcpu_id;
	(void)fmt;
}

struct vlapic *vcpu_vlapic(struct acrn_vcpu *vcpu)
{
	return &vcpu->arch.vlapic;
}

void vcpu_make_request(struct acrn_vcpu *vcpu, uint32_t req)
{
	(void)bit_test_and_set(&vcpu->requests, req);
}

void vcpu_event_came(struct acrn_vcpu *vcpu)
{
	vcpu_make_request(vcpu, VCPU_REQ_EVENT);
}

void hv_timer_init(struct hv_timer *timer, void (*expired)(struct hv_timer *))
{
	*timer = (struct hv_timer){.expired = expired};
}

void hv_timer_start(struct hv_timer *timer, uint64_t deadline, uint64_t period)
{
	timer->deadline = deadline;
	timer->period = period;
	timer->armed = true;
}

void hv_timer_stop(struct hv_timer *timer)
{
	timer->armed = false;
}

void hv_timer_stop_wait(struct hv_timer *timer)
{
	timer->armed = false;
}

void vioapic_eoi_broadcast(struct acrn_vm *v, uint32_t vector)
{
	vioapic_eoi(&v->vioapic, vector);
}

/* ---- Set-up ---- */

static const struct vioapic_ops ioapic_ops = {.deliver = vlapic_deliver};

static struct vlapic *lapic(uint32_t i)
{
	return &vm.vcpus[i].arch.vlapic;
}

static uint32_t rd(uint32_t i, uint32_t reg)
{
	uint64_t val = 0UL;

	EXPECT_EQ(vlapic_mmio_read(lapic(i), reg, 4U, &val), 0);
	return (uint32_t)val;
}

static void wr(uint32_t i, uint32_t reg, uint32_t val)
{
	EXPECT_EQ(vlapic_mmio_write(lapic(i), reg, 4U, val), 0);
}

/* All enabled, in xAPIC mode, flat model with logical id 1 << i. */
static void start(void)
{
	uint32_t i;

	memset(&vm, 0, sizeof(vm));
	memset(pages, 0, sizeof(pages));
	vm.vcpu_count = VCPUS;
	vioapic_init(&vm.vioapic, &vm, &ioapic_ops);
	EXPECT_EQ(vioapic_add_chip(&vm.vioapic, 0xFEC00000UL, 0U, 24U, false), 0);
	vpic_init(&vm.vpic, &vm, vlapic_pic_wire);
	for (i = 0U; i < VCPUS; i++) {
		vm.vcpus[i].vm = &vm;
		vm.vcpus[i].vcpu_id = (uint16_t)i;
		vm.vcpus[i].thread.state = THREAD_RUNNABLE;
		vm.vcpus[i].apic_id = ids[i];
		vlapic_init(lapic(i), &vm.vcpus[i], pages[i]);
		wr(i, LAPIC_SVR, 0x1FFU);
		wr(i, LAPIC_LDR, BIT32(24U + i));
	}
}

static void start_x2apic(void)
{
	uint32_t i;

	start();
	for (i = 0U; i < VCPUS; i++) {
		EXPECT_EQ(vlapic_write_msr(lapic(i), MSR_IA32_APIC_BASE, lapic(i)->base | APIC_BASE_X2APIC), 0);
	}
}

static int32_t wrmsr_(uint32_t i, uint32_t reg, uint64_t val)
{
	return vlapic_write_msr(lapic(i), X2(reg), val);
}

static uint64_t rdmsr_(uint32_t i, uint32_t reg)
{
	uint64_t val = 0x1234567800000000UL;

	EXPECT_EQ(vlapic_read_msr(lapic(i), X2(reg), &val), 0);
	return val;
}

/* Takes and ends what is pending: bit i of the result: vCPU i had exactly `vector`. */
static uint32_t receivers(uint32_t vector)
{
	uint32_t got = 0U;
	uint32_t i;

	for (i = 0U; i < VCPUS; i++) {
		const int32_t pending = vlapic_pending_vector(lapic(i));

		if (pending >= 0) {
			EXPECT_EQ(pending, vector);
			vlapic_ack(lapic(i), (uint32_t)pending);
			vlapic_eoi(lapic(i));
			EXPECT_EQ(vlapic_pending_vector(lapic(i)), -1);
			got |= BIT32(i);
		}
	}
	return got;
}

static uint32_t requested(uint32_t req)
{
	uint32_t got = 0U;
	uint32_t i;

	for (i = 0U; i < VCPUS; i++) {
		if (bit_test_and_clear(&vm.vcpus[i].requests, req)) {
			got |= BIT32(i);
		}
	}
	return got;
}

/* ---- Registers ---- */

TEST(vlapic_power_up)
{
	uint64_t val;
	uint32_t reg;

	start();
	vlapic_reset(lapic(1U));
	EXPECT_EQ(lapic(0U)->base, 0xFEE00900);
	EXPECT_EQ(lapic(1U)->base, 0xFEE00800);
	EXPECT_EQ(rd(1U, LAPIC_ID), 0x02000000);
	EXPECT_EQ(rd(1U, LAPIC_VERSION), 0x01050014);
	EXPECT_EQ(rd(1U, LAPIC_SVR), 0xFF);
	EXPECT_EQ(rd(1U, DFR), 0xFFFFFFFF);
	EXPECT_EQ(rd(1U, LAPIC_LDR), 0);
	for (reg = LAPIC_LVT_TIMER; reg <= LAPIC_LVT_ERROR; reg += 0x10U) {
		EXPECT_EQ(rd(1U, reg), 0x10000);
	}
	EXPECT_EQ(rd(1U, LAPIC_TIMER_DIVIDE), 0);
	EXPECT_EQ(vlapic_read_msr(lapic(1U), X2(LAPIC_ID), &val), -EACCES); /* not in x2APIC mode */
}

TEST(vlapic_mmio_shapes)
{
	uint64_t val;

	start();
	EXPECT_EQ(vlapic_mmio_read(lapic(0U), LAPIC_VERSION, 1U, &val), 0);
	EXPECT_EQ(val, 0x14);
	EXPECT_EQ(vlapic_mmio_read(lapic(0U), LAPIC_VERSION + 2U, 1U, &val), 0);
	EXPECT_EQ(val, 0x05);
	EXPECT_EQ(vlapic_mmio_read(lapic(0U), LAPIC_VERSION, 8U, &val), 0);
	EXPECT_EQ(val, 0x01050014);
	EXPECT_EQ(vlapic_mmio_read(lapic(0U), LAPIC_VERSION + 4U, 4U, &val), 0);
	EXPECT_EQ(val, 0);
	EXPECT_EQ(vlapic_mmio_write(lapic(0U), LAPIC_TPR, 1U, 0x55U), 0);
	EXPECT_EQ(vlapic_mmio_write(lapic(0U), LAPIC_TPR + 4U, 4U, 0x55U), 0);
	EXPECT_EQ(vlapic_mmio_write(lapic(0U), LAPIC_TPR, 8U, 0x55U), 0);
	EXPECT_EQ(rd(0U, LAPIC_TPR), 0);
	wr(0U, LAPIC_ID, 0x77000000U);
	EXPECT_EQ(rd(0U, LAPIC_ID), 0);
	wr(0U, DFR, 0U);
	EXPECT_EQ(rd(0U, DFR), 0x0FFFFFFF);
	wr(0U, LAPIC_SVR, 0xFFFFFFFFU);
	EXPECT_EQ(rd(0U, LAPIC_SVR), 0x11FF);
	wr(0U, LAPIC_LVT_TIMER, 0xFFFFFFFFU);
	EXPECT_EQ(rd(0U, LAPIC_LVT_TIMER), 0x000700FF);
	wr(0U, LAPIC_LVT_LINT0, 0xFFFFFFFFU);
	EXPECT_EQ(rd(0U, LAPIC_LVT_LINT0), 0x0001A7FF);
	wr(0U, LAPIC_LVT_ERROR, 0xFFFFFFFFU);
	EXPECT_EQ(rd(0U, LAPIC_LVT_ERROR), 0x000100FF);
}

TEST(vlapic_illegal_register_in_esr)
{
	start();
	wr(0U, LAPIC_LVT_ERROR, 0xFEU);
	EXPECT_EQ(rd(0U, 0x3D0U), 0);
	EXPECT_EQ(rd(0U, LAPIC_ESR), 0); /* latched by a write only */
	wr(0U, LAPIC_ESR, 0U);
	EXPECT_EQ(rd(0U, LAPIC_ESR), 0x80);
	wr(0U, LAPIC_ESR, 0U);
	EXPECT_EQ(rd(0U, LAPIC_ESR), 0);
	EXPECT_EQ(receivers(0xFEU), 1);
}

/* ---- Priorities ---- */

TEST(vlapic_post_ack_eoi)
{
	struct vlapic *l;

	start();
	l = lapic(0U);
	EXPECT_EQ(vlapic_pending_vector(l), -1);
	EXPECT(vlapic_post(l, 0x41U, false));
	EXPECT_EQ(requested(VCPU_REQ_EVENT), 1);
	EXPECT(vlapic_post(l, 0x45U, false));
	EXPECT_EQ(requested(VCPU_REQ_EVENT), 0); /* one kick is enough until the owner has looked */
	EXPECT_EQ(rd(0U, LAPIC_IRR + 0x20U), 0x22); /* a read sees what was posted */
	EXPECT_EQ(vlapic_pending_vector(l), 0x45);
	vlapic_ack(l, 0x45U);
	EXPECT_EQ(rd(0U, LAPIC_IRR + 0x20U), 0x02);
	EXPECT_EQ(rd(0U, LAPIC_ISR + 0x20U), 0x20);
	EXPECT_EQ(rd(0U, PPR), 0x40);
	EXPECT_EQ(vlapic_pending_vector(l), -1); /* same class */
	EXPECT(vlapic_post(l, 0x51U, false));
	EXPECT_EQ(vlapic_pending_vector(l), 0x51);
	vlapic_ack(l, 0x51U);
	EXPECT_EQ(vlapic_highest_isr(l), 0x51);
	wr(0U, LAPIC_EOI, 0U);
	EXPECT_EQ(vlapic_highest_isr(l), 0x45);
	(void)requested(VCPU_REQ_EVENT);
	wr(0U, LAPIC_EOI, 0U);
	EXPECT_EQ(requested(VCPU_REQ_EVENT), 1); /* 0x41 can go now */
	EXPECT_EQ(vlapic_pending_vector(l), 0x41);
	vlapic_ack(l, 0x41U);
	wr(0U, LAPIC_EOI, 0U);
	wr(0U, LAPIC_EOI, 0U); /* one too many */
	EXPECT_EQ(vlapic_highest_isr(l), -1);
	EXPECT_EQ(rd(0U, PPR), 0);
}

TEST(vlapic_all_classes_nest)
{
	struct vlapic *l;
	uint32_t c;

	start();
	l = lapic(0U);
	for (c = 1U; c < 16U; c++) {
		EXPECT(vlapic_post(l, 16U * c + 3U, false));
		EXPECT_EQ(vlapic_pending_vector(l), 16U * c + 3U);
		vlapic_ack(l, 16U * c + 3U);
	}
	for (c = 15U; c >= 1U; c--) {
		EXPECT_EQ(vlapic_highest_isr(l), 16U * c + 3U);
		EXPECT_EQ(rd(0U, PPR), 16U * c);
		vlapic_eoi(l);
	}
	EXPECT_EQ(vlapic_highest_isr(l), -1);
}

TEST(vlapic_tpr_and_cr8)
{
	struct vlapic *l;

	start();
	l = lapic(0U);
	wr(0U, LAPIC_TPR, 0x4FU);
	EXPECT_EQ(rd(0U, PPR), 0x4F);
	EXPECT_EQ(vlapic_get_cr8(l), 4);
	EXPECT(vlapic_post(l, 0x4FU, false));
	EXPECT_EQ(vlapic_pending_vector(l), -1);
	EXPECT_EQ(vlapic_highest_irr(l), 0x4F);
	(void)requested(VCPU_REQ_EVENT);
	vlapic_set_cr8(l, 3UL);
	EXPECT_EQ(requested(VCPU_REQ_EVENT), 1);
	EXPECT_EQ(rd(0U, LAPIC_TPR), 0x30);
	EXPECT_EQ(vlapic_pending_vector(l), 0x4F);
	/* The CPU may change TPR in the page (TPR shadow): no stale PPR. */
	l->regs[LAPIC_TPR / 4U] = 0x50U;
	EXPECT_EQ(vlapic_pending_vector(l), -1);
	l->regs[LAPIC_TPR / 4U] = 0U;
	EXPECT_EQ(vlapic_pending_vector(l), 0x4F);
}

TEST(vlapic_software_disable)
{
	struct vlapic *l;

	start();
	l = lapic(0U);
	wr(0U, LAPIC_LVT_TIMER, 0x31U);
	EXPECT(vlapic_post(l, 0x61U, false));
	EXPECT_EQ(vlapic_pending_vector(l), 0x61);
	wr(0U, LAPIC_SVR, 0xFFU);
	EXPECT_EQ(rd(0U, LAPIC_LVT_TIMER), 0x10031);
	wr(0U, LAPIC_LVT_TIMER, 0x32U);
	EXPECT_EQ(rd(0U, LAPIC_LVT_TIMER), 0x10032); /* the mask bit can't be cleared */
	EXPECT(!vlapic_post(l, 0x62U, false));
	EXPECT_EQ(vlapic_pending_vector(l), 0x61); /* what was in IRR is held */
	wr(0U, LAPIC_SVR, 0x1FFU);
	EXPECT_EQ(rd(0U, LAPIC_LVT_TIMER), 0x10032); /* enabling unmasks nothing */
	EXPECT_EQ(receivers(0x61U), 1);
}

TEST(vlapic_illegal_vectors)
{
	start();
	EXPECT(!vlapic_post(lapic(0U), 0x0FU, false));
	wr(0U, LAPIC_ESR, 0U);
	EXPECT_EQ(rd(0U, LAPIC_ESR), 0x40);
	wr(0U, LAPIC_ICR, 0x4000FU); /* to itself */
	wr(0U, LAPIC_ESR, 0U);
	EXPECT_EQ(rd(0U, LAPIC_ESR), 0x20);
	EXPECT_EQ(vlapic_pending_vector(lapic(0U)), -1);
	/* An error interrupt with an illegal vector must not recurse. */
	wr(0U, LAPIC_LVT_ERROR, 0x05U);
	EXPECT(!vlapic_post(lapic(0U), 0x01U, false));
	EXPECT_EQ(vlapic_pending_vector(lapic(0U)), -1);
}

/* ---- Level, EOI broadcast ---- */

static void level_entry(void)
{
	vioapic_chip_write(&vm.vioapic.chip[0], 0U, 0x10U + 2U * 9U);
	vioapic_chip_write(&vm.vioapic.chip[0], 0x10U, 0x8081U); /* to APIC id 0 */
	vioapic_set_irq(&vm.vioapic, 9U, true);
	EXPECT_EQ(vm.vioapic.rte[9] & RTE_REMOTE_IRR, RTE_REMOTE_IRR);
	vioapic_set_irq(&vm.vioapic, 9U, false);
}

TEST(vlapic_level_eoi_broadcast)
{
	uint64_t map[4];

	start();
	(void)vlapic_eoi_map(lapic(0U), map);
	level_entry();
	EXPECT(vlapic_eoi_map(lapic(0U), map));
	EXPECT_EQ(map[2], 2);
	EXPECT_EQ(map[0] | map[1] | map[3], 0);
	EXPECT(!vlapic_eoi_map(lapic(0U), map));
	EXPECT_EQ(rd(0U, TMR + 0x40U), 2);
	EXPECT_EQ(receivers(0x81U), 1);
	EXPECT_EQ(vm.vioapic.rte[9] & RTE_REMOTE_IRR, 0);
	/* The same vector as an edge: no broadcast any more. */
	EXPECT(vlapic_post(lapic(0U), 0x81U, false));
	EXPECT_EQ(rd(0U, TMR + 0x40U), 0);
	EXPECT(vlapic_eoi_map(lapic(0U), map));
	EXPECT_EQ(map[2], 0);
}

TEST(vlapic_directed_eoi)
{
	start();
	wr(0U, LAPIC_SVR, 0x11FFU);
	level_entry();
	EXPECT_EQ(receivers(0x81U), 1);
	EXPECT_EQ(vm.vioapic.rte[9] & RTE_REMOTE_IRR, RTE_REMOTE_IRR);
	vioapic_chip_write(&vm.vioapic.chip[0], 0x40U, 0x81U);
	EXPECT_EQ(vm.vioapic.rte[9] & RTE_REMOTE_IRR, 0);
}

/* ---- Destinations ---- */

static void icr(uint32_t i, uint32_t dest, uint32_t low)
{
	wr(i, LAPIC_ICR_HIGH, dest << 24U);
	wr(i, LAPIC_ICR, low);
}

TEST(vlapic_icr_physical_and_shorthands)
{
	start();
	icr(0U, 2U, 0x4041U);
	EXPECT_EQ(receivers(0x41U), 2);
	icr(0U, 0x21U, 0x4041U);
	EXPECT_EQ(receivers(0x41U), 8);
	icr(0U, 7U, 0x4041U); /* nobody */
	EXPECT_EQ(receivers(0x41U), 0);
	icr(0U, 0xFFU, 0x4041U); /* broadcast, with the sender */
	EXPECT_EQ(receivers(0x41U), 15);
	icr(1U, 0U, 0x44041U);
	EXPECT_EQ(receivers(0x41U), 2);
	icr(1U, 0U, 0x84041U);
	EXPECT_EQ(receivers(0x41U), 15);
	icr(1U, 0U, 0xC4041U);
	EXPECT_EQ(receivers(0x41U), 13);
	EXPECT_EQ(rd(1U, LAPIC_ICR), 0xC4041);
}

TEST(vlapic_logical_flat_and_cluster)
{
	uint32_t i;

	start();
	icr(0U, 0x0AU, 0x4841U);
	EXPECT_EQ(receivers(0x41U), 10);
	icr(0U, 0xFFU, 0x4841U);
	EXPECT_EQ(receivers(0x41U), 15);
	icr(0U, 0xF0U, 0x4841U);
	EXPECT_EQ(receivers(0x41U), 0);
	for (i = 0U; i < VCPUS; i++) {
		wr(i, DFR, 0x0FFFFFFFU);
		/* Clusters 0 and 1, two members each. */
		wr(i, LAPIC_LDR, ((i >> 1U) << 28U) | BIT32(24U + (i & 1U)));
	}
	icr(0U, 0x03U, 0x4841U);
	EXPECT_EQ(receivers(0x41U), 3);
	icr(0U, 0x12U, 0x4841U);
	EXPECT_EQ(receivers(0x41U), 8);
	icr(0U, 0xF1U, 0x4841U);
	EXPECT_EQ(receivers(0x41U), 5);
	icr(0U, 0xFFU, 0x4841U);
	EXPECT_EQ(receivers(0x41U), 15);
	icr(0U, 0x21U, 0x4841U);
	EXPECT_EQ(receivers(0x41U), 0);
}

TEST(vlapic_lowest_priority)
{
	start();
	wr(0U, LAPIC_TPR, 0x20U);
	wr(1U, LAPIC_TPR, 0x20U);
	wr(3U, LAPIC_TPR, 0x20U);
	icr(0U, 0x0FU, 0x4941U);
	EXPECT_EQ(receivers(0x41U), 4);
	wr(2U, LAPIC_SVR, 0xFFU); /* disabled: not a candidate */
	icr(0U, 0x05U, 0x4941U);
	EXPECT_EQ(receivers(0x41U), 1);
	icr(0U, 0x04U, 0x4941U);
	EXPECT_EQ(receivers(0x41U), 0);
}

TEST(vlapic_nmi_init_sipi)
{
	start();
	icr(0U, 2U, 0x4400U);
	EXPECT_EQ(requested(VCPU_REQ_NMI), 2);
	icr(0U, 0U, 0xC4400U);
	EXPECT_EQ(requested(VCPU_REQ_NMI), 14);
	icr(0U, 0U, 0x84400U); /* "all including self" does not come back */
	EXPECT_EQ(requested(VCPU_REQ_NMI), 14);
	icr(0U, 0U, 0x44400U); /* nor is "self" legal */
	EXPECT_EQ(requested(VCPU_REQ_NMI), 0);
	icr(0U, 4U, 0xC500U); /* INIT, level assert */
	EXPECT_EQ(requested(VCPU_REQ_INIT), 4);
	icr(0U, 4U, 0x8500U); /* INIT level de-assert */
	EXPECT_EQ(requested(VCPU_REQ_INIT), 0);
	icr(0U, 4U, 0x4608U);
	EXPECT_EQ(requested(VCPU_REQ_SIPI), 4);
	EXPECT_EQ(vm.vcpus[2].sipi_vector, 8);
	/* A software-disabled one takes them too. */
	wr(1U, LAPIC_SVR, 0xFFU);
	icr(0U, 2U, 0x4500U);
	EXPECT_EQ(requested(VCPU_REQ_INIT), 2);
	icr(0U, 2U, 0x4400U);
	EXPECT_EQ(requested(VCPU_REQ_NMI), 2);
	icr(0U, 2U, 0x4200U); /* SMI: dropped */
	icr(0U, 2U, 0x4300U); /* reserved */
	icr(0U, 2U, 0x4700U);
	EXPECT_EQ(vm.vcpus[1].requests, 0);
	/* Who is not looking can tell one NMI from two. */
	EXPECT_EQ(vlapic_take_nmis(lapic(2U)), 2);
	EXPECT_EQ(vlapic_take_nmis(lapic(2U)), 0);
	icr(0U, 4U, 0x4400U);
	EXPECT_EQ(vlapic_take_nmis(lapic(2U)), 1);
}

TEST(vlapic_init_reset)
{
	start();
	(void)vlapic_post(lapic(1U), 0x41U, true);
	EXPECT_EQ(vlapic_pending_vector(lapic(1U)), 0x41);
	(void)vlapic_post(lapic(1U), 0x42U, true);
	vlapic_ack(lapic(1U), 0x41U);
	vlapic_init_reset(lapic(1U));
	EXPECT_EQ(vlapic_pending_vector(lapic(1U)), -1);
	EXPECT_EQ(vlapic_highest_isr(lapic(1U)), -1);
	EXPECT_EQ(rd(1U, LAPIC_SVR), 0xFF);
	EXPECT_EQ(rd(1U, TMR + 0x20U), 0);
	EXPECT_EQ(rd(1U, LAPIC_ID), 0x02000000);
}

/* ---- x2APIC ---- */

TEST(vlapic_apic_base_transitions)
{
	const uint64_t off = VLAPIC_BASE_GPA;
	const uint64_t xapic = off | APIC_BASE_ENABLE;
	const uint64_t x2apic = xapic | APIC_BASE_X2APIC;
	struct vlapic *l;
	uint64_t val;

	start();
	l = lapic(1U);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, off | APIC_BASE_X2APIC), -EACCES);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, xapic | 1UL), -EACCES);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, xapic | 0x200UL), -EACCES);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, xapic | (1UL << cpu_caps.phys_bits)), -EACCES);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, off), 0);
	EXPECT_EQ(vlapic_mmio_read(l, LAPIC_ID, 4U, &val), -ENODEV);
	EXPECT_EQ(val, ~0UL);
	EXPECT_EQ(vlapic_mmio_write(l, LAPIC_TPR, 4U, 0x10U), -ENODEV);
	EXPECT(!vlapic_post(l, 0x41U, false));
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, x2apic), -EACCES);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, xapic), 0);
	EXPECT_EQ(rd(1U, LAPIC_SVR), 0xFF); /* as after power-up */
	wr(1U, LAPIC_SVR, 0x1FFU);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, x2apic), 0);
	EXPECT_EQ(rdmsr_(1U, LAPIC_SVR), 0x1FF); /* kept */
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, xapic), -EACCES);
	EXPECT_EQ(vlapic_mmio_read(l, LAPIC_ID, 4U, &val), -ENODEV);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, off), 0);
	/* The BSP flag is nobody's to write. */
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, xapic | APIC_BASE_BSP), 0);
	EXPECT_EQ(vlapic_read_msr(l, MSR_IA32_APIC_BASE, &val), 0);
	EXPECT_EQ(val, xapic);
	vm.arch.hide_x2apic = true;
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, x2apic), -EACCES);
}

TEST(vlapic_moved)
{
	const uint64_t xapic = VLAPIC_BASE_GPA | APIC_BASE_ENABLE;
	const uint64_t moved = 0xFED80000UL | APIC_BASE_ENABLE;
	struct vlapic *l;
	uint64_t val;

	start();
	l = lapic(1U);
	EXPECT(vlapic_is_at(l, VLAPIC_BASE_GPA));
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, moved), 0);
	EXPECT_EQ(vlapic_read_msr(l, MSR_IA32_APIC_BASE, &val), 0);
	EXPECT_EQ(val, moved);
	EXPECT(vlapic_is_at(l, 0xFED80000UL));
	EXPECT(!vlapic_is_at(l, VLAPIC_BASE_GPA));
	EXPECT(vlapic_is_at(lapic(0U), VLAPIC_BASE_GPA)); /* each its own */
	/* Not over memory. */
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, MAPPED_GPA | APIC_BASE_ENABLE), -EACCES);
	EXPECT(vlapic_is_at(l, 0xFED80000UL));
	vlapic_init_reset(l); /* INIT keeps the address, power-up does not */
	EXPECT(vlapic_is_at(l, 0xFED80000UL));
	vlapic_reset(l);
	EXPECT(vlapic_is_at(l, VLAPIC_BASE_GPA));
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, moved | APIC_BASE_X2APIC), 0);
	EXPECT(!vlapic_is_at(l, 0xFED80000UL));
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, VLAPIC_BASE_GPA), 0);
	EXPECT(!vlapic_is_at(l, VLAPIC_BASE_GPA));
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_APIC_BASE, xapic), 0);
	EXPECT(vlapic_is_at(l, VLAPIC_BASE_GPA));
}

TEST(vlapic_x2apic_identity)
{
	start_x2apic();
	EXPECT_EQ(rdmsr_(3U, LAPIC_ID), 0x21);
	EXPECT_EQ(rdmsr_(3U, LAPIC_LDR), 0x00020002);
	EXPECT_EQ(rdmsr_(2U, LAPIC_LDR), 0x00000010);
	/* INIT keeps the mode and the identity. */
	vlapic_init_reset(lapic(3U));
	EXPECT_EQ(rdmsr_(3U, LAPIC_ID), 0x21);
	EXPECT_EQ(rdmsr_(3U, LAPIC_LDR), 0x00020002);
}

TEST(vlapic_x2apic_access_checks)
{
	static const uint32_t read_only[] = {LAPIC_ID, LAPIC_VERSION, PPR, LAPIC_LDR, LAPIC_ISR, TMR, LAPIC_IRR,
		LAPIC_TIMER_CURRENT};
	static const uint32_t none[] = {0x000U, 0x040U, DFR, 0x090U, 0x0C0U, LAPIC_LVT_CMCI, LAPIC_ICR_HIGH, 0x290U,
		0x3A0U, 0x3D0U, 0x400U, 0xFF0U};
	uint64_t val;
	uint32_t i;

	start_x2apic();
	for (i = 0U; i < ARRAY_SIZE(read_only); i++) {
		EXPECT_EQ(rdmsr_(0U, read_only[i]) >> 32U, 0);
		EXPECT_EQ(wrmsr_(0U, read_only[i], 0UL), -EACCES);
	}
	for (i = 0U; i < ARRAY_SIZE(none); i++) {
		EXPECT_EQ(vlapic_read_msr(lapic(0U), X2(none[i]), &val), -EACCES);
		EXPECT_EQ(wrmsr_(0U, none[i], 0UL), -EACCES);
	}
	EXPECT_EQ(vlapic_read_msr(lapic(0U), X2(LAPIC_EOI), &val), -EACCES);
	EXPECT_EQ(vlapic_read_msr(lapic(0U), X2(0x3F0U), &val), -EACCES);
	EXPECT_EQ(wrmsr_(0U, LAPIC_EOI, 1UL), -EACCES);
	EXPECT_EQ(wrmsr_(0U, LAPIC_ESR, 1UL), -EACCES);
	EXPECT_EQ(wrmsr_(0U, LAPIC_ESR, 0UL), 0);
	EXPECT_EQ(wrmsr_(0U, LAPIC_TPR, 0x100UL), -EACCES);
	EXPECT_EQ(wrmsr_(0U, LAPIC_TPR, 1UL << 32U), -EACCES);
	EXPECT_EQ(wrmsr_(0U, LAPIC_TPR, 0x20UL), 0);
	EXPECT_EQ(wrmsr_(0U, LAPIC_SVR, 0x21FFUL), -EACCES);
	EXPECT_EQ(wrmsr_(0U, LAPIC_LVT_TIMER, 0x80000UL), -EACCES);
	EXPECT_EQ(wrmsr_(0U, LAPIC_LVT_LINT0, 0x1F7FFUL), 0);
	EXPECT_EQ(rdmsr_(0U, LAPIC_LVT_LINT0), 0x1A7FF);
	EXPECT_EQ(wrmsr_(0U, LAPIC_LVT_ERROR, 0x100UL), -EACCES);
	EXPECT_EQ(wrmsr_(0U, LAPIC_TIMER_DIVIDE, 0x4UL), -EACCES);
	EXPECT_EQ(wrmsr_(0U, LAPIC_ICR, 0x1000UL), -EACCES);
	EXPECT_EQ(wrmsr_(0U, LAPIC_ICR, 0x100041UL), -EACCES);
	EXPECT_EQ(wrmsr_(0U, 0x3F0U, 0x141UL), -EACCES);
}

TEST(vlapic_x2apic_ipis)
{
	start_x2apic();
	EXPECT_EQ(wrmsr_(0U, LAPIC_ICR, (0x21UL << 32U) | 0x4041UL), 0);
	EXPECT_EQ(receivers(0x41U), 8);
	EXPECT_EQ(rdmsr_(0U, LAPIC_ICR), (0x21UL << 32U) | 0x4041UL);
	EXPECT_EQ(wrmsr_(0U, LAPIC_ICR, (0xFFUL << 32U) | 0x4041UL), 0); /* an id like any other */
	EXPECT_EQ(receivers(0x41U), 0);
	EXPECT_EQ(wrmsr_(0U, LAPIC_ICR, (0xFFFFFFFFUL << 32U) | 0x4041UL), 0);
	EXPECT_EQ(receivers(0x41U), 15);
	/* Logical: cluster 0 has ids 0, 2, 4; cluster 2 has id 0x21. */
	EXPECT_EQ(wrmsr_(0U, LAPIC_ICR, (0x00000014UL << 32U) | 0x4841UL), 0);
	EXPECT_EQ(receivers(0x41U), 6);
	EXPECT_EQ(wrmsr_(0U, LAPIC_ICR, (0x0002FFFFUL << 32U) | 0x4841UL), 0);
	EXPECT_EQ(receivers(0x41U), 8);
	EXPECT_EQ(wrmsr_(0U, LAPIC_ICR, (0xFFFFFFFFUL << 32U) | 0x4841UL), 0);
	EXPECT_EQ(receivers(0x41U), 15);
	EXPECT_EQ(wrmsr_(2U, 0x3F0U, 0x77UL), 0);
	EXPECT_EQ(receivers(0x77U), 4);
	EXPECT_EQ(wrmsr_(2U, 0x3F0U, 0x07UL), 0);
	EXPECT_EQ(wrmsr_(2U, LAPIC_ESR, 0UL), 0);
	EXPECT_EQ(rdmsr_(2U, LAPIC_ESR), 0x20);
}

TEST(vlapic_mixed_modes)
{
	start();
	EXPECT_EQ(vlapic_write_msr(lapic(3U), MSR_IA32_APIC_BASE, lapic(3U)->base | APIC_BASE_X2APIC), 0);
	icr(0U, 0x21U, 0x4041U);
	EXPECT_EQ(receivers(0x41U), 8);
	EXPECT_EQ(wrmsr_(3U, LAPIC_ICR, (2UL << 32U) | 0x4041UL), 0);
	EXPECT_EQ(receivers(0x41U), 2);
	EXPECT_EQ(wrmsr_(3U, LAPIC_ICR, (0x102UL << 32U) | 0x4041UL), 0);
	EXPECT_EQ(receivers(0x41U), 0);
}

/* ---- MSI ---- */

TEST(vlapic_msi)
{
	start();
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFEE02000UL, 0x41UL), 0);
	EXPECT_EQ(receivers(0x41U), 2);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFEE0A004UL, 0x41UL), 0); /* logical, no hint: all of them */
	EXPECT_EQ(receivers(0x41U), 10);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFEE0A00CUL, 0x41UL), 0); /* with the hint: one of them */
	EXPECT_EQ(__builtin_popcount(receivers(0x41U)), 1);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFEE0F004UL, 0x141UL), 0);
	EXPECT_EQ(__builtin_popcount(receivers(0x41U)), 1);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFEEFF000UL, 0x41UL), 0);
	EXPECT_EQ(receivers(0x41U), 15);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFEE02000UL, 0x8041UL), 0); /* level de-assert */
	EXPECT_EQ(receivers(0x41U), 0);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFEE02000UL, 0x400UL), 0);
	EXPECT_EQ(requested(VCPU_REQ_NMI), 2);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFEE02000UL, 0x05UL), 0); /* illegal vector: the receiver's ESR */
	EXPECT_EQ(receivers(0x05U), 0);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFED02000UL, 0x41UL), -EINVAL);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0x1FEE02000UL, 0x41UL), -EINVAL);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFEE02000UL, 0x341UL), -EINVAL);
	EXPECT_EQ(vlapic_inject_msi(&vm, 0xFEE02000UL, 0x641UL), -EINVAL);
}

/* ---- PIC ---- */

static void pic_up(void)
{
	static const uint8_t seq[4] = {0x11U, 0x20U, 0x04U, 0x01U};
	uint32_t i;

	for (i = 0U; i < 4U; i++) {
		vpic_write_port(&vm.vpic, (i == 0U) ? 0x20U : 0x21U, seq[i]);
	}
}

TEST(vlapic_extint)
{
	start();
	pic_up();
	vpic_set_irq(&vm.vpic, 1U, true);
	EXPECT(!vlapic_extint_pending(lapic(0U))); /* LINT0 is masked */
	(void)requested(VCPU_REQ_EVENT);
	wr(0U, LAPIC_LVT_LINT0, 0x700U);
	EXPECT_EQ(requested(VCPU_REQ_EVENT), 1);
	EXPECT(vlapic_extint_pending(lapic(0U)));
	EXPECT(!vlapic_extint_pending(lapic(1U)));
	EXPECT_EQ(vpic_ack(&vm.vpic), 0x21);
	vlapic_extint_acked(lapic(0U));
	EXPECT(!vlapic_extint_pending(lapic(0U)));
	vpic_write_port(&vm.vpic, 0x20U, 0x20U);
	vpic_set_irq(&vm.vpic, 0U, true);
	EXPECT_EQ(requested(VCPU_REQ_EVENT), 1);
	EXPECT(vlapic_extint_pending(lapic(0U)));
	/* Global disable: the pin is INTR, of the boot CPU. */
	EXPECT_EQ(vlapic_write_msr(lapic(0U), MSR_IA32_APIC_BASE, VLAPIC_BASE_GPA), 0);
	EXPECT_EQ(vlapic_write_msr(lapic(1U), MSR_IA32_APIC_BASE, VLAPIC_BASE_GPA), 0);
	EXPECT(vlapic_extint_pending(lapic(0U)));
	EXPECT(!vlapic_extint_pending(lapic(1U)));
}

TEST(vlapic_extint_message)
{
	start();
	vioapic_chip_write(&vm.vioapic.chip[0], 0U, 0x11U);
	vioapic_chip_write(&vm.vioapic.chip[0], 0x10U, 0x02000000U);
	vioapic_chip_write(&vm.vioapic.chip[0], 0U, 0x10U);
	vioapic_chip_write(&vm.vioapic.chip[0], 0x10U, 0x700U);
	vioapic_set_irq(&vm.vioapic, 0U, true);
	EXPECT(vlapic_extint_pending(lapic(1U)));
	EXPECT(!vlapic_extint_pending(lapic(0U)));
	vlapic_extint_acked(lapic(1U));
	EXPECT(!vlapic_extint_pending(lapic(1U)));
}

TEST(vlapic_lint0_other_modes)
{
	start();
	pic_up();
	wr(0U, LAPIC_LVT_LINT0, 0x51U); /* fixed, edge */
	vpic_set_irq(&vm.vpic, 1U, true);
	EXPECT_EQ(receivers(0x51U), 1);
	EXPECT(!vlapic_extint_pending(lapic(0U)));
	(void)vpic_ack(&vm.vpic);
	vpic_write_port(&vm.vpic, 0x20U, 0x20U);
	vpic_set_irq(&vm.vpic, 1U, false);
	wr(0U, LAPIC_LVT_LINT0, 0x400U);
	vpic_set_irq(&vm.vpic, 1U, true);
	EXPECT_EQ(requested(VCPU_REQ_NMI), 1);
	/* Fixed, level: remote IRR until EOI, then again while the wire is up. */
	wr(0U, LAPIC_LVT_LINT0, 0x8051U);
	EXPECT_EQ(rd(0U, LAPIC_LVT_LINT0), 0xC051);
	EXPECT_EQ(vlapic_pending_vector(lapic(0U)), 0x51);
	vlapic_ack(lapic(0U), 0x51U);
	vlapic_eoi(lapic(0U));
	EXPECT_EQ(vlapic_pending_vector(lapic(0U)), 0x51);
	vlapic_ack(lapic(0U), 0x51U);
	(void)vpic_ack(&vm.vpic); /* the wire falls */
	vlapic_eoi(lapic(0U));
	EXPECT_EQ(vlapic_pending_vector(lapic(0U)), -1);
	EXPECT_EQ(rd(0U, LAPIC_LVT_LINT0), 0x8051);
}

TEST(vlapic_virtual_wire)
{
	start();
	vlapic_reset(lapic(0U));
	vlapic_set_virtual_wire(lapic(0U));
	pic_up();
	vpic_set_irq(&vm.vpic, 1U, true);
	EXPECT(vlapic_extint_pending(lapic(0U)));
	EXPECT(vlapic_post(lapic(0U), 0x41U, false));
}

/* ---- Timer ---- */

static void expire(uint32_t i)
{
	struct hv_timer *timer = &lapic(i)->timer;

	timer->expired(timer);
}

TEST(vlapic_timer_oneshot)
{
	struct vlapic *l;
	const uint64_t tick = 1UL << VLAPIC_TIMER_SHIFT;

	start();
	l = lapic(0U);
	wr(0U, LAPIC_TIMER_DIVIDE, 0xBU); /* by 1 */
	wr(0U, LAPIC_LVT_TIMER, 0x31U);
	wr(0U, LAPIC_TIMER_INITIAL, 1000U);
	EXPECT(l->timer.armed);
	EXPECT_EQ(l->timer.deadline, now + 1000U * tick);
	EXPECT_EQ(l->timer.period, 0);
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 1000);
	now += 400U * tick;
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 600);
	/* A slower divider: goes on from 600. */
	wr(0U, LAPIC_TIMER_DIVIDE, 0x3U); /* by 16 */
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 600);
	EXPECT_EQ(l->timer.deadline, now + 600U * 16U * tick);
	now += 600U * 16U * tick;
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 0);
	expire(0U);
	EXPECT_EQ(receivers(0x31U), 1);
	now += 100000U * tick;
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 0);
	/* It has ended, whatever is changed now. */
	wr(0U, LAPIC_TIMER_DIVIDE, 0xAU); /* by 128 */
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 0);
	wr(0U, LAPIC_LVT_TIMER, 0x20031U); /* periodic */
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 0);
	wr(0U, LAPIC_LVT_TIMER, 0x31U);
	wr(0U, LAPIC_TIMER_INITIAL, 5U);
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 5);
	wr(0U, LAPIC_TIMER_INITIAL, 0U);
	EXPECT(!l->timer.armed);
	/* Masked: counts, but says nothing. */
	wr(0U, LAPIC_LVT_TIMER, 0x10031U);
	wr(0U, LAPIC_TIMER_INITIAL, 5U);
	expire(0U);
	EXPECT_EQ(receivers(0x31U), 0);
}

TEST(vlapic_timer_divide_codes)
{
	static const uint8_t code[8] = {0x0U, 0x1U, 0x2U, 0x3U, 0x8U, 0x9U, 0xAU, 0xBU};
	static const uint8_t by[8] = {2U, 4U, 8U, 16U, 32U, 64U, 128U, 1U};
	uint32_t i;

	start();
	for (i = 0U; i < 8U; i++) {
		wr(0U, LAPIC_TIMER_DIVIDE, code[i]);
		wr(0U, LAPIC_TIMER_INITIAL, 0xFFFFFFFFU);
		EXPECT_EQ(lapic(0U)->timer.deadline - now, ((uint64_t)0xFFFFFFFFU * by[i]) << VLAPIC_TIMER_SHIFT);
	}
}

TEST(vlapic_timer_periodic)
{
	struct vlapic *l;
	const uint64_t tick = 1UL << VLAPIC_TIMER_SHIFT;

	start();
	l = lapic(0U);
	wr(0U, LAPIC_TIMER_DIVIDE, 0xBU);
	wr(0U, LAPIC_LVT_TIMER, 0x20031U);
	wr(0U, LAPIC_TIMER_INITIAL, 100000U);
	EXPECT_EQ(l->timer.deadline, now + 100000U * tick);
	EXPECT_EQ(l->timer.period, 100000U * tick);
	now += 250000U * tick;
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 50000);
	expire(0U);
	EXPECT_EQ(receivers(0x31U), 1);
	/* To one-shot: the count goes on and ends. */
	wr(0U, LAPIC_LVT_TIMER, 0x31U);
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 50000);
	EXPECT_EQ(l->timer.period, 0);
	EXPECT_EQ(l->timer.deadline, now + 50000U * tick);
	/* A period that would drown the pCPU is stretched. */
	wr(0U, LAPIC_LVT_TIMER, 0x20031U);
	wr(0U, LAPIC_TIMER_INITIAL, 1U);
	EXPECT_EQ(l->timer.period, (uint64_t)arch_tsc_khz() * VLAPIC_TIMER_MIN_PERIOD_US / 1000U);
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 1);
}

TEST(vlapic_timer_deadline)
{
	struct vlapic *l;
	uint64_t val;

	start();
	l = lapic(0U);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_TSC_DEADLINE, now + 5000UL), 0); /* wrong mode: ignored */
	EXPECT(!l->timer.armed);
	wr(0U, LAPIC_TIMER_INITIAL, 1000U);
	wr(0U, LAPIC_LVT_TIMER, 0x40031U);
	EXPECT(!l->timer.armed);
	wr(0U, LAPIC_TIMER_INITIAL, 1000U); /* ignored */
	EXPECT(!l->timer.armed);
	EXPECT_EQ(rd(0U, LAPIC_TIMER_CURRENT), 0);

	vlapic_set_tsc_offset(l, (uint64_t)-500L); /* the guest's TSC is behind */
	EXPECT(!l->timer.armed);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_TSC_DEADLINE, now + 5000UL), 0);
	EXPECT(l->timer.armed);
	EXPECT_EQ(l->timer.deadline, now + 5500UL);
	EXPECT_EQ(vlapic_read_msr(l, MSR_IA32_TSC_DEADLINE, &val), 0);
	EXPECT_EQ(val, now + 5000UL);
	/* The guest sets its TSC: the timer follows, and fires if the deadline is past. */
	vlapic_set_tsc_offset(l, (uint64_t)-900L);
	EXPECT_EQ(l->timer.deadline, now + 5900UL);
	vlapic_set_tsc_offset(l, 1000000UL);
	EXPECT(!l->timer.armed);
	EXPECT_EQ(receivers(0x31U), 1);
	vlapic_set_tsc_offset(l, (uint64_t)-500L);
	EXPECT(!l->timer.armed);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_TSC_DEADLINE, now + 5000UL), 0);
	l->timer.armed = false;
	now += 5500UL;
	expire(0U);
	EXPECT_EQ(receivers(0x31U), 1);
	EXPECT_EQ(vlapic_read_msr(l, MSR_IA32_TSC_DEADLINE, &val), 0);
	EXPECT_EQ(val, 0);

	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_TSC_DEADLINE, 1UL), 0); /* past: at once */
	EXPECT_EQ(receivers(0x31U), 1);
	EXPECT(!l->timer.armed);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_TSC_DEADLINE, now + 5000UL), 0);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_TSC_DEADLINE, 0UL), 0);
	EXPECT(!l->timer.armed);
	EXPECT_EQ(vlapic_write_msr(l, MSR_IA32_TSC_DEADLINE, UINT64_MAX), 0); /* must not wrap into the past */
	EXPECT(!l->timer.armed || (l->timer.deadline > now));
	EXPECT_EQ(receivers(0x31U), 0);
	wr(0U, LAPIC_LVT_TIMER, 0x31U); /* leaving the mode disarms */
	EXPECT_EQ(vlapic_read_msr(l, MSR_IA32_TSC_DEADLINE, &val), 0);
	EXPECT_EQ(val, 0);
}

/* ---- APICv ---- */

TEST(vlapic_vid_on_and_off)
{
	struct vlapic *l;

	start();
	l = lapic(0U);
	(void)vlapic_post(l, 0x41U, false);
	(void)vlapic_sync_posted(l);
	vlapic_set_vid(l, true);
	EXPECT_EQ(vlapic_highest_irr(l), 0x41);
	/* The CPU delivers 0x41, and 0x52 on top of it. */
	l->regs[(LAPIC_IRR + 0x20U) / 4U] = 0U;
	l->regs[(LAPIC_ISR + 0x20U) / 4U] = BIT32(0x52U % 32U) | BIT32(1U);
	EXPECT_EQ(vlapic_highest_irr(l), -1);
	EXPECT_EQ(vlapic_highest_isr(l), 0x52);
	vlapic_set_vid(l, false);
	EXPECT_EQ(vlapic_highest_irr(l), -1);
	vlapic_eoi(l);
	EXPECT_EQ(vlapic_highest_isr(l), 0x41);
	vlapic_eoi(l);
	EXPECT_EQ(vlapic_highest_isr(l), -1);
}

TEST(vlapic_moved_is_told_once)
{
	struct vlapic *l;

	start();
	l = lapic(0U);
	EXPECT_EQ(vlapic_take_moved(l), -1);
	/* Whoever moves it to IRR: the highest is told to who asks, and then no more. */
	(void)vlapic_post(l, 0x83U, false);
	(void)vlapic_post(l, 0x41U, false);
	(void)vlapic_sync_posted(l);
	(void)vlapic_post(l, 0x52U, false);
	EXPECT_EQ(vlapic_take_moved(l), 0x83);
	EXPECT_EQ(vlapic_highest_irr(l), 0x83);
	EXPECT_EQ(vlapic_take_moved(l), -1);
	/* RVI is written whole when the CPU begins to deliver. */
	(void)vlapic_post(l, 0x91U, false);
	(void)vlapic_sync_posted(l);
	vlapic_set_vid(l, true);
	EXPECT_EQ(vlapic_take_moved(l), -1);
	(void)vlapic_post(l, 0xA1U, false);
	(void)vlapic_sync_posted(l);
	vlapic_init_reset(l);
	EXPECT_EQ(vlapic_take_moved(l), -1);
}

TEST(vlapic_apic_write_exit)
{
	struct vlapic *l;

	start();
	l = lapic(0U);
	/* The CPU has put the value into the page already. */
	l->regs[LAPIC_LVT_TIMER / 4U] = 0x20031U;
	vlapic_apic_write_done(l, LAPIC_LVT_TIMER);
	EXPECT_EQ(l->timer_mode, 1);
	l->regs[LAPIC_SVR / 4U] = 0xFFU;
	vlapic_apic_write_done(l, LAPIC_SVR);
	EXPECT_EQ(rd(0U, LAPIC_LVT_TIMER), 0x30031);
	l->regs[LAPIC_ICR_HIGH / 4U] = 0x02000000U;
	l->regs[LAPIC_ICR / 4U] = 0x4041U;
	vlapic_apic_write_done(l, LAPIC_ICR);
	EXPECT_EQ(receivers(0x41U), 2);
}

/* Whatever the guest writes: nothing undefined, and the summaries agree with the page. */
TEST(vlapic_random)
{
	uint32_t n;

	start();
	for (n = 0U; (n < 300000U) && !unit_failed(); n++) {
		const uint64_t r = unit_rand64();
		const uint32_t i = (uint32_t)(r >> 60U) % VCPUS;
		struct vlapic *l = lapic(i);
		uint32_t words = 0U;
		uint32_t w;
		int32_t vector;
		uint64_t val;

		now += r & 0xFFFU;
		switch ((r >> 12U) & 7U) {
		case 0U:
			(void)vlapic_mmio_write(l, (uint32_t)(r >> 16U) & 0xFF0U, 4U, unit_rand64() & 0xFFFFFFFFU);
			break;
		case 1U:
			(void)vlapic_mmio_read(l, (uint32_t)(r >> 16U) & 0xFFFU, 1U << ((r >> 32U) & 3U), &val);
			break;
		case 2U:
			(void)vlapic_write_msr(l, MSR_IA32_X2APIC_BASE + ((uint32_t)(r >> 16U) & 0xFFU),
				unit_rand64() & ~((r >> 30U) << 8U));
			break;
		case 3U:
			(void)vlapic_read_msr(l, MSR_IA32_X2APIC_BASE + ((uint32_t)(r >> 16U) & 0xFFU), &val);
			break;
		case 4U:
			(void)vlapic_write_msr(l, MSR_IA32_APIC_BASE, VLAPIC_BASE_GPA | ((r >> 20U) & 0xC00U));
			break;
		case 5U:
			(void)vlapic_write_msr(l, MSR_IA32_TSC_DEADLINE, now + ((r >> 16U) & 0xFFFFU) - 0x8000U);
			(void)vlapic_inject_msi(&vm, 0xFEE00000UL | (r & 0xFF00CUL), r >> 32U);
			break;
		default:
			vector = vlapic_pending_vector(l);
			if (vector >= 0) {
				EXPECT(vector >= 16);
				vlapic_ack(l, (uint32_t)vector);
			} else if ((r & 1U) != 0U) {
				vlapic_eoi(l);
			}
			break;
		}
		if (n % 64U == 63U) {
			/* Otherwise all of them would soon be off for good. */
			(void)vlapic_write_msr(l, MSR_IA32_APIC_BASE, VLAPIC_BASE_GPA | APIC_BASE_ENABLE);
			(void)vlapic_mmio_write(l, LAPIC_SVR, 4U, 0x1FFU);
			(void)vlapic_write_msr(l, X2(LAPIC_SVR), 0x1FFUL);
		}
		for (w = 0U; w < 8U; w++) {
			words |= (l->regs[(LAPIC_IRR + 0x10U * w) / 4U] != 0U) ? BIT32(w) : 0U;
		}
		EXPECT_EQ(words, l->irr_words);
		EXPECT(l->isr_depth <= 15U);
	}
}
