# Two commands for a newcomer: make train, make test. Both build their own environment in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-more lint benchmark clean

train: .venv/train
	$(BIN)/python scripts/train_digits.py --plot digits.png

test: .venv/test
	$(BIN)/python -m pytest -q

# What takes longer or needs more: the same suite interpreted, with bounds checks, and against PyTorch where it is installed.
test-more: .venv/test lint
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -n 2
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=.venv/numba-boundscheck $(BIN)/python -m pytest -q -n 2
	$(BIN)/python benchmarks/run.py --quick

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

benchmark: .venv/test
	$(BIN)/python benchmarks/run.py --peers --json benchmarks/results.json --plot docs/benchmark.png

.venv/train: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[train]"
	touch $@

.venv/test: .venv/train
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@

clean:
	rm -rf .venv build dist
