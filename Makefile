# The two commands: `make demo` shows the whole job on this machine, `make test` proves it. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# Long files come first, so that no worker is left with one at the end.
PYTEST ?= -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Debian and its kin ship Python without what makes virtual environments.
GET_VENV = { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get -qq update && \
	DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends python3-venv >/dev/null; } || \
	{ echo "python3-venv is missing: install it (apt-get install python3-venv), then run make again" >&2; exit 1; }

.PHONY: help demo test lint bench engines clean
.DEFAULT_GOAL := help

help: ## list these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/ready engines ## build, publish and document a small operating system in .demo/
	@$(BIN)/python -m tests.e2e.demo

test: $(VENV)/ready engines lint ## everything: lint, types, layers, tests (generated files among them)
	$(BIN)/pytest $(PYTEST) tests

lint: $(VENV)/ready ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/ready engines ## figures of DESIGN, as ratios
	$(BIN)/python -m tests.benchmarks.run $(BENCH)

engines: $(VENV)/ready
	@$(BIN)/python -m tests.engine_setup install

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cosgen needs Python 3.11 or newer: make PYTHON=python3.12")'
	@$(PYTHON) -m ensurepip --version >/dev/null 2>&1 || test -x $(BIN)/pip || $(GET_VENV)
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev,engines]' || $(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

clean: ## remove what these commands made; kept base images are in ~/.cache/cosgen-tests
	rm -rf .demo .engines build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
