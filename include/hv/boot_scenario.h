/* SPDX-License-Identifier: BSD-3-Clause */
/* Which scenario is in force: the module GRUB passed with tag "scenario", or the one linked in. */
#ifndef HV_BOOT_SCENARIO_H
#define HV_BOOT_SCENARIO_H

#include <lib/util.h>

struct scenario;

/* The blob that is linked in. */
extern const char default_scenario_start[];
extern const char default_scenario_end[];

/**
 * Reads the scenario module, or, if there is none or it is refused (the reason is logged), the default one. Boot CPU,
 * before the other pCPUs start.
 * @return the scenario; it stays for good
 */
struct scenario *boot_scenario_load(void);

/** Puts its log levels in force. */
void boot_scenario_apply(const struct scenario *scenario);

/** Fits it to the machine, once all pCPUs are up: VMs that cannot run here are marked, with the reason logged. */
void boot_scenario_fit(struct scenario *scenario);

#endif
