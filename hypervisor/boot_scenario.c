/* SPDX-License-Identifier: BSD-3-Clause */
#include <hv/boot_scenario.h>

#include <asm/page.h>
#include <hv/arch.h>
#include <hv/boot_info.h>
#include <hv/console.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/scenario.h>
#include <hv/vm_console.h>
#include <lib/string.h>

static struct scenario scenario;

#define TAG     "scenario"
#define TAG_LEN (sizeof(TAG) - 1U)

static const struct boot_module *scenario_module(void)
{
	for (uint32_t i = 0U; i < boot_info.module_count; i++) {
		const char *const s = boot_info.modules[i].string;

		if ((strncmp(s, TAG, TAG_LEN) == 0) && ((s[TAG_LEN] == '\0') || (s[TAG_LEN] == ' '))) {
			return &boot_info.modules[i];
		}
	}
	return NULL;
}

struct scenario *boot_scenario_load(void)
{
	const struct boot_module *const module = scenario_module();
	struct scenario_error error = {""};
	int32_t status;

	if (module != NULL) {
		arch_guest_access_begin();
		status = scenario_load(hpa_to_hva(module->base), module->size, &scenario, &error);
		arch_guest_access_end();
		if (status == 0) {
			pr_info("scenario '%s' from module, %u VMs", scenario.name, scenario.vm_count);
			return &scenario;
		}
		pr_err("scenario module refused: %s", error.text);
		pr_warn("the default scenario is used instead");
	}
	status = scenario_load(
		default_scenario_start, (size_t)(default_scenario_end - default_scenario_start), &scenario, &error);
	if (status != 0) {
		panic("the scenario that is linked in is broken: %s", error.text);
	}
	pr_info("scenario '%s' (linked in), %u VMs", scenario.name, scenario.vm_count);
	return &scenario;
}

/* ACRN's levels: 0 none, 1 critical, 2 error, 3 warning, 4 info, 5 debug. Critical is a panic, which all sinks get. */
static int32_t log_level_of(uint8_t scenario_level)
{
	return (scenario_level < 2U) ? LOG_NONE : ((int32_t)scenario_level - 2);
}

/* What the format can say and this version does not do yet: said aloud, never ignored in silence. */
static void warn_unsupported(const struct scenario *scn)
{
	for (uint32_t i = 0U; i < scn->vm_count; i++) {
		const struct scenario_vm *const vm = &scn->vm[i];

		if ((vm->load_order == SCN_SERVICE_VM) ? (vm->pci_policy != SCN_PCI_ALL) : (vm->pci_count != 0U)) {
			pr_warn("VM%u '%s': pci_devs has no effect yet: the Service VM has all PCI functions", i,
				vm->name);
		}
	}
}

void boot_scenario_apply(const struct scenario *scn)
{
	warn_unsupported(scn);
	console_use_port(scn->console_port, scn->console_baud);
	console_set_level(log_level_of(scn->console_loglevel));
	log_set_memory_level(log_level_of(scn->mem_loglevel));
	if (scn->console_vm != SCN_CONSOLE_VM_NONE) {
		vm_console_attach_later(scn->console_vm);
	}
}

void boot_scenario_fit(struct scenario *scn)
{
	static struct scenario_range ram[BOOT_MAX_RANGES];
	struct scenario_machine machine = {.pcpu_count = arch_cpu_count(), .ram = ram};

	for (uint32_t i = 0U; i < boot_info.range_count; i++) {
		const struct mem_range *const range = &boot_info.ranges[i];

		if (range->type == MEM_RAM) {
			ram[machine.ram_count].base = range->base;
			ram[machine.ram_count].size = range->size;
			machine.ram_bytes += range->size;
			machine.ram_count++;
		}
	}
	if (scenario_check_machine(scn, &machine) == 0U) {
		return;
	}
	for (uint32_t i = 0U; i < scn->vm_count; i++) {
		if (scn->vm[i].refused) {
			pr_err("VM%u '%s' cannot run on this machine: %s", i, scn->vm[i].name, scn->vm[i].refusal);
		}
	}
}
