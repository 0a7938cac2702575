/* SPDX-License-Identifier: BSD-3-Clause */
/* Last words: registers and a backtrace with names. */
#ifndef HV_DUMP_H
#define HV_DUMP_H

#include <lib/util.h>

struct dump_regs {
	uint64_t rip, rsp, rbp, rflags;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t cr0, cr2, cr3, cr4;
};

/** As panic(), with the registers at the place of the fault instead of those of the caller. */
void __noreturn panic_with_regs(const struct dump_regs *regs, const char *fmt, ...) __printf(2, 3);

/** Logs registers, the top of the stack and the backtrace. Takes no lock, allocates nothing. */
void dump_cpu(const struct dump_regs *regs);

/** @return name of one of the hypervisor's functions, "?" if it is none */
const char *dump_function_name(const void *function);

/** Registered by VMX code: logs the interesting part of the current VMCS. Called during a panic, on its CPU. */
void dump_set_vmcs_hook(void (*hook)(void));

/** Stops this machine for good after a refusal or panic; honours `exit-on-panic` on the command line. */
void __noreturn stop_for_good(void);

#endif
