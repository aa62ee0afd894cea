# `make demo` and `make test` set everything up by themselves. Needed: make, and Python 3.11 or newer.
# Another Python than the one that is found: make test PYTHON=/path/to/python3.12

PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
READY := .venv/ready
ENCODERS := .venv-encoders
BENCH := augmentation data_wait large_images memory networks precision resampling start_up threads
BENCH_DATA := prepare real_images hippocampus
PIP_FLAGS := --quiet --quiet --disable-pip-version-check
CACHES := .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist

# Threads that wait sleep, see docs/decisions/0009-threads-that-sleep.md.
export OMP_WAIT_POLICY ?= passive

.PHONY: help install demo test check bench claims test-encoders clean

help:
	@echo "make install         .venv with everything that is needed, for the verbs of ushape"
	@echo "make demo            synthetic nuclei -> model -> report, about two minutes after the first installation"
	@echo "make test            all tests but those of timm's encoders"
	@echo "make check           lint, format, types, room borders, and the fast tests"
	@echo "make bench DATA=DIR  the scripts in benchmarks/ that need neither model nor peers; DIR holds the real images, see its README.md"
	@echo "make claims DATA=DIR  docs/claims.md, after training what it is about, 15 minutes; goes on where it was stopped"
	@echo "make test-encoders   the tests of timm's encoders, in an environment of their own"
	@echo "make clean           remove both environments and all caches; runs/ stays"

install: $(READY)
	@echo "installed; go on with: . $(BIN)/activate, then ushape --help"

demo: $(READY)
	$(BIN)/ushape demo

test: $(READY)
	$(BIN)/python -m pytest -m "not encoders"

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow and not encoders"

bench: $(READY)
	@for name in $(BENCH); do echo "== $$name" && $(BIN)/python benchmarks/$$name.py || exit 1; done
	@for name in $(if $(DATA),$(BENCH_DATA)); do echo "== $$name" && $(BIN)/python benchmarks/$$name.py --data "$(DATA)" || exit 1; done
	@$(if $(DATA),,echo "$(BENCH_DATA): make bench DATA=DIR")

claims: $(READY)
	$(BIN)/python benchmarks/claims.py --measure $(if $(DATA),--data "$(DATA)")

test-encoders: $(ENCODERS)/ready
	$(ENCODERS)/bin/python -m pytest -m encoders tests/nets/test_nets_timm.py

clean:
	rm -rf .venv $(ENCODERS) $(CACHES)
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first, so that no other package chooses its build; everything else fits around it.
$(READY): pyproject.toml constraints.txt
	$(call make_environment,.venv)
	@echo "installing the other packages; this too takes some minutes the first time"
	@$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt -e '.[dev,medical]'
	@touch $@

# torchvision's wheel is built for CUDA and breaks every package that imports it beside a CPU torch: never in .venv.
$(ENCODERS)/ready: pyproject.toml constraints.txt
	$(call make_environment,$(ENCODERS))
	@echo "installing the other packages; this too takes some minutes the first time"
	@$(ENCODERS)/bin/python -m pip install $(PIP_FLAGS) -c constraints.txt --no-deps torchvision
	@$(ENCODERS)/bin/python -m pip install $(PIP_FLAGS) -c constraints.txt -e '.[dev,encoders]'
	@touch $@

define make_environment
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12"; exit 1; }
	@test -x $(1)/bin/pip || { echo "making $(1) with $(PYTHON)" && "$(PYTHON)" -m venv --clear $(1); }
	@echo "installing torch into $(1); the first time this takes some minutes"
	@$(1)/bin/python -m pip install $(PIP_FLAGS) -c constraints.txt torch
endef
