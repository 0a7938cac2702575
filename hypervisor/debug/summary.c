/* SPDX-License-Identifier: BSD-3-Clause */
/* Boot stages and VMs' counts, kept for the last words before power-off. */
#include <config.h>

#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/log.h>
#include <hv/memory.h>
#include <hv/summary.h>
#include <hv/vm.h>
#include <lib/string.h>

#define MAX_STAGES  16U
#define TOP_REASONS 12U
#define REASONS     VCPU_EXIT_REASONS

static struct {
	const char *name;
	uint64_t kticks;
} stages[MAX_STAGES];
static uint32_t stage_count;

struct vm_counts {
	uint64_t exits;
	uint64_t forwarded;
	uint64_t run_ticks;
	uint64_t by_reason[REASONS];
};

/* Of the lives that have ended; written under the VM's lock. */
static struct {
	struct vm_counts counts;
	uint32_t lives;
	uint64_t pages; /* that the last life needed of the hypervisor's */
	char name[sizeof(((struct acrn_vm *)0)->name)];
} kept[CONFIG_MAX_VM_NUM];

void summary_stage(const char *name, uint64_t kticks)
{
	if (stage_count < MAX_STAGES) {
		stages[stage_count].name = name;
		stages[stage_count].kticks = kticks;
		stage_count++;
	}
}

static void add_vm(struct vm_counts *counts, const struct acrn_vm *vm)
{
	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		const struct acrn_vcpu *vcpu = &vm->vcpus[i];

		counts->exits += vcpu_exits(vcpu);
		counts->forwarded += vcpu->io_forwarded;
		counts->run_ticks += thread_run_ticks(&vcpu->thread);
		for (uint32_t reason = 0U; reason < REASONS; reason++) {
			counts->by_reason[reason] += vcpu->exit_count[reason];
		}
	}
}

void summary_keep_vm(const struct acrn_vm *vm)
{
	if (vm->vm_id < CONFIG_MAX_VM_NUM) {
		add_vm(&kept[vm->vm_id].counts, vm);
		kept[vm->vm_id].lives++;
		kept[vm->vm_id].pages = memory_pages_owned(vm->vm_id);
		(void)strlcpy(kept[vm->vm_id].name, vm->name, sizeof(kept[vm->vm_id].name));
	}
}

/* One word per field. */
static const char *word(char *out, size_t size, const char *text)
{
	(void)strlcpy(out, text, size);
	for (char *c = out; *c != '\0'; c++) {
		if (*c == ' ') {
			*c = '_';
		}
	}
	return out;
}

static void log_reasons(const char *name, struct vm_counts *counts)
{
	char reason_word[40];

	for (uint32_t n = 0U; n < TOP_REASONS; n++) {
		uint32_t best = 0U;

		for (uint32_t reason = 1U; reason < REASONS; reason++) {
			if (counts->by_reason[reason] > counts->by_reason[best]) {
				best = reason;
			}
		}
		if (counts->by_reason[best] == 0UL) {
			break;
		}
		pr_info("summary: exit %s %s %lu", name, word(reason_word, sizeof(reason_word), arch_exit_name(best)),
			counts->by_reason[best]);
		counts->by_reason[best] = 0UL;
	}
}

static void log_memory(const char *what, uint64_t pages)
{
	pr_info("summary: memory %s %lu KiB", what, pages * (PAGE_SIZE / 1024UL));
}

static void log_vm(const struct acrn_vm *vm)
{
	static struct vm_counts counts; /* one caller at a time: the end, or the console */
	char name[sizeof(vm->name)];
	const uint32_t lives = kept[vm->vm_id].lives;

	if ((vm->state == VM_POWERED_OFF) && (lives == 0U)) {
		return; /* never was */
	}
	counts = kept[vm->vm_id].counts;
	add_vm(&counts, vm);
	(void)word(name, sizeof(name), (vm->state == VM_POWERED_OFF) ? kept[vm->vm_id].name : vm->name);
	pr_info("summary: vm %s exits %lu forwarded %lu", name, counts.exits, counts.forwarded);
	pr_info("summary: state %s %s %u %lu", name, vm->stop_requested ? "stopped" : vm_state_name(vm->state), lives,
		counts.run_ticks * 1000UL / MAX(arch_tsc_khz(), 1U));
	log_memory(name, (vm->state == VM_POWERED_OFF) ? kept[vm->vm_id].pages : memory_pages_owned(vm->vm_id));
	if (vm->stop_requested) {
		pr_info("summary: stopped %s %s", name, vm->stop_reason);
	}
	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		const struct acrn_vcpu *vcpu = &vm->vcpus[i];

		pr_info("summary: vcpu %s %u cpu %u exits %lu slices %lu run_us %lu", name, i, vcpu->pcpu_id,
			vcpu_exits(vcpu), vcpu->thread.slices,
			thread_run_ticks(&vcpu->thread) * 1000UL / MAX(arch_tsc_khz(), 1U));
	}
	log_reasons(name, &counts);
}

void summary_log(void)
{
	const struct acrn_vm *vm;

	for (uint32_t i = 0U; i < stage_count; i++) {
		pr_info("summary: stage %s %lu", stages[i].name, stages[i].kticks);
	}
	log_memory("hypervisor", memory_pages_owned(PAGE_OWNER_HV));
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		log_vm(vm);
	}
}
