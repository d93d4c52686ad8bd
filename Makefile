# Every target installs what it needs by itself, into VENV.
.DEFAULT_GOAL := help
.PHONY: help install train test test-all lint type check bench tensorboard clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
EXTRAS ?= synth
BENCH ?= step quantizers losses columns coding loading startup million
# what has been installed: other extras are another stamp
RUN := $(VENV)/.run-$(EXTRAS)
DEV := $(VENV)/.dev-$(EXTRAS)
PEERS := $(VENV)/.peers
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

# two OpenMP threads that spin beside a busy neighbour are ten times slower than one
export OMP_NUM_THREADS ?= 1

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "}; {printf "  make %-12s %s\n", $$1, $$2}'

install: $(RUN) ## Install telucodec with its synthetic speech into .venv (PYTHON=python3.12 chooses another Python)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "telucodec needs Python 3.11 or newer: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUN): $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing telucodec (torch is large: a minute or more)"
	@$(PIP) --editable '.[$(EXTRAS)]'
	@touch $@

$(DEV): $(RUN) pyproject.toml constraints.txt
	@$(PIP) --editable '.[$(EXTRAS),dev]'
	@touch $@

# DAC's packages ask for a protobuf that TensorBoard cannot have: they come without what they depend on, which the extra has
$(PEERS): pyproject.toml constraints.txt $(VENV)/.python
	@$(PIP) --editable '.[$(EXTRAS),bench,dev]'
	@$(PIP) --no-deps descript-audio-codec descript-audiotools
	@touch $@

train: $(RUN) ## Train the default codec on synthetic Telugu speech; ARGS='data=folder data.root=PATH' changes what
	@$(BIN)/telucodec train $(ARGS)

test: $(DEV) ## Run the fast tests (a few minutes on two cores)
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' $(ARGS)

test-all: $(DEV) ## Run all tests, the default training and the wheel included
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

lint: $(DEV) ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

type: $(DEV) ## Check types
	@$(BIN)/mypy

check: lint type $(DEV) ## Style, types, and the rules of the house
	@$(BIN)/python -m pytest -q tests/test_house.py

bench: $(PEERS) ## Time ours beside its peers, on one thread (an hour of one core); figures go to benchmarks/results
	@for script in $(BENCH); do echo "== $$script"; $(BIN)/python benchmarks/$$script.py $(ARGS) || exit 1; done
	@$(BIN)/python benchmarks/tables.py

tensorboard: $(RUN) ## Show all runs at http://localhost:6006
	@$(BIN)/tensorboard --logdir runs

clean: ## Remove the environment and caches; runs/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
	find . -name __pycache__ -not -path './runs/*' -prune -exec rm -rf {} +
