# SPDX-License-Identifier: BSD-3-Clause
# One non-recursive Makefile. `make help` lists the targets.

O  ?= build
# As scripts/test gives it: what depends on which header is kept by full names.
override O := $(abspath $(O))
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
NM ?= nm
LD ?= ld
PYTHON := /usr/bin/python3

.DEFAULT_GOAL := $(O)/aril.elf
.DELETE_ON_ERROR:
.SUFFIXES:

ifeq ($(V),1)
Q :=
else
Q := @
endif
say = @printf '  %-8s %s\n' $(1) $(2)

# ---- flags --------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes -Wconversion \
	-Wcast-qual -Wvla -Wimplicit-fallthrough

INCLUDES := -Iinclude -Iarch/x86/include -I$(O)/include

# Also used by the bare-metal guests and the bare-metal device model: no C library, no red zone, no SSE.
FREESTANDING := -std=gnu17 -O2 -g -ffreestanding -fno-builtin-printf -mno-red-zone -mgeneral-regs-only -m64 \
	-fno-pic -fno-pie -fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-common -ffunction-sections \
	-fno-stack-clash-protection -fcf-protection=none

# COVERAGE=1 CC=clang: which branches ran. The machine's end is wrapped, to write out the counters (scripts/coverage).
ifeq ($(COVERAGE),1)
COVERAGE_CFLAGS := -fprofile-instr-generate -fcoverage-mapping -w
COVERAGE_LDFLAGS := --wrap=arch_end
COVERAGE_SRCS := tests/coverage/hv_counters.c
endif

HV_CFLAGS := $(FREESTANDING) $(WARNINGS) $(INCLUDES) -mcmodel=kernel -fno-omit-frame-pointer \
	-fno-optimize-sibling-calls -fstack-protector-strong -mstack-protector-guard=global \
	-fdebug-prefix-map=$(CURDIR)=. $(COVERAGE_CFLAGS)

ifneq ($(findstring clang,$(shell $(CC) --version 2>/dev/null | head -1)),)
HV_CFLAGS += -Wno-unused-command-line-argument -Wno-gnu-folding-constant
endif

HV_LDFLAGS := -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments --build-id=none \
	--orphan-handling=place --gc-sections $(COVERAGE_LDFLAGS)

# ---- sources ------------------------------------------------------------------------------------------------------

HV_DIRS := boot arch/x86/cpu arch/x86/vmx arch/x86/guest hypervisor hypervisor/lib hypervisor/debug hypervisor/dm
HV_SRCS := $(filter-out arch/x86/cpu/asm_offsets.c,$(sort $(foreach d,$(HV_DIRS),$(wildcard $(d)/*.c $(d)/*.S))))
HV_SRCS := $(filter-out %.lds.S,$(HV_SRCS)) $(COVERAGE_SRCS)
HV_OBJS := $(HV_SRCS:%=$(O)/%.o)

CONFIG_H  := $(O)/include/config.h
OFFSETS_H := $(O)/include/asm/offsets.h
GENERATED := $(CONFIG_H) $(OFFSETS_H)
LDS       := $(O)/hypervisor.lds

# ---- configuration ------------------------------------------------------------------------------------------------

KCONFIGS := Kconfig arch/x86/Kconfig

$(O)/.config: $(KCONFIGS)
	@mkdir -p $(@D)
	$(Q)$(PYTHON) scripts/kconfig.py header $@ $(CONFIG_H)
	@touch $@

$(CONFIG_H): $(O)/.config $(KCONFIGS) scripts/kconfig.py
	$(call say,KCONFIG,$@)
	$(Q)$(PYTHON) scripts/kconfig.py header $(O)/.config $@
	@touch $@

$(O)/offsets.s: arch/x86/cpu/asm_offsets.c $(CONFIG_H)
	$(Q)$(CC) $(HV_CFLAGS) -Wno-missing-prototypes -MMD -MP -MT $@ -MF $(O)/offsets.d -S -o $@ $<

$(OFFSETS_H): $(O)/offsets.s
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)sed -n 's/^.*"->\([A-Z0-9_]*\) \$$*\([^"]*\)".*$$/#define \1 \2/p' $< | \
		(echo '/* SPDX-License-Identifier: BSD-3-Clause */'; cat) > $@

# ---- the hypervisor -----------------------------------------------------------------------------------------------

$(O)/%.c.o: %.c $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(HV_CFLAGS) -MMD -MP -c -o $@ $<

SCENARIO_BIN := $(O)/default_scenario.bin
$(SCENARIO_BIN): boot/scenarios/default.xml $(wildcard scripts/lib/scenario_*.py) scripts/scenario
	@mkdir -p $(@D)
	$(call say,SCENARIO,$@)
	$(Q)$(PYTHON) scripts/scenario compile $< -o $@
$(O)/boot/default_scenario.S.o: $(SCENARIO_BIN)

$(O)/%.S.o: %.S $(GENERATED)
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(HV_CFLAGS) -D__ASSEMBLY__ -I$(O) -MMD -MP -c -o $@ $<

$(LDS): boot/hypervisor.lds.S $(CONFIG_H)
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -undef -x assembler-with-cpp $(INCLUDES) -o $@ $<

# Linked twice: the names of functions are in the image (scripts/symtab.py).
$(O)/aril.elf: $(HV_OBJS) $(LDS) scripts/symtab.py
	$(call say,LINK,$@)
	$(Q)$(PYTHON) scripts/symtab.py - $(O)/symtab0.S
	$(Q)$(CC) $(FREESTANDING) -c -o $(O)/symtab0.o $(O)/symtab0.S
	$(Q)$(LD) $(HV_LDFLAGS) -T $(LDS) -o $(O)/aril.pass1 $(HV_OBJS) $(O)/symtab0.o
	$(Q)$(NM) -n $(O)/aril.pass1 > $(O)/aril.nm1
	$(Q)$(PYTHON) scripts/symtab.py $(O)/aril.nm1 $(O)/symtab.S
	$(Q)$(CC) $(FREESTANDING) -c -o $(O)/symtab.o $(O)/symtab.S
	$(Q)$(LD) $(HV_LDFLAGS) -T $(LDS) -o $@ $(HV_OBJS) $(O)/symtab.o
	$(Q)$(NM) -n $@ > $(O)/aril.nm
	$(Q)grep ' [tT] ' $(O)/aril.nm1 > $(O)/aril.t1; grep ' [tT] ' $(O)/aril.nm | cmp -s - $(O)/aril.t1 || \
		{ echo "the symbol table moved the text: backtraces would lie" >&2; rm -f $@; exit 1; }
	$(Q)grub-file --is-x86-multiboot2 $@ 2>/dev/null || ! command -v grub-file >/dev/null || \
		{ echo "$@: no multiboot2 header in its first 32 KiB" >&2; rm -f $@; exit 1; }

# ---- fragments: test guests, device model, host unit tests --------------------------------------------------------

-include tests/guests/guests.mk
-include devicemodel-stub/dm.mk
-include tests/unit/unit.mk
-include tests/fuzz/fuzz.mk

# ---- all the rest -------------------------------------------------------------------------------------------------

.PHONY: all unit guests dm defconfig menuconfig check check-headers compile_commands.json clean help
all: $(O)/aril.elf guests dm compile_commands.json
guests:
dm:

defconfig:
	$(Q)$(PYTHON) scripts/kconfig.py default $(O)/.config

menuconfig:
	@mkdir -p $(O)
	$(Q)$(PYTHON) scripts/kconfig.py menu $(O)/.config

# Style, layers, links, both compilers...: all that can be said without running a guest.
check:
	$(Q)scripts/check $(O)

# Each header alone, with nothing before it.
HEADERS := $(sort $(shell find include arch/x86/include -name '*.h'))
check-headers: $(GENERATED)
	$(Q)for h in $(HEADERS); do \
		$(CC) $(HV_CFLAGS) -Wno-unused-function -fsyntax-only -x c -include $$h /dev/null || exit 1; done
	@echo "$(words $(HEADERS)) headers compile alone"

compile_commands.json: $(O)/compile_commands.json
$(O)/compile_commands.json: Makefile
	@mkdir -p $(@D)
	$(Q)( sep='['; for s in $(HV_SRCS); do printf '%s{"directory":"%s","file":"%s","command":"%s"}' \
		"$$sep" '$(CURDIR)' "$$s" '$(CC) $(HV_CFLAGS) -c '"$$s"; sep=','; done; echo ']' ) > $@

clean:
	$(Q)rm -rf $(O)

help:
	@echo 'make                 $$(O)/aril.elf, the hypervisor (O=$(O), CC=$(CC))'
	@echo 'make all             that, test guests, device model, compile_commands.json'
	@echo 'make unit            host unit tests under ASan and UBSan'
	@echo 'make guests dm       bare-metal test VMs; the Service VM side'
	@echo 'make defconfig       $$(O)/.config with all defaults'
	@echo 'make menuconfig      edit it'
	@echo 'make check           style, layers, links, both compilers, analyzers (scripts/check --list)'
	@echo 'make check-headers   each header compiles alone'
	@echo 'make clean           remove $$(O); V=1 shows commands'

-include $(HV_OBJS:.o=.d) $(O)/offsets.d
