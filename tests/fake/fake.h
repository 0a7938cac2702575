/* SPDX-License-Identifier: BSD-3-Clause */
/* What unit tests may ask of the fake CPU and machine behind <hv/arch.h>. Also a ready-made set of VMs. */
#ifndef FAKE_FAKE_H
#define FAKE_FAKE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include <asm/percpu.h>
#include <hv/memory.h>
#include <hv/scenario.h>
#include <hv/vm.h>

/* Machine. */
extern uint16_t fake_cpu_count;
extern uint64_t fake_time;      /* arch_now(), ticks; 1 tick is 1 us */
extern uint64_t fake_time_step; /* added by each arch_now() */
extern uint64_t fake_deadline[CONFIG_MAX_PCPU_NUM];
extern uint32_t fake_kicks[CONFIG_MAX_PCPU_NUM]; /* atomic */
extern uint32_t fake_idles;
extern uint32_t fake_windows; /* arch_irq_window() */
extern void (*fake_on_window)(void);
extern bool fake_threads;     /* pCPUs are host threads: arch_idle() sleeps until a kick */
extern jmp_buf fake_end;      /* arch_end() and panic() come back here */
enum { FAKE_POWEROFF = 1, FAKE_REBOOT, FAKE_PANIC };
extern bool fake_end_set;
extern char fake_log[65536];  /* all lines since fake_reset() */
extern const char *fake_cmdline_on_stop;
extern uint64_t fake_cmdline_trace; /* trace=N; 0: the word is not there */
extern const char *fake_cmdline_on_reset;
extern int32_t fake_load_result;
extern uint32_t fake_loads;   /* vm_load_image() */
extern uint32_t fake_access_depth; /* arch_guest_access_begin() without end */

/* Memory. */
extern int32_t fake_pages_left; /* -1: no limit; else page_alloc() fails when it reaches 0 */
extern uint8_t *fake_ram;      /* the Service VM's RAM: GPA = HPA = host address */
#define FAKE_RAM_SIZE 0x200000UL
extern uint8_t *fake_hv_ram;   /* one page that belongs to the hypervisor */

/** Everything back to the start: no VMs, time 0, empty log. */
void fake_reset(void);

/** fake_reset(), timer_init(), sched_init(), and a scenario: VM0 Service VM, VM1 "UVM1" (4 CPUs), VM2 "ALONE" (own CPU,
 * CPU 3), VM3 dynamic slot, VM4 pre-launched "PRE"; the Service VM created and started on CPUs 0, 1. */
void fake_machine(void);

/** fake_machine(), but with VM4 "PRE" in it: 1 MiB of memory, started on CPU 2. @return VM4 */
struct acrn_vm *fake_prelaunched(void);

/** fake_machine(), but with connections; `prelaunched`: and with VM4, as fake_prelaunched(). @return VM4 */
struct acrn_vm *fake_connected(const struct scenario_connection *connection, uint32_t count, bool prelaunched);

extern struct scenario fake_scenario;

/** Runs pCPU `cpu`'s scheduler until it idles, `max` turns at most. @return turns done */
uint32_t fake_run(uint16_t cpu, uint32_t max);

/** @return pages held by VM `owner` */
static inline uint64_t fake_pages_of(uint16_t owner)
{
	return memory_pages_owned(owner);
}

/** Stops and frees all VMs and reports leaked pages as a failure. */
void fake_machine_end(void);

#endif
