/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the shell's commands share. On the console's thread, on pCPU 0. */
#ifndef DEBUG_SHELL_PRIV_H
#define DEBUG_SHELL_PRIV_H

#include <lib/util.h>

struct acrn_vm;

/** @return the VM with that id or name, or NULL, having said so */
struct acrn_vm *shell_find_vm(const char *id_or_name);

/**
 * Takes vm->lock, which a hypercall on another pCPU may hold for long: interrupts are let in meanwhile.
 * @return 0, or -EBUSY after a while, having said so
 */
int32_t __must_check shell_lock_vm(struct acrn_vm *vm);

/** As shell_lock_vm(), saying nothing. @return true if it is locked */
bool __must_check shell_try_lock_vm(struct acrn_vm *vm);

/** @return the time, ticks, up to which a command waits at most */
uint64_t shell_deadline(void);

/** @return microseconds that `ticks` of the TSC take */
uint64_t shell_ticks_to_us(uint64_t ticks);

/* Commands: shell_facts.c, shell_machine.c, shell_vm.c; what each is for is in shell_cmds.c. */
int32_t shell_cmd_vm_list(uint32_t argc, char **argv);
int32_t shell_cmd_vcpu_list(uint32_t argc, char **argv);
int32_t shell_cmd_vmexit(uint32_t argc, char **argv);
int32_t shell_cmd_ioreq(uint32_t argc, char **argv);
int32_t shell_cmd_sched(uint32_t argc, char **argv);

int32_t shell_cmd_irq(uint32_t argc, char **argv);
int32_t shell_cmd_mem(uint32_t argc, char **argv);
int32_t shell_cmd_summary(uint32_t argc, char **argv);
int32_t shell_cmd_ept(uint32_t argc, char **argv);
int32_t shell_cmd_cpuid(uint32_t argc, char **argv);
int32_t shell_cmd_caps(uint32_t argc, char **argv);
int32_t shell_cmd_version(uint32_t argc, char **argv);

int32_t shell_cmd_vm_console(uint32_t argc, char **argv);
int32_t shell_cmd_vm_start(uint32_t argc, char **argv);
int32_t shell_cmd_vm_resume(uint32_t argc, char **argv);
int32_t shell_cmd_vm_pause(uint32_t argc, char **argv);
int32_t shell_cmd_vm_stop(uint32_t argc, char **argv);
int32_t shell_cmd_vm_reset(uint32_t argc, char **argv);
int32_t shell_cmd_trace(uint32_t argc, char **argv);
int32_t shell_cmd_panic(uint32_t argc, char **argv);
int32_t shell_cmd_reboot(uint32_t argc, char **argv);
int32_t shell_cmd_poweroff(uint32_t argc, char **argv);

#endif
