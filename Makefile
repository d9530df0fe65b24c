# The habits; meson does the work. `make help` lists them.
PREFIX ?= /usr/local
BUILD ?= build
FUZZ_SECONDS ?= 10
NINJA = ninja -C $(BUILD) $(if $(JOBS),-j $(JOBS))

.PHONY: all run test quick check style lint layers platform fuzz bench install clean help

all: $(BUILD)/build.ninja
	@$(NINJA)

# Says what is missing in the words of this system before meson says it in its own.
$(BUILD)/build.ninja:
	@missing=$$(tools/install-deps --list build) && [ -z "$$missing" ] || \
	    { echo "The build needs: $$missing"; echo "Install them with: tools/install-deps"; exit 1; }
	@meson setup $(BUILD)

run:            ## build, get engine and model, serve, and ask a first question
	@tools/run $(ARGS)

test:           ## unit, scenario and real-engine tests, and a sanitizer build of them
	@tools/install-deps build ocr test photos
	@tools/test --build $(BUILD) --retry 2

quick:          ## the tests that need no real engine and no second build
	@tools/test --build $(BUILD) --retry 1 --quick

check: style lint platform test fuzz ## what a change must pass: style, lint, layers, macOS, tests, a short fuzz

style:          ## clang-format and stray blanks
	@tools/check-style

lint: all       ## clang-tidy
	@BUILD=$(BUILD) tools/lint

platform:       ## what is Linux's in -linux.c; all the rest compiles for macOS
	@tools/check-platform --compile

layers:         ## includes follow the arrows
	@tools/check-layers

fuzz:           ## every fuzz target for FUZZ_SECONDS
	@fuzz/run $(FUZZ_SECONDS)

bench: all      ## the gateway against its rivals; what local-claude adds to a start
	@bench/gateway
	@bench/local-claude

# PREFIX may hold blanks, on which make's own functions for paths would split it.
install: all    ## PREFIX=/usr/local; then `ancalagon setup` writes the systemd user units
	@prefix=$$(python3 -c 'import os, sys; print(os.path.abspath(sys.argv[1]))' '$(subst ','\'',$(PREFIX))') && \
	    current=$$(meson introspect $(BUILD) --buildoptions | \
	    python3 -c 'import json, sys; print([o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"][0])') && \
	    { [ "$$current" = "$$prefix" ] || meson configure $(BUILD) --prefix "$$prefix"; }
	@meson install -C $(BUILD)

clean:          ## removes the build folders; engine and models stay in the cache
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-fuzz

help:
	@echo "make                build $(BUILD)/ancalagon, $(BUILD)/lmswitch and $(BUILD)/local-claude"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{printf "%-20s%s\n", $$1, $$2}'
	@echo; echo "JOBS=N uses N cores. make run ARGS='--listen 127.0.0.1:8080' passes arguments to the server."
