"""What is used of Numba's and scikit-learn's insides is there. No upper bound in pyproject.toml keeps users from a release that
works, so this says by name what a new one took away; `make lowest` runs it with the oldest."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent
INSIDE_NUMBA = ("core", "misc", "np", "cpython")
"""Its folders that are not made for users."""
ATTRIBUTES = [
    *("numba.core.caching.NullCache.load_overload", "numba.core.caching.NullCache.save_overload"),
    *("numba.core.caching.NullCache.cache_path", "numba.core.compiler.CompileResult._rebuild"),
    *("numba.core.compiler.CompileResult._reduce", "numba.core.codegen.CPUCodegen.magic_tuple"),
    *("numba.core.codegen.CodeLibrary.has_dynamic_globals", "numba.core.base.BaseContext.refresh"),
    *("numba.core.cpu.CPUContext.codegen", "numba.core.compiler_lock.global_compiler_lock.acquire"),
    *("numba.core.compiler_lock.global_compiler_lock.release", "numba.misc.appdirs.AppDirs.user_cache_dir"),
]
"""What is not imported by name: methods that are called, or that Numba calls."""


def _is_private(module, name):
    package, *inner = module.split(".")
    if package == "numba":
        return bool(inner) and inner[0] in INSIDE_NUMBA
    return package == "sklearn" and any(part.startswith("_") for part in (*inner, name))


def _imported():
    """Every private name that a file of the package imports, lazily or not."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and not node.level:
                yield from (f"{node.module}.{alias.name}" for alias in node.names if _is_private(node.module, alias.name))


@pytest.mark.parametrize("name", sorted({*_imported(), *ATTRIBUTES}))
def test_it_is_there(name):
    package = import_module(name.split(".")[0])
    parts, found = name.split("."), package
    for k, part in enumerate(parts[1:], 2):
        try:
            found = getattr(found, part, None) or import_module(".".join(parts[:k]))
        except ImportError:
            pytest.fail(f"{package.__name__} {package.__version__} has no {'.'.join(parts[:k])}: fastconv uses {name}")


def test_numba_asks_the_cache_that_a_function_holds():
    numba = import_module("numba")
    compiled = numba.njit(lambda x: x)
    assert hasattr(compiled, "_cache") or numba.config.DISABLE_JIT, (
        f"numba {numba.__version__}: fastconv sets Dispatcher._cache"
    )
