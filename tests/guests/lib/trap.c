/* SPDX-License-Identifier: BSD-3-Clause */
/* GDT, IDT, dispatch of exceptions and interrupts, catching. */
#include <guests/lib/apic.h>
#include <guests/lib/guest.h>
#include <guests/lib/smp.h>

#define CATCH_DEPTH	8
#define IST_SIZE	4096
#define USER_STACK	4096
#define STUB_SIZE	16

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_bitmap;
	uint8_t bitmap[IO_BITMAP_PORTS / 8];
	uint8_t end;	/* the CPU reads two bytes of the bitmap: all ones behind its last (SDM 1, 19.5.2) */
} __attribute__((packed));

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

struct catch {
	struct trap *out;
	uint64_t rsp;
};

struct cpu {
	struct tss tss __attribute__((aligned(16)));
	struct catch catch[CATCH_DEPTH];
	unsigned int depth;
	int try_vec;
	uint64_t try_err;
	uint8_t ist_stacks[3][IST_SIZE] __attribute__((aligned(16)));
	uint8_t kernel_stack[IST_SIZE] __attribute__((aligned(16)));
	uint8_t user_stack[USER_STACK] __attribute__((aligned(16)));
};

struct ex_entry {
	uint64_t fault, fixup;
};

extern uint64_t gdt[];
extern uint8_t gdt_desc[], isr_stubs[], catch_resume[];
extern const struct ex_entry ex_table_start[], ex_table_end[];

/* Called from isr.S. */
void trap_dispatch(struct trap *t);
void catch_push(struct trap *out, uint64_t rsp);
void catch_pop(void);
void user_enter(void *ctx);

static struct cpu cpus[MAX_CPUS];
static struct gate idt[256] __attribute__((aligned(16)));
static trap_handler_t handlers[256];
static unsigned int counts[256];

unsigned int cpu_index(void)
{
	uint16_t tr;

	__asm__ volatile("str %0" : "=r"(tr));
	return tr < SEL_TSS ? 0 : (unsigned int)(tr - SEL_TSS) / 16;
}

static struct cpu *this_cpu(void)
{
	return &cpus[cpu_index()];
}

static void fill_idt(void)
{
	for (unsigned int i = 0; i < 256; i++) {
		uint64_t at = (uint64_t)isr_stubs + i * STUB_SIZE;

		idt[i] = (struct gate){
			.offset_low = (uint16_t)at,
			.selector = SEL_CODE64,
			.ist = i == VEC_DF ? 1 : i == VEC_NMI ? 2 : 0,
			/* #BP, #OF and the way back may be raised by user code. */
			.type = i == VEC_BP || i == VEC_OF || i == VEC_USER_EXIT ? 0xee : 0x8e,
			.offset_mid = (uint16_t)(at >> 16),
			.offset_high = (uint32_t)(at >> 32),
		};
	}
}

void trap_init_cpu(unsigned int index)
{
	struct cpu *c = &cpus[index];
	uint64_t base = (uint64_t)&c->tss;
	uint64_t limit = sizeof(struct tss) - 1;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idt_desc = { sizeof(idt) - 1, (uint64_t)idt };

	if (index == 0)
		fill_idt();
	for (unsigned int i = 0; i < 3; i++)
		c->tss.ist[i] = trap_ist_top(index, i + 1);
	c->tss.rsp[0] = (uint64_t)(c->kernel_stack + IST_SIZE);
	memset(c->tss.bitmap, 0xff, sizeof(c->tss.bitmap) + 1);
	c->tss.io_bitmap = offsetof(struct tss, bitmap);
	c->try_vec = NO_TRAP;
	gdt[SEL_TSS / 8 + 2 * index] = limit | (base & 0xffffff) << 16 | 0x89UL << 40 |
		(base >> 24 & 0xff) << 56;
	gdt[SEL_TSS / 8 + 2 * index + 1] = base >> 32;
	__asm__ volatile("lgdt %0" : : "m"(*(const uint8_t (*)[10])gdt_desc));
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS + 16 * index));
	__asm__ volatile("lidt %0" : : "m"(idt_desc));
}

trap_handler_t trap_set_handler(unsigned int vec, trap_handler_t handler)
{
	return __atomic_exchange_n(&handlers[vec], handler, __ATOMIC_ACQ_REL);
}

uint8_t *trap_io_bitmap(void)
{
	return this_cpu()->tss.bitmap;
}

void trap_set_ist(unsigned int vec, unsigned int ist)
{
	idt[vec].ist = (uint8_t)ist;
}

uint64_t trap_ist_top(unsigned int cpu, unsigned int ist)
{
	return (uint64_t)(cpus[cpu].ist_stacks[ist - 1] + IST_SIZE);
}

unsigned int trap_count(unsigned int vec)
{
	return __atomic_load_n(&counts[vec], __ATOMIC_ACQUIRE);
}

void trap_count_reset(unsigned int vec)
{
	__atomic_store_n(&counts[vec], 0, __ATOMIC_RELEASE);
}

bool trap_wait(unsigned int vec, unsigned int count, uint64_t ticks)
{
	uint64_t start = rdtsc();

	while (trap_count(vec) < count) {
		if (rdtsc() - start > ticks)
			return false;
		irq_window();
	}
	return true;
}

void trap_handler_eoi(struct trap *t)
{
	(void)t;
	lapic_eoi();
}

void trap_handler_nop(struct trap *t)
{
	(void)t;
}

void catch_push(struct trap *out, uint64_t rsp)
{
	struct cpu *c = this_cpu();

	if (c->depth == CATCH_DEPTH) {
		report(false, "catch_exception() nested too deeply");
		guest_exit(1);
	}
	c->catch[c->depth++] = (struct catch){ out, rsp };
}

void catch_pop(void)
{
	this_cpu()->depth--;
}

void try_begin(void)
{
	this_cpu()->try_vec = NO_TRAP;
}

int try_vector(void)
{
	return this_cpu()->try_vec;
}

uint64_t try_error(void)
{
	return this_cpu()->try_err;
}

static bool fixed_up(struct cpu *c, struct trap *t)
{
	for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++) {
		if (e->fault != t->rip)
			continue;
		c->try_vec = (int)t->vec;
		c->try_err = t->err;
		t->rip = e->fixup;
		t->rflags &= ~FLAG_RF;
		return true;
	}
	return false;
}

static bool caught(struct cpu *c, struct trap *t)
{
	struct catch *top;

	if (c->depth == 0)
		return false;
	top = &c->catch[--c->depth];
	if (top->out != NULL)
		*top->out = *t;
	t->rax = t->vec;
	t->rip = (uint64_t)catch_resume;
	t->rsp = top->rsp;
	t->cs = SEL_CODE64;
	t->ss = SEL_DATA;
	t->rflags = 2;
	return true;
}

static _Noreturn void unexpected(const struct trap *t)
{
	report(false, "unexpected vector %lu, error %#lx, RIP %#lx, on CPU %u", t->vec, t->err,
	       t->rip, cpu_index());
	report_info("CS %#lx SS %#lx RSP %#lx RFLAGS %#lx CR2 %#lx", t->cs, t->ss, t->rsp, t->rflags,
		    t->cr2);
	report_info("RAX %#lx RBX %#lx RCX %#lx RDX %#lx RSI %#lx RDI %#lx RBP %#lx", t->rax, t->rbx,
		    t->rcx, t->rdx, t->rsi, t->rdi, t->rbp);
	guest_exit(1);
}

void trap_dispatch(struct trap *t)
{
	struct cpu *c = this_cpu();
	trap_handler_t handler = __atomic_load_n(&handlers[t->vec], __ATOMIC_ACQUIRE);

	__atomic_add_fetch(&counts[t->vec], 1, __ATOMIC_ACQ_REL);
	if (handler != NULL) {
		handler(t);
		return;
	}
	if ((t->vec < 32 || t->vec == VEC_USER_EXIT) && t->vec != VEC_NMI) {
		if (fixed_up(c, t) || caught(c, t))
			return;
	}
	unexpected(t);
}

struct user_ctx {
	uint64_t (*fn)(uint64_t);
	uint64_t arg, rflags, stack;
};

int user_call(uint64_t (*fn)(uint64_t), uint64_t arg, uint64_t flags, uint64_t *ret,
	      struct trap *out)
{
	struct cpu *c = this_cpu();
	struct user_ctx ctx = { fn, arg, flags | 2, (uint64_t)(c->user_stack + USER_STACK) };
	struct trap t = { 0 };
	int vec = catch_exception(user_enter, &ctx, &t);

	if (out != NULL)
		*out = t;
	/* IRETQ to CPL 3 nulled the data segments that user code may not use. */
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(SEL_DATA));
	if (vec != VEC_USER_EXIT)
		return vec;
	if (ret != NULL)
		*ret = t.rax;
	return NO_TRAP;
}
