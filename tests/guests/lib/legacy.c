/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of legacy mode, and the way there (legacy_asm.S). */
#include <guests/lib/guest.h>
#include <guests/lib/legacy.h>

#define STUB_SIZE	16
#define REAL_STUB_SIZE	3
#define STACK_TOP	((uint32_t)(uintptr_t)legacy_stack_top)

_Static_assert(offsetof(struct legacy, gs) == 16 && offsetof(struct legacy, edi) == 32 &&
	       offsetof(struct legacy, vec) == 64 && offsetof(struct legacy, ss) == 84 &&
	       offsetof(struct legacy, cr2) == 88 && sizeof(struct legacy) == 112, "as in legacy_asm.S");

extern struct legacy legacy_state;
extern uint64_t legacy_cr3, legacy_cr4;
extern uint32_t legacy_tr;
extern uint8_t legacy_stubs[], legacy_stack_top[];
extern const uint8_t real_start[], real_stubs[], real_end[], real_in[];
void legacy_switch(void);

struct tss32 legacy_tss;
uint64_t legacy_idt[256] __attribute__((aligned(16)));
uint64_t legacy_gdt[LEG_GDT_ENTRIES] __attribute__((aligned(16))) = {
	[LEG_CODE64 / 8] = 0x00af9b000000ffffUL,
	[LEG_DATA / 8] = 0x00cf93000000ffffUL,
	[LEG_CODE / 8] = 0x00cf9b000000ffffUL,
	[LEG_UDATA / 8] = 0x00cff3000000ffffUL,
	[LEG_UCODE / 8] = 0x00cffb000000ffffUL,
	[LEG_CODE16 / 8] = 0x00009b000000ffffUL | (uint64_t)LEG_REAL_PAGE << 16,
	[LEG_DATA16 / 8] = 0x000093000000ffffUL,
};

uint64_t legacy_desc(uint32_t base, uint32_t limit, uint32_t access, uint32_t flags)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
		(uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

uint64_t legacy_gate(uint32_t sel, uint32_t offset, uint32_t access, uint32_t count)
{
	return (offset & 0xffff) | (uint64_t)sel << 16 | (uint64_t)count << 32 |
		(uint64_t)access << 40 | (uint64_t)(offset >> 16) << 48;
}

static void setup_tables(void)
{
	legacy_gdt[LEG_TSS / 8] = legacy_desc((uint32_t)(uintptr_t)&legacy_tss, sizeof(legacy_tss) - 1,
					      0x89, 0);
	if (legacy_tss.esp0 != 0)
		return;
	legacy_tss.esp0 = STACK_TOP;
	legacy_tss.ss0 = LEG_DATA;
	legacy_tss.io_bitmap = sizeof(legacy_tss);
	for (uint32_t i = 0; i < 256; i++)
		legacy_idt[i] = legacy_gate(LEG_CODE, (uint32_t)(uintptr_t)legacy_stubs + i * STUB_SIZE,
					    i == VEC_USER_EXIT ? 0xee : 0x8e, 0);
}

void legacy_set_tss(uint32_t sel)
{
	legacy_tr = sel == 0 ? LEG_TSS : sel;
}

struct legacy legacy_protected(uint32_t eip)
{
	return (struct legacy){
		.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP,
		.esp = STACK_TOP - 1024, .eip = eip, .eflags = 2,
		.cs = LEG_CODE, .ss = LEG_DATA, .ds = LEG_DATA, .es = LEG_DATA, .fs = LEG_DATA,
		.gs = LEG_DATA,
	};
}

struct legacy legacy_real(uint16_t seg, uint16_t ip)
{
	return (struct legacy){
		.cr0 = CR0_ET | CR0_NE, .eip = ip, .eflags = 2,
		.esp = LEG_REAL_TOP - (uint32_t)seg * 16 < 0x10000 ? LEG_REAL_TOP - (uint32_t)seg * 16 : 0,
		.cs = seg, .ss = seg, .ds = seg, .es = seg, .fs = seg, .gs = seg,
	};
}

static void setup_real(const struct legacy *l)
{
	volatile uint64_t ivt_at = LEG_IVT, page_at = LEG_REAL_PAGE;
	uint32_t *ivt = (uint32_t *)ivt_at;
	uint8_t *page = (uint8_t *)page_at;

	memcpy(page, real_start, (size_t)(real_end - real_start));
	memcpy(page + (real_in - real_start), l, sizeof(*l));
	for (uint32_t i = 0; i < 256; i++)
		ivt[i] = LEG_REAL_PAGE / 16 << 16 | ((uint32_t)(real_stubs - real_start) + i * REAL_STUB_SIZE);
}

static void go(struct legacy *l)
{
	legacy_state = *l;
	legacy_switch();
	*l = legacy_state;
}

int legacy_run(struct legacy *l)
{
	setup_tables();
	if ((l->cr0 & CR0_PE) == 0)
		setup_real(l);
	legacy_cr3 = read_cr3();
	legacy_cr4 = read_cr4();
	go(l);
	return l->vec == VEC_USER_EXIT ? NO_TRAP : (int)l->vec;
}

void legacy_reload(uint64_t cr3, uint64_t cr4)
{
	struct legacy l = { .cr0 = CR0_PE | CR0_ET | CR0_NE };

	legacy_cr3 = cr3;
	legacy_cr4 = cr4;
	go(&l);
}
