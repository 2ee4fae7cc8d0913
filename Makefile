# SPDX-License-Identifier: GPL-2.0-or-later
#
# Failback. `make help` lists the targets. Sources are found, not listed:
#
#   user/{base,lib,xfer,daemon,cli}/*.c   one static library, with the pure files of kmod/
#   user/prog/NAME.c                  program build/bin/NAME
#   kmod/Kbuild                       module build/kmod-KERNEL[-faults]/dm-cbt.ko
#   tests/unit/NAME.c                 build/tests/unit/NAME, with ASan and UBSan
#   tests/fuzz/NAME.c                 build/tests/fuzz/NAME, replays files; build/fuzz/NAME, libFuzzer
#   tests/vm/NAME.c                   build/tests/vm/NAME, run in virtual machines
#   tests/powercut/                   disks that remember, and what a power cut leaves of them

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s%s\n' '$(1)' '$(2)')

goals := $(or $(MAKECMDGOALS),all)

.PHONY: all
all: programs manuals modules ## Build the programs, and the module for every kernel (the default)

# Whatever is built needs the packages and kernels first: this is what makes a
# fresh machine work, and it takes a few milliseconds when all is there. Whoever
# builds packages of it has seen to that, and says SETUP= .
SETUP := scripts/setup
ifneq ($(filter-out help clean uninstall,$(goals)),)
ignored := $(shell $(SETUP) >&2)
ifneq ($(.SHELLSTATUS),0)
$(error $(SETUP) failed, see above)
endif
kernel_lines := $(shell scripts/kernels --all | tr ' ' '|')
cache := $(shell scripts/kernels --cache)
endif

# --- user programs ---

# the one place that says it
VERSION := $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)

# Where `make install` puts things. The daemon is told at build time where its workers are.
prefix := /usr/local
bindir := $(prefix)/bin
sbindir := $(prefix)/sbin
libexecdir := $(prefix)/libexec/failback
unitdir := $(prefix)/lib/systemd/system
# The bus looks into these two only.
policydir := $(if $(filter /usr,$(prefix)),/usr/share,/etc)/dbus-1/system.d
mandir := $(prefix)/share/man
# udev and firewalld look there and in /etc, not into /usr/local, everywhere.
udevdir := $(if $(filter /usr,$(prefix)),/usr/lib,/etc)/udev/rules.d
firewalldir := $(if $(filter /usr,$(prefix)),/usr/lib,/etc)/firewalld/services
ufwdir := /etc/ufw/applications.d
completiondir := $(prefix)/share/bash-completion/completions
# DKMS looks here only.
sourcedir := /usr/src/failback-$(VERSION)

CC := gcc
AR := gcc-ar
OPT := -O2 -g
WERROR := -Werror
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings $(WERROR)
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
# -iquote kmod: the module's pure files are part of the library too
CPPFLAGS := -D_GNU_SOURCE -Iuser -Iuapi -iquote kmod -DFAILBACK_VERSION=\"$(VERSION)\" \
	-DFAILBACK_LIBEXECDIR=\"$(libexecdir)\"
# where dm-cbt.h and the harness for tests are found
TEST_CPPFLAGS = -Itests -isystem $(cache)/linux-source-6.1/tools/testing/selftests

packages := liburing libnl-3.0 libnl-genl-3.0 blkid mount devmapper libsystemd \
	gnutls sqlite3 expat json-c inih libzstd libxxhash libseccomp
# opened at run time, where they are there
opened_packages := libvirt
pkg_cflags = $(eval pkg_cflags := $$(shell pkg-config --cflags $(packages) $(opened_packages)))$(pkg_cflags)
pkg_libs = $(eval pkg_libs := $$(shell pkg-config --libs $(packages)))$(pkg_libs)

base_flags = -std=gnu11 $(OPT) $(WARN) $(CPPFLAGS) $(pkg_cflags) -pthread $(CFLAGS)
link_flags = -Wl,--as-needed -Wl,-z,relro,-z,now -pthread $(LDFLAGS)

lib_src := $(wildcard $(foreach d,base lib xfer daemon cli,user/$(d)/*.c))
prog_src := $(wildcard user/prog/*.c)
pure_src := kmod/hot.c kmod/layout.c kmod/map.c
unit_src := $(wildcard tests/unit/*.c)
vm_src := $(wildcard tests/vm/*.c)
# programs: powercut itself and the checks; the rest is what they share
powercut_prog_src := $(wildcard tests/powercut/powercut.c tests/powercut/check_*.c)
powercut_src := $(filter-out $(powercut_prog_src) tests/powercut/server.c,$(wildcard tests/powercut/*.c))

programs := $(prog_src:user/prog/%.c=build/bin/%)
fuzz_src := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
fuzz_tests := $(fuzz_src:%.c=build/%)
unit_tests := $(unit_src:%.c=build/%)
vm_tests := $(vm_src:%.c=build/%)
powercut_programs := $(powercut_prog_src:%.c=build/%) build/tests/powercut/server.so
san_programs := $(prog_src:user/prog/%.c=build/san/bin/%)

.PHONY: programs
programs: $(programs) ## Build the user programs only

# Rebuild what was built with other flags.
build/flags: FORCE
	@mkdir -p $(@D)
	@new='$(CC) $(base_flags) $(HARDEN) $(SANITIZE)'; \
	[ "$$new" = "$$(cat $@ 2>/dev/null)" ] || echo "$$new" >$@
.PHONY: FORCE
FORCE:

build/obj/%.o: %.c build/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(base_flags) $(HARDEN) -MMD -MP -c -o $@ $<

build/san/%.o: %.c build/flags
	$(call say,CC san,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(base_flags) $(TEST_CPPFLAGS) $(SANITIZE) -MMD -MP -c -o $@ $<

build/obj/tests/%.o: base_flags += $(TEST_CPPFLAGS)

# The harness defines functions without prototypes; the kernel's own build has
# other warnings for the pure files.
test_warn := -Wno-missing-prototypes -Wno-unused-parameter
build/obj/tests/%.o build/san/tests/%.o: WARN += $(test_warn)
build/obj/kmod/%.o build/san/kmod/%.o: WARN += -Wno-unused-parameter -Wno-sign-compare

# An archive is made anew: ar would keep members whose source is gone.
archive = $(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

# Depends on the set of sources, not only on their contents.
build/sources: FORCE
	@mkdir -p $(@D)
	@new='$(lib_src) $(pure_src) $(powercut_src)'; [ "$$new" = "$$(cat $@ 2>/dev/null)" ] || echo "$$new" >$@

build/obj/libfailback.a: $(lib_src:%.c=build/obj/%.o) $(pure_src:%.c=build/obj/%.o) build/sources
	$(call say,AR,$@)
	$(archive)

build/san/libfailback.a: $(lib_src:%.c=build/san/%.o) $(pure_src:%.c=build/san/%.o) \
		$(powercut_src:%.c=build/san/%.o) build/sources
	$(call say,AR,$@)
	$(archive)

build/bin/%: build/obj/user/prog/%.o build/obj/libfailback.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(link_flags) -o $@ $^ $(pkg_libs)

# Lists of commands, options and settings in the manual are what the programs print.
manuals := $(patsubst user/man/%.in,build/man/%,$(wildcard user/man/*.in))
# pages that describe two things have a second name
manual_links := dm-cbt-image.4:dm-cbt.4 failback-receive.8:failback-send.8 failback-metrics@.service.8:failback-metrics.socket.8 failbackd.service.8:failbackd.8
.PHONY: manuals
manuals: $(manuals)
build/man/%: user/man/%.in scripts/packaging/make-man debian/changelog build/bin/failback build/bin/failbackd build/bin/cbtctl
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)scripts/packaging/make-man $< build/bin >$@

# The programs with sanitizers, for tests that attack them.
build/san/bin/%: build/san/user/prog/%.o build/san/libfailback.a
	$(call say,LD san,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(link_flags) $(SANITIZE) -o $@ $^ $(pkg_libs)

build/tests/unit/%: build/san/tests/unit/%.o build/san/libfailback.a
	$(call say,LD san,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(link_flags) $(SANITIZE) -o $@ $^ $(pkg_libs)

# A fuzz target that replays files, for make check; and the same under libFuzzer.
build/tests/fuzz/%: build/san/tests/fuzz/%.o build/san/tests/fuzz/replay.o build/san/libfailback.a
	$(call say,LD san,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(link_flags) $(SANITIZE) -o $@ $^ $(pkg_libs)

fuzzed_src := $(addprefix user/lib/,wire.c session.c journal.c extent.c pack.c store_label.c crc32c.c \
	settings.c cimxml.c json.c base64.c definition.c domain_xml.c) $(addprefix user/daemon/,calls.c) \
	$(addprefix user/base/,failure.c text.c uuid.c size.c)
build/fuzz/%: tests/fuzz/%.c tests/fuzz/fuzz.h $(fuzzed_src)
	$(call say,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)clang -std=gnu11 -g -O1 $(CPPFLAGS) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -o $@ $(filter %.c,$^) -lxxhash -lzstd -lexpat -ljson-c -lgnutls

.PHONY: fuzz
fuzz: $(fuzz_src:tests/%.c=build/%) ## Build the fuzz targets with libFuzzer (build/fuzz/NAME)

# The module's store itself, on a simulated kernel and device; the library has functions of the same
# names, which must not be taken.
build/san/sim/%.o: kmod/%.c build/flags
	$(call say,CC sim,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(base_flags) $(TEST_CPPFLAGS) $(SANITIZE) -MMD -MP -c -o $@ $<
build/san/sim/%.o build/san/tests/sim/sim.o build/san/tests/unit/store_crash.o build/san/tests/unit/gather.o: base_flags += -Itests/sim -DCONFIG_DM_CBT_FAULTS
build/san/sim/%.o: WARN += -Wno-missing-prototypes -Wno-unused-parameter -Wno-sign-compare

build/tests/unit/store_crash: build/san/tests/unit/store_crash.o build/san/tests/sim/sim.o \
		$(addprefix build/san/sim/,store.o lost.o log.o checkpoint.o stats.o) build/san/libfailback.a
	$(call say,LD san,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(link_flags) $(SANITIZE) -o $@ $^ $(pkg_libs)

build/tests/unit/gather: build/san/tests/unit/gather.o build/san/sim/gather.o
	$(call say,LD san,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(link_flags) $(SANITIZE) -o $@ $^ $(pkg_libs)

build/tests/vm/%: build/obj/tests/vm/%.o build/obj/libfailback.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(link_flags) -o $@ $^ $(pkg_libs)

# Many cuts in little time: no sanitizers here; the unit tests have them. The server is loaded
# into nbdkit, whence -fPIC.
build/obj/tests/powercut/%.o: base_flags += -fPIC
build/obj/tests/libpowercut.a: $(powercut_src:%.c=build/obj/%.o) build/sources
	$(call say,AR,$@)
	$(archive)

build/tests/powercut/server.so: build/obj/tests/powercut/server.o build/obj/tests/libpowercut.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(link_flags) -o $@ $^

build/tests/powercut/%: build/obj/tests/powercut/%.o build/obj/tests/libpowercut.a build/obj/libfailback.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(link_flags) -o $@ $^ $(pkg_libs)

.SECONDARY:
-include $(shell find build -name '*.d' -not -path 'build/kmod-*' -not -path 'build/sparse-*' 2>/dev/null)

# --- kernel module ---

kmod_src := $(shell find kmod -type f 2>/dev/null)
kmod_dep := $(kmod_src) $(wildcard uapi/*.h uapi/linux/*.h)

# $(call kernel,SHORT,FIELD): a field of the line of scripts/kernels
kernels := $(foreach l,$(kernel_lines),$(word 1,$(subst |, ,$(l))))
kernel = $(foreach l,$(kernel_lines),$(if $(filter $(1),$(word 1,$(subst |, ,$(l)))),$(word $(2),$(subst |, ,$(l)))))
# those that a module can be built for; the debug kernel, which need not be there, apart
build_kernels := $(foreach k,$(kernels),$(if $(filter-out -,$(call kernel,$(k),5)),$(k)))
debug_kernels := $(filter %-debug,$(build_kernels))
build_kernels := $(filter-out %-debug,$(build_kernels))

# Lines of a build that are no fault of the module's.
kmod_noise := Skipping BTF generation|compiler differs from the one|The kernel was built by|You are using:

# $(call kmod_build,DIR,SHORT,ARGUMENTS): kbuild writes where the sources are, so
# they are linked into DIR. A warning of any of its tools is an error; messages
# are shown with the names that the sources have here.
define kmod_build
	$(Q)mkdir -p $(1)
	$(Q)find $(1) -xtype l -delete
	$(Q)(cd kmod && find . -type d) | (cd $(1) && xargs mkdir -p)
	$(Q)for f in $(kmod_src:kmod/%=%); do ln -sfn "$(CURDIR)/kmod/$$f" "$(1)/$$f"; done
	+$(Q)rc=0; $(MAKE) --no-print-directory -C $(call kernel,$(2),5) M=$(CURDIR)/$(1) \
		CBT_TOP=$(CURDIR) CBT_VERSION=$(VERSION) CONFIG_DM_CBT=m $(3) $(if $(filter 1,$(V)),V=1) modules \
		>$(1)/build.log 2>&1 || rc=$$?; \
	sed -i 's#$(CURDIR)/$(1)/#kmod/#g' $(1)/build.log; \
	$(if $(filter 1,$(V)),cat $(1)/build.log;) \
	if [ $$rc != 0 ] || grep -vE '$(kmod_noise)' $(1)/build.log | grep -qiE '\b(warning|error):'; then \
		grep -vE '$(kmod_noise)' $(1)/build.log >&2; rm -f $(1)/dm-cbt.ko; exit 1; \
	fi
endef

# $(call kmod_rules,SHORT)
define kmod_rules
build/kmod-$(1)/dm-cbt.ko: $(kmod_dep) $(dir $(call kernel,$(1),3))release
	$$(call say,KMOD,$$@)
	$$(call kmod_build,$$(@D),$(1),W=1 KCFLAGS=-Werror)
	$(Q)touch $$@

build/kmod-$(1)-faults/dm-cbt.ko: $(kmod_dep) $(dir $(call kernel,$(1),3))release
	$$(call say,KMOD,$$@)
	$$(call kmod_build,$$(@D),$(1),W=1 KCFLAGS=-Werror CONFIG_DM_CBT_FAULTS=y)
	$(Q)touch $$@

.PHONY: sparse-$(1)
sparse-$(1):
	$$(call say,SPARSE,kmod on $(1))
	$$(call kmod_build,build/sparse-$(1),$(1),C=2 CONFIG_DM_CBT_FAULTS=y)
endef
$(foreach k,$(build_kernels) $(debug_kernels),$(eval $(call kmod_rules,$(k))))

modules_plain := $(if $(wildcard kmod/Kbuild),$(build_kernels:%=build/kmod-%/dm-cbt.ko))
modules_faults := $(if $(wildcard kmod/Kbuild),$(build_kernels:%=build/kmod-%-faults/dm-cbt.ko))

.PHONY: modules modules-faults
modules: $(modules_plain) ## Build the module for every kernel
modules-faults: $(modules_faults) ## ... and the flavour that injects faults, for tests

# --- checks ---

.PHONY: tests check check-long check-debug-kernel sparse checkpatch
tests: all modules-faults $(unit_tests) $(fuzz_tests) $(vm_tests) $(powercut_programs) $(san_programs) ## Build everything that tests need

check: tests ## Run the tests, slow ones on one kernel; ONLY=regex runs a part on all, e.g. ONLY=unit/ or ONLY=@6.12
	@scripts/run-tests $(if $(ONLY),--only '$(ONLY)',--quick)

check-long: tests ## The same with all rounds of the seeded tests; takes hours
	@scripts/run-tests --long $(if $(ONLY),--only '$(ONLY)')

# The kernel may have to be built first, and make learns only afterwards what it is.
check-debug-kernel: tests ## Run the tests of the module on a KASAN, lockdep and kmemleak kernel
	@scripts/debug-kernel
	@$(MAKE) --no-print-directory modules-debug
	@scripts/run-tests --debug-kernel $(if $(ONLY),--only '$(ONLY)')

.PHONY: modules-debug
modules-debug: $(foreach k,$(debug_kernels),build/kmod-$(k)/dm-cbt.ko build/kmod-$(k)-faults/dm-cbt.ko)

sparse: $(if $(wildcard kmod/Kbuild),$(build_kernels:%=sparse-%)) ## Check the module with sparse, on every kernel

checkpatch: ## Show what checkpatch.pl says about the module (informative)
	-$(Q)perl $(cache)/linux-source-6.1/scripts/checkpatch.pl --no-tree --terse --quiet \
		--max-line-length=100 --ignore FILE_PATH_CHANGES,SPDX_LICENSE_TAG -f \
		$(filter %.c %.h,$(kmod_src)) $(wildcard uapi/linux/*.h)

.PHONY: demo
demo: all modules-faults ## Reverse a replication in a virtual machine, end to end
	@scripts/demo $(DEMO_ARGS)

.PHONY: bench
bench: tests ## Measure, beside the peers, and show build/bench.json; ONLY="stream" runs a part
	@scripts/bench $(ONLY)

# --- install ---

workers := failback-send failback-receive failback-libvirt
daemons := failbackd cbtctl
module_src := Kconfig $(shell find kmod uapi -type f)

# $(call put,DIRECTORY,FILES[,MODE])
put = $(if $(2),install -D -m $(or $(3),644) -t '$(DESTDIR)$(1)' $(2))
# $(call put_programs,DIRECTORY,NAMES)
put_programs = $(call put,$(1),$(2:%=build/bin/%),755)

.PHONY: install
install: programs manuals ## Install all but the module's binary (its source is for DKMS); DESTDIR and prefix are honoured
	$(Q)$(call put_programs,$(libexecdir),$(filter $(workers),$(notdir $(programs))))
	$(Q)$(call put_programs,$(sbindir),$(filter $(daemons),$(notdir $(programs))))
	$(Q)$(call put_programs,$(bindir),$(filter-out $(workers) $(daemons),$(notdir $(programs))))
	$(Q)$(call put,$(libexecdir),$(wildcard user/libexec/*),755)
	$(Q)$(call put,$(policydir),user/systemd/org.failback1.conf)
	$(Q)$(call put,$(udevdir),user/udev/56-failback.rules)
	$(Q)$(call put,$(firewalldir),user/firewall/failback.xml)
	$(Q)install -D -m 644 user/firewall/failback.ufw '$(DESTDIR)$(ufwdir)/failback'
	$(Q)$(call put,$(completiondir),user/completion/failback)
	$(Q)ln -sf failback '$(DESTDIR)$(completiondir)/cbtctl'
	$(Q)for page in $(notdir $(manuals)); do install -D -m 644 -t "$(DESTDIR)$(mandir)/man$${page##*.}" "build/man/$$page"; done
	$(Q)for link in $(manual_links); do ln -sf "$${link#*:}" "$(DESTDIR)$(mandir)/man$${link##*.}/$${link%:*}"; done
	$(Q)install -d '$(DESTDIR)$(unitdir)'
	$(Q)$(call put,$(unitdir),$(wildcard user/systemd/*.socket))
	$(Q)for unit in $(patsubst user/systemd/%.in,%,$(wildcard user/systemd/*.service.in)); do \
		sed 's#@bindir@#$(bindir)#; s#@sbindir@#$(sbindir)#; s#@libexecdir@#$(libexecdir)#' "user/systemd/$$unit.in" >"$(DESTDIR)$(unitdir)/$$unit"; \
	done
	$(Q)for file in $(module_src); do install -D -m 644 "$$file" "$(DESTDIR)$(sourcedir)/$$file"; done
	$(Q)sed 's/#MODULE_VERSION#/$(VERSION)/' scripts/packaging/dkms.conf >'$(DESTDIR)$(sourcedir)/dkms.conf'

# What `make install` makes is what goes; settings, keys, state and stores are of others' making.
.PHONY: uninstall
uninstall: ## Remove what `make install` put there
	$(Q)if [ -z '$(DESTDIR)' ] && [ -e /var/lib/dkms/failback/$(VERSION) ]; then \
		echo 'DKMS has this source, and each new kernel would fail without it: dkms remove failback/$(VERSION) --all' >&2; exit 1; fi
	$(Q)rm -rf build/installed
	$(Q)$(MAKE) --no-print-directory install SETUP= DESTDIR=build/installed
	$(Q)cd build/installed && find . ! -type d -printf '%P\0' | (cd '$(DESTDIR)/' && xargs -0 rm -f)
	$(Q)cd build/installed && find . -mindepth 1 -depth -type d -name '*failback*' -printf '%P\0' | \
		(cd '$(DESTDIR)/' && xargs -0 -r -n 1 sh -c 'find "$$0" -depth -type d -empty -delete 2>/dev/null || true')
	$(Q)rm -rf build/installed

.PHONY: deb
deb: ## Build the Debian packages, in build/deb
	@scripts/packaging/build-deb

.PHONY: clean help
clean: ## Remove build/
	$(Q)rm -rf build

help: ## Show this
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | \
		while IFS=$$'\t' read -r target text; do printf '  %-20s%s\n' "$$target" "$$text"; done
	@echo
	@echo '  V=1 shows the commands, WERROR= lets warnings pass'
