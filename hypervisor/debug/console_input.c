/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keyboard of the console. Its interrupt only takes the bytes off the port; a thread on pCPU 0 hands them to the
 * attached VM's serial port or to the shell. So commands run outside of interrupts, and may wait for a VM's lock.
 *
 * No timer runs while nothing happens: one is armed when a VM has begun a line without ending it, and one that looks
 * at the port is there only where the port has no interrupt.
 */
#include <asm/percpu.h>
#include <hv/acpi.h>
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/log.h>
#include <hv/sched.h>
#include <hv/shell.h>
#include <hv/timer.h>
#include <hv/trace.h>
#include <hv/vm_console.h>

#include "uart16550.h"

#define RING_SIZE    512U
#define MAX_PER_TURN 64U /* causes looked at in one interrupt: more is a line that is stuck */
#define TEST_MS      20U /* how long the test of the interrupt line waits */
#define POLL_MS      20U
#define KEY_CTRL_C   0x03U

static uint8_t ring[RING_SIZE];
static uint32_t ring_in;  /* bytes ever put in; written by console_rx() only */
static uint32_t ring_out; /* bytes ever taken out; written by the thread only */
static bool rx_active;    /* atomic: somebody is in console_rx() */
static uint32_t irq_seen; /* atomic */

static struct thread input_thread;
static struct hv_timer poll_timer;
static struct hv_timer line_timer;
static bool line_timer_armed; /* atomic */

/* ---- From the port into the ring ---- */

static void ring_put(uint8_t c)
{
	const uint32_t in = ring_in;

	if (in - __atomic_load_n(&ring_out, __ATOMIC_ACQUIRE) < RING_SIZE) {
		ring[in % RING_SIZE] = c;
		__atomic_store_n(&ring_in, in + 1U, __ATOMIC_RELEASE);
	}
	if ((c == KEY_CTRL_C) && (vm_console_attached() == VM_CONSOLE_NONE)) {
		shell_interrupt();
	}
}

/* Takes what the port has received. */
static void console_rx(void)
{
	uint32_t bytes = 0U;
	int c;

	if (__atomic_exchange_n(&rx_active, true, __ATOMIC_ACQUIRE)) {
		return; /* another pCPU is at it */
	}
	while ((bytes < RING_SIZE) && ((c = console_getc()) >= 0)) {
		ring_put((uint8_t)c);
		bytes++;
	}
	__atomic_store_n(&rx_active, false, __ATOMIC_RELEASE);
	if (bytes != 0U) {
		thread_wake(&input_thread);
	}
}

/* The line of an edge-triggered interrupt must have been low once before the next one comes: hence the loop. */
static void console_interrupt(void)
{
	__atomic_store_n(&irq_seen, 1U, __ATOMIC_RELEASE);
	for (uint32_t i = 0U; i < MAX_PER_TURN; i++) {
		if (!uart16550_ack_irq()) {
			break;
		}
		console_rx();
	}
}

static void poll_port(struct hv_timer *timer)
{
	(void)timer;
	console_rx();
}

/* ---- From the ring to whom it is for ---- */

static bool run_input(struct thread *thread)
{
	bool more = false;

	(void)thread;
	while (!shell_is_busy() && (ring_out != __atomic_load_n(&ring_in, __ATOMIC_ACQUIRE))) {
		const uint8_t c = ring[ring_out % RING_SIZE];

		__atomic_store_n(&ring_out, ring_out + 1U, __ATOMIC_RELEASE);
		if (!vm_console_input(c)) {
			shell_input(c);
		} else if (vm_console_attached() == VM_CONSOLE_NONE) {
			shell_want_prompt(true); /* it was Ctrl-] */
		}
	}
	if (shell_is_busy()) {
		more = shell_step();
		arch_irq_window(); /* a long output: timers and Ctrl-C */
	}
	/* What arrives from here on wakes the thread. */
	return more || (ring_out != __atomic_load_n(&ring_in, __ATOMIC_ACQUIRE));
}

/* ---- Begun lines of the VMs ---- */

static void arm_line_timer(void)
{
	hv_timer_start(&line_timer, arch_now() + (uint64_t)arch_tsc_khz() * VM_CONSOLE_PATIENCE_MS, 0UL);
}

static void line_begun(void)
{
	/* The flag is set before the timer runs and cleared before the lines are looked at: no line is forgotten. */
	if (!__atomic_exchange_n(&line_timer_armed, true, __ATOMIC_SEQ_CST)) {
		arm_line_timer();
	}
}

static void line_timer_expired(struct hv_timer *timer)
{
	(void)timer;
	__atomic_store_n(&line_timer_armed, false, __ATOMIC_SEQ_CST);
	if (vm_console_poll()) {
		line_begun();
	}
}

/* ---- Start ---- */

static uint32_t gsi_of_irq(uint32_t irq, bool *level, bool *active_low)
{
	*level = false;
	*active_low = false;
	for (uint32_t i = 0U; i < acpi_info.override_count; i++) {
		if (acpi_info.override[i].irq == irq) {
			*level = acpi_info.override[i].level;
			*active_low = acpi_info.override[i].active_low;
			return acpi_info.override[i].gsi;
		}
	}
	return irq;
}

/* Does the port's interrupt reach us? It is asked for one: some machines have the port without the line. */
static bool interrupt_works(void)
{
	const uint64_t end = arch_now() + (uint64_t)arch_tsc_khz() * TEST_MS;

	uart16550_enable_irq(true);
	while ((__atomic_load_n(&irq_seen, __ATOMIC_ACQUIRE) == 0U) && (arch_now() < end)) {
		arch_irq_window();
	}
	uart16550_enable_irq(false);
	return __atomic_load_n(&irq_seen, __ATOMIC_ACQUIRE) != 0U;
}

static bool start_interrupt(void)
{
	const uint32_t irq = uart16550_irq();
	bool level, active_low;
	uint32_t gsi;

	if (irq == UINT32_MAX) {
		return false;
	}
	gsi = gsi_of_irq(irq, &level, &active_low);
	if (arch_gsi_claim(gsi, level, active_low, console_interrupt) != 0) {
		return false;
	}
	if (!interrupt_works()) {
		return false;
	}
	pr_info("console: input by GSI %u", gsi);
	return true;
}

void console_input_init(void)
{
	static const struct shell_ops ops = {console_write, console_line_count};

	shell_init(shell_commands, shell_command_count, &ops);
	thread_init(&input_thread, arch_cpu_id(), run_input, NULL);
	input_thread.who = TRACE_NOBODY;
	hv_timer_init(&line_timer, line_timer_expired);
	vm_console_on_partial_line(line_begun);
	console_on_input(console_rx);
	if (!uart16550_is_present()) {
		pr_info("console: no serial port, no input");
	} else if (!start_interrupt()) {
		pr_warn("console: the serial port has no interrupt that works; it is looked at every %u ms", POLL_MS);
		hv_timer_init(&poll_timer, poll_port);
		hv_timer_start(&poll_timer, arch_now(), (uint64_t)arch_tsc_khz() * POLL_MS);
	}
	console_rx(); /* what was typed before */
}
