/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bare-metal Service VM: every boot module that is an ELF file becomes a User VM.
 *
 * Words of the command line: polling, spin (never halt), together (all User VMs at once), test=all or a name of
 * the batteries below, timeout=SECONDS, cpus=MASK, mem=MiB. Words of a module's string: name=, cpus=, mem=, polling,
 * expect=poweroff|crash|panic|exit|hang (how it has to end; poweroff if nothing is said; hang: not within timeout).
 */
#include "uvm.h"

#include "svm_tests.h"

const char subject_name[] = "svm";

static struct uvm vms[UVM_MAX];
static uint32_t vm_count;

static enum dm_end expected_end(const struct uvm *u)
{
	char word[16];

	if (!uvm_word(u->cmdline, "expect", word, sizeof(word)) || strcmp(word, "poweroff") == 0) {
		return DM_END_POWEROFF;
	}
	if (strcmp(word, "crash") == 0) {
		return DM_END_CRASH;
	}
	if (strcmp(word, "panic") == 0) {
		return DM_END_PANIC;
	}
	if (strcmp(word, "exit") == 0) {
		return DM_END_EXIT;
	}
	if (strcmp(word, "hang") == 0) {
		return DM_END_NONE;
	}
	report(false, "%s: unknown word expect=%s", u->name, word);
	return DM_END_POWEROFF;
}

static void judge(struct uvm *u)
{
	enum dm_end want = expected_end(u);

	report(u->dm.end == want, "%s ended: %s", u->name, dm_end_name(u->dm.end));
	if (u->dm.end != want) {
		report_info("%s was to end with: %s (code %#x)", u->name, dm_end_name(want), u->dm.end_code);
		uvm_dump(u);
	}
	report_info("%s: %lu requests, %lu for nobody, %lu notified, %u reboots, %lu upcalls so far", u->name,
		u->served, u->dm.unclaimed, u->notified, u->reboots, uvm_upcalls());
	report(uvm_destroy(u) == 0, "%s destroyed", u->name);
}

static void run_vms(uint32_t seconds, bool together, bool spin)
{
	struct uvm *list[UVM_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < vm_count; i++) {
		struct uvm *u = &vms[i];

		report_info("%s: %lu KiB kernel, %lu MiB, CPUs %#lx, %s", u->name, u->kernel.size >> 10U,
			u->ram_size >> 20U, u->affinity, u->polling ? "polling" : "notification");
		if (uvm_launch(u) != 0) {
			report(false, "%s launched", u->name);
			continue;
		}
		report(true, "%s launched", u->name);
		list[count++] = u;
		if (!together) {
			(void)uvm_run(u, seconds, spin);
			judge(u);
			count = 0;
		}
	}
	if (count > 0) {
		(void)uvm_run_all(list, count, seconds, spin);
		for (uint32_t i = 0; i < count; i++) {
			judge(list[i]);
		}
	}
}

void test_main(void)
{
	bool spin = boot_flag("spin");
	uint32_t seconds = 120;
	char word[32];

	if (!on_hypervisor()) {
		report_skip("there is no hypervisor");
		return;
	}
	if (cpuid(ACRN_CPUID_SIGNATURE, 0).ebx != ACRN_SIGNATURE_DWORD ||
		(cpuid(ACRN_CPUID_FEATURES, 0).eax & ACRN_FEATURE_SERVICE_VM) == 0U) {
		report(false, "this is the Service VM (CPUID 0x40000000, 0x40000001)");
		return;
	}
	if (boot_option("timeout", word, sizeof(word))) {
		seconds = (uint32_t)parse_number(word);
	}
	uvm_init();
	for (unsigned int i = 0; i < boot_module_count() && vm_count < UVM_MAX; i++) {
		if (uvm_from_module(&vms[vm_count], i)) {
			vm_count++;
		} else {
			report_info("module %u ('%s') is no ELF file, left alone", i, boot_module_get(i).args);
		}
	}
	if (vm_count == 0) {
		report(false, "a boot module with a User VM's image");
		return;
	}
	if (boot_option("test", word, sizeof(word))) {
		svm_tests(word, &vms[0], seconds, spin);
	} else {
		run_vms(seconds, boot_flag("together"), spin);
	}
	report(hypercall(HC_ARIL_AUDIT, 0UL, 0UL) == 0, "audit of all page tables");
}
