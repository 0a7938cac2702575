/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KERNEL_RAWIMAGE: bytes to an address, entered in 32-bit protected mode without paging, flat segments, all general
 * registers 0. There is no way to pass a command line or modules, so a scenario that has them is told so.
 */
#include <hv/log.h>
#include <hv/vm.h>
#include <hv/vm_loader.h>

#define RAW_CODE 0x08U
#define RAW_DATA 0x10U

int32_t vm_load_raw(struct vm_loader *ld)
{
	const gpa_t base = ld->config->kern_load_addr;
	const gpa_t entry = ld->config->kern_entry_addr;
	int32_t ret;

	if (!ld->config->kern_addr) {
		return vm_loader_refuse(ld, "KERNEL_RAWIMAGE needs kern_load_addr and kern_entry_addr in the scenario");
	}
	if ((entry < base) || (entry - base >= ld->kernel.size) || (entry >= LOADER_4G)) {
		return vm_loader_refuse(ld, "kern_entry_addr 0x%lx is not in the image, 0x%lx + 0x%lx below 4 GiB",
			entry, base, ld->kernel.size);
	}
	if ((ld->module_count != 0U) || (ld->cmdline[0] != '\0')) {
		vm_loader_note(ld, LOG_WARN, "a raw image gets no modules and no command line");
	}
	ret = vm_loader_claim(ld, base, ld->kernel.size, "the raw image");
	if (ret == 0) {
		ret = vm_loader_copy(ld, 0UL, base, ld->kernel.size);
	}
	return (ret == 0) ? vm_loader_flat_regs(ld, (uint32_t)entry, RAW_CODE, RAW_DATA) : ret;
}
