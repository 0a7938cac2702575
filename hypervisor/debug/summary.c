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

static struct {
	const char *name;
	uint64_t kticks;
} stages[MAX_STAGES];
static uint32_t stage_count;

/* Of the lives that have ended; written under the VM's lock. */
static struct {
	struct summary_counts counts;
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

bool summary_stage_at(uint32_t index, const char **name, uint64_t *kticks)
{
	if (index >= stage_count) {
		return false;
	}
	*name = stages[index].name;
	*kticks = stages[index].kticks;
	return true;
}

static uint64_t to_us(uint64_t ticks)
{
	return ticks * 1000UL / MAX(arch_tsc_khz(), 1U);
}

static void add_vm(struct summary_counts *counts, const struct acrn_vm *vm)
{
	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		const struct acrn_vcpu *vcpu = &vm->vcpus[i];

		counts->exits += vcpu_exits(vcpu);
		counts->forwarded += vcpu->io_forwarded;
		counts->run_ticks += thread_run_ticks(&vcpu->thread);
		for (uint32_t reason = 0U; reason < VCPU_EXIT_REASONS; reason++) {
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

bool summary_of_vm(const struct acrn_vm *vm, struct summary_vm *out)
{
	const bool is_gone = vm->state == VM_POWERED_OFF;
	const uint32_t lives = kept[vm->vm_id].lives;

	if (is_gone && (lives == 0U)) {
		return false;
	}
	out->counts = kept[vm->vm_id].counts;
	add_vm(&out->counts, vm);
	out->name = is_gone ? kept[vm->vm_id].name : vm->name;
	out->state = vm->stop_requested ? "stopped" : vm_state_name(vm->state);
	out->lives = lives;
	out->run_us = to_us(out->counts.run_ticks);
	out->kib = (is_gone ? kept[vm->vm_id].pages : memory_pages_owned(vm->vm_id)) * (PAGE_SIZE / 1024UL);
	return true;
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

static void log_reasons(const char *name, struct summary_counts *counts)
{
	char reason_word[40];

	for (uint32_t n = 0U; n < TOP_REASONS; n++) {
		uint32_t best = 0U;

		for (uint32_t reason = 1U; reason < VCPU_EXIT_REASONS; reason++) {
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

static void log_vm(const struct acrn_vm *vm)
{
	static struct summary_vm sum; /* one caller at a time: the end, or the console */
	char name[sizeof(vm->name)];

	if (!summary_of_vm(vm, &sum)) {
		return;
	}
	(void)word(name, sizeof(name), sum.name);
	pr_info("summary: vm %s exits %lu forwarded %lu", name, sum.counts.exits, sum.counts.forwarded);
	pr_info("summary: state %s %s %u %lu", name, sum.state, sum.lives, sum.run_us);
	pr_info("summary: memory %s %lu KiB", name, sum.kib);
	if (vm->stop_requested) {
		pr_info("summary: stopped %s %s", name, vm->stop_reason);
	}
	for (uint32_t i = 0U; i < vm->vcpu_count; i++) {
		const struct acrn_vcpu *vcpu = &vm->vcpus[i];

		pr_info("summary: vcpu %s %u cpu %u exits %lu slices %lu run_us %lu", name, i, vcpu->pcpu_id,
			vcpu_exits(vcpu), vcpu->thread.slices, to_us(thread_run_ticks(&vcpu->thread)));
	}
	log_reasons(name, &sum.counts);
}

void summary_log(void)
{
	const struct acrn_vm *vm;

	for (uint32_t i = 0U; i < stage_count; i++) {
		pr_info("summary: stage %s %lu", stages[i].name, stages[i].kticks);
	}
	pr_info("summary: memory hypervisor %lu KiB", memory_pages_owned(PAGE_OWNER_HV) * (PAGE_SIZE / 1024UL));
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		log_vm(vm);
	}
}
