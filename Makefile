PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-conditions lint docs bench bench-guard clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; call make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV); PyTorch is large, the first time takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $(READY)

setup: $(READY) ## Create .venv with the pinned packages

demo: setup ## Sing, train, evaluate, separate, and write a page to listen to
	$(BIN)/python -m src.demo

# Two processes, one thread each; in the order of the files, so that a failure is repeated easily.
# (pytest-random-order does nothing unless asked, and leaves random numbers alone.)
SPREAD := -n 2 --dist loadfile

test: setup ## Run the tests (without the slow ones)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SPREAD)

test-all: setup ## Run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SPREAD) -m 'slow or not slow'

test-conditions: setup ## Run the tests with other threads, cores, load and order (an hour or more)
	sh tests/conditions.sh $(BIN)/python

lint: setup ## Check style and types
	$(BIN)/ruff format --check src tests experiments docs
	$(BIN)/ruff check src tests experiments docs
	$(BIN)/mypy

docs: setup ## Build the documentation, docs/_build/html/index.html
	$(BIN)/python -m sphinx -W -n -q -b html docs docs/_build/html

bench: setup ## Measure everything on a quiet machine (half an hour), write tables and figures
	$(BIN)/python -m experiments.bench.training_step
	$(BIN)/python -m experiments.bench.data
	$(BIN)/python -m experiments.bench.separation
	$(BIN)/python -m experiments.bench.f0
	$(BIN)/python -m experiments.bench.nmf
	$(BIN)/python -m experiments.bench.hpss
	$(BIN)/python -m experiments.bench.bss
	$(BIN)/python -m experiments.bench.precision
	$(BIN)/python -m experiments.bench.report

bench-guard: setup ## Has the training step become slower or larger, by ratios to the literal form?
	$(BIN)/python -m experiments.bench.guard

clean: ## Remove the environment, caches and prepared data (keeps outputs)
	rm -rf $(VENV) docs/_build data/prepared .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
