# SPDX-License-Identifier: BSD-3-Clause
#
# Test guests: $(O)/guests/NAME.elf for each tests/guests/NAME.c, and the library by itself,
# $(O)/guests/lib.a. Included by the top Makefile; needs O and CC, honours AR, LD, OBJCOPY.

GUEST_AR ?= $(if $(AR),$(AR),ar)
GUEST_OBJCOPY ?= $(if $(OBJCOPY),$(OBJCOPY),objcopy)
GUEST_DIR := tests/guests
GUEST_NAMES := $(sort $(basename $(notdir $(wildcard $(GUEST_DIR)/*.c))))
GUEST_LIB_SRCS := $(wildcard $(GUEST_DIR)/lib/*.c $(GUEST_DIR)/lib/*.S)
GUEST_LIB_OBJS := $(patsubst $(GUEST_DIR)/%,$(O)/guests/%.o,$(GUEST_LIB_SRCS))
GUEST_ELFS := $(GUEST_NAMES:%=$(O)/guests/%.elf)

# Linked below 2 GiB and never relocated; no SSE state, no red zone (interrupts), no libc.
GUEST_CFLAGS := -m64 -std=gnu17 -O2 -g -ffreestanding -fno-builtin -fno-pic -fno-pie \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
	-fno-strict-aliasing -mno-red-zone -mgeneral-regs-only -mcmodel=small \
	-Wall -Wextra -Werror -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes \
	-Wconversion -Wcast-qual -Wvla -Wimplicit-fallthrough \
	-Itests -Iinclude
# What a boot loader may be given: the subject `load` with other headers than start.S has by default, and `flat` as
# test kernels of others are made (multiboot 1 without any flag).
GUEST_IMAGES := $(addprefix $(O)/guests/,load-flags0.elf load-elf64.elf load-mb2.elf load-address.bin load-raw.bin \
	flat-flags0.elf)
GUEST_LDFLAGS := -m64 -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack \
	-Wl,-z,max-page-size=4096 -Wl,-T,$(GUEST_DIR)/lib/link.ld

.PHONY: guests
guests: $(GUEST_ELFS) $(GUEST_IMAGES)

$(O)/guests/%.c.o: $(GUEST_DIR)/%.c
	@mkdir -p $(@D)
	@echo '  CC      $<'
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/guests/%.S.o: $(GUEST_DIR)/%.S
	@mkdir -p $(@D)
	@echo '  AS      $<'
	$(Q)$(CC) -m64 -Itests -MMD -MP -c -o $@ $<

$(O)/guests/lib.a: $(GUEST_LIB_OBJS)
	@rm -f $@
	@echo '  AR      $@'
	$(Q)$(GUEST_AR) rcs $@ $^

# start.S holds the entry and the multiboot header: it is named, the rest is taken as needed.
$(O)/guests/%.elf: $(O)/guests/%.c.o $(O)/guests/lib.a $(GUEST_DIR)/lib/link.ld
	@echo '  GUEST   $@'
	$(Q)$(CC) $(GUEST_LDFLAGS) -o $(@:.elf=.elf64) $(O)/guests/lib/start.S.o $< \
		-Wl,--start-group $(O)/guests/lib.a -Wl,--end-group
	$(Q)$(GUEST_OBJCOPY) -I elf64-x86-64 -O elf32-i386 $(@:.elf=.elf64) $@

GUEST_LINK = $(Q)$(CC) $(GUEST_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(O)/guests/lib.a -Wl,--end-group

$(O)/guests/start-%.o: $(GUEST_DIR)/lib/start.S
	@mkdir -p $(@D)
	@echo '  AS      $< ($*)'
	$(Q)$(CC) -m64 -Itests -DHEADER_$* -MMD -MP -c -o $@ $<

$(O)/guests/load-%.elf64: $(O)/guests/start-%.o $(O)/guests/load.c.o $(O)/guests/lib.a $(GUEST_DIR)/lib/link.ld
	$(GUEST_LINK)

$(O)/guests/flat-%.elf64: $(O)/guests/start-%.o $(O)/guests/flat.c.o $(O)/guests/lib.a $(GUEST_DIR)/lib/link.ld
	$(GUEST_LINK)

$(O)/guests/load-elf64.elf: $(O)/guests/load-flags0.elf64
	$(Q)cp $< $@

$(filter-out %-elf64.elf,$(filter %.elf,$(GUEST_IMAGES))): %.elf: %.elf64
	@echo '  GUEST   $@'
	$(Q)$(GUEST_OBJCOPY) -I elf64-x86-64 -O elf32-i386 $< $@

$(filter %.bin,$(GUEST_IMAGES)): %.bin: %.elf64
	@echo '  GUEST   $@'
	$(Q)$(GUEST_OBJCOPY) -O binary $< $@

.PRECIOUS: $(O)/guests/%.c.o $(O)/guests/%.S.o
-include $(wildcard $(O)/guests/*.d $(O)/guests/lib/*.d)
