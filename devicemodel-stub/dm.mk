# SPDX-License-Identifier: BSD-3-Clause
#
# The device model in its two homes: $(O)/aril-dm, a static Linux program (make dm), and the bare-metal Service VMs
# $(O)/guests/svm.elf and $(O)/guests/enemy.elf (make dm-guests). Included by the top Makefile after
# tests/guests/guests.mk, whose flags and library the bare-metal ones use.

DM_DIR := devicemodel-stub
DM_DEV_SRCS := $(wildcard $(DM_DIR)/*.c) hypervisor/lib/acpi_table.c
DM_LINUX_SRCS := $(wildcard $(DM_DIR)/linux/*.c)
DM_LINUX_OBJS := $(patsubst %.c,$(O)/dm-linux/%.o,$(DM_DEV_SRCS) $(DM_LINUX_SRCS))

DM_WARN := -Wall -Wextra -Werror -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes -Wconversion \
	-Wcast-qual -Wvla -Wimplicit-fallthrough
DM_CFLAGS := -std=gnu17 -D_GNU_SOURCE -Os -g -fstack-protector-strong -ffunction-sections -fdata-sections $(DM_WARN) \
	-Iinclude -pthread

DM_BARE_NAMES := svm enemy
DM_BARE_ELFS := $(DM_BARE_NAMES:%=$(O)/guests/%.elf)
DM_BARE_DEV_OBJS := $(patsubst %.c,$(O)/dm-bare/%.o,$(DM_DEV_SRCS))
DM_BARE_COMMON_OBJS := $(patsubst %.c,$(O)/dm-bare/%.o,$(filter-out \
	$(DM_BARE_NAMES:%=$(DM_DIR)/baremetal/%.c),$(wildcard $(DM_DIR)/baremetal/*.c)))

.PHONY: dm dm-guests
dm: $(O)/aril-dm
dm-guests: $(DM_BARE_ELFS)
guests: dm-guests

$(O)/dm-linux/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(DM_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/aril-dm: $(DM_LINUX_OBJS)
	$(CC) -static -pthread -Wl,--gc-sections -o $@.debug $^
	strip -o $@ $@.debug

$(O)/dm-bare/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(DM_BARE_ELFS): $(O)/guests/%.elf: $(O)/dm-bare/$(DM_DIR)/baremetal/%.o $(DM_BARE_COMMON_OBJS) \
		$(DM_BARE_DEV_OBJS) $(O)/guests/lib.a $(GUEST_DIR)/lib/link.ld
	$(CC) $(GUEST_LDFLAGS) -o $(@:.elf=.elf64) $(O)/guests/lib/start.S.o $(filter %.o,$^) \
		-Wl,--start-group $(O)/guests/lib.a -Wl,--end-group
	$(GUEST_OBJCOPY) -I elf64-x86-64 -O elf32-i386 $(@:.elf=.elf64) $@

-include $(wildcard $(foreach d,$(DM_DIR) $(DM_DIR)/linux $(DM_DIR)/baremetal hypervisor/lib,\
	$(O)/dm-linux/$(d)/*.d $(O)/dm-bare/$(d)/*.d))
