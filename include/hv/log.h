/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: kept in RAM from the first line on, copied to the serial port and to the screen.
 *
 * Levels say who is at fault: err = the hypervisor or its configuration, warn = the machine or a guest is odd,
 * info = the boot story, dbg = detail. Any CPU may log at any time, with any lock held but the console's own.
 */
#ifndef HV_LOG_H
#define HV_LOG_H

#include <stdarg.h>

#include <lib/util.h>

#define LOG_NONE (-1) /* as the limit of a sink: only a panic gets through */

enum log_level {
	LOG_ERR,
	LOG_WARN,
	LOG_INFO,
	LOG_DBG,
};

/** Writes one line (a newline is added) to the log in RAM and, by level, to serial and screen. */
void log_line(enum log_level level, const char *fmt, ...) __printf(2, 3);

/** Lines up to `level` (enum log_level or LOG_NONE) are kept in RAM from now on. */
void log_set_memory_level(int32_t level);

/**
 * One line about something a guest did; at most a few per second and VM reach the log, the rest are counted and
 * the count is printed when the rate falls again.
 * @param vm_id   the VM's id
 * @param vcpu_id the vCPU's id in that VM
 */
void log_guest(uint16_t vm_id, uint16_t vcpu_id, const char *fmt, ...) __printf(3, 4);

/** The console's half: a finished line for serial and screen. Provided by debug/console.c (a fake in unit tests). */
void console_log_line(enum log_level level, const char *line);

#define pr_err(...)                   log_line(LOG_ERR, __VA_ARGS__)
#define pr_warn(...)                  log_line(LOG_WARN, __VA_ARGS__)
#define pr_info(...)                  log_line(LOG_INFO, __VA_ARGS__)
#define pr_dbg(...)                   log_line(LOG_DBG, __VA_ARGS__)
#define pr_guest(vm_id, vcpu_id, ...) log_guest((vm_id), (vcpu_id), __VA_ARGS__)

/** Our own state is broken: logs, dumps registers, VMCS and backtrace, stops all CPUs. Never returns. */
void __noreturn panic(const char *fmt, ...) __printf(1, 2);

/* Only for what neither guest, Service VM, module nor hardware can influence. */
#define ASSERT(cond)                                                                                                   \
	do {                                                                                                           \
		if (unlikely(!(cond))) {                                                                               \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond);                               \
		}                                                                                                      \
	} while (0)

#endif
