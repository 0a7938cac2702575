/* SPDX-License-Identifier: BSD-3-Clause */
/* What a VM has of the CPU besides its vCPUs: memory map, I/O bitmap, MSR bitmap. */
#include <asm/guest.h>

#include <asm/ept.h>
#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/dump.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/string.h>

#define IO_BITMAP_ORDER 1U /* two pages */

/* For a panic: what the guest was doing when this pCPU last left it. */
static void dump_vmcs(void)
{
	const struct acrn_vcpu *const vcpu = this_percpu()->loaded_vcpu;

	if (vcpu != NULL) {
		pr_err("VM %u vCPU %u is loaded", vcpu->vm->vm_id, vcpu->vcpu_id);
		vmx_dump();
	}
}

void arch_virt_init(void)
{
	vcpuid_init();
	vmx_quirks_init();
	dump_set_vmcs_hook(dump_vmcs);
}

void arch_virt_enable(void)
{
	vmx_enable_cpu();
}

int32_t arch_vm_init(struct acrn_vm *vm)
{
	vm->arch.io_bitmap = pages_alloc(IO_BITMAP_ORDER, vm->vm_id);
	vm->arch.msr_bitmap = page_alloc(vm->vm_id);
	vm->arch.msr_bitmap_apicv = page_alloc(vm->vm_id);
	if ((vm->arch.io_bitmap == NULL) || (vm->arch.msr_bitmap == NULL) || (vm->arch.msr_bitmap_apicv == NULL) ||
		(ept_init(vm) != 0)) {
		arch_vm_destroy(vm);
		return -ENOMEM;
	}
	setup_io_bitmap(vm);
	vmsr_setup_bitmap(vm);
	return 0;
}

void arch_vm_destroy(struct acrn_vm *vm)
{
	ept_destroy(vm);
	if (vm->arch.io_bitmap != NULL) {
		pages_free(vm->arch.io_bitmap, IO_BITMAP_ORDER, vm->vm_id);
		vm->arch.io_bitmap = NULL;
	}
	if (vm->arch.msr_bitmap != NULL) {
		page_free(vm->arch.msr_bitmap, vm->vm_id);
		vm->arch.msr_bitmap = NULL;
	}
	if (vm->arch.msr_bitmap_apicv != NULL) {
		page_free(vm->arch.msr_bitmap_apicv, vm->vm_id);
		vm->arch.msr_bitmap_apicv = NULL;
	}
}

/* ---- I/O bitmap ---- */

void setup_io_bitmap(struct acrn_vm *vm)
{
	/* The Service VM owns the machine's ports but those that the hypervisor registers handlers for. */
	memset(vm->arch.io_bitmap, vm_is_service(vm) ? 0x00 : 0xFF, PAGE_SIZE << IO_BITMAP_ORDER);
}

static void set_ports(uint8_t *bitmap, uint16_t port_address, uint32_t nbytes, bool exits)
{
	for (uint32_t port = port_address; (port < port_address + nbytes) && (port <= 0xFFFFU); port++) {
		uint8_t *const byte = &bitmap[port >> 3U];
		const uint8_t bit = (uint8_t)(1U << (port & 7U));

		*byte = exits ? (uint8_t)(*byte | bit) : (uint8_t)(*byte & ~bit);
	}
}

/* The VM's bitmap, and those that single vCPUs have. */
static void set_ports_of_all(struct acrn_vm *vm, uint16_t port_address, uint32_t nbytes, bool exits)
{
	set_ports(vm->arch.io_bitmap, port_address, nbytes, exits);
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i].arch.io_bitmap != NULL) {
			set_ports(vm->vcpus[i].arch.io_bitmap, port_address, nbytes, exits);
		}
	}
}

void allow_guest_pio_access(struct acrn_vm *vm, uint16_t port_address, uint32_t nbytes)
{
	set_ports_of_all(vm, port_address, nbytes, false);
}

void deny_guest_pio_access(struct acrn_vm *vm, uint16_t port_address, uint32_t nbytes)
{
	set_ports_of_all(vm, port_address, nbytes, true);
}

int32_t allow_vcpu_pio_access(struct acrn_vcpu *vcpu, uint16_t port_address, uint32_t nbytes)
{
	struct vcpu_arch *const arch = &vcpu->arch;

	if (arch->io_bitmap == NULL) {
		arch->io_bitmap = pages_alloc(IO_BITMAP_ORDER, vcpu->vm->vm_id);
		if (arch->io_bitmap == NULL) {
			return -ENOMEM;
		}
		memcpy(arch->io_bitmap, vcpu->vm->arch.io_bitmap, PAGE_SIZE << IO_BITMAP_ORDER);
	}
	set_ports(arch->io_bitmap, port_address, nbytes, false);
	return 0;
}

void vcpu_io_bitmap_free(struct acrn_vcpu *vcpu)
{
	if (vcpu->arch.io_bitmap != NULL) {
		pages_free(vcpu->arch.io_bitmap, IO_BITMAP_ORDER, vcpu->vm->vm_id);
		vcpu->arch.io_bitmap = NULL;
	}
}
