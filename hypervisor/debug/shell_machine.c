/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell's commands that show the machine, and what VMs see of it. On the console's thread. */
#include <config.h>

#include <asm/percpu.h>
#include <hv/arch.h>
#include <hv/arch_facts.h>
#include <hv/boot_info.h>
#include <hv/memory.h>
#include <hv/sched.h>
#include <hv/shell.h>
#include <hv/vm.h>
#include <lib/errno.h>
#include <lib/string.h>

#include "shell_priv.h"
#include "shell_table.h"

/* ---- Interrupts ---- */

static void show_vectors(void)
{
	static const struct shell_column columns[] = {
		{"vector", 0U, SHELL_HEX}, {"what", 9U, SHELL_TEXT}, {"count", 12U, SHELL_DEC}};
	const char *name;
	uint32_t vector;
	uint64_t count;

	shell_table_begin("vectors", columns, ARRAY_SIZE(columns));
	for (uint32_t i = 0U; (name = arch_own_interrupt(i, &vector, &count)) != NULL; i++) {
		shell_table_row((const struct shell_cell[]){SHELL_NUM(vector), SHELL_STR(name), SHELL_NUM(count)});
	}
	shell_table_end();
}

static void show_lines(void)
{
	static const struct shell_column columns[] = {{"gsi", 0U, SHELL_DEC}, {"vector", 0U, SHELL_HEX},
		{"trigger", 0U, SHELL_TEXT}, {"active", 0U, SHELL_TEXT}, {"owner", 10U, SHELL_TEXT},
		{"count", 12U, SHELL_DEC}};
	struct gsi_info info;

	shell_table_begin("lines", columns, ARRAY_SIZE(columns));
	for (uint32_t gsi = 0U; gsi < CONFIG_MAX_GSI; gsi++) {
		if (arch_gsi_info(gsi, &info)) {
			shell_table_row((const struct shell_cell[]){SHELL_NUM(gsi), SHELL_NUM(info.vector),
				SHELL_STR(info.level ? "level" : "edge"), SHELL_STR(info.active_low ? "low" : "high"),
				SHELL_STR(info.claimed ? "hypervisor" : "Service VM"), SHELL_NUM(info.count)});
		}
	}
	shell_table_end();
}

int32_t shell_cmd_irq(uint32_t argc, char **argv)
{
	(void)argc;
	(void)argv;
	shell_parts_begin();
	show_vectors();
	show_lines();
	shell_parts_end();
	return 0;
}

/* ---- Memory ---- */

static const struct shell_column range_columns[] = {
	{"first", 14U, SHELL_HEX}, {"last", 14U, SHELL_HEX}, {"kib", 10U, SHELL_DEC}, {"what", 0U, SHELL_TEXT}};

static void show_range(hpa_t base, uint64_t size, const char *what)
{
	shell_table_row((const struct shell_cell[]){
		SHELL_NUM(base), SHELL_NUM(base + size - 1UL), SHELL_NUM(size >> 10U), SHELL_STR(what)});
}

static const char *range_name(const struct mem_range *range)
{
	switch (range->type) {
	case MEM_RAM:
		return "RAM";
	case MEM_ACPI_RECLAIM:
	case MEM_ACPI_NVS:
		return "ACPI";
	default:
		return "reserved";
	}
}

static void show_pool(void)
{
	static const struct shell_column total[] = {
		{"pages", 8U, SHELL_DEC}, {"free", 8U, SHELL_DEC}, {"hypervisor", 0U, SHELL_DEC}};
	static const struct shell_column columns[] = {
		{"vm", 0U, SHELL_DEC}, {"name", 15U, SHELL_TEXT}, {"pages", 8U, SHELL_DEC}};
	const struct acrn_vm *vm;

	shell_record("pool", total, ARRAY_SIZE(total),
		(const struct shell_cell[]){SHELL_NUM(memory_pool_size() / PAGE_SIZE), SHELL_NUM(memory_pages_free()),
			SHELL_NUM(memory_pages_owned(PAGE_OWNER_HV))});
	shell_table_begin("pool_by_vm", columns, ARRAY_SIZE(columns));
	for (uint16_t id = 0U; (vm = vm_by_id(id)) != NULL; id++) {
		if (memory_pages_owned(id) != 0UL) {
			shell_table_row((const struct shell_cell[]){
				SHELL_NUM(id), SHELL_STR(vm->name), SHELL_NUM(memory_pages_owned(id))});
		}
	}
	shell_table_end();
}

int32_t shell_cmd_mem(uint32_t argc, char **argv)
{
	const char *what;
	hpa_t base;
	uint64_t size;

	(void)argc;
	(void)argv;
	shell_parts_begin();
	shell_table_begin("machine", range_columns, ARRAY_SIZE(range_columns));
	for (uint32_t i = 0U; i < boot_info.range_count; i++) {
		show_range(boot_info.ranges[i].base, boot_info.ranges[i].size, range_name(&boot_info.ranges[i]));
	}
	shell_table_end();
	shell_table_begin("reserved", range_columns, ARRAY_SIZE(range_columns));
	for (uint32_t i = 0U; memory_hv_range(i, &base, &size, &what); i++) {
		show_range(base, size, what);
	}
	shell_table_end();
	show_pool();
	shell_parts_end();
	return 0;
}

/* ---- What a VM sees ---- */

/* @return true and *value, or false, having said what is right */
static bool number(const char *text, const char *what, uint64_t limit, uint64_t *value)
{
	if (!str_to_u64(text, value)) {
		shell_error("%s '%s' is no number; write it as 4096 or 0x1000", what, text);
		return false;
	}
	if (*value > limit) {
		shell_error("%s 0x%lx is too large; it goes up to 0x%lx", what, *value, limit);
		return false;
	}
	return true;
}

int32_t shell_cmd_ept(uint32_t argc, char **argv)
{
	static const struct shell_column columns[] = {{"vm", 0U, SHELL_DEC}, {"gpa", 14U, SHELL_HEX},
		{"mapped", 0U, SHELL_FLAG}, {"hpa", 14U, SHELL_HEX}, {"read", 0U, SHELL_FLAG},
		{"write", 0U, SHELL_FLAG}, {"execute", 0U, SHELL_FLAG}, {"same_up_to", 14U, SHELL_HEX}};
	struct acrn_vm *vm = shell_find_vm(argv[1]);
	uint64_t gpa, contiguous = 1UL;
	uint32_t access = 0U;
	hpa_t hpa = INVALID_HPA;

	(void)argc;
	if ((vm == NULL) || !number(argv[2], "guest-physical address", UINT64_MAX, &gpa) || (shell_lock_vm(vm) != 0)) {
		return 0;
	}
	if (vm->state != VM_POWERED_OFF) {
		hpa = arch_gpa_to_hpa(vm, gpa, &contiguous, &access);
	}
	spin_unlock(&vm->lock);
	shell_record(NULL, columns, ARRAY_SIZE(columns),
		(const struct shell_cell[]){SHELL_NUM(vm->vm_id), SHELL_NUM(gpa), SHELL_NUM(hpa != INVALID_HPA),
			SHELL_NUM((hpa != INVALID_HPA) ? hpa : 0UL), SHELL_NUM(access & GPA_READ),
			SHELL_NUM(access & GPA_WRITE), SHELL_NUM(access & GPA_EXEC),
			SHELL_NUM(gpa + contiguous - 1UL)});
	return 0;
}

/* CPUID of a vCPU, asked for on its own pCPU, which may hold its state. */
static struct {
	struct thread thread;
	struct acrn_vcpu *vcpu;
	uint32_t leaf, subleaf;
	uint32_t out[4]; /* EAX, EBX, ECX, EDX */
	int32_t ret;
	bool done; /* atomic */
} question;

static bool answer(struct thread *thread)
{
	(void)thread;
	question.ret = arch_vcpu_cpuid(question.vcpu, question.leaf, question.subleaf, question.out);
	__atomic_store_n(&question.done, true, __ATOMIC_RELEASE);
	return false;
}

/* The VM's lock is held. @return 0 with question.out, or -EBUSY: its pCPU has been busy for too long */
static int32_t ask(struct acrn_vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	const uint64_t end = shell_deadline();

	question.vcpu = vcpu;
	question.leaf = leaf;
	question.subleaf = subleaf;
	question.ret = -EBUSY;
	question.done = false;
	if (vcpu->pcpu_id == arch_cpu_id()) {
		(void)answer(NULL);
		return question.ret;
	}
	thread_init(&question.thread, vcpu->pcpu_id, answer, NULL);
	thread_wake(&question.thread);
	while (!__atomic_load_n(&question.done, __ATOMIC_ACQUIRE) && (arch_now() < end)) {
		arch_irq_window();
	}
	thread_retire(&question.thread);
	return question.ret;
}

int32_t shell_cmd_cpuid(uint32_t argc, char **argv)
{
	static const struct shell_column columns[] = {{"vm", 0U, SHELL_DEC}, {"leaf", 10U, SHELL_HEX},
		{"subleaf", 0U, SHELL_HEX}, {"eax", 10U, SHELL_HEX}, {"ebx", 10U, SHELL_HEX}, {"ecx", 10U, SHELL_HEX},
		{"edx", 10U, SHELL_HEX}};
	struct acrn_vm *vm = shell_find_vm(argv[1]);
	uint64_t leaf, subleaf = 0UL;
	const uint32_t *const out = question.out;
	int32_t ret = -ENODEV;

	if ((vm == NULL) || !number(argv[2], "leaf", UINT32_MAX, &leaf) ||
		((argc == 4U) && !number(argv[3], "subleaf", UINT32_MAX, &subleaf)) || (shell_lock_vm(vm) != 0)) {
		return 0;
	}
	if (vm->vcpu_count != 0U) {
		ret = ask(&vm->vcpus[0], (uint32_t)leaf, (uint32_t)subleaf);
	}
	spin_unlock(&vm->lock);
	if (ret != 0) {
		shell_error("VM%u '%s' %s", vm->vm_id, vm->name,
			(ret == -ENODEV) ? "is off: it has no virtual CPU to ask" : "is busy; try again");
		return 0;
	}
	shell_record(NULL, columns, ARRAY_SIZE(columns),
		(const struct shell_cell[]){SHELL_NUM(vm->vm_id), SHELL_NUM(leaf), SHELL_NUM(subleaf),
			SHELL_NUM(out[0]), SHELL_NUM(out[1]), SHELL_NUM(out[2]), SHELL_NUM(out[3])});
	return 0;
}

/* ---- The CPU and the hypervisor ---- */

int32_t shell_cmd_caps(uint32_t argc, char **argv)
{
	static const struct shell_column columns[] = {
		{"feature", 38U, SHELL_TEXT}, {"has", 0U, SHELL_FLAG}, {"so", 0U, SHELL_TEXT}};
	struct arch_cap cap;

	(void)argc;
	(void)argv;
	shell_table_begin(NULL, columns, ARRAY_SIZE(columns));
	for (uint32_t i = 0U; arch_cap_info(i, &cap); i++) {
		shell_table_row(
			(const struct shell_cell[]){SHELL_STR(cap.name), SHELL_NUM(cap.present), SHELL_STR(cap.then)});
	}
	shell_table_end();
	return 0;
}

int32_t shell_cmd_version(uint32_t argc, char **argv)
{
	static const struct shell_column columns[] = {{"scenario", 15U, SHELL_TEXT}, {"cpus", 0U, SHELL_DEC},
		{"tsc_khz", 9U, SHELL_DEC}, {"up_ms", 9U, SHELL_DEC}, {"compiler", 0U, SHELL_TEXT}};

	(void)argc;
	(void)argv;
	shell_record(NULL, columns, ARRAY_SIZE(columns),
		(const struct shell_cell[]){SHELL_STR((vm_scenario() != NULL) ? vm_scenario()->name : ""),
			SHELL_NUM(arch_cpu_count()), SHELL_NUM(arch_tsc_khz()),
			SHELL_NUM(shell_ticks_to_us(arch_now() - arch_boot_ticks()) / 1000UL), SHELL_STR(__VERSION__)});
	return 0;
}
