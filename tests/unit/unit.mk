# SPDX-License-Identifier: BSD-3-Clause
# Host unit tests: tests/unit/*.c and the product files they test, in one program under ASan and UBSan.
# A new test_x.c is found by itself; the product files it needs are added to UNIT_PRODUCT.

UNIT_CC ?= gcc

# `make unit O=build/tsan UNIT_SANITIZE=thread UNIT_RUN="sched vhm"` looks for data races; UNIT_RUN selects tests.
UNIT_SANITIZE ?= address,undefined
UNIT_RUN ?=

# Product files under test; those that a checkout does not have (yet) are left out.
UNIT_PRODUCT := $(wildcard \
	boot/multiboot2.c \
	hypervisor/acpi_tables.c \
	arch/x86/guest/guest_walk.c \
	arch/x86/guest/regs_check.c \
	arch/x86/guest/task_switch.c \
	arch/x86/guest/instr_decode.c \
	arch/x86/guest/instr_emul.c \
	arch/x86/guest/instr_emul_alu.c \
	arch/x86/guest/instr_emul_math.c \
	arch/x86/guest/instr_emul_string.c \
	arch/x86/guest/instr_emul_wide.c \
	hypervisor/lib/acpi_table.c \
	hypervisor/debug/shell.c \
	hypervisor/debug/shell_table.c \
	hypervisor/debug/trace.c \
	hypervisor/guest_copy.c \
	hypervisor/guest_memory.c \
	hypervisor/guest_ram.c \
	hypervisor/guest_vm.c \
	hypervisor/hypercall.c \
	hypervisor/hypercall_mem.c \
	hypervisor/hypercall_vm.c \
	hypervisor/ioports.c \
	hypervisor/ioreq.c \
	hypervisor/map_test.c \
	hypervisor/ptirq.c \
	hypervisor/scenario.c \
	hypervisor/scenario_links.c \
	hypervisor/scenario_machine.c \
	hypervisor/service_bus.c \
	hypervisor/sched.c \
	hypervisor/sched_bvt.c \
	hypervisor/sched_rr.c \
	hypervisor/timer.c \
	hypervisor/unhandled.c \
	hypervisor/vcpu.c \
	hypervisor/vcpu_thread.c \
	hypervisor/vhm.c \
	hypervisor/vm.c \
	hypervisor/vm_acpi_bus.c \
	hypervisor/vm_acpi_pre.c \
	hypervisor/vm_acpi_tables.c \
	hypervisor/vm_cpus.c \
	hypervisor/vm_devices.c \
	hypervisor/vm_e820.c \
	hypervisor/vm_life.c \
	hypervisor/vm_memory.c \
	hypervisor/vm_stop.c \
	hypervisor/dm/vioapic_glue.c \
	hypervisor/dm/vclock.c \
	hypervisor/dm/vhpet.c \
	hypervisor/dm/vhpet_glue.c \
	hypervisor/dm/vi8042.c \
	hypervisor/dm/vi8042_glue.c \
	hypervisor/dm/cross_vm_connection.c \
	hypervisor/dm/cross_vm.c \
	hypervisor/vm_connections.c \
	hypervisor/dm/vpci.c \
	hypervisor/dm/vpci_glue.c \
	hypervisor/dm/vpci_msix.c \
	hypervisor/dm/ivshmem.c \
	hypervisor/dm/vpic_glue.c \
	hypervisor/dm/vuart_glue.c \
	hypervisor/dm/vpic.c \
	hypervisor/dm/vpit.c \
	hypervisor/dm/vpit_glue.c \
	hypervisor/dm/vpm.c \
	hypervisor/dm/vrtc.c \
	hypervisor/dm/vrtc_glue.c \
	hypervisor/dm/vuart.c \
	hypervisor/dm/vioapic.c \
	devicemodel-stub/*.c \
	$(addprefix devicemodel-stub/linux/,hsm.c host.c term.c vm_run.c))

# libzydis-dev is an independent instruction decoder; without it that one test is skipped.
UNIT_LIBS := $(shell echo 'int main(void) { return 0; }' | \
	$(UNIT_CC) -include Zydis/Zydis.h -x c - -lZydis -o /dev/null >/dev/null 2>&1 && echo -lZydis)

# tests/fake/include comes first: it replaces the headers that need a real CPU.
UNIT_CFLAGS := -std=gnu17 -g -O1 -Wall -Wextra -Werror -Wshadow -fno-omit-frame-pointer \
	-fsanitize=$(UNIT_SANITIZE) $(if $(filter thread,$(UNIT_SANITIZE)),-Wno-error=tsan,-fno-sanitize-recover=all) \
	$(COVERAGE_CFLAGS) -DUNIT_TEST -I. -Itests/fake/include -Itests/fake -Itests/unit -Iinclude -Iarch/x86/include

# Tests linked apart, with their product files, and all names then made local: CPU code with its own headers instead
# of the fake's, or modules that the fake replaces for the others.
UNIT_APART := ept log mmio speculation vlapic vm_console vm_load vmexit
UNIT_APART_ept := tests/unit/test_ept.c arch/x86/vmx/ept.c
UNIT_APART_log := tests/unit/test_log.c hypervisor/debug/log.c
UNIT_APART_mmio := tests/unit/test_mmio.c arch/x86/guest/mmio.c $(wildcard arch/x86/guest/instr_*.c)
UNIT_APART_speculation := tests/unit/test_speculation.c arch/x86/cpu/speculation.c
UNIT_APART_vlapic := tests/unit/test_vlapic.c $(wildcard arch/x86/guest/vlapic*.c) \
	hypervisor/dm/vioapic.c hypervisor/dm/vpic.c
UNIT_APART_vm_console := tests/unit/test_vm_console.c hypervisor/debug/vm_console.c hypervisor/dm/vuart.c
UNIT_APART_vm_load := tests/unit/test_vm_load.c $(wildcard hypervisor/vm_load*.c hypervisor/vm_multiboot*.c \
	hypervisor/vm_acpi*.c) hypervisor/vm_e820.c hypervisor/acpi_tables.c hypervisor/lib/acpi_table.c
UNIT_APART_vmexit := tests/unit/test_vmexit.c arch/x86/guest/vmexit.c
# Their VMCS is an array.
UNIT_APART_FIRST_mmio := -Itests/fake/vmcs
UNIT_APART_FIRST_vmexit := -Itests/fake/vmcs
# Not CPU code: the fake's headers.
UNIT_APART_FIRST_vm_load := -Itests/fake/include
UNIT_APART_CFLAGS := $(filter-out -Itests/fake/include,$(UNIT_CFLAGS)) -Itests/fake/include

define unit_apart
$(O)/unit/$(1)/%.o: %.c tests/unit/unit.mk
	$$(call say,UNIT-CC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(UNIT_CC) $$(UNIT_APART_FIRST_$(1)) $$(UNIT_APART_CFLAGS) -MMD -MP -c -o $$@ $$<

$(O)/unit/apart-$(1).o: $(UNIT_APART_$(1):%.c=$(O)/unit/$(1)/%.o)
	$$(call say,UNIT-LD,$$@)
	$$(Q)$$(UNIT_CC) -r -nostdlib -o $$@ $$^
	$$(Q)objcopy --keep-global-symbol=none_is_kept $$@

-include $(UNIT_APART_$(1):%.c=$(O)/unit/$(1)/%.d)
endef
$(foreach name,$(UNIT_APART),$(eval $(call unit_apart,$(name))))

UNIT_SRCS := $(filter-out $(UNIT_APART:%=tests/unit/test_%.c),$(sort $(wildcard tests/unit/*.c))) \
	$(wildcard tests/fake/*.c) $(UNIT_PRODUCT)
UNIT_OBJS := $(UNIT_SRCS:%.c=$(O)/unit/%.o) $(UNIT_APART:%=$(O)/unit/apart-%.o)

$(O)/unit/%.o: %.c tests/unit/unit.mk
	$(call say,UNIT-CC,$<)
	@mkdir -p $(@D)
	$(Q)$(UNIT_CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/unit/unit-tests: $(UNIT_OBJS)
	$(call say,UNIT-LD,$@)
	$(Q)$(UNIT_CC) -fsanitize=$(UNIT_SANITIZE) $(COVERAGE_CFLAGS) -o $@ $(UNIT_OBJS) $(UNIT_LIBS)

unit: $(O)/unit/unit-tests
	$(Q)$< $(UNIT_RUN)

-include $(UNIT_OBJS:.o=.d)
