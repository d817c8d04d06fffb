"""Imports run in one direction, and importing the package costs nothing."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent
ALTITUDE = {
    **{"geometry": 0, "arrays": 0, "jit": 0, "reference": 0, "streams": 0, "doctor": 0, "options": 0},
    **{"kernels": 1, "losses": 1, "portable": 1, "functional": 2, "layers": 3, "network": 4, "optim": 5, "data": 5},
    **{"engine": 6, "training": 7, "files": 7, "tables": 7, "export": 8, "plots": 8, "estimators": 9, "explain": 9},
    **{"cli": 10, "__main__": 11},
}
ALLOWED = {
    **{"numba": {"jit", "engine"}, "llvmlite": {"jit", "engine"}, "matplotlib": {"plots"}, "onnx": {"export"}},
    "sklearn": {"data", "estimators", "plots", "cli"},
}
FILES = sorted(PACKAGE.rglob("*.py"))
FILE_IDS = [path.relative_to(PACKAGE).as_posix() for path in FILES]


def _home(path):
    """The name that ALTITUDE knows a file by: its own, or that of its folder."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path, top_only=False):
    tree = ast.parse(path.read_text())
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            yield from ((node.level, name) for name in names)


@pytest.mark.parametrize("path", FILES, ids=FILE_IDS)
def test_imports_run_downward(path):
    home, is_nested = _home(path), path.parent != PACKAGE
    for level, name in _imports(path):
        if level == 0:
            assert home in ALLOWED.get(name, {home}), f"{path} imports {name}"
    if path == PACKAGE / "__init__.py":
        return
    for level, name in _imports(path, top_only=True):
        if level == 1 + is_nested and name != "__version__":
            assert ALTITUDE[name] < ALTITUDE[home], f"{path} imports {name} from above"


@pytest.mark.parametrize("folder", ["engine", "estimators", "explain"])
def test_files_of_a_folder_import_each_other_one_way(folder):
    files = sorted((PACKAGE / folder).glob("*.py"))
    siblings = {path.stem for path in files} - {"__init__"}
    needs = {path.stem: {name for level, name in _imports(path, top_only=True) if level == 1} & siblings for path in files}
    assert len([*TopologicalSorter(needs).static_order()]) == len(files)  # CycleError if there is none


def test_the_reference_needs_numpy_alone():
    assert {name for _, name in _imports(PACKAGE / "reference.py")} <= {
        "numpy",
        "typing",
        "dataclasses",
        "math",
        "functools",
        "itertools",
    }


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, fastconv; print([m for m in ('numba', 'sklearn', 'matplotlib', 'onnx') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert run.stdout.strip() == "[]"


def test_no_module_bears_the_name_of_something_public():
    assert not {path.stem for path in PACKAGE.glob("*.py")} & set(fastconv.__all__)
    assert all(getattr(fastconv, name) is not None for name in fastconv.__all__)
