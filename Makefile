# qwell: `make run` serves the chat, `make test` runs everything that must hold.
#
# Each recipe line is a command that a person can type. Stamp files beside what they stand for
# make a second run start at once, and a change redo only what depends on it.
#
#   make run ARGS="--port 9000"        flags of `qwell serve`
#   make test ARGS="tests/text -k zh"  arguments of pytest

PYTHON ?= $(shell command -v python3.11 || echo python3)
BIN    := .venv/bin

# what faults are caused with, besides what the tests install
LAB_PACKAGES   := chromium nginx-light iproute2 iptables faketime postgresql

NATIVE_SOURCES := pyproject.toml CMakeLists.txt $(shell find native -type f)
WEB_SOURCES    := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*')

.PHONY: help run setup web check audit test fuzz bench chaos soak image lab docs clean
.DELETE_ON_ERROR:

help:
	@echo 'make run     serve the chat on http://127.0.0.1:8000 (sets everything up first)'
	@echo 'make test    set up what the tests need and run all of them'
	@echo 'make setup   prepare .venv with everything installed, for .venv/bin/qwell'
	@echo 'make check   formatting, types, layers, page, C++ warnings'
	@echo 'make audit   fail when a package has a known vulnerability (check only tells)'
	@echo 'make fuzz    look for pack files that crash the engine, for two minutes (needs clang)'
	@echo 'make bench   measure this machine against llama.cpp on the same weights'
	@echo 'make chaos   kill, stop and disconnect 200 times under load; writes docs/reports/chaos.md'
	@echo 'make soak    64 clients for ten minutes on each engine; writes docs/reports/soak.md'
	@echo 'make lab     cause every fault for real, score the doctor, write docs/lab; under half an hour'
	@echo 'make web     build the page'
	@echo 'make docs    build the documentation site; ARGS="--serve 8080" shows it'
	@echo 'make image   build the container image with docker, podman or buildah'
	@echo 'make clean   remove what was built; .venv and downloaded models stay'

run: .venv/.installed web
	$(BIN)/qwell serve $(ARGS)

setup: .venv/.installed-dev web

web: src/qwell/server/static/index.html

check: .venv/.installed-dev web/node_modules/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	scripts/with_node.sh npm --prefix web run check
	$(BIN)/python scripts/audit.py
	$(BIN)/cmake -S . -B build/strict -DQWELL_STRICT=ON -DQWELL_SANITIZE=address,undefined \
	    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1
	$(BIN)/cmake --build build/strict --parallel
	$(BIN)/ctest --test-dir build/strict --output-on-failure
	$(BIN)/cmake -S . -B build/tsan -DQWELL_SANITIZE=thread \
	    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1
	$(BIN)/cmake --build build/tsan --parallel --target model_test
	$(BIN)/ctest --test-dir build/tsan --output-on-failure --tests-regex model

audit: .venv/.installed-dev web/node_modules/.installed
	$(BIN)/python scripts/audit.py --strict

test: setup check
	scripts/debian_packages.sh chromium fonts-noto-cjk fonts-dejavu-core zsh fish g++-aarch64-linux-gnu qemu-user \
	    buildah podman runc debootstrap nginx-light systemd $(LAB_PACKAGES)
	scripts/with_node.sh npm --prefix web test
	$(BIN)/pytest $(ARGS)

fuzz: .venv/.installed-dev
	scripts/debian_packages.sh clang libclang-rt-14-dev
	$(BIN)/cmake -S . -B build/fuzz -DQWELL_FUZZER=ON -DCMAKE_CXX_COMPILER=clang++ \
	    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1
	$(BIN)/cmake --build build/fuzz --parallel --target fuzz_pack
	mkdir -p build/fuzz/found
	build/fuzz/fuzz_pack -max_total_time=120 -max_len=160 build/fuzz/found

bench: .venv/.installed-dev
	$(BIN)/qwell bench --peers $(ARGS)

chaos: .venv/.installed-dev
	$(BIN)/python -m qwell.bench.chaos --events 200 --seed 1 --report docs/reports/chaos.md

soak: .venv/.installed-dev
	$(BIN)/python -m qwell.bench.load --engine native --engine scripted --seconds $(SECONDS) \
	    --report docs/reports/soak.md

image:
	scripts/build_image.sh $(ARGS)

lab: setup
	scripts/debian_packages.sh $(LAB_PACKAGES)
	$(BIN)/python -m qwell lab run --report docs/lab $(ARGS)

docs: .venv/.installed-dev
	$(BIN)/python scripts/build_site.py $(ARGS)

clean:
	@# of a test run that was killed: what is mounted cannot be removed
	! mountpoint -q build/deploy/storage/overlay || umount --recursive build/deploy/storage/overlay
	rm -rf build dist src/qwell/server/static web/node_modules

SECONDS ?= 600

# --- what the targets above stand on ---------------------------------------------------------

# pip is renewed: the one that came with Python may be too old for dependency groups
.venv/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

# without build isolation, so that CMake finds the same tools again and rebuilds only what changed
.venv/.installed: $(NATIVE_SOURCES) | .venv/bin/pip
	$(BIN)/pip install --quiet --group build
	$(BIN)/pip install --quiet --no-build-isolation --editable .
	$(BIN)/python -m compileall -q src  # where Python may not write byte code, each start would compile
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/pip install --quiet --no-build-isolation --editable '.[dev]'
	@touch $@

web/node_modules/.installed: web/package.json web/package-lock.json | .venv/bin/pip
	scripts/with_node.sh npm --prefix web ci --no-audit --no-fund
	@touch $@

src/qwell/server/static/index.html: $(WEB_SOURCES) web/node_modules/.installed
	scripts/with_node.sh npm --prefix web run build
	@touch $@
