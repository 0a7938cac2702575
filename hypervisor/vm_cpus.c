/* SPDX-License-Identifier: BSD-3-Clause */
#include <hv/arch.h>
#include <hv/log.h>
#include <hv/vm.h>
#include <hv/vm_cpus.h>
#include <lib/bits.h>
#include <lib/errno.h>
#include <lib/spinlock.h>

/* Guards pcpu_mask of all VMs. Taken with a vm->lock held; takes none itself. */
static struct spinlock claims_lock = SPINLOCK_INIT;

/* @return a VM whose claim does not go together with `vm` having `mask`, or NULL */
static const struct acrn_vm *rival_of(const struct acrn_vm *vm, uint64_t mask)
{
	const bool alone = vm_scenario()->scheduler == SCN_SCHED_NOOP;
	const struct acrn_vm *other;

	for (uint16_t id = 0U; (other = vm_by_id(id)) != NULL; id++) {
		if ((other != vm) && ((other->pcpu_mask & mask) != 0UL) &&
			(alone || other->config->own_pcpu || vm->config->own_pcpu)) {
			return other;
		}
	}
	return NULL;
}

int32_t vm_cpus_claim(struct acrn_vm *vm, uint64_t mask)
{
	const uint16_t count = arch_cpu_count();
	const uint64_t existing = (count >= 64U) ? UINT64_MAX : (BIT(count) - 1UL);
	const struct acrn_vm *rival;

	if ((mask == 0UL) || ((mask & ~existing) != 0UL)) {
		pr_warn("VM%u '%s': CPU mask 0x%lx, the machine has 0x%lx", vm->vm_id, vm->name, mask, existing);
		return -EINVAL;
	}
	spin_lock(&claims_lock);
	rival = rival_of(vm, mask);
	if (rival == NULL) {
		vm->pcpu_mask |= mask;
	}
	spin_unlock(&claims_lock);
	if (rival != NULL) {
		pr_warn("VM%u '%s': CPU mask 0x%lx meets VM%u '%s' (0x%lx), and one of them shares none", vm->vm_id,
			vm->name, mask, rival->vm_id, rival->name, rival->pcpu_mask);
		return -EBUSY;
	}
	return 0;
}

void vm_cpus_release(struct acrn_vm *vm, uint64_t mask)
{
	spin_lock(&claims_lock);
	vm->pcpu_mask &= ~mask;
	spin_unlock(&claims_lock);
}
