/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Real mode and virtual-8086 mode: segmentation, the interrupt vector table, faults, port and string
 * I/O, the switch of CR0.PE, unreal mode, interrupts. SDM vol. 3 chapter 21.
 */
#include <guests/lib/apic.h>
#include <guests/lib/exec.h>
#include <guests/lib/guest.h>
#include <guests/lib/legacy.h>
#include <guests/lib/page.h>

const char subject_name[] = "realmode";

#define CODE_SEG	(LEG_REAL_FREE / 16)	/* where a snippet runs */
#define DATA_SEG	0x400			/* 16 KiB: what it works on */
#define DATA		0x4000UL
#define COM1_SCR	0x3ff
#define NOBODY		0x7f00
#define VEC_IRQ		0x60U
#define LAPIC_VERSION	(0xfee00000U + APIC_VERSION)

/* 16-bit code; ends by DONE or a fault. */
#define REAL(name, insn)					\
	__asm__(".pushsection .rodata\n\t.code16\n"		\
		#name ":\n\t" insn "\n"				\
		#name "_end:\n\t.code64\n\t.popsection\n");	\
	extern const uint8_t name[], name##_end[]
#define DONE "\n\tint $0x30\n\t"

static struct legacy l;

/* A physical address: the compiler is not to see that it is a number. */
static uint8_t *low(uint64_t at)
{
	volatile uint64_t hidden = at;

	return (uint8_t *)hidden;
}

static void place(const uint8_t *code, const uint8_t *end)
{
	memcpy(low(LEG_REAL_FREE), code, (size_t)(end - code));
}

#define PREPARE(name) (l = legacy_real(CODE_SEG, 0), l.ds = DATA_SEG, l.es = DATA_SEG, place(name, name##_end))
#define RUN(name) (PREPARE(name), legacy_run(&l))

REAL(nothing, DONE);
REAL(load, "movl %ds:(%ebx), %eax" DONE);
REAL(load_a16, "movl %ds:(%bx), %eax" DONE);
REAL(load_bp, "movw (%bp), %ax" DONE);
REAL(store_seg, "movw $0x410, %ax\n\tmovw %ax, %es\n\tmovl $0x11223344, %es:2" DONE);
REAL(high_memory, "movw $0xffff, %ax\n\tmovw %ax, %es\n\tmovl %es:0x10, %eax" DONE);

static void test_segments(void)
{
	volatile uint32_t *mib = (volatile uint32_t *)low(0x100000);
	uint32_t old = *mib;

	report(RUN(nothing) == NO_TRAP && (l.out_cr0 & CR0_PE) != 0 && l.cs == CODE_SEG, "there and back");
	*(volatile uint32_t *)low(DATA + 0x7ffc) = 0xcafe1234;
	PREPARE(load_a16);
	l.ebx = 0x77777ffc;
	report(legacy_run(&l) == NO_TRAP && l.eax == 0xcafe1234, "DS:BX is DS * 16 + BX");
	PREPARE(load_a16);
	l.ebx = 0xfffd;
	report(legacy_run(&l) == VEC_GP && l.eip == 0 && l.cs == CODE_SEG && l.esp == LEG_REAL_TOP - LEG_REAL_FREE,
	       "4 bytes at DS:FFFD: #GP, no error code");
	PREPARE(load);
	l.ebx = 0x10000;
	report(legacy_run(&l) == VEC_GP, "32-bit address above FFFF: #GP");
	PREPARE(load_bp);
	l.ebp = 0xffff;
	report(legacy_run(&l) == VEC_SS, "2 bytes at SS:FFFF: #SS");
	report(RUN(store_seg) == NO_TRAP && *(volatile uint32_t *)low(0x4102) == 0x11223344, "ES override");
	*mib = 0x55aa1234;
	report(RUN(high_memory) == NO_TRAP && l.eax == 0x55aa1234, "FFFF:0010 is 1 MiB");
	*mib = old;
}

REAL(divide, "xorw %cx, %cx\n\tdivw %cx" DONE);
REAL(undefined, "ud2" DONE);
REAL(bound, "movw $5, 0\n\tmovw $9, 2\n\tmovw $10, %ax\n\tboundw %ax, (0)" DONE);
REAL(overflow, "movb $0x7f, %al\n\taddb $1, %al\n\tinto\n\tnop" DONE);
REAL(breakpoint, "int3" DONE);
REAL(sldt_insn, "sldt %ax" DONE);
REAL(ltr_insn, "movw $0x40, %ax\n\tltr %ax" DONE);
REAL(lsl_insn, "lsl %bx, %ax" DONE);
REAL(verr_insn, "verr %ax" DONE);
REAL(arpl_insn, "arpl %ax, %bx" DONE);
REAL(prefixes, ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90" DONE);
REAL(pg_alone, "movl %cr0, %eax\n\torl $0x80000000, %eax\n\tmovl %eax, %cr0" DONE);
REAL(bad_msr, "movl $0x4fffffff, %ecx\n\trdmsr" DONE);
REAL(small_idt, "lidtl %ds:0x10\n\tint $0x40\n\tnop" DONE);
REAL(int_handler, "movw %cs, %ax\n\tmovw %ax, %es\n\txorw %bx, %bx\n\tmovw %bx, %fs\n\t"
     "movw $1f - int_handler, %fs:0x1000 + 0x41 * 4\n\tmovw %ax, %fs:0x1000 + 0x41 * 4 + 2\n\t"
     "pushfl\n\torl $0x240ad5, (%esp)\n\tpopfl\n\tint $0x41\n\tpushfl\n\tpopl %edx" DONE
     "1: pushfl\n\tpopl %ecx\n\tmovw %sp, %bp\n\tmovw 4(%bp), %si\n\tiret");

static void test_faults(void)
{
	static const struct {
		const uint8_t *code, *end;
		int vec;
		uint32_t ip;
		const char *text;
	} forms[] = {
		{ divide, divide_end, VEC_DE, 2, "DIV by zero: #DE" },
		{ undefined, undefined_end, VEC_UD, 0, "UD2: #UD" },
		{ bound, bound_end, VEC_BR, 15, "BOUND: #BR" },
		{ overflow, overflow_end, VEC_OF, 5, "INTO: #OF behind it" },
		{ breakpoint, breakpoint_end, VEC_BP, 1, "INT3: #BP behind it" },
		{ sldt_insn, sldt_insn_end, VEC_UD, 0, "SLDT: #UD" },
		{ ltr_insn, ltr_insn_end, VEC_UD, 3, "LTR: #UD" },
		{ lsl_insn, lsl_insn_end, VEC_UD, 0, "LSL: #UD" },
		{ verr_insn, verr_insn_end, VEC_UD, 0, "VERR: #UD" },
		{ arpl_insn, arpl_insn_end, VEC_UD, 0, "ARPL: #UD" },
		{ prefixes, prefixes_end, VEC_GP, 0, "16 bytes of instruction: #GP" },
		{ pg_alone, pg_alone_end, VEC_GP, 9, "MOV to CR0 with PG without PE: #GP" },
		{ bad_msr, bad_msr_end, VEC_GP, 6, "RDMSR of no MSR: #GP" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		int vec;

		l = legacy_real(CODE_SEG, 0);
		l.ds = DATA_SEG;
		place(forms[i].code, forms[i].end);
		vec = legacy_run(&l);
		if (vec != forms[i].vec || l.eip != forms[i].ip)
			report_info("%s: vector %d, IP %#x", forms[i].text, vec, l.eip);
		report(vec == forms[i].vec && l.eip == forms[i].ip && l.cs == CODE_SEG &&
		       l.esp == LEG_REAL_TOP - LEG_REAL_FREE, "%s, nothing but FLAGS, CS, IP pushed",
		       forms[i].text);
	}
	*(volatile uint16_t *)low(DATA + 0x10) = 0x40 * 4 - 1;
	*(volatile uint32_t *)low(DATA + 0x12) = LEG_IVT;
	report(RUN(small_idt) == VEC_GP, "INT n beyond the IDTR's limit: #GP");
	report(RUN(int_handler) == NO_TRAP && (l.ecx & (FLAG_IF | FLAG_TF | FLAG_AC)) == 0 &&
	       (l.esi & 0xffff) == 0xad7 && (l.edx & 0xffff) == 0xad7 && (l.edx & FLAG_AC) == 0,
	       "INT n through the IVT clears IF, TF and AC; IRET gives back 16 bits");
}

REAL(io_bytes, "movw $0x3ff, %dx\n\tmovb $0x5a, %al\n\toutb %al, %dx\n\tmovl $0x11111111, %eax\n\tinb %dx, %al" DONE);
REAL(io_word, "movl $0x11111111, %eax\n\tinw %dx, %ax" DONE);
REAL(io_dword, "inl %dx, %eax" DONE);
REAL(io_imm, "movl $0x11111111, %eax\n\tinb $0x61, %al" DONE);
REAL(io_insb, "cld\n\trep insb" DONE);
REAL(io_insb_back, "std\n\trep insw" DONE);
REAL(io_outsb, "cld\n\trep outsb" DONE);
REAL(io_outsb_cs, "cld\n\t.byte 0x2e\n\toutsb" DONE "\n\t.byte 0x3c");
REAL(io_insl_a32, "cld\n\t.byte 0x67\n\trep insl" DONE);

static void test_io(void)
{
	report(RUN(io_bytes) == NO_TRAP && l.eax == 0x1111115a, "OUT and IN of a byte keep the rest of EAX");
	PREPARE(io_word);
	l.edx = NOBODY;
	report(legacy_run(&l) == NO_TRAP && l.eax == 0x1111ffff, "IN of a word from nobody");
	PREPARE(io_dword);
	l.edx = NOBODY;
	report(legacy_run(&l) == NO_TRAP && l.eax == 0xffffffff, "IN of 4 bytes from nobody");
	report(RUN(io_imm) == NO_TRAP && l.eax >> 8 == 0x111111, "IN from an immediate port");
	outb(COM1_SCR, 0x96);
	for (unsigned int i = 0; i < 16; i++)
		*low(DATA + 0x100 + i) = 0;
	PREPARE(io_insb);
	l.edx = COM1_SCR;
	l.ecx = 0x55550004;
	l.edi = 0x77770102;
	report(legacy_run(&l) == NO_TRAP && l.ecx == 0x55550000 && l.edi == 0x77770106, "REP INSB: CX and DI only");
	report(*low(DATA + 0x101) == 0 && *low(DATA + 0x102) == 0x96 && *low(DATA + 0x105) == 0x96 &&
	       *low(DATA + 0x106) == 0, "REP INSB: the bytes");
	PREPARE(io_insb);
	l.edx = COM1_SCR;
	l.ecx = 3;
	l.edi = 0xfffe;
	l.es = DATA_SEG;
	report(legacy_run(&l) == NO_TRAP && l.edi == 1 && l.ecx == 0 && *low(DATA + 0x10000 - 2) == 0x96 &&
	       *low(DATA) == 0x96, "REP INSB: DI wraps within the segment");
	PREPARE(io_insb_back);
	l.edx = NOBODY;
	l.ecx = 2;
	l.edi = 1;
	report(legacy_run(&l) == VEC_GP && l.edi == 0xffff && l.ecx == 1,
	       "REP INSW down into the segment's end: #GP at the element, the one before is done");
	*low(DATA + 0x20) = 0x31;
	*low(DATA + 0x21) = 0x69;
	PREPARE(io_outsb);
	l.edx = COM1_SCR;
	l.ecx = 2;
	l.esi = 0x20;
	report(legacy_run(&l) == NO_TRAP && l.esi == 0x22 && inb(COM1_SCR) == 0x69, "REP OUTSB");
	PREPARE(io_outsb_cs);
	l.edx = COM1_SCR;
	l.esi = (uint32_t)(io_outsb_cs_end - io_outsb_cs) - 1;
	report(legacy_run(&l) == NO_TRAP && inb(COM1_SCR) == 0x3c, "OUTSB with CS override");
	PREPARE(io_insl_a32);
	l.edx = NOBODY;
	l.ecx = 2;
	l.edi = 0xfffc;
	report(legacy_run(&l) == VEC_GP && l.edi == 0x10000 && l.ecx == 1,
	       "REP INSD with 32-bit addresses over the end of the segment: #GP");
}

/* To protected mode and back with the GDT in use (legacy_gdt: 10 flat data, 38 data of 64 KiB). */
REAL(pe_switch, "lgdtl %ds:0x30\n\tmovl %cr0, %eax\n\torb $1, %al\n\tmovl %eax, %cr0\n\t"
     "movw %ds:0x40, %cx\n\tmovw $0x10, %bx\n\tmovw %bx, %fs\n\tmovl %fs:(%esi), %edx\n\t"
     "andb $0xfe, %al\n\tmovl %eax, %cr0\n\tmovl %fs:(%esi), %ebp\n\t"
     "movw $0x400, %bx\n\tmovw %bx, %fs\n\tmovl %fs:(%edi), %esi" DONE);
REAL(lmsw_switch, "lgdtl %ds:0x30\n\tsmsw %ax\n\torb $1, %al\n\tlmsw %ax\n\tsmsw %bx\n\t"
     "movw $0x38, %cx\n\tmovw %cx, %ds\n\tmovl %cr0, %eax\n\tandb $0xfe, %al\n\tmovl %eax, %cr0\n\t"
     "smsw %cx" DONE);
REAL(apic_mmio, "lgdtl %ds:0x30\n\tmovl %cr0, %eax\n\torb $1, %al\n\tmovl %eax, %cr0\n\t"
     "movw $0x10, %bx\n\tmovw %bx, %fs\n\tandb $0xfe, %al\n\tmovl %eax, %cr0\n\t"
     "movl $0xfee00030, %esi\n\tmovl %fs:(%esi), %ebx\n\tmovl %fs:0x50(%esi), %edx\n\t"
     "movl $0x20, %eax\n\tmovl %eax, %fs:0x50(%esi)\n\tmovl %fs:0x50(%esi), %ecx\n\t"
     "movl %edx, %fs:0x50(%esi)" DONE);

static void put_gdtr(void)
{
	*(volatile uint16_t *)low(DATA + 0x30) = LEG_GDT_ENTRIES * 8 - 1;
	*(volatile uint32_t *)low(DATA + 0x32) = (uint32_t)(uintptr_t)legacy_gdt;
}

static void test_switch(void)
{
	static volatile uint32_t above = 0x600dcafe;	/* the image is above 1 MiB */

	put_gdtr();
	*(volatile uint16_t *)low(DATA + 0x40) = 0x4321;
	*(volatile uint32_t *)low(DATA + 0x12340) = 0xabcd0123;
	PREPARE(pe_switch);
	l.esi = (uint32_t)(uintptr_t)&above;
	l.edi = 0x12340;
	report(legacy_run(&l) == NO_TRAP && (l.ecx & 0xffff) == 0x4321,
	       "with PE set, CS and DS work on as they were");
	report(l.edx == 0x600dcafe, "protected mode without paging reads above 1 MiB");
	report(l.ebp == 0x600dcafe, "unreal mode: the 4 GiB limit outlives PE");
	report(l.esi == 0xabcd0123, "unreal mode: a segment load in real mode changes the base only");
	PREPARE(lmsw_switch);
	report(legacy_run(&l) == NO_TRAP && (l.ebx & 1) == 1 && (l.ecx & 1) == 0, "LMSW sets PE, MOV to CR0 clears it");
	if (!lapic_present() || lapic_in_x2apic()) {
		report_skip("no local APIC in memory");
		return;
	}
	report(RUN(apic_mmio) == NO_TRAP && l.ebx == mmio_read32(LAPIC_VERSION) && l.ecx == 0x20,
	       "unreal mode: the local APIC's registers");
}

REAL(take_irq, "sti\n\tnop\n\tnop" DONE);
REAL(halt_irq, "sti\n\thlt\n\tnop" DONE);
REAL(masked_irq, "nop\n\tnop" DONE);
REAL(shadow_irq, "sti\n\tcpuid\n\tnop" DONE);
REAL(step_cpuid, "xorl %eax, %eax\n\tpushw $0x102\n\tpopfw\n\tcpuid\n\tnop" DONE);
REAL(step_in, "movw $0x7f00, %dx\n\tpushw $0x102\n\tpopfw\n\tinb %dx, %al\n\tnop" DONE);
REAL(cpuid_insn, "xorl %eax, %eax\n\tcpuid" DONE);

static void test_interrupts(void)
{
	struct cpuid_regs zero = cpuid(0, 0);

	report(RUN(cpuid_insn) == NO_TRAP && l.ebx == zero.ebx && l.ecx == zero.ecx, "CPUID");
	report(RUN(step_cpuid) == VEC_DB && l.eip == 9 && (l.eflags & FLAG_TF) != 0, "single step over CPUID");
	write_dr6(0xffff0ff0UL);
	report(RUN(step_in) == VEC_DB && l.eip == 8, "single step over IN");
	write_dr6(0xffff0ff0UL);
	if (!lapic_present()) {
		report_skip("no local APIC: interrupts");
		return;
	}
	lapic_enable();
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_IRQ, 0);
	report(RUN(masked_irq) == NO_TRAP, "IF=0 holds an interrupt back");
	report(RUN(take_irq) == (int)VEC_IRQ && l.eip == 2 && (l.eflags & FLAG_IF) != 0,
	       "an interrupt through the IVT, behind the instruction after STI");
	lapic_eoi();
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_IRQ, 0);
	report(RUN(shadow_irq) == (int)VEC_IRQ && l.eip == 3, "the same behind STI; CPUID");
	lapic_eoi();
	lapic_ipi(ICR_FIXED | ICR_ASSERT | ICR_SELF | VEC_IRQ, 0);
	report(RUN(halt_irq) == (int)VEC_IRQ && l.eip == 2, "an interrupt ends HLT");
	lapic_eoi();
}

/* --- virtual-8086 mode ------------------------------------------------------------------------------ */

#define EFLAGS_VM	0x20000U
#define EFLAGS_IOPL3	0x3000U

static struct {
	struct tss32 tss;
	uint8_t io[0x410 / 8 + 1];
} __attribute__((packed)) tss_io;

static int v86(const uint8_t *code, const uint8_t *end, uint32_t flags)
{
	place(code, end);
	l.eflags = flags | EFLAGS_VM | 2;
	l.eip = 0;
	l.cs = CODE_SEG;
	l.ss = l.ds = l.es = l.fs = l.gs = DATA_SEG;
	l.esp = 0x2000;
	return legacy_run(&l);
}

#define V86(name, flags) (l = legacy_protected(1), v86(name, name##_end, flags))

REAL(v86_load, "movl %ds:0x40, %eax" DONE);
REAL(v86_cli, "cli" DONE);
REAL(v86_hlt, "hlt" DONE);
REAL(v86_cr, "movl %cr0, %eax" DONE);
REAL(v86_in, "movw $0x3ff, %dx\n\tinb %dx, %al" DONE);
REAL(v86_in_high, "movw $0x7f00, %dx\n\tinb %dx, %al" DONE);
REAL(v86_outs, "movw $0x3ff, %dx\n\tmovw $0x40, %si\n\tcld\n\toutsb" DONE);
REAL(v86_cpuid, "xorl %eax, %eax\n\tcpuid\n\tnop" DONE);

/* The first 4 MiB but for 0x7000, which is the local APIC; all else as it is. */
static uint32_t v86_pd[1024] __attribute__((aligned(4096))), v86_pt[1024] __attribute__((aligned(4096)));

REAL(v86_mmio, "movl %ds:0x3380, %eax\n\tmovl %eax, %ecx\n\txorl $0x55, %ecx\n\tmovl %ecx, %ds:0x3380\n\t"
     "movl %ds:0x3380, %ebx\n\tmovl %eax, %ds:0x3380" DONE);

static void test_v86_mmio(void)
{
	for (uint32_t i = 0; i < 1024; i++) {
		v86_pd[i] = i << 22 | (uint32_t)(PTE_P | PTE_W | PTE_PS | PTE_U) | (i >= 1008 ? PTE_PCD : 0);
		v86_pt[i] = i << 12 | (uint32_t)(PTE_P | PTE_W | PTE_U);
	}
	v86_pd[0] = (uint32_t)(uintptr_t)v86_pt | PTE_P | PTE_W | PTE_U;
	v86_pt[7] = (uint32_t)lapic_base() | PTE_P | PTE_W | PTE_U | PTE_PCD;
	l = legacy_protected(1);
	l.cr0 |= (uint32_t)CR0_PG;
	l.cr3 = (uint32_t)(uintptr_t)v86_pd;
	l.cr4 = CR4_PSE;
	report(v86(v86_mmio, v86_mmio_end, EFLAGS_IOPL3) == NO_TRAP && l.ebx == (l.eax ^ 0x55),
	       "V86 with paging: the local APIC's registers");
}

static void test_v86(void)
{
	struct cpuid_regs zero = cpuid(0, 0);

	*(volatile uint32_t *)low(DATA + 0x40) = 0x13572468;
	report(V86(v86_load, EFLAGS_IOPL3) == NO_TRAP && l.eax == 0x13572468 && l.cs == CODE_SEG &&
	       (l.eflags & EFLAGS_VM) != 0, "V86: segments as in real mode, INT n at IOPL 3 through the IDT");
	report(V86(v86_load, 0) == VEC_GP && l.err == 0, "V86: INT n below IOPL 3: #GP(0)");
	report(V86(v86_cli, 0) == VEC_GP && l.eip == 0, "V86: CLI below IOPL 3: #GP");
	report(V86(v86_cli, EFLAGS_IOPL3) == NO_TRAP, "V86: CLI at IOPL 3");
	report(V86(v86_hlt, EFLAGS_IOPL3) == VEC_GP, "V86: HLT: #GP");
	report(V86(v86_cr, EFLAGS_IOPL3) == VEC_GP, "V86: MOV from CR0: #GP");
	report(V86(v86_cpuid, EFLAGS_IOPL3) == NO_TRAP && l.ebx == zero.ebx, "V86: CPUID");
	report(V86(v86_cpuid, EFLAGS_IOPL3 | FLAG_TF) == VEC_DB && l.eip == 3, "V86: single step");
	report(V86(v86_in, EFLAGS_IOPL3) == VEC_GP && l.eip == 3, "V86: IN without a bitmap, even at IOPL 3: #GP");

	/* A TSS with a bitmap that allows 0x3FF. */
	legacy_gdt[LEG_FREE / 8] = legacy_desc((uint32_t)(uintptr_t)&tss_io, sizeof(tss_io) - 1, 0x89, 0);
	memset(&tss_io, 0, sizeof(tss_io));
	tss_io.tss.esp0 = legacy_tss.esp0;
	tss_io.tss.ss0 = LEG_DATA;
	tss_io.tss.io_bitmap = sizeof(struct tss32);
	memset(tss_io.io, 0xff, sizeof(tss_io.io));
	tss_io.io[COM1_SCR / 8] = 0x7f;
	legacy_set_tss(LEG_FREE);
	outb(COM1_SCR, 0x47);
	report(V86(v86_in, EFLAGS_IOPL3) == NO_TRAP && (l.eax & 0xff) == 0x47,
	       "V86: IN of a port that the bitmap allows");
	report(V86(v86_outs, EFLAGS_IOPL3) == NO_TRAP && inb(COM1_SCR) == 0x68 && (l.esi & 0xffff) == 0x41,
	       "V86: OUTSB of a port that the bitmap allows");
	report(V86(v86_in_high, EFLAGS_IOPL3) == VEC_GP, "V86: IN of a port beyond the bitmap: #GP");
	legacy_set_tss(0);
}

void test_main(void)
{
	test_segments();
	test_faults();
	test_io();
	test_switch();
	test_interrupts();
	test_v86();
	if (lapic_present() && !lapic_in_x2apic())
		test_v86_mmio();
}
