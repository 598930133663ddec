# Everything from Python 3.11 and pip alone. The first target that needs it makes .venv.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 3

.PHONY: demo test lint format coverage mutants faults bench soak clean help
.DEFAULT_GOAL := help

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.11 or newer was found' >&2; \
		echo 'fix: install it, or name it: make PYTHON=/path/to/python3.11 …' >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Setting up .venv (once; a minute or two) …' >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY)  ## one simulated call that ends in a booked meeting (no account needed)
	@mkdir -p demo
	@AGENX_HOME=demo/home $(BIN)/agenx call +14155550110 --simulate --yes --listen demo/call.wav
	@AGENX_HOME=demo/home $(BIN)/agenx meetings list --simulate

test: $(READY)  ## all tests but the long ones
	@$(BIN)/python -m pytest -m 'not long and not realtime' -n $(WORKERS) --dist worksteal
	@$(BIN)/python -m pytest -m 'realtime and not long'

lint: $(READY)  ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)  ## let ruff format and mend what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

faults: $(READY)  ## kill -9, lost answers, hostile input: in full
	@$(BIN)/python -m pytest -m 'long or not long' tests/faults

coverage: $(READY)  ## each core module and codec: every branch by its own test module
	@$(BIN)/python benchmarks/own_coverage.py

mutants: $(READY)  ## wrongs put into the call's machines: which do the tests notice?
	@$(BIN)/python benchmarks/mutate.py --workers 2

bench: $(READY)  ## what it costs, measured (quiet machine, please)
	@$(BIN)/python benchmarks/help_time.py

soak: $(READY)  ## the long suites of every room
	@$(BIN)/python -m pytest -m long --timeout 3600

clean:  ## remove what was made here
	@rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
