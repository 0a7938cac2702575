# SPDX-License-Identifier: BSD-3-Clause
# Fuzz targets: tests/fuzz/fuzz_*.c, each with what it needs of the files that the unit tests test.

FUZZ_CC := clang
FUZZ_CFLAGS := $(filter-out -fsanitize=% -fno-sanitize-recover=% -Wno-error=%,$(UNIT_CFLAGS)) \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined

FUZZ_PRODUCT := $(filter-out devicemodel-stub/%,$(UNIT_PRODUCT)) $(wildcard tests/fake/*.c)
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

$(O)/fuzz/%.o: %.c tests/fuzz/fuzz.mk tests/unit/unit.mk
	$(call say,FUZZ-CC,$<)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

# A library, so that a target gets only what it needs.
$(O)/fuzz/product.a: $(FUZZ_PRODUCT:%.c=$(O)/fuzz/%.o)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $^

$(FUZZ_TARGETS:%=$(O)/fuzz/fuzz_%): $(O)/fuzz/fuzz_%: $(O)/fuzz/tests/fuzz/fuzz_%.o $(O)/fuzz/product.a
	$(call say,FUZZ-LD,$@)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined $(COVERAGE_CFLAGS) -o $@ $^ -lpthread

-include $(FUZZ_TARGETS:%=$(O)/fuzz/tests/fuzz/fuzz_%.d) $(FUZZ_PRODUCT:%.c=$(O)/fuzz/%.d)
