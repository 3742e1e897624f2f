# `make check` is exactly what CI runs. `make quick` is for between two edits.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
.PHONY: check quick lint types imports test setup

check: setup lint types imports test

# torch first and pinned: any wider request may pull a CUDA build of several gigabytes.
setup: $(VENV)/.installed
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[train,dev]'
	touch $@

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

test:
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

quick:
	$(BIN)/ruff check . && $(BIN)/python -m pytest -q -m 'not slow'
