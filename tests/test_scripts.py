"""The train script, as a user calls it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from fastconv import Sequential

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "train_digits.py"


def _run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the kernels as Python would take minutes")
def test_it_trains_saves_draws_and_reports(tmp_path):
    model, picture, report = tmp_path / "m.safetensors", tmp_path / "p.png", tmp_path / "r.json"
    run = _run("--size", 5, "--epochs", 3, "--save", model, "--plot", picture, "--json", report)
    assert run.returncode == 0, run.stderr
    results = json.loads(report.read_text())
    assert run.stdout.splitlines()[-1] == f"test accuracy: {results['test_accuracy']:.4f}"
    assert results["test_accuracy"] > 0.7 and results["epochs"] == 3 and results["backend"] == "compiled"
    assert results["train_seconds"] > 0 and len(results["history"]["loss"]) == 3
    assert picture.read_bytes().startswith(b"\x89PNG") and Sequential.load(model).input_shape == (1, 5, 5)


@pytest.mark.parametrize(
    "arguments", [("--epochs", 0), ("--size", 6), ("--save", "/no/such/folder/m"), ("--lr", -1), ("--backend", "gpu")]
)
def test_bad_usage_is_refused_before_training(arguments):
    run = _run(*arguments)
    assert run.returncode == 2 and "error:" in run.stderr and not run.stdout
