# Every target works on a bare machine with Python 3.11+, make and access to a package registry.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test nightly faults bench bench-intake lint types arch docs format clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamps remember what was installed, so that a second run starts at once.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tallybook needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 2; }

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[server]"
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

$(VENV)/.installed-faults: requirements-faults.txt $(VENV)/.installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-faults.txt && \
	  touch $@ || echo "Without the peers of requirements-faults.txt their columns stay empty." >&2

demo: $(VENV)/.installed ## set up, then send traffic with a known truth and show the results beside it
	$(BIN)/tallybook demo

test: $(VENV)/.installed-dev ## set up, then run every test
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term $(PYTEST_ARGS)

nightly: $(VENV)/.installed-dev ## 100,000 random calls held against the official SDK, from a new seed a day
	TALLYBOOK_COMPARISONS=100000 TALLYBOOK_SEED=$$(date +%j000) \
	  $(BIN)/python -m pytest tests/differential/test_client_against_official.py \
	  tests/differential/test_drop_in_against_official.py -q -s $(PYTEST_ARGS)

faults: $(VENV)/.installed-faults ## every fault there is a test for; writes docs/reference/reliability.md
	TALLYBOOK_FAULTS=all $(BIN)/python -m pytest tests/faults -q -rA $(PYTEST_ARGS)

bench: $(VENV)/.installed-dev ## measure against the official SDK; BENCH_ARGS=--full takes half an hour
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-intake: $(VENV)/.installed-dev ## measure the server's intake, ten minutes
	$(BIN)/python -m benchmarks.intake --full

lint: $(VENV)/.installed-dev ## formatting and lint
	$(BIN)/ruff format --check src tests typing_tests docs examples benchmarks
	$(BIN)/ruff check src tests typing_tests docs examples benchmarks

types: $(VENV)/.installed-dev ## strict types
	$(BIN)/mypy

arch: $(VENV)/.installed-dev ## the layering contracts
	$(BIN)/lint-imports

docs: $(VENV)/.installed-dev ## write the pages that follow from the code
	$(BIN)/python docs/generate.py

format: $(VENV)/.installed-dev ## format and fix what can be fixed
	$(BIN)/ruff format src tests typing_tests docs examples benchmarks
	$(BIN)/ruff check --fix src tests typing_tests docs examples benchmarks

clean: ## remove what the other targets made
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
