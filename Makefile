# SPDX-License-Identifier: BSD-2-Clause
# Always On: one Makefile, everything out of tree in build/. `make help` says what there is.

BUILD ?= build
PREFIX ?= /usr/local
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

ifeq ($(origin CC),default)
CC := gcc
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
        -Wno-unused-parameter
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARN) -D_GNU_SOURCE -DALWAYSON_VERSION='"$(VERSION)"' \
              -Iinclude -Iuser -I$(BUILD)/skel -MMD -MP -fstack-protector-strong
LDLIBS := -lxdp -lbpf -lelf -lz -levent_core -levent_pthreads -lmnl -ljansson -lcap-ng -lpthread
ifeq ($(SAN),1)
ALL_CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
ALL_LDFLAGS += -fsanitize=address,undefined
BUILD := $(BUILD)/san
endif
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
BPF_CFLAGS := -std=gnu11 -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-address-of-packed-member \
              -Iinclude -Ibpf -D__x86_64__ -I/usr/include/$(MULTIARCH) -MMD -MP

BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/bpf/%.bpf.o)
SKELS := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/skel/%.skel.h)

MAINS := user/agent/main.c user/cli/main.c
LIB_SRC := $(filter-out $(MAINS),$(wildcard user/*/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
LIB := $(BUILD)/libalwayson.a
PROGRAMS := $(BUILD)/alwaysond $(BUILD)/alwayson

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNITS := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)

# Suites of the real program: tests/packet/test_*.c, each linked with the rest of that folder.
PACKET_SRC := $(wildcard tests/packet/test_*.c)
PACKETS := $(PACKET_SRC:tests/packet/%.c=$(BUILD)/tests/packet/%)
PACKET_LIB_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(PACKET_SRC),$(wildcard tests/packet/*.c)))

# Programs of the tests' and the bench's own for the kernel.
TEST_BPF_SRC := $(wildcard tests/*/*.bpf.c)
TEST_BPF_OBJ := $(TEST_BPF_SRC:%.bpf.c=$(BUILD)/%.bpf.o)
TEST_SKELS := $(foreach s,$(TEST_BPF_SRC),$(BUILD)/skel/$(notdir $(s:.bpf.c=.skel.h)))

# Small programs that the system tests and the bench run: tests/system/*.c, tests/bench/*.c.
TOOL_SRC := $(wildcard tests/system/*.c tests/bench/*.c)
TOOLS := $(TOOL_SRC:%.c=$(BUILD)/%)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(PROGRAMS)

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/skel/%.skel.h: $(BUILD)/bpf/%.bpf.o
	@mkdir -p $(@D)
	$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(BUILD)/%.o: %.c | $(SKELS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

$(LIB): $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/alwaysond: $(BUILD)/user/agent/main.o $(LIB)
	$(CC) $(ALL_LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/alwayson: $(BUILD)/user/cli/main.o $(LIB)
	$(CC) $(ALL_LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/tests/unit/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests $(ALL_LDFLAGS) $< $(LIB) -lcmocka $(LDLIBS) -o $@

$(BUILD)/tests/packet/%: tests/packet/%.c $(PACKET_LIB_OBJ) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $< $(PACKET_LIB_OBJ) $(LIB) -lcmocka $(LDLIBS) -o $@

$(BUILD)/tests/%.bpf.o: tests/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

define TEST_SKEL
$(BUILD)/skel/$(notdir $(1:.bpf.c=.skel.h)): $(BUILD)/$(1:.bpf.c=.bpf.o)
	@mkdir -p $$(@D)
	$(BPFTOOL) gen skeleton $$< name $(notdir $(1:.bpf.c=))_bpf > $$@
endef
$(foreach s,$(TEST_BPF_SRC),$(eval $(call TEST_SKEL,$(s))))

$(BUILD)/tests/system/%: tests/system/%.c $(LIB) | $(TEST_SKELS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $< $(LIB) $(LDLIBS) -o $@

$(BUILD)/tests/bench/%: tests/bench/%.c $(LIB) | $(TEST_SKELS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $< $(LIB) $(LDLIBS) -lm -o $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
