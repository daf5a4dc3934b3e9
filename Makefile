# Everything a newcomer types; `make help` lists it. The work is done by dotnet and by small scripts; nothing but `deps` and
# `install` needs root. What is built lands below out/, and the usual bin/ and obj/ of the test projects.

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
SYSCONFDIR ?= /etc
UNITDIR    ?= /lib/systemd/system
SOAK_MINUTES      ?= 10
MGMT_FUZZ_SECONDS ?= 60

DOTNET := dotnet
# One process and no servers left behind: a build on a small machine must not hold memory afterwards.
export MSBUILDDISABLENODEREUSE := 1
export DOTNET_CLI_TELEMETRY_OPTOUT := 1
export DOTNET_NOLOGO := 1
export DOTNET_CLI_UI_LANGUAGE := en

# Composite: program and framework compiled as one, which takes a third off the start. What mgmtd does not use stays out (mgmtd.csproj).
# Not trimmed: the trimmer warns about Serilog, and a warning is not to be hidden.
# The publishing has intermediate files of its own (--artifacts-path), so it and the test builds do not undo each other's restore.
PUBLISH := $(DOTNET) publish -c Release -r linux-x64 --self-contained --artifacts-path out/publish -v q \
	-p:UseSharedCompilation=false -p:DebugType=none -p:PublishReadyToRun=true -p:PublishSingleFile=true \
	-p:PublishReadyToRunComposite=true

PROGRAMS := out/bin/mgmtd out/bin/mgmtctl out/bin/mgmtd-rpc

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help deps build run test bench guest guest-deb generate install uninstall fuzz soak clean FORCE

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1\t/p' Makefile | expand -t 12

deps: ## install what is missing of the Debian packages (root, or sudo without a password)
	@src/mgmtd/packaging/install-packages

build: $(PROGRAMS) ## mgmtd and mgmtctl into out/bin: one file each, with their runtime; and mgmtd-rpc

SOURCES := $(shell find src -type d \( -name bin -o -name obj \) -prune -o -type f \( -name '*.cs' -o -name '*.csproj' -o -name '*.props' \) -print) \
	$(wildcard Directory.*.props global.json .editorconfig)

# The list of sources, rewritten when it changes, so that a removed source is noticed too.
out/sources: FORCE
	@mkdir -p out
	@printf '%s\n' $(sort $(SOURCES)) >$@.new
	@if cmp -s $@ $@.new; then rm $@.new; else mv $@.new $@; fi

# Copied to its place by a rename: a running daemon keeps the file it was started from.
out/bin/%: out/sources $(SOURCES)
	@echo "publishing $*"
	@rm -rf out/publish/obj/$*/*/R2R # images of another mode would be taken for new ones, and abort
	@$(PUBLISH) src/$* -o out/publish/$*
	@mkdir -p out/bin
	@install -m 755 out/publish/$*/$* $@.new && mv $@.new $@

# In C: a host with qrexec starts it for each import, and the runtime of the others takes a tenth of a second.
out/bin/mgmtd-rpc: src/mgmtd-rpc/mgmtd-rpc.c
	@mkdir -p out/bin
	@$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -Wconversion -Wno-sign-conversion -fstack-protector-strong -O2 -s -o $@.new $< && mv $@.new $@

run: build guest ## a VM of the demo guest under a throw-away mgmtd, through mgmtctl only; Ctrl-C ends it all
	@tests/demo/run-demo

test: build guest ## build the solution and run every test; ends with "N passed, N failed, N skipped"
	@tests/run-tests

bench: build guest ## the benchmarks
	@tests/bench/run-bench

guest: ## the small guest that tests and the demo boot, into out/guest
	@tests/guest/build-guest out/guest

guest-deb: ## the programs of a guest as Debian packages, into out/guest-deb
	@$(MAKE) -s -C src/guest OUT='$(CURDIR)/out/guest-programs'
	@src/guest/make-deb out/guest-programs out/guest-deb "$$(sed -n 's|.*<Version>\(.*\)</Version>.*|\1|p' Directory.Build.props)"

generate: build ## policy/, rpc-services/, docs/calls.md and docs/errors.md, from the call table
	@out/bin/mgmtd generate .

install: build ## programs, units, policy, configuration: DESTDIR, PREFIX and docs/install.md say where
	@DESTDIR='$(DESTDIR)' BINDIR='$(BINDIR)' SBINDIR='$(SBINDIR)' SYSCONFDIR='$(SYSCONFDIR)' UNITDIR='$(UNITDIR)' PREFIX='$(PREFIX)' \
		src/mgmtd/packaging/install-files install

uninstall: ## what install put there; keeps configuration, role files and state
	@DESTDIR='$(DESTDIR)' BINDIR='$(BINDIR)' SBINDIR='$(SBINDIR)' SYSCONFDIR='$(SYSCONFDIR)' UNITDIR='$(UNITDIR)' PREFIX='$(PREFIX)' \
		src/mgmtd/packaging/install-files uninstall

fuzz: build ## the random-input tests, again and again with new seeds, for MGMT_FUZZ_SECONDS (60); out/fuzz has what failed
	@MGMT_FUZZ_SECONDS='$(MGMT_FUZZ_SECONDS)' tests/run-tests --for '$(MGMT_FUZZ_SECONDS)' --random

soak: build guest ## the tests of the whole daemon, again and again, for SOAK_MINUTES (10)
	@tests/run-tests --for $$(( $(SOAK_MINUTES) * 60 )) --only mgmtd.Tests

clean: ## remove what was built
	@rm -rf out
	@find src tests -type d \( -name bin -o -name obj -o -name TestResults \) -prune -exec rm -rf {} +
