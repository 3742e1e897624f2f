# `make demo` fills a real picture. `make check` is exactly what CI runs. Both set everything up.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet
.PHONY: demo check quick lint types imports test coverage clean

# Fill a sample photo with a caption and scratches on it: build/demo/*.png
demo: $(VENV)/.runtime
	$(BIN)/python examples/demo.py build/demo

check: $(VENV)/.developer lint types imports test

$(VENV)/.runtime: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable . scikit-image
	touch $@

# torch first and pinned: any wider request may pull a CUDA build of several gigabytes.
$(VENV)/.developer: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[train,onnxruntime,metrics,dev]'
	touch $@ $(VENV)/.runtime

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

test:
	$(BIN)/python -m pytest -n auto --dist worksteal

# Apart from `check`: to count branches takes a quarter more time.
coverage:
	$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered

# Between two edits.
quick:
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -q -m 'not slow'

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .coverage
