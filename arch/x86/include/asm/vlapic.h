/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The local APIC of a vCPU: xAPIC and x2APIC. Sources: SDM vol 3, chapter 11 (APIC) and 30 (APIC virtualization).
 *
 * Who may touch what: the register page belongs to the vCPU's own thread ("the owner"), so nothing there needs
 * atomics. Others post interrupts into `pid`, which has the layout of a posted-interrupt descriptor (SDM 30.6);
 * the owner, or the CPU, moves them to IRR. TMR bits are set by the poster before it posts.
 */
#ifndef ASM_VLAPIC_H
#define ASM_VLAPIC_H

#include <hv/lapic_msg.h>
#include <hv/timer.h>
#include <lib/bits.h>
#include <lib/util.h>

struct acrn_vm;
struct acrn_vcpu;

#define VLAPIC_BASE_GPA 0xFEE00000UL
#define VLAPIC_VERSION  0x01050014U /* version 0x14, 6 LVT entries, EOI broadcast can be suppressed */
/* One tick of the timer's input clock is 2^n TSC ticks. CPUID leaf 15H must agree: EAX 1, EBX 4, ECX = TSC Hz / 4. */
#define VLAPIC_TIMER_SHIFT         2U
#define VLAPIC_TIMER_MIN_PERIOD_US 50U /* periods below are stretched: a guest must not drown its pCPU */
#define VLAPIC_ISR_DEPTH           16U

/* Posted-interrupt descriptor, the CPU's layout. */
struct vlapic_pid {
	uint64_t pir[4];  /* requests by vector */
	uint64_t control; /* bit 0 ON: something was posted; bits 1, 16.. belong to the VMX code */
	uint64_t reserved[3];
} __aligned(64);

#define VLAPIC_PID_ON 0U

struct vlapic {
	struct vlapic_pid pid;
	uint32_t *regs; /* the 4 KiB page: register at offset r is regs[r / 4]; also the virtual-APIC page */
	struct acrn_vcpu *vcpu;
	uint64_t base;                       /* IA32_APIC_BASE */
	uint8_t irr_words;                   /* bit w: word w of IRR is not 0 (owner) */
	int16_t moved;                       /* highest vector moved to IRR since vlapic_take_moved(), or -1 (owner) */
	uint8_t isr_depth;                   /* vectors in service */
	uint8_t isr_stack[VLAPIC_ISR_DEPTH]; /* them, highest last; not kept while vid_active */
	bool sw_enabled;      /* SVR bit 8 as last acted upon (the CPU may have written the page before us) */
	uint8_t timer_mode;   /* LVT timer bits 18..17, likewise: 0 one-shot, 1 periodic, 2 TSC deadline */
	uint8_t timer_shift;  /* one count is 2^n TSC ticks: divide configuration and VLAPIC_TIMER_SHIFT */
	bool timer_ended;     /* a one-shot count that has ended: it stays 0 in another mode or at another rate */
	bool vid_active;      /* the CPU delivers (virtual-interrupt delivery): set by the VMX code */
	bool lint0_irr;       /* LINT0 in fixed, level mode waits for its EOI */
	bool lint0_line;      /* the PIC's wire; written by any pCPU */
	bool extint;          /* an ExtINT message waits for its INTA; atomic */
	bool eoi_map_changed; /* TMR changed since vlapic_eoi_map() was asked; atomic */
	uint32_t esr_pending; /* errors since the last write to ESR; atomic */
	uint32_t nmis;        /* that arrived and were not taken by vlapic_take_nmis(); atomic */
	uint64_t tsc_offset;  /* guest TSC - host TSC, ticks: vlapic_set_tsc_offset() */

	struct hv_timer timer;
	uint64_t timer_start;  /* host TSC of the write to the initial count, or of the last period's begin */
	uint64_t tsc_deadline; /* IA32_TSC_DEADLINE: guest TSC ticks; 0: not armed */
};

/** The local APIC of a vCPU. Provided by the owner of struct vcpu_arch (vcpu_arch.c; a fake in unit tests). */
struct vlapic *vcpu_vlapic(struct acrn_vcpu *vcpu);

/* ---- Life ---- */

/**
 * Prepares the local APIC and resets it as by power-up.
 * @param page 4 KiB, zeroed, aligned
 */
void vlapic_init(struct vlapic *vlapic, struct acrn_vcpu *vcpu, void *page);

/** Stops the timer. The vCPU must not run. */
void vlapic_destroy(struct vlapic *vlapic);

/** Power-up: xAPIC mode enabled, all registers reset (SDM 11.4.7.1). Owner, or the vCPU does not run. */
void vlapic_reset(struct vlapic *vlapic);

/** INIT: as vlapic_reset(), but IA32_APIC_BASE and the id stay (SDM 11.4.7.3). Owner, or the vCPU does not run. */
void vlapic_init_reset(struct vlapic *vlapic);

/**
 * What firmware leaves on the boot CPU: enabled, LINT0 ExtINT ("virtual wire", MP specification 3.6.2.2), LINT1 NMI.
 * For VMs that start without firmware. Owner, or the vCPU does not run.
 */
void vlapic_set_virtual_wire(struct vlapic *vlapic);

/** @return true if in x2APIC mode */
bool vlapic_is_x2apic(const struct vlapic *vlapic);

/** @return true if IA32_APIC_BASE enables it (xAPIC or x2APIC) */
bool vlapic_is_enabled(const struct vlapic *vlapic);

/** @return true if the registers lie at guest-physical address `page`: in xAPIC mode only (SDM 11.4.5). Owner. */
bool vlapic_is_at(const struct vlapic *vlapic, gpa_t page);

/* ---- Guest's accesses: owner only ---- */

/**
 * Access to the xAPIC page. Registers are 4 bytes on 16-byte boundaries; a shorter or unaligned access within the
 * first 4 bytes reads its part; other reads give 0. Writes other than 4 aligned bytes are ignored.
 * @param offset 0..0xFFF
 * @param size   1, 2, 4 or 8
 * @return 0; -ENODEV not in xAPIC mode (the access is to plain memory: read ones, ignore writes)
 */
int32_t vlapic_mmio_read(struct vlapic *vlapic, uint32_t offset, uint32_t size, uint64_t *val);
int32_t vlapic_mmio_write(struct vlapic *vlapic, uint32_t offset, uint32_t size, uint64_t val);

/**
 * RDMSR and WRMSR of 0x800..0x8FF, IA32_APIC_BASE and IA32_TSC_DEADLINE.
 * @return 0; -EACCES: #GP(0)
 */
int32_t vlapic_read_msr(struct vlapic *vlapic, uint32_t msr, uint64_t *val);
int32_t vlapic_write_msr(struct vlapic *vlapic, uint32_t msr, uint64_t val);

/**
 * After a VM exit "APIC write" (trap-like: the value is in the page already). @param offset page offset of exit
 */
void vlapic_apic_write_done(struct vlapic *vlapic, uint32_t offset);

/** EOI, also after the exit "virtualized EOI" with virtual-interrupt delivery, which needs vlapic_eoi_induced(). */
void vlapic_eoi(struct vlapic *vlapic);

/** Virtualized EOI exit: the CPU has done ISR and PPR; broadcasts if `vector` was level triggered. */
void vlapic_eoi_induced(struct vlapic *vlapic, uint32_t vector);

/** MOV to and from CR8: TPR bits 7..4. */
uint64_t vlapic_get_cr8(const struct vlapic *vlapic);
void vlapic_set_cr8(struct vlapic *vlapic, uint64_t cr8);

/* ---- Interrupts out, to the guest: owner only ---- */

/** @return vector of the highest request above PPR, or -1. Cheap when nothing was posted. */
int32_t vlapic_pending_vector(struct vlapic *vlapic);

/** @return vector of the highest request, whatever PPR is, or -1 (RVI; TPR threshold) */
int32_t vlapic_highest_irr(struct vlapic *vlapic);

/** @return highest vector in service, or -1 (SVI) */
int32_t vlapic_highest_isr(const struct vlapic *vlapic);

/** `vector`, from vlapic_pending_vector(), is being injected: IRR -> ISR, PPR raised. */
void vlapic_ack(struct vlapic *vlapic, uint32_t vector);

/** Moves what was posted to IRR. vlapic_pending_vector() does it by itself. @return true if there was something */
bool vlapic_sync_posted(struct vlapic *vlapic);

/** @return true if an external (PIC) interrupt is to be taken: INTR is asserted and this vCPU listens to it */
bool vlapic_extint_pending(struct vlapic *vlapic);

/** The INTA cycle for it has been done. */
void vlapic_extint_acked(struct vlapic *vlapic);

/* ---- For APICv ---- */

/**
 * Virtual-interrupt delivery is (no longer) used. Turning it off rebuilds what the CPU did not keep. Owner.
 * It may be used whenever the local APIC is enabled; EOI exits are needed for the vectors of vlapic_eoi_map().
 */
void vlapic_set_vid(struct vlapic *vlapic, bool on);

/** Moves what was posted to IRR. @return the highest vector that came to IRR since this was last asked, or -1. Owner.
 */
int32_t vlapic_take_moved(struct vlapic *vlapic);

/**
 * EOI-exit bitmap: vectors whose EOI must exit (level triggered).
 * @param map out, 4 words
 * @return true if it may have changed since the last call
 */
bool vlapic_eoi_map(struct vlapic *vlapic, uint64_t map[4]);

/** The guest's TSC jumps: a TSC deadline comes earlier, at once, or later. Owner. @param offset guest - host TSC */
void vlapic_set_tsc_offset(struct vlapic *vlapic, uint64_t offset);

/* ---- Interrupts in: any pCPU ---- */

/**
 * Posts fixed interrupt `vector` and kicks the vCPU. Dropped when software-disabled; vectors 0..15: ESR. @return
 * accepted
 */
bool vlapic_post(struct vlapic *vlapic, uint32_t vector, bool level);

/** As arch_vcpu_set_irq(): for interrupts of the hypervisor's own. */
void vlapic_set_local(struct acrn_vcpu *vcpu, uint32_t vector, bool level);

/** As arch_inject_msi(): SDM vol 3, 11.11. @return 0 or -EINVAL */
int32_t vlapic_inject_msi(struct acrn_vm *vm, uint64_t addr, uint64_t data);

/** As arch_pic_wire(): the PIC's INTR on LINT0 of all vCPUs. */
void vlapic_pic_wire(struct acrn_vm *vm, bool asserted);

/** @return how many NMIs have arrived since it was last called; VCPU_REQ_NMI tells of them. Owner. */
uint32_t vlapic_take_nmis(struct vlapic *vlapic);

/* vlapic_deliver(): <hv/lapic_msg.h>. */

#endif
