"""Imports run in one direction, and importing the package costs nothing."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent
README = (PACKAGE.parent / "README.md").read_text()
ORDER = [
    name.removesuffix(".py")
    for name in re.findall(r"\]\(fastconv/(\w+(?:\.py)?)\)", README[README.index("## Find your way") :])
]
"""The files and folders of the package as README's table lists them: each imports only what stands before it."""
FIRST, LAST = "__init__", "__main__"
ALLOWED = {
    "numba": {"support", "engine.vector"},
    "llvmlite": {"engine.vector"},
    "matplotlib": {"plots"},
    "onnx": {"files.onnx"},
    "sklearn": {"data", "estimators", "plots", "command._train"},
}
"""Who imports what not every installation has, or what takes long."""
FILES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
FOLDERS = ["", *sorted({name.rpartition(".")[0] for name in FILES} - {""})]


def _outside(name):
    """The packages that a file imports, lazily or not."""
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def _inside(name):
    """The files of the package that a file imports, lazily or not."""
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = name.split(".")[: -node.level]
            for module in [[*base, *node.module.split(".")]] if node.module else [[*base, alias.name] for alias in node.names]:
                yield _file(module)


def _file(module):
    """A module's file; that of a name which the package itself hands out is the file that it comes from."""
    while ".".join(module) not in FILES and ".".join([*module, "__init__"]) not in FILES:
        *module, lost = module
        if not module:
            return fastconv._HOMES.get(lost, FIRST)
    return ".".join(module)


def _needs(folder):
    """file or folder within `folder` -> those within it that it imports"""
    prefix, needs = f"{folder}." if folder else "", {}
    for name in FILES:
        if name.startswith(prefix):
            child = name.removeprefix(prefix).split(".")[0]
            others = {other.removeprefix(prefix).split(".")[0] for other in _inside(name) if f"{other}.".startswith(prefix)}
            needs.setdefault(child, set()).update(others - {child, ""})
    return needs


@pytest.mark.parametrize("name", FILES)
def test_what_is_heavy_is_imported_where_it_belongs(name):
    for package in set(_outside(name)) & ALLOWED.keys():
        assert any(f"{name}.".startswith(f"{home}.") for home in ALLOWED[package]), f"{name} imports {package}"


def test_readme_lists_every_file_and_folder_once():
    assert sorted(ORDER) == sorted(_needs("").keys() - {FIRST, LAST})


def test_imports_run_as_readme_lists_the_files():
    for name, others in _needs("").items():
        if name in ORDER:
            above = {FIRST, *ORDER[: ORDER.index(name)]}  # FIRST: the version, and what is imported from the package by name
            assert others <= above, f"{name} imports {others - above}, which README lists below it"


@pytest.mark.parametrize("folder", FOLDERS)
def test_within_a_folder_imports_run_one_way(folder):
    needs = {name: others - {FIRST} for name, others in _needs(folder).items()}
    assert len([*TopologicalSorter(needs).static_order()]) == len(needs)  # CycleError if there is none


def test_the_reference_needs_numpy_alone():
    assert not [*_inside("reference")]
    assert {*_outside("reference")} <= {"numpy", "typing", "dataclasses", "math", "functools", "itertools"}


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, fastconv; print([m for m in ('numba', 'sklearn', 'matplotlib', 'onnx') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert run.stdout.strip() == "[]"


def test_no_module_bears_the_name_of_something_public():
    assert not {path.stem for path in PACKAGE.rglob("*.py")} & set(fastconv.__all__)
    assert all(getattr(fastconv, name) is not None for name in fastconv.__all__)
