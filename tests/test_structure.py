"""Imports run in one direction, and importing the package costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent
ALTITUDE = {
    **{"geometry": 0, "arrays": 0, "jit": 0, "reference": 0, "streams": 0, "kernels": 1, "losses": 1, "functional": 2},
    "portable": 1,
    **{
        "layers": 3,
        "network": 4,
        "optim": 5,
        "data": 5,
        "training": 6,
        "files": 6,
        "export": 7,
        "tables": 6,
        "architecture": 4,
        "shifts": 0,
        "progress": 0,
        "estimators": 7,
        "plots": 7,
        "doctor": 0,
        "cli": 8,
        "__main__": 9,
    },
}
ALLOWED = {"numba": {"jit"}, "sklearn": {"data", "estimators", "plots", "cli"}, "matplotlib": {"plots"}, "onnx": {"export"}}


def _imports(path, top_only=False):
    tree = ast.parse(path.read_text())
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            yield from ((node.level, name) for name in names)


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_imports_run_downward(path):
    for level, name in _imports(path):
        if level == 0:
            assert path.stem in ALLOWED.get(name, {path.stem}), f"{path.name} imports {name}"
    if path.stem == "__init__":
        return
    for level, name in _imports(path, top_only=True):
        if level:
            assert ALTITUDE[name] < ALTITUDE[path.stem], f"{path.name} imports {name} from above"


def test_the_reference_needs_numpy_alone():
    assert {name for _, name in _imports(PACKAGE / "reference.py")} <= {"numpy", "typing", "dataclasses", "math", "functools"}


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, fastconv; print([m for m in ('numba', 'sklearn', 'matplotlib', 'onnx') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert run.stdout.strip() == "[]"


def test_no_module_bears_the_name_of_something_public():
    assert not {path.stem for path in PACKAGE.glob("*.py")} & set(fastconv.__all__)
    assert all(getattr(fastconv, name) is not None for name in fastconv.__all__)
