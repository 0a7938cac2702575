/* SPDX-License-Identifier: BSD-3-Clause */
/* A User VM of the Linux program from creation to its end. */
#ifndef DEVICEMODEL_LINUX_VM_RUN_H
#define DEVICEMODEL_LINUX_VM_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../device.h"
#include "../vm_image.h"
#include "term.h"
#include "hsm.h"

/* Exit codes that enum dm_end does not have. */
#define EXIT_USAGE  1
#define EXIT_HOST   2 /* something the VM needs could not be had; nothing ran, or the run was cut short */
#define EXIT_SIGNAL 6 /* ended from outside: SIGTERM, SIGINT, Ctrl-A x */

struct vm_options {
	const char *name;
	uint64_t memory;    /* bytes, multiple of 2 MiB */
	uint64_t affinity;  /* pCPUs */
	bool scenario_cpus; /* none: the scenario places the vCPUs */
	bool polling;
	bool no_reboot;
	bool debug_exit;
	bool prefix;
	bool input;
};

struct vm_run {
	struct vm_options options;
	struct vm_image image;
	struct hsm hsm;
	struct dm_vm vm;
	struct term console;
	uint8_t *ram_low, *ram_high;
	pthread_mutex_t lock; /* vm and console */
	pthread_t request_thread;
	int wake_fd;          /* eventfd that wakes the other thread: the timer was set, or the FIFO was read */
	atomic_bool stop;     /* somebody outside wants the VM to end */
	atomic_bool finished; /* the request thread is done */
	uint32_t reboots;
};

/** Memory, VM, devices, image, registers: all but START_VM. hsm is open. @return 0 or EXIT_HOST */
int vm_run_setup(struct vm_run *run);

/** Starts the VM and serves it until it ends. @return exit code of the program; the VM is paused, not destroyed */
int vm_run_loop(struct vm_run *run);

/** Emulates and completes what is in the request page. @return false when the VM ended */
bool vm_run_scan(struct vm_run *run);

#endif
