/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers, stack and backtrace, with names from the table that scripts/symtab.py linked in. */
#include <asm/page.h>
#include <hv/arch.h>
#include <hv/dump.h>
#include <hv/log.h>

#define MAX_FRAMES  24U
#define STACK_WORDS 16U

/* The table: sorted offsets from the image's base, and for each the offset of its name. */
extern const uint32_t symtab_count;
extern const uint32_t symtab_addr[];
extern const uint32_t symtab_name[];
extern const char symtab_strings[];
extern const uint8_t text_start[];
extern const uint8_t text_end[];

static void (*vmcs_hook)(void);

void dump_set_vmcs_hook(void (*hook)(void))
{
	vmcs_hook = hook;
}

static bool is_text(uint64_t addr)
{
	return addr >= (uint64_t)text_start && addr < (uint64_t)text_end;
}

/*
 * @param addr   an address in the hypervisor's text
 * @param offset out: bytes from the start of the function
 * @return the function's name, or NULL if unknown
 */
static const char *dump_symbol(uint64_t addr, uint64_t *offset)
{
	uint32_t low = 0U;
	uint32_t high = symtab_count;

	if (!is_text(addr) || symtab_count == 0U || addr - HV_IMAGE_BASE < symtab_addr[0]) {
		return NULL;
	}
	while (high - low > 1U) {
		const uint32_t mid = (low + high) / 2U;

		if (symtab_addr[mid] <= addr - HV_IMAGE_BASE) {
			low = mid;
		} else {
			high = mid;
		}
	}
	*offset = addr - HV_IMAGE_BASE - symtab_addr[low];
	return symtab_strings + symtab_name[low];
}

const char *dump_function_name(const void *function)
{
	uint64_t offset = 0UL;
	const char *name = dump_symbol((uint64_t)function, &offset);

	return (name != NULL) ? name : "?";
}

static void dump_address(uint32_t depth, uint64_t addr)
{
	uint64_t offset = 0UL;
	const char *name = dump_symbol(addr, &offset);

	pr_err("  #%-2u %016lx %s+0x%lx", depth, addr, name != NULL ? name : "?", offset);
}

/* Frames must lie upwards on one stack: anything else ends the walk, so that a broken chain cannot fault twice. */
static void backtrace(uint64_t rip, uint64_t rbp, uint64_t rsp)
{
	uint64_t low = rsp;

	pr_err("backtrace:");
	dump_address(0U, rip);
	for (uint32_t depth = 1U; depth < MAX_FRAMES; depth++) {
		const uint64_t *frame = (const uint64_t *)rbp;

		if (rbp < low || rbp - rsp > 0x10000UL || (rbp & 7UL) != 0UL || !is_text(frame[1])) {
			break;
		}
		dump_address(depth, frame[1]);
		low = rbp + 1UL;
		rbp = frame[0];
	}
}

void dump_cpu(const struct dump_regs *regs)
{
	const uint64_t *stack = (const uint64_t *)(regs->rsp & ~7UL);
	const uint64_t in_page = (PAGE_SIZE - (regs->rsp & (PAGE_SIZE - 1UL) & ~7UL)) / 8UL;

	pr_err("rip %016lx rsp %016lx rbp %016lx rflags %08lx", regs->rip, regs->rsp, regs->rbp, regs->rflags);
	pr_err("rax %016lx rbx %016lx rcx %016lx rdx %016lx", regs->rax, regs->rbx, regs->rcx, regs->rdx);
	pr_err("rsi %016lx rdi %016lx r8  %016lx r9  %016lx", regs->rsi, regs->rdi, regs->r8, regs->r9);
	pr_err("r10 %016lx r11 %016lx r12 %016lx r13 %016lx", regs->r10, regs->r11, regs->r12, regs->r13);
	pr_err("r14 %016lx r15 %016lx cr0 %08lx cr4 %08lx", regs->r14, regs->r15, regs->cr0, regs->cr4);
	pr_err("cr2 %016lx cr3 %016lx", regs->cr2, regs->cr3);
	if (regs->rsp < HV_DIRECT_BASE || round_down(regs->rsp, PAGE_SIZE) == round_down(regs->cr2, PAGE_SIZE)) {
		pr_err("the stack pointer is not usable");
		if (regs->rbp > HV_DIRECT_BASE && regs->rbp - regs->rsp < PAGE_SIZE &&
			round_down(regs->rbp, PAGE_SIZE) != round_down(regs->cr2, PAGE_SIZE)) {
			/* overflow: the frame above the guard page is whole */
			backtrace(regs->rip, regs->rbp, regs->rbp);
		} else {
			dump_address(0U, regs->rip);
		}
	} else {
		for (uint32_t i = 0U; i + 4U <= STACK_WORDS && i + 4U <= in_page; i += 4U) {
			pr_err("stack+%02x %016lx %016lx %016lx %016lx", i * 8U, stack[i], stack[i + 1U], stack[i + 2U],
				stack[i + 3U]);
		}
		backtrace(regs->rip, regs->rbp, regs->rsp);
	}
	if (vmcs_hook != NULL) {
		void (*hook)(void) = vmcs_hook;

		vmcs_hook = NULL; /* a fault in it must not call it again */
		hook();
	}
}
