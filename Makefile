# SPDX-License-Identifier: BSD-2-Clause
# Always On: one Makefile, everything out of tree in build/. `make help` says what there is.

BUILD ?= build
# The sanitizers' objects have a folder of their own.
ifeq ($(SAN),1)
override BUILD := $(BUILD)/san
endif
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
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARN) -D_GNU_SOURCE -Iinclude -Iuser -I$(BUILD)/skel -MMD -MP -fstack-protector-strong
LDLIBS := -lxdp -lbpf -lelf -lz -levent_core -levent_pthreads -lmnl -ljansson -lcap-ng -lsystemd -lssl -lcrypto -lpthread
ifeq ($(SAN),1)
ALL_CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
ALL_LDFLAGS += -fsanitize=address,undefined
endif
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
BPF_CFLAGS := -std=gnu11 -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-address-of-packed-member \
              -Iinclude -Ibpf -D__x86_64__ -I/usr/include/$(MULTIARCH) -MMD -MP

BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/bpf/%.bpf.o)
SKELS := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/skel/%.skel.h)

MAINS := user/agent/main.c user/cli/main.c user/checker/main.c
# Not checker/socket.c: it would come before libc's socket() in whatever the library is linked into.
LIB_SRC := $(filter-out $(MAINS) user/checker/socket.c user/plugins/%.c,$(wildcard user/*/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o) $(BUILD)/user/web/assets.S.o
LIB := $(BUILD)/libalwayson.a
# Plugins of alwayson-checker: user/plugins/NAME.c, or the folder user/plugins/NAME where it takes several files; each
# becomes plugins/NAME.so beside the checker. The tests have plugins of their own, beside a checker of their own.
PLUGIN_NAMES := $(patsubst user/plugins/%.c,%,$(wildcard user/plugins/*.c)) \
                $(patsubst user/plugins/%/,%,$(wildcard user/plugins/*/))
PLUGINS := $(PLUGIN_NAMES:%=$(BUILD)/plugins/%.so)
PLUGIN_LIBS_mysql := -lmariadb
$(BUILD)/pic/user/plugins/mysql/%.o: PLUGIN_CFLAGS := -isystem /usr/include/mariadb
TEST_PLUGINS := $(patsubst tests/plugins/%.c,$(BUILD)/tests/checker/plugins/%.so,$(wildcard tests/plugins/*.c))
# The program is made of these alone: the less there is in it, the less can go wrong in it.
CHECKER_PARTS := checker/main checker/drop checker/restrict checker/load checker/template checker/runner \
                 checker/worker checker/socket checker/protocol checker/try base/addr
CHECKER_LIBS := -lseccomp -lcap-ng -ldl
# Its socket() comes before libc's for the plugins too: user/checker/socket.c says why.
CHECKER_LDFLAGS := -Wl,--export-dynamic-symbol=socket

PROGRAMS := $(BUILD)/alwaysond $(BUILD)/alwayson $(BUILD)/alwayson-checker $(PLUGINS)

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
TOOL_SRC := $(filter-out %.bpf.c,$(wildcard tests/system/*.c tests/bench/*.c))
TOOLS := $(TOOL_SRC:%.c=$(BUILD)/%)
# What they load into a program before all else.
OTHER_LAYOUT := $(BUILD)/tests/system/other_layout
PRELOADS := $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/system/preload/*.c))

# The build within another target: on all CPUs, unless -j was given.
QUICKLY = --no-print-directory -s $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: FORCE all demo check check-long tests fuzzers fuzz bench chaos lint mutants install man uninstall clean help deps
all: $(PROGRAMS) ## build the programs: $(BUILD)/alwaysond, $(BUILD)/alwayson
	@$(BUILD)/alwaysond --version >/dev/null

demo: ## install what is missing, build, run the reference configuration in a lab, clean up
	@tools/deps --for demo
	@$(MAKE) $(QUICKLY) all
	@BUILD=$(BUILD) tools/lab demo

# Most of a suite is waiting: for a check, a timeout, another process. Twice as many as there are cores, eight at most.
JOBS ?= $(shell n=$$(nproc); echo $$((n < 4 ? 2 * n : 8)))

check: ## install what is missing, build, run every test that this machine can run
	@tools/deps --for check
	@$(MAKE) $(QUICKLY) all tests fuzzers
	@$(BUILD)/tests/bench/verified $(BPF_OBJ)
	@BUILD=$(BUILD) tests/run --jobs $(JOBS)

check-long: ## as check, and the long forms of the tests
	@tools/deps --for check,vm
	@$(MAKE) $(QUICKLY) all tests fuzzers
	@BUILD=$(BUILD) LONG=1 tests/run --timeout 3600 unit packet system vm

tests: all $(TEST_PLUGINS) $(BUILD)/tests/checker/alwayson-checker $(UNITS) $(PACKETS) $(TEST_BPF_OBJ) $(TOOLS) $(PRELOADS) $(OTHER_LAYOUT)/alwaysond

bench: ## measure: ns per packet, requests and connections per second; JSON in $(BUILD)/bench
	@tools/deps --for bench
	@$(MAKE) $(QUICKLY) all tests
	@BUILD=$(BUILD) tests/bench/run

chaos: ## 20 minutes of faults by chance under load; SEED=N repeats a run, PEER=haproxy does it to HAProxy and keepalived
	@tools/deps --for check
	@$(MAKE) $(QUICKLY) all tests
	@BUILD=$(BUILD) tests/chaos/run $(if $(SEED),--seed $(SEED)) $(if $(PEER),--peer $(PEER))

mutants: ## break the code on purpose, one way at a time: the suite that guards it must notice
	@tools/deps --for check
	@tests/mutants

SCRIPTS := .ci/run tools/deps tools/lab tools/man tools/completion/alwayson.bash $(wildcard tools/lab.d/*.sh) tests/run tests/mutants tests/bare-machine tests/fuzz/seeds \
           $(addprefix tests/bench/,run report throughput mpps start peers) $(wildcard tests/system/*.sh) \
           $(addprefix tests/vm/,run boot guest) $(wildcard tests/vm/*.sh)

# cppcheck does not know __attribute__((cleanup)), and sees leaks where there are none; ASan looks for the real ones.
lint: ## shellcheck, cppcheck, the mutants' tables, and a build with clang
	@tools/deps --for lint
	shellcheck -x $(SCRIPTS)
	tests/mutants --check
	cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr --library=tests/cppcheck.cfg \
		--suppress=missingIncludeSystem --suppress=memleak --suppress=resourceLeak -Iinclude -Iuser user
	$(MAKE) $(QUICKLY) BUILD=$(BUILD)/clang CC=clang all tests

MAN_PAGES := alwaysond.8 alwayson.8 alwayson.cfg.5 alwayson-plugins.7

install: all ## copy programs, manual and service files below $(PREFIX)
	install -D -m 755 $(BUILD)/alwaysond $(DESTDIR)$(PREFIX)/sbin/alwaysond
	install -D -m 755 $(BUILD)/alwayson $(DESTDIR)$(PREFIX)/bin/alwayson
	install -D -m 755 $(BUILD)/alwayson-checker $(DESTDIR)$(PREFIX)/lib/alwayson/alwayson-checker
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/lib/alwayson/plugins $(PLUGINS)
	install -D -m 644 include/alwayson/check.h $(DESTDIR)$(PREFIX)/include/alwayson/check.h
	install -D -m 644 tools/systemd/alwaysond.service $(DESTDIR)$(PREFIX)/lib/systemd/system/alwaysond.service
	install -D -m 644 tools/systemd/alwayson.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/alwayson.conf
	install -D -m 644 tools/systemd/alwayson.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/alwayson.conf
	install -D -m 644 tools/alwayson.cfg.example $(DESTDIR)$(PREFIX)/share/doc/alwayson/alwayson.cfg.example
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/alwayson/examples tools/systemd/xdp-shared.conf
	install -m 644 README.md docs/*.md docs/*.png $(DESTDIR)$(PREFIX)/share/doc/alwayson/
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/alwayson/prometheus tools/prometheus/*
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/alwayson/grafana tools/grafana/*

	install -D -m 644 tools/completion/alwayson.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/alwayson
	install -D -m 644 tools/completion/_alwayson $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_alwayson
	@if command -v pandoc >/dev/null; then \
		tools/man $(BUILD)/man && for page in $(MAN_PAGES); do \
			install -D -m 644 $(BUILD)/man/$$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$$page; \
		done; \
	else \
		echo "make install: pandoc is not installed: no manual pages; the manual is in share/doc/alwayson"; \
	fi

man: ## make the manual pages in $(BUILD)/man (needs pandoc)
	tools/man $(BUILD)/man

uninstall: ## remove what install copied
	rm -f $(DESTDIR)$(PREFIX)/sbin/alwaysond $(DESTDIR)$(PREFIX)/bin/alwayson \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/alwaysond.service \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/alwayson.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/alwayson.conf
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/alwayson $(DESTDIR)$(PREFIX)/share/alwayson
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/alwayson \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_alwayson \
		$(foreach p,$(MAN_PAGES),$(DESTDIR)$(PREFIX)/share/man/man$(lastword $(subst ., ,$(p)))/$(p))
	rm -rf $(DESTDIR)$(PREFIX)/lib/alwayson $(DESTDIR)$(PREFIX)/include/alwayson

clean: ## remove $(BUILD)
	rm -rf $(BUILD)

help: ## this text
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' Makefile | expand -t 16 | sed 's,$$(BUILD),$(BUILD),g; s,$$(PREFIX),$(PREFIX),g'
	@echo "  Variables: BUILD (build), PREFIX (/usr/local), DESTDIR, CC (gcc or clang), SAN=1 (ASan and UBSan)"

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/skel/%.skel.h: $(BUILD)/bpf/%.bpf.o
	@mkdir -p $(@D)
	$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(BUILD)/%.o: %.c | $(SKELS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

# The status page, as it is.
$(BUILD)/user/web/assets.S.o: user/web/assets.S $(wildcard user/web/page/*)
	@mkdir -p $(@D)
	$(CC) -c $< -o $@

$(LIB): $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

# The version is in one object of the programs alone, and this file changes when it does: see user/base/version.c.
$(BUILD)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@

$(BUILD)/version.o: user/base/version.c $(BUILD)/version
	$(CC) $(ALL_CFLAGS) -DALWAYSON_VERSION='"$(VERSION)"' -c $< -o $@

$(BUILD)/alwaysond: $(BUILD)/user/agent/main.o $(BUILD)/version.o $(LIB)
	$(CC) $(ALL_LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/alwayson: LDLIBS += -lpcap
$(BUILD)/alwayson: $(BUILD)/user/cli/main.o $(BUILD)/version.o $(LIB)
	$(CC) $(ALL_LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/alwayson-checker: $(CHECKER_PARTS:%=$(BUILD)/user/%.o) $(BUILD)/version.o
	$(CC) $(ALL_LDFLAGS) $(CHECKER_LDFLAGS) $^ $(CHECKER_LIBS) -o $@

$(BUILD)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(PLUGIN_CFLAGS) -fPIC -fvisibility=hidden -c $< -o $@

define PLUGIN
$(BUILD)/plugins/$(1).so: $(patsubst %.c,$(BUILD)/pic/%.o,$(wildcard user/plugins/$(1).c user/plugins/$(1)/*.c))
	@mkdir -p $$(@D)
	$(CC) $(ALL_LDFLAGS) -shared $$^ $(PLUGIN_LIBS_$(1)) -o $$@
endef
$(foreach p,$(PLUGIN_NAMES),$(eval $(call PLUGIN,$(p))))

$(BUILD)/tests/checker/plugins/%.so: $(BUILD)/pic/tests/plugins/%.o
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -shared $^ -o $@

$(BUILD)/tests/checker/alwayson-checker: $(BUILD)/alwayson-checker
	@mkdir -p $(@D)
	ln -f $< $@

$(BUILD)/tests/unit/test_cli_%: LDLIBS += -lpcap
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

# What a client of a database needs is no business of the other tools.
$(addprefix $(BUILD)/tests/system/,mysql_load steady_load): TOOL_CFLAGS := -isystem /usr/include/mariadb
$(addprefix $(BUILD)/tests/system/,mysql_load steady_load): TOOL_LIBS := -lmariadb

$(BUILD)/tests/system/quic_talk: TOOL_LIBS := -lngtcp2_crypto_gnutls -lngtcp2 -lgnutls

$(BUILD)/tests/system/%: tests/system/%.c $(LIB) | $(TEST_SKELS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(TOOL_CFLAGS) $(ALL_LDFLAGS) $< $(LIB) $(TOOL_LIBS) -lcmocka $(LDLIBS) -o $@

$(BUILD)/tests/system/preload/%.so: tests/system/preload/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fPIC -shared $< -o $@

# An agent of a later version, whose tables have another layout.
$(OTHER_LAYOUT)/include/alwayson/abi.h: include/alwayson/abi.h
	@mkdir -p $(@D)
	sed 's/^#define ABI_VERSION .*/#define ABI_VERSION 999/' $< >$@

$(OTHER_LAYOUT)/dataplane.o: user/dataplane/dataplane.c $(OTHER_LAYOUT)/include/alwayson/abi.h $(LIB)
	$(CC) -I$(OTHER_LAYOUT)/include $(ALL_CFLAGS) -c $< -o $@

$(OTHER_LAYOUT)/alwaysond: $(BUILD)/user/agent/main.o $(BUILD)/version.o $(OTHER_LAYOUT)/dataplane.o $(LIB)
	$(CC) $(ALL_LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/tests/bench/%: tests/bench/%.c $(LIB) | $(TEST_SKELS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(TOOL_CFLAGS) $(ALL_LDFLAGS) $< $(LIB) $(TOOL_LIBS) $(LDLIBS) -lm -o $@

# Fuzzers: tests/fuzz/fuzz_*.c, each with clang's libFuzzer and the parsers it feeds, all with ASan and UBSan.
FUZZ := $(BUILD)/fuzz
FUZZ_CLANG ?= clang
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZERS := $(FUZZ_SRC:tests/fuzz/%.c=$(FUZZ)/%)
# The rooms of parsers, and what they lean on; nothing that loads programs into the kernel.
FUZZ_PARTS := $(wildcard $(addsuffix /*.c,$(addprefix user/,base config control health metrics model net peers table web))) \
              $(filter-out user/checker/main.c,$(wildcard user/checker/*.c)) \
              user/agent/state_file.c user/agent/log_text.c user/plugins/mysql/facts.c user/cli/capture.c
FUZZ_OBJ := $(FUZZ_PARTS:%.c=$(FUZZ)/%.o)
FUZZ_SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_CFLAGS := -std=gnu11 -O1 -g $(WARN) -D_GNU_SOURCE -Iinclude -Iuser -Itests -isystem \
               /usr/include/mariadb -MMD -MP $(FUZZ_SAN)
FUZZ_LIBS_mysql_facts := -lmariadb
FUZZ_LIBS_capture := -lpcap
FUZZ_LIBS := -levent_core -lmnl -ljansson -lcap-ng -lseccomp -lssl -lcrypto -ldl -lpthread

fuzzers: $(FUZZERS)

fuzz: ## feed every parser of strangers' bytes with noise: SECONDS=n for each (60); TARGET=name for one
	@tools/deps --for check
	@$(MAKE) $(QUICKLY) fuzzers
	@BUILD=$(BUILD) FUZZ_SECONDS=$(or $(SECONDS),60) FUZZ_TARGET=$(TARGET) tests/system/fuzz.sh

$(FUZZ)/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c $< -o $@

$(FUZZ)/libfuzzed.a: $(FUZZ_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(FUZZ)/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ)/libfuzzed.a
	$(FUZZ_CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer $< $(FUZZ)/libfuzzed.a $(FUZZ_LIBS) $(FUZZ_LIBS_$*) -o $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
