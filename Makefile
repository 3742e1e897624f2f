# `make demo` fills a real picture. `make check` is exactly what CI runs before `make soak`.
# All of them set everything up.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet
TEST := $(BIN)/python -m pytest -n auto --dist worksteal -m 'not soak and not gimp and not browser'
.PHONY: demo docs check soak quick programs lint types imports test slow coverage clean

# Fill a sample photo with a caption and scratches on it: build/demo/*.png
demo: $(VENV)/.runtime
	$(BIN)/python examples/demo.py build/demo

# The documentation as a site: build/site/index.html
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: programs $(VENV)/.developer lint types imports test

# What takes minutes: programs killed again and again, clusters of several machines, networks that
# learn, and GIMP.
soak: programs $(VENV)/.developer
	$(BIN)/python -m pytest -m 'soak or gimp or browser'

# Between two edits.
quick:
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -q -m 'not slow and not soak and not gimp and not browser'

$(VENV)/.runtime: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable . scikit-image
	touch $@

$(VENV)/.docs: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[docs]'
	touch $@

# torch first and pinned: any wider request may pull a CUDA build of several gigabytes.
$(VENV)/.developer: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[train,onnxruntime,metrics,ui,docs,dev]'
	touch $@ $(VENV)/.runtime $(VENV)/.docs

# What some tests need besides Python packages, and how to get it; without it they are skipped.
programs:
	@test -d "$${INPAINT_GIMP_ROOT:-$${XDG_CACHE_HOME:-$$HOME/.cache}/inpaintcli-ci/gimp-trixie}" || \
	  echo "No GIMP 3 to test with, its tests are skipped: .ci/gimp-tree, as root"
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  command -v google-chrome >/dev/null || \
	  echo "No Chromium to test the page with, its tests are skipped: apt-get install chromium"

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

test:
	$(TEST)

# The twenty slowest tests.
slow:
	$(TEST) -q --durations=20

# Apart from `check`: to count branches takes a quarter more time.
coverage:
	$(TEST) --cov --cov-report=term:skip-covered

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .coverage
