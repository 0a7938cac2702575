/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupt lines: the machine's on their way to the Service VM, and those that devices of ours drive in a VM. */
#include <dm/vioapic.h>
#include <dm/vpic.h>
#include <hv/arch.h>
#include <hv/upcall.h>
#include <hv/vm.h>
#include <lib/errno.h>

#define PIT_GSI     2U /* wired to I/O APIC pin 2 and to PIC input 0 */
#define PIT_PIC_PIN 0U

void ptirq_arrived(uint32_t gsi)
{
	struct acrn_vm *service = vm_service();

	if ((service != NULL) && (__atomic_load_n(&service->state, __ATOMIC_ACQUIRE) == VM_RUNNING)) {
		vioapic_arrived(&service->vioapic, gsi);
	} else {
		/* Nobody will ever deal with it. */
		arch_gsi_set(gsi, true, false, false);
	}
}

static void drive(struct acrn_vm *vm, uint32_t gsi, bool high)
{
	if (gsi < VPIC_PIN_COUNT) {
		vpic_set_irq(&vm->vpic, (gsi == PIT_GSI) ? PIT_PIC_PIN : gsi, high);
	}
	vioapic_set_irq(&vm->vioapic, gsi, high);
}

int32_t vm_set_irqline(struct acrn_vm *vm, uint32_t gsi, uint32_t op)
{
	if ((gsi >= vm->vioapic.pin_count) || (op > GSI_FALLING_PULSE)) {
		return -EINVAL;
	}
	switch (op) {
	case GSI_SET_HIGH:
		drive(vm, gsi, true);
		break;
	case GSI_SET_LOW:
		drive(vm, gsi, false);
		break;
	case GSI_RAISING_PULSE:
		drive(vm, gsi, true);
		drive(vm, gsi, false);
		break;
	default:
		drive(vm, gsi, false);
		drive(vm, gsi, true);
		break;
	}
	return 0;
}
